"""Costs: hand-computed values, published figures, intervals, and the ledger's file."""

import json
import math
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparrow.cost import bill, ledger, measure, published
from sparrow.cost.ledger import Entry, Ledger
from sparrow.errors import EntryError, LedgerError, StorageError


def entry(**changes: object) -> Entry:
    values: dict[str, object] = {
        "stage": "lab 00",
        "cpu_s": 3600.0,
        "power_w": 10.0,
        "tariff_per_kwh": 0.2,
        "grid_g_per_kwh": 500.0,
    }
    return Entry(**{**values, **changes})  # type: ignore[arg-type]


def test_a_layer_counted_by_hand_needs_six_flops_a_weight_and_token() -> None:
    effort = bill.training_effort(active_parameters=6, tokens=10, flops_per_s=1)
    assert effort.flops == 360
    assert effort.machine_hours == 0.1


def test_torchs_own_flop_counter_agrees_with_six() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    layer = torch.nn.Linear(8, 16, bias=False)
    tokens = torch.randn(5, 8, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        layer(tokens).sum().backward()
    counted = counter.get_total_flops()
    assert counted == bill.training_effort(8 * 16, 5, 1.0).flops


def test_a_kettle_of_a_kilowatt_for_an_hour_is_a_kilowatt_hour() -> None:
    got = bill.footprint(
        machine_hours=1,
        power_w=1000,
        pue=1,
        price_per_hour=0,
        tariff_per_kwh=0.25,
        grid_g_per_kwh=400,
    )
    assert got == bill.Footprint(energy_kwh=1.0, co2_kg=0.4, money=0.25)


def test_pue_raises_energy_money_and_co2_but_not_the_rent() -> None:
    same = {
        "machine_hours": 10.0,
        "power_w": 100.0,
        "price_per_hour": 2.0,
        "tariff_per_kwh": 0.5,
        "grid_g_per_kwh": 100.0,
    }
    laptop = bill.footprint(pue=1.0, **same)
    hall = bill.footprint(pue=1.5, **same)
    assert hall.energy_kwh == 1.5 * laptop.energy_kwh
    assert hall.co2_kg == pytest.approx(1.5 * laptop.co2_kg)
    assert hall.money == 20.75
    assert laptop.money == 20.5


def test_the_published_figures_follow_from_their_own_parts() -> None:
    by_name = {each.formula: each for each in published.recompute()}
    assert all(each.agrees in (True, None) for each in by_name.values())
    computed = {formula: each.computed for formula, each in by_name.items()}
    assert computed == {
        "14.8 × 180K": pytest.approx(2664),
        "2664K + 119K + 5K": 2788,
        "2788K × 2": pytest.approx(5.576),
        "147K × 2": pytest.approx(0.294),
        "147K / 2788K": pytest.approx(5.3, abs=0.05),
        "6 × 37B × 14.8T": pytest.approx(3.29, abs=0.005),
        "FLOPs / 2664K / 3600": pytest.approx(343, abs=0.5),
        "2664K / 2048 / 24": pytest.approx(54.2, abs=0.05),
        "100M / 5.576M": pytest.approx(17.9, abs=0.05),
    }


def test_a_figure_that_is_two_percent_off_does_not_agree() -> None:
    figure = published.recompute()[0]
    changed = {**asdict(figure), "computed": figure.computed * 1.02}
    assert published.Figure(**changed).agrees is False


def test_generating_a_token_takes_at_least_the_time_to_read_the_weights() -> None:
    assert bill.seconds_per_token(37e9, 1, 37e9) == 1.0


def test_the_interval_of_fifteen_repeats_leaves_out_three_at_each_end() -> None:
    got = measure.median_interval([float(each) for each in range(15)])
    assert (got.low, got.median, got.high, got.n) == (3.0, 7.0, 11.0, 15)


def test_five_repeats_give_an_interval_of_all_of_them() -> None:
    got = measure.median_interval([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (got.low, got.high) == (1.0, 5.0)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_the_median_is_inside_its_interval(values: list[float]) -> None:
    got = measure.median_interval(values)
    assert min(values) <= got.low <= got.median <= got.high <= max(values)


def test_the_interval_covers_the_true_median_as_often_as_it_says() -> None:
    rng = torch.Generator().manual_seed(1)
    # A skewed distribution: an interval made for the bell curve would fail here.
    samples = torch.empty(2000, 15).exponential_(generator=rng)
    intervals = [measure.median_interval(row) for row in samples.tolist()]
    covered = sum(each.low <= math.log(2) <= each.high for each in intervals)
    # The exact coverage is 0.965; three standard errors of 2000 draws are 0.012.
    assert 0.953 <= covered / 2000 <= 0.977


def test_measured_rates_are_positive_and_keep_every_repeat() -> None:
    cpu = torch.device("cpu")
    matmul = measure.matmul_rate(size=64, repeats=3, where=cpu)
    copy = measure.copy_rate(mib=1, repeats=3, where=cpu)
    assert matmul.n == copy.n == 3
    assert matmul.low > 0
    assert copy.low > 0


def test_a_ledger_comes_back_from_its_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.json"
    kept = Ledger(currency="KES").add(entry(assumed=("power_w",)))
    kept = kept.add(entry(stage="train", cpu_s=0.0, gpu_hours=2.0, price_per_hour=3.0))
    ledger.save(kept, path)
    assert ledger.open_ledger(path) == kept


def test_a_ledger_that_is_not_there_begins_empty(tmp_path: Path) -> None:
    got = ledger.open_ledger(tmp_path / "none.json", currency="INR")
    assert got == Ledger(currency="INR")


def test_running_a_stage_again_replaces_its_entry() -> None:
    once = Ledger(currency="USD").add(entry()).add(entry(stage="train"))
    again = once.add(entry(cpu_s=7200.0))
    assert [each.stage for each in again.entries] == ["train", "lab 00"]
    assert again.entries[-1].cpu_s == 7200.0


def test_totals_are_the_sum_of_the_entries() -> None:
    both = Ledger(currency="USD").add(entry()).add(entry(stage="train", cpu_s=7200))
    got = ledger.total(both)
    assert got.energy_kwh == pytest.approx(0.03)
    assert got.co2_kg == pytest.approx(0.015)
    assert got.money == pytest.approx(0.006)


def test_totals_in_the_file_are_never_believed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    ledger.save(Ledger(currency="USD").add(entry()), path)
    data = json.loads(path.read_text("utf-8"))
    data["totals"]["energy_kwh"] = 0.0
    path.write_text(json.dumps(data), "utf-8")
    assert ledger.total(ledger.open_ledger(path)).energy_kwh == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"power_w": -1.0}, "power_w must be a number that is not negative, got -1.0"),
        ({"power_w": float("nan")}, "power_w must be a number"),
        ({"tariff_per_kwh": "0.2"}, "tariff_per_kwh must be a number"),
        ({"cpu_s": True}, "cpu_s must be a number"),
        ({"stage": " "}, "needs the name of its stage"),
        ({"gpu_hours": 1.0}, "Fill one of gpu_hours and cpu_s, not both"),
        ({"pue": 0.9}, "pue is at least 1"),
        ({"assumed": ("watts",)}, "assumed may name only"),
    ],
)
def test_an_entry_that_makes_no_sense_says_why(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(EntryError, match=words):
        entry(**changes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{not json",
        '{"format": 2, "currency": "USD", "entries": []}',
        '{"format": 1, "currency": "USD"}',
        '{"format": 1, "currency": "USD", "entries": [{"stage": "a"}]}',
        '{"format": 1, "currency": "USD", "entries": [{"stage": 1, "cpu_s": 1, '
        '"power_w": 1, "tariff_per_kwh": 1, "grid_g_per_kwh": 1}]}',
        '{"format": 1, "currency": "USD", "entries": [{"stage": "a", "cpu_s": "1", '
        '"power_w": 1, "tariff_per_kwh": 1, "grid_g_per_kwh": 1}]}',
        "\x00\xff",
    ],
)
def test_a_file_that_is_no_ledger_is_refused_in_one_sentence(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "ledger.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(LedgerError, match="is no ledger that can be read"):
        ledger.open_ledger(path)


def test_a_folder_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        ledger.save(Ledger(currency="USD"), tmp_path / "file" / "ledger.json")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_more_cards_take_fewer_days() -> None:
    days = [bill.calendar_days(2.664e6, cards) for cards in (512, 1024, 2048)]
    assert all(later == pytest.approx(one / 2) for one, later in pairwise(days))


def test_the_ledger_follows_a_learners_own_footprint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = bill.Footprint(energy_kwh=1.0, co2_kg=2.0, money=3.0)
    monkeypatch.setattr(bill, "footprint", lambda **_values: mine)
    assert entry().footprint() is mine
