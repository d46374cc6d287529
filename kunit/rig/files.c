// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a server has no file for, in debugfs; errors are injected with the kernel's own
 * EINJ driver.
 */

#define pr_fmt(fmt) "sea_rig: " fmt

#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/seq_file.h>

#include "../../mm/internal.h"
#include "firmware.h"
#include "sea_rig.h"

/* The last two at once: the asynchronous record has been written, the other one has not. */
static const struct {
	unsigned int shift;
	const char *text;
} answers[] = {
	{ S2_FATAL_SHIFT, "fatal" },
	{ S2_NO_ADDRESS_SHIFT, "no-address" },
	{ S2_ASYNC_SHIFT, "async" },
	{ S2_NO_RECORD_SHIFT, "no-record" },
};

static void show_page(void *m, u64 leaf)
{
	int i;

	seq_printf(m, "0x%llx%s", leaf & S2_ADDR, leaf & S2_VALID ? "" : " dead");
	for (i = 0; i < ARRAY_SIZE(answers); i++)
		if (leaf & BIT(answers[i].shift))
			seq_printf(m, " %s", answers[i].text);
	seq_putc(m, '\n');
}

static void show_poison(struct seq_file *m)
{
	rig_walk_poison(show_page, m);
}

static void show_stats(struct seq_file *m)
{
	struct sea_rig_stats s;

	sea_rig_stats(&s);
	seq_printf(m, "aborts %llu\nagain %llu\nlost %llu\n", s.aborts, s.again, s.lost);
	/* What EINJ's trigger says of the last error; fatal, it is the end. */
	seq_printf(m, "severity %llu\n", READ_ONCE(rig_firmware.severity));
}

static void show_report(struct seq_file *m)
{
	seq_printf(m, "%llu\n", rig_firmware.report);
}

static void show_set(struct seq_file *m)
{
	seq_printf(m, "%llu\n", rig_firmware.set);
}

static int repair(u64 val)
{
	if (val != 1)
		return val % SZ_4K ? -EINVAL : sea_rig_set(val, SZ_4K, SEA_RIG_HEALTHY);
	sea_rig_repair();
	return 0;
}

/*
 * Of a leaf from S2_NO_ADDRESS_SHIFT on: no address; no record, or an asynchronous one first.
 * Where there is no record, there is no more to say.
 */
static int set_report(u64 val)
{
	if (val > 5 || val == 3)
		return -EINVAL;
	WRITE_ONCE(rig_firmware.report, val);
	return 0;
}

static int set_set(u64 val)
{
	if (val > 3 || val == 1)	/* which is reserved */
		return -EINVAL;
	sea_rig_set_severity(val);
	return 0;
}

/* The last-level table of an address of the writer's, as no process knows where it is */
static int poison_table(u64 va)
{
	struct mm_struct *mm = current->mm;
	int err = -EINVAL;
	pmd_t *pmd, entry;

	if (!mm || va >= TASK_SIZE)
		return err;

	mmap_read_lock(mm);
	pmd = mm_find_pmd(mm, va);
	if (pmd) {
		entry = pmdp_get(pmd);
		if (pmd_present(entry) && !pmd_leaf(entry))
			err = sea_rig_set(pmd_page_paddr(entry), PAGE_SIZE, SEA_RIG_POISON);
	}
	mmap_read_unlock(mm);
	return err;
}

/**
 * struct rig_file - a file of the rig
 * @name: in its directory
 * @show: called when it is read
 * @set: called with a number that is written
 * @takes: what it says to other numbers
 */
struct rig_file {
	const char *name;
	void (*show)(struct seq_file *m);
	int (*set)(u64 val);
	const char *takes;
};

static const struct rig_file rig_files[] = {
	{ "poison", .show = show_poison },
	{ "stats", .show = show_stats },
	{ "repair", .set = repair, .takes = "takes 1, or the address of a page of memory" },
	{ "report", show_report, set_report, "takes 0, 1, 2, 4 and 5" },
	{ "set", show_set, set_set, "takes 0, 2 and 3" },
	{ "table", .set = poison_table, .takes = "takes an address of the writer's" },
};

/* A caller gets the number of an error; the reason is in the kernel's log. */
static int refuse(const struct rig_file *f, int err, const char *why)
{
	pr_info_ratelimited("%s: refused, %s\n", f->name, why);
	return err;
}

static int rig_show(struct seq_file *m, void *v)
{
	const struct rig_file *f = m->private;

	f->show(m);
	return 0;
}

/* A file's mode stops neither its owner without the capability nor root. */
static int rig_open(struct inode *inode, struct file *file)
{
	const struct rig_file *f = inode->i_private;

	if (!capable(CAP_SYS_ADMIN))
		return refuse(f, -EPERM, "only with CAP_SYS_ADMIN");
	if (file->f_mode & FMODE_READ && !f->show)
		return refuse(f, -EACCES, "there is nothing to read");
	if (file->f_mode & FMODE_WRITE && !f->set)
		return refuse(f, -EACCES, "there is nothing to write");

	return single_open(file, rig_show, inode->i_private);
}

static ssize_t rig_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	const struct rig_file *f = file_inode(file)->i_private;
	u64 val;
	int err;

	err = kstrtou64_from_user(buf, count, 0, &val);
	if (err)
		return refuse(f, err, "takes a number of 64 bits");
	err = f->set(val);
	if (err)
		return refuse(f, err, f->takes);

	return count;
}

static const struct file_operations rig_fops = {
	.open = rig_open,
	.read = seq_read,
	.write = rig_write,
	.llseek = seq_lseek,
	.release = single_release,
};

void __init rig_files_init(void)
{
	struct dentry *dir = debugfs_create_dir("sea_rig", NULL);
	const struct rig_file *f;

	for (f = rig_files; f < rig_files + ARRAY_SIZE(rig_files); f++)
		debugfs_create_file(f->name, (f->show ? 0400 : 0) | (f->set ? 0200 : 0), dir,
				    (void *)f, &rig_fops);
}
