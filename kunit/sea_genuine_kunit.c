// SPDX-License-Identifier: GPL-2.0-only
/*
 * Genuine aborts of what is no copy routine: accesses of the compiler's, and
 * callers that a case can call. The routines are in copy_mc_genuine, the accessors of
 * user memory in uaccess_genuine. Simulated ones run through the same cases.
 */

#include <kunit/test.h>
#include <linux/ksm.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/rmap.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vmstat.h>

#include "contract/contract.h"
#include "inject/copy_case.h"
#include "inject/sea_edge.h"
#include "rig/sea_rig.h"

#define SIZE		(2 * PAGE_SIZE)
#define LEN		64

/* Accesses that nobody expects to fail, from 8 bytes before what aborts */
struct plain {
	const char *name;
	void (*access)(void *mem, void *buf);
	bool store;
};

static void load_memcpy(void *mem, void *buf)
{
	size_t n = LEN;

	OPTIMIZER_HIDE_VAR(n);		/* the routine, not loads of the compiler's */
	memcpy(buf, mem, n);
}

static void load_unaligned(void *mem, void *buf)
{
	*(u64 *)buf = READ_ONCE(*(u64 *)(mem + 3));
}

static void store_memcpy(void *mem, void *buf)
{
	size_t n = LEN;

	OPTIMIZER_HIDE_VAR(n);
	memcpy(mem, buf, n);
}

static void store_memset(void *mem, void *buf)
{
	size_t n = LEN;

	OPTIMIZER_HIDE_VAR(n);
	memset(mem, 0xee, n);
}

#define PLAIN(type)								\
static void load_##type(void *mem, void *buf)					\
{										\
	*(type *)buf = READ_ONCE(*(type *)(mem + 8));				\
}										\
										\
static void store_##type(void *mem, void *buf)					\
{										\
	WRITE_ONCE(*(type *)(mem + 8), *(type *)buf);				\
}

PLAIN(u8)
PLAIN(u16)
PLAIN(u32)
PLAIN(u64)

static const struct plain plains[] = {
	{ "memcpy from", load_memcpy },
	{ "memcpy to", store_memcpy, true },
	{ "memset", store_memset, true },
	{ "load across", load_unaligned },
	{ "load of u8", load_u8 },
	{ "load of u16", load_u16 },
	{ "load of u32", load_u32 },
	{ "load of u64", load_u64 },
	{ "store of u8", store_u8, true },
	{ "store of u16", store_u16, true },
	{ "store of u32", store_u32, true },
	{ "store of u64", store_u64, true },
};

KUNIT_ARRAY_PARAM_DESC(plain, plains, name);

static void *zalloc(struct kunit *test, size_t n)
{
	void *p = kunit_kzalloc(test, n, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	return p;
}

static noinline void access_armed(struct sea_inject *si, const struct plain *p, void *mem,
				  void *buf)
{
	sea_inject_arm(si);
	sea_clear_registers();
	p->access(mem, buf);
	sea_inject_disarm(si);
}

/* It dies, at the same place with the same registers. */
static void plain_dies(struct kunit *test)
{
	const struct plain *p = test->param_value;
	struct sea_inject *simulated = zalloc(test, sizeof(*simulated));
	struct sea_inject *si = zalloc(test, sizeof(*si));
	u8 *fill = zalloc(test, SIZE), *mem = zalloc(test, SIZE);
	u8 *buf = zalloc(test, LEN), *first = zalloc(test, SIZE);
	struct sea_edge edge;
	int i;

	sea_edge_init(test, &edge, si, SEA_EDGE_KERNEL, SIZE);
	memset(fill, 0x5a, SIZE);
	for (i = 0; i < 2; i++) {
		memset(buf, p->store ? 0x77 : 0, LEN);
		sea_edge_switch(test, &edge, i);
		sea_edge_write(test, &edge, fill);
		access_armed(si, p, (void *)sea_edge(&edge) - 8, buf);
		sea_edge_read(test, &edge, mem);

		KUNIT_EXPECT_GT(test, si->died, 0);
		KUNIT_EXPECT_EQ(test, si->fixed, 0);
		KUNIT_EXPECT_EQ(test, si->claims, contract_claims(si->died, 0));
		KUNIT_EXPECT_EQ(test, si->fault, sea_edge(&edge));
		KUNIT_EXPECT_EQ(test, !!(si->esr & ESR_ELx_WNR), p->store);
		KUNIT_EXPECT_STREQ(test, si->msg, "synchronous external abort");
		/* Made again, it has its effect. */
		KUNIT_EXPECT_EQ(test, buf[0], p->store ? 0x77 : 0x5a);
		KUNIT_EXPECT_EQ(test, memcmp(mem, fill, SIZE) != 0, p->store);
		if (i)
			break;
		*simulated = *si;
		memcpy(first, mem, SIZE);
	}
	KUNIT_EXPECT_EQ(test, memcmp(first, mem, SIZE), 0);
	sea_same(test, simulated, si, false);
}

static const struct injector {
	const char *name;
	bool genuine;
} injectors[] = {
	{ "simulated" }, { "genuine", true },
};

KUNIT_ARRAY_PARAM_DESC(injector, injectors, name);

/* Memory that aborts as the parameter of the test says */
static struct sea_edge *init_edge(struct kunit *test, enum sea_edge_kind kind, size_t size)
{
	const struct injector *injector = test->param_value;
	struct sea_edge *edge = zalloc(test, sizeof(*edge));
	u8 *fill = zalloc(test, size);
	size_t i;

	for (i = 0; i < size; i++)
		fill[i] = (i * 7 + i / 251) | 1;
	sea_edge_init(test, edge, zalloc(test, sizeof(struct sea_inject)), kind, size);
	sea_edge_write(test, edge, fill);
	sea_edge_switch(test, edge, injector->genuine);
	return edge;
}

static void expect_recovery(struct kunit *test, const struct sea_inject *si, const void *code)
{
	KUNIT_EXPECT_EQ(test, si->fixed, 1);
	KUNIT_EXPECT_EQ(test, si->claims, 1);
	KUNIT_EXPECT_EQ(test, si->died + si->retried, 0);
	KUNIT_EXPECT_EQ(test, si->fault, si->trap + si->mapped);
	KUNIT_EXPECT_GE(test, si->before.pc, (unsigned long)code);
	KUNIT_EXPECT_LT(test, si->before.pc, (unsigned long)code + 1024);
}

/* More pages than change hands for other reasons: to lose one each time shows. */
#define ROUNDS		4096

static unsigned long free_pages_now(void)
{
	return global_zone_page_state(NR_FREE_PAGES);
}

/* Per-CPU counters: preemption is off, as it is under the lock of a page table. */
static void add_rmap(struct folio *folio, struct vm_area_struct *vma, unsigned long addr)
{
	guard(preempt)();
	folio_add_new_anon_rmap(folio, vma, addr, RMAP_EXCLUSIVE);
}

static void remove_rmap(struct folio *folio, struct vm_area_struct *vma)
{
	guard(preempt)();
	folio_remove_rmap_pte(folio, folio_page(folio, 0), vma);
}

/* A page of another place in the address space, which the task has to have a copy of */
static void ksm_copy(struct kunit *test)
{
	struct sea_edge *edge = init_edge(test, SEA_EDGE_LINEAR, PAGE_SIZE);
	struct folio *folio = page_folio(edge->page), *got = NULL;
	struct sea_inject *si = edge->si;
	struct vm_area_struct *vma;
	unsigned long addr, before = 0, after = 0;
	unsigned int i, failed = 0, fixed = 0;
	int refs = 0;

	if (!IS_ENABLED(CONFIG_KSM))
		kunit_skip(test, "needs KSM");

	addr = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	/* That gives it an anon_vma. */
	KUNIT_ASSERT_EQ(test, put_user(0, (u8 __user *)addr), 0);

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma && vma->anon_vma) {
		__folio_mark_uptodate(folio);
		add_rmap(folio, vma, addr);
		refs = folio_ref_count(folio);
		before = free_pages_now();
		for (i = 0; i < ROUNDS; i++) {
			sea_inject_arm(si);
			got = ksm_might_need_to_copy(folio, vma, addr + PAGE_SIZE);
			sea_inject_disarm(si);
			failed += got == ERR_PTR(-EHWPOISON);
			fixed += si->fixed;
		}
		after = free_pages_now();
		refs -= folio_ref_count(folio);
		remove_rmap(folio, vma);
	}
	mmap_read_unlock(current->mm);

	KUNIT_ASSERT_NOT_NULL(test, got);
	KUNIT_EXPECT_EQ(test, failed, ROUNDS);
	KUNIT_EXPECT_EQ(test, fixed, ROUNDS);
	KUNIT_EXPECT_EQ(test, refs, 0);
	KUNIT_EXPECT_GT(test, after + ROUNDS / 2, before);
	expect_recovery(test, si, copy_mc_page);
}

/* As migration copies a folio */
static void migrated_folio(struct kunit *test)
{
	struct sea_edge *edge = init_edge(test, SEA_EDGE_LINEAR, PAGE_SIZE);
	struct folio *from = page_folio(edge->page);
	struct folio *to = folio_alloc(GFP_KERNEL, 0);
	struct sea_inject *si = edge->si;
	int from_refs = folio_ref_count(from);
	int err, to_refs;

	KUNIT_ASSERT_NOT_NULL(test, to);
	to_refs = folio_ref_count(to);
	sea_inject_arm(si);
	err = folio_mc_copy(to, from);
	sea_inject_disarm(si);

	KUNIT_EXPECT_EQ(test, err, -EHWPOISON);
	KUNIT_EXPECT_EQ(test, folio_ref_count(to), to_refs);
	KUNIT_EXPECT_EQ(test, folio_ref_count(from), from_refs);
	expect_recovery(test, si, copy_mc_page);
	folio_put(to);
}

/* What is before poison in the middle of a page is read, and the poison met once. */
static void remote_vm_part(struct kunit *test, struct sea_inject *si, unsigned long addr)
{
	const size_t n = 512, poison = 300, good = round_down(poison, 64);
	u8 *buf = zalloc(test, n);
	int copied;

	si->poison[0] = (struct sea_poison){ poison, 1 };
	memset(si->alias, 0x5a, n);
	sea_inject_arm(si);
	copied = access_remote_vm(current->mm, addr, buf, n, 0);
	sea_inject_disarm(si);

	KUNIT_EXPECT_GE(test, copied, CONTRACT_COUNT == COUNT_ALL_LEFT ? 0 : good);
	KUNIT_EXPECT_LE(test, copied, poison);
	KUNIT_EXPECT_EQ(test, si->fixed, 1);
	KUNIT_EXPECT_NULL(test, memchr_inv(buf, 0x5a, copied));
}

/* As ptrace() and /proc/PID/mem read what a process has in memory */
static void remote_vm(struct kunit *test)
{
	struct sea_edge *edge = init_edge(test, SEA_EDGE_LINEAR, PAGE_SIZE);
	unsigned long addr = sea_edge_map_user(test, edge);
	struct sea_inject *si = edge->si;
	u8 *buf = zalloc(test, LEN);
	int n;

	sea_inject_arm(si);
	n = access_remote_vm(current->mm, addr, buf, LEN, 0);
	sea_inject_disarm(si);

	if (CONTRACT_REMOTE_VM_RECOVERS) {
		KUNIT_EXPECT_EQ(test, n, 0);
		KUNIT_EXPECT_NULL(test, memchr_inv(buf, 0, LEN));
		expect_recovery(test, si, memcpy_mc);
		if (!si->genuine)
			remote_vm_part(test, si, addr);
	} else {
		/* Made again, it has its effect. */
		KUNIT_EXPECT_EQ(test, n, LEN);
		KUNIT_EXPECT_GT(test, si->died, 0);
		KUNIT_EXPECT_EQ(test, si->fixed, 0);
		KUNIT_EXPECT_EQ(test, si->claims, contract_claims(si->died, 0));
	}
}

/* An iterator of three segments, the second of which gets the poison */
#define SEGMENTS	3
#define SEGMENT		150
#define POISON		(SEGMENT + 70)

static void iter_copy(struct kunit *test, struct iov_iter *iter, const void *code,
		      enum contract_count count, size_t *copied)
{
	/* A segment is a copy of its own. */
	const size_t left = contract_most_left(count, SEGMENT, SEGMENT - POISON % SEGMENT);
	struct sea_edge *edge = init_edge(test, SEA_EDGE_KERNEL, SIZE);
	const void *from = (const void *)sea_edge(edge) - POISON;

	sea_inject_arm(edge->si);
	*copied = _copy_mc_to_iter(from, SEGMENTS * SEGMENT, iter);
	sea_inject_disarm(edge->si);

	/* What is said to be copied is all there was before, within the bound. */
	KUNIT_EXPECT_LE(test, *copied, POISON);
	KUNIT_EXPECT_GE(test, *copied + left, roundup(POISON, SEGMENT));
	KUNIT_EXPECT_EQ(test, iov_iter_count(iter), SEGMENTS * SEGMENT - *copied);
	expect_recovery(test, edge->si, code);
}

/* @to is as it was, but for what was copied, or copied and not counted. */
static void expect_copied(struct kunit *test, const u8 *to, size_t copied)
{
	size_t start = SIZE - PAGE_SIZE - POISON;
	size_t i, wrong = 0;

	for (i = 0; i < copied; i++)
		wrong += to[i] != (u8)(((start + i) * 7 + (start + i) / 251) | 1);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(to + POISON, 0, SEGMENTS * SEGMENT - POISON));
}

static void kvec_copy(struct kunit *test)
{
	u8 *to = zalloc(test, SEGMENTS * SEGMENT);
	struct kvec kvec[SEGMENTS];
	struct iov_iter iter;
	size_t copied;
	int i;

	for (i = 0; i < SEGMENTS; i++)
		kvec[i] = (struct kvec){ to + i * SEGMENT, SEGMENT };
	iov_iter_kvec(&iter, ITER_DEST, kvec, SEGMENTS, SEGMENTS * SEGMENT);
	iter_copy(test, &iter, memcpy_mc, CONTRACT_COUNT, &copied);
	expect_copied(test, to, copied);
}

static void iovec_copy(struct kunit *test)
{
	unsigned long user = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
					   MAP_ANONYMOUS | MAP_PRIVATE, 0);
	u8 *to = zalloc(test, SEGMENTS * SEGMENT);
	struct iovec iovec[SEGMENTS];
	struct iov_iter iter;
	size_t copied;
	int i;

	KUNIT_ASSERT_NE(test, user, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(user));
	KUNIT_ASSERT_EQ(test, clear_user((void __user *)user, PAGE_SIZE), 0);
	for (i = 0; i < SEGMENTS; i++)
		iovec[i] = (struct iovec){ (void __user *)(user + i * SEGMENT), SEGMENT };
	iov_iter_init(&iter, ITER_DEST, iovec, SEGMENTS, SEGMENTS * SEGMENT);
	iter_copy(test, &iter, __arch_copy_to_user, CONTRACT_USER_COUNT, &copied);
	KUNIT_ASSERT_EQ(test, copy_from_user(to, (void __user *)user, SEGMENTS * SEGMENT), 0);
	expect_copied(test, to, copied);
}

static void bvec_copy(struct kunit *test)
{
	u8 *to = (u8 *)kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct bio_vec bvec[SEGMENTS];
	struct iov_iter iter;
	size_t copied;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, to);
	for (i = 0; i < SEGMENTS; i++)
		bvec_set_page(&bvec[i], virt_to_page(to), SEGMENT, i * SEGMENT);
	iov_iter_bvec(&iter, ITER_DEST, bvec, SEGMENTS, SEGMENTS * SEGMENT);
	iter_copy(test, &iter, memcpy_mc, CONTRACT_COUNT, &copied);
	expect_copied(test, to, copied);
}

/* A case that ends while a page is dead leaves none that is. */
static struct page *left_page;

static void left_dead(struct kunit *test)
{
	static const struct injector genuine = { "genuine", true };
	struct sea_edge *edge;

	test->param_value = &genuine;
	edge = init_edge(test, SEA_EDGE_KERNEL, SIZE);
	get_page(edge->page);
	left_page = edge->page;
}

static void repaired(struct kunit *test)
{
	struct sea_inject *si = zalloc(test, sizeof(*si));
	u8 *buf = zalloc(test, LEN);
	struct page *page;
	unsigned long left;

	if (sea_rig_missing())
		kunit_skip(test, "%s", sea_rig_missing());

	/* If the case before did not run, this one has little to say. */
	page = left_page ?: alloc_page(GFP_HIGHUSER_MOVABLE);
	left_page = NULL;
	KUNIT_ASSERT_NOT_NULL(test, page);
	/* So that nothing worse happens if it is not */
	si->genuine = true;
	si->revive = sea_rig_repair;
	sea_inject_arm(si);
	memset(page_address(page), 0x3c, LEN);
	left = copy_mc_to_kernel(buf, page_address(page), LEN);
	sea_inject_disarm(si);
	__free_page(page);

	KUNIT_EXPECT_EQ(test, si->matches, 0);
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(buf, 0x3c, LEN));
}

static struct kunit_case genuine_cases[] = {
	KUNIT_CASE_PARAM(plain_dies, plain_gen_params),
	KUNIT_CASE_PARAM(ksm_copy, injector_gen_params),
	KUNIT_CASE_PARAM(migrated_folio, injector_gen_params),
	KUNIT_CASE_PARAM(remote_vm, injector_gen_params),
	KUNIT_CASE_PARAM(kvec_copy, injector_gen_params),
	KUNIT_CASE_PARAM(iovec_copy, injector_gen_params),
	KUNIT_CASE_PARAM(bvec_copy, injector_gen_params),
	KUNIT_CASE(left_dead),
	KUNIT_CASE(repaired),
	{}
};

static struct kunit_suite genuine_suite = {
	.name = "sea_genuine",
	.test_cases = genuine_cases,
};

kunit_test_suite(genuine_suite);
