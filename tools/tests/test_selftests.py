# SPDX-License-Identifier: GPL-2.0-only
"""User space's tests: what goes into the initramfs, what is booted, what init is told."""

import hashlib
import os
import struct
import subprocess
import sys
import time
import types

from lib import compare, judge, kunit, selftests
from tests.fake import Case, read, write
from tests.test_judge import SELFTEST

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

MAKEFILE = """\
all:
	touch $(OUTPUT)/init $(OUTPUT)/one $(OUTPUT)/two $(OUTPUT)/endurance
emit_tests:
	@for t in one two endurance; do echo ":$$t"; done
"""
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


class Selftests(Case):
    def setUp(self):
        super().setUp()
        write(self.repo, f"{selftests.DIR}/Makefile", MAKEFILE)
        write(self.repo, kunit.RIG.qemu, read(TOOLS, "qemu/arm64_rig.py"))
        write(self.repo, f"{selftests.DIR}/one.c", SOURCE)
        write(self.repo, f"{selftests.DIR}/endurance.c", "TEST(all) { }\n")

    def programs(self):
        return selftests.Programs(self.prepare(), 1)


class Programs(Selftests):
    def test_built_outside_of_the_tree(self):
        programs = self.programs()
        self.assertEqual(programs.names, ["one", "two", "endurance"])
        self.assertEqual(self.prepare().edits(), [])
        self.assertTrue(os.path.exists(os.path.join(programs.out, "init")))

    def test_that_do_not_build(self):
        write(self.repo, f"{selftests.DIR}/Makefile",
              "all:\n\t@echo one.c:1:1: error: no; false\n")
        with self.fails(r"^the selftests do not build: one.c:1:1: error: no \(see .*\.log\)$"):
            self.programs()

    def test_none(self):
        for rules, text in (("all emit_tests:\n\t@true\n", "make leaves no init in "),
                            (MAKEFILE.replace("in one", "in three"), "make leaves no three in "),
                            (MAKEFILE.replace("one two endurance", ""), "names no test")):
            write(self.repo, f"{selftests.DIR}/Makefile", rules)
            with self.fails(text):
                self.programs()
        for name in os.listdir(os.path.join(self.repo, selftests.DIR)):
            os.unlink(os.path.join(self.repo, selftests.DIR, name))
        with self.fails("no such directory; this overlay has no selftests"):
            self.programs()

    def test_words(self):
        programs = self.programs()
        self.assertEqual(programs.words([]), ["one", "two"])
        for words in (["two"], ["one:read", "two", "one"], ["endurance"]):
            self.assertEqual(programs.words(words), words)
        for words, text in ((["three"], "^three: no such program; there are: one, two, endurance$"),
                            (["one", "x:read"], "^x:read: no such program"),
                            (["one:"], "is not PROGRAM or PROGRAM:TEST"),
                            (["one:a b"], "is not PROGRAM or"),
                            (["one:x=1"], "is not PROGRAM or"),
                            (["one"] * 32, "the kernel passes 31 at most")):
            with self.fails(text):
                programs.words(words)

    def test_scenarios(self):
        programs = self.programs()
        found = ["one:read", "one:slow", "one:plain", "one:killed"]
        for globs, want in (([], found), (["one"], found), (["*:s*"], ["one:slow"]),
                            (["one:read", "o*:p*"], ["one:read", "one:plain"])):
            self.assertEqual(programs.scenarios(globs), want)
        with self.fails("^two: no such scenario; see --list$"):
            programs.scenarios(["one:read", "two"])


class Initramfs(Selftests):
    PACKER = "#!/bin/sh\n[ $1 = -t ] && cat $3\n"

    def test_content(self):
        programs, build = self.programs(), os.path.join(self.tmp, "b")
        with self.fails("gen_init_cpio: missing; the kernel's configuration lacks"):
            selftests.initramfs(programs, build)
        write(build, "usr/gen_init_cpio", self.PACKER, 0o755)
        path = selftests.initramfs(programs, build)
        with open(path, "rb") as f:
            tables, _, listing = f.read().partition(b"TRAILER!!!")
        self.assertTrue(tables.startswith(b"070701"))
        self.assertIn(b"kernel/firmware/acpi/SRAT.aml\0", tables)
        listing = listing.decode()
        for text in ("nod /dev/console 0600 0 0 c 5 1", f"file /init {programs.out}/init 0755 0 0",
                     f"file /two {programs.out}/two 0755", "file /endurance ", "file /ext2.img "):
            self.assertIn(text, listing)

    def test_packer_that_fails(self):
        build = os.path.join(self.tmp, "b")
        write(build, "usr/gen_init_cpio", "#!/bin/sh\necho no >&2\nexit 1\n", 0o755)
        with self.fails("^gen_init_cpio: no$"):
            selftests.initramfs(self.programs(), build)

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
        cmd = selftests.command("qemu", "/b", "/i", ["one:read", "two"], "endurance=1,2")
        line = cmd[cmd.index("-append") + 1]
        self.assertRegex(line, r"^console=ttyAMA0 .*acpi=force .* kunit.enable=0 "
                               r"endurance=1,2 -- one:read two$")
        self.assertEqual([w for a, w in zip(cmd, cmd[1:]) if a == "-initrd"], ["/i"])
        self.assertEqual(cmd[cmd.index("-kernel") + 1], "/b/arch/arm64/boot/Image.gz")
        self.assertIn("virt,ras=on,gic-version=3", cmd)
        self.assertFalse([m for m in sys.modules if m.startswith("rig_kunit")])

    def test_table_of_nodes(self):
        options = selftests.machine(os.path.join(TOOLS, "qemu/arm64_rig.py")).extra_qemu_params
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
        self.assertEqual(parts, [(3, 18)] * 2 + [(1, 40)] * 3)
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

    def verdict(self, lines, hung=False):
        write(self.tmp, "config", "")
        return selftests.verdict(lines, os.path.join(self.tmp, "config"),
                                 ["processes", "callers:fork"], hung, 60).problems

    def test_verdict(self):
        self.assertEqual(self.verdict(SELFTEST), [])
        self.assertEqual(self.verdict(SELFTEST[:-1]), ["the machine ended before init did"])
        self.assertRegex(self.verdict(SELFTEST[:-1], True)[0],
                         "^the machine hung: not done after 60 s")
        self.assertEqual(self.verdict([*SELFTEST[:-1], "copy_mc: exit 2"]),
                         ["init counted 2 failures"])

    def test_endurance(self):
        args, got = types.SimpleNamespace(timeout=100), []
        self.addCleanup(setattr, selftests, "run", selftests.run)
        selftests.run = lambda *a: got.append(a)
        selftests.endurance(args, 7, 1000)
        [(args2, words, arguments, machine)] = got
        self.assertEqual((args2.timeout, words, arguments),
                         (350, ["endurance"], "endurance=7,1000"))
        self.assertEqual(args.timeout, 100)
        self.assertIn("PROVE_LOCKING=y", machine.options[0])
        self.assertNotEqual(machine.build, kunit.RIG.build)


class Outcome(Case):
    def outcome(self, lines, hung=False, words=("processes", "callers:fork")):
        v = judge.judge(lines, "", words, ["RIG"], log=judge.SelftestLog(words))
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
        top = os.path.join(prepared.home, "rig-base-linux")
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
        with self.fails("CONFIG_ARCH_HAS_COPY_MC is on in the base kernel"):
            compare.build_base(self.prepare(), self.config, 1)
        self.makefile("-e ARM64_SEA_RIG")
        with self.fails("CONFIG_ARM64_SEA_RIG is off in the base kernel"):
            compare.build_base(self.prepare(), self.config, 1)

    def test_no_hook(self):
        os.unlink(os.path.join(self.repo, "Kbuild.patch"))
        with self.fails("^Kbuild.patch: missing; without it the base kernel has no rig"):
            compare.build_base(self.prepare(), self.config, 1)


class Command(Case):
    def run_tool(self, name, *args):
        return subprocess.run([sys.executable, os.path.join(TOOLS, name), *args],
                              capture_output=True, text=True, check=False)

    def test_one_line(self):
        kernel = ("--kernel", self.kernel, "--build-dir", self.build, "--no-install")
        for tool, args, text in (
                ("run", ["--rig", "--deaths"], "only one at a time"),
                ("run", ["--selftests", "--endurance"], "only one at a time"),
                ("run", ["--endurance", "0"], "--endurance 0: at least 1"),
                ("run", ["--endurance", "many"], "invalid int value: 'many'"),
                ("run", ["--endurance", "5", "one"], "one: --endurance takes no names"),
                ("run", ["--seed", "5"], "--seed: is a number from 0 on, for --endurance"),
                ("run", ["--endurance", "--seed", "-5"], "--seed"),
                ("run", ["--selftests", "--", "--filter=x"], "no part in --selftests"),
                ("run", ["a", "b"], "b: one GLOB at a time"),
                ("run", ["--rig", "no_such_suite", *kernel], "no suite matches 'no_such_suite'"),
                ("compare", ["--kernel", "5.1"], "--kernel 5.1: no such kernel"),
                ("compare", ["--json", "/no/such/file"], "/no/such/file"),
                ("compare", ["--timeout", "x"], "invalid int"),
                ("test", ["rigs"], "rigs: no such test; there are: tools, suites, rig, ")):
            p = self.run_tool(tool, *args)
            self.assertEqual((p.returncode, p.stdout), (1, ""), args)
            self.assertRegex(p.stderr, rf"^tools/{tool}: .*{text}.*\n$")
        self.assertFalse(os.path.exists(self.build))
