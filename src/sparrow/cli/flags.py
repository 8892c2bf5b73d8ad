"""Every field of a recipe is a flag: one definition, so the two cannot differ."""

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

import click

from sparrow.train.settings import Settings

__all__ = ["flags_of"]

Command = Callable[..., None]


def flags_of(recipe: type[Settings]) -> Callable[[Command], Command]:
    """All flags of a recipe: its own first, then those that all recipes share."""

    def add(command: Command) -> Command:
        order = [each for each in fields(recipe) if "about" in each.metadata]
        shared = Settings.names()
        order.sort(key=lambda each: each.name in shared)
        for each in reversed(order):
            command = _flag(each, recipe)(command)
        return command

    return add


def _flag(each: "Field[Any]", recipe: type[Settings]) -> Callable[[Any], Any]:
    """The option that sets one field."""
    name = f"--{each.name.replace('_', '-')}"
    about = each.metadata["about"]
    if isinstance(each.default, bool):
        return click.option(f"{name}/--no-{name[2:]}", default=each.default, help=about)
    choices = recipe.CHOICES.get(each.name)
    return click.option(
        name,
        type=click.Choice(choices) if choices else type(each.default),
        default=each.default,
        show_default=each.default != "",
        help=about,
    )
