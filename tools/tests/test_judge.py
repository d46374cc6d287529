# SPDX-License-Identifier: GPL-2.0-only
"""Good and bad runs told apart by their logs."""

import tempfile
import unittest

from lib import judge, tree
from tests.fake import write

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
        return judge.judge([MTE, *lines], config, expected, must_have, **kwargs)

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
        for reason in ("needs MOPS", "needs MOPS: CPYP", "needs HUGETLB",
                       "needs a kernel without KASAN"):
            self.assertEqual(self.judge(skip(reason)).problems, [], reason)
        for reason in ("needs MTE", "needs KASAN", "needs a kernel without MOPS"):
            self.bad(skip(reason), "copy_mc.tags was skipped although this run")
        self.assertEqual(self.judge(skip("needs MTE"), must_have=(), lacks=("MTE",)).problems, [])
        for reason in ("", "later", "needs LUCK"):
            self.bad(skip(reason), "copy_mc.tags was skipped for no known reason")
        self.assertEqual(self.judge(skip("x"), skips_asked_for=True).problems, [])
        self.bad(["[    0.1] x", MOPS, *GOOD], "copy_mc.tags was skipped although this run has MOPS")

    def test_skipped_suite(self):
        lines = [*GOOD[:16], "ok 2 sea_decision # SKIP broken"]
        self.bad(lines, "sea_decision.sea_decision was skipped for no known reason: broken")

    def test_feature_that_must_be_there(self):
        self.bad(GOOD, "MOPS is off although", must_have=("MTE", "MOPS"))
        self.assertEqual(judge.judge(GOOD, "", [], ["MTE"]).problems[0][:10], "MTE is off")


class Deaths(unittest.TestCase):
    ARGUMENT = "[    0.1] Kernel command line: kunit.enable=1 sea_deaths=1 panic=-1"
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
        found = judge.judge(lines, "", ["sea_death"], []).problems
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
                 r"sea_death\[NULL\] passed without the one oops of a death: Internal error$",
                 r"sea_death\[memcpy\] passed without .*: none$", "line 9 of the log")

    def test_too_many(self):
        lines = [*self.LOG[:11], *self.LOG[11:13] * 2, *self.LOG[13:]]
        self.bad(lines, r"sea_death\[memcpy\] passed without .*: (Internal error, Call trace:,? ?){2}$",
                 *["line 1[3-6] of the log"] * 4)

    def test_something_else(self):
        for text in ("BUG: sleeping function", "WARNING: x", "Kernel panic - not syncing"):
            lines = [*self.LOG[:12], text, *self.LOG[12:]]
            self.bad(lines, r"sea_death\[memcpy\] passed without", *["line 1[3-5] of the log"] * 3)

    def test_elsewhere(self):
        for at in (0, 3, 14, 15, 16):
            self.bad([*self.LOG[:at], "Internal error: x", *self.LOG[at:]],
                     "line .* of the log: .* Internal error: x")
        self.bad([line.replace("sea_death", "other") for line in self.LOG],
                 *["line .* of the log"] * 5, "missing: suite sea_death")


class Suites(unittest.TestCase):
    def test_from_the_sources(self):
        with tempfile.TemporaryDirectory() as repo:
            write(repo, "kunit/a_kunit.c", """
static struct kunit_case a_cases[] = {
	{ .name = "case" },
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
            write(repo, "kunit/helper.c", 'static struct kunit_suite x = {\n\t.name = "x",\n};\n')
            self.assertEqual(judge.repo_suites(repo), ["a", "b_more"])
            for glob, names in (("", ["a", "b_more"]), ("b*", ["b_more"]), ("a.case*", ["a"]),
                                ("c", [])):
                self.assertEqual(judge.matching(["a", "b_more"], glob), names)

    def test_the_repository_has_some(self):
        self.assertTrue(judge.repo_suites(tree.REPO))
