"""A trained model in one file, for whoever grades: it is asked again, not believed.

Every lab that leaves a model adds to `HandedIn` what else its file tells.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sparrow import checkpoints
from sparrow.config import Config
from sparrow.errors import CheckpointError, ConfigError
from sparrow.language import _
from sparrow.model import Sparrow
from sparrow.text import Tokenizer
from sparrow.train import state

__all__ = [
    "HandedIn",
    "Weights",
    "config_of",
    "damage_in_words",
    "fields",
    "leave",
    "of_model",
    "opened",
    "pack",
    "refuse_shipped",
    "same_shapes",
    "unpack",
]

Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class HandedIn:
    """A learner's model, how it came to be, and what the learner says of it."""

    weights: Weights
    config: dict[str, Any]
    recipe: dict[str, Any]  # with the learner's own seed
    claim: dict[str, Any]

    def model(self) -> Sparrow:
        """The model itself, ready to answer.

        Raises:
            CheckpointError: the weights are not those of the configuration.
        """
        with damage_in_words():
            model = Sparrow(config_of(self.config))
            model.load_state_dict(self.weights)
        return model.eval()


def opened(folder: Path) -> tuple[Sparrow, Tokenizer]:
    """A model with its tokenizer, ready to answer."""
    return Sparrow.from_pretrained(folder).eval(), Tokenizer(folder)


def leave(
    path: Path, *, run: Path, claim: Mapping[str, Any], more: Mapping[str, Any]
) -> Path:
    """Write the model of a finished run.

    Args:
        path: the file to write.
        run: the run's folder.
        claim: what the learner found.
        more: what else the file tells of the run, as plain data.

    Raises:
        CheckpointError: the run has not ended yet.
    """
    if not (run / "model" / "tokenizer.json").is_file():
        raise CheckpointError(
            _("{folder} holds no finished run: let it come to its end.", folder=run)
        )
    model = Sparrow.from_pretrained(run / "model")
    # Copies: tied weights share their memory, and a file of tensors may not.
    tensors = {
        f"model.{name}": each.clone() for name, each in model.state_dict().items()
    }
    told = {
        **more,
        "config": model.config.to_dict(),
        "recipe": json.loads((run / "recipe.json").read_bytes()),
        "claim": dict(claim),
    }
    return pack(path, tensors, told)


def fields(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a `HandedIn`, and all that the file tells; nothing is believed.

    To be called within `damage_in_words`, as what is made of it.
    """
    told, tensors = unpack(data)
    found = {name: dict(told[name]) for name in ("config", "recipe", "claim")}
    return {"weights": of_model(tensors), **found}, told


def pack(path: Path, tensors: Weights, told: Mapping[str, Any]) -> Path:
    """Write tensors and plain data as one file."""
    state.write_whole(path, save(tensors, metadata={"evidence": json.dumps(told)}))
    return path


def unpack(data: bytes) -> tuple[dict[str, Any], Weights]:
    """The plain data and the tensors in a file; call it within `damage_in_words`."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return dict(json.loads(header["__metadata__"]["evidence"])), load(data)


@contextmanager
def damage_in_words() -> Iterator[None]:
    """Whatever goes wrong with a file that nobody vouches for is one sentence.

    Raises:
        CheckpointError: the file is damaged, or holds something else.
    """
    try:
        yield
    except (
        *(SafetensorError, ConfigError, RuntimeError),
        *(LookupError, ValueError, TypeError),
    ) as error:
        raise CheckpointError(
            _("the file that the lab leaves is damaged ({reason}).", reason=error)
        ) from error


def config_of(told: Mapping[str, Any]) -> Config:
    """A configuration from its plain data; what is None was not set."""
    return Config(**{name: each for name, each in told.items() if each is not None})


def of_model(tensors: Mapping[str, Tensor]) -> Weights:
    """The weights of the model among the tensors of a file."""
    return {
        name.removeprefix("model."): each
        for name, each in tensors.items()
        if name.startswith("model.")
    }


def refuse_shipped(
    weights: Weights, *, before: str, hardly: float, alike: float
) -> None:
    """The models that travel with the package are nobody's own work.

    Two runs with different seeds go different ways from where they began. A shipped
    model that was mixed with its beginning, or has a little noise, went the same way.

    Args:
        weights: of the learner's model.
        before: name of the model that the lab starts from.
        hardly: as a part of its size; who goes less far has not trained.
        alike: cosine between two ways from `before`; above, it is the same run.

    Raises:
        CheckpointError: it is, or nearly is, such a model.
    """
    start = _shipped(before)
    if not same_shapes(weights, start):
        return  # another kind of model: it says itself whether it can be asked
    way = _difference(weights, start)
    for name in checkpoints.names():
        other = start if name == before else _shipped(name)
        if not same_shapes(start, other):
            continue
        if name == before:
            is_own = _length(way) > hardly * _length(start)
        else:
            is_own = _likeness(way, _difference(other, start)) < alike
        if not is_own:
            raise CheckpointError(
                _(
                    "This is {name}, a model that travels with the package, or nearly "
                    "so: leave the run that you trained, with a seed of your own.",
                    name=name,
                )
            )


def same_shapes(one: Weights, other: Weights) -> bool:
    """Whether both are weights of the same kind of model."""
    return one.keys() == other.keys() and all(
        one[name].shape == other[name].shape for name in one
    )


def _shipped(name: str) -> Weights:
    return Sparrow.from_pretrained(checkpoints.find(name)).state_dict()


def _difference(one: Weights, other: Weights) -> Weights:
    """The way from `other` to `one`, weight by weight."""
    return {name: each.double() - other[name].double() for name, each in one.items()}


def _length(way: Weights) -> float:
    return sum(float((each.double() ** 2).sum()) for each in way.values()) ** 0.5


def _likeness(one: Weights, other: Weights) -> float:
    """The cosine between two ways: 1 if they go in the same direction."""
    both = sum(float((each * other[name]).sum()) for name, each in one.items())
    return both / max(_length(one) * _length(other), 1e-30)
