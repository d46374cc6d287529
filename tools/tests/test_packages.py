# SPDX-License-Identifier: GPL-2.0-only
"""What is installed, fetched or asked for, with apt's answers made up."""

import os
import threading
import time
import types

from lib import packages
from lib.ui import Unavailable
from tests.fake import Case, read, write


class Packages(Case):
    def answer(self, answers):
        """Lets run() answer: {words in the command: (exit code, stdout, stderr)}."""
        self.asked = []

        def run(*cmd, **_kwargs):
            line = " ".join(cmd)
            self.asked.append(line)
            return next((a for words, a in answers.items() if words in line), (0, "", ""))

        self.replace("run", run)

    def replace(self, name, value):
        self.addCleanup(setattr, packages, name, getattr(packages, name))
        setattr(packages, name, value)

    def test_nothing_is_missing(self):
        self.answer({})
        packages.need(False, {"sh": "dash", "/etc/os-release": "base-files"})
        self.assertEqual(self.asked, [])

    def test_says_what_to_install(self):
        self.answer({})
        table = {"no-such-command": "one", "/no/such/file": "two", "sh": "dash"}
        with self.fails("run: apt-get install --no-install-recommends one two$"):
            packages.need(False, table)
        self.assertEqual(self.asked, [])

    def test_lists_are_updated_when_a_package_is_unknown(self):
        self.replace("os", types.SimpleNamespace(geteuid=lambda: 0, path=os.path))
        self.answer({"install": (100, "", "E: Unable to locate package one\n")})
        with self.assertRaisesRegex(Unavailable, "Unable to locate package one; check the network"):
            packages.need(True, {"no-such-command": "one"})
        self.assertEqual(["update" in a for a in self.asked], [False, True, False])

    def test_only_root_installs(self):
        self.replace("os", types.SimpleNamespace(geteuid=lambda: 1000, path=os.path))
        self.answer({})
        with self.fails("only root may install them; run: apt-get install"):
            packages.need(True, {"no-such-command": "one"})
        self.assertEqual(self.asked, [])

    def test_what_one_can_do_without(self):
        self.answer({})
        packages.wish(False, {"no-such-command": "one"})
        self.said.flush()
        self.assertIn("install --no-install-recommends one; going on without",
                      read(self.tmp, "said"))

    def test_new_kernels(self):
        offered = ["linux-source-6.12", "linux-source-7.3", "linux-source-7.10", "linux-source-7.4",
                   "linux-source-7.4-rt", "linux-source"]
        self.answer({"pkgnames linux-source-": (0, "\n".join(offered), "")})
        self.assertEqual(packages.new_kernels(self.tmp), ["7.4", "7.10"])
        self.assertIn("trixie-backports", self.asked[0])
        self.answer({"pkgnames": (100, "", "E: no lists\n")})
        self.assertEqual(packages.new_kernels(self.tmp), [])

    def test_mirror_is_the_main_archive(self):
        self.replace("release", lambda: "bookworm")
        self.answer({"indextargets": (0, "mirror:/a/debian-security bookworm-security\n"
                                      "mirror:/a/debian bookworm-updates\n"
                                      "mirror:/a/debian bookworm\n", "")})
        self.assertEqual(packages.mirror(), "mirror:/a/debian")
        self.answer({"update": (100, "", "")})
        with self.assertRaisesRegex(Unavailable, "check the network"):
            packages.mirror()

    def private(self, answers):
        self.replace("mirror", lambda: "mirror:/a/debian")
        self.answer(answers)
        return packages.Private(self.build, ["trixie-backports"])

    def test_private_apt_keeps_to_itself(self):
        private = self.private({})
        private.update()
        for key in ("Dir::Etc::sourcelist", "Dir::State::lists", "Dir::Cache"):
            self.assertIn(f"{key}={private.top}/", self.asked[0])
        self.assertTrue(private.top.startswith(self.build))
        with open(f"{private.top}/sources.list", encoding="ascii") as f:
            self.assertEqual(f.read(), f"deb [signed-by={packages.KEYRING}] mirror:/a/debian "
                                       "trixie-backports main\n")
        private.update()
        self.assertEqual(len(self.asked), 1)    # the lists are fresh
        os.utime(f"{private.top}/updated", (1, 1))
        private.update()
        self.assertEqual(len(self.asked), 2)

    def test_no_network(self):
        private = self.private({"update": (100, "", "E: Failed to fetch\n")})
        with self.assertRaisesRegex(Unavailable, "Failed to fetch; check the network"):
            private.update()

    def test_package_that_is_gone(self):
        self.private({"show": (100, "", "E: No packages found\n")})
        with self.assertRaisesRegex(Unavailable, "linux-source-7.3: not"):
            packages.private_package(self.build, ["trixie-backports"], "linux-source-7.3")

    def test_old_package_while_there_is_no_newer_one(self):
        os.makedirs(f"{self.build}/packages/linux-source-7.3_7.3.4-1")
        self.private({"update": (100, "", "E: Failed to fetch\n")})
        top, version = packages.private_package(self.build, ["x"], "linux-source-7.3")
        self.assertEqual((os.path.basename(top), version), ("linux-source-7.3_7.3.4-1", "7.3.4-1"))

    def test_newer_package_replaces_the_old_one(self):
        old = f"{self.build}/packages/linux-source-7.3_7.3.4-1"
        os.makedirs(old)
        self.private({"show": (0, "Package: linux-source-7.3\nVersion: 7.3.5-1\n", "")})
        top, version = packages.private_package(self.build, ["x"], "linux-source-7.3")
        self.assertEqual(version, "7.3.5-1")
        self.assertTrue(os.path.isdir(top))
        self.assertFalse(os.path.exists(old))

    def at_once(self, function, *args):
        """What two runs that start together get, and how often that is downloaded."""
        found, downloads, answered = [], [], packages.run

        def run(*cmd, **kwargs):
            if "download" in cmd:
                downloads.append(cmd)
                time.sleep(0.3)
            if cmd[0].endswith("qemu-system-aarch64"):
                return 0, "QEMU emulator version 10.0.2\n" if os.path.exists(cmd[0]) else "", ""
            return answered(*cmd, **kwargs)

        self.replace("run", run)
        threads = [threading.Thread(target=lambda: found.append(function(*args)))
                   for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return found, len(downloads)

    def test_package_for_two_runs(self):
        self.private({"show": (0, "Package: x\nVersion: 7.3.5-1\n", "")})
        top = f"{self.build}/packages/x_7.3.5-1"
        self.assertEqual(self.at_once(packages.private_package, self.build, ["a"], "x"),
                         ([(top, "7.3.5-1")] * 2, 1))

    def test_qemu_for_two_runs(self):
        self.replace("release", lambda: "bookworm")
        self.private({"-s": (0, "Inst qemu-system-arm (1:10.0 Debian [amd64])\n", "")})
        wrapper = f"{self.build}/qemu-10/bin/qemu-system-aarch64"
        self.assertEqual(self.at_once(packages.private_qemu, self.build), ([wrapper] * 2, 1))

    def test_download_that_fails_leaves_nothing(self):
        private = self.private({"download": (100, "", "E: 404\n")})
        with self.assertRaisesRegex(Unavailable, "404"):
            private.unpack(["x=1"], f"{self.build}/x")
        self.assertEqual([n for n in os.listdir(self.build) if n.startswith("x")], [])


class Qemu(Case):
    def binary(self, text):
        write(self.tmp, "qemu", f"#!/bin/sh\necho '{text}'\n", 0o755)
        return types.SimpleNamespace(qemu=os.path.join(self.tmp, "qemu"), no_install=True,
                                     build_dir=self.build)

    VERSION = "QEMU emulator version 7.2.22 (Debian 1:7.2)"

    def test_version(self):
        args = self.binary(f"{self.VERSION}\nvirt    Virtual Machine\n  cortex-a57\n")
        self.assertEqual(packages.qemu(args), (args.qemu, (7, 2, 22)))

    def test_another_architecture(self):
        for more, text in (("virtualized\n  cortex-a57", "-machine virt"),
                           ("virt    Virtual Machine\n  cortex-a15", "-cpu cortex-a57")):
            with self.fails(f"qemu: knows no {text}; give a qemu-system-aarch64"):
                packages.check_qemu(self.binary(f"{self.VERSION}\n{more}\n").qemu)

    def test_too_old(self):
        with self.fails("QEMU 6.2.0 is too old, 7.0 is needed"):
            packages.qemu(self.binary("QEMU emulator version 6.2.0"))

    def test_none(self):
        with self.fails("is no QEMU that runs here"):
            packages.qemu(self.binary("hello"))
        with self.fails("no such program"):
            packages.qemu(types.SimpleNamespace(qemu="/no/such"))
