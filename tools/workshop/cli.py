"""The instructor's command: build, grade, draw and check a workshop.

To add a command, add one line to the table: its name, and where it lives. Its module
should import what is slow (torch, nbgrader, Jupyter) inside functions, since
`workshop --help` imports every module of the table.
"""

import click

from sparrow.cli.group import LazyGroup

__all__ = ["main"]


@click.group(
    cls=LazyGroup,
    commands_at={
        "doctor": "workshop.doctor:doctor",
        "hub": "workshop.hub.command:hub",
        "roster": "workshop.classroom.command:roster",
        "rehearse": "workshop.rehearsal.command:rehearse",
        "submissions": "workshop.exchange.command:submissions",
        "board": "workshop.board.command:board",
        "build": "workshop.build.command:build",
        "book": "workshop.book:book",
        "grade": "workshop.grading.command:grade",
        "marks": "workshop.marks:marks",
        "checkpoint": "workshop.checkpoints:checkpoint",
        "architecture": "workshop.architecture:architecture",
        "sizes": "workshop.sizes:sizes",
        "translate": "workshop.translate:translate",
    },
)
@click.version_option(package_name="sparrow-workshop")
def main() -> None:
    """Run a Sparrow workshop: check the machine, build the book, grade the labs."""
