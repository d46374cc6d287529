/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looking for poison in kernel memory
 */

#include <linux/export.h>
#include <linux/linkage.h>

#include <asm/asm-uaccess.h>
#include <asm/assembler.h>

#define LINE	64
#define LINES	16

/**
 * mem_has_poison() - load each line of kernel memory, to see if it holds poison
 * @from: where it begins, a kernel address
 * @n: number of bytes
 *
 * What is poisoned is a cache line or more: one byte of each 64 is loaded, and the
 * last byte, which may be in one more line than that; nothing outside of the range.
 * A synchronous external abort (Arm ARM, "Synchronous external aborts") ends it if
 * APEI claims that (ACPI, "Generic Hardware Error Source"); any other fault is as
 * fatal as in memcpy(). Never sleeps, may be called in any mode.
 *
 * Return: true if a load has met poison; no more were tried.
 */
SYM_FUNC_START(mem_has_poison)
	cbz	x1, 5f
	add	x2, x0, x1			// end
	subs	x1, x1, #LINES * LINE
	b.lo	2f
1:	.set	.Loffset, 0
	.rept	LINES
	kload_sea 9998f, ldrb w3, [x0, #.Loffset]
	.set	.Loffset, .Loffset + LINE
	.endr
	add	x0, x0, #LINES * LINE
	subs	x1, x1, #LINES * LINE
	b.hs	1b
2:	adds	x1, x1, #LINES * LINE		// what is left
	b.eq	4f
3:	kload_sea 9998f, ldrb w3, [x0], #LINE
	subs	x1, x1, #LINE
	b.hi	3b
4:	kload_sea 9998f, ldrb w3, [x2, #-1]
5:	mov	w0, #0
	ret

	// Exception fixup
9998:	mov	w0, #1
	ret
SYM_FUNC_END(mem_has_poison)
EXPORT_SYMBOL(mem_has_poison)
