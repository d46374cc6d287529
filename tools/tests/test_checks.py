# SPDX-License-Identifier: GPL-2.0-only
"""The checks' own judgement, on texts made up."""

import collections
import tempfile
import types
import unittest
import unittest.mock

from lib import checks
from lib.ui import Fail
from tests.fake import write

FAULT = """\
#include <asm/sea.h>
#include <asm/sea_inject.h>
int f(void)
{
	if (sea_inject(far, esr, regs))
		return;

	if (other())
		return;
	return sea();
}
"""


class Hook(unittest.TestCase):
    def test_removed_in_place(self):
        text, pieces = checks.without_hook(FAULT)
        self.assertEqual(pieces, 2)
        self.assertNotIn("sea_inject", text)
        self.assertEqual(text.count("\n"), FAULT.count("\n"))
        self.assertEqual([l for l in text.splitlines() if l],
                         ["#include <asm/sea.h>", "int f(void)", "{", "\tif (other())",
                          "\t\treturn;", "\treturn sea();", "}"])

    def test_none(self):
        self.assertEqual(checks.without_hook("int f;\n"), ("int f;\n", 0))


class Warnings(unittest.TestCase):
    def test_compared_without_numbers_and_directories(self):
        k = types.SimpleNamespace(top="/b/6.12/linux", _base="/b/6.12/base")
        ours = checks.warnings("/b/6.12/linux/mm/a.c:10:3: warning: unused 'x'\n"
                               "../linux/mm/a.c:17: warning: context imbalance at 12\n"
                               "  CC mm/a.o\n", k)
        base = checks.warnings("/b/6.12/base/mm/a.c:99:1: warning: unused 'x'\n", k)
        self.assertEqual(sum(ours.values()), 2)
        self.assertEqual(list(ours - base), [("mm/a.c", "context imbalance at N")])

    def test_a_second_one_of_the_same_kind(self):
        k = types.SimpleNamespace(top="/t", _base=None)
        one = "/t/a.c:1: warning: unused\n"
        self.assertTrue(checks.warnings(one + one, k) - checks.warnings(one, k))


class Suspects(unittest.TestCase):
    OBJECTS = ["arch/arm64/lib/x.o", "mm/a.o", "mm/b.o"]

    def test_only_what_warned_is_built_again(self):
        for files, want in ((["mm/b.c"], ["mm/b.o"]), (["arch/arm64/lib/x.S"], self.OBJECTS[:1]),
                            (["mm/b.c", "include/linux/mm.h"], self.OBJECTS),
                            (["arch/arm64/kernel/vdso/vgetrandom.c"], self.OBJECTS[:1])):
            self.assertEqual(checks.suspects([(f, "text") for f in files], self.OBJECTS), want)


class Directories(unittest.TestCase):
    def test_one_base_for_each_architecture(self):
        with tempfile.TemporaryDirectory() as home:
            k = checks.Kernel(types.SimpleNamespace(top="/t", home=home), 1)
            bases = {name: k.build_dir(name, base=True)
                     for name in ("warnings", "noghes", "x86", "ppc")}
            self.assertEqual(bases["warnings"], bases["noghes"])
            self.assertEqual(len({*bases.values(), *map(k.build_dir, bases)}), 7)

    def test_configuration_has_both(self):
        text = checks.Kernel.all_config()
        for symbol in ("ARM64_SEA_RIG", "KASAN_HW_TAGS", "COPY_MC_KUNIT_TEST"):
            self.assertIn(f"CONFIG_{symbol}=y\n", text)


class Links(unittest.TestCase):
    def test_symbols(self):
        text = "\na.o:\n                 U memcpy\n                 w weak\n\nb.o:\n" \
               "0000000000000010 T copy_page\n0000000000000010 V x\n"
        with unittest.mock.patch.object(checks, "run", lambda *_: (0, text, "")):
            self.assertEqual(checks.symbols("/b", ["a.o"], "-u"),
                             {"memcpy", "weak", "copy_page", "x"})
        with unittest.mock.patch.object(checks, "run", lambda *_: (1, "", "no such file\n")), \
                self.assertRaisesRegex(Fail, "^nm: no such file$"):
            checks.symbols("/b", ["a.o"], "-u")

    def test_held_against_the_base(self):
        def have(needed, defined):
            return {"-u": {*needed.split()}, "--defined-only": {*defined.split()}}
        base = have("memcpy kfree", "copy_page")
        for needed, defined in (("memcpy", "copy_page"), ("memcpy other", "copy_page other")):
            checks.links(have(needed, defined), base)
        for needed, defined, text in (("memcpy_mc kfree", "copy_page", "^memcpy_mc: used here"),
                                      ("memcpy", "", "^copy_page: defined by the base")):
            with self.assertRaisesRegex(Fail, text):
                checks.links(have(needed, defined), base)


class Code(unittest.TestCase):
    def test_difference_is_named(self):
        checks.same("x", ["a"], ["a"])
        with self.assertRaisesRegex(Fail, "x differs: 'b' is not 'c'"):
            checks.same("x", ["a", "b"], ["a", "c"])
        with self.assertRaisesRegex(Fail, "1 lines, not 2"):
            checks.same("x", ["a"], ["a", "c"])

    def test_function(self):
        lines = ["0 <f>:", "  0:\tnop", "", "8 <g>:", "  8:\tret"]
        self.assertEqual(checks.function(lines, "f"), ["  0:\tnop"])
        with self.assertRaises(Fail):
            checks.function(lines, "h")


class Sparse(unittest.TestCase):
    def test_whose_warnings(self):
        found = collections.Counter({(f, "no"): 1 for f in (
            "mm/a.c", "mm/b.c", "lib/c.S", "include/d.h")})
        self.assertEqual({f for f, _ in checks.asked_for(found, ["mm/a.o"], ["lib/c.S"])},
                         {"mm/a.c", "lib/c.S", "include/d.h"})

    def test_who_asks_for_the_kernel(self):
        """Suites that do are looked at for each kernel."""
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        k = types.SimpleNamespace(top=tmp.name)
        write(tmp.name, "kunit/a_kunit.c", "#include <x.h>\n\n#ifdef EX_TYPE_Y\nint y;\n#endif\n")
        write(tmp.name, "kunit/b_kunit.c", "#include <x.h>\n/* #if */\nint y;\n")
        self.assertEqual([checks.asks(k, f"kunit/{n}_kunit.o") for n in "abc"], [True, False, False])
