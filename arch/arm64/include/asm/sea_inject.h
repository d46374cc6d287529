/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the KUnit suites in kunit/ reach into the fault path. */
#ifndef __ASM_SEA_INJECT_H
#define __ASM_SEA_INJECT_H

#include <linux/acpi.h>
#include <linux/types.h>

struct pt_regs;

#ifdef CONFIG_ARM64_SEA_INJECT
bool sea_inject(unsigned long far, unsigned long esr, struct pt_regs *regs);
bool sea_inject_dies(const char *msg);
int sea_inject_claim(struct pt_regs *regs);
#else
static inline bool sea_inject(unsigned long far, unsigned long esr,
			      struct pt_regs *regs)
{
	return false;
}

static inline bool sea_inject_dies(const char *msg)
{
	return false;
}

static inline int sea_inject_claim(struct pt_regs *regs)
{
	return apei_claim_sea(regs);
}
#endif

#endif /* __ASM_SEA_INJECT_H */
