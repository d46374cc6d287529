# SPDX-License-Identifier: GPL-2.0-only
"""What goes to kunit.py, and what is made of its builds."""

import os
import re
import tempfile
import time
import types
import unittest
import unittest.mock

from lib import kunit, packages, tree, ui
from lib.ui import Fail
from tests.fake import Case, read, write


class Arguments(unittest.TestCase):
    def test_each_goes_where_it_is_known(self):
        build, execute = kunit.split_arguments(
            ["--kernel_args", "a=b", "--kconfig_add=CONFIG_X=y", "--make_options", "W=1",
             "--filter=speed>slow", "--jobs", "3"])
        self.assertEqual(build, ["--kconfig_add=CONFIG_X=y", "--make_options", "W=1", "--jobs", "3"])
        self.assertEqual(execute, ["--kernel_args", "a=b", "--kconfig_add=CONFIG_X=y",
                                   "--make_options", "W=1", "--filter=speed>slow"])

    def test_features_that_a_run_must_have(self):
        new, old, suites = (10, 0, 2), (7, 2, 22), kunit.SUITES
        for version, qemu, machine, extra, want in (
                ("6.12.117", new, suites, [], ["RIG", "ACPI", "MTE"]),
                ("6.12.117", old, kunit.USER, [], ["RIG", "ACPI"]),
                ("7.3.4", new, suites, [], ["RIG", "ACPI", "MTE", "MOPS"]),
                ("7.3.4", old, suites, [], ["RIG", "ACPI"]),
                ("7.3.4", new, suites.but("nomte"), [], ["RIG", "ACPI", "MOPS"]),
                ("7.3.4", new, suites.but("nomops"), [], ["RIG", "ACPI", "MTE"]),
                ("7.3.4", new, suites.but("dt"), [], ["RIG", "MTE", "MOPS"]),
                ("7.3.4", new, suites.but("dt", "nomte"), [], ["RIG", "MOPS"]),
                ("7.3.4", new, suites.but("plain"), [], ["MOPS"]),
                ("7.3.4", new, suites.but("kasan-async"), [],
                 ["RIG", "ACPI", "MTE", "MOPS", "KASAN_ASYNC"]),
                ("7.3.4", new, suites, ["--kernel_args=x arm64.nomops"], ["RIG", "ACPI", "MTE"]),
                ("7.3.4", new, suites, ["--kernel_args", "arm64.nomte"], ["RIG", "ACPI", "MOPS"]),
                ("6.12.117", new, suites, ["--kernel_args=copy_mc_test.sea_deaths=1"],
                 ["RIG", "ACPI", "MTE", "DEATHS"]),
                ("7.3.4", new, suites, ["--qemu_config=x"], []),
                ("7.3.4", new, suites, ["--qemu_args", "-cpu cortex-a57"], [])):
            self.assertEqual(kunit.must_have(version, qemu, machine, extra), want,
                             (version, qemu, machine, extra))

    def test_features_that_a_run_must_lack(self):
        new, old, suites = (10, 0, 2), (7, 2, 22), kunit.SUITES
        for qemu, machine, extra, want in (
                (new, suites, [], []),
                (old, suites, [], ["MTE"]),
                (new, suites.but("dt"), [], ["ACPI"]),
                (new, suites.but("plain"), [], ["ACPI", "MTE", "RIG"]),
                (new, suites.but("vhe"), [], ["ACPI", "RIG"]),
                (old, suites.but("plain"), ["--qemu_config=x"], []),
                (new, suites.but("nomops"), ["--kernel_args=kasan.mode=async"], ["MOPS"]),
                (new, suites, ["--kernel_args=kasan=off arm64.nomte"], ["KASAN_TAGS", "MTE"])):
            self.assertEqual(kunit.must_lack(qemu, machine, extra), want, (qemu, machine, extra))

    def test_old_qemu_is_without_mte(self):
        for qemu, machine, off in (((10, 0, 0), kunit.SUITES, False),
                                   ((9, 2, 4), kunit.SUITES, True), ((7, 2, 22), kunit.USER.but("dt"), True),
                                   ((7, 2, 22), kunit.SUITES.but("plain"), False)):
            self.assertEqual(kunit.hardware(qemu, machine), kunit.MTE_OFF if off else ())

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

    def test_machines(self):
        prepared = types.SimpleNamespace(top="/b/6.12/linux", home="/b/6.12")
        for machine, build, qemu in (
                (kunit.SUITES, "/b/6.12/kunit", "tools/qemu/arm64.py"),
                (kunit.USER, "/b/6.12/user", "tools/qemu/arm64.py"),
                (kunit.SUITES.but("nomops"), "/b/6.12/kunit", "tools/qemu/arm64.py"),
                (kunit.USER.but("lockdep", "dt"), "/b/6.12/user-lockdep", "tools/qemu/arm64_dt.py"),
                (kunit.SUITES.but("plain"), "/b/6.12/kunit", None)):
            common = kunit.command(prepared, machine)[1]
            self.assertIn(f"--build_dir={build}", common)
            self.assertEqual([o for o in common if o.startswith("--qemu_config")],
                             [f"--qemu_config={tree.REPO}/{qemu}"] if qemu else [])
            self.assertEqual([o.partition("=")[2] for o in common if o.startswith("--kunitconfig")],
                             [os.path.join(tree.REPO, c) for c in machine.config])
            self.assertIn("--build_dir=/elsewhere",
                          kunit.command(prepared, machine, "/elsewhere")[1])
        self.assertEqual(len(kunit.SUITES.but("16k", "kvm").options), 3)
        self.assertEqual(kunit.SUITES.but("nomops", "cpus2").arguments, "arm64.nomops maxcpus=2")
        self.assertEqual(kunit.SUITES.but(), kunit.SUITES)

    def test_files_of_all_machines(self):
        for name in (None, *kunit.VARIANTS):
            machine = kunit.USER.but(*([name] if name else []))
            for file in (*machine.config, *([machine.qemu] if machine.qemu else [])):
                self.assertTrue(os.path.exists(os.path.join(tree.REPO, file)), file)

    def test_a_symbol_that_was_renamed(self):
        for config, symbol in (("config CFI\nconfig CFI_CLANG\n", "CFI"),
                               ("config CFI_CLANG\n", "CFI_CLANG")):
            with tempfile.TemporaryDirectory() as top:
                write(top, "arch/Kconfig", config)
                self.assertEqual(kunit.build_options(kunit.SUITES.but("rt", "kcfi"), top), (
                    "--kconfig_add=CONFIG_PREEMPT_RT=y", "--make_options=LLVM=-19",
                    f"--kconfig_add=CONFIG_{symbol}=y"))

    def test_fragments_agree(self):
        """kunit.py takes no symbol that two files say different things of."""
        said = {}
        for config in kunit.USER.config:
            for line in read(tree.REPO, config).splitlines():
                if m := re.fullmatch(r"(?:# )?(CONFIG_\w+)(?:=(.*)| is not set)", line):
                    self.assertEqual(said.setdefault(m[1], m[2]), m[2], f"{config}: {line}")


class Globs(Case):
    def setUp(self):
        super().setUp()
        write(self.repo, "kunit/a_kunit.c", """
static struct kunit_case a_cases[] = {
	KUNIT_CASE_PARAM(reads, gen),
	KUNIT_CASE_PARAM_ATTR(sweeps, gen, SLOW),
	{}
};
static struct kunit_suite a_suite = {
	.name = "alpha",
	.test_cases = a_cases,
};
static struct kunit_suite b_suite = {
	.name = "beta",
	.test_cases = b_cases,
};
""")

    def test_selected(self):
        for glob, want in (("", ["alpha", "beta"]), ("*a", ["alpha", "beta"]), ("al*", ["alpha"]),
                           ("alpha.reads", ["alpha"]), ("*.sw*", ["alpha", "beta"]),
                           ("beta.whatever", ["beta"])):
            self.assertEqual(kunit.check_glob(glob), want, glob)

    def test_refused(self):
        with self.fails("^no suite matches 'gamma'; there are: alpha, beta$"):
            kunit.check_glob("gamma")
        with self.fails("^alpha.writes: no such case; alpha has: reads, sweeps$"):
            kunit.check_glob("alpha.writes")

    def test_suites_of_the_kernels_own(self):
        with unittest.mock.patch.object(ui, "warn") as warn:
            for extra in (["--kunitconfig=x"], ["--alltests"], ["--alltests", "--kconfig_add=X=y"]):
                kunit.check_asked("gamma", extra, self.tmp)
            kunit.check_asked("alpha", ["--kconfig_add=X=y"], self.tmp)
            warn.assert_not_called()
            kunit.check_asked("gamma", ["--kconfig_add", "X=y"], self.tmp)
            warn.assert_called_once_with("no suite matches 'gamma'; there are: alpha, beta; "
                                         "--kconfig_add may bring others")
        with self.fails("^no suite matches 'gamma'"):
            kunit.check_asked("gamma", ["--jobs=1"], self.tmp)

    def test_of_a_tree_with_edits(self):
        write(self.tmp, "kunit/c_kunit.c",
              'static struct kunit_suite x = {\n\t.name = "gamma",\n};\n')
        self.assertEqual(kunit.check_glob("gamma", self.tmp), [])


class Stamp(Case):
    """make is asked if anything changed, and only then."""

    def setUp(self):
        super().setUp()
        write(self.repo, ".kunitconfig", "CONFIG_KUNIT=y\n")
        self.asked = []
        patch = unittest.mock.patch.object(kunit, "build_with_progress", self.make)
        patch.start()
        self.addCleanup(patch.stop)
        self.machine, self.during = kunit.SUITES, None

    def make(self, cmd, _top, build, *_rest):
        self.asked.append(cmd)
        if self.during:
            self.during()
        for name in (kunit.IMAGE, ".config"):
            write(build, name, str(len(self.asked)))

    def made(self, extra=()):
        prepared, count = self.prepare(), len(self.asked)
        result = kunit.Run(prepared, "6.12.5", self.machine, "qemu", (10,),
                           self.machine.dir(prepared.home))
        kunit.build(types.SimpleNamespace(jobs=1), result, extra)
        return len(self.asked) - count

    def test_not_asked_again(self):
        self.assertEqual([self.made(), self.made()], [1, 0])

    def test_asked_again(self):
        self.made()
        top = os.path.join(self.build_dir(), "linux")

        def changes():
            yield write(top, "lib/old.c", "int edited;\n")
            yield write(top, "lib/fresh.c", "int fresh;\n")
            yield write(self.repo, ".kunitconfig", "CONFIG_KUNIT=y\nCONFIG_X=y\n")
            yield write(self.repo, kunit.SUITES.qemu, "QEMU_ARCH = None\n")
            yield write(self.build_dir(), f"kunit/{kunit.IMAGE}", "other")
            yield write(self.build_dir(), "kunit/.config", "other")
            yield os.unlink(os.path.join(self.build_dir(), "kunit", kunit.IMAGE))
            yield os.environ.update(KCFLAGS="-g")
            yield os.environ.pop("KCFLAGS")

        for n, _ in enumerate(changes()):
            self.assertEqual([self.made(), self.made()], [1, 0], n)
        self.assertEqual([self.made(["--kconfig_add=CONFIG_Y=y"]), self.made()], [1, 1])

    def build_dir(self):
        return self.select()[0].home

    def test_edited_while_it_builds(self):
        self.prepare()
        top = os.path.join(self.build_dir(), "linux")
        self.during = lambda: write(top, "lib/old.c", "int edited;\n")
        self.assertEqual(self.made(), 1)
        self.during = None
        self.assertEqual([self.made(), self.made()], [1, 0])

    def test_failed(self):
        def fail():
            raise Fail("no")
        self.made()
        self.during = fail
        write(self.repo, "lib/ours.c", "int other;\n")
        with self.fails("no"):
            self.made()
        self.during = None
        self.assertEqual([self.made(), self.made()], [1, 0])

    def test_boot_beside_others(self):
        self.made()
        prepared = self.prepare()
        result = kunit.Run(prepared, "6.12.5", self.machine, "qemu", (10,),
                           self.machine.dir(prepared.home))
        for _ in range(2):
            other = kunit.beside(result, "nomte")
            self.assertEqual(read(other.dir, kunit.IMAGE), "1")
        self.assertEqual(other.log, os.path.join(prepared.home, "boots/nomte/test.log"))


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
