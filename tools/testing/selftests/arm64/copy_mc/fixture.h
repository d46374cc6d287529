/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of all tests: a machine without poison before, and after. Pages that
 * were isolated stay so.
 *
 * Teardown is the parent's: it runs when none of the test's pages is mapped any
 * more, however the test ended, but for a timeout, which kills the parent as
 * well. Then it is the next test's setup that cleans up.
 *
 * Each test says how often poison may be consumed, with one of EXPECT_ABORTS*, and
 * what it said last holds until it is over.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <signal.h>

#include "../../kselftest_harness.h"
#include "poison.h"

/* The timeout in seconds, instead of 30, of what waits for a daemon or a disk */
#define SLOW	120

FIXTURE(poison) {
	long corrupted;		/* pages */
	long aborts;		/* consumptions of poison */
	long lost;		/* records */
	bool was_clean;		/* the test before left no poison */
	bool counted;		/* the test has said how many aborts there may be: */
	long least, most;
};

FIXTURE_SETUP(poison)
{
	const char *why = poison_init();

	if (why)
		SKIP(return, "%s", why);

	self->was_clean = nothing_poisoned();
	ASSERT_EQ(0, machine_as_booted());
	if (rig)
		ASSERT_TRUE(nothing_poisoned());
	self->corrupted = corrupted_pages();
	self->aborts = rig_stat("aborts");
	self->lost = rig_stat("lost");
	ASSERT_GE(self->corrupted, 0);
}

/* Poison has been consumed @_from to @_to times since the test began. */
#define EXPECT_ABORTS_FROM_TO(_from, _to) do { \
	self->least = (_from); \
	self->most = (_to); \
	self->counted = true; \
	if (rig) { \
		const long _aborts = rig_stat("aborts") - self->aborts; \
		EXPECT_LE(self->least, _aborts); \
		EXPECT_GE(self->most, _aborts); \
	} \
} while (0)

#define EXPECT_ABORTS(_n) do { \
	const int _exactly = (_n); \
	EXPECT_ABORTS_FROM_TO(_exactly, _exactly); \
} while (0)

/* Who tries again may find the page isolated. */
#define EXPECT_ABORTS_UP_TO(_n)	EXPECT_ABORTS_FROM_TO(1, _n)

/* @_n of one page, which a worker may isolate after the first. */
#define EXPECT_ABORTS_OF_PAGE(_n) do { \
	const int _most = (_n); \
	EXPECT_ABORTS_FROM_TO(worker_may_isolate() ? 1 : _most, _most); \
} while (0)

/* As often as somebody looks before a worker has isolated the page. */
#define ABORTS_BEFORE_WORKER	100

FIXTURE_TEARDOWN_PARENT(poison)
{
	poison_init();
	EXPECT_EQ(0, machine_as_booted());
	if (rig)
		EXPECT_TRUE(nothing_poisoned());
	EXPECT_EQ(self->lost, rig_stat("lost"));

	/* One that was skipped, or has failed already, may not have come so far. */
	if (_metadata->exit_code != KSFT_PASS)
		return;
	EXPECT_TRUE(self->counted)
		TH_LOG("no EXPECT_ABORTS");
	if (self->counted)
		EXPECT_ABORTS_FROM_TO(self->least, self->most);
}

/* The child got one SIGBUS, this one. */
#define EXPECT_SIGBUS(_child, _code, _addr, _lsb) do { \
	const struct child *_c = (_child); \
	EXPECT_EQ(1, _c->sigbus); \
	EXPECT_EQ(_code, _c->code); \
	EXPECT_EQ((void *)(_addr), _c->addr); \
	EXPECT_EQ(_lsb, _c->lsb); \
} while (0)

/*
 * The child has its page mapped at va and got one SIGBUS for it.
 *
 * memory_failure() knows where the page is mapped, and runs before the process
 * returns to user mode. On Linux 6.12 a worker may come first, which tells
 * nobody; then it is known where the access was, if it was by @_addr and not by
 * the kernel's own (NULL), but not that the page is part of a huge one.
 */
#define EXPECT_TOLD(_child, _addr, _lsb) do { \
	const struct child *_told = (_child); \
	bool _late = worker_may_isolate(), _by_addr = (_addr); \
	if (_late && !_by_addr && _told->code == BUS_OBJERR) \
		EXPECT_SIGBUS(_told, BUS_OBJERR, NULL, -1); \
	else \
		EXPECT_SIGBUS(_told, BUS_MCEERR_AR, _told->va, \
			      _late && _by_addr && _told->lsb == 12 ? 12 : (_lsb)); \
} while (0)

#define EXPECT_NO_SIGBUS(_child)	EXPECT_EQ(0, (_child)->sigbus)

/* The child's function returned @_ret, with errno @_err if that is -1. */
#define EXPECT_RET(_child, _ret, _err) do { \
	const struct child *_c = (_child); \
	EXPECT_EQ(_ret, _c->ret); \
	if (_c->ret == -1) \
		EXPECT_EQ(_err, _c->err); \
} while (0)

/* The child came to the end of its function, or died of signal @_sig. */
#define EXPECT_EXITED(_child)		EXPECT_EQ(0, (_child)->status)
#define EXPECT_KILLED(_child, _sig)	EXPECT_EQ(_sig, (_child)->status & 0x7f)

/* The page at @_pa is isolated, and @_n pages are since the test began. */
#define EXPECT_ISOLATED(_pa, _n) do { \
	EXPECT_TRUE(is_isolated(_pa)); \
	EXPECT_EQ(self->corrupted + (_n), corrupted_pages()); \
} while (0)

/*
 * The child came to its poison with a load or store of its own, and was told where: it
 * is the @_n-th since the test began.
 */
#define EXPECT_MET(_child, _n) do { \
	const struct child *_met = (_child); \
	EXPECT_EXITED(_met); \
	EXPECT_EQ(-1, _met->ret); \
	EXPECT_SIGBUS(_met, BUS_MCEERR_AR, _met->va, 12); \
	EXPECT_TRUE(is_isolated_already(_met->pa)); \
	EXPECT_ISOLATED(_met->pa, _n); \
} while (0)

#endif /* FIXTURE_H */
