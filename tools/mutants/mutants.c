// SPDX-License-Identifier: GPL-2.0-only
/*
 * Behind kunit/inject/hook.c: a kernel that is wrong in many ways, of which one is chosen
 * at a time.
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/cacheflush.h>
#include <kunit/attributes.h>
#include <kunit/test.h>
#include <kunit/test-bug.h>

#define MAX_MUTANTS	4096

bool mutant_is(unsigned int n);

static u32 mutant_chosen;
static bool mutant_reached[MAX_MUTANTS];

/* Is this place of the source the one that is to be wrong? */
bool mutant_is(unsigned int n)
{
	WRITE_ONCE(mutant_reached[n], true);
	return unlikely(READ_ONCE(mutant_chosen) == n);
}

/* For those that are come by while the kernel boots, and not later */
static int __init mutant_setup(char *text)
{
	return kstrtou32(text, 0, &mutant_chosen);
}
early_param("mutant", mutant_setup);

/* Reading says which places were come by since the last time. */
static int reached_show(struct seq_file *s, void *unused)
{
	unsigned int i;

	for (i = 0; i < MAX_MUTANTS; i++)
		if (mutant_reached[i])
			seq_printf(s, "mutant: reached %u\n", i);
	/* Or it is called again, with more room */
	if (!seq_has_overflowed(s))
		memset(mutant_reached, 0, sizeof(mutant_reached));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(reached);

extern struct kunit_suite * const __kunit_suites_start[];
extern struct kunit_suite * const __kunit_suites_end[];

#define MAX_SAME	8	/* cases of one name, which differ in their parameters */

/* "SUITE.CASE": runs that one. */
static ssize_t case_write(struct file *file, const char __user *from, size_t n, loff_t *pos)
{
	static struct kunit_case cases[MAX_SAME + 1];	/* only one is asked for at a time */
	char text[128], *name = text;
	struct kunit_case *c, *all;
	struct kunit_suite * const *at, *suite;
	unsigned int found = 0;
	char *wanted;

	if (n >= sizeof(text) || copy_from_user(text, from, n))
		return -EINVAL;
	text[n] = '\0';
	wanted = strsep(&name, ".");
	if (!name)
		return -EINVAL;
	memset(cases, 0, sizeof(cases));

	for (at = __kunit_suites_start; at < __kunit_suites_end; at++) {
		suite = *at;
		if (strcmp(suite->name, wanted))
			continue;
		kunit_suite_for_each_test_case(suite, c) {
			if (strcmp(c->name, name))
				continue;
			if (found == MAX_SAME)
				return -E2BIG;
			cases[found++] = *c;
		}
		if (!found)
			break;
		all = suite->test_cases;
		suite->test_cases = cases;
		static_branch_inc(&kunit_running);
		kunit_run_tests(suite);
		static_branch_dec(&kunit_running);
		suite->test_cases = all;
		return n;
	}
	return -ENOENT;
}

static const struct file_operations case_fops = {
	.open		= simple_open,
	.write		= case_write,
	.llseek		= noop_llseek,
};

/*
 * "ADDRESS OLD NEW", in hexadecimal: text and tables are written by another mapping. -ESTALE
 * if something else is there, as where an alternative has been patched in.
 */
static ssize_t poke_write(struct file *file, const char __user *from, size_t n, loff_t *pos)
{
	unsigned long addr;
	struct page *page;
	char text[64];
	u32 old, word;
	void *map;

	if (n >= sizeof(text) || copy_from_user(text, from, n))
		return -EINVAL;
	text[n] = '\0';
	if (sscanf(text, "%lx %x %x", &addr, &old, &word) != 3 || addr % sizeof(word) ||
	    !virt_addr_valid(lm_alias(addr)))
		return -EINVAL;
	if (READ_ONCE(*(u32 *)addr) != old)
		return -ESTALE;

	page = virt_to_page(lm_alias(addr));
	map = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	if (!map)
		return -ENOMEM;
	WRITE_ONCE(*(u32 *)(map + offset_in_page(addr)), word);
	vunmap(map);
	caches_clean_inval_pou(addr, addr + sizeof(word));
	kick_all_cpus_sync();
	return n;
}

static const struct file_operations poke_fops = {
	.open		= simple_open,
	.write		= poke_write,
	.llseek		= noop_llseek,
};

static int __init mutants_init(void)
{
	struct dentry *dir = debugfs_create_dir("mutants", NULL);

	debugfs_create_u32("chosen", 0600, dir, &mutant_chosen);
	debugfs_create_file("reached", 0400, dir, NULL, &reached_fops);
	debugfs_create_file("case", 0200, dir, NULL, &case_fops);
	debugfs_create_file("poke", 0200, dir, NULL, &poke_fops);
	return 0;
}
late_initcall(mutants_init);
