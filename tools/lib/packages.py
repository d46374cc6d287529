# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages: the machine's own, and others unpacked below the build directory."""

import errno
import glob
import os
import re
import shlex
import shutil
import subprocess
import time

from lib import tree, ui
from lib.overlay import KERNELS, version_key
from lib.ui import Fail, Unavailable

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# A day: how long the private lists of packages count as fresh.
LISTS_AGE = 24 * 3600


def run(*cmd, cwd=None):
    """(exit code, stdout, stderr); 127 when there is no such command, or it is none."""
    try:
        p = subprocess.run(cmd, cwd=cwd, capture_output=True, text=True, errors="replace",
                           check=False, stdin=subprocess.DEVNULL,
                           env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})
    except OSError as e:
        return 127, "", f"{cmd[0]}: {'not found' if e.errno == errno.ENOENT else e.strerror}"
    return p.returncode, p.stdout, p.stderr


def version_of(package):
    """The installed version of a package of the machine's, or None."""
    code, text, _ = run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package)
    state, _, version = text.partition(" ")
    return version if not code and state == "installed" else None


def release():
    """The machine's release by name: bookworm."""
    with open("/etc/os-release", encoding="utf-8") as f:
        m = re.search(r'^VERSION_CODENAME="?(\w+)', f.read(), re.M)
    if not m:
        raise Fail("/etc/os-release: names no Debian release; run this on Debian")
    return m[1]


def apt_error(stderr):
    """The line of apt's complaints that says most."""
    lines = [l[3:] for l in stderr.splitlines() if l.startswith("E: ")]
    return lines[0] if lines else (stderr.splitlines() or ["no reason given"])[-1]


# -- the machine's own packages ----------------------------------------------------------

# What each job needs: a command, or a file; and the package that has it.  A command
# that is there counts, wherever it came from.
TREE = {"git": "git", "tar": "tar", "xz": "xz-utils"}
BUILD = {
    "make": "make", "gcc": "gcc", "/usr/include/stdio.h": "libc6-dev", "flex": "flex",
    "bison": "bison", "bc": "bc", "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "/usr/include/openssl/opensslv.h": "libssl-dev", "/usr/include/libelf.h": "libelf-dev",
}
QEMU = {"qemu-system-aarch64": "qemu-system-arm"}
FIRMWARE = {"/usr/share/qemu-efi-aarch64/QEMU_EFI.fd": "qemu-efi-aarch64"}
SELFTESTS = {
    "/usr/aarch64-linux-gnu/include/stdio.h": "libc6-dev-arm64-cross",
    "/sbin/mke2fs": "e2fsprogs",
}
# What make calls with CLANG as its LLVM: 7.3 needs 17.
CLANG = "-19"
KCFI = {f"clang{CLANG}": f"clang{CLANG}", f"ld.lld{CLANG}": f"lld{CLANG}",
        f"llvm-ar{CLANG}": f"llvm{CLANG}"}
HOOK = {"spatch": "coccinelle"}
TESTS = {
    **HOOK, "sparse": "sparse", "perl": "perl", "depmod": "kmod",
    # checkpatch has a script in Python look at licences.
    "/usr/lib/python3/dist-packages/ply": "python3-ply",
    "/usr/lib/python3/dist-packages/git": "python3-git",
    "powerpc64le-linux-gnu-gcc": "gcc-powerpc64le-linux-gnu",
    "/usr/bin/sphinx-build": "python3-sphinx",
}
# An x86 machine's own compiler is the one for x86.
if os.uname().machine != "x86_64":
    TESTS["x86_64-linux-gnu-gcc"] = "gcc-x86-64-linux-gnu"
# With --report only.  It comes with Debian's Python, which need not be the one that runs this.
REPORT = {"/usr/lib/python3/dist-packages/matplotlib": "python3-matplotlib"}
PYTHON = "/usr/bin/python3"
OWN_TESTS = {"git": "git", "make": "make", "/sbin/mke2fs": "e2fsprogs", **HOOK}
# What a page looks like, a browser knows.  Without it these tests skip.
PAGE_TESTS = {"chromium": "chromium", **REPORT}


def need(may_install, *tables):
    """Has installed what these tables list."""
    wanted = {k: v for table in tables for k, v in table.items()}
    missing = [v for k, v in wanted.items()
               if not (os.path.exists(k) if k.startswith("/") else shutil.which(k))]
    install(sorted(set(missing)), may_install)


def wish(may_install, *tables):
    """The same of what one can do without."""
    try:
        need(may_install, *tables)
    except (Fail, Unavailable) as e:
        ui.note(f"{e}; going on without")


def install(missing, may_install):
    """Installs packages of the machine's release."""
    if not missing:
        return
    line = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if not may_install or os.geteuid():
        why = "--no-install was given" if not may_install else "only root may install them"
        raise Fail(f"packages are missing and {why}; run: {line}")
    ui.step(f"installing {' '.join(missing)}")
    cmd = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", "install",
           "--no-install-recommends", *missing)
    code, _, err = run(*cmd)
    if code:    # no lists yet, or lists that name versions which are gone
        ui.note("apt-get update")
        run("apt-get", "-q", "update")
        code, _, err = run(*cmd)
    if code:
        raise Unavailable(f"apt-get cannot install {' '.join(missing)}: {apt_error(err)}; "
                          f"check the network and the apt sources, then run: {line}")


# -- packages of other releases ----------------------------------------------------------


def mirror():
    """Where the machine has its release's main archive from."""
    cmd = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)",
           "Created-By: Packages")
    for _ in range(2):
        for line in run(*cmd)[1].splitlines():
            uri, _, codename = line.rpartition(" ")
            if codename == release():
                return uri
        # Without lists apt does not know the code names.
        if os.geteuid() or run("apt-get", "-q", "update")[0]:
            break
    raise Unavailable(f"apt's sources name no archive of {release()} that answers; check the "
                      "network and the sources, then run: apt-get update")


class Private:
    """An apt of our own, for some suites of the machine's mirror."""

    def __init__(self, build_dir, suites):
        self.top = os.path.join(build_dir, "apt", "+".join(suites))
        self.suites = suites
        self.options = []
        for key, value in (
                ("Dir::Etc::sourcelist", f"{self.top}/sources.list"),
                ("Dir::Etc::sourceparts", "-"),
                ("Dir::Etc::preferences", "/dev/null"),
                ("Dir::Etc::preferencesparts", f"{self.top}/none"),
                ("Dir::State::lists", f"{self.top}/lists"),
                ("Dir::Cache", f"{self.top}/cache"),
                # Files of root's build directory, which apt's own user may not read.
                ("APT::Sandbox::User", "root" if not os.geteuid() else ""),
                ("Acquire::Languages", "none"),
                ("Acquire::Retries", "2")):
            self.options += ["-o", f"{key}={value}"]

    def lock(self):
        """Two runs of one build directory fetch one after the other."""
        os.makedirs(self.top, exist_ok=True)
        return tree.locked(f"{self.top}.lock", f"packages of {', '.join(self.suites)}")

    def apt(self, command, *args, cwd=None):
        return run(command, "-q", *self.options, *args, cwd=cwd)

    def update(self):
        """Fetches the lists unless they are fresh.  Old ones are better than none."""
        stamp = f"{self.top}/updated"
        with_lists = os.path.exists(stamp)
        if with_lists and time.time() - os.path.getmtime(stamp) < LISTS_AGE:
            return
        uri = mirror()
        for d in ("lists/partial", "cache/archives/partial", "none"):
            os.makedirs(f"{self.top}/{d}", exist_ok=True)
        with open(f"{self.top}/sources.list", "w", encoding="ascii") as f:
            f.writelines(f"deb [signed-by={KEYRING}] {uri} {s} main\n" for s in self.suites)
        ui.note(f"fetching the lists of {', '.join(self.suites)}")
        code, _, err = self.apt("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
        if not code:
            with open(stamp, "w", encoding="ascii"):
                pass
        elif not with_lists:
            raise Unavailable(f"the lists of {', '.join(self.suites)} cannot be had: "
                              f"{apt_error(err)}; check the network")

    def candidate(self, package):
        """The version of a package that these suites offer."""
        _, text, _ = self.apt("apt-cache", "show", "--no-all-versions", package)
        m = re.search(r"^Version: (\S+)$", text, re.M)
        if not m:
            raise Unavailable(f"{package}: not (any more) in {', '.join(self.suites)}")
        return m[1]

    def unpack(self, packages, top):
        """Unpacks the packages, each NAME=VERSION, into top, which appears complete."""
        tmp = f"{top}.tmp"
        shutil.rmtree(tmp, ignore_errors=True)
        os.makedirs(f"{tmp}/.deb")
        try:
            code, _, err = self.apt("apt-get", "download", *packages, cwd=f"{tmp}/.deb")
            if code:
                raise Unavailable(f"{packages[0]}: cannot be downloaded: {apt_error(err)}; "
                                  "check the network")
            for deb in sorted(glob.glob(f"{tmp}/.deb/*.deb")):
                code, _, err = run("dpkg-deb", "-x", deb, tmp)
                if code:
                    raise Fail(f"{deb}: cannot be unpacked: {err.splitlines()[-1]}; run again")
            shutil.rmtree(f"{tmp}/.deb")
            os.rename(tmp, top)
        finally:
            shutil.rmtree(tmp, ignore_errors=True)


def private_package(build_dir, suites, package):
    """Unpacks the newest version of one package; gives (directory, version)."""
    private = Private(build_dir, suites)
    with private.lock():
        return _private_package(os.path.join(build_dir, "packages"), private, package)


def _private_package(home, private, package):
    try:
        private.update()
        version = private.candidate(package)
        top = os.path.join(home, f"{package}_{version}")
        if not os.path.isdir(top):
            ui.step(f"fetching {package} {version}")
            private.unpack([f"{package}={version}"], top)
    except Unavailable as e:
        have = glob.glob(os.path.join(home, f"{package}_*"))
        have = [h for h in have if not h.endswith(".tmp")]
        if not have:
            raise
        top = max(have, key=os.path.getmtime)
        ui.note(f"{e}; going on with {os.path.basename(top)}")
        version = os.path.basename(top).partition("_")[2]
    for old in glob.glob(os.path.join(home, f"{package}_*")):
        if old != top:
            shutil.rmtree(old, ignore_errors=True)
    return top, version


# Which kernels are not in the machine's release, and where Debian has them.
SUITES = {"7.3": ["trixie-backports"]}


def new_kernels(build_dir):
    """Debian's kernels that are newer than all known ones, as far as the lists here say."""
    offered = {m[1] for suites in SUITES.values() for m in re.finditer(
        r"^linux-source-(\d+\.\d+)$",
        Private(build_dir, suites).apt("apt-cache", "pkgnames", "linux-source-")[1], re.M)}
    newest = max(map(version_key, KERNELS))
    return sorted((v for v in offered if version_key(v) > newest), key=version_key)


def kernel_source(version, build_dir, may_install):
    """The tarball of one of Debian's kernels, and what to call it."""
    package = f"linux-source-{version}"
    top, full = "/", version_of(package)
    if version in SUITES and not full:
        top, full = private_package(build_dir, SUITES[version], package)
    elif not full:
        install([package], may_install)
        full = version_of(package)
    tarball = os.path.join(top, f"usr/src/{package}.tar.xz")
    if not os.path.exists(tarball):
        raise Fail(f"{tarball}: missing although {package} is there; reinstall that package")
    return tarball, f"{package} {full}"


# -- QEMU --------------------------------------------------------------------------------

QEMU_OLDEST = (7, 0)    # the first that boots with -machine virt,mte=on and all of -cpu max
QEMU_MOPS = (8, 2)      # the first with FEAT_MOPS in -cpu max
QEMU_TAGS = (10, 0)     # has a tag for each granule; 7.2 has two for a whole page


def qemu_version(binary):
    """(10, 0, 2), or None if that is no QEMU that runs."""
    m = re.match(r"QEMU emulator version (\d+)\.(\d+)\.(\d+)", run(binary, "--version")[1])
    return tuple(int(n) for n in m.groups()) if m else None


def private_qemu(build_dir):
    """A QEMU with MTE and MOPS from the release's backports; nothing of it is installed."""
    top = os.path.join(build_dir, "qemu-10")
    wrapper = os.path.join(top, "bin/qemu-system-aarch64")
    if not _has_tags(wrapper):
        private = Private(build_dir, [release(), f"{release()}-backports"])
        with private.lock():
            if not _has_tags(wrapper):      # by now
                _fetch_qemu(private, top, wrapper)
    return wrapper


def _has_tags(binary):
    return (qemu_version(binary) or (0,)) >= QEMU_TAGS


def _fetch_qemu(private, top, wrapper):
    backports = private.suites[-1]
    private.update()
    # What it takes on this machine: apt knows, and only tells.
    code, text, err = private.apt("apt-get", "-s", "--no-install-recommends", "install",
                                  f"qemu-system-arm/{backports}")
    packages = [f"{m[1]}={m[2]}" for m in
                re.finditer(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", text, re.M)]
    if code or not packages:
        raise Unavailable(f"qemu-system-arm of {backports} cannot be had: {apt_error(err)}")
    ui.step(f"fetching {packages[0]}")
    shutil.rmtree(top, ignore_errors=True)
    private.unpack(packages, top)
    os.mkdir(os.path.dirname(wrapper))
    lib = (glob.glob(f"{top}/usr/lib/*-linux-gnu") or [f"{top}/usr/lib"])[0]
    with open(wrapper, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n"
                f"export LD_LIBRARY_PATH={shlex.quote(lib)} QEMU_MODULE_DIR={shlex.quote(lib)}/qemu\n"
                f"exec {shlex.quote(top)}/usr/bin/qemu-system-aarch64 "
                f'-L {shlex.quote(top)}/usr/share/qemu "$@"\n')
    os.chmod(wrapper, 0o755)
    if not qemu_version(wrapper):
        raise Unavailable(f"{wrapper}: does not run: {apt_error(run(wrapper, '--version')[2])}")


def usable(binary):
    """The version of a QEMU that is good enough."""
    version = qemu_version(binary)
    if not version:
        raise Fail(f"{binary}: is no QEMU that runs here; install qemu-system-arm or give --qemu")
    if version < QEMU_OLDEST:
        raise Fail(f"{binary}: QEMU {'.'.join(map(str, version))} is too old, "
                   f"{'.'.join(map(str, QEMU_OLDEST))} is needed; give a newer one with --qemu")
    return version


def check_qemu(given):
    """What --qemu gives must be one, before anything is made for it."""
    if given:
        binary = shutil.which(given)
        if not binary:
            raise Fail(f"--qemu {given}: no such program; give a qemu-system-aarch64")
        usable(binary)
        # That of another architecture has none of these, or but the first.
        for option, name in (("-machine", "virt"), ("-cpu", "cortex-a57")):
            if not re.search(rf"^\s*{name}\s", run(binary, option, "help")[1], re.M):
                raise Fail(f"--qemu {given}: knows no {option} {name}; give a qemu-system-aarch64")


def qemu(args):
    """The QEMU to use, and its version."""
    check_qemu(args.qemu)
    if args.qemu:
        binary = shutil.which(args.qemu)
    else:
        need(not args.no_install, QEMU)
        binary = shutil.which("qemu-system-aarch64")
        if not _has_tags(binary):
            try:
                binary = private_qemu(os.path.abspath(args.build_dir))
            except Unavailable as e:
                ui.note(f"no QEMU with MTE and MOPS: {e}; going on without them")
    return os.path.abspath(binary), usable(binary)
