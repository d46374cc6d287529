/* SPDX-License-Identifier: GPL-2.0-only */
/* The contract of this implementation; contract.h says what each word means. */

#include <asm/asm-extable.h>

#define CONTRACT_EX_UACCESS		EX_TYPE_UACCESS_ERR_ZERO
#define CONTRACT_EX_KACCESS		EX_TYPE_KACCESS_ERR_ZERO
#define CONTRACT_EX_KLOAD		EX_TYPE_KLOAD_SEA
#define CONTRACT_KLOAD_DATA		EX_DATA_REG(FAR, xzr)
#define CONTRACT_KLOAD_ERR		false
#define CONTRACT_KLOAD_FAR_DATA		EX_DATA_REG(FAR, x2)

#ifndef __ASSEMBLER__
#include <linux/mem_poison.h>

#include <asm/copy_mc.h>

#define CONTRACT_NOFAULT_RECOVERS	false
#define CONTRACT_EINPROGRESS_RECOVERS	true
#define CONTRACT_CPY_STORE_RECOVERS	false
#define CONTRACT_REMOTE_VM_RECOVERS	true
#define CONTRACT_ITER_RECOVERS		true

#define CONTRACT_ASKED			ASKED_WITH_ENTRY

#define CONTRACT_COUNT			COUNT_BY_ADDRESS
#define CONTRACT_USER_COUNT		COUNT_BY_TEMPLATE
#define CONTRACT_MAX_OVER		63
#define CONTRACT_USER_AGAIN		false
#define CONTRACT_SHARED_LOOPS		false

#define CONTRACT_TAGS_KEPT		false

#define CONTRACT_SIGBUS			SIGBUS_BY_ADDRESS
#define CONTRACT_SIGBUS_WORKERS		false
#define CONTRACT_SIGBUS_SYSCTL		"sea_sigbus"

#define CONTRACT_STRAY_OUTSIDE		true
#define CONTRACT_LOOKS			true
#endif
