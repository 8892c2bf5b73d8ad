"""Drivers for what a teacher wrote, and for the student that learned from it."""

from types import SimpleNamespace
from typing import Any

from sparrow.checks.protocol import Plain, artefact_in, plain

__all__ = ["asked_each", "kept", "taught"]


def kept(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a function that chooses among answers; problems and scores become records.

    `inputs` holds `questions`; `texts` and `rewards`, a list for each question; and
    `most`.
    """
    from sparrow.decode import Completion
    from sparrow.evaluate.run import Answers
    from sparrow.verify import Score

    def judged(reward: float) -> Score:
        return Score(
            reward=reward, format=True, legality=True, correctness=reward, answer=""
        )

    answers = Answers(
        tuple(SimpleNamespace(question=each) for each in inputs["questions"]),
        tuple(map(tuple, inputs["texts"])),
        tuple(tuple(map(judged, row)) for row in inputs["rewards"]),
        tuple(tuple(Completion() for _text in row) for row in inputs["texts"]),
    )
    found = function(answers, inputs["most"])
    return plain(list(found) if isinstance(found, tuple) else found)


def asked_each(function: Any, inputs: dict[str, Any]) -> Plain:
    """Call a function with each of `questions`, and answer with all it says."""
    return [plain(function(each)) for each in inputs["questions"]]


def taught(_claimed: Any, inputs: dict[str, Any]) -> Plain:
    """Open the evidence of lab 08, and examine the student again.

    `inputs` holds `artefact`, the bytes of the file as a tensor, or None; and `part`:
    "bill" tells what the student cost, "difference" also what it knows.

    Raises:
        CheckError: there is no file.
        CheckpointError: it is damaged, or holds a model that travels with the package.
    """
    from sparrow.distill import evidence

    found = evidence.read(artefact_in(inputs, evidence.FILE))
    evidence.refuse_shipped(found)
    told = {"work": plain(found.work), "recipe": plain(found.recipe)}
    if inputs["part"] == "bill":
        return told
    shares = plain(evidence.measured(found))
    return {**told, "shares": shares, "claim": plain(found.claim)}
