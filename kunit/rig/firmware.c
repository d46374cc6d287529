// SPDX-License-Identifier: GPL-2.0-only
/*
 * The firmware's part in a memory error: it takes the abort first, writes an
 * error record where APEI looks for it, and lets the kernel take the abort.
 *
 * A kprobe on do_sea() stands in for EL3, so that this works on any kernel. All its
 * handler does is to have firmware_sea() called instead: it may take no lock. Only a
 * whole DIMM can be taken off the bus. An access to one of its pages that is not
 * poisoned, and a store, which on most hardware does not consume poison, are let pass:
 * the DIMM is back on the bus for a moment and the access is made again.
 *
 * ACPI 6.5, 18.3.2.8 "Generic Hardware Error Source version 2"; UEFI 2.10, N.2.5
 * "Memory Error Section".
 */

#include <linux/acpi.h>
#include <linux/bitmap.h>
#include <linux/cper.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include <asm/esr.h>
#include <asm/ptrace.h>
#include <asm/sysreg.h>

#include "rig.h"
#include "sea_rig.h"

/* For how long an access may pass, and how long the kernel has to read a record */
#define PASS_US		20
#define ACK_US		100000

struct rig_stats rig_stats;

static struct task_struct *pass_task;
/* Dead without poison: whoever did this plays the firmware, too. */
static bool killed;

/* The error source, with the addresses of its registers mapped */
static struct {
	struct acpi_hest_generic_status *block;
	u64 *ack;
	u64 ack_preserve;
	u64 ack_write;
} source;

bool rig_firmware_reports(void)
{
	return source.block;
}

/* Both CPUs may abort: the record before this one must have been read. */
static void write_record(struct dimm *d, unsigned long page)
{
	struct acpi_hest_generic_status *block = source.block;
	struct acpi_hest_generic_data_v300 *data = (void *)(block + 1);
	struct cper_sec_mem_err *mem = (void *)(data + 1);
	u32 severity = test_bit(page, d->fatal) ? CPER_SEV_FATAL :
						  CPER_SEV_RECOVERABLE;
	unsigned int us = 0;

	while (!(READ_ONCE(*source.ack) & source.ack_write)) {
		if (us++ == ACK_US) {
			rig_stats.lost++;
			return;
		}
		udelay(1);
	}
	WRITE_ONCE(*source.ack, *source.ack & source.ack_preserve);

	memset(block, 0, sizeof(*block) + sizeof(*data) + sizeof(*mem));
	mem->validation_bits = CPER_MEM_VALID_PA | CPER_MEM_VALID_PA_MASK |
			       CPER_MEM_VALID_ERROR_TYPE;
	mem->physical_addr = d->start + PFN_PHYS(page);
	mem->physical_addr_mask = PAGE_MASK;
	mem->error_type = 3;	/* multi-bit ECC */

	guid_copy((guid_t *)data->section_type, &CPER_SEC_PLATFORM_MEM);
	data->error_severity = severity;
	data->revision = 0x300;
	data->error_data_length = sizeof(*mem);
	/* APEI passes over a record that equals one of the last ten seconds. */
	data->validation_bits = CPER_SEC_VALID_FRU_TEXT;
	snprintf(data->fru_text, sizeof(data->fru_text), "rig %u",
		 rig_stats.aborts);

	block->data_length = sizeof(*data) + sizeof(*mem);
	block->error_severity = severity;
	smp_wmb();	/* the status says that the rest is there */
	block->block_status = ACPI_HEST_UNCORRECTABLE | (1 << 4);
}

static void let_pass(struct dimm *d)
{
	rig_stats.passed++;
	dimm_power(d, true);
	d->passing = true;
	wake_up_process(pass_task);
}

static int pass_thread(void *unused)
{
	struct dimm *d;

	for (;;) {
		set_current_state(TASK_IDLE);
		if (!READ_ONCE(dimms[DIMM].passing) &&
		    !READ_ONCE(dimms[PMEM].passing)) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		usleep_range(PASS_US, 2 * PASS_US);

		raw_spin_lock_irq(&rig_lock);
		for (d = dimms; d < dimms + NR_DIMMS; d++) {
			if (d->passing && d->dead)
				dimm_power(d, false);
			d->passing = false;
		}
		raw_spin_unlock_irq(&rig_lock);
	}

	return 0;
}

/* Stage 1 translation as of the abort; false if it has changed meanwhile. */
static bool translate(unsigned long va, phys_addr_t *pa)
{
	unsigned long flags;
	u64 par;

	local_irq_save(flags);
	asm volatile("at s1e1r, %0" :: "r" (va));
	isb();
	par = read_sysreg_par();
	local_irq_restore(flags);
	if (par & SYS_PAR_EL1_F)
		return false;

	*pa = (par & GENMASK_ULL(51, 12)) | offset_in_page(va);
	return true;
}

/* Whether the kernel is to take the abort; if not, the access is made again. */
static bool consume(unsigned long far, unsigned long esr)
{
	struct dimm *d;
	phys_addr_t pa;
	unsigned long flags, page;
	bool taken = true;

	if (esr & ESR_ELx_FnV)
		return true;
	/* Not mapped any more; or it never was, and the abort is a simulated one. */
	if (!translate(far, &pa))
		return killed || !(dimms[DIMM].nr_poisoned || dimms[PMEM].nr_poisoned);

	raw_spin_lock_irqsave(&rig_lock, flags);
	d = dimm_of(pa);
	if (d && !killed) {
		page = PHYS_PFN(pa - d->start);
		taken = !(esr & ESR_ELx_WNR) && test_bit(page, d->poisoned);
		if (taken) {
			rig_stats.aborts++;
			d->aborts[page]++;
			if (rig_firmware_reports())
				write_record(d, page);
		} else if (d->dead) {
			let_pass(d);
		}
	}
	raw_spin_unlock_irqrestore(&rig_lock, flags);

	return taken;
}

static struct kprobe sea_probe;

/* In place of do_sea(), in its context */
static int __nocfi firmware_sea(unsigned long far, unsigned long esr,
				struct pt_regs *regs)
{
	int (*do_sea)(unsigned long far, unsigned long esr, struct pt_regs *regs,
		      struct kprobe *ours) = (void *)sea_probe.addr;

	if (regs->pc == (unsigned long)dimm_probe_load) {
		regs->pc += 2 * AARCH64_INSN_SIZE;
		return 0;
	}

	/* The record is this task's, and nobody else's to claim. */
	guard(preempt)();
	return consume(far, esr) ? do_sea(far, esr, regs, &sea_probe) : 0;
}

static int __kprobes at_do_sea(struct kprobe *p, struct pt_regs *regs)
{
	/* An argument more than do_sea() has tells our call from the others. */
	if (regs->regs[3] == (unsigned long)p)
		return 0;

	regs->pc = (unsigned long)firmware_sea;
	return 1;
}

static struct kprobe sea_probe = {
	.symbol_name = "do_sea",
	.pre_handler = at_do_sea,
};

/* Under rig_lock; dimm_wait_dead() is to follow. */
static void take_off(struct dimm *d)
{
	d->dead = true;
	d->passing = false;
	dimm_power(d, false);
}

/**
 * sea_rig_kill() - take the DIMM off the bus
 *
 * Each access to it aborts; no record is written and none let pass.
 *
 * Context: process context; sleeps.
 */
void sea_rig_kill(void)
{
	struct dimm *d = &dimms[DIMM];

	if (!d->online)
		return;

	raw_spin_lock_irq(&rig_lock);
	killed = true;
	take_off(d);
	raw_spin_unlock_irq(&rig_lock);
	dimm_wait_dead(d);
}

/**
 * sea_rig_revive() - undo sea_rig_kill(); the contents are intact
 *
 * Context: any.
 */
void sea_rig_revive(void)
{
	struct dimm *d = &dimms[DIMM];
	unsigned long flags;

	raw_spin_lock_irqsave(&rig_lock, flags);
	killed = false;
	d->dead = d->nr_poisoned;
	if (d->pdev)
		dimm_power(d, !d->dead);
	raw_spin_unlock_irqrestore(&rig_lock, flags);
}

/**
 * sea_rig_poison() - have loads from a page abort
 * @pa: a physical address in the page, which is one of the DIMM or of the
 *	persistent memory
 * @fatal: have the error record say that nothing can be recovered
 *
 * Context: process context; sleeps.
 * Return: 0, or -EINVAL if that is no such page.
 */
int sea_rig_poison(phys_addr_t pa, bool fatal)
{
	unsigned long page;
	struct dimm *d;

	raw_spin_lock_irq(&rig_lock);
	d = dimm_of(pa);
	if (!d || !(d->online || d->bus)) {
		raw_spin_unlock_irq(&rig_lock);
		return -EINVAL;
	}
	page = PHYS_PFN(pa - d->start);
	if (!test_and_set_bit(page, d->poisoned))
		d->nr_poisoned++;
	assign_bit(page, d->fatal, fatal);
	take_off(d);
	raw_spin_unlock_irq(&rig_lock);
	dimm_wait_dead(d);

	return 0;
}

/**
 * sea_rig_repair() - no poison any more
 *
 * The contents are intact; the kernel's own isolation of pages is not undone.
 *
 * Context: any.
 */
void sea_rig_repair(void)
{
	unsigned long flags;
	struct dimm *d;

	raw_spin_lock_irqsave(&rig_lock, flags);
	killed = false;
	for (d = dimms; d < dimms + NR_DIMMS; d++) {
		if (!d->pdev)
			continue;
		bitmap_zero(d->poisoned, PHYS_PFN(d->size));
		bitmap_zero(d->fatal, PHYS_PFN(d->size));
		memset(d->aborts, 0, PHYS_PFN(d->size) * sizeof(*d->aborts));
		d->nr_poisoned = 0;
		d->dead = false;
		d->passing = false;
		dimm_power(d, true);
	}
	raw_spin_unlock_irqrestore(&rig_lock, flags);
}

struct trigger {
	struct work_struct work;
	phys_addr_t pa;
};

static void consume_poison(struct work_struct *work)
{
	struct trigger *t = container_of(work, struct trigger, work);
	void *p = memremap(t->pa, sizeof(u64), MEMREMAP_WB);
	u64 data;

	if (!p)
		return;
	/* Nobody wants the data, let alone to know that there are none; but they are loaded. */
	if (copy_mc_to_kernel(&data, p, sizeof(data)))
		data = 0;
	barrier_data(&data);
	memunmap(p);
}

/* By a kernel thread, so that whoever injects the error is not its victim. */
void rig_firmware_trigger(phys_addr_t pa)
{
	struct trigger t = { .pa = ALIGN_DOWN(pa, sizeof(u64)) };

	INIT_WORK_ONSTACK(&t.work, consume_poison);
	schedule_work(&t.work);
	flush_work(&t.work);
	destroy_work_on_stack(&t.work);
}

static void *map_register(const struct acpi_generic_address *reg)
{
	return memremap(reg->address, sizeof(u64), MEMREMAP_WB);
}

/* HEST's source whose notification is an SEA, if there is one */
static int find_source(void)
{
	struct acpi_table_hest *hest;
	struct acpi_hest_generic_v2 *g;
	u64 *block;
	int i;

	if (acpi_disabled ||
	    ACPI_FAILURE(acpi_get_table(ACPI_SIG_HEST, 0,
					(struct acpi_table_header **)&hest)))
		return 0;

	g = (void *)(hest + 1);
	for (i = 0; i < hest->error_source_count; i++, g++) {
		/* QEMU has no others, and they differ in size. */
		if (g->header.type != ACPI_HEST_TYPE_GENERIC_ERROR_V2)
			return -EINVAL;
		if (g->notify.type == ACPI_HEST_NOTIFY_SEA)
			break;
	}
	if (i == hest->error_source_count)
		return -ENOENT;

	block = map_register(&g->error_status_address);
	source.ack = map_register(&g->read_ack_register);
	if (!block || !source.ack)
		return -ENOMEM;
	source.ack_preserve = g->read_ack_preserve;
	source.ack_write = g->read_ack_write;
	source.block = memremap(*block, g->error_block_length, MEMREMAP_WB);
	memunmap(block);

	return source.block ? 0 : -ENOMEM;
}

int rig_firmware_init(void)
{
	int err = find_source();

	if (err)
		return err;

	pass_task = kthread_run(pass_thread, NULL, "sea_rig");
	if (IS_ERR(pass_task))
		return PTR_ERR(pass_task);

	return register_kprobe(&sea_probe);
}
