# SPDX-License-Identifier: GPL-2.0-only
"""Good and bad runs told apart by their logs."""

import glob
import os
import re
import tempfile
import unittest

from lib import judge, ktap, kunit, tree
from tests.fake import TREES, judged, read, write

MTE = "[    0.1] CPU features: detected: Memory Tagging Extension"
MOPS = "[    0.1] CPU features: detected: Memory Copy and Memory Set instructions"

GOOD = """\
KTAP version 1
1..2
    KTAP version 1
    # Subtest: copy_mc
    # module: copy_mc_kunit
    1..2
        KTAP version 1
        # Subtest: lengths
        ok 1 len=1 off=0
        ok 2 len=2 # 3
        # lengths: pass:2 fail:0 skip:0 total:2
    ok 1 lengths
    ok 2 tags # SKIP needs MOPS
# copy_mc: pass:3 fail:0 skip:1 total:3
# Totals: pass:3 fail:0 skip:1 total:3
ok 1 copy_mc
    KTAP version 1
    # Subtest: sea_decision
    1..1
    ok 1 table
ok 2 sea_decision
reboot: Restarting system""".splitlines()


class Judge(unittest.TestCase):
    def judge(self, lines, config="CONFIG_KASAN=y", expected=("copy_mc", "sea_decision"),
              must_have=("MTE",), **kwargs):
        return judged(ktap.Log, [MTE, *lines], config, expected, must_have, **kwargs)

    def bad(self, lines, *problems, **kwargs):
        found = self.judge(lines, **kwargs).problems
        self.assertEqual(len(found), len(problems), found)
        for text, problem in zip(found, problems):
            self.assertRegex(text, problem)

    def replaced(self, old, new):
        """The good log with one line's text replaced."""
        self.assertEqual(sum(old in line for line in GOOD), 1)
        return [line.replace(old, new) for line in GOOD]

    def test_feature_that_must_lack(self):
        self.bad(GOOD, "^MTE is on although this run should be without it", must_lack=("MTE",))
        self.assertEqual(self.judge(GOOD, must_lack=("MOPS",)).problems, [])

    def test_text_that_must_be_there(self):
        self.bad(GOOD, "^the log has no 'needs RIG: EL2'$", must_say=("needs RIG: EL2",))
        self.assertEqual(self.judge(GOOD, must_say=("Totals: pass:3",)).problems, [])

    def test_good(self):
        v = self.judge(GOOD)
        self.assertEqual(v.problems, [])
        self.assertEqual([(s.name, s.count("passed"), s.count("skipped")) for s in v.suites],
                         [("copy_mc", 2, 1), ("sea_decision", 1, 0)])
        self.assertEqual(v.suites[0].results[1].name, "lengths[len=2 # 3]")
        self.assertTrue(v.features["MTE"] and v.features["KASAN"])
        self.assertFalse(v.features["MOPS"])

    def test_with_time_stamps(self):
        v = self.judge([f"[{n:5}.123456][    T{n}] {line}" for n, line in enumerate(GOOD)])
        self.assertEqual(v.problems, [])
        self.assertEqual(v.count("passed"), 3)

    def test_text_that_must_not_be_there(self):
        for text in ("BUG: sleeping function called from invalid context",
                     "WARNING: CPU: 0 PID: 1 at mm/memory.c:1 f+0x1",
                     "Internal error: synchronous external abort: 0000000096000010 [#1] SMP",
                     "Unable to handle kernel paging request at virtual address 0",
                     "Kernel panic - not syncing: x", "WARNING: possible circular locking",
                     "WARNING: suspicious RCU usage", "INFO: task kunit:1 blocked for more",
                     "BUG: KASAN: slab-out-of-bounds", "rcu: INFO: rcu_preempt self-detected"):
            with self.subTest(text):
                self.bad([*GOOD[:8], f"[    1.5] {text}", *GOOD[8:]],
                         rf"line 10 of the log: \[    1.5\] {text[:12]}")

    def test_text_that_may(self):
        for text in ("printk: DEBUG: on", "qemu-system-aarch64: warning: x", "Oopsie"):
            self.assertEqual(self.judge([text, *GOOD]).problems, [])

    def test_many_bad_lines(self):
        self.bad([*GOOD, *["BUG: x"] * 9], *["line"] * 5, "4 more lines")

    def test_call_trace_with_its_callers(self):
        self.bad([*GOOD, "Call trace:", "[    1.123456][    T1]  f+0x4/0x8", " g+0x8/0x10", "x"],
                 r"Call trace: +f\+0x4/0x8 +g\+0x8/0x10$")

    def test_missing_suite(self):
        self.bad(GOOD[:-6], "missing: suite sea_decision$")
        self.bad([], "did not come to its tests", "missing: suite copy_mc, sea_decision$")
        self.bad(GOOD[:2], "no suite ran", expected=())

    def test_suite_that_crashed(self):
        self.bad(GOOD[:12], "missing: suite sea_decision", "copy_mc ended after 1 of 2 cases")
        self.bad(self.replaced("    ok 1 table", "x"), "sea_decision ended after 0 of 1 cases")

    def test_failed_case(self):
        lines = self.replaced("        ok 1 len=1 off=0", "        not ok 1 len=1 off=0")
        lines.insert(8, "        # lengths: EXPECTATION FAILED at kunit/x.c:1")
        self.bad(lines, r"copy_mc.lengths\[len=1 off=0\] failed")
        failed = self.judge(lines).suites[0].results[0]
        self.assertIn("# lengths: EXPECTATION FAILED at kunit/x.c:1", failed.said)

    def test_failure_of_the_whole(self):
        self.bad(self.replaced("    ok 1 lengths", "    not ok 1 lengths"), "copy_mc.lengths failed")
        self.bad(self.replaced("ok 2 sea_decision", "not ok 2 sea_decision"),
                 "sea_decision.sea_decision failed")

    def test_skips(self):
        def skip(reason):
            return self.replaced("# SKIP needs MOPS", f"# SKIP {reason}")
        for reason in ("needs MOPS", "needs MOPS: CPYP", "needs HUGETLB", "needs RIG: no EL2",
                       "needs a kernel without KASAN"):
            self.assertEqual(self.judge(skip(reason)).problems, [], reason)
        for reason in ("needs MTE", "needs KASAN", "needs a kernel without MOPS"):
            self.bad(skip(reason), "copy_mc.tags was skipped although this run")
        for reason in ("", "later", "needs LUCK"):
            self.bad(skip(reason), "copy_mc.tags was skipped for no known reason")
        self.assertEqual(self.judge(skip("x"), skips_asked_for=True).problems, [])
        self.bad(["[    0.1] x", MOPS, *GOOD], "copy_mc.tags was skipped although this run has MOPS")

    def test_skipped_suite(self):
        lines = [*GOOD[:16], "ok 2 sea_decision # SKIP broken"]
        self.bad(lines, "sea_decision.sea_decision was skipped for no known reason: broken")

    def test_feature_that_must_be_there(self):
        self.bad(GOOD, "MOPS is off although", must_have=("MTE", "MOPS"))
        self.assertEqual(judged(ktap.Log, GOOD, "", [], ["MTE"]).problems[0][:10], "MTE is off")


class Deaths(unittest.TestCase):
    ARGUMENT = "[    0.1] Kernel command line: kunit.enable=1 copy_mc_test.sea_deaths=1 panic=-1"
    LOG = """\
KTAP version 1
1..1
    KTAP version 1
    # Subtest: sea_death
    1..1
        KTAP version 1
        # Subtest: death
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
Internal error: Oops: 0000000096000006 [#1] SMP
Call trace:
        ok 1 NULL
Internal error: synchronous external abort: 0000000096000010 [#2] SMP
Call trace:
        ok 2 memcpy
    ok 1 death
ok 1 sea_death""".splitlines()
    SKIPPED = [f"{line} # SKIP needs DEATHS" if line.startswith("        ok") else line
               for line in LOG if not judge.BAD_TEXT.search(line)]

    def bad(self, lines, *problems, argument=ARGUMENT):
        lines = [argument, *(f"[    1.{n:06}][    T1] {line}" for n, line in enumerate(lines))]
        found = judged(ktap.Log, lines, "", ["sea_death"], []).problems
        self.assertEqual(len(found), len(problems), found)
        for text, problem in zip(found, problems):
            self.assertRegex(text, problem)

    def without(self, *texts):
        return [line for line in self.LOG if not line.startswith(texts)]

    def test_each_has_its_oops(self):
        self.bad(self.LOG)

    def test_skipped_without_the_argument_only(self):
        self.bad(self.SKIPPED, argument="x")
        self.bad(self.SKIPPED, *["although this run has DEATHS"] * 2)
        self.bad(self.LOG, *["line .* of the log"] * 5, argument="x")

    def test_too_few(self):
        self.bad(self.without("Internal error: synchronous", "Call trace:", "Unable"),
                 r"sea_death.death\[NULL\] passed without the one oops of a death: Internal error$",
                 r"sea_death.death\[memcpy\] passed without .*: none$", "line 9 of the log")

    def test_too_many(self):
        lines = [*self.LOG[:11], *self.LOG[11:13] * 2, *self.LOG[13:]]
        self.bad(lines, r"sea_death.death\[memcpy\] passed without .*: (Internal error, Call trace:,? ?){2}$",
                 *["line 1[3-6] of the log"] * 4)

    def test_something_else(self):
        for text in ("BUG: sleeping function", "WARNING: x", "Kernel panic - not syncing"):
            lines = [*self.LOG[:12], text, *self.LOG[12:]]
            self.bad(lines, r"sea_death.death\[memcpy\] passed without", *["line 1[3-5] of the log"] * 3)

    def test_elsewhere(self):
        for at in (0, 3, 14, 15, 16):
            self.bad([*self.LOG[:at], "Internal error: x", *self.LOG[at:]],
                     "line .* of the log: .* Internal error: x")
        self.bad([line.replace("sea_death", "other") for line in self.LOG],
                 *["line .* of the log"] * 5, "missing: suite sea_death")


SELFTEST = """\
[    0.100000] sea_rig: firmware at EL2, 1024 tables
TAP version 13
1..2
# Starting 2 tests from 1 test cases.
#  RUN           poison.write ...
[    1.000000] Memory failure: 0x8000000: recovery action for dirty LRU page: Recovered
[    1.100000] {1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0
#            OK  poison.write
ok 1 poison.write
#  RUN           poison.huge ...
#      SKIP      needs HUGETLB
#            OK  poison.huge
ok 2 poison.huge # SKIP needs HUGETLB
# PASSED: 2 / 2 tests passed.
# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:1 error:0
TAP version 13
1..1
ok 1 cow.fork
# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0
copy_mc: exit 0""".splitlines()


class Selftests(unittest.TestCase):
    def judge(self, lines, words=("processes", "callers:fork")):
        return judged(lambda top: judge.SelftestLog(top, words), lines, "", words, ["RIG"])

    def bad(self, lines, *problems):
        found = self.judge(lines).problems
        self.assertEqual(len(found), len(problems), found)
        for text, problem in zip(found, problems):
            self.assertRegex(text, problem)

    def replaced(self, old, *new):
        at = SELFTEST.index(old)
        return [*SELFTEST[:at], *new, *SELFTEST[at + 1:]]

    def test_rest_of_the_firmware(self):
        at = SELFTEST.index("TAP version 13")
        self.bad([*SELFTEST[:at], "\x1b[2J\x1b[01;01H\x1b[=3h" + SELFTEST[at], *SELFTEST[at + 1:]])

    def test_good(self):
        v = self.judge(SELFTEST)
        self.assertEqual(v.problems, [])
        self.assertEqual([(s.name, s.count("passed"), s.count("skipped")) for s in v.suites],
                         [("processes", 1, 1), ("callers:fork", 1, 0)])

    def test_suite_at_its_end(self):
        for top in TREES:
            log = judge.SelftestLog(top, ["processes", "callers:fork"])
            self.assertEqual([s.name for s in map(log.feed, SELFTEST) if s],
                             ["processes", "callers:fork"])
            self.assertEqual(log.exit, 0)

    def test_failure(self):
        lines = self.replaced("ok 1 poison.write",
                              "# processes.c:9:write:Expected 1 (1) == c->sigbus (0)",
                              "not ok 1 poison.write")
        lines.insert(-5, "copy_mc: processes: exit code 1")
        self.bad(lines, "^processes.poison.write failed$")
        self.assertIn("# processes.c:9:write:Expected 1 (1) == c->sigbus (0)",
                      self.judge(lines).suites[0].results[0].said)

    def test_ended_too_early(self):
        self.bad(SELFTEST[:9], "missing: suite callers:fork", "processes ended after 1 of 2 cases")
        self.bad(SELFTEST[:1], "did not come to its tests", "missing: suite processes, callers")

    def test_program_that_died(self):
        lines = [*SELFTEST[:9], "copy_mc: processes: signal 11", *SELFTEST[15:]]
        self.bad(lines, "^processes: signal 11$", "processes ended after 1 of 2 cases")

    def test_program_that_did_not_start(self):
        lines = [SELFTEST[0], "copy_mc: processes: exit code 127", *SELFTEST[15:]]
        self.bad(lines, "^processes: exit code 127$", "processes ended after 0 of 0 cases")

    def test_no_such_test(self):
        lines = self.replaced("ok 1 cow.fork")
        self.bad([l.replace("1..1", "1..0") for l in lines], "callers:fork: .*: 0 tests run!$")

    def test_oops(self):
        self.bad([*SELFTEST[:9], "[    2.000000] Internal error: synchronous external abort: 0",
                  *SELFTEST[9:]], "line 10 of the log: .*Internal error")

    def test_skip_for_no_known_reason(self):
        self.bad([l.replace("needs HUGETLB", "unknown") for l in SELFTEST],
                 "processes.poison.huge was skipped for no known reason: unknown")

    def test_no_rig(self):
        self.bad(SELFTEST[1:], "RIG is off although this run should have it")


class Unsplit(unittest.TestCase):
    def test_lines_of_two_writers(self):
        self.assertEqual(list(judge.unsplit([
            "[    0.000001] kernel\n", "ok 1 poi[    1.234567] one\r\n",
            "[    1.234568] two\n", "son.x\n", "ok 2 y\n", "ok [   12.345678] three\n",
            "3[   12.345679][    T1] four\n", " z\n", "left[   13.000000] five"])),
            ["[    0.000001] kernel", "[    1.234567] one", "[    1.234568] two", "ok 1 poison.x",
             "ok 2 y", "[   12.345678] three", "[   12.345679][    T1] four", "ok 3 z",
             "[   13.000000] five", "left"])

    def test_nothing_else_is_changed(self):
        self.assertEqual(list(judge.unsplit(SELFTEST)), SELFTEST)


class Coverage(unittest.TestCase):
    def test_of_some_logs(self):
        entry = "    # copy_each_entry: f+0x{}/0x20 38401423 {}"
        with tempfile.TemporaryDirectory() as top:
            write(top, "a", "\n".join([entry.format(4, "load: 3 aborts, all recovered"), "x",
                                       entry.format(8, "CPY*: not used on a CPU without FEAT_MOPS"),
                                       "[    1.000000]     # copy_sweep: f: 70 aborts in 9 ms"]))
            write(top, "b", entry.format(4, "load: 2 aborts, all recovered"))
            write(top, "c", entry.format(8, "CPY*: 7 aborts, all recovered"))
            for names, aborts in (("abz", [5, 0]), ("abc", [5, 7])):
                found, sweeps = judge.coverage(f"{top}/{n}" for n in names)
                self.assertEqual(found, {"f+0x4/0x20": aborts[0], "f+0x8/0x20": aborts[1]})
                self.assertEqual(sweeps, [70])


class Suites(unittest.TestCase):
    def test_from_the_sources(self):
        with tempfile.TemporaryDirectory() as repo:
            write(repo, "kunit/a_kunit.c", """
static struct kunit_case a_cases[] = {
	KUNIT_CASE(one),
	KUNIT_CASE_PARAM_ATTR(two, gen_params, SLOW),
};
static struct kunit_suite a_suite = {
	.name = "a",
	.test_cases = a_cases,
};
static struct kunit_suite b_suite = {
	.init = b_init,
	.name = "b_more",
};
""")
            write(repo, "kunit/rig/genuine_kunit.c",
                  'static struct kunit_suite x = {\n\t.name = "genuine",\n};\n')
            write(repo, "kunit/helper.c", 'static struct kunit_suite x = {\n\t.name = "x",\n};\n')
            self.assertEqual(judge.suites(repo),
                             {"a": ["one", "two"], "b_more": [], "genuine": []})
            for glob, names in (("", ["a", "b_more"]), ("b*", ["b_more"]), ("c", [])):
                self.assertEqual(judge.matching(["a", "b_more"], glob), names)

    def test_suites_in_the_order_they_run(self):
        with tempfile.TemporaryDirectory() as top:
            for name in "abc":
                write(top, f"kunit/{name}_kunit.c",
                      f'static struct kunit_suite s = {{\n\t.name = "suite_{name}",\n}};\n')
            self.assertEqual(list(judge.suites(top)), ["suite_a", "suite_b", "suite_c"])
            write(top, "kunit/Makefile", "x-y := c_kunit.o a_kunit.o\t\\\n\tinject/x.o\n")
            self.assertEqual(list(judge.suites(top)), ["suite_c", "suite_a", "suite_b"])

    def test_the_repository_has_some(self):
        found = judge.suites(tree.REPO)
        self.assertTrue(found and all(found.values()), found)

    def test_all_that_a_case_may_need_can_be_seen(self):
        known, found = judged(ktap.Log, [], "", [], []).features, set()
        for top in ("kunit", kunit.SELFTESTS):
            for path in glob.glob(f"{tree.REPO}/{top}/**/*.[ch]", recursive=True):
                found |= {*re.findall(r'"needs (?:a kernel without )?([A-Z]\w*)',
                                      read(tree.REPO, os.path.relpath(path, tree.REPO)))}
        self.assertIn("MTE", found)
        self.assertEqual(found - {*known}, set())
