/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is behind the hook in arch/arm64/mm/fault.c while a task has something armed. The
 * hook is built in, the code that arms it may be a module.
 */
#ifndef KUNIT_HOOK_H
#define KUNIT_HOOK_H

#include <linux/compiler_attributes.h>
#include <linux/extable.h>
#include <linux/types.h>

#include <asm/extable.h>

struct pt_regs;

/**
 * struct sea_hook - whom to ask about the aborts of a task
 * @inject: at the entry of do_mem_abort(); true if nothing is left to do
 * @dies: where a kernel fault becomes fatal; true if the machine is to live on
 * @claim: in place of apei_claim_sea()
 *
 * All are called in the context of the abort.
 */
struct sea_hook {
	bool (*inject)(struct sea_hook *hook, unsigned long far, unsigned long esr,
		       struct pt_regs *regs);
	bool (*dies)(struct sea_hook *hook, const char *msg);
	int (*claim)(struct sea_hook *hook, struct pt_regs *regs);
};

void sea_hook_arm(struct sea_hook *hook);
void sea_hook_disarm(struct sea_hook *hook);
void __noreturn sea_hook_exit(void);

/* The kernel's table, which it declares where it is used only */
extern const struct exception_table_entry __start___ex_table[];
extern const struct exception_table_entry __stop___ex_table[];

const struct exception_table_entry *
sea_hook_extable(const struct exception_table_entry **end);

#endif /* KUNIT_HOOK_H */
