"""Pages that repeat the code say what the code says today."""

import json
from dataclasses import fields

import pytest

from tests.tools.book_project import REAL
from workshop import reference
from workshop.classroom.tables import TABLES

KEPT = sorted((REAL / reference.RESULTS).glob("*.json"))


def test_every_command_is_there_with_its_help():
    page = reference.commands_page()
    for line in ("### sparrow grpo", "### workshop roster import", "--no-sandbox"):
        assert line in page
    assert max(map(len, page.splitlines())) <= reference.WIDTH + 10


def test_every_setting_is_there_with_its_default():
    page = reference.settings_page()
    for name, kind in TABLES.items():
        assert f"## [{name}]" in page
        for each in fields(kind):
            assert f"| `{each.name}` |" in page
            assert each.metadata["about"] in page
    assert "| `port` | `8443` |" in page
    assert "## [deadlines]" in page


def test_a_setting_cannot_break_the_table():
    page = reference.settings_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert {line.count("|") for line in rows} == {4}


@pytest.mark.parametrize("path", KEPT, ids=[path.stem for path in KEPT])
def test_every_comparison_is_there_with_interval_machine_and_date(path):
    told = json.loads(path.read_text("utf-8"))
    page = reference.figures_page(path.parent)
    section = page.partition(f"## {told['name']}\n")[2].partition("\n## ")[0]
    assert told["name"] == path.stem
    assert f"({told['ratio_low']:.2f} to {told['ratio_high']:.2f})" in section
    for word in (told["machine"]["processor"], told["commit"], told["date"]):
        assert word in section


def test_only_three_figures_are_printed(tmp_path):
    told = json.loads(KEPT[0].read_text("utf-8"))
    told |= {"ours": 123456.0, "peer": 1.23456, "notes": {"is_so": True, "n": [0.5]}}
    (tmp_path / "one.json").write_text(json.dumps(told))
    page = reference.figures_page(tmp_path)
    assert "| 123,000 | 1.23 |" in page
    assert "is so: yes; n: 0.5 |" in page
