// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rig itself: what its files take and refuse, and that nobody can wedge the
 * machine with them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"

#define EINJ	"/sys/kernel/debug/apei/einj/"
#define RIG	"/sys/kernel/debug/sea_rig/"
#define PCI	"/sys/bus/pci/"

/* What must not be taken, and the file's value after it */
static const struct {
	const char *file;
	const char *text;
} nonsense[] = {
	{ EINJ "error_type",	"0x8" },
	{ EINJ "error_type",	"0x30" },
	{ EINJ "error_type",	"memory" },
	{ EINJ "flags",		"0x4" },
	{ EINJ "flags",		"-1" },
	{ EINJ "param1",	"0x12345678901234567890" },
	{ EINJ "param2",	"page" },
	{ EINJ "param3",	"" },
	{ EINJ "notrigger",	"no" },
	{ EINJ "error_inject",	"now" },
	{ RIG "repair",		"2" },
	{ RIG "repair",		"all" },
	{ RIG "replace",	"0" },
};

TEST_F(poison, nonsense)
{
	char before[64], after[64];
	size_t i;

	if (dimm.node < 0)
		SKIP(return, "needs RIG");
	ASSERT_EQ(0, write_file(EINJ "error_type", "0x10"));
	ASSERT_EQ(0, write_file(EINJ "flags", "0x2"));
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		bool known = !read_file(nonsense[i].file, before, sizeof(before));

		EXPECT_EQ(-EINVAL, write_file(nonsense[i].file, "%s\n",
					      nonsense[i].text))
			TH_LOG("%s: %s", nonsense[i].file, nonsense[i].text);
		if (!known)
			continue;
		EXPECT_EQ(0, read_file(nonsense[i].file, after, sizeof(after)));
		EXPECT_STREQ(before, after)
			TH_LOG("%s: %s", nonsense[i].file, nonsense[i].text);
	}
}

/* Memory that does not break, and masks wider than a page */
TEST_F(poison, refused)
{
	const struct {
		uint64_t address, mask;
	} refused[] = {
		{ 0,			  ~0xfffULL },
		{ 0x40000000,		  ~0xfffULL },
		{ ~0ULL,		  ~0xfffULL },
		{ dimm.start - 1,	  ~0xfffULL },
		{ dimm.start,		  0 },
		{ dimm.start,		  ~0x1fffULL },
	};
	char list[64];
	size_t i;

	if (dimm.node < 0)
		SKIP(return, "needs RIG");
	ASSERT_EQ(0, write_file(EINJ "error_type", "0x10"));
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		EXPECT_EQ(0, write_file(EINJ "param1", "%llu",
					(unsigned long long)refused[i].address));
		EXPECT_EQ(0, write_file(EINJ "param2", "%llu",
					(unsigned long long)refused[i].mask));
		EXPECT_EQ(-EINVAL, write_file(EINJ "error_inject", "1"))
			TH_LOG("%llx", (unsigned long long)refused[i].address);
	}
	EXPECT_EQ(0, read_file(RIG "poison", list, sizeof(list)));
	EXPECT_STREQ("", list);
}

TEST_F(poison, capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	static const char * const dirs[] = { EINJ, RIG };
	char path[512];
	struct dirent *d;
	size_t i, files = 0;
	DIR *dir;

	if (dimm.node < 0)
		SKIP(return, "needs RIG");
	ASSERT_EQ(0, syscall(SYS_capget, &header, data));
	data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	ASSERT_EQ(0, syscall(SYS_capset, &header, data));
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		dir = opendir(dirs[i]);
		ASSERT_NE(NULL, dir);
		while ((d = readdir(dir))) {
			if (d->d_name[0] == '.')
				continue;
			files++;
			snprintf(path, sizeof(path), "%s%s", dirs[i], d->d_name);
			EXPECT_EQ(-1, open(path, O_RDONLY));
			EXPECT_EQ(EPERM, errno) TH_LOG("%s", path);
			EXPECT_EQ(-1, open(path, O_WRONLY));
			EXPECT_EQ(EPERM, errno) TH_LOG("%s", path);
		}
		closedir(dir);
	}
	EXPECT_EQ(15U, files);
}

static long trigger_and_load(struct child *c)
{
	c->va = map_pair(MAP_PRIVATE) + page_size;
	c->pa = phys_addr(c->va);
	if (!c->pa || poison_phys(c->pa) ||
	    write_file(EINJ "notrigger", "0") ||
	    write_file(EINJ "error_inject", "1") || !is_isolated(c->pa))
		return 1;
	c->step = c->sigbus;
	return child_load(c->va);
}

/* A kernel thread finds the error: whoever has the page hears of it on access. */
TEST_F(poison, trigger)
{
	struct child *c;

	if (dimm.node < 0)
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
	char *p = map_pair(MAP_PRIVATE) + page_size;

	child_poison(c, p);
	child_step(c, 1);
	return pause();
}

/* Whoever poisons memory may die before anybody has consumed it. */
TEST_F(poison, killed)
{
	struct child *c = child_start(poison_and_wait, NULL);

	ASSERT_TRUE(child_await(c, 1));
	kill(c->pid, SIGKILL);
	child_wait(c);
	EXPECT_KILLED(c, SIGKILL);
	EXPECT_EQ(0, dimm_repair());
	EXPECT_FALSE(page_flag(c->pa, KPF_HWPOISON));
}

/* The PCI device whose BAR 2 is the DIMM */
static bool find_device(char *path, size_t size)
{
	unsigned long long start;
	struct dirent *d;
	char buf[1024];
	bool found = false;
	DIR *dir = opendir(PCI "devices");

	while (dir && !found && (d = readdir(dir))) {
		snprintf(path, size, PCI "devices/%s/resource", d->d_name);
		if (read_file(path, buf, sizeof(buf)) ||
		    sscanf(buf, "%*[^\n]\n%*[^\n]\n%llx", &start) != 1)
			continue;
		found = start == dimm.start;
		snprintf(path, size, PCI "devices/%s/remove", d->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The device goes while there is poison, and comes back. */
TEST_F(poison, removed)
{
	struct child *c = child_start(poison_and_wait, NULL);
	char path[512], buf[64];

	if (dimm.node < 0)
		SKIP(return, "needs RIG");
	ASSERT_TRUE(child_await(c, 1));
	ASSERT_TRUE(find_device(path, sizeof(path)));
	EXPECT_EQ(0, write_file(path, "1"));
	EXPECT_EQ(0, read_file(RIG "dimm", buf, sizeof(buf)));
	EXPECT_STREQ("", buf);
	EXPECT_EQ(-EINVAL, write_file(EINJ "error_inject", "1"));
	kill(c->pid, SIGKILL);
	child_wait(c);

	EXPECT_EQ(0, write_file(PCI "rescan", "1"));
	EXPECT_EQ(NULL, poison_init());
	EXPECT_EQ(1, dimm.node);
}

TEST_HARNESS_MAIN
