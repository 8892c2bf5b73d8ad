"""How each shipped model was made: one command each, every stage from those before.

Everything that a command does not name is a recipe's default.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["STAGES", "Stage"]


@dataclass(frozen=True)
class Stage:
    """One command, and the models that it starts from, each by its option."""

    command: tuple[str, ...]
    models: Mapping[str, str] = field(default_factory=dict)

    def words(self, place: Callable[[str], str] = str) -> list[str]:
        """The command; `place` says where the model of an earlier stage is."""
        found = list(self.command)
        for option, model in self.models.items():
            found += [option, place(model)]
        return found


STAGES: dict[str, Stage] = {
    "pico-base": Stage(
        (
            *("pretrain", "--preset", "pico", "--steps", "1500", "--compile"),
            *("--batch-size", "16", "--micro-batch-size", "8", "--optimizer", "muon"),
        )
    ),
    "pico-cold-start": Stage(("sft", "--compile"), {"--init": "pico-base"}),
    "pico-r1": Stage(("grpo",), {"--init": "pico-cold-start"}),
    "pico-r1-zero": Stage(
        ("grpo", "--style", "zero", "--no-gate"), {"--init": "pico-base"}
    ),
    "pico-distilled": Stage(
        ("distill", "--compile"), {"--init": "pico-base", "--teacher": "pico-r1"}
    ),
}
