/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_SEA_H
#define __ASM_SEA_H

#include <linux/types.h>

struct exception_table_entry;
struct pt_regs;
struct task_struct;

const struct exception_table_entry *search_sea_extable(unsigned long addr,
						       unsigned long esr);
void fixup_sea(const struct exception_table_entry *ex, struct pt_regs *regs,
	       unsigned long far, unsigned long esr);

bool insn_is_kload_sea(unsigned long addr);

#ifdef CONFIG_ARCH_HAS_COPY_MC
bool sea_recover_kernel(unsigned long far, unsigned long esr,
			struct pt_regs *regs);
void sea_init_thread(struct task_struct *p);
#else
static inline bool sea_recover_kernel(unsigned long far, unsigned long esr,
				      struct pt_regs *regs)
{
	return false;
}

static inline void sea_init_thread(struct task_struct *p) { }
#endif

#endif /* __ASM_SEA_H */
