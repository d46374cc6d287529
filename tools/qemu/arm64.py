# SPDX-License-Identifier: GPL-2.0-only
"""kunit.py's --qemu_config: the machine of all suites.

Its kernel is at EL1, so that the rig's firmware can be below it. User space's tests want the two
NUMA nodes, and room for NVDIMMs, which QEMU has not together with MTE: they are a variant.
"""

import os
import struct

from ..qemu_config import QemuArchParams

CPUS = 4
NODE = 512 << 20

RAM = 0x40000000
MEMORY = [
    # Node, start, size.  UEFI takes the second flash bank for memory, and the kernel has but
    # one node if some memory is of none, as this is in QEMU's own table.
    (0, 0x04000000, 0x04000000),
    (0, RAM, NODE),
    (1, RAM + NODE, NODE),
]


def srat():
    """The ACPI table that says which memory is of which node."""
    body = struct.pack('<IQ', 1, 0)
    for cpu in range(CPUS):
        body += struct.pack('<BBIIII', 3, 18, 0, cpu, 1, 0)
    for node, start, size in MEMORY:
        body += struct.pack('<BBIHQQIIQ', 1, 40, node, 0, start, size, 0, 1, 0)
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


def memory(name, size):
    return ['-object', f'memory-backend-ram,id={name},size={size}']


QEMU_ARCH = QemuArchParams(linux_arch='arm64',
                           kconfig='''
CONFIG_SERIAL_AMBA_PL011=y
CONFIG_SERIAL_AMBA_PL011_CONSOLE=y''',
                           qemu_arch='aarch64',
                           kernel_path='arch/arm64/boot/Image.gz',
                           # A panic ends the run at once.  The next three keep the kernel at
                           # EL1, and KVM from EL2.  A host that is busy is no stall.
                           kernel_command_line='console=ttyAMA0 panic=-1 acpi=force '
                                               'id_aa64mmfr1.vh=0 arm64_sw.hvhe=0 '
                                               'kvm-arm.mode=none '
                                               'rcupdate.rcu_cpu_stall_timeout=120',
                           extra_qemu_params=[
                               '-machine', 'virt,gic-version=3,virtualization=on,mte=on',
                               '-cpu', 'max,pauth-impdef=on', '-smp', str(CPUS),
                               '-m', f'{2 * NODE >> 20}M,slots=2,maxmem=2G',
                               *memory('ram0', NODE), *memory('ram1', NODE),
                               '-numa', f'node,nodeid=0,memdev=ram0,cpus=0-{CPUS - 1}',
                               '-numa', 'node,nodeid=1,memdev=ram1',
                               '-bios', '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd',
                               '-initrd', tables()])
