# SPDX-License-Identifier: GPL-2.0-only
"""kunit.py's --qemu_config: its own arm64 machine, with memory tagging."""

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(linux_arch='arm64',
                           kconfig='''
CONFIG_SERIAL_AMBA_PL011=y
CONFIG_SERIAL_AMBA_PL011_CONSOLE=y''',
                           qemu_arch='aarch64',
                           kernel_path='arch/arm64/boot/Image.gz',
                           # A panic ends the run at once, not when the time is up.
                           kernel_command_line='console=ttyAMA0 panic=-1',
                           extra_qemu_params=['-machine', 'virt,mte=on',
                                              '-cpu', 'max,pauth-impdef=on',
                                              '-smp', '2', '-m', '1G'])
