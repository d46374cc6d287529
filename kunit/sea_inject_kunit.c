// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulator itself: each form of load and store does in trapping memory what it does
 * in memory that is mapped, and what the simulator does not know costs the case alone.
 */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpufeature.h>
#include <linux/kthread.h>
#include <linux/sched/task.h>
#include <linux/string.h>

#include "inject/sea_inject.h"

#define SIZE	256
#define AT	128		/* where the base register points to */

/* What an instruction has in x9, x10 and x11 before it, and leaves there */
struct registers {
	unsigned long base;
	unsigned long one;
	unsigned long two;
};

#define FORM(_name, _insn)						\
static void _name(struct registers *r)					\
{									\
	register unsigned long base asm("x9") = r->base;		\
	register unsigned long one asm("x10") = r->one;			\
	register unsigned long two asm("x11") = r->two;			\
									\
	asm volatile(_insn : "+r" (base), "+r" (one), "+r" (two) : : "memory");	\
	r->base = base;							\
	r->one = one;							\
	r->two = two;							\
}

FORM(ldr, "ldr x10, [x9]")
FORM(ldr_w, "ldr w10, [x9, #4]")
FORM(ldr_pre, "ldr x10, [x9, #-8]!")
FORM(ldr_post, "ldr x10, [x9], #16")
FORM(ldr_index, "ldr x10, [x9, x11]")
FORM(ldr_index_lsl, "ldr x10, [x9, x11, lsl #3]")
FORM(ldr_index_uxtw, "ldr w10, [x9, w11, uxtw #2]")
FORM(ldr_index_sxtw, "mvn w11, w11\n ldrh w10, [x9, w11, sxtw]")
FORM(ldur, "ldur x10, [x9, #-3]")
FORM(ldrb, "ldrb w10, [x9, #1]")
FORM(ldrh, "ldrh w10, [x9, #2]")
FORM(ldrsb, "ldrsb x10, [x9, #1]")
FORM(ldrsb_w, "ldrsb w10, [x9, #3]")
FORM(ldrsh, "ldrsh x10, [x9], #2")
FORM(ldrsh_w, "ldrsh w10, [x9, #-2]!")
FORM(ldrsw, "ldrsw x10, [x9, x11, lsl #2]")
FORM(ldursw, "ldursw x10, [x9, #-7]")
FORM(ldp, "ldp x10, x11, [x9, #16]")
FORM(ldp_w, "ldp w10, w11, [x9], #8")
FORM(ldp_pre, "ldp x10, x11, [x9, #-16]!")
FORM(ldnp, "ldnp x10, x11, [x9, #-32]")
FORM(ldpsw, "ldpsw x10, x11, [x9, #-12]")
FORM(ldxr, "ldxr x10, [x9]\n clrex")
FORM(ldaxrb, "ldaxrb w10, [x9]\n clrex")
FORM(ldxp, "ldxp x10, x11, [x9]\n clrex")
FORM(ldaxp_w, "ldaxp w10, w11, [x9]\n clrex")
FORM(ldar, "ldar x10, [x9]")
FORM(ldarh, "ldarh w10, [x9]")
FORM(str, "str x10, [x9]")
FORM(str_zero, "str wzr, [x9, #4]")
FORM(str_index, "str x10, [x9, x11]")
FORM(strb_post, "strb w10, [x9], #1")
FORM(stp, "stp x10, x11, [x9, #-16]!")
FORM(stnp_w, "stnp w10, w11, [x9, #8]")
FORM(stlr, "stlr x10, [x9]")
FORM(stlrb, "stlrb w10, [x9]")

struct form {
	const char *name;
	void (*access)(struct registers *r);
};

#define TRY(_name)	{ #_name, _name }

static const struct form forms[] = {
	TRY(ldr), TRY(ldr_w), TRY(ldr_pre), TRY(ldr_post), TRY(ldr_index),
	TRY(ldr_index_lsl), TRY(ldr_index_uxtw), TRY(ldr_index_sxtw), TRY(ldur), TRY(ldrb),
	TRY(ldrh), TRY(ldrsb), TRY(ldrsb_w), TRY(ldrsh), TRY(ldrsh_w), TRY(ldrsw), TRY(ldursw),
	TRY(ldp), TRY(ldp_w), TRY(ldp_pre), TRY(ldnp), TRY(ldpsw), TRY(ldxr), TRY(ldaxrb),
	TRY(ldxp), TRY(ldaxp_w), TRY(ldar), TRY(ldarh), TRY(str), TRY(str_zero), TRY(str_index),
	TRY(strb_post), TRY(stp), TRY(stnp_w), TRY(stlr), TRY(stlrb),
};

KUNIT_ARRAY_PARAM_DESC(form, forms, name);

/* Each byte differs from those near it, and each other one has its sign set. */
static void fill(u8 *mem)
{
	int i;

	for (i = 0; i < SIZE; i++)
		mem[i] = (i * 7 + 3) ^ (i & 1 ? 0x80 : 0);
}

static struct registers do_access(const struct form *f, unsigned long base)
{
	struct registers r = { .base = base, .one = 0x8899aabbccddeeff, .two = 5 };

	f->access(&r);
	r.base -= base;
	return r;
}

static void simulated(struct kunit *test)
{
	const struct form *f = test->param_value;
	struct registers want, have;
	struct sea_inject *si;
	u8 *mem;

	mem = kunit_kzalloc(test, SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	si = kunit_kzalloc(test, sizeof(*si), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, si);
	KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, si, SIZE), 0);
	fill(mem);
	fill(si->alias);

	want = do_access(f, (unsigned long)mem + AT);
	sea_inject_arm(si);
	have = do_access(f, si->trap + AT);
	sea_inject_disarm(si);

	KUNIT_EXPECT_EQ(test, si->accesses, 1);
	KUNIT_EXPECT_EQ(test, have.base, want.base);
	KUNIT_EXPECT_EQ(test, have.one, want.one);
	KUNIT_EXPECT_EQ(test, have.two, want.two);
	KUNIT_EXPECT_MEMEQ(test, si->alias, mem, SIZE);
}

FORM(ldr_d, ".arch_extension fp\n ldr d0, [x9]")
FORM(ldadd, ".arch_extension lse\n ldadd x10, x11, [x9]")

static const struct form unknown[] = { TRY(ldr_d), TRY(ldadd) };

KUNIT_ARRAY_PARAM_DESC(unknown, unknown, name);

/* The case, not the machine, is what an access costs that nobody can make good. */
static void refused(struct kunit *test)
{
	const struct form *f = test->param_value;
	struct sea_inject *si = kunit_kzalloc(test, sizeof(*si), GFP_KERNEL);
	struct registers r;

	if (f->access == ldadd && !cpus_have_final_cap(ARM64_HAS_LSE_ATOMICS))
		kunit_skip(test, "needs LSE");
	KUNIT_ASSERT_NOT_NULL(test, si);
	KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, si, SIZE), 0);

	si->may_refuse = true;
	sea_inject_arm(si);
	r = do_access(f, si->trap + AT);
	sea_inject_disarm(si);

	KUNIT_EXPECT_NE(test, si->refused, 0);
	KUNIT_EXPECT_EQ(test, si->accesses, 0);
	KUNIT_EXPECT_EQ(test, r.base, 0);
	KUNIT_EXPECT_EQ(test, r.two, 5);
}

struct dying {
	struct sea_inject *si;
	struct completion armed;
};

static int arm_and_die(void *data)
{
	struct dying *d = data;

	sea_inject_arm(d->si);
	complete(&d->armed);
	return 0;
}

/* A task that an oops ends disarms nothing. Who comes after it has room, and its own aborts. */
static void left_armed(struct kunit *test)
{
	struct sea_inject *si = kunit_kzalloc(test, sizeof(*si), GFP_KERNEL);
	struct dying d = { .si = si };
	struct registers r = {};
	int i;

	KUNIT_ASSERT_NOT_NULL(test, si);
	KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, si, SIZE), 0);
	for (i = 0; i < 20; i++) {
		struct task_struct *task = kthread_create(arm_and_die, &d, "arm_and_die");

		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
		get_task_struct(task);
		init_completion(&d.armed);
		wake_up_process(task);
		/* Who is stopped before it runs does not run at all. */
		wait_for_completion(&d.armed);
		kthread_stop_put(task);
	}

	sea_inject_arm(si);
	r.base = si->trap;
	ldr(&r);
	sea_inject_disarm(si);
	KUNIT_EXPECT_EQ(test, si->accesses, 1);
}

static struct kunit_case sea_inject_cases[] = {
	KUNIT_CASE_PARAM(simulated, form_gen_params),
	KUNIT_CASE_PARAM(refused, unknown_gen_params),
	KUNIT_CASE(left_armed),
	{}
};

static struct kunit_suite sea_inject_suite = {
	.name = "sea_inject",
	.test_cases = sea_inject_cases,
};

kunit_test_suite(sea_inject_suite);
