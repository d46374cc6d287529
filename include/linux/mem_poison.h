/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looking for poison, a hardware memory error that nobody has met yet, in memory
 * that is going to be read with plain loads: one of those that met it would be fatal.
 * Where the architecture cannot survive the look either, it finds nothing and costs
 * nothing.
 */
#ifndef _LINUX_MEM_POISON_H
#define _LINUX_MEM_POISON_H

#include <linux/highmem.h>
#include <linux/libnvdimm.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uaccess.h>

#ifdef CONFIG_ARCH_HAS_FAST_COPY_MC
bool __must_check mem_has_poison(const void *from, size_t n);
int memcmp_mc(const void *a, const void *b, size_t n);
#else
static inline bool mem_has_poison(const void *from, size_t n)
{
	return false;
}

#define memcmp_mc(a, b, n)	memcmp(a, b, n)
#endif

/**
 * memcpy_unless_poison() - copy_mc_to_kernel() where that costs what memcpy() costs
 * @to: destination, in kernel memory
 * @from: source, in kernel memory; the two do not overlap
 * @n: length in bytes
 *
 * Elsewhere it is memcpy(), so that a caller which can fail need not pay for it.
 * Never sleeps.
 *
 * Return: bytes not copied, as copy_mc_to_kernel() does.
 */
static __always_inline size_t __must_check
memcpy_unless_poison(void *to, const void *from, size_t n)
{
#ifdef CONFIG_ARCH_HAS_FAST_COPY_MC
	return copy_mc_to_kernel(to, from, n);
#else
	memcpy(to, from, n);
	return 0;
#endif
}

/**
 * memcpy_flushcache_unless_poison() - memcpy_unless_poison() to persistent memory
 * @to: destination, in persistent memory
 * @from: source, in kernel memory
 * @n: length in bytes
 *
 * Never sleeps.
 *
 * Return: bytes not copied. The others are written back as memcpy_flushcache() does it.
 */
static __always_inline size_t __must_check
memcpy_flushcache_unless_poison(void *to, const void *from, size_t n)
{
	/* Who has fast safe copies makes no use of non-temporal stores. */
	if (IS_ENABLED(CONFIG_ARCH_HAS_FAST_COPY_MC)) {
		size_t left = memcpy_unless_poison(to, from, n);

		arch_wb_cache_pmem(to, n - left);
		return left;
	}
	memcpy_flushcache(to, from, n);
	return 0;
}

/**
 * page_has_poison() - load a part of a page, to see if it holds poison
 * @page: the page
 * @offset: where in it to begin, in bytes
 * @n: how many bytes
 *
 * mem_has_poison() of a page that need not be mapped. The record of the abort, not
 * the caller, is what has it isolated. Never sleeps.
 *
 * Return: true if the page must not be read.
 */
static inline bool page_has_poison(struct page *page, size_t offset, size_t n)
{
	bool ret;
	void *addr;

	if (!IS_ENABLED(CONFIG_ARCH_HAS_FAST_COPY_MC))
		return false;

	addr = kmap_local_page(page);
	ret = mem_has_poison(addr + offset, n);
	kunmap_local(addr);
	return ret;
}

#endif /* _LINUX_MEM_POISON_H */
