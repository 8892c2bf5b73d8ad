"""What a rehearsal says: a table for people, or the same figures as JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sparrow.language import _
from workshop.rehearsal.conduct import Result

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["as_json", "sentences", "table"]

PATIENCE_S = 600  # after that a class is lost for the morning
GIB_MIB = 1024


def as_json(result: Result) -> str:
    """All figures."""
    return json.dumps({**asdict(result), "went_well": result.went_well}, indent=1)


def table(result: Result) -> "Table":
    """How long half of the class waited, nearly all, and the slowest."""
    from rich.table import Table

    made = Table("", _("Half, less than"), _("95 of 100"), _("Longest"), box=None)
    for column in made.columns[1:]:
        column.justify = "right"
    for step, name in _names(result.lab).items():
        made.add_row(name, *_row(result.seconds.get(step, []), "s"))
    memory = [each.pss_mib for each in result.memory]
    made.add_row(_("Memory of each (shared pages divided)"), *_row(memory, _("MiB")))
    return made


def _names(lab: str) -> dict[str, str]:
    return {
        "log_in": _("From the card to JupyterLab"),
        "open": _("Until the notebook's kernel answers"),
        "run": _("The light cells of {lab}", lab=lab),
        "hand_in": _("Saved and handed in"),
    }


def _row(values: Sequence[float], unit: str) -> list[str]:
    if not values:
        return ["–"] * 3
    ordered = sorted(values)
    at = [math.ceil(share * len(ordered)) - 1 for share in (0.5, 0.95, 1.0)]
    return [f"{ordered[each]:.{1 if ordered[each] < 10 else 0}f} {unit}" for each in at]


def sentences(result: Result) -> list[str]:
    """What a table does not say."""
    machine = result.machine
    told: list[str] = [
        _(
            "Handed in and found again: {n} of {all}.",
            n=result.handed_in,
            all=result.learners,
        ),
        _(
            "The machine had {before:.1f} GiB free before and {least:.1f} GiB at the "
            "least.",
            before=machine.before_mib / GIB_MIB,
            least=machine.least_mib / GIB_MIB,
        ),
    ]
    if result.load_before > 0.5:
        told.append(
            _(
                "The machine was busy before it began (load {load:.1f} a core): the "
                "times are too long.",
                load=result.load_before,
            )
        )
    if machine.ran_out:
        told.append(
            _(
                "Memory ran out, and everybody's server was stopped: invite fewer "
                "people at a time, or find a machine with more memory."
            )
        )
    slowest: Any = max(result.seconds.get("log_in", []), default=0.0)
    if slowest > PATIENCE_S:
        told.append(
            _(
                "Somebody waited {n} min for JupyterLab: let people come in groups.",
                n=round(slowest / 60),
            )
        )
    return told + result.errors
