// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine itself: what the files of EINJ and of the rig take and refuse, what
 * becomes of an error however it is reported, and that nothing else breaks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

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
		{ own,			~0xfffULL,	8, EINVAL },
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

/* Somebody else */
TEST_F(poison, permission)
{
	int i;

	if (!rig)
		SKIP(return, "needs RIG");
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
	EXPECT_ISOLATED(c->pa, 1);
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
}

TEST_HARNESS_MAIN
