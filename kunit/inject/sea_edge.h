/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory whose last page aborts, at the same address in either way: it is a trap
 * of the simulator, or a page that the rig has declared dead.
 */
#ifndef KUNIT_SEA_EDGE_H
#define KUNIT_SEA_EDGE_H

#include <linux/types.h>

#include "sea_inject.h"

struct kunit;
struct page;
struct vm_struct;

enum sea_edge_kind {
	SEA_EDGE_KERNEL,	/* mapped as vmap() does */
	SEA_EDGE_USER,		/* in the address space of the task */
	SEA_EDGE_LINEAR,	/* the linear map, and the page that aborts alone */
};

/**
 * struct sea_edge - such memory, made by sea_edge_init()
 * @kind: where it is mapped
 * @si: the injection, which knows its address and size
 * @page: the one that dies
 * @contents: that page, mapped somewhere else
 * @area: kernel addresses, of SEA_EDGE_KERNEL
 * @dead: it is dead, unless an abort had it repaired
 */
struct sea_edge {
	enum sea_edge_kind kind;
	struct sea_inject *si;
	struct page *page;
	u8 *contents;
	struct vm_struct *area;
	bool dead;
};

void sea_edge_init(struct kunit *test, struct sea_edge *e, struct sea_inject *si,
		   enum sea_edge_kind kind, size_t size);
void sea_edge_switch(struct kunit *test, struct sea_edge *e, bool genuine);
void sea_edge_write(struct kunit *test, struct sea_edge *e, const u8 *from);
void sea_edge_read(struct kunit *test, struct sea_edge *e, u8 *to);
unsigned long sea_edge_map_user(struct kunit *test, struct sea_edge *e);

bool sea_same(struct kunit *test, const struct sea_inject *simulated,
	      const struct sea_inject *genuine, bool wrapped);

/* Where what aborts begins */
static inline unsigned long sea_edge(const struct sea_edge *e)
{
	return e->si->trap + e->si->mapped;
}

#endif /* KUNIT_SEA_EDGE_H */
