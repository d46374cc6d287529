// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many bytes a copy leaves, said again without the code that does it.
 */

#include <linux/cpufeature.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/types.h>

#include "../contract/contract.h"
#include "copy_case.h"

/**
 * has_mops() - do this kernel's copies use the CPY* instructions?
 *
 * May be called in any context.
 *
 * Return: true if they do on this CPU.
 */
bool has_mops(void)
{
	return IS_ENABLED(CONFIG_AS_HAS_MOPS) && cpus_have_final_cap(ARM64_HAS_MOPS);
}

/* Of pieces of 1, 2, 4 and 8 bytes that make up @len: where the one with @p begins */
static size_t piece(size_t len, size_t p, bool ascending)
{
	size_t start = 0;
	int i;

	for (i = 0; i < 4; i++) {
		size_t size = len & BIT(ascending ? i : 3 - i);

		if (p < start + size)
			break;
		start += size;
	}
	return start;
}

static bool is_user_copy(const struct copy_routine *r)
{
	return (r->to_user || r->from_user) && !r->error;
}

/**
 * copy_counts() - how does a routine know the number of bytes not copied?
 * @r: the routine
 *
 * May be called in any context.
 *
 * Return: how it does on this CPU.
 */
enum contract_count copy_counts(const struct copy_routine *r)
{
	enum contract_count count = is_user_copy(r) ? CONTRACT_USER_COUNT : CONTRACT_COUNT;

	/* It dies, or returns an error. */
	if (r->dies || r->error)
		return COUNT_ALL_LEFT;
	if (has_mops() && (count == COUNT_BY_ADDRESS || count == COUNT_BY_TEMPLATE))
		return COUNT_BY_CPY;
	return count;
}

/**
 * copy_tries_again() - does a routine that has stored nothing try a single byte?
 * @r: the routine
 *
 * May be called in any context.
 *
 * Return: true if it does, after an abort as after a fault.
 */
bool copy_tries_again(const struct copy_routine *r)
{
	return CONTRACT_USER_AGAIN && is_user_copy(r);
}

/* How much of @c is before the line of the fault address? */
static size_t before_line(const struct copy *c, size_t p)
{
	unsigned long source = c->si.trap + c->offset;
	unsigned long far = c->si.far ? __untagged_addr(c->si.far) : source + p;

	if (c->si.fnv || far - source >= c->len)
		return 0;
	return max(round_down(far, POISON_LINE), source) - source;
}

/**
 * copy_model_again() - bytes not copied if there is poison before the first line found
 * @c: the copy
 * @p: offset of that poison in the source, in bytes
 *
 * What is before the line is loaded once more, in single bytes up to eight bytes of the
 * source, and these then.
 *
 * May be called in any context.
 *
 * Return: the number, from 1 to the length of @c.
 */
size_t copy_model_again(const struct copy *c, size_t p)
{
	size_t words = -c->offset % 8;

	return c->len - (p < words ? p : words + round_down(p - words, 8));
}

/**
 * copy_model_left() - the exact number of bytes not copied
 * @c: the copy
 * @p: offset of the first poisoned byte in the source, less than the length
 *
 * All before the load that holds @p is loaded, and of that all is stored but what
 * the routine keeps in registers at this point: up to a 16 byte boundary nothing,
 * in 64 bytes the third sixteen bytes follow the second, and in more than
 * that loads are 64 bytes ahead of the stores, less one that is made room for.
 *
 * So it is by COUNT_BY_TEMPLATE. By COUNT_BY_ADDRESS it is all before the line of @p, which is
 * where poison was met first. There is no model of COUNT_BOUND.
 *
 * May be called in any context.
 *
 * Return: the number, from 1 to the length of @c.
 */
size_t copy_model_left(const struct copy *c, size_t p)
{
	size_t n = c->len;
	size_t head = n < 16 ? 0 : -c->offset % 16;
	size_t body = round_down(n - head, 64);
	size_t tail = (n - head) % 64;
	size_t stored;

	if (copy_counts(c->r) == COUNT_ALL_LEFT) {
		stored = 0;
	} else if (copy_counts(c->r) == COUNT_BY_CPY) {
		stored = p;		/* byte by byte, see run_cpy() */
	} else if (copy_goes_by_address(c->r)) {
		stored = before_line(c, p);
	} else if (p < head) {
		stored = piece(head, p, true);
	} else if (p < head + body) {
		size_t i = (p - head) / 16;

		stored = head + 16 * i;
		if (body > 64)
			stored -= 16 * min(i, 3);
		else if (i == 2)
			stored -= 16;
	} else {
		size_t q = p - head - body;

		stored = head + body + round_down(q, 16);
		if (q >= round_down(tail, 16))
			stored += piece(tail % 16, q % 16, false);
	}

	if (!stored && p && copy_tries_again(c->r))
		stored = 1;
	return n - stored;
}
