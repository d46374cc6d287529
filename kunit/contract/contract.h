/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that the suites assume of an implementation of ARCH_HAS_COPY_MC on arm64: names,
 * which it has chosen, and policies, on which correct ones differ. The header of an
 * implementation, see the end of this file, has a value for each CONTRACT_* below, in the
 * same order. The suites assert what it says, and not less: where nothing is to recover,
 * the case wants to see the death.
 *
 * What has no word here is asserted of all alike.
 */
#ifndef KUNIT_CONTRACT_H
#define KUNIT_CONTRACT_H

/*
 * Types of exception table entries
 *
 * CONTRACT_EX_UACCESS		get_user(), put_user() and the like, accesses to user memory
 * CONTRACT_EX_KACCESS		the nofault accesses to kernel memory; it may be the same
 * CONTRACT_EX_KLOAD		loads from kernel memory by the routines below
 * CONTRACT_KLOAD_DATA		the data field of an entry of the last type
 * CONTRACT_KLOAD_ERR		true if that has the error, -EFAULT, put into x1
 * CONTRACT_KLOAD_FAR_DATA	the data field if it is to have the fault address put into x2;
 *				not defined if there is no such thing
 */

#ifndef __ASSEMBLER__

#include <linux/types.h>

struct page;
struct vm_area_struct;

/*
 * Routines, which an implementation declares, too. The code of the first three is looked at:
 * each is one function. copy_mc_to_kernel() is the first, and may be inline.
 */

/* copies kernel memory: 0, or the number of bytes not copied */
unsigned long memcpy_mc(void *to, const void *from, unsigned long n);
/* copies a page: 0, or -EFAULT */
int copy_mc_page(void *to, const void *from);
/* copies the MTE tags of a page: 0, or -EFAULT */
int mte_copy_mc_page_tags(void *kto, const void *kfrom);
/* copies a page and its tags: 0, or -EFAULT */
int copy_mc_highpage(struct page *to, struct page *from);
int copy_mc_user_highpage(struct page *to, struct page *from, unsigned long vaddr,
			  struct vm_area_struct *vma);

/*
 * The fault path calls sea_inject(), sea_inject_dies() and sea_inject_claim(), see
 * asm/sea_inject.h.
 */

/*
 * What becomes of an abort: true if it recovers, which is to continue at the fixup if APEI
 * claims it; false if it is fatal, with the registers as they were.
 *
 * CONTRACT_NOFAULT_RECOVERS: in a nofault accessor of kernel memory, which returns -EFAULT
 * CONTRACT_EINPROGRESS_RECOVERS: if APEI claims it with -EINPROGRESS, its answer with
 *	interrupts disabled
 * CONTRACT_CPY_STORE_RECOVERS: on the store of a CPY* instruction to kernel memory, as a
 *	copy that failed; elsewhere a store to kernel memory is fatal
 * CONTRACT_REMOTE_VM_RECOVERS: in what ptrace() and /proc/PID/mem read, which ends there
 * CONTRACT_ITER_RECOVERS: in copy_to_iter() and its like, where an iterator loads from kernel
 *	memory; it then remembers where, too, and from there on refuses to copy, and
 *	before_poison() says of any copy where it met poison. _copy_mc_to_iter() recovers
 *	always.
 */

/* When is APEI asked about an abort in kernel mode? */
enum contract_asked {
	ASKED_WITH_ENTRY,	/* if the instruction's entry is honoured, before the fixup */
	ASKED_FIRST,		/* in any case, before registers change */
	ASKED_ALWAYS,		/* in any case, before or after that */
};

/* CONTRACT_ASKED: one of these */

/* What is said after an abort to be the number of bytes not copied? */
enum contract_count {
	COUNT_BY_ADDRESS,	/* all but what is before the 64 bytes with the fault address */
	COUNT_BY_TEMPLATE,	/* what copy_template.S has not stored yet */
	COUNT_BY_CPY,		/* by CPY* in place of these two, which is no value of a word */
	COUNT_BOUND,		/* any number within the bound */
	COUNT_ALL_LEFT,		/* all of them */
};

/*
 * CONTRACT_COUNT: one of these, for memcpy_mc()
 * CONTRACT_USER_COUNT: one of these, for copies to and from user memory
 * CONTRACT_MAX_OVER: the bound: how many bytes before the first poisoned one may be said not
 *	to be copied, unless all are
 * CONTRACT_USER_AGAIN: true if a copy to or from user memory that has stored nothing tries
 *	a single byte after an abort, as after a fault; false if it gives up
 * CONTRACT_SHARED_LOOPS: true if memcpy_mc() has loads, with entries, that only
 *	overlapping buffers take, as it shares them with memmove(); false if a copy
 *	comes by each of its entries
 */

/*
 * CONTRACT_TAGS_KEPT: true if the destination of a failed copy stays marked as tagged where
 *	it was before; false if it is not, with its lock bit free
 */

/* The signal that a process gets whose copy failed, if memory_failure() sends none */
enum contract_sigbus {
	SIGBUS_NONE,
	SIGBUS_OBJERR,		/* BUS_OBJERR with address 0 */
	SIGBUS_BY_ADDRESS,	/* BUS_MCEERR_AR if it is a user address; BUS_OBJERR otherwise */
};

/*
 * CONTRACT_SIGBUS: one of these
 * CONTRACT_SIGBUS_WORKERS: true if io_uring and vhost workers get it as well
 * CONTRACT_SIGBUS_SYSCTL: name of the kernel.* sysctl that turns it off, NULL if there is none
 */

/*
 * CONTRACT_STRAY_OUTSIDE: true if a routine that was given a user address for its kernel
 *	source dies of an access to user memory outside uaccess routines; false if of
 *	something else
 * CONTRACT_LOOKS: true if there are mem_has_poison() and memcmp_mc(), which load memory to
 *	see if it holds poison; false if the names stand for something that does not
 */

#endif /* __ASSEMBLER__ */

#if defined(CONFIG_COPY_MC_CONTRACT_POSTED)
#include "posted.h"
#else
#include "ours.h"
#endif

#ifndef __ASSEMBLER__
/**
 * contract_claims() - how often APEI has been asked
 * @aborts: the number of aborts, each of them an SEA in kernel mode
 * @honoured: how many had an entry to continue at, had APEI claimed them
 *
 * Return: the number.
 */
static inline unsigned int contract_claims(unsigned int aborts, unsigned int honoured)
{
	return (CONTRACT_ASKED == ASKED_WITH_ENTRY) ? honoured : aborts;
}

/**
 * contract_most_left() - bytes not copied, at the most
 * @count: how the routine counts
 * @n: how many bytes were to be copied
 * @bad: how many there are from the first poisoned one on, 0 if there is none
 *
 * Return: the number.
 */
static inline size_t contract_most_left(enum contract_count count, size_t n, size_t bad)
{
	if (!bad)
		return 0;
	if (count == COUNT_ALL_LEFT || n - bad < CONTRACT_MAX_OVER)
		return n;
	return bad + CONTRACT_MAX_OVER;
}
#endif /* __ASSEMBLER__ */

#endif /* KUNIT_CONTRACT_H */
