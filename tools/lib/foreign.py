# SPDX-License-Identifier: GPL-2.0-only
"""The suites alone, for a kernel tree that has a copy_mc of its own.

It gets kunit/, user space's tests and the hook in its fault path, and nothing of our
implementation.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile

from lib.git import clean_environ
from lib.ui import Fail

CONTRACTS = "kunit/contract"
HOOK = "kunit/inject/hook.cocci"

# What of the overlay belongs to them.
PARTS = ("kunit/", "tools/testing/selftests/arm64/copy_mc/",
         "arch/arm64/include/asm/sea_inject.h", "Kbuild.", "Kconfig.")

# Where the fault path is, and what the hook is there: how many calls of what, and where.
FAULT_PATH = "arch/arm64/mm"
CALLS = (("sea_inject(", 1, "where do_mem_abort() calls the handler of a fault"),
         ("sea_inject_dies(", 2, "at the beginning of die_kernel_fault(), and where do_sea() "
                                 "comes to arm64_notify_die()"),
         ("sea_inject_claim(", 1, "in place of apei_claim_sea(), for an abort in the kernel"))


def belongs(name):
    """Whether a file of the overlay is for a tree with an implementation of its own, too."""
    return name.startswith(PARTS)


def check_edits(names):
    """Fails if not all of these edited files are the suites'."""
    if alien := [n for n in names if not belongs(f"{n}.patch")]:
        raise Fail(f"{alien[0]}: is no file of the suites; make the edit in your own tree and undo "
                   "it here with git, nothing was written")


def contracts(repo):
    """The implementations that there is a contract for."""
    names = []
    with contextlib.suppress(FileNotFoundError):
        names = os.listdir(os.path.join(repo, CONTRACTS))
    return sorted(n.removesuffix(".h") for n in names if n.endswith(".h") and n != "contract.h")


def option(contract):
    """What has kunit.py build the suites for it."""
    return f"--kconfig_add=CONFIG_COPY_MC_CONTRACT_{contract.upper()}=y"


def _names(repo, contract):
    """{a word of the contract's: where the tree has to have it}"""
    def text(name):
        with open(os.path.join(repo, CONTRACTS, f"{name}.h"), encoding="utf-8") as f:
            return f.read()

    found = {"ARCH_HAS_COPY_MC": "arch/arm64/Kconfig"}
    for name in re.findall(r"^#define CONTRACT_EX_\w+\s+(\w+)", text(contract), re.M):
        found[name] = "arch/arm64/include/asm/asm-extable.h"
    for name in re.findall(r"^(?:unsigned long|int) (\w+)\(", text("contract"), re.M):
        found[name] = "arch/arm64 include/linux"
    return found


def check(repo, git, base, contract, what):
    """Fails unless the tree has what this contract says."""
    missing = []
    for name, where in _names(repo, contract).items():
        if not git.find(name, base, *where.split()):
            missing.append(f"{name} in {where.replace(' ', ' or ')}")
    if missing:
        raise Fail(f"{what}: has no copy_mc as {CONTRACTS}/{contract}.h has it: no "
                   f"{', no '.join(missing)}; name another contract, write one, or leave "
                   "--suites-only out, which brings ours")


def _spatch(repo, files):
    """{name: text} with the hook in it."""
    result = {}
    with tempfile.TemporaryDirectory() as top:
        for name, text in files.items():
            os.makedirs(os.path.join(top, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(top, name), "w", errors="surrogateescape",
                      encoding="utf-8") as f:
                f.write(text)
        if not shutil.which("spatch"):
            raise Fail("spatch: not found, which puts the hook in; install coccinelle")
        p = subprocess.run(["spatch", "--very-quiet", "--in-place", "--sp-file",
                            os.path.join(repo, HOOK), *files], cwd=top, check=False,
                           capture_output=True, text=True, env=clean_environ())
        if p.returncode:
            raise Fail(f"{HOOK}: spatch cannot apply it: "
                       f"{(p.stderr.strip().splitlines() or ['no reason given'])[-1]}")
        for name in files:
            with open(os.path.join(top, name), errors="surrogateescape", encoding="utf-8") as f:
                result[name] = f.read()
    return result


def hook(repo, files):
    """The files of a fault path, {name: text}, with the hook; those that have one keep it."""
    without = {n: t for n, t in files.items() if "sea_inject" not in t}
    files = {**files, **(_spatch(repo, without) if without else {})}
    for call, n, where in CALLS:
        if sum(t.count(call) for t in files.values()) < n:
            raise Fail(f"{FAULT_PATH}: no place found for the hook's {call[:-1]}(): {where}; put "
                       f"it there by hand, as {HOOK} has it, and include <asm/sea_inject.h>")
    return files


def put_hook(repo, git, base, index):
    """Puts the hook into the files of base, in an index that has them."""
    names = git.find(r"apei_claim_sea\|do_mem_abort", base, FAULT_PATH)
    files = {n: git.raw("cat-file", "blob", f"{base}:{n}") for n in names if n.endswith(".c")}
    for name, text in hook(repo, files).items():
        if text != files[name]:
            blob = git("hash-object", "-w", "--stdin", stdin=text)
            git("update-index", "--cacheinfo", f"100644,{blob},{name}", index=index)
