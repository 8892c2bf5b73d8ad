"""What every recipe is: named numbers that are checked, kept and compared.

A recipe is a frozen record. Each field made by `flag` is also a flag of its command.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import ClassVar, Literal, TypeVar

from sparrow.errors import ConfigError
from sparrow.language import _

__all__ = ["Moving", "Settings", "flag"]

Value = TypeVar("Value")


def flag(default: Value, about: str) -> Value:
    """A field with a default, and a word on what it is, which `--help` shows."""
    told: Value = field(default=default, metadata={"about": about})
    return told


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a run is: the same settings on the same machine give the same model."""

    # What may change when a run goes on: it decides when we look, not what is learned.
    FREE: ClassVar[tuple[str, ...]] = (
        "checkpoint_every_s",
        "checkpoint_every_steps",
        "evaluate_every_steps",
    )
    # Fields that take one of a few words.
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {}

    seed: int = flag(0, "Decides everything that is drawn.")
    steps: int = flag(2000, "How many steps.")
    checkpoint_every_s: float = flag(60.0, "Seconds between checkpoints.")
    checkpoint_every_steps: int = flag(0, "Steps between them; 0: only by clock.")
    evaluate_every_steps: int = flag(500, "Steps between looks at held-out text.")

    def __post_init__(self) -> None:
        """Check every number that could not work.

        Raises:
            ConfigError: the numbers contradict each other; the sentence names them.
        """
        for name, choices in self.CHOICES.items():
            if (got := getattr(self, name)) not in choices:
                raise ConfigError(
                    _(
                        '{name} must be one of {known}; got "{got}".',
                        name=name,
                        known=", ".join(choices),
                        got=got,
                    )
                )
        self.at_least(1, "steps")
        self.above_zero("checkpoint_every_s")

    def at_least(self, low: float, *names: str) -> None:
        """Refuse a field that is below `low`."""
        for name in names:
            if not (got := getattr(self, name)) >= low:
                raise ConfigError(
                    _(
                        "{name} must be at least {low}, got {got}.",
                        name=name,
                        low=low,
                        got=got,
                    )
                )

    def above_zero(self, *names: str) -> None:
        """Refuse a field that is not above zero."""
        for name in names:
            if not (got := getattr(self, name)) > 0:
                raise ConfigError(
                    _("{name} must be above 0, got {got}.", name=name, got=got)
                )

    def at_most_one(self, *names: str) -> None:
        """Refuse a field that is no part of one."""
        self.at_least(0, *names)
        for name in names:
            if getattr(self, name) > 1:
                raise ConfigError(_("{name} is a part of 1: at most 1.", name=name))

    def to_dict(self) -> dict[str, object]:
        """The fields as plain data, for checkpoints and manifests."""
        return asdict(self)

    def differences(self, told: dict[str, object]) -> list[str]:
        """Names of the fields that decide what is learned and differ from `told`."""
        mine = self.to_dict()
        return [
            name
            for name in self.names()
            if name not in self.FREE and mine[name] != told.get(name)
        ]

    @classmethod
    def names(cls) -> Iterable[str]:
        """The names of all fields."""
        return [each.name for each in fields(cls)]


@dataclass(frozen=True, kw_only=True)
class Moving(Settings):
    """How weights follow their gradients."""

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"optimizer": ("adamw", "muon")}

    optimizer: Literal["adamw", "muon"] = flag("adamw", "How weights follow.")
    learning_rate: float = flag(3e-3, "The largest step, after warming up.")
    warmup_steps: int = flag(50, "Steps until the rate is at its peak.")
    beta1: float = flag(0.9, "AdamW: memory of the gradient.")
    beta2: float = flag(0.95, "AdamW: memory of its square.")
    weight_decay: float = flag(0.1, "Pull of every matrix towards zero.")
    clip_norm: float = flag(1.0, "The longest gradient that is allowed.")

    def __post_init__(self) -> None:
        """Check every number that could not work."""
        super().__post_init__()
        self.above_zero("learning_rate", "clip_norm")
        self.at_least(0, "weight_decay")
