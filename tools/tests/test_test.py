# SPDX-License-Identifier: GPL-2.0-only
"""What ./tools/test runs, in which order, and what it counts; nothing is built or booted."""

import argparse
import os
import types
import unittest.mock

from lib import boots, checks, jobs, ktap, kunit, packages, program, selftests, ui
from tests.fake import Case, judged, read, tool, write
from tests.test_judge import GOOD, MTE


class Test(Case):
    def setUp(self):
        super().setUp()
        self.test = tool("test")
        self.todo = jobs.Jobs(2, self.test.ended)
        self.booted = os.path.join(self.tmp, "booted")
        self.wrong, self.report = (), None
        write(self.repo, f"{selftests.DIR}/Makefile", "TEST_GEN_PROGS := one endurance\n")
        for module, name, new in (
                (kunit, "made", self.made), (kunit, "build", lambda *_: None),
                (kunit, "boot_suites", self.boot_suites), (selftests, "pack", lambda *_: None),
                (selftests, "boot_programs", self.boot_programs),
                (selftests, "boot_modules", self.boot_modules),
                (selftests, "boot_own", self.boot_own),
                (packages, "run", lambda *_: (0, "", "")),
                (program, "place", lambda given: {"/own": given[0]})):
            patch = unittest.mock.patch.object(module, name, new)
            patch.start()
            self.addCleanup(patch.stop)
        for name in self.test.CHECKS:
            self.test.CHECKS[name] = self.check(name)

    def check(self, name):
        def check(k):
            if name in self.wrong:
                raise ui.Fail(f"{name} is wrong")
            return k.base if name == "x86" else "looked"
        check.__doc__ = name
        return check

    def made(self, _args, prepared, machine):
        if "qemu" in self.wrong:
            raise ui.Fail("no QEMU")
        return kunit.Run(prepared, "6.12.5", machine, "qemu", (10, 0, 2),
                         machine.dir(prepared.home))

    def boot_suites(self, args, extra, result):
        self.boot(result, GOOD if os.path.basename(result.dir) not in self.wrong else
                  [line.replace("    ok 1 lengths", "    not ok 1 lengths") for line in GOOD],
                  args.glob, extra)

    def boot_programs(self, _args, result, _initrd, words, arguments):
        self.boot(result, GOOD, words, bool(arguments))

    def boot_modules(self, _args, result, quick):
        self.boot(result, GOOD, [selftests.MODULES], True)
        self.quick = quick

    def boot_own(self, _args, _result, _files, word):
        return 0 if "init" in self.wrong else 7, [], \
            ["x"] + [f"\x1b[2Jown: {w}" for w in word.split(",")[1:]], "log"

    def boot(self, result, lines, *more):
        with open(self.booted, "a", encoding="utf-8") as f:
            f.write(f"{os.path.basename(result.dir)} {result.machine.build} "
                    f"{result.machine.arguments} {more}\n")
        entry = "    # copy_each_entry: f+0x4/0x8 38401423 load: "
        used = not {result.machine.arguments, "used"} & {*self.wrong}
        write(result.dir, "test.log", entry + ("3 aborts, all recovered\n" if used else
                                               "not used on a CPU with FEAT_MOPS\n"))
        if not more[1]:
            write(result.dir, "test.log", read(result.dir, "test.log") +
                  "    # copy_sweep: f: 70 aborts in 9 ms\n")
        result.verdict = judged(ktap.Log, [MTE, *lines], "", [], [])
        result.times["boot"] = 1

    def run_all(self, what, kernel=None):
        args = argparse.Namespace(what=[], jobs=2, timeout=9, quick=False, qemu=None,
                                  build_dir=self.build, no_install=True, report=self.report,
                                  kernel=kernel or self.kernel)
        self.todo.add("qemu", "fetch", lambda: None)
        self.test.Kernel(args, kernel or self.kernel, self.todo).add_all(what)
        self.todo.run()
        return self.test.counts

    def test_everything(self):
        counts = self.run_all(self.test.ALL)
        states = {j.state for j in self.todo.jobs.values()}
        self.assertEqual(states, {"done"}, [(j.name, j.why) for j in self.todo.jobs.values()])
        n = len(boots.BOOTS) + len(boots.SELFTESTS) + 2
        self.assertEqual(counts, {"passed": 3 * n + 1 + len(self.test.CHECKS) + 2,
                                  "failed": 0, "skipped": n})
        self.assertEqual(self.test.bad, [])
        with open(self.booted, encoding="utf-8") as f:
            booted = dict(line.rstrip().split(" ", 1) for line in f)
        self.assertEqual(len(booted), n)
        self.assertEqual(booted["suites"], "user  ('', ('--filter=speed>slow',))")
        self.assertEqual(booted["nomte"], "user  ('', ())")
        self.assertEqual(booted["nomte+nomops"], "user arm64.nomops ('', ())")
        self.assertEqual(booted["dt"], "user  ('', ('--filter=speed>slow',))")
        self.assertEqual(booted["cpus2"], "user maxcpus=2 ('sea_rig', ('--filter=speed>slow',))")
        self.assertEqual(booted["deaths"], "user  ('sea_death', "
                         "('--kernel_args=copy_mc_test.sea_deaths=1',))")
        self.assertEqual(booted["selftests"], "user  (['one'], False)")
        self.assertEqual(booted["endurance"], "user  (['endurance'], True)")
        self.assertEqual(booted["modules"], "user-modules  (['modules'], True)")

    def test_other_configurations(self):
        counts = self.run_all(boots.CONFIGS)
        n = len(boots.CONFIGS)
        self.assertEqual(counts, {"passed": 3 * n, "failed": 0, "skipped": n})
        with open(self.booted, encoding="utf-8") as f:
            self.assertEqual(sorted(f)[:2], [f"{name} {name}  ('', ('--filter=speed>slow',))\n"
                                         for name in ("kunit", "kunit-16k")])
        with unittest.mock.patch("sys.argv", ["test", "--configs", "16k"]), \
                self.fails("^--configs: is 16k, .* and nothing else"):
            self.test.main()

    def test_failures_are_counted(self):
        self.wrong = ("nomte", "sparse")
        counts = self.run_all(["suites", "sparse", "hook_off"])
        self.assertEqual(counts["failed"], 2)
        self.assertEqual(sorted(self.test.bad), ["FAILED kernel nomte: copy_mc.lengths: ",
                                                 "FAILED kernel sparse: sparse is wrong"])
        self.assertEqual({j.name.split()[-1] for j in self.todo.jobs.values()
                          if j.state != "done"}, {"sparse"})

    def test_report(self):
        self.report, self.wrong = "page.html", ("nomte", "sparse")
        self.run_all(["suites", "sparse", "hook_off"])
        about, *those = self.test.parts
        self.assertEqual({b["name"] for b in those}, {b[0] for b in boots.BOOTS} | {"modules"})
        self.assertEqual([(b["name"], b["problems"]) for b in those if b["problems"]],
                         [("nomte", ["copy_mc.lengths failed"])])
        self.assertEqual(about["problems"], ["FAILED kernel sparse: sparse is wrong"])
        self.assertIn(["kernel sparse", "failed", "sparse is wrong"], about["rows"])
        self.assertIn("kernel hook_off", [name for name, *_ in about["rows"]])
        self.assertNotIn("kernel suites", [name for name, *_ in about["rows"]])

    def test_program_that_ends_otherwise(self):
        self.wrong = ("init",)
        self.run_all(["init"])
        self.assertEqual(self.test.bad, ["FAILED kernel init: static: exit code 0, said "
                                         "['own: one', 'own: --two=3']; []"])

    def test_entry_that_is_lost(self):
        self.wrong = ("arm64.nomops",)
        self.assertEqual(self.run_all(["suites"])["failed"], 0)
        self.todo, self.wrong = jobs.Jobs(2, self.test.ended), ("used",)
        self.assertEqual(self.run_all(["suites"])["failed"], 1)
        self.assertEqual(self.test.bad,
                         ["FAILED kernel entries: f+0x4/0x8 aborts in no boot"])

    def test_no_kernel(self):
        self.wrong = ("qemu",)
        counts = self.run_all(["suites", "selftests", "checkpatch"])
        self.assertEqual(counts, {"passed": 1, "failed": 1, "skipped": 0})
        self.assertEqual(len(self.test.bad), 1 + len(boots.BOOTS) + len(boots.SELFTESTS) + 4)

    def test_which_kernel_gets_what(self):
        names = {}
        for kernel in self.test.KERNELS:
            for only in (None, kernel):
                with unittest.mock.patch.object(self.test.tree, "select", lambda _: (None, None)):
                    k = self.test.Kernel(argparse.Namespace(jobs=2, kernel=only), kernel,
                                         jobs.Jobs(2))
                    k.add_all(self.test.CHOICES)
                names[kernel, bool(only)] = {j.partition(" ")[2] for j in k.todo.jobs}
        both = names["7.3", False], names["6.12", False]
        self.assertEqual(both[0] - both[1], {"nomte+nomops", "cpus2", "kasan-off", "dt", "ppc"})
        self.assertEqual(both[1] - both[0], {"kasan-async", "plain"})
        self.assertEqual(names["7.3", True], both[0] | both[1])
        self.assertEqual(names["6.12", True], names["7.3", True] - {"nomte+nomops"})

    def test_one_tree_after_another(self):
        """Where the CPUs are few: then the first kernel is built meanwhile."""
        todo = jobs.Jobs(2)
        with unittest.mock.patch.object(self.test.tree, "select", lambda _: (None, None)):
            for trees in ([], ["6.12 tree"]):
                kernel = "7.3" if trees else "6.12"
                self.test.Kernel(argparse.Namespace(jobs=2, kernel=None), kernel,
                                 todo).add_all(["suites"], trees)
        self.assertEqual(todo.jobs["6.12 tree"].behind, ())
        self.assertEqual(todo.jobs["7.3 tree"].behind, ("6.12 tree",))

    def test_what_a_newer_kernel_has_as_well(self):
        for name, only, newer in (("6.12", None, True), ("7.3", None, False),
                                  ("6.12", "6.12", False)):
            with unittest.mock.patch.object(self.test.tree, "select", lambda _: (None, None)):
                k = self.test.Kernel(argparse.Namespace(jobs=2, kernel=only, report=None), name,
                                     jobs.Jobs(2))
            k.tree = types.SimpleNamespace(home=self.tmp)
            with unittest.mock.patch.object(self.test.checks, "Kernel") as made:
                k.check("sparse", 1)
            self.assertEqual(made.call_args[0][3], newer, name)
            with unittest.mock.patch.object(k, "run_module", lambda: self.made(
                    None, k.tree, selftests.with_modules(k.machine))):
                k.module()
            self.assertEqual(self.quick, newer, name)

    def test_checks_in_one_directory_wait_for_each_other(self):
        with unittest.mock.patch.object(self.test.tree, "select", lambda _: (None, None)):
            k = self.test.Kernel(argparse.Namespace(jobs=2, kernel=None), "6.12",
                                 jobs.Jobs(2))
            k.add_all(self.test.CHECKS)
        lane = [f"6.12 {name}" for name in checks.LANE]
        for before, name in zip(lane, lane[1:]):
            self.assertEqual(k.todo.jobs[name].behind, (before,))
        self.assertEqual(k.todo.jobs["6.12 x86"].behind, ())


class Fields(unittest.TestCase):
    def test_boots(self):
        for name, variants, extra, _glob, kernels, _guess in boots.BOOTS:
            self.assertTrue(kunit.USER.but(*variants) and kernels, name)
            self.assertFalse(kunit.split_arguments(extra)[0], name)
