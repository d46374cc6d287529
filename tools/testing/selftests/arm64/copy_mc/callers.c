// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each caller of the kernel's copy_mc functions consumes poison: it fails with
 * the error that is documented, and leaves nothing behind.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/elf.h>
#include <linux/fuse.h>
#include <linux/kernel-page-flags.h>
#include <linux/loop.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "fixture.h"

#define HUGE	(2UL << 20)

#define MM	"/sys/kernel/mm/"
#define KSM	MM "ksm/"
#define THP	MM "transparent_hugepage/"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

/* Steps of a child that does not find what it needs */
#define NO_HUGE_FILES	100
#define NO_DAX		101
#define NO_HUGE_TAGS	102

#ifndef PROT_MTE
#define PROT_MTE	0x20
#endif

/* A huge page's worth of address space, aligned as such */
static char *map_huge(int prot, int flags, int fd, off_t off)
{
	char *p = mmap(NULL, 2 * HUGE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	need(p != MAP_FAILED, "address space");
	p = (char *)(((uintptr_t)p + HUGE - 1) & -HUGE);
	p = mmap(p, HUGE, prot, flags | MAP_FIXED, fd, off);
	need(p != MAP_FAILED, "mmap");
	return p;
}

/* Wait until file @path has a number of at least @n, ten seconds at most. */
static bool wait_number(const char *path, const char *name, long n)
{
	int i;

	for (i = 0; i < 1000; i++) {
		if (number_in(path, name) >= n)
			return true;
		usleep(10000);
	}
	return false;
}

/*
 * The child's system call consumed the poison, and it got one SIGBUS. It says
 * where the error is if memory_failure() runs as the child returns to user
 * mode; 6.12 lets a worker run it, which may be faster, and knows of no child.
 */
static void expect_told(struct __test_metadata *_metadata, struct child *c, int lsb)
{
	bool known = c->code == BUS_MCEERR_AR;

	EXPECT_SIGBUS(c, known ? BUS_MCEERR_AR : BUS_OBJERR,
		      known ? c->va : NULL, known ? lsb : -1);
}

/*
 * Copy-on-write
 *
 * A process and the child it forks share memory; one of them stores to what is
 * poisoned, then the other one loads from it.
 */

struct cow {
	/* Map the memory; leaves where it is in c->va and c->pa. */
	void (*map)(struct child *c);
	size_t at;		/* which page of it to poison, in bytes */
	bool child_stores;
	bool reread;		/* comes from disk again after isolation */
	int lsb;		/* of the address reported */
	int late;		/* times that it may be consumed if a worker isolates it */
};

struct cow_run {
	const struct cow *row;
	struct child *child;	/* what became of the child */
};

static void map_anon(struct child *c)
{
	char *p = map_pair(MAP_PRIVATE);

	need(p, "memory");
	c->va = p + page_size;
	c->pa = phys_addr(c->va);
}

static void map_file(struct child *c)
{
	int fd = open_disk_file();

	need(fd >= 0, "disk");
	c->pa = cache_page(fd, 3 * page_size);
	c->va = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		     3 * page_size);
	need(c->va != MAP_FAILED, "mmap");
}

static void map_file_read(struct child *c)
{
	map_file(c);
	child_load(c->va);
	need(phys_addr(c->va) == c->pa, "page of the file");
}

static void map_thp(struct child *c)
{
	char *p = map_huge(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	need(!madvise(p, HUGE, MADV_HUGEPAGE), "MADV_HUGEPAGE");
	fill_pages(p, HUGE);
	c->va = p + 5 * page_size;
	c->pa = phys_addr(c->va);
	need(page_flag(c->pa, KPF_THP), "huge page");
}

/* Tags for each granule, other than those of fresh memory */
static void tag_pages(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += 16)
		asm volatile(".arch armv8.5-a+memtag\n"
			     "stg	%0, [%0]"
			     : : "r"((uintptr_t)p + i + (5UL << 56)) : "memory");
}

static void map_mte(struct child *c)
{
	char *p = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE | PROT_MTE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED, "tagged memory");
	fill_pages(p, 2 * page_size);
	tag_pages(p, 2 * page_size);
	c->va = p + page_size;
	c->pa = phys_addr(c->va);
}

static void map_hugetlb_mte(struct child *c)
{
	c->va = mmap(NULL, HUGE, PROT_READ | PROT_WRITE | PROT_MTE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (c->va == MAP_FAILED && errno == EINVAL) {
		child_step(c, NO_HUGE_TAGS);
		_exit(0);
	}
	need(c->va != MAP_FAILED, "tagged huge page");
	fill_pages(c->va, HUGE);
	tag_pages(c->va, HUGE);
	c->pa = phys_addr(c->va);
}

static void map_hugetlb(struct child *c)
{
	c->va = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	need(c->va != MAP_FAILED, "huge page");
	fill_pages(c->va, HUGE);
	c->pa = phys_addr(c->va);
}

/*
 * Two equal pages, merged; ksmd must not look at what is poisoned later. Nor must
 * it find what an earlier test has left: an isolated page that had been merged
 * may still be where ksmd looks for equals.
 */
static void map_ksm(struct child *c)
{
	char *p = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED, "memory");
	fill_pages(p, page_size);
	memcpy(p + page_size, p, page_size);
	need(!write_file(KSM "run", "2"), "ksmd");
	need(!madvise(p, 2 * page_size, MADV_MERGEABLE), "MADV_MERGEABLE");
	write_file(KSM "sleep_millisecs", "1");
	write_file(KSM "pages_to_scan", "10000");
	need(!write_file(KSM "run", "1"), "ksmd");
	need(wait_number(KSM "pages_sharing", "", 1), "merged pages");
	need(!write_file(KSM "run", "0"), "ksmd");
	c->va = p + page_size;
	c->pa = phys_addr(c->va);
	need(c->pa == phys_addr(p) && page_flag(c->pa, KPF_KSM), "KSM page");
}

static long cow_child(struct child *c)
{
	struct child *parent = c->arg;
	const struct cow_run *run = parent->arg;
	long ret;

	need(child_await(c, 1), "parent");
	ret = run->row->child_stores ? child_store(parent->va, 1) :
				       child_load(parent->va);
	child_step(parent, 1);
	return ret;
}

static long cow_parent(struct child *c)
{
	const struct cow_run *run = c->arg;
	const struct cow *row = run->row;
	struct child *child;
	long ret;

	row->map(c);
	c->pa += row->at;
	child = child_start(cow_child, c);
	need(!poison_phys(c->pa), "poison");

	if (row->child_stores) {
		child_step(child, 1);
		child_await(c, 1);
		ret = child_load(c->va);
	} else {
		ret = child_store(c->va, 1);
		child_step(child, 1);
	}
	child_wait(child);
	*run->child = *child;
	return ret;
}

static void do_cow(struct __test_metadata *_metadata,
		   struct _test_data_poison *self, const struct cow *row)
{
	struct child *child = mmap(NULL, sizeof(*child), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct cow_run run = { row, child };
	struct child *parent = run_child(cow_parent, &run);
	struct child *writer = row->child_stores ? child : parent;
	struct child *other = row->child_stores ? parent : child;

	if (parent->step == NO_HUGE_TAGS)
		SKIP(return, "needs MTE_HUGETLB");

	EXPECT_EXITED(parent);
	EXPECT_EXITED(child);
	EXPECT_EQ(-1, writer->ret);
	EXPECT_SIGBUS(writer, BUS_MCEERR_AR, parent->va, row->lsb);
	if (row->reread) {
		EXPECT_EQ(page_byte(3 * page_size), other->ret);
		EXPECT_NO_SIGBUS(other);
	} else {
		EXPECT_EQ(-1, other->ret);
		EXPECT_SIGBUS(other, BUS_MCEERR_AR, parent->va, row->lsb);
	}
	EXPECT_ISOLATED(parent->pa, 1);
	EXPECT_ABORTS_UP_TO(worker_may_isolate() && row->late ? row->late : 1);
}

#define COW(...) \
	do_cow(_metadata, self, &(const struct cow) { __VA_ARGS__ })

/* __wp_page_copy_user() */
TEST_F(poison, cow_child_stores)
{
	COW(.map = map_anon, .lsb = 12, .child_stores = true);
}

TEST_F(poison, cow_parent_stores)
{
	COW(.map = map_anon, .lsb = 12);
}

TEST_F(poison, cow_file_read_before)
{
	COW(.map = map_file_read, .lsb = 12, .reread = true);
}

TEST_F_TIMEOUT(poison, cow_ksm, SLOW)
{
	COW(.map = map_ksm, .lsb = 12);
}

/* The store is tried again until the huge page is split, which a worker may do. */
TEST_F(poison, cow_thp)
{
	COW(.map = map_thp, .lsb = 12, .child_stores = true, .late = ABORTS_BEFORE_WORKER);
}

/* Its tags are poisoned as well as its data. */
TEST_F(poison, cow_mte)
{
	if (!has_mte())
		SKIP(return, "needs MTE");

	COW(.map = map_mte, .lsb = 12, .child_stores = true);
}

/* do_cow_fault() */
TEST_F(poison, cow_file)
{
	COW(.map = map_file, .lsb = 12, .reread = true);
}

TEST_F(poison, cow_file_child)
{
	COW(.map = map_file, .lsb = 12, .reread = true, .child_stores = true);
}

/* copy_user_large_folio(): a page in the middle is poisoned. */
static void do_cow_hugetlb(struct __test_metadata *_metadata,
			   struct _test_data_poison *self,
			   void (*map)(struct child *c))
{
	const struct cow row = {
		.map = map, .at = HUGE / 2, .lsb = 21, .child_stores = true,
	};
	long total = number_in("/proc/meminfo", "HugePages_Total:");

	/* The second one is for the copy. */
	ASSERT_EQ(0, huge_pool(2));

	do_cow(_metadata, self, &row);

	/* Isolated is one base page: the rest is free again, and not huge. */
	if (self->corrupted != corrupted_pages())
		EXPECT_EQ(1, number_in("/proc/meminfo", "HugePages_Free:"));
	EXPECT_EQ(0, number_in("/proc/meminfo", "HugePages_Rsvd:"));
	EXPECT_EQ(0, huge_pool(0));
	EXPECT_EQ(total, number_in("/proc/meminfo", "HugePages_Total:"));
}

TEST_F(poison, cow_hugetlb)
{
	do_cow_hugetlb(_metadata, self, map_hugetlb);
}

TEST_F(poison, cow_hugetlb_mte)
{
	if (!has_mte())
		SKIP(return, "needs MTE");

	do_cow_hugetlb(_metadata, self, map_hugetlb_mte);
}

/*
 * Swapping in a page that was merged: ksm_might_need_to_copy()
 *
 * The first of its two users has it read from swap. The second one finds it in
 * the swap cache, and needs a page of its own.
 */

#define SWAP	"/dev/ram0"

/* swapon(2) wants this, see union swap_header in linux/swap.h */
static bool swap_on(void)
{
	struct {
		char boot[1024];
		unsigned int version, last_page, nr_bad;
		char unused[4096 - 1024 - 3 * 4 - 10];
		char magic[10];
	} header = { .version = 1, .last_page = 1023 };
	int fd = open(SWAP, O_WRONLY);
	bool ok;

	memcpy(header.magic, "SWAPSPACE2", sizeof(header.magic));
	ok = fd >= 0 && write(fd, &header, sizeof(header)) == sizeof(header);
	close(fd);
	return ok && !syscall(SYS_swapon, SWAP, 0);
}

#define CGROUP		"/cgroup"
#define OWN_CGROUP	CGROUP "/poison"

/* What it allocates from now on can be reclaimed without any want of memory. */
static void enter_cgroup(void)
{
	mkdir(CGROUP, 0755);
	need(!mount("none", CGROUP, "cgroup2", 0, NULL), "cgroup2");
	mkdir(OWN_CGROUP, 0755);
	need(!write_file(CGROUP "/cgroup.subtree_control", "+memory") &&
	     !write_file(OWN_CGROUP "/cgroup.procs", "0"), "memory cgroup");
}

static void leave_cgroup(void)
{
	rmdir(OWN_CGROUP);
	umount(CGROUP);
}

/*
 * Reclaim until the page at @p and the one behind it are in swap. Three times in a
 * row, as one that is being migrated is back soon.
 */
static void swap_out(const char *p)
{
	int i, err, gone = 0;

	for (i = 0; i < 500 && gone < 3; i++) {
		/* Pages used a moment ago stay. */
		need(!write_file("/proc/self/clear_refs", "1"), "clear_refs");
		err = write_file(OWN_CGROUP "/memory.reclaim", "1M");
		errno = -err;
		need(!err || err == -EAGAIN, "memory.reclaim");
		gone = phys_addr(p) || phys_addr(p + page_size) ? 0 : gone + 1;
		usleep(5000);
	}
	errno = EBUSY;
	need(gone == 3, "swapped out");
}

static long ksm_swap_in(struct child *c)
{
	char *first;
	long ret;

	enter_cgroup();
	map_ksm(c);
	first = c->va - page_size;
	need(swap_on(), "swapon");
	need(!write_file("/proc/sys/vm/page-cluster", "0"), "page-cluster");
	swap_out(first);
	child_load(first);
	c->pa = phys_addr(first);
	need(c->pa, "read from swap");
	need(!phys_addr(c->va), "in swap");

	need(!poison_phys(c->pa), "poison");
	ret = child_store(c->va, 1);
	/* It is clean, and read from swap again. */
	need(is_isolated(c->pa), "isolated");
	need(same_pages(first, page_size), "data");
	return ret;
}

TEST_F_TIMEOUT(poison, ksm_swap_in, SLOW)
{
	struct child *c = run_child(ksm_swap_in, NULL);

	syscall(SYS_swapoff, SWAP);
	leave_cgroup();

	EXPECT_MET(c, 1);
	EXPECT_ABORTS(1);
}

/*
 * A page with poison is not written to swap. It stays in memory, where its owner
 * comes to it; who reclaims is told nothing.
 */
static long swap_poisoned(struct child *c)
{
	char *p;

	enter_cgroup();
	p = map_pair(MAP_PRIVATE);
	need(p && swap_on(), "memory and swap");
	child_poison(c, p);
	swap_out(p);
	need(is_isolated(c->pa), "isolated");
	need(!c->sigbus, "no signal by now");
	need(p[page_size] == (char)page_byte(page_size), "data");
	return child_load(p);
}

TEST_F_TIMEOUT(poison, swap_poisoned, SLOW)
{
	struct child *c = run_child(swap_poisoned, NULL);

	syscall(SYS_swapoff, SWAP);
	leave_cgroup();

	EXPECT_MET(c, 1);
	/* Who reclaims looks at it each time until it is isolated. */
	EXPECT_ABORTS_UP_TO(ABORTS_BEFORE_WORKER);
}

/*
 * A huge page is split: pages of it that are all zeroes become the zero page, this
 * one is looked at and stays.
 */
static long split_thp(struct child *c)
{
	char *p;

	map_thp(c);
	p = c->va - 5 * page_size;
	memset(p, 0, HUGE);
	need(!poison_phys(c->pa), "poison");
	need(!madvise(p, page_size, MADV_COLD), "MADV_COLD");
	need(!page_flag(phys_addr(p + page_size), KPF_THP), "split");
	need(page_flag(phys_addr(p + page_size), KPF_ZERO_PAGE), "zero page");
	need(is_isolated(c->pa), "isolated");
	return 0;
}

TEST_F(poison, split_thp)
{
	struct child *c = run_child(split_thp, NULL);

	EXPECT_EXITED(c);
	EXPECT_RET(c, 0, 0);
	expect_told(_metadata, c, 12);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

/*
 * ksmd looks at a page with poison, one that it scans or one in a tree of its. It
 * leaves that alone and goes on with others, two of which are equal; the owner is
 * told when it loads from it. A page at a time, so that a worker has isolated it
 * before ksmd comes to the next.
 */
static void ksm_scan(int msecs)
{
	write_file(KSM "pages_to_scan", "1");
	write_file(KSM "sleep_millisecs", "%d", msecs);
	need(!write_file(KSM "run", "1"), "ksmd");
}

static long ksm_merged(struct child *c, const char *equal)
{
	int i;

	for (i = 0; i < 1000; i++) {
		if (phys_addr(equal) == phys_addr(equal + page_size))
			break;
		usleep(10000);
	}
	need(!write_file(KSM "run", "0"), "ksmd");
	need(i < 1000, "merged pages");
	need(is_isolated(c->pa), "isolated");
	return child_load(c->va);
}

/* Pages of which the last two are equal, and not merged by now */
static char *map_ksm_pages(void)
{
	char *p = mmap(NULL, 4 * page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED, "memory");
	fill_pages(p, 4 * page_size);
	memset(p + 2 * page_size, 0x5a, 2 * page_size);
	need(!madvise(p, 4 * page_size, MADV_MERGEABLE), "MADV_MERGEABLE");
	return p;
}

static long ksm_scanned(struct child *c)
{
	char *p = map_ksm_pages();

	need(!write_file(KSM "run", "2"), "ksmd");
	child_poison(c, p);
	ksm_scan(20);
	return ksm_merged(c, p + 2 * page_size);
}

/* The first page is in the tree, and the second one not yet looked at. */
static long ksm_unstable(struct child *c)
{
	char *p = map_ksm_pages();

	need(!write_file(KSM "run", "2"), "ksmd");
	ksm_scan(300);
	need(wait_number(KSM "pages_unshared", "", 1), "unstable tree");
	child_poison(c, p);
	return ksm_merged(c, p + 2 * page_size);
}

static long ksm_stable(struct child *c)
{
	char *p;

	map_ksm(c);
	need(!poison_phys(c->pa), "poison");
	p = map_ksm_pages();
	ksm_scan(20);
	return ksm_merged(c, p + 2 * page_size);
}

static void do_ksm(struct __test_metadata *_metadata,
		   struct _test_data_poison *self, long (*look)(struct child *c))
{
	struct child *c = run_child(look, NULL);

	write_file(KSM "run", "0");
	EXPECT_MET(c, 1);
	/* On a busy host ksmd may look again before a worker runs. */
	EXPECT_ABORTS_UP_TO(3);
}

TEST_F_TIMEOUT(poison, ksm_scanned, SLOW)
{
	do_ksm(_metadata, self, ksm_scanned);
}

TEST_F_TIMEOUT(poison, ksm_unstable, SLOW)
{
	do_ksm(_metadata, self, ksm_unstable);
}

TEST_F_TIMEOUT(poison, ksm_stable, SLOW)
{
	do_ksm(_metadata, self, ksm_stable);
}

/*
 * fork() of a pinned page: copy_present_page()
 *
 * A thread is held up in process_vm_readv(), its source pinned, since a
 * userfaultfd has to provide the destination.
 */

struct reader {
	char *from, *to;
	long ret;
};

static void *read_own_memory(void *arg)
{
	struct reader *r = arg;
	struct iovec to = { r->to, page_size };
	struct iovec from = { r->from, 2 * page_size };

	r->ret = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	return NULL;
}

static long pinned_pages(void)
{
	write_file("/proc/sys/vm/stat_refresh", "1");
	return number_in("/proc/vmstat", "nr_foll_pin_acquired ") -
	       number_in("/proc/vmstat", "nr_foll_pin_released ");
}

/* Memory whose pages somebody has to provide by *@fd, a userfaultfd */
static char *map_missing(size_t len, int *fd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register missing = {
		.range.len = len, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	missing.range.start = (uintptr_t)p;
	need(p != MAP_FAILED, "memory");
	*fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	need(*fd >= 0 && !ioctl(*fd, UFFDIO_API, &api) &&
	     !ioctl(*fd, UFFDIO_REGISTER, &missing), "userfaultfd");
	return p;
}

static long fork_pinned(struct child *c)
{
	struct uffdio_zeropage zero = { .range.len = page_size };
	struct uffd_msg msg;
	struct reader r;
	pthread_t thread;
	int fd, err;
	long ret;

	r.from = map_pair(MAP_PRIVATE);
	need(r.from, "memory");
	r.to = map_missing(page_size, &fd);
	zero.range.start = (uintptr_t)r.to;
	need(!pthread_create(&thread, NULL, read_own_memory, &r), "thread");
	need(read(fd, &msg, sizeof(msg)) == sizeof(msg), "fault");

	child_poison(c, r.from + page_size);
	ret = fork();
	err = errno;
	if (!ret)
		_exit(0);

	need(!ioctl(fd, UFFDIO_ZEROPAGE, &zero), "UFFDIO_ZEROPAGE");
	pthread_join(thread, NULL);
	/* Only the first page fits into the destination. */
	need(r.ret == (long)page_size && same_pages(r.to, page_size),
	     "process_vm_readv");
	errno = err;
	return ret;
}

TEST_F(poison, fork_pinned)
{
	long pinned = pinned_pages();
	struct child *c = run_child(fork_pinned, NULL);

	EXPECT_EXITED(c);
	/* copy_pte_range()'s -EHWPOISON, as copy_pmd_range() passes it on */
	EXPECT_RET(c, -1, ENOMEM);
	expect_told(_metadata, c, 12);
	EXPECT_EQ(pinned, pinned_pages());
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

/* UFFDIO_COPY of two pages, of which the second is poisoned: the first is provided. */
static long copy_missing(struct child *c)
{
	char *from = map_pair(MAP_PRIVATE), *to;
	struct uffdio_copy copy = { .len = 2 * page_size };
	int fd, err;
	long ret;

	need(from, "memory");
	to = map_missing(copy.len, &fd);
	copy.src = (uintptr_t)from;
	copy.dst = (uintptr_t)to;
	child_poison(c, from + page_size);
	ret = ioctl(fd, UFFDIO_COPY, &copy);
	err = errno;

	need(copy.copy == (long)page_size && same_pages(to, page_size), "data");
	need(!phys_addr(to + page_size), "page that is missing");
	errno = err;
	return ret;
}

TEST_F(poison, uffdio_copy)
{
	struct child *c = run_child(copy_missing, NULL);

	EXPECT_EXITED(c);
	EXPECT_RET(c, -1, EAGAIN);	/* as for any copy that came out short */
	EXPECT_TOLD(c, c->va, 12);
	EXPECT_ISOLATED(c->pa, 1);
	/* It copies with its locks, and once more without, if the page is there still. */
	EXPECT_ABORTS_OF_PAGE(2);
}

/*
 * Collapse into a huge page
 *
 * Eight pages, and the poisoned one after them; in the file there are more.
 */

#define BEFORE	8

struct collapse {
	char *(*map)(struct child *c);
	bool daemon;		/* khugepaged does it, not madvise() */
	int after;		/* what a load gets then, -1 is SIGBUS */
};

static char *fill_collapse(struct child *c, char *p)
{
	c->va = p + BEFORE * page_size;
	fill_pages(p, (BEFORE + 1) * page_size);
	c->pa = phys_addr(c->va);
	return p;
}

static char *map_collapse_anon(struct child *c)
{
	char *p = map_huge(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	return fill_collapse(c, p);
}

static char *map_collapse_shmem(struct child *c)
{
	int fd = memfd_create("collapse", MFD_CLOEXEC);
	char *p;

	need(fd >= 0 && !ftruncate(fd, HUGE), "memfd");
	p = map_huge(PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return fill_collapse(c, p);
}

/* Not at once if another CPU is about to put pages on the LRU: EAGAIN */
static int make_huge(char *p)
{
	int err, i;

	for (i = 0; i < 100; i++) {
		err = madvise(p, HUGE, MADV_COLLAPSE);
		if (!err || errno != EAGAIN)
			break;
		usleep(1000);
	}
	return err;
}

/*
 * The file is grown by a hole to the size of two huge pages. Nobody may have it
 * open for writing, and it must be mapped executable. Not every kernel makes
 * huge pages of every file system's files: the second half tells.
 */
static char *map_collapse_file(struct child *c)
{
	int fd = open_disk_file();
	char *p;

	need(fd >= 0 && !ftruncate(fd, 2 * HUGE) && !fsync(fd), "disk");
	close(fd);
	fd = open("/mnt/file", O_RDONLY);
	need(fd >= 0, "/mnt/file");
	p = map_huge(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, HUGE);
	if (make_huge(p)) {
		need(errno == EINVAL, "MADV_COLLAPSE");
		child_step(c, NO_HUGE_FILES);
		_exit(0);
	}

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	c->pa = cache_page(fd, BEFORE * page_size);
	p = map_huge(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	c->va = p + BEFORE * page_size;
	need(same_pages(p, (BEFORE + 1) * page_size), "data");
	need(phys_addr(c->va) == c->pa, "page of the file");
	return p;
}

static long wait_khugepaged(char *p)
{
	long aborts = rig_stat("aborts"), scans;
	int i;

	write_file(THP "shmem_enabled", "advise");
	write_file(THP "khugepaged/scan_sleep_millisecs", "1");
	write_file(THP "khugepaged/pages_to_scan", "100000");
	need(!madvise(p, HUGE, MADV_HUGEPAGE), "MADV_HUGEPAGE");
	for (i = 0; i < 1000 && rig_stat("aborts") == aborts; i++)
		usleep(10000);
	need(rig_stat("aborts") > aborts, "khugepaged at the poison");

	/* No more of that, and let it come to the end of what it does. */
	need(!madvise(p, HUGE, MADV_NOHUGEPAGE), "MADV_NOHUGEPAGE");
	scans = number_in(THP "khugepaged/full_scans", "");
	need(wait_number(THP "khugepaged/full_scans", "", scans + 2),
	     "khugepaged");
	write_file(THP "khugepaged/scan_sleep_millisecs", "10000");
	write_file(THP "shmem_enabled", "never");
	return 0;
}

static long collapse(struct child *c)
{
	const struct collapse *row = c->arg;
	char *p = row->map(c);
	int err;
	long ret;

	need(!poison_phys(c->pa), "poison");
	ret = row->daemon ? wait_khugepaged(p) :
			    make_huge(p);
	err = errno;

	need(is_isolated(c->pa), "isolated");
	need(same_pages(p, BEFORE * page_size), "data");
	/* khugepaged may have read the file's page again and been successful. */
	need((row->daemon && row->after >= 0) ||
	     !page_flag(phys_addr(p), KPF_THP), "small pages");
	c->data[0] = c->sigbus;
	if (row->daemon || row->after >= 0)
		need(child_load(c->va) == row->after, "load");
	errno = err;
	return ret;
}

static void do_collapse(struct __test_metadata *_metadata,
			struct _test_data_poison *self, const struct collapse *row)
{
	struct child *c = run_child(collapse, (void *)row);

	if (c->step == NO_HUGE_FILES)
		SKIP(return, "needs READ_ONLY_THP_FOR_FS");

	EXPECT_EXITED(c);
	if (!row->daemon) {
		/* madvise_collapse_errno() of SCAN_COPY_MC */
		EXPECT_RET(c, -1, EINVAL);
		expect_told(_metadata, c, 12);
	} else if (row->after < 0) {
		/* Nobody is told before the owner loads from it. */
		EXPECT_EQ(0, c->data[0]);
		EXPECT_SIGBUS(c, BUS_MCEERR_AR, c->va, 12);
	} else {
		EXPECT_NO_SIGBUS(c);
	}
	EXPECT_ISOLATED(c->pa, 1);
	/* khugepaged comes by until a worker has taken the page away. */
	EXPECT_ABORTS_UP_TO(row->daemon ? ABORTS_BEFORE_WORKER : 1);
}

#define COLLAPSE(...) \
	do_collapse(_metadata, self, &(const struct collapse) { __VA_ARGS__ })

TEST_F(poison, collapse_anon)
{
	COLLAPSE(.map = map_collapse_anon, .after = -1);
}

TEST_F(poison, collapse_shmem)
{
	COLLAPSE(.map = map_collapse_shmem, .after = -1);
}

TEST_F(poison, collapse_file)
{
	COLLAPSE(.map = map_collapse_file,
		 .after = page_byte(BEFORE * 4096));
}

TEST_F_TIMEOUT(poison, khugepaged_anon, SLOW)
{
	COLLAPSE(.map = map_collapse_anon, .daemon = true, .after = -1);
}

TEST_F_TIMEOUT(poison, khugepaged_shmem, SLOW)
{
	COLLAPSE(.map = map_collapse_shmem, .daemon = true, .after = -1);
}

TEST_F_TIMEOUT(poison, khugepaged_file, SLOW)
{
	COLLAPSE(.map = map_collapse_file, .daemon = true,
		 .after = page_byte(BEFORE * 4096));
}

/* Migration: folio_mc_copy() */

struct move {
	long (*call)(struct child *c);
	long ret;
	int err;
	bool nodes;		/* needs two */
	void (*map)(struct child *c);	/* map_anon() if NULL */
	size_t at;		/* which page of it is poisoned, in bytes */
	int lsb;
};

static long call_move_pages(struct child *c)
{
	int node = other_node(node_of(c->va)), status = 12345;
	void *va = c->va;
	long ret = syscall(SYS_move_pages, 0, 1UL, &va, &node, &status,
			   MPOL_MF_MOVE);

	need(status == 12345, "status of a page that was not moved");
	return ret;
}

static long call_soft_offline(struct child *c)
{
	return madvise(c->va, page_size, MADV_SOFT_OFFLINE);
}

static long call_mbind(struct child *c)
{
	unsigned long mask = 1UL << other_node(node_of(c->va));

	return syscall(SYS_mbind, c->va, page_size, MPOL_BIND, &mask, MASK_BITS,
		       MPOL_MF_MOVE | MPOL_MF_STRICT);
}

static long move(struct child *c)
{
	const struct move *row = c->arg;

	(row->map ?: map_anon)(c);
	child_poison(c, c->va + row->at);
	return row->call(c);
}

static void do_move(struct __test_metadata *_metadata,
		    struct _test_data_poison *self, const struct move *row)
{
	struct child *c;

	if (row->nodes && !two_nodes())
		SKIP(return, "needs NODES");
	c = run_child(move, (void *)row);

	if (c->step == NO_HUGE_TAGS)
		SKIP(return, "needs MTE_HUGETLB");

	EXPECT_EXITED(c);
	EXPECT_RET(c, row->ret, row->err);
	expect_told(_metadata, c, row->lsb ?: 12);
	EXPECT_ISOLATED(c->pa, 1);
	/* Asynchronously, then synchronously: migrate_pages_sync() */
	EXPECT_ABORTS_UP_TO(2);
}

#define MOVE(...) \
	do_move(_metadata, self, &(const struct move) { __VA_ARGS__ })

/* The number of pages not moved, see move_pages(2) */
TEST_F(poison, move_pages)
{
	MOVE(.call = call_move_pages, .ret = 1, .nodes = true);
}

TEST_F(poison, move_soft_offline)
{
	MOVE(.call = call_soft_offline, .ret = -1, .err = EBUSY);
}

TEST_F(poison, move_mbind)
{
	MOVE(.call = call_mbind, .ret = -1, .err = EIO, .nodes = true);
}

TEST_F(poison, move_mte)
{
	if (!has_mte())
		SKIP(return, "needs MTE");

	MOVE(.call = call_move_pages, .ret = 1, .nodes = true, .map = map_mte);
}

static void do_move_hugetlb(struct __test_metadata *_metadata,
			    struct _test_data_poison *self,
			    void (*map)(struct child *c))
{
	long total = number_in("/proc/meminfo", "HugePages_Total:");

	/* One on each node */
	ASSERT_EQ(0, huge_pool(2));
	MOVE(.call = call_move_pages, .ret = 1, .nodes = true, .map = map,
	     .at = HUGE / 2, .lsb = 21);
	EXPECT_EQ(0, huge_pool(0));
	EXPECT_EQ(total, number_in("/proc/meminfo", "HugePages_Total:"));
}

TEST_F(poison, move_hugetlb)
{
	do_move_hugetlb(_metadata, self, map_hugetlb);
}

TEST_F(poison, move_hugetlb_mte)
{
	if (!has_mte())
		SKIP(return, "needs MTE");

	do_move_hugetlb(_metadata, self, map_hugetlb_mte);
}

/* A page of another process: its owner learns when it loads from it. */

static long owner(struct child *c)
{
	map_anon(c);
	c->data[1] = other_node(node_of(c->va));
	child_poison(c, c->va);
	child_step(c, 1);
	need(child_await(c, 2), "mover");
	c->data[0] = c->sigbus;
	return child_load(c->va);
}

static long move_other(struct child *c)
{
	struct child *o = c->arg;
	int node, status = 0;
	void *va;

	need(child_await(o, 1), "owner");
	va = o->va;
	node = o->data[1];
	return syscall(SYS_move_pages, o->pid, 1UL, &va, &node, &status,
		       MPOL_MF_MOVE);
}

TEST_F(poison, move_pages_other)
{
	struct child *o, *c;

	if (!two_nodes())
		SKIP(return, "needs NODES");
	o = child_start(owner, NULL);
	c = run_child(move_other, o);

	child_step(o, 2);
	child_wait(o);

	EXPECT_EXITED(c);
	EXPECT_RET(c, 1, 0);
	EXPECT_SIGBUS(c, BUS_OBJERR, NULL, -1);

	EXPECT_EXITED(o);
	EXPECT_EQ(0, o->data[0]);
	EXPECT_EQ(-1, o->ret);
	EXPECT_SIGBUS(o, BUS_MCEERR_AR, o->va, 12);
	EXPECT_ISOLATED(o->pa, 1);
	/* By the owner, too, if memory_failure() came while the page was off its list. */
	EXPECT_ABORTS_UP_TO(3);
}

/* Core dump: dump_page_copy() */

#define CORE	"/tmp/core"
#define PATTERN	"/proc/sys/kernel/core_pattern"

static long dump_core(struct child *c)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	map_anon(c);
	child_poison(c, c->va);
	setrlimit(RLIMIT_CORE, &unlimited);
	raise(SIGABRT);
	return 0;
}

/* Where in the core file what was at @va is; 0 if it is not there */
static off_t core_offset(int fd, const void *va)
{
	uintptr_t addr = (uintptr_t)va;
	struct elf64_hdr ehdr;
	struct elf64_phdr phdr;
	int i;

	if (pread(fd, &ehdr, sizeof(ehdr), 0) != sizeof(ehdr))
		return 0;
	for (i = 0; i < ehdr.e_phnum; i++) {
		if (pread(fd, &phdr, sizeof(phdr),
			  ehdr.e_phoff + i * sizeof(phdr)) != sizeof(phdr))
			return 0;
		if (phdr.p_type == PT_LOAD && addr >= phdr.p_vaddr &&
		    addr - phdr.p_vaddr < phdr.p_filesz)
			return phdr.p_offset + addr - phdr.p_vaddr;
	}
	return 0;
}

TEST_F(poison, core_dump)
{
	char pattern[256] = "", page[4096];
	struct child *c;
	struct stat st;
	off_t off;
	int fd;

	ASSERT_EQ(0, read_file(PATTERN, pattern, sizeof(pattern)));
	pattern[strcspn(pattern, "\n")] = '\0';
	ASSERT_EQ(0, write_file(PATTERN, CORE));
	unlink(CORE);
	c = run_child(dump_core, NULL);
	EXPECT_EQ(0, write_file(PATTERN, "%s", pattern));

	EXPECT_KILLED(c, SIGABRT);
	EXPECT_NO_SIGBUS(c);

	/* The file ends where the poison begins. */
	fd = open(CORE, O_RDONLY);
	ASSERT_LE(0, fd);
	off = core_offset(fd, c->va);
	EXPECT_LT(0, off);
	EXPECT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(off, st.st_size);
	EXPECT_EQ((ssize_t)sizeof(page),
		  pread(fd, page, sizeof(page), off - sizeof(page)));
	EXPECT_TRUE(same_pages(page, sizeof(page)));
	close(fd);
	unlink(CORE);

	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

/*
 * From one file to another, with no user memory between them: lib/iov_iter.c
 *
 * A page of the source is poisoned, in the page cache only. It is not mapped, so
 * who copies is told that there was an error, but no address.
 */

#define PAGES		8
#define DEAD		3
#define OTHER_BYTE	0xee

struct transfer {
	ssize_t (*copy)(int in, off_t from, int out, size_t len);
	bool disk;		/* ext2, else tmpfs */
	bool blkdev;		/* the destination is a disk without a file system */
	bool held;		/* a pipe has the page afterwards */
	bool old;		/* the destination has other data already */
	off_t from;		/* where in the source it begins */
};

/* A transfer, to do with poison or without it */
struct transfer_run {
	const struct transfer *row;
	int in, out;
	bool poison;
	off_t from;
};

static ssize_t copy_range(int in, off_t from, int out, size_t len)
{
	return copy_file_range(in, &from, out, NULL, len, 0);
}

static ssize_t send_file(int in, off_t from, int out, size_t len)
{
	return sendfile(out, in, &from, len);
}

static ssize_t splice_twice(int in, off_t from, int out, size_t len)
{
	int fd[2];
	ssize_t ret;

	need(!pipe(fd), "pipe");
	ret = splice(in, &from, fd[1], NULL, len, 0);
	if (ret < 0)
		return ret;
	need(ret == (ssize_t)len, "splice to a pipe");
	return splice(fd[0], NULL, out, NULL, len, 0);
}

/* Are the first @len bytes of @fd those of a source from @from on? */
static bool has_source(int fd, off_t from, size_t len)
{
	char *p = malloc(from + len);
	bool good = p && pread(fd, p + from, len, 0) == (ssize_t)len;

	if (good) {
		fill_pages(p, from);
		good = same_pages(p, from + len);
	}
	free(p);
	return good;
}

/* On tmpfs, with the same bytes as the file on the disk */
static int source_file(void)
{
	int fd = memfd_create("source", MFD_CLOEXEC);
	char *p = malloc(PAGES * page_size);
	bool good;

	fill_pages(p, PAGES * page_size);
	good = pwrite(fd, p, PAGES * page_size, 0) == (ssize_t)(PAGES * page_size);
	free(p);
	return good ? fd : -1;
}

static long transfer(struct child *c)
{
	const struct transfer_run *run = c->arg;

	if (run->poison) {
		c->pa = cache_page(run->in, DEAD * page_size);
		need(c->pa && !poison_phys(c->pa), "poison");
	}
	return run->row->copy(run->in, run->from, run->out,
			      PAGES * page_size - run->from);
}

static void do_transfer(struct __test_metadata *_metadata,
			struct _test_data_poison *self, const struct transfer *row)
{
	const size_t len = PAGES * page_size - row->from;
	const ssize_t good = DEAD * page_size - row->from;
	/* memory_failure() fails for a page in use; 7.3 kills for that. */
	const int code = row->held && !worker_may_isolate() ? SI_KERNEL :
		BUS_OBJERR;
	struct transfer_run run = {
		.row = row, .poison = true, .from = row->from,
	};
	struct child *c;
	struct stat st;
	uint64_t pa;
	char *p;

	if (row->blkdev && access(BLKDEV, F_OK))
		SKIP(return, "needs BLK_DEV_RAM");
	run.in = row->disk ? open_disk_file() : source_file();
	if (row->disk && run.in == -ENOENT)
		SKIP(return, "no /ext2.img");
	ASSERT_GE(run.in, 0);
	run.out = row->blkdev ? open_blkdev(OTHER_BYTE, len) :
		row->disk ? open("/mnt/new", O_RDWR | O_CREAT | O_EXCL, 0600) :
		memfd_create("destination", MFD_CLOEXEC);
	ASSERT_GE(run.out, 0);
	if (row->old) {
		p = malloc(len);
		memset(p, OTHER_BYTE, len);
		ASSERT_EQ((ssize_t)len, pwrite(run.out, p, len, 0));
		free(p);
	}
	c = run_child(transfer, &run);
	pa = c->pa;

	EXPECT_EXITED(c);
	EXPECT_RET(c, good ?: -1, EFAULT);
	EXPECT_SIGBUS(c, code, NULL, -1);
	EXPECT_ISOLATED(pa, 1);
	EXPECT_ABORTS(1);

	/* What was said to be copied is, and nothing else. */
	EXPECT_TRUE(has_source(run.out, row->from, good));
	EXPECT_EQ(0, fstat(run.out, &st));
	if (!row->blkdev)
		EXPECT_EQ(row->old ? (off_t)len : good, st.st_size);
	if (row->old || row->blkdev)
		EXPECT_TRUE(has_only(run.out, good, len - good, OTHER_BYTE));

	/* The next one reads it from the disk, or hears that it is gone. */
	run.poison = false;
	run.from = DEAD * page_size;
	EXPECT_EQ(good, lseek(run.out, good, SEEK_SET));
	c = run_child(transfer, &run);
	EXPECT_EXITED(c);
	if (row->disk) {
		EXPECT_RET(c, (PAGES - DEAD) * (long)page_size, 0);
		EXPECT_TRUE(has_source(run.out, row->from, len));
	} else {
		EXPECT_RET(c, -1, EIO);
	}
	EXPECT_NO_SIGBUS(c);
	EXPECT_ISOLATED(pa, 1);
	EXPECT_ABORTS(1);

	close(run.in);
	close(run.out);
}

#define TRANSFER(...) \
	do_transfer(_metadata, self, &(const struct transfer) { __VA_ARGS__ })

TEST_F(poison, copy_file_range)
{
	TRANSFER(.copy = copy_range);
}

TEST_F(poison, copy_file_range_disk)
{
	TRANSFER(.copy = copy_range, .disk = true);
}

/* A page of the destination is half good: no good byte is lost. */
TEST_F(poison, copy_file_range_unaligned)
{
	TRANSFER(.copy = copy_range, .from = 1001);
}

/* ext2 does not take half a page that it has not read: it is written anew. */
TEST_F(poison, copy_file_range_disk_unaligned)
{
	TRANSFER(.copy = copy_range, .disk = true, .from = 1001);
}

TEST_F(poison, copy_file_range_over)
{
	TRANSFER(.copy = copy_range, .old = true, .from = 1001);
}

TEST_F(poison, copy_file_range_disk_over)
{
	TRANSFER(.copy = copy_range, .disk = true, .old = true, .from = 1001);
}

TEST_F(poison, copy_file_range_nothing)
{
	TRANSFER(.copy = copy_range, .from = DEAD * 4096);
}

TEST_F(poison, sendfile)
{
	TRANSFER(.copy = send_file);
}

TEST_F(poison, sendfile_disk)
{
	TRANSFER(.copy = send_file, .disk = true, .from = 1001);
}

TEST_F(poison, sendfile_nothing)
{
	TRANSFER(.copy = send_file, .from = DEAD * 4096);
}

TEST_F(poison, splice)
{
	TRANSFER(.copy = splice_twice, .held = true);
}

TEST_F(poison, splice_disk)
{
	TRANSFER(.copy = splice_twice, .held = true, .disk = true, .from = 1001);
}

TEST_F(poison, splice_over)
{
	TRANSFER(.copy = splice_twice, .held = true, .old = true, .from = 1001);
}

TEST_F(poison, splice_nothing)
{
	TRANSFER(.copy = splice_twice, .held = true, .from = DEAD * 4096);
}

/* iomap has a loop of its own. It, too, does not take half a block that it has not read. */
TEST_F(poison, splice_blkdev)
{
	TRANSFER(.copy = splice_twice, .held = true, .disk = true, .blkdev = true, .from = 1001);
}

/*
 * A file into itself, a few bytes further on or back. No poison here: each piece
 * of a page is copied onto part of itself as memmove() would.
 */
static void do_shift(struct __test_metadata *_metadata, off_t from, off_t to)
{
	const size_t size = PAGES * page_size;
	size_t len = 3 * page_size + 333, done, part;
	char *model = malloc(size), *file = malloc(size);
	int fd = source_file(), pipes[2];
	off_t in = from, out = to;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ((ssize_t)len, splice(fd, &in, pipes[1], NULL, len, 0));
	EXPECT_EQ((ssize_t)len, splice(pipes[0], NULL, fd, &out, len, 0));
	EXPECT_EQ((ssize_t)size, pread(fd, file, size, 0));

	fill_pages(model, size);
	for (done = 0; done < len; done += part) {
		size_t a = from + done, b = to + done;

		part = len - done;
		if (part > page_size - a % page_size)
			part = page_size - a % page_size;
		if (part > page_size - b % page_size)
			part = page_size - b % page_size;
		memmove(model + b, model + a, part);
	}
	EXPECT_EQ(0, memcmp(model, file, size)) {
		TH_LOG("from %ld to %ld", (long)from, (long)to);
	}

	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	free(model);
	free(file);
}

TEST_F(poison, splice_into_itself)
{
	static const int shifts[] = { 1, 8, 63, 64, 65, 100, 1001, 4000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		do_shift(_metadata, 0, shifts[i]);
		do_shift(_metadata, shifts[i], 0);
		do_shift(_metadata, page_size + 5, page_size + 5 + shifts[i]);
		do_shift(_metadata, page_size + 5 + shifts[i], page_size + 5);
	}
	EXPECT_ABORTS(0);
}

/*
 * execve(2): the first page of the file is what the kernel looks at to see what it
 * has got: kernel_read().
 */

#define EXIT_CODE	42

struct exec {
	const char *dir;
	bool script;		/* it is run, else the program */
	bool poison_script;	/* its page is poisoned, else that of the program */
	bool reread;		/* comes from disk again after isolation */
};

struct exec_run {
	char program[32], script[32];
	const char *run, *dead;
	bool poison;
};

/* Exits with EXIT_CODE. */
static bool write_program(const char *path)
{
	const struct {
		struct elf64_hdr ehdr;
		struct elf64_phdr phdr;
		unsigned int code[3];
	} image = {
		.ehdr = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
				     ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_AARCH64,
			.e_version = EV_CURRENT,
			.e_entry = 0x400000 + sizeof(image.ehdr) +
				   sizeof(image.phdr),
			.e_phoff = sizeof(image.ehdr),
			.e_ehsize = sizeof(image.ehdr),
			.e_phentsize = sizeof(image.phdr),
			.e_phnum = 1,
		},
		.phdr = {
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_vaddr = 0x400000,
			.p_filesz = sizeof(image),
			.p_memsz = sizeof(image),
			.p_align = 0x10000,
		},
		.code = {
			0x52800000 | EXIT_CODE << 5,	/* mov w0, #EXIT_CODE */
			0x52800000 | SYS_exit << 5 | 8,	/* mov w8, #SYS_exit */
			0xd4000001,			/* svc #0 */
		},
	};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	bool good = fd >= 0 &&
		write(fd, &image, sizeof(image)) == sizeof(image) && !fsync(fd);

	/* A file that somebody may write to is not run. */
	close(fd);
	return good;
}

static bool write_script(const char *path, const char *program)
{
	char line[64];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	int n = snprintf(line, sizeof(line), "#!%s\n", program);
	bool good = fd >= 0 && write(fd, line, n) == n && !fsync(fd);

	close(fd);
	return good;
}

static long exec(struct child *c)
{
	const struct exec_run *run = c->arg;
	int fd;

	if (run->poison) {
		fd = open(run->dead, O_RDONLY | O_CLOEXEC);
		c->pa = cache_page(fd, 0);
		need(c->pa && !poison_phys(c->pa), "poison");
	}
	return execl(run->run, run->run, NULL);
}

static void do_exec(struct __test_metadata *_metadata,
		    struct _test_data_poison *self, const struct exec *row)
{
	struct exec_run run = { .poison = false };
	struct child *c;
	int fd;

	if (row->reread) {
		fd = open_disk_file();
		if (fd == -ENOENT)
			SKIP(return, "no /ext2.img");
		ASSERT_GE(fd, 0);
		close(fd);
	}
	snprintf(run.program, sizeof(run.program), "%s/program", row->dir);
	snprintf(run.script, sizeof(run.script), "%s/script", row->dir);
	run.run = row->script ? run.script : run.program;
	run.dead = row->poison_script ? run.script : run.program;
	ASSERT_TRUE(write_program(run.program));
	ASSERT_TRUE(write_script(run.script, run.program));
	c = run_child(exec, &run);
	ASSERT_EQ(EXIT_CODE << 8, c->status);

	run.poison = true;
	c = run_child(exec, &run);
	EXPECT_EXITED(c);
	EXPECT_RET(c, -1, EFAULT);
	EXPECT_SIGBUS(c, BUS_OBJERR, NULL, -1);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);

	run.poison = false;
	c = run_child(exec, &run);
	if (row->reread) {
		EXPECT_EQ(EXIT_CODE << 8, c->status);
	} else {
		EXPECT_EXITED(c);
		EXPECT_RET(c, -1, EIO);
	}
	EXPECT_NO_SIGBUS(c);
	EXPECT_ABORTS(1);
	unlink(run.program);
	unlink(run.script);
}

#define EXEC(...) \
	do_exec(_metadata, self, &(const struct exec) { __VA_ARGS__ })

TEST_F(poison, exec_program)
{
	EXEC(.dir = "/tmp");
}

TEST_F(poison, exec_program_disk)
{
	EXEC(.dir = "/mnt", .reread = true);
}

TEST_F(poison, exec_script)
{
	EXEC(.dir = "/tmp", .script = true, .poison_script = true);
}

TEST_F(poison, exec_script_disk)
{
	EXEC(.dir = "/mnt", .script = true, .poison_script = true,
	     .reread = true);
}

TEST_F(poison, exec_interpreter)
{
	EXEC(.dir = "/tmp", .script = true);
}

/*
 * finit_module(2): a page of the file in the middle. What was read by then is no module,
 * and the next one who tries reads the page from the disk.
 */
static long load_module(struct child *c)
{
	const bool *poison = c->arg;
	int fd = open("/mnt/file", O_RDONLY | O_CLOEXEC);

	need(fd >= 0, "/mnt/file");
	if (*poison) {
		c->pa = cache_page(fd, DEAD * page_size);
		need(c->pa && !poison_phys(c->pa), "poison");
	}
	return syscall(SYS_finit_module, fd, "", 0);
}

TEST_F(poison, finit_module)
{
	int fd = open_disk_file();
	bool poison = true;
	struct child *c;

	if (access("/proc/modules", F_OK))
		SKIP(return, "needs MODULES");
	if (fd == -ENOENT)
		SKIP(return, "no /ext2.img");
	ASSERT_GE(fd, 0);
	close(fd);	/* No module may be open for writing. */
	c = run_child(load_module, &poison);

	EXPECT_EXITED(c);
	EXPECT_RET(c, -1, EIO);
	EXPECT_SIGBUS(c, BUS_OBJERR, NULL, -1);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);

	poison = false;
	c = run_child(load_module, &poison);
	EXPECT_EXITED(c);
	EXPECT_RET(c, -1, ENOEXEC);
	EXPECT_NO_SIGBUS(c);
	EXPECT_ABORTS(1);
}

/*
 * A loop device on a tmpfs file. What is consumed, a kernel thread consumes: the
 * request fails, nobody gets a signal.
 */

struct loop {
	long (*use)(struct child *c);
	long ret;
	int err;
	int most;		/* times that it may be consumed */
	unsigned int flags;	/* LO_FLAGS_* */
	off_t from;		/* where it reads */
	size_t good;		/* bytes at the start of the file that are right */
};

struct loop_run {
	const struct loop *row;
	int file;
};

/* The device is gone when it is closed. */
static int open_loop(const struct loop_run *run, int flags)
{
	struct loop_config config = {
		.fd = run->file,
		.block_size = page_size,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | run->row->flags,
	};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), fd;
	char path[32];

	snprintf(path, sizeof(path), "/dev/loop%d",
		 ioctl(control, LOOP_CTL_GET_FREE));
	fd = open(path, O_RDWR | O_CLOEXEC | flags);
	need(fd >= 0 && !ioctl(fd, LOOP_CONFIGURE, &config), path);
	close(control);
	return fd;
}

static char *loop_buffer(void)
{
	char *p = mmap(NULL, PAGES * page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED, "memory");
	return p;
}

/* Has nobody written to it? */
static bool is_zero(const char *p, size_t len)
{
	return !*p && !memcmp(p, p + 1, len - 1);
}

/* The poison is in a page of the process's. Without it a page is written. */
static long loop_write(struct child *c)
{
	int fd = open_loop(c->arg, O_DIRECT);
	char *p = loop_buffer();

	fill_pages(p, PAGES * page_size);
	need(pwrite(fd, p, page_size, 0) == (ssize_t)page_size, "write");
	child_poison(c, p + DEAD * page_size);
	return pwrite(fd, p, PAGES * page_size, 0);
}

/* It is in the page cache of the device, and written by fsync(). */
static long loop_write_back(struct child *c)
{
	int fd = open_loop(c->arg, 0);
	char *p = loop_buffer();

	fill_pages(p, PAGES * page_size);
	need(pwrite(fd, p, PAGES * page_size, 0) == (ssize_t)(PAGES * page_size),
	     "write");
	c->pa = cache_page(fd, DEAD * page_size);
	need(page_flag(c->pa, KPF_DIRTY) && !poison_phys(c->pa), "poison");
	return fsync(fd);
}

/* It is in the page cache of the file. */
static long loop_read(struct child *c)
{
	const struct loop_run *run = c->arg;
	off_t from = run->row->from;
	int fd = open_loop(run, O_DIRECT), err;
	char *p = loop_buffer();
	long ret;

	c->pa = cache_page(run->file, DEAD * page_size);
	need(c->pa && !poison_phys(c->pa), "poison");
	ret = pread(fd, p + from, PAGES * page_size - from, from);
	err = errno;
	/* Whatever was read is right, and nothing was that is behind it. */
	need(is_zero(p + DEAD * page_size, (PAGES - DEAD) * page_size), "poison");
	if (ret > 0) {
		fill_pages(p, from);
		need(same_pages(p, from + ret), "data");
	}
	errno = err;
	return ret;
}

static void do_loop(struct __test_metadata *_metadata,
		    struct _test_data_poison *self, const struct loop *row)
{
	struct loop_run run = { .row = row };
	/* fsync() may have written the pages behind it, which are good, on their own. */
	size_t behind = row->use == loop_write_back ? 1 : PAGES - row->good;
	struct child *c;

	if (access("/dev/loop-control", F_OK))
		SKIP(return, "needs BLK_DEV_LOOP");

	if (row->use == loop_read) {
		run.file = source_file();
	} else {
		run.file = memfd_create("disk", MFD_CLOEXEC);
		ASSERT_EQ(0, ftruncate(run.file, PAGES * page_size));
	}
	ASSERT_GE(run.file, 0);
	c = run_child(row->use, &run);

	EXPECT_EXITED(c);
	EXPECT_RET(c, row->ret, row->err);
	EXPECT_NO_SIGBUS(c);
	/* A worker marks the page, waits for its write-back, and counts it. */
	wait_number("/proc/meminfo", "HardwareCorrupted:",
		    (self->corrupted + 1) * page_size / 1024);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS_UP_TO(row->most ?: 1);
	EXPECT_TRUE(has_source(run.file, 0, row->good * page_size));
	if (row->use != loop_read)
		EXPECT_TRUE(has_only(run.file, row->good * page_size,
				     behind * page_size, 0));
	close(run.file);
}

#define LOOP(...) \
	do_loop(_metadata, self, &(const struct loop) { __VA_ARGS__ })

TEST_F(poison, loop_write)
{
	LOOP(.use = loop_write, .ret = -1, .err = EIO, .good = DEAD);
}

TEST_F(poison, loop_write_direct)
{
	LOOP(.use = loop_write, .ret = -1, .err = EIO, .good = DEAD,
	     .flags = LO_FLAGS_DIRECT_IO);
}

TEST_F_TIMEOUT(poison, loop_write_back, SLOW)
{
	LOOP(.use = loop_write_back, .ret = -1, .err = EIO, .good = DEAD);
}

/* To a file that has no room for it */
static long loop_write_good(struct child *c)
{
	return pwrite(open_loop(c->arg, O_DIRECT), loop_buffer(), page_size, page_size);
}

TEST_F(poison, loop_write_full)
{
	const struct loop loop = { 0 };
	struct loop_run run = { .row = &loop };
	char size[32];
	struct child *c;

	if (access("/dev/loop-control", F_OK))
		SKIP(return, "needs BLK_DEV_LOOP");
	snprintf(size, sizeof(size), "size=%lu", page_size);
	mkdir("/tmp/full", 0700);
	ASSERT_EQ(0, mount("full", "/tmp/full", "tmpfs", 0, size));
	run.file = open("/tmp/full/disk", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	EXPECT_EQ((ssize_t)page_size, pwrite(run.file, loop_buffer(), page_size, 0));
	EXPECT_EQ(0, ftruncate(run.file, PAGES * page_size));
	c = run_child(loop_write_good, &run);
	close(run.file);
	/* The device may be closed a little later. */
	EXPECT_EQ(0, umount2("/tmp/full", MNT_DETACH));
	EXPECT_EQ(0, rmdir("/tmp/full"));

	EXPECT_EXITED(c);
	EXPECT_RET(c, -1, ENOSPC);
	EXPECT_ABORTS(0);
}

/*
 * The driver asks for the rest of what was read in part: that consumes it once
 * more, if it has not been isolated by then.
 */
TEST_F(poison, loop_read)
{
	LOOP(.use = loop_read, .ret = -1, .err = EIO, .most = 2, .good = DEAD);
}

TEST_F(poison, loop_read_direct)
{
	LOOP(.use = loop_read, .ret = -1, .err = EIO, .most = 2, .good = DEAD,
	     .flags = LO_FLAGS_DIRECT_IO);
}

TEST_F(poison, loop_read_nothing)
{
	LOOP(.use = loop_read, .ret = -1, .err = EIO, .from = DEAD * 4096,
	     .good = DEAD);
}

/*
 * A file system in user space that is one file, of two pages. The poison is in a
 * page that the client writes, and the server reads it as part of the request; or it
 * is in a page that the server answers a read with, or in the head of that answer. The
 * request fails, and the next one is served.
 */

#define FUSE_FILE	"/tmp/fuse"

struct fuse {
	bool write;
	bool cached;		/* through the page cache, which is the client's copy */
	bool head;		/* the poison is in the head of an answer */
	int dev;
};

union fuse_reply {
	struct fuse_init_out init;
	struct fuse_attr_out attr;
	struct fuse_open_out open;
	struct fuse_write_out write;
};

static ssize_t fuse_send(int dev, struct fuse_out_header *head, void *data, size_t len)
{
	struct iovec iov[] = { { head, sizeof(*head) }, { data, len } };

	return writev(dev, iov, len ? 2 : 1);
}

static ssize_t fuse_answer(int dev, uint64_t unique, int err, void *data, size_t len)
{
	struct fuse_out_header head = {
		.len = sizeof(head) + len,
		.error = -err,
		.unique = unique,
	};

	return fuse_send(dev, &head, data, len);
}

/* The same with a page of data. The second page of @p is poisoned: the data, or the head. */
static ssize_t fuse_answer_poisoned(struct child *c, uint64_t unique, char *p)
{
	const struct fuse *run = c->arg;
	struct fuse_out_header *head = (void *)(p + page_size);
	ssize_t n;

	if (!run->head) {
		child_poison(c, p + page_size);
		return fuse_answer(run->dev, unique, 0, c->va, page_size);
	}
	*head = (struct fuse_out_header){ .len = sizeof(*head) + page_size, .unique = unique };
	child_poison(c, head);
	n = fuse_send(run->dev, head, p, page_size);
	/* The kernel does not know which request that was for. */
	if (n < 0) {
		int err = errno;

		fuse_answer(run->dev, unique, EIO, NULL, 0);
		errno = err;
	}
	return n;
}

/* Serve until the file is unmounted. Return how the request with poison ended. */
static long fuse_serve(struct child *c)
{
	const struct fuse *run = c->arg;
	size_t room = FUSE_MIN_READ_BUFFER + 2 * page_size;
	struct fuse_in_header *in = malloc(room);
	struct fuse_write_in *write_in = (void *)(in + 1);
	char *p = map_pair(MAP_PRIVATE);
	union fuse_reply reply;
	int end = 0;
	ssize_t n;

	need(in && p && child_await(c, 1), "mount");
	while ((n = read(run->dev, in, room)) >= 0 || errno != ENODEV) {
		if (n < 0) {
			need(run->write && !end, "request");
			end = errno;
			continue;
		}
		memset(&reply, 0, sizeof(reply));
		switch (in->opcode) {
		case FUSE_INIT:
			reply.init.major = FUSE_KERNEL_VERSION;
			reply.init.minor = FUSE_KERNEL_MINOR_VERSION;
			reply.init.max_write = 2 * page_size;
			n = sizeof(reply.init);
			break;
		case FUSE_GETATTR:
			reply.attr.attr.ino = FUSE_ROOT_ID;
			reply.attr.attr.mode = S_IFREG | 0600;
			reply.attr.attr.nlink = 1;
			reply.attr.attr.size = 2 * page_size;
			n = sizeof(reply.attr);
			break;
		case FUSE_OPEN:
			n = sizeof(reply.open);
			break;
		case FUSE_READ:
			if (run->write || end) {
				fuse_answer(run->dev, in->unique, 0, p, page_size);
				continue;
			}
			n = fuse_answer_poisoned(c, in->unique, p);
			end = n < 0 ? errno : -1;
			continue;
		case FUSE_WRITE:
			need(same_pages((char *)(write_in + 1), write_in->size), "data");
			reply.write.size = write_in->size;
			n = sizeof(reply.write);
			break;
		default:
			fuse_answer(run->dev, in->unique, EOPNOTSUPP, NULL, 0);
			continue;
		}
		fuse_answer(run->dev, in->unique, 0, &reply, n);
	}
	return end;
}

static long fuse_use(struct child *c)
{
	const struct fuse *run = c->arg;
	ssize_t (*io)(int fd, void *buf, size_t len, off_t off) = pread;
	int fd = open(FUSE_FILE, O_RDWR | (run->cached ? 0 : O_DIRECT)), err;
	char *p = map_pair(MAP_PRIVATE);
	long ret;

	need(fd >= 0 && p, FUSE_FILE);
	if (run->write) {
		io = (void *)pwrite;
		child_poison(c, p + page_size);
	}
	ret = io(fd, p, 2 * page_size, 0);
	err = errno;
	if (run->write) {
		need(is_isolated(c->pa), "isolated");
		need(run->cached || child_load(c->va) == -1, "load");
	} else {
		memset(p, 0, page_size);
	}
	need(io(fd, p, page_size, 0) == (ssize_t)page_size, "next request");
	need(same_pages(p, page_size), "data");
	close(fd);
	errno = err;
	return ret;
}

static void do_fuse(struct __test_metadata *_metadata,
		    struct _test_data_poison *self, struct fuse run)
{
	struct child *server, *client;
	char options[64];
	int fd;

	run.dev = open("/dev/fuse", O_RDWR);
	if (run.dev < 0)
		SKIP(return, "needs FUSE_FS");

	server = child_start(fuse_serve, &run);
	fd = open(FUSE_FILE, O_CREAT | O_RDWR, 0600);
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=100000,user_id=0,group_id=0", run.dev);
	ASSERT_EQ(0, mount("fuse", FUSE_FILE, "fuse", 0, options));
	child_step(server, 1);
	client = run_child(fuse_use, &run);
	EXPECT_EQ(0, umount(FUSE_FILE));
	child_wait(server);
	close(fd);
	close(run.dev);
	unlink(FUSE_FILE);

	EXPECT_EXITED(client);
	EXPECT_EXITED(server);
	EXPECT_RET(client, run.cached ? (long)page_size : -1, EIO);
	if (run.cached) {
		/* The server has no part in it: it is sent the page before. */
		EXPECT_EQ(0, server->ret);
		EXPECT_NO_SIGBUS(server);
		EXPECT_TOLD(client, client->va, 12);
		EXPECT_ISOLATED(client->pa, 1);
	} else if (run.write) {
		/* The server goes on as if the request had been interrupted. */
		EXPECT_EQ(ENOENT, server->ret);
		/* 7.3's memory_failure() may find the page still in use. */
		EXPECT_SIGBUS(server, server->code == SI_KERNEL ? SI_KERNEL :
			      BUS_OBJERR, NULL, -1);
		EXPECT_SIGBUS(client, BUS_MCEERR_AR, client->va, 12);
		EXPECT_ISOLATED(client->pa, 1);
	} else {
		EXPECT_EQ(EFAULT, server->ret);
		expect_told(_metadata, server, 12);
		EXPECT_NO_SIGBUS(client);
		EXPECT_ISOLATED(server->pa, 1);
	}
	EXPECT_ABORTS(1);
}

TEST_F(poison, fuse_write)
{
	do_fuse(_metadata, self, (struct fuse){ .write = true });
}

/* fuse_fill_write_pages() */
TEST_F(poison, fuse_write_cached)
{
	do_fuse(_metadata, self, (struct fuse){ .write = true, .cached = true });
}

TEST_F(poison, fuse_read)
{
	do_fuse(_metadata, self, (struct fuse){ });
}

/* fuse_copy_one() */
TEST_F(poison, fuse_read_head)
{
	do_fuse(_metadata, self, (struct fuse){ .head = true });
}

/*
 * A disk in memory: what is written to it, the CPU reads. The write fails at the page
 * with poison, and the one before is on the disk.
 */

#define PMEM	"/dev/pmem0"
#define ZRAM	"/dev/zram0"

static long disk_write(struct child *c)
{
	int fd = open(c->arg, O_RDWR | O_DIRECT), err;
	char *p = map_pair(MAP_PRIVATE), *back = loop_buffer();
	long ret;

	need(fd >= 0 && p, c->arg);
	need(pwrite(fd, back, 2 * page_size, 0) == 2 * (ssize_t)page_size, "zeroes");
	child_poison(c, p + page_size);
	ret = pwrite(fd, p, 2 * page_size, 0);
	err = errno;
	need(pread(fd, back, 2 * page_size, 0) == 2 * (ssize_t)page_size, "read");
	need(same_pages(back, page_size), "data");
	need(is_zero(back + page_size, page_size), "poison");
	close(fd);
	errno = err;
	return ret;
}

static void do_disk_write(struct __test_metadata *_metadata,
			  struct _test_data_poison *self, char *disk)
{
	struct child *c = run_child(disk_write, disk);

	EXPECT_EXITED(c);
	EXPECT_RET(c, -1, EIO);
	expect_told(_metadata, c, 12);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

TEST_F(poison, pmem_write)
{
	if (access(PMEM, F_OK))
		SKIP(return, "needs NVDIMM");

	do_disk_write(_metadata, self, PMEM);
}

TEST_F(poison, zram_write)
{
	if (access(ZRAM, F_OK))
		SKIP(return, "needs ZRAM");

	ASSERT_EQ(0, write_file("/sys/block/zram0/disksize", "1M"));
	do_disk_write(_metadata, self, ZRAM);
	EXPECT_EQ(0, write_file("/sys/block/zram0/reset", "1"));
}

/*
 * Persistent memory: one that is given pages, so that a file system can map it, and
 * one that has none.
 *
 * /proc/kpageflags knows nothing of its pages.
 */

#define RAW	"namespace1.0"
#define BTT	ND "devices/btt1.0/"
#define PFN	ND "devices/pfn0.0/"
#define ND	"/sys/bus/nd/"
#define DRIVER	ND "drivers/nd_pmem/"
#define UUID	"5a1f2d6e-93c4-4f0b-8e57-0d2c6b7a9e31"

struct pmem {
	/* Poison, then have it read */
	long (*read)(struct child *c);
	long ret;
	int err;
	bool dax;		/* needs pages that can be mapped */
	bool file;		/* has them mapped */
	bool raw;		/* reads what has no pages */
	int most;		/* times that it may be consumed */
	int late;		/* the same if a worker isolates it */
};

static unsigned long pmem_start, pmem_size;

/* Where namespace @name is, or what has claimed it */
static bool find_pmem(const char *name)
{
	char path[128], buf[32];

	snprintf(path, sizeof(path), ND "devices/%s/resource", name);
	if (read_file(path, buf, sizeof(buf)))
		return false;
	pmem_start = strtoul(buf, NULL, 0);
	snprintf(path, sizeof(path), ND "devices/%s/size", name);
	if (read_file(path, buf, sizeof(buf)))
		return false;
	pmem_size = strtoul(buf, NULL, 0);
	return pmem_start && pmem_size;
}

static bool has_pages(void)
{
	return number_in("/sys/block/pmem0/queue/dax", "") == 1;
}

/* A device that the driver adds may come a little later. */
static int write_device(const char *path, const char *text)
{
	int i, err;

	for (i = 0; i < 500; i++) {
		err = write_file(path, "%s", text);
		if (!err)
			break;
		usleep(10000);
	}
	return err;
}

/* Give it pages, and find it; as it is, if the kernel cannot do that. */
static bool make_pages(void)
{
	if (!has_pages() && !access(PFN, F_OK)) {
		write_file(DRIVER "unbind", "namespace0.0");
		if (write_device(PFN "mode", "ram\n") ||
		    write_file(PFN "align", "%lu", HUGE) ||
		    write_file(PFN "uuid", UUID) ||
		    write_file(PFN "namespace", "namespace0.0") ||
		    write_file(DRIVER "bind", "pfn0.0"))
			return false;
	}
	return find_pmem(has_pages() ? "pfn0.0" : "namespace0.0");
}

/* Block 3 is poisoned, and cannot be read; its neighbours can. */
static long pmem_read(struct child *c, int flags)
{
	char *p = map_huge(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	char *buf = p + 8 * page_size;
	int fd = open(PMEM, O_WRONLY | O_DIRECT), i, err;
	long ret;

	fill_pages(p, 8 * page_size);
	need(fd >= 0 && pwrite(fd, p, 8 * page_size, 0) == 8 * (int)page_size,
	     PMEM);
	close(fd);

	fd = open(PMEM, O_RDONLY | flags);
	need(fd >= 0, PMEM);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	c->pa = pmem_start + 3 * page_size;
	need(!poison_phys(c->pa), "poison");
	ret = pread(fd, buf, page_size, 3 * page_size);
	err = errno;

	for (i = 2; i <= 4; i += 2) {
		need(pread(fd, buf, page_size, i * page_size) ==
		     (int)page_size, "neighbour");
		need(!memcmp(buf, p + i * page_size, page_size), "data");
	}
	errno = err;
	return ret;
}

static long pmem_read_direct(struct child *c)
{
	return pmem_read(c, O_DIRECT);
}

static long pmem_read_buffered(struct child *c)
{
	return pmem_read(c, 0);
}

static char *map_dax(int fd, int flags)
{
	int prot = flags == MAP_PRIVATE ? PROT_READ | PROT_WRITE : PROT_READ;
	char *p = mmap(NULL, 4 * page_size, prot, flags, fd, 0);

	need(p != MAP_FAILED, "/mnt/file");
	return p;
}

/*
 * A file system on it, without page cache: block 3 of the file is poisoned. Of
 * those that take the image, 7.3 has DAX in ext4 only.
 */
static void dax_poison(struct child *c, int *fd, int flags)
{
	char *p;

	need(!copy_file("/ext2.img", PMEM), PMEM);
	mkdir("/mnt", 0755);
	need(!mount(PMEM, "/mnt", "ext4", 0, "dax") ||
	     !mount(PMEM, "/mnt", "ext2", 0, "dax"), "mount -o dax");
	*fd = open("/mnt/file", O_RDONLY);
	p = map_dax(*fd, flags);
	c->va = p + 3 * page_size;
	child_load(c->va);
	if (phys_addr(c->va) - pmem_start >= pmem_size) {
		child_step(c, NO_DAX);
		_exit(0);
	}
	child_poison(c, c->va);
}

static long dax_read(struct child *c)
{
	char buf[4096];
	int fd;

	dax_poison(c, &fd, MAP_SHARED);
	return pread(fd, buf, sizeof(buf), 3 * page_size);
}

/* To pages instead of user memory: memcpy_to_iter_mc() */
static long dax_splice(struct child *c)
{
	off_t off = 3 * page_size;
	int fd, pipes[2];

	dax_poison(c, &fd, MAP_SHARED);
	need(!pipe(pipes), "pipe");
	return splice(fd, &off, pipes[1], NULL, page_size, 0);
}

static long dax_load(struct child *c)
{
	int fd;

	dax_poison(c, &fd, MAP_SHARED);
	return child_load(c->va) < 0 ? 0 : -1;
}

/* A copy of its own, of a page that is mapped, and of one that is not: dax_iomap_fault() */
static long dax_cow(struct child *c)
{
	int fd;

	dax_poison(c, &fd, MAP_PRIVATE);
	return child_store(c->va, 1) < 0 ? 0 : -1;
}

static long dax_cow_new(struct child *c)
{
	char *p, *shared;
	long ret;
	int fd;

	dax_poison(c, &fd, MAP_SHARED);
	shared = c->va - 3 * page_size;
	p = map_dax(fd, MAP_PRIVATE);

	/* Its neighbour is copied, and nothing of what is behind that. */
	need(!child_store(p + 2 * page_size, 1), "neighbour");
	need(!memcmp(p + 2 * page_size + 1, shared + 2 * page_size + 1, page_size - 1), "data");

	c->va = p + 3 * page_size;
	ret = child_store(c->va, 1) < 0 ? 0 : -1;
	need(!phys_addr(c->va), "page that is missing");
	return ret;
}

/* A disk of the device mapper, whose writes are kept on the persistent memory */
static bool writecache(unsigned long cmd, bool table)
{
	struct {
		struct dm_ioctl head;
		struct dm_target_spec spec;
		char params[64];
	} req = {
		.head.version = { DM_VERSION_MAJOR, 0, 0 },
		.head.data_size = sizeof(req),
		.head.data_start = sizeof(req.head),
		.head.target_count = table,
		.head.name = "poison",
		.spec.length = 4096,
		.spec.next = sizeof(req.spec) + sizeof(req.params),
		.spec.target_type = "writecache",
		.params = "p /dev/ram0 " PMEM " 4096 0",
	};
	int fd = open("/dev/mapper/control", O_RDWR);
	bool ok = fd >= 0 && !ioctl(fd, cmd, &req);

	close(fd);
	return ok;
}

/* Where on the persistent memory is the page at @p? */
static uint64_t find_on_pmem(const char *p, char *buf)
{
	int fd = open(PMEM, O_RDONLY | O_DIRECT);
	uint64_t off;

	for (off = 0; off < pmem_size; off += page_size)
		if (pread(fd, buf, page_size, off) == (int)page_size &&
		    !memcmp(buf, p, page_size))
			break;
	close(fd);
	need(off < pmem_size, "on " PMEM);
	return pmem_start + off;
}

#define BLOCKS	64

/* bio_copy_block(); one of many blocks is poisoned. */
static long writecache_read(struct child *c)
{
	const size_t len = BLOCKS * page_size;
	char *p = mmap(NULL, 2 * len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(PMEM, O_WRONLY | O_DIRECT);
	char *buf = p + len;
	size_t i;
	long ret;
	int err;

	/* A new cache has no superblock. */
	need(p != MAP_FAILED && fd >= 0 &&
	     pwrite(fd, buf, page_size, 0) == (int)page_size, PMEM);
	close(fd);
	/* To suspend is to resume, too. */
	need(writecache(DM_DEV_CREATE, false) &&
	     writecache(DM_TABLE_LOAD, true) &&
	     writecache(DM_DEV_SUSPEND, false), "device mapper");

	/* Other tests have left there what fill_pages() makes. */
	fill_pages(p, len);
	for (i = 0; i < len; i++)
		p[i] ^= 0x5a;
	fd = open("/dev/dm-0", O_RDWR | O_DIRECT);
	need(fd >= 0 && pwrite(fd, p, len, 0) == (int)len, "/dev/dm-0");
	c->pa = find_on_pmem(p + 3 * page_size, buf);
	need(!poison_phys(c->pa), "poison");
	ret = pread(fd, buf, len, 0);
	err = errno;

	for (i = 2; i <= 4; i += 2) {
		need(pread(fd, buf, page_size, i * page_size) ==
		     (int)page_size, "neighbour");
		need(!memcmp(buf, p + i * page_size, page_size), "data");
	}
	errno = err;
	return ret;
}

/* The driver reads a namespace's info block before it takes it. */
static long nvdimm_claim(struct child *c)
{
	long err;

	need(!write_file(DRIVER "unbind", RAW), "unbind");
	err = write_device(BTT "uuid", UUID);
	errno = -err;
	need(!err, "uuid");
	need(!write_file(BTT "sector_size", "512"), "size");
	need(!write_file(BTT "namespace", RAW), "namespace");
	c->pa = pmem_start + page_size;
	need(!poison_phys(c->pa), "poison");
	err = write_file(DRIVER "bind", "btt1.0");

	need(!rig_repair(), "repair");
	need(!write_file(BTT "namespace", "\n"), "namespace");
	need(!write_file(DRIVER "bind", RAW), "bind");
	errno = -err;
	return err ? -1 : 0;
}

static long pmem_child(struct child *c)
{
	const struct pmem *row = c->arg;

	c->nvdimm = true;
	return row->read(c);
}

static void do_pmem(struct __test_metadata *_metadata,
		    struct _test_data_poison *self, const struct pmem *row)
{
	struct child *c;
	bool pages;

	if (!(row->raw ? find_pmem(RAW) : make_pages()))
		SKIP(return, "needs NVDIMM");
	pages = !row->raw && has_pages();
	if (row->dax && !pages)
		SKIP(return, "needs NVDIMM_PFN");
	c = run_child(pmem_child, (void *)row);

	if (c->step == NO_DAX)
		SKIP(return, "needs EXT4_FS");

	EXPECT_EXITED(c);
	EXPECT_RET(c, row->ret, row->err);
	/* GHES itself kills if memory_failure() cannot run, or (7.3) fails. */
	if (row->file)
		expect_told(_metadata, c, 12);
	else
		EXPECT_SIGBUS(c, pages && c->code != SI_KERNEL ? BUS_OBJERR :
			      SI_KERNEL, NULL, -1);
	if (pages) {
		/* Once for each abort */
		EXPECT_LT(self->corrupted, corrupted_pages());
		self->corrupted = corrupted_pages();
	} else {
		EXPECT_EQ(self->corrupted, corrupted_pages());
	}
	EXPECT_ABORTS_UP_TO(worker_may_isolate() && row->late ? row->late :
			    row->most ?: 1);
}

#define READ(...) \
	do_pmem(_metadata, self, &(const struct pmem) { __VA_ARGS__ })

TEST_F(poison, pmem_read_direct)
{
	READ(.read = pmem_read_direct, .ret = -1, .err = EIO);
}

/* Read ahead, and then for itself */
TEST_F(poison, pmem_read_buffered)
{
	READ(.read = pmem_read_buffered, .ret = -1, .err = EIO, .most = 2);
}

TEST_F(poison, dax_read)
{
	READ(.read = dax_read, .ret = -1, .err = EFAULT, .dax = true,
	     .file = true);
}

/* -EAGAIN is what copy_splice_read() makes of -EFAULT. */
TEST_F(poison, dax_splice)
{
	READ(.read = dax_splice, .ret = -1, .err = EAGAIN, .dax = true,
	     .file = true);
}

/* It is loaded again until a worker has isolated it. */
TEST_F(poison, dax_load)
{
	READ(.read = dax_load, .ret = 0, .dax = true, .file = true, .late = ABORTS_BEFORE_WORKER);
}

TEST_F(poison, dax_cow)
{
	READ(.read = dax_cow, .ret = 0, .dax = true, .file = true);
}

TEST_F(poison, dax_cow_new)
{
	READ(.read = dax_cow_new, .ret = 0, .dax = true, .file = true);
}

TEST_F(poison, dm_writecache)
{
	READ(.read = writecache_read, .ret = -1, .err = EIO, .dax = true);

	/* It writes to the disk what it still has. */
	rig_repair();
	writecache(DM_DEV_REMOVE, false);
}

/* The info block is read twice. */
TEST_F(poison, nvdimm_claim)
{
	READ(.read = nvdimm_claim, .ret = -1, .err = ENOMEM, .raw = true, .most = 2);
}

TEST_HARNESS_MAIN
