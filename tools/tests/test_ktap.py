# SPDX-License-Identifier: GPL-2.0-only
"""Logs as the parsers of both kernels read them, with what those miss."""

import unittest

from lib import judge, ktap
from tests.fake import TREES, judged
from tests.test_judge import GOOD, SELFTEST

EXPECTED = ["copy_mc", "sea_decision"]


class Ktap(unittest.TestCase):
    def judge(self, lines, expected=()):
        return judged(ktap.Log, lines, "", expected, [])

    def problems(self, lines, expected=()):
        return self.judge(lines, expected).problems

    def with_lines(self, at, *lines):
        at = GOOD.index(at)
        return [*GOOD[:at], *lines, *GOOD[at:]]

    def test_suite_at_its_end(self):
        for top in TREES:
            log = ktap.Log(top)
            ends = [(n, s.name) for n, line in enumerate(GOOD) if (s := log.feed(line))]
            self.assertEqual(ends, [(GOOD.index("ok 1 copy_mc"), "copy_mc"),
                                    (GOOD.index("ok 2 sea_decision"), "sea_decision")])

    def test_all_of_a_result(self):
        suite = self.judge(GOOD).suites[0]
        self.assertEqual([(r.name, r.status, r.reason) for r in suite.results],
                         [("lengths[len=1 off=0]", "passed", ""),
                          ("lengths[len=2 # 3]", "passed", ""), ("tags", "skipped", "needs MOPS")])
        self.assertEqual((suite.planned, suite.done, suite.case, suite.errors),
                         (2, ["lengths", "tags"], "", []))

    def test_suite_that_runs(self):
        [suite] = self.judge(GOOD[:9]).suites
        self.assertEqual((suite.name, suite.finished, suite.planned, suite.done, suite.case),
                         ("copy_mc", False, 2, [], "lengths"))
        self.assertEqual([r.name for r in suite.results], ["lengths[len=1 off=0]"])

    def test_one_boot_behind_another(self):
        for n in range(len(GOOD)):
            names = [s.name for s in self.judge([*GOOD[:n], *GOOD]).suites if s.finished]
            self.assertEqual(names[-2:], EXPECTED)
        self.assertEqual(self.problems([*GOOD[:1], "1..0", *GOOD]), self.problems(GOOD))

    def test_whoever_else_speaks(self):
        want, said = self.judge(GOOD).suites, "CPU1: Booted secondary processor"
        for n in range(len(GOOD) + 1):
            found = self.judge([*GOOD[:n], said, *GOOD[n:]]).suites
            for suite, other in zip(found, want, strict=True):
                self.assertEqual([(r.name, r.status, r.reason) for r in suite.results],
                                 [(r.name, r.status, r.reason) for r in other.results])
                self.assertEqual((suite.name, suite.planned, suite.done, suite.errors),
                                 (other.name, other.planned, other.done, []))

    def test_what_a_failed_one_says(self):
        for result in ("        ok 1 len=1 off=0", "        ok 2 len=2 # 3"):
            lines = self.with_lines(result, "    # lengths: EXPECTATION FAILED", "", "  Expected 1")
            lines = [l.replace("ok", "not ok") if l == result else l for l in lines]
            [said] = [r.said for r in self.judge(lines).suites[0].results if r.said]
            self.assertEqual(said, ["# lengths: EXPECTATION FAILED", "Expected 1"])

    def test_lost_line(self):
        self.assertEqual(self.problems(GOOD), [])
        for n, line in enumerate(GOOD):
            # No plan says how many parameters there are.
            if line.lstrip().startswith("ok") and not line.endswith("len=2 # 3"):
                self.assertTrue(self.problems(GOOD[:n] + GOOD[n + 1:]), line)

    def test_end_anywhere(self):
        for n in range(len(GOOD) - 1):
            self.assertTrue(self.problems(GOOD[:n], EXPECTED), n)

    def test_failure_that_is_skipped_too(self):
        lines = [line.replace("ok 2 tags", "not ok 2 tags") for line in GOOD]
        self.assertIn("copy_mc.tags failed", self.problems(lines))

    def test_lines_that_belong_to_nothing(self):
        for line in ("        1..2", "    1..2"):
            found = self.judge(self.with_lines("        ok 2 len=2 # 3", line)).suites
            self.assertEqual(found[0].done, ["lengths", "tags"])
        for at, line in (("    ok 1 lengths", "    ok 3 more"), ("ok 1 copy_mc", "    ok 3 more"),
                         ("ok 1 copy_mc", "        ok 3 more")):
            self.assertRegex(self.problems(self.with_lines(at, line))[0], "suite copy_mc")

    def test_case_without_a_name(self):
        self.assertRegex(self.problems([l.replace("1 table", "1") for l in GOOD])[0],
                         "sea_decision ended after 0 of 1 cases")

    def test_suite_without_a_case(self):
        lines = ["KTAP version 1", "1..1", "    KTAP version 1", "    # Subtest: none", "ok 1 none"]
        self.assertIn("suite none: kunit_parser says: none: 0 tests run!", self.problems(lines))


class Tap(unittest.TestCase):
    WORDS = ["processes", "callers:fork"]

    def test_lost_line(self):
        for n, line in enumerate(SELFTEST):
            if line.startswith("ok"):
                self.assertTrue(judged(lambda top: judge.SelftestLog(top, self.WORDS),
                                       SELFTEST[:n] + SELFTEST[n + 1:], "", self.WORDS,
                                       ["RIG"]).problems, line)
