/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One copy whose source, or destination, may abort: how to set it up, run it and judge it.
 */
#ifndef KUNIT_COPY_CASE_H
#define KUNIT_COPY_CASE_H

#include <linux/types.h>

#include "../contract/contract.h"
#include "sea_edge.h"
#include "sea_inject.h"

struct kunit;

/* Bytes on either side of the destination that must not change */
#define REDZONE		64

/* What is taken for poisoned around the fault address */
#define POISON_LINE	64

/* The longest copy; and what there is of memory for it, whole pages and a power of 2 */
#define MAX_LEN		(PAGE_SIZE + SZ_4K)
#define AREA		(4 * PAGE_SIZE)

/**
 * struct copy_routine - a routine that may meet poison
 * @name: what reports call it
 * @copy: calls it: bytes not copied, or an error where it knows no more
 * @code: the function whose loads, and stores to user memory, do the work
 * @len: the only length it knows, in bytes; 0 for any
 * @from_user: the source is user memory
 * @to_user: the destination is user memory
 * @pages: looks at struct page
 * @error: no count, -EFAULT
 * @zeroes: on an error, clears the part of the destination that was not copied
 * @wrapper: the work is another row's, which the sweep takes at each byte
 * @dies: has no entries: each abort is fatal
 */
struct copy_routine {
	const char *name;
	unsigned long (*copy)(void *to, const void *from, size_t n);
	const void *code;
	size_t len;
	bool from_user;
	bool to_user;
	bool pages;
	bool error;
	bool zeroes;
	bool wrapper;
	bool dies;
};

/**
 * struct copy - a copy to run
 * @r: with this routine
 * @nr: combinations of length and alignments so far, see next_copy()
 * @len: of the copy, in bytes
 * @offset: of its source, from the start of the source memory, in bytes
 * @to_align: offset of its destination from a page boundary, in bytes
 * @si: the abort
 * @edge: the memory that traps, of copy_init_both()
 * @irqs_off: with interrupts disabled
 * @to_trap: it is the destination that traps
 * @pattern: what the source memory holds, AREA bytes
 * @from: source memory that nothing is wrong with, AREA bytes
 * @to: destination memory, AREA bytes, page aligned
 * @seen: the same, or a copy of it, where it can be looked at
 */
struct copy {
	const struct copy_routine *r;
	unsigned int nr;
	size_t len, offset, to_align;
	struct sea_inject si;
	struct sea_edge edge;
	bool irqs_off;
	bool to_trap;
	u8 *pattern;
	u8 *from;
	u8 *to;
	u8 *seen;
};

struct copy *copy_init(struct kunit *test);
void copy_init_trap(struct kunit *test, struct copy *c);
void copy_init_edge(struct kunit *test, struct copy *c);
void copy_init_to_trap(struct kunit *test, struct copy *c);
void copy_init_both(struct kunit *test, struct copy *c, bool to_trap);

bool next_copy(struct copy *c);
unsigned long copy_armed(struct copy *c, u8 *to, const u8 *from);
unsigned long copy_run(struct kunit *test, struct copy *c, const u8 *source);
const char *copy_wrong(struct copy *c, unsigned long left, size_t bad);
void __noreturn copy_fail(struct kunit *test, const struct copy *c, unsigned long left,
			  const char *why);

bool has_mops(void);
enum contract_count copy_counts(const struct copy_routine *r);
bool copy_tries_again(const struct copy_routine *r);
size_t copy_model_left(const struct copy *c, size_t p);
size_t copy_model_again(const struct copy *c, size_t p);

/* Does what a routine returns depend on the fault address? */
static inline bool copy_goes_by_address(const struct copy_routine *r)
{
	return copy_counts(r) == COUNT_BY_ADDRESS;
}

static inline u8 *copy_to(const struct copy *c)
{
	return c->to + PAGE_SIZE + c->to_align;
}

/* The red zone before the destination, where it can be looked at */
static inline u8 *copy_seen(const struct copy *c)
{
	return c->seen + PAGE_SIZE + c->to_align - REDZONE;
}

#endif /* KUNIT_COPY_CASE_H */
