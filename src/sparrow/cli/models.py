"""A model that a command asks: named by a flag, and ready on this machine's device."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sparrow.model import Sparrow
    from sparrow.text import Tokenizer

__all__ = ["model_flag", "opened"]

model_flag = click.option(
    "--model",
    "name",
    default="smollm2",
    show_default=True,
    help="smollm2, a shipped model, or a checkpoint folder.",
)


def opened(name: str) -> "tuple[Sparrow, Tokenizer]":
    """A model in the precision that this machine computes in, and its tokenizer.

    Raises:
        CheckpointError: there is no such model.
        AssetError: it has to be fetched first.
    """
    # Late: torch takes a second to import, and --help should not wait for it.
    from sparrow import runtime
    from sparrow.model import Sparrow, named
    from sparrow.text import Tokenizer

    folder, where = named.folder_of(name), runtime.device()
    model = Sparrow.from_pretrained(folder).to(where, runtime.compute_dtype(where))
    return model, Tokenizer(folder)
