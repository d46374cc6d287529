# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree and an overlay repository, small enough to make anew for every test."""

import importlib.machinery
import importlib.util
import os
import subprocess
import tempfile
import types
import unittest

from lib import judge, ktap, tree, ui
from lib.overlay import KERNELS

MAKEFILE = "VERSION = {}\nPATCHLEVEL = {}\nSUBLEVEL = 5\nEXTRAVERSION =\n"


TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Prepared trees, whose kunit_parser reads KTAP; ./tools/test says where they are.
TREES = os.environ.get("TREES", ":".join(
    top for k in KERNELS if os.path.exists(top := os.path.join(tree.REPO, "build", k, "linux"))
)).split(":")
if not os.path.exists(os.path.join(TREES[0], ktap.DIR)):
    raise ui.Fail("these tests take a prepared tree: run ./tools/tree")


def judged(log, *args, **kwargs):
    """What the judge says, whichever kernel's parser the log has; log: makes one for a tree."""
    found = [judge.judge(log(top), *args, **kwargs) for top in TREES]
    first, *others = ([(s.name, s.finished, s.planned, s.done, s.case, s.results)
                       for s in v.suites] +
                      [v.features, [p for p in v.problems if "kunit_parser says" not in p]]
                      for v in found)
    for other in others:
        if other != first:
            raise AssertionError(f"{other} != {first}")
    return min(found, key=lambda v: len(v.problems))


def tool(name):
    """A tool as a module, anew."""
    loader = importlib.machinery.SourceFileLoader(f"tool_{name}", os.path.join(TOOLS, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def write(top, name, text, mode=None):
    path = os.path.join(top, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    if mode:
        os.chmod(path, mode)


def read(top, name):
    with open(os.path.join(top, name), encoding="utf-8") as f:
        return f.read()


def lines(first, last, **changes):
    """Lines N, each as "line N" but where changes has lN=text."""
    return "".join(changes.get(f"l{n}", f"line {n}") + "\n" for n in range(first, last))


def snapshot(top):
    """{name: (content, mode, mtime)} of all files but git's."""
    found = {}
    for where, dirs, files in os.walk(top):
        if ".git" in dirs:
            dirs.remove(".git")
        for f in files:
            path = os.path.join(where, f)
            st = os.stat(path)
            with open(path, "rb") as handle:
                found[os.path.relpath(path, top)] = (handle.read(), st.st_mode, st.st_mtime_ns)
    return found


class Case(unittest.TestCase):
    """A test with a kernel tree (6.12.5), an overlay and a build directory of its own."""

    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.tmp = tmp.name
        self.kernel = self.make_kernel("kernel", 6, 12)
        self.repo = os.path.join(self.tmp, "repo")
        self.build = os.path.join(self.tmp, "build")
        os.mkdir(self.repo)
        write(self.repo, "lib/ours.c", "int ours;\n")
        write(self.repo, "lib/ours.sh", "#!/bin/sh\n", 0o755)
        saved, tree.REPO = tree.REPO, self.repo
        self.addCleanup(setattr, tree, "REPO", saved)
        self.said = open(os.path.join(self.tmp, "said"), "w+", encoding="utf-8")
        self.addCleanup(self.said.close)
        out, ui.out = ui.out, self.said
        self.addCleanup(setattr, ui, "out", out)

    def make_kernel(self, name, major, minor, extra=0):
        top = os.path.join(self.tmp, name)
        write(top, "Makefile", MAKEFILE.format(major, minor))
        write(top, "arch/arm64/Kconfig", "config ARM64\n")
        write(top, "mm/memory.c", lines(1 - extra, 60))
        write(top, "lib/old.c", "int old;\n")
        for name in ("kunit_parser.py", "kunit_printer.py"):
            write(top, f"{ktap.DIR}/{name}", read(TREES[0], f"{ktap.DIR}/{name}"))
        write(top, ".gitignore", "*.o\n.*\n!.gitignore\n")
        return top

    def select(self, kernel=None):
        args = types.SimpleNamespace(kernel=kernel or self.kernel, build_dir=self.build,
                                     no_install=True)
        return tree.select(args)

    def prepare(self, kernel=None):
        prepared, source = self.select(kernel)
        prepared.prepare(source())
        return prepared

    def refresh(self, prepared):
        return sorted(prepared.refresh())

    def patch(self, name, old, new, file=None):
        """Puts NAME.patch, or another patch file, into the overlay; git writes it."""
        a, b = os.path.join(self.tmp, "a"), os.path.join(self.tmp, "b")
        write(a, name, old)
        write(b, name, new)
        text = subprocess.run(["git", "diff", "--no-index", "--no-prefix", "a/" + name, "b/" + name],
                              cwd=self.tmp, capture_output=True, text=True, check=False).stdout
        write(self.repo, file or name + ".patch", text)

    def fails(self, text):
        return self.assertRaisesRegex(ui.Fail, text)
