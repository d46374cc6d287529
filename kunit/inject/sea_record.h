/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The error records of a firmware, as they are before APEI has read them.
 */
#ifndef KUNIT_SEA_RECORD_H
#define KUNIT_SEA_RECORD_H

#include <linux/types.h>

struct acpi_hest_generic_status;

/**
 * struct sea_source - where the firmware leaves its records of one kind
 * @block: the record
 * @ack: register that says the record has been read, or NULL
 * @preserve: bits of that to keep
 * @write: bits to set
 */
struct sea_source {
	struct acpi_hest_generic_status *block;
	u64 *ack;
	u64 preserve;
	u64 write;
};

/**
 * struct sea_record - an error record with one section, about memory
 * @severity: of all of it, a CPER_SEV_* value
 * @section_severity: of the section
 * @has_address: the next two are valid
 * @address: physical address
 * @mask: which of its bits count
 * @nr: what tells it from the record before
 */
struct sea_record {
	u32 severity;
	u32 section_severity;
	bool has_address;
	u64 address;
	u64 mask;
	u32 nr;
};

bool sea_source_find(struct sea_source *s, u8 notify);
void sea_source_forget(struct sea_source *s);
bool sea_record_waits(const struct sea_source *s);
bool sea_record_read(const struct sea_source *s, struct sea_record *r);
void sea_record_drop(const struct sea_source *s);

#endif /* KUNIT_SEA_RECORD_H */
