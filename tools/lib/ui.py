# SPDX-License-Identifier: GPL-2.0-only
"""What the tools say, and how they end."""

import argparse
import errno
import os
import re
import shutil
import signal
import sys
import time


class Fail(Exception):
    """What is wrong, and what to do about it, in one line."""


class Unavailable(Fail):
    """Something from outside that cannot be had now: no package, no network."""


out = sys.stdout


def say(text=""):
    print(text, file=out, flush=True)


def step(text):
    say(f"== {text}")


def note(text):
    say(f"   {text}")


def number(n, what, more=None):
    """1 problem, 2 problems; more: what they are called if that is not with an s."""
    return f"{n} {what if n == 1 else more or what + 's'}"


def warn(text):
    print(f"tools/{tool}: warning: {text}", file=sys.stderr, flush=True)


# Where progress goes, if somebody else shows it.
progress_file = None


class Progress:
    """One line, updated in place on a terminal; elsewhere one every ten seconds."""

    def __init__(self):
        self.tty = out.isatty()
        self.shown = self.last = 0

    def show(self, text):
        if progress_file:
            with open(progress_file, "w", encoding="utf-8") as f:
                f.write(text)
            return
        now = time.monotonic()
        if now - self.last < (0.2 if self.tty else 10):
            return
        self.last = now
        if self.tty:
            text = text[:shutil.get_terminal_size().columns - 1]
            out.write("\r" + text.ljust(self.shown))
            out.flush()
        else:
            say(text)
        self.shown = len(text)

    def clear(self):
        if self.tty and self.shown:
            out.write("\r" + " " * self.shown + "\r")
            out.flush()


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Fail(f"{message}; see --help")


def parser(description, **kwargs):
    return _Parser(prog=f"tools/{tool}", description=description,
                   formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)


def at_least(least):
    """What an option's value is: a number, this one or more."""
    def value(text):
        if not re.fullmatch(r"-?\d+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is no number from {least} on")
        return int(text)
    return value


tool = os.path.basename(sys.argv[0]) or "tools"


def _terminate(_signo, _frame):
    # As for Ctrl-C: unwind, so that children and temporary files go.
    raise KeyboardInterrupt


def main(func):
    """Runs a tool: its exit code is func()'s; a failure is one line."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, _terminate)
    try:
        code = func() or 0
        out.flush()
    except Fail as e:
        message, code = " ".join(str(e).split()), 1
    except KeyboardInterrupt:
        message, code = "interrupted; the next run starts from a sound state", 130
    except BrokenPipeError:
        # Nobody reads on.  Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as e:
        hint = {errno.ENOSPC: "make room there or choose another --build-dir",
                errno.EACCES: "check the permissions or choose another --build-dir",
                errno.ENOENT: "check the path, or install what is missing"}
        message = (f"{e.filename or 'write'}: {os.strerror(e.errno) if e.errno else e}; "
                   f"{hint.get(e.errno, 'nothing was kept of this step')}")
        code = 1
    else:
        sys.exit(code)
    print(f"tools/{tool}: {message}", file=sys.stderr)
    sys.exit(code)
