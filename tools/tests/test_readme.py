# SPDX-License-Identifier: GPL-2.0-only
"""What the README files say to type, held against the tools and the sources."""

import os
import re
import shlex
import unittest

from lib import kunit, mutate, selftests, tree
from tests.fake import read, tool

SCENARIOS = "tools/testing/selftests/arm64/copy_mc/README.md"
FILES = ("README.md", "kunit/README.md", "tools/README.md", "ci/README.md", SCENARIOS)
# What a reader has on two screens
MOST_LINES = 120


def examples(text):
    """(tool, words) of each ./tools/... line and each `./tools/...` in running text."""
    code = re.findall(r"^    (?:.*?\$\()?(\./tools/(?!testing)[^#\n]*)", text, re.M)
    for line in code + re.findall(r"`(\./tools/[^`]*)`", text):
        line = re.sub(r"\[[^]]*\]|\)\"$", "", line.strip())   # [what may be left out]
        name, *words = shlex.split(line)
        yield os.path.basename(name), words


class Examples(unittest.TestCase):
    def check(self, name, words):
        module = tool(name)
        if name == "run":
            args, extra = module.options(words)
            if args.selftests:
                selftests.Known().words(args.what)
            elif args.what and "--kconfig_add" not in extra:
                kunit.check_glob(args.what[0])
            return
        args = module.parser().parse_args(words)
        if name == "mutate":
            mutate.select(args.names)
        elif name == "compare":
            selftests.Known().scenarios(args.scenarios)
        elif name == "test":
            self.assertLessEqual({*args.what}, {*module.CHOICES})

    def test_each(self):
        for file in FILES:
            found = list(examples(read(tree.REPO, file)))
            self.assertTrue(found, file)
            for name, words in found:
                with self.subTest(f"{file}: {name} {shlex.join(words)}"):
                    self.check(name, words)

    def test_options_in_the_text(self):
        text = read(tree.REPO, "tools/README.md")
        table = re.search(r"\| option of `\./tools/run` \|.*?\n\n", text, re.S)[0]
        for option in re.findall(r"`(--[a-z-]+)", table):
            self.assertIn(option, list(tool("run").parser()._option_string_actions))

    def test_scenarios_of_the_table(self):
        """Each once, and no others."""
        rows = re.findall(r"^\| `(\w+:\w+)` \|", read(tree.REPO, SCENARIOS), re.M)
        self.assertCountEqual(rows, selftests.Known().scenarios())

    def test_number_of_scenarios(self):
        text, known = read(tree.REPO, "kunit/README.md"), selftests.Known()
        m = re.search(r"(\d+) scenarios of callers in the kernel, (\d+) of what processes do",
                      text)
        self.assertEqual([int(n) for n in m.groups()],
                         [len(known[name]) for name in ("callers", "processes")])
        text = read(tree.REPO, SCENARIOS)
        m = re.search(r"(\d+) of (\d+) scenarios panic without, none\nwith it", text)
        unpatched = re.findall(r"^\| `\w+:\w+` \| (\w+)", text, re.M)
        self.assertEqual([int(n) for n in m.groups()],
                         [unpatched.count("panic"), len(unpatched)])

    def test_suites_of_the_tables(self):
        text = read(tree.REPO, "README.md")
        for name in re.findall(r"^       (\w+) +\d+ passed ", text, re.M):
            self.assertTrue(kunit.check_glob(name))

    def test_length(self):
        self.assertLessEqual(len(read(tree.REPO, "README.md").splitlines()), MOST_LINES)

    def test_links(self):
        """To files that are there, and to headings that they have."""
        for file in (*FILES, "tools/PORTING.md"):
            found = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", read(tree.REPO, file))
            for path, heading in found:
                with self.subTest(f"{file}: {path}#{heading}"):
                    path = os.path.join(os.path.dirname(file), path) if path else file
                    heads = re.findall(r"^#+ (.*)$", read(tree.REPO, path), re.M)
                    self.assertIn(heading, ["", *(re.sub(r"[^\w -]", "", h).lower()
                                                  .replace(" ", "-") for h in heads)])


class Found(unittest.TestCase):
    def test_lines(self):
        text = """\
    ./tools/run --kernel 7.3 x  # what
    ./tools/run --selftests [PROGRAM]
    cd "$(./tools/tree --kernel ~/linux)"
Type `./tools/test`, not ./tools/this.
"""
        self.assertEqual(list(examples(text)), [
            ("run", ["--kernel", "7.3", "x"]), ("run", ["--selftests"]),
            ("tree", ["--kernel", "~/linux"]), ("test", [])])
