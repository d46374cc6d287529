// SPDX-License-Identifier: GPL-2.0-only
/*
 * Poisoned memory for tests: EINJ, the rig, pages and children.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "poison.h"

#define POOL	"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

#define ADDRESS_VALID		0x2	/* flags: param1 and param2 are valid */

size_t page_size = 4096;
bool rig;

/* Files in sysfs, procfs and debugfs */

int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	buf[n] = '\0';
	return 0;
}

int write_file(const char *path, const char *fmt, ...)
{
	char buf[64];
	va_list ap;
	int fd, n, err = 0;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);

	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	if (write(fd, buf, n) != n)
		err = -errno;
	close(fd);
	return err;
}

long number_in(const char *path, const char *name)
{
	size_t len = strlen(name);
	char buf[8192], *line;

	if (read_file(path, buf, sizeof(buf)))
		return -1;
	for (line = strtok(buf, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, name, len))
			return strtol(line + len, NULL, 10);
	return -1;
}

/* An entry of the arrays of 64-bit numbers in /proc */
static uint64_t entry_in(const char *path, uint64_t index)
{
	int fd = open(path, O_RDONLY);
	uint64_t entry = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), index * sizeof(entry)) !=
	    sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

/* The machine */

bool has_mte(void)
{
	return getauxval(AT_HWCAP2) & HWCAP2_MTE;
}

bool has_lse(void)
{
	return getauxval(AT_HWCAP) & HWCAP_ATOMICS;
}

const char *poison_init(void)
{
	char buf[1024];

	page_size = sysconf(_SC_PAGESIZE);
	rig = false;

	if (geteuid())
		return "not root";
	if (read_file(EINJ "available_error_type", buf, sizeof(buf)))
		return "no " EINJ;
	if (!strstr(buf, "0x00000010"))
		return "EINJ has no uncorrectable memory errors";
	rig = !read_file(RIG "stats", buf, sizeof(buf));
	if (rig)
		return NULL;
	/* What is poisoned here is lost until the next boot. */
	if (!getenv("COPY_MC_EINJ"))
		return "no " RIG ", and COPY_MC_EINJ is not set";
	return NULL;
}

long corrupted_pages(void)
{
	long kb = number_in("/proc/meminfo", "HardwareCorrupted:");

	return kb < 0 ? kb : kb / (long)(page_size / 1024);
}

bool worker_may_isolate(void)
{
	struct utsname name;

	return !uname(&name) && atoi(name.release) < 7;
}

long rig_stat(const char *name)
{
	return number_in(RIG "stats", name);
}

bool nothing_poisoned(void)
{
	char list[64];

	return !read_file(RIG "poison", list, sizeof(list)) && !list[0];
}

int rig_repair(void)
{
	int err = write_file(RIG "repair", "1");

	err = err ?: write_file(RIG "report", "0");
	return err ?: write_file(RIG "set", "0");
}

int rig_repair_page(uint64_t pa)
{
	char addr[32];

	snprintf(addr, sizeof(addr), "%#llx", (unsigned long long)pa);
	return write_file(RIG "repair", addr);
}

int machine_as_booted(void)
{
	/* First of all: nobody is to get a page with poison. */
	int err = rig ? rig_repair() : 0;

	write_file(SEA_SIGBUS, "1");	/* which not every implementation has */
	close_disk();
	return err;
}

/* Pages */

uint64_t phys_addr(const void *addr)
{
	uint64_t e = entry_in("/proc/self/pagemap",
			      (uintptr_t)addr / page_size);

	/* Documentation/admin-guide/mm/pagemap.rst: 63 present, 0-54 PFN */
	if (!(e >> 63))
		return 0;
	return (e & ((1ULL << 55) - 1)) * page_size +
		(uintptr_t)addr % page_size;
}

bool page_flag(uint64_t pa, int bit)
{
	return entry_in("/proc/kpageflags", pa / page_size) >> bit & 1;
}

bool is_isolated(uint64_t pa)
{
	int i;

	for (i = 0; i < 1000; i++) {
		if (page_flag(pa, KPF_HWPOISON))
			return true;
		usleep(10000);
	}
	return false;
}

bool is_isolated_already(uint64_t pa)
{
	return worker_may_isolate() ? is_isolated(pa) : page_flag(pa, KPF_HWPOISON);
}

int node_of(const void *addr)
{
	void *page = (void *)addr;
	int node = -1;

	if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &node, 0))
		return -1;
	return node;
}

int other_node(int node)
{
	char path[64], name[64];
	int i;

	for (i = 0; i < 8; i++) {
		snprintf(path, sizeof(path),
			 "/sys/devices/system/node/node%d/meminfo", i);
		snprintf(name, sizeof(name), "Node %d MemTotal:", i);
		if (i != node && number_in(path, name) > 0)
			return i;
	}
	return -1;
}

bool two_nodes(void)
{
	return other_node(other_node(-1)) >= 0;
}

void fill_pages(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = page_byte(i);
}

bool same_pages(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)p[i] != page_byte(i))
			return false;
	return true;
}

char *map_pair(int type)
{
	char *p = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE,
		       type | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	fill_pages(p, 2 * page_size);
	return p;
}

static int write_einj(enum einj_type type, uint64_t pa, bool trigger)
{
	const struct {
		const char *name;
		uint64_t value;
	} files[] = {
		{ EINJ "error_type",	type },
		{ EINJ "flags",		ADDRESS_VALID },
		{ EINJ "param1",	pa },
		{ EINJ "param2",	~(uint64_t)(page_size - 1) },
		{ EINJ "notrigger",	!trigger },
		{ EINJ "error_inject",	1 },
	};
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		err = write_file(files[i].name, "0x%llx",
				 (unsigned long long)files[i].value);
		if (err) {
			fprintf(stderr, "# %s: %s\n", files[i].name,
				strerror(-err));
			return err;
		}
	}
	return 0;
}

int inject(enum einj_type type, uint64_t pa, bool trigger)
{
	/* The files are the same for all processes. */
	int lock = open(EINJ "error_inject", O_WRONLY | O_CLOEXEC), err;

	if (lock < 0 || flock(lock, LOCK_EX))
		return -errno;
	err = write_einj(type, pa, trigger);
	close(lock);
	return err;
}

int poison_phys(uint64_t pa)
{
	return inject(EINJ_UNCORRECTABLE, pa, false);
}

uint64_t poison_page(const void *addr)
{
	uint64_t pa = phys_addr(addr);

	if (!pa || poison_phys(pa))
		return 0;
	return pa;
}

int huge_pool(int n)
{
	int dead = number_in("/proc/meminfo", "HugePages_Total:") -
		   number_in("/proc/meminfo", "HugePages_Free:");
	int err = write_file(POOL, "%d", dead + n);

	if (!err && number_in(POOL, "") != dead + n)
		err = -ENOMEM;
	return err;
}

/* Files */

int copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY), err = 0;
	static char buf[65536];
	ssize_t n;

	if (in < 0 || out < 0)
		return -ENOENT;
	while (!err && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			err = -EIO;
	close(in);
	close(out);
	return err;
}

bool has_only(int fd, off_t off, size_t len, unsigned char byte)
{
	unsigned char *p = malloc(len);
	bool good = p && pread(fd, p, len, off) == (ssize_t)len;
	size_t i;

	for (i = 0; good && i < len; i++)
		good = p[i] == byte;
	free(p);
	return good;
}

int open_disk_file(void)
{
	int fd, err;

	err = copy_file("/ext2.img", "/dev/ram0");
	if (err)
		return err;
	mkdir("/mnt", 0755);
	if (mount("/dev/ram0", "/mnt", "ext2", 0, NULL))
		return -errno;
	fd = open("/mnt/file", O_RDWR);
	if (fd < 0)
		return -errno;
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	return fd;
}

int open_blkdev(unsigned char byte, size_t len)
{
	int fd = open(BLKDEV, O_WRONLY), err = 0;
	char *p = malloc(len);

	if (fd < 0)
		return -errno;
	memset(p, byte, len);
	if (write(fd, p, len) != (ssize_t)len)
		err = -EIO;
	free(p);
	/* Which empties the page cache: nobody else has it open. */
	close(fd);
	fd = open(BLKDEV, O_RDWR);
	return err ?: fd;
}

static bool disk_mounted(void)
{
	return number_in("/proc/mounts", "/dev/ram0 /mnt ") >= 0 ||
	       number_in("/proc/mounts", "/dev/pmem0 /mnt ") >= 0;
}

void close_disk(void)
{
	int i;

	for (i = 0; i < 20 && disk_mounted() && umount("/mnt"); i++)
		usleep(100000);
}

uint64_t cache_page(int fd, off_t off)
{
	char buf[1], *p;
	uint64_t pa;

	if (pread(fd, buf, sizeof(buf), off) != sizeof(buf))
		return 0;
	p = mmap(NULL, page_size, PROT_READ, MAP_SHARED, fd, off);
	if (p == MAP_FAILED)
		return 0;
	__atomic_load_n(p, __ATOMIC_RELAXED);
	pa = phys_addr(p);
	munmap(p, page_size);
	return pa;
}

/* Children */

static struct child *me;
static sigjmp_buf access_failed;
static bool accessing;

/*
 * The child is about to be gone: no page of its own goes back to the kernel with
 * poison that nobody has consumed.
 */
static void leave_no_poison(void)
{
	if (rig && me->pa && !me->nvdimm && !page_flag(me->pa, KPF_NOPAGE) &&
	    !is_isolated(me->pa))
		rig_repair_page(me->pa & -page_size);
}

void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "# %s: %s\n", what, strerror(errno));
	leave_no_poison();
	_exit(1);
}

/* What the signal says of the exception, if it came of one; the list ends with a zero. */
static uint64_t esr_of(const ucontext_t *context)
{
	const struct _aarch64_ctx *head = (void *)context->uc_mcontext.__reserved;

	for (; head->magic; head = (void *)((char *)head + head->size))
		if (head->magic == ESR_MAGIC)
			return ((const struct esr_context *)head)->esr;
	return 0;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;

	if (!me->sigbus++) {
		me->code = info->si_code;
		me->addr = info->si_addr;
		me->pc = (void *)((ucontext_t *)context)->uc_mcontext.pc;
		me->esr = esr_of(context);
		me->lsb = -1;
		if (me->code == BUS_MCEERR_AR || me->code == BUS_MCEERR_AO)
			me->lsb = info->si_addr_lsb;
	}
	if (__atomic_load_n(&accessing, __ATOMIC_RELAXED))
		siglongjmp(access_failed, 1);
	/* An access that is made again and again */
	if (me->sigbus == MAX_SIGBUS) {
		leave_no_poison();
		_exit(1);
	}
}

struct child *child_start(long (*fn)(struct child *c), void *arg)
{
	const struct sigaction action = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO,
	};
	struct child *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED) {
		perror("# mmap");
		exit(1);
	}
	c->arg = arg;
	c->pid = fork();
	if (c->pid)
		return c;

	me = c;
	c->pid = getpid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGBUS, &action, NULL);
	errno = 0;
	c->ret = fn(c);
	c->err = errno;
	leave_no_poison();
	_exit(0);
}

void child_wait(struct child *c)
{
	while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
		;
}

struct child *run_child(long (*fn)(struct child *c), void *arg)
{
	struct child *c = child_start(fn, arg);

	child_wait(c);
	return c;
}

void child_poison(struct child *c, void *addr)
{
	c->va = addr;
	/* If it is the stack's page, this is the last that the child says. */
	c->pa = phys_addr(addr);
	need(c->pa && !poison_phys(c->pa), "poison");
}

int child_try(int (*fn)(void *arg), void *arg)
{
	int ret;

	if (sigsetjmp(access_failed, 1)) {
		ret = -1;
	} else {
		__atomic_store_n(&accessing, true, __ATOMIC_SEQ_CST);
		ret = fn(arg);
	}
	__atomic_store_n(&accessing, false, __ATOMIC_SEQ_CST);
	return ret;
}

static int load_byte(void *addr)
{
	return __atomic_load_n((unsigned char *)addr, __ATOMIC_SEQ_CST);
}

int child_load(const void *addr)
{
	return child_try(load_byte, (void *)addr);
}

static char stored;

static int store_byte(void *addr)
{
	__atomic_store_n((char *)addr, stored, __ATOMIC_SEQ_CST);
	return 0;
}

int child_store(void *addr, char byte)
{
	stored = byte;
	return child_try(store_byte, addr);
}

void child_step(struct child *c, int n)
{
	__atomic_store_n(&c->step, n, __ATOMIC_RELEASE);
}

bool child_await(struct child *c, int n)
{
	int i;

	for (i = 0; i < 5000; i++) {
		if (__atomic_load_n(&c->step, __ATOMIC_ACQUIRE) >= n)
			return true;
		usleep(1000);
	}
	return false;
}
