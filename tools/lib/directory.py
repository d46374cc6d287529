# SPDX-License-Identifier: GPL-2.0-only
"""A directory that a tool writes, and the next time writes anew.

A file there says what was written, so that nothing else is ever removed.
"""

import contextlib
import hashlib
import os
import re

from lib.ui import Fail


def _sum(data):
    return hashlib.sha256(data).hexdigest()


def ours(out, mark):
    """The files that were written there; fails if there is anything else, or an edit.

    mark: the name of the list of them, which is the tool's own
    """
    written, lines = {}, []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), \
            open(os.path.join(out, mark), encoding="utf-8", errors="replace") as f:
        lines = f.read().splitlines()
    for line in lines:
        if not (m := re.match(r"([0-9a-f]{64})  (.+)", line)):
            raise Fail(f"{os.path.join(out, mark)}: is no list of files; name another directory, "
                       "or move it")
        written[m[2]] = m[1]
    try:
        there = sorted(set(os.listdir(out)) - {mark} if written else os.listdir(out))
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


def put(out, files, mark):
    """Writes {name: text} there, in place of the files of the last time."""
    old = ours(out, mark)
    os.makedirs(out, exist_ok=True)
    data = {name: text.encode("utf-8", "surrogateescape") for name, text in files.items()}
    sums = {name: _sum(d) for name, d in data.items()}
    for name in old:
        os.unlink(os.path.join(out, name))
    with open(os.path.join(out, mark), "w", encoding="utf-8") as f:
        f.write("".join(f"{s}  {name}\n" for name, s in sums.items()))
    for name, d in data.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(d)
