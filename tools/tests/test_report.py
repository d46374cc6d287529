# SPDX-License-Identifier: GPL-2.0-only
"""The page of --report: what goes into it, and what it looks like."""

import argparse
import contextlib
import json
import operator
import os
import re
import shutil
import subprocess
import types
import unittest
import unittest.mock

from lib import bench, compare, ktap, kunit, listing, mutate, packages, page, report
from tests.fake import Case, judged, read, tool, write
from tests.test_bench import SAME, log as bench_log

DRAWS = os.path.exists(*packages.REPORT)
GCC = kunit.CROSS + "gcc"

LOG = """\
KTAP version 1
1..2
    KTAP version 1
    # Subtest: copy_mc_in_kernel
    1..2
        KTAP version 1
        # Subtest: copy_each_entry
    # copy_each_entry: f+0x4/0x14 39400022 load: 3 aborts, all recovered
    # copy_each_entry: f+0x8/0x14 39400403 load: not used on a CPU with FEAT_MOPS
        ok 1 one
    # copy_each_entry: f+0x4/0x14 39400022 load: 4 aborts, all recovered
    # copy_each_entry: f+0x8/0x14 39400403 load: not used on a CPU with FEAT_MOPS
        ok 2 two
        # copy_each_entry: pass:2 fail:0 skip:0 total:2
    ok 1 copy_each_entry
    ok 2 copy_sweep # SKIP needs MOPS
# copy_mc_in_kernel: pass:2 fail:0 skip:1 total:3
ok 1 copy_mc_in_kernel
    # sea_decision: kload fD D
    KTAP version 1
    # Subtest: sea_decision
    1..3
        KTAP version 1
        # Subtest: decision_outcome
        ok 1 none: SEA, claimed
        ok 2 none: SEA on a store
        not ok 3 kload: SEA, claimed
        ok 4 kload: SEA on a store
        ok 5 bpf: SEA, claimed # SKIP needs a kernel without BPF_JIT
    not ok 1 decision_outcome
        KTAP version 1
        # Subtest: decision_code
        ok 1 none
        ok 2 kload
    ok 2 decision_code
        KTAP version 1
        # Subtest: decision_user_access
        ok 1 kload
    ok 3 decision_user_access
not ok 2 sea_decision""".splitlines()
LEFT = """\
    # copy_sweep: one: of 4 bytes left 4 3 2 1
    # copy_sweep: one: of 4 bytes model 4 4 2 1
    # copy_sweep: two: of 4 bytes left 4 3 2 1""".splitlines()


def nothing(*_):
    """Stands in for what takes a kernel."""


def arguments(path, **more):
    return argparse.Namespace(**{"report": path, "against": None, "no_install": True, **more})


class Report(Case):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.tmp, "page.html")

    def boot(self, lines=None, name="suites", build="user", **more):
        """The part of a boot with this log."""
        lines = LOG if lines is None else lines
        write(self.tmp, "boot/test.log", "\n".join(lines))
        result = types.SimpleNamespace(
            version="6.12.5", qemu=(10, 0, 2), machine=types.SimpleNamespace(build=build),
            times={"boot": 12.3}, log=os.path.join(self.tmp, "boot/test.log"),
            verdict=judged(ktap.Log, lines, "", [], []))
        return {**report.boot(result, name), **more}

    def add(self, *parts, trees=()):
        report.add(arguments(self.path), parts, *trees)
        return read(self.tmp, "page.html")

    def section(self, text, name):
        """The words of a section, a line a row of its tables."""
        found = re.search(rf'<section id="{name}">.*?</section>', text, re.S)
        return re.sub(r"<[^>]+>", "|", found[0].replace("</tr>", "\n")) if found else ""


class File(Report):
    def test_what_is_not_ours_is_refused(self):
        write(self.tmp, "x.html", "<!DOCTYPE html><p>mine")
        write(self.tmp, "damaged.html", f"{report.MARK}\n{report.DATA}{{ -->\n")
        write(self.tmp, "cut.html", f"{report.MARK}\n")
        with open(os.path.join(self.tmp, "binary"), "wb") as f:
            f.write(b"\xff\xfe")
        for name, what in (("x.html", "exists and is no page"), ("binary", "is no page"),
                           ("cut.html", "is no page"), ("damaged.html", "damaged; remove it"),
                           (".", "is no page"), ("no/x.html", "there is no directory .*/no;")):
            with self.fails(f"^--report {self.tmp}/{name}: .*{what}"):
                report.check(arguments(os.path.join(self.tmp, name)))
        self.assertEqual(read(self.tmp, "x.html"), "<!DOCTYPE html><p>mine")

    def test_new_and_empty_are_fine(self):
        with unittest.mock.patch.object(packages, "need") as need:
            report.check(arguments(self.path))
            need.assert_called_once_with(False, packages.REPORT)
            write(self.tmp, "page.html", "")
            report.check(arguments(self.path))
            need.reset_mock()
            report.check(arguments(None))
            need.assert_not_called()

    def test_nobody_asks(self):
        report.add(arguments(None), [self.boot()])
        self.assertFalse(os.path.exists(self.path))

    def test_parts_of_many_runs(self):
        self.add(self.boot())
        self.add(self.boot(name="nomops"), None)
        text = self.add(self.boot(seconds=99))
        found = report.load(self.path)
        self.assertEqual(list(found), ["boot 6.12.5 nomops", "boot 6.12.5 suites"])
        self.assertEqual(found["boot 6.12.5 suites"]["seconds"], 99)
        self.assertIn("|99 s|", self.section(text, "boots"))
        self.assertEqual(os.listdir(self.tmp).count("page.html.new"), 0)

    def test_nothing_ends_the_comment_or_is_markup(self):
        bad = "--> <script>alert(1)</script> & --!>"
        text = self.add(self.boot(problems=[bad]))
        self.assertEqual(report.load(self.path)["boot 6.12.5 suites"]["problems"], [bad])
        shown, data = text.split(report.DATA)
        self.assertNotIn("<script", shown)
        self.assertEqual((data.count("--"), data[-5:]), (1, " -->\n"))

    def test_nothing_is_fetched(self):
        text = self.add(self.boot(), EXAMPLES["compare"] if DRAWS else None)
        shown = text.split(report.DATA)[0]
        self.assertEqual(re.findall(r"\b(?:src|srcset|action|@import)\b", shown), [])
        self.assertEqual([h for h in re.findall(r'href="([^"]*)', shown) if h[0] != "#"], [])
        self.assertEqual(re.findall(r"url\((?!#)[^)]*", shown), [])

    def test_aborts_in_other_code_are_forgotten(self):
        self.add(self.boot(name="old"))
        self.add(self.boot(name="same"), self.boot(name="other", build="kunit"))
        self.assertIn("f", report.load(self.path)["boot 6.12.5 old"]["entries"])
        self.add(self.boot([l.replace("39400022", "39400023") for l in LOG]))
        found = {k.split()[-1]: list(p["entries"]) for k, p in report.load(self.path).items()}
        self.assertEqual(found, {"old": [], "same": [], "other": ["f"], "suites": ["f"]})


class Parts(Report):
    def test_boot(self):
        part = self.boot()
        self.assertEqual((part["kernel"], part["qemu"], part["seconds"]), ("6.12.5", "10.0.2", 12))
        self.assertEqual(part["suites"], [["copy_mc_in_kernel", 2, 0, 1, True],
                                          ["sea_decision", 6, 1, 1, True]])
        self.assertIn("sea_decision.decision_outcome[kload: SEA, claimed] failed",
                      part["problems"])
        self.assertNotIn("endurance", part)

    def test_entries(self):
        self.assertEqual(self.boot()["entries"], {"f": {
            "4": ["39400022", "load", 7, ""],
            "8": ["39400403", "load", 0, "not used on a CPU with FEAT_MOPS"]}})

    def test_decisions(self):
        self.assertEqual(self.boot()["decisions"], {
            "none": {"SEA, claimed": ["passed", ""], "SEA on a store": ["passed", ""],
                     page.EACH_CODE: ["passed", ""]},
            "kload": {"SEA, claimed": ["failed", "f"], "SEA on a store": ["passed", "D"],
                      page.EACH_CODE: ["passed", ""], page.USER_ADDRESS: ["passed", "D"]},
            "bpf": {"SEA, claimed": ["skipped", ""]}})

    def test_decisions_made_twice(self):
        one = types.SimpleNamespace
        results = [one(name=f"decision_outcome[kload: {fault}]", status="passed")
                   for fault in ("SEA, claimed", "SEA on a store")]
        results.append(one(name="decision_user_access[kload]", status="passed"))
        again = [*results[:1], one(name=results[1].name, status="failed"), results[2]]
        self.assertEqual(report.decisions(
            [one(name="sea_decision", results=r) for r in (results, again)],
            ["[    1.500000]     # sea_decision: kload fD O"]), {"kload": {
                "SEA, claimed": ["passed", "f"], "SEA on a store": ["failed", "D"],
                page.USER_ADDRESS: ["passed", "O"]}})

    def test_left(self):
        self.assertEqual(self.boot(LOG + LEFT)["left"], {
            "one": {"size": 4, "left": [4, 3, 2, 1], "model": [4, 4, 2, 1]}})

    def test_endurance(self):
        lines = [f"[ {n:4}.000000] Memory failure: 0x1: recovery action for dirty LRU page: "
                 "Recovered" for n in range(1, 1002)]
        lines += ["#    12 by load", "#   1001 aborts in all, 5 accesses made again", "# 1 more"]
        found = report.endurance([types.SimpleNamespace(name="endurance")], lines)
        self.assertEqual(found["counts"], [[12, "by load"],
                                           [1001, "aborts in all, 5 accesses made again"]])
        self.assertLessEqual(len(found["curve"]), report.POINTS + 1)
        self.assertEqual((found["curve"][-1], found["curve"][0]), ([1001.0, 1001], [5.0, 5]))
        self.assertIsNone(report.endurance([types.SimpleNamespace(name="rig")], lines))


class Page(Report):
    def test_verdict(self):
        good = [l.replace("not ok", "ok") for l in LOG]
        text = self.add(self.boot(good, problems=[]))
        self.assertIn("\u2713 Good", text)
        self.assertNotIn("\u2717", text)
        text = self.add(self.boot(name="nomte", problems=["suite x panics"]))
        self.assertIn("\u2717 1 problem<", text)
        self.assertIn("<li>6.12.5 nomte: suite x panics</li>", text)

    def test_grid(self):
        text = self.add(self.boot(), self.boot(LOG[:LOG.index("ok 1 copy_mc_in_kernel") + 1],
                                               name="nomte"))
        rows = self.section(text, "suites-by-machine").splitlines()
        self.assertRegex(rows[1], r"copy_mc_in_kernel\|+2\|+\+1\|+2\|+\+1\|")
        self.assertRegex(rows[2], r"sea_decision\|+\u2717 1 failed\|+\u2013\|")
        text = self.add(self.boot(LOG[:15]))
        self.assertRegex(self.section(text, "suites-by-machine").splitlines()[1],
                         r"copy_mc_in_kernel\|.*\|\u2717 ended after 2\|")

    def test_decisions_that_were_not_made_are_not_drawn(self):
        rows = self.section(self.add(self.boot()), "decision-on-a-fault-in-kernel-mode")
        rows = {r.strip("|").split("|")[0]: re.split(r"\|+", r.strip("|"))[1:]
                for r in rows.splitlines()}
        self.assertEqual(rows["SEA, claimed"], ["passed", "\u2717 failed", "not run"])
        self.assertEqual(rows["SEA on a store"], ["passed", "dies", "not run"])
        self.assertEqual(rows[page.USER_ADDRESS], ["not run", "dies", "not run"])

    def test_each_load(self):
        code = {"kind": "code", "kernel": "6.12.5", "name": "user", "routines": {"f": [
            [0, "bti c", "", ""], [4, "ldrb w2, [x1]", "KLOAD_SEA", "+0x10"],
            [8, "ldrb w3, [x1, #1]", "KLOAD_SEA", "+0x10"],
            [12, "ldrb w4, [x1, #2]", "KLOAD_SEA", "+0x10"]]}}
        text = self.add(self.boot(), self.boot(name="twice"), code)
        rows = self.section(text, "aborts-by-instruction").splitlines()
        self.assertRegex(rows[1], r"\|f\|+4\|+3\|+1\|+1\|+1\|+14\|")
        self.assertIn("|14||+0x4||ldrb w2, [x1]||KLOAD_SEA||+0x10|", rows[4])
        self.assertIn("|unused with MOPS||+0x8||", rows[5])
        self.assertIn("|never tried||+0xc||", rows[6])
        self.assertIn('<tr class="never">', text)
        self.assertIn('<details open="open">', text)
        other = self.boot([l.replace("not used on a CPU with FEAT_MOPS", "2 aborts, all recovered")
                           for l in LOG], name="nomops")
        lost = self.add({**code, "routines": {"g": []}})
        self.assertIn("code is not that of the build any more: f.", lost)
        code["routines"]["f"].pop()
        text = self.add(other, code)
        self.assertIn("|4||+0x8||ldrb w3, [x1, #1]||", self.section(text, "aborts-by-instruction"))
        self.assertNotIn("<details open", text)

    def test_sections_without_data_are_not_there(self):
        text = self.add(self.boot())
        self.assertEqual(re.findall(r'<section id="([^"]+)"', text),
                         ["boots", "suites-by-machine", "decision-on-a-fault-in-kernel-mode"])

    def test_tables(self):
        text = page.render({p["kind"]: {"at": "", **p} for p in (
            EXAMPLES["mutate"], EXAMPLES["test"], EXAMPLES["against"])})
        rows = self.section(text, "mutations").splitlines()
        self.assertRegex(rows[1], "late.*survived")     # what is wrong comes first
        self.assertRegex(rows[2], r"early\|.*\|killed\|+copy_iter x\|")
        self.assertIn("|6.12 sparse||failed||3 warnings|", self.section(text, "checks"))
        rows = self.section(text, "against-an-earlier-run")
        self.assertIn("|memcpy||10||15||+5 (+50.0%)|", rows)
        self.assertRegex(rows, r"New, 2: \|a, b; d\|.*Gone, 1: \|c\|")
        self.assertIn("\u2717 2 problems", text)

    @unittest.skipUnless(DRAWS, "needs python3-matplotlib")
    def test_charts(self):
        text = page.render({k: {"at": "", **p} for k, p in EXAMPLES.items()} |
                           {"boot": self.boot(LOG + LEFT, endurance=CURVE)})
        self.assertEqual(text.count("<svg"), 5)
        self.assertNotIn("@chart", text)
        ids = re.findall(r'\bid="([^"]+)"', text)
        self.assertEqual(len(ids), len({*ids}))
        for name in re.findall(r'(?:url\(|href=")#([^")]+)', text):
            self.assertIn(name, ids)
        self.assertIn(">instructions<", text)       # text, not curves

    @unittest.skipUnless(DRAWS, "needs python3-matplotlib")
    def test_the_same_data_is_the_same_chart(self):
        chart = {"a": {"kind": "lines", "series": [{"label": "b", "x": [1, 2], "y": [3, 4]}]}}
        self.assertEqual(page.draw(chart), page.draw(chart))

    def test_drawing_that_fails(self):
        with unittest.mock.patch.object(packages, "PYTHON", "/bin/false"), \
                self.fails("draw.py: failed$"):
            page.draw({"a": {}})


def counts():
    return [{"routine": r, "size": size, "source": 0, "to": to, "instructions": size + to}
            for r in page.ROUTINES for size in (1, 64, 4096) for to in (0, 1)]


CURVE = {"curve": [[1.5, 1], [2.5, 2]], "counts": [[2, "by load"], [2, "aborts in all"]]}
EXAMPLES = {
    "compare": {"kind": "compare", "kernel": "6.12.5", "qemu": "10.0.2", "scenarios": [
        {"name": f"callers:a_scenario_with_a_long_name_{n}",
         "unpatched": {"status": "panic", "words": "synchronous external abort: " * 3},
         "patched": {"status": "passed", "words": ""}} for n in range(40)]},
    "bench": {"kind": "bench", "kernel": "7.3.1", "qemu": "10.0.2",
              "counts": {"MOPS on": counts(), "MOPS off": counts()},
              "system": {"base": {"fault": 100}, "patched": {"fault": 101}},
              "targets": [{"where": "MOPS off", "name": "few", "met": False, "number": "9"}]},
    "mutate": {"kind": "mutate", "kernel": "7.3.1", "qemu": "10.0.2", "mutations": [
        {"name": "early", "description": "is early", "outcome": "killed",
         "detail": "killed by copy_iter x"},
        {"name": "late", "description": "is late", "outcome": "survived", "detail": "SURVIVED"}],
        "problems": ["late survived"]},
    "test": {"kind": "test", "rows": [["6.12 sparse", "failed", "3 warnings"]],
             "problems": ["FAILED 6.12 sparse: 3 warnings"]},
    "against": {"kind": "against", "kernel": "7.3.1", "name": "counts", "file": "old.json",
                "earlier": "7.3.0", "same": 7,
                "rows": [["memcpy", 10, 15], ["a, b", None, 1], ["c", 2, None], ["d", None, 0]]},
}


class Earlier(Report):
    def against(self, old, new):
        write(self.tmp, "old.json", json.dumps(old))
        args = arguments(self.path, against=os.path.join(self.tmp, "old.json"))
        return report.against(args, new)

    def test_kunit(self):
        def run(**status):
            return {"copy_mc": {"kernel": "6.12.5"}, "sub_groups": [
                {"name": "s", "sub_groups": [], "test_cases": [
                    {"name": n, "status": s} for n, s in status.items()]}]}

        found = self.against(run(a="PASS", b="PASS", c="SKIP"), run(a="PASS", b="FAIL", d="PASS"))
        self.assertEqual((found["same"], found["earlier"]), (1, "6.12.5"))
        self.assertEqual(found["rows"], [["s.b", "passed", "failed"], ["s.c", "skipped", None],
                                         ["s.d", None, "passed"]])

    def test_others(self):
        about = {"kernel": "7.3.1"}
        for old, new, row in (
                ({"counts": {"MOPS on": counts()[:1]}, "system": {}},
                 {"counts": {"MOPS on": [{**counts()[0], "instructions": 9}]}, "system": {}},
                 ["memcpy, 1 bytes, +0/+0, MOPS on", 1, 9]),
                ({"scenarios": [{"name": "a", "unpatched": {"status": "panic", "words": "x"},
                                 "patched": {"status": "passed", "words": ""}}]},
                 {"scenarios": [{"name": "a", "unpatched": {"status": "panic", "words": "x"},
                                 "patched": {"status": "hang", "words": ""}}]},
                 ["a, patched", "passed", "hang"]),
                ({"mutations": [{"name": "m", "outcome": "killed"}]},
                 {"mutations": [{"name": "m", "outcome": "survived"}]},
                 ["m", "killed", "survived"]),
                ({"programs": [{"name": "p", "tests": [{"name": "t", "status": "passed"}]}]},
                 {"programs": [{"name": "p", "tests": []}]}, ["p.t", "passed", None])):
            self.assertEqual(self.against({**about, **old}, {**about, **new})["rows"], [row])

    def test_bad_input(self):
        write(self.tmp, "list.json", "[]")
        write(self.tmp, "text.json", "x")
        for name, what in (("list.json", "is no JSON of these tools"), ("text.json", "is no JSON"),
                           ("none.json", "no such file"), (".", "is no JSON")):
            with self.fails(f"^--against {self.tmp}/{name}: {what}"):
                report.check(arguments(self.path, against=os.path.join(self.tmp, name)))
        with self.fails("^--against: is for --report"):
            report.check(arguments(None, against="old.json"))
        with self.fails("old.json: is of another tool"):
            self.against({"mutations": []}, {"scenarios": [], "kernel": ""})
        self.assertIsNone(report.against(arguments(self.path), {}))


class Tools(Case):
    def test_refused_before_anything_is_built(self):
        write(self.tmp, "x.html", "mine")
        for name in ("run", "test", "compare", "bench", "mutate"):
            with unittest.mock.patch("sys.argv", [name, "--report", f"{self.tmp}/x.html"]), \
                    unittest.mock.patch.object(packages, "need") as need, \
                    unittest.mock.patch.object(packages, "run"), \
                    self.fails("x.html: exists and is no page"):
                tool(name).main()
            need.assert_not_called()
        with self.fails("^--report: has nothing to say of --init"):
            tool("run").options(["--report", "x.html", "--init", "x"])

    def main(self, name, *words, **patches):
        """Runs a tool with parts of it made up; what is in the page then."""
        module, path = tool(name), os.path.join(self.tmp, "page.html")
        with contextlib.ExitStack() as stack:
            for where, new in patches.items():
                *names, last = where.split("__")
                stack.enter_context(unittest.mock.patch.object(
                    operator.attrgetter(names[0])(module) if names else module, last, new))
            stack.enter_context(unittest.mock.patch(
                "sys.argv", [name, "--kernel", self.kernel, "--build-dir", self.build,
                             "--report", path, *words]))
            stack.enter_context(unittest.mock.patch.object(packages, "need"))
            module.main()
        return report.load(path)

    def result(self, **more):
        write(self.tmp, "boot/test.log", "\n".join(LOG))
        write(self.tmp, "boot/test.json", json.dumps({"sub_groups": [], "test_cases": []}))
        tree = types.SimpleNamespace(version="6.12.5", home=self.tmp, top=self.kernel)
        return kunit.Run(tree, "6.12.5", kunit.USER, "qemu", (10, 0, 2),
                         os.path.join(self.tmp, "boot"), times={"boot": 1, "all": 2},
                         verdict=judged(ktap.Log, LOG, "", [], []), **more)

    def test_run(self):
        found = self.main("run", kunit__run=lambda *_: self.result(), kunit__check_asked=nothing)
        self.assertEqual(list(found), ["boot 6.12.5 suites"])
        write(self.tmp, "old.json", json.dumps({"copy_mc": {"kernel": "6.12.4"}, "test_cases": [
            {"name": "a", "status": "PASS"}]}))
        found = self.main("run", "--against", os.path.join(self.tmp, "old.json"), "copy_iter",
                          kunit__run=lambda *_: self.result(), kunit__check_asked=nothing)
        self.assertEqual(list(found)[1:], ["boot 6.12.5 suites copy_iter",
                                           "against 6.12.5 suites copy_iter"])
        self.assertEqual(found["against 6.12.5 suites copy_iter"]["rows"], [["a", "passed", None]])

    @unittest.skipUnless(DRAWS, "needs python3-matplotlib")
    def test_compare(self):
        rows = [compare.Row(f"callers:{s}", compare.Outcome("panic", "SEA"), compare.Outcome(s))
                for s in ("passed", "hang")]
        found = self.main(
            "compare", kunit__prepare=lambda *_: contextlib.nullcontext(self.result()),
            kunit__build=nothing, boots=lambda *_: rows)["compare 6.12.5"]
        self.assertEqual([s["name"] for s in found["scenarios"]],
                         ["callers:passed", "callers:hang"])
        self.assertEqual(found["problems"], ["callers:hang on the patched kernel: hang"])

    @unittest.skipUnless(DRAWS, "needs python3-matplotlib")
    def test_bench(self):
        costs = ({"fault": 100, bench.KSMD: 9}, {"fault": 109, bench.KSMD: 9})
        for words, problems in ([], []), (["--strict"], ["faults and system calls at most 1.005 "
                                                         "times the base kernel's: at most "
                                                         "1.0900, fault"]):
            found = self.main(
                "bench", *words, count=lambda *_: (self.result(), bench.parse(bench_log())),
                boot=lambda *_: (None, ["bench-aborts: 1 in 9 ns"]), system_calls=lambda _: costs,
                bench__user_code=lambda _: SAME, checks__Kernel=lambda *_: None)["bench 6.12.5"]
            self.assertEqual(found["problems"], problems)
            self.assertEqual(found["system"], {"base": costs[0], "patched": costs[1]})

    def test_mutate(self):
        write(self.repo, f"{mutate.DIR}/late.patch", "is late\n--- a/x\n")
        tree = unittest.mock.MagicMock()
        tree.home = self.tmp
        found = self.main(
            "mutate", tree__select=lambda _: (tree, nothing), kunit__using=contextlib.nullcontext,
            mutate__of=lambda _, those: those, mutate__trees=lambda *_: {"late": ""},
            baseline=lambda *_: self.result(), attempt=lambda *_: ("survived", "SURVIVED"))
        found = found["mutate 6.12.5"]
        self.assertEqual([m["outcome"] for m in found["mutations"]], ["survived"])
        self.assertEqual(found["problems"], [f"{mutate.DIR}/late.patch, is late: SURVIVED"])

    def test_names_of_boots(self):
        run = tool("run")
        for words, name in (([], "suites"), (["--variant", "nomte"], "nomte"),
                            (["copy_iter"], "suites copy_iter"), (["--deaths"], "deaths"),
                            (["--variant", "nomte", "--selftests", "rig"], "selftests-nomte rig"),
                            (["--endurance", "5"], "endurance"), (["--modules"], "modules"),
                            (["--variant", "nomops", "--variant", "cpus2"], "nomops+cpus2")):
            self.assertEqual(run.boot_name(run.options(words)[0]), name)
        self.assertEqual(page.machine("selftests-nomte rig"), "with NVDIMMs, without MTE")
        self.assertEqual(page.machine("nomops+cpus2"), "without MOPS, with two CPUs")
        self.assertEqual(page.machine("kasan-async"), "KASAN asynchronous")
        self.assertEqual(page.machine("suites"), "")


@unittest.skipUnless(shutil.which(GCC), f"needs {GCC}")
class Listing(Case):
    SOURCE = """
        .text
        .globl  f
        .type   f, %function
f:      hint    #34
1:      ldrb    w2, [x1]
2:      ldrb    w3, [x1, #1]
        b       f
3:      ret
        .size   f, . - f
        .section __ex_table, "a"
        .globl  __start___ex_table
__start___ex_table:
        .long   1b - ., 3b - .
        .short  6, 0
        .long   2b - ., g - .
        .short  2, 0
        .text
g:      ret
"""

    def link(self):
        write(self.tmp, "f.S", self.SOURCE)
        vmlinux = os.path.join(self.tmp, "vmlinux")
        subprocess.run([GCC, "-nostdlib", "-static", "-Wl,-e,f", "-o", vmlinux,
                        os.path.join(self.tmp, "f.S")], check=True)
        write(self.tmp, "arch/arm64/include/asm/asm-extable.h",
              "#define EX_TYPE_UACCESS_ERR_ZERO 2\n#define EX_TYPE_KLOAD_SEA\t\t6\n")
        return vmlinux

    def test_code_and_entries(self):
        vmlinux = self.link()
        found = listing.routines(vmlinux, self.tmp, {"f": {4: "39400022"}, "none": {}})
        self.assertEqual(found, {"f": [
            [0, "bti c", "", ""], [4, "ldrb w2, [x1]", "KLOAD_SEA", "+0x10"],
            [8, "ldrb w3, [x1, #1]", "UACCESS_ERR_ZERO", "elsewhere"], [12, "b f", "", ""],
            [16, "ret", "", ""]]})
        # Other code is not what ran.
        self.assertEqual(listing.routines(vmlinux, self.tmp, {"f": {4: "39400023"}}), {})

    def test_which_build(self):
        os.makedirs(os.path.join(self.tmp, "user"))
        os.rename(self.link(), os.path.join(self.tmp, "user", "vmlinux"))
        prepared = types.SimpleNamespace(version="6.12.5", home=self.tmp, top=self.tmp)
        boot = {"kind": "boot", "kernel": "6.12.5", "build": "user",
                "entries": {"f": {"4": ["39400022", "load", 1, ""]}}}
        parts = [boot, {**boot, "build": "gone"},
                 {**boot, "kernel": "7.3", "entries": {"f": {"4": ["00000000", "load", 1, ""]}}},
                 {"kind": "bench"}]
        found = list(report.code(prepared, parts))
        self.assertEqual([(p["name"], list(p["routines"])) for p in found], [("user", ["f"])])


CHROMIUM = shutil.which("chromium")


@unittest.skipUnless(CHROMIUM, "needs chromium, which shows the page")
@unittest.skipUnless(DRAWS, "needs python3-matplotlib")
class Shown(Report):
    # A window has its least width, a frame has not.
    FRAME = """<title>none</title><script>onmessage = e => document.title = e.data</script>
<iframe src="measured.html" style="border: 0; width: {}px; height: 900px"></iframe>"""
    MEASURE = """<script>
const wide = [...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll > *") &&
    e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName);
parent.postMessage(["measured", innerWidth, document.documentElement.scrollWidth, ...wide]
    .join(" "), "*");
</script>"""

    def test_no_page_is_wider_than_the_screen(self):
        code = {"kind": "code", "kernel": "6.12.5", "name": "user", "routines": {
            "f": [[n, "ldrb w2, [x1, #1234567]" * 3, "KLOAD_SEA", "+0x10"] for n in range(9)]}}
        text = self.add(self.boot(LOG + LEFT, endurance=CURVE, problems=["long_" * 99]),
                        *EXAMPLES.values(), code,
                        *(self.boot(name=f"boot-{n}") for n in range(12)))
        write(self.tmp, "measured.html", text.replace("</body>", self.MEASURE + "</body>"))
        for width in (1280, 390):
            with self.subTest(width=width):
                write(self.tmp, "frame.html", self.FRAME.format(width))
                p = subprocess.run(
                    [CHROMIUM, "--headless=new", "--disable-gpu", "--hide-scrollbars",
                     "--disable-dev-shm-usage",
                     *(["--no-sandbox"] if not os.geteuid() else []),
                     f"--user-data-dir={self.tmp}/profile", "--window-size=1400,1000",
                     "--virtual-time-budget=5000", "--dump-dom", f"file://{self.tmp}/frame.html"],
                    capture_output=True, text=True, check=False, timeout=120)
                if p.returncode:
                    self.skipTest(f"chromium does not run here: {p.stderr[-200:]}")
                m = re.search(r"<title>measured (\d+) (\d+)([^<]*)", p.stdout)
                self.assertTrue(m, p.stderr[-500:])
                self.assertEqual((int(m[1]), int(m[2]), m[3]), (width, width, ""))
