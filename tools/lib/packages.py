# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages: the machine's own, and others unpacked below the build directory."""

import glob
import os
import re
import shlex
import shutil
import subprocess
import time

from lib import ui
from lib.ui import Fail, Unavailable

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# A day: how long the private lists of packages count as fresh.
LISTS_AGE = 24 * 3600


def run(*cmd, cwd=None):
    """(exit code, stdout, stderr); 127 when there is no such command."""
    try:
        p = subprocess.run(cmd, cwd=cwd, capture_output=True, text=True, errors="replace",
                           check=False, stdin=subprocess.DEVNULL,
                           env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})
    except FileNotFoundError:
        return 127, "", f"{cmd[0]}: not found"
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


def install(names, may_install):
    """Has the machine's packages of these names installed."""
    missing = [n for n in names if not version_of(n)]
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
                ("Dir::Etc::preferences", "-"),
                ("Dir::Etc::preferencesparts", "-"),
                ("Dir::State::lists", f"{self.top}/lists"),
                ("Dir::Cache", f"{self.top}/cache"),
                # Files of root's build directory, which apt's own user may not read.
                ("APT::Sandbox::User", "root" if not os.geteuid() else ""),
                ("Acquire::Languages", "none"),
                ("Acquire::Retries", "2")):
            self.options += ["-o", f"{key}={value}"]

    def apt(self, command, *args, cwd=None):
        return run(command, "-q", *self.options, *args, cwd=cwd)

    def update(self):
        """Fetches the lists unless they are fresh.  Old ones are better than none."""
        stamp = f"{self.top}/updated"
        with_lists = os.path.exists(stamp)
        if with_lists and time.time() - os.path.getmtime(stamp) < LISTS_AGE:
            return
        uri = mirror()
        for d in ("lists/partial", "cache/archives/partial"):
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
    home = os.path.join(build_dir, "packages")
    private = Private(build_dir, suites)
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


def quoted(cmd):
    return " ".join(shlex.quote(c) for c in cmd)
