// SPDX-License-Identifier: GPL-2.0-only
/*
 * Comparing memory that may hold poison.
 */

#include <linux/export.h>
#include <linux/mem_poison.h>
#include <linux/minmax.h>
#include <linux/stringify.h>

#include <asm/asm-extable.h>
#include <asm/byteorder.h>
#include <asm/gpr-num.h>

/* Load a word of kernel memory into *@word, or return false if it holds poison. */
static __always_inline bool load_mc(const void *from, __be64 *word)
{
	bool poison = true;

	asm volatile("1:	ldr	%1, %2\n"
		     "	mov	%w0, #0\n"
		     "2:\n"
		     __DEFINE_ASM_GPR_NUMS
		     __ASM_EXTABLE_RAW("1b", "2b", __stringify(EX_TYPE_KLOAD_SEA),
				       EX_DATA_REG(FAR, xzr))
		     : "+r" (poison), "=&r" (*word) : "Q" (*(const u64 *)from));
	return !poison;
}

/**
 * memcmp_mc() - compare kernel memory that may hold poison
 * @a: one side, a kernel address
 * @b: the other
 * @n: number of bytes to compare, 8 or more
 *
 * Where the first words differ, nothing else is loaded. Otherwise both sides are looked
 * at before memcmp() loads them: 64 bytes, and while those are equal as much again.
 * What recovers, and what is fatal, is as in copy_mc_to_kernel().
 * Never sleeps, may be called in any mode.
 *
 * Return: what memcmp() does; less than 0 if it met poison, so that poison never
 * compares equal.
 */
int memcmp_mc(const void *a, const void *b, size_t n)
{
	size_t at, part;
	__be64 x, y;
	int ret;

	if (!load_mc(a, &x) || !load_mc(b, &y))
		return -1;
	if (x != y)
		return be64_to_cpu(x) < be64_to_cpu(y) ? -1 : 1;

	for (at = 0; at < n; at += part) {
		part = min(n - at, max(at, 64));
		if (mem_has_poison(a + at, part) || mem_has_poison(b + at, part))
			return -1;
		ret = memcmp(a + at, b + at, part);
		if (ret)
			return ret;
	}
	return 0;
}
EXPORT_SYMBOL(memcmp_mc);
