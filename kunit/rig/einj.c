// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rig's files in debugfs: those of ACPI's error injection, apei/einj, as
 * Documentation/firmware-guide/acpi/apei/einj.rst has them for memory errors, and
 * sea_rig for what a server has no file for.
 */

#include <linux/acpi.h>
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#include "../../drivers/acpi/apei/apei-internal.h"
#include "rig.h"
#include "sea_rig.h"

#define UNCORRECTABLE	BIT(4)
#define FATAL		BIT(5)

/* SET_ERROR_TYPE_WITH_ADDRESS: memory address and mask are valid */
#define FLAGS_MEM	BIT(1)

static u64 error_type, flags, param1, param2, param3, param4, notrigger;

static int set_type(u64 val)
{
	if (val != UNCORRECTABLE && val != FATAL)
		return -EINVAL;
	error_type = val;
	return 0;
}

static int set_flags(u64 val)
{
	if (val & ~(u64)FLAGS_MEM)
		return -EINVAL;
	flags = val;
	return 0;
}

static int set_notrigger(u64 val)
{
	notrigger = !!val;
	return 0;
}

static int inject(u64 val)
{
	int err;

	/* As the kernel's own: page or better granularity */
	if (!error_type || (param2 & PAGE_MASK) != PAGE_MASK)
		return -EINVAL;

	err = sea_rig_poison(param1 & param2, error_type == FATAL);
	if (!err && !notrigger)
		rig_firmware_trigger(param1 & param2);
	return err;
}

static int repair(u64 val)
{
	if (val != 1)
		return -EINVAL;
	sea_rig_repair();
	return 0;
}

static int replace(u64 val)
{
	return val == 1 ? dimm_replace() : -EINVAL;
}

static void show_types(struct seq_file *m)
{
	seq_printf(m, "0x%08lx\tMemory Uncorrectable non-fatal\n", UNCORRECTABLE);
	seq_printf(m, "0x%08lx\tMemory Uncorrectable fatal\n", FATAL);
}

static void show_dimm(struct seq_file *m)
{
	struct dimm *d = &dimms[DIMM];

	if (d->online)
		seq_printf(m, "%pa 0x%zx %d\n", &d->start, d->size, dimm_node());
}

static void show_pmem(struct seq_file *m)
{
	struct dimm *d = &dimms[PMEM];

	if (d->pdev)
		seq_printf(m, "%pa 0x%zx\n", &d->start, d->size);
}

static void show_poison(struct seq_file *m)
{
	unsigned long page;
	struct dimm *d;

	for (d = dimms; d < dimms + NR_DIMMS; d++)
		for_each_set_bit(page, d->poisoned, d->pdev ? PHYS_PFN(d->size) : 0)
			seq_printf(m, "0x%llx %u\n", d->start + PFN_PHYS(page),
				   d->aborts[page]);
}

static void show_stats(struct seq_file *m)
{
	seq_printf(m, "aborts %u\npassed %u\nlost %u\n", rig_stats.aborts,
		   rig_stats.passed, rig_stats.lost);
}

/**
 * struct rig_file - a file of the rig
 * @name: in its directory
 * @value: what it holds, unless NULL
 * @set: called with a number that is written
 * @show: called when it is read, unless it has @value
 */
struct rig_file {
	const char *name;
	u64 *value;
	int (*set)(u64 val);
	void (*show)(struct seq_file *m);
};

static const struct rig_file einj_files[] = {
	{ "available_error_type", .show = show_types },
	{ "error_type", &error_type, set_type },
	{ "flags", &flags, set_flags },
	{ "param1", &param1 },
	{ "param2", &param2 },
	{ "param3", &param3 },
	{ "param4", &param4 },
	{ "notrigger", &notrigger, set_notrigger },
	{ "error_inject", .set = inject },
	{ }
};

static const struct rig_file rig_files[] = {
	{ "dimm", .show = show_dimm },
	{ "pmem", .show = show_pmem },
	{ "poison", .show = show_poison },
	{ "stats", .show = show_stats },
	{ "repair", .set = repair },
	{ "replace", .set = replace },
	{ }
};

static int rig_show(struct seq_file *m, void *v)
{
	const struct rig_file *f = m->private;

	mutex_lock(&rig_mutex);
	if (f->value)
		seq_printf(m, "0x%llx\n", *f->value);
	else
		f->show(m);
	mutex_unlock(&rig_mutex);
	return 0;
}

static bool readable(const struct rig_file *f)
{
	return f->value || f->show;
}

static bool writable(const struct rig_file *f)
{
	return f->value || f->set;
}

/* A file's mode stops neither its owner without the capability nor root. */
static int rig_open(struct inode *inode, struct file *file)
{
	const struct rig_file *f = inode->i_private;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (((file->f_mode & FMODE_READ) && !readable(f)) ||
	    ((file->f_mode & FMODE_WRITE) && !writable(f)))
		return -EACCES;

	return single_open(file, rig_show, inode->i_private);
}

static ssize_t rig_write(struct file *file, const char __user *buf, size_t count,
			 loff_t *pos)
{
	const struct rig_file *f = file_inode(file)->i_private;
	int err;
	u64 val;

	err = kstrtou64_from_user(buf, count, 0, &val);
	if (err)
		return -EINVAL;

	mutex_lock(&rig_mutex);
	if (f->set)
		err = f->set(val);
	else
		*f->value = val;
	mutex_unlock(&rig_mutex);

	return err ?: count;
}

static const struct file_operations rig_fops = {
	.open = rig_open,
	.read = seq_read,
	.write = rig_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static void create(const struct rig_file *f, struct dentry *dir)
{
	for (; f->name; f++)
		debugfs_create_file(f->name, (readable(f) ? 0400 : 0) |
				    (writable(f) ? 0200 : 0), dir, (void *)f,
				    &rig_fops);
}

void einj_init(void)
{
	create(rig_files, debugfs_create_dir("sea_rig", NULL));
	/* Aborts that nobody reports are no memory errors. */
	if (rig_firmware_reports())
		create(einj_files,
		       debugfs_create_dir("einj", apei_get_debugfs_dir()));
}
