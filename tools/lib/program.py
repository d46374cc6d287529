# SPDX-License-Identifier: GPL-2.0-only
"""A program of the user's for the machine, with what it needs: where the files go."""

import os
import re
import struct

from lib import judge
from lib.ui import Fail

AARCH64 = 183
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB = 1, 5

# What init takes for one argument
_WORD = re.compile(r"[^\s,\"]+")
LONGEST = 1024      # of the kernel's command line, which has 2048 characters

# What is in the initramfs anyway
OURS = ("/init", "/ext2.img")


def elf(path):
    """(interpreter or "", [libraries]) of an ELF file for arm64; None if it is none."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:4] != b"\x7fELF":
        return None
    if data[4:6] != b"\2\1" or struct.unpack_from("<H", data, 18)[0] != AARCH64:
        raise Fail(f"{path}: is not for arm64; build it with aarch64-linux-gnu-gcc")
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    # type, flags, offset, virtual and physical address, size in the file
    heads = [struct.unpack_from("<IIQQQQ", data, offset + n * size) for n in range(count)]

    def string(at):
        return data[at:data.index(b"\0", at)].decode("utf-8", "replace")

    interpreter, dynamic = "", []
    for kind, _, at, _, _, length in heads:
        if kind == PT_INTERP:
            interpreter = string(at)
        elif kind == PT_DYNAMIC:
            dynamic = list(struct.iter_unpack("<QQ", data[at:at + length // 16 * 16]))
    table = next((value for tag, value in dynamic if tag == DT_STRTAB), 0)
    base = next((at + table - address for kind, _, at, address, _, length in heads
                 if kind == PT_LOAD and address <= table < address + length), 0)
    return interpreter, [string(base + value) for tag, value in dynamic if tag == DT_NEEDED]


def needs(path):
    """(interpreter, [libraries]) of a program or a script."""
    try:
        found = elf(path)
    except (struct.error, ValueError):
        raise Fail(f"{path}: is no whole ELF file; build it again") from None
    if found:
        return found
    with open(path, "rb") as f:
        m = re.match(rb"#! *(\S+)", f.read(256))
    return (m[1].decode("utf-8", "replace") if m else "", [])


def split(given):
    """[(file, where it goes if that was said)] of the words FILE or FILE:/PATH."""
    found = []
    for text in given:
        file, colon, where = text.rpartition(":/")
        file, where = (file, "/" + where) if colon else (text, "")
        if not os.path.isfile(file):
            raise Fail(f"{file}: no such file; --init takes files of yours")
        if where.endswith("/"):
            raise Fail(f"{text}: is a directory there; give the name of the file, too")
        if re.search(r"\s", text):
            raise Fail(f"{text}: has a blank in its name, which cannot go into the initramfs")
        found.append((file, where))
    return found


def place(given):
    """{where it goes: file} of the files given, each FILE or FILE:/PATH; the first is run.

    An interpreter goes where the programs look for it, a library into /lib, all else to /.
    Fails if one of them needs what is not among them.
    """
    found = [(file, where, needs(file)) for file, where in split(given)]
    file, _, (interpreter, _) = found[0]
    if not os.access(file, os.X_OK) or not interpreter and elf(file) is None:
        raise Fail(f"{file}: is no program that can run; give first the one that is to")
    names = {os.path.basename(where or file) for file, where, _ in found}
    interpreters = {os.path.basename(i): i for _, _, (i, _) in found if i}
    files = {}
    for file, where, (interpreter, libraries) in found:
        missing = [n for n in (interpreter, *libraries) if n and os.path.basename(n) not in names]
        if missing:
            raise Fail(f"{file}: needs {', '.join(missing)}; give that too, or link it with "
                       "-static")
        name = os.path.basename(file)
        top = "/lib/" if re.search(r"\.so(\.|$)", name) else "/"
        where = where or interpreters.get(name) or top + name
        if where in OURS:
            raise Fail(f"{file}: {where} is this tool's own; give FILE:/PATH")
        if where in files:
            raise Fail(f"{file}: {where} is {files[where]} already; give FILE:/PATH")
        files[where] = file
    return files


def word(where, arguments):
    """The word of the kernel's command line that has init run it."""
    path = where if where.count("/") > 1 else where[1:]
    for a in [path, *arguments]:
        if not _WORD.fullmatch(a) or a == path and ":" in a:
            raise Fail(f"'{a}': an argument goes through the kernel's command line, which takes "
                       "none that is empty or has a blank, a comma or a quote")
    line = ",".join([path, *arguments])
    if len(line) > LONGEST:
        raise Fail(f"{len(line)} characters of arguments: the kernel's command line has room "
                   f"for {LONGEST}")
    return line


def outcome(lines):
    """(exit code as a shell has it, None if it came to none; what is wrong with the log)."""
    code = None
    for line in lines:
        if m := re.match(r"copy_mc: \S+: exit code (\d+)$", line):
            code = int(m[1])
        elif m := re.match(r"copy_mc: \S+: signal (\d+)$", line):
            code = 128 + int(m[1])
        elif line == "copy_mc: exit 0":
            code = 0
    return code, judge.bad_lines(lines)


def words(code):
    """What to say about an exit code."""
    if code is None:
        return "came to no end"
    return f"signal {code - 128}" if code > 128 else f"exit code {code}"
