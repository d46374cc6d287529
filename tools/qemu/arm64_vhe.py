# SPDX-License-Identifier: GPL-2.0-only
"""kunit.py's --qemu_config: the machine with the kernel at EL2 (VHE), and a device tree.

No firmware of the rig's can be below it.
"""

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(linux_arch='arm64',
                           kconfig='''
CONFIG_SERIAL_AMBA_PL011=y
CONFIG_SERIAL_AMBA_PL011_CONSOLE=y''',
                           qemu_arch='aarch64',
                           kernel_path='arch/arm64/boot/Image.gz',
                           kernel_command_line='console=ttyAMA0 panic=-1 '
                                               'rcupdate.rcu_cpu_stall_timeout=120',
                           extra_qemu_params=[
                               '-machine', 'virt,gic-version=3,virtualization=on,mte=on',
                               '-cpu', 'max,pauth-impdef=on', '-smp', '4', '-m', '1G'])
