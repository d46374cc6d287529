# SPDX-License-Identifier: GPL-2.0-only
"""What is booted behind a case that was the end of a boot."""

import os
import tempfile
import unittest

from lib import judge, ktap, resume, ui
from tests.fake import TREES, judged

CASES = {"a": ["one", "two", "three"], "b": ["four"], "c": ["five", "six"]}


def log(**ran):
    """A KTAP log: for each suite its cases that ended, "-" before the end of the suite."""
    lines = ["KTAP version 1"]
    for suite, cases in ran.items():
        whole = cases.endswith("-")
        lines += ["    KTAP version 1", f"    # Subtest: {suite}", f"    1..{len(CASES[suite])}"]
        lines += [f"    ok {n} {case}" for n, case in enumerate(cases.rstrip("-").split(), 1)]
        lines += [f"ok 1 {suite}"] if whole else []
    return lines


def read(lines, top=TREES[0]):
    """A log that has these lines."""
    found = ktap.Log(top)
    for line in lines:
        found.feed(line)
    return found


class Resume(unittest.TestCase):
    def setUp(self):
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.addCleanup(self.said.close)
        out, ui.out = ui.out, self.said
        self.addCleanup(setattr, ui, "out", out)

    def boots(self, outcomes, glob="", expected=("a", "b", "c")):
        """outcomes: {glob: (lines, silent)}; each of them has to be booted once."""
        self.asked = []

        def boot(what):
            self.asked.append(what)
            lines, silent = outcomes[what]
            return lines, read(lines), silent

        done = resume.boots(glob, list(expected), CASES, boot)
        self.assertEqual(sorted(self.asked), sorted(outcomes))
        return done

    def test_all_is_well(self):
        done = self.boots({"": (log(a="one two three-", b="four-", c="five six-"), 0)})
        self.assertEqual((done.number, done.problems, done.stopped), (1, [], set()))

    def test_hung(self):
        done = self.boots({"": (log(a="one"), 60), "a.three": (log(a="three-"), 0),
                           "b": (log(b="four-"), 0), "c": (log(c="five six-"), 0)})
        self.assertEqual(self.asked, ["", "a.three", "b", "c"])
        self.assertEqual(done.problems, ["HUNG a.two after 60 s"])
        self.assertEqual(done.stopped, {"a"})
        self.assertEqual(done.lines.count("    ok 1 five"), 1)

    def test_died(self):
        done = self.boots({"": (log(a="one two three-", b=""), 0), "c": (log(c="five six-"), 0)})
        self.assertEqual(done.problems, ["DIED b.four"])

    def test_late(self):
        """Who runs when the time is over has not died of it, and there is no more time."""
        late = [*log(a="one"), "Command '['qemu']' timed out after 600 seconds"]
        done = self.boots({"": (late, 0)})
        self.assertEqual((done.late, done.problems, done.stopped), (True, [], {"a"}))

    def test_again(self):
        done = self.boots({"": (log(a=""), 60), "a.two": (log(a=""), 0),
                           "a.three": (log(a="three-"), 0), "b": (log(b=""), 60),
                           "c": (log(c="five"), 0)})
        self.assertEqual(done.problems, ["HUNG a.one after 60 s", "DIED a.two",
                                         "HUNG b.four after 60 s", "DIED c.six"])

    def test_what_was_asked_for(self):
        done = self.boots({"a.two": (log(a=""), 60)}, "a.two", ["a"])
        self.assertEqual(done.problems, ["HUNG a.two after 60 s"])
        done = self.boots({"a.t*": (log(a=""), 0), "a.three": (log(a="three-"), 0)}, "a.t*", ["a"])
        self.assertEqual(done.problems, ["DIED a.two"])
        done = self.boots({"[ab]": (log(a="one two"), 0), "b": (log(b="four-"), 0)}, "[ab]",
                          ["a", "b"])
        self.assertEqual(done.problems, ["DIED a.three"])

    def test_case_with_parameters(self):
        lines = log(a="two") + ["        KTAP version 1", "        # Subtest: one",
                                "        ok 1 first"]
        for top in TREES:
            self.assertEqual(resume.running(read(lines, top), CASES), ("a", "one", ["three"]))
            self.assertEqual(resume.running(read([*lines, "    ok 2 one"], top), CASES),
                             ("a", "three", []))

    def test_no_suite_runs(self):
        for lines in ([], ["KTAP version 1"], log(a="one two three-")):
            done = self.boots({"": (lines, 60)})
            self.assertEqual(done.problems, ["the kernel hung: it had said nothing for 60 s"])
            self.assertEqual(self.boots({"": (lines, 0)}).problems, [])

    def test_a_kernel_that_is_not_worth_it(self):
        cases = {"s": [f"c{n}" for n in range(9)]}
        lines = ["KTAP version 1", "    # Subtest: s", "    1..9"]
        done = resume.boots("", ["s"], cases, lambda _: (lines, read(lines), 1))
        self.assertEqual(done.number, resume.MOST)
        self.assertEqual(len(done.problems), resume.MOST + 1)
        self.assertIn("was not run", done.problems[-1])

    def test_the_judge_leaves_it_to_who_knows(self):
        for stopped, want in ((set(), ["suite a ended after 1 of 3 cases"]), ({"a"}, [])):
            found = judged(ktap.Log, log(a="one"), "", ["a"], [], stopped=stopped).problems
            self.assertEqual(found, want)

    def test_cases_of_a_fast_run(self):
        with tempfile.TemporaryDirectory() as top:
            os.mkdir(os.path.join(top, "kunit"))
            with open(os.path.join(top, "kunit", "x_kunit.c"), "w", encoding="utf-8") as f:
                f.write("static struct kunit_case x_cases[] = {\n\tKUNIT_CASE(one),\n"
                        "\tKUNIT_CASE_SLOW(two),\n\tKUNIT_CASE_PARAM_ATTR(three, p, SLOW),\n"
                        "\tKUNIT_CASE_PARAM(four, p),\n\t{}\n};\n"
                        'static struct kunit_suite s = {\n\t.name = "x",\n'
                        "\t.test_cases = x_cases,\n};\n")
            self.assertEqual(judge.suites(top), {"x": ["one", "two", "three", "four"]})
            self.assertEqual(judge.suites(top, slow=False), {"x": ["one", "four"]})


if __name__ == "__main__":
    unittest.main()
