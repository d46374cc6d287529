# SPDX-License-Identifier: GPL-2.0-only
"""User space's tests: what goes into the initramfs, what is booted, what init is told."""

import argparse
import dataclasses
import hashlib
import os
import struct
import subprocess
import sys
import time
import types
import unittest.mock

from lib import compare, judge, ktap, kunit, selftests, tree
from tests.fake import Case, judged, read, tool, write
from tests.test_judge import GOOD, SELFTEST

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

MAKEFILE = """\
TEST_GEN_PROGS := one two \\
	endurance
all:
	touch $(OUTPUT)/init $(OUTPUT)/cost $(addprefix $(OUTPUT)/,$(TEST_GEN_PROGS))
"""
# What the machine says of itself before it comes to the tests.
BOOTED = ["[    0.000000] ACPI: RSDP 0x1", "[    0.000000] Initmem setup node 1 [mem 0x6]",
          *SELFTEST]
SOURCE = """\
TEST_F(poison, read)
{
}

TEST_F_TIMEOUT(poison, slow,
	       60)
{
}
TEST(plain) { }
TEST_SIGNAL(killed, SIGBUS) { }
TEST_F(other, read) { }
	TEST_F(poison, inside_something) { }
/* TEST(no) */
"""


SUITE = """\
static struct kunit_case x_cases[] = {
	KUNIT_CASE(reads),
};

static struct kunit_suite x_suite = {
	.name = "x",
	.test_cases = x_cases,
};
"""


class Selftests(Case):
    def setUp(self):
        super().setUp()
        write(self.repo, f"{selftests.DIR}/Makefile", MAKEFILE)
        for name in ("arm64.py", "arm64_dt.py"):
            write(self.repo, f"tools/qemu/{name}", read(TOOLS, f"qemu/{name}"))
        write(self.repo, f"{selftests.DIR}/one.c", SOURCE)
        write(self.repo, f"{selftests.DIR}/endurance.c", "TEST(all) { }\n")

    def run_of(self, *variants, qemu=(10, 0, 2)):
        machine = kunit.USER.but(*variants)
        return kunit.Run(types.SimpleNamespace(home=self.build, top=self.kernel), "6.12.5", machine, "qemu", qemu,
                         machine.dir(self.build))


class Known(Selftests):
    def test_of_the_sources(self):
        self.assertEqual(selftests.Known(), {"one": ["read", "slow", "plain", "killed"], "two": [],
                                             "endurance": ["all"]})

    def test_of_a_tree_with_edits(self):
        prepared = self.prepare()
        write(prepared.top, f"{selftests.DIR}/two.c", "TEST(fresh) { }\n")
        self.assertEqual(selftests.Known(prepared)["two"], ["fresh"])
        self.assertEqual(selftests.Known()["two"], [])

    def test_words(self):
        known = selftests.Known()
        self.assertEqual(known.words([]), ["one", "two"])
        for words in (["two"], ["one:read", "two", "one"], ["endurance"]):
            self.assertEqual(known.words(words), words)
        for words, text in ((["three"], "^three: no such program; there are: one, two, endurance$"),
                            (["one", "x:read"], "^x:read: no such program"),
                            (["modules"], "^modules: takes a kernel of its own; give --modules"),
                            (["one:write"], "^one:write: no such test; one has: read, slow, "),
                            (["one:"], "^one:: no such test"),
                            (["two:x"], "two has: none"),
                            (["one"] * 32, "the kernel passes 31 at most")):
            with self.fails(text):
                known.words(words)

    def test_scenarios(self):
        known, found = selftests.Known(), ["one:read", "one:slow", "one:plain", "one:killed"]
        for globs, want in (([], found), (["one"], found), (["*:s*"], ["one:slow"]),
                            (["one:read", "o*:p*"], ["one:read", "one:plain"])):
            self.assertEqual(known.scenarios(globs), want)
        with self.fails("^two: no such scenario; see --list$"):
            known.scenarios(["one:read", "two"])

    def test_the_repository_has_some(self):
        tree.REPO = os.path.dirname(TOOLS)
        known = selftests.Known()
        self.assertTrue(selftests.ENDURANCE in known and all(known.values()), known)


class Modules(Selftests):
    """The suites as a module."""

    KTAP = [f"[    1.{n:06}] {line}" for n, line in enumerate(GOOD)]
    BOOT = ["[    0.000000] ACPI: RSDP 0x1", *KTAP, *SELFTEST]

    def run_of(self, *variants, **more):
        run = super().run_of(*variants, **more)
        machine = selftests.with_modules(run.machine)
        return dataclasses.replace(run, machine=machine, dir=machine.dir(self.build))

    def verdict(self, lines):
        run = self.run_of()
        run.verdict = selftests.verdict(run, lines, ["one"], False, 9)
        selftests.judge_suites(run, lines, ["copy_mc", "sea_decision"])
        return run.verdict

    def test_where_the_module_comes_from(self):
        run = kunit.beside(self.run_of(), selftests.MODULES)
        told = []
        with unittest.mock.patch.multiple(
                selftests, boot_programs=lambda *args: told.extend(args),
                Programs=lambda *_: types.SimpleNamespace(files=lambda: {"/init": "i"}),
                initramfs=lambda *args: told.extend(args)):
            write(self.repo, "kunit/x_kunit.c", SUITE)
            selftests.boot_modules(argparse.Namespace(jobs=1), run)
        build = f"{self.build}/user-modules"
        self.assertEqual(told[:3], [f"{build}/initramfs.cpio", {
            "/init": "i", "/copy_mc_test.ko": f"{build}/kunit/copy_mc_test.ko"}, build])
        self.assertEqual(told[6:], [["modules"], "kunit.enable=1 kunit.filter=speed>slow suites=1,1",
                                    ["x"]])

    def test_built_from_what_there_is(self):
        run, machine, told = self.run_of(), super().run_of().machine, []
        with unittest.mock.patch.object(kunit, "build", lambda *args: told.append(args)):
            write(self.build, "user/a.o", "object")
            selftests.build_modules(None, run, machine)
            self.assertFalse(os.path.exists(run.dir))       # it may be half built
            write(self.build, "user.stamp", "")
            write(self.build, "user-modules.new/b.o", "an earlier try")
            selftests.build_modules(None, run, machine)
        self.assertEqual(os.listdir(run.dir), ["a.o"])
        self.assertEqual(told, [(None, run)] * 2)

    def test_suites_are_judged(self):
        v = self.verdict(self.BOOT)
        self.assertLess({"copy_mc", "sea_decision"}, {s.name for s in v.suites})
        problems = " ".join(v.problems)
        for old, new, text in (("ok 1 lengths", "not ok 1 lengths", "copy_mc.lengths failed"),
                               ("needs MOPS", "tired", "copy_mc.tags was skipped for no known"),
                               ("sea_decision", "other", "missing: suite sea_decision")):
            self.assertNotIn(text, problems)
            lines = [line.replace(old, new) for line in self.BOOT]
            self.assertIn(text, " ".join(self.verdict(lines).problems))


class Programs(Selftests):
    def programs(self):
        return selftests.Programs(self.prepare(), 1)

    def test_built_outside_of_the_tree(self):
        programs = self.programs()
        self.assertEqual(programs.names, ["one", "two", "endurance"])
        self.assertEqual(self.prepare().edits(), [])
        self.assertEqual(list(programs.files()), ["/init", "/cost", "/one", "/two", "/endurance"])
        for file in programs.files().values():
            self.assertTrue(os.path.exists(file))

    def test_that_do_not_build(self):
        write(self.repo, f"{selftests.DIR}/Makefile",
              MAKEFILE.replace("touch", "echo one.c:1:1: error: no; false"))
        with self.fails(r"^the selftests do not build: one.c:1:1: error: no \(see .*\.log\)$"):
            self.programs()

    def test_none(self):
        for rules, text in ((MAKEFILE.partition("all:")[0] + "all:\n\t@true\n",
                             "make leaves no one in "),
                            ("all:\n", "names no test"),
                            (None, "names no test")):
            if rules:
                write(self.repo, f"{selftests.DIR}/Makefile", rules)
            else:
                for name in os.listdir(os.path.join(self.repo, selftests.DIR)):
                    os.unlink(os.path.join(self.repo, selftests.DIR, name))
            with self.fails(text):
                self.programs()


class Initramfs(Selftests):
    PACKER = "#!/bin/sh\n[ $1 = -t ] && cat $3\n"

    def pack(self, packer):
        if packer:
            write(self.tmp, "b/usr/gen_init_cpio", packer, 0o755)
        write(self.tmp, "p", "", 0o755)
        write(self.tmp, "l", "", 0o644)
        files = {f"/{n}": os.path.join(self.tmp, "p") for n in ("init", "one")}
        return selftests.initramfs(os.path.join(self.tmp, "cpio"),
                                   {**files, "/a/lib/l": os.path.join(self.tmp, "l")},
                                   os.path.join(self.tmp, "b"))

    def test_content(self):
        with self.fails("gen_init_cpio: missing; the kernel's configuration lacks"):
            self.pack(None)
        with open(self.pack(self.PACKER), "rb") as f:
            tables, _, listing = f.read().partition(b"TRAILER!!!")
        self.assertTrue(tables.startswith(b"070701"))
        self.assertIn(b"kernel/firmware/acpi/SRAT.aml\0", tables)
        listing = listing.decode()
        for text in ("nod /dev/console 0600 0 0 c 5 1", f"file /init {self.tmp}/p 0755 0 0\n",
                     f"file /a/lib/l {self.tmp}/l 0644 0 0\n", "file /ext2.img "):
            self.assertIn(text, listing)
        self.assertLess(listing.index("dir /a 0755 0 0\n"), listing.index("dir /a/lib 0755 0 0\n"))

    def test_packer_that_fails(self):
        with self.fails("^gen_init_cpio: no$"):
            self.pack("#!/bin/sh\necho no >&2\nexit 1\n")

    def test_disk_is_the_same_each_time(self):
        path, digests = os.path.join(self.tmp, "ext2.img"), set()
        for wait in (1.1, 0):
            selftests.disk_image(path)
            with open(path, "rb") as f:
                digests.add(hashlib.sha256(f.read()).hexdigest())
            time.sleep(wait)
        self.assertEqual(len(digests), 1)
        self.assertEqual(os.path.getsize(path), 1 << 20)
        p = subprocess.run(["/sbin/debugfs", "-R", "cat file", path], capture_output=True,
                           check=True)
        self.assertTrue(p.stdout == bytes((i // 4096 * 7 + i) & 0xff for i in range(65536)))


class Boot(Selftests):
    def test_command(self):
        cmd = selftests.command(self.run_of("nomops"), "/i", ["one:read", "two"], "endurance=1,2")
        line = cmd[cmd.index("-append") + 1]
        self.assertRegex(line, r"^console=ttyAMA0 .*acpi=force .* kunit.enable=0 arm64.nomops "
                               r"endurance=1,2 -- one:read two$")
        self.assertEqual([w for a, w in zip(cmd, cmd[1:]) if a == "-initrd"], ["/i"])
        self.assertEqual(cmd[cmd.index("-kernel") + 1],
                         f"{self.build}/user/arch/arm64/boot/Image.gz")
        self.assertTrue([w for w in cmd if "virtualization=on" in w])
        self.assertNotIn("mte=off", cmd)
        self.assertFalse([m for m in sys.modules if m.startswith("rig_kunit")])

    def test_command_of_others(self):
        cmd = selftests.command(self.run_of("dt", qemu=(7, 2, 22)), "/i", ["one"], build="/other")
        self.assertEqual([w for a, w in zip(cmd, cmd[1:]) if a == "-initrd"], ["/i"])
        self.assertEqual(cmd[cmd.index("-kernel") + 1], "/other/arch/arm64/boot/Image.gz")
        self.assertNotIn("-bios", cmd)
        self.assertEqual(cmd[-2:], ["-machine", "mte=off"])

    def test_table_of_nodes(self):
        options = selftests.qemu_arch(os.path.join(TOOLS, "qemu/arm64.py")).extra_qemu_params
        with open(options[options.index("-initrd") + 1], "rb") as f:
            data = f.read()
        table = data[data.index(b"SRAT", data.index(b"SRAT.aml") + 4):]
        table = table[:struct.unpack_from("<I", table, 4)[0]]
        self.assertEqual(sum(table) & 0xff, 0)
        self.assertEqual(len(data) % 4, 0)
        parts, at = [], 48
        while at < len(table):
            parts.append((table[at], table[at + 1]))
            at += table[at + 1]
        self.assertEqual(parts, [(3, 18)] * 4 + [(1, 40)] * 3)
        self.assertEqual(at, len(table))

    def boot(self, script, timeout=10):
        log, seen = os.path.join(self.tmp, "log"), []
        lines, hung = selftests.boot(["sh", "-c", script], log, timeout, seen.append)
        self.assertEqual(lines, seen)
        self.assertEqual(read("/", log), "".join(line + "\n" for line in lines))
        return lines, hung

    def test_lines(self):
        self.assertEqual(self.boot("printf 'a\\r\\nb[    1.000000] k\\r\\nc\\r\\n'"),
                         (["a", "[    1.000000] k", "bc"], False))

    def test_hang(self):
        start = time.monotonic()
        self.assertEqual(self.boot("echo a; exec sleep 1000", 1), (["a"], True))
        self.assertLess(time.monotonic() - start, 9)

    def verdict(self, lines, hung=False, run=None):
        return selftests.verdict(run or self.run_of("nomte"), lines, ["processes", "callers:fork"],
                                 hung, 60).problems

    def test_verdict(self):
        self.assertEqual(self.verdict(BOOTED), [])
        self.assertEqual(self.verdict(BOOTED[:-1]), ["the machine ended before init did"])
        self.assertRegex(self.verdict(BOOTED[:-1], True)[0],
                         "^the machine hung: not done after 60 s")
        self.assertEqual(self.verdict([*BOOTED[:-1], "copy_mc: exit 2"]),
                         ["init counted 2 failures"])

    def test_verdict_on_the_machine(self):
        self.assertRegex(self.verdict(BOOTED, run=self.run_of())[0], "^MTE is off although")
        self.assertRegex(self.verdict(BOOTED, run=self.run_of("dt", "nomte"))[0], "^ACPI is on")
        self.assertEqual(self.verdict(SELFTEST, run=self.run_of("dt", "nomte")), [])
        self.assertRegex(self.verdict(SELFTEST)[1], "^NODES is off although")

    def test_endurance(self):
        args, got = types.SimpleNamespace(timeout=100), []
        self.addCleanup(setattr, selftests, "run", selftests.run)
        selftests.run = lambda *a: got.append(a)
        selftests.endurance(args, 7, 1000, kunit.USER)
        [(args2, words, arguments, machine)] = got
        self.assertEqual((args2.timeout, words, arguments, machine),
                         (600, ["endurance"], "endurance=7,1000", kunit.USER))
        self.assertEqual(args.timeout, 100)


class Outcome(Case):
    def outcome(self, lines, hung=False, words=("processes", "callers:fork")):
        v = judged(lambda top: judge.SelftestLog(top, words), lines, "", words, ["RIG"])
        return compare.text(compare.outcome(lines, hung, v))

    def test_each(self):
        panic = "[    2.000000] Kernel panic - not syncing: synchronous external abort: Fatal"
        failed = [line.replace("ok 1 poison", "not ok 1 poison") for line in SELFTEST]
        failed.insert(8, "# processes.c:9:write:Expected 1 (1) == c->sigbus (0)")
        for lines, hung, want in (
                (SELFTEST, False, "passed"),
                ([*SELFTEST[:9], panic, panic + " again"], False,
                 "panic: synchronous external abort: Fatal"),
                ([*SELFTEST[:9], panic], True, "panic: synchronous external abort: Fatal"),
                (SELFTEST[:9], True, "hang"),
                (failed, False, "failed: processes.c:9:write:Expected 1 (1) == c->sigbus (0)"),
                (SELFTEST[:9], False, "failed: missing: suite callers:fork")):
            self.assertEqual(self.outcome(lines, hung), want)
        skipped = [SELFTEST[0], "TAP version 13", "1..1", "ok 1 a.b # SKIP needs KSM", SELFTEST[14]]
        self.assertEqual(self.outcome(skipped, words=("a",)), "skipped: needs KSM")

    def test_without_the_rig(self):
        result = types.SimpleNamespace(dir="/patched")
        for lines, build, good in ((BOOTED, "/unpatched", True), (BOOTED[:2], "/unpatched", False),
                                   (BOOTED[:2], "/patched", True)):
            with unittest.mock.patch.multiple(
                    selftests, command=lambda *a, **k: [], boot=lambda *a, s=lines: (s, False),
                    verdict=lambda *a: judged(ktap.Log, a[1], "", [], [])):
                if good:
                    compare.boot(result, build, "", "one:read", "/log", 9)
                    continue
                with self.fails('^/log: no "sea_rig: firmware at EL2" in it: the unpatched'):
                    compare.boot(result, build, "", "one:read", "/log", 9)

    def test_table(self):
        rows = [compare.Row("one:read", compare.Outcome("panic", "a|b"), compare.Outcome("passed"))]
        self.assertEqual(list(compare.markdown(rows))[2],
                         "| `one:read` | panic: a\\|b | passed |")
        content = compare.as_json("6.12.5", "10.0.2", rows)
        self.assertEqual(content["scenarios"], [
            {"name": "one:read", "unpatched": {"status": "panic", "words": "a|b"},
             "patched": {"status": "passed", "words": ""}}])


class Base(Case):
    """The base kernel with the rig, of a kernel whose make only tells."""

    MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 5
olddefconfig:
	grep -v -e NOT_THERE {} $(O)/.config > $(O)/tmp; mv $(O)/tmp $(O)/.config
Image.gz:
	touch $(O)/a.o
"""

    def setUp(self):
        super().setUp()
        self.makefile()
        for name in ("Kconfig", "Kbuild"):
            write(self.kernel, name, f"{name} line\n")
            self.patch(name, f"{name} line\n", f"{name} line\nhook\n")
        write(self.repo, "kunit/Kconfig", "config ARM64_SEA_RIG\n")
        write(self.repo, "kunit/rig/rig.c", "int rig;\n")
        self.config = os.path.join(self.tmp, "config")
        write(self.tmp, "config", "A=1\nCONFIG_NOT_THERE=y\nCONFIG_ARM64_SEA_RIG=y\n"
                                  "CONFIG_ARCH_HAS_COPY_MC=y\nB=1\n")

    def makefile(self, drop="-e ARCH_HAS_COPY_MC"):
        write(self.kernel, "Makefile", self.MAKEFILE.format(drop))

    def test_has_the_rig_and_no_more(self):
        prepared = self.prepare()
        build = compare.build_base(prepared, self.config, 1)
        self.assertEqual(read(build, ".config"), "A=1\nCONFIG_ARM64_SEA_RIG=y\nB=1\n")
        top = os.path.join(prepared.home, "unpatched-linux")
        self.assertEqual(read(top, "kunit/rig/rig.c"), "int rig;\n")
        self.assertEqual(read(top, "Kbuild"), "Kbuild line\nhook\n")
        self.assertFalse(os.path.exists(os.path.join(top, "lib/ours.c")))
        self.assertEqual(prepared.edits(), [])
        self.assertTrue(os.path.exists(os.path.join(build, "a.o")))

    def test_second_time_keeps_the_configuration(self):
        prepared = self.prepare()
        build = compare.build_base(prepared, self.config, 1)
        write(build, ".config", "C=1\nCONFIG_ARM64_SEA_RIG=y\n")
        compare.build_base(prepared, self.config, 1)
        self.assertIn("C=1", read(build, ".config"))
        write(self.tmp, "config", "\nCONFIG_ARM64_SEA_RIG=y\nD=1\n")
        compare.build_base(prepared, self.config, 1)
        self.assertIn("D=1", read(build, ".config"))

    def test_nothing_to_compare(self):
        self.makefile("-e XXX")
        with self.fails("CONFIG_ARCH_HAS_COPY_MC is on"):
            compare.build_base(self.prepare(), self.config, 1)
        self.makefile("-e ARM64_SEA_RIG")
        with self.fails("CONFIG_ARM64_SEA_RIG is off"):
            compare.build_base(self.prepare(), self.config, 1)

    def test_no_hook(self):
        os.unlink(os.path.join(self.repo, "Kbuild.patch"))
        with self.fails("^Kbuild.patch: missing; without it the base kernel has no rig"):
            compare.build_base(self.prepare(), self.config, 1)


class Options(Case):
    def test_good(self):
        tree.REPO = os.path.dirname(TOOLS)
        for words in (["--deaths"], ["--deaths", "sea_death"], ["--deaths", "sea_d*.*"],
                      ["--selftests", "--silence", "120"], ["--init", "x", "--variant", "dt"],
                      ["--variant", "dt", "--variant", "dt", "--variant", "nomops"]):
            tool("run").options(words)

    def test_timeout(self):
        """What one gives, or what suffices for suites, which may not be silent, or for programs."""
        tree.REPO = os.path.dirname(TOOLS)
        for words, seconds in (([], 2400), (["--selftests"], 600), (["--endurance"], 600),
                               (["--selftests", "--timeout", "2400"], 2400),
                               (["--timeout", "600"], 600)):
            self.assertEqual(tool("run").options(words)[0].timeout, seconds)

    def test_refused(self):
        tree.REPO = os.path.dirname(TOOLS)
        for words, text in (
                (["--selftests", "--variant", "dt"], "^--variant dt has no EINJ.*; --selftests"),
                (["--selftests", "--variant", "vhe"], "^--variant vhe has no genuine errors; --selftests"),
                (["--endurance", "--variant", "dt"], "^--variant dt has no EINJ.*; --endurance"),
                (["--variant", "plain", "--variant", "dt", "--variant", "lockdep"],
                 "^--variant dt and plain: each is another machine; give one"),
                (["--variant", "64k", "--variant", "16k"],
                 "^--variant 16k and 64k: each is another size of pages; give one"),
                (["--modules", "--suites-only", "ours"], "^--modules: .* not with --suites-only"),
                (["--modules", "--variant", "64k"], "^--variant 64k: --modules has programs that"),
                (["--deaths", "sea_rig"], "^sea_rig: --deaths is for the cases of sea_death"),
                (["--deaths", "sea_death.none"], "^sea_death.none: --deaths is for the cases"),
                (["--selftests", "--silence", "9"], "^--silence: is for the suites; give --self"),
                (["--endurance", "--silence", "9"], "^--silence: is for the suites"),
                (["--init", "x", "--silence", "9"], "^--silence: is for the suites")):
            with self.fails(text):
                tool("run").options(words)


class Command(Case):
    def run_tool(self, name, *args):
        return subprocess.run([sys.executable, os.path.join(TOOLS, name), *args],
                              capture_output=True, text=True, check=False)

    def test_one_line(self):
        kernel = ("--kernel", self.kernel, "--build-dir", self.build, "--no-install")
        program = os.path.join(self.tmp, "program")
        write(self.tmp, "program", "text", 0o755)
        for tool, args, text in (
                ("run", ["--selftests", "--deaths"], "only one at a time"),
                ("run", ["--selftests", "--endurance"], "only one at a time"),
                ("run", ["--modules", "--selftests"], "only one at a time"),
                ("run", ["--modules", "copy_iter"], "copy_iter: --modules takes no names"),
                ("run", ["--modules", "--variant", "dt"], "--modules needs it"),
                ("run", ["--endurance", "0"], "--endurance: '0' is no number from 1 on"),
                ("run", ["--endurance", "many"], "'many' is no number"),
                ("run", ["--endurance", "5", "one"], "one: --endurance takes no names"),
                ("run", ["--seed", "5"], "--seed: is for --endurance"),
                ("run", ["--endurance", "--seed", "-5"], "--seed"),
                ("run", ["--selftests", "--", "--filter=x"], "no part in --selftests"),
                ("run", ["--selftests", "no_such", *kernel], "no_such: no such program"),
                ("run", ["--selftests", "callers:none", *kernel], "callers:none: no such test"),
                ("run", ["--selftests", "--variant", "plain"], "plain has no genuine errors"),
                ("run", ["--variant", "rig"], "invalid choice: 'rig'"),
                ("run", ["--init", program, *kernel], "is no program that can run"),
                ("run", ["--init", "/bin/true", *kernel], "is not for arm64"),
                ("run", ["--init", "/no/such", *kernel], "/no/such: no such file"),
                ("run", ["a", "b"], "b: one GLOB at a time"),
                ("run", ["no_such_suite", *kernel], "no suite matches 'no_such_suite'"),
                ("run", ["sea_decision.none", *kernel], "sea_decision.none: no such case"),
                ("run", ["--qemu", "/no/such", *kernel], "--qemu /no/such: no such program"),
                ("run", ["--qemu", program, *kernel], "is no QEMU that runs here"),
                ("run", ["--jobs", "0", *kernel], "--jobs: '0' is no number from 1 on"),
                ("run", ["--timeout", "-1", *kernel], "--timeout: '-1' is no number from 1 on"),
                ("test", ["--jobs", "0"], "--jobs: '0' is no number from 1 on"),
                ("mutate", ["--suites", "none", *kernel], "no suite matches 'none'"),
                ("mutate", ["--qemu", "/no/such", *kernel], "--qemu /no/such: no such program"),
                ("compare", ["--kernel", "5.1"], "--kernel 5.1: no such kernel"),
                ("compare", ["no_such:test", *kernel], "no_such:test: no such scenario"),
                ("compare", ["--json", "/no/such/file"], "/no/such/file"),
                ("compare", ["--timeout", "x"], "'x' is no number"),
                ("test", ["rig"], "rig: no such test; there are: tools, suites, selftests, ")):
            p = self.run_tool(tool, *args)
            self.assertEqual((p.returncode, p.stdout), (1, ""), args)
            self.assertRegex(p.stderr, rf"^tools/{tool}: .*{text}.*\n$")
        self.assertFalse(os.path.exists(self.build))
