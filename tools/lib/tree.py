# SPDX-License-Identifier: GPL-2.0-only
"""Prepared kernel trees: a git repository with one base commit and the overlay on top.

    <build dir>/<name>/linux
        tag base        the kernel as it came
        tag overlay     base and the overlay as last composed, or as last written back
        branch main     the same as overlay; what somebody commits there is an edit too
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

from lib import foreign, ui
from lib.git import Git, GitError, clean_environ
from lib.overlay import KERNELS, ROOTS, Overlay, write_back
from lib.ui import Fail

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPACE = 5 << 30

# What the kernel's Makefile has no path with
_NO_PATH = re.compile(r"[\s:]")


def add_arguments(parser, kernel=KERNELS[0]):
    parser.add_argument("--kernel", default=kernel, metavar="|".join((*KERNELS, "DIR")),
                        help=f"kernel: Debian's {' or '.join(KERNELS)}, or the directory of a "
                             "kernel tree, which is only read (default "
                             f"{kernel or ' and '.join(KERNELS)})")
    parser.add_argument("--build-dir", default=os.path.join(REPO, "build"), metavar="DIR",
                        help="where all that is made goes (default: build, in the repository)")
    parser.add_argument("--no-install", action="store_true",
                        help="install no Debian package; name what is missing instead")


def add_suites_only(parser):
    parser.add_argument("--suites-only", choices=foreign.contracts(REPO), metavar="CONTRACT",
                        help="for a tree of yours that has a copy_mc of its own: the suites and "
                             "their hook, nothing of our implementation, and this contract of "
                             f"{foreign.CONTRACTS}: {', '.join(foreign.contracts(REPO))}")


def module(name, path, **imports):
    """A Python file of a tree as a module, and what it has for those that it imports."""
    made = importlib.util.module_from_spec(importlib.util.spec_from_file_location(name, path))
    imports = {**imports, name: made}
    sys.modules.update(imports)
    try:
        made.__spec__.loader.exec_module(made)
    finally:
        for n in imports:
            del sys.modules[n]
    return made


def makefile_version(text):
    """6.12.117, from a kernel's Makefile; None if it is not one."""
    parts = [re.search(rf"^{k}\s*=[ \t]*(\d*)\s*$", text, re.M)
             for k in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    return ".".join(p[1] for p in parts) if all(p and p[1] for p in parts) else None


def check_space(path, need=SPACE):
    free = shutil.disk_usage(path).free
    if free < need:
        raise Fail(f"{path}: {free / (1 << 30):.1f} GiB free, {need >> 30} GiB needed; make room "
                   "or choose another --build-dir")


@contextlib.contextmanager
def locked(path, what):
    """Inside the block nobody else has the lock; whoever waits for it says for whom."""
    with open(path, "a+", encoding="utf-8") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            f.seek(0)
            ui.note(f"waiting for another run that uses {what}: {f.read().strip() or 'just begun'}")
            fcntl.flock(f, fcntl.LOCK_EX)
        f.truncate(0)
        f.write(f"{shlex.join([f'tools/{ui.tool}', *sys.argv[1:]])} (pid {os.getpid()}), "
                f"since {time.strftime('%H:%M:%S')}\n")
        f.flush()
        yield


def add_files(git, top, index, *where):
    """Brings an index up to the files of top, but for new ones that its .gitignore excludes."""
    git("add", "-u", ".", index=index, worktree=top)
    override = []
    with contextlib.suppress(FileNotFoundError), \
            open(os.path.join(top, ".gitignore"), encoding="utf-8") as f:
        if "/*\n" in f:
            # Debian's kernels: git there is for packaging alone, all else is ignored at
            # the top.  What a build leaves there must stay out all the same.
            override = ["--exclude=!/*/", "--exclude=!/[A-Z]*", "--exclude=!/.git*",
                        "--exclude=/Module.*", "--exclude=/System.map"]
    new = git.names("ls-files", "-z", "--others", "--exclude-standard", *override, "--", *where,
                    index=index, worktree=top)
    git("update-index", "--add", "-z", "--stdin", index=index, worktree=top,
        stdin="".join(n + "\0" for n in new if not n.endswith("/")))


class Source:
    """A kernel of Debian's: its tarball, found when it is needed."""

    def __init__(self, version, build_dir, install):
        from lib import packages
        self.name = version
        self.tarball, self.id = packages.kernel_source(version, build_dir, install)

    def unpack(self, top):
        ui.step(f"unpacking {self.id}")
        p = subprocess.run(["tar", "-x", "-f", self.tarball, "-C", top, "--strip-components=1"],
                           check=False, capture_output=True, text=True)
        if p.returncode:
            raise Fail(f"{self.tarball}: cannot be unpacked: "
                       f"{(p.stderr.splitlines() or ['?'])[0]}; reinstall its package")


class Directory:
    """A kernel tree of the user's: only ever read."""

    def __init__(self, path, build_dir):
        self.path = os.path.realpath(path)
        self.id = self.path
        digest = hashlib.sha256(self.path.encode()).hexdigest()[:8]
        self.name = f"dir-{_NO_PATH.sub('_', os.path.basename(self.path))}-{digest}"
        try:
            with open(os.path.join(path, "Makefile"), encoding="utf-8", errors="replace") as f:
                version = makefile_version(f.read())
        except OSError:
            version = None
        if not version or not os.path.isdir(os.path.join(path, "arch/arm64")):
            raise Fail(f"{path}: is no kernel tree (a Makefile with VERSION and arch/arm64); "
                       f"give {', '.join(KERNELS)} or a kernel's top directory")
        if os.path.commonpath([self.path, os.path.realpath(build_dir)]) == self.path:
            raise Fail(f"{build_dir}: is inside {path}, which must stay as it is; "
                       "choose another --build-dir")

    def import_into(self, git, index):
        """Its files as a tree object: those tracked there, and those not ignored."""
        add_files(git, self.path, index)
        if os.path.exists(os.path.join(self.path, ".git")):
            # Their own repository may track what .gitignore tells git add to skip.
            p = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached",
                                "--ignored", "--exclude-standard"], cwd=self.path, check=False,
                               capture_output=True, env=clean_environ(GIT_OPTIONAL_LOCKS=0))
            git("update-index", "--add", "--remove", "-z", "--stdin", index=index,
                worktree=self.path, stdin=p.stdout.decode("utf-8", "surrogateescape"))
        return git("write-tree", index=index)


class Tree:
    """<build dir>/<name>/linux."""

    def __init__(self, build_dir, name, contract=None):
        """contract: the tree has an implementation of its own, and this is its contract."""
        self.contract = contract
        self.home = os.path.join(build_dir, name)
        self.top = os.path.join(self.home, "linux")
        self.git = Git(self.top)
        self.marker = os.path.join(self.git.dir, "overlay-switch")
        self.mutation = os.path.join(self.git.dir, "overlay-mutation")

    @property
    def base(self):
        return self.git.ref("refs/tags/base")

    @property
    def version(self):
        return makefile_version(self.git("cat-file", "blob", f"{self.base}:Makefile")) or "?"

    def lock(self):
        os.makedirs(self.home, exist_ok=True)
        return locked(os.path.join(self.home, ".lock"), self.top)

    # -- the base ------------------------------------------------------------------------

    def _commit(self, tree, message, parent=None):
        return self.git("commit-tree", tree, *(("-p", parent) if parent else ()),
                        stdin=message + "\n")

    def _create(self, source):
        """A new tree, complete or not there at all."""
        check_space(self.home)
        tmp = os.path.join(self.home, "linux.tmp")
        shutil.rmtree(tmp, ignore_errors=True)
        os.mkdir(tmp)
        subprocess.run(["git", "init", "-q", "-b", "main", "--template=", tmp], check=True,
                       env=clean_environ())
        git, self.git = self.git, Git(tmp)
        try:
            # Tens of thousands of loose objects: let no later commit start to pack them.
            self.git("config", "gc.auto", "0")
            os.makedirs(os.path.join(self.git.dir, "info"), exist_ok=True)
            with open(os.path.join(self.git.dir, "info/exclude"), "w", encoding="ascii") as f:
                f.write("*.orig\n*.rej\n")
            tree = self._import(source, tmp)
            base = self._commit(tree, source.id)
            self._point(base, base)
            self.git("read-tree", "-m", "-u", base)
            os.rename(tmp, self.top)
        finally:
            self.git = git
            shutil.rmtree(tmp, ignore_errors=True)

    def _import(self, source, top):
        """The source's files as a tree object; a package is unpacked into top."""
        git = self.git
        if isinstance(source, Directory):
            ui.step(f"reading {source.path}")
            # An index that stays makes the next time quick.
            return source.import_into(git, os.path.join(git.dir, "import.index"))
        source.unpack(top)
        ui.step(f"committing {source.id}")
        with contextlib.nullcontext() if top == git.top else git.temp_index() as index:
            git("add", "-A", "-f", ".", index=index, worktree=top)
            return git("write-tree", index=index)

    def _current_base(self, source):
        """The commit of what the source is now: the present base, or a new one."""
        git = self.git
        if isinstance(source, Directory):
            tree = self._import(source, None)
            return self.base if tree == git.tree("base") else self._commit(tree, source.id)
        if git("show", "-s", "--format=%B", self.base).strip() == source.id:
            return self.base
        check_space(self.home)
        tmp = os.path.join(self.home, "unpack.tmp")
        shutil.rmtree(tmp, ignore_errors=True)
        os.mkdir(tmp)
        try:
            return self._commit(self._import(source, tmp), source.id)
        finally:
            shutil.rmtree(tmp, ignore_errors=True)

    # -- the overlay ---------------------------------------------------------------------

    def work_tree(self):
        """The files as they are now, as a tree object."""
        git = self.git
        with git.temp_index() as index:
            # With its time, by which git tells what may have changed since.
            shutil.copy2(os.path.join(git.dir, "index"), index)
            add_files(git, self.top, index, *ROOTS)
            return git("write-tree", index=index)

    def edits(self, work=None):
        """The names of the files whose edits are not written back."""
        return self.git.changed(self.git.tree("overlay"), work or self.work_tree())

    def overlay(self):
        """What the repository has for this tree."""
        return Overlay(REPO, self.git, bool(self.contract))

    def _edited(self, names):
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        options = "--kernel and --suites-only" if self.contract else "--kernel"
        return Fail(f"{self.top}: edits not written back in {', '.join(names[:3])}{more}; run "
                    f"./tools/refresh with the same {options}, or undo them with git there")

    def need_no_edits(self):
        if edits := self.edits():
            raise self._edited(edits)

    def _point(self, base, overlay):
        self.git("update-ref", "--stdin", stdin=(
            f"update refs/tags/base {base}\nupdate refs/tags/overlay {overlay}\n"
            f"update refs/heads/main {overlay}\n"))
        self.git("symbolic-ref", "HEAD", "refs/heads/main")

    def _refresh_index(self, tree):
        self.git("read-tree", "-m", "-i", tree)
        with contextlib.suppress(GitError):     # it fails when files are edited
            self.git("update-index", "-q", "--refresh")

    def _switch(self, base, tree):
        """From the last overlay commit to this tree; edits are never lost."""
        git = self.git
        if git.tree("overlay") == tree and self.base == base:
            return
        old, work = git.tree("overlay"), self.work_tree()
        if work not in (old, tree):
            raise self._edited(git.changed(old, work))
        commit = self._commit(tree, "overlay", base)
        with open(self.marker, "w", encoding="ascii") as f:
            f.write(tree)
        if work == tree:
            self._refresh_index(tree)
        else:
            # Start from what is on the disk, then only what differs is written.
            self._refresh_index(old)
            git("read-tree", "-m", "-u", old, tree)
        self._point(base, commit)
        os.unlink(self.marker)

    # -- other commits -------------------------------------------------------------------

    def worktree(self, name, commit):
        """The directory <build dir>/<kernel>/NAME with the files of that commit."""
        path, git = os.path.join(self.home, name), self.git
        if not os.path.exists(os.path.join(path, ".git")):
            git("worktree", "prune")
            git("worktree", "add", "-f", "--detach", path, commit)
        subprocess.run(["git", "-C", path, "-c", "advice.detachedHead=false", "checkout", "-q",
                        "-f", "--detach", commit], check=True, env=clean_environ())
        return path

    def base_with(self, tag, names):
        """A commit of the base and these files as they are now; the old one if that has them."""
        git, work = self.git, self.work_tree()
        tree = git.tree_with(git.entries(work, names), self.base)
        ref = f"refs/tags/{tag}"
        old = git.ref(ref)
        if old and git.tree(old) == tree and git("rev-parse", f"{old}^") == self.base:
            return old
        commit = self._commit(tree, tag, self.base)
        git("update-ref", ref, commit)
        return commit

    # -- a change for a while ------------------------------------------------------------

    def _exchange(self, old, new):
        """From one tree's files to those of another, which has no others: each is either."""
        tmp = os.path.join(self.git.dir, "overlay-mutation.tmp")
        for name, (mode, blob) in self.git.entries(new, self.git.changed(old, new)).items():
            with open(tmp, "wb") as f:
                f.write(self.git.raw("cat-file", "blob", blob).encode("utf-8", "surrogateescape"))
            os.chmod(tmp, int(mode, 8) & 0o777)
            os.replace(tmp, os.path.join(self.top, name))

    @contextlib.contextmanager
    def mutated(self, tree):
        """Inside the block the files are those of this tree, which has no others.

        The caller holds the lock.  If nobody lives to undo it, the next tool that takes
        the lock does.
        """
        self.need_no_edits()
        with open(self.mutation, "w", encoding="ascii") as f:
            f.write(tree)
        try:
            self._exchange(self.git.tree("overlay"), tree)
            yield
        finally:
            self._unmutate()

    def _unmutate(self):
        if not os.path.exists(self.mutation):
            return
        git, old = self.git, self.git.tree("overlay")
        with open(self.mutation, encoding="ascii") as f:
            tree = f.read() or old
        names = git.changed(old, tree)
        was, mutated, now = (git.entries(t, names) for t in (old, tree, self.work_tree()))
        for name in names:
            if now.get(name) not in (was[name], mutated[name]):
                raise Fail(f"{self.top}/{name}: edited while there was a mutation in it; keep your "
                           "edit elsewhere and restore this file with git checkout")
        self._exchange(tree, old)
        os.unlink(self.mutation)

    # -- whole again ---------------------------------------------------------------------

    def _recover(self):
        """After an interrupted switch: back to the files of the last overlay commit."""
        self._unmutate()
        if not os.path.exists(self.marker):
            return
        git = self.git
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(git.dir, "index.lock"))
        with open(self.marker, encoding="ascii") as f:
            tree = f.read().strip()
        old = git.tree("overlay")
        if tree and tree != old and self.work_tree() != tree:
            names = git.changed(old, tree)
            there = git.entries(old, names)
            git("read-tree", old)
            git("checkout-index", "-f", "-z", "--stdin",
                stdin="".join(n + "\0" for n in names if n in there))
            for name in set(names) - set(there):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.top, name))
            self._refresh_index(old)
        os.unlink(self.marker)

    def prepare(self, source):
        """Makes the tree what the source and the overlay are now."""
        with self.lock():
            if not os.path.exists(self.top):
                self._create(source)
                base = self.base
            else:
                self._recover()
                base = self._current_base(source)
            version = makefile_version(self.git("cat-file", "blob", f"{base}:Makefile"))
            if self.contract:
                foreign.check(REPO, self.git, base, self.contract, source.id)
            self._switch(base, self.overlay().compose(base, version))

    def refresh(self):
        """Writes edits back into the overlay; yields (action, file)."""
        with self.lock():
            self._recover()
            prepared, work = self.git.tree("overlay"), self.work_tree()
            if self.contract:
                foreign.check_edits(self.edits(work))
            yield from write_back(self.overlay(), self.base, self.version, prepared, work)
            if work != prepared:
                # What the tree holds is now what was prepared, and nobody's edit.
                self._refresh_index(work)
                self._point(self.base, self._commit(work, "overlay", self.base))


def select(args):
    """The tree that --kernel names, and what it is made from."""
    kernel, build_dir = args.kernel, os.path.abspath(args.build_dir)
    if _NO_PATH.search(build_dir):
        raise Fail(f"{build_dir}: has a blank or a colon, with which the kernel's Makefile cannot "
                   "build; choose another --build-dir")
    contract = getattr(args, "suites_only", None)
    if kernel in KERNELS and not contract:
        return Tree(build_dir, kernel), lambda: Source(kernel, build_dir, not args.no_install)
    if contract and kernel in KERNELS:
        raise Fail(f"--suites-only: Debian's {kernel} has no copy_mc for arm64; give a kernel "
                   "tree that has one with --kernel DIR")
    if os.path.isdir(kernel):
        source = Directory(kernel, build_dir)
        if not contract:
            return Tree(build_dir, source.name), lambda: source

        def with_spatch():
            from lib import packages
            packages.need(not args.no_install, packages.HOOK)
            return source
        return Tree(build_dir, f"{source.name}-{contract}", contract), with_spatch
    raise Fail(f"--kernel {kernel}: no such kernel and no directory; give {', '.join(KERNELS)} "
               "or the top directory of a kernel tree")


def _contract_of(name):
    """The contract in the name of a tree that has one, see select()."""
    return next((c for c in foreign.contracts(REPO)
                 if re.search(rf"-[0-9a-f]{{8}}-{re.escape(c)}$", name)), None)


def others(tree):
    """The other prepared trees of the same build directory."""
    build_dir = os.path.dirname(tree.home)
    for name in sorted(os.listdir(build_dir)):
        other = Tree(build_dir, name, _contract_of(name))
        if other.top != tree.top and os.path.isdir(other.git.dir) and other.base:
            yield other
