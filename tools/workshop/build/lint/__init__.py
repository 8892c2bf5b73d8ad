"""Hold a lab to the rules of how a lab is written; every finding says what to do."""

from sparrow.language import _
from workshop.build.failures import SourceError
from workshop.build.lint import code, hints, prose, whole
from workshop.build.lint.code import AIM_LINES
from workshop.build.source import Cell, Lab

__all__ = ["AIM_LINES", "check", "findings", "long_cells"]


def check(lab: Lab) -> None:
    """Refuse a lab that breaks a rule.

    Raises:
        SourceError: with all findings, one a line.
    """
    if found := findings(lab):
        raise SourceError("\n".join(found))


def findings(lab: Lab) -> list[str]:
    """Every broken rule, with the file, the line and the number of the cell."""
    found = []
    for at, cell in enumerate(lab.cells):
        rules = [code if cell.kind == "code" else prose]
        if cell.metadata.get("kind") == "build":
            rules.append(hints)
        try:
            broken = [each for rule in rules for each in rule.findings(lab, at)]
        except SourceError as error:  # there is no such function to cut
            broken = [str(error)]
        found += [_where(lab, cell, at, each) for each in broken]
    found += [f"{lab.path.name}: {each}" for each in whole.findings(lab)]
    return found


def long_cells(lab: Lab) -> int:
    """How many code cells have more lines than we aim at; worth knowing, no fault."""
    return sum(
        len(cell.text.splitlines()) > AIM_LINES
        for cell in lab.cells
        if cell.kind == "code"
    )


def _where(lab: Lab, cell: Cell, at: int, broken: str) -> str:
    return _(
        "{file}:{line}: cell {number}: {broken}",
        file=lab.path.name,
        line=cell.line,
        number=at + 1,
        broken=broken,
    )
