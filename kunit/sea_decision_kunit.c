// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel makes of a fault in kernel mode, for every type of exception
 * table entry: the decision table, held against the real fault path.
 */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/vmalloc.h>

#include "contract/contract.h"
#include "inject/sea_decision_stubs.h"
#include "inject/sea_inject.h"

#define ESR_FETCH	((ESR_ELx_EC_DABT_CUR ^ ESR_ELx_EC_IABT_CUR) << ESR_ELx_EC_SHIFT)

struct event {
	const char *name;
	unsigned int fsc;
	unsigned long flip;
	int claim;
};

/* The columns of the table, SEAs first */
static const struct event events[] = {
	{ "SEA, claimed", ESR_ELx_FSC_EXTABT, 0, 0 },
	{ "SEA, -EINPROGRESS", ESR_ELx_FSC_EXTABT, 0, -EINPROGRESS },
	{ "SEA, -ENOENT", ESR_ELx_FSC_EXTABT, 0, -ENOENT },
	{ "SEA on a store", ESR_ELx_FSC_EXTABT, ESR_ELx_WNR, 0 },
	{ "SEA on a fetch", ESR_ELx_FSC_EXTABT, ESR_FETCH, 0 },
	{ "parity or ECC error", ESR_ELx_FSC_SECC, 0, 0 },
	{ "SEA, restartable", ESR_ELx_FSC_EXTABT, 3UL << ESR_ELx_SET_SHIFT, 0 },
	{ "SEA, uncontainable", ESR_ELx_FSC_EXTABT, 2UL << ESR_ELx_SET_SHIFT, 0 },
	{ "SEA, uncontainable, -EINPROGRESS", ESR_ELx_FSC_EXTABT, 2UL << ESR_ELx_SET_SHIFT,
	  -EINPROGRESS },
	{ "SEA, uncontainable, -ENOENT", ESR_ELx_FSC_EXTABT, 2UL << ESR_ELx_SET_SHIFT, -ENOENT },
	{ "SEA on a store, uncontainable", ESR_ELx_FSC_EXTABT,
	  ESR_ELx_WNR | 2UL << ESR_ELx_SET_SHIFT, 0 },
	{ "SEA, SET reserved", ESR_ELx_FSC_EXTABT, 1UL << ESR_ELx_SET_SHIFT, 0 },
	{ "SEA on a table walk", ESR_ELx_FSC_SEA_TTW(2), 0, 0 },
	{ "ECC error on a table walk", ESR_ELx_FSC_SECC_TTW(2), 0, 0 },
	{ "translation fault", ESR_ELx_FSC_FAULT + 3, 0, -ENOENT },
	{ "permission fault", ESR_ELx_FSC_PERM + 3, 0, -ENOENT },
	{ "tag check fault", ESR_ELx_FSC_MTE, 0, -ENOENT },
};

enum { ON_LOAD = 0, ON_STORE = 3 };

/* The fault status codes that do_sea() serves; who recovers, does so from these: */
static const struct sea_code {
	unsigned int fsc;
	bool recovers;
} sea_codes[] = {
	{ ESR_ELx_FSC_EXTABT, true },
	{ ESR_ELx_FSC_SEA_TTW(-1) },
	{ ESR_ELx_FSC_SEA_TTW(0) },
	{ ESR_ELx_FSC_SEA_TTW(1) },
	{ ESR_ELx_FSC_SEA_TTW(2) },
	{ ESR_ELx_FSC_SEA_TTW(3) },
	{ ESR_ELx_FSC_SECC, true },
	{ ESR_ELx_FSC_SECC_TTW(-1) },
	{ ESR_ELx_FSC_SECC_TTW(0) },
	{ ESR_ELx_FSC_SECC_TTW(1) },
	{ ESR_ELx_FSC_SECC_TTW(2) },
	{ ESR_ELx_FSC_SECC_TTW(3) },
};

/*
 * f: continues at the fixup
 * D: dies
 * r: runs the instruction again (a tag check fault turns the checks off)
 * And for a permission fault at a user address:
 * O: dies because the instruction must not access user memory
 * By policy, see decided():
 * n: f or D, as a nofault access to kernel memory
 * c: f or D, as a store of CPY* to kernel memory
 * s: O or D, as a stray user pointer
 */
struct entry {
	const char *name;
	u64 (*stub)(const void *addr);
	const char *load, *fixup;
	const char *outcome;
	char user_outcome;
};

#define ENTRY(name, outcome...)							\
	{ #name, sea_stub_##name, sea_stub_##name##_load,			\
	  sea_stub_##name##_fixup, outcome }

static const struct entry entries[] = {
	ENTRY(none, "DDDDDDDDDDDDDDDDr", 'O'),
	ENTRY(uaccess, "ffDfDffDDDDDDDfff", 'f'),
	ENTRY(kaccess, "nnDnDnnDDDDDDDfff", 'f'),
	ENTRY(zeropad, "DDDDDDDDDDDDDDfff", 'f'),
	ENTRY(bpf, "DDDDDDDDDDDDDDDDr", 'D'),			/* without a JIT */
	ENTRY(kload, "ffDcDffDDDDDDDDDr", 's'),
#ifdef CONTRACT_KLOAD_FAR_DATA
	ENTRY(kload_far, "ffDcDffDDDDDDDDDr", 's'),
#endif
#ifdef EX_TYPE_UACCESS_CPY
	ENTRY(cpy_from, "ffDcDffDDDDDDDfff", 'f'),		/* loads user memory */
	ENTRY(cpy_to, "ffDfDffDDDDDDDDDr", 'O'),		/* loads kernel memory */
#endif
};

/* What a letter of the table stands for, with APEI's answer or 0 */
static char decided(char letter, int claim)
{
	if (letter == 'n')
		letter = CONTRACT_NOFAULT_RECOVERS ? 'f' : 'D';
	else if (letter == 'c')
		letter = CONTRACT_CPY_STORE_RECOVERS ? 'f' : 'D';
	else if (letter == 's')
		letter = CONTRACT_STRAY_OUTSIDE ? 'O' : 'D';
	if (letter == 'f' && claim == -EINPROGRESS)
		letter = CONTRACT_EINPROGRESS_RECOVERS ? 'f' : 'D';
	return letter;
}

KUNIT_DEFINE_ACTION_WRAPPER(free_data, vfree, const void *);

struct decision {
	char name[KUNIT_PARAM_DESC_SIZE];
	const struct entry *entry;
	const struct event *event;
	char outcome;
};

static struct decision decisions[ARRAY_SIZE(entries) * ARRAY_SIZE(events)];

KUNIT_ARRAY_PARAM_DESC(decision, decisions, name);
KUNIT_ARRAY_PARAM_DESC(entry, entries, name);

/* Fills the table, and says for ./tools/run --report what it has for each type of entry. */
static int decision_suite_init(struct kunit_suite *suite)
{
	char letters[ARRAY_SIZE(events) + 1] = "";
	struct decision *d = decisions;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		if (strlen(entries[i].outcome) != ARRAY_SIZE(events))
			return -EINVAL;		/* a letter too few or too many */
		for (j = 0; j < ARRAY_SIZE(events); j++, d++) {
			d->entry = &entries[i];
			d->event = &events[j];
			d->outcome = decided(entries[i].outcome[j], events[j].claim);
			letters[j] = d->outcome;
			snprintf(d->name, sizeof(d->name), "%s: %s",
				 entries[i].name, events[j].name);
		}
		kunit_info(suite, "%s %s %c\n", entries[i].name, letters,
			   decided(entries[i].user_outcome, 0));
	}
	return 0;
}

/* The record says the same as the table: outcome, pc, registers, claims. */
static void expect_outcome(struct kunit *test, const struct sea_inject *si,
			   const struct entry *e, char outcome)
{
	struct pt_regs expected = si->before;

	if (outcome == 'f') {
		expected.pc = (unsigned long)e->fixup;
		if (e->stub == sea_stub_uaccess || e->stub == sea_stub_kaccess) {
			expected.regs[1] = -EFAULT;
			expected.regs[2] = 0;
		} else if (e->stub == sea_stub_zeropad) {
			expected.regs[2] = 0x5a5a5a5a;
		} else if (e->stub == sea_stub_kload && CONTRACT_KLOAD_ERR) {
			expected.regs[1] = -EFAULT;
#ifdef CONTRACT_KLOAD_FAR_DATA
		} else if (e->stub == sea_stub_kload_far) {
			expected.regs[2] = si->esr & ESR_ELx_FnV ? 0 : si->fault;
#endif
		}
	}

	KUNIT_EXPECT_EQ(test, si->matches, 1);
	KUNIT_EXPECT_EQ(test, si->fixed, outcome == 'f');
	KUNIT_EXPECT_EQ(test, si->died > 0, outcome == 'D');
	KUNIT_EXPECT_EQ(test, si->retried, outcome == 'r');
	KUNIT_EXPECT_EQ(test, si->before.pc, (unsigned long)e->load);
	KUNIT_EXPECT_MEMEQ(test, &si->after, &expected, sizeof(expected));
}

/*
 * Run a stub whose load straddles the end of a vmalloc() area and the hole behind it,
 * since the zeropad handler reads what is before the hole.
 */
static u64 run_stub(struct kunit *test, struct sea_inject *si,
		    const struct entry *e)
{
	u8 *data;
	u64 ret;

	data = vmalloc(PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, data);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, free_data, data), 0);
	memset(data, 0x5a, PAGE_SIZE);

	si->pc = (unsigned long)e->load;
	si->trap = __untagged_addr((unsigned long)data) + PAGE_SIZE;
	si->size = PAGE_SIZE;
	si->alias = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, si->alias);
	memset(si->alias, 0xa5, PAGE_SIZE);

	sea_inject_arm(si);
	ret = e->stub(data + PAGE_SIZE - 4);
	sea_inject_disarm(si);

	return ret;
}

/*
 * KASAN_HW_TAGS reports a tag check fault that is not fixed up, even if it is off: ask
 * what the fault path asks before.
 */
static void expect_no_fixup(struct kunit *test, const struct entry *e, unsigned int fsc)
{
	struct pt_regs regs = { .pc = (unsigned long)e->load };
	const struct pt_regs before = regs;
#ifdef EX_TYPE_UACCESS_CPY
	unsigned long esr = ESR_ELx_EC_DABT_CUR << ESR_ELx_EC_SHIFT | fsc;

	KUNIT_EXPECT_FALSE(test, fixup_exception(&regs, esr));
#else
	KUNIT_EXPECT_FALSE(test, fixup_exception(&regs));
#endif
	KUNIT_EXPECT_MEMEQ(test, &regs, &before, sizeof(regs));
}

static void decision_outcome(struct kunit *test)
{
	const struct decision *d = test->param_value;
	struct sea_inject si = {
		.fsc = d->event->fsc,
		.esr_flip = d->event->flip,
		.claim = d->event->claim,
	};
	bool honoured;
	u64 ret;

	if (d->entry->stub == sea_stub_bpf && IS_ENABLED(CONFIG_BPF_JIT))
		kunit_skip(test, "needs a kernel without BPF_JIT");
	if (d->outcome == 'r' && IS_ENABLED(CONFIG_KASAN_HW_TAGS)) {
		expect_no_fixup(test, d->entry, d->event->fsc);
		return;
	}

	ret = run_stub(test, &si, d->entry);

	expect_outcome(test, &si, d->entry, d->outcome);
	KUNIT_EXPECT_EQ(test, ret,
			d->outcome == 'f' ? -1ULL : 0xa5a5a5a55a5a5a5aULL);

	/* If claimed it recovers, or would have done so. */
	honoured = d->outcome == 'f' || (d->event->claim && !d->event->flip &&
					 decided(d->entry->outcome[ON_LOAD], 0) == 'f');
	KUNIT_EXPECT_EQ(test, si.claims,
			sea_is_sea(d->event->fsc) ? contract_claims(1, honoured) : 0);
	if (CONTRACT_ASKED != ASKED_ALWAYS)
		KUNIT_EXPECT_FALSE(test, si.claimed_late);
}

/* Every code, with and without a valid FAR, on a load and on a store */
static void decision_code(struct kunit *test)
{
	const struct entry *e = test->param_value;
	unsigned int i;

	for (i = 0; i < 4 * ARRAY_SIZE(sea_codes); i++) {
		const struct sea_code *code = &sea_codes[i / 4];
		struct sea_inject si = {
			.fsc = code->fsc,
			.fnv = i & 1,
			.esr_flip = i & 2 ? ESR_ELx_WNR : 0,
		};
		bool fixed = code->recovers &&
			     decided(e->outcome[i & 2 ? ON_STORE : ON_LOAD], 0) == 'f';

		run_stub(test, &si, e);
		expect_outcome(test, &si, e, fixed ? 'f' : 'D');
		KUNIT_EXPECT_EQ(test, si.claims, contract_claims(1, fixed));
		if (test->status == KUNIT_FAILURE) {
			kunit_err(test, "%s: ESR %lx\n", e->name, si.esr);
			return;
		}
	}
}

/* May this instruction access user memory? */
static void decision_user_access(struct kunit *test)
{
	static const char outside[] = "access to user memory outside uaccess routines";
	const struct entry *e = test->param_value;
	struct sea_inject si = {
		.fsc = ESR_ELx_FSC_PERM + 3,
		.claim = -ENOENT,
	};
	char outcome = decided(e->user_outcome, 0);

	if (e->stub == sea_stub_bpf && IS_ENABLED(CONFIG_BPF_JIT))
		kunit_skip(test, "needs a kernel without BPF_JIT");

	/* An address space with nothing at this address */
	KUNIT_ASSERT_NE(test, kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ,
					    MAP_ANONYMOUS | MAP_PRIVATE, 0), 0);
	si.far = PAGE_SIZE;

	run_stub(test, &si, e);

	expect_outcome(test, &si, e, outcome == 'O' ? 'D' : outcome);
	KUNIT_EXPECT_EQ(test, si.claims, 0);
	if (si.died)
		KUNIT_EXPECT_EQ(test, !strcmp(si.msg, outside), outcome == 'O');
}

/* With the mmap lock taken: what has no entry dies, it does not wait. */
static void decision_mmap_lock(struct kunit *test)
{
	const struct entry *e;

	KUNIT_ASSERT_NE(test, kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ,
					    MAP_ANONYMOUS | MAP_PRIVATE, 0), 0);

	for (e = entries; e < entries + ARRAY_SIZE(entries); e++) {
		struct sea_inject si = {
			.fsc = ESR_ELx_FSC_FAULT + 3,
			.claim = -ENOENT,
			.far = PAGE_SIZE,
		};

		/* The others wait, as the base kernel lets them. */
		if (e->stub != sea_stub_none && e->user_outcome != 's')
			continue;

		mmap_write_lock(current->mm);
		run_stub(test, &si, e);
		mmap_write_unlock(current->mm);

		expect_outcome(test, &si, e, 'D');
	}
}

/* The same for the instructions that the routines load with */
static void decision_mmap_lock_copies(struct kunit *test)
{
	static const struct {
		const char *name;
		unsigned long (*copy)(void *to, const void *from, unsigned long n);
	} copies[] = {
		{ "memcpy_mc", memcpy_mc },
		{ "copy_mc_page", (void *)copy_mc_page },
	};
	void *to = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, to);
	KUNIT_ASSERT_NE(test, kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ,
					    MAP_ANONYMOUS | MAP_PRIVATE, 0), 0);

	for (i = 0; i < ARRAY_SIZE(copies); i++) {
		struct sea_inject si = {
			.fsc = ESR_ELx_FSC_FAULT + 3,
			.claim = -ENOENT,
			.far = PAGE_SIZE,
		};

		KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, &si, PAGE_SIZE), 0);
		si.poison[0].len = PAGE_SIZE;

		mmap_write_lock(current->mm);
		sea_inject_arm(&si);
		copies[i].copy(to, (void *)si.trap, PAGE_SIZE);
		sea_inject_disarm(&si);
		mmap_write_unlock(current->mm);

		KUNIT_EXPECT_GT_MSG(test, si.died, 0, "%s", copies[i].name);
		KUNIT_EXPECT_EQ_MSG(test, si.fixed, 0, "%s", copies[i].name);
	}
}

struct holder {
	struct mm_struct *mm;
	struct completion held, released;
	bool waited_for;
};

static int hold_mmap_lock(void *data)
{
	struct holder *h = data;
	int i;

	mmap_write_lock(h->mm);
	complete(&h->held);
	for (i = 0; i < 100 && !mmap_lock_is_contended(h->mm); i++)
		msleep(20);
	h->waited_for = mmap_lock_is_contended(h->mm);
	mmap_write_unlock(h->mm);
	kthread_complete_and_exit(&h->released, 0);
}

/* What may access user memory waits for the lock, and then has the page. */
static void decision_mmap_lock_user(struct kunit *test)
{
	struct holder h = {};
	unsigned long addr;
	int err, value;

	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	h.mm = current->mm;
	init_completion(&h.held);
	init_completion(&h.released);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(hold_mmap_lock, &h, "sea_holder"));
	wait_for_completion(&h.held);

	err = get_user(value, (int __user *)addr);

	wait_for_completion(&h.released);
	KUNIT_EXPECT_TRUE(test, h.waited_for);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, value, 0);
}

static struct kunit_case decision_cases[] = {
	KUNIT_CASE_PARAM(decision_outcome, decision_gen_params),
	KUNIT_CASE_PARAM(decision_code, entry_gen_params),
	KUNIT_CASE_PARAM(decision_user_access, entry_gen_params),
	KUNIT_CASE(decision_mmap_lock),
	KUNIT_CASE(decision_mmap_lock_copies),
	KUNIT_CASE(decision_mmap_lock_user),
	{}
};

static struct kunit_suite decision_suite = {
	.name = "sea_decision",
	.suite_init = decision_suite_init,
	.test_cases = decision_cases,
};

kunit_test_suite(decision_suite);
