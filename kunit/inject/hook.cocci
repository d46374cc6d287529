// SPDX-License-Identifier: GPL-2.0-only
//
// The suites' hook in a fault path with a copy_mc of its own: where an abort begins, where
// one in the kernel becomes fatal, where APEI is asked about one.

@abort@
identifier far, esr, regs, inf;
@@
 do_mem_abort(unsigned long far, unsigned long esr, struct pt_regs *regs)
 {
 	...
+	if (sea_inject(far, esr, regs))
+		return;
 	if (!inf->fn(far, esr, regs))
 		return;
 	...
 }

@death@
identifier msg;
@@
 die_kernel_fault(const char *msg, ...)
 {
+	if (sea_inject_dies(msg))
+		return;
 	bust_spinlocks(1);
 	...
 }

@fatal@
identifier inf;
@@
 do_sea(...)
 {
 	...
+	if (sea_inject_dies(inf->name))
+		return 0;
 	add_taint(TAINT_MACHINE_CHECK, ...);
 	arm64_notify_die(inf->name, ...);
 	...
 }

@untainted depends on !fatal@
identifier inf;
@@
 do_sea(...)
 {
 	...
+	if (sea_inject_dies(inf->name))
+		return 0;
 	arm64_notify_die(inf->name, ...);
 	...
 }

@claim@
expression regs;
@@
(
 user_mode(regs) && apei_claim_sea(regs) == 0
|
-apei_claim_sea(regs)
+sea_inject_claim(regs)
)

@include depends on abort || claim@
@@
 #include <linux/acpi.h>
+#include <asm/sea_inject.h>
