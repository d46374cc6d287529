/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A DIMM that can be taken off the bus while the kernel runs, for genuine
 * synchronous external aborts (SEA) on QEMU's virt machine.
 */
#ifndef KUNIT_SEA_RIG_H
#define KUNIT_SEA_RIG_H

#include <linux/types.h>

struct page;

#ifdef CONFIG_ARM64_SEA_RIG
bool sea_rig_present(void);
struct page *sea_rig_alloc_page(void);
void sea_rig_free_page(struct page *page);

void sea_rig_kill(void);
void sea_rig_revive(void);

int sea_rig_poison(phys_addr_t pa, bool fatal);
void sea_rig_repair(void);
#else
static inline bool sea_rig_present(void) { return false; }
static inline struct page *sea_rig_alloc_page(void) { return NULL; }
static inline void sea_rig_free_page(struct page *page) { }
static inline void sea_rig_kill(void) { }
static inline void sea_rig_revive(void) { }
static inline int sea_rig_poison(phys_addr_t pa, bool fatal) { return -1; }
static inline void sea_rig_repair(void) { }
#endif

#endif /* KUNIT_SEA_RIG_H */
