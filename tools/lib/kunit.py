# SPDX-License-Identifier: GPL-2.0-only
"""Building and booting a prepared tree with the kernel's own kunit.py."""

import contextlib
import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

from lib import judge, packages, tree, ui
from lib.overlay import KERNELS, version_key
from lib.ui import Fail

CROSS = "aarch64-linux-gnu-"


@dataclasses.dataclass(frozen=True)
class Machine:
    """A kernel, and the machine that it is booted on."""
    build: str              # where it is built, below <build dir>/<kernel>
    config: str             # the repository's directory with its .kunitconfig
    qemu: str               # kunit.py's --qemu_config; without one it takes its own
    has: tuple              # what it has, of what not every machine has
    packages: dict          # that it needs besides
    objects: int            # how many a first build makes, to tell how far it is
    options: tuple = ()     # more of kunit.py's, when it is built

    def file(self, home, ending):
        """What belongs to it beside its directory."""
        return os.path.join(home, f"{self.build}.{ending}")

    def log(self, home):
        return os.path.join(home, self.build, "test.log")


MTE = Machine("kunit", "", "tools/qemu/arm64_mte.py", ("MTE",), {}, 1007)
PLAIN = dataclasses.replace(MTE, qemu="", has=())
RIG = Machine("rig", "kunit/rig", "tools/qemu/arm64_rig.py", ("RIG",), packages.FIRMWARE, 1305)
RIG_LOCKDEP = dataclasses.replace(RIG, build="rig-lockdep",
                                  options=("--kconfig_add=CONFIG_PROVE_LOCKING=y",))
RIG_DT = dataclasses.replace(RIG, qemu="tools/qemu/arm64_rig_dt.py", packages={})

# Options that only one of kunit.py's build and exec knows; it has the others in common.
EXEC_ONLY = ("--timeout --filter --filter_action --kernel_args --run_isolated --list_tests "
             "--list_tests_attr --list_suites --raw_output --json --junit --summary "
             "--failed").split()
BUILD_ONLY = ["--jobs"]
# Leaves out the sweeps; each suite has cases that stay.
FAST = "--filter=speed>slow"
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


def build_with_progress(cmd, top, build, log, total_file, guess=MTE.objects, env=None):
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
                p.wait(1)
                break
            done = objects(build, start - 1)
            progress.show(f"   built {done} of about {max(total, done)} objects" if fresh
                          else f"   built {done} objects anew")
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
    ui.note(f"{made} objects in {time.time() - start:.0f} s")


@dataclasses.dataclass
class Run:
    """One run, and what came of it."""
    tree: object
    version: str
    machine: Machine
    binary: str             # QEMU, and its version
    qemu: tuple
    log: str
    started: float
    times: dict = dataclasses.field(default_factory=dict)
    expected: list = ()     # suites
    verdict: object = None

    def features(self):
        return ", ".join(f"{f} {'on' if self.verdict.features[f] else 'off'}"
                         for f in ("MTE", "MOPS", *(("RIG",) if "RIG" in self.machine.has else ())))


def _wants_mops(version):
    return version_key(version) > (6, 12)


def must_have(version, qemu, machine, extra):
    """The features that the kernel has to find."""
    asked = kernel_arguments(extra)
    # Somebody's own machine or CPU may lack anything.
    if has_option(extra, "--qemu_args", "--qemu_config"):
        return []
    wanted = list(machine.has)
    if qemu < packages.QEMU_TAGS or "arm64.nomte" in asked:
        wanted = [f for f in wanted if f != "MTE"]
    if _wants_mops(version) and qemu >= packages.QEMU_MOPS and "arm64.nomops" not in asked:
        wanted.append("MOPS")
    if judge.LOG_FEATURES["DEATHS"] in asked:
        wanted.append("DEATHS")
    if "kasan.mode=async" in asked:
        wanted.append("KASAN_ASYNC")
    return wanted


def must_lack(machine, extra):
    """The features that the kernel must not find, or the run is not what it says."""
    asked = kernel_arguments(extra)
    off = {"arm64.nomte": "MTE", "arm64.nomops": "MOPS", "kasan=off": "KASAN_TAGS"}
    lacking = [feature for argument, feature in off.items() if argument in asked]
    if not has_option(extra, "--qemu_args", "--qemu_config"):
        lacking += [f for f in ("MTE", "RIG") if f not in machine.has]
    return lacking


def run(args, extra=(), machine=MTE):
    """tools/run's job: prepares, builds, boots and judges; gives a Run.

    args: its options; extra: more of kunit.py's arguments.
    """
    extra = list(extra)
    known = judge.repo_suites(tree.REPO)
    expected = judge.matching(known, args.glob)
    if not expected and not has_option(extra, "--kconfig_add", "--kunitconfig", "--alltests"):
        raise Fail(f"no suite matches '{args.glob}'; there are: {', '.join(known) or 'none'}")
    with prepare(args, machine) as result:
        build(args, result, split_arguments(extra)[0])
        result.expected = expected
        _boot_suites(args, extra, result)
    result.times["all"] = time.monotonic() - result.started
    return result


@contextlib.contextmanager
def prepare(args, machine, *needed):
    """A Run that is yet to be built and booted, and nobody else's meanwhile.

    needed: more tables of packages.
    """
    started = time.monotonic()
    prepared, source = tree.select(args)
    ui.step("packages")
    packages.need(not args.no_install, packages.TREE, packages.BUILD, machine.packages, *needed)
    os.makedirs(prepared.home, exist_ok=True)
    with tree.locked(os.path.join(prepared.home, ".lock-kunit"), prepared.home):
        ui.step("tree")
        prepared.prepare(source())
        version = prepared.version
        ui.note(f"Linux {version} in {prepared.top}")
        if edits := prepared.edits():
            ui.note(f"with edits not written back yet: {', '.join(edits[:3])}"
                    f"{', ...' if edits[3:] else ''}")
        check_compiler(prepared.top)
        binary, qemu = packages.qemu(args)
        yield Run(prepared, version, machine, binary, qemu, machine.log(prepared.home), started)


def command(prepared, machine=MTE):
    """The kernel's kunit.py, and what all its subcommands take."""
    common = ["--arch=arm64", f"--cross_compile={CROSS}",
              f"--kunitconfig={os.path.join(tree.REPO, machine.config)}",
              f"--build_dir={os.path.join(prepared.home, machine.build)}"]
    if machine.qemu:
        common.append(f"--qemu_config={os.path.join(tree.REPO, machine.qemu)}")
    return [sys.executable, os.path.join(prepared.top, "tools/testing/kunit/kunit.py")], common


def build(args, result, extra=()):
    """Builds the machine's kernel, unless that is done; extra: arguments of kunit.py's build."""
    if getattr(args, "built", False):
        return
    home, machine = result.tree.home, result.machine
    kunit, common = command(result.tree, machine)
    ui.step("build")
    start = time.monotonic()
    tree.check_space(home, 2 << 30)
    build_with_progress([*kunit, "build", *common, f"--jobs={args.jobs}",
                         *machine.options, *extra],
                        result.tree.top, os.path.join(home, machine.build),
                        machine.file(home, "build.log"), machine.file(home, "objects"),
                        machine.objects)
    result.times["build"] = time.monotonic() - start


def _boot_suites(args, extra, result):
    top, home = result.tree.top, result.tree.home
    kunit, common = command(result.tree, result.machine)
    for_exec = split_arguments(extra)[1]
    ui.step("boot and suites")
    start = time.monotonic()
    path = path_with(home, result.binary)
    cmd = [*kunit, "exec", *common, f"--timeout={args.timeout}", *for_exec]
    if args.glob:
        cmd.append(args.glob)
    if has_option(extra, *UNJUDGED):
        with process(cmd, cwd=top, env={"PATH": path}) as p:
            p.wait()
        if p.returncode:
            raise Fail(f"kunit.py ended with exit code {p.returncode}; its output is above")
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(result.log)
    raw = has_option(extra, "--raw_output")
    said, code = _boot(cmd if raw else [*cmd, "--raw_output=all"], top, path, echo=raw)
    lines = _read(result.log)
    result.verdict = judge.judge(
        lines, "\n".join(_read(os.path.join(os.path.dirname(result.log), ".config"))),
        [] if has_option(extra, "--filter") and FAST not in extra else result.expected,
        must_have(result.version, result.qemu, result.machine, extra),
        must_lack(result.machine, extra),
        lacks=() if result.qemu >= packages.QEMU_TAGS else ("MTE",),
        skips_asked_for=has_option(extra, "--filter_action"))
    _parse(kunit, top, args, result)
    problems = result.verdict.problems
    if any("timed out after" in line for line in said):
        problems.insert(0, f"the kernel hung: not done after {args.timeout} s; see its last "
                           "lines above, or give it longer with --timeout")
    elif code:
        problems.append(f"kunit.py exec ended with exit code {code}")
    if not any(s.finished for s in result.verdict.suites) or problems and "hung" in problems[0]:
        ui.note("the last lines of the console:")
        for line in (lines or said)[-15:]:
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


def _boot(cmd, top, path, echo):
    """Boots the kernel and says how each suite did; gives kunit.py's output and exit code."""
    said, log = [], judge.Log()
    with process(cmd, cwd=top, env={"PATH": path}, stdout=subprocess.PIPE,
                 stderr=subprocess.STDOUT, text=True, errors="backslashreplace") as p:
        for line in p.stdout:
            said.append(line.rstrip())
            if echo:
                ui.say(line.rstrip())
            if suite := log.feed(line):
                say_suite(suite)
        p.wait()
    return said, p.returncode


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
    home, verdict = result.tree.home, result.verdict
    file = result.machine.file(home, "json")
    cmd = [*kunit, "parse", f"--json={file}", result.log]
    if os.path.exists(result.log):
        with process(cmd, cwd=top, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            p.wait()
        if p.returncode and not verdict.problems:
            verdict.problems.append(f"kunit.py fails this run: {shlex.join(cmd)}")
    if getattr(args, "json", None):
        content = {}
        with contextlib.suppress(OSError, ValueError), open(file, encoding="utf-8") as f:
            content = json.load(f)
        content["copy_mc"] = {"kernel": result.version, "qemu": ".".join(map(str, result.qemu)),
                              "log": result.log, **verdict.as_json()}
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(content, f, indent=4)
            f.write("\n")


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as f:
            return [line.rstrip("\n") for line in f]
    except FileNotFoundError:
        return []


def add_arguments(parser, kernel=KERNELS[0], timeout=600):
    tree.add_arguments(parser, kernel)
    parser.add_argument("--qemu", metavar="BIN",
                        help="QEMU to boot with (default: the machine's, or if that is older than "
                             "10 one from Debian's backports, below the build directory)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="how many compilers at a time (default: one per CPU)")
    parser.add_argument("--timeout", type=int, default=timeout, metavar="S",
                        help=f"seconds that a kernel may take for all suites (default {timeout})")


def summary(result):
    """The closing lines of a run."""
    v = result.verdict
    for problem in v.problems:
        ui.say(f"FAIL {problem}")
    t = result.times
    ran = sum(s.finished for s in v.suites)
    ui.step("summary")
    ui.note(f"kernel   Linux {result.version}")
    ui.note(f"QEMU     {'.'.join(map(str, result.qemu))}, {result.features()}")
    ui.note(f"suites   {ran} of {max(len(result.expected), ran)}")
    ui.note(f"cases    {v.count('passed')} passed, {v.count('failed')} failed, "
            f"{v.count('skipped')} skipped")
    ui.note(f"time     {t['all']:.0f} s: build {t.get('build', 0):.0f} s, "
            f"boot and suites {t['boot']:.0f} s")
    ui.note(f"log      {result.log}")
    ui.note(f"verdict  {'good' if not v.problems else f'{len(v.problems)} problems, see above'}")


