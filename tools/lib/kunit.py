# SPDX-License-Identifier: GPL-2.0-only
"""Building and booting a prepared tree with the kernel's own kunit.py."""

import contextlib
import dataclasses
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

from lib import foreign, judge, ktap, packages, resume, tree, ui
from lib.overlay import KERNELS, version_key
from lib.ui import Fail

CROSS = "aarch64-linux-gnu-"
CPUS = len(os.sched_getaffinity(0))
IMAGE = "arch/arm64/boot/Image.gz"


# User space's tests, and what their kernel needs besides.
SELFTESTS = "tools/testing/selftests/arm64/copy_mc"


@dataclasses.dataclass(frozen=True)
class Machine:
    """A kernel, and the machine that it is booted on."""
    build: str              # where it is built, below <build dir>/<kernel>
    config: tuple           # what kunit.py takes as --kunitconfig, in the repository
    objects: int            # how many a first build makes, to tell how far it is
    options: tuple = ()     # more of kunit.py's, when it is built
    qemu: str = "tools/qemu/arm64.py"   # its --qemu_config; without one it takes its own
    hardware: tuple = ()    # more of QEMU's options
    arguments: str = ""     # the kernel's
    lacks: tuple = ()       # of what the machine has otherwise
    says: tuple = ()        # texts of its log, why that is
    needs: tuple = ()       # more tables of packages, to build it

    def but(self, *names):
        """The same but for what VARIANTS has under these names."""
        machine = self
        for n in names:
            v = VARIANTS[n]
            machine = dataclasses.replace(
                machine, **{k: v[k] for k in ("qemu", "hardware") if k in v},
                options=(*machine.options, *v.get("options", ())),
                lacks=(*machine.lacks, *v.get("lacks", ())),
                says=(*machine.says, *v.get("says", ())),
                needs=(*machine.needs, *v.get("needs", ())),
                build=machine.build + v.get("suffix", ""),
                arguments=f"{machine.arguments} {v.get('arguments', '')}".strip())
        return machine

    def file(self, home, ending):
        """What belongs to it beside its directory."""
        return os.path.join(home, f"{self.build}.{ending}")

    def dir(self, home):
        return os.path.join(home, self.build)


SUITES = Machine("kunit", (".kunitconfig",), 1155)
USER = dataclasses.replace(SUITES, build="user", config=(*SUITES.config, f"{SELFTESTS}/config"),
                           objects=1310)

# What needs another machine, or another kernel on it.
VARIANTS = {
    # QEMU has not both.
    "nomte": {"words": "with NVDIMMs, without MTE", "lacks": ("MTE",), "hardware": (
        "-machine", "mte=off,nvdimm=on",
        *(o for n in ("nvdimm0", "nvdimm1") for o in (
            "-object", f"memory-backend-ram,id={n},size=64M", "-device", f"nvdimm,memdev={n}")))},
    "nomops": {"words": "without MOPS", "arguments": "arm64.nomops"},
    "kasan-async": {"words": "KASAN asynchronous", "arguments": "kasan.mode=async"},
    "kasan-off": {"words": "without KASAN", "arguments": "kasan=off"},
    "cpus2": {"words": "with two CPUs", "arguments": "maxcpus=2"},
    "dt": {"words": "without ACPI", "qemu": "tools/qemu/arm64_dt.py", "lacks": ("ACPI",)},
    "plain": {"words": "on kunit.py's own machine", "qemu": "", "lacks": ("RIG", "ACPI", "MTE"),
              "says": ("needs RIG: EL2, as of -machine virtualization=on",)},
    "vhe": {"words": "with the kernel at EL2", "qemu": "tools/qemu/arm64_vhe.py",
            "lacks": ("RIG", "ACPI"), "says": ("needs RIG: a kernel at EL1",)},
    "lockdep": {"words": "with lockdep", "suffix": "-lockdep",
                "options": ("--kconfig_add=CONFIG_PROVE_LOCKING=y",)},
    "16k": {"words": "with pages of 16K", "suffix": "-16k",
            "options": ("--kconfig_add=CONFIG_ARM64_16K_PAGES=y",)},
    "64k": {"words": "with pages of 64K", "suffix": "-64k",
            "options": ("--kconfig_add=CONFIG_ARM64_64K_PAGES=y",)},
    "kvm": {"words": "with KVM built in", "suffix": "-kvm", "options": (
        "--kconfig_add=CONFIG_VIRTUALIZATION=y", "--kconfig_add=CONFIG_KVM=y")},
    "rt": {"words": "with PREEMPT_RT", "suffix": "-rt",
           "options": ("--kconfig_add=CONFIG_PREEMPT_RT=y",)},
    "kasan-generic": {"words": "with generic KASAN", "suffix": "-kasan-generic",
                      "lacks": ("KASAN_TAGS",), "options": (
                          "--kconfig_add=CONFIG_KASAN_HW_TAGS=n",
                          "--kconfig_add=CONFIG_KASAN_GENERIC=y")},
    "scs": {"words": "with shadow call stacks", "suffix": "-scs",
            "options": ("--kconfig_add=CONFIG_SHADOW_CALL_STACK=y",)},
    "kcfi": {"words": "with kCFI, by clang", "suffix": "-kcfi", "needs": (packages.KCFI,),
             "options": (f"--make_options=LLVM={packages.CLANG}", "--kconfig_add=CONFIG_CFI=y")},
}

# (symbol, what older kernels call it, where either is)
RENAMED = (("CFI", "CFI_CLANG", "arch/Kconfig"),)

# What these arguments of the kernel turn off and on.
TURN_OFF = {"arm64.nomte": "MTE", "arm64.nomops": "MOPS", "kasan=off": "KASAN_TAGS"}
TURN_ON = {"kasan.mode=async": "KASAN_ASYNC", judge.LOG_FEATURES["DEATHS"]: "DEATHS"}

# The first QEMU with what not every one has.  An older one hangs if a machine with EL2 has MTE.
OLDEST = {"RIG": packages.QEMU_OLDEST, "ACPI": packages.QEMU_OLDEST, "MTE": packages.QEMU_TAGS,
          "MOPS": packages.QEMU_MOPS}
MTE_OFF = ("-machine", "mte=off")

# Options that only one of kunit.py's build and exec knows; it has the others in common.
EXEC_ONLY = ("--timeout --filter --filter_action --kernel_args --run_isolated --list_tests "
             "--list_tests_attr --list_suites --raw_output --json --junit --summary "
             "--failed").split()
BUILD_ONLY = ["--jobs"]
# Leaves out the sweeps, and with more speed what takes seconds; each suite has cases that stay.
NO_SWEEPS = "--filter=speed>very_slow"
FAST = "--filter=speed>slow"
FAST_ARGUMENT = f"kunit.{FAST.removeprefix('--')}"      # the kernel's, for it
# With these kunit.py boots more than once, or runs no test: there is nothing to judge.
UNJUDGED = ("--list_tests", "--list_tests_attr", "--list_suites", "--run_isolated")


def split_arguments(words):
    """kunit.py's arguments for build and those for exec."""
    build, execute = [], []
    to = (build, execute)
    for word in words:
        if word.startswith("-"):
            name = word.partition("=")[0]
            to = ((execute,) if name in EXEC_ONLY else (build,) if name in BUILD_ONLY
                  else (build, execute))
        for where in to:
            where.append(word)
    return build, execute


def has_option(words, *names):
    return any(w.partition("=")[0] in names for w in words)


def kernel_arguments(words):
    """What --kernel_args adds to the kernel's command line."""
    found = []
    for i, word in enumerate(words):
        if word.startswith("--kernel_args="):
            found += word.partition("=")[2].split()
        elif word == "--kernel_args" and i + 1 < len(words):
            found += words[i + 1].split()
    return found


@contextlib.contextmanager
def process(cmd, **kwargs):
    """A child with its own children: none of them outlives this block."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "KBUILD_OUTPUT", "ARCH",
                        "CROSS_COMPILE")}
    env.update(LC_ALL="C", PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1",
               **kwargs.pop("env", {}))
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, start_new_session=True, env=env, **kwargs)
    try:
        yield p
    finally:
        for sig in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(10)
                break
        if p.stdout:
            p.stdout.close()


def check_compiler(top):
    """That the cross compiler is new enough for this kernel, which says what it needs."""
    def numbers(text):
        return tuple(int(n) for n in re.findall(r"\d+", text)[:3])

    _, have, _ = packages.run(f"{CROSS}gcc", "-dumpfullversion")
    script = os.path.join(top, "scripts/min-tool-version.sh")
    _, want, _ = packages.run("sh", script, "gcc") if os.path.exists(script) else (0, "8.1.0", "")
    if not numbers(have):
        raise Fail(f"{CROSS}gcc: does not run; install gcc-aarch64-linux-gnu")
    if numbers(have) < numbers(want):
        raise Fail(f"{CROSS}gcc: version {have.strip()} is too old, this kernel needs "
                   f"{want.strip()}; install a newer gcc-aarch64-linux-gnu")
    return have.strip()


def objects(build, since=0.0):
    """How many object files are there that are not older than since."""
    found = 0
    pending = [build]
    while pending:
        # The build makes and removes files at the same time.
        with contextlib.suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for e in entries:
                with contextlib.suppress(FileNotFoundError):
                    if e.is_dir(follow_symlinks=False):
                        pending.append(e.path)
                    elif e.name.endswith(".o") and e.stat().st_mtime >= since:
                        found += 1
    return found


def build_with_progress(cmd, top, build, log, total_file, guess=SUITES.objects, env=None):
    """Runs a build and shows how far it is.  On failure the output's end is what to read."""
    os.makedirs(build, exist_ok=True)
    try:
        with open(total_file, encoding="ascii") as f:
            total, known = int(f.read()), True
    except (OSError, ValueError):
        total, known = guess, False
    fresh = not objects(build)
    start, progress = time.time(), ui.Progress()
    progress.last = time.monotonic()
    with open(log, "w", encoding="utf-8") as out, \
            process(cmd, cwd=top, stdout=out, stderr=subprocess.STDOUT, env=env or {}) as p:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(5)       # to count them takes time from the compilers
                break
            done = objects(build, start - 1)
            progress.show(f"   built {done} of about {max(total, done)} objects" if fresh
                          else f"   built {ui.number(done, 'object')} anew")
    progress.clear()
    if p.returncode:
        with open(log, encoding="utf-8", errors="replace") as f:
            lines = [l.rstrip() for l in f if l.strip()]
        first = next((i for i, l in enumerate(lines) if re.search(r"error:|\*\*\*", l)), -25)
        for line in lines[first:][:25]:
            ui.note(line)
        raise Fail(f"the kernel does not build; the compiler's output is above and in {log}")
    made = objects(build, start - 1)
    if fresh or not known:
        with open(total_file, "w", encoding="ascii") as f:
            f.write(str(objects(build)))
    ui.note(f"{ui.number(made, 'object')} in {time.time() - start:.0f} s")


@dataclasses.dataclass
class Run:
    """One run, and what came of it."""
    tree: object
    version: str
    machine: Machine
    binary: str             # QEMU, and its version
    qemu: tuple
    dir: str                # what is booted, and its log
    work: str = ""          # the tree's files when it was prepared
    started: float = dataclasses.field(default_factory=time.monotonic)
    times: dict = dataclasses.field(default_factory=dict)
    expected: list = ()     # suites
    verdict: object = None

    @property
    def log(self):
        return os.path.join(self.dir, "test.log")

    def features(self):
        return ", ".join(f"{f} {'on' if self.verdict.features[f] else 'off'}"
                         for f in ("MTE", "MOPS", "RIG"))


def wants_mops(version):
    """Does this kernel copy with CPY*?"""
    return version_key(version) > (6, 12)


def must_have(version, qemu, machine, extra=()):
    """The features that the kernel has to find."""
    # Somebody's own machine or CPU may lack anything.
    if has_option(extra, "--qemu_args", "--qemu_config"):
        return []
    asked = [*machine.arguments.split(), *kernel_arguments(extra)]
    off = {*machine.lacks, *(f for a, f in TURN_OFF.items() if a in asked)}
    if not wants_mops(version):
        off.add("MOPS")
    return [*(f for f, oldest in OLDEST.items() if qemu >= oldest and f not in off),
            *(f for a, f in TURN_ON.items() if a in asked)]


def must_lack(qemu, machine, extra=()):
    """The features that the kernel must not find, or the run is not what it says."""
    asked = [*machine.arguments.split(), *kernel_arguments(extra)]
    lacking = [f for a, f in TURN_OFF.items() if a in asked]
    if not has_option(extra, "--qemu_args", "--qemu_config"):
        lacking += machine.lacks
        if qemu < packages.QEMU_TAGS:
            lacking.append("MTE")
    return sorted({*lacking})


def hardware(qemu, machine):
    """QEMU's options besides: what this machine has, and none of what that QEMU has not."""
    off = _lacks_mte(qemu, machine) and "MTE" not in machine.lacks
    return (*machine.hardware, *(MTE_OFF if off else ()))


def _lacks_mte(qemu, machine):
    return bool(machine.qemu) and qemu < packages.QEMU_TAGS


def check_glob(pattern, top=None):
    """The suites that it selects; fails if that are none.  top: another tree with some."""
    suites = judge.suites(tree.REPO)
    known = {**(judge.suites(top) if top else {}), **suites}
    suite, _, case = pattern.partition(".")
    found = judge.matching(known, suite)
    if not found:
        raise Fail(f"no suite matches '{pattern}'; there are: {', '.join(known) or 'none'}")
    cases = {c for name in found for c in known[name]}
    if case and cases and not fnmatch.filter(cases, case):
        raise Fail(f"{pattern}: no such case; {found[0]} has: {', '.join(known[found[0]])}")
    return judge.matching(suites, suite)


def check_asked(pattern, extra, top):
    """The same, but that kunit.py may have been told to build other suites."""
    if has_option(extra, "--kunitconfig", "--alltests"):
        return
    try:
        check_glob(pattern, top)
    except Fail as e:
        if not has_option(extra, "--kconfig_add"):
            raise
        ui.warn(f"{e}; --kconfig_add may bring others")


def run(args, extra=(), machine=SUITES):
    """tools/run's job: prepares, builds, boots and judges; gives a Run.

    args: its options; extra: more of kunit.py's arguments.
    """
    extra = list(extra)
    with prepare(args, machine) as result:
        build(args, result, split_arguments(extra)[0])
        boot_suites(args, extra, result)
    result.times["all"] = time.monotonic() - result.started
    return result


@contextlib.contextmanager
def prepare(args, machine, *needed):
    """A Run that is yet to be built and booted, and nobody else's meanwhile.

    needed: more tables of packages.
    """
    started = time.monotonic()
    prepared, source = tree.select(args)
    packages.check_qemu(args.qemu)
    ui.step("packages")
    packages.need(not args.no_install, packages.TREE, packages.BUILD, packages.FIRMWARE,
                  *machine.needs, *needed)
    os.makedirs(prepared.home, exist_ok=True)
    if prepared.contract:
        machine = dataclasses.replace(
            machine, options=(*machine.options, foreign.option(prepared.contract)))
    with using(prepared):
        ui.step("tree")
        prepared.prepare(source())
        ui.note(f"Linux {prepared.version} in {prepared.top}")
        work = prepared.work_tree()
        if edits := prepared.edits(work):
            ui.note(f"with edits not written back yet: {', '.join(edits[:3])}"
                    f"{', ...' if edits[3:] else ''}")
        yield made(args, prepared, machine, started=started, work=work)


def using(prepared):
    """Nobody else builds or boots of this tree meanwhile."""
    return tree.locked(os.path.join(prepared.home, ".lock-kunit"), prepared.home)


def made(args, prepared, machine, **more):
    """A Run on a prepared tree."""
    check_compiler(prepared.top)
    binary, qemu = packages.qemu(args)
    if "MTE" not in machine.lacks and _lacks_mte(qemu, machine):
        ui.note(f"QEMU {'.'.join(map(str, qemu))}: the machine is without MTE, with which that "
                "hangs or keeps too few tags")
    return Run(prepared, prepared.version, machine, binary, qemu, machine.dir(prepared.home),
               **more)


def beside(result, name):
    """The same run, booted beside others of the same kernel: with a log of its own."""
    where = os.path.join(result.tree.home, "boots", name)
    os.makedirs(os.path.dirname(os.path.join(where, IMAGE)), exist_ok=True)
    for file in (IMAGE, ".config"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(where, file))
        os.symlink(os.path.join(result.dir, file), os.path.join(where, file))
    return dataclasses.replace(result, dir=where)


def command(prepared, machine=SUITES, where=None):
    """The kernel's kunit.py, and what all its subcommands take."""
    common = ["--arch=arm64", f"--cross_compile={CROSS}",
              *(f"--kunitconfig={os.path.join(tree.REPO, c)}" for c in machine.config),
              f"--build_dir={where or machine.dir(prepared.home)}"]
    if machine.qemu:
        common.append(f"--qemu_config={os.path.join(tree.REPO, machine.qemu)}")
    return [sys.executable, os.path.join(prepared.top, "tools/testing/kunit/kunit.py")], common


# -- the build ---------------------------------------------------------------------------

# The environment's part in a build.
_BUILD_ENVIRON = re.compile(r"KBUILD_.*|K?(C|A|CPP|LD)FLAGS.*|LLVM.*|(HOST)?(CC|LD|CFLAGS)|W|C|CF")


def _file(path):
    """What tells a file from what it is after a change."""
    try:
        st = os.stat(path)
    except FileNotFoundError:
        return None
    return [os.path.realpath(path), st.st_size, st.st_mtime_ns]


def build_options(machine, top):
    """A machine's options, in the words of this kernel tree."""
    found = machine.options
    for new, old, file in RENAMED:
        if f"config {new}" not in _read(os.path.join(top, file)):
            found = tuple(o.replace(f"CONFIG_{new}=", f"CONFIG_{old}=") for o in found)
    return found


def build_inputs(result, extra):
    """All that the result of a build depends on."""
    programs = [_file(shutil.which(p) or "") for p in (
        CROSS + "gcc", CROSS + "ld", "gcc", "make", *(p for t in result.machine.needs for p in t))]
    environ = {k: v for k, v in os.environ.items() if _BUILD_ENVIRON.fullmatch(k)}
    return [result.work or result.tree.work_tree(),
            # All machines' are for one kernel, the usual one's.
            [_read(os.path.join(tree.REPO, c)) for c in (*result.machine.config, SUITES.qemu)],
            *map(list, (result.machine.options, extra)), programs, environ]


def build(args, result, extra=()):
    """Builds the machine's kernel, unless that is done; extra: arguments of kunit.py's build."""
    home, machine = result.tree.home, result.machine
    kunit, common = command(result.tree, machine)

    def stamp(inputs):
        made = [_file(os.path.join(result.dir, f)) for f in (IMAGE, ".config")]
        return json.dumps([inputs, made], sort_keys=True)

    ui.step("build")
    start, path, inputs = time.monotonic(), machine.file(home, "stamp"), build_inputs(result, extra)
    if _read(path) == [stamp(inputs)] and os.path.exists(os.path.join(result.dir, IMAGE)):
        ui.note("nothing has changed since the last one")
    else:
        tree.check_space(home, 2 << 30)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        build_with_progress([*kunit, "build", *common, f"--jobs={args.jobs}",
                             *build_options(machine, result.tree.top), *extra],
                            result.tree.top, result.dir, machine.file(home, "build.log"),
                            machine.file(home, "objects"), machine.objects)
        with open(path, "w", encoding="utf-8") as f:
            f.write(stamp(inputs))
    result.times["build"] = time.monotonic() - start


def seed(home, old, new):
    """Has the build directory new, if there is none, begin with the objects of old.

    Both are built from the same files, so that what differs is little.
    """
    new = os.path.join(home, new)
    if os.path.exists(new):
        return
    tree.check_space(home, 2 << 30)
    half = new + ".new"
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(os.path.join(home, old), half, symlinks=True)
    os.rename(half, new)


# -- the boot ----------------------------------------------------------------------------


def boot_options(result):
    """What kunit.py's exec takes for the machine of a run."""
    options = []
    if result.machine.arguments:
        options.append(f"--kernel_args={result.machine.arguments}")
    if more := hardware(result.qemu, result.machine):
        options.append(f"--qemu_args={' '.join(more)}")
    return options


def boot_suites(args, extra, result):
    """Boots what is built, runs the suites that args.glob selects, and judges them."""
    top, home, machine = result.tree.top, result.tree.home, result.machine
    kunit, common = command(result.tree, machine, result.dir)
    result.expected = judge.matching(judge.suites(tree.REPO), args.glob.partition(".")[0])
    for_exec = split_arguments(extra)[1]
    for_exec += boot_options(result)
    ui.step("boot and suites")
    start = time.monotonic()
    path = path_with(home, result.binary)
    cmd = [*kunit, "exec", *common, f"--timeout={args.timeout}", *for_exec]
    if has_option(extra, *UNJUDGED):
        with process([*cmd, *filter(None, [args.glob])], cwd=top, env={"PATH": path}) as p:
            p.wait()
        if p.returncode:
            raise Fail(f"kunit.py ended with exit code {p.returncode}; its output is above")
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(result.log)
    raw, code = has_option(extra, "--raw_output"), 0
    if not raw:
        cmd.append("--raw_output=all")

    def boot(glob):
        nonlocal code
        said, log, code, silent = _boot([*cmd, *filter(None, [glob])], top, path, raw,
                                        getattr(args, "silence", args.timeout))
        return said, log, silent

    cases = judge.suites(tree.REPO, slow=FAST not in extra)
    done = resume.boots(args.glob, result.expected, cases, boot)
    lines = _read(result.log)
    if done.number > 1 or done.problems:
        lines = done.lines
        with open(result.log, "w", encoding="utf-8") as f:
            f.writelines(line + "\n" for line in lines)
    result.verdict = judge.judge(
        ktap.Log(top), lines, "\n".join(_read(os.path.join(result.dir, ".config"))),
        [] if has_option(extra, "--filter") and FAST not in extra else result.expected,
        must_have(result.version, result.qemu, machine, extra),
        must_lack(result.qemu, machine, extra),
        skips_asked_for=has_option(extra, "--filter_action"), stopped=done.stopped,
        must_say=machine.says)
    problems = result.verdict.problems
    problems[:0] = done.problems
    _parse(kunit, top, args, result)
    if done.late:
        problems.insert(0, f"not done after {args.timeout} s; see its last lines above, or give it "
                           "longer with --timeout")
    elif code and not done.problems:
        problems.append(f"kunit.py exec ended with exit code {code}")
    if done.late or not any(s.finished for s in result.verdict.suites) or \
            problems and "hung" in problems[0]:
        ui.note("the last lines of the console:")
        for line in (lines or done.lines)[-15:]:
            ui.note("  " + line)
    result.times["boot"] = time.monotonic() - start


def path_with(home, binary):
    """A PATH on which kunit.py finds this QEMU."""
    if os.path.basename(binary) == "qemu-system-aarch64":
        where = os.path.dirname(binary)
    else:
        where = os.path.join(home, "bin")
        os.makedirs(where, exist_ok=True)
        link = os.path.join(where, "qemu-system-aarch64")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(link)
        os.symlink(binary, link)
    return where + os.pathsep + os.environ.get("PATH", os.defpath)


def _boot(cmd, top, path, echo, silence):
    """Boots the kernel and says how each suite did.

    Gives kunit.py's output, the ktap.Log that has read it, the exit code, and how long the
    kernel had said nothing when it was killed, 0 if it was not.
    """
    said, log, last, silent = [], ktap.Log(top), time.monotonic(), 0
    with process(cmd, cwd=top, env={"PATH": path}, stdout=subprocess.PIPE,
                 stderr=subprocess.STDOUT, text=True, errors="backslashreplace") as p:
        ended = threading.Event()

        def watch():
            nonlocal silent
            while not ended.wait(1):
                if time.monotonic() - last > silence:
                    silent = silence
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(p.pid, signal.SIGKILL)

        watcher = threading.Thread(target=watch)
        watcher.start()
        for line in p.stdout:
            last = time.monotonic()
            said.append(line.rstrip())
            if echo:
                ui.say(line.rstrip())
            if suite := log.feed(line):
                say_suite(suite)
        p.wait()
        ended.set()
        watcher.join()
    return said, log, p.returncode, silent


def say_suite(suite):
    ui.note(f"{suite.name:24} {suite.count('passed'):5} passed {suite.count('failed'):4} failed "
            f"{suite.count('skipped'):4} skipped")
    for r in suite.results:
        if r.status == "failed":
            ui.note(f"  FAILED {r.name}")
            for line in r.said:
                ui.note(f"    {line}")


def _parse(kunit, top, args, result):
    """kunit.py's own opinion of the log; and its JSON, with ours added, if that is wanted."""
    verdict = result.verdict
    cmd = [*kunit, "parse", f"--json={os.path.join(result.dir, 'test.json')}", result.log]
    if os.path.exists(result.log):
        with process(cmd, cwd=top, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            p.wait()
        if p.returncode and not verdict.problems:
            verdict.problems.append(f"kunit.py fails this run: {shlex.join(cmd)}")
    if getattr(args, "json", None):
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(as_json(result), f, indent=4)
            f.write("\n")


def as_json(result):
    """kunit.py's results, with the verdict added."""
    content = {}
    with contextlib.suppress(OSError, ValueError), \
            open(os.path.join(result.dir, "test.json"), encoding="utf-8") as f:
        content = json.load(f)
    content["copy_mc"] = {"kernel": result.version, "qemu": ".".join(map(str, result.qemu)),
                          "log": result.log, **result.verdict.as_json()}
    return content


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as f:
            return [line.rstrip("\n") for line in f]
    except FileNotFoundError:
        return []


def add_variants(parser):
    parser.add_argument("--variant", action="append", choices=VARIANTS, default=[],
                        metavar="|".join(VARIANTS),
                        help="another machine or kernel: "
                             f"{', '.join(v['words'] for v in VARIANTS.values())}; more than once")


def add_arguments(parser, kernel=KERNELS[0], timeout=600):
    tree.add_arguments(parser, kernel)
    parser.add_argument("--qemu", metavar="BIN",
                        help="QEMU to boot with (default: the machine's, or if that is older than "
                             "10 one from Debian's backports, below the build directory)")
    add_limits(parser, timeout)


def add_jobs(parser):
    parser.add_argument("--jobs", type=ui.at_least(1), default=CPUS, metavar="N",
                        help="how many compilers at a time (default: one per CPU)")


def add_limits(parser, timeout):
    add_jobs(parser)
    parser.add_argument("--timeout", type=ui.at_least(1), default=timeout, metavar="S",
                        help=f"seconds that a kernel may take for all suites (default {timeout})")


def add_silence(parser, silence=120):
    """For who boots again behind a case that hangs.  A sweep takes half a minute."""
    parser.add_argument("--silence", type=ui.at_least(1), default=silence, metavar="S",
                        help="seconds that a kernel may say nothing; then what runs has hung, and "
                             f"what is behind it is booted without it (default {silence})")


def summary(result):
    """The closing lines of a run."""
    v = result.verdict
    for problem in v.problems:
        ui.say(f"FAIL {problem}")
    t = result.times
    ran = len({s.name for s in v.suites if s.finished})
    ui.step("summary")
    ui.note(f"kernel   Linux {result.version}")
    ui.note(f"QEMU     {'.'.join(map(str, result.qemu))}, {result.features()}")
    ui.note(f"suites   {ran} of {max(len(result.expected), ran)}")
    ui.note(f"cases    {v.count('passed')} passed, {v.count('failed')} failed, "
            f"{v.count('skipped')} skipped")
    ui.note(f"time     {t['all']:.0f} s: build {t.get('build', 0):.0f} s, "
            f"boot and suites {t['boot']:.0f} s")
    ui.note(f"log      {result.log}")
    ui.note("verdict  " + (f"{ui.number(len(v.problems), 'problem')}, see above"
                           if v.problems else "good"))


