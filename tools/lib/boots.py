# SPDX-License-Identifier: GPL-2.0-only
"""What is booted: each kernel, on which machines, with which suites or programs."""

from lib import judge, kunit
from lib.overlay import KERNELS

# The boots of the suites: name, variants, what else kunit.py is told, which suites, which
# kernels, seconds.  The sweeps are where there is no MTE, as QEMU takes three times as long to
# check tags; without CPY* instructions it is the loops that are swept, and 6.12 has none.  What
# is booted otherwise is so on one version, as that tells as much as two; and on the only one, if
# only one is tested.
FIRST, LAST = KERNELS[:1], KERNELS[-1:]
BOOTS = (
    ("suites", (), (kunit.FAST,), "", KERNELS, 120),
    ("nomte", ("nomte",), (), "", KERNELS, 240),
    ("nomte+nomops", ("nomte", "nomops"), (), "", LAST, 240),
    ("kasan-async", ("kasan-async",), (kunit.FAST,), "", FIRST, 120),
    ("kasan-off", ("kasan-off",), (kunit.FAST,), "", LAST, 90),
    ("dt", ("dt",), (kunit.FAST,), "", LAST, 90),
    ("plain", ("plain",), (kunit.FAST,), "", FIRST, 90),
    ("cpus2", ("cpus2",), (kunit.FAST,), "sea_rig", LAST, 60),
    ("deaths", (), (f"--kernel_args={judge.LOG_FEATURES['DEATHS']}",), judge.DEATHS_SUITE,
     KERNELS, 30),
)

# Kernels that are configured otherwise, or booted otherwise and nowhere else: variants, each
# a build of its own, or that of ./tools/run.
CONFIGS = ("16k", "64k", "kvm", "lockdep", "rt", "kasan-generic", "scs", "kcfi", "vhe")

# Those of user space's tests; NVDIMMs are where MTE is not.
SELFTESTS = (("selftests", ()), ("selftests-nomte", ("nomte",)))


def of(kernel, only):
    """The boots of the suites for a kernel; only: no other is tested."""
    shape = kernel if kernel in KERNELS else KERNELS[-1]
    return [b for b in BOOTS if shape in b[4] or
            (only and (shape != KERNELS[0] or "nomops" not in b[1]))]
