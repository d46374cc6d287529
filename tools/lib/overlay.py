# SPDX-License-Identifier: GPL-2.0-only
"""The overlay: what a kernel tree becomes with our files and patches, and the way back.

A path in the repository is the path in the kernel tree:

    NAME              a file that the kernel does not have
    NAME.patch        our change to the kernel's file NAME
    NAME.X.Y.patch    what goes on top of these for the kernels of variant X.Y only

A tree gets the newest variant that is not newer than itself, or the oldest one.
An empty patch changes nothing: it tells refresh where an edit is to go.
"""

import os
import re

from lib import foreign
from lib.git import GitError
from lib.ui import Fail

# The kernel's directories that may have a counterpart here.  tools/ is ours but for
# what the kernel has below tools/testing.
ROOTS = ("Documentation arch block certs crypto drivers fs include init io_uring ipc kernel kunit "
         "lib mm net rust samples scripts security sound tools/testing usr virt").split()

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

    def variant(self, version):
        """The variant that a kernel of this version gets."""
        known = sorted({*self.variants, *KERNELS}, key=version_key)
        fit = [v for v in known if version_key(v) <= version_key(version)]
        return fit[-1] if fit else known[0]

    def path(self, name):
        return os.path.join(self.repo, name)

    def patch_files(self, version, variants=True):
        files = [f"{n}.patch" for n in sorted(self.patches)]
        if variants:
            v = self.variant(version)
            files += [f"{n}.{v}.patch" for n in sorted(self.variants.get(v, ()))]
        return [f for f in files if os.path.getsize(self.path(f))]

    def compose(self, base, version, variants=True):
        """The tree object of base with the overlay on it.  No file is touched."""
        git = self.git
        new = sorted(self.new)
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
            self._apply(self.patch_files(version, variants), version, index)
            tree = git("write-tree", index=index)
        stray = set(git.changed(base, tree)) - self.new - self.patches
        stray -= self.variants.get(self.variant(version), set())
        if stray:
            name = min(stray)
            raise Fail(f"{name}: changed by a patch of another name; move that into {name}.patch")
        return self._hooked(base, tree) if self.suites_only else tree

    def _hooked(self, base, tree):
        with self.git.temp_index() as index:
            self.git("read-tree", tree, index=index)
            foreign.put_hook(self.repo, self.git, base, index)
            return self.git("write-tree", index=index)

    def _apply(self, files, version, index):
        apply = ("apply", "--cached", "--whitespace=nowarn")
        if not files:
            return
        try:
            # All in one: the index is written once, and only if every patch fits.
            self.git(*apply, *map(self.path, files), index=index)
            return
        except GitError as e:
            error = e
        for file in files:      # again one by one, to learn which it is
            try:
                self.git(*apply, self.path(file), index=index)
            except GitError as e:
                raise Fail(self._explain(file, version, e.stderr)) from None
        raise error

    def _explain(self, file, version, stderr):
        if m := re.search(r"patch failed: (.+):(\d+)$", stderr, re.M):
            with open(self.path(file), encoding="utf-8", errors="replace") as f:
                hunk = next((l.strip() for l in f if re.match(rf"@@ -{m[2]}[, ]", l)), f"-{m[2]}")
            return (f"{file}: does not fit Linux {version}: {m[1]}, hunk '{hunk}' finds no such "
                    "lines; correct it for this version, nothing was changed")
        if m := re.search(r"error: (.+): does not exist in index", stderr):
            return f"{file}: does not fit Linux {version}: it has no file {m[1]}; nothing was changed"
        reason = stderr.splitlines()[0].removeprefix("error: ")
        return f"{file}: does not fit Linux {version}: {reason}; nothing was changed"


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

    variant = overlay.variant(version)
    own = overlay.variants.get(variant, set())
    lower = overlay.compose(base, version, variants=False) \
        if any(name in own for name, _b, _w in todo) else None
    writes = []
    for name, b, w in todo:
        if name in own:
            writes.append((f"{name}.{variant}.patch", diff(git, lower, work, name), 0o644))
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
