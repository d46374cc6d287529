// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the suites call that the kernel does not export, for when they are a module. Only
 * one that says so (EXPORTED_FOR_KUNIT_TESTING) can have it.
 */

#include <kunit/visibility.h>
#include <linux/extable.h>
#include <linux/kallsyms.h>
#include <linux/ksm.h>
#include <linux/mm.h>
#include <linux/panic.h>
#include <linux/rmap.h>
#include <linux/sched/task.h>
#include <linux/set_memory.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <acpi/apei.h>
#include <asm/exception.h>
#include <asm/insn.h>
#include <asm/mte.h>
#include <asm/traps.h>

#include "../contract/contract.h"

/* Routines of the contract; the others are called from modules anyway. */
EXPORT_SYMBOL_IF_KUNIT(copy_mc_page);

/* The fault path, who decides there, and who dies */
EXPORT_SYMBOL_IF_KUNIT(apei_claim_sea);
EXPORT_SYMBOL_IF_KUNIT(arm64_force_sig_mceerr);
EXPORT_SYMBOL_IF_KUNIT(do_mem_abort);
EXPORT_SYMBOL_IF_KUNIT(fixup_exception);
EXPORT_SYMBOL_IF_KUNIT(panic_on_oops);
EXPORT_SYMBOL_IF_KUNIT(search_exception_tables);

/* Instructions and routines */
EXPORT_SYMBOL_IF_KUNIT(aarch64_insn_decode_immediate);
EXPORT_SYMBOL_IF_KUNIT(aarch64_insn_decode_register);
EXPORT_SYMBOL_IF_KUNIT(kallsyms_lookup_name);
EXPORT_SYMBOL_IF_KUNIT(kallsyms_lookup_size_offset);

/* Memory that traps */
EXPORT_SYMBOL_IF_KUNIT(can_set_direct_map);
EXPORT_SYMBOL_IF_KUNIT(get_vm_area);
EXPORT_SYMBOL_IF_KUNIT(init_mm);
EXPORT_SYMBOL_IF_KUNIT(set_direct_map_default_noflush);
EXPORT_SYMBOL_IF_KUNIT(set_direct_map_invalid_noflush);
EXPORT_SYMBOL_IF_KUNIT(vm_area_map_pages);
EXPORT_SYMBOL_IF_KUNIT(vm_area_unmap_pages);

/* Accessors, and others who copy */
EXPORT_SYMBOL_IF_KUNIT(access_remote_vm);
EXPORT_SYMBOL_IF_KUNIT(copy_to_kernel_nofault);
EXPORT_SYMBOL_IF_KUNIT(strncpy_from_kernel_nofault);
EXPORT_SYMBOL_IF_KUNIT(strncpy_from_user_nofault);
EXPORT_SYMBOL_IF_KUNIT(strnlen_user_nofault);
EXPORT_SYMBOL_IF_KUNIT(folio_add_new_anon_rmap);
EXPORT_SYMBOL_IF_KUNIT(folio_remove_rmap_ptes);
#ifdef CONFIG_KSM
EXPORT_SYMBOL_IF_KUNIT(ksm_might_need_to_copy);
#endif
#ifdef CONFIG_ARM64_MTE
EXPORT_SYMBOL_IF_KUNIT(mte_copy_mc_page_tags);
EXPORT_SYMBOL_IF_KUNIT(mte_copy_page_tags);
EXPORT_SYMBOL_IF_KUNIT(mte_sync_tags);
#endif

/* Processes */
EXPORT_SYMBOL_IF_KUNIT(kernel_wait);
EXPORT_SYMBOL_IF_KUNIT(task_work_run);
EXPORT_SYMBOL_IF_KUNIT(user_mode_thread);
