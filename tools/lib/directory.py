# SPDX-License-Identifier: GPL-2.0-only
"""A directory that a tool writes, and the next time writes anew.

A file there says what was written, so that nothing else is ever removed.
"""

import contextlib
import hashlib
import os

from lib.ui import Fail

MARK = ".series"    # of the first tool that had one


def _sum(data):
    return hashlib.sha256(data).hexdigest()


def ours(out):
    """The files that were written there; fails if there is anything else, or an edit."""
    written = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), \
            open(os.path.join(out, MARK), encoding="utf-8") as f:
        written = {name: sum for sum, _, name in (l.rstrip("\n").partition("  ") for l in f)}
    try:
        there = sorted(set(os.listdir(out)) - {MARK} if written else os.listdir(out))
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise Fail(f"{out}: is no directory; name another one") from None
    for name in there:
        path = os.path.join(out, name)
        if name not in written or not os.path.isfile(path):
            raise Fail(f"{path}: was not written by this tool; name another directory, or move it")
        with open(path, "rb") as f:
            if _sum(f.read()) != written[name]:
                raise Fail(f"{path}: was edited since it was written; name another directory, or "
                           "move it")
    return there


def put(out, files):
    """Writes {name: text} there, in place of the files of the last time."""
    old = ours(out)
    os.makedirs(out, exist_ok=True)
    data = {name: text.encode("utf-8", "surrogateescape") for name, text in files.items()}
    sums = {name: _sum(d) for name, d in data.items()}
    for name in old:
        os.unlink(os.path.join(out, name))
    with open(os.path.join(out, MARK), "w", encoding="utf-8") as f:
        f.write("".join(f"{s}  {name}\n" for name, s in sums.items()))
    for name, d in data.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(d)
