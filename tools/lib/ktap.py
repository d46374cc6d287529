# SPDX-License-Identifier: GPL-2.0-only
"""What a log says of its tests, read by the kunit_parser of the kernel that wrote it.

That is given one suite at a time: it knows nothing of a log that goes on, and a line that
got lost would cost it all that comes after.  Ours is where a suite ends, and no more.
"""

import dataclasses
import functools
import inspect
import io
import os
import re

from lib import tree

DIR = "tools/testing/kunit"

TIME = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ")


class Line(str):
    """A line without its time stamp."""
    number = 0      # in the log, from 1 on


@dataclasses.dataclass
class Result:
    name: str
    status: str             # passed, failed, skipped
    reason: str             # why skipped
    log: list               # the lines that belong to it

    @property
    def said(self):
        """What the log has on a failed one."""
        return [l.strip() for l in self.log if l][-12:] if self.status == "failed" else []


@dataclasses.dataclass
class Suite:
    name: str
    finished: bool = False
    planned: int = 0
    done: list = ()         # its cases that have ended; one with parameters is one
    case: str = ""          # the one with parameters that has not
    results: list = ()
    errors: list = ()       # that the parser found

    def count(self, status):
        return sum(r.status == status for r in self.results)


class Parser:
    """kunit_parser of a kernel tree."""

    def __init__(self, top):
        printer = tree.module("kunit_printer", os.path.join(top, DIR, "kunit_printer.py"))
        self.module = tree.module("kunit_parser", os.path.join(top, DIR, "kunit_parser.py"),
                                  kunit_printer=printer)
        self._out = io.StringIO()
        more = {"printer": printer.Printer(output=self._out)}
        if "printer" not in inspect.signature(self.module.parse_test).parameters:
            self.module.stdout, more = more["printer"], {}      # 6.12
        self._parse = functools.partial(self.module.parse_test, **more)
        self._complete(self.module)

    def _complete(self, module):
        """Has it keep all of a line with a result, miss none, and come to an end with any log."""
        parse = module.parse_test_result
        module.Test.number, module.Test.reason, module.Test.column = 0, "", 0

        def parse_test_result(lines, test, *more):
            line = lines.peek()
            # 6.12's takes the last line for one to come, and does not get past a stray plan.
            if not lines or not parse(lines, test, *more):
                if lines and module.TEST_PLAN.match(line):
                    lines.pop()
                self._error(test, "no result")
                return False
            test.number = line.number if test.name else 0
            test.column = len(line) - len(line.lstrip())
            skip, m = module.TEST_RESULT_SKIP.match(line), module.TEST_RESULT.match(line)
            if not skip:
                test.name += m[5] or ""
            elif m[1] == "ok":
                test.reason = skip[5].strip()
            else:
                test.status = module.TestStatus.FAILURE
            return True

        module.parse_test_result = parse_test_result

    def _error(self, test, text):
        print(f"[ERROR] Test: {test.name}: {text}", file=self._out)

    def is_said(self, line):
        """Whether a line is none of KTAP's own."""
        m = self.module
        return not any(r.match(line) for r in (m.KTAP_START, m.TAP_START, m.TEST_HEADER,
                                               m.TEST_PLAN, m.TEST_RESULT))

    def suite(self, lines, finished, number=0, name=""):
        """The suite of these lines, None if there is none.

        number: that it has among its like, 0 if the lines are a log of their own.
        """
        stream = self.module.LineStream((line.number, line) for line in lines)
        self._out.seek(0)
        self._out.truncate()
        tests, log = [], self.module.parse_diagnostic(stream)
        while stream:
            tests.append(self._parse(stream, number, log, bool(number or tests)))
            log = self.module.parse_diagnostic(stream)
        test, *more = tests or [self.module.Test()]
        for t in more:
            self._error(t, "is in no suite")
        if not (name or test.name or test.subtests or finished and tests):
            return None
        results = self._results(test)
        return Suite(
            name or test.name, finished, test.expected_count or 0,
            [case.name for case in test.subtests if case.number],
            next((case.name for case in test.subtests if case.name and not case.number), ""),
            results, re.findall(r"\[ERROR\] Test: (.*)", self._out.getvalue()))

    def _results(self, test, name="", said=()):
        """Those of its parameters, or its own."""
        found = []
        for n, sub in enumerate(test.subtests):
            # The parser has what goes before the first parameter in the log of the case.
            early = [l for l in test.log if l.number < sub.number] if name and not n else []
            found += self._results(sub, f"{name}[{sub.name}]" if name else sub.name, early)
        # Nor does it look how far they are indented.
        if len({sub.column for sub in test.subtests if sub.number}) > 1:
            self._error(test, "has results of others")
        known = self.module.TestStatus
        status = {known.SUCCESS: "passed", known.SKIPPED: "skipped"}.get(test.status, "failed")
        if test.number and (not test.subtests or test.status == known.FAILURE and
                            all(r.status != "failed" for r in found)):
            found.append(Result(name or test.name, status, test.reason, [*said, *test.log]))
        return found


parser = functools.lru_cache(Parser)


class Log:
    """Reads a kernel's log, line by line."""

    def __init__(self, top):
        self.started, self.problems = False, []
        self._parser = parser(top)
        self._ended, self._lines = [], []
        self._fed = self._number = 0        # of lines, and of suites since the plan

    @property
    def suites(self):
        """Those that have ended, and the one that has not."""
        return self._ended + [s for s in [self._read(False)] if s]

    def feed(self, line):
        """Returns the suite that this line ends, if it does."""
        line, m = self._line(TIME.sub("", line.rstrip())), self._parser.module
        inside = line.startswith(" ")
        if m.KTAP_START.match(line) and not inside:
            self._end(False)
            self.started, self._number = True, 0
        elif self.started and (inside or not m.TEST_PLAN.match(line)):
            # The parser finds no name unless it comes right behind the version.
            late = (self._lines and m.KTAP_START.match(self._lines[-1]) and
                    self._parser.is_said(line))
            self._lines.insert(len(self._lines) - bool(late), line)
            if m.TEST_RESULT.match(line) and not inside:
                return self._end(True)
        return None

    def _line(self, text):
        self._fed += 1
        line = Line(text)
        line.number = self._fed
        return line

    def _end(self, finished):
        if suite := self._read(finished):
            self._ended.append(suite)
            self._number += 1
        self._lines = []
        return suite

    def _read(self, finished):
        return self._parser.suite(self._lines, finished, self._number + 1)
