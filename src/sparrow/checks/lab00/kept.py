"""Exercise 0.5: the ledger that the lab leaves behind, added up again."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from sparrow.checks.compare import difference_in_kind
from sparrow.checks.lab00.numbers import fields_of, judge
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.checks.values import is_number, kind_of, nothing_expected
from sparrow.cost import ledger
from sparrow.errors import EntryError
from sparrow.language import _

__all__ = ["CHECKS"]

TOTALS = ("energy_kwh", "co2_kg", "money")
PLACEHOLDERS = {"power_w": 10.0, "tariff_per_kwh": 0.10, "grid_g_per_kwh": 500.0}
STAGE = "00_preflight"
ENTRY, TOTAL = "the entry", "the totals"


def ledger_cases(_generator: torch.Generator, _hidden: bool) -> list[Case]:
    """The entry of this lab, then the totals of all entries."""
    return [Case("your ledger", group, {}) for group in (ENTRY, TOTAL)]


def compare_ledger(case: Case, _expected: Plain, actual: Plain) -> Verdict:
    """Add the entries up again: totals that were written are never believed."""
    entries = actual.get("entries") if isinstance(actual, dict) else None
    if not isinstance(actual, dict) or not isinstance(entries, list):
        return Verdict(
            False,
            _(
                "my_ledger is what mine.to_dict() returns; got {got}.",
                got=kind_of(actual),
            ),
        )
    ours = [
        each
        for each in entries
        if isinstance(each, dict) and each.get("stage") == STAGE
    ]
    if not ours:
        return Verdict(
            False, _('The ledger has no entry of the stage "{stage}".', stage=STAGE)
        )
    if wrong := wrong_entry(ours[-1]):
        return Verdict(False, wrong)
    return Verdict(True) if case.group == ENTRY else compare_totals(actual)


def compare_totals(actual: Mapping[str, Any]) -> Verdict:
    """The totals beside the sum of the entries, computed again here."""
    try:
        entries = [ledger.Entry.from_dict(each) for each in actual["entries"]]
    except (EntryError, TypeError) as error:
        return Verdict(False, str(error))
    each_cost = [entry.footprint() for entry in entries]
    written = actual.get("totals")
    if wrong := difference_in_kind(written, dict.fromkeys(TOTALS, 0.0), "totals"):
        return Verdict(False, wrong)
    got = fields_of(written)
    for name in TOTALS:
        wanted = math.fsum(getattr(one, name) for one in each_cost)
        mistakes = [
            (wanted * 3600, _("cpu_s are seconds: an hour has 3600 of them.")),
            (wanted * 1000, _("Too large by 1000: which unit does the name say?")),
            (wanted / 1000, _("Too small by 1000: which unit does the name say?")),
            (getattr(each_cost[-1], name), _("This is the last entry, not the sum.")),
        ]
        if not (verdict := judge(name, got[name], wanted, mistakes)).passed:
            return verdict
    return Verdict(True)


def wrong_entry(entry: Mapping[str, Any]) -> str:
    """What makes the entry of this lab implausible, or nothing."""
    for name in ("gpu_hours", "cpu_s", *PLACEHOLDERS):
        if not is_number(entry.get(name)):
            return _(
                "{name} must be a number; got {got}.",
                name=name,
                got=kind_of(entry.get(name)),
            )
    if entry["gpu_hours"] + entry["cpu_s"] == 0:
        return _("The entry says that no processor worked: how many seconds was it?")
    if entry["cpu_s"] > 7 * 24 * 3600:
        return _("That is more than a week: are these seconds, or milliseconds?")
    if 0 < entry["power_w"] < 0.2:
        return _("power_w is in watts: did you write kilowatts?")
    if entry["power_w"] == 0:
        return _("A busy core draws some watts: power_w cannot be 0.")
    if 0 < entry["grid_g_per_kwh"] < 2:
        return _("grid_g_per_kwh is in grams: did you write kilograms?")
    unchanged = all(entry[name] == value for name, value in PLACEHOLDERS.items())
    if unchanged and not entry.get("assumed"):
        return _(
            "These are still the placeholders: replace them, or name them in assumed."
        )
    return ""


CHECKS = {
    "0.5": Check(
        exercise="0.5",
        solution=None,
        groups={ENTRY: 0.5, TOTAL: 0.5},
        cases=ledger_cases,
        expected=nothing_expected,
        compare=compare_ledger,
        driver="value",
    ),
}
