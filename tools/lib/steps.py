# SPDX-License-Identifier: GPL-2.0-only
"""Each step of the series as a kernel of its own: does it compile, and pass checkpatch?"""

import contextlib
import os
import re
import time

from lib import checks, series, ui
from lib.ui import Fail

# What a step may change that ends up in an object.
SOURCE = re.compile(r"(arch/arm64|arch/x86|arch/powerpc|drivers|fs|kernel|mm|lib|kunit)/"
                    r"(?!tests/).*\.[cS]$")


class Step(checks.Kernel):
    """A Kernel whose files are those of a step."""

    def __init__(self, prepared, jobs, base, git):
        super().__init__(prepared, jobs, base)
        self.top = git.top
        self.home = os.path.join(prepared.home, "steps")


class Steps:
    """The steps, one after another, in a work tree of their own."""

    def __init__(self, repo, prepared, jobs, who):
        self.home = os.path.join(prepared.home, "steps")
        os.makedirs(self.home, exist_ok=True)
        self.series = series.Series(repo, prepared, who)
        self.git = self.series.scratch(os.path.join(self.home, "linux"))
        self.names = self.series.steps()
        self.commits = self.series.commits(self.git)
        self.trees = [self.series.whole_tree(self.git, c) for c in self.commits]
        self.kernel = Step(prepared, jobs, prepared.worktree("base", prepared.base), self.git)

    def check_out(self, step):
        """Writes only what differs from the last one."""
        self.git("read-tree", "--reset", "-u", self.trees[step])

    def touched(self, step):
        """The names that a step changes."""
        return self.git.changed(self.trees[step - 1], self.trees[step])

    def objects(self, step):
        """The objects to compile: of what it changes, and of who includes that."""
        names = self.touched(step)
        if any(os.path.basename(n) == "Kconfig" for n in names):
            # What was there before may be built from now on.
            names = self.git.changed(self.trees[0], self.trees[step])
        found = {n for n in names if SOURCE.match(n)}
        headers = [n.split("/include/", 1)[-1].removeprefix("include/") for n in names
                   if n.endswith(".h")]
        if headers:
            found |= {o[:-1] + "c" for o in checks.GENERIC}
            ours = [n for n in self.git.changed(self.trees[0], self.trees[step])
                    if SOURCE.match(n)]
            for name in ours:
                with open(os.path.join(self.git.top, name), encoding="utf-8") as f:
                    text = f.read()
                if any(re.search(rf'#include [<"](\.\./)*{re.escape(h)}[>"]', text)
                       for h in headers):
                    found.add(name)
        return sorted(n[:-1] + "o" for n in found if not os.path.basename(n).startswith("."))

    def compile(self, step):
        """What was compiled, in words; fails at a warning that the base has not."""
        k, said = self.kernel, []
        objects = self.objects(step)
        for name, arch, flags, text in (
                ("warnings", "arm64", ["W=1", *checks.SPARSE], {"text": k.all_config()}),
                ("x86", "x86", ["W=1"], {}), ("ppc", "powerpc", ["W=1"], {})):
            those = [o for o in objects if o.startswith(f"arch/{arch}/") or
                     not o.startswith("arch/") and (arch == "arm64" or not o.startswith(
                         ("kunit/", "drivers/acpi/") if arch == "powerpc" else "kunit/"))]
            # What a step adds to Kconfig is to be asked for again.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(k.build_dir(name) + ".config")
            config = k.config(k.configure(name, **text)[1]) if those else ""
            those = [o for o in those if self._is_built(o, config)]
            if not those:
                continue
            said.append(f"{arch} {checks.new_warnings(k, name, those, flags, **text)}")
        return ", ".join(said) or "nothing to compile"

    def _is_built(self, o, config):
        """Whether its Makefile does not leave it out of this configuration."""
        path = os.path.join(self.git.top, os.path.dirname(o), "Makefile")
        if not os.path.exists(path):
            return True
        with open(path, encoding="utf-8") as f:
            text = f.read().replace("\\\n", " ")
        m = re.search(rf"^\w+-\$\((CONFIG_\w+)\)\s*[+:]?=.*\s{re.escape(os.path.basename(o))}\b",
                      text, re.M)
        return not m or re.search(rf"^{m[1]}=[ym]$", config, re.M) is not None

    def checkpatch(self, step):
        patch = self.git("format-patch", "--stdout", "--no-renames", "-1", self.commits[step])
        path = os.path.join(self.home, "step.patch")
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(patch + "\n")
        lines = checks.complaints(self.git.top, path)
        if lines:
            raise Fail(f"checkpatch: {lines[0]}")
        return "checkpatch"

    def run(self, wanted):
        """Says of each step what came of it; gives the steps that failed."""
        bad = []
        for step, name in enumerate(self.names, 1):
            if wanted and name not in wanted:
                continue
            self.check_out(step)
            start = time.monotonic()
            try:
                words = f"{self.compile(step)}, {self.checkpatch(step)}"
            except Fail as e:
                bad.append(name)
                words = f"FAIL {e}"
            ui.note(f"{name:32} {words}; {time.monotonic() - start:.0f} s")
        return bad
