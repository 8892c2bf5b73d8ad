"""All that a run of distillation is."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from sparrow.train.settings import flag
from sparrow.train.sft import Imitating

__all__ = ["DistillRecipe", "Method"]

Method = Literal["hard", "forward", "reverse"]


@dataclass(frozen=True, kw_only=True)
class DistillRecipe(Imitating):
    """Whom to learn from, and what: the flags of `sparrow distill`."""

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        **Imitating.CHOICES,
        "method": ("hard", "forward", "reverse"),
    }

    teacher: str = flag("pico-r1", "Model to learn from: a folder or a shipped one.")
    method: Method = flag(
        "hard",
        "hard: its right answers; forward, reverse: its probabilities on them.",
    )
    temperature: float = flag(1.0, "How boldly the teacher answers.")
    softness: float = flag(1.0, "Above 1, unlikely tokens count more; for soft ones.")
    numbers: int = flag(3, "Numbers a problem; more are harder.")
    largest: int = flag(12, "The largest number given.")
    problems: int = flag(12_000, "Problems to ask the teacher.")
    samples: int = flag(2, "Answers to each.")
    most: int = flag(2, "Right answers to keep of each problem.")
    max_new_tokens: int = flag(192, "The longest answer, in tokens.")
    length: int = flag(224, "Tokens a row.")

    def __post_init__(self) -> None:
        """Check every number that could not work."""
        super().__post_init__()
        self.at_least(1, "problems", "samples", "most", "max_new_tokens")
        self.above_zero("temperature", "softness")
