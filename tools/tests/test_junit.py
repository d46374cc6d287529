# SPDX-License-Identifier: GPL-2.0-only
"""The XML of a run."""

import os
import tempfile
import types
import unittest
import xml.etree.ElementTree as ET

from lib import junit, judge
from lib.ktap import Result, Suite


def run(problems=()):
    suites = [Suite("copy_mc", True, results=[
        Result("lengths[len=2]", "passed", "", []),
        Result("tags", "skipped", "needs MTE", []),
        Result("poison", "failed", "", ["EXPECTATION FAILED at x.c:7", "left \x1b[31m< 3"])])]
    return types.SimpleNamespace(version="7.3.4", log="/b/test.log", times={"boot": 61.4},
                                 verdict=judge.Verdict(suites, {}, list(problems)))


class Junit(unittest.TestCase):
    def test_each_status(self):
        top = junit.tree(run(["copy_mc.poison failed"]))
        self.assertEqual(top.attrib, {"name": "Linux 7.3.4", "time": "61"})
        suite, = top
        self.assertEqual(suite.attrib, {"name": "copy_mc", "tests": "3", "failures": "1",
                                        "skipped": "1"})
        passed, skipped, failed = suite
        self.assertEqual(passed.attrib, {"classname": "copy_mc", "name": "lengths[len=2]"})
        self.assertFalse(list(passed))
        self.assertEqual([(e.tag, e.get("message")) for e in skipped], [("skipped", "needs MTE")])
        self.assertEqual([(e.tag, e.text) for e in failed],
                         [("failure", "EXPECTATION FAILED at x.c:7\nleft ?[31m< 3")])

    def test_problem_of_no_case(self):
        verdict = junit.tree(run(["copy_mc.poison failed", "line 7 of the log: BUG: x"]))[-1]
        self.assertEqual(verdict.attrib, {"name": "verdict", "tests": "1", "failures": "1",
                                          "skipped": "0"})
        self.assertEqual(verdict[0].get("name"), "line 7 of the log: BUG: x")

    def test_file(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "x.xml")
            junit.write(path, run())
            self.assertEqual(ET.parse(path).getroot().tag, "testsuites")
