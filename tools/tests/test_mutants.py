# SPDX-License-Identifier: GPL-2.0-only
"""Mutants: the places where C and assembly can be wrong, and what came of each."""

import errno
import os
import re
import subprocess
import threading
import types
import unittest.mock

from lib import auto, guest, kunit, mutants
from lib.ui import Fail
from tests.fake import Case, read, write

C = """\
#define LIMIT 7

static int other(int n)
{
	return n;
}

static int ours(struct task *p, int n)
{
	int buf[4], left = 0;

	if (!p || n > LIMIT) {
		note(p);
		return -EINVAL;
	}
	p->flags |= FIRST | SECOND;
	if (n & MASK)
		left = fill(buf, n);
	switch (n) {
	case LIMIT:
		left++;
		break;
	}
	return left;
}
"""
NAME = "lib/ours.c"


class Places(Case):
    def places(self, text=C, lines=range(8, 100)):
        write(self.top, NAME, text)
        return mutants.places(self.top, {NAME: {*lines}})

    def found(self, *args):
        return [(m.line, m.kind, m.text) for m in self.places(*args)]

    def setUp(self):
        super().setUp()
        self.top = os.path.join(self.tmp, "tree")

    def test_each_kind(self):
        self.assertEqual(sorted(self.found()), [
            (10, "const", "0"),
            (12, "cond", "!p || n > LIMIT"), (12, "const", "LIMIT"), (12, "next", "n"),
            (12, "or", "!p"), (12, "or", "n > LIMIT"),
            (13, "stmt", "note(p)"),
            (14, "const", "EINVAL"), (14, "return", "-EINVAL"),
            (16, "const", "FIRST"), (16, "const", "SECOND"), (16, "flag", "FIRST"),
            (16, "flag", "SECOND"), (16, "stmt", "p->flags |= FIRST | SECOND"),
            (17, "cond", "n & MASK"), (17, "const", "MASK"), (17, "mask", "MASK"),
            (18, "stmt", "left = fill(buf, n)"),
            (21, "stmt", "left++"), (22, "jump", "break;"),
            (24, "return", "left")])

    def test_only_our_lines(self):
        self.assertEqual(self.found(C, [13]), [(13, "stmt", "note(p)")])
        # of two lines, one of which is the base's
        self.assertEqual(self.found(C.replace("note(p)", "note(p,\n\t\t     n)"), [13]), [])

    def test_function_of_each(self):
        self.assertEqual({m.function for m in self.places(C, range(1, 100))}, {"other", "ours"})

    def test_numbers_and_names(self):
        found = self.places()
        self.assertEqual([m.number for m in found], list(range(1, len(found) + 1)))
        auto.number(found, {f"{NAME} ours stmt: note(p)": "nobody reads notes"})
        self.assertEqual([m.text for m in found if m.equivalent], ["note(p)"])
        twice = self.places(C.replace("note(p);", "note(p);\n\t\tnote(p);"))
        auto.number(twice, {f"{NAME} ours stmt: note(p) #2": "the second"})
        self.assertEqual([m.line for m in twice if m.equivalent], [14])
        auto.need_all(twice, {twice[0].name: "", "lib/a.S f insn: nop": ""})
        with self.fails("tools/mutants/equivalent: lib/a.c b: no mutant has that name"):
            auto.need_all(twice, {twice[0].name: "", "lib/a.c b": "", "lib/a.c c": ""})
        twice.append(mutants.Mutant(0, "lib/a.S", 0, "f+0x4", "insn", "ret", pokes=((0, 0, 0),)))
        with self.fails("tools/mutants/equivalent: lib/a.S f insn: nop: no mutant has that name"):
            auto.need_all(twice, {twice[0].name: "", "lib/a.S f insn: nop": ""})

    def test_the_compiler_takes_what_it_becomes(self):
        found = self.places()
        text = mutants.rewritten(C, found)
        self.assertIn("MUTANT(n) mutant_is(n)", text)
        for m in found:
            self.assertIn(f"MUTANT({m.number})", text)
        head = ("#define EINVAL 22\n#define FIRST 1\n#define SECOND 2\n#define MASK 4\n"
                "struct task { int flags; };\nint note(struct task *), fill(int *, int);\n")
        path = write_and_name(self.top, "all.c", head + text)
        self.run_tool("gcc", "-Wall", "-Werror", "-Wno-unused-function", "-c", "-o", path + ".o",
                      path)

    def test_each_does_what_it_says(self):
        """Runs each: the value of a small function under it."""
        source = ("int f(int a, int b)\n{\n\tif (a < 3 && b)\n\t\treturn 5;\n"
                  "\treturn a | 8;\n}\n")
        found = self.places(source, range(1, 100))
        main = ("#include <stdio.h>\nstatic unsigned int chosen;\n"
                "_Bool mutant_is(unsigned int n) { return n == chosen; }\n"
                f"int main(void)\n{{\n\tfor (chosen = 0; chosen <= {len(found)}; chosen++)\n"
                '\t\tprintf("%d %d %d %d\\n", f(2, 1), f(3, 1), f(2, 0), f(3, 0));\n}\n')
        path = write_and_name(self.top, "each.c", mutants.rewritten(source, found) + main)
        self.run_tool("gcc", "-o", path + ".out", path)
        right, *wrong = self.run_tool(path + ".out").splitlines()
        self.assertEqual(right, "5 11 10 11")
        self.assertEqual({(m.kind, m.text): w for m, w in zip(found, wrong)}, {
            ("cond", "a < 3 && b"): "10 5 5 5",
            ("and", "a < 3"): "5 5 10 11", ("and", "b"): "5 11 5 11",
            ("next", "3"): "5 5 10 11", ("const", "3"): "5 5 10 11",
            ("flag", "a"): "5 8 8 8", ("flag", "8"): "5 3 2 3",
            ("const", "8"): "5 11 11 11",
            ("return", "5"): "0 11 10 11", ("return", "a | 8"): "5 0 0 0"})

    def run_tool(self, *cmd):
        p = subprocess.run(cmd, check=False, capture_output=True, text=True)
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        return p.stdout


def write_and_name(top, name, text):
    write(top, name, text)
    return os.path.join(top, name)


class Words(Case):
    """Instructions, as aarch64-linux-gnu-as has them."""

    def test_each_form(self):
        for word, expected in (
                (0x54000041, {"the other condition": 0x54000040,            # b.ne .+8
                              "one instruction further": 0x54000061}),      # b.ne .+12
                (0xb4000040, {"the other condition": 0xb5000040,            # cbz -> cbnz
                              "one instruction further": 0xb4000060}),
                (0x36180040, {"the other condition": 0x37180040,            # tbz x0, #3
                              "the next bit": 0x36100040,
                              "one instruction further": 0x36180060}),
                (0x91004000, {"one more": 0x91004400,                       # add x0, x0, #16
                              "another register": 0x91004001}),
                (0xa9400c22, {"one further": 0xa9408c22,                    # ldp x2, x3, [x1]
                              "another register": 0xa9400c23}),
                (0xd65f03c0, {})):                                          # ret
            found = dict(mutants.words(word))
            self.assertEqual(found.pop("left out"), mutants.NOP)
            self.assertEqual({s: hex(w) for s, w in found.items()},
                             {s: hex(w) for s, w in expected.items()})

    def test_a_nop_is_nothing(self):
        self.assertEqual(mutants.words(mutants.NOP), [])


ASSEMBLY = """\
	.text
	.globl	mem_has_poison, memcpy_mc, behind
mem_has_poison:
	.rept	6
	ldp	x3, x4, [x0], #16
	.endr
	ret
memcpy_mc:
1:	ldr	x6, [x1], #8
	str	x6, [x0], #8
	b	1b
9:	ret
behind:
	nop
	.section __ex_table, "a"
	.globl	__start___ex_table, __stop___ex_table
__start___ex_table:
	.long	mem_has_poison - ., 9b - .
	.short	5, 0
	.long	1b - ., 9b - .
	.short	5, 7
__stop___ex_table:
"""


class Routines(Case):
    """What nm and objdump say of a kernel, here of a very small one."""

    def setUp(self):
        super().setUp()
        write(self.tmp, "kernel.S", ASSEMBLY)
        path = os.path.join(self.tmp, "vmlinux")
        subprocess.run([f"{kunit.CROSS}gcc", "-nostdlib", "-static", "-Wl,-e,behind", "-o", path,
                        os.path.join(self.tmp, "kernel.S")], check=True)
        self.kernel = mutants.Kernel(path, kunit.CROSS)

    def test_no_address_in_a_name(self):
        with unittest.mock.patch.object(mutants.Kernel, "_run", lambda *_: LISTING):
            kernel = mutants.Kernel.__new__(mutants.Kernel)
            kernel.vmlinux, kernel.symbols = "vmlinux", {"ours": 0xffff8000804cf880}
            kernel.addresses = [0xffff8000804cf880, 0xffff8000804cf890]
            self.assertEqual([text for _, _, text in kernel.routine("ours")],
                             ["tbz w2, #2, <ours+0x74>", "b.ls <ours+0xc>", "ret"])

    def test_code_and_entries(self):
        code = self.kernel.routine("memcpy_mc")
        self.assertEqual([hex(w) for _, w, _ in code],
                         ["0xf8408426", "0xf8008406", "0x17fffffe", "0xd65f03c0"])
        self.assertEqual(code[0][2], "ldr x6, [x1], #8")
        self.assertEqual(self.kernel.routine("nobody"), [])
        at, words = self.kernel.entries()[code[0][0]]
        self.assertEqual((at + words[0]) & 0xffffffff, code[0][0] & 0xffffffff)
        self.assertEqual(words[2], 7 << 16 | 5)

    def test_mutants(self):
        with unittest.mock.patch.object(mutants, "ROUTINES", {
                "a.S": "mem_has_poison", "b.S": "memcpy_mc"}):
            found = mutants.instructions(self.kernel)
        # Of the same instruction six times those at the ends; a branch has two.
        said = [m.name for m in found]
        self.assertEqual(sum("a.S" in n and "ldp" in n and "left out" in n for n in said), 2)
        load = [m for m in found if m.function == "memcpy_mc+0x0"]
        self.assertEqual([(m.kind, m.says) for m in load], [
            ("insn", "left out"), ("insn", "another register"), ("entry", "no entry"),
            ("entry", "the next one's entry"), ("entry", "fixup one instruction further")])
        (address, word, old), = load[2].pokes
        self.assertEqual((word, old), (7 << 16, 7 << 16 | 5))
        (_, word, old), = load[3].pokes
        self.assertEqual(word, old + 4 & 0xffffffff)
        self.assertIn("b.S memcpy_mc+0x8 insn: b", " ".join(said))
        with unittest.mock.patch.object(mutants, "ROUTINES", {"c.S": "nobody"}), \
                self.fails("has no nobody"):
            mutants.instructions(self.kernel)


class Built(Case):
    def test_what_the_compiler_refuses(self):
        first = mutants.PRELUDE.count("\n")
        write(self.tmp, "log", f"""\
/x/linux/mm/a.c: In function 'f':
/x/linux/include/linux/b.h:5:1: error: expected expression before 'do'
/x/linux/mm/a.c:{first + 7}:3: note: in expansion of macro 'M'
/x/linux/mm/a.c:{first + 9}:3: warning: unused
/x/linux/mm/a.c:{first + 9}:3: note: in expansion of macro 'N'
../linux/lib/c.c:{first + 2}:3: error: no
""")
        self.assertEqual(auto._refused(os.path.join(self.tmp, "log"), ["mm/a.c", "lib/c.c"]),
                         {("mm/a.c", 7), ("lib/c.c", 2)})

    def test_whose_lines(self):
        self.patch("mm/memory.c", "int f(void)\n{\n\treturn 1;\n}\n",
                   "int f(void)\n{\n\tg();\n\treturn 1;\n}\n")
        write(self.kernel, "mm/memory.c", "int f(void)\n{\n\treturn 1;\n}\n")
        write(self.repo, "lib/ours.c", "int h(void)\n{\n\treturn 2;\n}\n")
        write(self.repo, "include/linux/ours.h", "static inline int i(void)\n{\n\treturn 3;\n}\n")
        prepared = self.prepare()
        self.assertEqual([(m.file, m.line, m.kind) for m in auto.find(prepared, ())],
                         [("lib/ours.c", 3, "return"), ("mm/memory.c", 3, "stmt")])
        self.assertEqual([m.file for m in auto.find(prepared, ["mm/memory.c"])], ["mm/memory.c"])
        self.assertEqual(auto.find(prepared, ["mm/nobody.c"]), [])


class Equivalents(Case):
    def file(self, text):
        write(self.tmp, "equivalent", text)
        return mutants.equivalents(os.path.join(self.tmp, "equivalent"), "6.12")

    def test_read(self):
        self.assertEqual(self.file("# about it\n\nlib/a.c f stmt: x()\n\tbecause\n\tof that\n"
                                   "lib/a.c g stmt: y()\n\tso\n"),
                         {"lib/a.c f stmt: x()": "because of that", "lib/a.c g stmt: y()": "so"})

    def test_of_one_kernel(self):
        self.assertEqual(self.file("[6.12] lib/a.c f stmt: x()\n\tso\n[7.3] lib/a.c f stmt: y()\n"
                                   "\tso\n"), {"lib/a.c f stmt: x()": "so"})

    def test_names_that_nothing_has(self):
        m = mutants.Mutant(1, NAME, 1, "ours", "stmt", "x()")
        self.assertEqual(mutants.unknown([m], {f"{NAME} ours stmt: x()": "", "lib/a.S f insn: nop": "",
                                               "lib/a.c f stmt: z()": ""}), ["lib/a.c f stmt: z()"])

    def test_refused(self):
        for text, says in (("\tbecause\n", "not of what"), ("a\nb\n\twhy\n", "nothing says why"),
                           ("a\n", "nothing says why"), ("a\n\twhy\na\n\twhy\n", "is here twice")):
            with self.fails(says):
                self.file(text)


LISTING = """
ffff8000804cf880 <ours>:
ffff8000804cf880:\t361003a2 \ttbz\tw2, #2, ffff8000804cf8f4 <ours+0x74>
ffff8000804cf884:\t54000049 \tb.ls\tffff8000804cf88c <ours+0xc>  // b.plast
ffff8000804cf888:\td65f03c0 \tret
"""
VARIANTS = auto.variants("6.12")


def hangs(*_):
    raise guest.Died("hang")


class FakeMachine:
    """Tests fail as they are told; a machine that is dirty fails them all."""

    lacking = {}        # {variant: tests that it skips}
    blind = ()          # variants that notice nothing

    def __init__(self, kills, dirty=()):
        self.kills, self.makes_dirty = kills, dirty
        self.chosen, self.dirty, self.reboots, self.variant = None, False, 0, ""
        self.guest = types.SimpleNamespace(process=True, boots=1)
        self.log = "log"

    def choose(self, mutant):
        self.chosen = mutant
        self.dirty = self.dirty or mutant.text in self.makes_dirty
        if mutant.text == "alternative":
            raise guest.Refused(errno.ESTALE, "stale")

    def restore(self, mutant):
        self.chosen = None

    def become(self, variant):
        if variant != self.variant:
            self.variant = variant
            self.reboot()

    def reboot(self, mutant=0):
        self.reboots += 1
        self.chosen, self.dirty = None, False

    def reached(self):
        return frozenset()

    def attempt(self, test):
        if test.name in self.lacking.get(self.variant, ()):
            return f"{test.name}: skipped"
        if self.dirty or self.variant not in self.blind and self.chosen and \
                (self.chosen.text, test.name) in self.kills:
            return test.name
        return ""


class Hunting(Case):
    def hunt(self, *args, reached=()):
        tests = [auto.Test("s.quick", 1, frozenset(reached or {1, 2})),
                 auto.Test("s.slow", 5, frozenset({1})), auto.Test("s.other", 0.1, frozenset({9}))]
        self.machine = FakeMachine(*args)
        return auto.Hunt([self.machine], tests, VARIANTS)

    def heard(self):
        self.said.flush()
        return read(self.tmp, "said")

    def mutant(self, text, number=1):
        return mutants.Mutant(number, NAME, 1, "ours", "stmt", text)

    def test_noticed_by_who_comes_by(self):
        hunt = self.hunt({("a", "s.slow"), ("a", "s.other")})
        self.assertEqual(hunt.attempt(self.machine, self.mutant("a"))[0], "s.slow")
        self.assertEqual(hunt.attempt(self.machine, self.mutant("b"))[0], "")
        self.assertIn("no test comes by", hunt.attempt(self.machine, self.mutant("b", 7))[1])
        self.assertEqual(self.machine.reboots, 0)

    def test_the_right_kernel(self):
        """Who skips on one machine runs on the next, and who runs on none is left out."""
        hunt = self.hunt({("a", "s.slow")})
        self.machine.lacking = {"": ["s.slow", "s.other"], "nomte": ["s.other"]}
        self.assertEqual([t.name for t in hunt.baseline()], ["s.other"])
        self.assertEqual({t.name: t.variant for t in hunt.tests}, {"s.quick": "", "s.slow": "nomte"})
        self.machine.become("")
        for t in hunt.tests:
            t.reached = frozenset({1})
        self.assertEqual(hunt.attempt(self.machine, self.mutant("a"))[0], "s.slow")
        self.assertEqual(self.machine.variant, "nomte")
        self.assertEqual(hunt.attempt(self.machine, self.mutant("b"))[0], "")

    def test_each_machine_has_its_time(self):
        hunt = self.hunt({("a", "s.slow")})
        hunt.baseline()
        self.assertEqual(sorted(t.variant for t in hunt.tests), sorted(3 * VARIANTS))
        for t in hunt.tests:
            t.reached, t.seconds = frozenset({1}), auto.ENOUGH / 2
        self.machine.blind = VARIANTS[:1]
        self.assertEqual(hunt.attempt(self.machine, self.mutant("a"))[0], "s.slow")
        self.machine.blind = VARIANTS
        self.assertIn("3 tests that come by", hunt.attempt(self.machine, self.mutant("a"))[1])
        for t in hunt.tests:
            t.seconds = auto.ENOUGH + 1
        self.assertIn("1 of 3 tests", hunt.attempt(self.machine, self.mutant("a"))[1])

    def test_machines(self):
        self.assertEqual(VARIANTS, ("nomte", ""))
        self.assertEqual(auto.variants("7.3.4"), ("nomte nomops", "nomte", ""))

    def test_a_kernel_that_is_not_right(self):
        hunt = self.hunt({}, ())
        self.machine.become(VARIANTS[0])
        self.machine.dirty = True
        with self.fails("the kernel as it is does not pass: s.quick"):
            hunt.baseline()

    def test_a_machine_that_does_not_come_up(self):
        hunt = self.hunt({})

        self.machine.choose = self.machine.reached = hangs
        with self.fails("the machine does not come up: hang"):
            hunt.attempt(self.machine, self.mutant("b"))

    def test_a_mutant_that_no_machine_survives(self):
        hunt = self.hunt({})

        self.machine.choose = hangs
        self.assertEqual(hunt.attempt(self.machine, self.mutant("b")),
                         ("hang", "between two tests: hang"))
        self.assertEqual(self.machine.reboots, 2)

    def test_enough_is_enough(self):
        hunt = self.hunt({("a", "s.slow")})
        hunt.tests[0].seconds, hunt.tests[1].seconds = auto.ENOUGH + 1, auto.ENOUGH + 2
        self.assertEqual(hunt.attempt(self.machine, self.mutant("a")),
                         ("", "1 of 2 tests that come by noticed nothing"))
        self.assertEqual(hunt.attempt(self.machine, self.mutant("a", 2)),
                         ("", "1 test that come by noticed nothing"))

    def test_who_noticed_others_comes_first(self):
        hunt = self.hunt({("a", "s.slow")})
        self.assertEqual([t.name for t in hunt.candidates(self.mutant("x"))], ["s.quick", "s.slow"])
        for want in (["s.quick", "s.slow"], ["s.slow", "s.quick"]):     # it takes five times as long
            hunt.attempt(self.machine, self.mutant("a"))
            self.assertEqual([t.name for t in hunt.candidates(self.mutant("x"))], want)

    def test_the_machine_that_noticed_others_comes_first(self):
        hunt = self.hunt({("a", "s.slow")})
        hunt.baseline()
        self.machine.blind = VARIANTS[:1]

        def first(offset):
            m = mutants.Mutant(1, NAME, 0, f"ours+{offset:#x}", "insn", "a", pokes=((0, 0, 0),))
            with unittest.mock.patch.object(auto, "COPIES", re.compile("s.")):
                variant = hunt.candidates(m)[0].variant
                hunt.attempt(self.machine, m)
            return variant

        self.assertEqual([first(0x20), first(0x24), first(0x20)], ["nomte", "", ""])
        self.machine.blind = VARIANTS[1:]
        self.assertEqual([first(0x80), first(0x84), first(0x88)], ["", "nomte", "nomte"])
        self.assertEqual(first(0x20), "")

    def test_what_another_has_left_is_no_kill(self):
        hunt = self.hunt({("a", "s.quick")}, ("dirt",))
        self.machine.dirty = True
        # Nothing notices it, but everything fails there.
        self.assertEqual(hunt.attempt(self.machine, self.mutant("b"))[0], "")
        self.assertEqual(self.machine.reboots, 1)
        self.assertEqual(hunt.attempt(self.machine, self.mutant("a"))[0], "s.quick")
        # What spoils the machine itself is noticed.
        self.assertEqual(hunt.attempt(self.machine, self.mutant("dirt"))[0], "s.quick")
        self.assertFalse(self.machine.dirty)

    def test_a_machine_that_cannot_be_asked_is_noticed(self):
        hunt = self.hunt({})

        self.machine.restore = hangs
        self.assertEqual(hunt.attempt(self.machine, self.mutant("b")),
                         ("hang", "between two tests: hang"))
        self.assertEqual(self.machine.reboots, 1)

    def test_a_mutant_that_cannot_be_chosen_is_not(self):
        hunt = self.hunt({})

        def choose(mutant):
            raise Fail("write: Invalid argument")

        self.machine.choose = choose
        with self.fails("Invalid argument"):
            hunt.attempt(self.machine, self.mutant("b"))

    def test_what_is_not_there_is_not_tried(self):
        hunt = self.hunt({("a", "s.quick")})
        those = [self.mutant("alternative"), self.mutant("a"), self.mutant("b")]
        those[2].untried = "the compiler refuses it"
        self.assertEqual(auto.report(hunt, those, None), 0)
        self.assertIn("100 %:    1 killed    0 equivalent    0 survived    2 not tried", self.heard())
        self.assertIn("1 not tried: another instruction is there", self.heard())

    def test_a_test_that_is_not_reliable_notices_nothing(self):
        hunt = self.hunt({("a", "s.quick")})
        once = []
        attempt = self.machine.attempt

        def flaky(test):        # with the mutant and twice without it
            once.append(test.name)
            return "s.quick" if once.count("s.quick") <= 3 and test.name == "s.quick" else \
                attempt(test)

        self.machine.attempt = flaky
        self.assertEqual(hunt.attempt(self.machine, self.mutant("a"))[0], "")

    def test_what_is_noticed_once_is_not(self):
        hunt = self.hunt({("a", "s.quick"), ("a", "s.slow")})
        attempt, seen = self.machine.attempt, []

        def once(test):
            problem = attempt(test)
            if problem and test.name == "s.quick":
                seen.append(test)
                return problem if len(seen) == 1 else ""
            return problem

        self.machine.attempt = once
        self.assertEqual(hunt.attempt(self.machine, self.mutant("a"))[0], "s.slow")
        self.assertEqual(len(seen), 2)

    def test_where_another_instruction_is_another_machine_is_asked(self):
        hunt = self.hunt({("alternative", "s.slow")})
        hunt.baseline()
        m = mutants.Mutant(1, NAME, 0, "ours+0x8", "insn", "alternative", pokes=((0, 0, 0),))
        choose = self.machine.choose

        def elsewhere(mutant):
            self.machine.chosen = mutant
            if self.machine.variant == VARIANTS[0]:
                choose(mutant)

        self.machine.choose = elsewhere
        with unittest.mock.patch.object(auto, "COPIES", re.compile("s.")):
            self.assertEqual(hunt.attempt(self.machine, m)[0], "s.slow")
        self.assertFalse(m.untried)

    def test_from_the_boot_on(self):
        """Who skips on a machine has noticed nothing there."""
        hunt = self.hunt({("a", "p:two")})
        hunt.tests = [auto.Test("p:one", 1), auto.Test("p:two", 1, variant="nomte"),
                      auto.Test("s.quick", 1)]
        hunt.boot = frozenset({7})
        self.machine.lacking = {"nomte": ["p:one"], "": ["p:two"]}
        self.machine.reboot = lambda mutant=0: setattr(
            self.machine, "chosen", next((m for m in those if m.number == mutant), None))
        those = [self.mutant("a", 7)]
        self.assertEqual(hunt.attempt(self.machine, those[0])[0], "p:two")
        those = [self.mutant("b", 7)]
        self.assertEqual(hunt.attempt(self.machine, those[0])[0], "")

    def test_all_are_tried_and_counted(self):
        hunt = self.hunt({("a", "s.quick"), ("e", "s.quick")})
        those = [self.mutant(t) for t in "abe"]
        those[1].equivalent = "why"
        self.assertEqual(auto.report(hunt, those, None), 0)
        self.assertIn("2 killed, 1 equivalent, 0 survived, 0 killed though", self.heard())
        those[2].equivalent = "why"
        self.assertEqual(auto.report(hunt, those, None), 0)
        self.assertIn("1 killed, 2 equivalent, 0 survived, 0 killed though", self.heard())
        self.assertEqual(auto.report(hunt, those, None, True), 1)
        self.assertIn("KILLED though equivalent", self.heard())
        self.assertEqual(auto.report(hunt, [self.mutant("b")], None), 1)
        self.assertIn(f"SURVIVED {NAME}:1 ours: 'b'", self.heard())


class Guests(Case):
    """A machine that is a shell script."""

    def guest(self, script):
        path = os.path.join(self.tmp, "machine")
        write(self.tmp, "machine", "#!/bin/sh\necho 'agent: done 0'\necho 'agent: end'\n" + script, 0o755)
        made = guest.Guest([path], os.path.join(self.tmp, "log"))
        self.addCleanup(made.stop)
        return made

    def test_asked(self):
        g = self.guest('while read line; do echo "said $line"; echo "agent: done 3"; echo "agent: end"; done\n')
        self.assertEqual(g.ask("this"), (["said this"], 3))
        with self.fails("this: No such process"):
            g.do("this")
        self.assertEqual(g.boots, 1)

    def test_the_kernel_is_heard_to_its_end(self):
        """It has a way of its own to the console, which may be the longer one."""
        g = self.guest('while read line; do echo "agent: done 0"; sleep 0.3; '
                       'echo "[    1.0] not ok 1 late"; echo "[    1.1] agent: end"; done\n')
        self.assertEqual(g.ask("this"), (["[    1.0] not ok 1 late"], 0))

    def test_what_is_bad_between_two_tests(self):
        g = self.guest('read line\necho "WARNING: CPU: 0"\nsleep 60\n')
        with self.assertRaisesRegex(guest.Died, "WARNING: CPU: 0"):
            g.do("this")

    def test_ends_and_hangs(self):
        g = self.guest("read line\necho 'Kernel panic - not syncing: x'\n")
        with self.assertRaisesRegex(guest.Died, "Kernel panic"):
            g.ask("this")
        g.stop()
        g = self.guest("read line\nsleep 60\n")
        with self.assertRaisesRegex(guest.Died, "hang"):
            g.ask("this", 0.5)

    def test_stops_at_what_is_bad(self):
        g = self.guest("read line\necho fine\necho bad\nsleep 60\n")
        self.assertEqual(g.ask("this", 10, lambda line: line == "bad"), (["fine", "bad"], None))

    def test_killed_by_another(self):
        g = self.guest("read line\nsleep 60\n")
        threading.Timer(1, g.kill).start()
        with self.assertRaisesRegex(guest.Died, "ended"):
            g.ask("this", 50)
        g.stop()
        g.kill()

    def test_boots_again(self):
        g = self.guest('while read line; do echo "agent: done 0"; echo "agent: end"; done\n')
        g.do("one")
        g.stop()
        g.do("two")
        self.assertEqual(g.boots, 2)
