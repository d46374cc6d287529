// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the rig's firmware promises: which accesses abort, where and with what syndrome,
 * what APEI is told, and that it is so on each CPU at once. Without it these skip.
 */

#include <kunit/test.h>
#include <linux/acpi.h>
#include <linux/arm-smccc.h>
#include <linux/cacheflush.h>
#include <linux/completion.h>
#include <linux/cper.h>
#include <linux/cpu.h>
#include <linux/cpufeature.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/mte.h>
#include <asm/tlbflush.h>
#include <asm/virt.h>

#include "contract/contract.h"
#include "inject/copy_case.h"
#include "inject/sea_inject.h"
#include "inject/sea_record.h"
#include "rig/firmware.h"
#include "rig/sea_rig.h"

/* The granule of poison, whatever the size of a page is here */
#define GRANULE		SZ_4K
#define GRANULES	4
#define AREA_SIZE	(GRANULES * GRANULE)

#define SEA_ESR		(ESR_ELx_IL | ESR_ELx_FSC_EXTABT)
#define DATA_SEA	(SEA_ESR | (unsigned long)ESR_ELx_EC_DABT_CUR << ESR_ELx_EC_SHIFT)
#define FETCH_SEA	(SEA_ESR | (unsigned long)ESR_ELx_EC_IABT_CUR << ESR_ELx_EC_SHIFT)

/* Where synchronous errors are reported, and those that nobody has consumed */
static struct sea_source sync_source, async_source;

/**
 * struct rig - memory in which poison may be, and an access to it
 * @si: what the access comes to; nobody dies of it
 * @page: the memory, %GRANULES granules
 * @mem: the same
 * @to: for a copy of it
 * @at: physical address at which it is to abort
 * @record: of the error, as APEI is about to read it
 * @recorded: there was one
 * @drop: keep it from APEI
 * @wait: have APEI asked only when somebody has isolated the page, or seems not to
 * @isolated: that was so
 * @announced: an asynchronous record waited to be read then
 * @pan: user memory was protected where APEI is asked
 * @strangers: number of records so far that were of something else
 */
struct rig {
	struct sea_inject si;
	struct page *page;
	u8 *mem;
	u8 *to;

	phys_addr_t at;
	struct sea_record record;
	bool recorded;
	bool drop;
	bool wait;
	bool isolated;
	bool announced;
	bool pan;
	unsigned int strangers;
};

static u8 pattern(size_t i)
{
	return (i * 7 + i / 251) | 1;
}

static void free_area(void *data)
{
	struct page *page = data;
	int i;

	for (i = 0; i < PAGE_ALIGN(AREA_SIZE) / PAGE_SIZE; i++)
		__free_page(page + i);
}

static void repair(void *unused)
{
	sea_rig_repair();
}

static void need_rig(struct kunit *test)
{
	if (sea_rig_missing())
		kunit_skip(test, "%s", sea_rig_missing());
	if (!sea_rig_reports())
		return;
	KUNIT_ASSERT_TRUE(test, sea_source_find(&sync_source, ACPI_HEST_NOTIFY_SEA));
	KUNIT_ASSERT_TRUE(test, sea_source_find(&async_source, ACPI_HEST_NOTIFY_POLLED));
}

static void need_records(struct kunit *test)
{
	need_rig(test);
	if (!sea_rig_reports())
		kunit_skip(test, "needs ACPI");
}

/* Aborts are genuine, and claimed by whom they are reported to. */
static void si_init(struct sea_inject *si)
{
	si->genuine = true;
	si->real_claim = sea_rig_reports();
	si->revive = sea_rig_repair;
}

static void fill(struct rig *r)
{
	size_t i;

	for (i = 0; i < AREA_SIZE; i++)
		r->mem[i] = pattern(i);
}

static struct rig *rig_init(struct kunit *test)
{
	struct rig *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);

	need_rig(test);
	KUNIT_ASSERT_NOT_NULL(test, r);
	r->to = kunit_kzalloc(test, AREA_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r->to);

	/* As user space has it: without a KASAN tag in its address */
	r->page = alloc_pages(GFP_HIGHUSER_MOVABLE, get_order(AREA_SIZE));
	KUNIT_ASSERT_NOT_NULL(test, r->page);
	split_page(r->page, get_order(AREA_SIZE));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_area, r->page), 0);
	r->mem = page_address(r->page);
	fill(r);

	KUNIT_ASSERT_EQ(test, kunit_add_action(test, repair, NULL), 0);
	si_init(&r->si);
	return r;
}

static phys_addr_t granule_pa(const struct rig *r, unsigned int granule)
{
	return page_to_phys(r->page) + granule * GRANULE;
}

static struct page *granule_page(const struct rig *r, unsigned int granule)
{
	return r->page + granule * GRANULE / PAGE_SIZE;
}

static void set(struct kunit *test, const struct rig *r, unsigned int granule, unsigned long how)
{
	KUNIT_ASSERT_EQ(test, sea_rig_set(granule_pa(r, granule), GRANULE, how), 0);
}

/* It dies, whatever asks APEI: the record is left to the case. */
static noinline void rig_access(struct rig *r, void (*access)(void *p), void *p)
{
	bool real_claim = r->si.real_claim;

	r->si.real_claim = false;
	sea_inject_arm(&r->si);
	access(p);
	sea_inject_disarm(&r->si);
	r->si.real_claim = real_claim;
}

static unsigned long rig_copy(struct rig *r, const void *from, size_t n)
{
	unsigned long left;

	memset(r->to, 0, n);
	sea_inject_arm(&r->si);
	left = copy_mc_to_kernel(r->to, from, n);
	sea_inject_disarm(&r->si);
	return left;
}

/* memory_failure() is somebody else's work. */
static bool isolated(struct page *page)
{
	unsigned long end = jiffies + 5 * HZ;

	while (!PageHWPoison(page) && time_before(jiffies, end))
		msleep(20);
	return PageHWPoison(page);
}

/* The second granule's page and no other, or not even that */
static void expect_isolated(struct kunit *test, const struct rig *r, bool second)
{
	struct page *page = granule_page(r, 1);
	int i;

	KUNIT_EXPECT_EQ(test, second ? isolated(page) : !!PageHWPoison(page), second);
	for (i = 0; i < GRANULES; i++)
		if (granule_page(r, i) != page)
			KUNIT_EXPECT_FALSE(test, PageHWPoison(granule_page(r, i)));
}

/* Nobody has read it, and now nobody will. */
static void expect_record(struct kunit *test, u32 severity, bool has_address, u64 address)
{
	struct sea_record record;

	if (!sea_rig_reports())
		return;
	if (sea_record_read(&sync_source, &record)) {
		KUNIT_EXPECT_EQ(test, record.severity, severity);
		KUNIT_EXPECT_EQ(test, record.section_severity, severity);
		KUNIT_EXPECT_EQ(test, record.has_address, has_address);
		if (has_address) {
			KUNIT_EXPECT_EQ(test, record.address, address);
			KUNIT_EXPECT_EQ(test, record.mask, (u64)~(GRANULE - 1));
		}
	} else {
		KUNIT_FAIL(test, "no record of %#llx\n", address);
	}
	sea_record_drop(&sync_source);
}

static void expect_no_record(struct kunit *test)
{
	if (!sea_rig_reports())
		return;
	KUNIT_EXPECT_FALSE(test, sea_record_waits(&sync_source));
	KUNIT_EXPECT_FALSE(test, sea_record_waits(&async_source));
}

/*
 * Instructions that access memory once. What they load is of no interest; what they store
 * has no byte in common with the pattern.
 */
#define INSN(name, insn)							\
static void name(void *p)							\
{										\
	u64 a = 0x10, b = 0x20;							\
										\
	asm volatile(insn : "+r" (a), "+r" (b) : "r" (p) : "memory");		\
}

INSN(ldrb, "ldrb %w0, [%2]")
INSN(ldrh, "ldrh %w0, [%2]")
INSN(ldr_w, "ldr %w0, [%2]")
INSN(ldr, "ldr %0, [%2]")
INSN(ldp, "ldp %0, %1, [%2]")
INSN(ldar, "ldar %0, [%2]")
INSN(ldxr, "ldxr %0, [%2]\n clrex")
INSN(ldaxrb, "ldaxrb %w0, [%2]\n clrex")
INSN(ldxp, "ldxp %0, %1, [%2]\n clrex")
INSN(add_exclusive, "0: ldxr %0, [%2]\n add %0, %0, #3\n stxr %w1, %0, [%2]\n cbnz %w1, 0b")
INSN(prfm, "prfm pldl1keep, [%2]")
INSN(strb, "strb %w0, [%2]")
INSN(strh, "strh %w0, [%2]")
INSN(str_w, "str %w0, [%2]")
INSN(str, "str %0, [%2]")
INSN(stp, "stp %0, %1, [%2]")
INSN(stlr, "stlr %0, [%2]")
INSN(dc_zva, "dc zva, %2")

#define INSN_LSE(name, insn)	INSN(name, ".arch_extension lse\n" insn)

INSN_LSE(ldadd, "ldadd %0, %1, [%2]")
INSN_LSE(stadd, "stadd %0, [%2]")
INSN_LSE(ldeorb, "ldeorb %w0, %w1, [%2]")
INSN_LSE(swp, "swp %0, %1, [%2]")
INSN_LSE(cas, "cas %0, %1, [%2]")

#define INSN_MTE(name, insn)	INSN(name, __MTE_PREAMBLE insn)

INSN_MTE(ldg, "ldg %0, [%2]")
INSN_MTE(ldgm, "ldgm %0, [%2]")
INSN_MTE(stg, "stg %2, [%2]")
INSN_MTE(st2g, "st2g %2, [%2]")
INSN_MTE(stzg, "stzg %2, [%2]")
INSN_MTE(stgm, "stgm %0, [%2]")

/* Of registers that are not the kernel's: nobody else is to see what is in them. */
#define INSN_FP(name, insn)							\
static void name(void *p)							\
{										\
	u64 saved[4] __aligned(16);						\
	unsigned long flags;							\
										\
	local_irq_save(flags);							\
	asm volatile(".arch_extension fp\n .arch_extension simd\n"		\
		     "stp q0, q1, [%1]\n" insn "\n ldp q0, q1, [%1]"		\
		     : : "r" (p), "r" (saved) : "memory");			\
	local_irq_restore(flags);						\
}

INSN_FP(ldr_q, "ldr q0, [%0]")
INSN_FP(ldp_q, "ldp q0, q1, [%0]")
INSN_FP(ld1, "ld1 {v0.16b, v1.16b}, [%0]")
INSN_FP(str_q, "movi v0.16b, #2\n str q0, [%0]")

static const struct insn {
	const char *name;
	void (*access)(void *p);
	size_t size;
	enum { LOAD, UPDATE, STORE, NONE } does;
	size_t align;
	enum { ALWAYS, LSE, MTE } needs;
} insns[] = {
	{ "LDRB", ldrb, 1, LOAD },
	{ "LDRH", ldrh, 2, LOAD },
	{ "LDR W", ldr_w, 4, LOAD },
	{ "LDR X", ldr, 8, LOAD },
	{ "LDP X", ldp, 16, LOAD },
	{ "LDR Q", ldr_q, 16, LOAD },
	{ "LDP Q", ldp_q, 32, LOAD },
	{ "LD1", ld1, 32, LOAD },
	{ "LDAR", ldar, 8, LOAD, 8 },
	{ "LDXR", ldxr, 8, LOAD, 8 },
	{ "LDAXRB", ldaxrb, 1, LOAD },
	{ "LDXP", ldxp, 16, LOAD, 16 },
	{ "LDXR, STXR", add_exclusive, 8, UPDATE, 8 },
	{ "LDADD", ldadd, 8, UPDATE, 8, LSE },
	{ "STADD", stadd, 8, UPDATE, 8, LSE },
	{ "LDEORB", ldeorb, 1, UPDATE, 1, LSE },
	{ "SWP", swp, 8, UPDATE, 8, LSE },
	{ "CAS, not equal", cas, 8, LOAD, 8, LSE },
	{ "LDG", ldg, MTE_GRANULE_SIZE, LOAD, MTE_GRANULE_SIZE, MTE },
	{ "LDGM", ldgm, 256, LOAD, 256, MTE },
	{ "STRB", strb, 1, STORE },
	{ "STRH", strh, 2, STORE },
	{ "STR W", str_w, 4, STORE },
	{ "STR X", str, 8, STORE },
	{ "STP X", stp, 16, STORE },
	{ "STR Q", str_q, 16, STORE },
	{ "STLR", stlr, 8, STORE, 8 },
	{ "DC ZVA", dc_zva, SZ_2K, STORE, SZ_2K },
	{ "STZG", stzg, MTE_GRANULE_SIZE, STORE, MTE_GRANULE_SIZE, MTE },
	{ "STG", stg, MTE_GRANULE_SIZE, NONE, MTE_GRANULE_SIZE, MTE },
	{ "ST2G", st2g, 2 * MTE_GRANULE_SIZE, NONE, MTE_GRANULE_SIZE, MTE },
	{ "STGM", stgm, 256, NONE, 256, MTE },
	{ "PRFM", prfm, 8, NONE },
};

KUNIT_ARRAY_PARAM_DESC(insn, insns, name);

/* How many bytes are not as they were, of those that may change and of the others */
static void count_changed(const struct rig *r, size_t start, size_t end, size_t *inside,
			  size_t *outside)
{
	size_t i;

	*inside = 0;
	*outside = 0;
	for (i = 0; i < AREA_SIZE; i++)
		if (r->mem[i] != pattern(i))
			++*(i >= start && i < end ? inside : outside);
}

/* At @offset from the start of poison, which is the second granule */
static void insn_at(struct kunit *test, struct rig *r, const struct insn *insn, long offset)
{
	bool aborts = (insn->does == LOAD || insn->does == UPDATE) &&
		      offset + (long)insn->size > 0 && offset < GRANULE;
	size_t at = GRANULE + offset, first = GRANULE + max(offset, 0), inside, outside;
	struct sea_rig_stats before, after;

	fill(r);
	set(test, r, 1, SEA_RIG_POISON);
	sea_rig_stats(&before);
	rig_access(r, insn->access, r->mem + at);
	sea_rig_stats(&after);
	sea_rig_repair();

	KUNIT_EXPECT_EQ_MSG(test, r->si.matches, aborts, "at %ld", offset);
	KUNIT_EXPECT_EQ_MSG(test, after.aborts - before.aborts, aborts, "at %ld", offset);
	KUNIT_EXPECT_EQ_MSG(test, after.lost, before.lost, "at %ld", offset);
	if (r->si.matches) {
		KUNIT_EXPECT_EQ_MSG(test, r->si.died, 1, "at %ld", offset);
		KUNIT_EXPECT_EQ_MSG(test, r->si.esr, DATA_SEA, "at %ld", offset);
		KUNIT_EXPECT_EQ_MSG(test, r->si.fault, (unsigned long)r->mem + first, "at %ld",
				    offset);
		expect_record(test, CPER_SEV_RECOVERABLE, true, granule_pa(r, 0) + first);
	}
	expect_no_record(test);

	/* What aborted was made again when nothing was wrong any more. */
	count_changed(r, at, at + insn->size, &inside, &outside);
	KUNIT_EXPECT_EQ_MSG(test, inside != 0, insn->does == UPDATE || insn->does == STORE,
			    "at %ld", offset);
	KUNIT_EXPECT_EQ_MSG(test, outside, 0, "at %ld", offset);
}

/* In the page, across its borders, and next to them, where nothing is wrong */
static void instruction(struct kunit *test)
{
	const struct insn *insn = test->param_value;
	long size = insn->size;
	const long offsets[] = {
		-size, 1 - size, -size / 2, -1, 0, 1, GRANULE / 2,
		GRANULE - size, GRANULE - size / 2, GRANULE - 1, GRANULE,
	};
	struct rig *r = rig_init(test);
	int i;

	if (insn->needs == LSE && !cpus_have_final_cap(ARM64_HAS_LSE_ATOMICS))
		kunit_skip(test, "needs LSE");
	if (insn->needs == MTE && !system_supports_mte())
		kunit_skip(test, "needs MTE");

	for (i = 0; i < ARRAY_SIZE(offsets); i++)
		if (!insn->align || offsets[i] % (long)insn->align == 0)
			insn_at(test, r, insn, offsets[i]);
}

/* Copies, from an offset from the start of poison */
static const struct copied {
	long offset;
	size_t n;
} copies[] = {
	{ -100, 200 }, { -1, 2 }, { -7, 16 }, { -GRANULE, 3 * GRANULE },
	{ -GRANULE, 2 * GRANULE }, { -300, 300 + GRANULE }, { 0, 1 }, { 0, 200 },
	{ 0, GRANULE }, { 1, GRANULE }, { GRANULE - 1, 1 }, { GRANULE - 100, 200 },
	{ -64, 64 }, { -1, 1 }, { -GRANULE, GRANULE }, { GRANULE, 64 },
	{ GRANULE, 2 * GRANULE },
};

static void describe_copied(const struct copied *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu bytes from %ld on", c->n, c->offset);
}

KUNIT_ARRAY_PARAM(copied, copies, describe_copied);

/* The copy fails where the poison begins, and APEI has been told where that is. */
static void copy_fails(struct kunit *test)
{
	const struct copied *c = test->param_value;
	bool aborts = c->offset + (long)c->n > 0 && c->offset < GRANULE;
	size_t good = aborts ? max(-c->offset, 0) : c->n;
	struct rig *r = rig_init(test);
	const u8 *from = r->mem + GRANULE + c->offset;
	size_t left;

	set(test, r, 1, SEA_RIG_POISON);
	left = rig_copy(r, from, c->n);
	sea_rig_repair();

	KUNIT_EXPECT_EQ(test, r->si.matches, aborts);
	KUNIT_EXPECT_EQ(test, r->si.fixed, aborts);
	KUNIT_EXPECT_EQ(test, r->si.died + r->si.retried, 0);
	KUNIT_EXPECT_EQ(test, r->si.claims, aborts);
	KUNIT_EXPECT_EQ(test, r->si.claim, 0);
	KUNIT_EXPECT_GE(test, left, c->n - good);
	KUNIT_EXPECT_LE(test, left, contract_most_left(CONTRACT_COUNT, c->n, c->n - good));
	/* By the CPU's own count, as QEMU has it */
	if (has_mops() && CONTRACT_COUNT != COUNT_ALL_LEFT)
		KUNIT_EXPECT_EQ(test, left, c->n - good);
	KUNIT_EXPECT_EQ(test, memcmp(r->to, from, c->n - left), 0);
	if (aborts) {
		KUNIT_EXPECT_EQ(test, r->si.esr, DATA_SEA);
		KUNIT_EXPECT_EQ(test, r->si.fault, (unsigned long)from + good);
	}
	expect_isolated(test, r, aborts && sea_rig_reports());
	expect_no_record(test);
}

/* No access to what is next to poison aborts, were it right after the abort of another. */
static void neighbours(struct kunit *test)
{
	static const unsigned long hows[] = { SEA_RIG_POISON | SEA_RIG_NO_RECORD, SEA_RIG_DEAD };
	struct rig *r = rig_init(test);
	unsigned int i, wrong = 0, aborted = 0, passed = 0;
	size_t j;

	r->si.real_claim = false;
	for (i = 0; i < ARRAY_SIZE(hows); i++) {
		set(test, r, 1, hows[i]);
		for (j = 0; j < GRANULE; j++) {
			u8 *before = r->mem + j, *behind = r->mem + 2 * GRANULE + j;

			passed += rig_copy(r, r->mem + GRANULE + j, 1) != 1;
			sea_inject_arm(&r->si);
			wrong += READ_ONCE(*before) != pattern(j);
			wrong += READ_ONCE(*behind) != pattern(2 * GRANULE + j);
			WRITE_ONCE(*before, 0x5a);
			WRITE_ONCE(*behind, 0xa5);
			wrong += READ_ONCE(*before) != 0x5a;
			wrong += READ_ONCE(*behind) != 0xa5;
			sea_inject_disarm(&r->si);
			aborted += r->si.matches;
		}
		sea_rig_repair();
		fill(r);
	}
	KUNIT_EXPECT_EQ(test, passed, 0);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, aborted, 0);
}

/* Even bytes, which those of the pattern are not */
static u64 word(size_t i)
{
	return 0x0202020202020202 * (i / 8 % 128);
}

/* What is stored to poison is there when it is repaired. */
static void contents(struct kunit *test)
{
	struct rig *r = rig_init(test);
	size_t inside, outside, i;

	set(test, r, 1, SEA_RIG_POISON | SEA_RIG_NO_RECORD);
	sea_inject_arm(&r->si);
	for (i = 0; i < GRANULE; i += 8)
		WRITE_ONCE(*(u64 *)(r->mem + GRANULE + i), word(i));
	sea_inject_disarm(&r->si);
	KUNIT_EXPECT_EQ(test, r->si.matches, 0);
	sea_rig_repair();

	for (i = 0; i < GRANULE; i += 8)
		if (READ_ONCE(*(u64 *)(r->mem + GRANULE + i)) != word(i))
			break;
	KUNIT_EXPECT_EQ(test, i, GRANULE);
	count_changed(r, GRANULE, 2 * GRANULE, &inside, &outside);
	KUNIT_EXPECT_EQ(test, inside, GRANULE);
	KUNIT_EXPECT_EQ(test, outside, 0);
}

/* Which of the granules abort, a bit for each; what is said of one is true of all of it. */
static unsigned int aborting(struct rig *r)
{
	unsigned int i, bits = 0;

	r->si.real_claim = false;
	for (i = 0; i < GRANULES; i++) {
		bool first = rig_copy(r, r->mem + i * GRANULE, 1);
		bool last = rig_copy(r, r->mem + (i + 1) * GRANULE - 1, 1);

		if (first && last)
			bits |= BIT(i);
		else if (first || last)
			bits |= BIT(31);
	}
	return bits;
}

/* Bytes of the area, and the granules that they are in */
static const struct stretch {
	size_t offset, size;
	unsigned int granules;
} stretches[] = {
	{ 0, AREA_SIZE, 0xf },
	{ GRANULE, 2 * GRANULE, 0x6 },
	{ 2 * GRANULE, 1, 0x4 },
	{ GRANULE + 5, 1, 0x2 },
	{ GRANULE - 1, 2, 0x3 },
	{ GRANULE / 2, 2 * GRANULE, 0x7 },
	{ 3 * GRANULE, GRANULE, 0x8 },
};

static void describe_stretch(const struct stretch *s, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%zu bytes from %zu on", s->size,
		 s->offset);
}

KUNIT_ARRAY_PARAM(stretch, stretches, describe_stretch);

static void range_set(struct kunit *test)
{
	const struct stretch *s = test->param_value;
	struct rig *r = rig_init(test);
	phys_addr_t pa = page_to_phys(r->page);

	KUNIT_EXPECT_EQ(test, sea_rig_set(pa + s->offset, s->size,
					  SEA_RIG_POISON | SEA_RIG_NO_RECORD), 0);
	KUNIT_EXPECT_EQ(test, aborting(r), s->granules);

	/* The last word counts, */
	set(test, r, 1, SEA_RIG_DEAD);
	KUNIT_EXPECT_EQ(test, aborting(r), s->granules | BIT(1));
	set(test, r, 1, SEA_RIG_HEALTHY);
	KUNIT_EXPECT_EQ(test, aborting(r), s->granules & ~BIT(1));
	/* for all that it is said of. */
	KUNIT_EXPECT_EQ(test, sea_rig_set(pa + s->offset, s->size, SEA_RIG_HEALTHY), 0);
	KUNIT_EXPECT_EQ(test, aborting(r), 0);
}

static const struct no_memory {
	const char *name;
	phys_addr_t pa;
	size_t size;
} no_memories[] = {
	{ "device", 0x09000000, GRANULE },
	{ "device and nothing else", 0x09000000, SZ_1M },
	{ "firmware's registers", 0x0b000000, GRANULE },
	{ "next to the firmware's registers", 0x0b002000, GRANULE },
	{ "before memory", 0x3ffff000, 2 * GRANULE },
	{ "end of memory", 0x7ffff000, SZ_1G },	/* that of NVDIMMs may be next to it */
	{ "nothing", 0x40000000, 0 },
	{ "more than there is", 0x40000000, ~0UL },
	{ "last address of 40 bits", BIT(40) - 1, 1 },
	{ "first address of 41 bits", BIT(40), GRANULE },
	{ "last address", ~0ULL, 1 },
};

KUNIT_ARRAY_PARAM_DESC(no_memory, no_memories, name);

/* Refused, and nothing has changed. */
static void no_memory(struct kunit *test)
{
	const struct no_memory *m = test->param_value;
	struct rig *r = rig_init(test);

	KUNIT_EXPECT_EQ(test, sea_rig_set(m->pa, m->size, SEA_RIG_POISON), -EINVAL);
	KUNIT_EXPECT_EQ(test, sea_rig_set(m->pa, m->size, SEA_RIG_HEALTHY), -EINVAL);
	KUNIT_EXPECT_EQ(test, aborting(r), 0);
}

static void no_answer(struct kunit *test)
{
	static const unsigned long hows[] = {
		SEA_RIG_FATAL, SEA_RIG_NO_ADDRESS, SEA_RIG_NO_RECORD, SEA_RIG_ASYNC,
		SEA_RIG_DEAD | SEA_RIG_POISON, SEA_RIG_DEAD | SEA_RIG_FATAL,
		SEA_RIG_DEAD | SEA_RIG_NO_ADDRESS, SEA_RIG_DEAD | SEA_RIG_NO_RECORD,
		SEA_RIG_DEAD | SEA_RIG_ASYNC,
		SEA_RIG_POISON | SEA_RIG_NO_RECORD | SEA_RIG_ASYNC,
		/* of no meaning */
		BIT(6), SEA_RIG_DEAD | BIT(6), SEA_RIG_POISON | BIT(6), SEA_RIG_POISON | BIT(63),
	};
	struct rig *r = rig_init(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hows); i++)
		KUNIT_EXPECT_EQ_MSG(test, sea_rig_set(granule_pa(r, 1), GRANULE, hows[i]), -EINVAL,
				    "%#lx", hows[i]);
	KUNIT_EXPECT_EQ(test, aborting(r), 0);
}

/* Pages that have no table in common, of stage 2 */
static void repair_all(struct kunit *test)
{
	/* The largest piece is 512 MiB where a page is 64K. */
	unsigned int order = min(get_order(SZ_4M), MAX_PAGE_ORDER), aborted = 0, still = 0;
	struct rig *r = rig_init(test);		/* or it skips */
	struct page *page = alloc_pages(GFP_HIGHUSER_MOVABLE | __GFP_NOWARN, order);
	size_t size = PAGE_SIZE << order, i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	memset(page_address(page), 0x5a, size);
	for (i = 0; i < size; i += SZ_128K)
		sea_rig_set(page_to_phys(page) + i, GRANULE, SEA_RIG_POISON | SEA_RIG_NO_RECORD);
	r->si.real_claim = false;
	for (i = 0; i < size; i += SZ_128K)
		aborted += rig_copy(r, page_address(page) + i, 1);
	sea_rig_repair();
	for (i = 0; i < size; i += SZ_128K)
		still += rig_copy(r, page_address(page) + i, 1);
	__free_pages(page, order);

	KUNIT_EXPECT_EQ(test, aborted, size / SZ_128K);
	KUNIT_EXPECT_EQ(test, still, 0);
}

/* Where the rig is told how a page answers */
struct told {
	struct irq_work work;
	struct rig *r;
	unsigned long how;
	int err;
};

static void tell(struct irq_work *work)
{
	struct told *t = container_of(work, struct told, work);

	if (t->how)
		t->err = sea_rig_set(granule_pa(t->r, 1), GRANULE, t->how);
	else
		sea_rig_repair();
}

static void tell_in_task(struct irq_work *work)
{
	tell(work);
}

static void tell_with_irqs_off(struct irq_work *work)
{
	unsigned long flags;

	local_irq_save(flags);
	tell(work);
	local_irq_restore(flags);
}

static const struct context {
	const char *name;
	void (*tell)(struct irq_work *work);
} contexts[] = {
	{ "task", tell_in_task },
	{ "interrupts disabled", tell_with_irqs_off },
	{ "interrupt", sea_interrupt },
};

KUNIT_ARRAY_PARAM_DESC(context, contexts, name);

static void any_context(struct kunit *test)
{
	const struct context *context = test->param_value;
	struct told t = { .work = IRQ_WORK_INIT_HARD(tell), .r = rig_init(test) };

	t.how = SEA_RIG_POISON | SEA_RIG_NO_RECORD;
	context->tell(&t.work);
	KUNIT_EXPECT_EQ(test, t.err, 0);
	KUNIT_EXPECT_EQ(test, aborting(t.r), BIT(1));
	t.how = SEA_RIG_HEALTHY;
	context->tell(&t.work);
	KUNIT_EXPECT_EQ(test, aborting(t.r), 0);
}

/* What APEI is about to read. It runs where the abort is: not for long. */
static void look_at_record(struct sea_inject *si)
{
	struct rig *r = container_of(si, struct rig, si);
	int i;

	r->announced = sea_record_waits(&async_source);
	for (i = 0; r->wait && !PageHWPoison(pfn_to_page(PHYS_PFN(r->at))) && i < 100; i++)
		msleep(20);
	r->isolated = PageHWPoison(pfn_to_page(PHYS_PFN(r->at)));

	r->recorded = sea_record_read(&sync_source, &r->record);
	r->strangers += !r->recorded || r->record.address != r->at;
	if (r->drop)
		sea_record_drop(&sync_source);
}

/* How an error is reported, and who isolates the page */
static const struct report {
	const char *name;
	unsigned long how;
	bool record;
	u32 severity;
	bool address;
	bool drop;		/* APEI would panic */
	int claim;		/* its answer */
	enum { NOBODY, BEFORE, AFTER } isolated;
} reports[] = {
	{ "poison", SEA_RIG_POISON, true, CPER_SEV_RECOVERABLE, true, .isolated = AFTER },
	{ "no address", SEA_RIG_POISON | SEA_RIG_NO_ADDRESS, true, CPER_SEV_RECOVERABLE },
	{ "no record", SEA_RIG_POISON | SEA_RIG_NO_RECORD, .claim = -ENOENT },
	{ "fatal", SEA_RIG_POISON | SEA_RIG_FATAL, true, CPER_SEV_FATAL, true, .drop = true },
	{ "fatal, no address", SEA_RIG_POISON | SEA_RIG_FATAL | SEA_RIG_NO_ADDRESS, true,
	  CPER_SEV_FATAL, .drop = true },
	{ "asynchronous first", SEA_RIG_POISON | SEA_RIG_ASYNC, true, CPER_SEV_RECOVERABLE, true,
	  .isolated = BEFORE },
	{ "asynchronous first, no address",
	  SEA_RIG_POISON | SEA_RIG_ASYNC | SEA_RIG_NO_ADDRESS, true, CPER_SEV_RECOVERABLE },
	{ "dead", SEA_RIG_DEAD, .claim = -ENOENT },
};

KUNIT_ARRAY_PARAM_DESC(report, reports, name);

static void reported(struct kunit *test)
{
	const struct report *report = test->param_value;
	struct sea_rig_stats before, after;
	struct rig *r = rig_init(test);
	size_t left;

	need_records(test);
	r->at = granule_pa(r, 1) + 40;
	r->drop = report->drop;
	r->wait = report->isolated == BEFORE;
	r->si.real_claim = !report->drop;
	r->si.on_claim = look_at_record;
	set(test, r, 1, report->how);
	sea_rig_stats(&before);
	left = rig_copy(r, r->mem + GRANULE + 40, 24);
	sea_rig_stats(&after);

	KUNIT_EXPECT_EQ(test, r->si.matches, 1);
	KUNIT_EXPECT_EQ(test, r->si.claims, 1);
	KUNIT_EXPECT_EQ(test, r->si.claim, report->claim);
	KUNIT_EXPECT_EQ(test, r->si.fixed, !report->claim);
	KUNIT_EXPECT_EQ(test, r->si.died, !!report->claim);
	KUNIT_EXPECT_EQ(test, left, report->claim ? 0 : 24);
	KUNIT_EXPECT_EQ(test, after.aborts - before.aborts, report->how != SEA_RIG_DEAD);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost);
	KUNIT_EXPECT_EQ(test, after.again != before.again, !!(report->how & SEA_RIG_ASYNC));

	/* What was to come first has been read, too. */
	KUNIT_EXPECT_FALSE(test, r->announced);
	KUNIT_EXPECT_EQ(test, r->recorded, report->record);
	if (r->recorded) {
		KUNIT_EXPECT_EQ(test, r->record.severity, report->severity);
		KUNIT_EXPECT_EQ(test, r->record.section_severity, report->severity);
		KUNIT_EXPECT_EQ(test, r->record.has_address, report->address);
		if (report->address)
			KUNIT_EXPECT_EQ(test, r->record.address, r->at);
	}
	expect_no_record(test);

	KUNIT_EXPECT_EQ(test, r->isolated, report->isolated == BEFORE);
	if (report->isolated == NOBODY)
		msleep(1000);		/* longer than the kernel takes to poll */
	expect_isolated(test, r, report->isolated != NOBODY);
}

/* Each has a number of its own: APEI takes what is alike for one error. */
static void record_numbers(struct kunit *test)
{
	struct rig *r = rig_init(test);
	unsigned int i, failed = 0, alike = 0;
	u32 last = 0;

	need_records(test);
	r->at = granule_pa(r, 1);
	r->si.on_claim = look_at_record;
	set(test, r, 1, SEA_RIG_POISON);
	for (i = 0; i < 20; i++) {
		failed += rig_copy(r, r->mem + GRANULE, 1) == 1 && r->si.fixed == 1;
		alike += r->record.nr == last;
		last = r->record.nr;
	}
	KUNIT_EXPECT_EQ(test, failed, 20);
	KUNIT_EXPECT_EQ(test, alike, 0);
	KUNIT_EXPECT_EQ(test, r->strangers, 0);
	expect_isolated(test, r, true);
}

/* Interrupts disabled, where what APEI has to do waits */
static void claimed_with_irqs_off(struct kunit *test)
{
	bool lives = CONTRACT_EINPROGRESS_RECOVERS;
	struct rig *r = rig_init(test);
	unsigned long left;

	need_records(test);
	set(test, r, 1, SEA_RIG_POISON);
	local_irq_disable();
	left = rig_copy(r, r->mem + GRANULE, 8);
	local_irq_enable();
	KUNIT_EXPECT_EQ(test, left, lives ? 8 : 0);
	KUNIT_EXPECT_EQ(test, r->si.fixed, lives);
	KUNIT_EXPECT_EQ(test, r->si.died, !lives);
	KUNIT_EXPECT_EQ(test, r->si.claim, -EINPROGRESS);
	expect_isolated(test, r, true);
}

static void severity_as_ever(void *unused)
{
	sea_rig_set_severity(0);
}

/* What the CPU says, and that the copy fails unless the error is uncontainable */
static void severity(struct kunit *test)
{
	struct rig *r = rig_init(test);
	unsigned int i, how;

	KUNIT_ASSERT_EQ(test, kunit_add_action(test, severity_as_ever, NULL), 0);
	r->si.real_claim = false;
	for (i = 0; i < 8; i++) {
		unsigned int set_field = i & 3;
		bool contained = set_field == 0 || set_field == 3;

		how = i & 4 ? SEA_RIG_DEAD : SEA_RIG_POISON | SEA_RIG_NO_RECORD;
		sea_rig_set_severity(set_field);
		set(test, r, 1, how);
		rig_access(r, ldr, r->mem + GRANULE);
		KUNIT_EXPECT_EQ(test, r->si.matches, 1);
		KUNIT_EXPECT_EQ(test, r->si.esr,
				DATA_SEA | (unsigned long)set_field << ESR_ELx_SET_SHIFT);

		set(test, r, 1, how);
		KUNIT_EXPECT_EQ(test, rig_copy(r, r->mem + GRANULE, 8), contained ? 8 : 0);
		KUNIT_EXPECT_EQ(test, r->si.matches, 1);
		KUNIT_EXPECT_EQ(test, r->si.fixed, contained);
		KUNIT_EXPECT_EQ(test, r->si.died, !contained);
	}
}

static void note_pan(struct sea_inject *si)
{
	struct rig *r = container_of(si, struct rig, si);

	r->pan = read_sysreg_s(SYS_PSTATE_PAN);
}

/* As an exception that the CPU takes by itself, it has user memory protected. */
static void pan(struct kunit *test)
{
	struct rig *r = rig_init(test);
	unsigned long left;

	if (!system_uses_hw_pan())
		kunit_skip(test, "needs PAN");
	r->si.real_claim = false;
	r->si.on_claim = note_pan;
	set(test, r, 1, SEA_RIG_POISON | SEA_RIG_NO_RECORD);
	set_pstate_pan(0);
	left = rig_copy(r, r->mem + GRANULE, 8);
	set_pstate_pan(1);
	KUNIT_EXPECT_EQ(test, left, 8);
	KUNIT_EXPECT_TRUE(test, r->pan);
}

static void patience_as_ever(void *unused)
{
	sea_rig_set_patience(SEA_RIG_PATIENCE_MS);
}

/* Two errors; nobody has read of the first. */
static struct rig *record_waits(struct kunit *test, unsigned int patience)
{
	struct rig *r = rig_init(test);

	need_records(test);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, patience_as_ever, NULL), 0);
	sea_rig_set_patience(patience);
	r->si.real_claim = false;
	set(test, r, 1, SEA_RIG_POISON);
	set(test, r, 2, SEA_RIG_POISON);
	KUNIT_EXPECT_EQ(test, rig_copy(r, r->mem + GRANULE, 8), 8);
	KUNIT_EXPECT_TRUE(test, sea_record_waits(&sync_source));
	return r;
}

/* Who keeps the reader of a record from running does not wait for it for ever. */
static void patience_ends(struct kunit *test)
{
	ktime_t start = ktime_get();
	struct rig *r = record_waits(test, 50);
	struct sea_rig_stats before, after;
	unsigned long left;
	s64 ms;

	sea_rig_stats(&before);
	local_irq_disable();
	left = rig_copy(r, r->mem + 2 * GRANULE, 8);
	local_irq_enable();
	ms = ktime_ms_delta(ktime_get(), start);
	sea_rig_stats(&after);

	KUNIT_EXPECT_EQ(test, left, 8);
	KUNIT_EXPECT_EQ(test, r->si.matches, 1);
	KUNIT_EXPECT_GE(test, ms, 50);
	KUNIT_EXPECT_LE(test, ms, SEA_RIG_PATIENCE_MS / 2);
	KUNIT_EXPECT_GT(test, after.again, before.again);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost + 1);
	KUNIT_EXPECT_EQ(test, after.aborts, before.aborts);
	/* That of the first is there as before. */
	expect_record(test, CPER_SEV_RECOVERABLE, true, granule_pa(r, 1));

	/* Once it is read, the next is written. */
	KUNIT_EXPECT_EQ(test, rig_copy(r, r->mem + 2 * GRANULE, 8), 8);
	expect_record(test, CPER_SEV_RECOVERABLE, true, granule_pa(r, 2));
}

/* What has no record waits for no other's reader. */
static const struct unrecorded {
	const char *name;
	unsigned long how;
} unrecordeds[] = {
	{ "no record", SEA_RIG_POISON | SEA_RIG_NO_RECORD },
	{ "dead", SEA_RIG_DEAD },
};

KUNIT_ARRAY_PARAM_DESC(unrecorded, unrecordeds, name);

static void unrecorded_at_once(struct kunit *test)
{
	const struct unrecorded *u = test->param_value;
	struct rig *r = record_waits(test, SEA_RIG_PATIENCE_MS);
	struct sea_rig_stats before, after;

	set(test, r, 2, u->how);
	sea_rig_stats(&before);
	KUNIT_EXPECT_EQ(test, rig_copy(r, r->mem + 2 * GRANULE, 8), 8);
	sea_rig_stats(&after);

	KUNIT_EXPECT_EQ(test, r->si.matches, 1);
	KUNIT_EXPECT_EQ(test, after.again, before.again);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost);
	expect_record(test, CPER_SEV_RECOVERABLE, true, granule_pa(r, 1));
}

/* And APEI, too, finds but the one. */
static void patience_ends_unclaimed(struct kunit *test)
{
	struct rig *r = record_waits(test, 50);

	local_irq_disable();
	KUNIT_EXPECT_EQ(test, rig_copy(r, r->mem + 2 * GRANULE, 8), 8);
	local_irq_enable();
	sea_record_drop(&sync_source);
	KUNIT_EXPECT_EQ(test, apei_claim_sea(NULL), -ENOENT);
	expect_no_record(test);
}

static void read_by_timer(struct timer_list *unused)
{
	sea_record_drop(&sync_source);
}

static DEFINE_TIMER(reader, read_by_timer);

/* An access that waits is made again, and has its own record in the end. */
static void record_is_read(struct kunit *test)
{
	struct rig *r = record_waits(test, SEA_RIG_PATIENCE_MS);
	struct sea_rig_stats before, after;

	sea_rig_stats(&before);
	mod_timer(&reader, jiffies + HZ / 10);
	KUNIT_EXPECT_EQ(test, rig_copy(r, r->mem + 2 * GRANULE, 8), 8);
	sea_rig_stats(&after);
	KUNIT_EXPECT_FALSE(test, timer_pending(&reader));

	KUNIT_EXPECT_EQ(test, r->si.matches, 1);
	KUNIT_EXPECT_GT(test, after.again, before.again);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost);
	KUNIT_EXPECT_EQ(test, after.aborts, before.aborts + 1);
	expect_record(test, CPER_SEV_RECOVERABLE, true, granule_pa(r, 2));
}

/* Repaired, or poisoned no more, while an access waits: it is a load like any other. */
static void repair_by_timer(struct timer_list *unused)
{
	sea_rig_repair();
}

static DEFINE_TIMER(repairer, repair_by_timer);

static void repaired_meanwhile(struct kunit *test)
{
	struct rig *r = record_waits(test, SEA_RIG_PATIENCE_MS);

	mod_timer(&repairer, jiffies + HZ / 10);
	KUNIT_EXPECT_EQ(test, rig_copy(r, r->mem + 2 * GRANULE, 8), 0);
	KUNIT_EXPECT_EQ(test, r->si.matches, 0);
	KUNIT_EXPECT_EQ(test, memcmp(r->to, r->mem + 2 * GRANULE, 8), 0);
	expect_record(test, CPER_SEV_RECOVERABLE, true, granule_pa(r, 1));
}

/* As many tasks, each on a CPU of its own, as the simulator knows at a time */
#define MAX_HANDS	8

struct crew;

struct hand {
	struct crew *crew;
	unsigned int nr;
	struct rig *r;
	unsigned int wrong;
	struct completion done;
};

/**
 * struct crew - tasks that do the same at the same time
 * @work: what they do
 * @rounds: how often
 * @shared: memory of all
 * @n: how many they are
 * @arrived: how often one came to a meeting
 * @late: one did not come
 * @hands: the tasks
 */
struct crew {
	void (*work)(struct hand *h);
	unsigned int rounds;
	struct rig *shared;
	unsigned int n;
	atomic_t arrived;
	bool late;
	struct hand hands[MAX_HANDS];
};

/* Nobody goes on before all are here. */
static bool meet(struct crew *crew)
{
	int all = roundup(atomic_inc_return(&crew->arrived), crew->n);
	unsigned long end = jiffies + 30 * HZ;

	while (atomic_read(&crew->arrived) < all) {
		if (READ_ONCE(crew->late) || time_after(jiffies, end)) {
			WRITE_ONCE(crew->late, true);
			return false;
		}
		cond_resched();
		cpu_relax();
	}
	return true;
}

static int hand_thread(void *data)
{
	struct hand *h = data;

	h->crew->work(h);
	/* Not by a return: a module may be gone by then. */
	kthread_complete_and_exit(&h->done, 0);
}

static struct crew *crew_init(struct kunit *test, void (*work)(struct hand *h),
			      unsigned int rounds)
{
	struct crew *crew = kunit_kzalloc(test, sizeof(*crew), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, crew);
	crew->work = work;
	crew->rounds = rounds;
	crew->shared = rig_init(test);
	crew->n = min(num_online_cpus(), MAX_HANDS);
	for (i = 0; i < crew->n; i++) {
		crew->hands[i] = (struct hand){ crew, i, rig_init(test) };
		init_completion(&crew->hands[i].done);
	}
	return crew;
}

static void crew_run(struct kunit *test, struct crew *crew)
{
	unsigned int cpu, i = 0, started;

	for_each_online_cpu(cpu) {
		if (i == crew->n ||
		    IS_ERR(kthread_run_on_cpu(hand_thread, &crew->hands[i], cpu, "sea_rig/%u")))
			break;
		i++;
	}
	started = i;
	if (started < crew->n)
		WRITE_ONCE(crew->late, true);
	for (i = 0; i < started; i++)
		wait_for_completion(&crew->hands[i].done);
	KUNIT_EXPECT_FALSE(test, crew->late);
	for (i = 0; i < crew->n; i++)
		KUNIT_EXPECT_EQ_MSG(test, crew->hands[i].wrong, 0, "task %u", i);
}

/* What one CPU says holds for all from then on, whatever they have in their TLBs. */
static void load_shared(struct hand *h)
{
	struct rig *shared = h->crew->shared, *r = h->r;
	const u8 *p = shared->mem + GRANULE;
	phys_addr_t pa = granule_pa(shared, 1);
	unsigned int i;

	for (i = 0; i < h->crew->rounds; i++) {
		unsigned long how = i & 1 ? SEA_RIG_DEAD : SEA_RIG_POISON | SEA_RIG_NO_RECORD;
		bool mine = i % h->crew->n == h->nr;

		h->wrong += rig_copy(r, p + i % GRANULE, 1) != 0;
		if (!meet(h->crew))
			return;
		if (mine)
			sea_rig_set(pa, GRANULE, how);
		if (!meet(h->crew))
			return;
		h->wrong += rig_copy(r, p + i % GRANULE, 1) != 1;
		if (!meet(h->crew))
			return;
		if (mine && i & 2)
			sea_rig_repair();
		else if (mine)
			sea_rig_set(pa, GRANULE, SEA_RIG_HEALTHY);
		if (!meet(h->crew))
			return;
		h->wrong += rig_copy(r, p + i % GRANULE, 1) != 0;
	}
}

static void all_cpus_at_once(struct kunit *test)
{
	struct crew *crew = crew_init(test, load_shared, 32);
	int i;

	for (i = 0; i < crew->n; i++)
		crew->hands[i].r->si.real_claim = false;
	crew_run(test, crew);
}

/* Each has poison of its own, and the record that is there when it asks is its own. */
static void consume(struct hand *h)
{
	struct rig *r = h->r;
	unsigned int i;

	for (i = 0; i < h->crew->rounds; i++) {
		size_t at = GRANULE + (i * 67 + h->nr) % (GRANULE - 64), n = 1 + i % 64;

		r->at = page_to_phys(r->page) + at;
		if (!meet(h->crew))
			return;
		h->wrong += rig_copy(r, r->mem + at, n) != n || r->si.fixed != 1 || r->si.died ||
			    r->si.claims != 1 || r->si.claim ||
			    r->si.fault != (unsigned long)r->mem + at;
	}
}

/* @by_apei: it reads the records; or the case does, which says nothing in the log */
static void consume_together(struct kunit *test, unsigned int rounds, unsigned long how,
			     bool by_apei)
{
	struct crew *crew = crew_init(test, consume, rounds);
	struct sea_rig_stats before, after;
	ktime_t start = ktime_get();
	int i;

	for (i = 0; i < crew->n; i++) {
		struct rig *r = crew->hands[i].r;

		set(test, r, 1, how);
		if (!sea_rig_reports())
			continue;
		r->si.on_claim = look_at_record;
		r->si.real_claim = by_apei;
		r->drop = !by_apei;
	}
	sea_rig_stats(&before);
	crew_run(test, crew);
	sea_rig_stats(&after);
	kunit_info(test, "%llu aborts on %u CPUs in %lld ms, %llu accesses made again\n",
		   after.aborts - before.aborts, crew->n, ktime_ms_delta(ktime_get(), start),
		   after.again - before.again);

	KUNIT_EXPECT_EQ(test, after.aborts - before.aborts, (u64)crew->n * rounds);
	KUNIT_EXPECT_EQ(test, after.lost, before.lost);
	for (i = 0; i < crew->n; i++) {
		struct rig *r = crew->hands[i].r;

		KUNIT_EXPECT_EQ_MSG(test, r->strangers, 0, "task %d", i);
		expect_isolated(test, r, sea_rig_reports() && by_apei);
	}
	expect_no_record(test);
}

static void together(struct kunit *test)
{
	consume_together(test, 20, SEA_RIG_POISON, true);
}

/* Each waits until its error has been announced and that was read. */
static void announced_together(struct kunit *test)
{
	need_records(test);
	consume_together(test, 2, SEA_RIG_POISON | SEA_RIG_ASYNC, true);
}

static void together_10000(struct kunit *test)
{
	consume_together(test, DIV_ROUND_UP(10000, min(num_online_cpus(), MAX_HANDS)),
			 SEA_RIG_POISON, false);
}

/* What the kernel's stub does not know, neither does what took its place; what it asks is known. */
static void unknown_call(struct kunit *test)
{
	struct arm_smccc_res res;

	need_rig(test);
	arm_smccc_1_1_hvc(RIG_HVC_FLUSH + 1, &res);
	KUNIT_EXPECT_EQ(test, res.a0, HVC_STUB_ERR);
#ifdef HVC_GET_ICH_VTR_EL2
	if (!cpus_have_final_cap(ARM64_HAS_GICV3_CPUIF))
		return;
	arm_smccc_1_1_hvc(HVC_GET_ICH_VTR_EL2, &res);
	KUNIT_EXPECT_EQ(test, res.a0, 0);
	KUNIT_EXPECT_NE(test, res.a1, 0);	/* at least the number of list registers */
#endif
}

/* On a CPU: what is healthy and what is not */
static int on_cpu(void *data)
{
	return aborting(data);
}

/* Others than these may be present and never have been online, as with maxcpus=2. */
static struct cpumask cpus_before;

static void cpus_back_on(void *unused)
{
	unsigned int cpu;

	for_each_cpu_andnot(cpu, &cpus_before, cpu_online_mask)
		add_cpu(cpu);
}

/* A CPU that comes back does so with the kernel's own vectors at EL2. */
static void cpu_comes_back(struct kunit *test)
{
	struct rig *r = rig_init(test);
	unsigned int cpu;

	if (!IS_ENABLED(CONFIG_HOTPLUG_CPU))
		kunit_skip(test, "needs HOTPLUG_CPU");
	cpumask_copy(&cpus_before, cpu_online_mask);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, cpus_back_on, NULL), 0);

	for_each_cpu(cpu, &cpus_before) {
		if (!cpu)
			continue;	/* keeps the time */
		KUNIT_ASSERT_EQ(test, remove_cpu(cpu), 0);
		/* It has not heard of it. */
		set(test, r, 1, SEA_RIG_POISON | SEA_RIG_NO_RECORD);
		set(test, r, 2, SEA_RIG_DEAD);
		KUNIT_ASSERT_EQ(test, add_cpu(cpu), 0);
		KUNIT_EXPECT_EQ_MSG(test, smp_call_on_cpu(cpu, on_cpu, r, false), 0x6, "CPU %u",
				    cpu);
		KUNIT_EXPECT_EQ(test, aborting(r), 0x6);
		sea_rig_repair();
		KUNIT_EXPECT_EQ_MSG(test, smp_call_on_cpu(cpu, on_cpu, r, false), 0, "CPU %u",
				    cpu);
	}
}

KUNIT_DEFINE_ACTION_WRAPPER(unmap, vunmap, const void *);

static void call(void *code)
{
	asm volatile("blr %0" : : "r" (code) : "x30", "memory");
}

/* What vmap() maps is no code, whatever it is told. */
static int make_code(pte_t *ptep, unsigned long addr, void *unused)
{
	set_pte_at(&init_mm, addr, ptep, pfn_pte(pte_pfn(ptep_get(ptep)), PAGE_KERNEL_ROX));
	return 0;
}

/* One of four instructions is in poison, the others are not. */
static void fetch(struct kunit *test)
{
	static const u32 insns[] = { 0xd503245f, 0xd65f03c0 };	/* BTI C, RET */
	struct rig *r = rig_init(test);
	struct page *pages[DIV_ROUND_UP(AREA_SIZE, PAGE_SIZE)];
	unsigned int i, n = ARRAY_SIZE(pages);
	u8 *code;

	for (i = 0; i < n; i++)
		pages[i] = r->page + i;
	for (i = 0; i < GRANULES; i++)
		memcpy(r->mem + i * GRANULE + 64, insns, sizeof(insns));
	flush_icache_range((unsigned long)r->mem, (unsigned long)r->mem + AREA_SIZE);
	code = vmap(pages, n, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, code);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unmap, code), 0);
	KUNIT_ASSERT_EQ(test, apply_to_page_range(&init_mm, (unsigned long)code, n * PAGE_SIZE,
						  make_code, NULL), 0);
	flush_tlb_kernel_range((unsigned long)code, (unsigned long)code + n * PAGE_SIZE);

	for (i = 0; i < GRANULES; i++) {
		unsigned long at = (unsigned long)code + i * GRANULE + 64;

		rig_access(r, call, (void *)at);
		KUNIT_EXPECT_EQ(test, r->si.matches, 0);
		set(test, r, 1, SEA_RIG_POISON);
		rig_access(r, call, (void *)at);
		sea_rig_repair();
		KUNIT_EXPECT_EQ(test, r->si.matches, i == 1);
		if (i != 1)
			continue;
		KUNIT_EXPECT_EQ(test, r->si.died, 1);
		KUNIT_EXPECT_EQ(test, r->si.claims, contract_claims(1, 0));
		KUNIT_EXPECT_EQ(test, r->si.esr, FETCH_SEA);
		KUNIT_EXPECT_EQ(test, r->si.fault, at);
		KUNIT_EXPECT_EQ(test, r->si.before.pc, at);
		KUNIT_EXPECT_STREQ(test, r->si.msg, "synchronous external abort");
		expect_record(test, CPER_SEV_RECOVERABLE, true, granule_pa(r, 1) + 64);
	}
	expect_no_record(test);
}

/* Physical address of the table whose entry is the one for @addr at @level, and 0 if none */
static phys_addr_t table_of(unsigned long addr, int level)
{
	pgd_t *pgd = pgd_offset(current->mm, addr);
	p4d_t *p4d = p4d_offset(pgd, addr);
	pud_t *pud = pud_offset(p4d, addr);
	pmd_t *pmd = pmd_offset(pud, addr);

	switch (level) {
	case 3:
		return pmd_page_paddr(*pmd);
	case 2:
		return __pa(pmd) & PAGE_MASK;
	case 1:
		return __pa(pud) & PAGE_MASK;
	}
	return 0;
}

/* The walk of a table of this level at @pa has aborted, once, and the access was made again. */
static void expect_walk(struct kunit *test, const struct rig *r, unsigned long addr, int level,
			phys_addr_t pa)
{
	struct sea_record record;
	char what[48];

	snprintf(what, sizeof(what), "level %d (translation table walk)", level);
	KUNIT_EXPECT_EQ(test, r->si.matches, 1);
	KUNIT_EXPECT_EQ(test, r->si.died, 1);
	KUNIT_EXPECT_EQ(test, r->si.claims, contract_claims(1, 0));
	KUNIT_EXPECT_STREQ(test, r->si.msg, what);
	KUNIT_EXPECT_EQ(test, r->si.fault, addr);
	KUNIT_EXPECT_EQ(test, r->si.esr & ~ESR_ELx_WNR,
			(DATA_SEA & ~ESR_ELx_FSC) | ESR_ELx_FSC_SEA_TTW(level));

	if (!sea_rig_reports())
		return;
	if (sea_record_read(&sync_source, &record))
		KUNIT_EXPECT_EQ(test, record.address & PAGE_MASK, pa);
	else
		KUNIT_FAIL(test, "no record of %pa\n", &pa);
	sea_record_drop(&sync_source);
}

/*
 * A poisoned page table: no failing copy gets rid of that. The root is left alone, which
 * may be but a part of a page.
 */
static void table_walk(struct kunit *test)
{
	struct rig *r = rig_init(test);
	unsigned long addr;
	u64 val;
	int level, i;

	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, put_user(0x1234567890abcdef, (u64 __user *)addr), 0);

	r->si.real_claim = false;
	for (level = 3; level > 4 - CONFIG_PGTABLE_LEVELS && level > 0; level--) {
		phys_addr_t pa = table_of(addr, level);

		for (i = 0; i < 2; i++) {
			int err;

			KUNIT_ASSERT_EQ(test, sea_rig_set(pa, PAGE_SIZE, SEA_RIG_POISON), 0);
			val = 0;
			sea_inject_arm(&r->si);
			if (i)
				err = put_user(0x1234567890abcdef, (u64 __user *)addr);
			else
				err = copy_from_user(&val, (u64 __user *)addr, sizeof(val));
			sea_inject_disarm(&r->si);
			sea_rig_repair();

			KUNIT_EXPECT_EQ(test, err, 0);
			if (!i)
				KUNIT_EXPECT_EQ(test, val, 0x1234567890abcdef);
			expect_walk(test, r, addr, level, pa);
		}
	}
}

KUNIT_DEFINE_ACTION_WRAPPER(free_area_of_addresses, free_vm_area, struct vm_struct *);

static int make_data(pte_t *ptep, unsigned long addr, void *data)
{
	struct page *page = data;

	set_pte_at(&init_mm, addr, ptep, mk_pte(page, PAGE_KERNEL));
	return 0;
}

/* The kernel's own tables; here, the last level of addresses that nobody else has. */
static void kernel_table_walk(struct kunit *test)
{
	struct rig *r = rig_init(test);
	struct vm_struct *area = get_vm_area(2 * PMD_SIZE, VM_MAP);
	unsigned long addr;
	phys_addr_t pa;

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_area_of_addresses, area), 0);
	addr = ALIGN((unsigned long)area->addr, PMD_SIZE);
	KUNIT_ASSERT_EQ(test, apply_to_page_range(&init_mm, addr, PAGE_SIZE, make_data, r->page),
			0);
	pa = pmd_page_paddr(*pmd_off_k(addr));

	rig_access(r, ldr, (void *)addr);
	KUNIT_EXPECT_EQ(test, r->si.matches, 0);
	KUNIT_ASSERT_EQ(test, sea_rig_set(pa, PAGE_SIZE, SEA_RIG_POISON), 0);
	rig_access(r, ldr, (void *)addr);
	sea_rig_repair();
	expect_walk(test, r, addr, 3, pa);
}

/* Without a check of KASAN's in front of it */
static noinline __no_sanitize_address u64 load_field(const u64 *p)
{
	return READ_ONCE(*p);
}

/* An object of the kernel's: it dies where that is used, with an address that says which. */
static void slab_object(struct kunit *test)
{
	struct rig *r = rig_init(test);
	struct kmem_cache *cache = kmem_cache_create("sea_rig", 256, 0, SLAB_NO_MERGE, NULL);
	phys_addr_t pa;
	u64 *object, val;

	KUNIT_ASSERT_NOT_NULL(test, cache);
	object = kmem_cache_zalloc(cache, GFP_KERNEL);
	if (!object) {
		kmem_cache_destroy(cache);
		KUNIT_FAIL_AND_ABORT(test, "no memory\n");
	}
	object[3] = 0xfeedULL;
	pa = __pa(object);

	sea_rig_set(pa, 256, SEA_RIG_POISON);
	r->si.real_claim = false;
	sea_inject_arm(&r->si);
	val = load_field(&object[3]);
	sea_inject_disarm(&r->si);
	sea_rig_repair();

	KUNIT_EXPECT_EQ(test, val, 0xfeedULL);
	KUNIT_EXPECT_EQ(test, r->si.matches, 1);
	KUNIT_EXPECT_EQ(test, r->si.died, 1);
	KUNIT_EXPECT_EQ(test, r->si.esr, DATA_SEA);
	KUNIT_EXPECT_EQ(test, __untagged_addr(r->si.fault),
			__untagged_addr((unsigned long)&object[3]));
	KUNIT_EXPECT_EQ(test, r->si.before.pc - (unsigned long)load_field < 32, true);
	expect_record(test, CPER_SEV_RECOVERABLE, true, pa + 24);

	kmem_cache_free(cache, object);
	kmem_cache_destroy(cache);
}

static struct kunit_case rig_cases[] = {
	KUNIT_CASE_PARAM(instruction, insn_gen_params),
	KUNIT_CASE_PARAM(copy_fails, copied_gen_params),
	KUNIT_CASE(neighbours),
	KUNIT_CASE(contents),
	KUNIT_CASE_PARAM(range_set, stretch_gen_params),
	KUNIT_CASE_PARAM(no_memory, no_memory_gen_params),
	KUNIT_CASE(no_answer),
	KUNIT_CASE(repair_all),
	KUNIT_CASE_PARAM(any_context, context_gen_params),
	KUNIT_CASE_PARAM(reported, report_gen_params),
	KUNIT_CASE(record_numbers),
	KUNIT_CASE(claimed_with_irqs_off),
	KUNIT_CASE(severity),
	KUNIT_CASE(pan),
	KUNIT_CASE(patience_ends),
	KUNIT_CASE(patience_ends_unclaimed),
	KUNIT_CASE_PARAM(unrecorded_at_once, unrecorded_gen_params),
	KUNIT_CASE(record_is_read),
	KUNIT_CASE(repaired_meanwhile),
	KUNIT_CASE(all_cpus_at_once),
	KUNIT_CASE(together),
	KUNIT_CASE_SLOW(announced_together),
	KUNIT_CASE_ATTR(together_10000, { .speed = KUNIT_SPEED_VERY_SLOW }),
	KUNIT_CASE(unknown_call),
	KUNIT_CASE(cpu_comes_back),
	KUNIT_CASE(fetch),
	KUNIT_CASE(table_walk),
	KUNIT_CASE(kernel_table_walk),
	KUNIT_CASE(slab_object),
	{}
};

static void rig_suite_exit(struct kunit_suite *suite)
{
	sea_source_forget(&sync_source);
	sea_source_forget(&async_source);
}

static struct kunit_suite rig_suite = {
	.name = "sea_rig",
	.suite_exit = rig_suite_exit,
	.test_cases = rig_cases,
};

kunit_test_suite(rig_suite);
