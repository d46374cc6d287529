# SPDX-License-Identifier: GPL-2.0-only
"""Jobs beside each other: their order, their output, and what is left of them."""

import os
import time

from lib import jobs, ui
from tests.fake import Case, read


class Jobs(Case):
    def setUp(self):
        super().setUp()
        self.ended = []
        self.todo = jobs.Jobs(2, lambda job: self.ended.append(job.name))

    def add(self, name, seconds=0.0, result=None, error=None, **more):
        def run():
            ui.say(f"begin {name}")
            time.sleep(seconds)
            if error:
                raise error
            ui.say(f"end {name}")
            return result
        self.todo.add(name, more.pop("part", "boot"), run, **more)

    def run_all(self):
        self.todo.run()
        self.said.flush()
        return {n: j.state for n, j in self.todo.jobs.items()}

    def test_output_is_kept_together(self):
        self.add("a", 0.4)
        self.add("b", 0.4)
        self.assertEqual(self.run_all(), {"a": "done", "b": "done"})
        said = read(self.tmp, "said").splitlines()
        self.assertEqual(sorted(map(tuple, (said[:2], said[2:]))),
                         [("begin a", "end a"), ("begin b", "end b")])

    def test_beside_each_other(self):
        for name in "abcd":
            self.add(name, 0.5)
        start = time.monotonic()
        self.run_all()
        self.assertLess(time.monotonic() - start, 1.9)
        self.assertGreater(time.monotonic() - start, 0.9)

    def most_at_a_time(self):
        at = sorted([(j.started, 1) for j in self.todo.jobs.values()] +
                    [(j.started + j.seconds, -1) for j in self.todo.jobs.values()])
        return max(sum(n for _, n in at[:i]) for i in range(1, len(at) + 1))

    def test_how_many(self):
        for cpus, most in ((1, 1), (2, 3)):
            self.todo = jobs.Jobs(cpus)
            for name in "abcd":
                self.add(name, 0.3)
            self.run_all()
            self.assertEqual(self.most_at_a_time(), most)

    def test_beside_a_heavy_one(self):
        self.add("heavy", 0.5, weight=2, guess=99)
        self.add("heavy too", 0.5, weight=2, guess=98)
        self.add("light", 0.2)
        self.add("light too", 0.2)
        self.run_all()
        started = {n: j.started - self.todo.jobs["heavy"].started
                   for n, j in self.todo.jobs.items()}
        self.assertGreaterEqual(started["heavy too"], 0.5)
        self.assertLess(started["light"], 0.3)
        self.assertGreaterEqual(started["light too"], 0.2)

    def test_results_and_order(self):
        self.add("last", result=3, after=("middle",))
        self.add("middle", result={"x": 1}, after=("first",))
        self.add("first", 0.2, result=[1])
        self.run_all()
        self.assertEqual(self.ended, ["first", "middle", "last"])
        self.assertEqual([self.todo.jobs[n].result for n in self.ended], [[1], {"x": 1}, 3])

    def test_what_hangs_on_a_job_says_when(self):
        self.todo.cpus = 1
        self.add("short", guess=10)
        self.add("long", guess=20)
        self.add("first", guess=5)
        self.add("then", guess=50, after=("first",))
        self.run_all()
        self.assertEqual(self.ended, ["first", "then", "long", "short"])

    def test_heavy_one_takes_all(self):
        self.add("heavy", 0.4, weight=4, guess=99)
        self.add("light", 0.1)
        self.run_all()
        self.assertEqual(self.ended, ["heavy", "light"])
        self.assertGreaterEqual(self.todo.jobs["light"].started,
                                self.todo.jobs["heavy"].started + 0.4)

    def test_failures(self):
        self.add("bad", error=ui.Fail("no compiler"))
        self.add("on it", after=("bad",))
        self.add("on that", after=("on it",))
        self.add("after it", behind=("bad",))
        self.add("gone", error=ui.Unavailable("no network"))
        self.add("on gone", after=("gone",))
        self.add("broken", error=ValueError("x"))
        self.assertEqual(self.run_all(), {
            "bad": "failed", "on it": "not run", "on that": "not run", "after it": "done",
            "gone": "unavailable", "on gone": "unavailable", "broken": "failed"})
        why = {n: j.why for n, j in self.todo.jobs.items()}
        self.assertEqual((why["bad"], why["on that"], why["on gone"], why["broken"]),
                         ("no compiler", "bad failed", "no network", "ValueError('x')"))
        self.assertEqual(len(self.ended), 7)
        self.assertIn("ValueError: x", read(self.tmp, "said"))

    def test_killed(self):
        self.todo.add("killed", "boot", lambda: os.kill(os.getpid(), 9))
        self.assertEqual(self.run_all(), {"killed": "failed"})
        self.assertIn("status 9", self.todo.jobs["killed"].why)

    def test_none_is_left(self):
        self.add("long", 1000)

        def stop(_job):
            raise KeyboardInterrupt
        self.todo.done = stop
        self.add("short")
        start = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            self.todo.run()
        self.assertLess(time.monotonic() - start, 10)
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    def test_table(self):
        for name, part, seconds, cpu, more in (
                ("tree", "unpack", 60, 50, {}), ("kernel", "build", 600, 1120,
                                                 {"after": ("tree",), "weight": 2}),
                ("suites", "boot", 200, 200, {"after": ("kernel",)}),
                ("fast", "boot", 30, 30, {"after": ("kernel",)}),
                ("sparse", "check", 120, 110, {"after": ("tree",)}),
                ("ghes", "check", 20, 10, {"after": ("tree",), "behind": ("sparse",)})):
            self.add(name, part=part, **more)
            job = self.todo.jobs[name]
            job.seconds, job.cpu = seconds, cpu
        lines = [line.split(" s", 1)[0].split() for line in self.todo.table()]
        self.assertEqual(lines[:4], [["unpack", "60"], ["build", "600"], ["boot", "230"],
                                     ["check", "140"]])
        self.assertEqual([w for w in self.todo.table()][-1],
                         "longest chain     360 s, as on 16 CPUs: tree 60 s, kernel 100 s, "
                         "suites 200 s")
