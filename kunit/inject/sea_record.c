// SPDX-License-Identifier: GPL-2.0-only
/*
 * Error records from the kernel's side; see sea_record.h. APEI is the one that is to read
 * them: this is for records that it must not see, and for a look before it does.
 *
 * ACPI 6.5, 18.3.2.8 "Generic Hardware Error Source version 2"
 */

#include <linux/acpi.h>
#include <linux/cper.h>
#include <linux/io.h>
#include <linux/uuid.h>

#include <acpi/ghes.h>

#include "sea_record.h"

static const struct acpi_hest_generic_v2 *find(const struct acpi_table_hest *hest, u8 notify)
{
	const void *p = hest + 1;
	u32 i;

	for (i = 0; i < hest->error_source_count; i++) {
		const struct acpi_hest_generic_v2 *g = p;

		if (g->header.type != ACPI_HEST_TYPE_GENERIC_ERROR &&
		    g->header.type != ACPI_HEST_TYPE_GENERIC_ERROR_V2)
			return NULL;	/* whose size is another */
		if (g->notify.type == notify)
			return g;
		p += g->header.type == ACPI_HEST_TYPE_GENERIC_ERROR ?
		     sizeof(struct acpi_hest_generic) : sizeof(*g);
	}
	return NULL;
}

static void *map(u64 pa, size_t size)
{
	return memremap(pa, size, MEMREMAP_WB);
}

/**
 * sea_source_find() - find where the firmware leaves its records
 * @s: what was found, mapped until sea_source_forget()
 * @notify: of the source with this type of notification, ACPI_HEST_NOTIFY_*
 *
 * Context: may sleep.
 * Return: false if there is none.
 */
bool sea_source_find(struct sea_source *s, u8 notify)
{
	const struct acpi_hest_generic_v2 *g;
	struct acpi_table_header *hest;
	u64 *at;

	if (s->block)
		return true;
	if (acpi_disabled || ACPI_FAILURE(acpi_get_table(ACPI_SIG_HEST, 0, &hest)))
		return false;
	g = find((struct acpi_table_hest *)hest, notify);
	if (!g)
		return false;

	if (g->header.type == ACPI_HEST_TYPE_GENERIC_ERROR_V2) {
		s->ack = map(g->read_ack_register.address, sizeof(*s->ack));
		s->preserve = g->read_ack_preserve;
		s->write = g->read_ack_write;
		if (!s->ack)
			return false;
	}
	at = map(g->error_status_address.address, sizeof(*at));
	if (at)
		s->block = map(*at, g->error_block_length);
	memunmap(at);
	return s->block;
}

/**
 * sea_source_forget() - give back what sea_source_find() has mapped
 * @s: the source
 *
 * May sleep.
 */
void sea_source_forget(struct sea_source *s)
{
	memunmap(s->ack);
	memunmap(s->block);
	*s = (struct sea_source){};
}

/**
 * sea_record_waits() - whether there is a record that nobody has read
 * @s: the source
 *
 * Context: any.
 * Return: true if there is.
 */
bool sea_record_waits(const struct sea_source *s)
{
	return READ_ONCE(s->block->block_status);
}

/**
 * sea_record_read() - look at a record and leave it where it is
 * @s: the source
 * @r: the record
 *
 * Context: any.
 * Return: false if there is none, or one that is malformed or not about memory.
 */
bool sea_record_read(const struct sea_source *s, struct sea_record *r)
{
	struct acpi_hest_generic_data_v300 *data = (void *)(s->block + 1);
	struct cper_sec_mem_err *mem = (void *)(data + 1);

	if (!sea_record_waits(s))
		return false;
	dma_rmb();		/* The firmware writes the status last. */
	if (cper_estatus_check(s->block) || data->revision < 0x300 ||
	    !guid_equal((guid_t *)data->section_type, &CPER_SEC_PLATFORM_MEM))
		return false;

	*r = (struct sea_record) {
		.severity = s->block->error_severity,
		.section_severity = data->error_severity,
		.has_address = mem->validation_bits & CPER_MEM_VALID_PA,
		.address = mem->physical_addr,
		.mask = mem->physical_addr_mask,
		.nr = *(u32 *)data->fru_id,
	};
	return true;
}

/**
 * sea_record_drop() - have a record be as if it had been read
 * @s: the source
 *
 * Context: any.
 */
void sea_record_drop(const struct sea_source *s)
{
	if (!sea_record_waits(s))
		return;
	WRITE_ONCE(s->block->block_status, 0);
	if (s->ack) {
		dma_wmb();
		WRITE_ONCE(*s->ack, (*s->ack & s->preserve) | s->write);
	}
}
