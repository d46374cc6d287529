# SPDX-License-Identifier: GPL-2.0-only
"""The overlay as a series of patches: which step each change belongs to, and what it says.

series/steps says the first, series/NN-NAME.txt the second.  The steps are taken from the
end: what a step brings is what its rules take away from the state after it.
"""

import fnmatch
import json
import os
import re
import subprocess
import tempfile
import textwrap

from lib import bench, judge, selftests, tree
from lib.git import Git
from lib.overlay import Overlay
from lib.ui import Fail

DIR = "series"
STEPS = "steps"
COVER = "00-cover-letter"
MARK = ".series"        # in a directory of patches
# An entry for the kernel's file of that name, which no file of the overlay can have: it names
# whoever sends the series.  It is the last step.
MAINTAINERS = "MAINTAINERS"
WIDTH = 75

_TERM = r"((?:[^/\\]|\\.)*)"
_ADDRESS = rf"/{_TERM}/([+-]\d+)?"
_HUNKS = re.compile(rf"/{_TERM}/$")
_LINES = re.compile(rf"{_ADDRESS},(?:{_ADDRESS}|\+(\d+))$")
_TEXT = re.compile(rf"s/{_TERM}/{_TERM}/$")
_HEAD = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def lines_of(text):
    return re.findall(r"[^\n]*\n|[^\n]+$", text)


class Rule:
    """A line of the table: for the step of this number."""

    def __init__(self, step, where, line):
        self.step, self.where, self.used = step, f"{where}: {line.strip()}", 0
        self.glob, _, pattern = line.strip().partition(" ")
        pattern = pattern.strip()
        self.hunks = self.lines = self.text = None
        try:
            if m := _HUNKS.match(pattern):
                self.hunks = self.regex(m[1])
            elif m := _LINES.match(pattern):
                self.lines = (self.regex(m[1]), int(m[2] or 0),
                              self.regex(m[3]) if m[3] is not None else None,
                              int(m[5] if m[3] is None else m[4] or 0))
            elif m := _TEXT.match(pattern):
                self.text = (self.regex(m[1]), m[2].replace("\\/", "/"))
            elif pattern:
                raise Fail(f"{self.where}: is no rule; see the head of that file")
        except re.error as e:
            raise Fail(f"{self.where}: {e}") from None

    @staticmethod
    def regex(text):
        return re.compile(text.replace("\\/", "/"), re.M)

    @property
    def inner(self):
        """Whether it divides what another rule has given to an earlier step."""
        return self.lines or self.text

    def fits(self, name):
        return fnmatch.fnmatchcase(name, self.glob)

    def undo(self, text):
        """The text as it is before the step."""
        if self.text:
            text, n = self.text[0].subn(self.text[1], text)
            self.used += n
            return text
        first, before, last, after = self.lines
        lines, kept, at = lines_of(text), [], 0
        for i, line in enumerate(lines):
            if i < at or not first.search(line):
                continue
            begin = end = i + before
            if last:
                end = next((j for j in range(i + 1, len(lines)) if last.search(lines[j])), None)
                if end is None:
                    raise Fail(f"{self.where}: has a first line and no last one")
            kept += lines[at:begin]
            at = end + after + 1
            self.used += 1
        return "".join(kept + lines[at:])


class Hunk:
    """What git diff -U0 calls one: lines of a file that others replace."""

    def __init__(self, at, count, removed, added):
        self.at, self.count, self.removed, self.added = at, count, removed, added
        self.states = {}        # step: what is added from there on

    def own(self, step, rules, last):
        """From this step on it is there; rules: those that divide it."""
        text = self.added
        for n in range(last, step - 1, -1):
            self.states[n] = text
            if n > step:
                for rule in rules:
                    if rule.step == n:
                        text = rule.undo(text)

    def steps(self):
        """Those at which the text changes."""
        return {n for n, text in self.states.items() if self.states.get(n - 1) != text}


def parse(text, where):
    """(names of the steps, rules) of the table."""
    names, rules = [], []
    for n, line in enumerate(text.splitlines(), 1):
        if m := re.match(r"\[(.+)\]$", line):
            names.append(m[1])
        elif line.strip() and not line.startswith("#"):
            if not names:
                raise Fail(f"{where}:{n}: a rule that is before the first step")
            rules.append(Rule(len(names) - 1, f"{where}:{n}", line))
    if not names:
        raise Fail(f"{where}: has no step")
    return names, rules


def with_entry(text, entry):
    """MAINTAINERS with one entry more, among those that begin with the same word."""
    title = entry.partition("\n")[0]
    word = re.escape(title.partition(" ")[0])
    there = list(re.finditer(rf"(?<=\n\n)({word} .*)\n[A-Z]:\t", text))
    behind = next((m for m in there if m[1] > title), None)
    if title in (m[1] for m in there):
        raise Fail(f"{MAINTAINERS}: the kernel's has {title} already; without {DIR}/{MAINTAINERS} "
                   "the series has no patch of it")
    if not behind:
        raise Fail(f"{MAINTAINERS}: the kernel's has no entry that would be behind {title}; "
                   f"give it another title in {DIR}/{MAINTAINERS}")
    return f"{text[:behind.start()]}{entry}\n{text[behind.start():]}"


def diff(git, old, new):
    """{name: its hunks} of all that differs between two trees."""
    text = git.raw("-c", "core.quotePath=off", "diff-tree", "-r", "-p", "-U0", "--no-renames",
                   "--no-ext-diff", "--no-textconv", "--no-color", old, new)
    lines, found, i = lines_of(text), {}, 0
    while i < len(lines):
        line = lines[i]
        i += 1
        if m := re.match(r"diff --git a/(.+) b/\1\n", line):
            hunks = found[m[1]] = []
        elif m := _HEAD.match(line):
            at, count, adds = int(m[1]), int(m[2] or 1), int(m[3] or 1)
            sides = {"-": [], "+": []}
            while i < len(lines) and (count + adds > len(sides["-"]) + len(sides["+"]) or
                                      lines[i].startswith("\\")):
                if lines[i].startswith("\\"):
                    side[-1] = side[-1].removesuffix("\n")
                else:
                    side = sides[lines[i][0]]
                    side.append(lines[i][1:])
                i += 1
            # For lines that are only added the number is that of the line before.
            hunks.append(Hunk(at - 1 if count else at, count, *map("".join, sides.values())))
    return found


def assign(found, names, rules):
    """Gives each hunk its states, or says what belongs nowhere."""
    for name, hunks in found.items():
        fit = [r for r in rules if r.fits(name)]
        # A pattern goes before the files as a whole.
        owners = [r for r in fit if r.hunks] + [r for r in fit if not r.hunks and not r.inner]
        for h in hunks:
            owner = next((r for r in owners if not r.hunks or
                          r.hunks.search(h.added or h.removed)), None)
            if not owner:
                line = (h.added or h.removed).strip().partition("\n")[0]
                raise Fail(f"{name}:{h.at + 1}: belongs to no step of {DIR}/{STEPS}: {line}")
            owner.used += 1
            h.own(owner.step, [r for r in fit if r.inner], len(names) - 1)
        if not hunks:   # a mode, or an empty file
            raise Fail(f"{name}: changes without a line, which {DIR}/{STEPS} cannot divide")
    for r in rules:
        if not r.used:
            what = "that an earlier step brings" if r.inner else "that is not taken before"
            raise Fail(f"{r.where}: matches nothing {what}")
    there = {n for hunks in found.values() for h in hunks for n in h.steps()}
    for n, name in enumerate(names):
        if n not in there:
            raise Fail(f"{DIR}/{STEPS}: [{name}] changes nothing")


def state(hunks, base, step):
    """The text of a file after a step; base: that without any."""
    lines = lines_of(base)
    for h in reversed(hunks):
        if step in h.states:
            lines[h.at:h.at + h.count] = [h.states[step]]
    return "".join(lines)


# -- what it says ------------------------------------------------------------------------


def paragraphs(text, variant):
    """The text for a kernel: a paragraph that begins with [X.Y] is for that one alone."""
    kept = []
    for p in text.strip().split("\n\n"):
        m = re.match(r"\[(\d+\.\d+)\] ", p)
        if not m or m[1] == variant:
            kept.append(p.removeprefix(m[0]) if m else p)
    return kept


def message(repo, name, variant):
    """(subject, paragraphs) of a step."""
    path = os.path.join(DIR, name + ".txt")
    try:
        with open(os.path.join(repo, path), encoding="utf-8") as f:
            text = f.read()
    except FileNotFoundError:
        raise Fail(f"{path}: not there, and {DIR}/{STEPS} has the step") from None
    for n, line in enumerate(text.splitlines(), 1):
        if len(re.sub(r"^\[\d+\.\d+\] |\{\w+\}", "", line)) > WIDTH:
            raise Fail(f"{path}:{n}: longer than {WIDTH} characters")
        if re.match(r"---|diff -|Index: |From ", line):
            raise Fail(f"{path}:{n}: git am takes this line for the end of the message: {line}")
    subject, *body = paragraphs(text, variant)
    if "\n" in subject or not body:
        raise Fail(f"{path}: is not a subject, an empty line and a text")
    return subject, body


def known_messages(repo, names):
    """Fails if there is a message of no step."""
    files = sorted(f for f in os.listdir(os.path.join(repo, DIR)) if f.endswith(".txt"))
    if alien := [f for f in files if f.removesuffix(".txt") not in (COVER, *names)]:
        raise Fail(f"{DIR}/{alien[0]}: the message of no step of {DIR}/{STEPS}")
    if names != sorted(names):
        raise Fail(f"{DIR}/{STEPS}: the steps are not in the order of their names")


def author(repo):
    """Who signs it off: (name, address)."""
    found = []
    for what in ("user.name", "user.email"):
        p = subprocess.run(["git", "-C", repo, "config", what], check=False,
                           capture_output=True, text=True)
        if not p.stdout.strip():
            raise Fail(f"git config {what}: not set; the patches are signed off with it")
        found.append(p.stdout.strip())
    return tuple(found)


# Names that the cover letter may ask for
NUMBERS = ("version", "suites", "cases", "scenarios")
MEASURED = ("copies", "page", "mc_page", "bench_kernel", "bench_qemu", "system",
            "compared", "panics", "panics_left", "compare_kernel", "compare_qemu")


def numbers(repo, version):
    suites = judge.suites(repo)
    return {"version": version, "suites": len(suites),
            "cases": sum(len(cases) for cases in suites.values()),
            "scenarios": len(selftests.Known().scenarios())}


def load(path, keys):
    """What another tool has written with --json."""
    try:
        with open(path, encoding="utf-8") as f:
            found = json.load(f)
    except ValueError:
        raise Fail(f"{path}: is no JSON; let the tool come to its end") from None
    if not isinstance(found, dict) or (missing := [k for k in keys if k not in found]):
        raise Fail(f"{path}: has no {(missing if isinstance(found, dict) else keys)[0]}; is it of "
                   "another tool?")
    return found


def of_bench(path):
    """What ./tools/bench --json says of the copies without FEAT_MOPS."""
    found = load(path, ("kernel", "qemu", "counts", "system"))
    counts = {bench.Call(*(c[f] for f in bench.Call._fields)): c["instructions"]
              for c in found["counts"].get("MOPS off", ())}
    rows = [f"  {'bytes':>5} {'memcpy':>8} {'copy_mc_to_kernel':>18}"]
    for call in sorted(bench.ratios(counts)):
        if not call.source and not call.to and call.size in (16, 64, 256, 1024, 4096):
            rows.append(f"  {call.size:5} {counts[call._replace(routine='memcpy')]:8} "
                        f"{counts[call]:18}")
    if not rows[1:]:
        raise Fail(f"{path}: has no counts of copy_mc_to_kernel without MOPS")
    page, mc_page = bench.page_pair(counts)
    return {"copies": "\n".join(rows), "page": page, "mc_page": mc_page,
            "system": "\n".join("  " + row for row in bench.cost_table(
                found["system"]["base"], found["system"]["patched"])),
            "bench_kernel": found["kernel"], "bench_qemu": found["qemu"]}


def of_compare(path):
    """What ./tools/compare --json says of the kernels with and without it."""
    found = load(path, ("kernel", "qemu", "scenarios"))

    def panics(which):
        return sum(s[which]["status"] == "panic" for s in found["scenarios"])
    return {"compared": len(found["scenarios"]), "panics": panics("unpatched"),
            "panics_left": panics("patched"), "compare_kernel": found["kernel"],
            "compare_qemu": found["qemu"]}


def fill(parts, values, path):
    """The paragraphs with their numbers; those go whose numbers nobody has measured."""
    filled = []
    for p in parts:
        names = re.findall(r"\{(\w+)\}", p)
        if unknown := [n for n in names if n not in NUMBERS + MEASURED]:
            raise Fail(f"{path}: {{{unknown[0]}}} is no number; there are: "
                       f"{', '.join(NUMBERS + MEASURED)}")
        if all(n in values for n in names):
            text = re.sub(r"\{(\w+)\}", lambda m: str(values[m[1]]), p)
            # A table stays as it is.
            filled.append(text if re.search("^ ", text, re.M) else
                          textwrap.fill(text, 72, break_on_hyphens=False))
    return filled


# -- the patches -------------------------------------------------------------------------


class Series:
    """The steps from base to a tree, and their messages."""

    def __init__(self, repo, prepared, who):
        """prepared: a tree, to whose repository nothing is written; who: (name, address)"""
        self.repo, self.who, self.git = repo, who, prepared.git
        self.version = prepared.version
        self.variant = Overlay(repo, self.git).variant(prepared.base, self.version)
        self.base, self.whole = self.git.tree("base"), self.git.tree("overlay")
        table = os.path.join(DIR, STEPS)
        with open(os.path.join(repo, table), encoding="utf-8") as f:
            self.names, self.rules = parse(f.read(), table)
        path = os.path.join(repo, DIR, MAINTAINERS)
        self.entry = None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                self.entry = f.read().replace("{author}", f"{who[0]} <{who[1]}>")
        known_messages(repo, self.steps())
        self.found = diff(self.git, self.base, self.whole)
        assign(self.found, self.names, self.rules)
        self.files = [*self.found, *([MAINTAINERS] if self.entry else [])]

    def _last(self):
        """The step that has the entry."""
        return [f"{len(self.names) + 1:02}-maintainers"] if self.entry else []

    def _maintainers(self, git):
        """MAINTAINERS with it: {name: (mode, blob)}."""
        if not self.entry:
            return {}
        text = with_entry(git.raw("cat-file", "blob", f"{self.base}:{MAINTAINERS}"), self.entry)
        return {MAINTAINERS: ("100644", git("hash-object", "-w", "--stdin", stdin=text))}

    def steps(self):
        """The names of all of them."""
        return [*self.names, *self._last()]

    def whole_tree(self, git, commit):
        """The kernel's tree with the files of a step's commit."""
        return git.tree_with(git.entries(commit, self.files), self.base)

    def message(self, name):
        return message(self.repo, name, self.variant)

    def scratch(self, top):
        """A repository of its own, which has the kernel's objects, and only those files that
        change: an index of all would take longer than all the rest."""
        subprocess.run(["git", "init", "-q", "--template=", top], check=True)
        name, address = self.who
        git = Git(top, GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=address, GIT_COMMITTER_NAME=name,
                  GIT_COMMITTER_EMAIL=address)
        os.makedirs(os.path.join(git.dir, "objects/info"), exist_ok=True)
        with open(os.path.join(git.dir, "objects/info/alternates"), "w", encoding="utf-8") as f:
            f.write(os.path.join(self.git.dir, "objects") + "\n")
        return git

    def commits(self, git):
        """[commit of the base, of each step], in the scratch repository."""
        was, final = (git.entries(t, self.files) for t in (self.base, self.whole))
        now = dict(was)
        trees = [git.tree_with(now)]
        texts = {n: git.raw("cat-file", "blob", was[n][1]) if n in was else ""
                 for n in self.found}
        for step in range(len(self.names)):
            for name, hunks in self.found.items():
                if not any(step in h.steps() for h in hunks) or name not in final:
                    continue
                text = state(hunks, texts[name], step)
                blob = git("hash-object", "-w", "--stdin", stdin=text)
                now[name] = (final[name][0], blob)
            trees.append(git.tree_with(now))
        if (got := git.tree_with(now, self.base)) != self.whole:
            name = (git.changed(got, self.whole) or ["?"])[0]
            raise Fail(f"{name}: the sum of the steps is not the overlay's file; the tree is "
                       f"{got}, not {self.whole}")
        if self.entry:
            trees.append(git.tree_with({**now, **self._maintainers(git)}))
        commits = [git("commit-tree", trees[0], stdin=f"Linux {self.version}\n")]
        name, address = self.who
        for step, made in zip(self.steps(), trees[1:]):
            subject, body = self.message(step)
            text = "\n\n".join([subject, *body, f"Signed-off-by: {name} <{address}>"])
            commits.append(git("commit-tree", made, "-p", commits[-1], stdin=text + "\n"))
        return commits

    def patches(self, top, values):
        """{file: its text}; a scratch repository goes into the directory top."""
        git = self.scratch(os.path.join(top, "steps"))
        commits = self.commits(git)
        out = os.path.join(top, "patches")
        git("format-patch", "-q", "--cover-letter", "--no-renames", "--zero-commit", "-o", out,
            f"{commits[0]}..{commits[-1]}")
        subject, body = self.message(COVER)
        body = fill(body, values, f"{DIR}/{COVER}.txt")
        found = {}
        for file in sorted(os.listdir(out)):
            with open(os.path.join(out, file), encoding="utf-8", errors="surrogateescape",
                      newline="") as f:
                found[file] = f.read()
        cover = min(found)
        for old, new in (("*** SUBJECT HERE ***", subject),
                         ("*** BLURB HERE ***", "\n\n".join(body))):
            found[cover] = found[cover].replace(old, new, 1)
        return found

    def apply(self, top, patches):
        """Fails unless git am makes of the base's files the overlay's."""
        git = self.scratch(os.path.join(top, "am"))
        base = git.tree_with(git.entries(self.base, self.files))
        whole = git.tree_with({**git.entries(self.whole, self.files), **self._maintainers(git)})
        git("reset", "-q", "--hard", git("commit-tree", base, stdin="base\n"))
        files = []
        for name in sorted(patches)[1:]:
            files.append(os.path.join(top, name))
            with open(files[-1], "wb") as f:
                f.write(patches[name].encode("utf-8", "surrogateescape"))
        git("am", "-q", *files)
        if git.tree("HEAD") != whole:
            name = (git.changed(git.tree("HEAD"), whole) or ["?"])[0]
            raise Fail(f"{name}: what git am makes of the patches is not the overlay's file")


def made(repo, prepared, who, values):
    """{file: text} of the series for a prepared tree, which git am takes."""
    series = Series(repo, prepared, who)
    with tempfile.TemporaryDirectory(prefix="series.") as top:
        patches = series.patches(top, values)
        series.apply(top, patches)
    return patches


def covers(pattern, name):
    """Whether an F: of MAINTAINERS has this file."""
    return name.startswith(pattern) if pattern.endswith("/") else fnmatch.fnmatch(name, pattern)


def check_entry(entry, new):
    """Fails unless it has each new file, and no pattern that has none."""
    patterns = re.findall(r"^F:\t(.+)$", entry, re.M)
    if idle := [p for p in patterns if not any(covers(p, n) for n in new)]:
        raise Fail(f"{DIR}/{MAINTAINERS}: no new file is {idle[0]}")
    if bare := [n for n in new if not any(covers(p, n) for p in patterns)]:
        raise Fail(f"{DIR}/{MAINTAINERS}: no F: is for {bare[0]}")


def check(k):
    """the series adds up to the overlay, and MAINTAINERS has its files"""
    git = k.tree.git
    names = git.changed(git.tree("base"), git.tree("overlay"))
    with open(os.path.join(tree.REPO, DIR, MAINTAINERS), encoding="utf-8") as f:
        check_entry(f.read(), sorted({*names} - {*git.entries(git.tree("base"), names)}))
    patches = made(tree.REPO, k.tree, ("overlay", "overlay@localhost"),
                   numbers(tree.REPO, k.tree.version))
    return f"{len(patches) - 1} patches"
