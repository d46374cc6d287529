/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * memcpy_mc - copy kernel memory that may hold poison
 *
 * A synchronous external abort on a load from the source ends the copy if
 * sea_recover_kernel() says so. An abort on a store, and any other fault, is as
 * fatal as in memcpy(). Never sleeps, may be called in any mode. The buffers
 * must not overlap. Callers want copy_mc_to_kernel(), which adds the sanitizers'
 * checks.
 *
 * The template loads in ascending order and stores what it loaded in the same
 * order, at most 48 bytes behind, so that what is before dst has been copied and
 * what is not includes the poison. Within a 16-byte load it may be the last
 * byte: the result is at most 63 more than the bytes from the first poisoned one
 * on. With FEAT_MOPS it is what the CPU says is left, which depends on the CPU.
 *
 * Parameters:
 *	x0 - to
 *	x1 - from
 *	x2 - n
 * Returns:
 *	x0 - 0, or the number of bytes not copied
 */

#include <linux/export.h>
#include <linux/linkage.h>

#include <asm/asm-uaccess.h>
#include <asm/assembler.h>
#include <asm/cache.h>

	.macro ldrb1 reg, ptr, val
	kload_sea 9998f, ldrb \reg, [\ptr], \val
	.endm

	.macro strb1 reg, ptr, val
	strb \reg, [\ptr], \val
	.endm

	.macro ldrh1 reg, ptr, val
	kload_sea 9998f, ldrh \reg, [\ptr], \val
	.endm

	.macro strh1 reg, ptr, val
	strh \reg, [\ptr], \val
	.endm

	.macro ldr1 reg, ptr, val
	kload_sea 9998f, ldr \reg, [\ptr], \val
	.endm

	.macro str1 reg, ptr, val
	str \reg, [\ptr], \val
	.endm

	.macro ldp1 reg1, reg2, ptr, val
	kload_sea 9998f, ldp \reg1, \reg2, [\ptr], \val
	.endm

	.macro stp1 reg1, reg2, ptr, val
	stp \reg1, \reg2, [\ptr], \val
	.endm

	/* CPYF*, as CPY* may go backwards: the rest would be the wrong end */
	.macro cpy1 dst, src, count
	.arch_extension mops
	kload_sea 9998f, cpyfp [\dst]!, [\src]!, \count!
	kload_sea 9997f, cpyfm [\dst]!, [\src]!, \count!
	kload_sea 9997f, cpyfe [\dst]!, [\src]!, \count!
	.endm

end	.req	x5
SYM_FUNC_START(memcpy_mc)
	add	end, x0, x2
#include "copy_template.S"
	mov	x0, #0
	ret

	// Exception fixups
9997:	b.cs	9998f
	// Registers are in Option A format
	add	dst, dst, count
9998:	sub	x0, end, dst			// bytes not copied
	ret
SYM_FUNC_END(memcpy_mc)
EXPORT_SYMBOL(memcpy_mc)
