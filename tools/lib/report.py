# SPDX-License-Identifier: GPL-2.0-only
"""A page of results: one file of HTML that each tool adds its part to.

What the page shows is in it once more as JSON, in a comment, so that the next tool can draw
all of it anew.  A part that has the key of an older one takes its place.
"""

import datetime
import json
import os
import re

from lib import listing, packages, page, ui
from lib.ui import Fail

# The first line of a page, which tells our files from others, and the one with its parts
MARK = "<!DOCTYPE html><!-- arm64 copy_mc report, version 1 -->"
DATA = "<!-- parts: "

FEATURES = ("MTE", "MOPS", "RIG", "ACPI", "NVDIMM")
POINTS = 200        # of a curve, which is as many as one can see

_ENTRY = re.compile(r"# \w+: (\w+)\+0x([0-9a-f]+)/\S+ ([0-9a-f]{8}) (load|store|CPY): "
                    r"(?:(\d+) aborts, all recovered|(.+))$")
_ASSERTED = re.compile(r"# sea_decision: (\w+) ([fDr]+) ([fDO])$")
_DECISION = re.compile(r"decision_(outcome|code|user_access)\[(\w+)(?:: (.+))?\]")
_LEFT = re.compile(r"# copy_sweep: (.+): of (\d+) bytes (left|model)((?: \d+)+)$")
_STAMP = re.compile(r"^\[ *(\d+\.\d+)\].*Memory failure: .* recovery action for (.+): (\w+)$")
_ENDURED = re.compile(r"^# +(\d+) (by .+|aborts in all.*)$")


# -- the options -------------------------------------------------------------------------


def add_arguments(parser, against=True):
    parser.add_argument("--report", metavar="FILE",
                        help="add what came of it to this page of HTML")
    if against:
        parser.add_argument("--against", metavar="FILE",
                            help="and what has changed there since this --json of an earlier run")


def check(args):
    """Says what is wrong with the options, and has installed what they need."""
    if not args.report:
        if getattr(args, "against", None):
            raise Fail("--against: is for --report")
        return
    where = os.path.dirname(os.path.abspath(args.report))
    if not os.path.isdir(where):
        raise Fail(f"--report {args.report}: there is no directory {where}; make it first")
    if not os.access(where, os.W_OK):
        raise Fail(f"--report {args.report}: {where} cannot be written to; name another file")
    load(args.report)
    if getattr(args, "against", None):
        earlier(args.against)
    packages.need(not args.no_install, packages.REPORT)


# -- the file ----------------------------------------------------------------------------


def load(path):
    """{key: part} of a page, none if there is no file yet."""
    other = Fail(f"--report {path}: exists and is no page of these tools; name another file")
    try:
        with open(path, encoding="utf-8") as f:
            lines = f.read().splitlines()
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, IsADirectoryError):
        raise other from None
    if not lines:
        return {}       # as mktemp leaves it
    data = [l for l in lines if l.startswith(DATA)]
    if lines[0] != MARK or len(data) != 1:
        raise other
    try:
        return json.loads(data[0].removeprefix(DATA).removesuffix(" -->"))
    except ValueError:
        raise Fail(f"--report {path}: is a page of these tools and damaged; remove it") from None


def save(path, parts):
    """Draws the page, which is there whole or not at all."""
    # Two dashes would end the comment.
    data = json.dumps(parts, separators=(",", ":")).replace("-", "\\u002d")
    content = f"{MARK}\n{page.render(parts)}\n{DATA}{data} -->\n"
    with open(f"{path}.new", "w", encoding="utf-8") as f:
        f.write(content)
    os.replace(f"{path}.new", path)


def add(args, parts, *trees):
    """Puts these parts into the file of --report.

    trees: the prepared ones that have booted, whose code is shown then.
    """
    if not args.report:
        return
    ui.step("report")
    there = load(args.report)       # by now
    for part in filter(None, parts):
        _forget_other_code(there, part)
        _put(there, part)
    for prepared in trees:
        for part in list(code(prepared, there.values())):
            _put(there, part)
    save(args.report, there)
    ui.note(os.path.abspath(args.report))


def _put(there, part):
    key = " ".join(filter(None, (part["kind"], part.get("kernel"), part.get("name"))))
    there.pop(key, None)
    there[key] = {"at": now(), **part}


def _words(part):
    """{routine: {offset: instruction}} of a boot's log"""
    return {name: {int(at): row[0] for at, row in rows.items()}
            for name, rows in part.get("entries", {}).items()}


def _forget_other_code(there, part):
    """Aborts in code that has changed since are of no use beside the new one's."""
    new = _words(part)
    for old in there.values():
        if all(old.get(k) == part.get(k) for k in ("kind", "kernel", "build")):
            for name in {n for n, words in _words(old).items() if new.get(n, words) != words}:
                del old["entries"][name]


def now():
    return datetime.datetime.now().astimezone().isoformat(" ", "seconds")


# -- the parts ---------------------------------------------------------------------------


def boot(result, name):
    """The part of a kunit.Run."""
    v = result.verdict
    with open(result.log, encoding="utf-8", errors="backslashreplace") as f:
        lines = f.read().splitlines()
    part = {"kind": "boot", "kernel": result.version, "name": name, "at": now(),
            "build": result.machine.build, "qemu": ".".join(map(str, result.qemu)),
            "features": [f for f in FEATURES if v.features[f]],
            "seconds": round(result.times.get("boot", 0)), "problems": list(v.problems),
            "suites": [[s.name, *map(s.count, ("passed", "failed", "skipped")),
                        s.finished and len(s.done) >= s.planned] for s in v.suites]}
    more = {"entries": entries(lines), "decisions": decisions(v.suites, lines),
            "left": left(lines), "endurance": endurance(v.suites, lines)}
    return {**part, **{k: found for k, found in more.items() if found}}


def code(prepared, parts):
    """For each build of a tree the part with the routines that the logs of its boots name."""
    wanted = {}
    for part in parts:
        if part["kind"] == "boot" and part["kernel"] == prepared.version and _words(part):
            wanted.setdefault(part["build"], {}).update(_words(part))
    for build, words in wanted.items():
        vmlinux = os.path.join(prepared.home, build, "vmlinux")
        if os.path.exists(vmlinux):
            yield {"kind": "code", "kernel": prepared.version, "name": build,
                   "routines": listing.routines(vmlinux, prepared.top, words)}


def entries(lines):
    """{routine: {offset: [word, kind, aborts, why there are none]}}"""
    found = {}
    for m in filter(None, map(_ENTRY.search, lines)):
        row = found.setdefault(m[1], {}).setdefault(str(int(m[2], 16)), [m[3], m[4], 0, ""])
        row[2] += int(m[5] or 0)
        row[3] = "" if row[2] else m[6] or ""
    return found


def decisions(suites, lines):
    """{type of entry: {fault: [status, the outcome that was asserted, or ""]}}"""
    asserted = {m[1]: m for m in filter(None, map(_ASSERTED.search, lines))}
    found = {}
    for r in (r for s in suites if s.name == "sea_decision" for r in s.results):
        m = _DECISION.fullmatch(r.name)
        if not m:
            continue
        rows, letters = found.setdefault(m[2], {}), asserted.get(m[2], ("", "", "", ""))
        # The first cases are in the order of the letters.
        fault, outcome = {"outcome": (m[3], letters[2][len(rows):len(rows) + 1]),
                          "code": (page.EACH_CODE, ""),
                          "user_access": (page.USER_ADDRESS, letters[3])}[m[1]]
        row = rows.setdefault(fault, [r.status, outcome])
        if r.status == "failed":    # a module's suites run twice
            row[0] = r.status
    return found


def left(lines):
    """{routine: {size, left: [bytes], model: [bytes]}}, by the first poisoned byte."""
    found = {}
    for m in filter(None, map(_LEFT.search, lines)):
        found.setdefault(m[1], {})[m[3]] = list(map(int, m[4].split()))
        found[m[1]]["size"] = int(m[2])
    return {name: r for name, r in found.items() if len(r) == 3}


def endurance(suites, lines):
    """What memory_failure() has done over time, and what the program counted."""
    if not any(s.name.partition(":")[0] == "endurance" for s in suites):
        return None
    times = [(float(m[1]), m[3]) for m in filter(None, map(_STAMP.match, lines))]
    step = max(1, len(times) // POINTS)
    return {"curve": [[at, n] for n, (at, _) in enumerate(times, 1)
                      if not n % step or n == len(times)],
            "counts": [[int(m[1]), m[2]] for m in filter(None, map(_ENDURED.match, lines))]}


# -- an earlier run ----------------------------------------------------------------------


def _cases(content, name=""):
    """kunit.py's JSON: {case: status}"""
    found = {f"{name}{c['name']}": {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}.get(
        c["status"], c["status"].lower()) for c in content.get("test_cases", ())}
    for group in content.get("sub_groups", ()):
        found |= _cases(group, f"{name}{group['name']}.")
    return found


def _counts(content):
    return {f"{c['routine']}, {c['size']} bytes, +{c['source']}/+{c['to']}, {boot}":
            c["instructions"] for boot, counts in content["counts"].items() for c in counts} | {
                f"{what}, {kernel}": n for kernel, costs in content.get("system", {}).items()
                for what, n in costs.items()}


# What the tools' --json has in it, and how that is held against the next one
FLAT = {
    "copy_mc": _cases,
    "programs": lambda c: {f"{p['name']}.{t['name']}": t["status"]
                           for p in c["programs"] for t in p["tests"]},
    "counts": _counts,
    "scenarios": lambda c: {f"{s['name']}, {k}": ": ".join(filter(None, s[k].values()))
                            for s in c["scenarios"] for k in ("unpatched", "patched")},
    "mutations": lambda c: {m["name"]: m["outcome"] for m in c["mutations"]},
}


def _kind(content):
    return next((k for k in FLAT if k in content), "") if isinstance(content, dict) else ""


def earlier(path):
    """The JSON of an earlier run."""
    try:
        with open(path, encoding="utf-8") as f:
            content = json.load(f)
    except FileNotFoundError:
        raise Fail(f"--against {path}: no such file; give what --json has written") from None
    except (OSError, ValueError):
        content = None
    if not _kind(content):
        raise Fail(f"--against {path}: is no JSON of these tools; give what --json has written")
    return content


def against(args, content, name=""):
    """The part that holds a run's JSON against the earlier one; None if nobody asks."""
    if not args.report or not args.against:
        return None
    old = earlier(args.against)
    if _kind(old) != _kind(content):
        raise Fail(f"--against {args.against}: is of another tool, or of another kind of run")
    a, b = FLAT[_kind(old)](old), FLAT[_kind(content)](content)
    about, other = content.get("copy_mc", content), old.get("copy_mc", old)
    return {"kind": "against", "kernel": about["kernel"], "name": name or _kind(content),
            "file": os.path.basename(args.against), "earlier": other["kernel"],
            "same": sum(a[k] == b[k] for k in a.keys() & b.keys()),
            "rows": [[k, a.get(k), b.get(k)] for k in {**a, **b} if a.get(k) != b.get(k)]}
