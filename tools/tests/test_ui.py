# SPDX-License-Identifier: GPL-2.0-only
"""What the tools say, and which numbers they take."""

import argparse
import unittest

from lib import ui


class Words(unittest.TestCase):
    def test_number(self):
        self.assertEqual([ui.number(n, "problem") for n in (0, 1, 2)],
                         ["0 problems", "1 problem", "2 problems"])

    def test_at_least(self):
        self.assertEqual(ui.at_least(1)("12"), 12)
        self.assertEqual(ui.at_least(0)("0"), 0)
        for text in ("0", "-1", "x", "", "1.5", "0x10"):
            with self.assertRaisesRegex(argparse.ArgumentTypeError,
                                        f"^'{text}' is no number from 1 on$"):
                ui.at_least(1)(text)
