# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the user's: where their files go, and which cannot run."""

import os
import struct

from lib import program
from tests.fake import Case, write


def elf(interpreter="", needed=(), machine=program.AARCH64):
    """An ELF file with nothing but what says what it needs; loaded at 0x10000."""
    strings, dynamic = b"\0", b""
    for name in needed:
        dynamic += struct.pack("<QQ", program.DT_NEEDED, len(strings))
        strings += name.encode() + b"\0"
    strings += interpreter.encode() + b"\0"
    count = 1 + bool(interpreter) + bool(needed)
    at = 64 + count * 56
    dynamic += struct.pack("<QQ", program.DT_STRTAB, 0x10000 + at) + bytes(16)
    heads = [(program.PT_LOAD, 0, at + len(strings) + len(dynamic))]
    if interpreter:
        heads.append((program.PT_INTERP, at + strings.index(interpreter.encode()),
                      len(interpreter) + 1))
    if needed:
        heads.append((program.PT_DYNAMIC, at + len(strings), len(dynamic)))
    head = (b"\x7fELF\2\1\1" + bytes(9) +
            struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0))
    table = b"".join(struct.pack("<IIQQQQQQ", kind, 4, offset, 0x10000 + offset, 0, size, size, 1)
                     for kind, offset, size in heads)
    return head + table + strings + dynamic


class Place(Case):
    LINKER = "/lib/ld-linux-aarch64.so.1"

    def file(self, name, content=b"", mode=0o755):
        path = os.path.join(self.tmp, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)
        os.chmod(path, mode)
        return path

    def where(self, *given):
        return list(program.place(given))

    def test_static(self):
        tool, data = self.file("bin/tool", elf()), self.file("data", b"x", 0o644)
        self.assertEqual(program.place([tool, data]), {"/tool": tool, "/data": data})
        self.assertEqual(self.where(f"{tool}:/usr/bin/other"), ["/usr/bin/other"])

    def test_same_name(self):
        a, b = self.file("a/tool", elf()), self.file("b/tool", elf())
        self.assertEqual(program.place([a, f"{b}:/lib/tool"]), {"/tool": a, "/lib/tool": b})
        self.assertEqual(program.place([a, f"{b}:/etc/a/cfg", f"{a}:/etc/b/cfg"]),
                         {"/tool": a, "/etc/a/cfg": b, "/etc/b/cfg": a})

    def test_dynamic(self):
        tool = self.file("tool", elf(self.LINKER, ["libx.so.1", "libc.so.6"]))
        linker = self.file("a/ld-linux-aarch64.so.1", elf())
        libc = self.file("a/libc.so.6", elf(self.LINKER))
        libx = self.file("libx.so.1", elf(needed=["libc.so.6"]), 0o644)
        self.assertEqual(self.where(tool, linker, libx, libc),
                         ["/tool", self.LINKER, "/lib/libx.so.1", "/lib/libc.so.6"])
        for given, text in (([tool], f"tool: needs {self.LINKER}, libx.so.1, libc.so.6; give that"),
                            ([tool, linker, libc], "tool: needs libx.so.1; give that too, or"),
                            ([tool, libx, libc], f"tool: needs {self.LINKER};")):
            with self.fails(text):
                program.place(given)
        with self.fails("libx.so.1: needs libc.so.6;"):
            program.place([self.file("plain", elf()), libx])

    def test_script(self):
        script, shell = self.file("s", b"#! /bin/sh -e\n"), self.file("a/sh", elf())
        self.assertEqual(self.where(script, shell), ["/s", "/bin/sh"])
        with self.fails("s: needs /bin/sh; give that too"):
            program.place([script])

    def test_refused(self):
        good = self.file("good", elf())
        for given, text in (
                ([self.file("x86", elf(machine=62))], "x86: is not for arm64; build it with"),
                ([self.file("text", b"text")], "text: is no program that can run"),
                ([self.file("mode", elf(), 0o644)], "mode: is no program that can run"),
                ([self.file("half", elf()[:100])], "half: is no whole ELF file"),
                ([self.file("a b", elf())], "a b: has a blank in its name"),
                ([good, self.file("init", elf())], "/init is this tool's own; give FILE:/PATH"),
                ([good, f"{good}:/ext2.img"], "/ext2.img is this tool's own; give FILE:/PATH"),
                ([f"{good}:/bin/"], "good:/bin/: is a directory there; give the name of the file"),
                ([f"{good}:/"], "good:/: is a directory there"),
                ([good, self.file("b/good", elf())], "b/good: /good is .*/good already; give"),
                ([good, f"{good}:/good"], "good: /good is .*/good already; give FILE:/PATH"),
                ([self.tmp], "no such file; --init takes files"),
                ([good, "/no/such"], "^/no/such: no such file")):
            with self.fails(text):
                program.place(given)


class Run(Case):
    def test_word(self):
        for where, arguments, want in (("/tool", [], "tool"),
                                       ("/tool", ["-f", "a=b"], "tool,-f,a=b"),
                                       ("/usr/bin/x", ["1"], "/usr/bin/x,1")):
            self.assertEqual(program.word(where, arguments), want)
        for where, arguments, text in (
                ("/tool", ["a,b"], "^'a,b': an argument goes through"), ("/tool", [""], "^''"),
                ("/tool", ["a b"], "^'a b'"), ("/tool", ['"'], "^'\"'"), ("/a:b", [], "^'a:b'"),
                ("/tool", ["x" * 2000], "2005 characters of arguments: .* room for 1024")):
            with self.fails(text):
                program.word(where, arguments)

    def test_outcome(self):
        end = "copy_mc: exit 1"
        for lines, code, words in (
                (["hello", "copy_mc: exit 0"], 0, "exit code 0"),
                (["copy_mc: tool: exit code 3", end], 3, "exit code 3"),
                (["copy_mc: tool: signal 7", end], 135, "signal 7"),
                (["copy_mc: tool: No such file or directory", "copy_mc: tool: exit code 127", end],
                 127, "exit code 127"),
                (["hello"], None, "came to no end")):
            self.assertEqual(program.outcome(lines), (code, []))
            self.assertEqual(program.words(code), words)

    def test_bad_log(self):
        code, problems = program.outcome(["[    1.000000] Kernel panic - not syncing: x"])
        self.assertIsNone(code)
        self.assertRegex(problems[0], "line 1 of the log: .*Kernel panic")
