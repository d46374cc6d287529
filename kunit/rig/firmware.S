/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A firmware at EL2, below a kernel at EL1: what EL3 is to a server's kernel when
 * memory breaks.
 *
 * A poisoned page may be written, not read, by its leaf in stage 2. What takes a permission
 * fault there has its error recorded where APEI looks, then takes a synchronous
 * external abort (SEA). The firmware also executes the commands of ACPI's EINJ.
 *
 * Position independent, MMU off, thus physical addresses and aligned accesses. One CPU is
 * in here at a time, but for what needs no memory. Made for QEMU's TCG, which has no caches,
 * takes exclusives in any memory, and always says in HPFAR_EL2 where a fault was.
 */
#include <linux/errno.h>
#include <linux/linkage.h>

#include <asm/assembler.h>
#include <asm/esr.h>
#include <asm/kvm_arm.h>
#include <asm/ptrace.h>
#include <asm/sysreg.h>
#include <asm/virt.h>

#include "firmware.h"

/* CNTP_CTL_EL0 */
#define ARCH_TIMER_CTRL_ENABLE	(1 << 0)
#define ARCH_TIMER_CTRL_IT_MASK	(1 << 1)
/* As EINJ and CPER number them; in C these are enumerations. */
#define EINJ_SUCCESS		0
#define EINJ_INVALID_ACCESS	2
#define EINJ_CORRECTABLE	0x08
#define EINJ_UNCORRECTABLE	0x10
#define EINJ_FATAL		0x20
#define EINJ_FLAGS_MEM_SHIFT	1
#define SEVERITY_RECOVERABLE	0
#define SEVERITY_FATAL		1
#define SEVERITY_CORRECTED	2
/* Of a block: one entry, and of what kind */
#define STATUS_UNCORRECTABLE	(1 << 4 | 1)
#define STATUS_CORRECTABLE	(1 << 4 | 2)
/* DFSC, bits 5:2 */
#define FAULT_TRANSLATION	1
#define FAULT_PERMISSION	3

#define FRAME			112

	.macro	enter
	mrs	x0, tpidr_el2
	stp	x0, x1, [sp, #-FRAME]!
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	str	x30, [sp, #96]
	.endm

	.macro	leave
	ldr	x30, [sp, #96]
	ldp	x10, x11, [sp, #80]
	ldp	x8, x9, [sp, #64]
	ldp	x6, x7, [sp, #48]
	ldp	x4, x5, [sp, #32]
	ldp	x2, x3, [sp, #16]
	ldp	x0, x1, [sp], #FRAME
	eret
	.endm

	/* x0 is rig_firmware, whose first word is the lock. */
	.macro	lock
.Llock\@:
	ldaxr	w4, [x0]
	cbnz	w4, .Llock\@
	mov	w4, #1
	stxr	w5, w4, [x0]
	cbnz	w5, .Llock\@
	.endm

	.macro	unlock
	stlr	wzr, [x0]
	.endm

	/* Has the last record waited for too long? Then the condition is hi. */
	.macro	out_of_patience
	mrs	x5, cntpct_el0
	ldr	x7, [x0, #FIRMWARE_SINCE]
	sub	x5, x5, x7
	ldr	x7, [x0, #FIRMWARE_PATIENCE]
	cmp	x5, x7
	.endm

	.macro	count, what, tmp
	ldr	\tmp, [x0, #\what]
	add	\tmp, \tmp, #1
	str	\tmp, [x0, #\what]
	.endm

	/* Tables have changed: no CPU is to know the old ones. */
	.macro	flush
	dsb	ishst
	tlbi	vmalls12e1is
	dsb	ish
	isb
	.endm

	.text
	.align	11
SYM_CODE_START(rig_firmware_vectors)
	.rept	8			// from EL2
	.align	7
	b	unexpected
	.endr
	.rept	2			// from EL1 and EL0: 64-bit, 32-bit
	.align	7
	b	from_lower_el
	.rept	3			// nothing is routed here
	.align	7
	b	unexpected
	.endr
	.endr
SYM_CODE_END(rig_firmware_vectors)

SYM_CODE_START_LOCAL(unexpected)
	mov	x1, #0x09000000			// the virt machine's PL011
	adr	x2, .Lmessage
0:	ldrb	w3, [x2], #1
	str	w3, [x1]
	cbnz	w3, 0b
	mov_q	x0, 0x84000009			// PSCI SYSTEM_RESET
	smc	#0
1:	wfe
	b	1b
.Lmessage:
	.asciz	"\r\nsea_rig: BUG: unexpected exception at EL2\r\n"
	.align	2
SYM_CODE_END(unexpected)

SYM_CODE_START_LOCAL(from_lower_el)
	msr	tpidr_el2, x0			// there may be no stack yet
	mrs	x0, esr_el2
	ubfx	x0, x0, #ESR_ELx_EC_SHIFT, #6
	cmp	x0, #ESR_ELx_EC_HVC64
	b.eq	hypercall
	bic	x0, x0, #(ESR_ELx_EC_DABT_LOW ^ ESR_ELx_EC_IABT_LOW)
	cmp	x0, #ESR_ELx_EC_IABT_LOW
	b.ne	unexpected

	enter
	adr_l	x0, rig_firmware
	mrs	x1, esr_el2
	mrs	x2, hpfar_el2
	mrs	x3, far_el2
	ubfx	x2, x2, #4, #40			// FIPA, from bit 12 of the address on
	lsl	x2, x2, #RIG_PAGE_SHIFT
	mov_q	x4, RIG_DOORBELL
	cmp	x2, x4
	b.eq	doorbell
	tbnz	x1, #ESR_ELx_S1PTW_SHIFT, 0f
	bfi	x2, x3, #0, #RIG_PAGE_SHIFT
0:
	lock
	mov	x9, x2
	bl	find_leaf
	cbz	x11, .Linject			// no memory
	ldr	x6, [x11]
	tbz	x6, #0, .Linject			// dead
	tbz	x6, #S2_READ_SHIFT, 1f
	ubfx	x5, x1, #2, #4			// healthy by now, or what is wrong?
	cmp	x5, #FAULT_TRANSLATION
	ccmp	x5, #FAULT_PERMISSION, #4, ne
	b.eq	.Lagain
	b	.Linject
1:
	/* One record at a time: the one before has to be read first. */
	ldr	x4, [x0, #FIRMWARE_WINDOW]
	cbz	x4, .Lconsumed
	tbnz	x6, #S2_ASYNC_SHIFT, 2f
	tbnz	x6, #S2_NO_RECORD_SHIFT, .Lconsumed
2:	ldr	x5, [x4, #WINDOW_ACK]
	tbz	x5, #0, .Lwait
	ubfx	x7, x6, #S2_FATAL_SHIFT, #1
	tbz	x6, #S2_ASYNC_SHIFT, 4f
	/* With both bits the asynchronous record has been written. */
	ldr	w5, [x4, #WINDOW_ASYNC]
	cbnz	w5, .Lwait
	eor	x6, x6, #BIT(S2_NO_RECORD_SHIFT)
	str	x6, [x11]
	tbz	x6, #S2_NO_RECORD_SHIFT, 4f
	add	x8, x4, #WINDOW_ASYNC
	bl	write_record
	b	.Lwait
4:	str	xzr, [x4, #WINDOW_ACK]
	add	x8, x4, #WINDOW_SYNC
	bl	write_record
.Lconsumed:
	count	FIRMWARE_ABORTS, x5
	b	.Linject

	/*
	 * Make the access again: the code that reads the record may have to run here. If that
	 * is what this access interrupted, it never will.
	 */
.Lwait:
	out_of_patience
	b.hi	.Llost
	count	FIRMWARE_AGAIN, x5
	unlock
	/* This CPU may be all that the reader lacks: sleep, if the timer wakes it in time. */
	mrs	x5, cntp_ctl_el0
	and	x5, x5, #(ARCH_TIMER_CTRL_ENABLE | ARCH_TIMER_CTRL_IT_MASK)
	mrs	x6, cntp_tval_el0
	cmp	x5, #ARCH_TIMER_CTRL_ENABLE
	ccmp	x6, x7, #0, eq
	b.ge	0f
	wfi
0:	leave

.Lagain:
	unlock
	leave

.Llost:
	count	FIRMWARE_LOST, x5
.Linject:
	/* DDI 0487, AArch64.TakeException() to EL1, but for features that Linux does not use */
	mrs	x4, spsr_el2
	mov	x5, #0x600			// VBAR_EL1 + from 32-bit EL0
	tbnz	x4, #4, 0f
	mov	x5, #0x400			// from EL0
	tst	x4, #PSR_MODE_MASK
	b.eq	0f
	mov	x5, #0x200			// from EL1
0:
	ubfx	x7, x1, #ESR_ELx_EC_SHIFT, #6
	cmp	x5, #0x200
	cinc	x7, x7, eq			// EC of the same level
	lsl	x6, x7, #ESR_ELx_EC_SHIFT
	orr	x6, x6, #ESR_ELx_IL
	tbnz	x1, #ESR_ELx_S1PTW_SHIFT, .Ltable_walk
	orr	x6, x6, #ESR_ELx_FSC_EXTABT
	ldr	x8, [x0, #FIRMWARE_SET]
	orr	x6, x6, x8, lsl #ESR_ELx_SET_SHIFT
1:
	mov	x8, #(ESR_ELx_WNR | ESR_ELx_CM)
	and	x8, x1, x8
	tst	x7, #0x4			// not of an instruction fetch
	csel	x8, xzr, x8, eq
	orr	x6, x6, x8

	msr	esr_el1, x6
	msr	far_el1, x3
	msr	spsr_el1, x4
	mrs	x6, elr_el2
	msr	elr_el1, x6
	mrs	x6, vbar_el1
	add	x6, x6, x5
	msr	elr_el2, x6

	mov_q	x6, PSR_N_BIT | PSR_Z_BIT | PSR_C_BIT | PSR_V_BIT | PSR_PAN_BIT | PSR_DIT_BIT
	and	x4, x4, x6
	mov_q	x6, PSR_TCO_BIT | PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT | PSR_MODE_EL1h
	orr	x4, x4, x6
	mrs	x6, sctlr_el1
	orr	x5, x4, #PSR_PAN_BIT
	tst	x6, #SCTLR_EL1_SPAN
	csel	x4, x5, x4, eq
	orr	x5, x4, #PSR_SSBS_BIT
	tst	x6, #SCTLR_ELx_DSSBS
	csel	x4, x5, x4, ne
	msr	spsr_el2, x4
	unlock
	leave

	/* Which level's table is it? ESR_EL2 has the level of stage 2: walk until there. */
.Ltable_walk:
	mrs	x9, tcr_el1
	mrs	x8, ttbr0_el1
	tbz	x3, #55, 2f
	lsr	x9, x9, #16			// T1SZ
	mrs	x8, ttbr1_el1
2:	and	x9, x9, #0x3f			// TxSZ
	lsl	x10, x3, x9
	lsr	x10, x10, x9			// the address, without tag and sign
	mov	x11, #(64 - PAGE_SHIFT) + (PAGE_SHIFT - 3) - 1
	sub	x11, x11, x9
	mov	x9, #(PAGE_SHIFT - 3)
	udiv	x11, x11, x9			// levels to go
	ubfx	x8, x8, #1, #47
	lsl	x8, x8, #1
3:	mul	x9, x11, x9			// the index, from the address' top down
	add	x9, x9, #3			// PAGE_SHIFT + (levels - 1) * (PAGE_SHIFT - 3)
	lsr	x9, x10, x9
	and	x9, x9, #((1 << (PAGE_SHIFT - 3)) - 1)
	add	x8, x8, x9, lsl #3
	eor	x9, x8, x2
	lsr	x9, x9, #RIG_PAGE_SHIFT
	cbz	x9, 4f
	cmp	x11, #1
	b.eq	4f
	ldr	x8, [x8]
	and	x8, x8, #GENMASK(47, PAGE_SHIFT)
	sub	x11, x11, #1
	mov	x9, #(PAGE_SHIFT - 3)
	b	3b
4:	mov	x8, #ESR_ELx_FSC_SEA_TTW(3)	// the last level's
	sub	x8, x8, x11
	add	x8, x8, #1
	orr	x6, x6, x8
	b	1b
SYM_CODE_END(from_lower_el)

/* What EINJ's registers say is to be done; x3 is the address in the doorbell. */
SYM_CODE_START_LOCAL(doorbell)
	lock
	tbz	x1, #ESR_ELx_WNR_SHIFT, .Linject
	ldr	x4, [x0, #FIRMWARE_WINDOW]
	tbnz	x3, #3, .Ltrigger		// RIG_DOORBELL_TRIGGER

	mov	w8, #EINJ_INVALID_ACCESS
	ldr	w5, [x4, #WINDOW_FLAGS]
	tbz	x5, #EINJ_FLAGS_MEM_SHIFT, .Ldone
	ldr	x1, [x4, #WINDOW_ADDRESS]
	ldr	x2, [x4, #WINDOW_RANGE]
	and	x1, x1, x2
	neg	x2, x2
	mov	x9, x1
	bl	find_leaf
	cbz	x11, .Ldone

	ldr	w5, [x4, #WINDOW_TYPE]
	mov	x7, #SEVERITY_CORRECTED
	cmp	w5, #EINJ_CORRECTABLE
	b.eq	0f				// nothing is poisoned
	ldr	x6, [x0, #FIRMWARE_REPORT]
	mov_q	x3, S2_POISON
	orr	x3, x3, x6, lsl #S2_NO_ADDRESS_SHIFT
	mov	x7, #SEVERITY_RECOVERABLE
	cmp	w5, #EINJ_UNCORRECTABLE
	b.eq	1f
	orr	x3, x3, #BIT(S2_FATAL_SHIFT)
	mov	x7, #SEVERITY_FATAL
	cmp	w5, #EINJ_FATAL
	b.ne	.Ldone
1:	bl	set_pages
	cbnz	x5, .Ldone
0:	str	x9, [x0, #FIRMWARE_FOUND]
	str	x7, [x0, #FIRMWARE_SEVERITY]
	mov	w8, #EINJ_SUCCESS
.Ldone:
	str	x8, [x4, #WINDOW_STATUS]
.Lnext:
	mrs	x5, elr_el2
	add	x5, x5, #4
	msr	elr_el2, x5
.Lout:
	unlock
	leave

	/* As if a patrol had found the error; again if the record before was not read. */
.Ltrigger:
	ldr	w5, [x4, #WINDOW_ASYNC]
	cbz	w5, 2f
	out_of_patience
	b.ls	.Lout
	count	FIRMWARE_LOST, x5
	b	.Lnext
2:	add	x8, x4, #WINDOW_ASYNC
	ldr	x2, [x0, #FIRMWARE_FOUND]
	ldr	x7, [x0, #FIRMWARE_SEVERITY]
	ldr	x6, [x0, #FIRMWARE_REPORT]
	lsl	x6, x6, #S2_NO_ADDRESS_SHIFT
	bl	write_record
	b	.Lnext
SYM_CODE_END(doorbell)

/*
 * Find the leaf of a page of memory.
 * In: x0 rig_firmware, x9 physical address
 * Out: x10 where its table's entry is, x11 where the leaf is, or 0
 */
SYM_CODE_START_LOCAL(find_leaf)
	ldr	x10, [x0, #FIRMWARE_ROOT]
	lsr	x11, x9, #RIG_IPA_BITS
	cbnz	x11, 0f
	lsr	x11, x9, #30
	ldr	x10, [x10, x11, lsl #3]
	tbz	x10, #1, 0f
	and	x10, x10, #S2_ADDR
	ubfx	x11, x9, #21, #9
	add	x10, x10, x11, lsl #3
	ldr	x11, [x10]
	tbz	x11, #S2_MEMORY_SHIFT, 0f
	and	x11, x11, #S2_ADDR
	bfxil	x11, x9, #9, #12		// the index of 9 bits, times 8,
	and	x11, x11, #~7			// in the table's page
	ret
0:	mov	x11, xzr
	ret
SYM_CODE_END(find_leaf)

/*
 * Give all pages of a range the same leaf, and have all CPUs know; or none.
 * In: x0 rig_firmware, x1 physical address, x2 size, x3 leaf
 * Out: x5 0 or -EINVAL; changes x1, x2, x6, x10, x11
 */
SYM_CODE_START_LOCAL(set_pages)
	mov	x5, x30
	mov	x6, x9
	add	x2, x1, x2
	and	x1, x1, #~((1 << RIG_PAGE_SHIFT) - 1)
	mov	x9, x1				// memory has no holes of less than 2 MiB
2:	bl	find_leaf
	cbz	x11, 1f
	add	x9, x9, #(1 << 21)
	cmp	x9, x2
	b.lo	2b
	sub	x9, x2, #1
	bl	find_leaf
	cbz	x11, 1f
0:	mov	x9, x1
	bl	find_leaf
	orr	x9, x1, x3
	str	x9, [x11]
	ldr	x9, [x10]
	orr	x9, x9, #BIT(S2_MARK_SHIFT)
	str	x9, [x10]
	add	x1, x1, #(1 << RIG_PAGE_SHIFT)
	cmp	x1, x2
	b.lo	0b
1:	flush
	mov	x30, x5
	cmp	x11, xzr
	mov	x5, #-EINVAL
	csel	x5, x5, xzr, eq
	mov	x9, x6
	ret
SYM_CODE_END(set_pages)

/*
 * Write an error record.
 * In: x0 rig_firmware, x2 physical address, x6 leaf, x7 severity, x8 the record
 * Changes x5, x6
 */
SYM_CODE_START_LOCAL(write_record)
	count	FIRMWARE_RECORDS, x5
	str	w5, [x8, #RECORD_FRU_ID]	// or APEI takes it for a repetition
	mov	w5, #RECORD_HAS_ADDRESS
	tst	x6, #BIT(S2_NO_ADDRESS_SHIFT)
	csel	w5, w5, wzr, eq
	str	w5, [x8, #RECORD_VALID]
	str	w2, [x8, #RECORD_ADDRESS]	// 4 bytes aligned
	lsr	x5, x2, #32
	str	w5, [x8, #RECORD_ADDRESS + 4]
	str	w7, [x8, #RECORD_SEVERITY]
	str	w7, [x8, #RECORD_DATA_SEVERITY]
	mrs	x5, cntpct_el0
	str	x5, [x0, #FIRMWARE_SINCE]
	cmp	w7, #SEVERITY_CORRECTED
	mov	w5, #STATUS_UNCORRECTABLE
	mov	w6, #STATUS_CORRECTABLE
	csel	w5, w6, w5, eq
	dmb	osh				// the status says that the rest is there
	str	w5, [x8]
	ret
SYM_CODE_END(write_record)

SYM_CODE_START_LOCAL(hypercall)
	mrs	x0, tpidr_el2
	cmp	x0, #RIG_HVC_SET
	b.eq	.Lset
	cmp	x0, #RIG_HVC_REPAIR
	b.eq	.Lrepair
	cmp	x0, #RIG_HVC_FLUSH
	b.eq	.Lflush
	cmp	x0, #RIG_HVC_ENABLE
	b.eq	.Lenable
	/* Those of the kernel's stub, whose vectors these replace */
#ifdef HVC_GET_ICH_VTR_EL2
	cmp	x0, #HVC_GET_ICH_VTR_EL2
	b.eq	.Lget_ich_vtr
#endif
	cmp	x0, #HVC_SET_VECTORS
	b.eq	.Lset_vectors
	cmp	x0, #HVC_RESET_VECTORS
	b.eq	.Lreset_vectors
	cmp	x0, #HVC_SOFT_RESTART
	b.eq	.Lsoft_restart
	mov_q	x0, HVC_STUB_ERR
	eret

.Lset:
	enter
	adr_l	x0, rig_firmware
	lock
	bl	set_pages
	str	x5, [sp]			// x0 of the caller
	unlock
	leave

	/* Only tables with a mark have leaves that are not healthy. */
.Lrepair:
	enter
	adr_l	x0, rig_firmware
	lock
	ldr	x1, [x0, #FIRMWARE_ROOT]
	add	x2, x1, #2 << RIG_PAGE_SHIFT
0:	ldr	x3, [x1], #8
	tbz	x3, #1, 4f
	and	x3, x3, #S2_ADDR
	add	x4, x3, #1 << RIG_PAGE_SHIFT
1:	ldr	x5, [x3], #8
	tbz	x5, #S2_MARK_SHIFT, 3f
	bic	x6, x5, #BIT(S2_MARK_SHIFT)
	str	x6, [x3, #-8]
	and	x5, x5, #S2_ADDR
	add	x6, x5, #1 << RIG_PAGE_SHIFT
	mov_q	x7, S2_HEALTHY
2:	ldr	x8, [x5]
	and	x8, x8, #S2_ADDR
	orr	x8, x8, x7
	str	x8, [x5], #8
	cmp	x5, x6
	b.lo	2b
3:	cmp	x3, x4
	b.lo	1b
4:	cmp	x1, x2
	b.lo	0b
	flush
	str	xzr, [sp]
	unlock
	leave

.Lflush:
	flush
	b	.Lok

.Lenable:
	mov	sp, x1
	msr	vtcr_el2, x2
	msr	vttbr_el2, x3
	mrs	x1, hcr_el2
	orr	x1, x1, #HCR_VM
	dsb	ish
	msr	hcr_el2, x1
	isb
	tlbi	vmalls12e1
	dsb	nsh
	b	.Lok

#ifdef HVC_GET_ICH_VTR_EL2
.Lget_ich_vtr:
	mrs_s	x1, SYS_ICH_VTR_EL2
	b	.Lok
#endif

.Lreset_vectors:
	adr_l	x1, __hyp_stub_vectors
	/* Other vectors know nothing of stage 2. */
.Lset_vectors:
	msr	vbar_el2, x1
	mrs	x1, hcr_el2
	bic	x1, x1, #HCR_VM
	msr	hcr_el2, x1
	isb
	tlbi	vmalls12e1
	dsb	nsh
.Lok:
	isb
	mov	x0, xzr
	eret

.Lsoft_restart:
	mrs	x5, hcr_el2
	bic	x5, x5, #HCR_VM
	msr	hcr_el2, x5
	isb
	tlbi	vmalls12e1
	dsb	nsh
	isb
	mov	x0, x2
	mov	x2, x4
	mov	x4, x1
	mov	x1, x3
	br	x4
SYM_CODE_END(hypercall)
