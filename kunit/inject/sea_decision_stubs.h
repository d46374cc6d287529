/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KUNIT_SEA_DECISION_STUBS_H
#define KUNIT_SEA_DECISION_STUBS_H

#include <linux/types.h>

#include <asm/asm-extable.h>

#include "../contract/contract.h"

#define STUB(name)							\
u64 sea_stub_##name(const void *addr);					\
extern const char sea_stub_##name##_load[];				\
extern const char sea_stub_##name##_fixup[]

STUB(none);
STUB(uaccess);
STUB(kaccess);
STUB(zeropad);
STUB(bpf);
STUB(kload);
#ifdef CONTRACT_KLOAD_FAR_DATA
STUB(kload_far);
#endif
#ifdef EX_TYPE_UACCESS_CPY
STUB(cpy_from);
STUB(cpy_to);
#endif

u64 sea_stub_simd(const void *addr);

#undef STUB

#endif /* KUNIT_SEA_DECISION_STUBS_H */
