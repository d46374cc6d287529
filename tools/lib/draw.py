#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Draws the charts of a report: reads {name: chart} as JSON, writes {name: SVG} as JSON.

A program and no module, because matplotlib is a package of Debian's, which is there for
Debian's own Python only.  The tools run with whichever python3 comes first, which may be
another one.
"""

import io
import json
import re
import sys

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot       # wants to know first what it draws to

# Okabe and Ito's colours, which colour-blind readers can tell apart.  In print it is the
# dashes and marks that differ.
STYLES = (("#0072b2", "-", "o"), ("#d55e00", "--", "s"), ("#009e73", "-.", "^"),
          ("#7a4f9a", ":", "D"))
STATUS = {"passed": "#009e73", "skipped": "#bcc4cc", "failed": "#e69f00", "panic": "#d55e00",
          "hang": "#7a4f9a"}
HATCHES = {"panic": "///", "hang": "xxx", "failed": "..."}
INK, GRID = "#333b44", "#d9dee3"

matplotlib.rcParams.update({
    "svg.fonttype": "none",         # text stays text, in the page's font
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
    "axes.edgecolor": GRID, "axes.labelcolor": INK, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": GRID, "grid.linewidth": 0.6, "xtick.color": INK, "ytick.color": INK,
    "text.color": INK, "legend.frameon": False, "hatch.linewidth": 0.5, "hatch.color": "white",
})


def lines(chart, axes):
    """Series of points: {label, x, y}, with low and high for a band; only: "line" or "marks"."""
    for series, (colour, dashes, mark) in zip(chart["series"], STYLES * len(chart["series"])):
        x, only = series["x"], series.get("only")
        axes.plot(x, series["y"], label=series["label"], color=colour, linewidth=1.4,
                  linestyle="none" if only == "marks" else dashes,
                  marker="" if only == "line" else mark, markersize=1.9 if only else 2.6,
                  drawstyle=series.get("steps", "default"), zorder=3 if only == "marks" else 2)
        if "low" in series:
            axes.fill_between(x, series["low"], series["high"], color=colour, alpha=0.15,
                              linewidth=0)
    if "limit" in chart:
        limit = chart["limit"]
        axes.plot(limit["x"], limit["y"], color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)),
                  label=limit["label"])
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        if base := chart.get(f"{name}log"):
            getattr(axes, f"set_{name}scale")("log", base=base)
            axis.set_major_formatter(matplotlib.ticker.ScalarFormatter())
            axis.set_minor_locator(matplotlib.ticker.NullLocator())
        if ticks := chart.get(f"{name}ticks"):
            axis.set_ticks(ticks)
        if limits := chart.get(f"{name}limits"):
            getattr(axes, f"set_{name}lim")(*limits)
    _legend(chart, axes)


def _legend(chart, axes):
    if not any(axes.get_legend_handles_labels()):
        return
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncol=chart.get("columns", 2),
                borderaxespad=0.2, handlelength=2.6, columnspacing=1.4)


def bars(chart, axes):
    """A stacked bar for each row: {label, parts: {status: number}}."""
    rows, known = chart["rows"][::-1], set()
    for at, row in enumerate(rows):
        left = 0
        for status, number in row["parts"].items():
            axes.barh(at, number, left=left, height=0.62, color=STATUS[status],
                      hatch=HATCHES.get(status), edgecolor="white", linewidth=0.8,
                      label=None if status in known else status)
            known.add(status)
            left += number
        axes.text(0, at + 0.36, ", ".join(f"{n} {status}" for status, n in row["parts"].items()),
                  ha="left", va="bottom")
    axes.set_yticks(range(len(rows)), [row["label"] for row in rows])
    axes.set_ylim(-0.5, len(rows) - 0.2)
    axes.margins(x=0)
    _legend(chart, axes)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)


KINDS = {"lines": lines, "bars": bars}


def svg(name, chart):
    """One chart; what it has names for is told from what other charts in the page have."""
    matplotlib.rcParams["svg.hashsalt"] = name      # or they would change with each run
    figure, axes = pyplot.subplots(figsize=(chart.get("width", 6), chart.get("height", 3.4)))
    KINDS[chart["kind"]](chart, axes)
    axes.set_xlabel(chart.get("xlabel", ""))
    axes.set_ylabel(chart.get("ylabel", ""))
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", transparent=True,
                   metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    pyplot.close(figure)
    text = re.sub(r"(\bid=\"|url\(#|href=\"#)", rf"\g<1>{name}-", out.getvalue())
    return text[text.index("<svg"):]


def main():
    json.dump({name: svg(name, chart) for name, chart in json.load(sys.stdin).items()},
              sys.stdout)


if __name__ == "__main__":
    main()
