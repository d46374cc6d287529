# SPDX-License-Identifier: GPL-2.0-only
"""Mutations: wrong versions of the implementation, each of which some case must notice.

One is a file tools/mutations/NAME.patch, for the prepared tree:

    What is wrong with it, in one line
    Kernel: 7.3                 only for kernels of this variant
    Variant: nomops             the machine that it takes, as of ./tools/run --variant
    Selftests: callers:cow      the selftests, not the suites, are what must notice
    Equivalent: why             no case can notice it
    Policy: WORD VALUE, ...     it is right if CONTRACT_WORD has that value
    --- a/arch/arm64/...

One with a policy is held to three things: some case notices it, none does under a contract of
that policy, and under that some case notices the implementation as it is.
"""

import dataclasses
import fnmatch
import glob
import os
import re
import subprocess

from lib import checks, compare, judge, ktap, kunit, resume, selftests, tree
from lib.git import GitError
from lib.overlay import KERNELS, Overlay
from lib.ui import Fail

DIR = "tools/mutations"
CONTRACT = "kunit/contract/ours.h"

_HEADER = re.compile(r"(Kernel|Variant|Selftests|Equivalent|Policy): *(.+)")


@dataclasses.dataclass
class Mutation:
    name: str
    path: str
    description: str
    kernel: str = ""
    variant: str = ""
    selftests: str = ""
    equivalent: str = ""
    policy: str = ""

    def __str__(self):
        more = [f"{self.kernel} only"] if self.kernel else []
        more += [m for m in (self.variant, self.selftests, self.policy) if m]
        more += ["equivalent"] if self.equivalent else []
        return f"{self.name:46} {self.description}" + (f" ({', '.join(more)})" if more else "")


def read(path):
    """A mutation from its file."""
    with open(path, encoding="utf-8") as f:
        head, diff, _ = f.read().partition("--- a/")
    first, *rest = head.splitlines() or [""]
    if not diff or not first.strip() or _HEADER.match(first):
        raise Fail(f"{path}: must begin with a line that says what is wrong, and go on with "
                   "a patch from a/ to b/")
    fields = {}
    for line in rest:
        m = _HEADER.fullmatch(line)
        if not m or m[1].lower() in fields:
            raise Fail(f"{path}: '{line}' is no header, or one too many; there are Kernel, "
                       "Variant, Selftests, Equivalent, Policy")
        fields[m[1].lower()] = m[2].strip()
    if fields.get("kernel", KERNELS[0]) not in KERNELS:
        raise Fail(f"{path}: no such kernel; there are {', '.join(KERNELS)}")
    # Those of the same kernel: a mutation is built once.
    variants = [v for v, what in kunit.VARIANTS.items() if "options" not in what]
    for name in fields.get("variant", "").split():
        if name not in variants:
            raise Fail(f"{path}: {name}: no such variant; there are {', '.join(variants)}")
    for other in ("selftests", "equivalent"):
        if "policy" in fields and other in fields:
            raise Fail(f"{path}: a policy is for the suites, and for what they notice; leave out "
                       f"{other.capitalize()}")
    return Mutation(os.path.basename(path).removesuffix(".patch"), path, first.strip(), **fields)


def select(names=()):
    """Those with these names, or that match them; all of them, if there are no names."""
    found = [read(p) for p in sorted(glob.glob(os.path.join(tree.REPO, DIR, "*.patch")))]
    for name in names:
        if not fnmatch.filter([m.name for m in found], name):
            raise Fail(f"{name}: no such mutation; see --list")
    return [m for m in found if not names or any(fnmatch.fnmatchcase(m.name, n) for n in names)]


def of(prepared, mutations):
    """Those that are for this kernel."""
    variant = Overlay(tree.REPO, prepared.git).variant(prepared.base, prepared.version)
    return [m for m in mutations if m.kernel in ("", variant)]


def _misfit(m, prepared, error):
    return (f"{DIR}/{m.name}.patch: does not fit Linux {prepared.version}: "
            f"{error.stderr.splitlines()[0].removeprefix('error: ')}")


def trees(prepared, mutations):
    """{name: the overlay's tree object with that mutation}; fails unless all apply."""
    git, overlay, found, wrong = prepared.git, prepared.git.tree("overlay"), {}, []
    with git.temp_index() as index:
        for m in mutations:
            git("read-tree", overlay, index=index)
            try:
                git("apply", "--cached", "--whitespace=nowarn", m.path, index=index)
            except GitError as e:
                wrong.append(_misfit(m, prepared, e))
                continue
            found[m.name] = git("write-tree", index=index)
            names = git.changed(overlay, found[m.name])
            if any(git.entries(t, names).keys() != set(names) for t in (overlay, found[m.name])):
                wrong.append(f"{DIR}/{m.name}.patch: adds or removes a file")
    if wrong:
        raise Fail(f"{'; '.join(wrong)}; nothing was built")
    _check_policies(git, mutations)
    return found


def _contract(m, git):
    """The text of our contract, but of this mutation's policy."""
    text = git("cat-file", "blob", f"{git.tree('overlay')}:{CONTRACT}") + "\n"
    for words in m.policy.split(","):
        word, _, value = words.strip().partition(" ")
        text, number = re.subn(
            rf"^(#define CONTRACT_{re.escape(word)}\t+)(?!\t|{re.escape(value)}$).+",
            lambda found, to=value: found[1] + to, text, flags=re.M)
        if not number or not value:
            raise Fail(f"{m.path}: '{words.strip()}' is no policy; give WORD VALUE, a CONTRACT_WORD "
                       f"of {CONTRACT} and what that is not already")
    return text


def _check_policies(git, mutations):
    for m in mutations:
        if m.policy:
            _contract(m, git)


def under_policy(prepared, m, changed):
    """Tree objects of the mutation and of the overlay, both under the mutation's policy."""
    git = prepared.git
    blob = git("hash-object", "-w", "--stdin", stdin=_contract(m, git))
    return [git.tree_with({CONTRACT: (git.entries(t, [CONTRACT])[CONTRACT][0], blob)}, t)
            for t in (changed, git.tree("overlay"))]


def fit(k):
    """every mutation fits"""
    git, ours, wrong = k.tree.git, of(k.tree, select()), []
    with git.temp_index() as index:
        git("read-tree", git.tree("overlay"), index=index)
        for m in ours:
            try:
                git("apply", "--cached", "--check", "--whitespace=nowarn", m.path, index=index)
            except GitError as e:
                wrong.append(_misfit(m, k.tree, e))
    if wrong:
        raise Fail("; ".join(wrong))
    _check_policies(git, ours)
    return f"{len(ours)} patches"


class Watch:
    """Reads a log up to the first thing that would not be in that of the right kernel."""

    def __init__(self, top):
        self.log, self.sign = ktap.Log(top), None

    def feed(self, line):
        if not self.sign and judge.BAD_TEXT.search(line) and "[ cut here ]" not in line:
            self.sign = f"the log{self._where()}: {line.strip()}"
        self.log.feed(line)
        # The suite is not over, so it is read as far as it is there.
        if not self.sign and "not ok" in line:
            self.sign = next((f"{s.name} {r.name}" if r.name != s.name else s.name
                              for s in self.log.suites[-1:] for r in s.results
                              if r.status == "failed"), None)

    def _where(self):
        running = [s.name for s in self.log.suites[-1:] if not s.finished]
        return f" in {running[0]}" if running else ""

    def killed_by(self, said, problems):
        """What tells the mutation from the right kernel, "" if nothing does.

        said: all that kunit.py printed; problems: what the judge finds in a whole log.
        """
        if self.sign:
            return self.sign
        if resume.late(said):
            return f"hang{self._where()}"
        return problems[0] if problems else ""


def build(prepared, jobs, mutation):
    """Builds what is booted, and no more."""
    checks.Kernel(prepared, jobs).make(checks.ARM64, build_dir(prepared, mutation), "Image.gz")


def kernel(mutation):
    """What is built and booted for it: suites and selftests on one kernel."""
    return kunit.USER.but(*mutation.variant.split())


def build_dir(prepared, mutation):
    return kernel(mutation).dir(prepared.home)


def log_of(prepared, mutation):
    log = os.path.join(prepared.home, "mutations", mutation.name + ".log")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    return log


def boot_selftests(result, mutation, timeout):
    """Boots what is built with the selftests as they are; what killed it, or ""."""
    words, log = mutation.selftests.split(), log_of(result.tree, mutation)
    cmd = selftests.command(result, selftests.initramfs_path(result.tree), words)
    lines, hung = selftests.boot(cmd, log, timeout)
    if not any("Booting Linux" in line for line in lines):
        raise Fail(f"QEMU did not boot it; see {log}")
    found = compare.outcome(lines, hung,
                            selftests.verdict(result, lines, words, hung, timeout))
    return "" if found.status == "passed" else compare.text(found)


def boot(result, mutation, timeout, suites, only=""):
    """Boots what is built, as far as is needed; gives what killed it, or ""."""
    prepared = result.tree
    cmd, common = kunit.command(prepared, result.machine, result.dir)
    cmd += ["exec", *common, "--raw_output=all", f"--timeout={timeout}", kunit.NO_SWEEPS,
            *kunit.boot_options(result), *([only] if only else [])]
    said, watch = [], Watch(prepared.top)
    with kunit.process(cmd, cwd=prepared.top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env={"PATH": kunit.path_with(prepared.home, result.binary)},
                       text=True, errors="backslashreplace") as p:
        for line in p.stdout:
            said.append(line.rstrip())
            watch.feed(line)
            if watch.sign:
                break
    log = log_of(prepared, mutation)
    with open(log, "w", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in said)
    if not any("Booting Linux" in line for line in said):
        raise Fail(f"QEMU did not boot it; see {log}")
    with open(os.path.join(result.dir, ".config"), encoding="utf-8") as f:
        # Under another policy a case may have nothing to hold to.
        verdict = judge.judge(ktap.Log(prepared.top), said, f.read(), suites, (),
                              skips_asked_for=bool(mutation.policy))
    return watch.killed_by(said, verdict.problems)


def outcome(mutation, killer):
    """(killed, survived or contradiction; what to say about it)."""
    if mutation.equivalent and killer:
        return "contradiction", f"KILLED by {killer}, although said to be equivalent"
    if killer:
        return "killed", f"killed by {killer}"
    if mutation.equivalent:
        return "equivalent", f"survived as it must: {mutation.equivalent}"
    return "survived", "SURVIVED"


def under_policy_outcome(mutation, words, killer, ours):
    """The same of a killed one under its policy.

    words: those so far; killer: what noticed it there, ours: and the implementation as it is.
    """
    if killer:
        return "contradiction", f"KILLED by {killer}, although right under {mutation.policy}"
    if not ours:
        return "survived", f"SURVIVED: under {mutation.policy} nothing fails either way"
    return "killed", f"{words}; right under {mutation.policy}, where ours is killed by {ours}"
