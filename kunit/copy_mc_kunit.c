// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the copy routines promise when their source holds poison.
 *
 * A routine is a row of a table, a length or an alignment an element of one: adding
 * it there is all it takes to have it go through every case.
 */

#include <kunit/test.h>
#include <linux/cpufeature.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <asm/copy_mc.h>

#include "sea_inject.h"

/* Bytes on either side of the destination that must not change */
#define REDZONE		64
#define FILL		0xee
#define MAX_LEN		(2 * PAGE_SIZE)
#define AREA		(MAX_LEN + 2 * PAGE_SIZE)

/* memcpy_mc.S and copy_template.S: loads run up to 48 bytes ahead of stores. */
#define MAX_OVER	63

/* Each returns the number of bytes not copied, or an error where it knows no more. */
struct routine {
	const char *name;
	unsigned long (*copy)(void *to, const void *from, size_t n);
	size_t len;		/* the only length it knows; 0: any */
	bool from_user;
	bool to_user;
	bool pages;		/* looks at struct page */
	bool error;		/* no count, -EFAULT */
	bool zeroes;		/* on an error, clears the destination */
	bool retries;		/* tries a single byte before it gives up */
};

static unsigned long to_kernel(void *to, const void *from, size_t n)
{
	return copy_mc_to_kernel(to, from, n);
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

static unsigned long to_kvec(void *to, const void *from, size_t n)
{
	struct kvec kvec = { .iov_base = to, .iov_len = n };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_DEST, &kvec, 1, n);
	return n - _copy_mc_to_iter(from, n, &iter);
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

static const struct routine in_kernel[] = {
	{ "copy_mc_to_kernel", to_kernel },
	{ "_copy_mc_to_iter kvec", to_kvec },
	{ "copy_mc_page", page, PAGE_SIZE, .error = true },
	{ "copy_mc_highpage", highpage, PAGE_SIZE, .pages = true, .error = true },
	{ "copy_mc_user_highpage", user_highpage, PAGE_SIZE, .pages = true, .error = true },
};

static const struct routine to_users[] = {
	{ "copy_to_user", to_user, .to_user = true },
	{ "copy_mc_to_user", mc_to_user, .to_user = true },
	{ "_copy_mc_to_iter ubuf", to_ubuf, .to_user = true },
};

static const struct routine from_users[] = {
	{ "raw_copy_from_user", from_user, .from_user = true, .retries = true },
};

static const struct routine get_users[] = {
	{ "get_user u8", get_u8, 1, .from_user = true, .error = true, .zeroes = true },
	{ "get_user u16", get_u16, 2, .from_user = true, .error = true, .zeroes = true },
	{ "get_user u32", get_u32, 4, .from_user = true, .error = true, .zeroes = true },
	{ "get_user u64", get_u64, 8, .from_user = true, .error = true, .zeroes = true },
};

static const struct routine not_mc[] = {
	{ "copy_page", plain_page, PAGE_SIZE },
	{ "copy_highpage", plain_highpage, PAGE_SIZE, .pages = true },
};

KUNIT_ARRAY_PARAM_DESC(in_kernel, in_kernel, name);
KUNIT_ARRAY_PARAM_DESC(to_users, to_users, name);
KUNIT_ARRAY_PARAM_DESC(from_users, from_users, name);
KUNIT_ARRAY_PARAM_DESC(get_users, get_users, name);
KUNIT_ARRAY_PARAM_DESC(not_mc, not_mc, name);

static const size_t lengths[] = {
	1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 79, 80, 100,
	127, 128, 129, 150, 191, 192, 193, 255, 256, 257, 300, PAGE_SIZE - 1, PAGE_SIZE + 77,
};

static const size_t to_aligns[] = { 0, 1, 8 };

/*
 * The longer the copy, the fewer of its bytes are tried as the poisoned one; of a
 * page, one for each load.
 */
static size_t poison_step(size_t len)
{
	if (len <= 80)
		return 1;
	if (len <= 300)
		return 7;
	return len == PAGE_SIZE ? 16 : 509;
}

struct copy {
	const struct routine *r;
	unsigned int nr;	/* of combinations of these so far */
	size_t len, from_align, to_align;
	struct sea_inject si;
	u8 *pattern;		/* what the source holds */
	u8 *from;		/* a source that nothing is wrong with */
	u8 *to;			/* AREA bytes, page aligned */
	u8 *seen;		/* a copy of it, if that is user memory */
};

static void free_area(void *p)
{
	free_pages((unsigned long)p, get_order(AREA));
}

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

/* Destination and a good source; where the poisoned one is, is up to the case */
static struct copy *copy_init(struct kunit *test)
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
	c->from = c->r->from_user ? user_area(test) : kernel_area(test);
	if (c->r->from_user)
		KUNIT_ASSERT_EQ(test, copy_to_user((__force void __user *)c->from,
						   c->pattern, AREA), 0);
	else
		memcpy(c->from, c->pattern, AREA);

	return c;
}

/* A source that traps */
static void copy_init_trap(struct kunit *test, struct copy *c)
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

static u8 *copy_to(const struct copy *c)
{
	return c->to + PAGE_SIZE + c->to_align;
}

static unsigned long copy_run(struct kunit *test, struct copy *c, const u8 *from)
{
	u8 *start = copy_to(c) - REDZONE;
	size_t size = c->len + 2 * REDZONE;
	unsigned long left;

	if (c->r->to_user) {
		memset(c->seen, FILL, size);
		KUNIT_ASSERT_EQ(test, copy_to_user((__force void __user *)start,
						   c->seen, size), 0);
	} else {
		memset(start, FILL, size);
	}

	sea_inject_arm(&c->si);
	left = c->r->copy(copy_to(c), from, c->len);
	sea_inject_disarm(&c->si);

	if (c->r->to_user)
		KUNIT_ASSERT_EQ(test, copy_from_user(c->seen, (__force void __user *)start,
						     size), 0);
	return left;
}

/*
 * Check what holds for any correct routine: @left bytes, and at least the @bad
 * last ones, are not copied. Returns the reason if it does not hold.
 */
static const char *copy_wrong(struct copy *c, unsigned long left, size_t bad)
{
	const u8 *red = c->r->to_user ? c->seen : copy_to(c) - REDZONE;
	const u8 *got = red + REDZONE;
	size_t n = c->len;
	size_t good = n;

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
		if (left > bad + (bad ? MAX_OVER : 0))
			return "too many bytes said to be left";
		good = n - left;
	}

	if (memcmp(got, c->pattern + c->from_align, good))
		return "wrong bytes copied";
	if (bad && c->r->zeroes && memchr_inv(got, 0, n))
		return "destination not cleared";
	if (memchr_inv(red, FILL, REDZONE))
		return "red zone before the destination changed";
	if (memchr_inv(got + n, FILL, REDZONE))
		return "red zone behind the destination changed";
	if (c->si.alias && memcmp(c->si.alias, c->pattern, c->si.size))
		return "source changed";

	return NULL;
}

/* Enough to rerun the copy */
static void copy_fail(struct kunit *test, const struct copy *c, unsigned long left,
		      const char *why)
{
	KUNIT_FAIL(test,
		   "%s: %s: returned %ld; len %zu, from %%16 = %zu, to %%16 = %zu, poison at %zu, abort at %pS, fixed up %u, died %u (%s)\n",
		   c->r->name, why, left, c->len, c->from_align, c->to_align,
		   c->si.poison[0].offset - c->from_align, (void *)c->si.before.pc,
		   c->si.fixed, c->si.died, c->si.msg ?: "not at all");
}

/* The next combination of length and alignments the routine knows, if there is one */
static bool next_copy(struct copy *c)
{
	bool page = c->r->len == PAGE_SIZE;
	unsigned int nr_from_aligns = page ? 1 : 16;
	unsigned int nr_to_aligns = page ? 1 : ARRAY_SIZE(to_aligns);
	unsigned int nr_lengths = c->r->len ? 1 : ARRAY_SIZE(lengths);
	unsigned int i = c->nr++;

	cond_resched();

	c->from_align = i % nr_from_aligns;
	i /= nr_from_aligns;
	c->to_align = to_aligns[i % nr_to_aligns];
	i /= nr_to_aligns;
	c->len = c->r->len ?: lengths[i % nr_lengths];
	return i < nr_lengths;
}

/* Nothing wrong with the source, and no hook in between */
static void copy_success(struct kunit *test)
{
	struct copy *c = copy_init(test);
	unsigned long left;
	const char *why;

	while (next_copy(c)) {
		left = copy_run(test, c, c->from + c->from_align);
		why = copy_wrong(c, left, 0);
		if (why) {
			copy_fail(test, c, left, why);
			return;
		}
	}
}

/* The hook lets every access happen: what the cases below assert is its doing. */
static void copy_unpoisoned(struct kunit *test)
{
	struct copy *c = copy_init(test);
	unsigned long left;
	const char *why;

	copy_init_trap(test, c);
	while (next_copy(c)) {
		left = copy_run(test, c, (u8 *)c->si.trap + c->from_align);
		why = copy_wrong(c, left, 0);
		if (!why && !c->si.accesses)
			why = "source not accessed";
		if (why) {
			copy_fail(test, c, left, why);
			return;
		}
	}
}

static bool has_mops(void)
{
	return IS_ENABLED(CONFIG_AS_HAS_MOPS) && cpus_have_final_cap(ARM64_HAS_MOPS);
}

/* One fixup serves both sides of a CPY* instruction, and the user's side retries. */
static bool copy_retries(const struct routine *r)
{
	return r->retries || (r->to_user && has_mops());
}

static bool poisoned_copies(struct kunit *test, struct copy *c)
{
	size_t last = c->len - 1;
	size_t p = 0;

	do {
		unsigned long left;
		const char *why;

		c->si.poison[0] = (struct sea_poison){ c->from_align + p, 1 };
		left = copy_run(test, c, (u8 *)c->si.trap + c->from_align);
		why = copy_wrong(c, left, c->len - p);
		if (!why && (!c->si.fixed || c->si.died || c->si.retried))
			why = "not fixed up";
		if (!why && c->si.fixed > 1 + copy_retries(c->r))
			why = "consumed the poison again";
		if (!why && c->si.claims != c->si.fixed)
			why = "not claimed once an abort";
		if (why) {
			copy_fail(test, c, left, why);
			return false;
		}

		p = p == last ? c->len : min(p + poison_step(c->len), last);
	} while (p < c->len);

	return true;
}

/* One poisoned byte, wherever it may be */
static void copy_poisoned(struct kunit *test)
{
	struct copy *c = copy_init(test);

	copy_init_trap(test, c);
	while (next_copy(c))
		if (!poisoned_copies(test, c))
			return;
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
		if (!poisoned_copies(test, c))
			return;
}

/* The same with the work of APEI still to be done, as with interrupts disabled */
static void copy_poisoned_inprogress(struct kunit *test)
{
	struct copy *c = copy_init(test);

	copy_init_trap(test, c);
	c->si.claim = -EINPROGRESS;
	c->len = c->r->len ?: 300;
	poisoned_copies(test, c);
}

static void expect_death(struct kunit *test, struct copy *c, const u8 *to,
			 const u8 *from)
{
	unsigned long left;

	sea_inject_arm(&c->si);
	left = c->r->copy((void *)to, from, c->len);
	sea_inject_disarm(&c->si);

	if (!c->si.died || c->si.fixed ||
	    memcmp(&c->si.before, &c->si.after, sizeof(c->si.before)))
		copy_fail(test, c, left, "would have lived");
}

/* What APEI does not claim is fatal. */
static void copy_unclaimed(struct kunit *test)
{
	struct copy *c = copy_init(test);

	copy_init_trap(test, c);
	c->si.claim = -ENOENT;
	c->len = c->r->len ?: 300;
	for (size_t p = 0; p < c->len; p += min(c->len, 8)) {
		c->si.poison[0] = (struct sea_poison){ p, 1 };
		expect_death(test, c, copy_to(c), (u8 *)c->si.trap);
		KUNIT_EXPECT_EQ(test, c->si.claims, 1);
	}
}

/* A caller that cannot be told must not go on with a page that is half copied. */
static void copy_not_mc(struct kunit *test)
{
	struct copy *c = copy_init(test);

	copy_init_trap(test, c);
	c->len = c->r->len;
	for (size_t p = 0; p < c->len; p += 16) {
		c->si.poison[0] = (struct sea_poison){ p, 1 };
		expect_death(test, c, copy_to(c), (u8 *)c->si.trap);
		KUNIT_EXPECT_EQ(test, c->si.claims, 0);
	}
}

/* Faults other than SEAs, on the kernel side of a copy */
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
		for (size_t p = 0; p < c->len; p += min(c->len, 16)) {
			c->si.poison[0] = (struct sea_poison){ p, 1 };
			expect_death(test, c, copy_to(c), (u8 *)c->si.trap);
			KUNIT_EXPECT_EQ(test, c->si.claims, 0);
		}
	}
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
	for (size_t p = 0; p < c->len; p += min(c->len, 16)) {
		c->si.poison[0] = (struct sea_poison){ p, 1 };
		expect_death(test, c, (u8 *)c->si.trap, c->from);
		KUNIT_EXPECT_EQ(test, !!(c->si.esr & ESR_ELx_WNR), 1);
		KUNIT_EXPECT_EQ(test, c->si.claims, 0);
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
		sea_inject_arm(&c->si);
		left = c->r->copy(copy_to(c), (u8 *)c->si.trap, c->len);
		sea_inject_disarm(&c->si);
		if (left != c->len || c->si.matches != 2 || c->si.fixed != 1)
			copy_fail(test, c, left, "retry not fixed up");
	}
}

static struct kunit_case in_kernel_cases[] = {
	KUNIT_CASE_PARAM(copy_success, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_inprogress, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_unclaimed, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_fault, in_kernel_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_store, in_kernel_gen_params),
	{}
};

static struct kunit_case to_user_cases[] = {
	KUNIT_CASE_PARAM(copy_success, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_inprogress, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_unclaimed, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_fault, to_users_gen_params),
	KUNIT_CASE_PARAM(copy_to_user_retry, to_users_gen_params),
	{}
};

static struct kunit_case from_user_cases[] = {
	KUNIT_CASE_PARAM(copy_success, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_inprogress, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_unclaimed, from_users_gen_params),
	KUNIT_CASE_PARAM(copy_kernel_store, from_users_gen_params),
	{}
};

static struct kunit_case get_user_cases[] = {
	KUNIT_CASE_PARAM(copy_success, get_users_gen_params),
	KUNIT_CASE_PARAM(copy_unpoisoned, get_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned, get_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_option_b, get_users_gen_params),
	KUNIT_CASE_PARAM(copy_poisoned_inprogress, get_users_gen_params),
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

static struct kunit_suite in_kernel_suite = {
	.name = "copy_mc_in_kernel",
	.test_cases = in_kernel_cases,
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

kunit_test_suites(&in_kernel_suite, &to_user_suite, &from_user_suite,
		  &get_user_suite, &not_mc_suite);

MODULE_DESCRIPTION("KUnit tests of copies from poisoned memory");
MODULE_LICENSE("GPL");
