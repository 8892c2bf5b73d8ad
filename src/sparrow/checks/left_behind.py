"""The driver for a file that a lab leaves: no cell of the learner runs beside it."""

from typing import Any

from sparrow.checks.protocol import Plain, artefact_in, plain

__all__ = ["left_behind"]


def left_behind(_claimed: Any, inputs: dict[str, Any]) -> Plain:
    """Open the evidence of lab 04, and measure everything again.

    `inputs` holds `artefact`, the bytes of the file as a tensor, or None; and `part`:
    "survival" compares the two runs, "bits" measures the models.

    Raises:
        CheckError: there is no file.
        CheckpointError: it is damaged, or holds a model that travels with the package.
    """
    from sparrow.train import evidence, state

    found = evidence.read(artefact_in(inputs, evidence.FILE))
    evidence.refuse_shipped(found)
    if inputs["part"] == "survival":
        return {
            "equal": state.fingerprint(found.alone) == state.fingerprint(found.resumed),
            "alone": plain(found.losses["alone"]),
            "resumed": plain(found.losses["resumed"]),
            "weights": state.fingerprint(found.alone),
        }
    return {"bits": plain(evidence.measured(found)), "claim": found.claim}
