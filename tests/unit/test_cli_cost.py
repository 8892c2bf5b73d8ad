"""`sparrow cost`: data on standard output, one sentence for what is wrong."""

import json

import pytest
from click.testing import CliRunner, Result

from sparrow import runtime
from sparrow.cli import main
from sparrow.cost import ledger

ADD = [
    "add",
    "train",
    "--gpu-hours",
    "2",
    "--power-w",
    "300",
    "--tariff-per-kwh",
    "0.2",
    "--grid-g-per-kwh",
    "100",
    "--assumed",
    "power_w",
]


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["cost", *words])


def test_an_added_stage_is_shown_with_its_total() -> None:
    assert run(*ADD).exit_code == 0
    shown = run()
    assert shown.exit_code == 0
    assert "600 Wh" in shown.stdout
    assert "power_w" in shown.stdout
    assert ledger.default_path().exists()


def test_json_is_the_ledger_itself() -> None:
    run(*ADD)
    data = json.loads(run("--json").stdout)
    assert data["totals"]["energy_kwh"] == pytest.approx(0.6)


def test_an_empty_ledger_says_so_and_prints_no_data() -> None:
    got = run()
    assert (got.exit_code, got.stdout) == (0, "")
    assert "holds no entries yet" in got.stderr


def test_an_entry_that_makes_no_sense_is_refused_with_status_two() -> None:
    got = run(*ADD, "--pue", "0.5")
    assert got.exit_code == 2
    assert "pue is at least 1" in got.stderr
    assert "Traceback" not in got.output


def test_a_broken_ledger_is_refused_with_status_one() -> None:
    path = runtime.writable_folder(runtime.home_folder()) / "ledger.json"
    path.write_text("{", encoding="utf-8")
    got = run()
    assert got.exit_code == 1
    assert "is no ledger that can be read" in got.stderr


def test_the_published_figures_are_printed_with_their_sources() -> None:
    got = run("published")
    assert got.exit_code == 0
    assert "arXiv:2412.19437" in got.stdout
    assert "✗" not in got.stdout


def test_a_classroom_may_say_what_electricity_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPARROW_CURRENCY", "KES")
    monkeypatch.setenv("SPARROW_TARIFF_PER_KWH", "28.5")
    at = ADD.index("--tariff-per-kwh")
    assert run(*ADD[:at], *ADD[at + 2 :]).exit_code == 0
    mine = ledger.open_ledger()
    assert mine.currency == "KES"
    assert mine.entries[0].tariff_per_kwh == 28.5
