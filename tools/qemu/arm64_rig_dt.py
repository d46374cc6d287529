# SPDX-License-Identifier: GPL-2.0-only
"""kunit.py's --qemu_config: a DIMM that a test takes off the bus, without firmware.

There is a device tree in place of ACPI: nobody claims the aborts.
"""

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(linux_arch='arm64',
                           kconfig='''
CONFIG_SERIAL_AMBA_PL011=y
CONFIG_SERIAL_AMBA_PL011_CONSOLE=y''',
                           qemu_arch='aarch64',
                           kernel_path='arch/arm64/boot/Image.gz',
                           kernel_command_line='console=ttyAMA0 panic=-1',
                           extra_qemu_params=[
                               '-machine', 'virt,gic-version=3',
                               '-cpu', 'max,pauth-impdef=on', '-smp', '2', '-m', '1G',
                               '-global', 'gpex-pcihost.allow-unmapped-accesses=off',
                               '-object', 'memory-backend-ram,id=dimm0,size=128M,share=on',
                               '-device', 'ivshmem-plain,memdev=dimm0'])
