# SPDX-License-Identifier: GPL-2.0-only
"""What Documentation/ says about the kernels, held against them."""

import os
import re
import unittest

from lib import tree
from lib.git import Git
from lib.overlay import KERNELS
from tests.fake import TREES, read

NAME = "Documentation/mm/iov_iter_poison.rst"

CALL = re.compile(r"\b_?(?:copy_(?:mc_)?(?:to|from)_iter(?:_full)?(?:_nocache|_flushcache)?"
                  r"|copy_(?:page|folio)_(?:to|from)_iter(?:_atomic|_nofault)?"
                  r"|(?:csum|hash)_and_copy_(?:to|from)_iter(?:_full)?"
                  r"|fault_in_iov_iter_(?:read|write)able)\(")
# What git has to look for: parts of each of these names, as text, which takes no time.
WORDS = ("copy_to_iter", "copy_from_iter", "mc_to_iter", "page_to_iter", "page_from_iter",
         "folio_to_iter", "folio_from_iter", "fault_in_iov_iter")

# Who has the functions, and tests.
OTHERS = re.compile(r"lib/iov_iter\.c|include/linux/uio\.h|kunit/|tools/|lib/tests/|.*_kunit\.c"
                    r"|lib/kunit_")


def named(text):
    return {*re.findall(r"\b\w+(?:/[\w.-]+)+\.[ch]\b", text)}


def calls(text):
    return any(CALL.search(line) for line in text.splitlines()
               if not re.match(r"\s*(?:/[*/]|\*(?:[\s/]|$))", line))


def callers(top):
    """The files of a kernel tree that call one of the functions."""
    names = Git(top).names("grep", "-lzF", *(a for w in WORDS for a in ("-e", w)),
                           "--", "*.c", "*.h")
    return {n for n in names if not OTHERS.match(n) and calls(read(top, n))}


class IovIter(unittest.TestCase):
    def setUp(self):
        self.named = named(read(tree.REPO, NAME))

    def test_all_callers(self):
        for top in TREES:
            with self.subTest(top):
                found = callers(top)
                self.assertGreater(len(found), 80)
                self.assertEqual(sorted(found - self.named), [])

    def test_no_caller_that_is_gone(self):
        if len(TREES) < len(KERNELS):
            self.skipTest(f"takes prepared trees of {', '.join(KERNELS)}")
        self.assertEqual([n for n in sorted(self.named)
                          if not any(os.path.exists(os.path.join(top, n)) for top in TREES)], [])


class Pages(unittest.TestCase):
    def pages(self):
        for where, _, files in os.walk(os.path.join(tree.REPO, "Documentation")):
            yield from (os.path.relpath(os.path.join(where, f), tree.REPO)
                        for f in files if f.endswith(".rst"))

    def test_each_is_in_an_index(self):
        for page in self.pages():
            for top in TREES:
                with self.subTest(f"{page}, {top}"):
                    where, lines = os.path.dirname(page), []
                    while where != "Documentation":
                        index = os.path.join(where, "index.rst")
                        if os.path.exists(os.path.join(top, index)):
                            entry = os.path.relpath(page.removesuffix(".rst"), where)
                            lines += re.findall(rf"^ +{re.escape(entry)}$", read(top, index), re.M)
                        where = os.path.dirname(where)
                    self.assertEqual(len(lines), 1)

    def test_what_they_name_is_there(self):
        for page in self.pages():
            text = read(tree.REPO, page)
            found = re.findall(r"\b((?:Documentation|kunit|tools)/[\w/.-]*\w/?)", text)
            found += re.findall(r"kernel-doc:: (\S+)", text)
            for name in found:
                for top in TREES:
                    with self.subTest(f"{page}: {name}, {top}"):
                        self.assertTrue(os.path.exists(os.path.join(top, name)))


class Found(unittest.TestCase):
    def test_names(self):
        self.assertEqual(named("net/9p/client.c, fs/dax.c (7.3),\n  a/b-c/d.h: x.c, mm/page"),
                         {"net/9p/client.c", "fs/dax.c", "a/b-c/d.h"})

    def test_calls(self):
        for line in ("\tn = copy_from_iter(p, n, i);", "if (!copy_from_iter_full_nocache(p, n, i))",
                     "_copy_mc_to_iter(p, n, i)", "copy_page_to_iter_nofault(p, 0, n, i)",
                     "copy_page_from_iter_atomic(p, 0, n, i)",
                     "csum_and_copy_from_iter_full(p, n, &c, i)",
                     "fault_in_iov_iter_writeable(i, n)", "*p = copy_to_iter(q, n, i);"):
            with self.subTest(line):
                self.assertTrue(calls(line))
        for line in (" * copy_to_iter() is short", "/* copy_to_iter() */", "// copy_to_iter()",
                     "dax_copy_to_iter(d, p, a, n, i)", "copy_to_iter_fromio(s, n, i)",
                     "iov_iter_zero(n, i)"):
            with self.subTest(line):
                self.assertFalse(calls(line))
