"""Models by name: a folder, one that travels with us, or one that was fetched."""

from pathlib import Path

from sparrow import assets, checkpoints
from sparrow.errors import CheckpointError
from sparrow.language import _

__all__ = ["folder_of"]


def folder_of(name: str) -> Path:
    """The folder of a model, for `Sparrow.from_pretrained` and `Tokenizer`.

    Args:
        name: a path, or a name such as `pico-base` or `smollm2`.

    Raises:
        CheckpointError: there is no such model.
        AssetError: it has to be fetched first; the sentence says how.
    """
    if name in assets.ASSETS:
        return assets.find(name)
    if Path(name).is_dir():
        return Path(name)
    if not (checkpoints.FOLDER / name / checkpoints.MANIFEST).is_file():
        raise CheckpointError(
            _(
                'There is no model "{name}", and no folder of that name: choose from '
                "{known}, or name a checkpoint folder.",
                name=name,
                known=", ".join([*assets.ASSETS, *checkpoints.names()]),
            )
        )
    return checkpoints.find(name)
