// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulator behind the hook in arch/arm64/mm/fault.c; see sea_inject.h.
 */

#include <kunit/resource.h>
#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/acpi.h>
#include <linux/bitfield.h>
#include <linux/extable.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/set_memory.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/exception.h>
#include <asm/insn.h>
#include <asm/mte.h>
#include <asm/tlbflush.h>

#include "sea_inject.h"

/* That many deaths of one injection are one access which cannot be made good. */
#define MAX_DEATHS	1000

static struct sea_inject *injection(struct sea_hook *hook)
{
	return container_of(hook, struct sea_inject, hook);
}

static unsigned long base_reg(const struct pt_regs *regs, unsigned int r)
{
	return r == 31 ? regs->sp : pt_regs_read_reg(regs, r);
}

/*
 * Arm ARM, "Loads and Stores" encodings: each load and store of general purpose
 * registers that is no atomic, by group, since asm/insn.h knows some of each group only and
 * none of the unprivileged ones. In most groups bit 22 tells a load from a store, and
 * bit 23 a load that extends the sign, to 32 bits if bit 22 is set as well.
 */
static bool decode_regs(u32 insn, struct sea_access *a)
{
	unsigned int scale = insn >> 30;
	bool load = insn & BIT(22);
	bool unprivileged = false;
	unsigned int sign = 0;
	bool index = false;
	bool pair = false;
	bool post = false;
	bool pre = false;
	long imm = 0;

	if ((insn & 0x3e000000) == 0x28000000) {		/* LDP, LDNP, LDPSW */
		if (scale & 1 && !load)
			return false;				/* STGP */
		sign = scale & 1 ? 64 : 0;
		scale = 2 + scale / 2;
		imm = aarch64_insn_decode_immediate(AARCH64_INSN_IMM_7, insn);
		imm = sign_extend64(imm, 6) << scale;
		post = FIELD_GET(GENMASK(24, 23), insn) == 1;
		pre = FIELD_GET(GENMASK(24, 23), insn) == 3;
		pair = true;
	} else if ((insn & 0xbfff0000) == 0x887f0000) {		/* LDXP, LDAXP */
		/* Made good as a plain load: the exclusive store after it fails. */
		scale = 2 + (scale & 1);
		pair = true;
	} else if ((insn & 0x3fff7c00) == 0x085f7c00) {		/* LDXR, LDAXR */
		load = true;					/* likewise */
	} else if ((insn & 0x3fbf7c00) == 0x089f7c00) {		/* LDAR, LDLAR, STLR, STLLR */
		;
	} else if ((insn & 0x3ffffc00) == 0x38bfc000) {		/* LDAPR */
		load = true;
	} else {
		if ((insn & 0x3f200000) == 0x38000000 ||	/* 9 bit offset */
		    (insn & 0x3f200c00) == 0x19000000) {	/* LDAPUR, STLUR */
			imm = aarch64_insn_decode_immediate(AARCH64_INSN_IMM_9, insn);
			imm = sign_extend64(imm, 8);
			post = FIELD_GET(GENMASK(11, 10), insn) == 1;
			unprivileged = FIELD_GET(GENMASK(11, 10), insn) == 2;
			pre = FIELD_GET(GENMASK(11, 10), insn) == 3;
		} else if ((insn & 0x3f200c00) == 0x38200800) {	/* register offset */
			index = true;
		} else if ((insn & 0x3f000000) == 0x39000000) {	/* 12 bit offset */
			imm = aarch64_insn_decode_immediate(AARCH64_INSN_IMM_12, insn) << scale;
		} else {
			return false;
		}

		if (insn & BIT(23)) {
			sign = load ? 32 : 64;
			load = true;
			if (BIT(scale) * 8 >= sign)
				return false;			/* PRFM, or not allocated */
		}
	}

	*a = (struct sea_access) {
		.kind = load ? SEA_LOAD : SEA_STORE,
		.size = BIT(scale) << pair,
		.sign = sign,
		.unprivileged = unprivileged,
		.rt = aarch64_insn_decode_register(AARCH64_INSN_REGTYPE_RT, insn),
		.rn = aarch64_insn_decode_register(AARCH64_INSN_REGTYPE_RN, insn),
		.rt2 = aarch64_insn_decode_register(AARCH64_INSN_REGTYPE_RT2, insn),
		.nregs = pair ? 2 : 1,
		.offset = post ? 0 : imm,
		.wback = post || pre ? imm : 0,
		.index = index,
		.rm = aarch64_insn_decode_register(AARCH64_INSN_REGTYPE_RM, insn),
		.extend = FIELD_GET(GENMASK(15, 13), insn),
		.shift = insn & BIT(12) ? scale : 0,
	};
	return true;
}

static bool decode_tags(u32 insn, struct sea_access *a)
{
	if ((insn & 0xffbffc00) != 0xd9a00000)			/* LDGM, STGM */
		return false;

	*a = (struct sea_access) {
		.kind = insn & BIT(22) ? SEA_LOAD : SEA_STORE,
		.tags = true,
		.size = 1,
		.rt = aarch64_insn_decode_register(AARCH64_INSN_REGTYPE_RT, insn),
		.rn = aarch64_insn_decode_register(AARCH64_INSN_REGTYPE_RN, insn),
		.nregs = 1,
	};
	return true;
}

#define CPY_PROLOGUE	0
#define CPY_MAIN	1
#define CPY_EPILOGUE	2

static unsigned int cpy_stage(u32 insn)
{
	return FIELD_GET(GENMASK(23, 22), insn);
}

/* CPYF* and CPY* */
static bool is_cpy(u32 insn)
{
	return (insn & 0xfb200c00) == 0x19000400 && cpy_stage(insn) <= CPY_EPILOGUE;
}

/* SETP, SETM, SETE */
static bool is_set(u32 insn)
{
	return (insn & 0xffe00c00) == 0x19c00400;
}

/**
 * sea_decode() - what an instruction does to memory
 * @insn: the instruction
 * @a: where to put it
 *
 * May be called in any context.
 *
 * Return: false if it is none of those the simulator knows.
 */
bool sea_decode(u32 insn, struct sea_access *a)
{
	if (is_cpy(insn)) {
		*a = (struct sea_access) { .kind = SEA_CPY };
		return true;
	}
	return decode_regs(insn, a) || decode_tags(insn, a);
}

/*
 * An access that the simulator does not know: an atomic one, of FP and SIMD registers, and
 * the like. The case fails and goes on behind it, with what the registers held.
 */
static void refuse(struct sea_inject *si, struct pt_regs *regs, u32 insn)
{
	si->refused = insn;
	if (!si->may_refuse)
		kunit_fail_current_test("no simulation of the access at %pS, %08x",
					(void *)regs->pc, insn);
	regs->pc += AARCH64_INSN_SIZE;
}

/* What a register adds to the address; @extend is the instruction's option field */
static unsigned long index_reg(const struct pt_regs *regs, const struct sea_access *a)
{
	u64 val;

	if (!a->index)
		return 0;
	val = pt_regs_read_reg(regs, a->rm);
	if (a->extend == 2)			/* UXTW */
		val = (u32)val;
	else if (a->extend == 6)		/* SXTW */
		val = (s32)val;
	return val << a->shift;
}

static u8 *sea_byte(struct sea_inject *si, unsigned long addr)
{
	size_t offset = __untagged_addr(addr) - si->trap;

	return offset < si->size ? si->alias + offset : (u8 *)addr;
}

static void do_regs(struct sea_inject *si, struct sea_access *a,
		    unsigned long addr, struct pt_regs *regs)
{
	size_t size = a->size / a->nregs;
	bool store = a->kind == SEA_STORE;
	unsigned int i, j, r;

	for (i = 0; i < a->nregs; i++) {
		u64 val = 0;

		r = i ? a->rt2 : a->rt;
		if (store)
			val = pt_regs_read_reg(regs, r);
		for (j = 0; j < size; j++) {
			u8 *p = sea_byte(si, addr + i * size + j);

			if (store)
				*p = val >> (8 * j);
			else
				val |= (u64)*p << (8 * j);
		}
		if (a->sign)
			val = sign_extend64(val, size * 8 - 1);
		if (a->sign == 32)
			val = (u32)val;
		if (!store)
			pt_regs_write_reg(regs, r, val);
	}

	if (a->rn == 31)
		regs->sp += a->wback;
	else if (a->wback)
		regs->regs[a->rn] += a->wback;
	regs->pc += AARCH64_INSN_SIZE;
}

static void do_tags(struct sea_inject *si, struct sea_access *a,
		    unsigned long addr, struct pt_regs *regs)
{
	u64 tags = 0;

	asm volatile(__MTE_PREAMBLE "ldgm %0, [%1]"
		     : "=r" (tags) : "r" (sea_byte(si, addr)));
	pt_regs_write_reg(regs, a->rt, tags);
	regs->pc += AARCH64_INSN_SIZE;
}

static size_t sea_first_poison(const struct sea_inject *si, unsigned long addr,
			       size_t size)
{
	size_t offset = __untagged_addr(addr) - si->trap;
	size_t first = size;
	int i;

	for (i = 0; i < ARRAY_SIZE(si->poison); i++) {
		const struct sea_poison *p = &si->poison[i];

		if (offset >= p->offset + p->len || p->offset >= offset + size)
			continue;
		first = min(first, max(p->offset, offset) - offset);
	}
	return first;
}

/* How many of the bytes at @addr can be accessed before an abort is due */
static size_t sea_good_bytes(const struct sea_inject *si, unsigned long pc,
			     unsigned long addr, size_t size)
{
	if (si->pc && si->pc != pc)
		return size;
	if (!si->poison[0].len && !si->poison[1].len)
		return si->pc ? 0 : size;

	return sea_first_poison(si, addr, size);
}

/*
 * Let the kernel handle an abort, and keep the record of it. Returns false if it would
 * have been fatal, or would come again.
 */
static bool sea_handle(struct sea_inject *si, struct pt_regs *regs,
		       unsigned long esr, unsigned long far)
{
	si->esr = esr;
	si->fault = far;
	si->before = *regs;
	do_mem_abort(far, esr, regs);
	si->after = *regs;

	if (si->died)
		return false;
	if (regs->pc == si->before.pc) {
		si->retried++;
		return false;
	}
	si->fixed++;
	return true;
}

/*
 * An access at @addr: if it is one to abort, let the kernel handle the abort.
 * Returns false if the access is to be made good instead.
 */
static bool sea_abort(struct sea_inject *si, struct pt_regs *regs,
		      unsigned long esr, unsigned long addr, size_t size)
{
	size_t insn = (regs->pc - si->code) / AARCH64_INSN_SIZE;
	size_t good = sea_good_bytes(si, regs->pc, addr, size);
	unsigned long start = __untagged_addr(addr), first;

	si->accesses++;
	if (insn < si->nr_counts)
		si->counts[insn]++;
	if (good == size)
		return false;
	if (++si->matches < si->nth || si->died || si->retried)
		return false;

	esr &= ~ESR_ELx_FSC;
	esr |= si->fsc;
	if (si->fnv)
		esr |= ESR_ELx_FnV;

	/* The first byte that aborts, with the tag that the access has */
	first = max(start + good, si->trap + si->mapped);
	return sea_handle(si, regs, esr ^ si->esr_flip, si->far ?: addr + (first - start));
}

static bool load_or_store(struct sea_inject *si, struct pt_regs *regs,
			  unsigned long esr, u32 insn)
{
	struct sea_access a;
	unsigned long addr;

	if (!sea_decode(insn, &a) || (a.tags && a.kind == SEA_STORE))
		return false;

	addr = base_reg(regs, a.rn) + a.offset + index_reg(regs, &a);
	if (sea_abort(si, regs, esr, addr, a.size))
		return true;

	if (a.tags)
		do_tags(si, &a, addr, regs);
	else
		do_regs(si, &a, addr, regs);
	return true;
}

static u32 insn_at(unsigned long pc)
{
	return le32_to_cpup((const __le32 *)pc);
}

/*
 * One of the addresses may be in user space, the other one is not. Returns the
 * number of bytes not copied, because of a fault on the user's side.
 */
static size_t sea_memcpy(struct sea_inject *si, unsigned long to,
			 unsigned long from, size_t n)
{
	void *dst = sea_byte(si, to);
	void *src = sea_byte(si, from);

	if (is_ttbr0_addr((unsigned long)dst))
		return __copy_to_user_inatomic((__force void __user *)dst, src, n);
	if (is_ttbr0_addr((unsigned long)src))
		return __copy_from_user_inatomic(dst, (__force void __user *)src, n);
	memcpy(dst, src, n);
	return 0;
}

/* The CPU would fault on the side that is not simulated. */
static void cpy_user_fault(unsigned long esr, struct pt_regs *regs,
			   unsigned long dst, unsigned long src)
{
	unsigned long far = src;

	esr &= ~(ESR_ELx_FSC | ESR_ELx_WNR);
	esr |= ESR_ELx_FSC_FAULT + 3;
	if (is_ttbr0_addr(dst)) {
		esr |= ESR_ELx_WNR;
		far = dst;
	}
	do_mem_abort(far, esr, regs);
}

/* An arbitrary split of @todo bytes, which leaves something to each stage */
static size_t cpy_keep(unsigned int stage, size_t todo)
{
	switch (stage) {
	case CPY_PROLOGUE:
		return todo - min(todo, 16);
	case CPY_MAIN:
		return todo % 64;
	}
	return 0;
}

/* At the end of the prologue; SET* instructions have no source */
static void cpy_choose_format(const struct sea_inject *si, struct pt_regs *regs,
			      u64 *to, u64 *from, u64 *left)
{
	regs->pstate &= ~(PSR_N_BIT | PSR_Z_BIT | PSR_C_BIT | PSR_V_BIT);
	if (si->cpy_option_b) {
		regs->pstate |= PSR_C_BIT;
		return;
	}
	*to += *left;
	if (from)
		*from += *left;
	*left = -*left;
}

/*
 * Arm ARM, "Memory Copy and Memory Set instructions". The registers tell what is
 * left, in one of two formats once the prologue is done: Option A (PSTATE.C
 * clear) has both addresses at the end and counts up to 0, Option B goes on as the
 * prologue began. Run all three instructions, as the CPU may not take over in a
 * format that is not its own.
 */
static bool run_cpy(struct sea_inject *si, struct pt_regs *regs,
		    unsigned long esr, u32 insn)
{
	bool store = esr & ESR_ELx_WNR;

	do {
		u64 *to = &regs->regs[FIELD_GET(GENMASK(4, 0), insn)];
		u64 *left = &regs->regs[FIELD_GET(GENMASK(9, 5), insn)];
		u64 *from = &regs->regs[FIELD_GET(GENMASK(20, 16), insn)];
		unsigned int stage = cpy_stage(insn);
		bool option_a = stage != CPY_PROLOGUE && !(regs->pstate & PSR_C_BIT);
		size_t todo = option_a ? -*left : *left;
		size_t keep = cpy_keep(stage, todo);

		while (todo > keep) {
			unsigned long src = option_a ? *from + *left : *from;
			unsigned long dst = option_a ? *to + *left : *to;
			unsigned long addr = store ? dst : src;
			size_t n = sea_good_bytes(si, regs->pc, addr, todo - keep);
			size_t bad;

			/* An abort is due here, or its turn has not come yet. */
			n = n ?: 1;
			if (sea_abort(si, regs, esr, addr, n))
				return true;

			bad = sea_memcpy(si, dst, src, n);
			n -= bad;
			todo -= n;
			if (option_a) {
				*left += n;
			} else {
				*to += n;
				*from += n;
				*left -= n;
			}

			if (bad) {
				cpy_user_fault(esr, regs, dst + n, src + n);
				return true;
			}
		}

		if (stage == CPY_PROLOGUE)
			cpy_choose_format(si, regs, to, from, left);
		regs->pc += AARCH64_INSN_SIZE;
		if (stage == CPY_EPILOGUE)
			return true;

		insn = insn_at(regs->pc);
	} while (is_cpy(insn));

	return false;
}

/* Likewise, with one address, and a byte to store in place of a source */
static bool run_set(struct sea_inject *si, struct pt_regs *regs,
		    unsigned long esr, u32 insn)
{
	u64 *to = &regs->regs[FIELD_GET(GENMASK(4, 0), insn)];
	u64 *left = &regs->regs[FIELD_GET(GENMASK(9, 5), insn)];
	u8 byte = pt_regs_read_reg(regs, FIELD_GET(GENMASK(20, 16), insn));

	do {
		unsigned int stage = FIELD_GET(GENMASK(15, 14), insn);
		bool option_a = stage != CPY_PROLOGUE && !(regs->pstate & PSR_C_BIT);
		size_t todo = option_a ? -*left : *left;
		size_t keep = cpy_keep(stage, todo);

		for (; todo > keep; todo--) {
			unsigned long addr = option_a ? *to + *left : *to;

			if (sea_abort(si, regs, esr, addr, 1))
				return true;
			*sea_byte(si, addr) = byte;
			*left += option_a ? 1 : -1;
			*to += option_a ? 0 : 1;
		}

		if (stage == CPY_PROLOGUE)
			cpy_choose_format(si, regs, to, NULL, left);
		regs->pc += AARCH64_INSN_SIZE;
		if (stage == CPY_EPILOGUE)
			return true;

		insn = insn_at(regs->pc);
	} while (is_set(insn));

	return false;
}

/**
 * sea_is_sea() - is a fault a synchronous external abort?
 * @esr: its syndrome
 *
 * At the access itself or, 0x13 to 0x17, on the walk that it took; with one bit more, of
 * parity. May be called in any context.
 *
 * Return: true if it is.
 */
bool sea_is_sea(unsigned long esr)
{
	unsigned long fsc = esr & ESR_ELx_FSC & ~(ESR_ELx_FSC_EXTABT ^ ESR_ELx_FSC_SECC);

	return fsc == ESR_ELx_FSC_EXTABT ||
	       (fsc >= ESR_ELx_FSC_SEA_TTW(-1) && fsc <= ESR_ELx_FSC_SEA_TTW(3));
}

/* An abort of the CPU's own: unless it is fixed up the access is made again. */
static bool genuine_abort(struct sea_inject *si, struct pt_regs *regs,
			  unsigned long esr, unsigned long far)
{
	if (!sea_is_sea(esr))
		return false;

	si->accesses++;
	si->matches++;
	si->busy = true;
	if (!sea_handle(si, regs, esr, far) && si->revive)
		si->revive();
	si->busy = false;
	return true;
}

/* The entry of do_mem_abort(); does not sleep. */
static bool simulate(struct sea_hook *hook, unsigned long far, unsigned long esr,
		     struct pt_regs *regs)
{
	struct sea_inject *si = injection(hook);
	bool done = false;
	u32 insn;

	if (si->busy || user_mode(regs))
		return false;
	if (si->genuine)
		return genuine_abort(si, regs, esr, far);
	if (ESR_ELx_EC(esr) != ESR_ELx_EC_DABT_CUR || !esr_fsc_is_translation_fault(esr) ||
	    __untagged_addr(far) - si->trap >= si->size)
		return false;

	si->busy = true;
	insn = insn_at(regs->pc);
	if (is_cpy(insn))
		done = run_cpy(si, regs, esr, insn);
	else if (is_set(insn))
		done = run_set(si, regs, esr, insn);
	else
		done = load_or_store(si, regs, esr, insn);
	si->busy = false;

	if (!done)
		refuse(si, regs, insn);
	return true;
}

/* Where a kernel fault becomes fatal; does not sleep. */
static bool note_death(struct sea_hook *hook, const char *msg)
{
	struct sea_inject *si = injection(hook);

	if (!si->busy || si->really_die || si->died == MAX_DEATHS)
		return false;

	/* The first reason is the one that would have been seen. */
	if (!si->died++)
		si->msg = msg;
	return true;
}

/* In place of the question to APEI; @on_claim may sleep where the abort can. */
static int answer(struct sea_hook *hook, struct pt_regs *regs)
{
	struct sea_inject *si = injection(hook);

	if (!si->busy)
		return apei_claim_sea(regs);

	si->claims++;
	si->claimed_late |= memcmp(regs, &si->before, sizeof(*regs)) != 0;
	if (si->on_claim)
		si->on_claim(si);
	if (si->real_claim)
		si->claim = apei_claim_sea(regs);
	return si->claim;
}

/**
 * sea_inject_arm() - from now on inject into the current task
 * @si: where, when and what; its record is reset
 *
 * Does not sleep. Aborts taken by other tasks and in user mode are not touched.
 */
void sea_inject_arm(struct sea_inject *si)
{
	memset_startat(si, 0, accesses);
	si->hook = (struct sea_hook){ simulate, note_death, answer };
	sea_hook_arm(&si->hook);
}

/**
 * sea_inject_disarm() - end what sea_inject_arm() began
 * @si: the injection, armed by the current task
 *
 * Does not sleep. The record stays valid. A later access to the trapping memory is a
 * real fault.
 */
void sea_inject_disarm(struct sea_inject *si)
{
	sea_hook_disarm(&si->hook);
}

KUNIT_DEFINE_ACTION_WRAPPER(free_trap, free_vm_area, struct vm_struct *);

/**
 * sea_inject_alloc() - make trapping kernel memory
 * @test: the test it lives as long as
 * @si: where to put its address, alias and size
 * @size: in bytes
 *
 * May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int sea_inject_alloc(struct kunit *test, struct sea_inject *si, size_t size)
{
	struct vm_struct *area = get_vm_area(size, VM_MAP);

	if (!area)
		return -ENOMEM;
	if (kunit_add_action_or_reset(test, free_trap, area))
		return -ENOMEM;

	si->trap = __untagged_addr((unsigned long)area->addr);
	si->size = size;
	si->alias = kunit_kzalloc(test, size, GFP_KERNEL);
	return si->alias ? 0 : -ENOMEM;
}

KUNIT_DEFINE_ACTION_WRAPPER(free_edge, vunmap, const void *);

/**
 * sea_inject_edge() - make kernel memory of which only the last page traps
 * @test: the test it lives as long as
 * @si: where to put its address, alias and sizes
 * @size: in bytes, whole pages; a power of 2, for the sake of kmalloc()'s alignment
 *
 * A copy that ends behind the edge costs one trap, wherever it began. May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int sea_inject_edge(struct kunit *test, struct sea_inject *si, size_t size)
{
	unsigned int i, n = size / PAGE_SIZE - 1;
	struct page **pages;
	void *edge;

	pages = kunit_kcalloc(test, n, sizeof(*pages), GFP_KERNEL);
	si->alias = kunit_kzalloc(test, size, GFP_KERNEL);
	if (!pages || !si->alias)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		pages[i] = virt_to_page(si->alias + i * PAGE_SIZE);

	/* Its guard page is the one that traps. */
	edge = vmap(pages, n, VM_MAP, PAGE_KERNEL);
	if (!edge || kunit_add_action_or_reset(test, free_edge, edge))
		return -ENOMEM;

	si->trap = __untagged_addr((unsigned long)edge);
	si->size = size;
	si->mapped = n * PAGE_SIZE;
	return 0;
}

/**
 * sea_inject_user() - make trapping user memory
 * @test: the test it lives as long as
 * @si: where to put its address, alias and size
 * @size: in bytes
 *
 * Gives the current kthread an address space, if it has none. May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int sea_inject_user(struct kunit *test, struct sea_inject *si, size_t size)
{
	si->trap = kunit_vm_mmap(test, NULL, 0, size, PROT_READ | PROT_WRITE,
				 MAP_ANONYMOUS | MAP_PRIVATE, 0);
	if (!si->trap || IS_ERR_VALUE(si->trap))
		return -ENOMEM;

	si->size = size;
	si->alias = kunit_kzalloc(test, size, GFP_KERNEL);
	return si->alias ? 0 : -ENOMEM;
}

static void restore_page(void *addr)
{
	struct page *page = vmalloc_to_page(addr);

	set_direct_map_default_noflush(page);
	vunmap(addr);
}

/**
 * sea_inject_page() - make the linear map of a page trap
 * @test: the test for as long as which it does
 * @si: where to put its address, alias and size
 * @page: the page
 *
 * May sleep.
 *
 * Return: 0, -ENOMEM, or -EOPNOTSUPP where the linear map has no pages of its
 * own (rodata=off).
 */
int sea_inject_page(struct kunit *test, struct sea_inject *si,
		    struct page *page)
{
	unsigned long addr = __untagged_addr((unsigned long)page_address(page));

	if (!can_set_direct_map())
		return -EOPNOTSUPP;

	/* Tagged, as the linear map is */
	si->alias = vmap(&page, 1, VM_MAP, pgprot_tagged(PAGE_KERNEL));
	if (!si->alias)
		return -ENOMEM;
	if (kunit_add_action_or_reset(test, restore_page, si->alias))
		return -ENOMEM;

	si->trap = addr;
	si->size = PAGE_SIZE;
	set_direct_map_invalid_noflush(page);
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
	return 0;
}

/**
 * sea_interrupt() - interrupt the current task with some work
 * @work: made with IRQ_WORK_INIT_HARD()
 *
 * Waits until it has been done, on this CPU. To be called with interrupts enabled; does not
 * sleep.
 */
void sea_interrupt(struct irq_work *work)
{
	preempt_disable();
	irq_work_queue(work);
	while (irq_work_is_busy(work))
		cpu_relax();
	preempt_enable();
}

/**
 * sea_next_extable() - walk the exception table entries of a range
 * @start: address of the first instruction, in the kernel or in the suites
 * @end: address behind the last one
 * @prev: the entry to start behind, or NULL for the first
 *
 * Does not sleep.
 *
 * Return: the next entry, NULL if there is none.
 */
const struct exception_table_entry *
sea_next_extable(unsigned long start, unsigned long end,
		 const struct exception_table_entry *prev)
{
	const struct exception_table_entry *last, *ex = sea_hook_extable(&last);

#ifdef MODULE
	if (within_module(start, THIS_MODULE)) {
		ex = THIS_MODULE->extable;
		last = ex + THIS_MODULE->num_exentries;
	}
#endif
	for (ex = prev ? prev + 1 : ex; ex < last; ex++)
		if (sea_extable_insn(ex) >= start && sea_extable_insn(ex) < end)
			return ex;

	return NULL;
}
