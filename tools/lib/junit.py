# SPDX-License-Identifier: GPL-2.0-only
"""A run's results as JUnit's XML, which most engines of CI read."""

import re
import xml.etree.ElementTree as ET

# What XML 1.0 cannot have, and a console can
_CONTROL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _clean(text):
    return _CONTROL.sub("?", text)


def _suite(top, name, cases):
    """cases: (name, status, why, lines)"""
    counts = {s: sum(c[1] == s for c in cases) for s in ("failed", "skipped")}
    suite = ET.SubElement(top, "testsuite", name=name, tests=str(len(cases)),
                          failures=str(counts["failed"]), skipped=str(counts["skipped"]))
    for case, status, why, lines in cases:
        e = ET.SubElement(suite, "testcase", classname=name, name=_clean(case))
        if status == "failed":
            ET.SubElement(e, "failure", message=_clean(why)).text = _clean("\n".join(lines))
        elif status == "skipped":
            ET.SubElement(e, "skipped", message=_clean(why))
    return suite


def tree(result):
    """The element of a kunit.Run.

    What is wrong with the run and with no case of it, as a warning in the log, is a failed
    case of a suite of its own: who counts failures counts that.
    """
    v = result.verdict
    top = ET.Element("testsuites", name=f"Linux {result.version}",
                     time=f"{result.times.get('boot', 0):.0f}")
    for s in v.suites:
        _suite(top, s.name, [(r.name, r.status, r.reason or r.status, r.said)
                             for r in s.results])
    of_cases = {f"{s.name}.{r.name} failed" for s in v.suites for r in s.results}
    if others := [p for p in v.problems if p not in of_cases]:
        _suite(top, "verdict", [(p, "failed", p, [f"see {result.log}"]) for p in others])
    return top


def write(path, result):
    """Writes a run's results to a file."""
    found = ET.ElementTree(tree(result))
    ET.indent(found)
    found.write(path, encoding="utf-8", xml_declaration=True)
