"""The driver for a model that reward changed: it answers again, beside no cell."""

from typing import Any

from sparrow.checks.protocol import Plain, artefact_in, plain

__all__ = ["rewarded"]


def rewarded(_claimed: Any, inputs: dict[str, Any]) -> Plain:
    """Open the evidence of lab 07, and let the model answer the examination.

    `inputs` holds `artefact`, the bytes of the file as a tensor, or None; and `part`:
    "run" tells how the model came to be, "gain" what it solves before and after.

    Raises:
        CheckError: there is no file.
        CheckpointError: it is damaged, or holds a model that travels with the package.
    """
    from sparrow.rl import evidence

    found = evidence.read(artefact_in(inputs, evidence.FILE))
    evidence.refuse_shipped(found)
    if inputs["part"] == "run":
        return {"rewards": plain(found.rewards), "recipe": plain(found.recipe)}
    return {"solved": plain(evidence.measured(found)), "claim": plain(found.claim)}
