# SPDX-License-Identifier: GPL-2.0-only
"""Mutants: each line of the implementation made wrong in each way that it can be.

C: coccinelle finds the places, and each gets a question, "is it this one that is to be
wrong?", so that one build has all mutants.  Assembly: the words of the routines and of
their exception table entries, which the booted kernel overwrites.
"""

import dataclasses
import os
import re
import struct
import subprocess

from lib.ui import Fail

DIR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "mutants")
HOOK = "kunit/inject/hook.c"       # is built in, and takes what mutants.c has

# Not here: headers that all of the kernel includes, the documentation, and what is only
# for tests.  Mutations of tools/mutations are for these headers.
HEADERS = ("include/linux/mem_poison.h",)
OURS = re.compile(r"(arch/arm64|mm|lib|fs|kernel|drivers)/.*\.c")

PRELUDE = ("#ifndef MUTANT\n_Bool mutant_is(unsigned int n);\n"
           "#define MUTANT(n) mutant_is(n)\n#endif\n")

# So many does mutants.c know.
MOST = 4096

# What a place becomes: in front of it, behind it, and what to say of it.
KINDS = {
    "cond": ("(!!(", ") != MUTANT({n}))", "negated"),
    "and": ("(MUTANT({n}) || (", "))", "taken for true"),
    "or": ("(!MUTANT({n}) && (", "))", "taken for false"),
    "next": ("((", ") + MUTANT({n}))", "one more"),
    "flag": ("(MUTANT({n}) ? 0 : (", "))", "left out"),
    "mask": ("((", ") | (MUTANT({n}) ? ~0ULL : 0))", "left out"),
    "const": ("(", " + MUTANT({n}))", "one more"),
    "bool": ("(", " != MUTANT({n}))", "negated"),
    "stmt": ("(void)(MUTANT({n}) || ({{ ", "; 0; }}))", "left out"),
    "jump": ("if (!MUTANT({n})) ", "", "left out"),
    "return": ("({{ __auto_type value_ = (", "); MUTANT({n}) ? "
               "(typeof(value_))(unsigned long)!value_ : value_; }})", "the other value"),
}

_JUMP = re.compile(r"\s*((?:(?:return|break|continue|goto \w+)|asm volatile\(.*\));)\s*$")


@dataclasses.dataclass(eq=False)
class Mutant:
    number: int
    file: str
    line: int
    function: str
    kind: str
    text: str               # of the source, or of the instruction
    says: str = ""
    start: tuple = ()       # (line, column), of C
    end: tuple = ()
    pokes: tuple = ()       # ((address, word, what it was), ...), of assembly
    nth: int = 1            # of those with the same key
    equivalent: str = ""    # why nothing can notice it
    untried: str = ""       # why it is not in the kernel

    @property
    def key(self):
        says = f" {self.says}" if self.pokes else ""
        return f"{self.file} {self.function} {self.kind}: {self.text}{says}"

    @property
    def name(self):
        """What the file of those that are equivalent calls it."""
        return self.key + (f" #{self.nth}" if self.nth > 1 else "")

    def __str__(self):
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where} {self.function}: '{self.text}' {self.says}"


def our_lines(git, old, new, names):
    """{file: the numbers of its lines that the overlay has written}"""
    found, lines = {}, None
    for line in git("diff-tree", "-r", "-p", "-U0", "--no-renames", old, new, "--",
                    *names).splitlines():
        if line.startswith("+++ b/"):
            lines = found.setdefault(line[6:], set())
        elif m := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first = int(m[1])
            lines.update(range(first, first + int(m[2] or 1)))
    return found


def functions(lines):
    """[(first line, last line, name)] of the functions of a file in the kernel's style."""
    found, start = [], 0
    for n, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = n
        elif line.startswith("}") and start:
            head = ""
            for above in reversed(lines[max(0, start - 8):start - 1]):
                if not above.strip() or above[0] in "}#*/" or above.startswith(" *"):
                    break
                head = above + " " + head
            names = re.findall(r"(\w+)\s*\(", head)
            found.append((start, n, names[0] if names else "?"))
            start = 0
    return found


def _spatch(files):
    """[(kind, file, line, column, last line, last column)] of all places."""
    script = os.path.join(DIR, "sites.cocci")
    found = []
    for file in files:
        p = subprocess.run(["spatch", "--very-quiet", "--sp-file", script, file], check=False,
                           capture_output=True, text=True)
        if p.returncode:
            raise Fail(f"spatch: {file}: {(p.stderr.splitlines() or ['failed'])[-1]}")
        for line in p.stdout.splitlines():
            kind, name, *where = line.split("\t")
            found.append((kind, name, *map(int, where)))
    return found


def _constant(text):
    """Its kind; None if it is nothing that can be one more."""
    if text in ("true", "false"):
        return "bool"
    if text.startswith(("CONFIG_", '"', "__")) or text.endswith('"'):
        return None
    return "const"


def _wanted(kind, text, line, behind):
    """Whether the place, in this line, can be another one; behind: what comes after it."""
    stripped = line.strip()
    # A function's name that is all capitals; and what has a sign is there without it as well.
    if kind == "const" and (behind.startswith("(") or text.startswith("-")):
        return False
    if stripped.startswith(("case ", "#", "static ", "BUILD_BUG_ON", "fallthrough;")) or \
            stripped.endswith("\\"):
        return False
    if kind == "const" and re.search(rf"^[\s\w]+\w\[{re.escape(text)}\][;,]", line):
        return False        # the size of an array
    return True


def places(top, lines_of):
    """The mutants of these files of a tree."""
    found = []
    paths = {os.path.join(top, name): name for name in lines_of}
    sites = _spatch(paths)
    for path, name in paths.items():
        with open(path, encoding="utf-8") as f:
            lines = f.read().splitlines()
        bodies, ours = functions(lines), lines_of[name]

        def inside(first, last):
            return next((b[2] for b in bodies if b[0] < first and last < b[1]), None)

        seen = set()

        def take(kind, start, end):
            function = inside(start[0], end[0])
            if not function or not {*range(start[0], end[0] + 1)} <= ours:
                return
            text = _text(lines, start, end)
            if kind == "const" and not (kind := _constant(text)):
                return
            if (kind, start, end) in seen or not _wanted(kind, text, lines[start[0] - 1],
                                                         lines[end[0] - 1][end[1]:]):
                return
            seen.add((kind, start, end))
            found.append(Mutant(0, name, start[0], function, kind, text, KINDS[kind][2], start,
                                end))

        mine = [s for s in sites if s[1] == path]
        returned = {s[2:] for s in mine if s[0] == "return"}
        for kind, _, *where in mine:
            # "return 0" has one other value, not two.
            if kind != "const" or tuple(where) not in returned:
                take(kind, tuple(where[:2]), tuple(where[2:]))
        for n, (line, following) in enumerate(zip(lines, lines[1:]), 1):
            m = _JUMP.match(line)
            if m and not following.strip().startswith("else"):
                take("jump", (n, m.start(1)), (n, m.end(1)))
    for n, m in enumerate(found, 1):
        m.number = n
    return found


def _text(lines, start, end):
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1]:end[1]]
    parts = [lines[start[0] - 1][start[1]:], *lines[start[0]:end[0] - 1],
             lines[end[0] - 1][:end[1]]]
    return " ".join(" ".join(parts).split())


def rewritten(text, mutants):
    """A file's text with the questions of its mutants in it."""
    lines = text.split("\n")
    inserts = []        # (line, column, order, what); of one place, the outermost first
    spans = sorted(mutants, key=lambda m: (m.start, (-m.end[0], -m.end[1]), m.number))
    for at, m in enumerate(spans):
        before, behind, _ = KINDS[m.kind]
        inserts.append((*m.start, 1, at, before.format(n=m.number)))
        # What began later ends first.
        inserts.append((*m.end, 0, -at, behind.format(n=m.number)))
    for line, column, _, _, what in sorted(inserts, reverse=True):
        old = lines[line - 1]
        lines[line - 1] = old[:column] + what + old[column:]
    return PRELUDE + "\n".join(lines)


# -- assembly ------------------------------------------------------------------------------

COND_MASK, COND = 0xff000010, 0x54000000          # b.cond
COMPARE_MASK, COMPARE = 0x7e000000, 0x34000000    # cbz, cbnz
TEST_MASK, TEST = 0x7e000000, 0x36000000          # tbz, tbnz
NOP = 0xd503201f
BTI_C = 0xd503245f                                # gcc's kernels take no notice of it
ENTRY = struct.Struct("<iihh")                    # of the exception table


def words(word):
    """[(what is wrong, another word)] of an instruction."""
    if word in (NOP, BTI_C):
        return []
    found = [("left out", NOP)]
    if word & COND_MASK == COND:
        return found + [("the other condition", word ^ 1),
                        ("one instruction further", _field(word, 5, 19))]
    if word & COMPARE_MASK == COMPARE:
        return found + [("the other condition", word ^ 1 << 24),
                        ("one instruction further", _field(word, 5, 19))]
    if word & TEST_MASK == TEST:
        return found + [("the other condition", word ^ 1 << 24), ("the next bit", word ^ 1 << 19),
                        ("one instruction further", _field(word, 5, 14))]
    if word & 0x7c000000 == 0x14000000:           # b, bl
        return found + [("one instruction further", _field(word, 0, 26))]
    if word & 0x1f800000 == 0x11000000:           # add, sub with a constant
        return found + [("one more", _field(word, 10, 12)), ("another register", word ^ 1)]
    if word & 0x3a000000 == 0x28000000:           # ldp, stp and the like
        return found + [("one further", _field(word, 15, 7)), ("another register", word ^ 1)]
    if word & 0x3b000000 == 0x39000000:           # ldr, str with an offset
        return found + [("one further", _field(word, 10, 12)), ("another register", word ^ 1)]
    if word & 0x3b000000 == 0x38000000:           # ldr, str otherwise
        return found + [("another register", word ^ 1)]
    if word & 0x0e000000 == 0x0a000000 or word & 0x1e000000 in (0x12000000, 0x1a000000):
        return found + [("another register", word ^ 1), ("another source", word ^ 1 << 5)]
    return found


def _field(word, shift, width):
    """One more in a field."""
    mask = (1 << width) - 1
    return word & ~(mask << shift) | ((word >> shift) + 1 & mask) << shift


class Kernel:
    """What a built kernel has of some routines: nm's and objdump's view of its vmlinux."""

    def __init__(self, vmlinux, cross):
        self.vmlinux, self.cross = vmlinux, cross
        symbols = self._run("nm", "-n", vmlinux)
        self.symbols, addresses = {}, []
        for line in symbols.splitlines():
            address, _, name = line.split()[:3] if line[0] != " " else (0, 0, 0)
            if name and not name.startswith("$"):
                self.symbols.setdefault(name, int(address, 16))
                addresses.append(int(address, 16))
        self.addresses = sorted({*addresses})

    def _run(self, tool, *args):
        p = subprocess.run([f"{self.cross}{tool}", *args], check=False, capture_output=True,
                           text=True)
        if p.returncode:
            raise Fail(f"{self.cross}{tool}: {(p.stderr.splitlines() or ['failed'])[-1]}")
        return p.stdout

    def routine(self, name):
        """[(address, word, text)] of its instructions."""
        if name not in self.symbols:
            return []
        start = self.symbols[name]
        stop = next(a for a in self.addresses if a > start)
        found = []
        for line in self._run("objdump", "-d", f"--start-address={start:#x}",
                              f"--stop-address={stop:#x}", self.vmlinux).splitlines():
            if m := re.match(r"\s*([0-9a-f]+):\t([0-9a-f]{8}) \t(.*)", line):
                # Where it is told by its symbol, which stays when the kernel is built anew.
                text = re.sub(r"\b[0-9a-f]{16} (?=<)| *//.*", "", " ".join(m[3].split()))
                found.append((int(m[1], 16), int(m[2], 16), text))
        return found

    def entries(self):
        """{address of the instruction: (of the entry, its words)} of the exception table."""
        start, stop = (self.symbols[f"__{s}___ex_table"] for s in ("start", "stop"))
        data = b""
        for line in self._run("objdump", "-s", f"--start-address={start:#x}",
                              f"--stop-address={stop:#x}", self.vmlinux).splitlines():
            if m := re.match(r" [0-9a-f]+ ((?:[0-9a-f]{2,8} ?){1,4}) ", line):
                data += bytes.fromhex(m[1].replace(" ", ""))
        found = {}
        for at in range(0, len(data), ENTRY.size):
            insn, fixup, kind, more = ENTRY.unpack_from(data, at)
            found[start + at + insn] = (start + at, struct.unpack_from("<III", data, at))
        return found


# The routines of assembly that are ours, by file; and one of which only the entries of its
# loads are, those of the type that another has.
ROUTINES = {
    "arch/arm64/lib/copy_mc_page.S": "copy_mc_page",
    "arch/arm64/lib/memcpy_mc.S": "memcpy_mc",
    "arch/arm64/lib/mem_has_poison.S": "mem_has_poison",
    "arch/arm64/lib/mte.S": "mte_copy_mc_page_tags",
    "arch/arm64/lib/copy_to_user.S": "__arch_copy_to_user",
}
ENTRIES_ONLY = "__arch_copy_to_user"
ENTRIES_LIKE = "mem_has_poison"


def instructions(kernel):
    """The mutants of the routines of assembly, which need no number."""
    entries, found = kernel.entries(), []
    kinds = {entries[a][1][2] & 0xffff for a, _, _ in kernel.routine(ENTRIES_LIKE) if a in entries}
    for file, name in ROUTINES.items():
        code = kernel.routine(name)
        if not code:
            raise Fail(f"{kernel.vmlinux}: has no {name}")
        for at, (address, word, text) in enumerate(code):
            # A .rept is one line of the source: what it begins and ends with will do.
            around = [re.sub(r"#\d+", "", t) for _, _, t in code[max(0, at - 1):at + 2]]
            if around == 3 * around[:1]:
                continue
            offset = f"{name}+{address - code[0][0]:#x}"
            if name != ENTRIES_ONLY:
                found += [Mutant(0, file, 0, offset, "insn", text, says,
                                 pokes=((address, other, word),)) for says, other in words(word)]
            if address in entries and entries[address][1][2] & 0xffff in kinds:
                found += _entry(file, offset, text, *entries[address])
    return found


def _entry(file, offset, text, at, table):
    """The ways in which an entry is wrong: none, of the next instruction, its fixup's next."""
    insn, fixup, kind = table
    for says, word, new in (("no entry", 2, kind & ~0xffff),
                            ("the next one's entry", 0, insn + 4 & 0xffffffff),
                            ("fixup one instruction further", 1, fixup + 4 & 0xffffffff)):
        yield Mutant(0, file, 0, offset, "entry", text, says,
                     pokes=((at + 4 * word, new, table[word]),))


# -- those that nothing can notice ---------------------------------------------------------

def equivalents(path, variant):
    """{name: why} of the file that has them: a name a line, and below it, indented, why.

    "[7.3] NAME" is for kernels of that variant alone.
    """
    found, name = {}, None
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    for n, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            if name is None:
                raise Fail(f"{path}:{n}: says why, but not of what")
            found[name] = f"{found[name]} {line.strip()}".strip()
            continue
        if name and not found[name]:
            raise Fail(f"{path}:{n}: nothing says why {name}")
        name = line.strip()
        if name in found:
            raise Fail(f"{path}:{n}: {name}: is here twice")
        found[name] = ""
    if name and not found[name]:
        raise Fail(f"{path}: nothing says why {name}")
    names = {n: re.match(r"(?:\[(.+?)\] )?(.*)", n) for n in found}
    return {m[2]: found[n] for n, m in names.items() if m[1] in (None, variant)}


def unknown(there, reasons):
    """The names of those equivalents that no mutant has; in C only, if all of them are."""
    names, files = {m.name for m in there}, (".c", ".h")
    if any(m.pokes for m in there):
        files += (".S",)
    return [n for n in reasons if n not in names and n.split(" ")[0].endswith(files)]
