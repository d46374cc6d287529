// SPDX-License-Identifier: GPL-2.0-only
/*
 * Thousands of memory errors: each CPU has pages break under random accesses
 * of processes of its own, while another process keeps memory short.
 *
 * The environment says how many, and from which seed: endurance=SEED,ABORTS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/kernel-page-flags.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "fixture.h"

#define WORKERS		2
#define PAGES		64	/* of each worker, in each round */

/* What a child does with a page of poison; each returns -1 with EFAULT. */

static long by_load(struct child *c)
{
	errno = EFAULT;
	return child_load(c->arg);
}

static long by_write(struct child *c)
{
	int fds[2];

	if (pipe(fds))
		return 0;
	return write(fds[1], c->arg, page_size);
}

static long by_futex(struct child *c)
{
	struct timespec now = { };

	return syscall(SYS_futex, c->arg, FUTEX_WAIT_PRIVATE, 0, &now, NULL, 0);
}

static long by_vm_readv(struct child *c)
{
	struct iovec local = { c->data, sizeof(c->data) };
	struct iovec remote = { c->arg, sizeof(c->data) };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

/* The parent has the page, too. */
static long by_copy_on_write(struct child *c)
{
	errno = EFAULT;
	return child_store(c->arg, 1);
}

static long by_open(struct child *c)
{
	return open(c->arg, O_RDONLY);
}

static const struct {
	const char *name;
	long (*fn)(struct child *c);
} accesses[] = {
	{ "load",		by_load },
	{ "write",		by_write },
	{ "futex",		by_futex },
	{ "process_vm_readv",	by_vm_readv },
	{ "copy on write",	by_copy_on_write },
	{ "open",		by_open },
};

/* Shared by all */
struct state {
	int arrived;		/* of the workers, at the barrier, ever */
	unsigned int wrong;	/* accesses that did not end as they should */
	unsigned int done[ARRAY_SIZE(accesses)];
};

static void barrier(struct state *s)
{
	int n = __atomic_add_fetch(&s->arrived, 1, __ATOMIC_ACQ_REL);
	int all = (n + WORKERS - 1) / WORKERS * WORKERS;

	while (__atomic_load_n(&s->arrived, __ATOMIC_ACQUIRE) < all)
		usleep(100);
}

static void wrong(struct state *s)
{
	__atomic_add_fetch(&s->wrong, 1, __ATOMIC_RELAXED);
}

static void consume(struct state *s, char *page, unsigned int kind)
{
	uint64_t pa = phys_addr(page);
	struct child *c = run_child(accesses[kind].fn, page);

	if (c->status || c->ret != -1 || c->err != EFAULT || c->sigbus != 1 ||
	    !is_isolated(pa)) {
		printf("# %s: returned %ld, errno %d, status %x, %d SIGBUS, isolated %d\n",
		       accesses[kind].name, c->ret, c->err, c->status, c->sigbus,
		       page_flag(pa, KPF_HWPOISON));
		wrong(s);
	}
	__atomic_add_fetch(&s->done[kind], 1, __ATOMIC_RELAXED);
	munmap(c, sizeof(*c));
}

/* One of the workers: rounds of pages that are put there, poisoned, consumed */
static void work(struct state *s, int nr, unsigned int rounds, unsigned int seed)
{
	size_t len = PAGES * page_size;
	cpu_set_t cpus;
	unsigned int i;
	long isolated;
	int turn;
	char *p;

	CPU_ZERO(&cpus);
	CPU_SET(nr, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);

	isolated = corrupted_pages();
	barrier(s);
	while (rounds--) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) {
			printf("# worker %d: no memory\n", nr);
			wrong(s);
		}
		memset(p, 1, len);
		/* One at a time: the files are the same for all. */
		for (turn = 0; turn < WORKERS; turn++) {
			barrier(s);
			for (i = 0; i < PAGES && turn == nr; i++)
				if (!poison_page(p + i * page_size))
					wrong(s);
		}
		barrier(s);
		for (i = 0; i < PAGES; i++)
			consume(s, p + i * page_size,
				rand_r(&seed) % ARRAY_SIZE(accesses));
		munmap(p, len);
		barrier(s);
		isolated += WORKERS * PAGES;
		if (!nr && corrupted_pages() != isolated) {
			printf("# %ld pages isolated\n", corrupted_pages());
			wrong(s);
		}
		barrier(s);
	}
}

/* Touches more memory than is free. */
static void press(void)
{
	size_t len = number_in("/proc/meminfo", "MemAvailable:") * 1024L / 4 * 3;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (p == MAP_FAILED)
		return;
	for (;;) {
		for (i = 0; i < len; i += page_size)
			p[i]++;
		madvise(p, len, MADV_DONTNEED);
	}
}

TEST_F_TIMEOUT(poison, endurance, 3600)
{
	unsigned int aborts = 256, seed = time(NULL), rounds, i, done = 0;
	struct state *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *wanted = getenv("endurance");
	pid_t worker[WORKERS], pressure;
	int status;
	long before = rig_stat("aborts");

	ASSERT_NE(MAP_FAILED, s);
	if (!rig)
		SKIP(return, "needs RIG");
	if (wanted)
		sscanf(wanted, "%u,%u", &seed, &aborts);
	rounds = (aborts + WORKERS * PAGES - 1) / (WORKERS * PAGES);
	printf("# endurance=%u,%u\n", seed, rounds * WORKERS * PAGES);
	fflush(stdout);

	pressure = fork();
	if (!pressure)
		press();
	for (i = 0; i < WORKERS; i++) {
		worker[i] = fork();
		if (!worker[i]) {
			work(s, i, rounds, seed + i);
			fflush(stdout);
			_exit(0);
		}
	}
	for (i = 0; i < WORKERS; i++) {
		EXPECT_EQ(worker[i], waitpid(worker[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	kill(pressure, SIGKILL);
	EXPECT_EQ(pressure, waitpid(pressure, NULL, 0));

	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		printf("# %6u by %s\n", s->done[i], accesses[i].name);
		done += s->done[i];
	}
	printf("# %6ld aborts in all\n", rig_stat("aborts") - before);
	EXPECT_EQ(0U, s->wrong);
	EXPECT_EQ(rounds * WORKERS * PAGES, done);
	EXPECT_LE(done, rig_stat("aborts") - before);
}

TEST_HARNESS_MAIN
