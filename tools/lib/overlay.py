# SPDX-License-Identifier: GPL-2.0-only
"""The overlay: what a kernel tree becomes with our files and patches, and the way back.

A path in the repository is the path in the kernel tree:

    NAME              a file that the kernel does not have
    NAME.patch        our change to the kernel's file NAME
    NAME.X.Y.patch    what goes on top of these for the kernels of variant X.Y only

A tree gets the newest variant that is not newer than itself, or the oldest one; if that does
not fit, another one that does.  Where X.Y is no variant, the file is for kernels of that very
version, instead of the variant's.
An empty patch changes nothing: it tells refresh where an edit is to go.
"""

import os
import re

from lib import foreign, ui
from lib.git import GitError
from lib.ui import Fail

# The kernel's directories that may have a counterpart here.  tools/ is ours but for
# what the kernel has below tools/testing.
ROOTS = ("Documentation arch block certs crypto drivers fs include init io_uring ipc kernel kunit "
         "lib mm net rust samples scripts security sound tools/testing usr virt").split()

# What to do about a kernel that none of it fits
PORTING = "tools/PORTING.md"

# Every supported kernel is a variant, whether or not a file needs it just now.
KERNELS = ("6.12", "7.3")

_VARIANT = re.compile(r"(.+)\.(\d+\.\d+)\.patch$")


def version_key(version):
    """(6, 12) for 6.12 and all that begins with it."""
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def covers(name):
    """Whether a file of this name in a kernel tree may have a counterpart in the overlay."""
    return "/" not in name or any(name.startswith(root + "/") for root in ROOTS)


class Overlay:
    """What the repository has for a kernel tree, as it is on the disk now."""

    def __init__(self, repo, git, suites_only=False):
        """git: a prepared tree's repository; its objects receive ours.

        suites_only: without the implementation, for a tree that has one
        """
        self.repo, self.git, self.suites_only = os.fspath(repo), git, suites_only
        self.new, self.patches, self.variants = set(), set(), {}
        self._filled, self._applied = {}, {}
        with git.temp_index() as index:     # an empty one: every file is an "other"
            names = git.names("ls-files", "-z", "--others", "--exclude-standard", "--",
                              *ROOTS, ":(glob)*.patch", index=index, worktree=self.repo)
        for name in filter(foreign.belongs, names) if suites_only else names:
            if m := _VARIANT.match(name):
                self.variants.setdefault(m[2], set()).add(m[1])
            elif name.endswith(".patch"):
                self.patches.add(name.removesuffix(".patch"))
            else:
                self.new.add(name)

    def variant(self, base, version):
        """The variant that a kernel gets: if none fits, the one that misses least."""
        older = [v for v in KERNELS if version_key(v) <= version_key(version)]
        first = older[-1] if older else KERNELS[0]
        candidates = [first]
        if self._with_patches(base, version, first)[1]:
            candidates += [v for v in reversed(KERNELS) if v != first]
        return min(candidates, key=lambda v: len(self._with_patches(base, version, v)[1]))

    def own(self, variant, version):
        """{name: its X.Y} of the patches that not all kernels get."""
        very = "%d.%d" % version_key(version)
        names = {n: variant for n in self.variants.get(variant, ())}
        if very not in KERNELS:
            names.update((n, very) for n in self.variants.get(very, ()))
        return names

    def path(self, name):
        return os.path.join(self.repo, name)

    def patch_files(self, own):
        files = [f"{n}.patch" for n in sorted(self.patches)]
        files += [f"{n}.{v}.patch" for n, v in sorted(own.items())]
        return [f for f in files if os.path.getsize(self.path(f))]

    def compose(self, base, version, variants=True):
        """The tree object of base with the overlay on it.  No file is touched."""
        git, variant = self.git, self.variant(base, version) if variants else None
        own = self.own(variant, version) if variants else {}
        tree, misfits = self._with_patches(base, version, variant)
        if misfits:
            raise Fail(f"Linux {version}: {ui.number(len(misfits), 'file')} of the overlay "
                       f"{'does' if len(misfits) == 1 else 'do'} not fit; nothing was "
                       f"changed, see {PORTING}: {'; '.join(misfits)}")
        stray = set(git.changed(base, tree)) - self.new - self.patches - own.keys()
        if stray:
            name = min(stray)
            raise Fail(f"{name}: changed by a patch of another name; move that into {name}.patch")
        return self._hooked(base, tree) if self.suites_only else tree

    def _with_new(self, base, version):
        """The tree object of base with our new files."""
        git, new = self.git, sorted(self.new)
        if base in self._filled:
            return self._filled[base]
        if there := sorted(git.entries(base, new)):
            raise Fail(f"{there[0]}: Linux {version} has a file of this name already; "
                       f"turn ours into a change, {there[0]}.patch")
        for name in new:
            if os.path.islink(self.path(name)):
                raise Fail(f"{name}: a symbolic link cannot be part of the overlay; make it a file")
        blobs = git("hash-object", "-w", "--no-filters", "--stdin-paths", worktree=self.repo,
                    stdin="".join(n + "\n" for n in new)).split() if new else []
        with git.temp_index() as index:
            git("read-tree", base, index=index)
            mode = {True: "100755", False: "100644"}
            git("update-index", "--add", "--index-info", index=index, stdin="".join(
                f"{mode[os.access(self.path(n), os.X_OK)]} {b}\t{n}\n"
                for n, b in zip(new, blobs)))
            self._filled[base] = git("write-tree", index=index)
        return self._filled[base]

    def _hooked(self, base, tree):
        with self.git.temp_index() as index:
            self.git("read-tree", tree, index=index)
            foreign.put_hook(self.repo, self.git, base, index)
            return self.git("write-tree", index=index)

    def _with_patches(self, base, version, variant):
        """(the tree object with a variant's patches, or without any, what does not fit)"""
        key = base, version, variant
        if key not in self._applied:
            own = self.own(variant, version) if variant else {}
            with self.git.temp_index() as index:
                self.git("read-tree", self._with_new(base, version), index=index)
                misfits = self._apply(self.patch_files(own), index)
                self._applied[key] = self.git("write-tree", index=index), misfits
        return self._applied[key]

    def _apply(self, files, index):
        """Changes an index by these patches; which of them do not fit, and why."""
        apply = ("apply", "--cached", "--whitespace=nowarn")
        if not files:
            return []
        try:
            # All in one: the index is written once, and only if every patch fits.
            self.git(*apply, *map(self.path, files), index=index)
            return []
        except GitError as e:
            error = e
        misfits = {}
        for file in files:      # again one by one, to learn which they are
            try:
                self.git(*apply, self.path(file), index=index)
            except GitError as e:
                # What a variant has on top of a change that does not fit says nothing new.
                name = (_VARIANT.match(file) or re.match(r"(.+)\.patch$", file))[1]
                misfits.setdefault(name, self._explain(file, e.stderr))
        if not misfits:
            raise error
        return list(misfits.values())

    def _explain(self, file, stderr):
        if m := re.search(r"patch failed: (.+):(\d+)$", stderr, re.M):
            with open(self.path(file), encoding="utf-8", errors="replace") as f:
                hunk = next((l.strip() for l in f if re.match(rf"@@ -{m[2]}[, ]", l)), f"-{m[2]}")
            return f"{file}: {m[1]}, hunk '{hunk}' finds no such lines"
        if m := re.search(r"error: (.+): does not exist in index", stderr):
            return f"{file}: there is no file {m[1]}"
        return f"{file}: {stderr.splitlines()[0].removeprefix('error: ')}"


def _replace(path, data, mode):
    """Writes a file so that it has either its old or its new content."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tmp = f"{path}.{os.getpid()}~"
    try:
        with open(tmp, "wb") as f:
            f.write(data.encode("utf-8", "surrogateescape"))
        os.chmod(tmp, mode)
        os.replace(tmp, path)
    finally:
        if os.path.exists(tmp):
            os.unlink(tmp)


def diff(git, old, new, name):
    """The change of one file as its patch holds it, None where there is none.

    No blob names, and git's own header only where it says something, as for a mode.
    """
    text = git.raw("diff-tree", "-p", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames",
               "--src-prefix=a/", "--dst-prefix=b/", "-U3", old, new, "--", name)
    if not text:
        return None
    head, at, body = text.partition("\n@@ ")
    if "\nBinary files " in head:
        raise Fail(f"{name}: a change to a binary file cannot be part of the overlay; undo it")
    head = re.sub(r"\nindex .*", "", head, count=1)
    return re.sub(r"^diff --git .*\n(?=--- )", "", head) + at + body


def write_back(overlay, base, version, prepared, work):
    """Brings into the overlay what differs between the trees prepared and work.

    Yields (action, file) for each file written.  The overlay may have moved on since the
    tree was prepared, but not in the files that were edited there.
    """
    git = overlay.git
    edited = git.changed(prepared, work)
    if not edited:
        return
    now = overlay.compose(base, version)
    entries = [git.entries(tree, edited) for tree in (base, prepared, now, work)]
    in_base, was, want, have = ([e.get(n) for n in edited] for e in entries)
    todo = []
    for name, b, p, n, w in zip(edited, in_base, was, want, have):
        if n == w:
            continue
        if n != p:
            raise Fail(f"{name}: edited in the tree and in the overlay since the tree was "
                       "prepared; undo one of the two, nothing was written")
        if not covers(name):
            raise Fail(f"{name}: outside of what the overlay can hold; undo the edit, "
                       "nothing was written")
        todo.append((name, b, w))

    own = overlay.own(overlay.variant(base, version), version)
    lower = overlay.compose(base, version, variants=False) \
        if any(name in own for name, _b, _w in todo) else None
    writes = []
    for name, b, w in todo:
        if name in own:
            writes.append((f"{name}.{own[name]}.patch", diff(git, lower, work, name), 0o644))
        elif b:
            writes.append((f"{name}.patch", diff(git, base, work, name), 0o644))
        elif w:
            if w[0] == "120000":
                raise Fail(f"{name}: a symbolic link cannot be part of the overlay; make it a file")
            writes.append((name, git.raw("cat-file", "blob", w[1]), int(w[0], 8) & 0o777))
        else:
            writes.append((name, None, None))
    for file, data, mode in writes:
        path = overlay.path(file)
        there = os.path.exists(path)
        if data is not None:
            _replace(path, data, mode)
            yield "changed" if there else "new", file
        elif there:
            os.unlink(path)
            yield "removed", file
