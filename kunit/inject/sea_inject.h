/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Simulated synchronous external aborts, for the suites in this directory.
 *
 * The source of a copy is put at addresses where nothing is mapped. Each access
 * there takes a translation fault; the hook in do_mem_abort() either lets the
 * access happen, on an alias of the memory, or turns the fault into the abort that was
 * asked for and sends it down the real path. Nothing is patched and no other task is
 * affected, which makes an injection cheap enough for sweeps of millions.
 */
#ifndef KUNIT_SEA_INJECT_H
#define KUNIT_SEA_INJECT_H

#include <linux/extable.h>
#include <linux/types.h>

#include <asm/esr.h>
#include <asm/extable.h>
#include <asm/ptrace.h>

#include "hook.h"

struct irq_work;
struct kunit;
struct page;

/**
 * struct sea_poison - a range of bytes that counts as poisoned
 * @offset: from the start of the trapping memory, in bytes
 * @len: in bytes; 0 for no range
 */
struct sea_poison {
	size_t offset;
	size_t len;
};

/**
 * struct sea_inject - an abort to simulate, and what came of it
 * @trap: first address of the trapping memory
 * @alias: the same memory, mapped
 * @size: of the trapping memory, in bytes
 * @mapped: how many of them, at the start, are mapped after all and do not trap
 *
 * When to abort. With neither @pc nor @poison no access does.
 * @pc: address of the instruction to abort at; 0 for any
 * @poison: abort only accesses that touch one of these; no range, any access
 * @nth: abort at the nth such access and all that follow; 0 and 1 mean all
 *
 * The abort.
 * @fsc: fault status code, an ESR_ELx_FSC_* value, of any kind of fault
 * @fnv: FAR_EL1 not valid
 * @esr_flip: bits to flip in the syndrome, e.g. ESR_ELx_WNR
 * @far: report this address instead of the accessed one, unless 0
 * @claim: APEI's answer
 * @real_claim: ask APEI after all, and put its answer into @claim
 * @on_claim: called before APEI is asked, unless NULL, in the context of the abort
 * @cpy_option_b: the format in which CPYFP, CPYP and SETP leave the registers
 * @code: first instruction of a routine
 * @counts: for each of its instructions, to be increased by the number of its
 *	accesses to the trapping memory
 * @nr_counts: number of its instructions
 * @really_die: if the abort is fatal, have it kill the task
 * @may_refuse: the case looks at @refused itself
 *
 * Genuine aborts, which need none of the above but those of APEI and @really_die.
 * @genuine: simulate nothing, record the aborts that the task takes, wherever that is
 * @revive: called after one that would have been fatal, to have the access succeed
 *	when it is made again; where that is in vain, the task dies in the end
 *
 * The record.
 * @accesses: number of accesses to the trapping memory
 * @matches: number of those that met the condition, aborted or not
 * @fixed: number of aborts that continued at a fixup
 * @died: set after an abort that would have been fatal. The access is then made
 *	good and the rest of the copy runs without aborts.
 * @retried: likewise, for one after which the instruction would run again
 * @refused: an instruction with an access that the simulator does not know, 0 if there
 *	was none. It did nothing, and the case has failed.
 * @claims: how often APEI was asked
 * @claimed_late: with registers that were no longer those of the abort
 * @esr: syndrome of the last abort
 * @fault: fault address of the last abort
 * @msg: why the last fatal abort was fatal, in the fault path's words
 * @before: registers at the last abort
 * @after: registers it continued with
 */
struct sea_inject {
	unsigned long trap;
	u8 *alias;
	size_t size;
	size_t mapped;

	unsigned long pc;
	struct sea_poison poison[2];
	unsigned int nth;

	unsigned int fsc;
	bool fnv;
	unsigned long esr_flip;
	unsigned long far;
	int claim;
	bool real_claim;
	void (*on_claim)(struct sea_inject *si);
	bool cpy_option_b;
	unsigned long code;
	unsigned int *counts;
	size_t nr_counts;
	bool really_die;
	bool may_refuse;
	bool genuine;
	void (*revive)(void);

	unsigned int accesses;
	unsigned int matches;
	unsigned int fixed;
	unsigned int died;
	unsigned int retried;
	u32 refused;
	unsigned int claims;
	bool claimed_late;
	unsigned long esr;
	unsigned long fault;
	const char *msg;
	struct pt_regs before;
	struct pt_regs after;

	/* private: */
	bool busy;
	struct sea_hook hook;
};

/*
 * Clear the registers, so that what the calls before this one left in them is no
 * difference between two records of the same call.
 */
static __always_inline void sea_clear_registers(void)
{
	asm volatile("mov x0, xzr\n mov x1, xzr\n mov x2, xzr\n mov x3, xzr\n"
		     "mov x4, xzr\n mov x5, xzr\n mov x6, xzr\n mov x7, xzr\n"
		     "mov x8, xzr\n mov x9, xzr\n mov x10, xzr\n mov x11, xzr\n"
		     "mov x12, xzr\n mov x13, xzr\n mov x14, xzr\n mov x15, xzr\n"
		     "mov x16, xzr\n mov x17, xzr\n"
		     : : : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8",
		     "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
		     "memory");
	asm volatile("mov x19, xzr\n mov x20, xzr\n mov x21, xzr\n mov x22, xzr\n"
		     "mov x23, xzr\n mov x24, xzr\n mov x25, xzr\n mov x26, xzr\n"
		     "mov x27, xzr\n mov x28, xzr\n"
		     : : : "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26",
		     "x27", "x28");
	/* With the shadow call stack it points there. */
	if (!IS_ENABLED(CONFIG_SHADOW_CALL_STACK))
		asm volatile("mov x18, xzr" : : : "x18");
}

void sea_inject_arm(struct sea_inject *si);
void sea_inject_disarm(struct sea_inject *si);

int sea_inject_alloc(struct kunit *test, struct sea_inject *si, size_t size);
int sea_inject_edge(struct kunit *test, struct sea_inject *si, size_t size);
int sea_inject_user(struct kunit *test, struct sea_inject *si, size_t size);
int sea_inject_page(struct kunit *test, struct sea_inject *si,
		    struct page *page);

void sea_interrupt(struct irq_work *work);

/**
 * struct sea_access - what an instruction does to memory
 * @kind: it loads, it stores, or is a CPY* instruction, which does both
 * @tags: of memory tags (MTE)
 * @unprivileged: with the rights of user mode
 * @size: in bytes; a pair is one access of twice the size
 * @sign: to how many bits a load extends the sign; 0 if with zeroes
 * @rt: first register
 * @rt2: second register of a pair
 * @rn: base register
 * @nregs: number of registers
 * @offset: of the address, from the base register
 * @wback: what is added to the base register
 * @index: the next three are valid
 * @rm: register that is an offset, too
 * @extend: how it is extended, the instruction's option field
 * @shift: by how many bits it is then shifted
 */
struct sea_access {
	enum { SEA_LOAD, SEA_STORE, SEA_CPY } kind;
	bool tags;
	bool unprivileged;
	size_t size;
	unsigned int sign;
	unsigned int rt, rt2, rn;
	unsigned int nregs;
	long offset;
	long wback;
	bool index;
	unsigned int rm, extend, shift;
};

bool sea_decode(u32 insn, struct sea_access *a);
bool sea_is_sea(unsigned long esr);

static inline unsigned long
sea_extable_insn(const struct exception_table_entry *ex)
{
	return (unsigned long)&ex->insn + ex->insn;
}

static inline unsigned long
sea_extable_fixup(const struct exception_table_entry *ex)
{
	return (unsigned long)&ex->fixup + ex->fixup;
}

const struct exception_table_entry *
sea_next_extable(unsigned long start, unsigned long end,
		 const struct exception_table_entry *prev);

#endif /* KUNIT_SEA_INJECT_H */
