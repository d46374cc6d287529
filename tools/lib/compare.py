# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of the same memory errors without the implementation.

The base kernel gets no more of the overlay than kunit/, of which it builds the rig.
"""

import collections
import contextlib
import os
import re

from lib import checks, judge, kunit, selftests, tree
from lib.ui import Fail

NAME = "unpatched"
HOOKS = ("Kconfig", "Kbuild")

# status: panic, hang, failed, skipped or passed
Outcome = collections.namedtuple("Outcome", "status words", defaults=("",))
Row = collections.namedtuple("Row", "scenario unpatched patched")

_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")


def base_source(prepared):
    """The base kernel's files with the rig, in a worktree."""
    names = [n for n in prepared.git.changed(prepared.base, prepared.work_tree())
             if n in HOOKS or n.startswith("kunit/")]
    if missing := set(HOOKS) - set(names):
        raise Fail(f"{min(missing)}.patch: missing; without it the base kernel has no rig")
    return prepared.worktree(f"{NAME}-linux", prepared.base_with(NAME, names))


def build_base(prepared, config, jobs):
    """Builds the base kernel with the configuration of the patched one; its directory.

    Symbols that the base does not know fall away.
    """
    with open(config, encoding="utf-8") as f:
        return build_config(prepared, NAME, base_source(prepared), f.read(), jobs,
                            (("ARM64_SEA_RIG", True), ("ARCH_HAS_COPY_MC", False)))


def build_config(prepared, name, top, wanted, jobs, symbols):
    """Builds the files in top with this configuration; the directory, <build dir>/<kernel>/NAME.

    symbols: whether each of these has to come out as on.
    """
    build = os.path.join(prepared.home, name)
    tree.check_space(prepared.home, 2 << 30)
    os.makedirs(build, exist_ok=True)
    stamp, there = os.path.join(prepared.home, f"{name}.config"), os.path.join(build, ".config")
    if not os.path.exists(there) or _read(stamp) != wanted:
        for path in (there, stamp):
            with open(path, "w", encoding="utf-8") as f:
                f.write(wanted)
    make = ["make", f"ARCH={checks.ARM64[0]}", f"CROSS_COMPILE={checks.ARM64[1]}", f"O={build}",
            f"-j{jobs}"]
    kunit.build_with_progress(
        ["sh", "-c", '"$@" olddefconfig && exec "$@" Image.gz', "make", *make], top, build,
        os.path.join(prepared.home, f"{name}.build.log"),
        os.path.join(prepared.home, f"{name}.objects"), kunit.USER.objects)
    text = _read(there)
    for symbol, on in symbols:
        if (f"\nCONFIG_{symbol}=y\n" in text) != on:
            raise Fail(f"{there}: CONFIG_{symbol} is {'off' if on else 'on'}; there is nothing to "
                       "compare")
    return build


def _read(path):
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as f:
        return f.read()
    return ""


def outcome(lines, hung, verdict):
    """What a boot came to."""
    if m := next(filter(None, map(_PANIC.search, lines)), None):
        return Outcome("panic", m[1].strip())
    if hung:
        return Outcome("hang")
    if verdict.problems:
        said = [l for s in verdict.suites for r in s.results for l in r.said if "Expected" in l]
        return Outcome("failed", said[0].lstrip("# ") if said else verdict.problems[0])
    skipped = [r.reason for s in verdict.suites for r in s.results if r.status == "skipped"]
    if skipped and not verdict.count("passed"):
        return Outcome("skipped", skipped[0])
    return Outcome("passed")


def boot(result, build, initrd, scenario, log, timeout):
    """What becomes of a scenario on the kernel that is built there."""
    cmd = selftests.command(result, initrd, [scenario], build=build)
    lines, hung = selftests.boot(cmd, log, timeout)
    rig = judge.LOG_FEATURES["RIG"]
    if build != result.dir and not any(rig in line for line in lines):
        raise Fail(f"{log}: no \"{rig}\" in it: the unpatched kernel was without the rig, and what "
                   "became of it says nothing")
    return outcome(lines, hung, selftests.verdict(result, lines, [scenario], hung, timeout, build))


def text(o):
    return f"{o.status}: {o.words}" if o.words else o.status


def markdown(rows):
    yield "| scenario | unpatched | patched |"
    yield "|---|---|---|"
    for row in rows:
        cells = (f"`{row.scenario}`", text(row.unpatched), text(row.patched))
        yield "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def as_json(version, qemu, rows):
    return {"kernel": version, "qemu": qemu,
            "scenarios": [{"name": r.scenario, "unpatched": r.unpatched._asdict(),
                           "patched": r.patched._asdict()} for r in rows]}
