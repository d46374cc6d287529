// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program of one's own for the machine, as ./tools/run --init takes it.
 */
#include <stdio.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("own: %s\n", argv[i]);
	return 7;
}
