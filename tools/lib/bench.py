# SPDX-License-Identifier: GPL-2.0-only
"""What copies cost in instructions: the lines of kunit/copy_mc_bench.c, and the targets."""

import collections
import dataclasses
import re

from lib import checks, ui
from lib.ui import Fail

Call = collections.namedtuple("Call", "routine size source to")     # the offsets from 16

USER = ("copy_to_user", "copy_from_user")
MORE_PER_PAGE = 1
RATIO, RATIO_FROM = 1.05, 64
MORE_BELOW = 2
SYSCALL_RATIO = 1.005
# What ksmd does with a page, of which it takes a copy first.
KSMD, KSMD_RATIO = "ksmd-page", 1.10

_COUNT = re.compile(r"bench: (\S+) (\d+) (\d+) (\d+) (\d+)$")
_COST = re.compile(r"cost: (\S+) (\d+)$")
_ABORTS = re.compile(r"bench-aborts: (\d+) in (\d+) ns$")


def parse(lines):
    """{Call: instructions} of a log."""
    found = {}
    for line in lines:
        if m := _COUNT.search(line.rstrip()):
            call = Call(m[1], *map(int, m.groups()[1:4]))
            if call in found:
                raise Fail(f"the log has {describe(call)} twice")
            found[call] = int(m[5])
    there = {c.routine for c in found}
    for name in ("copy_page", "copy_mc_page", "memcpy", "copy_mc_to_kernel", *USER, "xxhash",
                 "mem_has_poison", "abort"):
        if name not in there:
            raise Fail(f"the log has no count of {name}")
    return found


def parse_aborts(lines):
    """Aborts per second of a log."""
    for line in lines:
        if m := _ABORTS.search(line.rstrip()):
            if int(m[2]):
                return int(m[1]) / int(m[2]) * 1e9
    raise Fail("the log has no number of aborts")


def parse_costs(lines):
    """{what: instructions} of the log of the program cost."""
    found = {m[1]: int(m[2]) for m in (_COST.search(line.rstrip()) for line in lines) if m}
    if not found:
        said = next((l for l in lines if "does not tell one" in l), "it counted nothing")
        raise Fail(f"the program cost: {said.strip()}")
    return found


def describe(call):
    return f"{call.routine} of {call.size} bytes, source +{call.source}, destination +{call.to}"


def same_counts(first, second):
    """Fails unless two boots counted alike."""
    for call in sorted(first.keys() | second.keys()):
        a, b = first.get(call), second.get(call)
        if a != b:
            raise Fail(f"{describe(call)}: {a} instructions in one boot, {b} in another")


def page_pair(counts):
    """Instructions of copy_page and copy_mc_page."""
    size = next(c.size for c in counts if c.routine == "copy_page")
    return (counts[Call("copy_page", size, 0, 0)], counts[Call("copy_mc_page", size, 0, 0)])


def look(counts):
    """Instructions of a look for poison in a page, and of the page's checksum."""
    return tuple(next(n for c, n in counts.items() if c.routine == name)
                 for name in ("mem_has_poison", "xxhash"))


def ratios(counts):
    """{Call of copy_mc_to_kernel: how many times memcpy's instructions}."""
    return {c: n / counts[c._replace(routine="memcpy")] for c, n in counts.items()
            if c.routine == "copy_mc_to_kernel"}


def user_code(k):
    """{user copy: "", or how its code differs from the base's}."""
    text = re.sub(r"^CONFIG_COPY_MC_BENCH=y$", "# CONFIG_COPY_MC_BENCH is not set",
                  k.user_config(), flags=re.M)
    objects = {name: f"arch/arm64/lib/{name}.o" for name in USER}
    ours, _ = k.objects("warnings", objects.values(), text=text)
    checks.require(k, ours, "CONFIG_ARCH_HAS_COPY_MC=y")
    base, _ = k.objects("warnings", objects.values(), text=text, base=True)
    found = {}
    for name, o in objects.items():
        a, b = checks.code(ours, o), checks.code(base, o)
        checks.function(b, f"__arch_{name}")
        try:
            checks.same(f"the code of {o}", a, b)
            found[name] = ""
        except Fail as e:
            found[name] = str(e)
    return found


@dataclasses.dataclass
class Target:
    name: str
    met: bool
    number: str


def code_targets(differs):
    return [Target(f"{name} unchanged", not why, why or "its code is the base's")
            for name, why in differs.items()]


def count_targets(counts):
    plain, mc = page_pair(counts)
    found = [Target(f"copy_mc_page at most {ui.number(MORE_PER_PAGE, 'instruction')} more "
                    "than copy_page",
                    mc <= plain + MORE_PER_PAGE, f"{mc - plain:+}")]
    judged = {c: r for c, r in ratios(counts).items() if c.size >= RATIO_FROM}
    worst = max(judged, key=judged.get)
    over = sum(r > RATIO for r in judged.values())
    number = f"at most {judged[worst]:.2f}"
    if over:
        number = (f"{over} of {len(judged)} are over, the worst {judged[worst]:.2f} at "
                  f"{worst.size} bytes, source +{worst.source}, destination +{worst.to}")
    found.append(Target(f"copy_mc_to_kernel of {RATIO_FROM} bytes and more at most {RATIO} times "
                        "memcpy", not over, number))
    more = {c: n - counts[c._replace(routine="memcpy")] for c, n in counts.items()
            if c.routine == "copy_mc_to_kernel" and c.size < RATIO_FROM}
    worst = max(more, key=more.get)
    number = f"at most {more[worst]:+}"
    if more[worst] > MORE_BELOW:
        number += f", at {worst.size} bytes, source +{worst.source}, destination +{worst.to}"
    found.append(Target(f"copy_mc_to_kernel of less at most {ui.number(MORE_BELOW, 'instruction')} "
                        "more than memcpy", more[worst] <= MORE_BELOW, number))
    return found


def cost_targets(base, ours):
    if base.keys() != ours.keys():
        raise Fail(f"{min(base.keys() ^ ours.keys())}: counted on one kernel only")
    ratio = {name: ours[name] / base[name] for name in ours}
    ksmd = ratio.pop(KSMD, None)
    if ksmd is None:
        raise Fail(f"the log has no cost of {KSMD}")
    worst = max(ratio, key=ratio.get)
    return [Target(f"faults and system calls at most {SYSCALL_RATIO} times the base kernel's",
                   ratio[worst] <= SYSCALL_RATIO, f"at most {ratio[worst]:.4f}, {worst}"),
            Target(f"ksmd at most {KSMD_RATIO} times the base kernel's, a page",
                   ksmd <= KSMD_RATIO, f"{ksmd:.4f}")]


def cost_table(base, ours):
    return [f"{'':26} {'base':>8} {'patched':>8}",
            *(f"{name:26} {n:8} {ours[name]:8} ({ours[name] / n:.4f})"
              for name, n in base.items())]


def table(counts, differs):
    """Lines of text; calls of one size that cost the same share one."""
    plain, mc = page_pair(counts)
    abort = next(n for c, n in counts.items() if c.routine == "abort")
    rows = {}
    for call, ratio in sorted(ratios(counts).items()):
        n = {r: counts[call._replace(routine=r)] for r in ("memcpy", *USER)}
        base = {r: "other" if differs[r] else n[r] for r in USER}
        row = (f"{n['memcpy']:8} {counts[call]:18} ({ratio:.2f})"
               + "".join(f" {n[r]:15} {base[r]:>5}" for r in USER))
        rows.setdefault((call.size, row), []).append(f"+{call.source}/+{call.to}")
    n, hashed = look(counts)
    return [f"copy_page {plain}, copy_mc_page {mc}; an injected abort, recovered {abort}",
            f"of a page: mem_has_poison {n}, xxhash {hashed}",
            "bytes  source/dest                memcpy  copy_mc_to_kernel      copy_to_user  base"
            "  copy_from_user  base",
            *(f"{size:5}  {' '.join(where):24} {row}" for (size, row), where in rows.items())]


def as_json(counts, differs):
    """A list of a boot's counts, one each."""
    return [{**call._asdict(), "instructions": n,
             **({"same_code_as_base": not differs[call.routine]} if call.routine in differs else {})}
            for call, n in sorted(counts.items())]
