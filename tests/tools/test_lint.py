"""Each rule of how a lab is written finds a lab that breaks it, and no other lab."""

import shutil
from pathlib import Path

import pytest

from workshop.build import lint, source

ROOT = Path(__file__).parents[2]
LAB = "00_preflight"
START = f'lab = start("{LAB}")'
LAST = "## Keep"  # a new cell before it breaks no other rule
HINT = "</summary>\n\n"


def code(body):
    """A code cell between two text cells."""
    return f"\n```{{code-cell}}\n{body}\n```\n\nA sentence.\n\n{LAST}"


def text(body):
    return f"+++\n\n{body}\n\n+++\n\n{LAST}"


BAD = {
    "26 lines": (LAST, code("a = 1\n" * 26), "26 lines of code"),
    "80 columns": (LAST, code("a = '" + "x" * 80 + "'"), "columns"),
    "magic": (LAST, code('"""\n%matplotlib inline\n"""'), "magic"),
    "shell": (LAST, code('"""\n!ls\n"""'), "shell"),
    "pip": (LAST, code("text = 'pip install torch'"), "installs nothing"),
    "program": (LAST, code("import os\n\nos.system('ls')"), "programs"),
    "chdir": (LAST, code("import os\n\nos.chdir('x')"), "folder"),
    "warnings": (LAST, code("warnings.filterwarnings('ignore')"), "warnings"),
    "bare axes": (LAST, code("lab00.plot_months(1)"), "without words"),
    "pyplot": (LAST, code("plt.plot([1], [2])\nplt.show()"), "sparrow.viz.style"),
    "plt.show": (LAST, code("plt.show()"), "sparrow.viz.style"),
    "two code cells": (
        START,
        f"{START}\n```\n\n```{{code-cell}}\na = 1",
        "two code cells in a row",
    ),
    "81 words": (LAST, text("word " * 81), "81 words"),
    "directive": (LAST, text("{ref}`somewhere`"), "directive"),
    "unkind": (LAST, text("This is obviously right."), "obviously"),
    "picture": (LAST, text("![](a.png)"), "words for who cannot see"),
    "foreign": (LAST, text("![a bird](https://example.org/a.png)"), "another host"),
    "link": (LAST, text("[lab](../99_no/99_no.ipynb)"), "99_no"),
    "beats": ("## Measure", "## Weigh", "Weigh"),
    "budget": ("minutes: 10", "minutes: 90", "exercises take"),
    "start": (START, 'lab = start("tour")', "first code cell"),
    "hint missing": ("Shape</summary>", "Form</summary>", "Think, Shape, Line"),
    "hint raw": (HINT, "</summary>\n", "empty line"),
    "few cells": (LAST, "+++\n\nword\n\n" * 25 + LAST, "40 to 60"),
}


@pytest.fixture
def findings(tmp_path):
    """What the lint finds in lab 00 after one change."""

    def look(old="", new=""):
        (tmp_path / "solutions").mkdir()
        path = tmp_path / f"solutions/{LAB}.md"
        shutil.copy(ROOT / f"solutions/{LAB}.md", path)
        written = path.read_text("utf-8")
        assert old in written
        path.write_text(written.replace(old, new, 1), "utf-8")
        return lint.findings(source.read(path))

    return look


@pytest.mark.parametrize("name", source.names())
def test_the_labs_keep_every_rule(name):
    assert lint.findings(source.read(source.find(name))) == []


@pytest.mark.parametrize("rule", BAD)
def test_each_rule_finds_what_breaks_it(findings, rule):
    old, new, word = BAD[rule]
    found = findings(old, new)
    if rule != "few cells":  # lab 00 has as many cells as a lab may have
        found = [each for each in found if "cells, with" not in each]
    assert len(found) == 1, found
    assert word in found[0]
    assert found[0].startswith(f"{LAB}.md:")


@pytest.mark.parametrize(
    "good",
    [
        code("a = 1\n" * 24 + "a = 1"),
        code("a = '" + "x" * 70 + "'"),
        code("show(lab00.plot_months(1))"),
        text("word " * 80),
        text("word " * 79 + "$a + b + c$"),
        text("[lab](../00_preflight/00_preflight.ipynb)"),
        text("![a bird](a.png)"),
    ],
)
def test_what_is_just_allowed_is_allowed(findings, good):
    shown = [each for each in findings(LAST, good) if "cells, with" not in each]
    assert shown == []
