/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * copy_mc_page - copy a page that may hold poison
 *
 * copy_page() with an exception table entry for each load from the source: a
 * synchronous external abort on one ends the copy if sea_recover_kernel() says
 * so. An abort on a store, and any other fault, is as fatal as in copy_page().
 * Never sleeps, may be called in any mode.
 *
 * Parameters:
 *	x0 - dest, page aligned
 *	x1 - src, page aligned
 * Returns:
 *	x0 - 0, or -EFAULT with the content of dest undefined
 */

#include <asm/asm-uaccess.h>
#include <asm/errno.h>

#define COPY_MC_PAGE
#define COPY_PAGE	copy_mc_page
#define SRC(insn...)	kload_sea .Lpoison, insn
#define RET		mov x0, #0; ret

#include "copy_page.S"

.Lpoison:
	mov	x0, #-EFAULT
	ret
SYM_FUNC_END(copy_mc_page)
