# SPDX-License-Identifier: GPL-2.0-only
"""Prepared trees: made once, changed little, never at the cost of somebody's edits."""

import os
import subprocess
import sys
import threading

from lib import git as gitlib
from lib import tree
from lib.overlay import Overlay
from tests.fake import Case, lines, read, snapshot, write


class Locks(Case):
    def test_who_is_waited_for(self):
        path, hold = os.path.join(self.tmp, "lock"), """
import sys, time
from lib import tree
with tree.locked(sys.argv[1], "x"):
    print("locked", flush=True)
    sys.stdin.read()
"""
        top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        with subprocess.Popen([sys.executable, "-c", hold, path], cwd=top, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as p:
            p.stdout.readline()
            threading.Timer(0.3, p.stdin.close).start()
            with tree.locked(path, "the tree"):
                pass
        self.said.flush()
        self.assertRegex(read(self.tmp, "said"),
                         r"^   waiting for another run that uses the tree: tools/\S+ .*lock "
                         rf"\(pid {p.pid}\), since \d\d:\d\d:\d\d\n$")

    def test_alone(self):
        path = os.path.join(self.tmp, "lock")
        for _ in range(2):
            with tree.locked(path, "the tree"):
                pass
        self.said.flush()
        self.assertEqual(read(self.tmp, "said"), "")
        self.assertEqual(read(self.tmp, "lock").count("\n"), 1)


class Worktrees(Case):
    def test_base_with_some_files(self):
        self.patch("mm/memory.c", lines(1, 60), lines(1, 60, l10="ours"))
        self.patch("lib/old.c", "int old;\n", "int changed;\n")
        prepared = self.prepare()
        names = ["lib/ours.sh", "lib/old.c"]
        commit = prepared.base_with("some", names)
        path = prepared.worktree("some-linux", commit)
        self.assertEqual(read(path, "lib/old.c"), "int changed;\n")
        self.assertEqual(read(path, "mm/memory.c"), lines(1, 60))
        self.assertTrue(os.access(os.path.join(path, "lib/ours.sh"), os.X_OK))
        self.assertFalse(os.path.exists(os.path.join(path, "lib/ours.c")))

        before = snapshot(path)     # once more: nothing is written
        self.assertEqual(prepared.base_with("some", names), commit)
        prepared.worktree("some-linux", commit)
        self.assertEqual(snapshot(path), before)

        write(prepared.top, "lib/old.c", "int edited;\n")
        self.assertNotEqual(prepared.base_with("some", names), commit)
        path = prepared.worktree("some-linux", prepared.base_with("some", names))
        after = snapshot(path)
        self.assertEqual({n for n in after if before.get(n) != after[n]}, {"lib/old.c"})
        self.assertEqual(prepared.edits(), ["lib/old.c"])

    def test_removed_worktree(self):
        prepared = self.prepare()
        path = prepared.worktree("base", prepared.base)
        subprocess.run(["rm", "-rf", path], check=True)
        self.assertEqual(prepared.worktree("base", prepared.base), path)
        self.assertEqual(read(path, "lib/old.c"), "int old;\n")


class Prepare(Case):
    def test_second_time_changes_nothing(self):
        prepared = self.prepare()
        before, head = snapshot(prepared.top), prepared.git("rev-parse", "HEAD")
        self.prepare()
        self.assertEqual(snapshot(prepared.top), before)
        self.assertEqual(prepared.git("rev-parse", "HEAD"), head)

    def test_only_what_changed_is_written(self):
        self.patch("mm/memory.c", lines(1, 60), lines(1, 60, l10="ours"))
        prepared = self.prepare()
        before = snapshot(prepared.top)
        write(self.repo, "lib/ours.c", "int other;\n")
        os.unlink(os.path.join(self.repo, "lib/ours.sh"))
        self.prepare()
        after = snapshot(prepared.top)
        self.assertEqual({n for n in before if before[n] != after.get(n)},
                         {"lib/ours.c", "lib/ours.sh"})

    def test_directory_is_only_read(self):
        before = snapshot(self.kernel)
        self.prepare()
        self.assertEqual(snapshot(self.kernel), before)
        self.assertFalse(os.path.exists(os.path.join(self.kernel, ".git")))

    def test_directory_that_changes(self):
        prepared = self.prepare()
        write(self.kernel, "lib/old.c", "int newer;\n")
        write(self.kernel, "lib/product.o", "x")
        before = snapshot(prepared.top)
        self.prepare()
        after = snapshot(prepared.top)
        self.assertEqual({n for n in after if before.get(n) != after[n]}, {"lib/old.c"})
        self.assertEqual(prepared.git("rev-list", "--count", "HEAD"), "2")

    def test_directory_with_ignored_but_tracked_files(self):
        write(self.kernel, ".config", "CONFIG_X=y\n")
        for cmd in (["init", "-q"], ["add", "-A"], ["add", "-f", ".config"]):
            subprocess.run(["git", *cmd], cwd=self.kernel, check=True)
        self.assertEqual(read(self.prepare().top, ".config"), "CONFIG_X=y\n")

    def test_debian_ignores_all(self):
        write(self.kernel, ".gitignore", "*.o\n/vmlinux\n/*\n!/debian/\n")
        for name in ("vmlinux", "lib/x.o", "Module.symvers"):
            write(self.kernel, name, "product\n")
        prepared = self.prepare()
        names = set(snapshot(prepared.top))
        self.assertLessEqual({"Makefile", "mm/memory.c", "lib/ours.c", ".gitignore"}, names)
        self.assertFalse({"vmlinux", "lib/x.o", "Module.symvers"} & names)
        write(prepared.top, "lib/fresh.c", "int fresh;\n")
        write(prepared.top, "kunit/fresh.c", "int fresh;\n")
        write(prepared.top, "kunit/fresh.o", "product\n")
        self.assertEqual(prepared.edits(), ["kunit/fresh.c", "lib/fresh.c"])

    def test_no_kernel(self):
        for name, text in (("none", None), ("other", "all:\n")):
            top = os.path.join(self.tmp, name)
            os.mkdir(top)
            if text:
                write(top, "Makefile", text)
            with self.fails("is no kernel tree"):
                self.select(top)
        with self.fails("no such kernel"):
            self.select("5.1")

    def test_build_directory_inside_the_kernel(self):
        self.build = os.path.join(self.kernel, "build")
        with self.fails("which must stay as it is"):
            self.select()

    def test_directories_that_make_cannot_build_in(self):
        for build, self.build in (("a b", f"{self.tmp}/a b"), ("a:b", f"{self.tmp}/a:b/build")):
            with self.fails(f"/{build}.*: has a blank or a colon, with which the kernel's Make"):
                self.select()
            self.assertFalse(os.path.exists(self.build))
        self.build = f"{self.tmp}/build"
        self.assertNotRegex(self.prepare(self.make_kernel("my: linux", 6, 12)).top, r"[\s:]")

    def test_no_space(self):
        saved, tree.SPACE = tree.check_space.__defaults__, 0
        tree.check_space.__defaults__ = (1 << 60,)
        self.addCleanup(setattr, tree.check_space, "__defaults__", saved)
        with self.fails("GiB needed"):
            self.prepare()

    def test_kernel_version(self):
        self.assertEqual(self.prepare().version, "6.12.5")
        self.assertIsNone(tree.makefile_version("VERSION = x\n"))


class Edits(Case):
    def test_edits_stay_while_the_overlay_is_the_same(self):
        prepared = self.prepare()
        write(prepared.top, "lib/old.c", "int edited;\n")
        write(prepared.top, "lib/fresh.c", "int fresh;\n")
        before = snapshot(prepared.top)
        self.prepare()
        self.assertEqual(snapshot(prepared.top), before)
        self.assertEqual(prepared.edits(), ["lib/fresh.c", "lib/old.c"])

    def test_edits_are_not_overwritten(self):
        prepared = self.prepare()
        write(prepared.top, "lib/old.c", "int edited;\n")
        write(self.repo, "lib/ours.c", "int moved_on;\n")
        before = snapshot(prepared.top)
        with self.fails("edits not written back in lib/old.c; run ./tools/refresh"):
            self.prepare()
        self.assertEqual(snapshot(prepared.top), before)


class Interrupted(Case):
    """A switch that stops anywhere ends up as if it had not been stopped."""

    STOPS = ("read-tree", "update-index", "commit-tree", "update-ref", "symbolic-ref")

    def check(self, command, after):
        prepared = self.prepare()
        write(self.repo, "lib/ours.c", "int second;\n")
        write(self.repo, "lib/more.c", "int more;\n")
        os.unlink(os.path.join(self.repo, "lib/ours.sh"))
        real = gitlib.Git.raw

        def raw(git, *args, **kwargs):
            if args[0] == command and not after:
                raise KeyboardInterrupt
            text = real(git, *args, **kwargs)
            if args[0] == command and (args[0] != "read-tree" or "-u" in args):
                raise KeyboardInterrupt
            return text

        gitlib.Git.raw = raw
        try:
            with self.assertRaises(KeyboardInterrupt):
                self.prepare()
        finally:
            gitlib.Git.raw = real
        self.prepare()
        self.assertEqual(read(prepared.top, "lib/ours.c"), "int second;\n")
        self.assertTrue(os.path.exists(os.path.join(prepared.top, "lib/more.c")))
        self.assertFalse(os.path.exists(os.path.join(prepared.top, "lib/ours.sh")))
        self.assertEqual(prepared.git("status", "--porcelain"), "")
        self.assertFalse(os.path.exists(prepared.marker))
        self.assertEqual(prepared.git("rev-list", "--count", "HEAD"), "2")

    def test_half_written(self):
        prepared = self.prepare()
        old = prepared.git.tree("overlay")
        write(self.repo, "lib/ours.c", "int second;\n")
        write(self.repo, "lib/more.c", "int more;\n")
        new = Overlay(self.repo, prepared.git).compose(prepared.base, "6.12.5")
        self.assertNotEqual(old, new)
        write(prepared.top, ".git/overlay-switch", new)
        write(prepared.top, ".git/index.lock", "")
        write(prepared.top, "lib/ours.c", "int sec")
        write(prepared.top, "lib/more.c", "")
        self.prepare()
        self.assertEqual(read(prepared.top, "lib/ours.c"), "int second;\n")
        self.assertEqual(prepared.git.tree("HEAD"), new)
        self.assertEqual(prepared.git("status", "--porcelain"), "")

    def test_creation(self):
        real = gitlib.Git.raw

        def raw(git, *args, **kwargs):
            if args[0] == "commit-tree":
                raise KeyboardInterrupt
            return real(git, *args, **kwargs)

        gitlib.Git.raw = raw
        try:
            with self.assertRaises(KeyboardInterrupt):
                self.prepare()
        finally:
            gitlib.Git.raw = real
        prepared = self.prepare()
        self.assertEqual(sorted(os.listdir(prepared.home)), [".lock", "linux"])


for _command in Interrupted.STOPS:
    for _after in (False, True):
        def _test(self, command=_command, after=_after):
            self.check(command, after)
        setattr(Interrupted, f"test_{'after' if _after else 'before'}_{_command}"
                .replace("-", "_"), _test)


class Command(Case):
    """The tools as commands: one line on stderr when something is wrong."""

    def run_tool(self, name, *args):
        top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        return subprocess.run([sys.executable, os.path.join(top, name), *args],
                              capture_output=True, text=True, check=False)

    def test_one_line(self):
        for name, args, text in (
                ("tree", ["--kernel", "5.1"], "--kernel 5.1: no such kernel"),
                ("tree", ["--kernel", self.tmp], "is no kernel tree"),
                ("tree", ["--wrong"], "--wrong"),
                ("refresh", ["--kernel", self.kernel], "no prepared tree; run ./tools/tree")):
            p = self.run_tool(name, *args, "--build-dir", self.build)
            self.assertEqual(p.returncode, 1, p)
            self.assertEqual(p.stderr.count("\n"), 1, p.stderr)
            self.assertTrue(p.stderr.startswith(f"tools/{name}: "), p.stderr)
            self.assertIn(text, p.stderr)
