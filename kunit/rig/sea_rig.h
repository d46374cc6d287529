/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Genuine synchronous external aborts (SEA) on any page of memory, on QEMU's virt
 * machine: a firmware at EL2 below the kernel.
 */
#ifndef KUNIT_SEA_RIG_H
#define KUNIT_SEA_RIG_H

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/types.h>

/*
 * How a page answers. Loads of poison (data, tags, instructions, table walks) abort, after
 * an error record was written; stores pass. The bits after SEA_RIG_POISON go with it.
 */
#define SEA_RIG_HEALTHY		0
#define SEA_RIG_POISON		BIT(0)
#define SEA_RIG_FATAL		BIT(1)	/* the record says that nothing can be recovered */
#define SEA_RIG_NO_ADDRESS	BIT(2)	/* the record has no valid physical address */
#define SEA_RIG_NO_RECORD	BIT(3)	/* APEI has nothing to claim */
#define SEA_RIG_ASYNC		BIT(4)	/* an asynchronous record comes, and is read, first */
#define SEA_RIG_DEAD		BIT(5)	/* stores abort as well; no record */

/* For how long a record may wait: longer than a busy host keeps a CPU from running */
#define SEA_RIG_PATIENCE_MS	10000

/**
 * struct sea_rig_stats - what happened so far
 * @aborts: consumptions of poison
 * @again: accesses that were made again as a record waited to be read
 * @lost: aborts without a record, as the one before was not read in time
 */
struct sea_rig_stats {
	u64 aborts;
	u64 again;
	u64 lost;
};

#ifdef CONFIG_ARM64_SEA_RIG
const char *sea_rig_missing(void);
bool sea_rig_reports(void);
int sea_rig_set(phys_addr_t pa, size_t size, unsigned long how);
void sea_rig_repair(void);
void sea_rig_stats(struct sea_rig_stats *s);
void sea_rig_set_severity(unsigned int set);
void sea_rig_set_patience(unsigned int ms);
void sea_rig_repeat(void);
#else
static inline const char *sea_rig_missing(void) { return "needs RIG: CONFIG_ARM64_SEA_RIG"; }
static inline bool sea_rig_reports(void) { return false; }

static inline int sea_rig_set(phys_addr_t pa, size_t size, unsigned long how)
{
	return -ENODEV;
}

static inline void sea_rig_repair(void) { }

static inline void sea_rig_stats(struct sea_rig_stats *s)
{
	memset(s, 0, sizeof(*s));
}

static inline void sea_rig_set_severity(unsigned int set) { }
static inline void sea_rig_set_patience(unsigned int ms) { }
static inline void sea_rig_repeat(void) { }
#endif

#endif /* KUNIT_SEA_RIG_H */
