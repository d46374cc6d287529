// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does in the machine what its console says, a line a command:
 *
 *	write FILE TEXT
 *	read FILE
 *	run PROGRAM [ARG]...
 *
 * and says "agent: done N" behind each: 0, an errno or the program's status. The kernel has
 * a way of its own to the console, and what it said is there once "agent: end" is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MAX_ARGS	16

static int write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

static int read_file(const char *file)
{
	char buf[4096];
	int fd = open(file, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return errno;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, n, stdout);
	n = n < 0 ? errno : 0;
	close(fd);
	return n;
}

static int run_program(char **args)
{
	int status, pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return errno;
	if (!pid) {
		execv(args[0], args);
		_exit(127);
	}
	/* Orphans come to init. */
	waitpid(pid, &status, 0);
	return status;
}

static void answer(int result)
{
	static const char end[] = "agent: end\n";
	int fd = open("/dev/kmsg", O_WRONLY);

	printf("agent: done %d\n", result);
	fflush(stdout);
	if (fd < 0 || write(fd, end, strlen(end)) < 0)
		perror("/dev/kmsg");
	close(fd);
}

int main(void)
{
	struct termios tty;
	static char line[4096];
	char *args[MAX_ARGS + 1], *rest;
	int n, result;

	/* What is asked is not to be in the log among the answers. */
	if (!tcgetattr(0, &tty)) {
		tty.c_lflag &= ~ECHO;
		tcsetattr(0, TCSANOW, &tty);
	}
	answer(0);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		rest = line;
		args[0] = strsep(&rest, " ");
		result = EINVAL;
		if (!strcmp(args[0], "write") && rest) {
			args[1] = strsep(&rest, " ");
			result = write_file(args[1], rest ? rest : "");
		} else if (!strcmp(args[0], "read") && rest) {
			result = read_file(rest);
		} else if (!strcmp(args[0], "run") && rest) {
			for (n = 0; rest && n < MAX_ARGS; n++)
				args[n] = strsep(&rest, " ");
			args[n] = NULL;
			result = run_program(args);
		}
		answer(result);
	}
	return 0;
}
