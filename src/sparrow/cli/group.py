"""A command whose parts are imported only when they are called, and whose errors are
one sentence.
"""

import importlib
from typing import Any

import click

from sparrow import runtime
from sparrow.errors import SparrowError

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group that knows where each command lives: name -> "module:attribute"."""

    def __init__(self, *args: Any, commands_at: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command now."""
        if cmd_name not in self.commands_at:
            return None
        module, attribute = self.commands_at[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run; an error that was raised on purpose becomes one sentence."""
        runtime.use_language()
        try:
            return super().invoke(ctx)
        except SparrowError as error:
            click.echo(str(error), err=True)
            ctx.exit(error.exit_status)
