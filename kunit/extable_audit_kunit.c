// SPDX-License-Identifier: GPL-2.0-only
/*
 * The exception table against the code: each access that may meet poison has its
 * entry, and nothing else has one.
 */

#include <kunit/test.h>
#include <linux/kallsyms.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include <asm/asm-extable.h>
#include <asm/insn.h>
#include <asm/mte.h>

#include "contract/contract.h"
#include "inject/sea_decision_stubs.h"
#include "inject/sea_inject.h"

#ifndef EX_TYPE_UACCESS_CPY
#define EX_TYPE_UACCESS_CPY	-1
#define EX_DATA_UACCESS_WRITE	0
#endif

/* What the instructions of a routine must have, EX_TYPE_NONE for no entry */
struct audited {
	const char *name;
	const void *code;
	int load, store, cpy;
	int cpy_data;
	unsigned long size;	/* in bytes, if not all of it */
};

#define AUDITED(routine, ...)	{ #routine, routine, __VA_ARGS__ }

static const struct audited audited[] = {
	AUDITED(memcpy_mc, CONTRACT_EX_KLOAD, EX_TYPE_NONE, CONTRACT_EX_KLOAD),
	AUDITED(copy_mc_page, CONTRACT_EX_KLOAD, EX_TYPE_NONE, CONTRACT_EX_KLOAD),
	AUDITED(mte_copy_mc_page_tags, CONTRACT_EX_KLOAD, EX_TYPE_NONE),
	AUDITED(mem_has_poison, CONTRACT_EX_KLOAD, EX_TYPE_NONE),
	AUDITED(__arch_copy_to_user, CONTRACT_EX_KLOAD, CONTRACT_EX_UACCESS,
		EX_TYPE_UACCESS_CPY, EX_DATA_UACCESS_WRITE),
	AUDITED(__arch_copy_from_user, CONTRACT_EX_UACCESS, EX_TYPE_NONE,
		EX_TYPE_UACCESS_CPY),
	/* Whose callers cannot be told */
	AUDITED(copy_page, EX_TYPE_NONE, EX_TYPE_NONE, EX_TYPE_NONE),
	AUDITED(mte_copy_page_tags, EX_TYPE_NONE, EX_TYPE_NONE),
};

KUNIT_ARRAY_PARAM_DESC(audited, audited, name);

/* Arm ARM, A64 instruction set encoding: the group "Loads and Stores" */
static bool insn_accesses_memory(u32 insn)
{
	return (insn & 0x0a000000) == 0x08000000;
}

/* What is wrong with the instruction at @pc? NULL if nothing is. */
static const char *insn_wrong(const struct audited *a, unsigned long pc,
			      unsigned long end, unsigned int *accesses)
{
	u32 insn = le32_to_cpup((__le32 *)pc);
	const struct exception_table_entry *ex;
	int type = EX_TYPE_NONE, data = 0;
	struct sea_access access;
	bool user;

	ex = sea_next_extable(pc, pc + AARCH64_INSN_SIZE, NULL);
	if (insn_accesses_memory(insn)) {
		(*accesses)++;
		if (!sea_decode(insn, &access))
			return "accesses memory in a way unknown to this audit";
		if (access.kind == SEA_CPY) {
			type = a->cpy;
			data = a->cpy_data;
		} else {
			type = access.kind == SEA_LOAD ? a->load : a->store;
			user = type == CONTRACT_EX_UACCESS;
			if (access.unprivileged != user)
				return "has the rights of the wrong mode";
			if (access.rn == 31)
				return "accesses the stack, not source or destination";
		}
	}

	if (!ex)
		return type == EX_TYPE_NONE ? NULL : "has no entry";
	if (type == EX_TYPE_NONE)
		return "has an entry";
	if (sea_next_extable(pc, pc + AARCH64_INSN_SIZE, ex))
		return "has two entries";
	if (ex->type != type)
		return "has an entry of the wrong type";
	if (type == EX_TYPE_UACCESS_CPY && (ex->data & EX_DATA_UACCESS_WRITE) != data)
		return "has the user's side wrong";
	if (sea_extable_fixup(ex) < (unsigned long)a->code ||
	    sea_extable_fixup(ex) >= end)
		return "has its fixup in another routine";
	return NULL;
}

/* The first instruction of a routine that is not what it must be; 0 if all are */
static unsigned long audit(struct kunit *test, const struct audited *a,
			   const char **why, unsigned int *accesses)
{
	unsigned long pc, size, offset, start = (unsigned long)a->code;

	KUNIT_ASSERT_TRUE(test, kallsyms_lookup_size_offset(start, &size, &offset));
	KUNIT_ASSERT_EQ(test, offset, 0);
	size = a->size ?: size;

	*accesses = 0;
	for (pc = start; pc < start + size; pc += AARCH64_INSN_SIZE) {
		*why = insn_wrong(a, pc, start + size, accesses);
		if (*why)
			return pc;
	}
	return 0;
}

static void audit_routine(struct kunit *test)
{
	const struct audited *a = test->param_value;
	unsigned int accesses;
	unsigned long pc;
	const char *why;

	if (a->code == mem_has_poison && !CONTRACT_LOOKS)
		kunit_skip(test, "needs COPY_MC_CONTRACT_OURS: mem_has_poison()");

	pc = audit(test, a, &why, &accesses);
	if (pc)
		KUNIT_FAIL(test, "%pS (%08x) %s\n", (void *)pc,
			   le32_to_cpup((__le32 *)pc), why);
	/* One load and one store, at the least */
	KUNIT_EXPECT_GE(test, accesses, 2);
	kunit_info(test, "%s: %u loads and stores\n", a->name, accesses);
}

/* Routines audited as what they are not */
static void audit_complains(struct kunit *test)
{
	static const struct {
		struct audited a;
		const char *why;
	} wrong[] = {
		{ { "", copy_page, CONTRACT_EX_KLOAD, EX_TYPE_NONE, CONTRACT_EX_KLOAD },
		  "has no entry" },
		{ { "", copy_mc_page, EX_TYPE_NONE, EX_TYPE_NONE, EX_TYPE_NONE },
		  "has an entry" },
		{ { "", memcpy_mc, CONTRACT_EX_KLOAD, CONTRACT_EX_KLOAD, CONTRACT_EX_KLOAD },
		  "has no entry" },
		{ { "", mte_copy_mc_page_tags, CONTRACT_EX_KACCESS, EX_TYPE_NONE },
		  (CONTRACT_EX_KACCESS == CONTRACT_EX_UACCESS) ?
		  "has the rights of the wrong mode" : "has an entry of the wrong type" },
		{ { "", memcpy_mc, CONTRACT_EX_UACCESS, EX_TYPE_NONE, CONTRACT_EX_KLOAD },
		  "has the rights of the wrong mode" },
#if EX_DATA_UACCESS_WRITE
		{ { "", __arch_copy_to_user, CONTRACT_EX_KLOAD, CONTRACT_EX_UACCESS,
		    EX_TYPE_UACCESS_CPY },
		  "has the user's side wrong" },
#endif
		/* As if the fixup were somebody else's */
		{ { "", copy_mc_page, CONTRACT_EX_KLOAD, EX_TYPE_NONE, CONTRACT_EX_KLOAD,
		    .size = 64 },
		  "has its fixup in another routine" },
		{ { "", sea_stub_simd, EX_TYPE_NONE, EX_TYPE_NONE },
		  "accesses memory in a way unknown to this audit" },
		/* Loads and stores, on the stack and elsewhere */
		{ { "", audit, EX_TYPE_NONE, EX_TYPE_NONE },
		  "accesses the stack, not source or destination" },
	};
	unsigned int accesses;
	const char *why;
	int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		KUNIT_EXPECT_NE(test, audit(test, &wrong[i].a, &why, &accesses), 0);
		KUNIT_EXPECT_STREQ(test, why ?: "", wrong[i].why);
	}
}

static struct kunit_case audit_cases[] = {
	KUNIT_CASE_PARAM(audit_routine, audited_gen_params),
	KUNIT_CASE(audit_complains),
	{}
};

static struct kunit_suite audit_suite = {
	.name = "extable_audit",
	.test_cases = audit_cases,
};

kunit_test_suite(audit_suite);
