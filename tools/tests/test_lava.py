# SPDX-License-Identifier: GPL-2.0-only
"""Jobs for LAVA: what they boot, what they read, and what they hold it against."""

import hashlib
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
    ok 4 lsui # SKIP needs LSUI
    not ok 5 both # SKIP needs MTE
# copy_one: pass:1 fail:1 skip:1 total:3
not ok 1 copy_one
[  208.488804][   T12]     ok 1 genuine
[  208.491131] ok 2 sea_two
not an ok 3 of any
ok 7 poison.write_pipe
ok 8 poison.cow_mte # SKIP needs MTE
""".replace("\n", "\r\n")

SUITES = {"copy_one": ["good", "bad"], "copy_two": ["sweep"], "sea_three": ["good"]}


class Lava(Case):
    def setUp(self):
        super().setUp()
        self.tree = tree.Tree(self.build, "6.12")
        self.made(self.tree)
        for module, name, new in (
                (lava.judge, "suites", lambda _top, slow=True: {
                    s: [c for c in cases if slow or c != "sweep"] for s, cases in SUITES.items()}),
                (tree, "REPO", os.path.dirname(os.path.dirname(os.path.dirname(
                    os.path.abspath(__file__))))),
                (tree.Tree, "version", property(lambda t: os.path.basename(t.home) + ".1"))):
            patch = unittest.mock.patch.object(module, name, new)
            patch.start()
            self.addCleanup(patch.stop)
        write(self.tmp, "QEMU_EFI.fd", "bios")
        patch = unittest.mock.patch.object(lava, "BIOS", os.path.join(self.tmp, "QEMU_EFI.fd"))
        patch.start()
        self.addCleanup(patch.stop)

    @staticmethod
    def made(prepared):
        """What is built of it."""
        write(prepared.top, "tools/testing/kunit/qemu_configs/arm64.py",
              "from ..qemu_config import QemuArchParams\nQEMU_ARCH = QemuArchParams(\n"
              "    kernel_command_line='console=ttyAMA0', extra_qemu_params=['-machine', 'virt', "
              "'-cpu', 'max'])\n")
        for path in lava.Files(prepared).local.values():
            if path.startswith(prepared.home):
                write(os.path.dirname(path), os.path.basename(path), "file")

    def jobs(self, kernel="6.12", only=None, **more):
        return lava.jobs(self.tree, kernel, only, **more)

    @staticmethod
    def parts(job):
        deploy, _boot, test = (next(iter(a.values())) for a in job["actions"])
        return deploy["images"], {m["name"]: m for m in test["monitors"]}

    def append(self, job):
        return re.fullmatch(r'-kernel \{kernel\} -append "(.*)"',
                            self.parts(job)[0]["kernel"]["image_arg"])[1].split()

    def found(self, indent, have, log=LOG):
        how = lava.results(indent, have)
        return [(m["test_case_id"], how["fixupdict"][m["result"]])
                for m in re.finditer(how["pattern"], log)]

    def test_results(self):
        cases = [("good", "pass"), ("bad", "fail"), ("mte", "skip"), ("lsui", "skip"),
                 ("both", "fail"), ("genuine", "pass")]
        self.assertEqual(self.found(4, []), cases)
        cases[2] = ("mte", "fail")
        self.assertEqual(self.found(4, ["RIG", "MTE"]), cases)
        self.assertEqual(self.found(0, ["MTE"])[-2:], [("poison.write_pipe", "pass"),
                                                       ("poison.cow_mte", "fail")])
        self.assertEqual(self.found(0, [])[0], ("copy_one", "fail"))

    def test_parameters_that_are_skipped(self):
        """All of them: the case's own line does not say why."""
        log = ("\r\n        ok 1 a pair, of 16 # SKIP needs MTE\r\n        ok 2 b # SKIP needs LSUI\r"
               "\n        ok 3 c\r\n    ok 1 each # SKIP\r\n")
        self.assertEqual(self.found(4, ["MTE"], log), [("a pair, of 16", "fail"), ("each", "skip")])
        self.assertEqual(self.found(4, [], log), [("each", "skip")])

    def test_half_a_line(self):
        """What comes from a console comes in pieces."""
        for line in ("\r\nok 1 goo", "\r\nok 1 good # SKI", "\r\nok 1 good # SKIP needs MT",
                     "\r\nnot ok 1 goo"):
            self.assertEqual(self.found(0, ["MTE"], line), [])

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
        monitors = self.parts(jobs["suites-copies"])[1]
        self.assertEqual({n: m["expected"] for n, m in monitors.items()},
                         {"copy_one": ["bad", "good"], "copy_two": []})
        self.assertEqual(self.parts(jobs["nomte-copies"])[1]["copy_two"]["expected"], ["sweep"])
        self.assertEqual(list(self.parts(jobs["suites-others"])[1]), ["sea_three"])
        append = self.append(jobs["suites-copies"])
        self.assertIn("kunit.filter=speed>slow", append)
        self.assertIn("kunit.filter_glob=copy*", append)
        self.assertIn("kunit_shutdown=reboot", append)
        self.assertNotIn("kunit.filter=speed>slow", self.append(jobs["nomte-copies"]))
        self.assertIn("kasan.mode=async", self.append(jobs["kasan-async-others"]))
        deaths = self.append(jobs["deaths"])
        self.assertIn("copy_mc_test.sea_deaths=1", deaths)
        for name in ("suites-others", "selftests"):
            self.assertLess({"oops=panic", "panic_on_warn=1"}, {*self.append(jobs[name])})
        self.assertFalse({"oops=panic", "panic_on_warn=1"} & {*deaths})
        for monitor in monitors.values():
            self.assertTrue(re.search(monitor["start"], LOG.replace("copy_one", monitor["name"])))
        for line in ("\r\nok 2 copy_one\r", "\r\nnot ok 2 copy_one\r",
                     "\r\n[  208.491131] ok 2 copy_one\r"):
            self.assertTrue(re.search(monitors["copy_one"]["end"], line))
        for line in ("\r\n    ok 2 copy_one\r", "\r\nok 2 copy_one_more\r"):
            self.assertFalse(re.search(monitors["copy_one"]["end"], line))

    def test_what_must_not_skip(self):
        jobs = self.jobs()
        for name, wanted in (("suites-others", "fail"), ("plain-others", None),
                             ("nomte-others", "fail")):
            fixup = self.parts(jobs[name])[1]["sea_three"]["fixupdict"]
            self.assertEqual(fixup.get(" # SKIP needs RIG"), wanted, name)
        self.assertNotIn(" # SKIP needs MTE", fixup)
        self.assertNotIn(" # SKIP needs MOPS", fixup)      # 6.12

    def test_programs(self):
        write(self.repo, f"{selftests.DIR}/Makefile", "TEST_GEN_PROGS := one endurance\n")
        write(self.repo, f"{selftests.DIR}/one.c", "TEST(alone)\n{\n}\n\nTEST_F(poison, write)\n")
        with unittest.mock.patch.object(tree, "REPO", self.repo), \
                unittest.mock.patch.object(selftests, "qemu_arch", lambda _: unittest.mock.Mock(
                    extra_qemu_params=["-machine", "virt", "-cpu", "max"],
                    kernel_command_line="panic=-1")):
            job = lava.programs_job("selftests", lava.Files(self.tree), self.tree, ())
        self.assertEqual(self.append(job)[-2:], ["--", "one"])
        monitor = self.parts(job)[1]["kselftest"]
        self.assertEqual(monitor["expected"], ["global_alone", "poison_write"])
        self.assertIn(" # SKIP needs NODES", monitor["fixupdict"])
        self.assertTrue(re.search(monitor["end"], "copy_mc: exit 12\r\n"))
        self.assertFalse(re.search(monitor["end"], "copy_mc: exit 1"))

    def test_machine(self):
        jobs = self.jobs()
        context = jobs["nomte-copies"]["context"]
        # A device's dictionary may set these, and is heard before the job.
        self.assertEqual({"machine", "cpu", "memory"} & {*context}, set())
        machines = [o for o in context["extra_options"] if o.startswith("-machine ")]
        self.assertIn("mte=on", machines[0])
        self.assertEqual(machines[1:], ["-machine mte=off,nvdimm=on"])
        self.assertIn("-no-reboot", context["extra_options"])
        self.assertFalse([o for o in context["extra_options"] if re.match("-(initrd|bios)", o)])
        self.assertEqual(self.parts(jobs["nomte-copies"])[0]["bios"]["image_arg"], "-bios {bios}")
        plain = jobs["plain-others"]
        self.assertIn("-machine virt", plain["context"]["extra_options"])
        self.assertIn("-m 1G", plain["context"]["extra_options"])
        self.assertNotIn("bios", self.parts(plain)[0])
        self.assertEqual([self.append(j).count("panic=-1") for j in (plain, jobs["nomte-copies"])],
                         [1, 1])
        options = lava.device(context)["actions"]["boot"]["methods"]["qemu"]["parameters"]
        self.assertEqual(options["extra"], context["extra_options"])

    def test_where_files_are(self):
        image = os.path.join(kunit.USER.dir(self.tree.home), kunit.IMAGE)
        images = self.parts(self.jobs()["suites-others"])[0]
        self.assertEqual(images["kernel"]["url"], f"file://{image}")
        images = self.parts(self.jobs(url="https://lab.example/k/")["suites-others"])[0]
        self.assertEqual({i["url"] for i in images.values()},
                         {f"https://lab.example/k/{n}" for n in lava.Files(self.tree).local})
        self.assertEqual(images["kernel"]["sha256sum"], hashlib.sha256(b"file").hexdigest())

    def test_whose_devices(self):
        self.assertNotIn("tags", self.jobs()["suites-others"])
        self.assertEqual(self.jobs(tags=["qemu-10"])["suites-others"]["tags"], ["qemu-10"])

    def test_option_without_a_value(self):
        with unittest.mock.patch.object(selftests, "qemu_arch", lambda _: unittest.mock.Mock(
                extra_qemu_params=["-nodefaults", "-cpu", "max", "-S"], kernel_command_line="")), \
                self.fails("max is no option"):
            self.jobs()

    def test_tool(self):
        out = os.path.join(self.tmp, "out")
        with unittest.mock.patch("sys.argv", ["jobs", "lava", out, "--build-dir", self.build,
                                              "--url", "https://lab.example", "--kernel", "7.3"]), \
                unittest.mock.patch.object(kunit, "prepare") as prepare, \
                unittest.mock.patch.object(kunit, "build"), \
                unittest.mock.patch.object(selftests, "pack"):
            newer = prepare.return_value.__enter__.return_value.tree = tree.Tree(self.build, "7.3")
            self.made(newer)
            tool("jobs").main()
        names = {n.removesuffix(".yaml") for n in os.listdir(out)} - {".jobs"}
        self.assertEqual({n for n in names if not n.endswith(".device")},
                         {f"7.3-{n}" for n in lava.jobs(newer, "7.3", "7.3")})
        for name in names:
            json.loads(read(out, f"{name}.yaml"))
        device = json.loads(read(out, "7.3-dt-others.device.yaml"))
        self.assertEqual(device["available_architectures"], ["arm64"])

    def test_no_url(self):
        for url in ("storage", "/srv/kernels", "https://", "https://a b"):
            with unittest.mock.patch("sys.argv", ["jobs", "lava", self.tmp, "--url", url]), \
                    self.fails(f"^--url {url}: is no URL"):
                tool("jobs").main()

    def test_what_others_wrote_stays(self):
        out = os.path.join(self.tmp, "out")
        write(out, "mine", "1\n")
        with unittest.mock.patch("sys.argv", ["jobs", "lava", out]), \
                unittest.mock.patch.object(kunit, "prepare", self.fail), \
                self.fails("out/mine: was not written by this tool"):
            tool("jobs").main()
