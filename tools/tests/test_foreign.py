# SPDX-License-Identifier: GPL-2.0-only
"""The suites alone, on a tree with a copy_mc of its own."""

import os
import types

from lib import foreign, tree
from lib.foreign import hook
from tests.fake import Case, read, snapshot, write

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FAULT = """\
#include <linux/acpi.h>

static void die_kernel_fault(const char *what, unsigned long addr,
			     unsigned long esr, struct pt_regs *regs)
{
	bust_spinlocks(1);
	die("Oops", regs, esr);
}

static int do_sea(unsigned long far, unsigned long esr, struct pt_regs *regs)
{
	const struct fault_info *info = esr_to_fault_info(esr);

	if (user_mode(regs) && apei_claim_sea(regs) == 0)
		return 0;

	if (!user_mode(regs) && apei_claim_sea(regs) == 0 && recover(regs))
		return 0;

	add_taint(TAINT_MACHINE_CHECK, LOCKDEP_STILL_OK);
	arm64_notify_die(info->name, regs, info->sig, info->code, far, esr);
	return 0;
}

void do_mem_abort(unsigned long addr, unsigned long syndrome, struct pt_regs *regs)
{
	const struct fault_info *info = esr_to_fault_info(syndrome);

	if (!info->fn(addr, syndrome, regs))
		return;

	arm64_notify_die(info->name, regs, info->sig, info->code, addr, syndrome);
}
"""
HOOKED = (FAULT
          .replace("#include <linux/acpi.h>\n",
                   "#include <linux/acpi.h>\n#include <asm/sea_inject.h>\n")
          .replace("\tbust_spin", "\tif (sea_inject_dies(what))\n\t\treturn;\n\tbust_spin")
          .replace("!user_mode(regs) && apei_claim_sea", "!user_mode(regs) && sea_inject_claim")
          .replace("\tadd_taint", "\tif (sea_inject_dies(info->name))\n\t\treturn 0;\n\tadd_taint")
          .replace("\tif (!info->fn", "\tif (sea_inject(addr, syndrome, regs))\n\t\treturn;\n"
                                      "\tif (!info->fn"))
NAME = "arch/arm64/mm/fault.c"


class Hook(Case):
    def test_where_it_goes(self):
        self.assertEqual(hook(REPO, {NAME: FAULT}), {NAME: HOOKED})

    def test_apei_may_be_asked_in_another_file(self):
        other = "#include <linux/acpi.h>\nint f(struct pt_regs *r) { return apei_claim_sea(r); }\n"
        fault = FAULT.replace("apei_claim_sea(regs) == 0 && recover", "recover")
        found = hook(REPO, {NAME: fault, "arch/arm64/mm/mc.c": other})
        self.assertIn("#include <asm/sea_inject.h>", found["arch/arm64/mm/mc.c"])
        self.assertIn("return sea_inject_claim(r);", found["arch/arm64/mm/mc.c"])

    def test_without_a_taint(self):
        without = [line for line in FAULT.splitlines() if "add_taint" not in line]
        self.assertIn("dies(info->name))\n\t\treturn 0;\n\tarm64_notify_die(",
                      hook(REPO, {NAME: "\n".join(without) + "\n"})[NAME])

    def test_one_that_is_there_stays(self):
        self.assertEqual(hook(REPO, {NAME: HOOKED}), {NAME: HOOKED})

    def test_no_place_for_it(self):
        for old, new, call, where in (
                ("!info->fn(", "!handle(info, ", "sea_inject", "where do_mem_abort"),
                ("bust_spinlocks", "shout", "sea_inject_dies", "at the beginning of die"),
                ("arm64_notify_die(info->name, regs, info->sig, info->code, far", "die(far",
                 "sea_inject_dies", "at the beginning of die"),
                ("!user_mode(regs) && apei_claim_sea", "apei_says", "sea_inject_claim",
                 "in place of apei_claim_sea")):
            with self.fails(rf"arch/arm64/mm: no place found for the hook's {call}\(\): {where}.*; "
                            r"put it there by hand, as kunit/inject/hook.cocci has it"):
                hook(REPO, {NAME: FAULT.replace(old, new)})


class Prepare(Case):
    def setUp(self):
        super().setUp()
        for name in ("contract/contract.h", "contract/ours.h", "contract/posted.h",
                     "inject/hook.cocci"):
            write(self.repo, f"kunit/{name}", read(REPO, f"kunit/{name}"))
        write(self.repo, "arch/arm64/include/asm/sea_inject.h", "/* ours */\n")
        self.patch("Kbuild", "one\n", "one\ntwo\n")
        write(self.kernel, "Kbuild", "one\n")

    def their_copy_mc(self):
        write(self.kernel, "arch/arm64/Kconfig", "\tselect ARCH_HAS_COPY_MC\n")
        write(self.kernel, "arch/arm64/include/asm/asm-extable.h",
              "#define EX_TYPE_ACCESS_ERR_ZERO 1\n#define EX_TYPE_KACCESS_SEA 2\n")
        write(self.kernel, "arch/arm64/include/asm/theirs.h",
              "memcpy_mc copy_mc_page mte_copy_mc_page_tags copy_mc_highpage\n")
        write(self.kernel, "include/linux/highmem.h", "copy_mc_user_highpage()\n")
        write(self.kernel, NAME, FAULT)

    def alone(self, contract="posted", kernel=None):
        args = types.SimpleNamespace(kernel=kernel or self.kernel, build_dir=self.build,
                                     no_install=True, suites_only=contract)
        prepared, source = tree.select(args)
        prepared.prepare(source())
        return prepared

    def test_nothing_of_the_implementation(self):
        self.their_copy_mc()
        prepared = self.alone()
        changed = set(prepared.git.changed(prepared.base, "refs/tags/overlay"))
        self.assertEqual(changed, {"Kbuild", NAME, "arch/arm64/include/asm/sea_inject.h",
                                   "kunit/inject/hook.cocci", *(f"kunit/contract/{n}.h" for n in
                                                         ("contract", "ours", "posted"))})
        self.assertEqual(read(prepared.top, NAME), HOOKED)
        # Again, and beside the tree with everything.
        self.assertEqual(self.alone().edits(), [])
        self.assertNotEqual(self.select()[0].top, prepared.top)

    def test_edits_of_the_suites_are_written_back(self):
        self.their_copy_mc()
        prepared = self.alone()
        write(prepared.top, "kunit/fresh_kunit.c", "int fresh;\n")
        write(prepared.top, "kunit/contract/ours.h", "/* edited */\n")
        write(prepared.top, "Kbuild", "one\nthree\n")
        with self.fails("run ./tools/refresh with the same --kernel and --suites-only, or undo"):
            prepared.need_no_edits()
        self.assertEqual(self.refresh(prepared), [
            ("changed", "Kbuild.patch"), ("changed", "kunit/contract/ours.h"),
            ("new", "kunit/fresh_kunit.c")])
        self.assertIn("+three\n", read(self.repo, "Kbuild.patch"))
        self.assertEqual(self.alone().edits(), [])

    def test_edits_of_what_is_theirs_are_not(self):
        self.their_copy_mc()
        prepared = self.alone()
        write(prepared.top, "kunit/fresh_kunit.c", "int fresh;\n")
        before = snapshot(self.repo)
        for name in (NAME, "lib/old.c", "lib/fresh.c"):
            old = read(prepared.top, name) if name != "lib/fresh.c" else None
            write(prepared.top, name, "/* edited */\n")
            with self.fails(f"^{name}: is no file of the suites; make the edit in your own tree"):
                self.refresh(prepared)
            if old:
                write(prepared.top, name, old)
        self.assertEqual(snapshot(self.repo), before)

    def test_beside_another_tree(self):
        self.their_copy_mc()
        alone = self.alone()
        kernel = self.make_kernel("other-12345678-posted", 6, 12)
        write(kernel, "Kbuild", "one\n")
        other = self.prepare(kernel)
        self.assertEqual({t.top: t.contract for t in [*tree.others(other), *tree.others(alone)]},
                         {alone.top: "posted", other.top: None})
        [found] = tree.others(other)
        self.assertEqual(found.overlay().compose(found.base, found.version),
                         found.git.tree("overlay"))

    def test_says_what_is_missing(self):
        with self.fails(r"kernel: has no copy_mc as kunit/contract/posted.h has it: "
                        r"no ARCH_HAS_COPY_MC in arch/arm64/Kconfig, no EX_TYPE_ACCESS_ERR_ZERO "
                        r"in .*, no memcpy_mc in arch/arm64 or include/linux,"):
            self.alone()
        self.their_copy_mc()
        with self.fails(r"kernel: has no copy_mc as kunit/contract/ours.h has it: "
                        r"no EX_TYPE_UACCESS_ERR_ZERO in [^,]*, no EX_TYPE_KACCESS_ERR_ZERO in "
                        r"[^,]*, no EX_TYPE_KLOAD_SEA in [^,]*; name another contract"):
            self.alone("ours")

    def test_debians_kernels_have_none(self):
        with self.fails("--suites-only: Debian's 6.12 has no copy_mc for arm64; give a kernel "
                        "tree"):
            self.alone(kernel="6.12")

    def test_contracts(self):
        self.assertEqual(foreign.contracts(REPO), ["ours", "posted"])
        kconfig = read(REPO, "kunit/Kconfig")
        for name in foreign.contracts(REPO):
            symbol = foreign.option(name).removeprefix("--kconfig_add=CONFIG_").removesuffix("=y")
            self.assertIn(f"config {symbol}\n", kconfig)
