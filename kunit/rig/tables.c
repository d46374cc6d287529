// SPDX-License-Identifier: GPL-2.0-only
/*
 * The firmware's ACPI tables: HEST, where the kernel reads of errors, and EINJ, with which
 * it asks for some. The kernel's own drivers take them from there.
 *
 * ACPI 6.5, 18.3.2 "ACPI Error Source" and 18.6 "Error Injection"
 */

#include <linux/acpi.h>
#include <linux/cper.h>
#include <linux/string.h>
#include <linux/uuid.h>

#include "firmware.h"

/* The kernel makes it half a second or so, as it rounds to whole ones. */
#define POLL_MS		50

#define CHECK_WINDOW(off, field) \
	static_assert(WINDOW_##off == offsetof(struct rig_window, field))
CHECK_WINDOW(STATUS, status);
CHECK_WINDOW(TYPE, inject.type);
CHECK_WINDOW(FLAGS, inject.flags);
CHECK_WINDOW(ADDRESS, inject.address);
CHECK_WINDOW(RANGE, inject.range);
CHECK_WINDOW(ACK, ack);
CHECK_WINDOW(SYNC, sync);
CHECK_WINDOW(ASYNC, async);
/* EINJ's driver copies more of the structure than is in use here, from 7.3 on. */
static_assert(offsetof(struct rig_window, vendor) - offsetof(struct rig_window, inject) >= 48);

#define CHECK_RECORD(off, field) \
	static_assert(RECORD_##off == offsetof(struct rig_record, field))
CHECK_RECORD(SEVERITY, status.error_severity);
CHECK_RECORD(DATA_SEVERITY, data.error_severity);
CHECK_RECORD(FRU_ID, data.fru_id);
CHECK_RECORD(VALID, mem.validation_bits);
CHECK_RECORD(ADDRESS, mem.physical_addr);
static_assert(RECORD_HAS_ADDRESS == (CPER_MEM_VALID_PA | CPER_MEM_VALID_PA_MASK));

#define CHECK_FIRMWARE(off, field) \
	static_assert(FIRMWARE_##off == offsetof(struct rig_firmware, field))
CHECK_FIRMWARE(LOCK, lock);
CHECK_FIRMWARE(ROOT, root);
CHECK_FIRMWARE(WINDOW, window);
CHECK_FIRMWARE(PATIENCE, patience);
CHECK_FIRMWARE(SET, set);
CHECK_FIRMWARE(REPORT, report);
CHECK_FIRMWARE(SINCE, since);
CHECK_FIRMWARE(FOUND, found);
CHECK_FIRMWARE(SEVERITY, severity);
CHECK_FIRMWARE(RECORDS, records);
CHECK_FIRMWARE(ABORTS, aborts);
CHECK_FIRMWARE(AGAIN, again);
CHECK_FIRMWARE(LOST, lost);

/* A register of 64 bits in the window */
#define REGISTER(at) {						\
	.space_id = ACPI_ADR_SPACE_SYSTEM_MEMORY,		\
	.bit_width = 64,					\
	.access_width = 4,					\
	.address = (at),					\
}

#define IN_WINDOW(field)	(RIG_WINDOW + offsetof(struct rig_window, field))

#define SOURCE(id, t, at, n)					\
	.header = { .type = (t), .source_id = (id) },		\
	.related_source_id = 0xffff,				\
	.enabled = 1,						\
	.records_to_preallocate = 1,				\
	.max_sections_per_record = 1,				\
	.error_status_address = REGISTER(at),			\
	.notify = { .type = (n), .length = sizeof(struct acpi_hest_notify),	\
		    .poll_interval = POLL_MS },			\
	.error_block_length = sizeof(struct rig_record)

static struct {
	struct acpi_table_hest head;
	struct acpi_hest_generic_v2 sync;
	struct acpi_hest_generic async;
} __packed hest = {
	.head.header.signature = ACPI_SIG_HEST,
	.head.error_source_count = 2,
	.sync = {
		SOURCE(0, ACPI_HEST_TYPE_GENERIC_ERROR_V2, IN_WINDOW(sync_at),
		       ACPI_HEST_NOTIFY_SEA),
		.read_ack_register = REGISTER(IN_WINDOW(ack)),
		.read_ack_preserve = ~1ULL,
		.read_ack_write = 1,
	},
	.async = {
		SOURCE(1, ACPI_HEST_TYPE_GENERIC_ERROR, IN_WINDOW(async_at),
		       ACPI_HEST_NOTIFY_POLLED),
	},
};

#define ACTION(a, i, at, v) {					\
	.action = ACPI_EINJ_##a,				\
	.instruction = ACPI_EINJ_##i,				\
	.register_region = REGISTER(at),			\
	.value = (v),						\
	.mask = ~0ULL,						\
}

static struct {
	struct acpi_table_einj head;
	struct acpi_whea_header actions[9];
} __packed einj = {
	.head.header.signature = ACPI_SIG_EINJ,
	.head.header_length = sizeof(einj.head),
	.head.entries = ARRAY_SIZE(einj.actions),
	.actions = {
		ACTION(BEGIN_OPERATION, NOOP, 0, 0),
		ACTION(GET_TRIGGER_TABLE, READ_REGISTER, IN_WINDOW(trigger_at), 0),
		ACTION(SET_ERROR_TYPE, WRITE_REGISTER, IN_WINDOW(inject.type), 0),
		ACTION(GET_ERROR_TYPE, READ_REGISTER, IN_WINDOW(types), 0),
		ACTION(END_OPERATION, NOOP, 0, 0),
		ACTION(EXECUTE_OPERATION, WRITE_REGISTER_VALUE,
		       RIG_DOORBELL + RIG_DOORBELL_EXECUTE, 1),
		ACTION(CHECK_BUSY_STATUS, READ_REGISTER, IN_WINDOW(busy), 0),
		ACTION(GET_COMMAND_STATUS, READ_REGISTER, IN_WINDOW(status), 0),
		ACTION(SET_ERROR_TYPE_WITH_ADDRESS, WRITE_REGISTER, IN_WINDOW(inject), 0),
	},
};

static const struct acpi_whea_header trigger =
	ACTION(TRIGGER_ERROR, WRITE_REGISTER_VALUE, RIG_DOORBELL + RIG_DOORBELL_TRIGGER, 1);

static bool __init exists(char *signature)
{
	struct acpi_table_header *table;

	if (ACPI_FAILURE(acpi_get_table(signature, 0, &table)))
		return false;
	acpi_put_table(table);
	return true;
}

static int __init install(struct acpi_table_header *table, size_t size)
{
	u8 *p = (u8 *)table, sum = 0;

	table->length = size;
	table->revision = 1;
	memcpy(table->oem_id, "SEARIG", ACPI_OEM_ID_SIZE);
	memcpy(table->oem_table_id, "SEARIG  ", ACPI_OEM_TABLE_ID_SIZE);
	while (size--)
		sum += p[size];
	table->checksum = -sum;
	return ACPI_FAILURE(acpi_install_table(table)) ? -EIO : 0;
}

static void __init record_init(struct rig_record *r)
{
	r->status.data_length = sizeof(r->data) + sizeof(r->mem);
	guid_copy((guid_t *)r->data.section_type, &CPER_SEC_PLATFORM_MEM);
	r->data.revision = 0x300;
	r->data.validation_bits = CPER_SEC_VALID_FRU_ID;
	r->data.error_data_length = sizeof(r->mem);
	r->mem.physical_addr_mask = ~(BIT_ULL(RIG_PAGE_SHIFT) - 1);
}

/**
 * rig_window_init() - fill the window and have ACPI know of it
 * @w: the window, all zero
 *
 * Before the kernel looks for either table.
 *
 * Return: 0, or -EEXIST if the machine has such a table (QEMU's -machine ras=on), or -EIO.
 */
int __init rig_window_init(struct rig_window *w)
{
	int err;

	if (exists(ACPI_SIG_HEST) || exists(ACPI_SIG_EINJ))
		return -EEXIST;

	w->types = ACPI_EINJ_MEMORY_CORRECTABLE | ACPI_EINJ_MEMORY_UNCORRECTABLE |
		   ACPI_EINJ_MEMORY_FATAL;
	w->trigger_at = IN_WINDOW(trigger);
	w->inject.vendor_extension = offsetof(struct rig_window, vendor) -
				     offsetof(struct rig_window, inject);
	w->vendor.length = sizeof(w->vendor);
	w->trigger.header_size = sizeof(w->trigger);
	w->trigger.table_size = sizeof(w->trigger) + sizeof(w->entry);
	w->trigger.entry_count = 1;
	w->entry.whea_header = trigger;

	w->ack = 1;
	w->sync_at = IN_WINDOW(sync);
	w->async_at = IN_WINDOW(async);
	record_init(&w->sync);
	record_init(&w->async);

	err = install(&hest.head.header, sizeof(hest));
	return err ?: install(&einj.head.header, sizeof(einj));
}
