# SPDX-License-Identifier: GPL-2.0-only
"""Each step of the series as a kernel: which objects it takes, and what is wrong with it."""

import os
import unittest.mock

from lib import checks, kunit, steps, tree
from lib.ui import Fail
from tests.fake import read, tool, write
from tests.test_series import WHO, Series

HEADER = "include/linux/ours.h"
STEPS = """\
[01-first]
mm/memory.c /FIRST/
include/linux/ours.h
lib/ours.sh

[02-second]
mm/memory.c
lib/ours.c
"""


class Steps(Series):
    def setUp(self):
        super().setUp()
        write(self.repo, HEADER, "int ours;\n")
        write(self.repo, "lib/ours.c", f'#include <{HEADER.removeprefix("include/")}>\n')
        for config in kunit.USER.config:
            write(self.repo, config, "CONFIG_OURS=y\n")
        self.steps(STEPS + f"{kunit.SELFTESTS}/config\n")
        self.prepared = self.prepare()
        self.each = steps.Steps(self.repo, self.prepared, 1, WHO)
        self.each.kernel.configure = lambda name, text=None: (name, name)
        self.each.kernel.config = lambda build: "CONFIG_ON=y\n"
        self.built, self.wrong = [], {}
        for name, what in (("new_warnings", self.new_warnings),
                           ("complaints", lambda top, patch: self.wrong.get(self.first(patch), []))):
            patcher = unittest.mock.patch.object(checks, name, what)
            patcher.start()
            self.addCleanup(patcher.stop)

    def new_warnings(self, k, name, objects, flags, **_kwargs):
        self.built.append((name, objects, "W=1" in flags, "C=2" in flags,
                           read(k.top, "mm/memory.c").count("FIRST"),
                           os.path.exists(os.path.join(k.top, "lib/ours.c"))))
        if name in self.wrong:
            raise Fail(self.wrong[name])
        return f"{len(objects)} objects"

    @staticmethod
    def first(patch):
        with open(patch, encoding="utf-8") as f:
            return next(l for l in f if l.startswith("Subject: ")).partition("] ")[2].strip()

    def test_objects_of_each(self):
        with unittest.mock.patch.object(checks, "GENERIC", ["mm/memory.o"]):
            self.each.check_out(1)
            self.assertEqual(self.each.objects(1), ["mm/memory.o"])
            self.each.check_out(2)
            self.assertEqual(self.each.objects(2), ["lib/ours.o", "mm/memory.o"])
        # who includes a header of the step
        self.each.touched = lambda step: [HEADER]
        with unittest.mock.patch.object(checks, "GENERIC", []):
            self.assertEqual(self.each.objects(2), ["lib/ours.o"])

    def test_what_no_configuration_builds(self):
        write(self.each.git.top, "lib/Makefile", "obj-y += all.o\nobj-$(CONFIG_ON)\t+= a.o \\\n"
                                                 "\t ours.o\nlib-$(CONFIG_OFF) += hours.o\n")
        for o, built in (("lib/ours.o", True), ("lib/hours.o", False), ("lib/all.o", True),
                         ("mm/ours.o", True), ("lib/urs.o", True)):
            self.assertEqual(self.each._is_built(o, "CONFIG_ON=m\n"), built, o)
        self.assertFalse(self.each._is_built("lib/a.o", "# CONFIG_ON is not set\n"))

    def test_what_a_step_begins_to_build(self):
        self.each.check_out(2)
        self.each.touched = lambda step: ["mm/Kconfig"]
        with unittest.mock.patch.object(checks, "GENERIC", []):
            self.assertEqual(self.each.objects(2), ["lib/ours.o", "mm/memory.o"])

    def test_each_is_compiled_as_it_is_then(self):
        with unittest.mock.patch.object(checks, "GENERIC", []):
            self.assertEqual(self.each.run([]), [])
        self.assertEqual(self.built, [
            *((name, ["mm/memory.o"], True, name == "warnings", 1, False)
              for name in ("warnings", "x86", "ppc")),
            *((name, ["lib/ours.o", "mm/memory.o"], True, name == "warnings", 1, True)
              for name in ("warnings", "x86", "ppc"))])

    def test_what_is_wrong_is_said_and_the_others_go_on(self):
        self.wrong = {"x86": "a new warning"}
        self.assertEqual(self.each.run(["02-second"]), ["02-second"])
        self.assertIn("FAIL a new warning", self.heard())
        self.wrong = {"mm: first": ["too long"]}
        self.assertEqual(self.each.run([]), ["01-first"])
        self.assertIn("FAIL checkpatch: too long", self.heard())

    def heard(self):
        self.said.flush()
        return read(self.tmp, "said")

    def test_tool(self):
        series = tool("series")
        args = series.parser().parse_args(["--kernel", self.kernel, "--build-dir", self.build,
                                           "--each", "03-third"])
        with unittest.mock.patch("lib.packages.need"), self.fails("03-third: no such step"):
            series.each(args, *tree.select(args), WHO)
        args.out = "out"
        with self.fails("--each writes nothing"):
            series.each(args, *tree.select(args), WHO)
