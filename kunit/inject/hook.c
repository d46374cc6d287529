// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hook in arch/arm64/mm/fault.c: the piece of the suites that is always built in.
 */

#include <kunit/visibility.h>
#include <linux/extable.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>

#include <asm/sea_inject.h>

#include "hook.h"

/*
 * Tasks that have a hook armed, each with a reference: no other one can be at the
 * address of one that died of its abort. A task itself, alive, changes its slot, and who
 * arms takes those of the dead.
 */
static struct {
	struct task_struct *task;
	struct sea_hook *hook;
} armed[8];
static DEFINE_RAW_SPINLOCK(armed_lock);

/**
 * sea_hook_arm() - from now on ask about the aborts of the current task
 * @hook: whom
 *
 * Does not sleep. Aborts taken by other tasks and in user mode are not touched.
 */
void sea_hook_arm(struct sea_hook *hook)
{
	struct task_struct *dead[ARRAY_SIZE(armed)];
	unsigned int i, slot = ARRAY_SIZE(armed), nr_dead = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&armed_lock, flags);
	for (i = 0; i < ARRAY_SIZE(armed); i++) {
		if (armed[i].task && READ_ONCE(armed[i].task->exit_state)) {
			dead[nr_dead++] = armed[i].task;
			WRITE_ONCE(armed[i].task, NULL);
		}
		if (!armed[i].task)
			slot = i;
		WARN_ON_ONCE(armed[i].task == current);
	}
	if (!WARN_ON_ONCE(slot == ARRAY_SIZE(armed))) {
		armed[slot].hook = hook;
		WRITE_ONCE(armed[slot].task, get_task_struct(current));
	}
	raw_spin_unlock_irqrestore(&armed_lock, flags);

	while (nr_dead)
		put_task_struct(dead[--nr_dead]);
}
EXPORT_SYMBOL_IF_KUNIT(sea_hook_arm);

/**
 * sea_hook_disarm() - end what sea_hook_arm() began
 * @hook: the hook, armed by the current task
 *
 * Does not sleep.
 */
void sea_hook_disarm(struct sea_hook *hook)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(armed); i++) {
		if (armed[i].task != current)
			continue;
		WARN_ON_ONCE(armed[i].hook != hook);
		WRITE_ONCE(armed[i].task, NULL);
		put_task_struct(current);
	}
}
EXPORT_SYMBOL_IF_KUNIT(sea_hook_disarm);

static struct sea_hook *current_hook(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(armed); i++)
		if (READ_ONCE(armed[i].task) == current)
			return armed[i].hook;

	return NULL;
}

/**
 * sea_inject() - the hook at the entry of do_mem_abort()
 * @far: the fault address
 * @esr: the syndrome
 * @regs: the registers at the fault
 *
 * Runs in the context of the fault; does not sleep.
 *
 * Return: true if nothing is left to do.
 */
bool sea_inject(unsigned long far, unsigned long esr, struct pt_regs *regs)
{
	struct sea_hook *hook = current_hook();

	return hook && hook->inject(hook, far, esr, regs);
}

/**
 * sea_inject_dies() - the hook where a kernel fault becomes fatal
 * @msg: why, in the fault path's words
 *
 * Runs in the context of the fault; does not sleep.
 *
 * Return: true if the machine is to live on.
 */
bool sea_inject_dies(const char *msg)
{
	struct sea_hook *hook = current_hook();

	return hook && hook->dies(hook, msg);
}

/**
 * sea_inject_claim() - the hook in place of the question to APEI
 * @regs: the registers at the abort
 *
 * Runs in the context of the abort; may sleep where that can.
 *
 * Return: what apei_claim_sea() does, or the answer of who has armed.
 */
int sea_inject_claim(struct pt_regs *regs)
{
	struct sea_hook *hook = current_hook();

	return hook ? hook->claim(hook, regs) : apei_claim_sea(regs);
}

/**
 * sea_hook_exit() - end the current task
 *
 * Not every kernel exports do_exit(). May sleep; does not return.
 */
void __noreturn sea_hook_exit(void)
{
	do_exit(0);
}
EXPORT_SYMBOL_IF_KUNIT(sea_hook_exit);

/**
 * sea_hook_extable() - find the kernel's exception table, which no module can see
 * @end: where to put the address behind its last entry
 *
 * Context: any.
 *
 * Return: the first entry.
 */
const struct exception_table_entry *
sea_hook_extable(const struct exception_table_entry **end)
{
	*end = __stop___ex_table;
	return __start___ex_table;
}
EXPORT_SYMBOL_IF_KUNIT(sea_hook_extable);
