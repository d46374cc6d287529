// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulated and genuine aborts at the same address, and what they have in common; see
 * sea_edge.h.
 */

#include <kunit/resource.h>
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/set_memory.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/tlbflush.h>

#include "../rig/sea_rig.h"
#include "sea_edge.h"

KUNIT_DEFINE_ACTION_WRAPPER(unmap_contents, vunmap, const void *);
KUNIT_DEFINE_ACTION_WRAPPER(free_edge, free_vm_area, struct vm_struct *);

static void free_dead(void *page)
{
	__free_page(page);
}

static void repair(void *unused)
{
	sea_rig_repair();
}

static void hide_linear(struct page *page)
{
	unsigned long addr = (unsigned long)page_address(page);

	set_direct_map_invalid_noflush(page);
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
}

static void show_linear(void *page)
{
	set_direct_map_default_noflush(page);
}

static unsigned long init_kernel(struct kunit *test, struct sea_edge *e)
{
	size_t n = e->si->mapped / PAGE_SIZE;
	struct page **pages;
	unsigned long addr;
	size_t i;

	pages = kunit_kcalloc(test, n, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < n; i++)
		pages[i] = virt_to_page(e->si->alias + i * PAGE_SIZE);

	e->area = get_vm_area(e->si->size, VM_SPARSE);
	KUNIT_ASSERT_NOT_NULL(test, e->area);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_edge, e->area), 0);

	addr = (unsigned long)e->area->addr;
	KUNIT_ASSERT_EQ(test, vm_area_map_pages(e->area, addr, addr + e->si->mapped, pages), 0);
	return addr;
}

/* Shared, as in a private mapping a page that is not its own cannot be written. */
static unsigned long user_memory(struct kunit *test, size_t size)
{
	unsigned long addr = kunit_vm_mmap(test, NULL, 0, size, PROT_READ | PROT_WRITE,
					   MAP_ANONYMOUS | MAP_SHARED, 0);

	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return addr;
}

static unsigned long init_linear(struct kunit *test, struct sea_edge *e)
{
	if (!can_set_direct_map())
		kunit_skip(test, "needs RODATA_FULL");
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, show_linear, e->page), 0);
	hide_linear(e->page);
	return (unsigned long)page_address(e->page);
}

/**
 * sea_edge_init() - make memory whose last page aborts, simulated to begin with
 * @test: the test it lives as long as
 * @e: where to put it
 * @si: its injection: aborts there are claimed, until the caller says otherwise
 * @kind: where it is mapped
 * @size: in bytes, whole pages; a power of 2, for the sake of kmalloc()'s alignment
 *
 * No page is dead when the test is over, whatever becomes of it. May sleep. Where it
 * is impossible the test ends.
 */
void sea_edge_init(struct kunit *test, struct sea_edge *e, struct sea_inject *si,
		   enum sea_edge_kind kind, size_t size)
{
	if (sea_rig_missing())
		kunit_skip(test, "%s", sea_rig_missing());

	e->kind = kind;
	e->si = si;
	/* As user space has it: without a KASAN tag in its address */
	e->page = alloc_page(GFP_HIGHUSER_MOVABLE);
	KUNIT_ASSERT_NOT_NULL(test, e->page);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_dead, e->page), 0);
	e->contents = vmap(&e->page, 1, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, e->contents);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unmap_contents, e->contents), 0);

	si->size = size;
	si->mapped = size - PAGE_SIZE;
	si->alias = kunit_kzalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, si->alias);
	if (kind == SEA_EDGE_KERNEL)
		si->trap = init_kernel(test, e);
	else if (kind == SEA_EDGE_USER)
		si->trap = user_memory(test, size);
	else
		si->trap = init_linear(test, e);
	si->trap = __untagged_addr(si->trap);
	si->fsc = ESR_ELx_FSC_EXTABT;
	si->poison[0] = (struct sea_poison){ si->mapped, PAGE_SIZE };
	si->revive = sea_rig_repair;
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, repair, NULL), 0);
}

static void set_healthy(struct kunit *test, struct sea_edge *e)
{
	KUNIT_ASSERT_EQ(test, sea_rig_set(page_to_phys(e->page), PAGE_SIZE, SEA_RIG_HEALTHY), 0);
	e->dead = false;
}

static void set_dead(struct kunit *test, struct sea_edge *e)
{
	if (!e->dead)
		KUNIT_ASSERT_EQ(test, sea_rig_set(page_to_phys(e->page), PAGE_SIZE,
						  SEA_RIG_DEAD), 0);
	e->dead = true;
}

static int map_user(unsigned long addr, struct page *page)
{
	struct vm_area_struct *vma;
	int err;

	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	err = vma ? vm_insert_page(vma, addr, page) : -EFAULT;
	mmap_write_unlock(current->mm);
	return err;
}

/**
 * sea_edge_map_user() - have the task map the page that aborts
 * @test: the test it does for as long as
 * @e: the memory, of any other kind than SEA_EDGE_USER
 *
 * May sleep. Where that is impossible the test ends.
 *
 * Return: the user address, where nothing aborts unless the page is dead.
 */
unsigned long sea_edge_map_user(struct kunit *test, struct sea_edge *e)
{
	unsigned long addr = user_memory(test, PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, map_user(addr, e->page), 0);
	return addr;
}

static int unmap_user(unsigned long addr)
{
	struct vm_area_struct *vma;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma)
		unmap_mapping_range(vma->vm_file->f_mapping,
				    (loff_t)linear_page_index(vma, addr) << PAGE_SHIFT,
				    PAGE_SIZE, 1);
	mmap_read_unlock(current->mm);
	return vma ? 0 : -EFAULT;
}

/**
 * sea_edge_switch() - choose how the last page aborts
 * @test: the test
 * @e: the memory
 * @genuine: because it is dead, from now on, or by the simulator
 *
 * To be called before each access: an abort that would have been fatal has the page
 * repaired. May sleep.
 */
void sea_edge_switch(struct kunit *test, struct sea_edge *e, bool genuine)
{
	unsigned long addr = sea_edge(e);
	int err = 0;

	/* Then the last abort had it repaired. */
	if (e->si->genuine && (e->si->died || e->si->retried))
		e->dead = false;
	if (genuine)
		set_dead(test, e);
	if (e->si->genuine == genuine)
		return;

	if (e->kind == SEA_EDGE_LINEAR && genuine)
		show_linear(e->page);
	else if (e->kind == SEA_EDGE_LINEAR)
		hide_linear(e->page);
	else if (e->kind == SEA_EDGE_USER)
		err = genuine ? map_user(addr, e->page) : unmap_user(addr);
	else if (genuine)
		err = vm_area_map_pages(e->area, addr, addr + PAGE_SIZE, &e->page);
	else
		vm_area_unmap_pages(e->area, addr, addr + PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, err, 0);
	e->si->genuine = genuine;
}

/**
 * sea_edge_write() - fill the memory
 * @test: the test
 * @e: the memory
 * @from: with what, as much as it holds
 *
 * The last page is written in both its forms. May sleep.
 */
void sea_edge_write(struct kunit *test, struct sea_edge *e, const u8 *from)
{
	struct sea_inject *si = e->si;

	memcpy(si->alias, from, si->size);
	if (e->kind == SEA_EDGE_USER)
		KUNIT_ASSERT_EQ(test, copy_to_user((void __user *)si->trap, from, si->mapped), 0);

	set_healthy(test, e);
	memcpy(e->contents, from + si->mapped, PAGE_SIZE);
	if (si->genuine)
		set_dead(test, e);
}

/**
 * sea_edge_read() - see what the memory holds
 * @test: the test
 * @e: the memory
 * @to: where to put it
 *
 * The last page is the one that aborts now. May sleep.
 */
void sea_edge_read(struct kunit *test, struct sea_edge *e, u8 *to)
{
	struct sea_inject *si = e->si;

	memcpy(to, si->alias, si->size);
	if (e->kind == SEA_EDGE_USER)
		KUNIT_ASSERT_EQ(test, copy_from_user(to, (void __user *)si->trap, si->mapped), 0);
	if (!si->genuine)
		return;

	set_healthy(test, e);
	memcpy(to + si->mapped, e->contents, PAGE_SIZE);
	set_dead(test, e);
}

static bool same(struct kunit *test, const char *what, u64 simulated, u64 genuine)
{
	if (simulated == genuine)
		return true;

	KUNIT_FAIL(test, "%s: %#llx if simulated, %#llx if genuine\n", what, simulated, genuine);
	return false;
}

/* Set on exception entry, and by a context switch left as the task before had them */
#define PSTATE_ALLINT	BIT(13)
#define PSTATE_VARIES	(PSR_DIT_BIT | PSTATE_ALLINT)

/* Temporaries that neither abort has changed */
static u32 stale_regs(const struct sea_inject *simulated, const struct sea_inject *genuine)
{
	u32 stale = 0;
	int i;

	for (i = 8; i <= 17; i++)
		if (simulated->before.regs[i] == simulated->after.regs[i] &&
		    genuine->before.regs[i] == genuine->after.regs[i])
			stale |= BIT(i);
	return stale;
}

static bool same_regs(struct kunit *test, const char *when, const struct pt_regs *simulated,
		      const struct pt_regs *genuine, u32 stale)
{
	char what[32];
	bool ok = true;
	int i;

	for (i = 0; i < ARRAY_SIZE(simulated->regs); i++) {
		if (stale & BIT(i))
			continue;
		snprintf(what, sizeof(what), "x%d %s", i, when);
		ok &= same(test, what, simulated->regs[i], genuine->regs[i]);
	}
	snprintf(what, sizeof(what), "sp %s", when);
	ok &= same(test, what, simulated->sp, genuine->sp);
	snprintf(what, sizeof(what), "pc %s", when);
	ok &= same(test, what, simulated->pc, genuine->pc);
	snprintf(what, sizeof(what), "pstate %s", when);
	return same(test, what, simulated->pstate & ~PSTATE_VARIES,
		    genuine->pstate & ~PSTATE_VARIES) && ok;
}

static bool at_cpy(const struct sea_inject *si)
{
	struct sea_access a;

	return si->before.pc && sea_decode(le32_to_cpup((__le32 *)si->before.pc), &a) &&
	       a.kind == SEA_CPY;
}

/**
 * sea_same() - hold the record of a simulated abort against that of a genuine one
 * @test: the test
 * @simulated: an injection that is over
 * @genuine: the other one
 * @wrapped: by code in C, which may leave in temporaries what it likes
 *
 * The architecture leaves it to the CPU how a copy is split among CPY* instructions and
 * when they update the registers: of these it is only asserted that both abort. May sleep.
 *
 * Return: false if they differ, after which the test has failed.
 */
bool sea_same(struct kunit *test, const struct sea_inject *simulated,
	      const struct sea_inject *genuine, bool wrapped)
{
	u32 stale = wrapped ? stale_regs(simulated, genuine) : 0;
	/* Not valid: the syndrome of an instruction, which is there for EL2 only */
	unsigned long esr = ESR_ELx_EC_DABT_CUR << ESR_ELx_EC_SHIFT | ESR_ELx_IL |
			    ESR_ELx_FSC_EXTABT;
	bool ok;

	ok = same(test, "ESR", simulated->esr, genuine->esr);
	if (genuine->matches)
		ok &= same(test, "ESR but for WnR", esr, genuine->esr & ~ESR_ELx_WNR);
	ok &= same(test, "FAR", simulated->fault, genuine->fault);
	ok &= same(test, "fixed up", simulated->fixed, genuine->fixed);
	ok &= same(test, "died", simulated->died, genuine->died);
	ok &= same(test, "ran again", simulated->retried, genuine->retried);
	ok &= same(test, "claims", simulated->claims, genuine->claims);
	ok &= same(test, "reason", (unsigned long)simulated->msg, (unsigned long)genuine->msg);
	if (at_cpy(simulated) || at_cpy(genuine))
		return same(test, "CPY*", at_cpy(simulated), at_cpy(genuine)) && ok;

	ok &= same_regs(test, "before", &simulated->before, &genuine->before, stale);
	return same_regs(test, "after", &simulated->after, &genuine->after, stale) && ok;
}
