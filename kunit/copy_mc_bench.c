// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the copy routines cost in instructions, as lines of the log for tools/bench.
 *
 * Under QEMU's -icount the PMU counts instructions, and counts the same ones in each
 * run. Nothing here fails because of a number.
 */

#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/perf/arm_pmuv3.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/xxhash.h>

#include <asm/barrier.h>

#include "contract/contract.h"
#include "inject/sea_inject.h"

#define AREA	(2 * PAGE_SIZE)

struct routine {
	const char *name;
	unsigned long (*copy)(void *to, const void *from, size_t n);
	bool page;		/* copies a page and nothing else */
	bool from_user;
	bool to_user;
};

/* Called as they are: a wrapper would be counted, too. */
#define COPY(f)	.copy = (void *)(f)

static noinline void nothing(void)
{
	barrier();
}

static const struct routine no_routine = { "nothing", COPY(nothing) };

static const struct routine memcpy_mc_routine = { "memcpy_mc", COPY(memcpy_mc) };

static const struct routine routines[] = {
	{ "copy_page", COPY(copy_page), .page = true },
	{ "copy_mc_page", COPY(copy_mc_page), .page = true },
	{ "memcpy", COPY(memcpy) },
	/* copy_mc_to_kernel() but for what sanitizers add to it, and to memcpy() */
	{ "copy_mc_to_kernel", COPY(memcpy_mc) },
	{ "copy_to_user", COPY(__arch_copy_to_user), .to_user = true },
	{ "copy_from_user", COPY(__arch_copy_from_user), .from_user = true },
};

/* What ksmd does with a page, called with its address and its size */
static const struct routine readers[] = {
	{ "xxhash", COPY(xxhash) },
	{ "mem_has_poison", COPY(mem_has_poison) },
};

/* What it does with two, called with their addresses and their size */
static const struct routine comparers[] = {
	{ "memcmp", COPY(memcmp) },
	{ "memcmp_mc", COPY(memcmp_mc) },
};

static const size_t sizes[] = {
	1, 3, 4, 8, 15, 16, 31, 32, 33, 63, 64, 65, 96, 97, 128, 129, 200, 256, 300, 511, 1024,
	1500, 4096,
};

static const struct {
	size_t from, to;
} aligns[] = { { 0, 0 }, { 1, 0 }, { 0, 1 }, { 3, 1 }, { 8, 8 }, { 0, 15 }, { 15, 0 } };

static bool can_count(void)
{
	return pmuv3_implemented(read_pmuver()) &&
	       read_pmceid0() & BIT(ARMV8_PMUV3_PERFCTR_INST_RETIRED);
}

/* Instructions between the two reads of the counter, which is nobody else's */
static noinline __noclone u32 count(const struct routine *r, void *to,
				    const void *from, size_t n)
{
	unsigned long flags;
	u32 start, end;
	int i;

	local_irq_save(flags);
	uaccess_ttbr0_enable();
	write_sysreg(ARMV8_PMUV3_PERFCTR_INST_RETIRED, pmevtyper0_el0);
	write_pmcntenset(BIT(0));
	write_pmcr(read_pmcr() | ARMV8_PMU_PMCR_E);

	/* Once to warm up */
	for (i = 0; i < 2; i++) {
		isb();
		start = read_sysreg(pmevcntr0_el0);
		isb();
		r->copy(to, from, n);
		isb();
		end = read_sysreg(pmevcntr0_el0);
	}

	write_pmcntenclr(BIT(0));
	uaccess_ttbr0_disable();
	local_irq_restore(flags);
	return end - start;
}

/* The cost of no call, or the case ends here */
static u32 count_nothing(struct kunit *test)
{
	u32 cost;
	int i;

	if (!can_count())
		kunit_skip(test, "needs a PMU that counts instructions (QEMU's -icount)");

	cost = count(&no_routine, NULL, NULL, 0);
	KUNIT_ASSERT_NE_MSG(test, cost, 0, "the counter stands still");
	for (i = 0; i < 100; i++)
		KUNIT_ASSERT_EQ_MSG(test, count(&no_routine, NULL, NULL, 0), cost,
				    "does not count alike; QEMU's -icount does");
	return cost;
}

static void say(struct kunit *test, const char *name, size_t size, size_t from,
		size_t to, u32 instructions)
{
	kunit_info(test, "bench: %s %zu %zu %zu %u\n", name, size, from, to,
		   instructions);
}

struct areas {
	u8 *kernel[2];
	u8 *user;
	u8 *pattern;
};

static u8 *kernel_area(struct kunit *test)
{
	u8 *p = kunit_kzalloc(test, AREA, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_TRUE(test, PAGE_ALIGNED(p));
	return p;
}

static void areas_init(struct kunit *test, struct areas *a)
{
	unsigned long user;
	size_t i;

	a->kernel[0] = kernel_area(test);
	a->kernel[1] = kernel_area(test);
	a->pattern = kernel_area(test);
	for (i = 0; i < AREA; i++)
		a->pattern[i] = (i * 7 + i / 251) | 1;

	user = kunit_vm_mmap(test, NULL, 0, AREA, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, user, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(user));
	a->user = (u8 *)user;
}

static void bench_copy(struct kunit *test, struct areas *a, const struct routine *r,
		       size_t n, size_t from_align, size_t to_align, u32 cost)
{
	u8 *from = r->from_user ? a->user : a->kernel[0];
	u8 *to = r->to_user ? a->user : a->kernel[1];
	const u8 *got = to;
	u32 instructions;

	/* This faults user memory in, too. */
	memset(a->kernel[1], 0, AREA);
	memcpy(a->kernel[0], a->pattern, AREA);
	KUNIT_ASSERT_EQ(test, copy_to_user((__force void __user *)a->user,
					   r->from_user ? a->pattern : a->kernel[1],
					   AREA), 0);

	instructions = count(r, to + to_align, from + from_align, n);

	if (r->to_user) {
		KUNIT_ASSERT_EQ(test, copy_from_user(a->kernel[1],
						     (__force void __user *)to, AREA), 0);
		got = a->kernel[1];
	}
	KUNIT_ASSERT_EQ_MSG(test, memcmp(got + to_align, a->pattern + from_align, n), 0,
			    "%s of %zu bytes, from +%zu, to +%zu, did not copy",
			    r->name, n, from_align, to_align);
	KUNIT_ASSERT_NULL_MSG(test, memchr_inv(got + to_align + n, 0, AREA - to_align - n),
			      "%s of %zu bytes, from +%zu, to +%zu, copied more",
			      r->name, n, from_align, to_align);
	KUNIT_ASSERT_GT(test, instructions, cost);
	say(test, r->name, n, from_align, to_align, instructions - cost);
}

static void bench_readers(struct kunit *test, struct areas *a, u32 cost)
{
	u8 *p = a->kernel[0], *q = a->kernel[1];
	int i;

	memcpy(p, a->pattern, AREA);
	for (i = 0; i < ARRAY_SIZE(readers); i++)
		say(test, readers[i].name, PAGE_SIZE, 0, 0,
		    count(&readers[i], p, (void *)PAGE_SIZE, 0) - cost);
	/* They differ in their first bytes, or nowhere: then the size is the page's. */
	for (i = 0; i < ARRAY_SIZE(comparers); i++) {
		memset(q, 0, PAGE_SIZE);
		say(test, comparers[i].name, 8, 0, 0,
		    count(&comparers[i], p, q, PAGE_SIZE) - cost);
		memcpy(q, p, PAGE_SIZE);
		say(test, comparers[i].name, PAGE_SIZE, 0, 0,
		    count(&comparers[i], p, q, PAGE_SIZE) - cost);
	}
}

static void abort_init(struct kunit *test, struct sea_inject *si)
{
	KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, si, PAGE_SIZE), 0);
	si->fsc = ESR_ELx_FSC_EXTABT;
	si->poison[0].len = PAGE_SIZE;
}

/* A copy whose first load aborts, from the call to the return */
static void bench_abort(struct kunit *test, struct areas *a, u32 cost)
{
	/* Who knows the address goes by it once more. */
	const unsigned int aborts = 1 + (CONTRACT_COUNT == COUNT_BY_ADDRESS);
	struct sea_inject si = {};
	u32 instructions;

	abort_init(test, &si);
	sea_inject_arm(&si);
	instructions = count(&memcpy_mc_routine, a->kernel[1], (void *)si.trap, 64);
	sea_inject_disarm(&si);
	KUNIT_ASSERT_EQ(test, si.accesses, aborts);
	KUNIT_ASSERT_EQ(test, si.fixed, aborts);
	KUNIT_ASSERT_GT(test, instructions, cost);
	say(test, "abort", 64, 0, 0, instructions - cost);
}

static void instructions(struct kunit *test)
{
	u32 cost = count_nothing(test);
	const struct routine *r;
	struct areas a;
	int i, j;

	areas_init(test, &a);
	for (r = routines; r < routines + ARRAY_SIZE(routines); r++) {
		if (r->page) {
			bench_copy(test, &a, r, PAGE_SIZE, 0, 0, cost);
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(sizes); i++)
			for (j = 0; j < ARRAY_SIZE(aligns); j++)
				bench_copy(test, &a, r, sizes[i], aligns[j].from,
					   aligns[j].to, cost);
	}
	bench_readers(test, &a, cost);
	bench_abort(test, &a, cost);
}

/* As the suites do it: armed anew for each copy */
static void abort_rate(struct kunit *test)
{
	struct sea_inject si = {};
	u8 *to = kernel_area(test);
	u64 aborts = 0, start, ns;
	int i;

	abort_init(test, &si);
	start = ktime_get_ns();
	do {
		for (i = 0; i < 1000; i++) {
			sea_inject_arm(&si);
			if (memcpy_mc(to, (void *)si.trap, 64) == 64)
				aborts += si.fixed;
			sea_inject_disarm(&si);
		}
		ns = ktime_get_ns() - start;
		cond_resched();
	} while (ns < 2 * NSEC_PER_SEC);

	KUNIT_ASSERT_GT(test, aborts, 0);
	kunit_info(test, "bench-aborts: %llu in %llu ns\n", aborts, ns);
}

static struct kunit_case bench_cases[] = {
	KUNIT_CASE(instructions),
	KUNIT_CASE(abort_rate),
	{}
};

static struct kunit_suite bench_suite = {
	.name = "copy_mc_bench",
	.test_cases = bench_cases,
};

kunit_test_suite(bench_suite);
