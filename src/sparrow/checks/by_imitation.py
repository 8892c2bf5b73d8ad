"""Drivers for conversations to imitate, and for the cold start that comes of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparrow.checks.protocol import Plain, artefact_in, plain

if TYPE_CHECKING:
    from sparrow.train.examples import Example

__all__ = ["admitted", "as_examples", "imitated"]


def as_examples(told: Sequence[Any]) -> "list[Example]":
    """Records of a case as examples."""
    from sparrow.train.examples import Example

    return [Example(tuple(each["prompt"]), tuple(each["answer"])) for each in told]


def imitated(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a function whose `examples` are conversations."""
    return plain(function(**{**inputs, "examples": as_examples(inputs["examples"])}))


def admitted(_claimed: Any, inputs: dict[str, Any]) -> Plain:
    """Open the evidence of lab 06, and measure again what the gate asks.

    `inputs` holds `artefact`, the bytes of the file as a tensor, or None; and `part`:
    "run" tells how the model came to be, "gate" what it does.

    Raises:
        CheckError: there is no file.
        CheckpointError: it is damaged, or holds a model that travels with the package.
    """
    from sparrow.rl import admission

    found = admission.read(artefact_in(inputs, admission.FILE))
    admission.refuse_shipped(found)
    if inputs["part"] == "run":
        return {"losses": plain(found.losses), "recipe": plain(found.recipe)}
    gate = admission.measured(found)
    return {
        "measured": {
            "pass1": gate.pass1.estimate,
            "pass8": gate.pass8.estimate,
            "entropy": gate.entropy,
            "degenerate": gate.degenerate_frac,
        },
        "warnings": list(gate.warnings()),
        "claim": plain(found.claim),
    }
