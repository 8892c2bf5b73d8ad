"""Tables that read well in a notebook, in the book and in a terminal."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from sparrow.cost import bill, ledger, published
from sparrow.language import _
from sparrow.viz.words import energy, mass, money, number

__all__ = ["Table", "figures_table", "ledger_table"]


@dataclass(frozen=True)
class Table:
    """Rows of text under headers; `numeric` columns stand flush right."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    caption: str = ""

    def _repr_html_(self) -> str:
        head = "".join(self._cell("th", i, text) for i, text in enumerate(self.headers))
        body = "".join(
            "<tr>"
            + "".join(self._cell("td", i, text) for i, text in enumerate(row))
            + "</tr>"
            for row in self.rows
        )
        caption = f"<caption>{html.escape(self.caption)}</caption>"
        return (
            f"<table>{caption if self.caption else ''}"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _cell(self, tag: str, column: int, text: str) -> str:
        side = "right" if column in self.numeric else "left"
        scope = ' scope="col"' if tag == "th" else ""
        return f'<{tag}{scope} style="text-align: {side}">{html.escape(text)}</{tag}>'

    def __str__(self) -> str:
        widths = [
            max(len(row[i]) for row in (self.headers, *self.rows))
            for i in range(len(self.headers))
        ]
        lines = [self._line(row, widths) for row in (self.headers, *self.rows)]
        return "\n".join([*([self.caption] if self.caption else []), *lines])

    def __repr__(self) -> str:
        return str(self)

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = [
            text.rjust(width) if i in self.numeric else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()


def figures_table(figures: list[published.Figure]) -> Table:
    """Each published figure beside our own computation."""
    verdicts = {True: "✓", False: "✗", None: "–"}
    return Table(
        headers=[
            _("What"),
            _("How"),
            _("Computed"),
            _("Printed"),
            _("Unit"),
            _("Agrees"),
            _("Source"),
        ],
        rows=[
            [
                each.name,
                each.formula,
                f"{each.computed:.4g}",
                "" if each.published is None else f"{each.published:g}",
                each.unit,
                verdicts[each.agrees],
                each.source,
            ]
            for each in figures
        ],
        numeric=frozenset({2, 3}),
    )


def ledger_table(mine: ledger.Ledger) -> Table:
    """Every stage, what it cost, and which of its numbers are only assumed."""
    rows = [
        _ledger_row(each.stage, each.footprint(), each.machine_hours, each.assumed)
        for each in mine.entries
    ]
    hours = sum(each.machine_hours for each in mine.entries)
    rows.append(_ledger_row(_("Total"), ledger.total(mine), hours, ()))
    return Table(
        headers=[
            _("Stage"),
            _("Machine-hours"),
            _("Energy"),
            _("CO₂"),
            _("Money ({currency})", currency=mine.currency),
            _("Only assumed"),
        ],
        rows=rows,
        numeric=frozenset({1, 2, 3, 4}),
    )


def _ledger_row(
    name: str, cost: bill.Footprint, hours: float, assumed: tuple[str, ...]
) -> list[str]:
    return [
        name,
        number(hours),
        energy(cost.energy_kwh),
        mass(cost.co2_kg),
        money(cost.money),
        ", ".join(assumed),
    ]
