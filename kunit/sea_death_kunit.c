// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deaths that the other suites only simulate: a kernel thread oopses, and the machine
 * lives on. With copy_mc_test.sea_deaths=1 on the kernel's command line only, as each
 * leaves an oops in the log and a taint.
 */

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/kallsyms.h>
#include <linux/kdebug.h>
#include <linux/kmsg_dump.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/mmu_context.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "contract/contract.h"
#include "inject/sea_inject.h"
#include "rig/sea_rig.h"

#define LEN		64
#define TIMEOUT		(10 * HZ)

static bool sea_deaths;
module_param(sea_deaths, bool, 0444);

struct dying;

struct death {
	const char *name;
	void (*act)(struct dying *d);
	const void *code;		/* the function that dies */
	const char *also;		/* or this one, to which it branches */
	const char *what;		/* it dies of, to the die notifiers */
	const char *log[2];		/* what the kernel log says */
	bool user;			/* it needs an address space */
	bool genuine;			/* it needs the rig */
};

/* What a thread needs in order to die, and what the die notifier saw of it */
struct dying {
	const struct death *death;
	struct task_struct *task;
	struct sea_inject si;
	struct mm_struct *mm;
	unsigned long user;
	u8 from[LEN];
	u8 to[LEN];

	struct notifier_block nb;
	unsigned int oopses;
	int cpu;
	const char *what;
	unsigned long pc;
	unsigned long esr;
};

/* The store may fault as well: that is what the address space is for. */
static void copy_null_to_user(struct dying *d)
{
	unsigned long left;

	kthread_use_mm(d->mm);
	/* Not copy_to_user(), since hardened usercopy dies of a null pointer first */
	left = raw_copy_to_user((__force void __user *)d->user, NULL, LEN);
	pr_err("alive, with %lu bytes left\n", left);
}

static void copy_unclaimed(struct dying *d)
{
	sea_inject_arm(&d->si);
	if (copy_mc_to_kernel(d->to, (void *)d->si.trap, LEN))
		pr_err("alive, after a copy that failed\n");
	sea_inject_disarm(&d->si);
}

static void copy_without_entry(struct dying *d)
{
	size_t n = LEN;

	OPTIMIZER_HIDE_VAR(n);		/* the routine, not loads of the compiler's */
	sea_inject_arm(&d->si);
	memcpy(d->to, (void *)d->si.trap, n);
	sea_inject_disarm(&d->si);
}

static const char sea[] = "synchronous external abort";

static const struct death list[] = {
	{ "copy_to_user from NULL", copy_null_to_user, __arch_copy_to_user, NULL, "Oops", {
		"Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
		"Internal error: Oops: ",
	}, .user = true },
	{ "copy_mc_to_kernel, not claimed", copy_unclaimed, memcpy_mc, NULL, sea,
	  { "Internal error: synchronous external abort: " } },
	{ "memcpy", copy_without_entry, memcpy, "__pi_memcpy_generic", sea,
	  { "Internal error: synchronous external abort: " } },
	{ "copy_mc_to_kernel, genuine, not claimed", copy_unclaimed, memcpy_mc, NULL, sea,
	  { "Internal error: synchronous external abort: " }, .genuine = true },
	{ "memcpy, genuine", copy_without_entry, memcpy, "__pi_memcpy_generic", sea,
	  { "Internal error: synchronous external abort: " }, .genuine = true },
};

KUNIT_ARRAY_PARAM_DESC(death, list, name);

static int on_die(struct notifier_block *nb, unsigned long event, void *data)
{
	struct dying *d = container_of(nb, struct dying, nb);
	struct die_args *args = data;

	if (event == DIE_OOPS && current == d->task) {
		d->oopses++;
		d->cpu = raw_smp_processor_id();
		d->what = args->str;
		d->pc = instruction_pointer(args->regs);
		d->esr = args->err;
	}
	return NOTIFY_DONE;
}

static int thread(void *data)
{
	struct dying *d = data;

	d->death->act(d);
	return 0;
}

/* Does the thread end? */
static bool let_die(struct dying *d)
{
	unsigned long end = jiffies + TIMEOUT;
	int old = panic_on_oops;

	panic_on_oops = 0;
	wake_up_process(d->task);
	while (!READ_ONCE(d->task->exit_state) && time_before(jiffies, end))
		msleep(20);
	panic_on_oops = old;

	return READ_ONCE(d->task->exit_state);
}

/* How often the log says so, from where @iter is */
static unsigned int count_in_log(struct kmsg_dump_iter iter, const char *text)
{
	unsigned int n = 0;
	char line[256];

	while (kmsg_dump_get_line(&iter, false, line, sizeof(line), NULL))
		n += !!strstr(line, text);
	return n;
}

static void skip_log(struct kmsg_dump_iter *iter)
{
	kmsg_dump_rewind(iter);
	while (kmsg_dump_get_line(iter, false, NULL, 0, NULL))
		;
}

static bool is_load_of(const struct death *death, unsigned long pc)
{
	struct sea_access a = { .kind = SEA_STORE };
	unsigned long size, offset;

	if (!kallsyms_lookup_size_offset(pc, &size, &offset))
		return false;
	if (pc - offset != (unsigned long)death->code &&
	    (!death->also || pc - offset != kallsyms_lookup_name(death->also)))
		return false;

	return sea_decode(*(u32 *)pc, &a) && a.kind != SEA_STORE;
}

/* On the CPU of the death: the scheduler runs there, copies work, and so does recovery. */
static long lives_on(void *data)
{
	struct dying *d = data;
	unsigned long left;

	if (preempt_count() || irqs_disabled())
		return -EBUSY;
	if (copy_mc_to_kernel(d->to, d->from, LEN) || memcmp(d->to, d->from, LEN))
		return -EIO;

	d->si.claim = 0;
	d->si.really_die = false;
	sea_inject_arm(&d->si);
	left = copy_mc_to_kernel(d->to, (void *)d->si.trap, LEN);
	sea_inject_disarm(&d->si);
	return left == LEN && d->si.fixed == 1 && !d->si.died ? 0 : -EFAULT;
}

static void free_dying(void *d)
{
	free_page((unsigned long)d);
}

static void free_dead(void *page)
{
	sea_rig_repair();
	__free_page(page);
}

/* A page that is dead, for those who load from where the simulator traps */
static void init_dead(struct kunit *test, struct dying *d)
{
	struct page *page = alloc_page(GFP_HIGHUSER_MOVABLE);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_dead, page), 0);
	KUNIT_ASSERT_EQ(test, sea_rig_set(page_to_phys(page), PAGE_SIZE, SEA_RIG_DEAD), 0);
	d->si.trap = (unsigned long)page_address(page);
	d->si.genuine = true;
}

static void death(struct kunit *test)
{
	const struct death *row = test->param_value;
	struct dying *d;
	struct kmsg_dump_iter iter;
	int i, users;
	bool died;

	if (!sea_deaths)
		kunit_skip(test, "needs DEATHS");
	if (row->genuine && sea_rig_missing())
		kunit_skip(test, "%s", sea_rig_missing());

	/* A thread that lives on keeps it. */
	BUILD_BUG_ON(sizeof(*d) > PAGE_SIZE);
	d = (struct dying *)get_zeroed_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, d);
	d->death = row;
	memset(d->from, 0x5a, LEN);
	KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, &d->si, LEN), 0);
	if (row->genuine)
		init_dead(test, d);
	d->si.fsc = ESR_ELx_FSC_EXTABT;
	d->si.poison[0].len = LEN;
	d->si.claim = -ENOENT;
	d->si.really_die = true;
	d->user = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, d->user, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(d->user));

	d->task = kthread_create(thread, d, "sea_death");
	KUNIT_ASSERT_FALSE(test, IS_ERR(d->task));
	get_task_struct(d->task);

	/* Its exit puts a reference of users, and leaks the one of kthread_use_mm(). */
	users = atomic_read(&current->mm->mm_users);
	if (d->death->user) {
		d->mm = current->mm;
		mmget(d->mm);
	}

	d->nb.notifier_call = on_die;
	register_die_notifier(&d->nb);
	skip_log(&iter);
	died = let_die(d);
	unregister_die_notifier(&d->nb);
	KUNIT_ASSERT_TRUE_MSG(test, died, "the thread hangs, after %u oopses", d->oopses);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_dying, d), 0);

	/* The thread is gone, and nothing is left of it. */
	KUNIT_EXPECT_EQ(test, d->task->exit_code, SIGSEGV);
	KUNIT_EXPECT_EQ(test, atomic_read(&current->mm->mm_users), users);
	if (d->death->user)
		mmdrop(d->mm);
	put_task_struct(d->task);

	/* So says its oops. */
	KUNIT_ASSERT_EQ(test, d->oopses, 1);
	KUNIT_EXPECT_STREQ(test, d->what, d->death->what);
	KUNIT_EXPECT_TRUE_MSG(test, is_load_of(d->death, d->pc),
			      "died at %pS, which is no load of %ps", (void *)d->pc,
			      d->death->code);
	if (d->death->what == sea) {
		KUNIT_EXPECT_EQ(test, d->pc, d->si.before.pc);
		KUNIT_EXPECT_EQ(test, d->esr, d->si.esr);
	}
	KUNIT_EXPECT_EQ(test, count_in_log(iter, "Internal error: "), 1);
	for (i = 0; i < ARRAY_SIZE(d->death->log) && d->death->log[i]; i++)
		KUNIT_EXPECT_EQ_MSG(test, count_in_log(iter, d->death->log[i]), 1, "%s",
				    d->death->log[i]);

	KUNIT_EXPECT_EQ(test, work_on_cpu(d->cpu, lives_on, d), 0);
}

static struct kunit_case death_cases[] = {
	KUNIT_CASE_PARAM(death, death_gen_params),
	{}
};

static struct kunit_suite death_suite = {
	.name = "sea_death",
	.test_cases = death_cases,
};

kunit_test_suite(death_suite);
