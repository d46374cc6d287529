# SPDX-License-Identifier: GPL-2.0-only
"""The HTML of a report: sections, each of which is there if the parts have something for it."""

import collections
import html
import json
import os
import re
import subprocess

from lib import bench, kunit, packages, selftests, ui
from lib.overlay import version_key
from lib.ui import Fail

# Rows of the decision table which are cases of their own
EACH_CODE = "each SEA status code, FnV and WnR"
USER_ADDRESS = "permission fault at a user address"

OUTCOMES = {"f": ("fixup", "fixed up"), "D": ("dies", "dies"), "r": ("again", "no fixup"),
            "O": ("dies", "dies: outside uaccess"), "": ("ok", "passed")}

TITLE = "arm64 copy_mc: test report"
MOST = 50       # problems that are listed


class Html(str):
    """Text that is markup already."""


def el(tag, *content, **attributes):
    """An element; what is no Html is text."""
    words = "".join(f' {k.rstrip("_").replace("_", "-")}="{html.escape(str(v))}"'
                    for k, v in attributes.items() if v not in (None, ""))
    inside = "".join(c if isinstance(c, Html) else html.escape(str(c)) for c in content)
    return Html(f"<{tag}{words}>{inside}</{tag}>" if tag not in ("br", "meta") else
                f"<{tag}{words}>")


def join(pieces):
    return Html("".join(pieces))


def number(n):
    """1234567 as one reads it."""
    return f"{n:,}".replace(",", "\u202f") if isinstance(n, int) else n


def cell(text, kind="", **more):
    return el("td", text if isinstance(text, Html) else number(text), class_=kind, **more)


def table(head, rows, kind=""):
    """rows: lists of cells, or of what goes into one; the first is the row's head."""
    body = join(el("tr", *(c if isinstance(c, Html) and c.startswith("<t") else
                           el("th", c, scope="row") if not i else cell(c)
                           for i, c in enumerate(row))) for row in rows)
    head = join(h if isinstance(h, Html) and h.startswith("<th") else el("th", h, scope="col")
                for h in head)
    return el("div", el("table", el("thead", el("tr", head)), el("tbody", body), class_=kind),
              class_="scroll", tabindex=0)


def beside(blocks):
    """As many in a line as there is room for."""
    return el("div", *blocks, class_="beside") if blocks else ""


def counted(n, what):
    return f"{number(n)} {what}" if n == 1 else f"{number(n)} {what}s"


def duration(seconds):
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def machine(name):
    """The words for a boot's variants."""
    return ", ".join(what["words"] for v, what in kunit.VARIANTS.items()
                     if re.search(rf"(^|[-+]){v}([+ ]|$)", name))


class Page:
    """Draws parts."""

    def __init__(self, parts):
        self.parts, self.charts = list(parts.values()), {}

    def of(self, kind):
        """Those of one kind, by kernel."""
        return sorted((p for p in self.parts if p["kind"] == kind),
                      key=lambda p: version_key(p.get("kernel", "0")))

    def by_kernel(self, kind):
        found = {}
        for p in self.of(kind):
            found.setdefault(p["kernel"], []).append(p)
        return found

    def chart(self, caption, **chart):
        """A chart, drawn when all are known."""
        name = f"chart{len(self.charts) + 1}"
        self.charts[name] = chart
        return el("figure", el("div", f"@{name}@", class_="scroll", tabindex=0, role="img",
                               aria_label=caption), el("figcaption", caption))

    def render(self):
        sections = [(title, about, section(self)) for title, about, section in SECTIONS]
        sections = [(re.sub(r"\W+", "-", title.lower()), title, about, content)
                    for title, about, content in sections if content]
        nav = el("nav", join(el("a", title, href=f"#{name}") for name, title, *_ in sections))
        body = join(el("section", el("h2", title), el("p", about, class_="about") if about else "",
                       content, id=name) for name, title, about, content in sections)
        with open(os.path.join(os.path.dirname(__file__), "report.css"), encoding="utf-8") as f:
            css = f.read()
        text = el("html", el("head", el("meta", charset="utf-8"), el("title", TITLE),
                             el("meta", name="viewport",
                                content="width=device-width, initial-scale=1"),
                             el("style", Html(css))),
                  el("body", el("h1", TITLE), verdict(self), nav, body), lang="en")
        for name, svg in draw(self.charts).items():
            text = text.replace(f"@{name}@", svg)
        return text


def render(parts):
    return Page(parts).render()


def draw(charts):
    """{name: SVG}"""
    if not charts:
        return {}
    program = os.path.join(os.path.dirname(__file__), "draw.py")
    # Nothing of the environment's that is meant for another Python
    p = subprocess.run([packages.PYTHON, "-I", program], input=json.dumps(charts), check=False,
                       capture_output=True, text=True)
    if p.returncode:
        raise Fail(f"{program}: {(p.stderr.splitlines() or ['failed'])[-1]}")
    return json.loads(p.stdout)


# -- the verdict -------------------------------------------------------------------------


def problems(page):
    """[words] of all parts."""
    found = []
    for p in page.parts:
        where = " ".join(filter(None, (p.get("kernel"), p.get("name") or p["kind"])))
        found += [f"{where}: {words}" for words in p.get("problems", ())]
    return found


def _sum(boots, at):
    return sum(s[at] for b in boots for s in b["suites"])


def verdict(page):
    wrong = problems(page)
    words = f"\u2717 {ui.number(len(wrong), 'problem')}" if wrong else "\u2713 Good"
    return join([
        el("div", el("p", words, class_="verdict"),
           el("ul", *(el("li", w) for w in wrong[:MOST])) if wrong else "",
           el("p", f"and {len(wrong) - MOST} more") if wrong[MOST:] else "",
           class_="bad" if wrong else "good"),
        el("dl", join(el("div", el("dt", k), el("dd", v, class_=" ".join(kind)))
                      for k, v, *kind in facts(page) if v)),
    ])


def facts(page):
    """(what, words, class of the words)"""
    boots = page.of("boot")
    kernels = sorted({p["kernel"] for p in page.parts if "kernel" in p}, key=version_key)
    yield "Kernels", ", ".join(f"Linux {k}" for k in kernels)
    yield "QEMU", ", ".join(sorted({p["qemu"] for p in page.parts if "qemu" in p}))
    if boots:
        yield "Cases", ", ".join(f"{number(_sum(boots, at))} {status}" for at, status in
                                 enumerate(("passed", "failed", "skipped"), 1))
        yield "Boots", f"{len(boots)}, {duration(sum(b['seconds'] for b in boots))} in all"
    for p in page.parts:
        yield from FACTS.get(p["kind"], lambda _: ())(p)
    times = sorted(p["at"] for p in page.parts)
    first, last = times[0][:16], times[-1][:16]
    if first == last:
        yield "Time", first
    else:
        yield "Time", f"{first} to {last[11:] if first[:10] == last[:10] else last}"


def _compare_facts(p):
    found = collections.Counter(s["patched"]["status"] for s in p["scenarios"])
    before = collections.Counter(s["unpatched"]["status"] for s in p["scenarios"])
    return [("Scenarios", f"{before['panic']} of {len(p['scenarios'])} panic before, "
                          f"{found['panic']} after")]


def _bench_facts(p):
    met = sum(t["met"] for t in p["targets"])
    missed = len(p["targets"]) - met
    return [("Targets", f"{met} met on {p['kernel']}" +
             (f", \u2717 {missed} missed" if missed else ""), "fail" if missed else "")]


def _mutate_facts(p):
    found = collections.Counter(m["outcome"] for m in p["mutations"])
    return [("Mutations", f"{found['killed']} killed, {found['survived']} survived on "
                          f"{p['kernel']}")]


FACTS = {"compare": _compare_facts, "bench": _bench_facts, "mutate": _mutate_facts}


# -- boots and suites --------------------------------------------------------------------


def boots_section(page):
    rows = []
    for b in page.of("boot"):
        n = len(b["problems"])
        rows.append([f"{b['kernel']} {b['name']}",
                     *(cell(_sum([b], i), "n" + (" fail" if i == 2 and _sum([b], i) else ""))
                       for i in (1, 2, 3)),
                     cell(n, "n fail") if n else cell("none", "n quiet"),
                     cell(f"{b['seconds']} s", "n"), " ".join(b["features"]), machine(b["name"]),
                     b["qemu"], cell(b["at"][11:16], "quiet")])
    return rows and table(
        ["boot", *map(_right, ("passed", "failed", "skipped", "problems", "time")), "features",
         "machine", "QEMU", "ended"], rows, "flat")


def _right(text):
    return el("th", text, scope="col", class_="n")


def _outcome(suite):
    """The cell of a suite in a boot."""
    if not suite:
        return cell("\u2013", "n none")
    _, passed, failed, skipped, whole = suite
    if failed or not whole:
        return cell(f"\u2717 {failed} failed" if failed else f"\u2717 ended after {passed}",
                    "n fail")
    if not passed:
        return cell(f"{number(skipped)} skipped" if skipped else "no case", "n skip")
    return cell(join([Html(number(passed)), el("small", f"+{skipped}" if skipped else "",
                                               class_="more")]), "n pass")


def grid_section(page):
    programs, found = set(selftests.Known()), []
    for kernel, boots in page.by_kernel("boot").items():
        for what, user in (("KUnit suites", False), ("User space's programs", True)):
            suites = {b["name"]: {s[0]: s for s in b["suites"]
                                  if (s[0].partition(":")[0] in programs) == user}
                      for b in boots}
            suites = {b: s for b, s in suites.items() if s}
            names = list(dict.fromkeys(n for s in suites.values() for n in s))
            if names:
                rows = [[n, *(_outcome(s.get(n)) for s in suites.values())] for n in names]
                found.append(el("div", el("h3", f"Linux {kernel}: {what}"),
                                table(["", *map(_right, suites)], rows, "grid")))
    return beside(found)


# -- the decision table ------------------------------------------------------------------


def _decision(found):
    status, letter = found or ("", "")
    if not found or status == "skipped":
        return cell("not run", "none")
    if status == "failed":
        return cell(el("b", "\u2717 failed"), "fail")
    return cell(OUTCOMES[letter][1], OUTCOMES[letter][0])


def decision_section(page):
    found = []
    for kernel, boots in page.by_kernel("boot").items():
        alike = {}
        for b in boots:
            if "decisions" in b:
                alike.setdefault(json.dumps(b["decisions"]), []).append(b)
        for those in alike.values():
            d = those[0]["decisions"]
            faults = list(dict.fromkeys(f for rows in d.values() for f in rows))
            found += [el("h3", f"Linux {kernel}: {', '.join(b['name'] for b in those)}"),
                      table(["fault", *d], [[_fault(f), *(_decision(rows.get(f))
                                                          for rows in d.values())]
                                            for f in faults], "decisions")]
    return join(found)


def _fault(words):
    """No line ends between the minus and the rest of an error number."""
    return Html(re.sub(r"-E\w+", r'<span class="errno">\g<0></span>', html.escape(words)))


# -- the code ----------------------------------------------------------------------------


def _tries(boots, routine):
    """{offset: (kind, aborts, why there are none)} of all these boots."""
    found = {}
    for b in boots:
        for offset, (_, kind, aborts, why) in b["entries"].get(routine, {}).items():
            _, n, _ = found.get(offset, ("", 0, ""))
            found[offset] = (kind, n + aborts, "" if n + aborts else why)
    return found


def _tried(entry, tries):
    """The cells of an instruction: what class the row has, and what is said of its aborts."""
    if not entry:
        return "", ""
    if not tries:
        return "never", "never tried"
    _, aborts, why = tries
    if aborts:
        return "tried", number(aborts)
    if why:
        return "unused", re.sub(r"not used on a CPU (with\w*) FEAT_", r"unused \1 ", why)
    return "never", "never tried"


def code_section(page):
    found, boots = [], page.by_kernel("boot")
    for part in page.of("code"):
        those = [b for b in boots.get(part["kernel"], ()) if b["build"] == part["name"]
                 and "entries" in b]
        if not those or not part["routines"]:
            continue
        found.append(el("h3", f"Linux {part['kernel']}"))
        found.append(el("p", f"Aborts in {', '.join(b['name'] for b in those)}."))
        summary, listings = [], []
        for name, rows in part["routines"].items():
            states = [(row, *_tried(row[2], _tries(those, name).get(str(row[0])))) for row in rows]
            kinds = collections.Counter(s for _, s, _ in states)
            aborts = sum(n for _, n, _ in _tries(those, name).values())
            summary.append([name, cell(len(rows), "n"), cell(sum(bool(r[2]) for r in rows), "n"),
                            cell(kinds["tried"], "n"),
                            cell(kinds["unused"] or "none", "n" if kinds["unused"] else "n quiet"),
                            cell(kinds["never"], "n never") if kinds["never"] else
                            cell("none", "n quiet"), cell(aborts, "n")])
            listings.append(_listing(name, states, kinds["never"]))
        if lost := sorted({n for b in those for n in b["entries"]} - {*part["routines"]}):
            found.append(el("p", f"Not shown, as their code is not that of the build any more: "
                                 f"{', '.join(lost)}."))
        found += [table(["routine", *map(_right, (
            "instructions", "with an entry", "tried", "not on this CPU", "never tried",
            "aborts"))], summary), *listings]
    return join(found)


def _listing(name, states, never):
    body = join(el("tr", el("td", words, class_="n"), el("td", f"+{offset:#x}"), el("td", insn),
                   el("td", kind), el("td", fixup), class_=state)
                for (offset, insn, kind, fixup), state, words in states)
    head = join([_right("aborts"), _right("offset"),
                 *(el("th", h, scope="col") for h in ("instruction", "entry", "fixup"))])
    words = f"{len(states)} instructions" + (f", {never} never tried" if never else "")
    return el("details", el("summary", el("code", name), f" {words}"),
              el("div", el("table", el("thead", el("tr", head)), el("tbody", body),
                           class_="code"), class_="scroll", tabindex=0),
              **({"open": "open"} if never else {}))


# -- bytes not copied --------------------------------------------------------------------


def left_section(page):
    alike, found = {}, []       # most machines count alike
    for b in page.of("boot"):
        for name, r in b.get("left", {}).items():
            alike.setdefault((name, json.dumps(r)), []).append(f"{b['kernel']} {b['name']}")
    for (name, r), boots in sorted(alike.items()):
        r = json.loads(r)
        x = list(range(len(r["left"])))
        found.append(page.chart(
            f"{name} of {r['size']} bytes: {', '.join(boots)}", kind="lines", width=4.4,
            height=2.9, columns=3, xlabel="first poisoned byte", ylabel="bytes not copied",
            series=[{"label": "model", "x": x, "y": r["model"], "only": "line",
                     "steps": "steps-mid"},
                    {"label": "measured", "x": x, "y": r["left"], "only": "marks"}],
            limit={"label": "the least", "x": [0, r["size"] - 1], "y": [r["size"], 1]}))
    return el("div", *found, class_="charts small") if found else ""


# -- before and after --------------------------------------------------------------------


def _said(outcome):
    return ": ".join(filter(None, (outcome["status"], outcome["words"])))


def compare_section(page):
    found = []
    for p in page.of("compare"):
        rows = [{"label": k, "parts": dict(collections.Counter(
            s[k]["status"] for s in p["scenarios"]).most_common())}
                for k in ("unpatched", "patched")]
        found.append(page.chart(f"{len(p['scenarios'])} scenarios, Linux {p['kernel']}, "
                                f"QEMU {p['qemu']}", kind="bars", rows=rows, width=7,
                                height=1.7, columns=5, xlabel="scenarios, one boot each"))
        alike = {}
        for s in p["scenarios"]:
            alike.setdefault((_said(s["unpatched"]), _said(s["patched"])), []).append(s["name"])
        for (before, after), names in sorted(alike.items(), key=lambda kv: -len(kv[1])):
            found.append(el("h4", el("span", before, class_=f"chip {_status(before)}"), " \u2192 ",
                            el("span", after, class_=f"chip {_status(after)}"),
                            f" {counted(len(names), 'scenario')}"))
            found += _grouped(names)
    return join(found)


def _status(words):
    return {"passed": "pass", "skipped": "skip"}.get(words.partition(":")[0], "fail")


def _grouped(names):
    """PROGRAM: TEST, TEST"""
    programs = {}
    for n in names:
        program, _, test = n.partition(":")
        programs.setdefault(program, []).append(test)
    for program, tests in programs.items():
        yield el("p", el("b", f"{program}: "), ", ".join(tests), class_="names")


# -- what it costs -----------------------------------------------------------------------


ROUTINES = ("memcpy", "copy_mc_to_kernel", *bench.USER)


def _by_size(counts, routine):
    """[(size, least, most)], the least being what aligned buffers take"""
    found = {}
    for c in counts:
        if c["routine"] == routine:
            found.setdefault(c["size"], []).append(c["instructions"])
    return [(size, min(n), max(n)) for size, n in sorted(found.items())]


def bench_section(page):
    found = []
    for p in page.of("bench"):
        found.append(el("h3", f"Linux {p['kernel']}, QEMU {p['qemu']}"))
        charts = []
        for boot, counts in p["counts"].items():
            if "MOPS on" == boot:
                continue        # the same number for each size
            charts += _bench_charts(page, p, boot, counts)
        found.append(el("div", *charts, class_="charts"))
        tables = [el("div", el("h4", f"Instructions per call, {boot}"), _bench_table(counts))
                  for boot, counts in p["counts"].items()]
        if p.get("system"):
            base, ours = p["system"]["base"], p["system"]["patched"]
            tables.append(el("div", el("h4", "Instructions of faults and system calls"), table(
                ["", *map(_right, ("base", "patched", "ratio"))],
                [[k, cell(n, "n"), cell(ours[k], "n"), cell(f"{ours[k] / n:.4f}", "n")]
                 for k, n in base.items()])))
        found += [beside(tables), el("h4", "Targets"),
                  table(["", "where", "target", "measured"],
                        [[cell("\u2713 met" if t["met"] else "\u2717 missed",
                               "pass" if t["met"] else "fail"), t["where"], t["name"],
                          t["number"]] for t in p["targets"]])]
    return join(found)


def _bench_charts(page, p, boot, counts):
    series = []
    for r in ROUTINES:
        rows = _by_size(counts, r)
        series.append({"label": r, "x": [n for n, *_ in rows], "y": [n for _, n, _ in rows],
                       "low": [n for _, n, _ in rows], "high": [n for *_, n in rows]})
    yield page.chart(
        f"Instructions per call by length, {boot}; the bands reach from the cheapest to the "
        "dearest alignment", kind="lines", xlog=2, ylog=2, xlabel="bytes", ylabel="instructions",
        xticks=_powers(series[0]["x"]), series=series)
    one = {(c["size"], c["source"], c["to"]): c["instructions"] for c in counts
           if c["routine"] == "memcpy"}
    ratios = {}
    for c in counts:
        if c["routine"] == "copy_mc_to_kernel":
            ratios.setdefault(c["size"], []).append(
                c["instructions"] / one[c["size"], c["source"], c["to"]])
    x, all_ratios = sorted(ratios), [r for those in ratios.values() for r in those]
    yield page.chart(
        f"copy_mc_to_kernel() to memcpy(), {boot}, the same alignments", kind="lines", xlog=2,
        xlabel="bytes", ylabel="ratio of instructions", xticks=_powers(x),
        ylimits=[min(0.8, *all_ratios), max(1.2, *all_ratios)],
        series=[{"label": "the highest", "x": x, "y": [max(ratios[n]) for n in x]},
                {"label": "the lowest", "x": x, "y": [min(ratios[n]) for n in x]}],
        columns=3, limit={"label": f"target: at most {bench.RATIO}",
                          "x": [bench.RATIO_FROM, x[-1]], "y": [bench.RATIO] * 2})


def _powers(sizes):
    return [4 ** n for n in range(16) if min(sizes) <= 4 ** n <= max(sizes)]


def _bench_table(counts):
    """Sizes that follow each other and cost the same share a row."""
    by, rows = {r: dict((n, c) for n, *c in _by_size(counts, r)) for r in ROUTINES}, []
    for size in by["memcpy"]:
        costs = [by[r].get(size, ("", "")) for r in ROUTINES]
        if rows and rows[-1][2] == costs:
            rows[-1][1] = size
        else:
            rows.append([size, size, costs])
    return table([_right("bytes"), *map(_right, ROUTINES)],
                 [[cell(_range(a, b), "n"), *(cell(_range(*c), "n") for c in costs)]
                  for a, b, costs in rows])


def _range(low, high):
    return number(low) if low == high else f"{number(low)} to {number(high)}"


# -- endurance ---------------------------------------------------------------------------


def endurance_section(page):
    found = []
    for b in page.of("boot"):
        e = b.get("endurance")
        if not e:
            continue
        found.append(el("h3", f"Linux {b['kernel']}, {b['name']}"))
        if e["curve"]:
            found.append(page.chart(
                "What memory_failure() has done since the boot", kind="lines", width=7, height=2.6,
                xlabel="seconds of the kernel's clock", ylabel="recovery actions", series=[
                    {"label": "", "only": "line", "x": [x for x, _ in e["curve"]],
                     "y": [y for _, y in e["curve"]]}]))
        total = [c for c in e["counts"] if not c[1].startswith("by ")]
        found += [el("p", f"{number(n)} {words}.") for n, words in total]
        kinds = [c for c in e["counts"] if c[1].startswith("by ")]
        if kinds:
            found.append(el("ul", *(el("li", f"{number(n)} {words}") for n, words in kinds),
                            class_="columns"))
    return join(found)


# -- the rest ----------------------------------------------------------------------------


def mutate_section(page):
    found = []
    for p in page.of("mutate"):
        order = {"survived": 0, "contradiction": 1, "broken": 2, "equivalent": 3}
        rows = sorted(p["mutations"], key=lambda m: order.get(m["outcome"], 4))
        found += [el("h3", f"Linux {p['kernel']}"), table(
            ["mutation", "what is wrong with it", "outcome", "noticed by"],
            [[m["name"], m["description"],
              cell(m["outcome"], "fail" if order.get(m["outcome"], 4) < 3 else "pass"),
              "nothing" if m["outcome"] == "survived" else m["detail"].removeprefix("killed by ")]
             for m in rows])]
    return join(found)


def checks_section(page):
    rows = [[name, cell(status, _status(status)), detail]
            for p in page.of("test") for name, status, detail in p["rows"]]
    return rows and table(["check", "outcome", "looked at"], rows)


def against_section(page):
    found = []
    for p in page.of("against"):
        found += [el("h3", f"Linux {p['kernel']}: {p['name']}, against {p['file']} of "
                           f"Linux {p['earlier']}"),
                  el("p", f"{counted(p['same'], 'value')} the same.")]
        changed = [r for r in p["rows"] if None not in r]
        if changed:
            found.append(table(["", *map(_right, ("before", "now", "change"))],
                               [[k, cell(a, "n"), cell(b, "n"), cell(_change(a, b), "n")]
                                for k, a, b in changed]))
        for words, at in (("New", 1), ("Gone", 2)):
            if names := [r[0] for r in p["rows"] if r[at] is None]:
                found.append(el("p", el("b", f"{words}, {number(len(names))}: "),
                                "; ".join(names), class_="names"))
    return join(found)


def _change(a, b):
    if isinstance(a, int) and isinstance(b, int) and a:
        return f"{b - a:+} ({(b - a) / a:+.1%})"
    return ""


SECTIONS = (
    ("Boots", "", boots_section),
    ("Suites by machine", "Cases that passed in each boot; with a plus, those skipped for want of "
     "what that machine has not. A dash: not in this boot.", grid_section),
    ("Decision on a fault in kernel mode", "What the fault path did for each type of exception "
     "table entry, as the suite sea_decision asserts it. Columns are types of entries, "
     "rows are faults.", decision_section),
    ("Aborts by instruction", "How often an access aborted and recovered, by instruction, all copies that "
     "use the routine taken together. The code is as linked; the kernel patches alternatives "
     "when it boots.", code_section),
    ("Bytes not copied", "Against the first poisoned byte. Less than the least would be "
     "corruption unnoticed.", left_section),
    ("Before and after", "The same genuine memory errors, without and with the implementation.",
     compare_section),
    ("Cost", "", bench_section),
    ("Endurance", "Genuine aborts at random, all in one boot.", endurance_section),
    ("Mutations", "Wrong versions of the implementation, and what noticed each.", mutate_section),
    ("Checks", "", checks_section),
    ("Against an earlier run", "", against_section),
)
