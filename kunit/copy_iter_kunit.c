// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an iterator remembers of poison: a short copy is not tried again, by whatever
 * loop, and what was before the poison is there.
 */

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/random.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <asm/sysreg.h>

#include "contract/contract.h"
#include "inject/copy_case.h"

#define SEGMENTS	3

/* What may be lost of the piece, or the page, in which the poison is */
#define MAX_OVER	((CONTRACT_COUNT == COUNT_ALL_LEFT) ? (int)PAGE_SIZE : CONTRACT_MAX_OVER)

/* Before 7.0, flags are a number. */
#ifndef EMPTY_VMA_FLAGS
#define EMPTY_VMA_FLAGS	0
#endif

/**
 * struct source - an iterator over memory that traps
 * @si: the abort
 * @pattern: what the memory holds
 * @kvec: its pieces
 * @iovec: its pieces, if it is user memory
 * @iter: the iterator, over all of it
 * @to: destination
 * @size: of all, in bytes
 * @user: it is user memory
 */
struct source {
	struct sea_inject si;
	u8 *pattern;
	union {
		struct kvec kvec[SEGMENTS];
		struct iovec iovec[SEGMENTS];
	};
	struct iov_iter iter;
	u8 *to;
	size_t size;
	bool user;
};

/* What dies has nothing to remember; in_kernel[] and page_iters[] of copy_mc_kunit.c say so. */
static void need_iter(struct kunit *test)
{
	if (!CONTRACT_ITER_RECOVERS)
		kunit_skip(test, "needs COPY_MC_CONTRACT_OURS: iterators that remember");
}

/* A copy from or to user memory has met the poison, which may be in its first byte. */
static void user_aborts(struct kunit *test, const struct sea_inject *si)
{
	KUNIT_ASSERT_GE(test, si->fixed, 1);
	KUNIT_ASSERT_LE(test, si->fixed, 1 + CONTRACT_USER_AGAIN);
}

static struct source *source_alloc(struct kunit *test, size_t size, bool user)
{
	struct source *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	size_t i;

	need_iter(test);
	KUNIT_ASSERT_NOT_NULL(test, s);
	s->size = size;
	s->pattern = kunit_kzalloc(test, size, GFP_KERNEL);
	s->to = kunit_kzalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s->pattern);
	KUNIT_ASSERT_NOT_NULL(test, s->to);
	for (i = 0; i < size; i++)
		s->pattern[i] = (i * 7 + i / 251) | 1;
	s->user = user;
	KUNIT_ASSERT_EQ(test, (user ? sea_inject_user : sea_inject_alloc)(test, &s->si,
									  PAGE_ALIGN(size)), 0);
	memcpy(s->si.alias, s->pattern, size);
	s->si.fsc = ESR_ELx_FSC_EXTABT;
	return s;
}

static struct source *source_init(struct kunit *test, size_t size)
{
	return source_alloc(test, size, false);
}

/* Anew, in pieces that are no multiples of anything; poison from byte @p on */
static void source_begin(struct source *s, size_t p)
{
	size_t start[SEGMENTS + 1] = { 0, s->size / 5, s->size / 2 + 1, s->size };
	int i;

	for (i = 0; i < SEGMENTS; i++)
		s->kvec[i] = (struct kvec){ (u8 *)s->si.trap + start[i], start[i + 1] - start[i] };
	if (s->user)
		iov_iter_init(&s->iter, ITER_SOURCE, s->iovec, SEGMENTS, s->size);
	else
		iov_iter_kvec(&s->iter, ITER_SOURCE, s->kvec, SEGMENTS, s->size);
	memset(s->to, 0, s->size);
	s->si.poison[0] = (struct sea_poison){ p, s->size - p };
}

/* What is copied; @from_start is how much has been before */
static size_t source_copy(struct source *s, size_t from_start, size_t n)
{
	size_t copied;

	sea_inject_arm(&s->si);
	copied = copy_from_iter(s->to + from_start, n, &s->iter);
	sea_inject_disarm(&s->si);
	return copied;
}

/* The poison is met once; who asks after that is told, and nothing loads it again. */
static void told_once(struct kunit *test, struct source *s, size_t p)
{
	size_t n = s->size, good;
	struct iov_iter copy;

	source_begin(s, p);
	KUNIT_ASSERT_EQ(test, fault_in_iov_iter_readable(&s->iter, n), 0);
	good = source_copy(s, 0, n);
	KUNIT_ASSERT_LE(test, good, p);
	KUNIT_ASSERT_LE(test, p - good, MAX_OVER);
	KUNIT_ASSERT_EQ(test, s->si.fixed, 1);
	KUNIT_ASSERT_EQ(test, iov_iter_count(&s->iter), n - good);
	KUNIT_ASSERT_EQ(test, memcmp(s->to, s->pattern, good), 0);

	/* From where it is, */
	KUNIT_ASSERT_EQ(test, fault_in_iov_iter_readable(&s->iter, n - good), n - good);
	KUNIT_ASSERT_EQ(test, fault_in_iov_iter_readable(&s->iter, 1), 1);
	KUNIT_ASSERT_EQ(test, source_copy(s, good, n - good), 0);
	KUNIT_ASSERT_EQ(test, s->si.accesses, 0);
	copy = s->iter;
	KUNIT_ASSERT_EQ(test, fault_in_iov_iter_readable(&copy, n - good), n - good);

	/* from the start once more, as who has had no room for it */
	iov_iter_revert(&s->iter, good);
	KUNIT_ASSERT_EQ(test, fault_in_iov_iter_readable(&s->iter, n), n - good);
	KUNIT_ASSERT_EQ(test, fault_in_iov_iter_readable(&s->iter, good), 0);
	memset(s->to, 0, n);
	KUNIT_ASSERT_EQ(test, source_copy(s, 0, n), good);
	KUNIT_ASSERT_EQ(test, s->si.matches, 0);
	KUNIT_ASSERT_EQ(test, memcmp(s->to, s->pattern, good), 0);

	/* and in two steps, of which the second ends there. */
	iov_iter_revert(&s->iter, good);
	KUNIT_ASSERT_EQ(test, source_copy(s, 0, good / 2), good / 2);
	KUNIT_ASSERT_EQ(test, source_copy(s, good / 2, n), good - good / 2);
	KUNIT_ASSERT_EQ(test, s->si.matches, 0);
	KUNIT_ASSERT_EQ(test, memcmp(s->to, s->pattern, good), 0);
}

static void iter_remembers(struct kunit *test)
{
	struct source *s = source_init(test, 300);
	size_t p;

	for (p = 0; p < s->size; p++)
		told_once(test, s, p);
}

KUNIT_DEFINE_ACTION_WRAPPER(put_pages, put_page, struct page *);

static struct page *some_pages(struct kunit *test, unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_pages, page), 0);
	return page;
}

static unsigned long user_memory(struct kunit *test, size_t size)
{
	unsigned long addr = kunit_vm_mmap(test, NULL, 0, size, PROT_READ | PROT_WRITE,
					   MAP_ANONYMOUS | MAP_PRIVATE, 0);

	KUNIT_ASSERT_NE(test, addr, 0);
	return addr;
}

static size_t source_fault_in(struct source *s, size_t n)
{
	size_t left;

	sea_inject_arm(&s->si);
	left = fault_in_iov_iter_readable(&s->iter, n);
	sea_inject_disarm(&s->si);
	return left;
}

/*
 * User memory may be a short copy's fault, or the lack of a page. After an abort its
 * address is known: no good byte is lost, but for those in the same 64.
 */
static void user_told_once(struct kunit *test, struct source *s, size_t p, bool ubuf)
{
	size_t n = s->size, first, good;

	source_begin(s, p);
	if (ubuf)
		iov_iter_ubuf(&s->iter, ITER_SOURCE, (void __user *)s->si.trap, n);
	first = source_copy(s, 0, n);
	KUNIT_ASSERT_LE(test, first, p);
	KUNIT_ASSERT_LE(test, p - first, MAX_OVER);
	user_aborts(test, &s->si);
	good = max(first, round_down(p, 64));

	/* What is in between is copied, and then nothing more, not even tried. */
	KUNIT_ASSERT_EQ(test, source_fault_in(s, n - first), n - good);
	KUNIT_ASSERT_EQ(test, s->si.matches, 0);
	KUNIT_ASSERT_EQ(test, source_copy(s, first, n - first), good - first);
	KUNIT_ASSERT_EQ(test, s->si.matches, 0);
	KUNIT_ASSERT_EQ(test, source_fault_in(s, 1), 1);
	KUNIT_ASSERT_EQ(test, s->si.accesses, 0);
	KUNIT_ASSERT_EQ(test, source_copy(s, good, n - good), 0);
	KUNIT_ASSERT_EQ(test, s->si.accesses, 0);
	KUNIT_ASSERT_EQ(test, memcmp(s->to, s->pattern, good), 0);

	iov_iter_revert(&s->iter, good);
	memset(s->to, 0, n);
	KUNIT_ASSERT_EQ(test, source_copy(s, 0, n), good);
	KUNIT_ASSERT_EQ(test, s->si.matches, 0);
	KUNIT_ASSERT_EQ(test, memcmp(s->to, s->pattern, good), 0);
}

static void iter_user_remembers(struct kunit *test)
{
	struct source *s = source_alloc(test, 300, true);
	size_t p;

	for (p = 0; p < s->size; p++) {
		user_told_once(test, s, p, false);
		user_told_once(test, s, p, true);
	}
}

/* The first to ask for the pages may be the one that meets it. */
static void iter_user_fault_in(struct kunit *test)
{
	struct source *s = source_alloc(test, 3 * PAGE_SIZE, true);
	size_t n = s->size, good = 2 * PAGE_SIZE;
	int i;

	for (i = 0; i < 2; i++) {
		source_begin(s, good);
		if (i)
			iov_iter_ubuf(&s->iter, ITER_SOURCE, (void __user *)s->si.trap, n);
		KUNIT_EXPECT_EQ(test, source_fault_in(s, n), n - good);
		KUNIT_EXPECT_EQ(test, s->si.fixed, 1);
		KUNIT_EXPECT_EQ(test, source_fault_in(s, n), n - good);
		KUNIT_EXPECT_EQ(test, s->si.fixed, 0);
		KUNIT_EXPECT_EQ(test, source_copy(s, 0, n), good);
		KUNIT_EXPECT_EQ(test, s->si.fixed, 0);
		KUNIT_EXPECT_EQ(test, memcmp(s->to, s->pattern, good), 0);
	}
}

/* The end may be elsewhere for a while; the poison is where it was. */
static void iter_truncated(struct kunit *test)
{
	struct source *s = source_init(test, 300);
	size_t n = s->size, good, end;

	source_begin(s, 100);
	good = source_copy(s, 0, n);
	iov_iter_revert(&s->iter, good);

	for (end = 0; end <= n; end++) {
		size_t before = min(end, good);

		iov_iter_truncate(&s->iter, end);
		KUNIT_ASSERT_EQ(test, source_fault_in(s, n), end - before);
		KUNIT_ASSERT_EQ(test, source_copy(s, 0, n), before);
		KUNIT_ASSERT_EQ(test, s->si.matches, 0);
		iov_iter_reexpand(&s->iter, n - before);
		KUNIT_ASSERT_EQ(test, source_copy(s, before, n), good - before);
		KUNIT_ASSERT_EQ(test, s->si.matches, 0);
		iov_iter_revert(&s->iter, good);
	}

	/* Met while the end is elsewhere */
	for (end = 101; end <= n; end++) {
		source_begin(s, 100);
		iov_iter_truncate(&s->iter, end);
		good = source_copy(s, 0, n);
		KUNIT_ASSERT_EQ(test, s->si.fixed, 1);
		iov_iter_reexpand(&s->iter, n - good);
		iov_iter_revert(&s->iter, good);
		KUNIT_ASSERT_EQ(test, source_copy(s, 0, n), good);
		KUNIT_ASSERT_EQ(test, s->si.matches, 0);
	}
}

/* Further from the end than the iterator can say: all of it is refused. */
static void iter_far_from_end(struct kunit *test)
{
	struct source *s = source_init(test, 300);
	size_t far = 5UL << 30;

	source_begin(s, 100);
	/* Nobody comes to the last piece. */
	s->kvec[2].iov_len += far;
	iov_iter_kvec(&s->iter, ITER_SOURCE, s->kvec, SEGMENTS, s->size + far);
	KUNIT_EXPECT_LE(test, source_copy(s, 0, s->size), 100);
	KUNIT_EXPECT_EQ(test, s->si.fixed, 1);
	KUNIT_EXPECT_EQ(test, fault_in_iov_iter_readable(&s->iter, 8), 8);
	KUNIT_EXPECT_EQ(test, source_copy(s, 0, 8), 0);
	KUNIT_EXPECT_EQ(test, s->si.accesses, 0);

	/* Where its end is now says nothing of where it is. */
	iov_iter_truncate(&s->iter, s->size);
	KUNIT_EXPECT_EQ(test, fault_in_iov_iter_readable(&s->iter, 8), 8);
	KUNIT_EXPECT_EQ(test, source_copy(s, 0, 8), 0);
	KUNIT_EXPECT_EQ(test, s->si.accesses, 0);
}

/* A fault is no poison: what has its page, or gets it, is copied. */
static void iter_user_faults(struct kunit *test)
{
	struct iov_iter iter;
	struct iovec vec[2];
	unsigned long addr;
	size_t copied;
	u8 buf[32];

	addr = user_memory(test, 2 * PAGE_SIZE);
	vec[0] = (struct iovec){ (void __user *)PAGE_SIZE, 16 };	/* nothing is there */
	vec[1] = (struct iovec){ (void __user *)addr, 16 };

	iov_iter_init(&iter, ITER_SOURCE, vec, 2, sizeof(buf));
	KUNIT_EXPECT_EQ(test, copy_from_iter(buf, sizeof(buf), &iter), 0);
	iov_iter_advance(&iter, 16);
	KUNIT_EXPECT_EQ(test, fault_in_iov_iter_readable(&iter, 16), 0);
	KUNIT_EXPECT_EQ(test, copy_from_iter(buf, 16, &iter), 16);

	iov_iter_ubuf(&iter, ITER_DEST, (void __user *)(addr + PAGE_SIZE), 16);
	pagefault_disable();
	copied = copy_to_iter(buf, 16, &iter);
	pagefault_enable();
	KUNIT_EXPECT_EQ(test, copied, 0);
	KUNIT_EXPECT_EQ(test, fault_in_iov_iter_writeable(&iter, 16), 0);
	KUNIT_EXPECT_EQ(test, copy_to_iter(buf, 16, &iter), 16);
}

/* A page goes to kernel memory where nobody may sleep, too. */
static void iter_atomic(struct kunit *test)
{
	u8 *from = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL), to[16];
	struct kvec vec = { to, sizeof(to) };
	struct iov_iter iter;
	size_t copied;

	KUNIT_ASSERT_NOT_NULL(test, from);
	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, sizeof(to));
	preempt_disable();
	copied = copy_page_to_iter(virt_to_page(from), 0, sizeof(to), &iter);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, copied, sizeof(to));
}

static void put_file(void *file)
{
	fput(file);
}

/* Write all of it to a file in memory, from @offset in the file on; what was written? */
static ssize_t write_file(struct source *s, struct file *file, loff_t offset)
{
	ssize_t ret;

	sea_inject_arm(&s->si);
	ret = vfs_iter_write(file, &s->iter, &offset, 0);
	sea_inject_disarm(&s->si);
	return ret;
}

/* A file system's loop of writes ends, and has written what is good. */
static void iter_write(struct kunit *test)
{
	static const size_t at[] = { 0, 1, 100, 4095, 4096, 5000, 2 * SZ_4K };
	struct source *s = source_init(test, 3 * SZ_4K);
	u8 *read = kunit_kzalloc(test, s->size, GFP_KERNEL);
	unsigned int i, offset;
	struct file *file;

	/* Without it such a file cannot be written to. */
	if (!IS_ENABLED(CONFIG_TMPFS))
		kunit_skip(test, "needs TMPFS");
	file = shmem_file_setup("copy_iter", 4 * s->size, EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_file, file), 0);
	KUNIT_ASSERT_NOT_NULL(test, read);

	for (i = 0; i < 2 * ARRAY_SIZE(at); i++) {
		size_t p = at[i / 2];
		ssize_t ret;
		loff_t pos;

		offset = i & 1 ? 1000 : 0;
		source_begin(s, p);
		ret = write_file(s, file, offset);
		KUNIT_EXPECT_EQ_MSG(test, s->si.fixed, 1, "at %zu", p);
		KUNIT_EXPECT_EQ(test, s->si.died, 0);
		if (ret == -EFAULT)
			ret = 0;
		KUNIT_ASSERT_GE(test, ret, 0);
		KUNIT_EXPECT_LE_MSG(test, ret, p, "at %zu", p);
		KUNIT_EXPECT_LE_MSG(test, (ssize_t)p - ret, MAX_OVER, "at %zu", p);
		pos = offset;
		if (ret)
			KUNIT_EXPECT_EQ(test, kernel_read(file, read, ret, &pos), ret);
		KUNIT_EXPECT_EQ(test, memcmp(read, s->pattern, ret), 0);
	}
}

/*
 * A page to user memory, as read(2) does it: what is left after a short copy is tried
 * up to the poison. Other kernel memory is tried once. Both leave word of the poison.
 */
static void iter_page_to_user(struct kunit *test)
{
	struct page *page = some_pages(test, 0);
	unsigned long to = user_memory(test, PAGE_SIZE);
	struct sea_inject si = { .fsc = ESR_ELx_FSC_EXTABT };
	struct iov_iter iter;
	size_t p, start, copied;
	int err;

	need_iter(test);
	err = sea_inject_page(test, &si, page);
	if (err == -EOPNOTSUPP)
		kunit_skip(test, "needs RODATA_FULL");
	KUNIT_ASSERT_EQ(test, err, 0);

	for (p = 0; p < PAGE_SIZE; p += 13) {
		si.poison[0] = (struct sea_poison){ p, PAGE_SIZE - p };
		iov_iter_ubuf(&iter, ITER_DEST, (void __user *)to, PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, fault_in_iov_iter_writeable(&iter, PAGE_SIZE), 0);
		start = 0;
		sea_inject_arm(&si);
		if (p % 2) {
			/* So the line of the poison is not what is loaded at a time. */
			start = 13;
			copied = copy_page_to_iter(page, start, PAGE_SIZE - start, &iter);
		} else {
			copied = copy_to_iter(page_address(page), PAGE_SIZE, &iter);
		}
		sea_inject_disarm(&si);
		user_aborts(test, &si);
		KUNIT_ASSERT_LE(test, start + copied, p);
		KUNIT_ASSERT_LE(test, p - start - copied, MAX_OVER);
		if (start)
			KUNIT_ASSERT_GE(test, start + copied, round_down(p, 64));
		/* There are those who try again once all of it is there. */
		KUNIT_ASSERT_EQ(test, fault_in_iov_iter_writeable(&iter, 8), 8);
	}
}

/* Without poison one page after the other is copied, with room for more. */
static void iter_pages_to_kernel(struct kunit *test)
{
	struct page *pages = some_pages(test, 1);
	size_t n = 2 * PAGE_SIZE, start;
	struct iov_iter iter;
	struct kvec vec;
	u8 *to;

	to = kunit_kzalloc(test, n + 16, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, to);
	get_random_bytes(page_address(pages), n);
	vec = (struct kvec){ to, n + 16 };

	for (start = 0; start < n; start += 1000) {
		iov_iter_kvec(&iter, ITER_DEST, &vec, 1, n + 16);
		KUNIT_EXPECT_EQ(test, copy_page_to_iter(pages, start, n - start, &iter), n - start);
		KUNIT_EXPECT_EQ(test, memcmp(to, page_address(pages) + start, n - start), 0);

		memset(to, 0, n);
		iov_iter_kvec(&iter, ITER_DEST, &vec, 1, n + 16);
		KUNIT_EXPECT_EQ(test, copy_page_to_iter_nofault(pages, start, n - start, &iter),
				n - start);
		KUNIT_EXPECT_EQ(test, memcmp(to, page_address(pages) + start, n - start), 0);
	}
}

/* What ends at a page that is missing is copied up to it, as there is no poison. */
static void iter_to_missing_page(struct kunit *test)
{
	struct page *page = some_pages(test, 0);
	unsigned long to = user_memory(test, 2 * PAGE_SIZE);
	struct iov_iter iter;
	size_t room;

	KUNIT_ASSERT_EQ(test, vm_munmap(to + PAGE_SIZE, PAGE_SIZE), 0);

	for (room = 1; room < 300; room++) {
		iov_iter_ubuf(&iter, ITER_DEST, (void __user *)to + PAGE_SIZE - room, PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, copy_page_to_iter(page, 0, PAGE_SIZE, &iter), room);
	}
}

/* Nor is there any where an iterator ends, for a while or at all. */
static void iter_asked_for_more(struct kunit *test)
{
	struct source *s = source_init(test, 300);
	u8 *to = kunit_kzalloc(test, 500, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, to);
	source_begin(s, s->size);
	iov_iter_truncate(&s->iter, 100);
	sea_inject_arm(&s->si);
	KUNIT_EXPECT_EQ(test, copy_from_iter(to, 400, &s->iter), 100);
	iov_iter_reexpand(&s->iter, 200);
	KUNIT_EXPECT_EQ(test, copy_from_iter(to + 100, 400, &s->iter), 200);
	sea_inject_disarm(&s->si);
	KUNIT_EXPECT_EQ(test, memcmp(to, s->pattern, 300), 0);
}

/* Copies within one piece of memory, as splice() of a file into itself makes them */
static const struct overlap {
	long shift;		/* of the destination */
	size_t n;
} overlaps[] = {
	{ 1, 2 }, { 1, 300 }, { 7, 64 }, { 16, 100 }, { 63, 64 }, { 64, 65 }, { 64, 1000 },
	{ 100, 2000 }, { 299, 300 }, { 300, 300 }, { 500, 300 }, { -1, 2 }, { -1, 300 }, { -7, 64 },
	{ -16, 100 }, { -63, 64 }, { -64, 65 }, { -64, 1000 }, { -100, 2000 }, { -300, 300 },
	{ 0, 300 },
};

static void describe_overlap(const struct overlap *o, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu bytes by %ld", o->n, o->shift);
}

KUNIT_ARRAY_PARAM(overlap, overlaps, describe_overlap);

/* What memmove() makes of it; with poison, what is said to be copied is. */
static void iter_overlap(struct kunit *test)
{
	const struct overlap *o = test->param_value;
	size_t area = 3 * SZ_4K, from = SZ_4K, to = from + o->shift, p, copied;
	struct source *s = source_init(test, area);
	u8 *wanted = kunit_kzalloc(test, area, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, wanted);
	memcpy(wanted, s->pattern, area);
	memmove(wanted + to, wanted + from, o->n);

	for (p = 0; p <= o->n; p += max(o->n / 9, 1)) {
		bool poisoned = p < o->n;

		memcpy(s->si.alias, s->pattern, area);
		s->kvec[0] = (struct kvec){ (u8 *)s->si.trap + from, o->n };
		iov_iter_kvec(&s->iter, ITER_SOURCE, s->kvec, 1, o->n);
		/* Of the source alone: stores to poison are others' subject. */
		s->si.poison[0] = (struct sea_poison){ from + p, poisoned };
		sea_inject_arm(&s->si);
		copied = copy_from_iter((u8 *)s->si.trap + to, o->n, &s->iter);
		sea_inject_disarm(&s->si);

		if (!poisoned) {
			KUNIT_EXPECT_EQ(test, copied, o->n);
			KUNIT_EXPECT_EQ(test, memcmp(s->si.alias, wanted, area), 0);
			continue;
		}
		KUNIT_EXPECT_LE(test, copied, p);
		/* In ascending order, by 64 bytes, unless that overwrites what is to be copied */
		if (o->shift <= 0 || o->shift >= (long)o->n)
			KUNIT_EXPECT_LE(test, p - copied, 64 + MAX_OVER);
		KUNIT_EXPECT_EQ(test, memcmp(s->si.alias + to, s->pattern + from, copied), 0);
		KUNIT_EXPECT_EQ(test, memcmp(s->si.alias, s->pattern, min(from, to)), 0);
	}
}

/* The same where it is to be written back: of a file that DAX maps, into itself */
static void iter_overlap_flushcache(struct kunit *test)
{
	const struct overlap *o = test->param_value;
	size_t area = 3 * SZ_4K, from = SZ_4K, to = from + o->shift;
	struct source *s = source_init(test, area);
	u8 *mem = kunit_kzalloc(test, area, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	memcpy(mem, s->pattern, area);
	s->kvec[0] = (struct kvec){ mem + from, o->n };
	iov_iter_kvec(&s->iter, ITER_SOURCE, s->kvec, 1, o->n);
	KUNIT_EXPECT_EQ(test, _copy_from_iter_flushcache(mem + to, o->n, &s->iter), o->n);

	memcpy(s->si.alias, s->pattern, area);
	memmove(s->si.alias + to, s->si.alias + from, o->n);
	KUNIT_EXPECT_EQ(test, memcmp(mem, s->si.alias, area), 0);
}

#define POISONED	900	/* a byte; its line begins at 896 */

/* An abort at that byte of the memory of @s; what is not copied */
static unsigned long meet_poison(struct source *s)
{
	unsigned long left;

	s->si.poison[0] = (struct sea_poison){ POISONED, 1 };
	sea_inject_arm(&s->si);
	if (s->user)
		left = raw_copy_from_user(s->to, (void __user *)s->si.trap, s->size);
	else
		left = memcpy_mc(s->to, (void *)s->si.trap, s->size);
	sea_inject_disarm(&s->si);
	return left;
}

static void abort_once(struct kunit *test, struct source *s)
{
	KUNIT_ASSERT_GE(test, meet_poison(s), s->size - POISONED);
}

/* What is asked of it, and how many bytes are in front of the poison */
static const struct {
	size_t start, n, before;
} asked[] = {
	{ 0, SZ_4K, 896 },
	{ 850, SZ_4K - 850, 46 },
	{ 898, 100, 0 },
	{ 901, 10, 0 },		/* of the same line */
	{ 0, POISONED + 1, 896 },
	{ 0, POISONED, POISONED },
	{ 0, 500, 500 },
	{ 960, 100, 100 },
};

/* The answer is about the bytes asked for, and is given once, to nobody else. */
static void iter_asked(struct kunit *test)
{
	struct source *s = source_init(test, SZ_4K);
	size_t i, n, before;
	const u8 *from;

	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		from = (u8 *)s->si.trap + asked[i].start;
		n = asked[i].n;
		before = asked[i].before;

		abort_once(test, s);
		KUNIT_EXPECT_EQ_MSG(test, before_poison(from, n), before, "%zu bytes at %zu", n,
				    asked[i].start);
		if (before == n)	/* that was not about this one */
			KUNIT_EXPECT_EQ(test, before_poison((u8 *)s->si.trap, SZ_4K), 896);
		KUNIT_EXPECT_EQ(test, before_poison(from, n), n);
	}
}

struct asker {
	struct irq_work work;
	struct task_struct *victim;
	struct source *s;
	size_t before;
	unsigned long left;
};

static void ask_in_irq(struct irq_work *work)
{
	struct asker *a = container_of(work, struct asker, work);

	if (current != a->victim || !in_hardirq())
		return;
	a->before = before_poison((u8 *)a->s->si.trap, SZ_4K);
	if (a->before == SZ_4K)
		a->left = meet_poison(a->s);
}

/* An interrupt has not met what the task has that it interrupted, nor the other way round. */
static void iter_asked_in_irq(struct kunit *test)
{
	struct source *s = source_init(test, SZ_4K);
	struct asker a = { .work = IRQ_WORK_INIT_HARD(ask_in_irq), .victim = current, .s = s };

	sea_interrupt(&a.work);
	KUNIT_EXPECT_GE(test, a.left, SZ_4K - POISONED);
	KUNIT_EXPECT_EQ(test, before_poison((u8 *)s->si.trap, SZ_4K), SZ_4K);

	a.before = 0;
	abort_once(test, s);
	sea_interrupt(&a.work);
	KUNIT_EXPECT_EQ(test, a.before, SZ_4K);
	KUNIT_EXPECT_EQ(test, before_poison((u8 *)s->si.trap, SZ_4K), 896);
}

/* The poison went with its page. */
static void iter_asked_of_another_page(struct kunit *test)
{
	struct source *s = source_alloc(test, SZ_4K, true);

	abort_once(test, s);
	KUNIT_EXPECT_EQ(test, before_poison((u8 *)s->si.trap, SZ_4K), 896);

	abort_once(test, s);
	KUNIT_ASSERT_EQ(test, put_user(1, (u8 __user *)s->si.trap), 0);
	KUNIT_EXPECT_EQ(test, before_poison((u8 *)s->si.trap, SZ_4K), SZ_4K);
}

/* A guest's PAR_EL1 may be there, and stays. So do the interrupts. */
static void iter_asked_with_par(struct kunit *test)
{
	struct source *s = source_init(test, SZ_4K);
	const u64 guest = SYS_PAR_EL1_F | 0x808;
	unsigned long flags;
	size_t before;
	bool disabled;
	u64 par;

	abort_once(test, s);
	local_irq_save(flags);
	write_sysreg(guest, par_el1);
	before = before_poison((u8 *)s->si.trap, SZ_4K);
	par = read_sysreg_par();
	disabled = irqs_disabled();
	local_irq_restore(flags);
	KUNIT_EXPECT_TRUE(test, disabled);
	KUNIT_EXPECT_EQ(test, before, 896);
	KUNIT_EXPECT_EQ(test, par, guest);
}

/* Without an address it may be anywhere: for a second, to whom no signal is sent. */
static void iter_asked_anywhere(struct kunit *test)
{
	struct source *s = source_init(test, SZ_4K);
	unsigned long start;
	u8 elsewhere[16];
	size_t before;

	s->si.fnv = true;
	do {	/* on a machine that is not stopped meanwhile */
		start = jiffies;
		abort_once(test, s);
		before = before_poison(elsewhere, sizeof(elsewhere));
	} while (time_after_eq(jiffies, start + HZ));
	KUNIT_EXPECT_EQ(test, before, 0);
	KUNIT_EXPECT_EQ(test, before_poison(elsewhere, sizeof(elsewhere)), sizeof(elsewhere));

	abort_once(test, s);
	msleep(1100);
	KUNIT_EXPECT_EQ(test, before_poison(elsewhere, sizeof(elsewhere)), sizeof(elsewhere));
	KUNIT_EXPECT_EQ(test, before_poison((u8 *)s->si.trap, SZ_4K), SZ_4K);
}

static struct kunit_case iter_cases[] = {
	KUNIT_CASE(iter_remembers),
	KUNIT_CASE(iter_user_remembers),
	KUNIT_CASE(iter_user_fault_in),
	KUNIT_CASE(iter_truncated),
	KUNIT_CASE(iter_page_to_user),
	KUNIT_CASE(iter_pages_to_kernel),
	KUNIT_CASE(iter_to_missing_page),
	KUNIT_CASE(iter_asked_for_more),
	KUNIT_CASE(iter_far_from_end),
	KUNIT_CASE(iter_user_faults),
	KUNIT_CASE(iter_atomic),
	KUNIT_CASE(iter_write),
	KUNIT_CASE(iter_asked),
	KUNIT_CASE(iter_asked_in_irq),
	KUNIT_CASE(iter_asked_of_another_page),
	KUNIT_CASE(iter_asked_with_par),
	KUNIT_CASE(iter_asked_anywhere),
	KUNIT_CASE_PARAM(iter_overlap, overlap_gen_params),
	KUNIT_CASE_PARAM(iter_overlap_flushcache, overlap_gen_params),
	{}
};

static struct kunit_suite iter_suite = {
	.name = "copy_iter",
	.test_cases = iter_cases,
};

kunit_test_suite(iter_suite);
