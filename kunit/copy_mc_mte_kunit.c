// SPDX-License-Identifier: GPL-2.0-only
/*
 * MTE tags of a page whose copy fails, or not.
 */

#include <kunit/test.h>
#include <linux/cpufeature.h>
#include <linux/highmem.h>
#include <linux/mm.h>

#include <asm/mte.h>

#include "contract/contract.h"
#include "inject/sea_inject.h"
#include "rig/sea_rig.h"

#define GRANULES	(PAGE_SIZE / MTE_GRANULE_SIZE)

struct pages {
	struct page *from, *to;
	struct sea_inject si;
};

static u8 from_tag(size_t granule)
{
	return (granule * 5 + granule / 16 + 3) % 16;
}

static u8 to_tag(size_t granule)
{
	return (granule + 7) % 16;
}

/* The page's own address, or an alias that is mapped as tagged memory */
static void set_tags(void *page, u8 (*tag)(size_t granule))
{
	for (size_t i = 0; i < GRANULES; i++) {
		u64 addr = __untagged_addr((u64)page) + i * MTE_GRANULE_SIZE;
		u64 tagged = (addr & ~MTE_TAG_MASK) | (u64)tag(i) << MTE_TAG_SHIFT;

		asm volatile(__MTE_PREAMBLE "stg %0, [%1]"
			     : : "r" (tagged), "r" (addr) : "memory");
	}
}

/* The first granule whose tag is not @tag's, GRANULES if there is none */
static size_t wrong_tag(void *page, u8 (*tag)(size_t granule))
{
	size_t i;

	for (i = 0; i < GRANULES; i++) {
		u64 tagged = __untagged_addr((u64)page) + i * MTE_GRANULE_SIZE;

		asm volatile(__MTE_PREAMBLE "ldg %0, [%0]"
			     : "+r" (tagged) : : "memory");
		if (FIELD_GET(MTE_TAG_MASK, tagged) != tag(i))
			break;
	}
	return i;
}

/* A page as nobody has tagged it */
static void untag_page(struct page *page)
{
	clear_bit(PG_mte_tagged, (unsigned long *)&page->flags);
	clear_bit(PG_mte_lock, (unsigned long *)&page->flags);
}

static void tag_page(struct kunit *test, struct page *page)
{
	KUNIT_ASSERT_TRUE(test, try_page_mte_tagging(page));
	set_page_mte_tagged(page);
}

static void free_page_action(void *page)
{
	__free_page(page);
}

static struct page *new_page(struct kunit *test, u8 fill)
{
	struct page *page = alloc_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, free_page_action, page), 0);
	page_kasan_tag_reset(page);
	memset(page_address(page), fill, PAGE_SIZE);
	return page;
}

/* A source with tags of its own, and a destination with others that don't count */
static struct pages *pages_init(struct kunit *test)
{
	struct pages *p;

	if (!system_supports_mte())
		kunit_skip(test, "needs MTE");

	p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	p->from = new_page(test, 0x5a);
	p->to = new_page(test, 0xee);
	p->si.fsc = ESR_ELx_FSC_EXTABT;

	tag_page(test, p->from);
	set_tags(page_address(p->from), from_tag);
	set_tags(page_address(p->to), to_tag);
	/* QEMU 7.2 has one tag for all the granules at an even address, one for the others. */
	if (wrong_tag(page_address(p->from), from_tag) != GRANULES)
		kunit_skip(test, "needs MTE with a tag for each granule");
	return p;
}

static void pages_trap(struct kunit *test, struct pages *p)
{
	int err = sea_inject_page(test, &p->si, p->from);

	if (err == -EOPNOTSUPP)
		kunit_skip(test, "needs RODATA_FULL");
	KUNIT_ASSERT_EQ(test, err, 0);
}

static int run(struct pages *p)
{
	int ret;

	sea_inject_arm(&p->si);
	ret = copy_mc_user_highpage(p->to, p->from, 0, NULL);
	sea_inject_disarm(&p->si);
	return ret;
}

/* Neither tagged nor, what would make the next one wait forever, about to be */
static void expect_untagged(struct kunit *test, struct page *page)
{
	KUNIT_EXPECT_FALSE(test, test_bit(PG_mte_tagged, (unsigned long *)&page->flags));
	KUNIT_EXPECT_FALSE(test, test_bit(PG_mte_lock, (unsigned long *)&page->flags));
}

/* The destination of a copy that failed, was it tagged before or not */
static void expect_failed(struct kunit *test, struct page *page, bool tagged)
{
	if (tagged && CONTRACT_TAGS_KEPT)
		KUNIT_EXPECT_TRUE(test, page_mte_tagged(page));
	else
		expect_untagged(test, page);
}

static void expect_copied(struct kunit *test, struct pages *p)
{
	KUNIT_EXPECT_TRUE(test, page_mte_tagged(p->to));
	KUNIT_EXPECT_EQ(test, wrong_tag(page_address(p->to), from_tag), GRANULES);
	KUNIT_EXPECT_NULL(test, memchr_inv(page_address(p->to), 0x5a, PAGE_SIZE));
}

static void expect_source_unchanged(struct kunit *test, struct pages *p)
{
	KUNIT_EXPECT_TRUE(test, page_mte_tagged(p->from));
	KUNIT_EXPECT_EQ(test, wrong_tag(p->si.alias, from_tag), GRANULES);
	KUNIT_EXPECT_NULL(test, memchr_inv(p->si.alias, 0x5a, PAGE_SIZE));
}

static void mte_success(struct kunit *test)
{
	struct pages *p = pages_init(test);

	KUNIT_EXPECT_EQ(test, run(p), 0);
	expect_copied(test, p);
	KUNIT_EXPECT_EQ(test, wrong_tag(page_address(p->from), from_tag), GRANULES);
}

/* The copy that cannot fail brings the tags, too. */
static void mte_plain_copy(struct kunit *test)
{
	struct pages *p = pages_init(test);

	copy_highpage(p->to, p->from);
	expect_copied(test, p);
}

/* A page without tags never touches the tags of either. */
static void mte_untagged_source(struct kunit *test)
{
	struct pages *p = pages_init(test);

	clear_bit(PG_mte_tagged, (unsigned long *)&p->from->flags);
	KUNIT_EXPECT_EQ(test, run(p), 0);
	expect_untagged(test, p->to);
	KUNIT_EXPECT_EQ(test, wrong_tag(page_address(p->to), to_tag), GRANULES);
	KUNIT_EXPECT_NULL(test, memchr_inv(page_address(p->to), 0x5a, PAGE_SIZE));
}

static void mte_poisoned_data(struct kunit *test)
{
	struct pages *p = pages_init(test);

	pages_trap(test, p);
	/* Each 8 bytes of 4K; of a bigger page as many places, as each takes as long as a page */
	for (size_t n = 0; n < SZ_4K / 8; n++) {
		size_t words = PAGE_SIZE / SZ_4K;
		size_t i = 8 * (n * words + n % words);
		/* Every other time into a page that was tagged before */
		bool tagged = n % 2;

		untag_page(p->to);
		if (tagged)
			tag_page(test, p->to);
		p->si.poison[0] = (struct sea_poison){ i, 1 };
		KUNIT_ASSERT_EQ(test, run(p), -EFAULT);
		KUNIT_ASSERT_EQ(test, p->si.fixed, 1);
		expect_failed(test, p->to, tagged);
		KUNIT_ASSERT_EQ(test, wrong_tag(page_address(p->to), to_tag), GRANULES);
	}
	expect_source_unchanged(test, p);
}

/* The load of tags in the routine that may fail, the only one with an entry */
static unsigned long tag_load(struct kunit *test)
{
	unsigned long start = (unsigned long)mte_copy_mc_page_tags;
	const struct exception_table_entry *ex;

	ex = sea_next_extable(start, start + 64, NULL);
	KUNIT_ASSERT_NOT_NULL(test, ex);
	return sea_extable_insn(ex);
}

/* An abort at each load of tags, in a destination that is @tagged before or not */
static void poisoned_tags(struct kunit *test, bool tagged)
{
	struct pages *p = pages_init(test);
	unsigned long pc = tag_load(test);
	unsigned int loads;

	pages_trap(test, p);
	p->si.pc = pc;

	p->si.nth = UINT_MAX;
	KUNIT_ASSERT_EQ(test, run(p), 0);
	loads = p->si.matches;
	KUNIT_ASSERT_GE(test, loads, GRANULES / 16);
	expect_copied(test, p);

	for (p->si.nth = 1; p->si.nth <= loads; p->si.nth++) {
		untag_page(p->to);
		if (tagged)
			tag_page(test, p->to);
		set_tags(page_address(p->to), to_tag);

		KUNIT_ASSERT_EQ(test, run(p), -EFAULT);
		KUNIT_ASSERT_EQ(test, p->si.fixed, 1);
		expect_failed(test, p->to, tagged);
	}
	expect_source_unchanged(test, p);
	kunit_info(test, "%pS %08x load: %u aborts, all recovered\n", (void *)pc,
		   le32_to_cpup((__le32 *)pc), loads);

	/* No trace of the failures is left. */
	p->si.pc = 0;
	KUNIT_EXPECT_EQ(test, run(p), 0);
	expect_copied(test, p);
}

static void mte_poisoned_tags(struct kunit *test)
{
	poisoned_tags(test, false);
}

static void mte_poisoned_tags_tagged_destination(struct kunit *test)
{
	poisoned_tags(test, true);
}

/* Twice into one page, as when a migration is tried again: into which, from which? */
static const struct again {
	const char *name;
	bool from_tagged;
	bool to_tagged;
	enum { NOWHERE, DATA, TAGS } fails;	/* the first time */
} agains[] = {
	{ "untagged to untagged", false, false, NOWHERE },
	{ "untagged to tagged", false, true, NOWHERE },
	{ "tagged to untagged", true, false, NOWHERE },
	{ "tagged to tagged", true, true, NOWHERE },
	{ "untagged to untagged, data fail", false, false, DATA },
	{ "untagged to tagged, data fail", false, true, DATA },
	{ "tagged to untagged, data fail", true, false, DATA },
	{ "tagged to tagged, data fail", true, true, DATA },
	{ "tagged to untagged, tags fail", true, false, TAGS },
	{ "tagged to tagged, tags fail", true, true, TAGS },
};

KUNIT_ARRAY_PARAM_DESC(again, agains, name);

static void mte_again(struct kunit *test)
{
	const struct again *again = test->param_value;
	struct pages *p = pages_init(test);

	if (!again->from_tagged)
		untag_page(p->from);
	if (again->to_tagged)
		tag_page(test, p->to);
	pages_trap(test, p);

	p->si.pc = again->fails == TAGS ? tag_load(test) : 0;
	p->si.poison[0].len = again->fails == DATA;
	p->si.nth = again->fails ? 1 : UINT_MAX;
	KUNIT_EXPECT_EQ(test, run(p), again->fails ? -EFAULT : 0);
	if (again->fails)
		expect_failed(test, p->to, again->to_tagged);

	/* What the first one left is not what the second one finds. */
	memset(page_address(p->to), 0xee, PAGE_SIZE);
	set_tags(page_address(p->to), to_tag);
	p->si.nth = UINT_MAX;
	KUNIT_EXPECT_EQ(test, run(p), 0);
	if (again->from_tagged) {
		expect_copied(test, p);
		return;
	}
	KUNIT_EXPECT_NULL(test, memchr_inv(page_address(p->to), 0x5a, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, wrong_tag(page_address(p->to), to_tag), GRANULES);
	if (again->to_tagged && !again->fails)
		KUNIT_EXPECT_TRUE(test, page_mte_tagged(p->to));
	else
		expect_failed(test, p->to, again->to_tagged);
}

/* What must be fatal in the tags as well as in the data */
static void mte_unclaimed_tags(struct kunit *test)
{
	struct pages *p = pages_init(test);

	pages_trap(test, p);
	p->si.pc = tag_load(test);

	p->si.claim = -ENOENT;
	run(p);
	KUNIT_EXPECT_EQ(test, p->si.died, 1);
	KUNIT_EXPECT_EQ(test, p->si.fixed, 0);

	p->si.claim = 0;
	p->si.fsc = ESR_ELx_FSC_FAULT + 3;
	run(p);
	KUNIT_EXPECT_EQ(test, p->si.died, 1);
	KUNIT_EXPECT_EQ(test, p->si.fixed, 0);
}

/*
 * A hugetlb folio: one flag speaks for the tags of all its pages or, before Linux
 * 6.13, each for its own. Flag all, ask what both have.
 */
#define HUGE_ORDER	2
#define HUGE_PAGES	BIT(HUGE_ORDER)

static void free_huge(void *data)
{
	struct page *page = data;

	__folio_clear_hugetlb(page_folio(page));
	__free_pages(page, HUGE_ORDER);
}

static struct page *new_huge(struct kunit *test, u8 (*tag)(size_t granule))
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, HUGE_ORDER);

	KUNIT_ASSERT_NOT_NULL(test, page);
	__folio_set_hugetlb(page_folio(page));
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, free_huge, page), 0);
	for (int i = 0; i < HUGE_PAGES; i++) {
		page_kasan_tag_reset(page + i);
		memset(page_address(page + i), i, PAGE_SIZE);
		set_tags(page_address(page + i), tag);
		untag_page(page + i);
	}
	return page;
}

static struct pages *huge_init(struct kunit *test)
{
	struct pages *p = pages_init(test);

	if (!IS_ENABLED(CONFIG_HUGETLB_PAGE))
		kunit_skip(test, "needs HUGETLB");

	p->from = new_huge(test, from_tag);
	p->to = new_huge(test, to_tag);
	for (int i = 0; i < HUGE_PAGES; i++)
		set_bit(PG_mte_tagged, (unsigned long *)&p->from[i].flags);
	return p;
}

/* As a huge page is copied: page by page until one fails. Which? */
static int run_huge(struct kunit *test, struct pages *p)
{
	int i, ret;

	for (i = 0; i < HUGE_PAGES; i++) {
		sea_inject_arm(&p->si);
		ret = copy_mc_user_highpage(p->to + i, p->from + i, 0, NULL);
		sea_inject_disarm(&p->si);
		if (ret) {
			KUNIT_EXPECT_EQ(test, ret, -EFAULT);
			KUNIT_EXPECT_EQ(test, p->si.fixed, 1);
			break;
		}
	}
	return i;
}

static void mte_hugetlb_success(struct kunit *test)
{
	struct pages *p = huge_init(test);

	KUNIT_ASSERT_EQ(test, run_huge(test, p), HUGE_PAGES);
	KUNIT_EXPECT_TRUE(test, test_bit(PG_mte_tagged, (unsigned long *)&p->to->flags));
	for (int i = 0; i < HUGE_PAGES; i++) {
		void *to = page_address(p->to + i);

		KUNIT_EXPECT_EQ(test, wrong_tag(to, from_tag), GRANULES);
		KUNIT_EXPECT_NULL(test, memchr_inv(to, i, PAGE_SIZE));
	}
}

/* Are the tags of all pages copied with the first one? */
static bool tags_come_first(struct kunit *test)
{
	struct pages *p = huge_init(test);

	KUNIT_ASSERT_EQ(test, copy_mc_user_highpage(p->to, p->from, 0, NULL), 0);
	return wrong_tag(page_address(p->to + 1), from_tag) == GRANULES;
}

/* Poisoned data or tags, in the first page or a later one */
static void mte_hugetlb_poisoned(struct kunit *test)
{
	bool first = tags_come_first(test);

	for (int i = 0; i < 2 * HUGE_PAGES; i++) {
		struct pages *p = huge_init(test);
		int bad = i / 2, failed;

		p->from += bad;
		pages_trap(test, p);
		p->from -= bad;
		if (i % 2)
			p->si.pc = tag_load(test);
		else
			p->si.poison[0] = (struct sea_poison){ 77, 1 };

		failed = run_huge(test, p);
		KUNIT_ASSERT_EQ(test, failed, first && i % 2 ? 0 : bad);
		expect_untagged(test, p->to + failed);
		/* All tags of a folio are there before the data of a later page fails. */
		if (first && failed)
			KUNIT_EXPECT_TRUE(test, test_bit(PG_mte_tagged,
							 (unsigned long *)&p->to->flags));

		/* No trace of the failure is left. */
		p->si.pc = 0;
		memset(p->si.poison, 0, sizeof(p->si.poison));
		KUNIT_ASSERT_EQ(test, run_huge(test, p), HUGE_PAGES);
		for (int j = 0; j < HUGE_PAGES; j++)
			KUNIT_EXPECT_EQ(test, wrong_tag(page_address(p->to + j), from_tag),
					GRANULES);
	}
}

static void repair(void *unused)
{
	sea_rig_repair();
}

/* With the rig: all of a page is poisoned, its tags as well as its data. */
static void genuine_init(struct kunit *test)
{
	if (sea_rig_missing())
		kunit_skip(test, "%s", sea_rig_missing());
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, repair, NULL), 0);
}

static void poison_page(struct kunit *test, struct pages *p, struct page *page)
{
	p->si.genuine = true;
	p->si.revive = sea_rig_repair;
	KUNIT_ASSERT_EQ(test, sea_rig_set(page_to_phys(page), PAGE_SIZE,
					  SEA_RIG_POISON | SEA_RIG_NO_RECORD), 0);
}

static void expect_genuine(struct kunit *test, struct pages *p, struct page *page)
{
	KUNIT_EXPECT_EQ(test, p->si.matches, 1);
	KUNIT_EXPECT_EQ(test, p->si.fixed, 1);
	KUNIT_EXPECT_EQ(test, p->si.claims, 1);
	KUNIT_EXPECT_EQ(test, __untagged_addr(p->si.fault),
			__untagged_addr((unsigned long)page_address(page)));
	KUNIT_EXPECT_FALSE(test, p->si.esr & ESR_ELx_WNR);
}

static void mte_genuine(struct kunit *test)
{
	struct pages *p;

	genuine_init(test);
	p = pages_init(test);
	for (int i = 0; i < 2; i++) {
		untag_page(p->to);
		if (i)
			tag_page(test, p->to);
		poison_page(test, p, p->from);
		KUNIT_EXPECT_EQ(test, run(p), -EFAULT);
		expect_genuine(test, p, p->from);
		expect_failed(test, p->to, i);
		sea_rig_repair();
	}

	KUNIT_EXPECT_EQ(test, run(p), 0);
	KUNIT_EXPECT_EQ(test, p->si.matches, 0);
	expect_copied(test, p);
	KUNIT_EXPECT_EQ(test, wrong_tag(page_address(p->from), from_tag), GRANULES);
}

/* Of a page whose data abort, too, the load of tags by itself */
static void mte_genuine_tags(struct kunit *test)
{
	struct pages *p;
	int ret;

	genuine_init(test);
	p = pages_init(test);
	poison_page(test, p, p->from);
	sea_inject_arm(&p->si);
	ret = mte_copy_mc_page_tags(page_address(p->to), page_address(p->from));
	sea_inject_disarm(&p->si);
	KUNIT_EXPECT_EQ(test, ret, -EFAULT);
	expect_genuine(test, p, p->from);
	KUNIT_EXPECT_EQ(test, p->si.before.pc, tag_load(test));

	/* What is not claimed is fatal, and then the load was made good. */
	p->si.claim = -ENOENT;
	sea_inject_arm(&p->si);
	ret = mte_copy_mc_page_tags(page_address(p->to), page_address(p->from));
	sea_inject_disarm(&p->si);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, p->si.died, 1);
	KUNIT_EXPECT_EQ(test, wrong_tag(page_address(p->to), from_tag), GRANULES);
}

static void mte_genuine_hugetlb(struct kunit *test)
{
	bool first;

	genuine_init(test);
	first = tags_come_first(test);
	for (int bad = 0; bad < HUGE_PAGES; bad++) {
		struct pages *p = huge_init(test);
		int failed;

		poison_page(test, p, p->from + bad);
		failed = run_huge(test, p);
		KUNIT_EXPECT_EQ(test, failed, first ? 0 : bad);
		expect_genuine(test, p, p->from + bad);
		expect_untagged(test, p->to + failed);
		sea_rig_repair();

		KUNIT_ASSERT_EQ(test, run_huge(test, p), HUGE_PAGES);
		for (int i = 0; i < HUGE_PAGES; i++)
			KUNIT_EXPECT_EQ(test, wrong_tag(page_address(p->to + i), from_tag),
					GRANULES);
	}
}

static struct kunit_case mte_cases[] = {
	KUNIT_CASE(mte_success),
	KUNIT_CASE(mte_plain_copy),
	KUNIT_CASE(mte_untagged_source),
	KUNIT_CASE(mte_poisoned_data),
	KUNIT_CASE(mte_poisoned_tags),
	KUNIT_CASE(mte_poisoned_tags_tagged_destination),
	KUNIT_CASE_PARAM(mte_again, again_gen_params),
	KUNIT_CASE(mte_unclaimed_tags),
	KUNIT_CASE(mte_hugetlb_success),
	KUNIT_CASE(mte_hugetlb_poisoned),
	KUNIT_CASE(mte_genuine),
	KUNIT_CASE(mte_genuine_tags),
	KUNIT_CASE(mte_genuine_hugetlb),
	{}
};

static struct kunit_suite mte_suite = {
	.name = "copy_mc_mte",
	.test_cases = mte_cases,
};

kunit_test_suite(mte_suite);
