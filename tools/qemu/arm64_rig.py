# SPDX-License-Identifier: GPL-2.0-only
"""kunit.py's --qemu_config: a machine for genuine memory errors.

Its firmware (ACPI, with a HEST) has the kernel told of errors through GHES; two BARs are
memory that a test takes off the bus, one as a DIMM of node 1, one as persistent memory.
"""

import os
import struct

from ..qemu_config import QemuArchParams

BAR = 'memory-backend-ram,id={0},size=128M,share=on'

CPUS = 2
ENABLED, HOTPLUG = 1, 2
MEMORY = [
    # Node, start, size, flags.  UEFI takes the second flash bank for memory, and the
    # kernel has but one node if some memory is of none, as this is in QEMU's own table.
    (0, 0x04000000, 0x04000000, ENABLED),
    (0, 0x40000000, 0x40000000, ENABLED),
    # No memory at boot.
    (1, 0x80000000, 0x40000000, ENABLED | HOTPLUG),
]


def srat():
    """The ACPI table that says which memory is of which node."""
    body = struct.pack('<IQ', 1, 0)
    for cpu in range(CPUS):
        body += struct.pack('<BBIIII', 3, 18, 0, cpu, ENABLED, 0)
    for node, start, size, flags in MEMORY:
        body += struct.pack('<BBIHQQIIQ', 1, 40, node, 0, start, size, 0, flags, 0)
    # QEMU's names and a newer revision than QEMU's, or the kernel keeps that one.
    head = struct.pack('<4sIBB6s8sI4sI', b'SRAT', 36 + len(body), 3, 0, b'BOCHS ', b'BXPC    ',
                       2, b'RIG ', 1)
    table = bytearray(head + body)
    table[9] = -sum(table) & 0xff
    return bytes(table)


def cpio(files):
    """An archive of (name, mode, content) as the kernel takes it."""
    data = b''
    for ino, (name, mode, content) in enumerate([*files, ('TRAILER!!!', 0, b'')]):
        fields = (ino, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        data += b'070701' + b''.join(b'%08x' % f for f in fields) + name.encode() + b'\0'
        data += b'\0' * (-len(data) % 4) + content
        data += b'\0' * (-len(data) % 4)
    return data


def tables():
    """A file with what the kernel is to take instead of the machine's own ACPI tables.

    It has no name, and goes with this process.
    """
    fd = os.memfd_create('tables')
    os.write(fd, cpio([('kernel', 0o40755, b''), ('kernel/firmware', 0o40755, b''),
                       ('kernel/firmware/acpi', 0o40755, b''),
                       ('kernel/firmware/acpi/SRAT.aml', 0o100644, srat())]))
    return f'/proc/{os.getpid()}/fd/{fd}'


QEMU_ARCH = QemuArchParams(linux_arch='arm64',
                           kconfig='''
CONFIG_SERIAL_AMBA_PL011=y
CONFIG_SERIAL_AMBA_PL011_CONSOLE=y''',
                           qemu_arch='aarch64',
                           kernel_path='arch/arm64/boot/Image.gz',
                           kernel_command_line='console=ttyAMA0 panic=-1 acpi=force',
                           extra_qemu_params=[
                               # A GICv3 is no memory to an interrupt, which thus does not abort.
                               '-machine', 'virt,ras=on,gic-version=3',
                               '-cpu', 'max,pauth-impdef=on', '-smp', str(CPUS),
                               '-m', '1G,slots=1,maxmem=2G',
                               '-object', 'memory-backend-ram,id=ram0,size=1G',
                               '-numa', 'node,nodeid=0,memdev=ram0,cpus=0-1',
                               '-numa', 'node,nodeid=1',
                               '-bios', '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd',
                               '-initrd', tables(),
                               # An access to what is not on the bus aborts.
                               '-global', 'gpex-pcihost.allow-unmapped-accesses=off',
                               '-object', BAR.format('dimm0'),
                               '-device', 'ivshmem-plain,memdev=dimm0',
                               '-object', BAR.format('pmem0'),
                               '-device', 'ivshmem-plain,memdev=pmem0'])
