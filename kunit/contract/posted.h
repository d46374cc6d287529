/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract of the series for ARCH_HAS_COPY_MC that is under review upstream, as posted
 * in 2026; contract.h says what each word means. Nothing here was built against its tree.
 *
 * What its review and its code say are the two types of entries, and the words NOFAULT,
 * EINPROGRESS, CPY_STORE, REMOTE_VM, ASKED, COUNT, TAGS and SIGBUS. The others follow
 * from what it leaves as it is in the base kernel, and are to be confirmed: iterators,
 * what a user copy does after an abort, and how a stray pointer dies.
 */

#include <asm/asm-extable.h>

#define CONTRACT_EX_UACCESS		EX_TYPE_ACCESS_ERR_ZERO
#define CONTRACT_EX_KACCESS		EX_TYPE_ACCESS_ERR_ZERO
#define CONTRACT_EX_KLOAD		EX_TYPE_KACCESS_SEA
#define CONTRACT_KLOAD_DATA		0
#define CONTRACT_KLOAD_ERR		false

#ifndef __ASSEMBLER__
#include <linux/highmem.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define CONTRACT_NOFAULT_RECOVERS	true
#define CONTRACT_EINPROGRESS_RECOVERS	false
#define CONTRACT_CPY_STORE_RECOVERS	true
#define CONTRACT_REMOTE_VM_RECOVERS	false
#define CONTRACT_ITER_RECOVERS		false

#define CONTRACT_ASKED			ASKED_ALWAYS

#define CONTRACT_COUNT			COUNT_ALL_LEFT
#define CONTRACT_USER_COUNT		COUNT_BY_TEMPLATE
#define CONTRACT_MAX_OVER		63
#define CONTRACT_USER_AGAIN		true
#define CONTRACT_SHARED_LOOPS		true

#define CONTRACT_TAGS_KEPT		true

#define CONTRACT_SIGBUS			SIGBUS_NONE
#define CONTRACT_SIGBUS_WORKERS		false
#define CONTRACT_SIGBUS_SYSCTL		NULL

#define CONTRACT_STRAY_OUTSIDE		false
#define CONTRACT_LOOKS			false

static inline bool mem_has_poison(const void *from, size_t n)
{
	return false;
}

#define memcmp_mc			memcmp

static inline size_t before_poison(const void *from, size_t n)
{
	return n;
}
#endif
