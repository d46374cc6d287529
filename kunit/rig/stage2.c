// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory that the firmware can poison, and the firmware itself on each CPU.
 *
 * Stage 2 maps every address to itself. All memory is split down to pages in advance: from
 * then on it is the firmware that changes leaves.
 */

#define pr_fmt(fmt) "sea_rig: " fmt

#include <kunit/visibility.h>
#include <linux/acpi.h>
#include <linux/arm-smccc.h>
#include <linux/cpuhotplug.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/kvm_host.h>
#include <linux/memblock.h>
#include <linux/of.h>
#include <linux/percpu.h>

#include <asm/arch_timer.h>
#include <asm/virt.h>

#include "firmware.h"
#include "sea_rig.h"

/* The kernel's arguments that leave EL2 to the firmware */
#define AT_EL1		"id_aa64mmfr1.vh=0 arm64_sw.hvhe=0 kvm-arm.mode=none"

#define S2_ENTRIES	512
#define S2_PAGE_SIZE	BIT(RIG_PAGE_SHIFT)
#define S2_PMD_SIZE	(S2_ENTRIES * S2_PAGE_SIZE)
#define S2_PUD_SIZE	(S2_ENTRIES * S2_PMD_SIZE)
#define S2_ROOT_ENTRIES	(2 * S2_ENTRIES)

/* 40 bits of IPA and PA, 4K, from level 1; walks are write-back, inner shareable */
#define S2_VTCR		(BIT(31) | 2 << 16 /* PS */ | 3 << 12 /* SH0 */ | 1 << 10 /* ORGN0 */ | \
			 1 << 8 /* IRGN0 */ | 1 << 6 /* SL0 */ | (64 - RIG_IPA_BITS))

/* What goes with SEA_RIG_POISON */
#define WITH_POISON	(SEA_RIG_FATAL | SEA_RIG_NO_ADDRESS | SEA_RIG_NO_RECORD | SEA_RIG_ASYNC)

/* What the firmware saves, in a piece of memory that is one physically as well */
typedef u64 rig_stack[16] __aligned(128);

struct rig_firmware rig_firmware;

static u64 *s2_root;
static DEFINE_PER_CPU(rig_stack, stack);
static const char *missing = "needs RIG: another machine";

static u64 rig_hvc(u64 function, u64 a, u64 b, u64 c)
{
	struct arm_smccc_res res;

	arm_smccc_1_1_hvc(function, a, b, c, &res);
	return res.a0;
}

/* A table of 4K, whatever the size of a page is here */
static u64 * __init s2_alloc(void)
{
	static void *page;
	static size_t left;

	if (!left) {
		page = (void *)get_zeroed_page(GFP_KERNEL);
		if (!page)
			return NULL;
		left = PAGE_SIZE;
	}
	left -= S2_PAGE_SIZE;
	return page + left;
}

/* Replaces a block by a table that says the same: QEMU needs no break before make. */
static u64 * __init s2_split(u64 *entry, size_t size, u64 type)
{
	u64 *table = __va(*entry & S2_ADDR);
	u64 i;

	if (*entry & S2_TABLE)
		return table;

	table = s2_alloc();
	if (!table)
		return NULL;
	for (i = 0; i < S2_ENTRIES; i++)
		table[i] = (*entry & S2_ADDR) + i * size + type;
	dsb(ishst);
	WRITE_ONCE(*entry, __pa(table) | S2_TABLE | S2_VALID);
	return table;
}

/* The entry of @pa's table at level 3, whatever is there */
static u64 * __init s2_pmd(phys_addr_t pa)
{
	u64 *table = s2_split(&s2_root[pa / S2_PUD_SIZE], S2_PMD_SIZE, S2_BLOCK);

	return table ? &table[pa / S2_PMD_SIZE % S2_ENTRIES] : NULL;
}

static u64 * __init s2_leaf(phys_addr_t pa)
{
	u64 *pmd = s2_pmd(pa);
	u64 *table = pmd ? s2_split(pmd, S2_PAGE_SIZE, S2_HEALTHY) : NULL;

	return table ? &table[pa / S2_PAGE_SIZE % S2_ENTRIES] : NULL;
}

static int __init s2_split_memory(phys_addr_t start, phys_addr_t end)
{
	phys_addr_t pa;

	if (!end || (end - 1) >> RIG_IPA_BITS)
		return -ERANGE;
	for (pa = ALIGN_DOWN(start, S2_PMD_SIZE); pa < end; pa += S2_PMD_SIZE) {
		if (!s2_leaf(pa))
			return -ENOMEM;
		*s2_pmd(pa) |= BIT(S2_MEMORY_SHIFT);
	}
	return 0;
}

static int __init s2_init(void)
{
	phys_addr_t start, end;
	int err;
	u64 i;

	/* Aligned to its size, as two tables side by side have to be */
	s2_root = (u64 *)__get_free_pages(GFP_KERNEL, get_order(S2_ROOT_ENTRIES * sizeof(u64)));
	if (!s2_root)
		return -ENOMEM;
	for (i = 0; i < S2_ROOT_ENTRIES; i++)
		s2_root[i] = i * S2_PUD_SIZE | S2_BLOCK;
	for_each_mem_range(i, &start, &end) {
		err = s2_split_memory(start, end);
		if (err)
			return err;
	}
	rig_firmware.root = __pa(s2_root);
	return 0;
}

/* The firmware's registers and records: memory where the machine has none */
static int __init window_init(void)
{
	struct rig_window *w = (void *)get_zeroed_page(GFP_KERNEL);
	u64 *leaf = s2_leaf(RIG_WINDOW), *doorbell = s2_leaf(RIG_DOORBELL);

	BUILD_BUG_ON(sizeof(*w) > S2_PAGE_SIZE);
	if (!w || !leaf || !doorbell)
		return -ENOMEM;
	*leaf = __pa(w) | S2_HEALTHY;
	*doorbell = 0;
	rig_firmware.window = __pa(w);
	return 0;
}

/* On every CPU, before its first interrupt: it starts with the kernel's stub at EL2. */
static int rig_starting(unsigned int cpu)
{
	__hyp_set_vectors(__pa_symbol(rig_firmware_vectors));
	rig_hvc(RIG_HVC_ENABLE, per_cpu_ptr_to_phys(this_cpu_ptr(&stack)) + sizeof(stack), S2_VTCR,
		rig_firmware.root);
	return 0;
}

static bool __init on_qemu_virt(void)
{
	if (acpi_disabled)
		return of_machine_is_compatible("linux,dummy-virt");

	return !memcmp(acpi_gbl_FADT.header.oem_id, "BOCHS ", ACPI_OEM_ID_SIZE);
}

static const char * __init why_not(void)
{
	if (!on_qemu_virt())
		return missing;
	if (is_kernel_in_hyp_mode())
		return "needs RIG: a kernel at EL1, as with " AT_EL1;
	if (!is_hyp_mode_available())
		return "needs RIG: EL2, as of -machine virtualization=on";
	if (kvm_get_mode() != KVM_MODE_NONE)
		return "needs RIG: EL2 without KVM, as with kvm-arm.mode=none";
	return NULL;
}

/* Before ACPI looks at its error sources, and with all CPUs online */
static int __init rig_init(void)
{
	int err;

	missing = why_not();
	if (missing) {
		pr_info("%s\n", missing);
		return 0;
	}

	err = s2_init();
	sea_rig_set_patience(SEA_RIG_PATIENCE_MS);
	if (!err && !acpi_disabled)
		err = window_init();
	if (!err)
		/* A state that nobody needs on this machine; there are no dynamic ones so early. */
		err = cpuhp_setup_state(CPUHP_AP_ARM_XEN_STARTING, "kunit/sea_rig:starting",
					rig_starting, NULL);
	if (!err && !acpi_disabled)
		err = rig_window_init(__va(rig_firmware.window));
	if (err) {
		missing = err == -EEXIST ? "needs RIG: a machine without HEST and EINJ, no ras=on" :
					   "needs RIG: memory";
		pr_err("cannot be set up: %pe\n", ERR_PTR(err));
		rig_firmware.window = 0;
		return err;
	}

	pr_info("firmware at EL2, %s error records\n", sea_rig_reports() ? "with" : "without");
	return 0;
}
arch_initcall(rig_init);

static int __init split_pmem(struct resource *res, void *unused)
{
	return s2_split_memory(res->start, res->end + 1);
}

/* By now persistent memory is known as well. */
static int __init rig_late_init(void)
{
	int err;

	if (missing)
		return 0;

	err = walk_iomem_res_desc(IORES_DESC_PERSISTENT_MEMORY, IORESOURCE_MEM, 0, -1, NULL,
				  split_pmem);
	if (err && err != -EINVAL)
		pr_err("persistent memory cannot be poisoned: %pe\n", ERR_PTR(err));
	rig_hvc(RIG_HVC_FLUSH, 0, 0, 0);
	rig_files_init();
	return 0;
}
late_initcall(rig_late_init);

/**
 * sea_rig_missing() - ask for the rig
 *
 * Context: any.
 * Return: NULL if it is there, or why it is not, in the words in which a case is skipped.
 */
const char *sea_rig_missing(void)
{
	return missing;
}
EXPORT_SYMBOL_IF_KUNIT(sea_rig_missing);

/**
 * sea_rig_reports() - whether poison that is consumed is reported to APEI
 *
 * Context: any.
 * Return: false without ACPI.
 */
bool sea_rig_reports(void)
{
	return rig_firmware.window;
}
EXPORT_SYMBOL_IF_KUNIT(sea_rig_reports);

/**
 * sea_rig_set() - say how memory answers from now on, on all CPUs
 * @pa: physical address; the page of 4 KiB around it is the first
 * @size: in bytes, to the end of the last page
 * @how: SEA_RIG_HEALTHY, SEA_RIG_DEAD, or SEA_RIG_POISON with what is to go with it
 *
 * What poisons a page heals it before the page goes back to its allocator.
 *
 * Context: any.
 * Return: 0; -EINVAL if not all of that is memory, or @how says what there is not, what goes
 * with no poison, or both that there is no record and a second one; -ENODEV without a rig.
 */
int sea_rig_set(phys_addr_t pa, size_t size, unsigned long how)
{
	unsigned long known = how & SEA_RIG_POISON ? SEA_RIG_POISON | WITH_POISON : SEA_RIG_DEAD;
	u64 leaf = S2_HEALTHY;

	if (missing)
		return -ENODEV;
	if (!size || pa + size < pa || how & ~known ||
	    (how & SEA_RIG_NO_RECORD && how & SEA_RIG_ASYNC))
		return -EINVAL;

	if (how & SEA_RIG_DEAD) {
		leaf = S2_DEAD;
	} else if (how & SEA_RIG_POISON) {
		leaf = S2_POISON;
		leaf |= how & SEA_RIG_FATAL ? BIT(S2_FATAL_SHIFT) : 0;
		leaf |= how & SEA_RIG_NO_ADDRESS ? BIT(S2_NO_ADDRESS_SHIFT) : 0;
		leaf |= how & SEA_RIG_NO_RECORD ? BIT(S2_NO_RECORD_SHIFT) : 0;
		leaf |= how & SEA_RIG_ASYNC ? BIT(S2_ASYNC_SHIFT) : 0;
	}
	return rig_hvc(RIG_HVC_SET, pa, size, leaf);
}
EXPORT_SYMBOL_IF_KUNIT(sea_rig_set);

/**
 * sea_rig_repair() - have all memory be healthy
 *
 * The contents are as they were last stored. Pages that memory_failure() has isolated stay so.
 *
 * Context: any.
 */
void sea_rig_repair(void)
{
	if (!missing)
		rig_hvc(RIG_HVC_REPAIR, 0, 0, 0);
}
EXPORT_SYMBOL_IF_KUNIT(sea_rig_repair);

/**
 * sea_rig_stats() - see what the firmware has done
 * @s: where to put it
 *
 * Context: any.
 */
void sea_rig_stats(struct sea_rig_stats *s)
{
	s->aborts = READ_ONCE(rig_firmware.aborts);
	s->again = READ_ONCE(rig_firmware.again);
	s->lost = READ_ONCE(rig_firmware.lost);
}
EXPORT_SYMBOL_IF_KUNIT(sea_rig_stats);

/**
 * sea_rig_set_severity() - choose what the CPU says of an error
 * @set: ESR_EL1.SET, of two bits, of all aborts from now on that are no table walk's
 *
 * DDI 0487, "ESR_EL1, ISS encoding for an exception from a Data Abort"
 *
 * Context: any.
 */
void sea_rig_set_severity(unsigned int set)
{
	WRITE_ONCE(rig_firmware.set, set & 3);
}
EXPORT_SYMBOL_IF_KUNIT(sea_rig_set_severity);

/**
 * sea_rig_repeat() - have the next record say what the last one said
 *
 * A firmware without numbers does, where the same address aborts again.
 *
 * Context: any, without an error at the same time.
 */
void sea_rig_repeat(void)
{
	WRITE_ONCE(rig_firmware.records, rig_firmware.records - 1);
}
EXPORT_SYMBOL_IF_KUNIT(sea_rig_repeat);

/**
 * sea_rig_set_patience() - choose for how long a record may wait to be read
 * @ms: milliseconds
 *
 * Another access to poison is made again meanwhile. After that time it aborts without a record.
 *
 * Context: any.
 */
void sea_rig_set_patience(unsigned int ms)
{
	WRITE_ONCE(rig_firmware.patience, (u64)ms * (arch_timer_get_cntfrq() / 1000));
}
EXPORT_SYMBOL_IF_KUNIT(sea_rig_set_patience);

/* Call @fn with the leaf of each page that is poisoned, or dead. */
void rig_walk_poison(void (*fn)(void *arg, u64 leaf), void *arg)
{
	u64 *pmd, *pte, leaf, i, j, k;

	for (i = 0; i < S2_ROOT_ENTRIES; i++) {
		if (!(s2_root[i] & S2_TABLE))
			continue;
		pmd = __va(s2_root[i] & S2_ADDR);
		for (j = 0; j < S2_ENTRIES; j++) {
			if (!(READ_ONCE(pmd[j]) & BIT(S2_MARK_SHIFT)))
				continue;
			pte = __va(pmd[j] & S2_ADDR);
			for (k = 0; k < S2_ENTRIES; k++) {
				leaf = READ_ONCE(pte[k]);
				if ((leaf & ~S2_ADDR) != S2_HEALTHY)
					fn(arg, leaf);
			}
		}
	}
}
