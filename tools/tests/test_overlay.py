# SPDX-License-Identifier: GPL-2.0-only
"""The overlay on a kernel tree, and back."""

import os
import subprocess

from lib import tree
from tests.fake import Case, lines, read, snapshot, write

BASE = lines(1, 60)
EARLY = lines(1, 60, l10="ours 10")
LATE = lines(1, 60, l10="ours 10", l50="ours 50")


class Apply(Case):
    def test_new_files_and_patches(self):
        self.patch("mm/memory.c", BASE, EARLY)
        top = self.prepare().top
        self.assertEqual(read(top, "lib/ours.c"), "int ours;\n")
        self.assertTrue(os.access(os.path.join(top, "lib/ours.sh"), os.X_OK))
        self.assertFalse(os.access(os.path.join(top, "lib/ours.c"), os.X_OK))
        self.assertEqual(read(top, "mm/memory.c"), EARLY)
        self.assertFalse(os.path.exists(os.path.join(top, "mm/memory.c.patch")))

    def test_one_base_commit_and_one_overlay_commit(self):
        prepared = self.prepare()
        self.assertEqual(prepared.git("rev-list", "--count", "HEAD"), "2")
        self.assertEqual(prepared.git("rev-parse", "HEAD^"), prepared.base)
        write(self.repo, "lib/ours.c", "int ours = 2;\n")
        self.prepare()
        self.assertEqual(prepared.git("rev-list", "--count", "HEAD"), "2")
        self.assertEqual(prepared.git("status", "--porcelain"), "")

    def test_only_what_the_overlay_may_hold(self):
        for name in ("README", "lib/ours.c.orig", "tools/run", ".ci/run", "lib/.ours.c.swp"):
            write(self.repo, name, "x\n")
        write(self.repo, ".gitignore", ".*.swp\n")
        write(self.repo, "tools/testing/selftests/x.c", "int x;\n")
        top = self.prepare().top
        for name in ("README", "lib/ours.c.orig", "tools/run", ".ci", "lib/.ours.c.swp"):
            self.assertFalse(os.path.exists(os.path.join(top, name)), name)
        self.assertTrue(os.path.exists(os.path.join(top, "tools/testing/selftests/x.c")))

    def test_lines_may_move_but_not_differ(self):
        self.patch("mm/memory.c", BASE, EARLY)
        moved = self.prepare(self.make_kernel("moved", 6, 12, extra=7))
        self.assertEqual(read(moved.top, "mm/memory.c"), lines(-6, 60, l10="ours 10"))
        other = self.make_kernel("other", 6, 12)
        write(other, "mm/memory.c", lines(1, 60, l12="line twelve"))
        with self.fails(r"Linux 6.12.5: 1 file .* does not fit; .*: mm/memory.c.patch: "
                        r"mm/memory.c, hunk '@@ -7,7 \+7,7 @@.*' finds no such lines$"):
            self.prepare(other)

    def test_refused_as_a_whole(self):
        prepared = self.prepare()
        before, head = snapshot(prepared.top), prepared.git("rev-parse", "HEAD")
        write(self.repo, "lib/another.c", "int another;\n")
        self.patch("lib/old.c", "int old;\n", "int older;\n")
        self.patch("mm/memory.c", lines(1, 60, l51="else"), lines(1, 60, l51="else", l50="x"))
        with self.fails("mm/memory.c.patch: .*hunk '@@ -47,7"):
            self.prepare()
        self.assertEqual(snapshot(prepared.top), before)
        self.assertEqual(prepared.git("rev-parse", "HEAD"), head)

    def test_new_file_that_the_kernel_has(self):
        write(self.repo, "lib/old.c", "int mine;\n")
        with self.fails("lib/old.c: Linux 6.12.5 has a file of this name"):
            self.prepare()

    def test_patch_for_a_file_that_the_kernel_lacks(self):
        self.patch("lib/gone.c", "a\n", "b\n")
        with self.fails("lib/gone.c.patch: there is no file lib/gone.c"):
            self.prepare()

    def test_each_file_that_does_not_fit(self):
        self.patch("mm/memory.c", lines(1, 60, l51="else"), lines(1, 60, l51="else", l50="x"))
        self.patch("lib/gone.c", "a\n", "b\n")
        self.patch("lib/gone.c", "b\n", "c\n", "lib/gone.c.6.12.patch")
        with self.fails("Linux 6.12.5: 2 files of the overlay do not fit; nothing was changed, see "
                        "tools/PORTING.md: lib/gone.c.patch: there is no file lib/gone.c; "
                        "mm/memory.c.patch: mm/memory.c, hunk"):
            self.prepare()

    def test_patch_that_is_none(self):
        write(self.repo, "lib/old.c.patch", "rubbish\n")
        with self.fails("does not fit; .*: lib/old.c.patch: "):
            self.prepare()

    def test_patch_under_another_name(self):
        self.patch("mm/memory.c", BASE, EARLY, "lib/old.c.patch")
        with self.fails("mm/memory.c: changed by a patch of another name"):
            self.prepare()


class Variants(Case):
    def setUp(self):
        super().setUp()
        self.patch("mm/memory.c", BASE, EARLY)
        self.patch("mm/memory.c", EARLY, LATE, "mm/memory.c.7.3.patch")

    def test_which_variant(self):
        for version, want in (((6, 6), EARLY), ((6, 12), EARLY), ((7, 2), EARLY),
                              ((7, 3), LATE), ((8, 0), LATE)):
            kernel = self.make_kernel("k%d.%d" % version, *version)
            self.assertEqual(read(self.prepare(kernel).top, "mm/memory.c"), want, version)

    def test_a_variant_of_its_own(self):
        self.patch("mm/memory.c", EARLY, lines(1, 60, l10="newest"), "mm/memory.c.7.10.patch")
        for version, want in (((7, 9), LATE), ((7, 10), lines(1, 60, l10="newest"))):
            kernel = self.make_kernel("k%d.%d" % version, *version)
            self.assertEqual(read(self.prepare(kernel).top, "mm/memory.c"), want, version)

    def test_the_variant_that_fits(self):
        theirs = lines(1, 60, l49="line")
        self.patch("lib/old.c", "int old;\n", "int much;\n", "lib/old.c.6.12.patch")
        self.patch("lib/old.c", "int new;\n", "int much newer;\n", "lib/old.c.7.3.patch")
        kernel = self.make_kernel("between", 7, 2)
        write(kernel, "lib/old.c", "int new;\n")
        top = self.prepare(kernel).top
        self.assertEqual(read(top, "lib/old.c"), "int much newer;\n")
        self.assertEqual(read(top, "mm/memory.c"), LATE)
        # Where none does, what is said is of that which misses less.
        self.patch("lib/gone.c", "a\n", "b\n", "lib/gone.c.6.12.patch")
        write(kernel, "mm/memory.c", theirs)
        with self.fails("1 file of .*: mm/memory.c.7.3.patch: "):
            self.prepare(kernel)

    def test_a_version_of_its_own(self):
        self.patch("lib/old.c", "int old;\n", "int new;\n", "lib/old.c.7.3.patch")
        write(self.repo, "mm/memory.c.7.4.patch", "")
        prepared = self.prepare(self.make_kernel("newer", 7, 4))
        self.assertEqual(read(prepared.top, "lib/old.c"), "int new;\n")
        self.assertEqual(read(prepared.top, "mm/memory.c"), EARLY)
        write(prepared.top, "mm/memory.c", lines(1, 60, l10="ours 10", l20="of 7.4"))
        self.assertEqual(self.refresh(prepared), [("changed", "mm/memory.c.7.4.patch")])
        self.assertEqual(read(self.prepare(self.make_kernel("new", 7, 3)).top, "mm/memory.c"),
                         LATE)

    def test_edit_goes_to_the_variant(self):
        prepared = self.prepare(self.make_kernel("new", 7, 3))
        common = read(self.repo, "mm/memory.c.patch")
        write(prepared.top, "mm/memory.c", lines(1, 60, l10="ours 10", l50="better 50"))
        self.assertEqual(self.refresh(prepared), [("changed", "mm/memory.c.7.3.patch")])
        self.assertEqual(read(self.repo, "mm/memory.c.patch"), common)
        self.assertIn("+better 50\n", read(self.repo, "mm/memory.c.7.3.patch"))
        self.assertNotIn("ours 10", read(self.repo, "mm/memory.c.7.3.patch").replace(" ours 10", ""))

    def test_variant_that_vanishes(self):
        prepared = self.prepare(self.make_kernel("new", 7, 3))
        write(prepared.top, "mm/memory.c", EARLY)
        self.assertEqual(self.refresh(prepared), [("removed", "mm/memory.c.7.3.patch")])

    def test_empty_variant_asks_for_the_edit(self):
        write(self.repo, "lib/old.c.6.12.patch", "")
        prepared = self.prepare()
        write(prepared.top, "lib/old.c", "int here;\n")
        self.assertEqual(self.refresh(prepared), [("changed", "lib/old.c.6.12.patch")])
        newer = self.prepare(self.make_kernel("new", 7, 3))
        self.assertEqual(read(newer.top, "lib/old.c"), "int old;\n")

    def test_variant_on_top_of_a_new_file(self):
        self.patch("lib/ours.c", "int ours;\n", "long ours;\n", "lib/ours.c.7.3.patch")
        self.assertEqual(read(self.prepare().top, "lib/ours.c"), "int ours;\n")
        newer = self.prepare(self.make_kernel("new", 7, 3))
        self.assertEqual(read(newer.top, "lib/ours.c"), "long ours;\n")


class Refresh(Case):
    def setUp(self):
        super().setUp()
        self.patch("mm/memory.c", BASE, EARLY)
        self.prepared = self.prepare()
        self.top = self.prepared.top

    def test_clean_tree_changes_nothing(self):
        before = snapshot(self.repo)
        self.assertEqual(self.refresh(self.prepared), [])
        self.assertEqual(snapshot(self.repo), before)

    def test_each_kind_of_edit(self):
        write(self.top, "lib/fresh.c", "int fresh;")        # no newline at the end
        write(self.top, "lib/empty.h", "")
        write(self.top, "lib/run.sh", "x\n", 0o755)
        write(self.top, "lib/old.c", "int changed;\n")
        write(self.top, "mm/memory.c", LATE)
        os.unlink(os.path.join(self.top, "lib/ours.c"))
        self.assertEqual(self.refresh(self.prepared), [
            ("changed", "mm/memory.c.patch"), ("new", "lib/empty.h"), ("new", "lib/fresh.c"),
            ("new", "lib/old.c.patch"), ("new", "lib/run.sh"), ("removed", "lib/ours.c")])
        self.assertEqual(read(self.repo, "lib/fresh.c"), "int fresh;")
        self.assertTrue(os.access(os.path.join(self.repo, "lib/run.sh"), os.X_OK))
        # The overlay now makes of the kernel exactly what was edited.
        before = snapshot(self.top)
        self.prepare()
        self.assertEqual(snapshot(self.top), before)
        again = self.make_kernel("again", 6, 12)
        self.assertEqual({n: s[:2] for n, s in snapshot(self.prepare(again).top).items()},
                         {n: s[:2] for n, s in before.items()})
        self.assertEqual(self.refresh(self.prepared), [])

    def test_form_of_a_patch(self):
        write(self.top, "mm/memory.c", LATE)
        self.refresh(self.prepared)
        text = read(self.repo, "mm/memory.c.patch")
        self.assertTrue(text.startswith("--- a/mm/memory.c\n+++ b/mm/memory.c\n@@ -7,7 +7,7 @@"))
        self.assertNotIn("index ", text)

    def test_modes(self):
        os.chmod(os.path.join(self.top, "lib/old.c"), 0o755)
        os.chmod(os.path.join(self.top, "lib/ours.sh"), 0o644)
        self.assertEqual(self.refresh(self.prepared),
                         [("changed", "lib/ours.sh"), ("new", "lib/old.c.patch")])
        again = self.prepare(self.make_kernel("again", 6, 12))
        self.assertTrue(os.access(os.path.join(again.top, "lib/old.c"), os.X_OK))
        self.assertFalse(os.access(os.path.join(again.top, "lib/ours.sh"), os.X_OK))

    def test_file_of_the_kernel_removed(self):
        os.unlink(os.path.join(self.top, "lib/old.c"))
        self.assertEqual(self.refresh(self.prepared), [("new", "lib/old.c.patch")])
        again = self.prepare(self.make_kernel("again", 6, 12))
        self.assertFalse(os.path.exists(os.path.join(again.top, "lib/old.c")))

    def test_change_that_vanishes(self):
        write(self.top, "mm/memory.c", BASE)
        self.assertEqual(self.refresh(self.prepared), [("removed", "mm/memory.c.patch")])

    def test_committed_edits_count(self):
        write(self.top, "mm/memory.c", LATE)
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qam", "x"],
                       cwd=self.top, check=True)
        write(self.repo, "lib/ours.c", "int more;\n")
        with self.fails("edits not written back in mm/memory.c"):
            self.prepare()
        self.assertEqual(self.refresh(self.prepared), [("changed", "mm/memory.c.patch")])
        self.prepare()
        self.assertEqual(read(self.top, "mm/memory.c"), LATE)
        self.assertEqual(read(self.top, "lib/ours.c"), "int more;\n")

    def test_ignored_files_stay_out(self):
        for name in ("lib/x.o", "lib/old.c.orig", "lib/old.c.rej", "notes"):
            write(self.top, name, "x\n")
        self.assertEqual(self.refresh(self.prepared), [])

    def test_edited_on_both_sides(self):
        write(self.top, "lib/ours.c", "int tree;\n")
        write(self.repo, "lib/ours.c", "int overlay;\n")
        with self.fails("lib/ours.c: edited in the tree and in the overlay"):
            self.refresh(self.prepared)
        self.assertEqual(read(self.repo, "lib/ours.c"), "int overlay;\n")
        self.assertEqual(read(self.top, "lib/ours.c"), "int tree;\n")

    def test_different_files_edited_on_both_sides(self):
        write(self.top, "mm/memory.c", LATE)
        write(self.repo, "lib/ours.c", "int overlay;\n")
        self.assertEqual(self.refresh(self.prepared), [("changed", "mm/memory.c.patch")])
        self.prepare()
        self.assertEqual(read(self.top, "mm/memory.c"), LATE)
        self.assertEqual(read(self.top, "lib/ours.c"), "int overlay;\n")

    def test_outside_of_the_overlay(self):
        self.prepared.git("config", "advice.x", "y")
        kernel = self.make_kernel("wide", 6, 12)
        write(kernel, "tools/lib/x.c", "x\n")
        prepared = self.prepare(kernel)
        write(prepared.top, "tools/lib/x.c", "y\n")
        with self.fails("tools/lib/x.c: outside of what the overlay can hold"):
            self.refresh(prepared)

    def test_other_trees(self):
        other = self.prepare(self.make_kernel("other", 7, 3))
        self.assertEqual([t.top for t in tree.others(self.prepared)], [other.top])
