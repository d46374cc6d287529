/* SPDX-License-Identifier: GPL-2.0-only */
/* What the firmware at EL2 (firmware.S) and the kernel above it both know. */
#ifndef KUNIT_RIG_FIRMWARE_H
#define KUNIT_RIG_FIRMWARE_H

#include <linux/bits.h>
#include <linux/const.h>

/* HVCs, beside those of arch/arm64/kernel/hyp-stub.S: x0, and what is in x1 to x3 */
#define RIG_HVC_ENABLE		0x100	/* stack, VTCR_EL2, VTTBR_EL2 */
#define RIG_HVC_SET		0x101	/* physical address, size, leaf: 0 or -EINVAL */
#define RIG_HVC_REPAIR		0x102
#define RIG_HVC_FLUSH		0x103	/* after the kernel has changed tables */

/*
 * Stage 2: 40 bits, 4K, from level 1 on, which is two tables side by side. Memory is
 * split down to pages, so that the firmware has nothing to allocate.
 *
 * DDI 0487, D8.3 "Translation table descriptor formats"
 */
#define RIG_IPA_BITS		40
#define RIG_PAGE_SHIFT		12
#define S2_VALID		BIT(0)
#define S2_TABLE		BIT(1)			/* or a page, at level 3 */
#define S2_READ_SHIFT		6
#define S2_READ			BIT(S2_READ_SHIFT)	/* S2AP[0] */
#define S2_XN			BIT(54)			/* XN[1] */
#define S2_ADDR			GENMASK(47, RIG_PAGE_SHIFT)
/* Normal memory, write-back, inner shareable, may be written: it is for stage 1 to say less */
#define S2_BLOCK		(S2_VALID | (0xf << 2) | S2_READ | BIT(7) | (3 << 8) | BIT(10))
#define S2_HEALTHY		(S2_BLOCK | S2_TABLE)
#define S2_POISON		((S2_HEALTHY & ~S2_READ) | S2_XN)
#define S2_DEAD			(S2_HEALTHY & ~S2_VALID)

/* Bits that are software's: of a leaf, how its poison is reported; not the last two at once */
#define S2_FATAL_SHIFT		55
#define S2_NO_ADDRESS_SHIFT	56
#define S2_NO_RECORD_SHIFT	57
#define S2_ASYNC_SHIFT		58
/* and of a table at level 3: that not all of it is healthy, and that it is of memory */
#define S2_MARK_SHIFT		55
#define S2_MEMORY_SHIFT		56

/*
 * Where the kernel finds the registers and records of the firmware: addresses at which
 * the virt machine has nothing. The first page is memory, the second aborts: a
 * write there is the command to execute what is in the first, or to trigger it.
 */
#define RIG_WINDOW		_UL(0x0b000000)
#define RIG_DOORBELL		_UL(0x0b001000)
#define RIG_DOORBELL_EXECUTE	0
#define RIG_DOORBELL_TRIGGER	8

/* struct rig_window */
#define WINDOW_STATUS		0x00
#define WINDOW_TYPE		0x40
#define WINDOW_FLAGS		0x48
#define WINDOW_ADDRESS		0x50
#define WINDOW_RANGE		0x58
#define WINDOW_ACK		0x200
#define WINDOW_SYNC		0x400
#define WINDOW_ASYNC		0x600

/* A record: a generic error status block, the head of a section, the section */
#define RECORD_SEVERITY		16
#define RECORD_DATA_SEVERITY	(20 + 16)
#define RECORD_FRU_ID		(20 + 28)
#define RECORD_VALID		(20 + 72)
#define RECORD_HAS_ADDRESS	0x6
#define RECORD_ADDRESS		(20 + 72 + 16)

/* struct rig_firmware */
#define FIRMWARE_LOCK		0x00	/* firmware.S takes it to be the first */
#define FIRMWARE_ROOT		0x08
#define FIRMWARE_WINDOW		0x10
#define FIRMWARE_PATIENCE	0x18
#define FIRMWARE_SET		0x20
#define FIRMWARE_REPORT		0x28
#define FIRMWARE_SINCE		0x30
#define FIRMWARE_FOUND		0x38
#define FIRMWARE_SEVERITY	0x40
#define FIRMWARE_RECORDS	0x48
#define FIRMWARE_ABORTS		0x50
#define FIRMWARE_AGAIN		0x58
#define FIRMWARE_LOST		0x60

#ifndef __ASSEMBLY__

#include <linux/acpi.h>
#include <linux/cper.h>
#include <linux/types.h>

/**
 * struct rig_firmware - the firmware's variables
 * @lock: guards them, and the tables
 * @root: physical address of the tables
 * @window: physical address of struct rig_window; 0 if nobody reads records
 * @patience: how long a record may wait for its reader, in ticks of the system counter
 * @set: ESR_EL1.SET of an abort
 * @report: how poison of EINJ is reported, bits from S2_NO_ADDRESS_SHIFT on
 * @since: when the last record was written
 * @found: the address that EINJ was last given, for its trigger
 * @severity: of that, as CPER has it
 * @records: number of records, which tells APEI one from the next
 * @aborts: see struct sea_rig_stats, as for all that follow
 * @again: likewise
 * @lost: likewise
 */
struct rig_firmware {
	u64 lock;
	u64 root;
	u64 window;
	u64 patience;
	u64 set;
	u64 report;
	u64 since;
	u64 found;
	u64 severity;
	u64 records;
	u64 aborts;
	u64 again;
	u64 lost;
};

/**
 * struct rig_record - an error record with one section about memory
 * @status: that there is one, and its severity
 * @data: head of the section
 * @mem: the section; UEFI 2.10, N.2.5 "Memory Error Section"
 */
struct rig_record {
	struct acpi_hest_generic_status status;
	struct acpi_hest_generic_data_v300 data;
	struct cper_sec_mem_err mem;
} __packed;

/**
 * struct rig_window - what the firmware's ACPI tables name
 * @status: what became of the last command, as EINJ has it
 * @busy: never: a command is executed before the write of it ends
 * @types: of errors that EINJ may inject
 * @trigger_at: physical address of @trigger
 * @inject: what is to be injected; ACPI 6.5, table 18.30 "SET_ERROR_TYPE_WITH_ADDRESS Data
 *	Structure"
 * @vendor: its vendor's extension
 * @trigger: the trigger error action table
 * @entry: its one entry
 * @ack: bit 0 says that the synchronous record has been read
 * @sync_at: physical address of @sync
 * @async_at: physical address of @async
 * @sync: the record of an abort
 * @async: the record of an error that nobody has consumed
 */
struct rig_window {
	u64 status;
	u64 busy;
	u64 types;
	u64 trigger_at;

	struct {
		u32 type;
		u32 vendor_extension;
		u32 flags;
		u32 apicid;
		u64 address;
		u64 range;
		u32 pcie_sbdf;
	} inject __aligned(64);
	struct {
		u32 length;
		u32 pcie_sbdf;
		u16 vendor_id;
		u16 device_id;
		u8 rev_id;
		u8 reserved[3];
	} vendor __aligned(64);
	struct acpi_einj_trigger trigger __aligned(64);
	struct acpi_einj_entry entry;

	u64 ack __aligned(512);
	u64 sync_at;
	u64 async_at;
	struct rig_record sync __aligned(512);
	struct rig_record async __aligned(512);
};

extern struct rig_firmware rig_firmware;
extern char rig_firmware_vectors[];

int rig_window_init(struct rig_window *w);
void rig_files_init(void);
void rig_walk_poison(void (*fn)(void *arg, u64 leaf), void *arg);

#endif /* __ASSEMBLY__ */

#endif /* KUNIT_RIG_FIRMWARE_H */
