/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Poisoned memory for tests: break a page of one's own, see what becomes of it
 * and of the process that loads from it.
 *
 * A page that is freed with its poison kills whoever gets it next. What is
 * consumed is isolated, and nobody gets it; what is not has to be repaired by the
 * test, before the page's last user is gone.
 */
#ifndef POISON_H
#define POISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../kselftest.h"

#define EINJ	"/sys/kernel/debug/apei/einj/"
#define RIG	"/sys/kernel/debug/sea_rig/"
#define SEA_SIGBUS	"/proc/sys/kernel/sea_sigbus"

#define POISON_MAX_DATA	256

extern size_t page_size;

/* Has the machine the rig's files? Without them a page once poisoned stays so. */
extern bool rig;

#define MAX_SIGBUS	10	/* after so many a child gives up */

/* What a child does and what happens to it; shared with its parent. */
struct child {
	pid_t pid;
	int status;		/* as waitpid() gives it, after child_wait() */

	int sigbus;		/* how many it got, and the first of them: */
	int code;		/* si_code */
	void *addr;		/* si_addr */
	void *pc;		/* where it was */
	int lsb;		/* si_addr_lsb, -1 if si_code has none */
	uint64_t esr;		/* ESR_EL1, 0 if the signal does not say */

	long ret;		/* what its function returned, and errno then */
	int err;

	/* for the function to use */
	void *arg;		/* argument of child_start() */
	char *va;		/* the page it poisoned */
	uint64_t pa;		/* set by child_poison() */
	bool nvdimm;		/* it is there, where no page is ever isolated */
	int step;		/* how far it is, see child_step() */
	char data[POISON_MAX_DATA];
};

/* The machine */

/* Read a whole file, write one; 0 or -errno. */
int read_file(const char *path, char *buf, size_t size);
__printf(2, 3)
int write_file(const char *path, const char *fmt, ...);

/* The number after @name at the start of a line; -1 if there is none */
long number_in(const char *path, const char *name);

/* Has the CPU tags for memory, atomic instructions? */
bool has_mte(void);
bool has_lse(void);

/* Find EINJ and the rig. Return NULL, or why this machine cannot poison. */
const char *poison_init(void);

/* HardwareCorrupted of /proc/meminfo, in pages. */
long corrupted_pages(void);

/* Is memory_failure() a worker's, for errors that a process consumes? */
bool worker_may_isolate(void);

/* A number in sea_rig/stats: "aborts", "again", "lost"; -1 if there is none */
long rig_stat(const char *name);

/* Does the rig list no page? */
bool nothing_poisoned(void);

/*
 * No poison any more, the contents are as last stored, and what is poisoned from
 * now on is reported as usual; 0 or -errno. What is isolated stays isolated.
 */
int rig_repair(void);

/* The page at @pa alone; 0 or -errno */
int rig_repair_page(uint64_t pa);

/*
 * What a test may have changed, as it was: no poison, no disk mounted, SIGBUS sent;
 * 0 or -errno.
 */
int machine_as_booted(void);

/* Pages */

/* Physical address of what is mapped at @addr, 0 if nothing is */
uint64_t phys_addr(const void *addr);

/* Is KPF_<@bit> (linux/kernel-page-flags.h) set for the page at @pa? */
bool page_flag(uint64_t pa, int bit);

/* Has the page been isolated (KPF_HWPOISON)? Give the worker ten seconds. */
bool is_isolated(uint64_t pa);

/* The same of a task's own error, whose call has returned: there is no worker from 7.0 on. */
bool is_isolated_already(uint64_t pa);

/* The node of what is mapped at @addr, -1 if nobody knows */
int node_of(const void *addr);

/* A node that has memory, other than @node; -1 if there is none */
int other_node(int node);
bool two_nodes(void);

/* The kernel wants one bit more than a mask of nodes has. */
#define MASK_BITS	(8 * sizeof(unsigned long) + 1)

/*
 * Two pages of memory next to each other, @type MAP_PRIVATE or MAP_SHARED, filled
 * with page_byte(). NULL if there is no memory.
 */
char *map_pair(int type);

/* The byte at offset @i of the test's pages and of the file on the ext2 disk */
static inline unsigned char page_byte(size_t i)
{
	return i / 4096 * 7 + i;
}

void fill_pages(char *p, size_t len);
bool same_pages(const char *p, size_t len);

/*
 * Have @n free huge pages of 2 MiB, on all nodes in turn; 0 or -errno. Nobody uses
 * one, but for those that are isolated as a whole.
 */
int huge_pool(int n);

/* Copy a file onto another one, or a disk; 0 or -errno. */
int copy_file(const char *from, const char *to);

/* Are the @len bytes of @fd from @off on all @byte? */
bool has_only(int fd, off_t off, size_t len, unsigned char byte);

/*
 * Files: a fresh copy of the image /ext2.img on /dev/ram0, mounted on /mnt, and
 * its one file opened, 64 KiB of page_byte(). A descriptor, or -errno. Read
 * ahead is off. The fixture unmounts it, or another disk of the tests' there.
 */
int open_disk_file(void);
void close_disk(void);

/*
 * A disk without a file system, whose first @len bytes are @byte, and not in the page
 * cache. A descriptor, or -errno.
 */
#define BLKDEV	"/dev/ram1"

int open_blkdev(unsigned char byte, size_t len);

/*
 * Read the page of @fd at @off into the page cache. Return its physical address,
 * 0 if that failed. It is not mapped afterwards.
 */
uint64_t cache_page(int fd, off_t off);

/* ACPI, EINJ error types */
enum einj_type {
	EINJ_CORRECTABLE	= 0x8,
	EINJ_UNCORRECTABLE	= 0x10,
	EINJ_FATAL		= 0x20,
};

/*
 * Inject an error into the page at physical address @pa; 0 or -errno. @trigger:
 * somebody finds it, as a patrol scrubber does. Processes need not take turns.
 */
int inject(enum einj_type type, uint64_t pa, bool trigger);

/* Poison the page at physical address @pa: who loads from it finds it. */
int poison_phys(uint64_t pa);

/* Poison the page mapped at @addr. Return its physical address, 0 if failed. */
uint64_t poison_page(const void *addr);

/* Children */

/*
 * Run @fn in a child process that counts its SIGBUS signals. It dies with its
 * parent, and exits with 0 when @fn returns; then nothing is left poisoned at
 * c->pa. The handler returns: @fn goes on after a system call, but must load from
 * poison by child_load() only.
 */
struct child *child_start(long (*fn)(struct child *c), void *arg);

/* In a child: go on only if @ok. */
void need(bool ok, const char *what);

/* Wait until the child is gone. */
void child_wait(struct child *c);

/* Both */
struct child *run_child(long (*fn)(struct child *c), void *arg);

/* In the child: poison the page at @addr, note c->va and c->pa, or exit. */
void child_poison(struct child *c, void *addr);

/* In the child: return @fn(@arg), or -1 if that raised SIGBUS. */
int child_try(int (*fn)(void *arg), void *arg);

/* The same for a plain load of the byte at @addr */
int child_load(const void *addr);

/* The same with a store; 0 or -1 */
int child_store(void *addr, char byte);

/* Say that step @n is reached; wait (some seconds at most) until it is. */
void child_step(struct child *c, int n);
bool child_await(struct child *c, int n);

#endif /* POISON_H */
