# SPDX-License-Identifier: GPL-2.0-only
"""All mutants of lib.mutants, in one build and few boots: which of them does a test notice?

A test is a case of KUnit or one of user space's.  A mutant has to be noticed by one that
comes by its place; the first time that all tests run says who comes by where.
"""

import collections
import concurrent.futures
import dataclasses
import errno
import itertools
import json
import os
import re
import shutil
import threading
import time

from lib import checks, guest, judge, kunit, mutants, packages, selftests, tree, ui
from lib.overlay import Overlay
from lib.ui import Fail

FILES = "/sys/kernel/debug/mutants"
ARGUMENTS = "kunit.enable=1 kunit.filter_glob=none printk.devkmsg=on"

# Suites that a routine of assembly is held against.
COPIES = re.compile(r"copy_|uaccess_|extable_|sea_genuine")
# Seconds of tests on a machine that a mutant is held against; those that are likely to notice
# come first.
ENOUGH = 60
# The same in a routine of assembly, where it is not known who comes by: its loop and its CPY*
# are not for the same machine.
ENOUGH_UNKNOWN = 20
# Seconds that it takes to ask for a test.
OVERHEAD = 0.2
# Bytes of a routine that the same tests are likely to come by.
NEAR = 64

# Real oopses are none of a right kernel's.
NOT_TRIED = (judge.DEATHS_SUITE,)


@dataclasses.dataclass
class Test:
    name: str                   # SUITE.CASE or PROGRAM:TEST
    seconds: float = 0.0
    reached: frozenset = frozenset()
    variant: str = ""           # of the machine, one of variants()

    @property
    def command(self):
        if ":" in self.name:
            program, test = self.name.split(":")
            return f"run /{program} -t {test}"
        return f"write {FILES}/case {self.name}"

    @property
    def timeout(self):
        return 10 + 4 * self.seconds


def all_tests(prepared):
    """Each of them, by its name; none that takes long."""
    cases = [f"{s}.{c}" for s, there in judge.suites(prepared.top, slow=False).items()
             if s not in NOT_TRIED for c in there]
    # Those of one name differ in their parameters.
    return [Test(n) for n in dict.fromkeys(cases + selftests.Known(prepared).scenarios())]


def variants(version):
    """The machines: what one does not notice, the next one may.

    QEMU takes three times as long if it has tags to check.
    """
    return (*(["nomte nomops"] if kunit.wants_mops(version) else []), "nomte", "")


# -- the build -----------------------------------------------------------------------------

def _tree_with(git, texts):
    """The overlay's tree object, with these texts as its files."""
    overlay = git.tree("overlay")
    modes = git.entries(overlay, texts)
    return git.tree_with({n: (modes[n][0], git("hash-object", "-w", "--stdin", stdin=t))
                          for n, t in texts.items()}, overlay)


def _refused(log, names):
    """{(file, line)} of what the compiler does not take, itself or in a macro's expansion."""
    found, error = set(), False
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f:
            m = re.match(r"(\S+?):(\d+):\d+: (error|warning|note):", line)
            if not m:
                continue
            error = m[3] == "error" or error and m[3] == "note"
            name = next((n for n in names if os.path.normpath(m[1]).endswith(n)), None)
            if error and name:
                found.add((name, int(m[2]) - mutants.PRELUDE.count("\n")))
    return found


def _text(prepared, name):
    with open(os.path.join(prepared.top, name), encoding="utf-8") as f:
        return f.read()


def find(prepared, asked):
    """The mutants of the overlay's files of C, or of those of them that are asked for."""
    git = prepared.git
    base, overlay = git.tree("base"), git.tree("overlay")
    names = [n for n in git.changed(base, overlay) if n in asked or not asked]
    names = [n for n in names if mutants.OURS.fullmatch(n) or n in mutants.HEADERS]
    lines = mutants.our_lines(git, base, overlay, names)
    return mutants.places(prepared.top, lines) if names else []


def build(args, result, there):
    """Builds the kernel that has these mutants, and says of the others why it has not.

    The image is below <build dir>/<kernel>/mutants.
    """
    if len(there) >= mutants.MOST:
        raise Fail(f"{len(there)} mutants: mutants.c knows {mutants.MOST}; give some of the files")
    prepared = result.tree
    where = os.path.join(prepared.home, "mutants")
    make = checks.Kernel(prepared, args.jobs)
    with open(os.path.join(mutants.DIR, "mutants.c"), encoding="utf-8") as f:
        hook = _text(prepared, mutants.HOOK) + f.read()
    for _ in range(8):
        tried = [m for m in there if not m.untried]
        texts = {name: mutants.rewritten(_text(prepared, name),
                                         [m for m in tried if m.file == name])
                 for name in sorted({m.file for m in tried})}
        texts[mutants.HOOK] = hook
        with prepared.mutated(_tree_with(prepared.git, texts)):
            try:
                make.make(checks.ARM64, result.dir, "-k", "Image.gz")
            except Fail:
                lines = _refused(result.dir + ".log", texts)
                lost = [m for m in tried
                        if any((m.file, n) in lines for n in range(m.start[0], m.end[0] + 1))]
                if not lost:
                    raise
                for m in lost:
                    m.untried = "the compiler refuses it, or another one of its line"
                continue
            for m in tried:
                if m.file.endswith(".c") and \
                        not os.path.exists(os.path.join(result.dir, m.file[:-1] + "o")):
                    m.untried = "this kernel has no such file"
            image = os.path.join(where, kunit.IMAGE)
            os.makedirs(os.path.dirname(image), exist_ok=True)
            shutil.copy2(os.path.join(result.dir, kunit.IMAGE), image)
            shutil.copy2(os.path.join(result.dir, "vmlinux"), where)
            return
    raise Fail(f"the kernel with the mutants does not build; see {result.dir}.log")


def programs(args, result):
    """The initramfs: the tests, and the agent that runs them."""
    path = os.path.join(result.tree.home, "mutants", "initramfs.cpio")
    agent = os.path.join(os.path.dirname(path), "agent")
    status, _, err = packages.run(f"{kunit.CROSS}gcc", "-O2", "-static", "-o", agent,
                                  os.path.join(mutants.DIR, "agent.c"))
    if status:
        raise Fail(f"agent.c does not build: {err.strip()}")
    return selftests.initramfs(path, {**selftests.Programs(result.tree, args.jobs).files(),
                                      "/agent": agent}, result.dir)


def assembly(prepared, asked):
    """The mutants of the routines of assembly, of those asked for, in what build() has left."""
    kernel = mutants.Kernel(os.path.join(prepared.home, "mutants", "vmlinux"), kunit.CROSS)
    return [m for m in mutants.instructions(kernel) if m.file in asked or not asked]


def number(there, reasons):
    """Tells those with the same key apart, and says of each why it is equivalent, if it is."""
    seen = collections.Counter()
    for m in there:
        seen[m.key] += 1
        m.nth = seen[m.key]
        m.equivalent = reasons.get(m.name, "")


def need_all(there, reasons):
    """Fails if an equivalent one is not there, among all of this tree."""
    if lost := mutants.unknown(there, reasons):
        raise Fail(f"tools/mutants/equivalent: {lost[0]}: no mutant has that name")


def reasons(prepared):
    """{name: why} of the mutants of this tree that nothing can notice."""
    variant = Overlay(tree.REPO, prepared.git).variant(prepared.base, prepared.version)
    return mutants.equivalents(os.path.join(mutants.DIR, "equivalent"), variant)


def fit(k):
    """every equivalent mutant is there; how many there are"""
    there, why = find(k.tree, ()), reasons(k.tree)
    number(there, why)
    need_all(there, why)
    return ui.number(len(there), "mutant")


# -- the tests -----------------------------------------------------------------------------

class Machine:
    """A guest, and how a test ends there."""

    def __init__(self, results, initrd, number):
        """results: {variant: a Run}"""
        home = os.path.join(results[""].tree.home, "mutants")
        self.log = os.path.join(home, f"{number}.log")
        open(self.log, "w", encoding="utf-8").close()
        self.variant = ""
        self._command = lambda more: selftests.command(
            results[self.variant], initrd, ["agent"], f"{ARGUMENTS}{more}", home)
        self.guest = guest.Guest(self._command(""), self.log)

    def reboot(self, mutant=0):
        """With a mutant there is from the first instruction on."""
        self.guest.stop()
        self.guest.cmd = self._command(f" mutant={mutant}" if mutant else "")

    def become(self, variant):
        """This machine from now on."""
        if variant != self.variant:
            self.variant = variant
            self.reboot()

    def attempt(self, test):
        """What is wrong with this test, or "".  What must not go on, does not."""
        try:
            lines, answer = self.guest.ask(test.command, test.timeout, judge.BAD_TEXT.search)
        except guest.Died as e:
            self.reboot()
            return f"{test.name}: {e}"
        if answer is None:
            self.reboot()
            return f"{test.name}: {guest.judge_text(lines[-1])}"
        if any(re.search(r"\bnot ok\b", line) for line in lines) or (answer and ":" in test.name):
            return test.name
        if answer:
            return f"{test.name}: {os.strerror(answer)}"
        if not any(re.search(r"\bok \d", line) for line in lines):
            return f"{test.name}: no result"
        if any("# SKIP" in line for line in lines) and not any(
                re.search(r"^(?!.*# SKIP).*\bok \d", line) for line in lines):
            return f"{test.name}: skipped"
        return ""

    def reached(self):
        return frozenset(int(m[1]) for line in self.guest.do(f"read {FILES}/reached")
                         if (m := re.search(r"mutant: reached (\d+)", line)))

    def choose(self, mutant):
        """The kernel is wrong in this way from now on."""
        for address, word, old in mutant.pokes:
            self.guest.do(f"write {FILES}/poke {address:x} {old:x} {word:x}")
        if not mutant.pokes:
            self.guest.do(f"write {FILES}/chosen {mutant.number}")

    def restore(self, mutant):
        """As it was; a kernel that cannot be told so is as good as dead."""
        try:
            for address, word, old in mutant.pokes:
                self.guest.do(f"write {FILES}/poke {address:x} {word:x} {old:x}")
            if not mutant.pokes:
                self.guest.do(f"write {FILES}/chosen 0")
        except guest.Refused as e:
            raise guest.Died(str(e)) from None


def _places(mutant):
    """Where it is, the smallest place first: who noticed others there may notice this one."""
    function, _, offset = mutant.function.partition("+")
    part = f"{function}+{int(offset, 16) // NEAR}" if offset else function
    return part, function, mutant.file


class Hunt:
    """All mutants against all tests, on several machines at a time."""

    def __init__(self, machines, tests, those):
        """those: variants of the machines, in their order"""
        self.machines, self.tests, self.variants = machines, tests, those
        self.boot = frozenset()             # what is come by before any test
        self.lock = threading.Lock()
        self.kills = collections.defaultdict(collections.Counter)
        self.stopping = False

    def _each(self, things, do):
        """do(machine, thing) for each, in their order as far as that goes."""
        pending = list(things)

        def work(machine):
            while True:
                with self.lock:
                    if not pending:
                        return
                    thing = pending.pop(0)
                do(machine, thing)

        with concurrent.futures.ThreadPoolExecutor(len(self.machines)) as pool:
            try:
                for future in [pool.submit(work, m) for m in self.machines]:
                    future.result()
            except BaseException:       # the others are not to go on, nor who waits for them
                self.stopping = True
                pending.clear()
                for m in self.machines:
                    m.guest.kill()
                raise

    def baseline(self):
        """Which tests pass where, how long they take and where they come by; gives the others."""
        found, others, progress = [], [], ui.Progress()
        progress.last = time.monotonic()

        def one(machine, test):
            machine.become(test.variant)
            machine.reached()
            start = time.monotonic()
            test.seconds = 60.0
            # A machine that is busy may make one too slow once.
            problem = machine.attempt(test) and machine.attempt(test)
            test.seconds = time.monotonic() - start
            if not problem:
                test.reached = machine.reached()
            with self.lock:
                (others if problem else found).append((test, problem))
                progress.show(f"   {len(found) + len(others)} tests")

        for variant in self.variants:
            self.machines[0].become(variant)
            self.boot |= self.machines[0].reached()
            self._each([dataclasses.replace(t, variant=variant) for t in self.tests], one)
            if failed := [p for _, p in others if not p.endswith(": skipped")]:
                progress.clear()
                raise Fail(f"the kernel as it is does not pass: {failed[0]}; see "
                           f"{os.path.dirname(self.machines[0].log)}")
        progress.clear()
        ran = {t.name for t, _ in found}
        skipped = [t for t in self.tests if t.name not in ran]
        self.tests = [t for t, _ in found]
        return skipped

    def candidates(self, mutant):
        """The tests that may notice it; those first that most likely do in a second.

        Those are the ones that noticed others there, or are quick; and first of all those of
        the machine that did, as another one may not even come by.
        """
        if mutant.pokes:
            found = [t for t in self.tests if COPIES.match(t.name)]
        else:
            found = [t for t in self.tests if mutant.number in t.reached]
        with self.lock:
            part, here, nearby = (self.kills[p].copy() for p in _places(mutant))

        def likely(test):
            return (1 + 2 * here[test.name] + nearby[test.name]) / (test.seconds + OVERHEAD)

        def machine(variant):
            return -part[variant], -here[variant], self.variants.index(variant)

        return sorted(found, key=lambda t: (machine(t.variant), -likely(t)))

    def attempt(self, machine, mutant):
        """(what noticed it or "", words)"""
        found = self.candidates(mutant)
        if not found and mutant.number in self.boot and not mutant.pokes:
            return self._from_boot(machine, mutant)
        if not found:
            return "", "no test comes by"
        tried, enough = set(), ENOUGH_UNKNOWN if mutant.pokes else ENOUGH
        try:
            for variant, tests in itertools.groupby(found, lambda t: t.variant):
                try:
                    self._choose(machine, mutant, variant)
                except guest.Refused as e:
                    if e.errno != errno.ESTALE:
                        raise
                    continue
                seconds = 0
                for test in tests:
                    if seconds > enough:
                        break
                    seconds += test.seconds
                    tried.add(test.name)
                    if problem := self._noticed(machine, mutant, test):
                        with self.lock:
                            for place in {*_places(mutant)}:
                                self.kills[place].update((test.name, test.variant))
                        return problem, problem
                machine.restore(mutant)
        except guest.Died as e:
            # The machine cannot even be asked.
            machine.reboot()
            return str(e), f"between two tests: {e}"
        if not tried:
            mutant.untried = "another instruction is there, of an alternative"
            return "", ""
        names = {t.name for t in found}
        some = f"{len(tried)} of " if len(tried) < len(names) else ""
        return "", f"{some}{ui.number(len(names), 'test')} that come by noticed nothing"

    @staticmethod
    def _choose(machine, mutant, variant):
        machine.become(variant)
        try:
            machine.choose(mutant)
        except guest.Died:      # of what one before has left, or of this one
            machine.reboot()
            try:
                machine.reached()
            except guest.Died as e:
                raise Fail(f"the machine does not come up: {e}; see {machine.log}") from None
            machine.choose(mutant)

    def _noticed(self, machine, mutant, test):
        """What the test says of the mutant twice, and of nothing else."""
        problem = machine.attempt(test)
        if not problem:
            return ""
        if not machine.guest.process:       # a new one has nothing left of another mutant
            return self._from_new(machine, mutant, test) if machine.attempt(test) else problem
        machine.restore(mutant)
        if machine.attempt(test):
            return self._from_new(machine, mutant, test)
        machine.choose(mutant)
        if not machine.attempt(test):
            return ""
        if machine.guest.process:
            machine.restore(mutant)
        return problem

    def _from_new(self, machine, mutant, test):
        """The same where one before has left something, or the test is not to be relied upon."""
        machine.reboot()
        reliable = not machine.attempt(test)
        self._choose(machine, mutant, test.variant)
        problem = machine.attempt(test) if reliable else ""
        if problem:
            machine.reboot()
        return problem

    def _from_boot(self, machine, mutant):
        """The same of one that is there while the kernel boots, against user space's tests."""
        for variant in self.variants:
            machine.become(variant)
            machine.reboot(mutant.number)
            for test in self.tests:
                if ":" not in test.name or test.variant != variant or not machine.attempt(test):
                    continue
                machine.reboot()
                if not machine.attempt(test):
                    return test.name, test.name
                machine.reboot(mutant.number)
        machine.reboot()
        return "", "user space's tests noticed nothing"

    def run(self, those, done):
        """done(mutant, what noticed it or "", words) of each, as they come."""
        def one(machine, mutant):
            killer, words = self.attempt(machine, mutant)
            if self.stopping:       # of a machine that was ended
                return
            with self.lock:
                done(mutant, killer, words)

        self._each(those, one)

    def stop(self):
        for m in self.machines:
            m.guest.stop()


# -- what came of it -----------------------------------------------------------------------

def report(search, there, path, everything=False):
    """Runs them and says what came of each that is no routine; gives the exit code.

    everything: those as well that nothing can notice
    """
    found, progress, start = {}, ui.Progress(), time.monotonic()
    for m in there:
        if m.untried or m.equivalent and not everything:
            found[m] = "", m.untried or "not tried"
    progress.last = start

    def write():
        if path:
            with open(path, "w", encoding="utf-8") as f:
                json.dump({"mutants": [
                    {"name": m.name, "file": m.file, "line": m.line, "says": str(m),
                     "killed_by": killer, "detail": words, "equivalent": m.equivalent}
                    for m, (killer, words) in found.items()]}, f, indent=4)
                f.write("\n")

    def done(mutant, killer, words):
        found[mutant] = killer, words or mutant.untried
        if not killer and not mutant.equivalent and not mutant.untried:
            progress.clear()
            ui.note(f"SURVIVED {mutant}: {words}")
        elif killer and mutant.equivalent:
            progress.clear()
            ui.note(f"KILLED though equivalent {mutant}: {words}")
        progress.show(f"   {len(found)} of {len(there)}, "
                      f"{sum(m.guest.boots for m in search.machines)} boots, "
                      f"{time.monotonic() - start:.0f} s")
        write()

    search.run([m for m in there if m not in found], done)
    progress.clear()
    ui.step("summary")
    files = collections.defaultdict(collections.Counter)
    for m, (killer, _) in found.items():
        files[m.file]["killed" if killer else "untried" if m.untried else
                      "equivalent" if m.equivalent else "survived"] += 1
    for file, score in sorted(files.items()):
        good, untried = score["killed"] + score["equivalent"], score["untried"]
        ui.note(f"{file:36} {100 * good // (good + score['survived'] or 1):4} %: "
                f"{score['killed']:4} killed {score['equivalent']:4} equivalent "
                f"{score['survived']:4} survived" + (f" {untried:4} not tried" if untried else ""))
    for why, number in collections.Counter(m.untried for m in found if m.untried).items():
        ui.note(f"{number} not tried: {why}")
    total = sum(files.values(), collections.Counter())
    wrong = sum(bool(k and m.equivalent) for m, (k, _) in found.items())
    ui.say(f"{total['killed']} killed, {total['equivalent']} equivalent, {total['survived']} "
           f"survived, {wrong} killed though equivalent, in {time.monotonic() - start:.0f} s and "
           f"{sum(m.guest.boots for m in search.machines)} boots")
    return 1 if total["survived"] or wrong else 0
