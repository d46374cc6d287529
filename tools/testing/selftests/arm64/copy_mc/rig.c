// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine itself: what the files of EINJ and of the rig take and refuse, what
 * becomes of an error however it is reported, and that nothing else breaks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"

/* What the file "report" takes */
#define NO_ADDRESS	1
#define NO_RECORD	2
#define ASYNC		4

/* What must not be taken; it leaves the file's value as it was */
static const struct {
	const char *file;
	const char *text;
	int err;
} nonsense[] = {
	{ EINJ "error_type",	"0x30",			EINVAL },
	{ EINJ "error_type",	"0x40",			EINVAL },
	{ EINJ "error_type",	"0x100000010",		EINVAL },
	{ EINJ "error_type",	"typo",			EINVAL },
	{ EINJ "flags",		"address",		EINVAL },
	{ EINJ "param1",	"0x12345678901234567",	ERANGE },
	{ EINJ "param2",	"page",			EINVAL },
	{ EINJ "param3",	"",			EINVAL },
	{ EINJ "notrigger",	"no",			EINVAL },
	{ EINJ "error_inject",	"now",			EINVAL },
	{ RIG "repair",		"2",			EINVAL },
	{ RIG "repair",		"all",			EINVAL },
	{ RIG "report",		"3",			EINVAL },
	{ RIG "report",		"8",			EINVAL },
	{ RIG "report",		"sideways",		EINVAL },
	{ RIG "set",		"4",			EINVAL },
	{ RIG "set",		"-1",			EINVAL },
	{ RIG "table",		"0",			EINVAL },
	{ RIG "table",		"0xffff000000000000",	EINVAL },
	{ RIG "table",		"mine",			EINVAL },
};

static bool nothing_poisoned(void)
{
	char list[64];

	return !read_file(RIG "poison", list, sizeof(list)) && !list[0];
}

/* Linux 7.3 shows what was written last, even if that was refused. */
static bool shows_value(const char *file)
{
	return strcmp(file, EINJ "error_type");
}

TEST_F(poison, nonsense)
{
	char before[64], after[64], *page = map_pair(MAP_PRIVATE);
	size_t i;

	if (!rig)
		SKIP(return, "needs RIG");
	ASSERT_EQ(0, inject(EINJ_UNCORRECTABLE, phys_addr(page), false));
	ASSERT_EQ(0, rig_repair());
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		bool known = shows_value(nonsense[i].file) &&
			     !read_file(nonsense[i].file, before, sizeof(before));

		EXPECT_EQ(-nonsense[i].err,
			  write_file(nonsense[i].file, "%s\n", nonsense[i].text))
			TH_LOG("%s: %s", nonsense[i].file, nonsense[i].text);
		if (!known)
			continue;
		EXPECT_EQ(0, read_file(nonsense[i].file, after, sizeof(after)));
		EXPECT_STREQ(before, after)
			TH_LOG("%s: %s", nonsense[i].file, nonsense[i].text);
	}
	EXPECT_TRUE(nothing_poisoned());

	/* Type and address are those of before. */
	EXPECT_EQ(0, write_file(EINJ "error_inject", "1"));
	EXPECT_FALSE(nothing_poisoned());
	EXPECT_EQ(0, rig_repair());
	EXPECT_TRUE(same_pages(page, 2 * page_size));
	EXPECT_ABORTS(0);
}

/* Where memory begins */
static uint64_t first_of_memory(void)
{
	uint64_t start = 0;
	char line[256];
	FILE *f = fopen("/proc/iomem", "r");

	while (f && !start && fgets(line, sizeof(line), f))
		if (strstr(line, "System RAM"))
			start = strtoull(line, NULL, 16);
	if (f)
		fclose(f);
	return start;
}

/* What is no memory, masks wider than a page, flags that do not exist */
TEST_F(poison, refused)
{
	char *page = map_pair(MAP_PRIVATE);
	char *zero = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	int zero_byte = child_load(zero);	/* which maps the zero page */
	uint64_t own = phys_addr(page), ram = first_of_memory();
	const struct {
		uint64_t address, mask;
		int flags;
		int err;
	} refused[] = {
		{ 0,			~0xfffULL,	2, EINVAL },
		{ 0x09000000,		~0xfffULL,	2, EINVAL },
		{ ~0ULL,		~0xfffULL,	2, EINVAL },
		{ ram - 1,		~0xfffULL,	2, EINVAL },
		{ own,			0,		2, EINVAL },
		{ own,			~0x1fffULL,	2, EINVAL },
		{ own,			~0xfffULL,	16, EINVAL },
		{ phys_addr(zero),	~0xfffULL,	2, EADDRINUSE },
	};
	size_t i;

	if (!rig)
		SKIP(return, "needs RIG");
	ASSERT_NE(0U, own);
	ASSERT_NE(0U, ram);
	ASSERT_EQ(0, zero_byte);
	ASSERT_NE(0U, phys_addr(zero));
	ASSERT_EQ(0, write_file(EINJ "error_type", "0x10"));
	ASSERT_EQ(0, write_file(EINJ "notrigger", "1"));
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		EXPECT_EQ(0, write_file(EINJ "flags", "%d", refused[i].flags));
		EXPECT_EQ(0, write_file(EINJ "param1", "%llu",
					(unsigned long long)refused[i].address));
		EXPECT_EQ(0, write_file(EINJ "param2", "%llu",
					(unsigned long long)refused[i].mask));
		EXPECT_EQ(-refused[i].err, write_file(EINJ "error_inject", "1"))
			TH_LOG("%llx", (unsigned long long)refused[i].address);
	}
	EXPECT_TRUE(nothing_poisoned());
	EXPECT_TRUE(same_pages(page, 2 * page_size));
	EXPECT_ABORTS(0);
}

/* Calls @fn with the path of each file in the directory; how many there were */
static int each_file(const char *dir, void (*fn)(const char *path))
{
	char path[512];
	struct dirent *d;
	int files = 0;
	DIR *stream = opendir(dir);

	while (stream && (d = readdir(stream))) {
		if (d->d_name[0] == '.')
			continue;
		files++;
		snprintf(path, sizeof(path), "%s%s", dir, d->d_name);
		fn(path);
	}
	if (stream)
		closedir(stream);
	return files;
}

#define MAX_FILES	32

static struct {
	char path[512];
	int fd[2];		/* or -errno; for reading, for writing */
	struct stat st;
} opened[MAX_FILES];

static int nr_opened;

static void note_path(const char *path)
{
	if (nr_opened < MAX_FILES)
		snprintf(opened[nr_opened++].path, sizeof(opened[0].path), "%s",
			 path);
}

/* Open each file both ways. */
static void open_all(void)
{
	static const int modes[] = { O_RDONLY, O_WRONLY };
	int i, way;

	for (i = 0; i < nr_opened; i++)
		for (way = 0; way < 2; way++) {
			opened[i].fd[way] = open(opened[i].path, modes[way]);
			if (opened[i].fd[way] < 0)
				opened[i].fd[way] = -errno;
			else
				close(opened[i].fd[way]);
		}
}

/* Root without this capability */
TEST_F(poison, capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	int i;

	if (!rig)
		SKIP(return, "needs RIG");
	EXPECT_ABORTS(0);	/* The count is in such a file: the teardown looks again. */
	EXPECT_EQ(6, each_file(RIG, note_path));
	ASSERT_EQ(0, syscall(SYS_capget, &header, data));
	data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	ASSERT_EQ(0, syscall(SYS_capset, &header, data));
	open_all();
	for (i = 0; i < nr_opened; i++) {
		EXPECT_EQ(-EPERM, opened[i].fd[0]) TH_LOG("%s", opened[i].path);
		EXPECT_EQ(-EPERM, opened[i].fd[1]) TH_LOG("%s", opened[i].path);
	}
}

/* Somebody else */
TEST_F(poison, permission)
{
	int i;

	if (!rig)
		SKIP(return, "needs RIG");
	EXPECT_ABORTS(0);	/* as above */
	EXPECT_EQ(6, each_file(RIG, note_path));
	EXPECT_LE(9, each_file(EINJ, note_path));
	for (i = 0; i < nr_opened; i++) {
		ASSERT_EQ(0, stat(opened[i].path, &opened[i].st));
		EXPECT_EQ(0U, opened[i].st.st_uid);
		EXPECT_EQ(0U, opened[i].st.st_mode & 0177)
			TH_LOG("%s", opened[i].path);
	}
	ASSERT_EQ(0, setresuid(1, 1, 1));
	open_all();
	for (i = 0; i < nr_opened; i++) {
		EXPECT_EQ(-EACCES, opened[i].fd[0]) TH_LOG("%s", opened[i].path);
		EXPECT_EQ(-EACCES, opened[i].fd[1]) TH_LOG("%s", opened[i].path);
	}
}

static long trigger_and_load(struct child *c)
{
	c->va = map_pair(MAP_PRIVATE) + page_size;
	c->pa = phys_addr(c->va);
	need(!inject(EINJ_UNCORRECTABLE, c->pa, true), "error_inject");
	need(is_isolated(c->pa), "isolated");
	c->step = c->sigbus;
	return child_load(c->va);
}

/* The firmware finds the error: whoever has the page hears of it on access. */
TEST_F(poison, trigger)
{
	struct child *c;

	if (!rig)
		SKIP(return, "needs RIG");
	c = run_child(trigger_and_load, NULL);
	EXPECT_EXITED(c);
	EXPECT_EQ(0, c->step);
	EXPECT_EQ(-1, c->ret);
	EXPECT_SIGBUS(c, BUS_MCEERR_AR, c->va, 12);
	/* The page is marked before it is unmapped: the load may be in time for an abort. */
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS_FROM_TO(0, 1);
}

static long poison_and_wait(struct child *c)
{
	char *p = c->arg;

	child_load(p + page_size);	/* fork() does not map what is shared */
	child_poison(c, p + page_size);
	child_step(c, 1);
	return pause();
}

/*
 * Whoever poisons memory may die before anybody has consumed it. The page is not
 * the child's alone, as it must not be freed so.
 */
TEST_F(poison, killed)
{
	char *p = map_pair(MAP_SHARED);
	struct child *c;

	if (!rig)
		SKIP(return, "needs RIG");
	c = child_start(poison_and_wait, p);
	ASSERT_TRUE(child_await(c, 1));
	kill(c->pid, SIGKILL);
	child_wait(c);
	EXPECT_KILLED(c, SIGKILL);
	EXPECT_FALSE(nothing_poisoned());
	EXPECT_EQ(0, rig_repair());
	EXPECT_FALSE(page_flag(c->pa, KPF_HWPOISON));
	EXPECT_TRUE(same_pages(p, 2 * page_size));
	EXPECT_TRUE(nothing_poisoned());
	EXPECT_ABORTS(0);
}

static size_t lines_in(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Each page is listed until it is repaired, and has then what was last stored. */
TEST_F(poison, list)
{
	const size_t n = 8, len = n * page_size;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char list[1024], line[32];
	size_t i;

	if (!rig)
		SKIP(return, "needs RIG");
	ASSERT_NE(MAP_FAILED, p);
	fill_pages(p, len);
	EXPECT_TRUE(nothing_poisoned());
	for (i = 0; i < n; i += 2)
		ASSERT_NE(0U, poison_page(p + i * page_size));
	/* To say it again adds nothing. */
	ASSERT_NE(0U, poison_page(p));

	ASSERT_EQ(0, read_file(RIG "poison", list, sizeof(list)));
	EXPECT_EQ(n / 2, lines_in(list));
	for (i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "0x%llx\n",
			 (unsigned long long)phys_addr(p + i * page_size));
		EXPECT_EQ(i % 2 == 0, !!strstr(list, line)) TH_LOG("%s", line);
		/* A store is no load. */
		EXPECT_EQ(0, child_store(p + i * page_size + 1, 'x'));
	}

	EXPECT_EQ(0, rig_repair_page(phys_addr(p)));
	ASSERT_EQ(0, read_file(RIG "poison", list, sizeof(list)));
	snprintf(line, sizeof(line), "0x%llx\n", (unsigned long long)phys_addr(p));
	EXPECT_EQ(NULL, strstr(list, line));
	EXPECT_EQ(n / 2 - 1, lines_in(list));

	EXPECT_EQ(0, rig_repair());
	EXPECT_TRUE(nothing_poisoned());
	for (i = 0; i < n; i++) {
		EXPECT_EQ('x', p[i * page_size + 1]);
		p[i * page_size + 1] = page_byte(i * page_size + 1);
	}
	EXPECT_TRUE(same_pages(p, len));
	EXPECT_ABORTS(0);
}

/* Its neighbours are as good as ever, to the last byte. */
static long load_around(struct child *c)
{
	char *p = mmap(NULL, 3 * page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long aborts = rig_stat("aborts");

	need(p != MAP_FAILED, "memory");
	fill_pages(p, 3 * page_size);
	child_poison(c, p + page_size);
	need(same_pages(p, page_size), "page before");
	need(child_load(p + 2 * page_size) == page_byte(2 * page_size) &&
	     child_load(p + 3 * page_size - 1) == page_byte(3 * page_size - 1),
	     "page behind");
	need(rig_stat("aborts") == aborts, "no abort");
	need(child_load(p + page_size) < 0, "first byte");
	need(rig_stat("aborts") == aborts + 1, "one abort");
	return 0;
}

TEST_F(poison, exact)
{
	struct child *c;

	if (!rig)
		SKIP(return, "needs RIG");
	c = run_child(load_around, NULL);
	EXPECT_EXITED(c);
	EXPECT_SIGBUS(c, BUS_MCEERR_AR, c->va, 12);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS(1);
}

/* Wait for a line of the kernel's log that has @text, two seconds at most. */
static bool kernel_says(int kmsg, const char *text)
{
	char line[1024];
	ssize_t n;
	int i;

	for (i = 0; i < 200; i++) {
		while ((n = read(kmsg, line, sizeof(line) - 1)) > 0) {
			line[n] = '\0';
			if (strstr(line, text))
				return true;
		}
		usleep(10000);
	}
	return false;
}

/* Reported, and that is all. */
TEST_F(poison, correctable)
{
	char *p = map_pair(MAP_PRIVATE);
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (!rig)
		SKIP(return, "needs RIG");
	ASSERT_GE(kmsg, 0);
	lseek(kmsg, 0, SEEK_END);
	EXPECT_EQ(0, inject(EINJ_CORRECTABLE, phys_addr(p), false));
	EXPECT_TRUE(same_pages(p, 2 * page_size));
	EXPECT_EQ(0, inject(EINJ_CORRECTABLE, phys_addr(p), true));
	EXPECT_TRUE(kernel_says(kmsg, "severity: corrected"));
	EXPECT_TRUE(nothing_poisoned());
	EXPECT_TRUE(same_pages(p, 2 * page_size));
	EXPECT_FALSE(page_flag(phys_addr(p), KPF_HWPOISON));
	EXPECT_EQ(self->corrupted, corrupted_pages());
	EXPECT_ABORTS(0);
	close(kmsg);
}

/* Fatal is who consumes it: nobody does. */
TEST_F(poison, fatal)
{
	char *p = map_pair(MAP_PRIVATE);
	uint64_t pa = phys_addr(p);

	if (!rig)
		SKIP(return, "needs RIG");
	ASSERT_EQ(0, inject(EINJ_FATAL, pa, false));
	EXPECT_EQ(0, child_store(p, page_byte(0)));
	EXPECT_FALSE(nothing_poisoned());
	EXPECT_EQ(0, rig_repair());
	EXPECT_TRUE(same_pages(p, 2 * page_size));
	EXPECT_FALSE(page_flag(pa, KPF_HWPOISON));
	EXPECT_EQ(self->corrupted, corrupted_pages());
	EXPECT_ABORTS(0);
}

/* How the error is reported makes a difference to the process. */

static long consume(struct child *c)
{
	char *p = map_pair(MAP_PRIVATE), byte;
	int fds[2], err;
	long ret;

	need(p && !pipe(fds), "memory");
	need(!write_file(RIG "report", "%d", *(int *)c->arg), "report");
	child_poison(c, p + page_size);
	ret = c->data[0] ? write(fds[1], c->va, 1) : child_load(c->va);
	err = errno;
	/* What nobody isolates is whole again. */
	if (*(int *)c->arg & (NO_ADDRESS | NO_RECORD)) {
		need(!rig_repair(), "repair");
		c->pa = 0;
		need(same_pages(p, 2 * page_size), "data");
		need(write(fds[1], c->va, 1) == 1 &&
		     read(fds[0], &byte, 1) == 1 && byte == *c->va, "write");
	}
	errno = err;
	return ret;
}

static long consume_by_write(struct child *c)
{
	c->data[0] = 1;
	return consume(c);
}

/* GHES has nothing to give to memory_failure(), and kills by itself. */
TEST_F(poison, no_address)
{
	int how = NO_ADDRESS;
	struct child *c;

	if (!rig)
		SKIP(return, "needs RIG");
	c = run_child(consume, &how);
	EXPECT_EXITED(c);
	EXPECT_EQ(-1, c->ret);
	EXPECT_SIGBUS(c, SI_KERNEL, NULL, -1);
	EXPECT_EQ(self->corrupted, corrupted_pages());
	EXPECT_ABORTS(1);
}

TEST_F(poison, no_address_write)
{
	int how = NO_ADDRESS;
	struct child *c;

	if (!rig)
		SKIP(return, "needs RIG");
	c = run_child(consume_by_write, &how);
	EXPECT_EXITED(c);
	EXPECT_RET(c, -1, EFAULT);
	EXPECT_SIGBUS(c, SI_KERNEL, NULL, -1);
	EXPECT_EQ(self->corrupted, corrupted_pages());
	EXPECT_ABORTS(1);
}

/* Nobody claims the abort: the process is told of it, but of no memory error. */
TEST_F(poison, no_record)
{
	int how = NO_RECORD;
	struct child *c;

	if (!rig)
		SKIP(return, "needs RIG");
	c = run_child(consume, &how);
	EXPECT_EXITED(c);
	EXPECT_EQ(-1, c->ret);
	EXPECT_SIGBUS(c, BUS_OBJERR, c->va, -1);
	EXPECT_EQ(self->corrupted, corrupted_pages());
	EXPECT_ABORTS(1);
}

/*
 * The page may be isolated already when the abort is claimed, or even when the access is
 * made again, after the asynchronous record was read: then there is a page fault, no
 * abort.
 */
TEST_F(poison, async)
{
	int how = ASYNC;
	struct child *c;

	if (!rig)
		SKIP(return, "needs RIG");
	c = run_child(consume, &how);
	EXPECT_MET(c, 1);
	EXPECT_ABORTS_FROM_TO(0, 1);
}

TEST_F(poison, async_write)
{
	int how = ASYNC;
	struct child *c;

	if (!rig)
		SKIP(return, "needs RIG");
	c = run_child(consume_by_write, &how);
	EXPECT_EXITED(c);
	EXPECT_RET(c, -1, EFAULT);
	/* Of a page fault in a system call nobody is told. */
	if (rig_stat("aborts") > self->aborts)
		EXPECT_TOLD(c, c->va, 12);
	else
		EXPECT_NO_SIGBUS(c);
	EXPECT_ISOLATED(c->pa, 1);
	EXPECT_ABORTS_FROM_TO(0, 1);
}

TEST_HARNESS_MAIN
