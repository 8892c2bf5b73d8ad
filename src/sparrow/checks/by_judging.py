"""The drivers of lab 05: answers inside a text, and answers that a lab left."""

from typing import Any

from sparrow.checks.protocol import Plain, artefact_in, plain

__all__ = ["answer_found", "judged_again"]


def answer_found(function: Any, inputs: dict[str, Any]) -> Plain:
    """Look for the answer in `completion`.

    Returns:
        `{"answer": text or None, "says": whether a reason is given}`; what is no pair,
        as it is.
    """
    found = function(inputs["completion"])
    if not isinstance(found, tuple) or len(found) != 2:
        return plain(found)
    return {"answer": plain(found[0]), "says": found[1] not in ("", None)}


def judged_again(_claimed: Any, inputs: dict[str, Any]) -> Plain:
    """Open what lab 05 left, and judge every text again.

    Raises:
        CheckError: there is no file.
        CheckpointError: it is damaged.
    """
    from sparrow.evaluate import evidence

    found = evidence.read(artefact_in(inputs, evidence.FILE))
    return {
        "a": plain(evidence.right(found.a)),
        "b": plain(evidence.right(found.b)),
        "different": found.a != found.b,
        "said": plain(found.said),
    }
