# SPDX-License-Identifier: GPL-2.0-only
"""Jobs for LAVA, the engine of KernelCI's and LKFT's labs, of what ./tools/test boots.

A job is a dictionary, in the format of lava_common's schemas.  The device is LAVA's own qemu.
"""

import functools
import hashlib
import json
import os
import re

from lib import boots, judge, ktap, kunit, packages, selftests, tree
from lib.ui import Fail

BIOS = next(iter(packages.FIRMWARE))

# Where there are all suites to run, these share them.
SHARDS = {"copies": "copy*", "others": selftests.NO_COPIES}

# Minutes.  What LAVA calls connection is how long it waits for the next result, the first of which
# comes behind the boot; it does not see those of a case's parameters.
JOB, TEST, CONNECTION = 90, 60, 10

# What is in no log of a good run ends it.
CLEAN = ["oops=panic", "panic_on_warn=1"]

_TIME = f"(?:{ktap.TIME.pattern.removeprefix('^')})?"


def case_id(name):
    """What LAVA makes of a name."""
    return re.sub(r"\W+", "_", name.strip().lower())


def results(indent, have):
    """What finds a result in lines of KTAP, and what it then is, as LAVA takes it.

    One group has to tell all: what is behind the name.  have: features of the machine; a case
    that is skipped for want of one has failed.
    """
    any_of = f" needs (?:{'|'.join(have)})\\b"
    needs = f"(?:{any_of})?" if have else ""
    case = rf"(?(failed)[ \r]|(?: # SKIP{needs}(?=[^\r]*\r)|(?=\r)))"
    name, parameter = r"[\w.:]+", ""
    if indent and have:
        # A case whose parameters are all skipped is so itself, and for no reason that it tells.
        parameter, name = "(?P<parameter> {4})?", rf"(?(parameter)[^#\r\n]+?|{name})"
        case = rf"(?(parameter) # SKIP{any_of}(?=[^\r]*\r)|{case})"
    pattern = (rf"\n{_TIME}{' ' * indent}{parameter}(?P<failed>not )?ok \d+ "
               rf"(?P<test_case_id>{name})(?P<result>{case})")
    return {"pattern": pattern, "fixupdict": {
        "": "pass", " ": "fail", "\r": "fail", " # SKIP": "skip",
        **{f" # SKIP needs {f}": "fail" for f in have}}}


def shards(suites):
    """{name: (glob, its suites)}: each suite is in one of them."""
    found = {name: (glob, judge.matching(suites, glob)) for name, glob in SHARDS.items()}
    if sorted(s for _, those in found.values() for s in those) != sorted(suites):
        raise Fail("lib/lava.py: SHARDS have not each suite once")
    return found


@functools.cache
def sha256(path):
    """As sha256sum has it; each job fetches the same files."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


class Files:
    """What a job fetches, where it is, and who fetches it."""

    def __init__(self, prepared, url=None, tags=()):
        image = os.path.join(kunit.USER.dir(prepared.home), kunit.IMAGE)
        name = os.path.basename(prepared.home)
        self.local = {f"{name}/Image.gz": image,
                      f"{name}/initramfs.cpio": selftests.initramfs_path(prepared),
                      os.path.basename(BIOS): BIOS}
        self.url, self.tags = url, list(tags)

    def image(self, ending, argument):
        """One, and what QEMU does with it."""
        name, path = next((n, p) for n, p in self.local.items() if n.endswith(ending))
        return {"url": f"{self.url.rstrip('/')}/{name}" if self.url else f"file://{path}",
                "sha256sum": sha256(path), "image_arg": argument}


def machine(prepared, on):
    """(kernel's arguments, context of LAVA's qemu, whether it has UEFI) of a kunit.Machine."""
    arch = selftests.qemu_arch(os.path.join(tree.REPO, on.qemu) if on.qemu else os.path.join(
        prepared.top, "tools/testing/kunit/qemu_configs/arm64.py"))
    options = [*arch.extra_qemu_params, *on.hardware]
    # A device's dictionary may set machine, cpu and memory, as that of LAVA's documentation does,
    # and the context's are then ignored.  These come behind, where QEMU takes the later -cpu, and
    # adds up -machine, and -m.
    more = ["-no-reboot"]
    for option, value in zip(options[::2], options[1::2], strict=True):
        if not option.startswith("-"):
            raise Fail(f"{on.qemu}: an option of QEMU without a value, {option} is no option")
        if option not in ("-initrd", "-bios"):
            more.append(f"{option} {value}")
    if "-m" not in options:
        more.append("-m 1G")
    context = {"arch": "arm64", "no_network": True, "extra_options": more}
    line = f"{arch.kernel_command_line} {on.arguments}".split()
    # Without it a kernel that panics waits for ever.
    return line + ["panic=-1"] * ("panic=-1" not in line), context, "-bios" in options


def job(name, files, prepared, on, arguments, monitors):
    """A job that boots a machine, and reads what it says."""
    line, context, uefi = machine(prepared, on)
    append = " ".join([*line, *arguments])
    images = {"kernel": files.image("/Image.gz", f'-kernel {{kernel}} -append "{append}"'),
              "initrd": files.image("/initramfs.cpio", "-initrd {initrd}")}
    if uefi:
        images["bios"] = files.image("EFI.fd", "-bios {bios}")
    return {
        "job_name": f"arm64 copy_mc, {os.path.basename(prepared.home)}: {name}",
        "device_type": "qemu", "visibility": "public", "priority": "medium",
        **({"tags": files.tags} if files.tags else {}), "context": context,
        "timeouts": {"job": {"minutes": JOB}, "action": {"minutes": CONNECTION},
                     "connection": {"minutes": CONNECTION}},
        "actions": [{"deploy": {"to": "tmpfs", "images": images}},
                    {"boot": {"method": "qemu", "media": "tmpfs"}},
                    {"test": {"timeout": {"minutes": TEST}, "monitors": monitors}}]}


def suites_job(name, files, prepared, boot, glob, suites):
    """A boot of suites, in the order in which they run."""
    _name, variants, extra, *_ = boot
    cases = judge.suites(tree.REPO, slow=kunit.FAST not in extra)
    on = kunit.USER.but(*variants)
    arguments = ["kunit.enable=1", "kunit_shutdown=reboot", *kunit.kernel_arguments(extra)]
    if kunit.FAST in extra:
        arguments.append(kunit.FAST_ARGUMENT)
    if glob:
        arguments.append(f"kunit.filter_glob={glob}")
    have = kunit.must_have(prepared.version, packages.QEMU_TAGS, on, extra)
    if "DEATHS" not in have:
        arguments += CLEAN
    return job(name, files, prepared, on, arguments, [
        {"name": s, "start": rf"# Subtest: {s}\r", "end": rf"\n{_TIME}(?:not )?ok \d+ {s}\b",
         **results(4, have), "expected": sorted({*map(case_id, cases[s])})} for s in suites])


def programs_job(name, files, prepared, variants):
    """User space's tests."""
    on, words, names = kunit.USER.but(*variants), selftests.Known(prepared).words([]), []
    for word in words:
        with open(os.path.join(tree.REPO, selftests.DIR, f"{word}.c"), encoding="utf-8") as f:
            names += selftests.tests(f.read(), fixture=True)
    have = selftests.must_have(prepared.version, packages.QEMU_TAGS, on)
    return job(name, files, prepared, on, [selftests.ARGUMENTS, *CLEAN[1:], "--", *words], [
        {"name": "kselftest", "start": r"TAP version 13\r", "end": r"copy_mc: exit \d+\r",
         **results(0, have), "expected": sorted(map(case_id, names))}])


def jobs(prepared, kernel, only, url=None, tags=()):
    """{name: job} of one kernel; kernel and only: as boots.of() takes them."""
    files, found = Files(prepared, url, tags), {}
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
    options = ["-cpu cortex-a57", "-machine virt", "-nographic", "-net none", "-m 512",
               "-monitor none"]
    qemu = {"command": "qemu-system-aarch64", "options": options, "extra": context["extra_options"]}
    serial = {"serial": None}
    return {
        "available_architectures": ["arm64"],
        "actions": {"deploy": {"connections": serial, "methods": {"image": None}},
                    "boot": {"connections": serial, "methods": {"qemu": {"parameters": qemu}}}}}


def text(what):
    """A file of it: YAML has JSON in it."""
    return json.dumps(what, indent=2) + "\n"
