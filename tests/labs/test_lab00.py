"""The checks of lab 00 refuse likely mistakes, and accept what is written otherwise."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sparrow.checks import find
from sparrow.checks.runner import run_public
from sparrow.cost import bill, ledger
from sparrow.cost.bill import Effort, Footprint
from tests.labs import harness
from tests.labs.harness import Mutant

Function = Callable[..., object]


# ---- 0.2: the wrong ones, and a piece of what the check must say about each ----


def effort_from(
    flops: Callable[[float, float], float],
    hours: Callable[[float, float], float] = lambda flops, rate: flops / rate / 3600,
) -> Function:
    """A training_effort with these two formulas."""

    def training_effort(
        active_parameters: float, tokens: float, flops_per_s: float
    ) -> Effort:
        work = flops(active_parameters, tokens)
        return Effort(flops=work, machine_hours=hours(work, flops_per_s))

    return training_effort


WRONG_EFFORTS: dict[str, tuple[Function, str]] = {
    "forgot the factor": (effort_from(lambda n, d: n * d), "factor 6 is missing"),
    "forward only": (effort_from(lambda n, d: 2 * n * d), "way forward only"),
    "backward only": (effort_from(lambda n, d: 4 * n * d), "way backward only"),
    "one operation": (effort_from(lambda n, d: 3 * n * d), "is each counted"),
    "for one token": (effort_from(lambda n, d: 6 * n), "how many tokens"),
    "adds": (effort_from(lambda n, d: 6 * (n + d)), "multiply them"),
    "teraflops": (effort_from(lambda n, d: 6 * n * d / 1e12), "no prefix"),
    "a pair": (lambda **_values: (6.0, 1.0), "Return the record: Effort("),
    "seconds": (
        effort_from(lambda n, d: 6 * n * d, lambda f, r: f / r),
        "These are seconds",
    ),
    "minutes": (
        effort_from(lambda n, d: 6 * n * d, lambda f, r: f / r / 60),
        "These are minutes",
    ),
    "days": (
        effort_from(lambda n, d: 6 * n * d, lambda f, r: f / r / 86400),
        "These are days",
    ),
    "multiplied by 3600": (
        effort_from(lambda n, d: 6 * n * d, lambda f, r: f / r * 3600),
        "fewer than seconds",
    ),
    "multiplied by the speed": (
        effort_from(lambda n, d: 6 * n * d, lambda f, r: f * r / 3600),
        "divide by its speed",
    ),
    "one machine for all": (
        effort_from(lambda n, d: 6 * n * d, lambda f, r: f / 3600),
        "do not depend on flops_per_s",
    ),
    "not a record": (lambda **_values: 3.0, "record is needed"),
    "nothing": (lambda **_values: None, "is a return missing"),
    "swapped fields": (
        lambda **given: Effort(
            flops=bill.training_effort(**given).machine_hours,
            machine_hours=bill.training_effort(**given).flops,
        ),
        "flops: It is",
    ),
    "not a number": (
        lambda **_values: Effort(flops=math.nan, machine_hours=1.0),
        "flops holds NaN",
    ),
    "for ever": (
        lambda **_values: Effort(flops=math.inf, machine_hours=math.inf),
        "Without FLOPs",
    ),
    "text": (
        lambda **_values: Effort(flops="much", machine_hours=1.0),  # type: ignore[arg-type]
        "flops is text",
    ),
}


def effort_in_one_line(
    active_parameters: float, tokens: float, flops_per_s: float
) -> Effort:
    """The same, written in one line, the division by 3600 first."""
    c = active_parameters * tokens * 6
    return Effort(machine_hours=c / 3600 / flops_per_s, flops=c)


def effort_by_parts(
    active_parameters: float, tokens: float, flops_per_s: float
) -> Effort:
    """Forward and backward apart, with whole numbers."""
    forward = 2 * int(active_parameters) * int(tokens)
    backward = 2 * forward
    minutes = (forward + backward) / flops_per_s / 60
    return Effort(flops=forward + backward, machine_hours=minutes / 60)


RIGHT_EFFORTS = [bill.training_effort, effort_in_one_line, effort_by_parts]


# ---- 0.3 ----


def footprint_from(
    energy: Callable[[Any], float] = lambda g: g.w * g.h / 1000 * g.pue,
    co2: Callable[[Any, float], float] = lambda g, kwh: kwh * g.grid / 1000,
    money: Callable[[Any, float], float] = lambda g, kwh: g.h * g.rent + kwh * g.tariff,
) -> Function:
    """A footprint with these three formulas."""

    class Given:
        def __init__(self, **given: float) -> None:
            self.h, self.w = given["machine_hours"], given["power_w"]
            self.pue, self.rent = given["pue"], given["price_per_hour"]
            self.tariff, self.grid = given["tariff_per_kwh"], given["grid_g_per_kwh"]

    def footprint(**given: float) -> Footprint:
        g = Given(**given)
        kwh = energy(g)
        return Footprint(energy_kwh=kwh, co2_kg=co2(g, kwh), money=money(g, kwh))

    return footprint


WRONG_FOOTPRINTS: dict[str, tuple[Function, str]] = {
    "tariff by the hour": (
        footprint_from(money=lambda g, _kwh: g.h * (g.rent + g.tariff)),
        "not for an hour",
    ),
    "watt-hours": (footprint_from(lambda g: g.w * g.h * g.pue), "watt-hours"),
    "joules": (footprint_from(lambda g: g.w * g.h * 3600 * g.pue), "joules"),
    "hours as seconds": (
        footprint_from(lambda g: g.w * g.h / 3600 / 1000 * g.pue),
        "hours already",
    ),
    "megawatt-hours": (footprint_from(lambda g: g.w * g.h / 1e6 * g.pue), "megawatt"),
    "no PUE": (footprint_from(lambda g: g.w * g.h / 1000), "PUE is missing"),
    "divides by the PUE": (
        footprint_from(lambda g: g.w * g.h / 1000 / g.pue),
        "Divided by the PUE",
    ),
    "adds the PUE": (footprint_from(lambda g: g.w * g.h / 1000 + g.pue), "a factor"),
    "grams": (footprint_from(co2=lambda g, kwh: kwh * g.grid), "These are grams"),
    "tonnes": (footprint_from(co2=lambda g, kwh: kwh * g.grid / 1e6), "tonnes"),
    "CO2 of the machine": (
        footprint_from(co2=lambda g, kwh: kwh / g.pue * g.grid / 1000),
        "energy of the building",
    ),
    "PUE twice": (
        footprint_from(co2=lambda g, kwh: kwh * g.pue * g.grid / 1000),
        "counts once",
    ),
    "rent only": (footprint_from(money=lambda g, kwh: g.h * g.rent), "the rent only"),
    "electricity only": (
        footprint_from(money=lambda g, kwh: kwh * g.tariff),
        "the electricity only",
    ),
    "rent times PUE": (
        footprint_from(money=lambda g, kwh: g.h * g.rent * g.pue + kwh * g.tariff),
        "does not depend on the PUE",
    ),
    "rent of one hour": (
        footprint_from(money=lambda g, kwh: g.rent + kwh * g.tariff),
        "multiply it by the hours",
    ),
    "rent by the kWh": (
        footprint_from(money=lambda g, kwh: (g.rent + g.tariff) * kwh),
        "for hours, not for kWh",
    ),
    "tariff of the machine": (
        footprint_from(money=lambda g, kwh: g.h * g.rent + kwh / g.pue * g.tariff),
        "energy of the building",
    ),
    "nothing": (lambda **_values: None, "is a return missing"),
    "zeros": (
        lambda **_values: Footprint(energy_kwh=0.0, co2_kg=0.0, money=0.0),
        "too small",
    ),
}


def footprint_through_joules(
    *,
    machine_hours: float,
    power_w: float,
    pue: float,
    price_per_hour: float,
    tariff_per_kwh: float,
    grid_g_per_kwh: float,
) -> Footprint:
    """The long way: seconds, joules, and back."""
    kwh = power_w * pue * machine_hours * 3600 / 3.6e6
    return Footprint(
        energy_kwh=kwh,
        co2_kg=kwh * 1e-3 * grid_g_per_kwh,
        money=kwh * tariff_per_kwh + price_per_hour * machine_hours,
    )


def footprint_per_hour(**given: float) -> Footprint:
    """First what one hour costs, then all hours."""
    kw = given["power_w"] / 1000 * given["pue"]
    hours = given["machine_hours"]
    return Footprint(
        energy_kwh=kw * hours,
        co2_kg=kw * given["grid_g_per_kwh"] / 1000 * hours,
        money=(given["price_per_hour"] + kw * given["tariff_per_kwh"]) * hours,
    )


RIGHT_FOOTPRINTS = [bill.footprint, footprint_through_joules, footprint_per_hour]


# ---- 0.1, 0.4, 0.5: values ----

WRONG_GUESSES: dict[str, tuple[object, str]] = {
    "untouched": (None, "no guess yet"),
    "dots": ("...", "one number of years"),
    "text": ("1000", "got str"),
    "negative": (-3.0, "more than zero"),
    "zero": (0, "more than zero"),
    "for ever": (math.inf, "not infinite"),
    "not a number": (math.nan, "not infinite"),
    "a list": ([1, 2], "got list"),
    "yes": (True, "one number of years"),
}
RIGHT_GUESSES = [1000, 0.5, 1e6]


def assume(**changes: object) -> dict[str, object]:
    """The headline's own assumptions, with changes."""
    return {
        "price_per_hour_usd": 2.0,
        "hours_factor": 1.0,
        "other_usd": 100e6,
        **changes,
    }


WRONG_ASSUMPTIONS: dict[str, tuple[object, str]] = {
    "untouched": (assume(), "still stands"),
    "wrong way round": (assume(price_per_hour_usd=1.0), "other way round"),
    "not enough": (assume(hours_factor=1.5), "must be 9 or less"),
    "millions": (assume(other_usd=50), "in dollars, not in millions"),
    "beyond the limits": (assume(hours_factor=18), "must be from 1 to 4"),
    "too cheap": (assume(other_usd=1e6), "must be from 50,000,000"),
    "text": (assume(hours_factor="2"), "must be a number"),
    "a name is missing": ({"hours_factor": 2.0}, "exactly these names"),
    "a number": (9.0, "is a dictionary"),
}
RIGHT_ASSUMPTIONS = [
    assume(hours_factor=2.0),
    assume(price_per_hour_usd=4),
    assume(other_usd=50e6),
    assume(hours_factor=2.0, price_per_hour_usd=3.5, other_usd=150e6),
]


def ledger_with(totals: dict[str, object] | None = None, **changes: object) -> Any:
    """The dictionary of a ledger with one entry, totals added up by the library."""
    from dataclasses import asdict

    entry: dict[str, Any] = {
        "stage": "00_preflight",
        "gpu_hours": 0.0,
        "cpu_s": 36.0,
        "power_w": 15.0,
        "pue": 1.0,
        "price_per_hour": 0.0,
        "tariff_per_kwh": 0.2,
        "grid_g_per_kwh": 400.0,
        "assumed": ["power_w"],
        **changes,
    }
    try:
        kwh = entry["cpu_s"] / 3600 * entry["power_w"] / 1000
        cost = Footprint(
            energy_kwh=kwh,
            co2_kg=kwh * entry["grid_g_per_kwh"] / 1000,
            money=kwh * entry["tariff_per_kwh"],
        )
        right: dict[str, object] = asdict(cost)
    except TypeError:
        right = dict.fromkeys(("energy_kwh", "co2_kg", "money"), 0.0)
    return {
        "format": 1,
        "currency": "KES",
        "entries": [entry],
        "totals": {**right, **(totals or {})},
    }


WRONG_LEDGERS: dict[str, tuple[object, str]] = {
    "untouched": (ledger_with(cpu_s=0.0), "no processor worked"),
    "kilowatts": (ledger_with(power_w=0.015), "did you write kilowatts"),
    "no power": (ledger_with(power_w=0.0), "cannot be 0"),
    "kilograms": (ledger_with(grid_g_per_kwh=0.4), "did you write kilograms"),
    "milliseconds": (ledger_with(cpu_s=36e6), "more than a week"),
    "placeholders as facts": (
        ledger_with(
            power_w=10.0, tariff_per_kwh=0.10, grid_g_per_kwh=500.0, assumed=[]
        ),
        "still the placeholders",
    ),
    "another stage": (ledger_with(stage="lab"), "no entry of the stage"),
    "watt-hours in the total": (
        ledger_with(totals={"energy_kwh": 0.15}),
        "Too large by 1000",
    ),
    "hours for seconds": (ledger_with(totals={"energy_kwh": 0.54}), "are seconds"),
    "invented": (ledger_with(totals={"co2_kg": 1e-9}), "co2_kg: It is too small"),
    "no totals": ({**ledger_with(), "totals": None}, "totals is None"),
    "nothing": (None, "my_ledger is what"),
    "unknown field": (ledger_with(watts=3), "missing or unknown fields"),
}
RIGHT_LEDGERS = [
    ledger_with(),
    ledger_with(cpu_s=7200.0, assumed=[]),
    ledger_with(power_w=10.0, tariff_per_kwh=0.10, grid_g_per_kwh=500.0),
]

WRONG = {
    "0.1": WRONG_GUESSES,
    "0.2": WRONG_EFFORTS,
    "0.3": WRONG_FOOTPRINTS,
    "0.4": WRONG_ASSUMPTIONS,
    "0.5": WRONG_LEDGERS,
}
RIGHT: dict[str, list[Any]] = {
    "0.1": RIGHT_GUESSES,
    "0.2": RIGHT_EFFORTS,
    "0.3": RIGHT_FOOTPRINTS,
    "0.4": RIGHT_ASSUMPTIONS,
    "0.5": RIGHT_LEDGERS,
}


EXERCISES = {
    exercise: harness.Exercise(
        wrong=[
            Mutant(name, answer, says=says)
            for name, (answer, says) in WRONG[exercise].items()
        ],
        right=RIGHT[exercise],
    )
    for exercise in WRONG
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_likely_mistake_is_refused_with_its_cause(
    exercise: str, mutant: Mutant
) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_what_is_right_passes_however_it_is_written(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_enough_mistakes_and_right_answers_are_tried(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_a_wrong_factor_does_not_cost_the_hours_too() -> None:
    outcome = run_public(find("0.2"), WRONG_EFFORTS["forgot the factor"][0])
    assert outcome.points_frac == 0.5


def test_a_wrong_energy_does_not_cost_the_money_too() -> None:
    outcome = run_public(find("0.3"), WRONG_FOOTPRINTS["no PUE"][0])
    assert outcome.points_frac == pytest.approx(0.6)


def test_hidden_cases_are_more_than_the_public_ones_and_follow_the_seed() -> None:
    check = find("0.3")
    first, again, other = (
        check.cases(torch.Generator().manual_seed(seed), True) for seed in (1, 1, 2)
    )
    public = check.cases(torch.Generator().manual_seed(1), False)
    assert first == again
    assert first != other
    assert len(first) > len(public)


def test_no_message_gives_the_answer_away() -> None:
    for exercise in ("0.2", "0.3"):
        for answer, _words in WRONG[exercise].values():
            for group in run_public(find(exercise), answer).groups:
                assert "6 *" not in group.message
                assert "expected" not in group.message


def test_the_ledger_that_the_library_writes_passes(tmp_path: Path) -> None:
    entry = ledger.Entry(
        stage="00_preflight",
        cpu_s=12.5,
        power_w=8.0,
        tariff_per_kwh=0.3,
        grid_g_per_kwh=90.0,
    )
    mine = ledger.Ledger(currency="BRL").add(entry)
    ledger.save(mine, tmp_path / "ledger.json")
    kept = ledger.open_ledger(tmp_path / "ledger.json")
    assert run_public(find("0.5"), kept.to_dict()).passed
