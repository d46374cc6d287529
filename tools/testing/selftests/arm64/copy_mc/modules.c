// SPDX-License-Identifier: GPL-2.0-only
/*
 * The KUnit suites as a module: loaded, which runs them, and unloaded; twice, the second
 * time without those of the copies, which take long.
 *
 * The environment says how many there are: suites=NUMBER,NUMBER.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../kselftest_harness.h"
#include "poison.h"

#define NAME	"copy_mc_test"
#define FILE_OF	"/" NAME ".ko"
#define RESULTS	"/sys/kernel/debug/kunit"
#define GLOB	"/sys/module/kunit/parameters/filter_glob"
#define QUICK	"[!c]*"

/* KUnit runs what a module has before this returns. */
static int load(void)
{
	int fd = open(FILE_OF, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err;
}

static int unload(void)
{
	return syscall(SYS_delete_module, NAME, O_NONBLOCK) ? -errno : 0;
}

/* Has no case of the suite failed? Say which one has. */
static bool passed(const char *suite)
{
	char path[256], line[512];
	bool good = true, ended = false;
	FILE *f;

	snprintf(path, sizeof(path), RESULTS "/%s/results", suite);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "not ok ")) {
			printf("# %s: %s", suite, line);
			good = false;
		}
		ended |= !strncmp(line, "ok 1 ", 5);
	}
	if (f)
		fclose(f);
	return good && ended;
}

FIXTURE(modules) {
};

FIXTURE_SETUP(modules)
{
	if (access(FILE_OF, R_OK))
		SKIP(return, "no " FILE_OF);
}

FIXTURE_TEARDOWN(modules)
{
}

TEST_F_TIMEOUT(modules, load_and_unload, 900)
{
	const char *env = getenv("suites");
	int wanted[2] = { }, round, suites, bad;
	struct dirent *d;
	DIR *dir;

	if (env)
		sscanf(env, "%d,%d", &wanted[0], &wanted[1]);
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, load());
		dir = opendir(RESULTS);
		ASSERT_NE(NULL, dir);
		suites = 0;
		bad = 0;
		while ((d = readdir(dir))) {
			if (d->d_name[0] == '.')
				continue;
			suites++;
			bad += !passed(d->d_name);
		}
		closedir(dir);
		EXPECT_EQ(0, bad);
		EXPECT_EQ(wanted[round], suites);
		ASSERT_EQ(0, unload());
		ASSERT_EQ(0, write_file(GLOB, QUICK));
	}
}

TEST_HARNESS_MAIN
