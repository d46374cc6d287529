// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the copy routines promise when their source holds poison.
 *
 * A routine is a row of a table, a length or an alignment an element of one: adding
 * it there is all it takes to have it go through every case.
 */

#include <kunit/test.h>
#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/folio_queue.h>
#include <linux/highmem.h>
#include <linux/kallsyms.h>
#include <linux/kasan.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/xarray.h>

#include "contract/contract.h"
#include "inject/copy_case.h"

static unsigned long to_kernel(void *to, const void *from, size_t n)
{
	return copy_mc_to_kernel(to, from, n);
}

static unsigned long look_and_copy(void *to, const void *from, size_t n)
{
	if (mem_has_poison(from, n))
		return -EFAULT;
	memcpy(to, from, n);
	return 0;
}

static unsigned long page(void *to, const void *from, size_t n)
{
	return copy_mc_page(to, from);
}

static unsigned long highpage(void *to, const void *from, size_t n)
{
	return copy_mc_highpage(virt_to_page(to), virt_to_page(from));
}

static unsigned long user_highpage(void *to, const void *from, size_t n)
{
	return copy_mc_user_highpage(virt_to_page(to), virt_to_page(from), 0, NULL);
}

static unsigned long to_user(void *to, const void *from, size_t n)
{
	return copy_to_user((__force void __user *)to, from, n);
}

static unsigned long mc_to_user(void *to, const void *from, size_t n)
{
	return copy_mc_to_user((__force void __user *)to, from, n);
}

static unsigned long from_user(void *to, const void *from, size_t n)
{
	return raw_copy_from_user(to, (__force const void __user *)from, n);
}

/* An iterator over one piece of kernel memory */
struct one_kvec {
	struct kvec kvec;
	struct iov_iter iter;
};

static void one_kvec_init(struct one_kvec *k, unsigned int direction, const void *p, size_t n)
{
	k->kvec = (struct kvec){ (void *)p, n };
	iov_iter_kvec(&k->iter, direction, &k->kvec, 1, n);
}

static unsigned long to_kvec(void *to, const void *from, size_t n)
{
	struct one_kvec k;

	one_kvec_init(&k, ITER_DEST, to, n);
	return n - _copy_mc_to_iter(from, n, &k.iter);
}

static unsigned long plain_to_kvec(void *to, const void *from, size_t n)
{
	struct one_kvec k;

	one_kvec_init(&k, ITER_DEST, to, n);
	return n - copy_to_iter(from, n, &k.iter);
}

static unsigned long from_kvec(void *to, const void *from, size_t n)
{
	struct one_kvec k;

	one_kvec_init(&k, ITER_SOURCE, from, n);
	return n - copy_from_iter(to, n, &k.iter);
}

static unsigned long from_kvec_nocache(void *to, const void *from, size_t n)
{
	struct one_kvec k;

	one_kvec_init(&k, ITER_SOURCE, from, n);
	return n - copy_from_iter_nocache(to, n, &k.iter);
}

#ifdef CONFIG_ARCH_HAS_UACCESS_FLUSHCACHE
static unsigned long from_kvec_flushcache(void *to, const void *from, size_t n)
{
	struct one_kvec k;

	one_kvec_init(&k, ITER_SOURCE, from, n);
	return n - _copy_from_iter_flushcache(to, n, &k.iter);
}
#endif

/* Iterators over pages */

static unsigned long from_bvec(void *to, const void *from, size_t n)
{
	struct bio_vec bvec;
	struct iov_iter iter;

	bvec_set_page(&bvec, virt_to_page(from), n, offset_in_page(from));
	iov_iter_bvec(&iter, ITER_SOURCE, &bvec, 1, n);
	return n - copy_from_iter(to, n, &iter);
}

static unsigned long from_xarray(void *to, const void *from, size_t n)
{
	struct xarray xa;
	struct iov_iter iter;

	xa_init(&xa);
	/* What is stored at 0 alone is there: xa_store() may sleep with PREEMPT_RT. */
	RCU_INIT_POINTER(xa.xa_head, virt_to_page(from));
	iov_iter_xarray(&iter, ITER_SOURCE, &xa, offset_in_page(from), n);
	return n - copy_from_iter(to, n, &iter);
}

static unsigned long from_folioq(void *to, const void *from, size_t n)
{
	struct folio_queue folioq = { };
	struct iov_iter iter;

	folioq_append(&folioq, page_folio(virt_to_page(from)));
	iov_iter_folio_queue(&iter, ITER_SOURCE, &folioq, 0, offset_in_page(from), n);
	return n - copy_from_iter(to, n, &iter);
}

static unsigned long page_to_kvec(void *to, const void *from, size_t n)
{
	struct one_kvec k;

	one_kvec_init(&k, ITER_DEST, to, n);
	return n - copy_page_to_iter(virt_to_page(from), offset_in_page(from), n, &k.iter);
}

static unsigned long page_to_kvec_nofault(void *to, const void *from, size_t n)
{
	struct one_kvec k;

	one_kvec_init(&k, ITER_DEST, to, n);
	return n - copy_page_to_iter_nofault(virt_to_page(from), offset_in_page(from), n, &k.iter);
}

static unsigned long to_ubuf(void *to, const void *from, size_t n)
{
	struct iov_iter iter;

	iov_iter_ubuf(&iter, ITER_DEST, (__force void __user *)to, n);
	return n - _copy_mc_to_iter(from, n, &iter);
}

#define GET_USER(type)								\
static unsigned long get_##type(void *to, const void *from, size_t n)		\
{										\
	return get_user(*(type *)to, (__force const type __user *)from);		\
}

GET_USER(u8)
GET_USER(u16)
GET_USER(u32)
GET_USER(u64)

static unsigned long whole_from_user(void *to, const void *from, size_t n)
{
	return copy_from_user(to, (__force const void __user *)from, n);
}

static unsigned long plain_page(void *to, const void *from, size_t n)
{
	copy_page(to, from);
	return 0;
}

static unsigned long plain_highpage(void *to, const void *from, size_t n)
{
	copy_highpage(virt_to_page(to), virt_to_page(from));
	return 0;
}

#define PLAIN_ITER(name, func, more...)						\
	{ name, func, memcpy_mc, more, .dies = !CONTRACT_ITER_RECOVERS }

static const struct copy_routine in_kernel[] = {
	{ "copy_mc_to_kernel", to_kernel, memcpy_mc },
	{ "_copy_mc_to_iter kvec", to_kvec, memcpy_mc, .wrapper = true },
	PLAIN_ITER("copy_to_iter kvec", plain_to_kvec, .wrapper = true),
	PLAIN_ITER("copy_from_iter kvec", from_kvec, .wrapper = true),
	PLAIN_ITER("copy_from_iter_nocache kvec", from_kvec_nocache, .wrapper = true),
};

/* It copies nothing: memcpy() does, of what it has found good. */
static const struct copy_routine lookers[] = {
	{ "mem_has_poison", look_and_copy, mem_has_poison, .error = true, .dies = !CONTRACT_LOOKS },
};

static const struct copy_routine of_pages[] = {
	{ "copy_mc_page", page, copy_mc_page, PAGE_SIZE, .error = true },
	{ "copy_mc_highpage", highpage, copy_mc_page, PAGE_SIZE, .pages = true, .error = true },
	{ "copy_mc_user_highpage", user_highpage, copy_mc_page, PAGE_SIZE,
	  .pages = true, .error = true },
};

static const struct copy_routine page_iters[] = {
	PLAIN_ITER("copy_from_iter bvec", from_bvec, PAGE_SIZE, .pages = true),
	PLAIN_ITER("copy_from_iter xarray", from_xarray, PAGE_SIZE, .pages = true),
	PLAIN_ITER("copy_from_iter folioq", from_folioq, PAGE_SIZE, .pages = true),
	PLAIN_ITER("copy_page_to_iter kvec", page_to_kvec, PAGE_SIZE, .pages = true),
	PLAIN_ITER("copy_page_to_iter_nofault kvec", page_to_kvec_nofault, PAGE_SIZE,
		   .pages = true),
#ifdef CONFIG_ARCH_HAS_UACCESS_FLUSHCACHE
	PLAIN_ITER("_copy_from_iter_flushcache kvec", from_kvec_flushcache, PAGE_SIZE),
#endif
};

static const struct copy_routine to_users[] = {
	{ "copy_to_user", to_user, __arch_copy_to_user, .to_user = true },
	{ "copy_mc_to_user", mc_to_user, __arch_copy_to_user, .to_user = true, .wrapper = true },
	{ "_copy_mc_to_iter ubuf", to_ubuf, __arch_copy_to_user, .to_user = true, .wrapper = true },
};

static const struct copy_routine from_users[] = {
	{ "raw_copy_from_user", from_user, __arch_copy_from_user, .from_user = true },
	{ "copy_from_user", whole_from_user, __arch_copy_from_user,
	  .from_user = true, .zeroes = true, .wrapper = true },
};

#define GET_USER_ROW(type)							\
	{ "get_user " #type, get_##type, get_##type, sizeof(type),		\
	  .from_user = true, .error = true, .zeroes = true }

static const struct copy_routine get_users[] = {
	GET_USER_ROW(u8), GET_USER_ROW(u16), GET_USER_ROW(u32), GET_USER_ROW(u64),
};

static const struct copy_routine not_mc[] = {
	{ "copy_page", plain_page, copy_page, PAGE_SIZE, .dies = true },
	{ "copy_highpage", plain_highpage, copy_page, PAGE_SIZE, .pages = true, .dies = true },
};

KUNIT_ARRAY_PARAM_DESC(in_kernel, in_kernel, name);
KUNIT_ARRAY_PARAM_DESC(lookers, lookers, name);
KUNIT_ARRAY_PARAM_DESC(of_pages, of_pages, name);
KUNIT_ARRAY_PARAM_DESC(page_iters, page_iters, name);
KUNIT_ARRAY_PARAM_DESC(to_users, to_users, name);
KUNIT_ARRAY_PARAM_DESC(from_users, from_users, name);
KUNIT_ARRAY_PARAM_DESC(get_users, get_users, name);
KUNIT_ARRAY_PARAM_DESC(not_mc, not_mc, name);

static void copy_and_check(struct kunit *test, struct copy *c)
{
	unsigned long left = copy_run(test, c, c->from);
	const char *why = copy_wrong(c, left, 0);

	if (why)
		copy_fail(test, c, left, why);
}

/* Nothing wrong with the source, and no hook in between */
static void copy_success(struct kunit *test)
{
	struct copy *c = copy_init(test);

	if (!c->r->len)		/* Not a byte is stored. */
		copy_and_check(test, c);
	while (next_copy(c))
		copy_and_check(test, c);
}

/* The hook lets every access happen: what the cases below assert is its doing. */
static void copy_unpoisoned(struct kunit *test)
{
	struct copy *c = copy_init(test);
	unsigned long left;
	const char *why;

	copy_init_trap(test, c);
	while (next_copy(c)) {
		left = copy_run(test, c, (u8 *)c->si.trap);
		why = copy_wrong(c, left, 0);
		if (!why && !c->si.accesses)
			why = "source not accessed";
		if (why)
			copy_fail(test, c, left, why);
	}
}

/* Who cannot have stored anything, and is to try a single byte, meets the poison twice. */
static unsigned int least_aborts(const struct copy *c, size_t p)
{
	return 1 + (copy_tries_again(c->r) && !p && !c->si.pc);
}

/*
 * Once, but for these, and for who may find a later line first, and then loads what is
 * before it. That takes poison of more than a line, which the sweeps do not have.
 */
static unsigned int most_aborts(const struct copy *c, size_t p)
{
	return least_aborts(c, p) + (copy_goes_by_address(c->r) && !c->si.pc &&
				     c->si.poison[0].len - 1 >= POISON_LINE);
}

/* The access was then made good, or its page repaired: the rest of the copy is done. */
static const char *death_wrong(struct copy *c, unsigned long left, size_t p)
{
	if (!c->si.died || c->si.fixed ||
	    memcmp(&c->si.before, &c->si.after, sizeof(c->si.before)))
		return "would have lived";
	if (c->si.claims != contract_claims(c->si.died, c->r->dies ? 0 : c->si.died))
		return "APEI not asked as it should be";
	return copy_wrong(c, left, 0);
}

/* What is wrong with a copy whose source is poisoned from its byte @p on, or right there? */
static const char *poisoned_wrong(struct copy *c, unsigned long left, size_t p)
{
	const char *why;

	if (c->r->dies ||
	    (c->si.claim == -EINPROGRESS && !CONTRACT_EINPROGRESS_RECOVERS))
		return death_wrong(c, left, p);

	why = copy_wrong(c, left, c->len - p);
	if (!why && (!c->si.fixed || c->si.died || c->si.retried))
		why = "not fixed up";
	if (!why && c->si.fixed > most_aborts(c, p))
		why = "consumed the poison again";
	if (!why && c->si.fixed < least_aborts(c, p))
		why = "did not try a single byte";
	if (!why && c->si.claims != c->si.fixed)
		why = "not claimed once an abort";
	if (!why && !c->r->error && copy_counts(c->r) != COUNT_BOUND &&
	    left != copy_model_left(c, p))
		why = "not what the model says";
	return why;
}

static void poisoned_copy_of(struct kunit *test, struct copy *c, const u8 *source, size_t p)
{
	unsigned long left = copy_run(test, c, source);
	const char *why = poisoned_wrong(c, left, p);

	if (why)
		copy_fail(test, c, left, why);
}

static void poisoned_copy(struct kunit *test, struct copy *c, size_t p)
{
	poisoned_copy_of(test, c, (u8 *)c->si.trap, p);
}

/*
 * The longer the copy, the fewer of its bytes are tried as the poisoned one, and fewer
 * wherever another routine has done the same; of a page of 4K, one for each load, and of
 * a bigger one fewer, as each abort takes longer.
 */
static size_t poison_step(const struct copy *c)
{
	size_t len = c->len;

	if (c->r->wrapper && len <= 300)
		return 13;
	if (len <= 80)
		return 1;
	if (len <= 300)
		return 7;
	if (len != PAGE_SIZE)
		return SZ_1K + 1;
	return len == SZ_4K ? 16 : len / 16 + 16;
}

static void poisoned_copies(struct kunit *test, struct copy *c)
{
	size_t last = c->len - 1;
	size_t p = 0;

	do {
		c->si.poison[0] = (struct sea_poison){ c->offset + p, 1 };
		poisoned_copy(test, c, p);
		p = p == last ? c->len : min(p + poison_step(c), last);
	} while (p < c->len);
}

/* Where not each alignment of the destination is tried at each of the source */
static bool takes_turn(const struct copy *c)
{
	return min(c->to_align, 2) == c->offset % 3;
}

/* One poisoned byte, wherever it may be */
static void copy_poisoned(struct kunit *test)
{
	struct copy *c = copy_init(test);

	copy_init_trap(test, c);
	while (next_copy(c))
		if (takes_turn(c))
			poisoned_copies(test, c);
}

/* The same with the other format of the registers in CPY* instructions */
static void copy_poisoned_option_b(struct kunit *test)
{
	struct copy *c = copy_init(test);

	if (!IS_ENABLED(CONFIG_AS_HAS_MOPS))
		kunit_skip(test, "needs AS_HAS_MOPS");
	if (!has_mops())
		kunit_skip(test, "needs MOPS");

	copy_init_trap(test, c);
	c->si.cpy_option_b = true;
	while (next_copy(c))
		if (takes_turn(c))
			poisoned_copies(test, c);
}

/* The same with interrupts disabled, where the work of APEI has to wait */
static void copy_poisoned_irqs_off(struct kunit *test)
{
	struct copy *c = copy_init(test);

	copy_init_trap(test, c);
	c->si.claim = -EINPROGRESS;
	/* Who accesses user memory may sleep. */
	c->irqs_off = !c->r->from_user && !c->r->to_user;
	c->len = c->r->len ?: 300;
	poisoned_copies(test, c);
}

/* Ranges of poison, in bytes from the start of a source of 200 bytes */
static const struct ranges {
	struct {
		int start, end;
	} range[2];
	int first;		/* poisoned byte of the source, none if it is 200 */
} ranges[] = {
	{ { { 100, 150 }, { 120, 180 } }, 100 },	/* overlapping */
	{ { { 120, 180 }, { 100, 150 } }, 100 },
	{ { { 150, 160 }, { 40, 41 } }, 40 },		/* apart */
	{ { { -16, 1 } }, 0 },				/* begins before the source */
	{ { { -64, 100 }, { 199, 300 } }, 0 },
	{ { { -64, 300 } }, 0 },			/* all of it, and more */
	{ { { 190, 300 } }, 190 },			/* ends behind it */
	{ { { -64, 0 } }, 200 },			/* next to it: nobody loads there */
	{ { { 200, 264 } }, 200 },
	{ { { -64, 0 }, { 200, 264 } }, 200 },
};

/* Poison that is not one byte; then without it, as if nothing had been */
static void copy_poison_ranges(struct kunit *test)
{
	struct copy *c = copy_init(test);
	unsigned int i, j;

	copy_init_trap(test, c);
	c->len = 200;
	for (i = 0; i < 16 * ARRAY_SIZE(ranges); i++) {
		const struct ranges *ranged = &ranges[i / 16];
		unsigned long left;
		const char *why;

		c->offset = REDZONE + i % 16;
		for (j = 0; j < 2; j++) {
			c->si.poison[j].offset = c->offset + ranged->range[j].start;
			c->si.poison[j].len = ranged->range[j].end - ranged->range[j].start;
		}
		if (ranged->first < c->len) {
			poisoned_copy(test, c, ranged->first);
			memset(c->si.poison, 0, sizeof(c->si.poison));
		}
		left = copy_run(test, c, (u8 *)c->si.trap);
		why = copy_wrong(c, left, 0);
		if (why || c->si.matches)
			copy_fail(test, c, left, why ?: "source not poisoned, but aborted");
	}
}

/* A fault address that is no help costs bytes that could have been copied. */
static void fault_addresses(struct kunit *test, struct copy *c, size_t p)
{
	unsigned long source = c->si.trap + c->offset;
	unsigned long poison = source + p;
	const struct {
		unsigned long far;
		bool fnv;
	} said[] = {
		{ poison, true },		/* not valid */
		{ source, true },
		{ round_down(poison, POISON_LINE) },
		{ poison | (POISON_LINE - 1) },
		{ source },
		{ source - 1 },			/* outside the source */
		{ source + c->len },
		{ source - SZ_1G },
		{ poison & GENMASK(47, 0) },	/* user memory */
	};

	c->si.poison[0] = (struct sea_poison){ c->offset + p, 1 };
	for (int i = 0; i < ARRAY_SIZE(said); i++) {
		c->si.far = said[i].far;
		c->si.fnv = said[i].fnv;
		poisoned_copy(test, c, p);
	}
}

static void copy_fault_address(struct kunit *test)
{
	static const size_t lens[] = { 3, 100, 200 };
	struct copy *c = copy_init(test);
	unsigned int i;
	size_t p;

	copy_init_trap(test, c);
	for (i = 0; i < ARRAY_SIZE(lens) * POISON_LINE; i++) {
		c->len = lens[i / POISON_LINE];
		c->offset = POISON_LINE + i % POISON_LINE;
		for (p = 0; p < c->len; p += 9)
			fault_addresses(test, c, p);
	}
}

/*
 * Copies of up to 128 bytes load their end before their middle: the first byte that is
 * loaded after the end, and the first one of that
 */
static const struct ends {
	size_t len, middle, end;
} ends[] = {
	{ 3, 1, 2 }, { 65, 32, 33 }, { 100, 32, 68 }, { 128, 32, 96 },
};

/* The end is poisoned, and so is @p in the middle, which is found if it is copied anew. */
static const char *again_wrong(struct copy *c, unsigned long left, size_t p, size_t end)
{
	bool again = c->offset + p < round_down(c->offset + end, POISON_LINE);
	const char *why = copy_wrong(c, left, c->len - p);

	if (!why && (c->si.fixed != 1 + again || c->si.died || c->si.retried ||
		     c->si.claims != c->si.fixed))
		why = "not met as often as there is poison";
	if (!why && left != (again ? copy_model_again(c, p) : copy_model_left(c, end)))
		why = "not what the model says";
	return why;
}

static void copy_poison_before(struct kunit *test)
{
	struct copy *c = copy_init(test);
	unsigned int i;
	size_t p;

	copy_init_trap(test, c);
	for (i = 0; i < ARRAY_SIZE(ends) * POISON_LINE; i++) {
		const struct ends *e = &ends[i / POISON_LINE];

		c->len = e->len;
		c->offset = POISON_LINE + i % POISON_LINE;
		c->si.poison[1] = (struct sea_poison){ c->offset + e->end, 32 };
		for (p = e->middle; p < e->end; p++) {
			unsigned long left;
			const char *why;

			c->si.poison[0] = (struct sea_poison){ c->offset + p, 1 };
			left = copy_run(test, c, (u8 *)c->si.trap);
			if (copy_goes_by_address(c->r))
				why = again_wrong(c, left, p, e->end);
			else
				why = poisoned_wrong(c, left, p);
			if (why)
				copy_fail(test, c, left, why);
		}
	}
}

static unsigned long tagged(unsigned long addr, u8 tag)
{
	return (addr & GENMASK(55, 0)) | (unsigned long)tag << 56;
}

/* A source whose address has a tag, and a fault address that has the same one, or another */
static void copy_tagged(struct kunit *test)
{
	static const u8 tags[] = { 0xff, 0xf0, 0x3f, 0x00 };
	struct copy *c = copy_init(test);
	unsigned int i;
	size_t p;

	/* To them a tag is one of their own, or no address. */
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		kunit_skip(test, "needs a kernel without KASAN_GENERIC");
	if (IS_ENABLED(CONFIG_KASAN_SW_TAGS))
		kunit_skip(test, "needs a kernel without KASAN_SW_TAGS");
	copy_init_trap(test, c);
	c->len = 300;
	c->offset = 5;
	for (i = 0; i < ARRAY_SIZE(tags) * ARRAY_SIZE(tags); i++) {
		u8 *source = (u8 *)tagged(c->si.trap, tags[i % ARRAY_SIZE(tags)]);

		for (p = 0; p < c->len; p += 7) {
			c->si.poison[0] = (struct sea_poison){ c->offset + p, 1 };
			c->si.far = tagged(c->si.trap + c->offset + p, tags[i / ARRAY_SIZE(tags)]);
			poisoned_copy_of(test, c, source, p);
		}
	}
}

/*
 * Lengths of the sweep above the 300 that are all taken: around the loop, and of up to
 * two pages of 4K, whatever the kernel's are
 */
static const size_t more_lengths[] = {
	319, 320, 321, 383, 384, 385, 447, 448, 511, 512, 513, 1000, 1024, 2047, 2048,
	SZ_4K - 1, SZ_4K, SZ_4K + 1, SZ_4K + 77, SZ_8K - 16,
};

#define NR_SWEEP_LENGTHS	(301 + ARRAY_SIZE(more_lengths))

static size_t sweep_length(unsigned int i)
{
	return i <= 300 ? i : more_lengths[i - 301];
}

/*
 * Is byte @p to be the first poisoned one? Each is, up to 128 bytes; and the first and
 * the last 16, which have loads of a few bytes. Elsewhere loads are of 8 bytes at least,
 * and one byte in three comes to each at each alignment; far from both ends there is a
 * loop, and it is one in 12. Wherever another routine has done the same it is one in 13.
 */
static bool sweep_takes(const struct copy *c, size_t p, unsigned int align)
{
	unsigned int step = 12;

	if (c->r->wrapper)
		step = 13;
	else if (c->len <= 128 || p < 16 || p >= c->len - 16)
		step = 1;
	else if (c->len <= 300 || p < 80 || p >= c->len - 80)
		step = 3;
	return p % step == align % step;
}

/*
 * The rest of the memory; or of one line, as a copy that loads its end before its middle
 * would come to the former by another line, and then to @edge.
 */
static size_t sweep_poison(const struct copy *c, size_t edge)
{
	return copy_goes_by_address(c->r) ? POISON_LINE - edge % POISON_LINE : AREA - edge;
}

/* Poison from byte @p of the source on: up to 15 bytes of the page that traps are good. */
static void sweep_place(struct copy *c, size_t p, unsigned int align)
{
	size_t edge = c->si.mapped + (align + p) % 16;

	c->offset = edge - p;
	c->to_align = (c->to_align + 1) % 16;
	c->si.poison[0].offset = edge;
	c->si.poison[0].len = sweep_poison(c, edge);
}

/* For ./tools/run --report: what one copy leaves, by the first poisoned byte, and the model */
static void sweep_report(struct kunit *test, struct copy *c)
{
	char *left = kunit_kzalloc(test, SZ_1K, GFP_KERNEL);
	char *model = kunit_kzalloc(test, SZ_1K, GFP_KERNEL);
	int n = 0, m = 0;
	size_t p;

	KUNIT_ASSERT_NOT_NULL(test, left);
	KUNIT_ASSERT_NOT_NULL(test, model);
	if (c->r->wrapper || copy_counts(c->r) == COUNT_BOUND)
		return;
	c->len = 128;
	for (p = 0; p < c->len; p++) {
		sweep_place(c, p, 5);
		n += scnprintf(left + n, SZ_1K - n, " %lu",
			       copy_run(test, c, (u8 *)c->si.trap));
		m += scnprintf(model + m, SZ_1K - m, " %zu", copy_model_left(c, p));
	}
	kunit_info(test, "%s: of %zu bytes left%s\n", c->r->name, c->len, left);
	kunit_info(test, "%s: of %zu bytes model%s\n", c->r->name, c->len, model);
}

/*
 * Every length at every alignment. Only what is poisoned traps, so that a million aborts
 * take a minute.
 */
static void copy_sweep(struct kunit *test)
{
	struct copy *c = copy_init(test);
	unsigned int i, align, aborts = 0;
	ktime_t start = ktime_get();
	size_t p;

	copy_init_edge(test, c);
	for (i = 0; i < NR_SWEEP_LENGTHS; i++) {
		c->len = sweep_length(i);
		for (align = 0; align < 16; align++) {
			cond_resched();
			for (p = 0; p < c->len; p++) {
				if (!sweep_takes(c, p, align))
					continue;
				sweep_place(c, p, align);
				poisoned_copy(test, c, p);
				aborts++;
			}
		}
	}
	kunit_info(test, "%s: %u aborts in %lld ms\n", c->r->name, aborts,
		   ktime_ms_delta(ktime_get(), start));
	sweep_report(test, c);
}

/* The same lengths and all pairs of alignments without any poison */
static void copy_sweep_success(struct kunit *test)
{
	struct copy *c = copy_init(test);
	unsigned long left;
	const char *why;
	unsigned int i, j;

	for (i = 0; i < NR_SWEEP_LENGTHS; i++) {
		cond_resched();
		c->len = sweep_length(i);
		for (j = 0; j < 256; j++) {
			c->offset = REDZONE + j / 16;
			c->to_align = j % 16;
			left = copy_run(test, c, c->from);
			why = copy_wrong(c, left, 0);
			if (why)
				copy_fail(test, c, left, why);
		}
	}
}

/* A way to have an instruction abort */
struct approach {
	enum { SOURCE, DESTINATION, UNMAPPED } traps;
	bool everywhere;	/* every access aborts, not just the instruction */
	bool last;		/* and only from the last one on */
	bool fault;		/* it is a fault instead, of an access to user memory */
	struct copy *c;
};

/* The instructions of a routine: how often each is executed, and has aborted */
struct insns {
	unsigned long start;
	size_t n;
	unsigned int *counts, *aborts;
};

/* An instruction has aborted: what is wrong with the result? */
static const char *entry_wrong(const struct approach *a, unsigned long pc,
			       unsigned long left)
{
	struct copy *c = a->c;
	unsigned long start = c->si.trap + c->offset;
	bool again = a->fault || copy_tries_again(c->r);
	struct sea_access access;
	size_t p, bad;

	if (c->si.before.pc != pc || !sea_decode(le32_to_cpup((__le32 *)pc), &access))
		return "aborted elsewhere";
	if (!c->si.fixed || c->si.died || c->si.retried)
		return "not fixed up";
	if (a->traps == DESTINATION)
		start = (unsigned long)copy_to(c);
	p = __untagged_addr(c->si.fault) - start;
	if (a->fault ? c->si.claims :
	    c->si.claims != c->si.fixed || c->si.fixed > most_aborts(c, p))
		return "not claimed once";
	if (p >= c->len)
		return "accessed what is not to be copied";
	if (a->traps == UNMAPPED)
		return left == c->len ? NULL : "said to have copied something";
	if (a->everywhere)
		return copy_wrong(c, left, c->len);

	/*
	 * After a fault a single byte is tried, and after an abort if that is the policy.
	 * That is another access, at which nothing is wrong.
	 */
	bad = c->len - p;
	if (again && !p && access.size != 1 && !c->r->error) {
		bad--;
		if (left != bad)
			return "single byte not copied";
	}
	if (a->traps == SOURCE && !c->r->error && p && copy_counts(c->r) != COUNT_BOUND) {
		size_t model = copy_model_left(c, p);

		if (left != model - (a->fault && model == c->len))
			return "not what the model says";
	}
	return copy_wrong(c, left, bad);
}

static unsigned long approach_run(struct kunit *test, const struct approach *a)
{
	struct copy *c = a->c;

	if (a->traps != UNMAPPED)
		return copy_run(test, c, a->traps == SOURCE ? (u8 *)c->si.trap : c->from);
	return copy_armed(c, copy_to(c), (u8 *)c->si.trap + c->offset);
}

static void entry_abort(struct kunit *test, const struct approach *a,
			struct insns *insns, unsigned long pc)
{
	unsigned long left = approach_run(test, a);
	const char *why = entry_wrong(a, pc, left);

	if (why)
		copy_fail(test, a->c, left, why);
	insns->aborts[(pc - insns->start) / AARCH64_INSN_SIZE]++;
}

/* Abort at the first, second, middle and last execution of each instruction. */
static void each_abort(struct kunit *test, const struct approach *a, struct insns *insns)
{
	struct copy *c = a->c;
	unsigned int i, j;

	memset(insns->counts, 0, insns->n * sizeof(*insns->counts));
	c->si.counts = insns->counts;
	c->si.nr_counts = insns->n;
	c->si.pc = 0;
	c->si.nth = a->last ? UINT_MAX : 1;
	approach_run(test, a);
	c->si.nr_counts = 0;
	if (a->last) {
		c->si.nth = c->si.accesses;
		approach_run(test, a);
	}
	if (a->everywhere) {
		unsigned long pc = c->si.before.pc;

		if ((pc - insns->start) / AARCH64_INSN_SIZE >= insns->n)
			copy_fail(test, c, 0, "no abort in the routine");
		entry_abort(test, a, insns, pc);
		return;
	}

	for (i = 0; i < insns->n; i++) {
		unsigned int last = insns->counts[i];
		const unsigned int nth[] = { 1, 2, (last + 1) / 2, last };

		c->si.pc = insns->start + i * AARCH64_INSN_SIZE;
		for (j = 0; j < ARRAY_SIZE(nth); j++) {
			if (nth[j] > last || (j && nth[j] <= nth[j - 1]))
				continue;
			c->si.nth = nth[j];
			entry_abort(test, a, insns, c->si.pc);
		}
	}
}

/* The table of the aborts, which every entry must have come to. */
static void report_insns(struct kunit *test, const struct insns *insns)
{
	static const char * const kinds[] = {
		[SEA_LOAD] = "load", [SEA_STORE] = "store", [SEA_CPY] = "CPY",
	};
	unsigned long end = insns->start + insns->n * AARCH64_INSN_SIZE;
	const struct exception_table_entry *ex = NULL;
	unsigned long fixups = ULONG_MAX;	/* which CPY* and the others share */
	unsigned int entries = 0;
	bool tried = false;
	bool cpy = false;

	while ((ex = sea_next_extable(insns->start, end, ex))) {
		unsigned long pc = sea_extable_insn(ex);
		unsigned int aborts = insns->aborts[(pc - insns->start) / AARCH64_INSN_SIZE];
		struct sea_access access;

		KUNIT_ASSERT_TRUE(test, sea_decode(le32_to_cpup((__le32 *)pc), &access));
		entries++;
		if (access.kind == SEA_CPY) {
			cpy = true;
			fixups = min(fixups, sea_extable_fixup(ex));
		}
		if (aborts)
			kunit_info(test, "%pS %08x %s: %u aborts, all recovered\n", (void *)pc,
				   le32_to_cpup((__le32 *)pc), kinds[access.kind], aborts);
		/* A routine with CPY* instructions is two, of which a CPU uses one. */
		else if (cpy && pc < fixups && has_mops() != (access.kind == SEA_CPY))
			kunit_info(test, "%pS %08x %s: not used on a CPU %s FEAT_MOPS\n",
				   (void *)pc, le32_to_cpup((__le32 *)pc), kinds[access.kind],
				   has_mops() ? "with" : "without");
		else if (CONTRACT_SHARED_LOOPS && insns->start == (unsigned long)memcpy_mc)
			kunit_info(test, "%pS %08x %s: for memmove()\n", (void *)pc,
				   le32_to_cpup((__le32 *)pc), kinds[access.kind]);
		else
			KUNIT_FAIL(test, "%pS: no copy comes by here\n", (void *)pc);
		tried |= aborts != 0;
	}
	KUNIT_EXPECT_NE(test, entries, 0);
	KUNIT_EXPECT_TRUE(test, tried);
}

/* Every instruction that accesses the source, or user memory, in every copy */
static void copy_each_entry(struct kunit *test)
{
	const struct copy_routine *r = test->param_value;
	struct approach approaches[] = {
		{ SOURCE }, { SOURCE, true }, { SOURCE, true, true },
		{ DESTINATION }, { DESTINATION, true }, { UNMAPPED },
		{ r->to_user ? DESTINATION : SOURCE, .fault = true },
		{ r->to_user ? DESTINATION : SOURCE, true, .fault = true },
	};
	struct insns insns = { .start = (unsigned long)r->code };
	unsigned long size, at;
	unsigned int i;

	if (r->dies) {
		kunit_info(test, "%s: has no entries\n", r->name);
		return;
	}

	KUNIT_ASSERT_TRUE(test, kallsyms_lookup_size_offset(insns.start, &size, &at));
	KUNIT_ASSERT_EQ(test, at, 0);
	insns.n = size / AARCH64_INSN_SIZE;
	insns.counts = kunit_kcalloc(test, insns.n, sizeof(*insns.counts), GFP_KERNEL);
	insns.aborts = kunit_kcalloc(test, insns.n, sizeof(*insns.aborts), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, insns.counts);
	KUNIT_ASSERT_NOT_NULL(test, insns.aborts);

	for (i = 0; i < ARRAY_SIZE(approaches); i++) {
		struct approach *a = &approaches[i];
		struct copy *c;

		/* What was good is loaded again, and found to be so no more. */
		if (a->last && !copy_goes_by_address(r))
			continue;
		if ((a->traps != SOURCE && !r->to_user) ||
		    (a->fault && !r->to_user && !r->from_user))
			continue;
		c = copy_init(test);
		a->c = c;
		if (a->fault)
			c->si.fsc = ESR_ELx_FSC_MTE;
		c->si.code = insns.start;
		if (a->traps == DESTINATION)
			copy_init_to_trap(test, c);
		else
			copy_init_trap(test, c);
		if (a->traps == UNMAPPED)
			KUNIT_ASSERT_EQ(test, vm_munmap((unsigned long)c->to, AREA), 0);
		if (a->everywhere)
			c->si.poison[0] = (struct sea_poison){ 0, AREA };
		/* A long copy takes hundreds of traps: at some alignments of its source. */
		while (next_copy(c))
			if (!c->to_align && (c->len <= 300 || c->offset % 5 == 0))
				each_abort(test, a, &insns);
	}
	report_insns(test, &insns);
}

/* Half of a pair of tasks that abort at the same time, at bytes of their own */
struct half {
	struct copy *c;
	struct kunit *test;
	size_t p;
	struct half *other;
	bool ready, running;
	unsigned int wrong;
	unsigned int together;		/* the other one was armed as well */
	struct completion done;
};

static bool together(const struct half *h)
{
	return READ_ONCE(h->together) || READ_ONCE(h->other->together);
}

static void copy_half(struct half *h)
{
	struct copy *c = h->c;
	unsigned long end;

	WRITE_ONCE(h->ready, true);
	while (!READ_ONCE(h->other->ready))
		cond_resched();
	end = jiffies + (num_online_cpus() > 1 ? 20 * HZ : 0);

	/* A host that is busy runs one CPU for longer than all this takes. */
	for (int i = 0; i < 2000 || (!together(h) && time_before(jiffies, end)); i++) {
		unsigned long left;

		WRITE_ONCE(h->running, true);
		left = copy_run(h->test, c, (u8 *)c->si.trap);
		WRITE_ONCE(h->together, h->together + READ_ONCE(h->other->running));
		WRITE_ONCE(h->running, false);
		if (c->r->dies)
			h->wrong += !!death_wrong(c, left, h->p);
		else
			h->wrong += copy_wrong(c, left, c->len - h->p) || c->si.matches != 1;
		h->wrong += __untagged_addr(c->si.fault) != c->si.trap + h->p;
		cond_resched();
	}
}

static int copy_half_thread(void *data)
{
	struct half *h = data;

	copy_half(h);
	/* Not by a return: a module may be gone by then. */
	kthread_complete_and_exit(&h->done, 0);
}

/* Neither sees the other's aborts. */
static void copy_two_tasks(struct kunit *test)
{
	struct half half[2];
	struct task_struct *task;
	int i;

	for (i = 0; i < ARRAY_SIZE(half); i++) {
		half[i] = (struct half) {
			copy_init(test), test, i ? 256 : 64, &half[!i],
		};
		if (i)
			half[1].c->si = half[0].c->si;
		else
			copy_init_trap(test, half[0].c);
		half[i].c->len = half[i].c->r->len ?: 300;
		half[i].c->si.poison[0] = (struct sea_poison){ half[i].p, 1 };
		init_completion(&half[i].done);
	}

	task = kthread_run(copy_half_thread, &half[1], "copy_half");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	copy_half(&half[0]);
	wait_for_completion(&half[1].done);
	KUNIT_EXPECT_EQ(test, half[0].wrong, 0);
	KUNIT_EXPECT_EQ(test, half[1].wrong, 0);
	if (num_online_cpus() > 1)
		KUNIT_EXPECT_GT(test, half[0].together + half[1].together, 0);
}

static void expect_death(struct kunit *test, struct copy *c, const u8 *to,
			 const u8 *from)
{
	unsigned long left = copy_armed(c, (u8 *)to, from);

	if (!c->si.died || c->si.fixed ||
	    memcmp(&c->si.before, &c->si.after, sizeof(c->si.before)))
		copy_fail(test, c, left, "would have lived");
}

/*
 * The next place to abort at, @step bytes on; in a page, where its loop begins and ends,
 * and now and then between, as the access at @p comes behind all that trap before it. A
 * page of more than 4K has thousands of them.
 */
static size_t next_death(const struct copy *c, size_t p, size_t step)
{
	bool big = c->len > SZ_4K;

	if (p >= 256 && p + 512 < c->len)
		return min(p + max(c->len / (big ? 2 : 16), 256), c->len - 512);
	return p + min(c->len, big && p >= 256 ? 8 * step : step);
}

/* What APEI does not claim is fatal. */
static void copy_unclaimed(struct kunit *test)
{
	struct copy *c = copy_init(test);

	copy_init_trap(test, c);
	c->si.claim = -ENOENT;
	c->len = c->r->len ?: 300;
	for (size_t p = 0; p < c->len; p = next_death(c, p, 8)) {
		c->si.poison[0] = (struct sea_poison){ p, 1 };
		expect_death(test, c, copy_to(c), (u8 *)c->si.trap);
		KUNIT_EXPECT_EQ(test, c->si.claims, contract_claims(1, !c->r->dies));
	}
}

/* A caller that cannot be told must not go on with a page that is half copied. */
static void copy_not_mc(struct kunit *test)
{
	struct copy *c = copy_init(test);

	copy_init_trap(test, c);
	c->len = c->r->len;
	for (size_t p = 0; p < c->len; p = next_death(c, p, 16)) {
		c->si.poison[0] = (struct sea_poison){ p, 1 };
		expect_death(test, c, copy_to(c), (u8 *)c->si.trap);
		KUNIT_EXPECT_EQ(test, c->si.claims, contract_claims(1, 0));
	}
}

/* A copy that is going to be executed is not what the instruction cache has of its page. */
static void copy_executed(struct kunit *test)
{
	struct page *from = alloc_page(GFP_KERNEL | __GFP_ZERO), *to = alloc_page(GFP_KERNEL);
	unsigned long *flags;

	if (from && to) {
		flags = (unsigned long *)&to->flags;
		set_bit(PG_dcache_clean, flags);
		KUNIT_EXPECT_EQ(test, copy_mc_user_highpage(to, from, 0, NULL), 0);
		KUNIT_EXPECT_FALSE(test, test_bit(PG_dcache_clean, flags));
		clear_bit(PG_dcache_clean, flags);
	}
	KUNIT_EXPECT_TRUE(test, from && to);
	if (from)
		__free_page(from);
	if (to)
		__free_page(to);
}

/* Faults other than SEAs, or than on the access itself, on the kernel side of a copy */
static void copy_kernel_fault(struct kunit *test)
{
	static const unsigned int fscs[] = {
		ESR_ELx_FSC_FAULT + 3, ESR_ELx_FSC_PERM + 3, ESR_ELx_FSC_ACCESS + 3,
		ESR_ELx_FSC_SEA_TTW(3), ESR_ELx_FSC_SECC_TTW(0),
	};
	struct copy *c = copy_init(test);
	int i;

	copy_init_trap(test, c);
	c->len = c->r->len ?: 300;
	for (i = 0; i < ARRAY_SIZE(fscs); i++) {
		c->si.fsc = fscs[i];
		for (size_t p = 0; p < c->len; p = next_death(c, p, 16)) {
			c->si.poison[0] = (struct sea_poison){ p, 1 };
			expect_death(test, c, copy_to(c), (u8 *)c->si.trap);
			KUNIT_EXPECT_EQ(test, c->si.claims,
					sea_is_sea(c->si.esr) ? contract_claims(1, 0) : 0);
		}
	}
}

/* Does a routine survive an abort on its store to kernel memory? */
static bool store_recovers(const struct copy_routine *r)
{
	return CONTRACT_CPY_STORE_RECOVERS && has_mops() && !r->dies && !r->to_user;
}

/* What is wrong with a copy whose store of its byte @p has been fixed up? */
static const char *failed_store_wrong(const struct copy *c, unsigned long left, size_t p)
{
	/* Who then clears the rest, or tries a single byte, dies of that. */
	bool dies = c->r->zeroes || (copy_tries_again(c->r) && !p);

	if (!c->si.fixed || c->si.died != dies ||
	    c->si.claims != contract_claims(c->si.fixed + c->si.died, c->si.fixed))
		return "not fixed up";
	if (dies)
		return NULL;
	if (c->r->error ? left != (unsigned long)-EFAULT :
			  left < c->len - p || left > c->len)
		return "store said to have been done";
	return NULL;
}

/* An abort on a store to kernel memory, which nobody isolates */
static void copy_kernel_store(struct kunit *test)
{
	struct copy *c = copy_init(test);

	if (c->r->pages)
		KUNIT_ASSERT_EQ(test, sea_inject_page(test, &c->si,
						      virt_to_page(c->to)), 0);
	else
		KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, &c->si, AREA), 0);
	c->len = c->r->len ?: 300;
	for (size_t p = 0; p < c->len; p = next_death(c, p, 16)) {
		c->si.poison[0] = (struct sea_poison){ p, 1 };
		if (store_recovers(c->r)) {
			unsigned long left = copy_armed(c, (u8 *)c->si.trap, c->from);
			const char *why = failed_store_wrong(c, left, p);

			if (why)
				copy_fail(test, c, left, why);
		} else {
			expect_death(test, c, (u8 *)c->si.trap, c->from);
			KUNIT_EXPECT_EQ(test, c->si.claims, contract_claims(1, 0));
		}
		KUNIT_EXPECT_EQ(test, !!(c->si.esr & ESR_ELx_WNR), 1);
	}
}

/*
 * copy_to_user() that fails at the first byte of the destination tries a single byte
 * from the start of the source: that load may be the one that aborts.
 */
static void copy_to_user_retry(struct kunit *test)
{
	struct copy *c = copy_init(test);
	unsigned long left;

	copy_init_trap(test, c);
	KUNIT_ASSERT_EQ(test, vm_munmap((unsigned long)c->to, AREA), 0);
	c->si.poison[0] = (struct sea_poison){ 0, 1 };
	c->si.nth = 2;
	for (c->len = 16; c->len <= 128; c->len *= 2) {
		left = copy_armed(c, copy_to(c), (u8 *)c->si.trap);
		if (left != c->len || c->si.matches != 2 || c->si.fixed != 1)
			copy_fail(test, c, left, "retry not fixed up");
	}
}

static bool look(struct copy *c, const u8 *from)
{
	bool found;

	sea_inject_arm(&c->si);
	found = mem_has_poison(from, c->len);
	sea_inject_disarm(&c->si);
	return found;
}

static struct copy *look_init(struct kunit *test)
{
	struct copy *c = copy_init(test);

	if (c->r->dies)
		kunit_skip(test, "needs COPY_MC_CONTRACT_OURS: mem_has_poison()");
	return c;
}

/* Poison is a single byte. One load meets it, wherever in the range it is. */
static void look_each_byte(struct kunit *test)
{
	struct copy *c = look_init(test);
	size_t p, edge;

	copy_init_edge(test, c);
	while (next_copy(c)) {
		if (c->to_align)
			continue;
		for (p = 0; p < c->len; p += c->len <= 300 ? 1 : 5) {
			edge = c->si.mapped + (c->offset + p) % 16;
			c->si.poison[0] = (struct sea_poison){ edge, 1 };
			if (!look(c, (u8 *)c->si.trap + edge - p) || c->si.fixed != 1 ||
			    c->si.died)
				copy_fail(test, c, p, "poison not met");
		}
	}
}

/* Nothing next to the range is loaded, and nothing in it twice. */
static void look_no_further(struct kunit *test)
{
	struct copy *c = look_init(test);

	copy_init_trap(test, c);
	while (next_copy(c)) {
		size_t most = c->len / 16 + c->len % 16;

		if (c->to_align)
			continue;
		c->offset++;
		c->si.poison[0] = (struct sea_poison){ c->offset - 1, 1 };
		c->si.poison[1] = (struct sea_poison){ c->offset + c->len, 1 };
		if (look(c, (u8 *)c->si.trap + c->offset) || c->si.fixed || c->si.died ||
		    c->si.accesses > most)
			copy_fail(test, c, c->si.accesses, "met what is next to it");
	}
}

/* It does not return the address, which is true as well unless the last byte is 0. */
static void look_aligned(struct kunit *test)
{
	struct copy *c = look_init(test);
	size_t p;

	copy_init_trap(test, c);
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(c->si.trap, 256));
	c->len = 1000;
	for (p = 0; p < c->len; p++) {
		c->si.poison[0] = (struct sea_poison){ p, 1 };
		if (!look(c, (u8 *)c->si.trap) || c->si.fixed != 1)
			copy_fail(test, c, p, "poison not met");
	}
}

/* Two pages compared, one of which traps */
static const struct comparison {
	size_t differ;		/* from this byte on, if less than the page */
	size_t dead;		/* 8 bytes of poison, likewise */
	bool poison;		/* is met */
} comparisons[] = {
	{ PAGE_SIZE, PAGE_SIZE },
	{ 0, PAGE_SIZE }, { 7, PAGE_SIZE }, { 8, PAGE_SIZE }, { 63, PAGE_SIZE },
	{ 64, PAGE_SIZE }, { 2000, PAGE_SIZE }, { PAGE_SIZE - 1, PAGE_SIZE },
	{ PAGE_SIZE, 0, true }, { PAGE_SIZE, 8, true }, { PAGE_SIZE, 64, true },
	{ PAGE_SIZE, 2088, true }, { PAGE_SIZE, PAGE_SIZE - 8, true },
	{ 0, 0, true }, { 2000, 40, true }, { 8, 0, true }, { 2000, 2040, true },
	{ 0, 8 }, { 7, 64 }, { 7, 2560 },	/* the first word is enough */
	{ 8, 64 }, { 63, 64 }, { 64, 128 }, { 2000, 2048 },	/* and so are 64 bytes, ... */
};

static void compare_one(struct kunit *test, struct copy *c, const struct comparison *cmp,
			bool swapped, int sign)
{
	const void *a = (u8 *)c->si.trap, *b = c->from;
	int ret;

	if (cmp->differ < PAGE_SIZE) {
		u8 *byte = (u8 *)c->si.alias + cmp->differ;

		*byte += sign;
		/* 0 is less than 255. */
		sign = *byte > c->pattern[cmp->differ] ? 1 : -1;
	}
	/* The byte behind it has no say. */
	if (cmp->differ < PAGE_SIZE - 1)
		c->si.alias[cmp->differ + 1] = c->pattern[cmp->differ + 1] - sign;
	c->si.poison[0] = (struct sea_poison){ cmp->dead, 8 };
	if (swapped)
		swap(a, b);
	sea_inject_arm(&c->si);
	ret = memcmp_mc(a, b, PAGE_SIZE);
	sea_inject_disarm(&c->si);
	memcpy(c->si.alias, c->pattern, PAGE_SIZE);

	sign = swapped ? -sign : sign;
	if (cmp->poison)
		sign = -1;
	else if (cmp->differ == PAGE_SIZE)
		sign = 0;
	KUNIT_EXPECT_EQ_MSG(test, (ret > 0) - (ret < 0), sign, "%d, %zu, %zu", ret,
			    cmp->differ, cmp->dead);
	KUNIT_EXPECT_EQ(test, c->si.fixed, cmp->poison);
	KUNIT_EXPECT_EQ(test, c->si.died, 0);
}

static void compare_pages(struct kunit *test)
{
	struct copy *c = look_init(test);
	u8 *ones;
	int i, j;

	copy_init_trap(test, c);
	for (i = 0; i < ARRAY_SIZE(comparisons); i++)
		for (j = 0; j < 4; j++)
			compare_one(test, c, &comparisons[i], j & 1, j & 2 ? 1 : -1);

	/* Nothing is greater than a word of ones. */
	ones = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ones);
	memset(ones, 0xff, sizeof(u64));
	KUNIT_EXPECT_LT(test, memcmp_mc(c->pattern, ones, PAGE_SIZE), 0);
	KUNIT_EXPECT_GT(test, memcmp_mc(ones, c->pattern, PAGE_SIZE), 0);
}

/* A copy, and the same once more with a genuine abort */
struct both {
	struct copy *c;
	struct sea_inject simulated;	/* its record of the first */
	unsigned long left;
	u8 *bytes;			/* where that went to, and what else there was */
	const char *(*wrong)(struct copy *c, unsigned long left, size_t p);
	bool few;			/* alignments and loads, */
	bool one;			/* or one of them, as somebody dies of each */
	u8 tag;				/* of the address of the source, 0 for none */
};

static struct both *both_init(struct kunit *test, bool to_trap)
{
	struct both *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->bytes = kunit_kzalloc(test, AREA, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b->bytes);
	b->wrong = poisoned_wrong;
	b->c = copy_init(test);
	copy_init_both(test, b->c, to_trap);
	b->few = b->c->r->wrapper;
	return b;
}

/* Is the second what the first was? */
static const char *both_wrong(struct kunit *test, struct both *b, bool genuine,
			      unsigned long left, const u8 *bytes, size_t n)
{
	if (!genuine) {
		b->simulated = b->c->si;
		b->left = left;
		memcpy(b->bytes, bytes, n);
		return NULL;
	}
	if (b->left != left || memcmp(b->bytes, bytes, n))
		return "result other than with a simulated abort";
	if (!sea_same(test, &b->simulated, &b->c->si, b->c->r->wrapper || b->c->r->pages))
		return "abort other than the simulated one";
	return NULL;
}

/* The source aborts from its byte @p on. */
static void both_from(struct kunit *test, struct both *b, size_t p)
{
	struct copy *c = b->c;
	unsigned long source = b->tag ? tagged(c->si.trap, b->tag) : c->si.trap;
	unsigned int genuine;

	c->offset = c->si.mapped - p;
	for (genuine = 0; genuine < 2; genuine++) {
		unsigned long left;
		const char *why;

		sea_edge_switch(test, &c->edge, genuine);
		left = copy_run(test, c, (u8 *)source);
		why = b->wrong(c, left, p);
		if (!why)
			why = both_wrong(test, b, genuine, left, copy_seen(c),
					 c->len + 2 * REDZONE);
		if (why) {
			kunit_err(test, "%s\n", genuine ? "genuine" : "simulated");
			copy_fail(test, c, left, why);
		}
	}
}

/* Of long copies not every load is tried. */
static size_t both_step(const struct both *b, size_t p)
{
	const struct copy *c = b->c;

	if (c->r->pages)
		return c->len;
	if (b->few || b->one)
		return 208;
	return c->r->len || p < 80 || c->len - p < 300 ? 16 : 208;
}

static bool both_take(const struct both *b)
{
	const struct copy *c = b->c;

	if (b->one)
		return !c->to_align && -c->offset % 16 == c->len / 2 % 16;
	if (b->few)
		return !c->to_align && !(c->offset % 5);
	return takes_turn(c);
}

/*
 * With its whole page dead, the first byte that aborts is on a page boundary: which one
 * that is of the source follows from the alignment of that, modulo 16.
 */
static void both_copies(struct kunit *test, struct both *b)
{
	struct copy *c = b->c;
	unsigned int pairs = 0;
	size_t p;

	while (next_copy(c)) {
		if (!both_take(b))
			continue;
		for (p = -c->offset % 16; p < c->len; p += both_step(b, p)) {
			/* The page ends as well. */
			if (c->len - p > PAGE_SIZE)
				continue;
			both_from(test, b, p);
			pairs++;
		}
	}
	KUNIT_EXPECT_NE(test, pairs, 0);
	kunit_info(test, "%s: %u pairs of aborts, last %#lx %#lx\n", c->r->name, pairs,
		   b->simulated.esr, c->si.esr);
}

static void both_poisoned(struct kunit *test)
{
	both_copies(test, both_init(test, false));
}

/* The tag of the source's address is in the fault address, too. */
static void both_tagged(struct kunit *test)
{
	struct both *b;

	if (!kasan_hw_tags_enabled())
		kunit_skip(test, "needs KASAN_TAGS");
	b = both_init(test, false);
	b->few = true;
	b->tag = 0xf3;
	both_copies(test, b);
	KUNIT_EXPECT_EQ(test, b->c->si.fault >> 56, b->tag);
}

static void both_poisoned_irqs_off(struct kunit *test)
{
	struct both *b = both_init(test, false);
	struct copy *c = b->c;

	c->si.claim = -EINPROGRESS;
	c->irqs_off = !c->r->from_user && !c->r->to_user;
	c->len = c->r->len ?: 300;
	both_from(test, b, c->r->pages ? 0 : c->len / 2);
}

static void both_unclaimed(struct kunit *test)
{
	struct both *b = both_init(test, false);

	b->wrong = death_wrong;
	b->one = true;
	b->c->si.claim = -ENOENT;
	both_copies(test, b);
}

/* What is wrong with a copy whose destination, in @bytes, aborts from its byte @p on? */
static const char *store_wrong(struct copy *c, unsigned long left, size_t p, const u8 *bytes)
{
	bool lives = c->r->to_user || store_recovers(c->r);
	size_t start = c->si.mapped - p;
	size_t end = lives ? c->si.mapped : start + c->len;

	if (!(c->si.esr & ESR_ELx_WNR))
		return "no store";
	if (!lives && (!c->si.died || c->si.fixed || left ||
		       c->si.claims != contract_claims(c->si.died, 0)))
		return "would have lived";
	if (store_recovers(c->r)) {
		const char *why = failed_store_wrong(c, left, p);

		if (why || c->si.died)
			return why;
		if (c->r->error)
			left = c->len;
	}
	if (c->r->to_user && (!c->si.fixed || c->si.died || c->si.claims != c->si.fixed ||
			      left < c->len - p || left > c->len))
		return "not fixed up";
	/* It may have stored more than it counts, but nothing where the store aborts. */
	if (memcmp(bytes + start, c->pattern, c->len - left))
		return "wrong bytes copied";
	if (memchr_inv(bytes, 0, start) || memchr_inv(bytes + end, 0, c->si.size - end))
		return "something else changed";
	return NULL;
}

static void both_to(struct kunit *test, struct both *b, size_t p, u8 *bytes)
{
	struct copy *c = b->c;
	unsigned int genuine;

	for (genuine = 0; genuine < 2; genuine++) {
		unsigned long left;
		const char *why;

		memset(bytes, 0, c->si.size);
		sea_edge_switch(test, &c->edge, genuine);
		sea_edge_write(test, &c->edge, bytes);
		left = copy_armed(c, (u8 *)sea_edge(&c->edge) - p, c->from);
		sea_edge_read(test, &c->edge, bytes);
		why = store_wrong(c, left, p, bytes);
		/* Of a store across the boundary some CPUs do the first part. */
		if (!why)
			why = both_wrong(test, b, genuine, left, bytes + c->si.mapped, PAGE_SIZE);
		if (why) {
			kunit_err(test, "%s\n", genuine ? "genuine" : "simulated");
			copy_fail(test, c, left, why);
		}
	}
}

/* A dead page aborts stores as well, which few machines do. */
static void both_store(struct kunit *test)
{
	struct both *b = both_init(test, true);
	u8 *bytes = kunit_kzalloc(test, AREA, GFP_KERNEL);
	size_t p;

	KUNIT_ASSERT_NOT_NULL(test, bytes);
	b->c->len = b->c->r->len ?: 300;
	/* copy_page() knows by the destination where a page ends. */
	for (p = 0; p < b->c->len; p += b->c->r->len ?: 7)
		both_to(test, b, p, bytes);
}

#define SLOW		{ .speed = KUNIT_SPEED_SLOW }
#define VERY_SLOW	{ .speed = KUNIT_SPEED_VERY_SLOW }

static struct kunit_case in_kernel_cases[] = {
	KUNIT_CASE_PARAM(copy_success, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_irqs_off, in_kernel_gen_params),
	KUNIT_CASE_PARAM_ATTR(copy_each_entry, in_kernel_gen_params, SLOW),
	KUNIT_CASE_PARAM(copy_unclaimed, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_fault, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_store, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_poison_ranges, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_poison_before, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_fault_address, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_tagged, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_two_tasks, in_kernel_gen_params),
	KUNIT_CASE_PARAM_ATTR(copy_sweep, in_kernel_gen_params, VERY_SLOW),
	KUNIT_CASE_PARAM_ATTR(copy_sweep_success, in_kernel_gen_params, VERY_SLOW),
	KUNIT_CASE_PARAM(copy_success, lookers_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, lookers_gen_params),
	KUNIT_CASE_PARAM_ATTR(copy_each_entry, lookers_gen_params, SLOW),
	KUNIT_CASE_PARAM(copy_kernel_fault, lookers_gen_params),
	KUNIT_CASE_PARAM(copy_two_tasks, lookers_gen_params),
	KUNIT_CASE_PARAM(look_each_byte, lookers_gen_params),
	KUNIT_CASE_PARAM(look_no_further, lookers_gen_params),
	KUNIT_CASE_PARAM(look_aligned, lookers_gen_params),
	KUNIT_CASE_PARAM(compare_pages, lookers_gen_params),
	{}
};

static struct kunit_case pages_cases[] = {
	KUNIT_CASE_PARAM(copy_success, of_pages_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, of_pages_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, of_pages_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, of_pages_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_irqs_off, of_pages_gen_params),
	KUNIT_CASE_PARAM_ATTR(copy_each_entry, of_pages_gen_params, SLOW),
	KUNIT_CASE_PARAM(copy_unclaimed, of_pages_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_fault, of_pages_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_store, of_pages_gen_params),
	KUNIT_CASE_PARAM(copy_two_tasks, of_pages_gen_params),
	KUNIT_CASE(copy_executed),
	KUNIT_CASE_PARAM(copy_success, page_iters_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, page_iters_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, page_iters_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, page_iters_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_irqs_off, page_iters_gen_params),
	KUNIT_CASE_PARAM(copy_unclaimed, page_iters_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_fault, page_iters_gen_params),
	{}
};

static struct kunit_case to_user_cases[] = {
	KUNIT_CASE_PARAM(copy_success, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_irqs_off, to_users_gen_params),
	KUNIT_CASE_PARAM_ATTR(copy_each_entry, to_users_gen_params, SLOW),
	KUNIT_CASE_PARAM(copy_unclaimed, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_fault, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_to_user_retry, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_poison_ranges, to_users_gen_params),
	KUNIT_CASE_PARAM_ATTR(copy_sweep, to_users_gen_params, VERY_SLOW),
	KUNIT_CASE_PARAM_ATTR(copy_sweep_success, to_users_gen_params, VERY_SLOW),
	{}
};

static struct kunit_case from_user_cases[] = {
	KUNIT_CASE_PARAM(copy_success, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_irqs_off, from_users_gen_params),
	KUNIT_CASE_PARAM_ATTR(copy_each_entry, from_users_gen_params, SLOW),
	KUNIT_CASE_PARAM(copy_unclaimed, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_store, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_poison_ranges, from_users_gen_params),
	KUNIT_CASE_PARAM_ATTR(copy_sweep, from_users_gen_params, VERY_SLOW),
	KUNIT_CASE_PARAM_ATTR(copy_sweep_success, from_users_gen_params, VERY_SLOW),
	{}
};

static struct kunit_case get_user_cases[] = {
	KUNIT_CASE_PARAM(copy_success, get_users_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, get_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, get_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, get_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_irqs_off, get_users_gen_params),
	KUNIT_CASE_PARAM_ATTR(copy_each_entry, get_users_gen_params, SLOW),
	KUNIT_CASE_PARAM(copy_unclaimed, get_users_gen_params),
	{}
};

static struct kunit_case not_mc_cases[] = {
	KUNIT_CASE_PARAM(copy_success, not_mc_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, not_mc_gen_params),
	KUNIT_CASE_PARAM(copy_not_mc, not_mc_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_fault, not_mc_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_store, not_mc_gen_params),
	{}
};

/* These need the rig. */
static struct kunit_case genuine_cases[] = {
	KUNIT_CASE_PARAM(both_poisoned, in_kernel_gen_params),
	KUNIT_CASE_PARAM(both_poisoned, lookers_gen_params),
	KUNIT_CASE_PARAM(both_poisoned, of_pages_gen_params),
	KUNIT_CASE_PARAM(both_poisoned, page_iters_gen_params),
	KUNIT_CASE_PARAM(both_poisoned, to_users_gen_params),
	KUNIT_CASE_PARAM(both_poisoned, from_users_gen_params),
	KUNIT_CASE_PARAM(both_poisoned, get_users_gen_params),
	KUNIT_CASE_PARAM(both_tagged, in_kernel_gen_params),
	KUNIT_CASE_PARAM(both_poisoned_irqs_off, in_kernel_gen_params),
	KUNIT_CASE_PARAM(both_poisoned_irqs_off, of_pages_gen_params),
	KUNIT_CASE_PARAM(both_unclaimed, in_kernel_gen_params),
	KUNIT_CASE_PARAM(both_unclaimed, lookers_gen_params),
	KUNIT_CASE_PARAM(both_unclaimed, of_pages_gen_params),
	KUNIT_CASE_PARAM(both_unclaimed, to_users_gen_params),
	KUNIT_CASE_PARAM(both_unclaimed, from_users_gen_params),
	KUNIT_CASE_PARAM(both_unclaimed, get_users_gen_params),
	KUNIT_CASE_PARAM(both_unclaimed, not_mc_gen_params),
	KUNIT_CASE_PARAM(both_store, in_kernel_gen_params),
	KUNIT_CASE_PARAM(both_store, of_pages_gen_params),
	KUNIT_CASE_PARAM(both_store, to_users_gen_params),
	KUNIT_CASE_PARAM(both_store, from_users_gen_params),
	KUNIT_CASE_PARAM(both_store, not_mc_gen_params),
	{}
};

static struct kunit_suite in_kernel_suite = {
	.name = "copy_mc_in_kernel",
	.test_cases = in_kernel_cases,
};

static struct kunit_suite pages_suite = {
	.name = "copy_mc_pages",
	.test_cases = pages_cases,
};

static struct kunit_suite to_user_suite = {
	.name = "copy_mc_to_user",
	.test_cases = to_user_cases,
};

static struct kunit_suite from_user_suite = {
	.name = "copy_mc_from_user",
	.test_cases = from_user_cases,
};

static struct kunit_suite get_user_suite = {
	.name = "copy_mc_get_user",
	.test_cases = get_user_cases,
};

static struct kunit_suite not_mc_suite = {
	.name = "copy_not_mc",
	.test_cases = not_mc_cases,
};

static struct kunit_suite genuine_suite = {
	.name = "copy_mc_genuine",
	.test_cases = genuine_cases,
};

kunit_test_suites(&in_kernel_suite, &pages_suite, &to_user_suite,
		  &from_user_suite, &get_user_suite, &not_mc_suite, &genuine_suite);

/* Of all suites, as they are one module */
MODULE_DESCRIPTION("KUnit tests of the copies that survive memory errors");
MODULE_LICENSE("GPL");
/* MODULE_IMPORT_NS() takes a name in 6.12, and a string later. */
MODULE_INFO(import_ns, "EXPORTED_FOR_KUNIT_TESTING");
