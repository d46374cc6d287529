# SPDX-License-Identifier: GPL-2.0-only
"""git on one repository, whatever the user's own configuration says."""

import contextlib
import os
import re
import subprocess
import tempfile

from lib.ui import Fail

# No pager, hook, alias, diff driver, signing or line-ending setting of the user may
# change what is written.
ENVIRON = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
    "GIT_AUTHOR_NAME": "overlay", "GIT_AUTHOR_EMAIL": "overlay@localhost",
    "GIT_COMMITTER_NAME": "overlay", "GIT_COMMITTER_EMAIL": "overlay@localhost",
}


def clean_environ(**extra):
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env.update(ENVIRON)
    env.update({k: str(v) for k, v in extra.items() if v is not None})
    return env


class GitError(Fail):
    def __init__(self, args, stderr):
        self.stderr = stderr.strip()
        lines = self.stderr.splitlines() or ["failed"]
        first = next((l for l in lines if re.match("error|fatal", l)), lines[0])
        super().__init__(f"git {args[0]}: {first}")


class Git:
    def __init__(self, top, **environ):
        """environ: in addition to ENVIRON, or in its place."""
        self.top, self.environ = os.fspath(top), environ
        self.dir = os.path.join(self.top, ".git")

    def __call__(self, *args, **kwargs):
        """Runs git in this repository and returns what it printed, less the last newline."""
        return self.raw(*args, **kwargs).removesuffix("\n")

    def raw(self, *args, index=None, worktree=None, stdin=None):
        top = os.fspath(worktree or self.top)
        p = subprocess.run(
            ["git", *args], cwd=top, capture_output=True, check=False,
            env=clean_environ(GIT_DIR=self.dir, GIT_WORK_TREE=top, GIT_INDEX_FILE=index,
                              **self.environ),
            input=(stdin or "").encode("utf-8", "surrogateescape"))
        if p.returncode:
            raise GitError(args, p.stderr.decode("utf-8", "replace"))
        return p.stdout.decode("utf-8", "surrogateescape")

    def names(self, *args, **kwargs):
        """The same for commands that print names with -z."""
        return [n for n in self(*args, **kwargs).split("\0") if n]

    @contextlib.contextmanager
    def temp_index(self):
        with tempfile.TemporaryDirectory(prefix="index.", dir=self.dir) as d:
            yield os.path.join(d, "index")

    def tree(self, commit):
        return self("rev-parse", "--verify", "-q", f"{commit}^{{tree}}")

    def ref(self, name):
        """The object a ref names, or None."""
        return self("for-each-ref", "--format=%(objectname)", name) or None

    def find(self, word, tree, *where):
        """The names of the files of a tree, below these directories, that have a word."""
        try:
            names = self.names("grep", "-l", "-z", "-w", "-e", word, tree, "--", *where)
        except GitError as e:
            if e.stderr:
                raise
            return []       # nothing found, nothing said
        return [n.partition(":")[2] for n in names]

    def tree_with(self, entries, onto=None):
        """A tree object with these files, {name: (mode, blob)}, in place of those of onto."""
        with self.temp_index() as index:
            if onto:
                self("read-tree", onto, index=index)
            self("update-index", "--add", "--index-info", index=index, stdin="".join(
                f"{mode} {blob}\t{name}\n" for name, (mode, blob) in entries.items()))
            return self("write-tree", index=index)

    def changed(self, old, new):
        """The names of all files that differ between two trees."""
        return self.names("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)

    def entries(self, tree, names):
        """{name: (mode, blob)} of those names that the tree has."""
        found = {}
        names = list(names)
        for i in range(0, len(names), 500):
            for line in self.names("ls-tree", "-r", "-z", "--full-tree", tree, "--",
                                   *names[i:i + 500]):
                meta, name = line.split("\t", 1)
                mode, _type, blob = meta.split()
                found[name] = (mode, blob)
        return found
