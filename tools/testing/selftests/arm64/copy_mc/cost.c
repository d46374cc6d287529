// SPDX-License-Identifier: GPL-2.0-only
/*
 * What everyday system calls and page faults cost, as lines for tools/bench, which
 * runs this on the kernel with the implementation and on the one without.
 *
 *   cost: NAME INSTRUCTIONS
 *
 * Under QEMU's -icount, shift 0, an instruction is a nanosecond, and the generic
 * timer counts them. The least of many tries is one that no interrupt came into.
 * Where a call leaves work to others, it is the mean of as many. What ksmd does is
 * seen by its CPU time.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../kselftest.h"
#include "poison.h"

#define TRIES	400
#define PAGE	4096

#define KSM		"/sys/kernel/mm/ksm/"
#define KSM_PAGES	256

static char buf[PAGE];
static char *anon, *private;
static int file, pipes[2];

static uint64_t now(void)
{
	uint64_t t;

	asm volatile("isb; mrs %0, cntvct_el0; isb" : "=r" (t) :: "memory");
	return t;
}

static bool nothing(void)
{
	return true;
}

static void drop_anon(void)
{
	madvise(anon, PAGE, MADV_DONTNEED);
}

static void drop_private(void)
{
	madvise(private, PAGE, MADV_DONTNEED);
	__atomic_load_n(private, __ATOMIC_RELAXED);
}

static void rewind_file(void)
{
	lseek(file, 0, SEEK_SET);
}

static void fill_pipe(void)
{
	if (write(pipes[1], buf, PAGE) != PAGE)
		perror("pipe");
}

static void drain_pipe(void)
{
	if (read(pipes[0], buf, PAGE) != PAGE)
		perror("pipe");
}

static bool user_fault(void)
{
	__atomic_store_n(anon, 1, __ATOMIC_RELAXED);
	return true;
}

/* The page comes with the store. */
static bool copy_to_user_fault(void)
{
	return !clock_gettime(CLOCK_PROCESS_CPUTIME_ID, (struct timespec *)anon);
}

/* The page is the zero page: no signal is blocked. */
static bool copy_from_user_fault(void)
{
	return !syscall(SYS_rt_sigprocmask, SIG_BLOCK, anon, NULL, 8);
}

static bool get_user_fault(void)
{
	return !ioctl(file, FIONBIO, anon);
}

static bool cow_fault(void)
{
	__atomic_store_n(private, 1, __ATOMIC_RELAXED);
	return true;
}

static bool read_file_page(void)
{
	return read(file, buf, PAGE) == PAGE;
}

static bool write_file_page(void)
{
	return write(file, buf, PAGE) == PAGE;
}

static bool read_pipe(void)
{
	return read(pipes[0], buf, PAGE) == PAGE;
}

static bool write_pipe(void)
{
	return write(pipes[1], buf, PAGE) == PAGE;
}

static bool fork_and_wait(void)
{
	int pid = fork();

	if (!pid)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static const struct cost {
	const char *name;
	void (*before)(void);
	bool (*op)(void);
	void (*after)(void);
	bool mean;		/* memory is freed later, some other call's or nobody's */
} costs[] = {
	{ "fault",			drop_anon,	user_fault,		NULL },
	{ "fault-in-copy_to_user",	drop_anon,	copy_to_user_fault,	NULL },
	{ "fault-in-copy_from_user",	drop_anon,	copy_from_user_fault,	NULL },
	{ "fault-in-get_user",		drop_anon,	get_user_fault,		NULL },
	{ "fault-copy-on-write",	drop_private,	cow_fault,		NULL },
	{ "read-file-4096",		rewind_file,	read_file_page,		NULL },
	{ "write-file-4096",		rewind_file,	write_file_page,	NULL },
	{ "read-pipe-4096",		fill_pipe,	read_pipe,		NULL },
	{ "write-pipe-4096",		NULL,		write_pipe,		drain_pipe },
	{ "fork-exit-wait",		NULL,		fork_and_wait,		NULL, true },
};

/* The instructions of one call, the least of many or their mean; 0 if it fails */
static uint64_t measure(const struct cost *c)
{
	uint64_t start, took, sum = 0, least = UINT64_MAX;
	int i;

	for (i = 0; i < TRIES; i++) {
		if (c->before)
			c->before();
		start = now();
		if (!c->op())
			return 0;
		took = now() - start;
		if (c->after)
			c->after();
		sum += took;
		if (took < least)
			least = took;
	}
	return c->mean ? sum / TRIES : least;
}

static pid_t find_ksmd(void)
{
	char path[32], name[16];

	for (pid_t pid = 2; pid < 1000; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		if (!read_file(path, name, sizeof(name)) && !strcmp(name, "ksmd\n"))
			return pid;
	}
	return -1;
}

/* Lets ksmd work for a while. What it has done until now, less what was given */
static bool run_ksmd(clockid_t clock, long *pages, uint64_t *took)
{
	struct timespec ran;
	char number[32];

	/* Off means that its batch has ended. */
	if (write_file(KSM "run", "1") || usleep(500000) || write_file(KSM "run", "0") ||
	    read_file(KSM "pages_scanned", number, sizeof(number)) ||
	    clock_gettime(clock, &ran))
		return false;
	*pages = atol(number) - *pages;
	*took = ran.tv_sec * 1000000000ULL + ran.tv_nsec - *took;
	return true;
}

/* What ksmd does with a page that is like no other, and as it was; 0 if that fails */
static uint64_t measure_ksmd(void)
{
	char *p = mmap(NULL, KSM_PAGES * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t took = 0;
	clockid_t clock;
	long pages = 0;

	if (p == MAP_FAILED || madvise(p, KSM_PAGES * PAGE, MADV_MERGEABLE) ||
	    clock_getcpuclockid(find_ksmd(), &clock))
		return 0;
	for (int i = 0; i < KSM_PAGES; i++)
		memset(p + i * PAGE, i, PAGE);
	/* It would leave out such pages for a while. */
	write_file(KSM "smart_scan", "0");
	/* Twice to know the pages; what it did by then goes off what comes next. */
	if (!run_ksmd(clock, &pages, &took) || !run_ksmd(clock, &pages, &took) || !pages)
		return 0;
	return took / pages;
}

int main(void)
{
	static const struct cost none = { .op = nothing };
	uint64_t idle, took, frequency;
	int i;

	asm("mrs %0, cntfrq_el0" : "=r" (frequency));
	if (frequency != 1000000000) {
		printf("the timer does not tell one instruction from the next: %llu Hz\n",
		       (unsigned long long)frequency);
		return 1;
	}

	file = open("/tmp/file", O_RDWR | O_CREAT, 0600);
	anon = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file < 0 || write(file, buf, PAGE) != PAGE || pipe(pipes) ||
	    anon == MAP_FAILED) {
		perror("cost");
		return 1;
	}
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	if (private == MAP_FAILED) {
		perror("cost");
		return 1;
	}

	idle = measure(&none);
	for (i = 0; i < (int)ARRAY_SIZE(costs); i++) {
		took = measure(&costs[i]);
		if (!took) {
			perror(costs[i].name);
			return 1;
		}
		printf("cost: %s %llu\n", costs[i].name,
		       (unsigned long long)(took - idle));
	}

	took = measure_ksmd();
	if (!took) {
		perror("ksmd");
		return 1;
	}
	printf("cost: ksmd-page %llu\n", (unsigned long long)took);
	return 0;
}
