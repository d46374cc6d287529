# SPDX-License-Identifier: GPL-2.0-only
"""Mutations: read, tried on trees that come out as they went in, and told from survivors."""

import os
import subprocess
import sys
import types
import unittest.mock

from lib import kunit, mutate, tree
from lib.ui import Fail
from tests.fake import TREES, Case, lines, read, snapshot, write
from tests.test_judge import GOOD, SELFTEST

PATCH = """\
--- a/lib/ours.c
+++ b/lib/ours.c
@@ -1 +1 @@
-int ours;
+int theirs;
"""


class Mutations(Case):
    def setUp(self):
        super().setUp()
        self.add("swap", "ours is theirs\n")

    def add(self, name, head, patch=PATCH):
        write(self.repo, f"{mutate.DIR}/{name}.patch", head + patch)
        return os.path.join(self.repo, mutate.DIR, name + ".patch")


class Files(Mutations):
    def test_headers(self):
        m = mutate.read(self.add("x", "what is wrong\nKernel: 7.3\nVariant: nomops kasan-off\n"
                                      "Equivalent: nobody looks\n"))
        self.assertEqual((m.name, m.description, m.kernel, m.variant, m.equivalent),
                         ("x", "what is wrong", "7.3", "nomops kasan-off", "nobody looks"))
        m = mutate.read(self.add("z", "what is wrong\nSelftests: callers:cow processes\n"))
        self.assertEqual(m.selftests, "callers:cow processes")
        self.assertIn("(callers:cow processes)", str(m))
        m = mutate.read(self.add("y", "what is wrong\n"))
        self.assertEqual((m.kernel, m.variant, m.equivalent), ("", "", ""))

    def test_bad_headers(self):
        for head, patch, text in (("", PATCH, "must begin with a line"),
                                  ("\n", PATCH, "must begin with a line"),
                                  ("Kernel: 7.3\n", PATCH, "must begin with a line"),
                                  ("wrong\n", "", "must begin with a line"),
                                  ("wrong\nand more\n", PATCH, "'and more' is no header"),
                                  ("wrong\nVariant:\n", PATCH, "'Variant:' is no header"),
                                  ("wrong\nVariant: dt\nVariant: dt\n", PATCH, "one too many"),
                                  ("wrong\nPolicy: A true\nSelftests: rig\n", PATCH,
                                   "leave out Selftests"),
                                  ("wrong\nPolicy: A true\nEquivalent: x\n", PATCH,
                                   "leave out Equivalent"),
                                  ("wrong\nVariant: lockdep\n", PATCH,
                                   "lockdep: no such variant; there are nomte, nomops"),
                                  ("wrong\nKernel: 5.1\n", PATCH, "no such kernel")):
            with self.fails(text):
                mutate.read(self.add("bad", head, patch))

    def test_selected_by_name(self):
        self.add("swop", "the same again\n")
        for names, want in (([], ["swap", "swop"]), (["swop"], ["swop"]), (["*a*"], ["swap"]),
                            (["swop", "sw*"], ["swap", "swop"])):
            self.assertEqual([m.name for m in mutate.select(names)], want)
        with self.fails("^swup: no such mutation"):
            mutate.select(["swap", "swup"])

    def test_all_apply_or_none(self):
        prepared = self.prepare()
        [m] = mutate.select()
        found = mutate.trees(prepared, [m])
        self.assertEqual(prepared.git("cat-file", "blob", f"{found['swap']}:lib/ours.c"),
                         "int theirs;")
        self.add("gone", "wrong line\n", PATCH.replace("-int ours", "-int other"))
        self.add("less", "removes a file\n",
                 "--- a/lib/ours.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-int ours;\n")
        with self.fails("tools/mutations/gone.patch: does not fit Linux 6.12.5: .*; "
                        "tools/mutations/less.patch: adds or removes a file; nothing was built$"):
            mutate.trees(prepared, mutate.select())

    def test_policy(self):
        write(self.repo, mutate.CONTRACT, "#define CONTRACT_A\t\tfalse\n"
              "#define CONTRACT_AB\tfalse\n#define CONTRACT_C\t\tONE\n")
        prepared = self.prepare()
        self.add("swap", "ours is theirs\nPolicy: AB true, C TWO\n")
        [m] = mutate.select()
        self.assertEqual(m.policy, "AB true, C TWO")
        self.assertIn("(AB true, C TWO)", str(m))
        changed = mutate.trees(prepared, [m])["swap"]
        for found, ours in zip(mutate.under_policy(prepared, m, changed),
                               ("int theirs;", "int ours;")):
            self.assertEqual(prepared.git("cat-file", "blob", f"{found}:lib/ours.c"), ours)
            self.assertEqual(prepared.git("cat-file", "blob", f"{found}:{mutate.CONTRACT}"),
                             "#define CONTRACT_A\t\tfalse\n#define CONTRACT_AB\ttrue\n"
                             "#define CONTRACT_C\t\tTWO")
        for policy in ("B true", "AB", "AB false", "A true, C ONE", "A true, A true"):
            self.add("swap", f"ours is theirs\nPolicy: {policy}\n")
            for call in (lambda: mutate.trees(prepared, mutate.select()),
                         lambda: mutate.fit(types.SimpleNamespace(tree=prepared))):
                with self.fails(f"swap.patch: '{policy.rpartition(', ')[2]}' is no policy; give"):
                    call()

    def test_all_of_the_repository(self):
        tree.REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        found = mutate.select()
        self.assertGreaterEqual(len(found), 35)
        for m in found:
            self.assertLess(len(m.description), 100, m.name)
            self.assertIn("\n+++ b/", read(os.path.dirname(m.path), os.path.basename(m.path)))


class Trees(Mutations):
    def setUp(self):
        super().setUp()
        self.prepared = self.prepare()
        self.before = self.content()
        self.changed = mutate.trees(self.prepared, mutate.select())["swap"]

    def content(self):
        return {n: c[:2] for n, c in snapshot(self.prepared.top).items()}

    def assert_restored(self):
        self.assertEqual(self.content(), self.before)
        self.assertEqual(self.prepared.edits(), [])
        self.assertFalse(os.path.exists(self.prepared.mutation))

    def killed(self):
        """As a mutation leaves the tree whose process is killed."""
        with unittest.mock.patch.object(tree.Tree, "_unmutate"), \
                self.prepared.mutated(self.changed):
            pass
        self.assertEqual(read(self.prepared.top, "lib/ours.c"), "int theirs;\n")

    def test_restored(self):
        with self.prepared.mutated(self.changed):
            self.assertEqual(self.prepared.edits(), ["lib/ours.c"])
            self.assertEqual(read(self.prepared.top, "lib/ours.c"), "int theirs;\n")
        self.assert_restored()

    def test_restored_as_newer_than_what_was_built(self):
        path = os.path.join(self.prepared.top, "lib/ours.c")
        with self.prepared.mutated(self.changed):
            built = os.stat(path).st_mtime_ns
        self.assertGreaterEqual(os.stat(path).st_mtime_ns, built)

    def test_restored_after_an_interrupt(self):
        with self.assertRaises(KeyboardInterrupt), self.prepared.mutated(self.changed):
            raise KeyboardInterrupt
        self.assert_restored()

    def test_restored_by_the_next_tool(self):
        self.killed()
        self.prepare()
        self.assert_restored()

    def test_not_taken_for_an_edit(self):
        self.killed()
        self.assertEqual(self.refresh(self.prepared), [])
        self.assert_restored()
        self.assertEqual(read(self.repo, "lib/ours.c"), "int ours;\n")

    def test_restored_before_the_overlay_moves_on(self):
        self.killed()
        write(self.repo, "lib/ours.c", "int second;\n")
        self.prepare()
        self.assertEqual(read(self.prepared.top, "lib/ours.c"), "int second;\n")

    def test_killed_before_or_after_the_change(self):
        for text in ("", self.changed):
            write(self.prepared.top, ".git/overlay-mutation", text)
            self.prepare()
            self.assert_restored()

    def test_edits_come_first(self):
        write(self.prepared.top, "mm/memory.c", lines(1, 9))
        with self.fails("edits not written back in mm/memory.c; run"), \
                self.prepared.mutated(self.changed):
            self.fail("not reached")
        self.assertEqual(read(self.prepared.top, "lib/ours.c"), "int ours;\n")

    def test_edit_on_top_is_kept(self):
        self.killed()
        write(self.prepared.top, "lib/ours.c", "int mine;\n")
        with self.fails("lib/ours.c: edited while there was a mutation in it"):
            self.prepare()
        self.assertEqual(read(self.prepared.top, "lib/ours.c"), "int mine;\n")
        write(self.prepared.top, "lib/ours.c", "int ours;\n")
        self.prepare()
        self.assert_restored()


class Verdict(Case):
    def killer(self, log, said=(), problems=()):
        found = set()
        for top in TREES:
            watch = mutate.Watch(top)
            for line in log:
                watch.feed(line)
            found.add(watch.killed_by([*log, *said], problems))
        self.assertEqual(len(found), 1, found)
        return found.pop()

    def test_survivor(self):
        self.assertEqual(self.killer(GOOD), "")

    def test_first_failing_case(self):
        def broken(*numbers):
            return [f"[    0.{n:06}] " + (line.replace("ok", "not ok", 1) if n in numbers else line)
                    for n, line in enumerate(GOOD)]
        param, case, suite, other = (next(n for n, line in enumerate(GOOD) if text in line)
                                     for text in ("ok 2 len", "ok 1 lengths", "ok 1 copy_mc",
                                                  "ok 1 table"))
        for numbers, want in (((param, case, suite), "copy_mc lengths[len=2 # 3]"),
                              ((case, suite, other), "copy_mc lengths"), ((suite,), "copy_mc"),
                              ((other,), "sea_decision table")):
            self.assertEqual(self.killer(broken(*numbers)), want)

    def test_bad_text(self):
        between = GOOD.index("ok 1 copy_mc") + 1
        for at, want in ((9, "the log in copy_mc: Internal error: Oops: 1"),
                         (0, "the log: Internal error: Oops: 1"),
                         (between, "the log: Internal error: Oops: 1")):
            self.assertEqual(self.killer([*GOOD[:at], "------------[ cut here ]------------",
                                          "Internal error: Oops: 1", "    not ok 2 tags",
                                          *GOOD[at:]]), want)

    def test_hang(self):
        late = ["Command '['qemu']' timed out after 120 seconds"]
        self.assertEqual(self.killer(GOOD[:9], late, ["ended early"]), "hang in copy_mc")
        self.assertEqual(self.killer([], late), "hang")

    def test_what_the_judge_says(self):
        self.assertEqual(self.killer(GOOD[:9], (), ["missing: suite x", "more"]),
                         "missing: suite x")

    def test_outcome(self):
        plain = mutate.Mutation("m", "m.patch", "wrong")
        same = mutate.Mutation("m", "m.patch", "wrong", equivalent="nobody looks")
        for m, killer, want, text in (
                (plain, "s c", "killed", "killed by s c"), (plain, "", "survived", "SURVIVED"),
                (same, "", "equivalent", "nobody looks"),
                (same, "s c", "contradiction", "KILLED by s c, although")):
            outcome, words = mutate.outcome(m, killer)
            self.assertEqual(outcome, want)
            self.assertIn(text, words)

    def test_outcome_under_policy(self):
        m = mutate.Mutation("m", "m.patch", "wrong", policy="A true")
        for killer, ours, want, text in (
                ("s c", "", "contradiction", "KILLED by s c, although right under A true"),
                ("", "", "survived", "SURVIVED: under A true"),
                ("", "t d", "killed", "killed by x; right under A true, .* killed by t d")):
            outcome, words = mutate.under_policy_outcome(m, "killed by x", killer, ours)
            self.assertEqual(outcome, want)
            self.assertRegex(words, text)


class Boot(Mutations):
    """A boot with a kunit.py made up."""

    def boot(self, script, suites=("copy_mc", "sea_decision"),
             booting="Booting Linux on physical CPU 0", **fields):
        prepared = self.prepare()
        write(prepared.top, "tools/testing/kunit/kunit.py", 
              f"import sys, time\nprint('{booting}')\n{script}")
        write(prepared.home, "user/.config", "")
        m = mutate.Mutation("m", "m.patch", "wrong", **fields)
        killer = mutate.boot(self.run_of(prepared, m), m, 5, suites)
        self.log = read(prepared.home, "mutations/m.log")
        return killer

    @staticmethod
    def run_of(prepared, m):
        machine = mutate.kernel(m)
        return kunit.Run(prepared, "6.12.5", machine, "/usr/bin/qemu-system-aarch64", (10, 0, 2),
                         machine.dir(prepared.home))

    def test_good(self):
        log = "print('''" + "\n".join(GOOD).replace("needs MOPS", "needs MTE") + "''')"
        self.assertEqual(self.boot(log), "")
        self.assertIn("missing: suite third", self.boot(log, ("copy_mc", "third")))

    def test_ends_with_the_first_failure(self):
        script = "print('KTAP version 1')\nprint('    # Subtest: s')\nprint('    not ok 1 c')\n"
        self.assertEqual(self.boot(script + "time.sleep(1000)\nprint('late')\n"), "s c")
        self.assertNotIn("late", self.log)

    def test_no_boot_is_no_kill(self):
        with self.assertRaisesRegex(Fail, "QEMU did not boot it; see .*m.log"):
            self.boot("", booting="")

    def test_arguments(self):
        self.boot("print(sys.argv)\n", variant="nomops nomte")
        for text in ("--qemu_args=-machine mte=off,nvdimm=on ", "'exec'", "--kernel_args=arm64.nomops", "--filter=speed>very_slow", "--timeout=5"):
            self.assertIn(text, self.log)

    def test_selftests(self):
        prepared = self.prepare()
        write(prepared.home, "user/.config", "")
        m = mutate.Mutation("m", "m.patch", "wrong", selftests="processes callers:fork")
        self.assertEqual(mutate.build_dir(prepared, m), os.path.join(prepared.home, "user"))
        run = self.run_of(prepared, m)
        commands, boot = [], ["[    0.000000] Booting Linux on physical CPU 0"]

        def command(result, initrd, words):
            commands.append((result.dir, words))
            self.assertTrue(initrd.endswith("selftests/initramfs.cpio"))

        with unittest.mock.patch.multiple(mutate.selftests, command=command,
                                          boot=lambda *_: (boot + log, False)):
            for log, want in ((SELFTEST, ""), (SELFTEST[:-1], "failed: the machine ended before"),
                              ([*SELFTEST[:9], "Kernel panic - not syncing: x"], "panic: x")):
                self.assertRegex(mutate.boot_selftests(run, m, 5), f"^{want}")
            boot = []
            with self.assertRaisesRegex(Fail, "QEMU did not boot it; see .*m.log"):
                mutate.boot_selftests(run, m, 5)
        self.assertEqual(commands[0], (os.path.join(prepared.home, "user"),
                                       ["processes", "callers:fork"]))


class Command(Mutations):
    def run_tool(self, *args):
        top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        return subprocess.run([sys.executable, os.path.join(top, "mutate"), *args],
                              capture_output=True, text=True, check=False)

    def test_list(self):
        p = self.run_tool("--list")
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        self.assertGreaterEqual(p.stdout.count("\n"), 35)

    def test_one_line(self):
        for args, text in ((["nobody"], "nobody: no such mutation"), (["--wrong"], "--wrong")):
            p = self.run_tool(*args)
            self.assertEqual(p.returncode, 1)
            self.assertRegex(p.stderr, rf"^tools/mutate: .*{text}.*\n$")
