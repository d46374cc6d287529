# SPDX-License-Identifier: GPL-2.0-only
"""Jobs for LAVA: what they boot, what they read, and what they hold it against."""

import json
import os
import re
import unittest.mock

from lib import boots, kunit, lava, selftests, tree
from tests.fake import Case, read, tool, write

LOG = """
KTAP version 1
1..2
    KTAP version 1
    # Subtest: copy_one
    1..3
        KTAP version 1
        # Subtest: each
        ok 1 memcpy_mc
    ok 1 good
    not ok 2 bad
    ok 3 mte # SKIP needs MTE
# copy_one: pass:1 fail:1 skip:1 total:3
not ok 1 copy_one
[  208.488804]     ok 1 genuine
[  208.491131] ok 2 sea_two
ok 7 poison.write_pipe
ok 8 poison.cow_mte # SKIP needs MTE
not an ok 3 of any
""".replace("\n", "\r\n")

SUITES = {"copy_one": ["good", "bad"], "copy_two": ["sweep"], "sea_three": ["good"]}


class Lava(Case):
    def setUp(self):
        super().setUp()
        self.tree = tree.Tree(self.build, "6.12")
        for module, name, new in (
                (lava.judge, "suites", lambda _top, slow=True: {
                    s: [c for c in cases if slow or c != "sweep"] for s, cases in SUITES.items()}),
                (tree, "REPO", os.path.dirname(os.path.dirname(os.path.dirname(
                    os.path.abspath(__file__)))))):
            patch = unittest.mock.patch.object(module, name, new)
            patch.start()
            self.addCleanup(patch.stop)
        write(self.tree.top, "tools/testing/kunit/qemu_configs/arm64.py",
              "from ..qemu_config import QemuArchParams\nQEMU_ARCH = QemuArchParams(\n"
              "    kernel_command_line='console=ttyAMA0', extra_qemu_params=['-machine', 'virt', "
              "'-cpu', 'max'])\n")

    def jobs(self, kernel="6.12", only=None, **more):
        return lava.jobs(self.tree, kernel, only, **more)

    @staticmethod
    def parts(job):
        deploy, boot, test = (next(iter(a.values())) for a in job["actions"])
        return deploy["images"], boot, test["monitors"][0]

    def append(self, job):
        return re.fullmatch(r'-kernel \{kernel\} -append "(.*)"',
                            self.parts(job)[0]["kernel"]["image_arg"])[1].split()

    def test_results(self):
        found = [(m["test_case_id"], lava.FIXUP[m["result"]])
                 for m in re.finditer(lava.RESULT, LOG)]
        self.assertEqual(found, [("good", "pass"), ("bad", "fail"), ("mte", "skip"),
                                 ("copy_one", "fail"), ("genuine", "pass"), ("sea_two", "pass"),
                                 ("poison.write_pipe", "pass"), ("poison.cow_mte", "skip")])

    def test_half_a_line(self):
        """What comes from a console comes in pieces."""
        for line in ("\r\nok 1 goo", "\r\nok 1 good # SKI"):
            self.assertIsNone(re.search(lava.RESULT, line))

    def test_names(self):
        self.assertEqual(lava.case_id("poison.Write pipe "), "poison_write_pipe")

    def test_as_many_as_boots(self):
        for kernel in ("6.12", "7.3"):
            for only in (None, kernel):
                names = {n.removesuffix("-copies").removesuffix("-others")
                         for n in self.jobs(kernel, only)}
                self.assertEqual(names, {b[0] for b in boots.of(kernel, only)} |
                                 {name for name, _ in boots.SELFTESTS})

    def test_shards(self):
        with unittest.mock.patch.dict(lava.SHARDS, {"more": "sea*"}), \
                self.fails("SHARDS have not each suite once"):
            self.jobs()
        with unittest.mock.patch.dict(lava.SHARDS, {"others": "[!cs]*"}), \
                self.fails("SHARDS have not each suite once"):
            self.jobs()

    def test_suites(self):
        jobs = self.jobs()
        monitor = self.parts(jobs["suites-copies"])[2]
        self.assertEqual(monitor["expected"], ["bad", "copy_one", "copy_two", "good"])
        self.assertEqual(self.parts(jobs["nomte-copies"])[2]["expected"],
                         ["bad", "copy_one", "copy_two", "good", "sweep"])
        self.assertEqual(self.parts(jobs["suites-others"])[2]["expected"], ["good", "sea_three"])
        append = self.append(jobs["suites-copies"])
        self.assertIn("kunit.filter=speed>slow", append)
        self.assertIn("kunit.filter_glob=copy*", append)
        self.assertIn("kunit_shutdown=reboot", append)
        self.assertNotIn("kunit.filter=speed>slow", self.append(jobs["nomte-copies"]))
        self.assertIn("kasan.mode=async", self.append(jobs["kasan-async-others"]))
        self.assertIn("copy_mc_test.sea_deaths=1", self.append(jobs["deaths"]))

    def test_programs(self):
        write(self.repo, f"{selftests.DIR}/Makefile", "TEST_GEN_PROGS := one endurance\n")
        with unittest.mock.patch.object(tree, "REPO", self.repo), \
                unittest.mock.patch.object(selftests, "qemu_arch", lambda _: unittest.mock.Mock(
                    extra_qemu_params=["-machine", "virt", "-cpu", "max"],
                    kernel_command_line="panic=-1")):
            job = lava.programs_job("selftests", lava.Files(self.tree), self.tree, ())
        self.assertEqual(self.append(job)[-2:], ["--", "one"])
        end = self.parts(job)[2]["end"]
        self.assertTrue(re.search(end, "copy_mc: exit 0\r\n"))
        self.assertFalse(re.search(end, "copy_mc: exit 1\r\n") or
                         re.search(end, "copy_mc: exit 01\r\n"))

    def test_machine(self):
        jobs = self.jobs()
        context = jobs["nomte-copies"]["context"]
        self.assertIn("mte=on", context["machine"])
        self.assertIn("-machine mte=off,nvdimm=on", context["extra_options"])
        self.assertIn("-no-reboot", context["extra_options"])
        self.assertFalse([o for o in context["extra_options"] if re.match("-(initrd|bios)", o)])
        self.assertEqual(self.parts(jobs["nomte-copies"])[0]["bios"]["image_arg"], "-bios {bios}")
        plain = jobs["plain-others"]
        self.assertEqual((plain["context"]["machine"], plain["context"]["memory"]), ("virt", "1G"))
        self.assertNotIn("bios", self.parts(plain)[0])
        options = lava.device(context)["actions"]["boot"]["methods"]["qemu"]["parameters"]
        self.assertIn(f"-m {context['memory']}", options["options"])
        self.assertEqual(options["extra"], context["extra_options"])

    def test_where_files_are(self):
        image = os.path.join(kunit.USER.dir(self.tree.home), kunit.IMAGE)
        images = self.parts(self.jobs()["suites-others"])[0]
        self.assertEqual(images["kernel"]["url"], f"file://{image}")
        images = self.parts(self.jobs(url="https://lab.example/k/")["suites-others"])[0]
        self.assertEqual({i["url"] for i in images.values()},
                         {f"https://lab.example/k/{n}" for n in lava.Files(self.tree).local})

    def test_tool(self):
        out = os.path.join(self.tmp, "out")
        with unittest.mock.patch("sys.argv", ["jobs", "lava", out, "--build-dir", self.build,
                                              "--url", "https://lab.example", "--kernel", "7.3"]), \
                unittest.mock.patch.object(kunit, "prepare") as prepare, \
                unittest.mock.patch.object(kunit, "build"), \
                unittest.mock.patch.object(selftests, "pack"):
            prepare.return_value.__enter__.return_value.tree = tree.Tree(self.build, "7.3")
            write(os.path.join(self.build, "7.3/linux"),
                  "tools/testing/kunit/qemu_configs/arm64.py",
                  read(self.tree.top, "tools/testing/kunit/qemu_configs/arm64.py"))
            tool("jobs").main()
        names = {n.removesuffix(".yaml") for n in os.listdir(out)} - {".series"}
        self.assertEqual({n for n in names if not n.endswith(".device")},
                         {f"7.3-{n}" for n in self.jobs("7.3", "7.3")})
        for name in names:
            json.loads(read(out, f"{name}.yaml"))
        device = json.loads(read(out, "7.3-dt-others.device.yaml"))
        self.assertEqual(device["available_architectures"], ["arm64"])

    def test_what_others_wrote_stays(self):
        out = os.path.join(self.tmp, "out")
        write(out, "mine", "1\n")
        with unittest.mock.patch("sys.argv", ["jobs", "lava", out]), \
                unittest.mock.patch.object(kunit, "prepare", self.fail), \
                self.fails("out/mine: was not written by this tool"):
            tool("jobs").main()
