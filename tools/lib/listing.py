# SPDX-License-Identifier: GPL-2.0-only
"""The instructions of a kernel's routines, each with its exception table entry."""

import os
import re
import struct
import tempfile

from lib import kunit
from lib.packages import run
from lib.ui import Fail

# int insn, fixup; short type, data; each of the first two relative to where it is
_ENTRY = struct.Struct("<iihH")
_TYPE = re.compile(r"^#define\s+EX_TYPE_(\w+)\s+(\d+)", re.M)
_LINE = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f]{8}) \t(.+)$")


def _binutils(name, *args):
    code, out, err = run(kunit.CROSS + name, *args)
    if code:
        raise Fail(f"{kunit.CROSS}{name}: {(err.splitlines() or ['failed'])[-1]}")
    return out


def symbols(vmlinux):
    """{name: [(address, size)]}; static functions share names."""
    found = {}
    for line in _binutils("nm", "-S", vmlinux).splitlines():
        words = line.split()
        address, size, name = words[0], words[1] if len(words) == 4 else "0", words[-1]
        if len(words) >= 3 and words[-2] not in "Uwv":
            found.setdefault(name, []).append((int(address, 16), int(size, 16)))
    return found


def types(top):
    """{number: name} of a kernel tree's types of entries."""
    with open(os.path.join(top, "arch/arm64/include/asm/asm-extable.h"), encoding="utf-8") as f:
        return {int(number): name for name, number in _TYPE.findall(f.read())}


def extable(vmlinux, known, names):
    """{address: (type, fixup)} of the exception table."""
    if "__start___ex_table" not in known:
        raise Fail(f"{vmlinux}: has no exception table")
    start = known["__start___ex_table"][0][0]
    with tempfile.NamedTemporaryFile() as f:
        _binutils("objcopy", "-O", "binary", "-j", "__ex_table", vmlinux, f.name)
        table = f.read()
    found = {}
    for at in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        insn, fixup, kind, _data = _ENTRY.unpack_from(table, at)
        here = start + at
        found[here + insn] = (names.get(kind, str(kind)), here + 4 + fixup)
    return found


def _code(vmlinux, name, start, size):
    """[(address, word, instruction)]"""
    text = _binutils("objdump", "-d", "-z", f"--start-address={start}",
                     f"--stop-address={start + size}", vmlinux)
    found = []
    for m in filter(None, map(_LINE.match, text.splitlines())):
        words = re.sub(r"\s*//.*", "", m[3]).replace("\t", " ")
        # Where a branch goes: within the routine the offset says it all.
        words = re.sub(rf"\b[0-9a-f]+ <(?:{re.escape(name)})?(\+0x[0-9a-f]+|[^>]+)>", r"\1", words)
        found.append((int(m[1], 16), m[2], words))
    return found


def routines(vmlinux, top, wanted):
    """{name: [[offset, instruction, type, fixup]]} of what a log names.

    wanted: {name: {offset: word}}, the instructions in the log.  A routine whose code has
    others is not the one that ran, and is left out.  What has no entry has "" for its type.
    """
    known = symbols(vmlinux)
    entries = extable(vmlinux, known, types(top))
    found = {}
    for name, words in wanted.items():
        for start, size in known.get(name, ()):
            code = _code(vmlinux, name, start, size)
            there = {address - start: word for address, word, _ in code}
            if all(there.get(offset) == word for offset, word in words.items()):
                found[name] = [_row(address - start, insn, entries.get(address), start, size)
                               for address, _, insn in code]
                break
    return found


def _row(offset, insn, entry, start, size):
    if not entry:
        return [offset, insn, "", ""]
    kind, fixup = entry
    inside = start <= fixup < start + size
    return [offset, insn, kind, f"+{fixup - start:#x}" if inside else "elsewhere"]
