// SPDX-License-Identifier: GPL-2.0-only
/*
 * /init of a machine that runs tests and powers off.
 *
 * Arguments (what follows "--" on the kernel's command line): PROGRAM or
 * PROGRAM:TEST, as many as wanted; without any, all programs beside this one.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kselftest.h"

static const struct {
	const char *type;
	const char *where;
} mounts[] = {
	{ "proc",	"/proc" },
	{ "sysfs",	"/sys" },
	{ "devtmpfs",	"/dev" },
	{ "debugfs",	"/sys/kernel/debug" },
	{ "tmpfs",	"/tmp" },
};

static int is_program(const struct dirent *d)
{
	struct stat st;

	return strcmp(d->d_name, "init") && !stat(d->d_name, &st) &&
		S_ISREG(st.st_mode) && st.st_mode & 0111;
}

/* Return whether it failed. */
static int run(char *what)
{
	char *test = strchr(what, ':');
	int status = 1, pid;

	if (test)
		*test++ = '\0';

	pid = fork();
	if (!pid) {
		execl(what, what, test ? "-t" : NULL, test, NULL);
		_exit(127);
	}
	/* Orphans end up here, too. */
	while (wait(&status) != pid)
		;

	if (WIFSIGNALED(status))
		printf("copy_mc: %s: signal %d\n", what, WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		printf("copy_mc: %s: not found\n", what);
	else if (WEXITSTATUS(status))
		printf("copy_mc: %s: exit code %d\n", what,
		       WEXITSTATUS(status));
	return !!status;
}

int main(int argc, char **argv)
{
	struct dirent **found;
	int i, n, ran = 0, failed = 0;

	for (i = 0; i < (int)ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].where, 0755);
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, 0,
			  NULL))
			perror(mounts[i].where);
	}
	if (chdir("/"))
		perror("/");

	/* QEMU's UEFI puts an "initrd=" at the end of the command line. */
	for (i = 1; i < argc; i++)
		if (!strchr(argv[i], '=')) {
			failed += run(argv[i]);
			ran++;
		}
	if (!ran) {
		n = scandir(".", &found, is_program, alphasort);
		for (i = 0; i < n; i++)
			failed += run(found[i]->d_name);
		if (n <= 0) {
			printf("copy_mc: nothing to run\n");
			failed++;
		}
	}

	printf("copy_mc: exit %d\n", failed);
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
