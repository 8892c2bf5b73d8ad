"""Keep what you have spent, stage by stage, in one file that survives a power cut."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Self

from sparrow import runtime
from sparrow.cost import bill
from sparrow.errors import EntryError, LedgerError
from sparrow.language import _

__all__ = ["Entry", "Ledger", "default_path", "open_ledger", "save", "total"]

FORMAT = 1
NUMBERS = (
    "gpu_hours",
    "cpu_s",
    "power_w",
    "pue",
    "price_per_hour",
    "tariff_per_kwh",
    "grid_g_per_kwh",
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One stage: what ran, how long, and what an hour of it costs.

    `power_w` is what one busy card draws (with `gpu_hours`) or one busy core (with
    `cpu_s`, processor seconds). `assumed` names the fields that are guesses: nobody
    measured them or looked them up yet.
    """

    stage: str
    gpu_hours: float = 0.0
    cpu_s: float = 0.0
    power_w: float
    pue: float = 1.0
    price_per_hour: float = 0.0
    tariff_per_kwh: float
    grid_g_per_kwh: float
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in NUMBERS:
            value = getattr(self, name)
            if not _is_amount(value):
                raise EntryError(
                    _(
                        "{name} must be a number that is not negative, got {value}.",
                        name=name,
                        value=repr(value),
                    )
                )
        if not self.stage.strip():
            raise EntryError(_("An entry needs the name of its stage, got none."))
        if self.gpu_hours > 0 and self.cpu_s > 0:
            raise EntryError(
                _(
                    "Fill one of gpu_hours and cpu_s, not both: power_w is that of a "
                    "card or of a core; got {gpu_hours} and {cpu_s}.",
                    gpu_hours=self.gpu_hours,
                    cpu_s=self.cpu_s,
                )
            )
        if self.pue < 1:
            raise EntryError(
                _(
                    "pue is at least 1, since a building uses what its machines use "
                    "and more; got {pue}.",
                    pue=self.pue,
                )
            )
        if unknown := set(self.assumed) - set(NUMBERS):
            raise EntryError(
                _(
                    "assumed may name only {known}; got {unknown}.",
                    known=", ".join(NUMBERS),
                    unknown=", ".join(sorted(unknown)),
                )
            )

    @property
    def machine_hours(self) -> float:
        """Hours of one card, or of one core."""
        return self.gpu_hours + self.cpu_s / 3600

    def footprint(self) -> bill.Footprint:
        """Energy, CO2 and money of this stage."""
        return bill.footprint(
            machine_hours=self.machine_hours,
            power_w=self.power_w,
            pue=self.pue,
            price_per_hour=self.price_per_hour,
            tariff_per_kwh=self.tariff_per_kwh,
            grid_g_per_kwh=self.grid_g_per_kwh,
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data; the tuple becomes a list."""
        return {**asdict(self), "assumed": list(self.assumed)}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """The entry that `to_dict` wrote.

        Raises:
            EntryError: a field is missing, unknown or makes no sense.
        """
        known = {each.name for each in fields(cls)}
        needed = {"stage", "power_w", "tariff_per_kwh", "grid_g_per_kwh"}
        if wrong := (set(data) - known) | (needed - set(data)):
            raise EntryError(
                _(
                    "An entry has missing or unknown fields: {names}.",
                    names=", ".join(sorted(wrong)),
                )
            )
        values = dict(data)
        assumed = values.pop("assumed", [])
        if not isinstance(values["stage"], str) or not isinstance(assumed, list):
            raise EntryError(_("stage must be text, and assumed a list of names."))
        return cls(**values, assumed=tuple(map(str, assumed)))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All stages, in one currency."""

    currency: str
    entries: tuple[Entry, ...] = field(default=())

    def add(self, entry: Entry) -> Self:
        """With one more entry; the same stage again takes the place of the old one.

        A notebook cell is often run twice: that must not double the bill.
        """
        others = tuple(each for each in self.entries if each.stage != entry.stage)
        return replace(self, entries=(*others, entry))

    def to_dict(self) -> dict[str, object]:
        """Plain data, with the totals beside the entries they come from."""
        return {
            "format": FORMAT,
            "currency": self.currency,
            "entries": [each.to_dict() for each in self.entries],
            "totals": asdict(total(self)),
        }


def total(ledger: Ledger) -> bill.Footprint:
    """Energy, CO2 and money of all entries together."""
    each = [entry.footprint() for entry in ledger.entries]
    return bill.Footprint(
        energy_kwh=math.fsum(one.energy_kwh for one in each),
        co2_kg=math.fsum(one.co2_kg for one in each),
        money=math.fsum(one.money for one in each),
    )


def default_path() -> Path:
    """Where the learner's ledger is kept."""
    return runtime.home_folder() / "ledger.json"


def open_ledger(path: Path | None = None, *, currency: str = "USD") -> Ledger:
    """Read the ledger, or begin an empty one in `currency`.

    Raises:
        LedgerError: the file is there but is no ledger.
    """
    where = path or default_path()
    if not where.exists():
        return Ledger(currency=currency)
    try:
        data = json.loads(where.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise KeyError("format")
        entries = tuple(Entry.from_dict(each) for each in data["entries"])
        return Ledger(currency=str(data["currency"]), entries=entries)
    except (OSError, ValueError, KeyError, TypeError, EntryError) as error:
        raise LedgerError(
            _(
                "{path} is no ledger that can be read ({reason}): mend it, or move it "
                "away to begin a new one.",
                path=where,
                reason=str(error).rstrip("."),
            )
        ) from error


def save(ledger: Ledger, path: Path | None = None) -> Path:
    """Write the ledger, whole or not at all; returns where.

    Raises:
        StorageError: the folder cannot be written.
    """
    where = path or default_path()
    text = json.dumps(ledger.to_dict(), indent=2, ensure_ascii=False)
    with runtime.atomic_write(where) as file:
        file.write(text.encode("utf-8") + b"\n")
    return where


def _is_amount(value: object) -> bool:
    """A finite number, zero or more; True and False are no numbers here."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )
