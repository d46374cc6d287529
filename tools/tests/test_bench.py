# SPDX-License-Identifier: GPL-2.0-only
"""The bench's table and targets, from logs made up."""

import unittest
import unittest.mock

from lib import bench, checks
from lib.bench import Call
from lib.ui import Fail

SAME = {"copy_to_user": "", "copy_from_user": ""}


def log(**more):
    """A log in which copies of n bytes take n / 8 instructions, or as many as more says."""
    lines = ["KTAP version 1", "    # Subtest: copy_mc_bench"]
    for name in ("copy_page", "copy_mc_page"):
        lines.append(f"    # instructions: bench: {name} 4096 0 0 {more.get(name, 600)}")
    for name in ("memcpy", "copy_mc_to_kernel", "copy_to_user", "copy_from_user"):
        for size in (16, 64, 256, 1024):
            for source, to in ((0, 0), (3, 1)):
                n = more.get(f"{name}_{size}_{source}", size // 8)
                lines.append(f"    # instructions: bench: {name} {size} {source} {to} {n}")
    for name, n in (("xxhash", 3000), ("mem_has_poison", 85)):
        lines.append(f"    # instructions: bench: {name} 4096 0 0 {more.get(name, n)}")
    return [*lines, "[    1.0]     # instructions: bench: abort 64 0 0 1234"]


class Parse(unittest.TestCase):
    def test_counts(self):
        counts = bench.parse(log(memcpy_256_3=99))
        self.assertEqual(len(counts), 37)
        self.assertEqual(counts[Call("memcpy", 256, 3, 1)], 99)
        self.assertEqual(counts[Call("abort", 64, 0, 0)], 1234)

    def test_missing_and_double(self):
        for name in ("copy_page", "copy_from_user", "abort"):
            with self.assertRaisesRegex(Fail, f"no count of {name}"):
                bench.parse([l for l in log() if f" {name} " not in l])
        with self.assertRaisesRegex(Fail, r"memcpy of 64 bytes, source \+0, .* twice"):
            bench.parse([*log(), "# x: bench: memcpy 64 0 0 8"])

    def test_aborts(self):
        line = "    # abort_rate: bench-aborts: 3000 in 1500000000 ns"
        self.assertEqual(bench.parse_aborts(["KTAP", line]), 2000)
        for lines in ([], ["bench-aborts: 1 in 0 ns"]):
            with self.assertRaisesRegex(Fail, "no number of aborts"):
                bench.parse_aborts(lines)

    def test_two_boots_count_alike(self):
        first = bench.parse(log())
        bench.same_counts(first, bench.parse(log()))
        with self.assertRaisesRegex(Fail, r"copy_to_user of 64 .*\+3, .* 8 instr.* in one .* 9"):
            bench.same_counts(first, bench.parse(log(copy_to_user_64_3=9)))
        less = dict(first)
        del less[Call("memcpy", 64, 0, 0)]
        with self.assertRaisesRegex(Fail, "8 instructions in one boot, None in another"):
            bench.same_counts(first, less)


class Costs(unittest.TestCase):
    LOG = ["[    1.0] Run /init", "cost: fault 1000", "cost: fork 20000\n", "copy_mc: exit 0"]

    def test_parse(self):
        self.assertEqual(bench.parse_costs(self.LOG), {"fault": 1000, "fork": 20000})
        with self.assertRaisesRegex(Fail, "counted nothing"):
            bench.parse_costs(self.LOG[:1])
        with self.assertRaisesRegex(Fail, "does not tell one .*: 62500000 Hz"):
            bench.parse_costs(["the timer does not tell one instruction from the next: 62500000 Hz"])

    def test_target(self):
        base = {"fault": 1000, "fork": 20000, "ksmd-page": 3000}
        calls, ksmd = bench.cost_targets(base, {**base, "fault": 1005, "ksmd-page": 3300})
        self.assertTrue(calls.met)
        self.assertTrue(ksmd.met)
        calls, ksmd = bench.cost_targets(base, {**base, "fault": 1006, "ksmd-page": 3301})
        self.assertFalse(calls.met)
        self.assertEqual(calls.number, "at most 1.0060, fault")
        self.assertFalse(ksmd.met)
        self.assertEqual(ksmd.number, "1.1003")
        with self.assertRaisesRegex(Fail, "fork: counted on one kernel only"):
            bench.cost_targets(base, {"fault": 1000, "ksmd-page": 3000})
        with self.assertRaisesRegex(Fail, "no cost of ksmd-page"):
            bench.cost_targets({"fault": 1000}, {"fault": 1000})

    def test_table(self):
        self.assertEqual(bench.cost_table({"fault": 1000}, {"fault": 1010})[1].split(),
                         ["fault", "1000", "1010", "(1.0100)"])


class Targets(unittest.TestCase):
    def met(self, **more):
        return [(t.met, t.number) for t in bench.count_targets(bench.parse(log(**more)))]

    def test_page(self):
        self.assertEqual(self.met(copy_mc_page=601)[0], (True, "+1"))
        self.assertEqual(self.met(copy_mc_page=602)[0], (False, "+2"))
        self.assertEqual(self.met(copy_mc_page=599)[0], (True, "-1"))

    def test_to_kernel(self):
        self.assertEqual(self.met()[1], (True, "at most 1.00"))
        self.assertEqual(self.met(memcpy_256_0=100, copy_mc_to_kernel_256_0=105)[1],
                         (True, "at most 1.05"))
        met, number = self.met(memcpy_256_3=100, copy_mc_to_kernel_256_3=106)[1]
        self.assertFalse(met)
        self.assertEqual(number, "1 of 6 are over, the worst 1.06 at 256 bytes, source +3, "
                                 "destination +1")
        # Below the size from which it counts
        self.assertTrue(self.met(copy_mc_to_kernel_16_0=80)[1][0])
        self.assertFalse(self.met(copy_mc_to_kernel_64_0=80)[1][0])

    def test_to_kernel_little(self):
        self.assertEqual(self.met()[2], (True, "at most +0"))
        self.assertEqual(self.met(copy_mc_to_kernel_16_3=4)[2], (True, "at most +2"))
        self.assertEqual(self.met(copy_mc_to_kernel_16_3=5)[2],
                         (False, "at most +3, at 16 bytes, source +3, destination +1"))

    def test_code(self):
        targets = bench.code_targets({"copy_to_user": "'nop' is not 'ret'", "copy_from_user": ""})
        self.assertEqual([(t.met, t.number) for t in targets],
                         [(False, "'nop' is not 'ret'"), (True, "its code is the base's")])


class Output(unittest.TestCase):
    def test_table(self):
        counts = bench.parse(log(copy_page=640, copy_mc_to_kernel_256_3=48, copy_to_user_256_3=77))
        lines = bench.table(counts, {**SAME, "copy_from_user": "differs"})
        self.assertEqual(lines[0], "copy_page 640, copy_mc_page 600; "
                                   "an injected abort, recovered 1234")
        self.assertEqual(lines[1], "of a page: mem_has_poison 85, xxhash 3000")
        self.assertEqual([l.split() for l in lines[3:]], [
            ["16", "+0/+0", "+3/+1", "2", "2", "(1.00)", "2", "2", "2", "other"],
            ["64", "+0/+0", "+3/+1", "8", "8", "(1.00)", "8", "8", "8", "other"],
            ["256", "+0/+0", "32", "32", "(1.00)", "32", "32", "32", "other"],
            ["256", "+3/+1", "32", "48", "(1.50)", "77", "77", "32", "other"],
            ["1024", "+0/+0", "+3/+1", "128", "128", "(1.00)", "128", "128", "128", "other"]])

    def test_json(self):
        found = bench.as_json(bench.parse(log()), {**SAME, "copy_from_user": "differs"})
        self.assertEqual(len(found), 37)
        self.assertIn({"routine": "copy_to_user", "size": 64, "source": 0, "to": 0,
                       "instructions": 8, "same_code_as_base": True}, found)
        self.assertIn({"routine": "copy_from_user", "size": 64, "source": 0, "to": 0,
                       "instructions": 8, "same_code_as_base": False}, found)
        self.assertIn({"routine": "abort", "size": 64, "source": 0, "to": 0,
                       "instructions": 1234}, found)


class Code(unittest.TestCase):
    def test_held_against_the_base(self):
        texts = []

        class Kernel:
            def user_config(self):
                return "CONFIG_X=y\nCONFIG_COPY_MC_BENCH=y\n"

            def config(self, _build):
                return "CONFIG_ARCH_HAS_COPY_MC=y\n"

            def objects(self, _name, _objects, text, base=False):
                texts.append(text)
                return "base" if base else "ours", ""

        def code(build, name):
            more = ["  4:\tnop"] if build == "ours" and "to_user" in name else []
            return [f"0 <__arch_{name[len('arch/arm64/lib/'):-2]}>:", *more, "  0:\tret"]

        with unittest.mock.patch.object(checks, "code", code):
            found = bench.user_code(Kernel())
        self.assertEqual(texts, ["CONFIG_X=y\n# CONFIG_COPY_MC_BENCH is not set\n"] * 2)
        self.assertIn("'4:\tnop' is not '0:\tret'", found["copy_to_user"])
        self.assertEqual(found["copy_from_user"], "")
