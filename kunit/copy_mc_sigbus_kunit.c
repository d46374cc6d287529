// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who gets a SIGBUS when a copy in the kernel consumes poison, and what it says.
 *
 * Each case has a process of its own, which copies and then looks at what is
 * pending on its way back to user mode.
 */

#include <kunit/test.h>
#include <linux/bottom_half.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/genalloc.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kallsyms.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/task_work.h>
#include <linux/uio.h>
#include <linux/uaccess.h>

#include <asm/traps.h>

#include "contract/contract.h"
#include "inject/sea_inject.h"
#include "rig/sea_rig.h"

#define LEN		64
#define MCEERR_ADDR	0x123000UL
#define FAULT_CODE	0x92000007UL

struct process;

struct scenario {
	const char *name;
	void (*act)(struct process *p);
	unsigned int aborts;
	unsigned int signals;
	enum { NO_ADDR, USER_ADDR, MCEERR } addr;
	bool no_mm;
	bool kthread;
	bool worker;			/* whose signals are none, if not by policy */
	const char *sysctl;		/* value of CONTRACT_SIGBUS_SYSCTL, unless NULL */
	unsigned long fault_code;	/* what the signal frame is to say */
	bool no_address;		/* in the record of a genuine error */
};

struct process {
	const struct scenario *s;
	struct sea_inject kernel, user;
	u8 buf[LEN];
	unsigned int fixed;
	bool queued;			/* task work */
	bool interrupted;		/* what a signal would end is to end */
	unsigned int signals;
	kernel_siginfo_t info;		/* the first signal's */
	unsigned long fault_code;	/* these two for the signal frame */
	unsigned long fault_address;
};

static void fail_copy(struct process *p, struct sea_inject *si)
{
	unsigned long left;

	si->poison[0] = (struct sea_poison){ 0, 1 };
	sea_inject_arm(si);
	if (si == &p->user)
		left = raw_copy_from_user(p->buf, (__force void __user *)si->trap, LEN);
	else
		left = copy_mc_to_kernel(p->buf, (void *)si->trap, LEN);
	sea_inject_disarm(si);

	p->fixed += left == LEN && si->fixed && !si->died;
	p->interrupted |= test_thread_flag(TIF_NOTIFY_SIGNAL);
}

/*
 * The scenarios say what there is to be told, and whose signal it is: our own, or
 * memory_failure()'s. What does the policy make of that?
 */
static bool is_ours(const struct scenario *s)
{
	return s->addr != MCEERR;
}

static unsigned int signals_of(const struct scenario *s)
{
	if (!is_ours(s))
		return s->signals;
	if (CONTRACT_SIGBUS == SIGBUS_NONE)
		return 0;
	return s->worker ? CONTRACT_SIGBUS_WORKERS : s->signals;
}

static bool has_address(const struct scenario *s)
{
	return s->addr == USER_ADDR && CONTRACT_SIGBUS == SIGBUS_BY_ADDRESS;
}

static int code_of(const struct scenario *s)
{
	return is_ours(s) && !has_address(s) ? BUS_OBJERR : BUS_MCEERR_AR;
}

/* Task work first, then the delivery of what is pending */
static void return_to_user(struct process *p)
{
	/* A task's own does not go away. */
	spinlock_t *lock = &rcu_dereference_raw(current->sighand)->siglock;
	sigset_t not_sigbus;
	kernel_siginfo_t info;
	enum pid_type type;

	task_work_run();
	p->interrupted |= test_thread_flag(TIF_NOTIFY_SIGNAL);

	siginitsetinv(&not_sigbus, sigmask(SIGBUS));
	spin_lock_irq(lock);
	while (dequeue_signal(&not_sigbus, p->signals ? &info : &p->info, &type))
		p->signals++;
	spin_unlock_irq(lock);

	p->fault_code = current->thread.fault_code;
	p->fault_address = current->thread.fault_address;
}

static void fail_kernel_copy(struct process *p)
{
	fail_copy(p, &p->kernel);
}

static void fail_user_copy(struct process *p)
{
	fail_copy(p, &p->user);
}

/*
 * Without an address the poison may be anywhere in what was to be copied, as far as a
 * loop knows that would try again.
 */
static void try_again_fnv(struct process *p)
{
	struct sea_inject *si = &p->user;
	struct iov_iter iter;
	size_t copied, left;

	iov_iter_ubuf(&iter, ITER_SOURCE, (__force void __user *)si->trap, LEN);
	si->fnv = true;
	si->poison[0] = (struct sea_poison){ 0, 1 };
	sea_inject_arm(si);
	copied = copy_from_iter(p->buf, LEN, &iter);
	/* Now the first byte is there, which is all that is asked for otherwise. */
	si->poison[0].len = 0;
	left = fault_in_iov_iter_readable(&iter, LEN);
	sea_inject_disarm(si);

	p->fixed += !copied && si->fixed == 1 + CONTRACT_USER_AGAIN && !si->died &&
		    left == (CONTRACT_ITER_RECOVERS ? LEN : 0);
}

static void fail_user_copy_fnv(struct process *p)
{
	p->user.fnv = true;
	fail_copy(p, &p->user);
}

/* FAR_EL1 has the tag of the pointer. */
static void fail_user_copy_tagged(struct process *p)
{
	p->user.far = p->user.trap | 0x5UL << 56;
	fail_copy(p, &p->user);
}

static void fail_copies(struct process *p)
{
	fail_copy(p, &p->kernel);
	fail_copy(p, &p->user);
	fail_copy(p, &p->kernel);
}

static void unclaimed_copy(struct process *p)
{
	p->kernel.claim = -ENOENT;
	fail_copy(p, &p->kernel);
}

/* What memory_failure() does for the process that consumed the error */
static void mceerr(struct callback_head *work)
{
	arm64_force_sig_mceerr(BUS_MCEERR_AR, MCEERR_ADDR, PAGE_SHIFT, "mceerr");
}

static struct callback_head mceerr_work = { .func = mceerr };

static void queue_mceerr(struct sea_inject *si)
{
	task_work_add(current, &mceerr_work, TWA_RESUME);
}

static void mceerr_queued_by_claim(struct process *p)
{
	p->kernel.on_claim = queue_mceerr;
	fail_copy(p, &p->kernel);
}

/* With interrupts disabled APEI's work comes later. */
static void mceerr_queued_after_claim(struct process *p)
{
	unsigned long flags;

	p->kernel.claim = -EINPROGRESS;
	local_irq_save(flags);
	fail_copy(p, &p->kernel);
	local_irq_restore(flags);
	queue_mceerr(&p->kernel);
}

/* The fault path does not wait for the return to user mode. */
static void mceerr_from_fault(struct process *p)
{
	fail_copy(p, &p->kernel);
	current->thread.fault_code = FAULT_CODE;
	mceerr(NULL);
}

static void fail_copy_with(struct process *p, unsigned int flags)
{
	current->flags |= flags;
	fail_copy(p, &p->kernel);
	current->flags &= ~flags;
}

/* An io_uring worker is one as well. */
static void fail_copy_as_worker(struct process *p)
{
	fail_copy_with(p, PF_USER_WORKER);
}

static void fail_copy_in_reclaim(struct process *p)
{
	fail_copy_with(p, PF_MEMALLOC);
}

/* Each system call has a SIGBUS of its own. */
static void fail_copy_twice(struct process *p)
{
	fail_copy(p, &p->kernel);
	return_to_user(p);
	fail_copy(p, &p->kernel);
}

/* What an earlier signal or fault said is not said again. */
static void fail_copy_after_others(struct process *p)
{
	fail_copy(p, &p->user);
	return_to_user(p);
	p->signals = 0;
	current->thread.fault_code = FAULT_CODE;
	current->thread.fault_address = MCEERR_ADDR;
	fail_copy(p, &p->kernel);
}

static const char * const sysctl_name = CONTRACT_SIGBUS_SYSCTL;

/* Write it, as there is no user space yet that could; 0 or -errno. */
static int set_sysctl(const char *val)
{
	char path[64];
	struct file_system_type *type = get_fs_type("proc");
	struct vfsmount *mnt;
	struct file *file;
	loff_t pos = 0;
	ssize_t n;

	if (!type)
		return -ENODEV;
	mnt = kern_mount(type);
	module_put(type->owner);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);

	snprintf(path, sizeof(path), "sys/kernel/%s", sysctl_name ?: "");
	file = file_open_root_mnt(mnt, path, O_WRONLY, 0);
	n = PTR_ERR_OR_ZERO(file);
	if (!n) {
		n = kernel_write(file, val, strlen(val), &pos);
		filp_close(file, NULL);
	}
	kern_unmount(mnt);
	return n < 0 ? n : 0;
}

struct irq_copy {
	struct irq_work work;
	struct process *p;
	struct task_struct *victim;
};

static void copy_in_irq(struct irq_work *work)
{
	struct irq_copy *c = container_of(work, struct irq_copy, work);

	if (current == c->victim && in_hardirq())
		fail_copy(c->p, &c->p->kernel);
}

static void fail_copy_in_irq(struct process *p)
{
	struct irq_copy c = { .work = IRQ_WORK_INIT_HARD(copy_in_irq), .p = p,
			      .victim = current };

	sea_interrupt(&c.work);
}

struct softirq_copy {
	struct tasklet_struct tasklet;
	struct process *p;
	struct task_struct *victim;
};

static void copy_in_softirq(struct tasklet_struct *t)
{
	struct softirq_copy *c = container_of(t, struct softirq_copy, tasklet);

	if (current == c->victim && in_serving_softirq() && !in_hardirq())
		fail_copy(c->p, &c->p->kernel);
}

static void fail_copy_in_softirq(struct process *p)
{
	struct softirq_copy c = { .p = p, .victim = current };

	tasklet_setup(&c.tasklet, copy_in_softirq);
	local_bh_disable();
	tasklet_schedule(&c.tasklet);
	local_bh_enable();
	tasklet_kill(&c.tasklet);
}

/*
 * APEI remembers errors that it has printed, and it does not print each. The page is
 * isolated by the second one as well, and so counted twice (HardwareCorrupted).
 */
static void fail_copy_alike(struct process *p)
{
	msleep(5100);
	fail_copy(p, &p->kernel);
	return_to_user(p);
	ClearPageHWPoison(virt_to_page((void *)p->kernel.trap));
	sea_rig_repeat();
	fail_copy(p, &p->kernel);
}

/*
 * Has anybody queued task work? The scheduler may have at any tick: task_mm_cid_work(),
 * task_numa_work().
 */
static bool task_work_queued(void)
{
	struct callback_head *work;
	char name[16];

	for (work = READ_ONCE(current->task_works); work; work = READ_ONCE(work->next)) {
		snprintf(name, sizeof(name), "%ps", work->func);
		if (strncmp(name, "task_", 5))
			return true;
	}
	return false;
}

static int child(void *data)
{
	struct process *p = data;

	p->s->act(p);
	p->queued = task_work_queued();
	return_to_user(p);
	/* Nothing may come after that. */
	return_to_user(p);

	if (!p->s->kthread)
		sea_hook_exit();
	return 0;
}

static int spawn(struct process *p)
{
	pid_t pid;

	/* As call_usermodehelper_exec_sync(): without it there is no waiting. */
	kernel_sigaction(SIGCHLD, SIG_DFL);
	pid = user_mode_thread(child, p, CLONE_VM | SIGCHLD);
	if (pid > 0)
		kernel_wait(pid, NULL);
	kernel_sigaction(SIGCHLD, SIG_IGN);

	return pid < 0 ? pid : 0;
}

static void fail_if_none_was_met(struct process *p)
{
	if (before_poison((void *)p->kernel.trap, LEN) == LEN)
		fail_kernel_copy(p);
}

static const struct scenario fork_child = { .act = fail_if_none_was_met, .signals = 1 };

/* A child has nothing to do with what its parent has pending, or has met. */
static void fork_with_sigbus_pending(struct process *p)
{
	struct process *c = kmemdup(p, sizeof(*p), GFP_KERNEL);

	if (!c)
		return;
	c->s = &fork_child;
	fail_copy(p, &p->kernel);
	if (!spawn(c))
		p->fixed += c->signals == signals_of(&fork_child);
	kfree(c);
}

static const struct scenario scenarios[] = {
	{ "kernel source", fail_kernel_copy, 1, 1, NO_ADDR },
	{ "user source", fail_user_copy, 1, 1, USER_ADDR },
	{ "user source, tagged", fail_user_copy_tagged, 1, 1, USER_ADDR },
	{ "user source, FnV", fail_user_copy_fnv, 1, 1, NO_ADDR },
	{ "iterator over it, FnV", try_again_fnv, 1, 1, NO_ADDR },
	{ "iterator over it, FnV, kernel thread", try_again_fnv, 1, 0, .kthread = true },
	{ "several copies", fail_copies, 3, 1, NO_ADDR },
	{ "two system calls", fail_copy_twice, 2, 2, NO_ADDR },
	{ "old address and fault code", fail_copy_after_others, 2, 1, NO_ADDR },
	{ "fork in between", fork_with_sigbus_pending, 2, 1, NO_ADDR },
	{ "memory_failure queued by claim", mceerr_queued_by_claim, 1, 1, MCEERR },
	{ "memory_failure queued later", mceerr_queued_after_claim,
	  CONTRACT_EINPROGRESS_RECOVERS, 1, MCEERR },
	{ "fault path", mceerr_from_fault, 1, 1, MCEERR, .fault_code = FAULT_CODE },
	{ "not claimed", unclaimed_copy, 0, 0 },
	{ "kernel thread with mm", fail_kernel_copy, 1, 0, .kthread = true },
	{ "no mm", fail_kernel_copy, 1, 0, .no_mm = true },
	{ "user worker", fail_copy_as_worker, 1, 0, .worker = true },
	{ "reclaim", fail_copy_in_reclaim, 1, 0 },
	{ "interrupt", fail_copy_in_irq, 1, 0 },
	{ "softirq", fail_copy_in_softirq, 1, 0 },
	{ "sea_sigbus=0, kernel source", fail_kernel_copy, 1, 0, .sysctl = "0" },
	{ "sea_sigbus=0, user source", fail_user_copy, 1, 0, .sysctl = "0" },
	{ "sea_sigbus=0, memory_failure", mceerr_queued_by_claim, 1, 1, MCEERR, .sysctl = "0" },
	{ "sea_sigbus=1", fail_user_copy, 1, 1, USER_ADDR, .sysctl = "1" },
};

KUNIT_ARRAY_PARAM_DESC(scenario, scenarios, name);

static void need_sysctl(struct kunit *test, const char *value)
{
	if (value && !sysctl_name)
		kunit_skip(test, "needs COPY_MC_CONTRACT_OURS: a sysctl");
}

static void sigbus(struct kunit *test)
{
	const struct scenario *s = test->param_value;
	struct process *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	unsigned long addr = 0;

	need_sysctl(test, s->sysctl);
	KUNIT_ASSERT_NOT_NULL(test, p);
	p->s = s;
	KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, &p->kernel, LEN), 0);
	if (!s->no_mm)
		KUNIT_ASSERT_EQ(test, sea_inject_user(test, &p->user, LEN), 0);
	p->kernel.fsc = ESR_ELx_FSC_EXTABT;
	p->user.fsc = ESR_ELx_FSC_EXTABT;

	if (s->sysctl)
		KUNIT_ASSERT_EQ(test, set_sysctl(s->sysctl), 0);

	if (s->kthread)
		child(p);
	else
		KUNIT_EXPECT_EQ(test, spawn(p), 0);

	if (s->sysctl)
		KUNIT_EXPECT_EQ(test, set_sysctl("1"), 0);
	KUNIT_EXPECT_EQ(test, p->fixed, s->aborts);
	KUNIT_EXPECT_FALSE(test, p->interrupted);
	KUNIT_EXPECT_EQ(test, p->signals, signals_of(s));
	/* A signal that does not come leaves it as it was. */
	if (signals_of(s) == s->signals) {
		KUNIT_EXPECT_EQ(test, p->fault_code, s->fault_code);
		if (is_ours(s))
			KUNIT_EXPECT_EQ(test, p->fault_address, 0);
	}
	if (!p->signals)
		return;

	KUNIT_EXPECT_EQ(test, p->info.si_signo, SIGBUS);
	KUNIT_EXPECT_EQ(test, p->info.si_code, code_of(s));
	if (has_address(s))
		addr = p->user.trap;
	else if (s->addr == MCEERR)
		addr = MCEERR_ADDR;
	KUNIT_EXPECT_EQ(test, (unsigned long)p->info.si_addr, addr);
	if (code_of(s) == BUS_MCEERR_AR)
		KUNIT_EXPECT_EQ(test, p->info.si_addr_lsb, PAGE_SHIFT);
}

/*
 * Genuine errors. What APEI queues as task work runs, and gives its memory back, only
 * where there is a return to user mode; a worker does it for all others.
 */
static const struct scenario genuines[] = {
	{ "process", fail_kernel_copy, 1, 1 },
	{ "process, alike", fail_copy_alike, 2, 2 },
	{ "kernel thread", fail_kernel_copy, 1, 0, .kthread = true, .no_mm = true },
	{ "kernel thread with mm", fail_kernel_copy, 1, 0, .kthread = true },
	{ "no mm", fail_kernel_copy, 1, 0, .no_mm = true },
	{ "user worker", fail_copy_as_worker, 1, 0, .worker = true },
	{ "reclaim", fail_copy_in_reclaim, 1, 0 },
	{ "interrupt", fail_copy_in_irq, CONTRACT_EINPROGRESS_RECOVERS, 0 },
	{ "softirq", fail_copy_in_softirq, 1, 0 },
	{ "no address, process", fail_kernel_copy, 1, 1, .no_address = true },
	{ "no address, kernel thread", fail_kernel_copy, 1, 0, .kthread = true, .no_mm = true,
	  .no_address = true },
	{ "no address, kernel thread with mm", fail_kernel_copy, 1, 0, .kthread = true,
	  .no_address = true },
	{ "no address, no mm", fail_kernel_copy, 1, 0, .no_mm = true, .no_address = true },
	{ "no address, user worker", fail_copy_as_worker, 1, 0, .worker = true,
	  .no_address = true },
	{ "no address, interrupt", fail_copy_in_irq, CONTRACT_EINPROGRESS_RECOVERS, 0,
	  .no_address = true },
	{ "no address, softirq", fail_copy_in_softirq, 1, 0, .no_address = true },
};

KUNIT_ARRAY_PARAM_DESC(genuine, genuines, name);

static void free_poisoned(void *page)
{
	sea_rig_repair();
	__free_page(page);
}

/* A process that has a page with a genuine error, for @s; or the case is skipped. */
static struct process *genuine_process(struct kunit *test, const struct scenario *s,
				       struct page **page)
{
	struct process *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	if (sea_rig_missing())
		kunit_skip(test, "%s", sea_rig_missing());
	if (!sea_rig_reports())
		kunit_skip(test, "needs ACPI");
	KUNIT_ASSERT_NOT_NULL(test, p);
	p->s = s;
	if (!s->no_mm)
		KUNIT_ASSERT_EQ(test, sea_inject_user(test, &p->user, LEN), 0);
	*page = alloc_page(GFP_HIGHUSER_MOVABLE | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, *page);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_poisoned, *page), 0);
	p->kernel = (struct sea_inject){
		.trap = (unsigned long)page_address(*page),
		.genuine = true, .real_claim = true, .revive = sea_rig_repair,
	};
	KUNIT_ASSERT_EQ(test, sea_rig_set(page_to_phys(*page), PAGE_SIZE, SEA_RIG_POISON |
					  (s->no_address ? SEA_RIG_NO_ADDRESS : 0)), 0);
	return p;
}

static void genuine(struct kunit *test)
{
	const struct scenario *s = test->param_value;
	struct page *page;
	struct process *p = genuine_process(test, s, &page);
	int i;

	if (s->kthread)
		child(p);
	else
		KUNIT_EXPECT_EQ(test, spawn(p), 0);

	KUNIT_EXPECT_EQ(test, p->fixed, s->aborts);
	/* GHES may send one itself, to whom it queues task work, if memory_failure() fails. */
	if (CONTRACT_SIGBUS == SIGBUS_NONE)
		KUNIT_EXPECT_LE(test, p->signals, s->signals);
	else
		KUNIT_EXPECT_EQ(test, p->signals, signals_of(s));
	if (!s->signals || CONTRACT_SIGBUS != SIGBUS_NONE)
		KUNIT_EXPECT_EQ(test, p->queued, !!signals_of(s));
	for (i = 0; i < 100 && !s->no_address && !PageHWPoison(page); i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, PageHWPoison(page), !s->no_address);
	if (p->signals)
		KUNIT_EXPECT_EQ(test, p->info.si_signo, SIGBUS);
}

#define ERRORS		2000
#define WORKERS_FIFO	16		/* errors that memory_failure_queue() holds */

/* What APEI remembers to have printed comes from there, too: a handful of records. */
#define REMEMBERED	4096

/*
 * What APEI queues is in memory of its own, of which there is little. Nobody gives it
 * back for a kernel thread, which has no return to user mode, if it is task work.
 */
static void apei_memory(struct kunit *test)
{
	static const struct scenario thread = { .kthread = true };
	struct gen_pool **pool = (void *)kallsyms_lookup_name("ghes_estatus_pool");
	struct page *page;
	struct process *p = genuine_process(test, &thread, &page);
	size_t before;
	int i;

	if (!pool)
		kunit_skip(test, "needs KALLSYMS_ALL");

	before = gen_pool_avail(*pool);
	for (i = 0; i < ERRORS; i += 2) {
		fail_kernel_copy(p);
		/* Who dies has the page repaired. */
		if (CONTRACT_EINPROGRESS_RECOVERS)
			fail_copy_in_irq(p);
		else
			fail_kernel_copy(p);
		if (!(i % WORKERS_FIFO))
			fsleep(5000);
	}
	KUNIT_EXPECT_EQ(test, p->fixed, ERRORS);
	KUNIT_EXPECT_FALSE(test, task_work_queued());
	KUNIT_EXPECT_GT(test, gen_pool_avail(*pool) + REMEMBERED, before);
}

static void sysctl_values(struct kunit *test)
{
	need_sysctl(test, "2");
	KUNIT_EXPECT_EQ(test, set_sysctl("2"), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_sysctl("-1"), -EINVAL);
}

static struct kunit_case sigbus_cases[] = {
	KUNIT_CASE_PARAM(sigbus, scenario_gen_params),
	KUNIT_CASE(sysctl_values),
	KUNIT_CASE_PARAM(genuine, genuine_gen_params),
	KUNIT_CASE_SLOW(apei_memory),
	{}
};

static struct kunit_suite sigbus_suite = {
	.name = "copy_mc_sigbus",
	.test_cases = sigbus_cases,
};

kunit_test_suite(sigbus_suite);
