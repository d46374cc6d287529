// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each accessor of user memory, and each nofault accessor of kernel memory, makes
 * of an SEA. One is a row of a table: how it is called, what it returns, and the type
 * of the exception table entry at the aborting instruction.
 */

#include <kunit/test.h>
#include <linux/cpufeature.h>
#include <linux/extable.h>
#include <linux/kasan.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include <asm/asm-extable.h>
#include <asm/futex.h>
#include <asm/sysreg.h>
#include <asm/word-at-a-time.h>

#include "contract/contract.h"
#include "inject/copy_case.h"
#include "inject/sea_edge.h"
#include "inject/sea_inject.h"

/* Memory to access; only its first bytes are, the others must not change. */
#define SIZE		128
#define FILL		0xee

/* The string at its start */
#define STRLEN		20
#define MAX_STRLEN	32

#define SYS_PSTATE_TCO	sys_reg(3, 3, 4, 2, 7)

/* Each loads to @buf, or stores zeroes, and returns what the accessor does. */
#define ACCESSORS(type)								\
static long get_##type(void *mem, u8 *buf, size_t n)				\
{										\
	return get_user(*(type *)buf, (__force type __user *)mem);		\
}										\
										\
static long __get_##type(void *mem, u8 *buf, size_t n)				\
{										\
	return __get_user(*(type *)buf, (__force type __user *)mem);		\
}										\
										\
static long unsafe_get_##type(void *mem, u8 *buf, size_t n)			\
{										\
	type __user *p = (__force type __user *)mem;				\
										\
	if (!user_access_begin(p, n))						\
		return -EACCES;							\
	unsafe_get_user(*(type *)buf, p, efault);				\
	user_access_end();							\
	return 0;								\
efault:										\
	user_access_end();							\
	return -EFAULT;								\
}										\
										\
static long put_##type(void *mem, u8 *buf, size_t n)				\
{										\
	return put_user(0, (__force type __user *)mem);				\
}										\
										\
static long __put_##type(void *mem, u8 *buf, size_t n)				\
{										\
	return __put_user(0, (__force type __user *)mem);			\
}										\
										\
static long unsafe_put_##type(void *mem, u8 *buf, size_t n)			\
{										\
	type __user *p = (__force type __user *)mem;				\
										\
	if (!user_access_begin(p, n))						\
		return -EACCES;							\
	unsafe_put_user(0, p, efault);						\
	user_access_end();							\
	return 0;								\
efault:										\
	user_access_end();							\
	return -EFAULT;								\
}

ACCESSORS(u8)
ACCESSORS(u16)
ACCESSORS(u32)
ACCESSORS(u64)

static const u8 zeroes[SIZE] __aligned(16);	/* as copies align their loads */

static long unsafe_to_user(void *mem, u8 *buf, size_t n)
{
	void __user *p = (__force void __user *)mem;

	if (!user_access_begin(p, n))
		return -EACCES;
	unsafe_copy_to_user(p, zeroes, n, efault);
	user_access_end();
	return 0;
efault:
	user_access_end();
	return -EFAULT;
}

static long from_user(void *mem, u8 *buf, size_t n)
{
	return copy_from_user(buf, (__force void __user *)mem, n);
}

static long from_user_nofault(void *mem, u8 *buf, size_t n)
{
	return copy_from_user_nofault(buf, (__force void __user *)mem, n);
}

static long to_user(void *mem, u8 *buf, size_t n)
{
	return copy_to_user((__force void __user *)mem, zeroes, n);
}

static long to_user_nofault(void *mem, u8 *buf, size_t n)
{
	return copy_to_user_nofault((__force void __user *)mem, zeroes, n);
}

static long clear(void *mem, u8 *buf, size_t n)
{
	return clear_user((__force void __user *)mem, n);
}

static long strncpy_from(void *mem, u8 *buf, size_t n)
{
	return strncpy_from_user(buf, (__force char __user *)mem, MAX_STRLEN);
}

static long strncpy_from_nofault(void *mem, u8 *buf, size_t n)
{
	return strncpy_from_user_nofault(buf, (__force char __user *)mem, MAX_STRLEN);
}

static long strnlen_of(void *mem, u8 *buf, size_t n)
{
	return strnlen_user((__force char __user *)mem, MAX_STRLEN);
}

static long strnlen_of_nofault(void *mem, u8 *buf, size_t n)
{
	return strnlen_user_nofault((__force char __user *)mem, MAX_STRLEN);
}

static long fault_in_read(void *mem, u8 *buf, size_t n)
{
	return fault_in_readable((__force char __user *)mem, SIZE);
}

static long fault_in_write(void *mem, u8 *buf, size_t n)
{
	return fault_in_writeable((__force char __user *)mem, SIZE);
}

#define FUTEX_ACCESSOR(op)							\
static long futex_##op(void *mem, u8 *buf, size_t n)				\
{										\
	int old;								\
										\
	return arch_futex_atomic_op_inuser(FUTEX_OP_##op, 1, &old,		\
					   (__force u32 __user *)mem);		\
}

FUTEX_ACCESSOR(SET)
FUTEX_ACCESSOR(ADD)
FUTEX_ACCESSOR(OR)
FUTEX_ACCESSOR(ANDN)
FUTEX_ACCESSOR(XOR)

/* With a value other than what is there: nothing to store. */
static long futex_cmpxchg(void *mem, u8 *buf, size_t n)
{
	return futex_atomic_cmpxchg_inatomic((u32 *)buf, (__force u32 __user *)mem, 0, 1);
}

static long get_kernel(void *mem, u8 *buf, size_t n)
{
	return get_kernel_nofault(*(u64 *)buf, (u64 *)mem);
}

static long copy_from_kernel(void *mem, u8 *buf, size_t n)
{
	return copy_from_kernel_nofault(buf, mem, n);
}

static long copy_to_kernel(void *mem, u8 *buf, size_t n)
{
	return copy_to_kernel_nofault(mem, zeroes, n);
}

static long strncpy_from_kernel(void *mem, u8 *buf, size_t n)
{
	return strncpy_from_kernel_nofault(buf, mem, MAX_STRLEN);
}

static long load_zeropad(void *mem, u8 *buf, size_t n)
{
	*(u64 *)buf = load_unaligned_zeropad(mem);
	return 0;
}

struct accessor {
	const char *name;
	long (*access)(void *mem, u8 *buf, size_t n);
	size_t n;		/* bytes it moves when nothing goes wrong */
	long good;		/* what it returns then */
	size_t poison;		/* which byte is poisoned */
	long bad;		/* what it returns then, unless it counts */
	size_t done;		/* bytes it moves then, unless it counts */
	size_t over;		/* it counts bytes not moved: up to so many too many */
	unsigned int aborts;	/* if more than one: it tries again, byte by byte */
	unsigned int type;	/* of the exception table entry, if not CONTRACT_EX_UACCESS */
	bool store;
	bool zeroes;		/* clears what it does not load */
	bool exclusive;		/* load, which makes the store after it fail here */
	bool cpy;		/* by CPY* where the CPU has it */
	bool string;		/* may write more than it moves */
	bool dies;		/* of kernel memory: an abort is fatal */
};

#define GET(func, type, call, more...)						\
	{ #func " " #type, call##_##type, sizeof(type), .bad = -EFAULT, more }
#define PUT(func, type, call)							\
	{ #func " " #type, call##_##type, sizeof(type), .bad = -EFAULT, .store = true }
#define COPY_FROM(name, n, poison, more...)					\
	{ name, from_user, n, 0, poison, .over = CONTRACT_MAX_OVER, .zeroes = true,	\
	  .cpy = true, more }
#define COPY_TO(name, n, poison, more...)					\
	{ name, to_user, n, 0, poison, .over = CONTRACT_MAX_OVER, .store = true,	\
	  .cpy = true, more }

/* A copy whose first byte is poisoned, if it tries that by itself */
#define AT_FIRST	(1 + CONTRACT_USER_AGAIN)

#define CLEAR(n, poison)							\
	{ "clear_user, byte " #poison " of " #n, clear, n, 0, poison, .over = 7, .store = true }
#define FUTEX(op)								\
	{ "futex " #op, futex_##op, 0, -EAGAIN, 0, -EFAULT, .exclusive = true }

static const struct accessor users[] = {
	GET(get_user, u8, get, .zeroes = true),
	GET(get_user, u16, get, .zeroes = true),
	GET(get_user, u32, get, .zeroes = true),
	GET(get_user, u64, get, .zeroes = true),
	GET(__get_user, u8, __get, .zeroes = true),
	GET(__get_user, u16, __get, .zeroes = true),
	GET(__get_user, u32, __get, .zeroes = true),
	GET(__get_user, u64, __get, .zeroes = true),
	GET(unsafe_get_user, u8, unsafe_get),
	GET(unsafe_get_user, u16, unsafe_get),
	GET(unsafe_get_user, u32, unsafe_get),
	GET(unsafe_get_user, u64, unsafe_get),
	PUT(put_user, u8, put),
	PUT(put_user, u16, put),
	PUT(put_user, u32, put),
	PUT(put_user, u64, put),
	PUT(__put_user, u8, __put),
	PUT(__put_user, u16, __put),
	PUT(__put_user, u32, __put),
	PUT(__put_user, u64, __put),
	PUT(unsafe_put_user, u8, unsafe_put),
	PUT(unsafe_put_user, u16, unsafe_put),
	PUT(unsafe_put_user, u32, unsafe_put),
	PUT(unsafe_put_user, u64, unsafe_put),
	{ "unsafe_copy_to_user u64", unsafe_to_user, 15, 0, 0, -EFAULT, .store = true },
	{ "unsafe_copy_to_user u32", unsafe_to_user, 15, 0, 8, -EFAULT, 8, .store = true },
	{ "unsafe_copy_to_user u16", unsafe_to_user, 15, 0, 12, -EFAULT, 12, .store = true },
	{ "unsafe_copy_to_user u8", unsafe_to_user, 15, 0, 14, -EFAULT, 14, .store = true },
	COPY_FROM("copy_from_user", 64, 40),
	COPY_FROM("copy_from_user, first byte", 64, 0, .aborts = AT_FIRST),
	COPY_TO("copy_to_user", 64, 40),
	COPY_TO("copy_to_user, first byte", 64, 0, .aborts = AT_FIRST),
	{ "copy_from_user_nofault", from_user_nofault, 64, 0, 0, -EFAULT, .aborts = AT_FIRST,
	  .cpy = true },
	{ "copy_to_user_nofault", to_user_nofault, 64, 0, 0, -EFAULT, .aborts = AT_FIRST,
	  .store = true, .cpy = true },
	CLEAR(1, 0),
	CLEAR(3, 0),
	CLEAR(3, 2),
	CLEAR(7, 1),
	CLEAR(7, 5),
	CLEAR(13, 3),
	CLEAR(13, 12),
	CLEAR(100, 0),
	CLEAR(100, 41),
	CLEAR(100, 99),
	{ "strncpy_from_user, before the NUL", strncpy_from, STRLEN, STRLEN, STRLEN - 2,
	  -EFAULT, .aborts = 2, .string = true },
	{ "strncpy_from_user, behind the NUL", strncpy_from, STRLEN, STRLEN, STRLEN + 2,
	  STRLEN, STRLEN, .string = true },
	{ "strncpy_from_user_nofault", strncpy_from_nofault, STRLEN, STRLEN + 1, STRLEN - 2,
	  -EFAULT, .aborts = 2, .string = true },
	/* This one never tries byte by byte. */
	{ "strnlen_user, before the NUL", strnlen_of, 0, STRLEN + 1, STRLEN - 2, 0 },
	{ "strnlen_user, behind the NUL", strnlen_of, 0, STRLEN + 1, STRLEN + 2, 0 },
	{ "strnlen_user_nofault", strnlen_of_nofault, 0, STRLEN + 1, STRLEN - 2, 0 },
	{ "fault_in_readable", fault_in_read, 0, 0, 0, SIZE },
	{ "fault_in_writeable", fault_in_write, 1, 0, 0, SIZE, .store = true },
	FUTEX(SET),
	FUTEX(ADD),
	FUTEX(OR),
	FUTEX(ANDN),
	FUTEX(XOR),
	{ "futex cmpxchg", futex_cmpxchg, 4, 0, 0, -EFAULT, .exclusive = true },
};

#define NOFAULT(func, call, n, good, poison, more...)				\
	{ func, call, n, good, poison, -EFAULT, .type = CONTRACT_EX_KACCESS,	\
	  .dies = !CONTRACT_NOFAULT_RECOVERS, more }

static const struct accessor kernels[] = {
	NOFAULT("get_kernel_nofault", get_kernel, 8, 0, 0),
	NOFAULT("copy_from_kernel_nofault u64", copy_from_kernel, 15, 0, 0),
	NOFAULT("copy_from_kernel_nofault u32", copy_from_kernel, 15, 0, 8),
	NOFAULT("copy_from_kernel_nofault u16", copy_from_kernel, 15, 0, 12),
	NOFAULT("copy_from_kernel_nofault u8", copy_from_kernel, 15, 0, 14),
	NOFAULT("copy_to_kernel_nofault u64", copy_to_kernel, 15, 0, 0, .store = true),
	NOFAULT("copy_to_kernel_nofault u32", copy_to_kernel, 15, 0, 8, .store = true),
	NOFAULT("copy_to_kernel_nofault u16", copy_to_kernel, 15, 0, 12, .store = true),
	NOFAULT("copy_to_kernel_nofault u8", copy_to_kernel, 15, 0, 14, .store = true),
	NOFAULT("strncpy_from_kernel_nofault", strncpy_from_kernel, STRLEN, STRLEN + 1, 3,
		.string = true),
	{ "load_unaligned_zeropad", load_zeropad, 8, 0, 3,
	  .type = EX_TYPE_LOAD_UNALIGNED_ZEROPAD, .dies = true },
};

KUNIT_ARRAY_PARAM_DESC(user, users, name);
KUNIT_ARRAY_PARAM_DESC(kernel, kernels, name);

static bool of_kernel(const struct accessor *a)
{
	return a >= kernels && a < kernels + ARRAY_SIZE(kernels);
}

static bool has_lsui(void)
{
#ifdef CONFIG_ARM64_LSUI
	return cpus_have_final_cap(ARM64_HAS_LSUI);
#else
	return false;
#endif
}

struct access_case {
	const struct accessor *a;
	struct sea_inject si;
	u8 pattern[SIZE];
	u8 buf[SIZE];
};

static struct access_case *access_alloc(struct kunit *test)
{
	struct access_case *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->a = test->param_value;
	if (c->a->exclusive && has_lsui())
		kunit_skip(test, "needs a kernel without ARM64_LSUI");
	for (i = 0; i < SIZE; i++)
		c->pattern[i] = i == STRLEN ? 0 : i + 1;
	return c;
}

static struct access_case *access_init(struct kunit *test)
{
	struct access_case *c = access_alloc(test);

	if (of_kernel(c->a))
		KUNIT_ASSERT_EQ(test, sea_inject_alloc(test, &c->si, SIZE), 0);
	else
		KUNIT_ASSERT_EQ(test, sea_inject_user(test, &c->si, SIZE), 0);
	c->si.fsc = ESR_ELx_FSC_EXTABT;
	return c;
}

/* What an accessor has to put back as it was */
static u64 access_state(void)
{
	u64 state = pagefault_disabled();

	if (cpus_have_final_cap(ARM64_HAS_PAN))
		state |= read_sysreg_s(SYS_PSTATE_PAN);
	/* Else nobody cares how an exception left it. */
	if (kasan_hw_tags_enabled())
		state |= read_sysreg_s(SYS_PSTATE_TCO);
	return state;
}

static long access_armed(struct kunit *test, struct access_case *c, unsigned long mem)
{
	u64 state = access_state();
	long ret;

	memset(c->buf, FILL, SIZE);

	sea_inject_arm(&c->si);
	sea_clear_registers();
	ret = c->a->access((void *)mem, c->buf, c->a->n);
	sea_inject_disarm(&c->si);

	KUNIT_EXPECT_EQ(test, access_state(), state);
	return ret;
}

static long access_run(struct kunit *test, struct access_case *c)
{
	memcpy(c->si.alias, c->pattern, SIZE);
	return access_armed(test, c, c->si.trap);
}

/* @done bytes were moved, and nothing changed from @end on. */
static void expect_moved(struct kunit *test, struct access_case *c, size_t done, size_t end)
{
	const struct accessor *a = c->a;
	size_t buf = a->string ? MAX_STRLEN : a->n;

	if (a->store)
		KUNIT_EXPECT_NULL(test, memchr_inv(c->si.alias, 0, done));
	else
		end = 0;
	KUNIT_EXPECT_MEMEQ(test, c->si.alias + end, c->pattern + end, SIZE - end);
	if (!a->store && done)
		KUNIT_EXPECT_MEMEQ(test, c->buf, c->pattern, done);
	if (a->zeroes)
		KUNIT_EXPECT_NULL(test, memchr_inv(c->buf + done, 0, a->n - done));
	KUNIT_EXPECT_NULL(test, memchr_inv(c->buf + buf, FILL, SIZE - buf));
}

/* The abort was where it was meant to be. */
static void expect_abort(struct kunit *test, struct access_case *c)
{
	const struct accessor *a = c->a;
	const struct exception_table_entry *ex;
	unsigned int type = a->type ?: CONTRACT_EX_UACCESS;

#ifdef EX_TYPE_UACCESS_CPY
	if (a->cpy && has_mops() && c->si.fixed < 2)	/* then byte by byte */
		type = EX_TYPE_UACCESS_CPY;
#endif
	ex = search_exception_tables(c->si.before.pc);
	KUNIT_ASSERT_NOT_NULL_MSG(test, ex, "abort at %pS", (void *)c->si.before.pc);
	KUNIT_EXPECT_EQ_MSG(test, ex->type, type, "abort at %pS", (void *)c->si.before.pc);
	KUNIT_EXPECT_EQ(test, !!(c->si.esr & ESR_ELx_WNR), a->store);
	if (a->exclusive)		/* LDXR */
		KUNIT_EXPECT_EQ(test, *(u32 *)c->si.before.pc & 0xfffffc00, 0x885f7c00);
}

static void expect_death(struct kunit *test, struct access_case *c, unsigned int claims)
{
	long ret = access_run(test, c);

	KUNIT_EXPECT_GT(test, c->si.died, 0);
	KUNIT_EXPECT_EQ(test, c->si.fixed, 0);
	KUNIT_EXPECT_EQ(test, c->si.claims, claims);
	KUNIT_EXPECT_MEMEQ(test, &c->si.before, &c->si.after, sizeof(c->si.before));
	expect_abort(test, c);

	/* The access was then made good. */
	KUNIT_EXPECT_EQ(test, ret, c->a->good);
	expect_moved(test, c, c->a->n, c->a->n);
}

/* The hook lets every access happen. */
static void access_unpoisoned(struct kunit *test)
{
	struct access_case *c = access_init(test);
	long ret = access_run(test, c);

	KUNIT_EXPECT_EQ(test, ret, c->a->good);
	KUNIT_EXPECT_GT(test, c->si.accesses, 0);
	KUNIT_EXPECT_EQ(test, c->si.matches, 0);
	expect_moved(test, c, c->a->n, c->a->n);
}

static void access_poisoned(struct kunit *test)
{
	struct access_case *c = access_init(test);
	const struct accessor *a = c->a;
	unsigned int aborts = a->aborts ?: 1;
	/* A nofault accessor of kernel memory moves all that is before. */
	size_t done = of_kernel(a) ? a->poison : a->done;
	long ret;
	int i;

	c->si.poison[0] = (struct sea_poison){ a->poison, 1 };

	/* In either format of the registers in CPY* and SET* instructions */
	for (i = 0; i <= has_mops(); i++) {
		c->si.cpy_option_b = i;
		ret = access_run(test, c);

		KUNIT_EXPECT_EQ(test, c->si.matches, aborts);
		KUNIT_EXPECT_EQ(test, c->si.fixed, aborts);
		KUNIT_EXPECT_EQ(test, c->si.claims, aborts);
		KUNIT_EXPECT_EQ(test, c->si.died + c->si.retried, 0);
		expect_abort(test, c);

		if (!a->over) {
			KUNIT_EXPECT_EQ(test, ret, a->bad);
			expect_moved(test, c, done, done);
			continue;
		}
		KUNIT_EXPECT_GE(test, ret, a->n - a->poison);
		KUNIT_EXPECT_LE(test, ret, MIN(a->n, a->n - a->poison + a->over));
		/* It may have stored more than it counts, but no poisoned byte. */
		expect_moved(test, c, a->n - ret, a->poison);
	}
}

/* What APEI does not claim is fatal. */
static void access_unclaimed(struct kunit *test)
{
	struct access_case *c = access_init(test);

	c->si.poison[0] = (struct sea_poison){ c->a->poison, 1 };
	c->si.claim = -ENOENT;
	expect_death(test, c, 1);
}

/* It would carry on with the poison in place; or recovers, if that is the policy. */
static void access_dies(struct kunit *test)
{
	const struct accessor *a = test->param_value;
	struct access_case *c;

	if (!a->dies) {
		access_poisoned(test);
		access_unclaimed(test);
		return;
	}
	c = access_init(test);
	c->si.poison[0] = (struct sea_poison){ a->poison, 1 };
	expect_death(test, c, contract_claims(1, 0));
}

/* The memory around the abort, simulated and genuine */
#define EDGE_SIZE	(2 * PAGE_SIZE)

struct both {
	struct sea_inject si;
	long ret;
	u8 buf[SIZE];
	u8 mem[EDGE_SIZE];
};

/*
 * The poisoned byte is the first of a page that is dead, or said to be: the same result,
 * and the same abort, either way.
 */
static void access_both(struct kunit *test)
{
	struct access_case *c = access_alloc(test);
	const struct accessor *a = c->a;
	size_t start = EDGE_SIZE - PAGE_SIZE - a->poison;
	struct both *both[2];
	struct sea_edge edge;
	int i;

	sea_edge_init(test, &edge, &c->si,
		      of_kernel(a) ? SEA_EDGE_KERNEL : SEA_EDGE_USER, EDGE_SIZE);
	for (i = 0; i < 2; i++) {
		struct both *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, b);
		both[i] = b;
		memcpy(b->mem + start, c->pattern, SIZE);
		sea_edge_switch(test, &edge, i);
		sea_edge_write(test, &edge, b->mem);
		b->ret = access_armed(test, c, c->si.trap + start);
		b->si = c->si;
		memcpy(b->buf, c->buf, SIZE);
		sea_edge_read(test, &edge, b->mem);

		if (a->dies) {
			KUNIT_EXPECT_GT(test, c->si.died, 0);
			KUNIT_EXPECT_EQ(test, c->si.claims, contract_claims(c->si.died, 0));
			KUNIT_EXPECT_EQ(test, c->si.fixed, 0);
			KUNIT_EXPECT_EQ(test, b->ret, a->good);
			expect_abort(test, c);
		} else if (c->si.matches) {
			KUNIT_EXPECT_EQ(test, c->si.fixed, a->aborts ?: 1);
			KUNIT_EXPECT_EQ(test, c->si.claims, c->si.fixed);
			expect_abort(test, c);
		} else {
			/* It may go by words, and not to the next once it has seen the end. */
			KUNIT_EXPECT_GT(test, a->poison, STRLEN);
			KUNIT_EXPECT_EQ(test, b->ret, a->good);
		}
		/* Nothing around it changed. */
		KUNIT_EXPECT_EQ(test, memcmp(b->mem, both[0]->mem, start), 0);
		KUNIT_EXPECT_EQ(test, memcmp(b->mem + start + SIZE, both[0]->mem + start + SIZE,
					     EDGE_SIZE - start - SIZE), 0);
	}

	KUNIT_EXPECT_EQ(test, both[0]->ret, both[1]->ret);
	KUNIT_EXPECT_MEMEQ(test, both[0]->buf, both[1]->buf, SIZE);
	/* Of a store across the boundary some CPUs do the first part. */
	if (!a->store)
		KUNIT_EXPECT_EQ(test, memcmp(both[0]->mem, both[1]->mem, EDGE_SIZE), 0);
	else
		KUNIT_EXPECT_EQ(test, memcmp(both[0]->mem + start + a->poison,
					     both[1]->mem + start + a->poison,
					     SIZE - a->poison), 0);
	sea_same(test, &both[0]->si, &both[1]->si, false);
}

static int uaccess_suite_init(struct kunit_suite *suite)
{
	kunit_info(suite, "get_user() with%s output of asm goto\n",
		   IS_ENABLED(CONFIG_CC_HAS_ASM_GOTO_OUTPUT) ? "" : "out");
	return 0;
}

static struct kunit_case uaccess_cases[] = {
	KUNIT_CASE_PARAM(access_unpoisoned, user_gen_params),
	KUNIT_CASE_PARAM(access_poisoned, user_gen_params),
	KUNIT_CASE_PARAM(access_unclaimed, user_gen_params),
	KUNIT_CASE_PARAM(access_unpoisoned, kernel_gen_params),
	KUNIT_CASE_PARAM(access_dies, kernel_gen_params),
	{}
};

static struct kunit_suite uaccess_suite = {
	.name = "uaccess_sea",
	.suite_init = uaccess_suite_init,
	.test_cases = uaccess_cases,
};

/* These need the rig. */
static struct kunit_case genuine_cases[] = {
	KUNIT_CASE_PARAM(access_both, user_gen_params),
	KUNIT_CASE_PARAM(access_both, kernel_gen_params),
	{}
};

static struct kunit_suite genuine_suite = {
	.name = "uaccess_genuine",
	.test_cases = genuine_cases,
};

kunit_test_suites(&uaccess_suite, &genuine_suite);
