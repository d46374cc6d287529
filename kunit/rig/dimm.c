// SPDX-License-Identifier: GPL-2.0-only
/*
 * A DIMM that can be taken off the bus while the kernel runs.
 *
 * QEMU's ivshmem device is RAM behind a PCI BAR. Hot-added, it is memory as any
 * other, until PCI_COMMAND_MEMORY is cleared: then nothing answers at its addresses, and
 * each access takes a genuine synchronous external abort. Needs QEMU's -global
 * gpex-pcihost.allow-unmapped-accesses=off, without which the host bridge does.
 */

#define pr_fmt(fmt) "sea_rig: " fmt

#include <linux/acpi.h>
#include <linux/bitmap.h>
#include <linux/cpu.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/libnvdimm.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/of.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "rig.h"
#include "sea_rig.h"

#define IVSHMEM_BAR	2

struct dimm dimms[NR_DIMMS];
DEFINE_RAW_SPINLOCK(rig_lock);
/* See rig.h for what either guards. */
DEFINE_MUTEX(rig_mutex);

struct dimm *dimm_of(phys_addr_t pa)
{
	struct dimm *d;

	for (d = dimms; d < dimms + NR_DIMMS; d++)
		if (d->pdev && pa >= d->start && pa - d->start < d->size)
			return d;

	return NULL;
}

void dimm_power(struct dimm *d, bool on)
{
	u16 command;

	pci_read_config_word(d->pdev, PCI_COMMAND, &command);
	command &= ~PCI_COMMAND_MEMORY;
	if (on)
		command |= PCI_COMMAND_MEMORY;
	pci_write_config_word(d->pdev, PCI_COMMAND, command);
}

/* The firmware resumes behind both instructions if the load aborts. */
static noinline bool dimm_answers(struct dimm *d)
{
	unsigned long yes = 0;

	asm volatile("	.globl	dimm_probe_load\n"
	"dimm_probe_load:\n"
	"	ldr	xzr, [%1]\n"
	"	mov	%0, #1\n"
	: "+r" (yes) : "r" (d->probe));

	return yes;
}

static int dimm_wait_this_cpu(void *dimm)
{
	struct dimm *d = dimm;
	unsigned int tries = 100000;

	while (READ_ONCE(d->dead) && !READ_ONCE(d->passing) && tries--)
		if (!dimm_answers(d))
			break;
	return 0;
}

/* QEMU's other CPUs learn of it a little later. They abort where they may: in a task. */
void dimm_wait_dead(struct dimm *d)
{
	int cpu;

	guard(cpus_read_lock)();
	for_each_online_cpu(cpu)
		smp_call_on_cpu(cpu, dimm_wait_this_cpu, d, false);
}

/**
 * sea_rig_present() - whether there is a DIMM that can be killed
 */
bool sea_rig_present(void)
{
	return dimms[DIMM].online;
}

/* Without a node of its own, where the memory is. */
int dimm_node(void)
{
	return node_possible(DIMM_NODE) ? DIMM_NODE : 0;
}

/*
 * On a node with other memory somebody else may be given pages of the DIMM. All of
 * them are allocated then, those in use emptied, and given out from here. False if
 * somebody keeps some.
 */
static LIST_HEAD(held);

static bool hold_pages(struct dimm *d)
{
	unsigned long i, nr = PHYS_PFN(d->size);
	struct page *pages;

	if (dimm_node() == DIMM_NODE)
		return true;

	pages = alloc_contig_pages(nr, GFP_KERNEL | __GFP_HIGHMEM | __GFP_MOVABLE | __GFP_THISNODE,
				   dimm_node(), NULL);
	if (!pages)
		return false;
	for (i = 0; i < nr; i++)
		list_add_tail(&pages[i].lru, &held);

	return dimm_of(page_to_phys(pages)) == d;
}

static void release_pages_held(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &held, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

/**
 * sea_rig_alloc_page() - allocate a page of the DIMM
 *
 * Context: may sleep.
 * Return: the page, or NULL.
 */
struct page *sea_rig_alloc_page(void)
{
	struct page *page;

	guard(mutex)(&rig_mutex);
	if (!sea_rig_present())
		return NULL;
	if (dimm_node() == DIMM_NODE)
		return alloc_pages_node(DIMM_NODE, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, 0);

	page = list_first_entry_or_null(&held, struct page, lru);
	if (page)
		list_del(&page->lru);
	return page;
}

/**
 * sea_rig_free_page() - give it back
 * @page: the page
 *
 * Context: may sleep.
 */
void sea_rig_free_page(struct page *page)
{
	guard(mutex)(&rig_mutex);
	/* The page allocator makes it as good as new; else it is the last to be used again. */
	if (dimm_node() == DIMM_NODE)
		__free_page(page);
	else
		list_add_tail(&page->lru, &held);
}

static int dimm_offline(struct dimm *d)
{
	int err;

	lockdep_assert_held(&rig_mutex);
	if (!d->online)
		return 0;

	release_pages_held();
	err = offline_and_remove_memory(d->start, d->size);
	/* With others on it, it is not to be killed. */
	d->online = err && hold_pages(d);
	return err;
}

static int dimm_online(struct dimm *d)
{
	enum mmop online_type = mhp_get_default_online_type();
	int err;

	lockdep_assert_held(&rig_mutex);
	mhp_set_default_online_type(MMOP_ONLINE_MOVABLE);
	err = add_memory(dimm_node(), d->start, d->size, MHP_NONE);
	mhp_set_default_online_type(online_type);
	if (err)
		return err;

	d->online = pfn_to_online_page(PHYS_PFN(d->start));
	if (!d->online)
		return -ENXIO;
	if (hold_pages(d))
		return 0;

	dimm_offline(d);
	return -EBUSY;
}

/**
 * dimm_replace() - remove the DIMM and put in a new one
 *
 * The way to get rid of pages that memory_failure() has isolated: it does not
 * give back those with a hardware error.
 *
 * Context: sleeps; under rig_mutex.
 * Return: 0, or a negative error; -EBUSY if there are pages in use that cannot move.
 */
int dimm_replace(void)
{
	struct dimm *d = &dimms[DIMM];
	int err;

	sea_rig_repair();
	err = d->pdev ? dimm_offline(d) : -ENODEV;
	return err ?: dimm_online(d);
}

/* As drivers/nvdimm/of_pmem.c does it, which wants a device tree. */
static int pmem_register(struct dimm *d)
{
	static struct nvdimm_bus_descriptor bus_desc = {
		.provider_name = "sea_rig",
	};
	struct resource res = DEFINE_RES_MEM(d->start, d->size);
	struct nd_region_desc region_desc = {
		.res = &res,
		.numa_node = 0,
		.target_node = 0,
	};

	set_bit(ND_REGION_PAGEMAP, &region_desc.flags);
	set_bit(ND_REGION_PERSIST_MEMCTRL, &region_desc.flags);

	d->bus = nvdimm_bus_register(&d->pdev->dev, &bus_desc);
	if (!d->bus)
		return -ENOMEM;
	if (nvdimm_pmem_region_create(d->bus, &region_desc))
		return 0;

	nvdimm_bus_unregister(d->bus);
	d->bus = NULL;
	return -ENOMEM;
}

/* On real hardware a hole in the memory map may raise an SError. */
static bool on_qemu_virt(void)
{
	if (acpi_disabled)
		return of_machine_is_compatible("linux,dummy-virt");

	return !memcmp(acpi_gbl_FADT.header.oem_id, "BOCHS ", ACPI_OEM_ID_SIZE);
}

static void dimm_free(struct dimm *d)
{
	if (d->probe)
		memunmap(d->probe);
	bitmap_free(d->poisoned);
	bitmap_free(d->fatal);
	kvfree(d->aborts);
	*d = (struct dimm) { };
}

/* The first such device is the DIMM, the second the persistent memory. */
static int dimm_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct dimm *d = dimms[DIMM].pdev ? &dimms[PMEM] : &dimms[DIMM];
	unsigned long pages;
	int err;

	guard(mutex)(&rig_mutex);
	if (!on_qemu_virt() || d->pdev)
		return -ENODEV;
	/* Whoever injects errors asks for pages by node. */
	if (rig_firmware_reports() && !node_possible(DIMM_NODE)) {
		pr_err("needs NUMA node %d, see tools/qemu/arm64_rig.py\n", DIMM_NODE);
		return -ENODEV;
	}

	err = pci_enable_device(pdev);
	if (err)
		return err;

	d->start = pci_resource_start(pdev, IVSHMEM_BAR);
	d->size = pci_resource_len(pdev, IVSHMEM_BAR);
	pages = PHYS_PFN(d->size);
	err = -ENOMEM;
	d->probe = memremap(d->start, PAGE_SIZE, MEMREMAP_WB);
	d->poisoned = bitmap_zalloc(pages, GFP_KERNEL);
	d->fatal = bitmap_zalloc(pages, GFP_KERNEL);
	d->aborts = kvcalloc(pages, sizeof(*d->aborts), GFP_KERNEL);
	if (!d->probe || !d->poisoned || !d->fatal || !d->aborts)
		goto err;

	d->pdev = pdev;
	err = d == &dimms[PMEM] ? pmem_register(d) : dimm_online(d);
	if (err)
		goto err;

	pr_info("%s at %pR\n", d == &dimms[PMEM] ? "PMEM" : "DIMM",
		&pdev->resource[IVSHMEM_BAR]);
	return 0;

err:
	pr_err("%pR: cannot be memory: %pe\n", &pdev->resource[IVSHMEM_BAR],
	       ERR_PTR(err));
	dimm_free(d);
	pci_disable_device(pdev);
	return err;
}

static void dimm_remove(struct pci_dev *pdev)
{
	struct dimm *d = dimms[PMEM].pdev == pdev ? &dimms[PMEM] : &dimms[DIMM];

	guard(mutex)(&rig_mutex);
	/* Alive it stays, whoever still uses it */
	sea_rig_repair();
	if (d->bus)
		nvdimm_bus_unregister(d->bus);
	d->bus = NULL;
	if (dimm_offline(d))
		pr_warn("DIMM is in use and stays\n");
	raw_spin_lock_irq(&rig_lock);
	d->pdev = NULL;
	raw_spin_unlock_irq(&rig_lock);
	dimm_free(d);
}

static const struct pci_device_id dimm_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};

static struct pci_driver dimm_driver = {
	.name = "sea_rig",
	.id_table = dimm_ids,
	.probe = dimm_probe,
	.remove = dimm_remove,
	.driver.suppress_bind_attrs = true,
};

static int __init rig_init(void)
{
	int err;

	if (!on_qemu_virt())
		return 0;

	err = rig_firmware_init();
	if (err) {
		pr_err("no firmware: %pe\n", ERR_PTR(err));
		return err;
	}
	einj_init();
	return pci_register_driver(&dimm_driver);
}
late_initcall(rig_init);
