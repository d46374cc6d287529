/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies that fail when their source holds poison, instead of taking the
 * kernel down: arm64's side of ARCH_HAS_COPY_MC.
 */
#ifndef __ASM_COPY_MC_H
#define __ASM_COPY_MC_H

#include <linux/compiler.h>
#include <linux/instrumented.h>
#include <linux/types.h>

struct page;
struct vm_area_struct;

int __must_check copy_mc_page(void *to, const void *from);
int __must_check mte_copy_mc_page_tags(void *kto, const void *kfrom);
unsigned long __must_check memcpy_mc(void *to, const void *from,
				     unsigned long n);

#ifdef CONFIG_ARCH_HAS_COPY_MC
/**
 * copy_mc_to_kernel() - copy kernel memory that may hold poison
 * @to: destination, a kernel address
 * @from: source, a kernel address
 * @n: number of bytes to copy
 *
 * memcpy_mc() with the checks of the memory sanitizers around it, which do
 * not see into assembly. Never sleeps, may be called in any mode; the source
 * and the destination must not overlap. A synchronous external abort on a
 * load from @from (Arm ARM, "Synchronous external aborts") ends the copy if
 * APEI claims it (ACPI, "Generic Hardware Error Source"). One on a store to
 * @to, or any other fault, is as fatal as in memcpy().
 *
 * Return: 0, or the number of bytes not copied: at least those from the first
 * poisoned one on, and at most 63 more. It is @n if the CPU does not say where
 * the poison is (ESR_EL1.FnV), or not in the source; with FEAT_MOPS it is what
 * the CPU reports as undone.
 */
static __always_inline unsigned long __must_check
copy_mc_to_kernel(void *to, const void *from, unsigned long n)
{
	unsigned long left;

	instrument_memcpy_before(to, from, n);
	left = memcpy_mc(to, from, n);
	instrument_memcpy_after(to, from, n, left);
	return left;
}

#define copy_mc_to_kernel copy_mc_to_kernel

size_t before_poison(const void *from, size_t n);
#define before_poison before_poison

int copy_mc_highpage(struct page *to, struct page *from);
#define __HAVE_ARCH_COPY_MC_HIGHPAGE

int copy_mc_user_highpage(struct page *to, struct page *from,
			  unsigned long vaddr, struct vm_area_struct *vma);
#define __HAVE_ARCH_COPY_MC_USER_HIGHPAGE
#endif /* CONFIG_ARCH_HAS_COPY_MC */

#endif /* __ASM_COPY_MC_H */
