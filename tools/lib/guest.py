# SPDX-License-Identifier: GPL-2.0-only
"""A booted machine that does what it is asked, by way of tools/mutants/agent.c."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time

from lib import judge, ui
from lib.ui import Fail

BOOT = 120      # seconds that a boot may take


class Died(Fail):
    """The machine ended, or said nothing for too long."""


class Refused(Fail):
    """The agent's answer is an errno."""

    def __init__(self, errno, text):
        super().__init__(text)
        self.errno = errno


class Guest:
    """One machine, booted when it is needed and after each end.

    cmd: QEMU's command line.
    """

    def __init__(self, cmd, log):
        self.cmd, self.log, self.boots = cmd, log, 0
        self.process = self.lines = self.reader = None

    def _start(self):
        self.boots += 1
        self.lines = queue.Queue()
        self.process = subprocess.Popen(self.cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, bufsize=1,
                                        errors="backslashreplace", start_new_session=True)
        self.reader = threading.Thread(target=self._read, args=(self.process, self.lines),
                                       daemon=True)
        self.reader.start()
        self._until(BOOT)

    def _read(self, process, lines):
        with open(self.log, "a", encoding="utf-8") as log:
            for line in judge.unsplit(process.stdout):
                log.write(line + "\n")
                log.flush()
                lines.put(line)
        lines.put(None)

    def _until(self, timeout, stop=lambda line: False):
        """(the lines up to the agent's answer, or to one at which to stop, the answer)

        The kernel's lines and the agent's come by ways of their own: each says when it is done.
        """
        found, answer, ended, end = [], None, False, time.monotonic() + timeout
        while answer is None or not ended:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise Died(f"hang, {timeout:.0f} s") from None
            if line is None:
                raise Died(_last(found))
            if m := re.search(r"agent: done (-?\d+)$", line):
                answer = int(m[1])
            elif line.endswith("agent: end"):
                ended = True
            else:
                found.append(line)
                if stop(line):
                    return found, None
        return found, answer

    def ask(self, text, timeout=30, stop=lambda line: False):
        """Has the agent do it; see _until().  Boots if nothing runs."""
        if not self.process:
            self._start()
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except OSError:
            raise Died("the machine has ended") from None
        return self._until(timeout, stop)

    def do(self, text, timeout=30):
        """The same, and fails if the answer is not 0; gives the lines."""
        lines, answer = self.ask(text, timeout, judge.BAD_TEXT.search)
        if answer is None:
            raise Died(judge_text(lines[-1]))
        if answer:
            raise Refused(answer, f"{text}: {os.strerror(answer)}; see {self.log}")
        return lines

    def kill(self):
        """Ends it, and with that what somebody else waits for; stop() is still to be called."""
        process = self.process
        with contextlib.suppress(ProcessLookupError, AttributeError):
            os.killpg(process.pid, signal.SIGKILL)

    def stop(self):
        """The next question boots it anew."""
        if not self.process:
            return
        self.kill()
        self.process.wait()
        self.reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        self.process = None


def _last(lines):
    """The line of a log that says why it ended."""
    for line in lines:
        if judge.BAD_TEXT.search(line) and "[ cut here ]" not in line:
            return judge_text(line)
    said = [line for line in lines if line.strip()]
    return f"the machine ended behind '{judge_text(said[-1])}'" if said else "the machine ended"


def judge_text(line):
    """Without the time stamp."""
    return re.sub(r"^\[[ 0-9.]+\] *", "", line.strip())[:120]
