/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the rig know of each other. */
#ifndef KUNIT_RIG_H
#define KUNIT_RIG_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct nvdimm_bus;
struct pci_dev;

/**
 * struct dimm - memory behind a PCI BAR
 * @pdev: the ivshmem device whose BAR 2 it is; NULL if there is none
 * @start: physical address
 * @size: in bytes
 * @probe: where its first word is mapped
 * @online: is memory of DIMM_NODE, or all of it held where there is no such node
 * @bus: or is persistent memory, on this bus
 * @poisoned: a bit for each page
 * @fatal: a bit for each page whose record says fatal
 * @aborts: for each page, how often poison was consumed there
 * @nr_poisoned: number of bits in @poisoned
 * @dead: off the bus
 * @passing: back on it for the sake of one access
 */
struct dimm {
	struct pci_dev *pdev;
	phys_addr_t start;
	size_t size;
	void *probe;
	bool online;
	struct nvdimm_bus *bus;

	unsigned long *poisoned;
	unsigned long *fatal;
	u16 *aborts;
	unsigned int nr_poisoned;
	bool dead;
	bool passing;
};

/* Nothing else is there. A device tree as QEMU's has no such node: see hold_pages(). */
#define DIMM_NODE	1

/* One for ordinary memory, one for persistent memory */
enum { DIMM, PMEM, NR_DIMMS };
extern struct dimm dimms[NR_DIMMS];

/* Guards what changes while a DIMM is there */
extern raw_spinlock_t rig_lock;
/* Guards that it is there */
extern struct mutex rig_mutex;

struct dimm *dimm_of(phys_addr_t pa);
int dimm_node(void);
void dimm_power(struct dimm *d, bool on);
void dimm_wait_dead(struct dimm *d);
int dimm_replace(void);

extern const char dimm_probe_load[];

/**
 * struct rig_stats - what happened so far
 * @aborts: aborts on poison
 * @passed: other accesses to a dead DIMM, which were let pass
 * @lost: records that the kernel did not make room for in time
 */
struct rig_stats {
	unsigned int aborts;
	unsigned int passed;
	unsigned int lost;
};

extern struct rig_stats rig_stats;

int rig_firmware_init(void);
bool rig_firmware_reports(void);
void rig_firmware_trigger(phys_addr_t pa);
void einj_init(void);

#endif /* KUNIT_RIG_H */
