# SPDX-License-Identifier: GPL-2.0-only
"""Jobs for LAVA, the engine of KernelCI's and LKFT's labs: one for each boot of ./tools/test.

A job is a dictionary, in the format of lava_common's schemas.  The device is LAVA's own qemu.
"""

import json
import os
import re

from lib import boots, judge, kunit, packages, selftests, tree
from lib.ui import Fail

BIOS = next(iter(packages.FIRMWARE))

# Where there are all suites to run, these share them.
SHARDS = {"copies": "copy*", "others": "[!c]*"}

# Minutes.  A lab's machine has other things to do, too.
BOOT, SUITES, PROGRAMS = 5, 60, 30

# A line of KTAP's, of a suite or of a case, and how it ended: one group has to say it.
RESULT = (r"\n(?:\[ *[0-9.]+\] )?(?:    )?(?P<failed>not )?ok \d+ (?P<test_case_id>[\w.:]+)"
          r"(?P<result> # SKIP|(?(failed)\r|(?=\r)))")
FIXUP = {" # SKIP": "skip", "\r": "fail", "": "pass"}


def case_id(name):
    """What LAVA makes of a name."""
    return re.sub(r"\W+", "_", name.strip().lower())


def shards(suites):
    """{name: (glob, its suites)}: each suite is in one of them."""
    found = {name: (glob, judge.matching(suites, glob)) for name, glob in SHARDS.items()}
    if sorted(s for _, those in found.values() for s in those) != sorted(suites):
        raise Fail("lib/lava.py: SHARDS have not each suite once")
    return found


class Files:
    """What a job fetches: {name: what QEMU does with it}, and where it is."""

    def __init__(self, prepared, url=None):
        image = os.path.join(kunit.USER.dir(prepared.home), kunit.IMAGE)
        name = os.path.basename(prepared.home)
        self.local = {f"{name}/Image.gz": image,
                      f"{name}/initramfs.cpio": selftests.initramfs_path(prepared),
                      os.path.basename(BIOS): BIOS}
        self.url = url

    def where(self, ending):
        """The URL of one."""
        name, path = next((n, p) for n, p in self.local.items() if n.endswith(ending))
        return f"{self.url.rstrip('/')}/{name}" if self.url else f"file://{path}"


def machine(prepared, on):
    """(kernel's arguments, context of LAVA's qemu, whether it has UEFI) of a kunit.Machine."""
    arch = selftests.qemu_arch(os.path.join(tree.REPO, on.qemu) if on.qemu else os.path.join(
        prepared.top, "tools/testing/kunit/qemu_configs/arm64.py"))
    options = [*arch.extra_qemu_params, *on.hardware]
    context, more = {"arch": "arm64", "no_network": True}, ["-no-reboot"]
    for option, value in zip(options[::2], options[1::2]):
        name = {"-machine": "machine", "-cpu": "cpu", "-m": "memory"}.get(option)
        if name and name not in context:
            context[name] = value
        elif option not in ("-initrd", "-bios"):    # of two -machine, QEMU adds up
            more.append(f"{option} {value}")
    context.setdefault("memory", "1G")
    context["extra_options"] = more
    line = f"{arch.kernel_command_line} {on.arguments}".split()
    return line, context, "-bios" in options


def job(name, files, prepared, on, arguments, monitor, minutes):
    """A job that boots a machine, and reads what it says."""
    line, context, uefi = machine(prepared, on)
    append = " ".join([*line, *arguments])
    images = {"kernel": {"image_arg": f'-kernel {{kernel}} -append "{append}"',
                         "url": files.where("/Image.gz")},
              "initrd": {"image_arg": "-initrd {initrd}", "url": files.where("/initramfs.cpio")}}
    if uefi:
        images["bios"] = {"image_arg": "-bios {bios}", "url": files.where("EFI.fd")}
    return {
        "job_name": f"arm64 copy_mc, {os.path.basename(prepared.home)}: {name}",
        "device_type": "qemu", "visibility": "public", "priority": "medium", "context": context,
        "timeouts": {"job": {"minutes": BOOT + minutes + 15}, "action": {"minutes": 10},
                     "connection": {"minutes": 2}},
        "actions": [
            {"deploy": {"to": "tmpfs", "images": images}},
            {"boot": {"method": "qemu", "media": "tmpfs", "timeout": {"minutes": BOOT}}},
            {"test": {"timeout": {"minutes": minutes},
                      "monitors": [{"pattern": RESULT, "fixupdict": FIXUP, **monitor}]}},
        ]}


def suites_job(name, files, prepared, boot, glob, suites):
    """A boot of suites.  A case that nobody heard of has failed, and one that did not run."""
    _name, variants, extra, *_ = boot
    cases = judge.suites(tree.REPO, slow=kunit.FAST not in extra)
    arguments = ["kunit.enable=1", "kunit_shutdown=reboot", *kunit.kernel_arguments(extra)]
    if kunit.FAST in extra:
        arguments.append(f"kunit.{kunit.FAST.removeprefix('--')}")
    if glob:
        arguments.append(f"kunit.filter_glob={glob}")
    expected = sorted({case_id(n) for s in suites for n in (s, *cases[s])})
    return job(name, files, prepared, kunit.USER.but(*variants), arguments,
               {"name": "kunit", "start": "KTAP version 1", "end": "reboot: Restarting system",
                "expected": expected}, SUITES)


def programs_job(name, files, prepared, variants):
    """User space's tests.  Init ends with a number unless all is well."""
    words = selftests.Known(prepared).words([])
    return job(name, files, prepared, kunit.USER.but(*variants),
               [selftests.ARGUMENTS, "--", *words],
               {"name": "kselftest", "start": "TAP version 13", "end": r"copy_mc: exit 0\r"},
               PROGRAMS)


def jobs(prepared, kernel, only, url=None):
    """{name: job} of one kernel; kernel and only: as boots.of() takes them."""
    files, found = Files(prepared, url), {}
    suites = list(judge.suites(tree.REPO))
    for boot in boots.of(kernel, only):
        name, *_, glob, _kernels, _guess = boot
        parts = {"": (glob, judge.matching(suites, glob))} if glob else shards(suites)
        for part, (those, names) in parts.items():
            full = f"{name}-{part}".rstrip("-")
            found[full] = suites_job(full, files, prepared, boot, those, names)
    for name, variants in boots.SELFTESTS:
        found[name] = programs_job(name, files, prepared, variants)
    return found


def device(context):
    """LAVA's qemu device with this context, as its server would make it for a dispatcher."""
    options = [f"-cpu {context['cpu']}", f"-machine {context['machine']}", "-nographic",
               "-net none", f"-m {context['memory']}", "-monitor none"]
    qemu = {"command": "qemu-system-aarch64", "options": options, "extra": context["extra_options"]}
    serial = {"serial": None}
    return {
        "available_architectures": ["arm64"],
        "actions": {"deploy": {"connections": serial, "methods": {"image": None}},
                    "boot": {"connections": serial, "methods": {"qemu": {"parameters": qemu}}}}}


def text(what):
    """A file of it: YAML has JSON in it."""
    return json.dumps(what, indent=2) + "\n"
