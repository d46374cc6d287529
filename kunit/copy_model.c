// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many bytes a copy leaves, said again without the code that does it.
 */

#include <linux/cpufeature.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/types.h>

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

/**
 * copy_model_left() - the exact number of bytes not copied
 * @r: the routine
 * @n: length of the copy in bytes
 * @align: of the source, modulo 16
 * @p: offset of the first poisoned byte in the source, less than @n
 *
 * All before the load that holds @p is loaded, and of that all is stored but what
 * the routine keeps in registers at this point: up to a 16 byte boundary nothing,
 * in 64 bytes the third sixteen bytes follow the second, and in more than
 * that loads are 64 bytes ahead of the stores, less one that is made room for.
 *
 * May be called in any context.
 *
 * Return: the number, from 1 to @n.
 */
size_t copy_model_left(const struct copy_routine *r, size_t n, size_t align,
		       size_t p)
{
	size_t head = n < 16 ? 0 : -align % 16;
	size_t body = round_down(n - head, 64);
	size_t tail = (n - head) % 64;
	size_t stored;

	if (has_mops()) {
		stored = p;		/* byte by byte, see run_cpy() */
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

	return n - stored;
}
