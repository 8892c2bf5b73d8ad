"""Exercises 0.2 and 0.3: work and hours, then energy, CO2 and money."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from sparrow.checks.compare import difference_in_kind
from sparrow.checks.lab00.numbers import Mistakes, fields_of, judge
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.cost import bill
from sparrow.language import _

__all__ = ["CHECKS"]

# The parts that a learner sees, each with its share of the points.
WORK, HOURS = "the work", "the hours"
ENERGY, CO2, MONEY = "the energy", "the CO₂", "the money"


def effort_cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """A layer counted by hand, a laptop, V3, and drawn ones for grading."""
    sizes = {
        "a layer of 6 weights": (6.0, 10.0, 1.0),
        "a small model on a laptop": (1.5e6, 2e7, 4e10),
        "DeepSeek-V3": (37e9, 14.8e12, 343e12),
        "one weight, one token": (1.0, 1.0, 1000.0),
    }
    if hidden:
        for drawn in range(3):
            a, b, c = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
            # Weights and tokens are whole: an answer may count them with int.
            n, d = round(10 ** (3 + 8 * a)), round(1e5 + 1e12 * b)
            sizes[f"drawn {drawn + 1}"] = (float(n), float(d), 1e9 * (1 + 99 * c))
    return [
        Case(
            name,
            group,
            {"active_parameters": n, "tokens": d, "flops_per_s": rate},
        )
        for name, (n, d, rate) in sizes.items()
        for group in (WORK, HOURS)
    ]


def expected_effort(case: Case) -> Plain:
    """What the library computes."""
    return asdict(bill.training_effort(**numbers(case.inputs)))


def compare_effort(case: Case, expected: Plain, actual: Plain) -> Verdict:
    """Judge the work, and the hours *for the work that the learner found*."""
    wanted = fields_of(expected)
    if isinstance(actual, list):
        return Verdict(False, _("Return the record: Effort(flops=…, machine_hours=…)."))
    if wrong := difference_in_kind(actual, expected):
        return Verdict(False, wrong)
    got = fields_of(actual)
    given = numbers(case.inputs)
    if case.group == WORK:
        return judge("flops", got["flops"], wanted["flops"], flops_mistakes(given))
    if not 0 < got["flops"] < math.inf:
        return Verdict(False, _("Without FLOPs there are no hours to judge."))
    seconds = got["flops"] / given["flops_per_s"]
    if math.isclose(got["machine_hours"], wanted["machine_hours"], rel_tol=1e-9):
        return Verdict(True)  # right hours, though the work was not handed over
    mistakes = [
        (seconds, _("These are seconds: an hour has 3600 of them.")),
        (seconds / 60, _("These are minutes: divide by 60 once more.")),
        (seconds / 3600 / 24, _("These are days, not hours.")),
        (seconds * 3600, _("You multiplied by 3600: hours are fewer than seconds.")),
        (
            got["flops"] * given["flops_per_s"] / 3600,
            _("A faster machine needs less time: divide by its speed."),
        ),
        (
            got["flops"] / 3600,
            _("The hours do not depend on flops_per_s: is a step missing?"),
        ),
    ]
    return judge("machine_hours", got["machine_hours"], seconds / 3600, mistakes)


def flops_mistakes(given: Mapping[str, float]) -> Mistakes:
    """What a likely mistake would give, and the question that finds it."""
    n, d = given["active_parameters"], given["tokens"]
    return [
        (n * d, _("The factor 6 is missing: count the FLOPs of one weight again.")),
        (2 * n * d, _("This is the way forward only: learning also goes backward.")),
        (4 * n * d, _("This is the way backward only: add the way forward.")),
        (3 * n * d, _("One multiplication and one addition: is each counted?")),
        (8 * n * d, _("Forward is 2, backward is 4: what is their sum?")),
        (6 * n, _("This is the work for one token: how many tokens are there?")),
        (6 * d, _("The number of weights is missing.")),
        (6 * (n + d), _("Every token passes through every weight: multiply them.")),
        (
            6 * n * d / given["flops_per_s"],
            _("These are seconds: flops is the work, whatever the machine."),
        ),
        (6 * n * d / 1e12, _("Divided by 1e12: flops has no prefix such as tera.")),
    ]


def footprint_cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """The example of the text, a laptop, rent with electricity, and drawn ones."""
    names = (
        "machine_hours",
        "power_w",
        "pue",
        "price_per_hour",
        "tariff_per_kwh",
        "grid_g_per_kwh",
    )
    rows: dict[str, tuple[float, ...]] = {
        "the example in the text": (10.0, 500.0, 1.2, 2.0, 0.10, 400.0),
        "many cards": (2.5e6, 450.0, 1.3, 1.5, 0.08, 350.0),
        "your own laptop": (0.25, 40.0, 1.0, 0.0, 0.30, 90.0),
        "rent that includes electricity": (8.0, 300.0, 1.5, 3.0, 0.0, 700.0),
    }
    if hidden:
        for drawn in range(3):
            u = torch.rand(6, generator=generator, dtype=torch.float64).tolist()
            rows[f"drawn {drawn + 1}"] = (
                1 + 1e4 * u[0],
                5 + 900 * u[1],
                1.05 + u[2],
                0.5 + 3 * u[3],
                0.02 + u[4],
                20 + 800 * u[5],
            )
    return [
        Case(name, group, dict(zip(names, row, strict=True)))
        for name, row in rows.items()
        for group in (ENERGY, CO2, MONEY)
    ]


def expected_footprint(case: Case) -> Plain:
    """What the library computes."""
    return asdict(bill.footprint(**numbers(case.inputs)))


def compare_footprint(case: Case, expected: Plain, actual: Plain) -> Verdict:
    """Judge the energy, then CO2 and money *for the energy that was found*."""
    wanted = fields_of(expected)
    if isinstance(actual, list):
        return Verdict(
            False,
            _("Return the record: Footprint(energy_kwh=…, co2_kg=…, money=…)."),
        )
    if wrong := difference_in_kind(actual, expected):
        return Verdict(False, wrong)
    got, given = fields_of(actual), numbers(case.inputs)
    kwh = got["energy_kwh"]
    if case.group == ENERGY:
        return judge("energy_kwh", kwh, wanted["energy_kwh"], energy_mistakes(given))
    if not 0 < kwh < math.inf:
        return Verdict(False, _("Without energy there is nothing to judge here."))
    if case.group == CO2:
        kg = kwh * given["grid_g_per_kwh"] / 1000
        return judge("co2_kg", got["co2_kg"], kg, co2_mistakes(kg, given["pue"]))
    money = given["machine_hours"] * given["price_per_hour"]
    money += kwh * given["tariff_per_kwh"]
    return judge("money", got["money"], money, money_mistakes(given, kwh))


def energy_mistakes(given: Mapping[str, float]) -> Mistakes:
    """Wrong units and a wrong use of the PUE."""
    wh, pue = given["power_w"] * given["machine_hours"], given["pue"]
    kwh = wh * pue / 1000
    return [
        (wh * pue, _("These are watt-hours: a kWh has 1000 of them.")),
        (wh * pue * 3600, _("These are joules: watts times hours are watt-hours.")),
        (wh * pue * 3.6, _("These are kilojoules: watts times hours are watt-hours.")),
        (kwh / 3600, _("machine_hours are hours already: do not divide by 3600.")),
        (kwh / 1000, _("These are megawatt-hours: divide by 1000 once.")),
        (wh / 1000, _("The PUE is missing: the building uses energy too.")),
        (wh / 1000 / pue, _("Divided by the PUE: does a building use less?")),
        (wh / 1000 + pue, _("The PUE is a factor, not an amount to add.")),
        (given["power_w"] * pue / 1000, _("The hours are missing.")),
    ]


def co2_mistakes(kg: float, pue: float) -> Mistakes:
    """Grams for kilograms, and the energy of the machines alone."""
    return [
        (kg * 1000, _("These are grams: co2_kg is in kilograms.")),
        (kg / 1000, _("These are tonnes: divide by 1000 once.")),
        (kg / pue, _("Use the energy of the building, not that of the machine.")),
        (kg * pue, _("The PUE is in energy_kwh already: it counts once.")),
    ]


def money_mistakes(given: Mapping[str, float], kwh: float) -> Mistakes:
    """A part that is missing, or a price that meets the wrong amount."""
    rent = given["machine_hours"] * given["price_per_hour"]
    power, pue = kwh * given["tariff_per_kwh"], given["pue"]
    return [
        (rent, _("This is the rent only: what does the electricity cost?")),
        (power, _("This is the electricity only: what does the rent cost?")),
        (rent + power / pue, _("You also pay for the energy of the building.")),
        (rent + power * pue, _("The PUE is in energy_kwh already: it counts once.")),
        (rent * pue + power, _("The rent does not depend on the PUE.")),
        (rent + power * 1000, _("The tariff is for a kWh, not for a Wh.")),
        (
            rent + given["machine_hours"] * given["tariff_per_kwh"],
            _("The tariff is for a kWh, not for an hour."),
        ),
        (rent - power, _("You pay both: add them.")),
        (
            given["price_per_hour"] + power,
            _("The rent is paid for each hour: multiply it by the hours."),
        ),
        (
            (given["price_per_hour"] + given["tariff_per_kwh"]) * kwh,
            _("The rent is paid for hours, not for kWh."),
        ),
    ]


def numbers(inputs: Mapping[str, Plain]) -> dict[str, Any]:
    """The inputs of a case as the arguments that they are."""
    return dict(inputs)


CHECKS = {
    "0.2": Check(
        exercise="0.2",
        solution="sparrow.cost.bill:training_effort",
        groups={WORK: 0.5, HOURS: 0.5},
        cases=effort_cases,
        expected=expected_effort,
        compare=compare_effort,
        driver="record",
    ),
    "0.3": Check(
        exercise="0.3",
        solution="sparrow.cost.bill:footprint",
        groups={ENERGY: 0.4, CO2: 0.2, MONEY: 0.4},
        cases=footprint_cases,
        expected=expected_footprint,
        compare=compare_footprint,
        driver="record",
    ),
}
