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

/* DDI 0487, ESR_ELx.EC, "Data Abort from a lower Exception level" */
#define EC_DATA_ABORT	0x24UL

/* What the file "report" takes */
#define NO_ADDRESS	1
#define NO_RECORD	2
#define ASYNC		4

/* UEFI 2.10, N.2.1 "Record Header", as "stats" has it of the last error */
#define SEVERITY_RECOVERABLE	0
#define SEVERITY_FATAL		1
#define SEVERITY_CORRECTED	2

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
	{ RIG "repair",		"0",			EINVAL },
	{ RIG "repair",		"all",			EINVAL },
	{ RIG "report",		"3",			EINVAL },
	{ RIG "report",		"6",			EINVAL },
	{ RIG "report",		"8",			EINVAL },
	{ RIG "report",		"sideways",		EINVAL },
	{ RIG "set",		"1",			EINVAL },
	{ RIG "set",		"4",			EINVAL },
	{ RIG "set",		"-1",			EINVAL },
	{ RIG "table",		"0",			EINVAL },
	{ RIG "table",		"0xffff000000000000",	EINVAL },
	{ RIG "table",		"mine",			EINVAL },
};

/* The kernel's log, from now on */
static int open_log(void)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	lseek(kmsg, 0, SEEK_END);
	return kmsg;
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

/* Linux 7.3 shows what was written last, even if that was refused. */
static bool shows_value(const char *file)
{
	return strcmp(file, EINJ "error_type");
}

TEST_F(poison, nonsense)
{
	char before[64], after[64], *page = map_pair(MAP_PRIVATE);
	int kmsg = open_log();
	size_t i;

	if (!rig)
		SKIP(return, "needs RIG");
	ASSERT_GE(kmsg, 0);
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
	/* The first of those that the rig refuses; of many, not each is said. */
	EXPECT_TRUE(kernel_says(kmsg, "sea_rig: repair: refused, takes 1, or"));
	close(kmsg);

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

/* An error type, one more bit of which makes it one of the vendor's; a mask */
#define UE		EINJ_UNCORRECTABLE
#define VENDOR_TYPE	0x80000000
#define PAGE		(~0xfffULL)

/* What EINJ's files are told, and what becomes of it */
struct command {
	unsigned int type;
	unsigned int flags;
	unsigned int vendor_flags;	/* those of a type of the vendor's */
	uint64_t address, mask;
	int err;
};

static int command(const struct command *c)
{
	const struct {
		const char *name;
		uint64_t value;
	} files[] = {
		{ EINJ "error_type",	c->type },
		{ EINJ "flags",		c->flags },
		{ EINJ "vendor_flags",	c->vendor_flags },
		{ EINJ "param1",	c->address },
		{ EINJ "param2",	c->mask },
		{ EINJ "notrigger",	1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++)
		if (write_file(files[i].name, "0x%llx",
			       (unsigned long long)files[i].value))
			return -EIO;
	return write_file(EINJ "error_inject", "1");
}

/*
 * What is no memory, masks wider than a page, and flags that do not exist the kernel's
 * driver stops. The firmware has to refuse what names no address of memory, and types that
 * it does not have.
 */
TEST_F(poison, refused)
{
	char *page = map_pair(MAP_PRIVATE);
	char *zero = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	int zero_byte = child_load(zero);	/* which maps the zero page */
	uint64_t own = phys_addr(page), ram = first_of_memory();
	const struct command refused[] = {
		{ UE,			2, 0, 0,		PAGE,		EINVAL },
		{ UE,			2, 0, 0x09000000,	PAGE,		EINVAL },
		{ UE,			2, 0, ~0ULL,		PAGE,		EINVAL },
		{ UE,			2, 0, ram - 1,		PAGE,		EINVAL },
		{ UE,			2, 0, own,		0,		EINVAL },
		{ UE,			2, 0, own,		2 * PAGE,	EINVAL },
		{ UE,			16, 0, own,		PAGE,		EINVAL },
		{ UE,			2, 0, phys_addr(zero),	PAGE,		EADDRINUSE },
		/* by the firmware */
		{ UE,			1, 0, own,		PAGE,		EINVAL },
		{ UE,			4, 0, own,		PAGE,		EINVAL },
		{ UE,			5, 0, own,		PAGE,		EINVAL },
		{ VENDOR_TYPE,		0, 1, own,		PAGE,		EINVAL },
		{ VENDOR_TYPE,		0, 2, own,		PAGE,		EINVAL },
		{ VENDOR_TYPE | UE,	0, 1, own,		PAGE,		EINVAL },
		{ VENDOR_TYPE | UE,	0, 2, own,		PAGE,		EINVAL },
	};
	size_t i;

	if (!rig)
		SKIP(return, "needs RIG");
	ASSERT_NE(0U, own);
	ASSERT_NE(0U, ram);
	ASSERT_EQ(0, zero_byte);
	ASSERT_NE(0U, phys_addr(zero));
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		EXPECT_EQ(-refused[i].err, command(&refused[i]))
			TH_LOG("type %x, flags %x and %x, %llx", refused[i].type,
			       refused[i].flags, refused[i].vendor_flags,
			       (unsigned long long)refused[i].address);
		EXPECT_TRUE(nothing_poisoned());
		EXPECT_EQ(0, rig_repair());
	}
	EXPECT_EQ(0, write_file(EINJ "vendor_flags", "0"));
	EXPECT_TRUE(same_pages(page, 2 * page_size));
	EXPECT_ABORTS(0);
}

/* ACPI 6.5, 5.2.6 "System Description Table Header" */
#define TABLES		"/sys/firmware/acpi/tables/"
#define TABLE_HEADER	36

/* A table as user space has it: as long as it says it is, and not changed */
static bool good_table(const char *path, const char *signature)
{
	unsigned char table[2048], sum = 0;
	int fd = open(path, O_RDONLY), i, n;
	uint32_t length;

	if (fd < 0)
		return false;
	n = read(fd, table, sizeof(table));
	close(fd);
	if (n <= TABLE_HEADER || memcmp(table, signature, 4) ||
	    memcmp(table + 10, "SEARIG", 6))
		return false;
	memcpy(&length, table + 4, sizeof(length));
	for (i = 0; i < n; i++)
		sum += table[i];
	return length == (uint32_t)n && !sum;
}

/* Tools for servers look at these before they do anything. */
TEST_F(poison, tables)
{
	char text[256];

	if (!rig)
		SKIP(return, "needs RIG");
	EXPECT_TRUE(good_table(TABLES "HEST", "HEST"));
	EXPECT_TRUE(good_table(TABLES "EINJ", "EINJ"));
	EXPECT_EQ(0, read_file(EINJ "vendor", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "vendor_id="));
	EXPECT_EQ(0, read_file(EINJ "vendor_flags", text, sizeof(text)));
	EXPECT_STREQ("0x00000000\n", text);
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

/*
 * A test may die, too: its fixture ends the poison, not the one of the next test. The page is
 * that of a file, as it must not be freed meanwhile.
 */
#define LEFT	"/tmp/rig.left"

static char *map_left(int flags)
{
	int fd = open(LEFT, O_RDWR | O_CLOEXEC | flags, 0600);
	char *p;

	if (fd < 0 || ftruncate(fd, page_size))
		return MAP_FAILED;
	p = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p;
}

TEST_F_SIGNAL(poison, died, SIGKILL)
{
	char *p;

	if (!rig)
		SKIP(return, "needs RIG");
	p = map_left(O_CREAT);
	ASSERT_NE(MAP_FAILED, p);
	fill_pages(p, page_size);
	ASSERT_NE(0U, poison_page(p));
	ASSERT_FALSE(nothing_poisoned());
	kill(getpid(), SIGKILL);
}

TEST_F(poison, died_before)
{
	char *p = map_left(0);

	if (!rig)
		SKIP(return, "needs RIG");
	EXPECT_TRUE(self->was_clean);
	EXPECT_ABORTS(0);
	/* Who asks for this test alone has no such page. */
	if (p == MAP_FAILED)
		return;
	unlink(LEFT);
	EXPECT_TRUE(same_pages(p, page_size));
	EXPECT_FALSE(page_flag(phys_addr(p), KPF_HWPOISON));
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

/* Masks finer than a page, and addresses in it, of which the mask may leave less */
static const struct mask {
	unsigned int offset;
	uint64_t mask;
} masks[] = {
	{ 0x100,	~0x3fULL },
	{ 0x123,	~0x3fULL },
	{ 0xfff,	~0x3fULL },
	{ 0,		~0x7ffULL },
	{ 0xfff,	~0ULL },
};

/* How much the firmware poisons at a time, whatever the size of a page is here */
#define GRANULE		4096

static bool lists_only(uint64_t pa, const char *how)
{
	char list[256], line[64];

	snprintf(line, sizeof(line), "0x%llx%s\n", (unsigned long long)pa, how);
	return !read_file(RIG "poison", list, sizeof(list)) && !strcmp(list, line);
}

static long load_granule(struct child *c)
{
	char *p = mmap(NULL, 3 * page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *granule = p + page_size;
	const struct mask *m = c->arg;
	struct command cmd = { .type = UE, .flags = 2, .mask = m->mask };
	long aborts;

	need(p != MAP_FAILED, "memory");
	fill_pages(p, 3 * page_size);
	/* As nobody is told, nobody isolates it after the first load. */
	need(!write_file(RIG "report", "%d", NO_RECORD), "report");
	aborts = rig_stat("aborts");
	c->va = granule;
	c->pa = phys_addr(granule);
	cmd.address = c->pa + m->offset;
	need(!command(&cmd), "error_inject");
	need(lists_only(c->pa, " no-record"), "one granule");
	need(child_load(granule) < 0 && child_load(granule + GRANULE - 1) < 0,
	     "its ends");
	need(rig_stat("aborts") == aborts + 2, "two aborts");
	need(same_pages(p, page_size), "what is before");
	need(child_load(granule + GRANULE) == page_byte(page_size + GRANULE),
	     "what is behind");
	need(rig_stat("aborts") == aborts + 2, "no abort");
	need(!rig_repair(), "repair");
	c->pa = 0;
	return !same_pages(p, 3 * page_size);
}

TEST_F(poison, mask)
{
	struct child *c;
	size_t i;

	if (!rig)
		SKIP(return, "needs RIG");
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		c = run_child(load_granule, (void *)&masks[i]);
		EXPECT_EXITED(c)
			TH_LOG("%x", masks[i].offset);
		EXPECT_RET(c, 0, 0);
	}
	EXPECT_EQ(self->corrupted, corrupted_pages());
	EXPECT_ABORTS(2 * ARRAY_SIZE(masks));
}

/* Reported, and that is all. */
TEST_F(poison, correctable)
{
	char *p = map_pair(MAP_PRIVATE);
	int kmsg = open_log();

	if (!rig)
		SKIP(return, "needs RIG");
	ASSERT_GE(kmsg, 0);
	EXPECT_EQ(0, inject(EINJ_CORRECTABLE, phys_addr(p), false));
	EXPECT_TRUE(same_pages(p, 2 * page_size));
	EXPECT_EQ(0, inject(EINJ_CORRECTABLE, phys_addr(p), true));
	EXPECT_TRUE(kernel_says(kmsg, "severity: corrected"));
	EXPECT_EQ(SEVERITY_CORRECTED, rig_stat("severity"));
	EXPECT_TRUE(nothing_poisoned());
	EXPECT_TRUE(same_pages(p, 2 * page_size));
	EXPECT_FALSE(page_flag(phys_addr(p), KPF_HWPOISON));
	EXPECT_EQ(self->corrupted, corrupted_pages());
	EXPECT_ABORTS(0);
	close(kmsg);
}

/* Fatal is who consumes it: nobody does. The rig knows, and so does what would trigger it. */
TEST_F(poison, fatal)
{
	char *p = map_pair(MAP_PRIVATE);
	uint64_t pa = phys_addr(p);

	if (!rig)
		SKIP(return, "needs RIG");
	ASSERT_EQ(0, inject(EINJ_FATAL, pa, false));
	EXPECT_EQ(0, child_store(p, page_byte(0)));
	EXPECT_TRUE(lists_only(pa, " fatal"));
	EXPECT_EQ(SEVERITY_FATAL, rig_stat("severity"));
	EXPECT_EQ(0, rig_repair());
	EXPECT_TRUE(same_pages(p, 2 * page_size));
	EXPECT_FALSE(page_flag(pa, KPF_HWPOISON));
	EXPECT_EQ(self->corrupted, corrupted_pages());
	EXPECT_ABORTS(0);
}

/* What `report` says holds for the errors from then on, of each severity. */
static const struct {
	int report;
	const char *how;
} reports[] = {
	{ 0,			"" },
	{ NO_ADDRESS,		" no-address" },
	{ NO_RECORD,		" no-record" },
	{ ASYNC,		" async" },
	{ ASYNC | NO_ADDRESS,	" no-address async" },
};

TEST_F(poison, report)
{
	char *p = map_pair(MAP_PRIVATE), how[64], text[16];
	uint64_t pa = phys_addr(p);
	size_t i;

	if (!rig)
		SKIP(return, "needs RIG");
	for (i = 0; i < ARRAY_SIZE(reports); i++) {
		ASSERT_EQ(0, write_file(RIG "report", "%d", reports[i].report));
		ASSERT_EQ(0, read_file(RIG "report", text, sizeof(text)));
		EXPECT_EQ(reports[i].report, atoi(text));

		ASSERT_EQ(0, inject(EINJ_FATAL, pa, false));
		snprintf(how, sizeof(how), " fatal%s", reports[i].how);
		EXPECT_TRUE(lists_only(pa, how)) TH_LOG("%s", how);
		/* The last word counts. */
		ASSERT_EQ(0, inject(EINJ_UNCORRECTABLE, pa, false));
		EXPECT_TRUE(lists_only(pa, reports[i].how))
			TH_LOG("%s", reports[i].how);
		EXPECT_EQ(SEVERITY_RECOVERABLE, rig_stat("severity"));
		EXPECT_EQ(0, rig_repair_page(pa));
	}
	EXPECT_TRUE(nothing_poisoned());
	EXPECT_EQ(0, rig_repair());
	EXPECT_EQ(0, read_file(RIG "report", text, sizeof(text)));
	EXPECT_EQ(0, atoi(text));
	EXPECT_TRUE(same_pages(p, 2 * page_size));
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
static void do_no_address(struct __test_metadata *_metadata,
			  struct _test_data_poison *self,
			  long (*fn)(struct child *c), int how, int err)
{
	struct child *c;

	if (!rig)
		SKIP(return, "needs RIG");
	c = run_child(fn, &how);
	EXPECT_EXITED(c);
	EXPECT_EQ(-1, c->ret);
	if (err)
		EXPECT_EQ(err, c->err);
	EXPECT_SIGBUS(c, SI_KERNEL, NULL, -1);
	EXPECT_EQ(self->corrupted, corrupted_pages());
	EXPECT_ABORTS(1);
}

TEST_F(poison, no_address)
{
	do_no_address(_metadata, self, consume, NO_ADDRESS, 0);
}

TEST_F(poison, no_address_write)
{
	do_no_address(_metadata, self, consume_by_write, NO_ADDRESS, EFAULT);
}

/* An asynchronous record comes first, and says as little. */
TEST_F(poison, async_no_address)
{
	long again = rig_stat("again");

	do_no_address(_metadata, self, consume, ASYNC | NO_ADDRESS, 0);
	if (rig)
		EXPECT_LT(again, rig_stat("again"));
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

/* ESR_EL1.SET is in what a process is told if nobody has claimed the abort. */
static long load_at_severity(struct child *c)
{
	int how = NO_RECORD;

	need(!write_file(RIG "set", "%d", *(int *)c->arg), "set");
	c->arg = &how;
	return consume(c);
}

TEST_F(poison, severity)
{
	static const int sets[] = { 0, 2, 3 };
	struct child *c;
	size_t i;

	if (!rig)
		SKIP(return, "needs RIG");
	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		c = run_child(load_at_severity, (void *)&sets[i]);
		EXPECT_EXITED(c);
		EXPECT_EQ(-1, c->ret);
		EXPECT_SIGBUS(c, BUS_OBJERR, c->va, -1);
		EXPECT_EQ(EC_DATA_ABORT, c->esr >> 26);
		EXPECT_EQ((uint64_t)sets[i], c->esr >> 11 & 3);
	}
	EXPECT_ABORTS(ARRAY_SIZE(sets));
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
