// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recovery from synchronous external aborts (SEA) taken in kernel mode.
 *
 * A copy that consumes poison fails instead of panicking if the aborting
 * instruction has an exception table entry that is honoured for an SEA, and
 * if APEI claims the abort: an error that no firmware describes is contained
 * by nobody.
 */

#include <linux/acpi.h>
#include <linux/extable.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/preempt.h>
#include <linux/sched/signal.h>
#include <linux/sysctl.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>

#include <asm/copy_mc.h>
#include <asm/esr.h>
#include <asm/extable.h>
#include <asm/ptrace.h>
#include <asm/sea.h>
#include <asm/sea_inject.h>
#include <asm/sysreg.h>
#include <asm/traps.h>

/*
 * kernel.sea_sigbus: 1, the default, tells the process whose copy failed with a
 * SIGBUS; 0 leaves that to what its system call returns, as other architectures
 * do. Neither changes what memory_failure() does and sends.
 */
static int sea_sigbus __read_mostly = 1;

static struct ctl_table sea_sysctls[] = {
	{
		.procname	= "sea_sigbus",
		.data		= &sea_sigbus,
		.maxlen		= sizeof(sea_sigbus),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static int __init sea_init_sysctls(void)
{
	register_sysctl_init("kernel", sea_sysctls);
	return 0;
}
arch_initcall(sea_init_sysctls);

/*
 * Runs behind GHES and memory_failure(), which know more of the error. A process
 * is told where its own memory is lost, as memory_failure() tells it, and never a
 * kernel address.
 */
static void sea_force_sigbus(struct callback_head *work)
{
	static const char msg[] = "synchronous external abort";
	struct thread_struct *thread = &current->thread;

	work->func = NULL;
	/* Without init there is no machine. */
	if (!READ_ONCE(sea_sigbus) || is_global_init(current) ||
	    sigismember(&current->pending.signal, SIGBUS))
		return;

	thread->fault_address = 0;
	thread->fault_code = 0;
	if (is_ttbr0_addr(thread->sea_addr))
		arm64_force_sig_mceerr(BUS_MCEERR_AR, thread->sea_addr,
				       PAGE_SHIFT, msg);
	else
		arm64_force_sig_fault(SIGBUS, BUS_OBJERR, 0, msg);
}

/*
 * Task work runs newest first, and what APEI queued for this error may be
 * older than ours: queue behind all that is there now.
 */
static void sea_requeue_sigbus(struct callback_head *work)
{
	work->func = sea_force_sigbus;
	if (task_work_add(current, work, TWA_RESUME))
		work->func = NULL;
}

/* Does a copy of the task fail on behalf of its own process? */
static bool sea_is_told(struct task_struct *p)
{
	/* io_uring's are user workers. Who reclaims memory reads others' pages. */
	return p->mm && !(p->flags & (PF_KTHREAD | PF_USER_WORKER | PF_MEMALLOC));
}

/*
 * The copy failed on behalf of a user process: tell it with one SIGBUS, on its
 * way back to user mode. Until then the fault path or memory_failure() may
 * have forced one that says more (BUS_MCEERR_AR, the address and its lsb). Only
 * the first stays pending, so ours comes last.
 */
static void sea_queue_sigbus(unsigned long far, unsigned long esr)
{
	struct callback_head *work = &current->thread.sea_work;

	if (!in_task() || !sea_is_told(current))
		return;

	/* One signal, however many copies fail in one system call. */
	if (work->func)
		return;

	current->thread.sea_addr = esr & ESR_ELx_FnV ? ULONG_MAX :
						       untagged_addr(far);
	work->func = sea_requeue_sigbus;
	if (task_work_add(current, work, TWA_RESUME))
		work->func = NULL;	/* exiting, nobody to tell */
}

/* ESR_EL1.SET: what the error left of the state that the abort shows */
#define SET_RECOVERABLE		0
#define SET_RESTARTABLE		3

/*
 * Can a copy that fails get rid of it? Not if the abort is on a translation
 * table walk: the poison is in a page table. Nor if the error is uncontainable:
 * what was loaded may have been used already. Arm ARM, ESR_EL1, ISS encoding
 * for an exception from a Data Abort, DFSC and SET; the latter is 0 without
 * FEAT_RAS.
 */
static bool sea_is_contained(unsigned long esr)
{
	unsigned long set = (esr & ESR_ELx_SET_MASK) >> ESR_ELx_SET_SHIFT;

	switch (esr & ESR_ELx_FSC) {
	case ESR_ELx_FSC_EXTABT:
		return set == SET_RECOVERABLE || set == SET_RESTARTABLE;
	case ESR_ELx_FSC_SECC:
		return true;
	}
	return false;
}

/* Nobody knows less than this of where the poison is, see copy_mc_to_kernel(). */
#define POISON_ALIGN		64

/* thread_struct::poison_addr of an abort without an address; poison_par says when */
#define POISON_ANYWHERE		ULONG_MAX

/* What is mapped at @addr, as PAR_EL1 says it (Arm ARM, "AT S1E1R") */
static u64 sea_par(unsigned long addr)
{
	unsigned long flags;
	u64 par, guest_par;

	local_irq_save(flags);
	/* With VHE it may be that of a guest, as long as a vcpu is loaded. */
	guest_par = read_sysreg_par();
	uaccess_ttbr0_enable();
	asm volatile("at s1e1r, %0" : : "r" (addr));
	isb();
	par = read_sysreg_par();
	uaccess_ttbr0_disable();
	write_sysreg(guest_par, par_el1);
	local_irq_restore(flags);
	return par;
}

/*
 * Before APEI hears of it, as the page is mapped still. Kernel threads and user workers,
 * which get no signal, should not try again either.
 */
static void sea_note_poison(unsigned long far, unsigned long esr)
{
	struct thread_struct *thread = &current->thread;

	if (!in_task())
		return;

	thread->poison_addr = POISON_ANYWHERE;
	thread->poison_par = jiffies;
	if (esr & ESR_ELx_FnV)
		return;

	thread->poison_addr = __untagged_addr(far);
	thread->poison_par = sea_par(thread->poison_addr);
}

/**
 * before_poison() - where did a copy meet poison?
 * @from: what could not be loaded, in the kernel's memory or, cast, in user memory
 * @n: its size in bytes
 *
 * For a caller about to try once more what came out short. The answer is about
 * the last SEA of the task, is given once, and only while the page that was mapped
 * there still is. Without a fault address (ESR_EL1.FnV) the poison may be anywhere, until
 * the task returns to user mode; where that is not waited for, as there is nobody to tell,
 * for a second. May be called in any context, with no access to user memory under way;
 * does not sleep.
 *
 * Return: how many of the @n bytes are in front of the poison; @n if it is not there.
 */
size_t before_poison(const void *from, size_t n)
{
	struct thread_struct *thread = &current->thread;
	unsigned long start = __untagged_addr((unsigned long)from);
	unsigned long addr = thread->poison_addr;
	bool recent;

	if (!in_task() || !addr)
		return n;

	if (addr == POISON_ANYWHERE) {
		thread->poison_addr = 0;
		recent = sea_is_told(current) ? !!thread->sea_work.func :
			 time_before(jiffies, (unsigned long)thread->poison_par + HZ);
		return recent ? 0 : n;
	}

	if (addr < round_down(start, POISON_ALIGN) || addr >= start + n)
		return n;

	thread->poison_addr = 0;
	if (sea_par(addr) != thread->poison_par)
		return n;
	return max(round_down(addr, POISON_ALIGN), start) - start;
}
EXPORT_SYMBOL_GPL(before_poison);

/**
 * sea_recover_kernel() - try to recover from an SEA taken in kernel mode
 * @far: the fault address, FAR_EL1
 * @esr: the syndrome, ESR_EL1
 * @regs: the registers at the abort
 *
 * Runs in the context the abort interrupted, with its interrupt mask; never
 * sleeps. @regs stay untouched until the abort is known to be recoverable,
 * so that a panic shows the aborting instruction.
 *
 * The firmware's word on severity is what APEI makes of the error record
 * (ACPI, "APEI", section "Generic Hardware Error Source version 2"); it panics
 * by itself when that says fatal.
 *
 * Return: true if @regs continue at the fixup, false if the abort is fatal.
 */
bool sea_recover_kernel(unsigned long far, unsigned long esr,
			struct pt_regs *regs)
{
	const struct exception_table_entry *ex;
	int err;

	if (ESR_ELx_EC(esr) != ESR_ELx_EC_DABT_CUR || !sea_is_contained(esr))
		return false;

	ex = search_sea_extable(instruction_pointer(regs), esr);
	if (!ex)
		return false;

	sea_note_poison(far, esr);

	/* -EINPROGRESS: claimed, handled as soon as interrupts are enabled */
	err = sea_inject_claim(regs);
	if (err && err != -EINPROGRESS)
		return false;

	fixup_sea(ex, regs, far, esr);
	sea_queue_sigbus(far, esr);
	return true;
}

/**
 * sea_init_thread() - a new task has met no poison, and has no SIGBUS queued
 * @p: the new task, a copy of its parent, which may have
 */
void sea_init_thread(struct task_struct *p)
{
	p->thread.sea_work.func = NULL;
	p->thread.poison_addr = 0;
}
