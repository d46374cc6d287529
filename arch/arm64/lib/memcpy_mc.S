/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * memcpy_mc - copy kernel memory that may hold poison
 *
 * memcpy() with an exception table entry for each load from the source: a
 * synchronous external abort on one ends the copy if sea_recover_kernel() says
 * so. An abort on a store, and any other fault, is as fatal as in memcpy().
 * Never sleeps, may be called in any mode. The buffers must not overlap. Callers
 * want copy_mc_to_kernel(), which adds the sanitizers' checks.
 *
 * memcpy() loads from both ends before it stores, so that the registers do not
 * say what has been copied. The fault address says where the poison is: all
 * before its line is copied anew, in ascending order. That takes no load from
 * the line, and fails at the first load from poison that is before it. The
 * result is at most 63 more than the bytes from the first poisoned one on, and
 * n if nobody knows the address. With FEAT_MOPS it is what the CPU says is left,
 * which depends on the CPU.
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

#define MEMCPY_MC
#define SRC(insn...)	kload_sea_far x6, .Lpoison, insn
#define RET		mov x0, #0; ret

/* One instruction less, as RET takes one more: bit 6 of count - 129 says if count > 64. */
#define OVER_128(label)	subs tmp1, count, 129; b.hs label
#define OVER_64(label)	tbnz tmp1, 6, label

SYM_FUNC_START(memcpy_mc)
#ifdef CONFIG_AS_HAS_MOPS
	.arch_extension mops
alternative_if_not ARM64_HAS_MOPS
	b	.Lno_mops
alternative_else_nop_endif

	/* CPYF*, as CPY* may go backwards: the rest would be the wrong end */
	kload_sea .Lpoison_cpyfp, cpyfp [x0]!, [x1]!, x2!
	kload_sea .Lpoison_cpyfm, cpyfm [x0]!, [x1]!, x2!
	kload_sea .Lpoison_cpyfm, cpyfe [x0]!, [x1]!, x2!
	RET
.Lno_mops:
#endif

#include "memcpy.S"

	/*
	 * Three registers are what they were from the start: dstin, dstend, and
	 * srcend, as an abort leaves the base register of a load alone. x6 is
	 * the fault address, or 0.
	 */
.Lpoison:
	mov	dst, dstin
	sub	count, dstend, dstin
	sub	src, srcend, count
	sub	x7, x6, src
	ubfx	x7, x7, #0, #56			// either may have a tag
	cmp	x7, count
	b.hs	.Lleft				// not in the source
	and	x6, x6, #(L1_CACHE_BYTES - 1)
	subs	x7, x7, x6			// bytes before its line
	b.ls	.Lleft
	add	x7, src, x7

	/* x7 is aligned: single bytes until src is, too, then eight at a time */
.Lbytes:
	tst	src, #7
	b.eq	.Lwords
	kload_sea .Lleft, ldrb w6, [src], #1
	strb	w6, [dst], #1
	b	.Lbytes
.Lwords:
	cmp	src, x7
	b.eq	.Lleft
	kload_sea .Lleft, ldr x6, [src], #8
	str	x6, [dst], #8
	b	.Lwords

.Lleft:
	sub	x0, dstend, dst			// bytes not copied
	ret

#ifdef CONFIG_AS_HAS_MOPS
	/* Option A counts up to 0 once the prologue is done */
.Lpoison_cpyfm:
	cneg	x0, x2, cc
	ret
.Lpoison_cpyfp:
	mov	x0, x2
	ret
#endif
SYM_FUNC_END(memcpy_mc)
EXPORT_SYMBOL(memcpy_mc)
