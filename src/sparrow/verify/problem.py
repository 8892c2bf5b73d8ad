"""What a problem must be able to do: ask, and judge an answer."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Judgement", "Problem"]


@dataclass(frozen=True)
class Judgement:
    """What is right about an answer, and one sentence on what is not."""

    legality: bool  # it keeps the rules of its problem
    correctness: float  # 1: it solves the problem; 0: it does not
    why: str = ""


class Problem(Protocol):
    """A question with a rule that decides whether an answer is right."""

    @property
    def family(self) -> str:
        """What kind of problem it is, such as `countdown`."""

    @property
    def question(self) -> str:
        """What the model is asked."""

    def judge(self, answer: str) -> Judgement:
        """Judge any text at all, in bounded time; never raises."""
