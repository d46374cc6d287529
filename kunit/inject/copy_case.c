// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the cases about copies have in common; see copy_case.h.
 */

#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "copy_case.h"

#define FILL		0xee

static const size_t lengths[] = {
	1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 79, 80, 97,
	127, 128, 129, 145, 191, 192, 193, 255, 256, 257, 300, SZ_4K - 1, SZ_4K + 77,
};

static const size_t to_aligns[] = { 0, 1, 8 };

static void free_area(void *p)
{
	free_pages((unsigned long)p, get_order(AREA));
}

/* Memory for a source or a destination, AREA bytes from a page boundary on */
static u8 *kernel_area(struct kunit *test)
{
	u8 *p = (u8 *)__get_free_pages(GFP_KERNEL, get_order(AREA));

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, free_area, p), 0);
	return p;
}

static u8 *user_area(struct kunit *test)
{
	unsigned long p = kunit_vm_mmap(test, NULL, 0, AREA, PROT_READ | PROT_WRITE,
					MAP_ANONYMOUS | MAP_PRIVATE, 0);

	KUNIT_ASSERT_NE(test, p, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(p));
	return (u8 *)p;
}

/**
 * copy_init() - make a destination and a good source
 * @test: the test they live as long as, whose parameter is the routine
 *
 * A source that traps is made by one of the functions below. May sleep.
 *
 * Return: the copy, all else being zero; without memory the test ends.
 */
struct copy *copy_init(struct kunit *test)
{
	struct copy *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	size_t i;

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->r = test->param_value;
	c->si.fsc = ESR_ELx_FSC_EXTABT;
	c->pattern = kernel_area(test);
	for (i = 0; i < AREA; i++)
		c->pattern[i] = (i * 7 + i / 251) | 1;

	c->to = c->r->to_user ? user_area(test) : kernel_area(test);
	c->seen = c->r->to_user ? kernel_area(test) : c->to;
	/* copy_highpage() does that: have each run find it alike. */
	if (c->r->pages)
		page_kasan_tag_reset(virt_to_page(copy_to(c)));
	c->from = c->r->from_user ? user_area(test) : kernel_area(test);
	if (c->r->from_user)
		KUNIT_ASSERT_EQ(test, copy_to_user((__force void __user *)c->from,
						   c->pattern, AREA), 0);
	else
		memcpy(c->from, c->pattern, AREA);

	return c;
}

/**
 * copy_init_trap() - make a source that traps
 * @test: the test it lives as long as
 * @c: the copy, from copy_init()
 *
 * May sleep. Where that is impossible the test ends.
 */
void copy_init_trap(struct kunit *test, struct copy *c)
{
	int err;

	if (c->r->pages)
		err = sea_inject_page(test, &c->si, virt_to_page(c->from));
	else if (c->r->from_user)
		err = sea_inject_user(test, &c->si, AREA);
	else
		err = sea_inject_alloc(test, &c->si, AREA);
	if (err == -EOPNOTSUPP)
		kunit_skip(test, "needs RODATA_FULL");
	KUNIT_ASSERT_EQ(test, err, 0);
	memcpy(c->si.alias, c->pattern, c->si.size);
}

/**
 * copy_init_edge() - make a source of which only the last page traps
 * @test: the test it lives as long as
 * @c: the copy, from copy_init(), of a routine that knows more than pages
 *
 * May sleep. Where that is impossible the test ends.
 */
void copy_init_edge(struct kunit *test, struct copy *c)
{
	if (c->r->from_user) {
		KUNIT_ASSERT_EQ(test, sea_inject_user(test, &c->si, AREA), 0);
		c->si.mapped = AREA - PAGE_SIZE;
		KUNIT_ASSERT_EQ(test, copy_to_user((void __user *)c->si.trap, c->pattern,
						   c->si.mapped), 0);
	} else {
		KUNIT_ASSERT_EQ(test, sea_inject_edge(test, &c->si, AREA), 0);
	}
	memcpy(c->si.alias, c->pattern, AREA);
}

/**
 * copy_init_to_trap() - make the destination trap, not the source
 * @test: the test it lives as long as
 * @c: the copy, from copy_init()
 *
 * May sleep. Where that is impossible the test ends.
 */
void copy_init_to_trap(struct kunit *test, struct copy *c)
{
	if (c->r->to_user)
		KUNIT_ASSERT_EQ(test, sea_inject_user(test, &c->si, AREA), 0);
	else
		KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, &c->si, AREA), 0);
	c->to_trap = true;
	c->to = (u8 *)c->si.trap;
	c->seen = c->si.alias;
}

/**
 * copy_init_both() - make a source, or a destination, that aborts in either way
 * @test: the test it lives as long as
 * @c: the copy, from copy_init()
 * @to_trap: it is the destination
 *
 * Its last page is what aborts, simulated to begin with; sea_edge_switch() has the abort
 * be genuine. May sleep. Where that is impossible the test ends.
 */
void copy_init_both(struct kunit *test, struct copy *c, bool to_trap)
{
	bool user = to_trap ? c->r->to_user : c->r->from_user;
	enum sea_edge_kind kind = SEA_EDGE_KERNEL;

	if (c->r->pages)
		kind = SEA_EDGE_LINEAR;
	else if (user)
		kind = SEA_EDGE_USER;
	sea_edge_init(test, &c->edge, &c->si, kind, c->r->pages ? PAGE_SIZE : AREA);
	sea_edge_write(test, &c->edge, c->pattern);
	c->to_trap = to_trap;
}

/**
 * copy_armed() - call the routine with its abort armed
 * @c: the copy
 * @to: destination
 * @from: source
 *
 * What is in registers then depends on its arguments only. May sleep.
 *
 * Return: what the routine returns.
 */
unsigned long copy_armed(struct copy *c, u8 *to, const u8 *from)
{
	unsigned long left;

	sea_inject_arm(&c->si);
	if (c->irqs_off)
		local_irq_disable();
	sea_clear_registers();
	left = c->r->copy(to, from, c->len);
	if (c->irqs_off)
		local_irq_enable();
	sea_inject_disarm(&c->si);
	return left;
}

/**
 * copy_run() - run the copy with its abort armed
 * @test: the test
 * @c: the copy
 * @source: start of the source memory
 *
 * May sleep.
 *
 * Return: what the routine returns.
 */
unsigned long copy_run(struct kunit *test, struct copy *c, const u8 *source)
{
	size_t size = c->len + 2 * REDZONE;
	u8 *seen = copy_seen(c);
	void __user *to = (__force void __user *)(copy_to(c) - REDZONE);
	bool elsewhere = c->r->to_user && !c->to_trap;
	unsigned long left;

	memset(seen, FILL, size);
	if (elsewhere)
		KUNIT_ASSERT_EQ(test, copy_to_user(to, seen, size), 0);

	left = copy_armed(c, copy_to(c), source + c->offset);
	if (elsewhere)
		KUNIT_ASSERT_EQ(test, copy_from_user(seen, to, size), 0);
	return left;
}

/**
 * copy_wrong() - check what holds for any correct routine
 * @c: the copy, after copy_run()
 * @left: what that returned
 * @bad: how many bytes cannot be copied, those from the first poisoned one on
 *
 * May be called in any context.
 *
 * Return: NULL, or what is wrong.
 */
const char *copy_wrong(struct copy *c, unsigned long left, size_t bad)
{
	const u8 *red = copy_seen(c);
	const u8 *got = red + REDZONE;
	const u8 *source = c->si.alias;
	size_t size = source ? c->si.size : AREA;
	size_t n = c->len;
	size_t good = n;

	/* If it is not the source that traps, it can be looked at where it is, or not. */
	if (!source || c->to_trap) {
		source = c->r->from_user ? NULL : c->from;
		size = AREA;
	}

	if (!bad && left)
		return "failed without a reason";
	if (bad && !left)
		return "did not fail";
	if (c->r->error) {
		if (bad && left != (unsigned long)-EFAULT)
			return "not -EFAULT";
		good = bad ? 0 : n;
	} else {
		if (left > n)
			return "more bytes left than there were";
		if (left < bad)
			return "poison said to be copied";
		/* A caller that is not told where it is has nothing to go by. */
		if (left > contract_most_left(copy_counts(c->r), n, bad) && !c->si.fnv &&
		    !c->si.far)
			return "too many bytes said to be left";
		good = n - left;
	}

	if (memcmp(got, c->pattern + c->offset, good))
		return "wrong bytes copied";
	if (c->r->zeroes && memchr_inv(got + good, 0, n - good))
		return "rest of the destination not cleared";
	if (memchr_inv(red, FILL, REDZONE))
		return "red zone before the destination changed";
	if (memchr_inv(got + n, FILL, REDZONE))
		return "red zone behind the destination changed";
	if (source) {
		size_t start = c->offset - min(c->offset, REDZONE);
		size_t end = min(c->offset + n + REDZONE, size);

		if (memcmp(source + start, c->pattern + start, end - start))
			return "source changed";
	}

	return NULL;
}

/**
 * copy_fail() - end the test as failed, with what it takes to rerun the copy
 * @test: the test
 * @c: the copy
 * @left: what the routine returned
 * @why: what is wrong with that
 *
 * Of a million copies that are wrong, the first one is enough to know. Called by the
 * test's own thread; does not return.
 */
void __noreturn copy_fail(struct kunit *test, const struct copy *c, unsigned long left,
			  const char *why)
{
	KUNIT_FAIL_AND_ABORT(test,
			     "%s: %s: returned %ld; len %zu, from %%16 = %zu, to %%16 = %zu, poison at %ld, abort at %pS, address %ld, match %u, fixed up %u, died %u (%s)\n",
			     c->r->name, why, left, c->len, c->offset % 16, c->to_align % 16,
			     (long)(c->si.poison[0].offset - c->offset), (void *)c->si.before.pc,
			     (long)(__untagged_addr(c->si.fault) - c->si.trap - c->offset),
			     c->si.matches, c->si.fixed, c->si.died, c->si.msg ?: "not at all");
}

/**
 * next_copy() - the next combination of length and alignments
 * @c: the copy
 *
 * May sleep.
 *
 * Return: false if the routine knows no more, true if there is one in @c.
 */
bool next_copy(struct copy *c)
{
	bool page = c->r->len == PAGE_SIZE;
	unsigned int nr_from_aligns = page ? 1 : 16;
	unsigned int nr_to_aligns = page ? 1 : ARRAY_SIZE(to_aligns);
	unsigned int nr_lengths = c->r->len ? 1 : ARRAY_SIZE(lengths);
	unsigned int i = c->nr++;

	cond_resched();

	c->offset = i % nr_from_aligns;
	i /= nr_from_aligns;
	c->to_align = to_aligns[i % nr_to_aligns];
	i /= nr_to_aligns;
	c->len = c->r->len ?: lengths[i % nr_lengths];
	return i < nr_lengths;
}
