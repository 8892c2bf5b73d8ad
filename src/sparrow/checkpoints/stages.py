"""How each shipped model was made: one command each, every stage from the one before.

Everything that a command does not name is a recipe's default.
"""

from dataclasses import dataclass

__all__ = ["STAGES", "Stage"]


@dataclass(frozen=True)
class Stage:
    """One command, and the stage whose model it starts from."""

    command: tuple[str, ...]
    after: str = ""
    option: str = "--init"  # names the model that it starts from

    def words(self, first: str = "") -> list[str]:
        """The command; `first` replaces the shipped model that it starts from."""
        start = [self.option, first or self.after] if self.after else []
        return [*self.command, *start]


STAGES: dict[str, Stage] = {
    "pico-base": Stage(
        (
            *("pretrain", "--preset", "pico", "--steps", "1500", "--compile"),
            *("--batch-size", "16", "--micro-batch-size", "8", "--optimizer", "muon"),
        )
    ),
    "pico-cold-start": Stage(("sft", "--compile"), after="pico-base"),
    "pico-r1": Stage(("grpo",), after="pico-cold-start"),
    "pico-r1-zero": Stage(("grpo", "--style", "zero"), after="pico-base"),
}
