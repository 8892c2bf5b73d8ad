"""Score what a model wrote, in named parts: format, legality, correctness."""

from dataclasses import dataclass
from typing import Literal

from sparrow.language import _
from sparrow.text.chat import END
from sparrow.verify.problem import Problem

__all__ = ["Form", "Score", "find_answer", "score"]

Form = Literal["tags", "line", "told"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a completion earns, and why it does not earn more."""

    reward: float  # in 0..1: the correctness, and nothing for style
    format: bool  # there is exactly one answer, where it should be
    legality: bool  # the answer keeps the rules
    correctness: float
    answer: str | None
    why: str = ""


def score(problem: Problem, completion: str, *, form: Form = "tags") -> Score:
    """Score one completion; any text at all gets a score, in bounded time.

    Args:
        problem: what was asked.
        completion: what the model wrote after the question.
        form: tags: a thought, then `<answer>…</answer>`; told: the same, from a model
            that has to be told so; line: the first line is the answer, as a base
            model writes it that was never shown tags.
    """
    # 1. Find the one answer.
    if form == "line":
        first, newline, _rest = completion.replace(END, "\n").partition("\n")
        answer, why = (first.strip(), "") if newline else (None, _no_end())
    else:
        answer, why = find_answer(completion)
    if answer is None:
        return Score(
            reward=0.0,
            format=False,
            legality=False,
            correctness=0.0,
            answer=None,
            why=why,
        )
    # 2. Let the problem judge it.
    judged = problem.judge(answer)
    # 3. Only a right answer is worth anything.
    return Score(
        reward=judged.correctness,
        format=True,
        legality=judged.legality,
        correctness=judged.correctness,
        answer=answer,
        why=judged.why,
    )


def find_answer(completion: str) -> tuple[str | None, str]:
    """The text inside `<answer>…</answer>`, if the format is kept.

    `<think>` may stand at the beginning (or be part of the prompt); then come one
    `</think>` and one answer, and nothing after it.

    Returns:
        The answer and an empty text, or None and what is wrong.
    """
    # 1. Each tag comes exactly once, so nobody can offer two answers.
    for tag in ("</think>", "<answer>", "</answer>"):
        if (got := completion.count(tag)) != 1:
            return None, _("{tag} comes {got} times, not once.", tag=tag, got=got)
    # 2. The opening tag may be there once, and then at the very beginning.
    text = completion.strip().removesuffix(END).strip().removeprefix("<think>")
    if "<think>" in text:
        return None, _("<think> stands in the wrong place.")
    # 3. After the thought comes the answer, and nothing else.
    _thought, _tag, rest = text.partition("</think>")
    rest = rest.strip()
    if not (rest.startswith("<answer>") and rest.endswith("</answer>")):
        return None, _("something stands between or after the thought and the answer.")
    answer = rest.removeprefix("<answer>").removesuffix("</answer>").strip()
    return answer, ""


def _no_end() -> str:
    return _("the answer's line does not end.")
