# SPDX-License-Identifier: GPL-2.0-only
"""The overlay as patches: which change is in which, and what is said when one has no place."""

import json
import os
import re
import shutil
import unittest.mock

from lib import bench, directory, series, tree, ui
from tests.fake import TREES, Case, lines, read, tool, write

WHO = ("A Name", "a@name.example")

# A file of the kernel that changes in two places, and a new one in three parts
OURS = """\
/* begin */

/* later: one */
int one;

/* middle */
int two;	/* new */
/* end */
"""
STEPS = """\
# a comment
[01-first]
mm/memory.c /FIRST/
lib/ours.c

[02-second]
mm/memory.c
lib/ours.sh
lib/ours.c /later: one/,/^int one/+1
lib/ours.c s/\\t\\/\\* new \\*\\/$//
"""


def message(text):
    return f"mm: {text}\n\nWhy it is {text}.\n"


class Series(Case):
    def setUp(self):
        super().setUp()
        self.patch("mm/memory.c", lines(1, 60), lines(1, 60, l5="FIRST\nline 5", l50="second"))
        write(self.repo, "lib/ours.c", OURS)
        write(self.repo, "lib/ours.sh", "#!/bin/sh", 0o755)     # with no newline at its end
        self.steps(STEPS)
        self.say("01-first", message("first"))
        self.say("02-second", message("second"))
        self.say("00-cover-letter", "mm: both\n\nFor Linux {version}.\n\nCosts {page}.\n")

    def steps(self, text):
        write(self.repo, "series/steps", text)

    def say(self, name, text):
        write(self.repo, f"series/{name}.txt", text)

    def made(self, kernel=None, **values):
        return series.made(self.repo, self.prepare(kernel), WHO, {"version": "6.12.5", **values})

    def patches(self, kernel=None):
        """The texts, without the cover letter."""
        return [text for _name, text in sorted(self.made(kernel).items())][1:]

    def refuses(self, text):
        with self.fails(text):
            self.made()


class Patches(Series):
    def test_what_is_in_which(self):
        first, second = self.patches()
        self.assertIn("+FIRST\n", first)
        self.assertNotIn("+FIRST\n", second)
        self.assertNotIn("+second\n", first)
        self.assertIn("-line 50\n+second\n", second)
        self.assertIn("+/* begin */\n", first)
        self.assertIn("new file mode 100755", second)
        self.assertNotIn("ours.sh", first)
        self.assertIn("\\ No newline", second)

    def test_lines_that_come_later(self):
        first, second = self.patches()
        self.assertIn("+/* begin */\n+\n+/* middle */\n", first)
        self.assertIn("+/* later: one */\n+int one;\n+\n /* middle */\n", second)

    def test_words_that_come_later(self):
        first, second = self.patches()
        self.assertIn("+int two;\n", first)
        self.assertIn("-int two;\n+int two;\t/* new */\n", second)

    def test_what_comes_later_still(self):
        self.steps(STEPS.replace("lib/ours.c s", "[03-third]\nlib/ours.c s"))
        self.say("03-third", message("third"))
        first, second, third = self.patches()
        self.assertIn("+int two;\n", first)
        self.assertIn("+int one;\n", second)
        self.assertNotIn("+int two;", second)
        self.assertIn("-int two;\n+int two;\t/* new */\n", third)

    def test_so_many_lines_and_those_before(self):
        self.steps(STEPS.replace("/later: one/,/^int one/+1", "/^int one/-1,+2"))
        first, second = self.patches()
        self.assertIn("+/* begin */\n+\n+/* middle */\n", first)
        self.assertIn("+/* later: one */\n+int one;\n+\n /* middle */\n", second)

    def test_a_pattern_goes_before_the_whole_file(self):
        self.steps(STEPS.replace("[01-first]\nmm/memory.c /FIRST/", "[01-first]\nmm/memory.c")
                   .replace("[02-second]\nmm/memory.c\n", "[02-second]\nmm/memory.c /FIRST/\n"))
        first, second = self.patches()
        self.assertIn("+second\n", first)
        self.assertIn("+FIRST\n", second)

    def test_a_hunk_that_only_removes(self):
        self.patch("mm/memory.c", lines(1, 60),
                   lines(1, 60, l5="FIRST\nline 5", l50="second").replace("line 30\n", ""))
        self.steps(STEPS.replace("/FIRST/", "/FIRST|^line 30$/"))
        first, second = self.patches()
        self.assertIn("-line 30\n", first)
        self.assertNotIn("-line 30\n", second)

    def test_messages(self):
        first, _second = self.patches()
        self.assertIn("From: A Name <a@name.example>\n", first)
        self.assertIn("Subject: [PATCH 1/2] mm: first\n\nWhy it is first.\n\n"
                      "Signed-off-by: A Name <a@name.example>\n---\n", first)

    def test_the_same_data_for_both_kernels(self):
        self.say("01-first", message("first") + "\n[7.3] Now.\n\n[6.12] Then.\n")
        newer = self.make_kernel("newer", 7, 3, extra=3)
        for kernel, word, other in ((None, "Then.", "Now."), (newer, "Now.", "Then.")):
            first, second = self.patches(kernel)
            self.assertIn(f"Why it is first.\n\n{word}\n\nSigned", first)
            self.assertNotIn(other, first)
            self.assertIn("-line 50\n+second\n", second)

    def test_cover_letter(self):
        cover = self.made(page=640)["0000-cover-letter.patch"]
        self.assertIn("[PATCH 0/2] mm: both\n\nFor Linux 6.12.5.\n\nCosts 640.\n\nA Name (2):\n  "
                      "mm: first\n  mm: second\n", cover)
        self.assertIn("3 files changed, 11 insertions(+), 1 deletion(-)", cover)

    def test_a_number_that_nobody_measured(self):
        self.assertNotIn("Costs", self.made()["0000-cover-letter.patch"])

    def test_the_tree_stays_as_it_is(self):
        prepared = self.prepare()

        def files():
            return {os.path.join(where, f) for where, _dirs, there in os.walk(prepared.git.dir)
                    for f in there}
        before = files()
        series.made(self.repo, prepared, WHO, {})
        self.assertEqual(files(), before)


class Wrong(Series):
    def test_no_step(self):
        self.steps(STEPS.replace("[02-second]\nmm/memory.c\n", "[02-second]\n"))
        self.refuses("mm/memory.c:50: belongs to no step of series/steps: second")

    def test_matches_nothing(self):
        self.steps(STEPS.replace("/FIRST/", "/FIRST/\nmm/memory.c /third/"))
        self.refuses("series/steps:4: mm/memory.c /third/: matches nothing")

    def test_a_file_that_is_taken(self):
        self.steps(STEPS + "lib/ours.c\n")
        self.refuses("series/steps:11: lib/ours.c: matches nothing that is not taken")

    def test_what_comes_later_does_not_come_before(self):
        self.steps(STEPS.replace("lib/ours.sh\n", "lib/ours.sh\nlib/ours.sh s/sh/bash/\n"))
        self.refuses("steps:9: .* matches nothing that an earlier step brings")

    def test_no_last_line(self):
        self.steps(STEPS.replace(",/^int one/+1", ",/^int three/+1"))
        self.refuses("steps:9: .* has a first line and no last one")

    def test_a_step_of_nothing(self):
        self.steps(STEPS + "[03-third]\n")
        self.say("03-third", message("third"))
        self.refuses(r"\[03-third\] changes nothing")

    def test_no_rule(self):
        for rule in ("mm/memory.c /FIRST", "mm/memory.c FIRST", "mm/memory.c /a/,b"):
            self.steps(f"[01-first]\n{rule}\n")
            self.refuses(f"series/steps:2: {re.escape(rule)}: is no rule")

    def test_no_pattern(self):
        self.steps("[01-first]\nmm/memory.c /(/\n")
        self.refuses(r"series/steps:2: mm/memory.c /\(/: missing \)")

    def test_before_the_first_step(self):
        self.steps("lib/ours.c\n" + STEPS)
        self.refuses("series/steps:1: a rule that is before the first step")

    def test_messages(self):
        long = "x" * 76
        for text, error in ((f"mm: first\n\n{long}\n", "01-first.txt:3: longer than 75"),
                            ("mm: first\n", "01-first.txt: is not a subject"),
                            ("mm: first\nand more\n\nWhy.\n", "01-first.txt: is not a subject"),
                            ("mm: first\n\n--- a/x\n", "01-first.txt:3: git am takes this"),
                            ("mm: first\n\ndiff -u\n", "01-first.txt:3: git am takes this")):
            self.say("01-first", text)
            self.refuses(error)

    def test_no_message(self):
        os.unlink(os.path.join(self.repo, "series/02-second.txt"))
        self.refuses("series/02-second.txt: not there, and series/steps has the step")

    def test_a_message_of_no_step(self):
        self.say("03-third", message("third"))
        self.refuses("series/03-third.txt: the message of no step")

    def test_order(self):
        self.steps("[02-second]\n*\n[01-first]\nlib/ours.c s/new/old/\n")
        self.refuses("the steps are not in the order of their names")

    def test_no_such_number(self):
        self.say("00-cover-letter", "mm: both\n\nIt is {big}.\n")
        self.refuses(r"series/00-cover-letter.txt: \{big\} is no number")

    def test_a_sum_that_is_not_the_overlay(self):
        state = series.state
        with unittest.mock.patch.object(series, "state", lambda *a: state(*a).replace(
                "second", "third")):
            self.refuses("mm/memory.c: the sum of the steps is not the overlay's file")

    def test_patches_that_do_not_apply(self):
        patches = series.Series.patches
        for old, new, error in (("+second", "+third", "mm/memory.c: what git am makes"),
                                (" line 49", " line 48", "git am: ")):
            with unittest.mock.patch.object(series.Series, "patches", lambda *a, o=old, n=new: {
                    name: text.replace(o, n) for name, text in patches(*a).items()}):
                self.refuses(error)


class Maintainers(Series):
    BASE = ("Maintainers\n===========\n\nACPI\nM:\tB\n\nMM ALLOCATORS\nM:\tC\nF:\tx\n\n"
            "ZZ OUT OF PLACE\nM:\tD\n\nMM SWAP\nM:\tE\n\nNET\nM:\tF\n")

    def setUp(self):
        super().setUp()
        write(self.kernel, "MAINTAINERS", self.BASE)
        write(self.repo, "series/MAINTAINERS", "MM POISON\nM:\t{author}\nF:\tlib/ours.c\n")
        self.say("03-maintainers", message("entry"))

    def test_last(self):
        made = self.made()
        self.assertEqual(sorted(made)[-1], "0003-mm-entry.patch")
        text = made["0003-mm-entry.patch"]
        self.assertIn(" ZZ OUT OF PLACE\n M:\tD\n \n+MM POISON\n+M:\tA Name <a@name.example>\n"
                      "+F:\tlib/ours.c\n+\n MM SWAP\n", text)
        self.assertNotIn("MM POISON", made["0002-mm-second.patch"])

    def test_without_a_message(self):
        os.unlink(os.path.join(self.repo, "series/03-maintainers.txt"))
        self.refuses("series/03-maintainers.txt: not there")

    def test_where_it_cannot_be(self):
        for base in (self.BASE.replace("MM SWAP", "MM"), self.BASE.replace("MM ALLO", "MM POISON")
                     .replace("CATORS", "")):
            with self.fails("^MAINTAINERS: the kernel's has (MM POISON already|no entry that would)"):
                series.with_entry(base, "MM POISON\nM:\tA\n")

    def test_files(self):
        entry = "MM POISON\nF:\tlib/*_mc*.S\nF:\tkunit/\n"
        files = ["kunit/rig/a.c", "lib/memcpy_mc.S"]
        series.check_entry(entry, files)
        with self.fails("series/MAINTAINERS: no F: is for lib/memcpy_mc.c"):
            series.check_entry(entry, [*files, "lib/memcpy_mc.c"])
        with self.fails("series/MAINTAINERS: no new file is kunit/"):
            series.check_entry(entry, files[1:])


class Out(Series):
    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.tmp, "out")

    def put(self, **patches):
        directory.put(self.out, patches, series.MARK)

    def there(self):
        return sorted(os.listdir(self.out))

    def test_in_place_of_the_last_ones(self):
        self.put(a="1\n", b="2\n")
        self.put(b="3\n", c="4\n")
        self.assertEqual(self.there(), [".series", "b", "c"])
        self.assertEqual(read(self.out, "b"), "3\n")
        self.put(b="3\n")
        self.assertEqual(self.there(), [".series", "b"])

    def test_an_empty_one(self):
        os.mkdir(self.out)
        self.put(a="1\n")
        self.assertEqual(self.there(), [".series", "a"])

    def test_what_others_wrote_stays(self):
        write(self.out, "mine", "1\n")
        with self.fails("out/mine: was not written by this tool"):
            self.put(a="1\n")
        self.assertEqual(self.there(), ["mine"])

    def test_what_was_added_stays(self):
        self.put(a="1\n")
        write(self.out, "mine", "1\n")
        with self.fails("out/mine: was not written by this tool"):
            self.put(a="2\n")
        self.assertEqual(read(self.out, "a"), "1\n")

    def test_what_was_edited_stays(self):
        self.put(a="1\n", b="2\n")
        write(self.out, "b", "mine\n")
        with self.fails("out/b: was edited since it was written"):
            self.put(a="3\n")
        self.assertEqual((read(self.out, "a"), read(self.out, "b")), ("1\n", "mine\n"))

    def test_of_another_tool(self):
        """Nor is it removed if what says so cannot be read."""
        for mark, text in ((".jobs", "0" * 64 + "  a\n"), (".series", "mine\n"),
                           (".series", b"\xff\n")):
            with self.subTest(text):
                shutil.rmtree(self.out, ignore_errors=True)
                write(self.out, "a", "1\n")
                os.makedirs(self.out, exist_ok=True)
                with open(os.path.join(self.out, mark), "wb") as f:
                    f.write(text if isinstance(text, bytes) else text.encode())
                with self.fails("was not written by this tool|is no list of files"):
                    self.put(b="2\n")
                self.assertEqual(read(self.out, "a"), "1\n")

    def test_a_file(self):
        write(self.tmp, "out", "mine\n")
        with self.fails("out: is no directory"):
            self.put(a="1\n")

    def test_of_another_tree(self):
        """What the tool itself refuses is refused before any work."""
        write(self.out, "mine", "1\n")
        with unittest.mock.patch("sys.argv", ["series", self.out]), \
                unittest.mock.patch.object(series, "author", lambda _repo: WHO), \
                unittest.mock.patch.object(tree.Tree, "prepare", self.fail), \
                self.fails("out/mine: was not written by this tool"):
            tool("series").main()

    def test_whole(self):
        with unittest.mock.patch("sys.argv", ["series", "--kernel", self.kernel, "--build-dir",
                                              self.build, self.out]), \
                unittest.mock.patch.object(series, "author", lambda _repo: WHO), \
                unittest.mock.patch.object(series, "numbers", lambda _repo, v: {"version": v}):
            tool("series").main()
        self.assertEqual(self.there(), [".series", "0000-cover-letter.patch",
                                        "0001-mm-first.patch", "0002-mm-second.patch"])


class Author(Series):
    def test_who(self):
        config = os.path.join(self.tmp, "config")
        write(self.tmp, "config", "[user]\nname = A Name\nemail = a@name.example\n")
        with unittest.mock.patch.dict(os.environ, GIT_CONFIG_GLOBAL=config):
            self.assertEqual(series.author(self.repo), WHO)
        write(self.tmp, "config", "[user]\nname = A Name\n")
        with unittest.mock.patch.dict(os.environ, GIT_CONFIG_GLOBAL=config,
                                      GIT_CONFIG_NOSYSTEM="1"), \
                self.fails("git config user.email: not set"):
            series.author(self.repo)


class Measured(Series):
    def json(self, what):
        write(self.tmp, "found.json", what if isinstance(what, str) else json.dumps(what))
        return os.path.join(self.tmp, "found.json")

    def bench(self):
        calls = {bench.Call(*c): n for *c, n in (
            ("memcpy", 64, 0, 0, 19), ("copy_mc_to_kernel", 64, 0, 0, 20),
            ("memcpy", 64, 1, 0, 31), ("copy_mc_to_kernel", 64, 1, 0, 32),
            ("copy_page", 4096, 0, 0, 640), ("copy_mc_page", 4096, 0, 0, 641))}
        return {"kernel": "7.3.4", "qemu": "10.0.2", "counts": {
            "MOPS off": bench.as_json(calls, {})},
            "system": {"base": {"a": 1000, "b": 100}, "patched": {"a": 1001, "b": 99}}}

    def test_bench(self):
        found = series.of_bench(self.json(self.bench()))
        self.assertEqual(found["copies"].split(), ["bytes", "memcpy", "copy_mc_to_kernel",
                                                   "64", "19", "20"])
        self.assertEqual((found["page"], found["mc_page"], found["bench_kernel"]),
                         (640, 641, "7.3.4"))
        self.assertIn("1000     1001 (1.0010)", found["system"])

    def test_compare(self):
        def row(a, b):
            return {"unpatched": {"status": a}, "patched": {"status": b}}
        found = series.of_compare(self.json({"kernel": "k", "qemu": "q", "scenarios": [
            row("panic", "passed"), row("panic", "panic"), row("hang", "passed")]}))
        self.assertEqual((found["compared"], found["panics"], found["panics_left"]), (3, 2, 1))

    def test_each_number_is_known(self):
        found = {**series.of_bench(self.json(self.bench())), **series.of_compare(self.json(
            {"kernel": "k", "qemu": "q", "scenarios": []}))}
        self.assertEqual(set(found), {*series.MEASURED})
        self.assertEqual(set(series.numbers(tree.REPO, "1")), {*series.NUMBERS})

    def test_not_of_the_tool(self):
        for what, error in (("", "is no JSON"), ({"kernel": "k"}, "has no qemu"),
                            ([], "has no kernel"),
                            ({**self.bench(), "counts": {}}, "no counts of copy_mc_to_kernel")):
            with self.fails(error):
                series.of_bench(self.json(what))

    def test_a_table_stays_one(self):
        parts = ["a {page}\nb", "{copies}"]
        self.assertEqual(series.fill(parts, {"page": 1, "copies": "  a\n  b"}, "x"),
                         ["a 1 b", "  a\n  b"])


class Real(Series):
    """What the repository has."""

    def test_each_change_has_a_step(self):
        saved, tree.REPO = tree.REPO, os.path.dirname(os.path.dirname(os.path.dirname(
            os.path.abspath(__file__))))
        self.addCleanup(setattr, tree, "REPO", saved)
        for top in TREES:
            home, name = os.path.split(os.path.dirname(os.path.abspath(top)))
            found = series.Series(tree.REPO, tree.Tree(home, name), WHO)
            for step in (series.COVER, *found.names):
                subject, _body = found.message(step)
                self.assertLessEqual(len(subject), 75)
                self.assertNotRegex(subject, r"\.$|^\[")
            series.fill(found.message(series.COVER)[1], {}, series.COVER)

    def test_no_typed_number(self):
        text = read(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(
            __file__)))), "series/00-cover-letter.txt")
        text = re.sub(r"\{\w+\}|arm64|x86|EL2|\w\(2\)", "", text)
        self.assertEqual(re.findall(r".*\d.*", text), [])


class Number(unittest.TestCase):
    def test_of_patches(self):
        self.assertEqual([ui.number(n, "patch", "patches") for n in (1, 2)],
                         ["1 patch", "2 patches"])
