# SPDX-License-Identifier: GPL-2.0-only
"""Whether a run was good, which takes more than kunit.py's exit code.

kunit.py passes a run that oopsed while every case passed, one whose suite never
started, and one that skipped what it should have run.
"""

import contextlib
import dataclasses
import fnmatch
import glob
import itertools
import os
import re

from lib import ktap, ui

# Never in a good run's log.
BAD_TEXT = re.compile(
    r"\bBUG:|\bWARNING:|\bOops\b|Internal error|Unable to handle kernel|Kernel panic|"
    r"possible circular locking|possible recursive locking|possible irq lock inversion|"
    r"inconsistent lock state|inconsistent \{|bad unlock balance|held lock freed|"
    r"lock held when returning to user|suspicious RCU usage|INFO: task .* blocked|"
    r"INFO: rcu|rcu: INFO|soft lockup|hard LOCKUP|KASAN:|KCSAN:|KFENCE:|UBSAN:|Call trace:|"
    r"DEBUG_LOCKS_WARN_ON|refcount_t:|list_(?:add|del) corruption|Bad page state|"
    r"SError Interrupt|------------\[ cut here \]")

# What a case may lack, as in "needs MTE" or "needs a kernel without BPF_JIT", and how to
# tell whether a run has it: a line of the log, or a symbol of the configuration.
LOG_FEATURES = {
    "MTE": "CPU features: detected: Memory Tagging Extension",
    "MOPS": "CPU features: detected: Memory Copy and Memory Set instructions",
    "DEATHS": "copy_mc_test.sea_deaths=1",   # on the kernel's command line
    "RIG": "sea_rig: firmware at EL2",
    "ACPI": "ACPI: RSDP ",
    "NVDIMM": "ACPI: NFIT ",
    "LSE": "CPU features: detected: LSE atomic instructions",
    "PAN": "CPU features: detected: Privileged Access Never",
    "NODES": "Initmem setup node 1 [mem ",     # more than one
    "KASAN_TAGS": "KernelAddressSanitizer initialized (hw-tags",
    "KASAN_ASYNC": "KernelAddressSanitizer initialized (hw-tags, mode=async",
}
CONFIG_FEATURES = {
    "KASAN": "CONFIG_KASAN", "KASAN_HW_TAGS": "CONFIG_KASAN_HW_TAGS",
    "KASAN_GENERIC": "CONFIG_KASAN_GENERIC", "KASAN_SW_TAGS": "CONFIG_KASAN_SW_TAGS",
    "GHES": "CONFIG_ACPI_APEI_GHES", "HUGETLB": "CONFIG_HUGETLB_PAGE",
    "THP": "CONFIG_TRANSPARENT_HUGEPAGE", "KSM": "CONFIG_KSM", "BPF_JIT": "CONFIG_BPF_JIT",
    "MEMORY_FAILURE": "CONFIG_MEMORY_FAILURE", "IO_URING": "CONFIG_IO_URING",
    "KALLSYMS_ALL": "CONFIG_KALLSYMS_ALL",
    "RODATA_FULL": "CONFIG_RODATA_FULL_DEFAULT_ENABLED",
    "COPY_MC_CONTRACT_OURS": "CONFIG_COPY_MC_CONTRACT_OURS",    # which others need not do
    "AS_HAS_MOPS": "CONFIG_AS_HAS_MOPS",    # and the kernel's own copies use it
    "ARM64_LSUI": "CONFIG_ARM64_LSUI",
    "ARM64_PMEM": "CONFIG_ARM64_PMEM", "BLK_DEV_PMEM": "CONFIG_BLK_DEV_PMEM",
    "HOTPLUG_CPU": "CONFIG_HOTPLUG_CPU", "DEVMEM": "CONFIG_DEVMEM",
    "STRICT_DEVMEM": "CONFIG_STRICT_DEVMEM",
    "NVDIMM_PFN": "CONFIG_NVDIMM_PFN", "EXT4_FS": "CONFIG_EXT4_FS",
    "BLK_DEV_LOOP": "CONFIG_BLK_DEV_LOOP", "TMPFS": "CONFIG_TMPFS", "FUSE_FS": "CONFIG_FUSE_FS",
    "ZRAM": "CONFIG_ZRAM", "MODULES": "CONFIG_MODULES", "BLK_DEV_RAM": "CONFIG_BLK_DEV_RAM",
    "READ_ONLY_THP_FOR_FS": "CONFIG_READ_ONLY_THP_FOR_FS",
}

# With DEATHS each case of this suite has one oops, which leaves these texts.
DEATHS_SUITE = "sea_death"
DEATH_TEXTS = (["Internal error", "Call trace:"],
               ["Unable to handle kernel", "Internal error", "Call trace:"])

CALLERS = 8             # that are shown of a call trace

_CALLER = re.compile(r"\+0x[0-9a-f]+/0x[0-9a-f]+")
_ESCAPE = re.compile(r"\x1b\[[0-9;=?]*[A-Za-z]")    # of the firmware's, no line of its own
_STAMP = re.compile(r"\[ *\d+\.\d{6}\]")
_ENTRY = re.compile(r"# copy_each_entry: (\S+) [0-9a-f]{8} .*: (?:(\d+) aborts, all|not used on)")
_SWEEP = re.compile(r"# copy_sweep: .*: (\d+) aborts in")


class SelftestLog(ktap.Log):
    """Reads a console: each program of kselftest's is a suite, whose TAP is not nested.

    words: the programs that init runs, in this order.
    """

    def __init__(self, top, words):
        super().__init__(top)
        self.exit = None        # how many failed, when all came to their end
        self._pending = list(words)
        self._name = ""         # of the one that runs

    def feed(self, line):
        """Returns the suite that this line ends, if it does."""
        stamped, line = is_kernel(line), self._line(_ESCAPE.sub("", line).rstrip())
        if stamped:
            return None
        if line == "TAP version 13":
            self.started = True
            self._next()
        elif m := re.match(r"copy_mc: exit (\d+)$", line):
            self.exit = int(m[1])
        elif m := re.match(r"copy_mc: (\S+): (.+)$", line):
            self._failed(m[1], m[2])
        elif self._name and line.startswith("# Totals:"):
            return self._end(True)
        if self._name and not re.match(r"#\s+(?:RUN|OK|FAIL|SKIP)\b", line):
            self._lines.append(line)
        return None

    def _next(self):
        if self._name:
            self._end(False)
        self._name = self._pending.pop(0) if self._pending else "?"

    def _end(self, finished):
        suite, self._name = super()._end(finished), ""
        return suite

    def _read(self, finished):
        return self._name and self._parser.suite(self._lines, finished, name=self._name)

    def _failed(self, name, how):
        """Init's words about a program that did not end well."""
        if not self.suites or self.suites[-1].name.partition(":")[0] != name:
            self._next()        # it did not come to its first test
        if not self.suites[-1].count("failed"):
            self.problems.append(f"{self.suites[-1].name}: {how}")


def is_kernel(line):
    """Whether the kernel has said that, with time stamps, and not a program."""
    return bool(ktap.TIME.match(line))


def unsplit(lines):
    """The lines of a console that both the kernel and user space write to, each whole.

    The kernel's have a time stamp and go in between of user space's at any character.
    """
    rest = ""
    for line in lines:
        line = line.rstrip("\r\n")
        m = _STAMP.search(line)
        if not m:
            yield rest + line
            rest = ""
        else:
            rest += line[:m.start()]
            yield line[m.start():]
    if rest:
        yield rest


def coverage(logs):
    """({entry: its aborts}, [aborts of each sweep]) of the files that are there."""
    aborts, sweeps = {}, []
    for path in logs:
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8", errors="backslashreplace") as f:
            for line in f:
                if m := _ENTRY.search(line):
                    aborts[m[1]] = aborts.get(m[1], 0) + int(m[2] or 0)
                elif m := _SWEEP.search(line):
                    sweeps.append(int(m[1]))
    return aborts, sweeps


def suites(top, slow=True):
    """{suite: its cases} of the sources in the repository, or in a tree, in the order they run.

    slow: with those that kunit is told to leave out of a fast run
    """
    found, linked = {}, []
    with contextlib.suppress(FileNotFoundError), \
            open(os.path.join(top, "kunit/Makefile"), encoding="utf-8") as f:
        linked = re.findall(r"(\w+_kunit)\.o", f.read())

    def place(path):
        name = os.path.basename(path).removesuffix(".c")
        return linked.index(name) if name in linked else len(linked), path

    for path in sorted(glob.glob(os.path.join(top, "kunit", "**", "*_kunit.c"), recursive=True),
                       key=place):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        cases = {m[1]: [c[2] for c in re.finditer(r"^\tKUNIT_CASE(\w*)\((\w+)(.*)", m[2], re.M)
                        if slow or "SLOW" not in c[1] + c[3]] for m in
                 re.finditer(r"struct kunit_case (\w+)\[\] = \{(.*?)\n\};", text, re.S)}
        for body in re.findall(r"struct kunit_suite \w+ = \{(.*?)\n\};", text, re.S):
            fields = dict(re.findall(r'\.(name|test_cases)\s*=\s*"?(\w+)', body))
            found[fields["name"]] = cases.get(fields.get("test_cases"), [])
    return found


def matching(names, pattern):
    """The suites that this glob selects, all if it is empty."""
    return fnmatch.filter(names, pattern or "*")


@dataclasses.dataclass
class Verdict:
    suites: list
    features: dict          # name: whether the run has it
    problems: list

    def count(self, status):
        return sum(s.count(status) for s in self.suites)

    def as_json(self):
        return {"passed": self.count("passed"), "failed": self.count("failed"),
                "skipped": self.count("skipped"), "features": self.features,
                "problems": self.problems, "good": not self.problems}


def _with_callers(lines, n):
    """Line n; if it begins a call trace with the callers, which say where it was."""
    callers = lines[n:n + CALLERS] if "Call trace:" in lines[n - 1] else []
    callers = itertools.takewhile(_CALLER.search, callers)
    return " ".join([lines[n - 1].strip(), *(ktap.TIME.sub("", c.strip()) for c in callers)])


def bad_lines(lines, wanted=()):
    """What is in the log that never is in a good one, but for the lines of these numbers."""
    bad = [f"line {n} of the log: {_with_callers(lines, n)}" for n, line in enumerate(lines, 1)
           if BAD_TEXT.search(line) and n not in wanted]
    more = [f"{ui.number(len(bad) - 5, 'more line')} of the log like these"] if bad[5:] else []
    return bad[:5] + more


def judge(log, lines, config, expected, must_have, must_lack=(), skips_asked_for=False,
          stopped=(), must_say=()):
    """Judges a run by its log.

    log: reads these lines, a new ktap.Log or SelftestLog; config: the text of the kernel's
    .config; expected: the suites that must have run; must_have, must_lack: the features that
    this run was started with and without; skips_asked_for: somebody told kunit to skip what a
    filter leaves out; stopped: suites with a case that was the end of a boot, which somebody
    else has to say; must_say: texts of the log.
    """
    for line in lines:
        log.feed(line)
    found, problems = log.suites, []
    text = "\n".join(lines)
    features = {name: phrase in text for name, phrase in LOG_FEATURES.items()}
    features |= {name: f"\n{symbol}=y\n" in f"\n{config}\n"
                 for name, symbol in CONFIG_FEATURES.items()}
    # Before 6.13 no huge page has tags.
    version = re.search(r"Linux version (\d+)\.(\d+)", text)
    features["MTE_HUGETLB"] = (features["MTE"] and bool(version) and
                               tuple(map(int, version.groups())) > (6, 12))

    if not log.started:
        problems.append("the kernel did not come to its tests")
    else:
        for name in must_have:
            if not features[name]:
                problems.append(f"{name} is off although this run should have it: no "
                                f"\"{LOG_FEATURES[name]}\" in the log")
        for name in must_lack:
            if features[name]:
                problems.append(f"{name} is on although this run should be without it")
        problems += [f"the log has no '{say}'" for say in must_say if say not in text]
    wanted, wrong = _deaths(found) if features["DEATHS"] else (set(), [])
    problems += wrong + log.problems + bad_lines(lines, wanted)

    there = {s.name for s in found}
    if missing := [name for name in expected if name not in there]:
        problems.append(f"missing: suite {', '.join(missing)}")
    if log.started and not found:
        problems.append("no suite ran")
    for suite in found:
        if suite.name not in stopped:
            problems += _unsound(suite)
        for r in suite.results:
            if r.status == "failed":
                problems.append(f"{suite.name}.{r.name} failed")
            elif r.status == "skipped" and not skips_asked_for:
                problems += _skip_problem(f"{suite.name}.{r.name}", r.reason, features)
    return Verdict(found, features, problems)


def _unsound(suite):
    """What is wrong with a suite, whatever its cases say."""
    if not suite.finished or len(suite.done) < suite.planned:
        return [f"suite {suite.name} ended after {len(suite.done)} of {suite.planned} cases"]
    return [f"suite {suite.name}: kunit_parser says: {error}" for error in suite.errors]


def _deaths(found):
    """The numbers of the lines that cases died as they should, and the problems of others."""
    wanted, problems = set(), []
    passed = [r for s in found if s.name == DEATHS_SUITE for r in s.results if r.status == "passed"]
    for r in passed:
        texts = {line.number: m[0] for line in r.log if (m := BAD_TEXT.search(line))}
        if [*texts.values()] in DEATH_TEXTS:
            wanted.update(texts)
        else:
            problems.append(f"{DEATHS_SUITE}.{r.name} passed without the one oops of a death: "
                            f"{', '.join(texts.values()) or 'none'}")
    return wanted, problems


def _skip_problem(name, reason, features):
    m = re.match(r"needs (a kernel without )?(\w+)", reason)
    if not m or m[2] not in features:
        return [f"{name} was skipped for no known reason: {reason or 'none given'}"]
    if features[m[2]] != bool(m[1]):
        has = "has" if features[m[2]] else "lacks"
        return [f"{name} was skipped although this run {has} {m[2]}: {reason}"]
    return []
