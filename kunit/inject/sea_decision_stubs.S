/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One load per exception table entry type. Each stub takes an address in x0, loads
 * from it into x2, and says -1 in x0 if it came through the fixup.
 */

#include <linux/linkage.h>

#include <asm/asm-extable.h>
#include <asm/assembler.h>

#include "../contract/contract.h"

#define DATA_ERR_ZERO	(EX_DATA_REG(ERR, x1) | EX_DATA_REG(ZERO, x2))
#define DATA_ZEROPAD	(EX_DATA_REG(DATA, x2) | EX_DATA_REG(ADDR, x0))

/* For the audit, never called: a load that the simulator does not know */
SYM_FUNC_START(sea_stub_simd)
	ldr	q0, [x0]
	ret
SYM_FUNC_END(sea_stub_simd)

	.macro	stub, name, type=EX_TYPE_NONE, data=0
SYM_FUNC_START(sea_stub_\name)
	mov	x1, #1
	mov	x2, #2
SYM_INNER_LABEL(sea_stub_\name\()_load, SYM_L_GLOBAL)
	ldr	x2, [x0]
	mov	x0, x2
	ret
SYM_INNER_LABEL(sea_stub_\name\()_fixup, SYM_L_GLOBAL)
	mov	x0, #-1
	ret
SYM_FUNC_END(sea_stub_\name)
	.if	\type != EX_TYPE_NONE
	__ASM_EXTABLE_RAW(sea_stub_\name\()_load, sea_stub_\name\()_fixup, \type, \data)
	.endif
	.endm

	stub	none
	stub	uaccess, CONTRACT_EX_UACCESS, DATA_ERR_ZERO
	stub	kaccess, CONTRACT_EX_KACCESS, DATA_ERR_ZERO
	stub	zeropad, EX_TYPE_LOAD_UNALIGNED_ZEROPAD, DATA_ZEROPAD
	stub	bpf, EX_TYPE_BPF
	stub	kload, CONTRACT_EX_KLOAD, CONTRACT_KLOAD_DATA
#ifdef CONTRACT_KLOAD_FAR_DATA
	stub	kload_far, CONTRACT_EX_KLOAD, CONTRACT_KLOAD_FAR_DATA
#endif
#ifdef EX_TYPE_UACCESS_CPY
	stub	cpy_from, EX_TYPE_UACCESS_CPY, 0
	stub	cpy_to, EX_TYPE_UACCESS_CPY, EX_DATA_UACCESS_WRITE
#endif
