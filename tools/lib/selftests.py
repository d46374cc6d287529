# SPDX-License-Identifier: GPL-2.0-only
"""User space on the machine for genuine memory errors: its tests, and programs of the user's.

Static programs of tools/testing/selftests/arm64/copy_mc in an initramfs, with an init that
runs those which the kernel's command line names and powers off.
"""

import argparse
import contextlib
import dataclasses
import fnmatch
import functools
import json
import os
import re
import subprocess
import threading
import time
import types

from lib import judge, ktap, kunit, packages, program, tree, ui
from lib.ui import Fail

DIR = kunit.SELFTESTS

# Not among all programs: the first takes as long as one wants, the second a kernel of its own.
ENDURANCE = "endurance"
MODULES = "modules"
ALONE = (ENDURANCE, MODULES)
ABORTS = 10000

# All suites, where the build leaves them if they are a module, and where MODULES loads it from
MODULE = "copy_mc_test.ko"

# The suites but those of the copies, which take long: kunit.filter_glob
NO_COPIES = "[!c]*"

# The kernel gives no more words to init: CONFIG_INIT_ENV_ARG_LIMIT, less its name.
MAX_WORDS = 31

# Beside the tests in the initramfs
TOOLS = ("init", "cost")

# Kernel messages have time stamps, see judge.unsplit(); and as an oops is the end of a
# good run, it is the end of the boot.
ARGUMENTS = "printk.time=1 oops=panic kunit.enable=0"

# Kernel and user space have pages of this size.
PAGE = 4096
FILE = 16 * PAGE

# -- what is booted ----------------------------------------------------------------------


class Known(dict):
    """{program: its tests} of the sources, in the overlay and in a prepared tree."""

    def __init__(self, prepared=None):
        super().__init__()
        for top in [tree.REPO, *([prepared.top] if prepared else [])]:
            makefile = _read(os.path.join(top, DIR, "Makefile"))
            for m in re.finditer(r"^TEST_GEN_PROGS\s*[:+]?=((?:.*\\\n)*.*)$", makefile, re.M):
                for name in m[1].replace("\\\n", " ").split():
                    there = self.setdefault(name, [])
                    source = _read(os.path.join(top, DIR, name + ".c"))
                    there += [t for t in tests(source) if t not in there]

    def words(self, asked):
        """What init is to run: PROGRAM or PROGRAM:TEST; all programs if nothing is asked for."""
        for word in asked:
            name, colon, test = word.partition(":")
            if name == MODULES:
                raise Fail(f"{word}: takes a kernel of its own; give --modules")
            if name not in self:
                raise Fail(f"{word}: no such program; there are: {', '.join(self)}")
            if colon and test not in self[name]:
                raise Fail(f"{word}: no such test; {name} has: {', '.join(self[name]) or 'none'}")
        if len(asked) > MAX_WORDS:
            raise Fail(f"{len(asked)} programs and tests: the kernel passes {MAX_WORDS} at most")
        return list(asked) or [n for n in self if n not in ALONE]

    def scenarios(self, globs=()):
        """PROGRAM:TEST of each test, or of those that match."""
        found = [f"{name}:{test}" for name, there in self.items() if name not in ALONE
                 for test in there]
        for g in globs:
            if not any(_matches(s, g) for s in found):
                raise Fail(f"{g}: no such scenario; see --list")
        return [s for s in found if not globs or any(_matches(s, g) for g in globs)]


class Programs:
    """The test programs of a prepared tree, built."""

    def __init__(self, prepared, jobs):
        ui.step("selftests")
        self.source = os.path.join(prepared.top, DIR)
        self.out = os.path.join(prepared.home, "selftests")
        self.names = list(Known(prepared))
        if not self.names:
            raise Fail(f"{self.source}: its Makefile names no test")
        os.makedirs(self.out, exist_ok=True)
        log = self.out + ".log"
        with open(log, "w", encoding="utf-8") as out, kunit.process(
                ["make", "-s", "-C", self.source, f"OUTPUT={self.out}", "ARCH=arm64",
                 f"CROSS_COMPILE={kunit.CROSS}", f"-j{jobs}"],
                stdout=out, stderr=subprocess.STDOUT) as p:
            p.wait()
        if p.returncode:
            lines = _read(log).splitlines()
            first = next((l for l in lines if re.search(r"error:|\*\*\*", l)), "no output")
            raise Fail(f"the selftests do not build: {first.strip()} (see {log})")
        for name in (*self.names, *TOOLS):
            if not os.path.exists(os.path.join(self.out, name)):
                raise Fail(f"{self.source}: make leaves no {name} in {self.out}")
        ui.note(f"{ui.number(len(self.names), 'program')} in {self.out}")

    def files(self):
        """{where it goes: file}"""
        return {f"/{name}": os.path.join(self.out, name) for name in (*TOOLS, *self.names)}


def _read(path):
    with contextlib.suppress(FileNotFoundError), \
            open(path, encoding="utf-8", errors="replace") as f:
        return f.read()
    return ""


def tests(text, fixture=False):
    """The names of the tests in a source; fixture: as their TAP has them, behind it."""
    found = []
    for m in re.finditer(r"^TEST(_F)?(?:_SIGNAL|_TIMEOUT)?\(([^)]*)\)", text, re.M):
        words = [w.strip() for w in m[2].split(",")]
        name = words[1 if m[1] else 0]
        if fixture:
            name = f"{words[0] if m[1] else 'global'}.{name}"
        if name not in found:
            found.append(name)
    return found


def _matches(scenario, pattern):
    return (fnmatch.fnmatchcase(scenario, pattern) or
            fnmatch.fnmatchcase(scenario.partition(":")[0], pattern))


def _file_bytes():
    """The content of the file on the disk, as the tests' page_byte() has it."""
    return bytes((i // PAGE * 7 + i) & 0xff for i in range(FILE))


def disk_image(path):
    """An ext2 file system of 1 MiB with one file; pages as blocks, or DAX refuses it."""
    top = path + ".d"
    os.makedirs(top, exist_ok=True)
    with open(os.path.join(top, "file"), "wb") as f:
        f.write(_file_bytes())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    uuid = "c0941e5a-0000-4000-8000-000000000000"
    _e2fs("mke2fs", "-q", "-F", "-t", "ext2", "-b", str(PAGE), "-m", "0", "-N", "16", "-U", uuid,
          "-E", f"hash_seed={uuid},root_owner=0:0", "-d", top, path, "1M")
    # The file's times and owner are the host's so far.
    for field in ("atime", "ctime", "mtime"):
        _e2fs("debugfs", "-w", "-R", f"set_inode_field file {field} @1", path)
    for field in ("uid", "gid"):
        _e2fs("debugfs", "-w", "-R", f"set_inode_field file {field} 0", path)


def _e2fs(name, *args):
    p = subprocess.run([f"/sbin/{name}", *args], check=False, capture_output=True, text=True,
                       env={**os.environ, "LC_ALL": "C", "E2FSPROGS_FAKE_TIME": "1"})
    if p.returncode:
        raise Fail(f"{name}: {(p.stderr.splitlines() or ['failed'])[-1]}")


def initramfs_path(prepared):
    return os.path.join(prepared.home, "selftests", "initramfs.cpio")


def initramfs(path, files, build):
    """Packs the files, {where: file}; build is a kernel's build directory, which has the packer."""
    packer = os.path.join(build, "usr/gen_init_cpio")
    if not os.path.exists(packer):
        raise Fail(f"{packer}: missing; the kernel's configuration lacks CONFIG_BLK_DEV_INITRD")
    image = os.path.join(os.path.dirname(path), "ext2.img")
    disk_image(image)
    files = {**files, "/ext2.img": image}
    above = sorted({d for f in files for d in _directories(f)} | {"/dev"})
    spec = [*(f"dir {d} 0755 0 0" for d in above), "nod /dev/console 0600 0 0 c 5 1",
            *(f"file {where} {file} {os.stat(file).st_mode & 0o777:04o} 0 0"
              for where, file in files.items())]
    listing = path + ".list"
    with open(listing, "w", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in spec)
    with open(path, "wb") as out:
        # The kernel looks there for ACPI tables, and then goes on to the next archive.
        options = qemu_arch(os.path.join(tree.REPO, kunit.USER.qemu)).extra_qemu_params
        with open(options[options.index("-initrd") + 1], "rb") as f:
            out.write(f.read())
        out.flush()
        p = subprocess.run([packer, "-t", "0", listing], check=False, stdout=out,
                           stderr=subprocess.PIPE, text=True)
    if p.returncode:
        raise Fail(f"gen_init_cpio: {(p.stderr.splitlines() or ['failed'])[0]}")
    return path


def _directories(path):
    """Those above it, but for the root."""
    while (path := os.path.dirname(path)) != "/":
        yield path


# -- the boot ----------------------------------------------------------------------------


@functools.lru_cache
def qemu_arch(path):
    """QEMU_ARCH of a file for kunit.py's --qemu_config."""
    # It imports from the package that kunit.py is; this stands in for it.
    package = types.SimpleNamespace(__path__=[], QemuArchParams=types.SimpleNamespace)
    module = tree.module("rig_kunit.qemu_configs.machine", path, **{
        n: package for n in ("rig_kunit", "rig_kunit.qemu_configs", "rig_kunit.qemu_config")})
    return module.QEMU_ARCH


def command(result, initrd, words, arguments="", build=None):
    """QEMU's command line: a Run's kernel, or that of another build directory."""
    on = result.machine
    arch = qemu_arch(os.path.join(tree.REPO, on.qemu))
    options = list(arch.extra_qemu_params)
    if "-initrd" in options:
        at = options.index("-initrd")
        del options[at:at + 2]
    line = " ".join(filter(None, (arch.kernel_command_line, ARGUMENTS, on.arguments, arguments,
                                  "--", *words)))
    return [result.binary, "-nodefaults", "-nographic", "-serial", "stdio", "-no-reboot",
            "-kernel", os.path.join(build or result.dir, arch.kernel_path), "-append", line,
            *options, "-initrd", initrd, *kunit.hardware(result.qemu, on)]


def boot(cmd, log, timeout, seen=None):
    """Boots; gives the console's lines, which go to the file log as well, and whether it hung.

    seen: called with each line.
    """
    lines, hung = [], threading.Event()
    with kunit.process(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors="backslashreplace") as p:
        def give_up():
            hung.set()
            p.kill()

        timer = threading.Timer(timeout, give_up)
        timer.start()
        try:
            with open(log, "w", encoding="utf-8") as out:
                for line in judge.unsplit(p.stdout):
                    out.write(line + "\n")
                    lines.append(line)
                    if seen:
                        seen(line)
            p.wait()
        finally:
            timer.cancel()
    return lines, hung.is_set()


def run(args, asked=(), arguments="", machine=kunit.USER):
    """Builds and boots the rig with these programs; gives a kunit.Run."""
    words = Known(tree.select(args)[0]).words(asked)
    with kunit.prepare(args, machine, packages.SELFTESTS) as result:
        kunit.build(args, result)
        initrd = pack(args, result)
        result = kunit.beside(result, "selftests")
        boot_programs(args, result, initrd, words, arguments)
    result.times["all"] = time.monotonic() - result.started
    return result


def pack(args, result):
    """The programs of a prepared tree whose kernel is built, in an initramfs."""
    return initramfs(initramfs_path(result.tree), Programs(result.tree, args.jobs).files(),
                     result.machine.dir(result.tree.home))


def endurance(args, seed, aborts, machine):
    """One boot with this many aborts; the seed says in which order what happens."""
    return run(*endurance_boot(args, seed, aborts), machine)


def endurance_boot(args, seed, aborts):
    """What boots it: options, words, arguments."""
    ui.note(f"{aborts} aborts, seed {seed}")
    # The kernel puts what it does not know into init's environment, and so the program's.
    return (argparse.Namespace(**{**vars(args), "timeout": args.timeout + aborts // 2}),
            [ENDURANCE], f"{ENDURANCE}={seed},{aborts}")


def with_modules(machine):
    """This machine, with the suites as a module."""
    return dataclasses.replace(machine, build=f"{machine.build}-modules", options=(
        *machine.options, "--kconfig_add=CONFIG_COPY_MC_KUNIT_TEST=m"))


def modules(args, machine):
    """One boot with the suites as a module, loaded and unloaded twice."""
    with kunit.prepare(args, with_modules(machine), packages.SELFTESTS) as result:
        build_modules(args, result, machine)
        result = kunit.beside(result, MODULES)
        boot_modules(args, result)
    result.times["all"] = time.monotonic() - result.started
    return result


def build_modules(args, result, machine):
    """Builds them, from the objects of the machine's other kernel if there is one."""
    if os.path.exists(machine.file(result.tree.home, "stamp")):
        kunit.seed(result.tree.home, machine.build, result.machine.build)
    kunit.build(args, result)


def boot_modules(args, result, quick=False):
    """Boots what build_modules() has built, and judges it; quick: never with the copies."""
    build = result.machine.dir(result.tree.home)
    initrd = initramfs(os.path.join(build, "initramfs.cpio"),
                       {**Programs(result.tree, args.jobs).files(),
                        f"/{MODULE}": os.path.join(build, "kunit", MODULE)}, build)
    suites = list(judge.suites(tree.REPO))
    again = judge.matching(suites, NO_COPIES)   # what it runs the second time
    words = ["kunit.enable=1", kunit.FAST_ARGUMENT]
    if quick:
        suites, words = again, [*words, f"kunit.filter_glob={NO_COPIES}"]
    boot_programs(args, result, initrd, [MODULES], " ".join(
        (*words, f"suites={len(suites)},{len(again)}")), suites)


def boot_programs(args, result, initrd, words, arguments="", suites=()):
    """Boots what is built, runs the programs and judges them.

    suites: those of KUnit that have to run meanwhile.
    """
    ui.step("boot and programs")
    start = time.monotonic()
    watch = judge.SelftestLog(result.tree.top, words)

    def seen(line):
        if suite := watch.feed(line):
            kunit.say_suite(suite)

    result.expected = words
    lines, hung = boot(command(result, initrd, words, arguments), result.log, args.timeout, seen)
    result.times["boot"] = time.monotonic() - start
    result.verdict = verdict(result, lines, words, hung, args.timeout)
    if suites:
        judge_suites(result, lines, suites)
    if watch.exit is None:
        _last_lines(lines)
    if getattr(args, "json", None):
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(as_json(result), f, indent=4)
            f.write("\n")


def judge_suites(result, lines, suites):
    """Adds what the kernel has to say of KUnit's suites."""
    v, said = result.verdict, [l for l in lines if judge.is_kernel(l)]
    kernel = judge.judge(ktap.Log(result.tree.top), said,
                         _read(os.path.join(result.dir, ".config")), suites, ())
    v.suites += kernel.suites
    # What else is in the log is in the verdict already.
    v.problems += [p for p in kernel.problems if p not in v.problems and " of the log" not in p]


def _last_lines(lines):
    ui.note("the last lines of the console:")
    for line in lines[-15:]:
        ui.note("  " + line)


def must_have(version, qemu, machine):
    """kunit's, and what only user space looks for."""
    return [*kunit.must_have(version, qemu, machine),
            *(["NODES"] if "ACPI" not in machine.lacks else [])]


def verdict(result, lines, words, hung, timeout, build=None):
    """The judgement on one boot of a Run's kernel, or of that of another build directory."""
    log, on = judge.SelftestLog(result.tree.top, words), result.machine
    v = judge.judge(log, lines, _read(os.path.join(build or result.dir, ".config")), words,
                    must_have(result.version, result.qemu, on),
                    kunit.must_lack(result.qemu, on))
    v.problems = _ending(log.exit, hung, timeout) + v.problems
    if log.exit and not v.problems:
        v.problems.append(f"init counted {ui.number(log.exit, 'failure')}")
    return v


def _ending(code, hung, timeout):
    """What is wrong with how the machine ended."""
    if hung:
        return [f"the machine hung: not done after {timeout} s; see its last lines above, or give "
                "it longer with --timeout"]
    return ["the machine ended before init did"] if code is None else []


def as_json(result):
    return {"kernel": result.version, "qemu": ".".join(map(str, result.qemu)), "log": result.log,
            "programs": [{"name": s.name,
                          "tests": [{"name": r.name, "status": r.status, "reason": r.reason}
                                    for r in s.results]} for s in result.verdict.suites],
            **result.verdict.as_json()}


# -- the user's own program --------------------------------------------------------------


def own(args, given, arguments, machine=kunit.USER):
    """Boots the rig with these files and runs the first one; gives the exit code."""
    files = program.place(given)
    word = program.word(next(iter(files)), arguments)
    with kunit.prepare(args, machine, packages.SELFTESTS) as result:
        kunit.build(args, result)
        code, problems, _, log = boot_own(args, result, files, word)
    for problem in problems:
        ui.say(f"FAIL {problem}")
    ui.step("summary")
    ui.note(f"kernel   Linux {result.version}")
    ui.note(f"QEMU     {'.'.join(map(str, result.qemu))}")
    ui.note(f"program  {program.words(code)}")
    ui.note(f"log      {log}")
    return code or bool(problems)


def boot_own(args, result, files, word):
    """Boots the rig with these files and has init run this word.

    Gives the exit code, None if there was none, what is wrong, the lines shown, and the log.
    """
    init = Programs(result.tree, args.jobs).files()["/init"]
    there = kunit.beside(result, "init")
    initrd = initramfs(os.path.join(os.path.dirname(there.log), "initramfs.cpio"),
                       {"/init": init, **files}, result.dir)
    ui.step(f"boot and {word.partition(',')[0]}")
    shown = []

    def seen(line):
        if shown or "Run /init as init process" in line:
            shown.append(line)
            ui.say(line)

    lines, hung = boot(command(there, initrd, [word]), there.log, args.timeout, seen)
    code, problems = program.outcome(lines)
    problems = _ending(code, hung, args.timeout) + problems
    if not shown:
        _last_lines(lines)
    return code, problems, shown, there.log
