// SPDX-License-Identifier: GPL-2.0-only
/*
 * Thousands of memory errors on pages of all kinds, each consumed in one of many
 * ways, while other processes do what processes do and memory gets short.
 *
 * The environment says how many, and from which seed: endurance=SEED,ABORTS. What
 * each process does follows from the seed; when, from the scheduler.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/kernel-page-flags.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "fixture.h"

#define WORKERS		2	/* on each CPU */
#define MAX_PROCESSES	64

#define HUGE		(2UL << 20)
#define SWAP		"/dev/ram1"
#define KSM		"/sys/kernel/mm/ksm/"
#define SPLIT		"/sys/kernel/debug/split_huge_pages"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* Each process has pages of the file on the disk: one of data, one of code. */
#define FILE_PAGES	2
#define DATA		0
#define CODE		1
#define CODE_RETURNS	42

/* A page to poison */
struct target {
	char *map;		/* what is mapped; locked, so that it stays there */
	size_t len;
	char *page;		/* which page of it */
	uint64_t pa;
	int fd;			/* the file that it is of, or -1 */
	off_t off;
	unsigned int seed;
};

/* A process of the test */
struct worker {
	int nr;
	unsigned int seed;
	int fd;			/* the file on the disk */
	struct state *state;
};

/*
 * How a page is consumed. Memory of the process's own is picked, and poisoned, by
 * the child.
 */
struct kind {
	const char *name;
	bool (*map)(struct worker *w, struct target *t);
	long (*fn)(struct child *c);
	long ret;
	int err;		/* if ret is -1; 0 is whatever */
	int sigbus;
};

/* Targets */

static bool map_memory(struct target *t, size_t len, int flags, int fd, off_t off)
{
	t->fd = fd;
	t->off = off;
	t->len = len;
	t->map = mmap(NULL, len, PROT_READ | (fd < 0 ? PROT_WRITE : PROT_EXEC),
		      flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, off);
	t->page = t->map;
	return t->map != MAP_FAILED;
}

/* Reclaim would free, or write to swap, what is poisoned. */
static bool lock_memory(struct target *t)
{
	if (mlock(t->map, t->len))
		return false;
	t->pa = phys_addr(t->page);
	return t->pa;
}

static bool map_private(struct worker *w, struct target *t)
{
	if (!map_memory(t, page_size, MAP_PRIVATE, -1, 0))
		return false;
	fill_pages(t->map, t->len);
	return lock_memory(t);
}

static bool map_shared(struct worker *w, struct target *t)
{
	if (!map_memory(t, page_size, MAP_SHARED, -1, 0))
		return false;
	fill_pages(t->map, t->len);
	return lock_memory(t);
}

/* Huge if there is a huge page left */
static bool map_huge(struct worker *w, struct target *t)
{
	char *p;

	if (!map_memory(t, 2 * HUGE, MAP_PRIVATE | MAP_NORESERVE, -1, 0))
		return false;
	p = (char *)(((uintptr_t)t->map + HUGE - 1) & -HUGE);
	madvise(p, HUGE, MADV_HUGEPAGE);
	t->page = p + rand_r(&w->seed) % (HUGE / page_size) * page_size;
	*t->page = 1;
	if (mlock(p, HUGE))
		return false;
	t->pa = phys_addr(t->page);
	return t->pa;
}

/* A few pages where a huge one may be */
static bool map_collapse(struct worker *w, struct target *t)
{
	char *p;

	if (!map_memory(t, 2 * HUGE, MAP_PRIVATE | MAP_NORESERVE, -1, 0))
		return false;
	p = (char *)(((uintptr_t)t->map + HUGE - 1) & -HUGE);
	fill_pages(p, 8 * page_size);
	t->page = p + rand_r(&w->seed) % 8 * page_size;
	t->pa = phys_addr(t->page);
	return !mlock2(p, HUGE, MLOCK_ONFAULT) && t->pa;
}

static bool map_tmpfs(struct worker *w, struct target *t)
{
	int fd = memfd_create("endurance", MFD_CLOEXEC);
	char byte = 1;

	return fd >= 0 && pwrite(fd, &byte, 1, page_size - 1) == 1 &&
		map_memory(t, page_size, MAP_SHARED, fd, 0) && lock_memory(t);
}

/* Page @i of the worker's, on the disk as well */
static bool map_disk(struct worker *w, struct target *t, int i)
{
	off_t off = (w->nr * FILE_PAGES + i) * page_size;

	return map_memory(t, page_size, MAP_SHARED, dup(w->fd), off) &&
		lock_memory(t);
}

static bool map_data(struct worker *w, struct target *t)
{
	return map_disk(w, t, DATA);
}

static bool map_code(struct worker *w, struct target *t)
{
	return map_disk(w, t, CODE);
}

/* For ksmd to look at. No two pages are equal, so that it stays this page. */
static bool map_mergeable(struct worker *w, struct target *t)
{
	size_t i;

	if (!map_memory(t, page_size, MAP_PRIVATE, -1, 0))
		return false;
	for (i = 0; i < page_size; i += sizeof(int))
		*(int *)(t->map + i) = rand_r(&w->seed);
	*(int *)t->map = w->nr;
	return lock_memory(t) && !madvise(t->map, t->len, MADV_MERGEABLE);
}

/* A file that may be run, as nobody has it open for writing */
static bool map_program(struct worker *w, struct target *t)
{
	char name[32], byte = 1;
	int fd;

	snprintf(name, sizeof(name), "/tmp/endurance.%d", w->nr);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	if (fd < 0 || pwrite(fd, &byte, 1, page_size - 1) != 1)
		return false;
	close(fd);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	unlink(name);
	return fd >= 0 && map_memory(t, page_size, MAP_SHARED, fd, 0) &&
		lock_memory(t);
}

static bool map_nothing(struct worker *w, struct target *t)
{
	*t = (struct target){ .fd = -1, .seed = rand_r(&w->seed) };
	return true;
}

static void unmap(struct target *t)
{
	if (t->map && t->map != MAP_FAILED)
		munmap(t->map, t->len);
	if (t->fd >= 0)
		close(t->fd);
}

/* What a child does with the page */

static long by_load(struct child *c)
{
	const struct target *t = c->arg;

	return child_load(t->page);
}

static long by_write(struct child *c)
{
	const struct target *t = c->arg;
	int fds[2];

	if (pipe(fds))
		return 0;
	return write(fds[1], t->page, page_size);
}

static long by_futex(struct child *c)
{
	const struct target *t = c->arg;
	struct timespec now = { };

	return syscall(SYS_futex, t->page, FUTEX_WAIT_PRIVATE, 0, &now, NULL, 0);
}

static long by_vm_readv(struct child *c)
{
	const struct target *t = c->arg;
	struct iovec local = { c->data, sizeof(c->data) };
	struct iovec remote = { t->page, sizeof(c->data) };

	return process_vm_readv(getppid(), &local, 1, &remote, 1, 0);
}

/* The parent has the page, too. */
static long by_copy_on_write(struct child *c)
{
	const struct target *t = c->arg;

	return child_store(t->page, 1);
}

static long by_open(struct child *c)
{
	const struct target *t = c->arg;

	return open(t->page, O_RDONLY);
}

static long by_exec(struct child *c)
{
	const struct target *t = c->arg;

	return execl(t->page, "nothing", NULL);
}

static long by_read(struct child *c)
{
	const struct target *t = c->arg;

	return pread(t->fd, c->data, sizeof(c->data), t->off);
}

/* As cp does */
static long by_copy_file(struct child *c)
{
	const struct target *t = c->arg;
	off_t off = t->off;

	return copy_file_range(t->fd, &off, memfd_create("copy", MFD_CLOEXEC),
			       NULL, page_size, 0);
}

static long by_sendfile(struct child *c)
{
	const struct target *t = c->arg;
	off_t off = t->off;

	return sendfile(memfd_create("copy", MFD_CLOEXEC), t->fd, &off, page_size);
}

static long by_splice(struct child *c)
{
	const struct target *t = c->arg;
	off_t off = t->off;
	int fds[2];

	need(!pipe(fds), "pipe");
	need(splice(t->fd, &off, fds[1], NULL, page_size, 0) == (ssize_t)page_size,
	     "splice to a pipe");
	return splice(fds[0], NULL, memfd_create("copy", MFD_CLOEXEC), NULL,
		      page_size, 0);
}

static long by_exec_file(struct child *c)
{
	static char *const nothing[] = { "nothing", NULL };
	const struct target *t = c->arg;

	return syscall(SYS_execveat, t->fd, "", nothing, nothing + 1,
		       AT_EMPTY_PATH);
}

/* Most likely ksmd is first. */
static long by_load_later(struct child *c)
{
	const struct target *t = c->arg;
	int i;

	for (i = 0; i < 20 && !page_flag(t->pa, KPF_HWPOISON); i++)
		usleep(10000);
	return child_load(t->page);
}

static long by_call(struct child *c)
{
	const struct target *t = c->arg;

	return ((int (*)(void))t->page)();
}

static long by_move(struct child *c)
{
	const struct target *t = c->arg;
	int node = other_node(node_of(t->page)), status;
	void *page = t->page;

	return syscall(SYS_move_pages, 0, 1UL, &page, &node, &status,
		       MPOL_MF_MOVE_ALL);
}

/* It may have failed for another reason than the poison. */
static long by_collapse(struct child *c)
{
	const struct target *t = c->arg;
	char *p = (char *)((uintptr_t)t->page & -HUGE);
	long ret = madvise(p, HUGE, MADV_COLLAPSE);

	return c->sigbus ? ret : child_load(t->page);
}

/* Any page that the process may write to and nobody else can see */
static char *own_page(unsigned int seed)
{
	char line[256], perm[8], *found = NULL;
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	unsigned int seen = 0, n;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %7s", &start, &end, perm) != 3 ||
		    strcmp(perm, "rw-p"))
			continue;
		n = (end - start) / page_size;
		seen += n;
		/* Each page that was seen is as likely as the others. */
		if (rand_r(&seed) % seen < n)
			found = (char *)start + rand_r(&seed) % n * page_size;
	}
	if (f)
		fclose(f);
	return found;
}

/* Its stack may be gone then, or what the signal's handler needs. */
static long by_own_memory(struct child *c)
{
	const struct target *t = c->arg;
	char *p = own_page(t->seed);

	need(p, "page");
	/* It is the parent's, too, until it is written to. */
	__atomic_fetch_add(p, 0, __ATOMIC_RELAXED);
	need(!mlock(p, page_size), "mlock");
	child_poison(c, p);
	return child_load(p);
}

static const struct kind kinds[] = {
	{ "load",		map_private,	by_load,	  -1, 0, 1 },
	{ "load, shared",	map_shared,	by_load,	  -1, 0, 1 },
	{ "load, huge page",	map_huge,	by_load,	  -1, 0, 1 },
	{ "load, tmpfs",	map_tmpfs,	by_load,	  -1, 0, 1 },
	{ "load, disk",		map_data,	by_load,	  0, 0, 0 },
	{ "call, disk",		map_code,	by_call,	  CODE_RETURNS, 0, 0 },
	{ "write",		map_private,	by_write,	  -1, EFAULT, 1 },
	{ "write, shared",	map_shared,	by_write,	  -1, EFAULT, 1 },
	{ "write, huge page",	map_huge,	by_write,	  -1, EFAULT, 1 },
	{ "read, tmpfs",	map_tmpfs,	by_read,	  -1, EFAULT, 1 },
	{ "read, disk",		map_data,	by_read,	  -1, EFAULT, 1 },
	{ "copy_file_range",	map_tmpfs,	by_copy_file,	  -1, EFAULT, 1 },
	{ "sendfile, disk",	map_data,	by_sendfile,	  -1, EFAULT, 1 },
	{ "splice, tmpfs",	map_tmpfs,	by_splice,	  -1, EFAULT, 1 },
	{ "splice, disk",	map_data,	by_splice,	  -1, EFAULT, 1 },
	{ "execve of a file",	map_program,	by_exec_file,	  -1, EFAULT, 1 },
	{ "ksmd, then load",	map_mergeable,	by_load_later,	  -1, 0, 1 },
	{ "futex",		map_private,	by_futex,	  -1, EFAULT, 1 },
	{ "process_vm_readv",	map_private,	by_vm_readv,	  -1, EFAULT, 1 },
	{ "copy on write",	map_private,	by_copy_on_write, -1, 0, 1 },
	{ "copy, huge page",	map_huge,	by_copy_on_write, -1, 0, 1 },
	{ "open",		map_private,	by_open,	  -1, EFAULT, 1 },
	{ "execve",		map_private,	by_exec,	  -1, EFAULT, 1 },
	{ "collapse",		map_collapse,	by_collapse,	  -1, 0, 1 },
	{ "own memory",		map_nothing,	by_own_memory,	  0, 0, 0 },
	{ "move_pages",		map_private,	by_move,	   1, 0, 1 },
};

/* Shared by all */
struct state {
	bool stop;		/* it is enough, for those who have no number to do */
	unsigned int wrong;	/* what did not end as it should */
	char first[128];	/* the first of it: at the end everybody reads it */
	unsigned int done[ARRAY_SIZE(kinds)];
	unsigned int chores;	/* done beside it */
	unsigned int whole;	/* huge pages that could not be split */
	unsigned int told;	/* clean pages whose process was told, see is_told() */
};

__printf(2, 3)
static void wrong(struct state *s, const char *fmt, ...)
{
	char text[sizeof(s->first)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("# %s\n", text);
	fflush(stdout);
	if (!__atomic_fetch_add(&s->wrong, 1, __ATOMIC_RELAXED))
		memcpy(s->first, text, sizeof(text));
}

static bool as_expected(const struct kind *k, const struct child *c)
{
	if (k->fn == by_own_memory)
		return !WIFSIGNALED(c->status) ||
			WTERMSIG(c->status) == SIGBUS ||
			WTERMSIG(c->status) == SIGSEGV;

	return !c->status && c->ret == k->ret && c->sigbus == k->sigbus &&
		(c->ret != -1 || !k->err || c->err == k->err);
}

static bool is_clean(const struct kind *k)
{
	return k->fn == by_load ? k->map == map_data : k->fn == by_call;
}

/*
 * A clean page of a file is read again, and nobody is told. But reclaim or compaction may
 * hold it when memory_failure() comes, or have met the poison just before: then the process
 * gets a SIGBUS, or a call of it as many as a child waits for. That is rare.
 */
static bool is_told(const struct kind *k, const struct child *c, const struct target *t)
{
	return is_clean(k) && c->sigbus && (!c->status || c->sigbus == MAX_SIGBUS) &&
		c->code == BUS_MCEERR_AR &&
		((uintptr_t)c->addr & -page_size) == (uintptr_t)t->page;
}

/*
 * Compaction moves what is locked, too, until that is on the list of what is: such a page
 * is not the target's any more.
 */
static bool poison_target(struct worker *w, const struct kind *k, struct target *t)
{
	*t = (struct target){ .fd = -1 };
	if (!k->map(w, t))
		return false;
	if (!t->pa)
		return true;	/* the child will */
	if (poison_phys(t->pa))
		return false;
	/* Or it is gone already: ksmd was quicker. */
	if (phys_addr(t->page) == t->pa || page_flag(t->pa, KPF_HWPOISON))
		return true;
	rig_repair_page(t->pa);
	return false;
}

/*
 * memory_failure() does not split a huge page that somebody else holds at that
 * moment, and a huge page is freed with whatever is in it: see to it that it is split.
 */
static bool is_split(const struct target *t)
{
	uintptr_t addr = (uintptr_t)t->page;
	int i;

	for (i = 0; t->pa && page_flag(t->pa, KPF_THP); i++) {
		if (i == 100)
			return false;
		write_file(SPLIT, "%d,%#lx,%#lx", getpid(), addr, addr + page_size);
		usleep(10000);
	}
	return true;
}

static void consume(struct worker *w, const struct kind *k)
{
	unsigned int tries = 10;
	struct state *s = w->state;
	struct target t;
	struct child *c;
	bool isolated;

	while (!poison_target(w, k, &t)) {
		unmap(&t);
		if (!--tries) {
			wrong(s, "%s: nothing poisoned, %s", k->name, strerror(errno));
			return;
		}
	}
	c = run_child(k->fn, &t);
	isolated = is_isolated(t.pa ?: c->pa);
	if (isolated && is_told(k, c, &t))
		__atomic_add_fetch(&s->told, 1, __ATOMIC_RELAXED);
	else if (!as_expected(k, c) || !isolated)
		wrong(s, "%s: returned %ld, errno %d, status %x, %d SIGBUS, isolated %d",
		      k->name, c->ret, c->err, c->status, c->sigbus, isolated);
	__atomic_add_fetch(&s->done[k - kinds], 1, __ATOMIC_RELAXED);
	munmap(c, sizeof(*c));
	/* Nobody is to get what is poisoned and not isolated. */
	if (isolated && is_split(&t))
		unmap(&t);
	else if (isolated)
		__atomic_add_fetch(&s->whole, 1, __ATOMIC_RELAXED);
}

/* What processes do; each returns whether all is as it should be. */

static bool ended_well(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

/* A child has its own memory. */
static bool do_fork(struct worker *w)
{
	size_t len = 16 * page_size;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool good;
	pid_t pid;

	if (p == MAP_FAILED)
		return false;
	fill_pages(p, len);
	pid = fork();
	if (!pid) {
		good = same_pages(p, len);
		memset(p, 0xff, len);
		_exit(!good);
	}
	good = ended_well(pid) && same_pages(p, len);
	munmap(p, len);
	return good;
}

/* This program lists its tests. */
static bool do_exec(struct worker *w)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		dup2(null, 2);
		execl("/proc/self/exe", "endurance", "-l", NULL);
		_exit(1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid &&
		WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP;
}

static bool do_tmpfs(struct worker *w)
{
	size_t len = (1 + rand_r(&w->seed) % 16) * page_size;
	int fd = memfd_create("chore", MFD_CLOEXEC);
	char *p = malloc(len);
	bool good;

	fill_pages(p, len);
	good = write(fd, p, len) == (ssize_t)len;
	memset(p, 0, len);
	good = good && pread(fd, p, len, 0) == (ssize_t)len && same_pages(p, len);
	free(p);
	close(fd);
	return good;
}

static bool do_disk(struct worker *w)
{
	off_t off = (w->nr * FILE_PAGES + DATA) * page_size;
	char *p = malloc(page_size);
	bool good;

	fill_pages(p, page_size);
	good = pwrite(w->fd, p, page_size, off) == (ssize_t)page_size &&
		!fsync(w->fd);
	posix_fadvise(w->fd, off, page_size, POSIX_FADV_DONTNEED);
	good = good && pread(w->fd, p, page_size, off) == (ssize_t)page_size &&
		same_pages(p, page_size);
	free(p);
	return good;
}

static bool do_huge(struct worker *w)
{
	size_t len = 2 * HUGE, i;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bool good = true;

	if (p == MAP_FAILED)
		return false;
	madvise(p, len, MADV_HUGEPAGE);
	for (i = 0; i < len; i += page_size)
		p[i] = i / page_size;
	for (i = 0; i < len; i += page_size)
		good = good && p[i] == (char)(i / page_size);
	munmap(p, len);
	return good;
}

/* Equal pages; ksmd is at work all the time. */
static bool do_merge(struct worker *w)
{
	size_t len = 16 * page_size, i;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool good = p != MAP_FAILED && !madvise(p, len, MADV_MERGEABLE);

	for (i = 0; good && i < len; i += page_size)
		fill_pages(p + i, page_size);
	usleep(20000);
	if (good)
		p[1] ^= 1;
	for (i = page_size; good && i < len; i += page_size)
		good = same_pages(p + i, page_size);
	if (good)
		p[1] ^= 1;
	good = good && same_pages(p, page_size);
	munmap(p, len);
	return good;
}

/* To swap and back, to another node and back */
static bool do_move(struct worker *w)
{
	size_t len = 32 * page_size, i;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long mask;
	bool good;

	if (p == MAP_FAILED)
		return false;
	fill_pages(p, len);
	madvise(p, len, MADV_PAGEOUT);
	good = same_pages(p, len);
	for (i = 0; i < 2 && good && other_node(node_of(p)) >= 0; i++) {
		mask = 1UL << other_node(node_of(p));
		syscall(SYS_mbind, p, len, MPOL_PREFERRED, &mask, MASK_BITS,
			MPOL_MF_MOVE);
		good = same_pages(p, len);
	}
	munmap(p, len);
	return good;
}

static const struct {
	const char *name;
	bool (*fn)(struct worker *w);
} chores[] = {
	{ "fork",	do_fork },
	{ "exec",	do_exec },
	{ "tmpfs",	do_tmpfs },
	{ "disk",	do_disk },
	{ "huge page",	do_huge },
	{ "merge",	do_merge },
	{ "move",	do_move },
};

static void chore(struct worker *w)
{
	unsigned int i = rand_r(&w->seed) % ARRAY_SIZE(chores);

	if (!chores[i].fn(w))
		wrong(w->state, "%s, no poison: %s", chores[i].name,
		      strerror(errno));
	__atomic_add_fetch(&w->state->chores, 1, __ATOMIC_RELAXED);
}

/* Processes */

static bool stopped(struct state *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

/* Poison, and a chore now and then */
static void work(struct worker *w, unsigned int aborts)
{
	bool nodes = two_nodes();
	const struct kind *k;

	while (aborts) {
		if (rand_r(&w->seed) % 8 == 0)
			chore(w);
		k = &kinds[rand_r(&w->seed) % ARRAY_SIZE(kinds)];
		if (k->fn == by_move && !nodes)
			continue;
		consume(w, k);
		aborts--;
	}
}

static void do_chores(struct worker *w, unsigned int unused)
{
	while (!stopped(w->state)) {
		chore(w);
		usleep(rand_r(&w->seed) % 200000);
	}
}

static long reclaimed(void)
{
	return number_in("/proc/vmstat", "pgscan_kswapd ") +
	       number_in("/proc/vmstat", "pgscan_direct ");
}

/* Take memory until there is so little that some is reclaimed; again and again. */
static void press(struct worker *w, unsigned int unused)
{
	size_t len = number_in("/proc/meminfo", "MemTotal:") * 1024, i;
	long before;
	char *p;

	/* If it gets too short for somebody, then for this one. */
	write_file("/proc/self/oom_score_adj", "1000");
	while (!stopped(w->state)) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return;
		before = reclaimed();
		for (i = 0; i < len; i += page_size) {
			p[i] = 1;
			if (i % (256 * page_size) == 0 &&
			    (stopped(w->state) || reclaimed() != before))
				break;
		}
		munmap(p, len);
		usleep(rand_r(&w->seed) % 10000000);
	}
}

static bool swap_on(void)
{
	struct {
		char boot[1024];
		unsigned int version, last_page, nr_bad;
		char unused[4096 - 1024 - 3 * 4 - 10];
		char magic[10];
	} header = { .version = 1, .last_page = 4095 - 1 };
	int fd = open(SWAP, O_WRONLY);
	bool ok;

	memcpy(header.magic, "SWAPSPACE2", sizeof(header.magic));
	ok = fd >= 0 && write(fd, &header, sizeof(header)) == sizeof(header);
	close(fd);
	return ok && !syscall(SYS_swapon, SWAP, 0);
}

/* The file on the disk, with pages for @n processes, clean */
static bool fill_disk(int n)
{
	static const unsigned int code[] = {
		0x52800000 | CODE_RETURNS << 5,	/* mov w0, #CODE_RETURNS */
		0xd65f03c0,			/* ret */
	};
	char *p = malloc(page_size);
	int fd = open_disk_file(), i;
	bool good = fd >= 0;

	fill_pages(p, page_size);
	for (i = 0; good && i < n * FILE_PAGES; i++) {
		off_t off = i * page_size;

		good = pwrite(fd, p, page_size, off) == (ssize_t)page_size;
		if (good && i % FILE_PAGES == CODE)
			good = pwrite(fd, code, sizeof(code), off) ==
				sizeof(code);
	}
	good = good && !fsync(fd);
	close(fd);
	free(p);
	return good;
}

static pid_t start(struct state *s, int nr, unsigned int seed, unsigned int aborts,
		   void (*fn)(struct worker *w, unsigned int aborts))
{
	struct worker w = { .nr = nr, .seed = seed + nr, .state = s };
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	w.fd = open("/mnt/file", O_RDWR | O_CLOEXEC);
	posix_fadvise(w.fd, 0, 0, POSIX_FADV_RANDOM);
	fn(&w, aborts);
	fflush(stdout);
	_exit(0);
}

TEST_F_TIMEOUT(poison, endurance, 7200)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), workers, all, i, status;
	unsigned int aborts = 256, seed = time(NULL), done = 0, clean = 0, share;
	struct state *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *wanted = getenv("endurance");
	long before = rig_stat("aborts"), again = rig_stat("again");
	pid_t pid[MAX_PROCESSES];
	bool swapping;

	ASSERT_NE(MAP_FAILED, s);
	if (!rig)
		SKIP(return, "needs RIG");
	if (cpus > MAX_PROCESSES / 4)
		cpus = MAX_PROCESSES / 4;
	if (wanted)
		sscanf(wanted, "%u,%u", &seed, &aborts);
	workers = cpus * WORKERS;
	share = (aborts + workers - 1) / workers;
	printf("# endurance=%u,%u\n", seed, share * workers);
	fflush(stdout);

	/* Whoever does chores, one on each CPU; and whoever wants memory */
	all = workers + cpus + 1;
	ASSERT_TRUE(fill_disk(all));
	swapping = swap_on();
	/* What is poisoned must not be moved by others. */
	ASSERT_EQ(0, write_file("/proc/sys/vm/compact_unevictable_allowed", "0"));
	write_file(KSM "sleep_millisecs", "10");
	write_file(KSM "run", "1");

	for (i = 0; i < all; i++)
		pid[i] = start(s, i, seed, share, i < workers ? work :
			       i < all - 1 ? do_chores : press);
	for (i = 0; i < all; i++) {
		if (i == workers)
			__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
		EXPECT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}

	write_file(KSM "run", "2");
	write_file(KSM "run", "0");
	write_file("/proc/sys/vm/compact_unevictable_allowed", "1");
	if (swapping)
		EXPECT_EQ(0, syscall(SYS_swapoff, SWAP));

	for (i = 0; i < (int)ARRAY_SIZE(kinds); i++) {
		printf("# %6u by %s\n", s->done[i], kinds[i].name);
		done += s->done[i];
		clean += is_clean(&kinds[i]) ? s->done[i] : 0;
	}
	printf("# %6ld aborts in all, %ld accesses made again, %u still huge, ",
	       rig_stat("aborts") - before, rig_stat("again") - again, s->whole);
	printf("%u told of a clean page, beside %u chores%s\n", s->told, s->chores,
	       swapping ? "" : ", without swap");
	EXPECT_EQ(0U, s->wrong)
		TH_LOG("first: %s", s->first);
	EXPECT_GE(1 + clean / 100, s->told);
	EXPECT_EQ(share * workers, done);
	EXPECT_ABORTS_FROM_TO(done, LONG_MAX);
	EXPECT_EQ(self->corrupted + done, corrupted_pages());
}

TEST_HARNESS_MAIN
