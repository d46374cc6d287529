# SPDX-License-Identifier: GPL-2.0-only
"""Checks of the overlay that take a compiler and no boot.

Each is a function of a Kernel that returns what it looked at, or raises ui.Fail.
Objects of the overlay are held against those of the base, in a git worktree beside the
prepared tree, built with the same configuration.
"""

import collections
import os
import re
import shlex
import shutil
import subprocess

from lib import foreign, kunit, tree, ui
from lib.packages import run
from lib.ui import Fail

ARM64 = ("arm64", "aarch64-linux-gnu-")
X86 = ("x86_64", "" if os.uname().machine == "x86_64" else "x86_64-linux-gnu-")
PPC = ("powerpc", "powerpc64le-linux-gnu-")

# Kernels with next to nothing but what the overlay touches: they build in a minute.
COMMON = """
CONFIG_64BIT=y
CONFIG_SMP=y
CONFIG_EXPERT=y
CONFIG_MMU=y
CONFIG_SHMEM=y
CONFIG_KSM=y
CONFIG_TRANSPARENT_HUGEPAGE=y
CONFIG_MIGRATION=y
CONFIG_MEMORY_FAILURE=y
CONFIG_BINFMT_ELF=y
CONFIG_ELF_CORE=y
CONFIG_COREDUMP=y
"""
DAX = """
CONFIG_BLOCK=y
CONFIG_BLK_DEV=y
CONFIG_MODULES=y
CONFIG_MEMORY_HOTPLUG=y
CONFIG_MEMORY_HOTREMOVE=y
CONFIG_SPARSEMEM_VMEMMAP=y
CONFIG_ZONE_DEVICE=y
CONFIG_LIBNVDIMM=m
CONFIG_BLK_DEV_PMEM=m
CONFIG_DAX=y
CONFIG_FS_DAX=y
CONFIG_EXT2_FS=m
"""
MTE = """
CONFIG_ARM64_PAN=y
CONFIG_ARM64_TAGGED_ADDR_ABI=y
CONFIG_ARM64_MTE=y
"""
# What else the overlay changes, and others may have
OTHERS = """
CONFIG_SYSFS=y
CONFIG_PROC_FS=y
CONFIG_FUTEX=y
CONFIG_SWAP=y
CONFIG_NET=y
CONFIG_INET=y
CONFIG_ZSMALLOC=y
CONFIG_ZRAM=m
CONFIG_BLK_DEV_LOOP=m
CONFIG_FUSE_FS=m
CONFIG_GFS2_FS=m
CONFIG_BTRFS_FS=m
"""
GHES = """
CONFIG_EFI=y
CONFIG_ACPI=y
CONFIG_ACPI_APEI=y
CONFIG_ACPI_APEI_GHES=y
"""
CONFIGS = {
    "ghes": (ARM64, COMMON + MTE + DAX + GHES),
    "noghes": (ARM64, COMMON + MTE),        # nor ACPI, which would double the build
    "x86": (X86, COMMON + DAX + OTHERS + GHES + "CONFIG_PCI=y\nCONFIG_X86_MCE=y\n"),
    "ppc": (PPC, COMMON + DAX + OTHERS + "CONFIG_PPC64=y\nCONFIG_PPC_BOOK3S_64=y\n"
                 "CONFIG_CPU_LITTLE_ENDIAN=y\nCONFIG_PPC_PSERIES=y\n"),
}

# Objects of files that use what the overlay's headers say.
GENERIC = ("mm/memory.o mm/khugepaged.o mm/ksm.o mm/util.o mm/migrate.o lib/iov_iter.o "
           "lib/usercopy.o fs/coredump.o fs/dax.o").split()
# Changed for arm64, or with inline functions of ours; elsewhere not one instruction is.
UNCHANGED = "lib/iov_iter.o fs/splice.o fs/read_write.o mm/filemap.o block/fops.o".split()
OBJECTS = {
    "noghes": [*(o for o in GENERIC if o != "fs/dax.o"), "arch/arm64/kernel/process.o",
               *(f"arch/arm64/mm/{n}.o" for n in ("copypage", "extable", "fault"))],
    "x86": ["arch/x86/lib/copy_mc.o", "arch/x86/lib/usercopy_64.o"],
    "ppc": ["arch/powerpc/mm/fault.o", "arch/powerpc/kernel/traps.o"],
}


class Kernel:
    """A prepared tree, and what the checks build of it."""

    def __init__(self, prepared, jobs, base=None, newer=False):
        """base: the directory of the base's files, if somebody has seen to them; newer: whether
        a newer kernel is checked besides."""
        self.tree, self.jobs, self.newer = prepared, jobs, newer
        self.top, self.home = prepared.top, prepared.home
        self._base = base

    @property
    def base(self):
        """A worktree with the base commit."""
        if not self._base:
            self._base = self.tree.worktree("base", self.tree.base)
        return self._base

    def source(self, base):
        return self.base if base else self.top

    def build_dir(self, name, base=False):
        if base:    # one for each architecture: its own tools are a good part of a build
            name = CONFIGS.get(name, (ARM64,))[0][0] + "-base"
        path = os.path.join(self.home, "checks", name)
        os.makedirs(path, exist_ok=True)
        return path

    def make(self, arch, build, *targets, base=False):
        """Runs make and returns what it printed; fails with the compiler's first complaint."""
        cmd = ["make", f"ARCH={arch[0]}", f"CROSS_COMPILE={arch[1]}", f"O={build}",
               f"-j{self.jobs}", *targets]
        log = build + ".log"
        with open(log, "w", encoding="utf-8") as out, \
                kunit.process(cmd, cwd=self.source(base), stdout=out,
                              stderr=subprocess.STDOUT, env=self.env(build)) as p:
            p.wait()
        with open(log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if p.returncode:
            lines = text.splitlines() or ["no output"]
            first = next((l for l in lines if re.search(r"error:|\*\*\*|ERROR", l)), lines[-1])
            raise Fail(f"make {' '.join(targets[-1:])}: {first.strip()} (see {log})")
        return text

    @staticmethod
    def env(build):
        return {"KCONFIG_ALLCONFIG": build + ".config"}

    def configure(self, name, text=None, base=False):
        """A build directory, ready for single objects: (arch, directory).

        The configuration is CONFIGS[name], or text, whole.  Symbols that the base does
        not know fall away there.
        """
        build = self.build_dir(name, base)
        arch, small = CONFIGS.get(name, (ARM64, None))
        wanted = small if text is None else text
        stamp = build + ".config"
        key = f"# {self.tree.base}\n" + wanted
        try:
            with open(stamp, encoding="utf-8") as f:
                same = f.read() == key
        except FileNotFoundError:
            same = False
        if not same or not os.path.exists(os.path.join(build, ".config")):
            with open(stamp, "w", encoding="utf-8") as f:
                f.write(key)
            if text is None:
                self.make(arch, build, "allnoconfig", base=base)
            else:
                with open(os.path.join(build, ".config"), "w", encoding="utf-8") as f:
                    f.write(text)
                self.make(arch, build, "olddefconfig", base=base)
        self.make(arch, build, "prepare", base=base)
        return arch, build

    def config(self, build):
        with open(os.path.join(build, ".config"), encoding="utf-8") as f:
            return f.read()

    def user_config(self):
        return self.config(kunit.USER.dir(self.home))

    @staticmethod
    def all_config():
        """What the kernel of user space's tests asks for, which the suites' is part of."""
        found = ""
        for config in kunit.USER.config:
            with open(os.path.join(tree.REPO, config), encoding="utf-8") as f:
                found += f.read()
        return found

    def objects(self, name, objects, *flags, text=None, base=False):
        """Builds objects anew: (build directory, make's output)."""
        arch, build = self.configure(name, text, base)
        for o in objects:
            if os.path.exists(os.path.join(build, o)):
                os.unlink(os.path.join(build, o))
        # kbuild goes into an arch's lib twice, for objects and for lib.a: not at the same time.
        alone = [o for o in objects if re.match(r"arch/\w+/lib/", o)]
        rest = [o for o in objects if o not in alone]
        text = self.make(arch, build, *flags, *rest, base=base) if rest else ""
        if alone:
            text += self.make(arch, build, "-j1", *flags, *alone, base=base)
        return build, text


def code(build, name, cross=ARM64[1]):
    """An object's instructions, without the name of the file."""
    path = os.path.join(build, name)
    status, text, err = run(f"{cross}objdump", "-d", "-r", path)
    if status:
        raise Fail(f"{path}: {err.strip() or 'cannot be disassembled'}")
    # Where a string is says nothing about the code.
    text = re.sub(r"(\.rodata\S*|\.data\S*|__bug_table|\.L\S+)\+0x[0-9a-f]+", r"\1", text)
    lines = text.splitlines()[2:]
    if not any(re.match(r"\s+[0-9a-f]+:\t", l) for l in lines):
        raise Fail(f"{path}: has no code; nothing to compare")
    return lines


def function(lines, name):
    """One function of a disassembly."""
    found, inside = [], False
    for line in lines:
        if m := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            inside = m[1] == name
        elif inside and line.strip():
            found.append(line)
    if not found:
        raise Fail(f"no code of {name} there")
    return found


def section(build, name, what, cross=ARM64[1]):
    """The content of a section, with what its relocations name."""
    _, text, _ = run(f"{cross}objdump", "-s", "-r", "-j", what, os.path.join(build, name))
    return text.splitlines()[2:]


def same(what, ours, base):
    if ours != base:
        first = next((f"'{a.strip()}' is not '{b.strip()}'" for a, b in zip(ours, base) if a != b),
                     f"{len(ours)} lines, not {len(base)}")
        raise Fail(f"{what} differs: {first}")


# -- the checks --------------------------------------------------------------------------


# Files that our routines include with definitions of their own, and a function of each.
INCLUDED = {"copy_page": ("__pi_copy_page", "copy_page"),
            "memcpy": ("__pi_memcpy_generic", "__pi_memcpy", "__memcpy")}


def copy_page(k):
    """copy_page's and memcpy's code is the base's"""
    text, found = k.all_config(), []
    objects = {name: f"arch/arm64/lib/{name}.o" for name in INCLUDED}
    ours, _ = k.objects("warnings", objects.values(), text=text)
    base, _ = k.objects("warnings", objects.values(), text=text, base=True)
    for name, o in objects.items():
        a, b = code(ours, o), code(base, o)
        same(f"the code of {name}.o", a, b)
        there = next((f for f in INCLUDED[name] if any(f"<{f}>:" in line for line in b)), None)
        if not there:
            raise Fail(f"{name}.o has no {name}")
        found.append(f"{len(function(a, there))} of {name}")
    return f"lines of objdump: {', '.join(found)}"


_HOOK = re.compile(r"^[ \t]*if \(.*sea_inject\w*\(.*\)\n[ \t]+return\b.*;\n|"
                   r"^.*sea_inject.*\n", re.M)


def without_hook(source):
    """fault.c without the hook, its other lines where they were; and how many pieces went."""
    return _HOOK.subn(lambda m: "\n" * m[0].count("\n"), source)


def compiler(build, o):
    """The command that compiled an object."""
    with open(os.path.join(build, os.path.dirname(o), f".{os.path.basename(o)}.cmd"),
              encoding="utf-8") as f:
        m = re.match(r"(?:saved)?cmd_\S+ := (.+?)(?: ; .*)?$", f.readline().rstrip())
    return shlex.split(m[1])


def hook_off(k):
    """fault.o's code with the hook off is that without it"""
    text = re.sub(r"^CONFIG_(ARM64_SEA_INJECT|COPY_MC_KUNIT_TEST|KUNIT_ALL_TESTS)=y$",
                  r"# CONFIG_\1 is not set", k.all_config(), flags=re.M)
    o = "arch/arm64/mm/fault.o"
    build, _ = k.objects("warnings", [o], text=text)
    if "CONFIG_ARM64_SEA_INJECT=y" in k.config(build):
        raise Fail("CONFIG_ARM64_SEA_INJECT cannot be turned off")
    path = os.path.join(k.top, "arch/arm64/mm/fault.c")
    with open(path, encoding="utf-8") as f:
        source, removed = without_hook(f.read())
    if not removed:
        raise Fail("fault.c has no hook")
    cmd = compiler(build, o)
    copy = os.path.join(build, "fault_without_hook.c")
    with open(copy, "w", encoding="utf-8") as f:
        f.write(f'#line 1 "{cmd[-1]}"\n{source}')
    bare = "arch/arm64/mm/fault_without_hook.o"
    cmd = [w.replace("fault.o.d", "fault_without_hook.o.d") for w in cmd]
    cmd[cmd.index("-o") + 1], cmd[-1] = bare, copy
    p = subprocess.run([*cmd, f"-I{k.top}/arch/arm64/mm"], cwd=build, check=False,
                       capture_output=True, text=True)
    if p.returncode:
        raise Fail(f"fault.c without the hook does not compile: {p.stderr.splitlines()[0]}")
    same("the code of fault.o", code(build, o), code(build, bare))
    return f"{removed} pieces removed"


def require(k, build, *symbols):
    """Without these a check would look at nothing."""
    config = k.config(build).splitlines()
    for symbol in symbols:
        if symbol not in config:
            raise Fail(f"{build}/.config: no {symbol}; the check's configuration needs a change")


def ghes_off(k):
    """without GHES the kernel builds, and is the base's"""
    arch, build = k.configure("noghes")
    if "CONFIG_ARCH_HAS_COPY_MC=y" in k.config(build):
        raise Fail("ARCH_HAS_COPY_MC is on without ACPI_APEI_GHES")
    require(k, build, "CONFIG_ARM64_MTE=y")
    objects = [f"arch/arm64/lib/{n}.o" for n in ("copy_to_user", "copy_from_user", "copy_page",
                                                 "memcpy", "mte")]
    touched = OBJECTS["noghes"] + objects
    _, text = k.objects("noghes", touched)
    base, _ = k.objects("noghes", touched, base=True)
    for o in objects:
        same(f"the code of {o}", code(build, o), code(base, o))
        same(f"the exception table of {o}", section(build, o, "__ex_table"),
             section(base, o, "__ex_table"))
    # To link it takes five minutes, and says no more than this: the base does link.
    links(*({what: symbols(where, touched, what) for what in ("-u", "--defined-only")}
            for where in (build, base)))
    return (f"{len(touched)} objects, {len(objects)} compared; "
            f"{ui.number(len(warnings(text, k)), 'warning')}")


def symbols(build, objects, what, cross=ARM64[1]):
    """The names that these objects need, or define."""
    status, text, err = run(f"{cross}nm", "-g", what, *(os.path.join(build, o) for o in objects))
    if status:
        raise Fail(f"nm: {err.strip()}")
    return {line.split()[-1] for line in text.splitlines() if re.search(r" [A-Za-z] \S+$", line)}


def links(ours, base):
    """Fails if our objects need what the base's do not, and do not define it themselves."""
    if new := ours["-u"] - base["-u"] - ours["--defined-only"]:
        raise Fail(f"{min(new)}: used here and not by the base, and nobody may define it")
    if gone := base["--defined-only"] - ours["--defined-only"]:
        raise Fail(f"{min(gone)}: defined by the base, and here no more")


# What is exported, of which file; some of it is assembly, and some C that is built as it is.
FOR_MODULES = ("memcpy_mc", "mem_has_poison")
EXPORTED = {"arch/arm64/lib/memcmp_mc": ("memcmp_mc",), "arch/arm64/mm/sea": ("before_poison",),
            "arch/arm64/mm/copypage": ("copy_mc_highpage", "copy_mc_user_highpage"),
            "lib/iov_iter": ("__iov_iter_moved_end",),
            **{f"arch/arm64/lib/{name}": (name,) for name in FOR_MODULES}}


def modules(k):
    """nd_pmem and libnvdimm build as modules"""
    arch, build = k.configure("ghes")
    require(k, build, "CONFIG_ARCH_HAS_COPY_MC=y", "CONFIG_BLK_DEV_PMEM=m", "CONFIG_LIBNVDIMM=m")
    # Without vmlinux, which takes minutes, modpost knows no symbol: look for ours below.
    k.make(arch, build, "KBUILD_MODPOST_WARN=1", "modules")
    c = "arch/arm64/lib/memcmp_mc.o"
    k.objects("ghes", [f"{name}.o" for name in EXPORTED])
    undefined = set()
    for name in ("libnvdimm", "nd_pmem"):
        path = os.path.join(build, f"drivers/nvdimm/{name}.ko")
        undefined |= set(run(f"{arch[1]}nm", "-u", path)[1].split())
    if "memcpy_mc" not in undefined:
        raise Fail("neither module calls memcpy_mc")
    for file, names in EXPORTED.items():
        there = run(f"{arch[1]}nm", os.path.join(build, f"{file}.o"))[1].split()
        for name in names:
            if f"__export_symbol_{name}" not in there:
                raise Fail(f"{name} is not exported to modules")
    # With CONFIG_MODVERSIONS no module can be loaded that calls what has no prototype there.
    prototypes = os.path.join(build, "prototypes.c")
    with open(prototypes, "w", encoding="utf-8") as f:
        f.write("#include <linux/kernel.h>\n#include <asm/asm-prototypes.h>\n" +
                "".join(f"extern typeof({name}) {name};\n" for name in FOR_MODULES))
    p = subprocess.run([*compiler(build, c)[:-1], "-fsyntax-only", prototypes], cwd=build,
                       check=False, capture_output=True, text=True)
    if p.returncode:
        raise Fail("not in asm/asm-prototypes.h: "
                   f"{next((l for l in p.stderr.splitlines() if 'error:' in l), '?')}")
    return (f"they call memcpy_mc; {sum(map(len, EXPORTED.values()))} routines are "
            "exported, those of assembly with prototypes")


def warnings(text, k):
    """{(file, text): count} of the warnings in a build's output."""
    found = collections.Counter()
    for m in re.finditer(r"^(\S+?):(?:\d+:)*\s*(?:warning|error): (.*)$", text, re.M):
        file = os.path.normpath(m[1])
        for top in (k.top, k._base):
            if top and file.startswith(top + "/"):
                file = file[len(top) + 1:]
        found[re.sub(r"^(\.\./)+(linux|base)/", "", file), re.sub(r"\b\d+\b", "N", m[2])] += 1
    return found


def asked_for(found, objects, changed):
    """Those of them that are not of what make had to build first, as it does the vDSO."""
    return collections.Counter({
        (file, text): n for (file, text), n in found.items()
        if not file.endswith((".c", ".S")) or f"{file[:-1]}o" in objects or file in changed})


def suspects(found, objects):
    """The objects in which the warnings may be; not none, as some come with any."""
    files = {file for file, _text in found}
    if any(f.endswith(".h") for f in files):
        return objects
    return [o for o in objects if {o[:-1] + "c", o[:-1] + "S"} & files] or objects[:1]


def new_warnings(k, name, objects, flags, **kwargs):
    """Fails if building these objects warns of more than the base does."""
    _, text = k.objects(name, objects, *flags, **kwargs)
    if m := re.search(r".* is not available or not up to date", text):
        raise Fail(m[0])
    ours = asked_for(warnings(text, k), objects, k.tree.git.changed(
        k.tree.git.tree("base"), k.tree.git.tree("overlay")))
    if ours:
        there = suspects(ours, [o for o in objects if any(
            os.path.exists(os.path.join(k.base, o[:-1] + s)) for s in "cS")])
        _, text = k.objects(name, there, *flags, base=True, **kwargs)
        ours -= warnings(text, k)
    if ours:
        file, text = min(ours)
        raise Fail(f"{ui.number(len(ours), 'new warning')}: {file}: {text}")
    return ui.number(len(objects), "object")


def other_architecture(name):
    def check(k):
        _, build = k.configure(name)
        require(k, build, "CONFIG_ARCH_HAS_COPY_MC=y", "CONFIG_FS_DAX=y",
                "CONFIG_TRANSPARENT_HUGEPAGE=y")
        shared = [o for o in touched_objects(k) if not o.startswith(("arch/", "kunit/")) and
                  (name == "x86" or "/apei/" not in o)]
        said = new_warnings(k, name, sorted({*shared, *OBJECTS[name], *UNCHANGED}), ["W=1"])
        base, _ = k.objects(name, UNCHANGED, base=True)
        for o in UNCHANGED:
            same(f"the code of {o}", *(code(b, o, CONFIGS[name][0][1]) for b in (build, base)))
        return f"{said}, {len(UNCHANGED)} compared"
    check.__doc__ = f"touched code compiles for {CONFIGS[name][0][0]}"
    return check


def touched_objects(k):
    """The arm64 objects of all files that the overlay adds or changes, and of header users."""
    found = set(GENERIC)
    for name in k.tree.git.changed(k.tree.git.tree("base"), k.tree.work_tree()):
        if re.match(r"(arch/arm64|drivers|fs|kernel|mm|lib|kunit)/(?!tests/).*\.[cS]$", name):
            found.add(name[:-1] + "o")
    return sorted(found)


# Debian's sparse knows no __typeof_unqual__, and 7.3 does without sparse then; and it takes
# no __builtin_strlen() for a constant, which it is in each MODULE_INFO() of 7.3.
SPARSE = ("C=2", "CF=-D__typeof_unqual__=__typeof__ '-D__builtin_strlen(s)=(sizeof(s) - 1)'")


def sparse(k):
    """sparse and W=1 have nothing new to say"""
    # Suites that ask for no version are the same for each kernel.
    objects = [o for o in touched_objects(k)
               if not (k.newer and o.startswith("kunit/") and not asks(k, o))]
    return new_warnings(k, "warnings", objects, ["W=1", *SPARSE], text=k.all_config())


def asks(k, o):
    """Whether a new file of C is one thing or another, as the kernel has it."""
    path = os.path.join(k.top, o[:-1] + "c")
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as f:
        return re.search("^#(if|elif)", f.read(), re.M) is not None


# What checkpatch asks for that does not apply, and why.
CHECKPATCH_IGNORE = {
    "FILE_PATH_CHANGES": "MAINTAINERS is not part of the overlay",
}
CHECKPATCH_WRONG = {
    "Kconfig: WARNING:EMBEDDED_FILENAME": "the name of another Kconfig, to source it",
    "arch/arm64/include/asm/asm-extable.h: ERROR:SPACING": "the default of an assembly macro",
    "arch/arm64/include/asm/asm-uaccess.h: CHECK:SPACING": "assembly, taken for C by its ending",
    "arch/arm64/include/asm/asm-uaccess.h: ERROR:SPACING": "likewise, a label",
    "arch/arm64/mm/sea.c: WARNING:CONST_STRUCT": "6.12 takes no constant ctl_table",
    "kunit/inject/exports.c: WARNING:EXPORT_SYMBOL": "what it exports is the kernel's",
}


def complaints(top, patch, *options):
    """What checkpatch --strict has to say of a patch, and rightly."""
    p = subprocess.run([os.path.join(top, "scripts/checkpatch.pl"), "--strict", *options,
                        "--terse", "--showfile", "--show-types", "--no-summary", "--color=never",
                        "--ignore", ",".join(CHECKPATCH_IGNORE), patch],
                       cwd=top, check=False, capture_output=True, text=True,
                       # Debian's python3, which has the modules of Debian's packages.
                       env={**os.environ, "PATH": "/usr/bin:/bin"})
    lines = [l for l in p.stdout.splitlines() + p.stderr.splitlines()[-1:] if l.strip()
             and not re.sub(r":\d+:", ":", l, 1).startswith(tuple(CHECKPATCH_WRONG))]
    return lines or ([] if p.returncode in (0, 1) else [f"ended with {p.returncode}"])


def checkpatch(k):
    """checkpatch --strict is clean"""
    patch = os.path.join(k.build_dir("checkpatch"), "overlay.patch")
    # New files are the same for each kernel, and a newer checkpatch has more to say.
    what = ["--diff-filter=M"] if k.newer else []
    with open(patch, "w", encoding="utf-8") as f:
        f.write(k.tree.git.raw("diff-tree", "-r", "-p", "--no-renames", *what, "base",
                               k.tree.work_tree()))
    lines = complaints(k.top, patch, "--no-signoff")
    for line in lines[:10]:
        ui.note("  " + line)
    if lines:
        raise Fail(f"{ui.number(len(lines), 'complaint')}, the first: {lines[0]}")
    return f"{os.path.getsize(patch) >> 10} KiB of patch"


def docs(k):
    """the pages of documentation build, and sphinx has nothing to say"""
    changed = k.tree.git.changed(k.tree.git.tree("base"), k.tree.work_tree())
    # What an index lists is not there, as to build all of it takes ten minutes.
    pages = [n for n in changed if re.match(r"Documentation/.*(?<!/index)\.rst$", n)]
    if not pages:
        raise Fail("the overlay has no page")
    home = k.build_dir("docs")
    source = os.path.join(home, "Documentation")
    shutil.rmtree(home)
    for page in pages:
        os.makedirs(os.path.dirname(os.path.join(home, page)), exist_ok=True)
        shutil.copy(os.path.join(k.top, page), os.path.join(home, page))
    names = [p.removeprefix("Documentation/").removesuffix(".rst") for p in pages]
    with open(os.path.join(source, "index.rst"), "w", encoding="utf-8") as f:
        f.write("Pages\n=====\n\n.. toctree::\n\n" + "".join(f"   {n}\n" for n in names))
    # 7.3 looks for it beside the pages.
    os.symlink(os.path.join(k.top, "MAINTAINERS"), os.path.join(home, "MAINTAINERS"))
    script = next(s for s in ("tools/docs/kernel-doc", "scripts/kernel-doc")
                  if os.path.exists(os.path.join(k.top, s)))
    p = subprocess.run(["sphinx-build", "-q", "-b", "html", "-c",
                        os.path.join(k.top, "Documentation"), "-D", f"kerneldoc_srctree={k.top}",
                        "-D", f"kerneldoc_bin={k.top}/{script}", "-D", "version=", "-D", "release=",
                        source, os.path.join(home, "html")],
                       cwd=k.top, check=False, capture_output=True, text=True,
                       env={**os.environ, "PATH": "/usr/bin:/bin", "srctree": k.top,
                            "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"})
    lines = [l for l in p.stderr.splitlines() + p.stdout.splitlines() if l.strip()]
    # It also has something to say of the kernel's own files, and of programs that it misses.
    ours = [l for l in lines if source in l or any(re.search(rf"\b{re.escape(n)}\b", l)
                                                   for n in changed)]
    if ours or p.returncode:
        raise Fail(f"{ui.number(len(ours), 'complaint')}, the first: {(ours or lines or ['?'])[0]}")
    return ui.number(len(pages), "page")


def hook(k):
    """the semantic patch puts the hook where ours is"""
    git, work, theirs = k.tree.git, k.tree.work_tree(), {}
    ours = {n: git.raw("cat-file", "blob", f"{work}:{n}")
            for n in git.find("sea_inject", work, foreign.FAULT_PATH)}
    for name, text in ours.items():
        text = text.replace("sea_inject_claim(", "apei_claim_sea(")
        text = re.sub(r"\tif \(sea_inject\w*\(.*\)\)\n\t\treturn.*;\n", "", text)
        theirs[name] = text.replace("#include <asm/sea_inject.h>\n", "")

    def shape(text):
        return [l for l in text.splitlines() if l.strip() and "asm/sea_inject.h" not in l]

    for name, text in foreign.hook(tree.REPO, theirs).items():
        same(f"{name} with the hook of {foreign.HOOK}", shape(text), shape(ours[name]))
    return f"{ui.number(len(ours), 'file')}"


CHECKS = {
    "checkpatch": checkpatch,
    "docs": docs,
    "hook": hook,
    "copy_page": copy_page,
    "sparse": sparse,
    "hook_off": hook_off,       # in their directory, with another configuration
    "ghes_off": ghes_off,
    "modules": modules,
    "x86": other_architecture("x86"),
    "ppc": other_architecture("ppc"),
}
# They share directories: one after another.
LANE = ("copy_page", "sparse", "hook_off", "ghes_off")
