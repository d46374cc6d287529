# SPDX-License-Identifier: GPL-2.0-only
"""Going on behind a case that the kernel does not survive.

A case that hangs or panics takes all suites behind it along.  What is left is booted again,
without it: first what remains of its suite, case by case, then the other suites.
"""

import dataclasses
import fnmatch

from lib import ui

MOST = 5    # such cases; after them the rest is not worth the time


@dataclasses.dataclass
class Boots:
    """What several boots of one kernel had to say."""
    lines: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)
    stopped: set = dataclasses.field(default_factory=set)   # suites with a case that was the end
    number: int = 0
    late: bool = False      # kunit.py gave one up, as its time was over

    def end(self, suite, case, silent):
        how = f"HUNG {suite}.{case} after {silent} s" if silent else f"DIED {suite}.{case}"
        ui.note(how)
        self.problems.append(how)
        self.stopped.add(suite)


def late(lines):
    """Whether kunit.py gave the boot with these lines up, as its time was over."""
    return any("timed out after" in line for line in lines)


def running(log, cases):
    """(suite, case, the cases behind it) at the end of a log; None if no suite was running.

    cases: {suite: its cases, in order}
    """
    if not log.suites or log.suites[-1].finished:
        return None
    suite = log.suites[-1]
    left = [c for c in cases.get(suite.name, []) if c not in suite.done]
    case = suite.case or (left[0] if left else "?")
    return suite.name, case, left[left.index(case) + 1:] if case in left else []


def boots(glob, expected, cases, boot):
    """Boots, and again behind each case that was the end of a boot.

    glob: what to run; expected: the suites that it selects; boot(glob): gives the lines,
    the ktap.Log that has read them, and how many seconds the kernel had said nothing when it
    was given up, 0 if it ended.
    """
    result, todo, seen = Boots(), [glob], set()
    while todo:
        glob = todo.pop(0)
        lines, log, silent = boot(glob)
        result.number += 1
        result.lines += lines
        seen |= {s.name for s in log.suites}
        pattern = glob.partition(".")[2] or "*"
        at = running(log, {s: fnmatch.filter(c, pattern) for s, c in cases.items()})
        if late(lines):
            # That is nobody's fault in particular.
            result.late = True
            result.stopped |= {at[0]} if at else set()
            break
        if not at:
            # Nobody knows what to leave out.
            if silent:
                result.problems.append(f"the kernel hung: it had said nothing for {silent} s")
                break
            continue
        suite, case, behind = at
        result.end(suite, case, silent)
        if len(result.problems) == MOST and (todo or behind):
            result.problems.append(f"{MOST} cases were the end of a boot: what is behind the "
                                   "last one was not run")
            break
        todo = [f"{suite}.{c}" for c in behind] + todo
        if result.number == 1:
            todo += [s for s in expected if s not in seen]
    return result
