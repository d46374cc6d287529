// SPDX-License-Identifier: GPL-2.0-only
/*
 * /init of a machine that runs programs, one after the other, and powers off.
 *
 * Arguments (what follows "--" on the kernel's command line) are the programs:
 *
 *   PROGRAM		as it is
 *   PROGRAM:TEST	a kselftest, of which one test is to run
 *   PROGRAM,ARG,...	with these arguments
 *
 * Without any, all programs beside this one. A program that has no slash in its
 * name lies beside this one, too. What ends with anything but 0 is reported:
 *
 *   copy_mc: NAME: exit code 1
 *
 * and in the end how many there were: "copy_mc: exit 1".
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kselftest.h"

/* The kernel has 32 words for init; a word cannot have more than this. */
#define MAX_ARGS	256

static const struct {
	const char *type;
	const char *where;
} mounts[] = {
	{ "proc",	"/proc" },
	{ "sysfs",	"/sys" },
	{ "devtmpfs",	"/dev" },
	{ "debugfs",	"/sys/kernel/debug" },
	{ "tmpfs",	"/tmp" },
	{ "tmpfs",	"/dev/shm" },
};

static int is_program(const struct dirent *d)
{
	struct stat st;

	return strcmp(d->d_name, "init") && !stat(d->d_name, &st) &&
		S_ISREG(st.st_mode) && st.st_mode & 0111;
}

/* Cut the word at its commas; what has a test to run wants it as an option. */
static void split(char *word, char **args)
{
	int n = 0;
	char *test;

	while (word && n < MAX_ARGS)
		args[n++] = strsep(&word, ",");
	test = n == 1 ? strchr(args[0], ':') : NULL;
	if (test) {
		*test++ = '\0';
		args[n++] = "-t";
		args[n++] = test;
	}
	args[n] = NULL;
}

/* Return whether it failed. */
static int run(char *word)
{
	char *args[MAX_ARGS + 3];
	int status = 1, pid;

	split(word, args);
	pid = fork();
	if (!pid) {
		execv(args[0], args);
		printf("copy_mc: %s: %s\n", args[0], strerror(errno));
		fflush(stdout);
		_exit(127);
	}
	/* Orphans end up here, too. */
	while (wait(&status) != pid)
		;

	if (WIFSIGNALED(status))
		printf("copy_mc: %s: signal %d\n", args[0], WTERMSIG(status));
	else if (WEXITSTATUS(status))
		printf("copy_mc: %s: exit code %d\n", args[0],
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
	setenv("PATH", "/", 1);

	/* QEMU's UEFI puts an "initrd=" at the end of the command line. */
	for (i = 1; i < argc; i++)
		if (strncmp(argv[i], "initrd=", strlen("initrd="))) {
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
