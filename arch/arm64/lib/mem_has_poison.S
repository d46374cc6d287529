/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looking for poison in kernel memory
 */

#include <linux/export.h>
#include <linux/linkage.h>

#include <asm/asm-uaccess.h>
#include <asm/assembler.h>

#define BLOCK	512

/**
 * mem_has_poison() - load kernel memory, to see if it holds poison
 * @from: where it begins, a kernel address
 * @n: number of bytes
 *
 * All of it is loaded, and nothing outside of it: the architecture says nothing of how
 * much memory an error is in, and a cache may know of poison by 8 bytes (Arm ARM, RAS
 * extension, "Protection granule").
 * A synchronous external abort (Arm ARM, "Synchronous external aborts") ends it if
 * APEI claims that (ACPI, "Generic Hardware Error Source"); any other fault is as
 * fatal as in memcpy(). Never sleeps, may be called in any mode.
 *
 * Return: true if a load has met poison; no more were tried.
 */
SYM_FUNC_START(mem_has_poison)
	add	x2, x0, x1			// end
	subs	x1, x1, #BLOCK
	b.lo	2f
1:	.set	.Loffset, 0
	.rept	BLOCK / 16
	kload_sea 9998f, ldp x3, x4, [x0, #.Loffset]
	.set	.Loffset, .Loffset + 16
	.endr
	add	x0, x0, #BLOCK
	subs	x1, x1, #BLOCK
	b.hs	1b
2:	add	x1, x1, #BLOCK			// what is left
	subs	x1, x1, #16
	b.lo	4f
3:	kload_sea 9998f, ldp x3, x4, [x0], #16
	subs	x1, x1, #16
	b.hs	3b
4:	cmp	x0, x2
	b.hs	5f
	kload_sea 9998f, ldrb w3, [x0], #1
	b	4b
5:	mov	w0, #0
	ret

	// Exception fixup
9998:	mov	w0, #1
	ret
SYM_FUNC_END(mem_has_poison)
EXPORT_SYMBOL(mem_has_poison)
