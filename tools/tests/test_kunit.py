# SPDX-License-Identifier: GPL-2.0-only
"""What goes to kunit.py, and what is made of its builds."""

import os
import tempfile
import time
import types
import unittest
import unittest.mock

from lib import kunit, packages, tree, ui
from lib.ui import Fail
from tests.fake import read, write


class Arguments(unittest.TestCase):
    def test_each_goes_where_it_is_known(self):
        build, execute = kunit.split_arguments(
            ["--kernel_args", "a=b", "--kconfig_add=CONFIG_X=y", "--make_options", "W=1",
             "--filter=speed>slow", "--jobs", "3"])
        self.assertEqual(build, ["--kconfig_add=CONFIG_X=y", "--make_options", "W=1", "--jobs", "3"])
        self.assertEqual(execute, ["--kernel_args", "a=b", "--kconfig_add=CONFIG_X=y",
                                   "--make_options", "W=1", "--filter=speed>slow"])

    def test_features_that_a_run_must_have(self):
        new, old = (10, 0, 2), (7, 2, 22)
        for version, qemu, machine, extra, want in (
                ("6.12.117", new, kunit.MTE, [], ["MTE"]),
                ("7.3.4", new, kunit.MTE, [], ["MTE", "MOPS"]),
                ("7.3.4", old, kunit.MTE, [], []),
                ("7.3.4", new, kunit.PLAIN, [], ["MOPS"]),
                ("7.3.4", new, kunit.MTE, ["--kernel_args=x arm64.nomops"], ["MTE"]),
                ("7.3.4", new, kunit.MTE, ["--kernel_args", "arm64.nomte"], ["MOPS"]),
                ("7.3.4", new, kunit.MTE, ["--kernel_args=sea_deaths=1"],
                 ["MTE", "MOPS", "DEATHS"]),
                ("7.3.4", new, kunit.MTE, ["--kernel_args=kasan.mode=async"],
                 ["MTE", "MOPS", "KASAN_ASYNC"]),
                ("6.12.117", old, kunit.RIG, [], ["RIG"]),
                ("7.3.4", new, kunit.RIG, [], ["RIG", "MOPS"]),
                ("6.12.117", old, kunit.RIG_DT, [], ["RIG"]),
                ("7.3.4", new, kunit.RIG, ["--qemu_config=x"], []),
                ("7.3.4", new, kunit.MTE, ["--qemu_args", "-cpu cortex-a57"], [])):
            self.assertEqual(kunit.must_have(version, qemu, machine, extra), want,
                             (version, extra))

    def test_features_that_a_run_must_lack(self):
        for machine, extra, want in (
                (kunit.MTE, [], ["RIG"]),
                (kunit.PLAIN, [], ["MTE", "RIG"]),
                (kunit.RIG, [], ["MTE"]),
                (kunit.RIG_DT, [], ["MTE"]),
                (kunit.PLAIN, ["--qemu_config=x"], []),
                (kunit.MTE, ["--kernel_args=arm64.nomops", "--kernel_args=kasan.mode=async"],
                 ["MOPS", "RIG"]),
                (kunit.MTE, ["--kernel_args=kasan=off arm64.nomte"],
                 ["MTE", "KASAN_TAGS", "RIG"])):
            self.assertEqual(kunit.must_lack(machine, extra), want, extra)

    def test_compiler(self):
        for have, want, fits in (("12.2.0", "8.1.0", True), ("7.5.0", "8.1.0", False),
                                 ("8.1.0", "8.1.0", True), ("", "8.1.0", False)):
            with tempfile.TemporaryDirectory() as top, unittest.mock.patch.object(
                    packages, "run", lambda *cmd, h=have, w=want: (0, h if "gcc" in cmd[0] else w, "")):
                write(top, "scripts/min-tool-version.sh", "")
                if fits:
                    self.assertEqual(kunit.check_compiler(top), have)
                else:
                    with self.assertRaisesRegex(Fail, "too old, this kernel needs 8.1.0"
                                                if have else "does not run"):
                        kunit.check_compiler(top)

    def test_qemu_configuration(self):
        self.assertIn("mte=on", read(tree.REPO, kunit.MTE.qemu))
        self.assertIn("ras=on", read(tree.REPO, kunit.RIG.qemu))

    def test_machines(self):
        prepared = types.SimpleNamespace(top="/b/6.12/linux", home="/b/6.12")
        for machine, build, config, qemu in (
                (kunit.MTE, "/b/6.12/kunit", "", kunit.MTE.qemu),
                (kunit.PLAIN, "/b/6.12/kunit", "", None),
                (kunit.RIG, "/b/6.12/rig", "kunit/rig", kunit.RIG.qemu)):
            common = kunit.command(prepared, machine)[1]
            self.assertIn(f"--build_dir={build}", common)
            self.assertIn(f"--kunitconfig={os.path.join(tree.REPO, config)}", common)
            self.assertEqual([o for o in common if o.startswith("--qemu_config")],
                             [f"--qemu_config={tree.REPO}/{qemu}"] if qemu else [])
            self.assertTrue(os.path.exists(os.path.join(tree.REPO, config, ".kunitconfig")))
            self.assertEqual(machine.log(prepared.home), f"{build}/test.log")
        files = [m.file("/b/6.12", "objects") for m in (kunit.MTE, kunit.PLAIN, kunit.RIG)]
        self.assertEqual(len(set(files)), 2)


class Build(unittest.TestCase):
    def build(self, script):
        with tempfile.TemporaryDirectory() as top, \
                open(os.path.join(top, "said"), "w+", encoding="utf-8") as said, \
                unittest.mock.patch.object(ui, "out", said):
            build, log = os.path.join(top, "b"), os.path.join(top, "log")
            try:
                kunit.build_with_progress(["sh", "-c", script], top, build, log,
                                          os.path.join(top, "total"))
                return read(top, "total")
            finally:
                said.seek(0)
                self.said = said.read()

    def test_objects_are_counted_for_the_next_time(self):
        self.assertEqual(self.build("touch b/x.o b/y.o"), "2")
        self.assertIn("2 objects in", self.said)

    def test_failure_shows_the_compiler_from_its_first_error(self):
        with self.assertRaisesRegex(Fail, "the kernel does not build"):
            self.build("echo CC x; echo 'x.c:1: error: no'; echo more >&2; exit 2")
        self.assertEqual(self.said.split("\n")[:2], ["   x.c:1: error: no", "   more"])

    def test_no_child_is_left(self):
        with self.assertRaises(KeyboardInterrupt), \
                kunit.process(["sh", "-c", "sleep 1000 & sleep 1000"]) as p:
            raise KeyboardInterrupt
        self.assertNotEqual(p.returncode, None)
        with self.assertRaises(ProcessLookupError):
            for _ in range(100):
                os.killpg(p.pid, 0)
                time.sleep(0.05)


class Objects(unittest.TestCase):
    def test_counted_where_they_are(self):
        with tempfile.TemporaryDirectory() as top:
            for name in ("a.o", "lib/b.o", "lib/c.c"):
                write(top, name, "")
            os.symlink("/", os.path.join(top, "source"))
            os.utime(os.path.join(top, "a.o"), (1, 1))
            self.assertEqual(kunit.objects(top), 2)
            self.assertEqual(kunit.objects(top, since=2), 1)
