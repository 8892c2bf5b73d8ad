"""All that a run is: the same recipe on the same machine gives the same model."""

from dataclasses import asdict, dataclass, field, fields
from typing import Literal, TypeVar

from sparrow.config import Config
from sparrow.errors import ConfigError
from sparrow.language import _

__all__ = ["FREE", "Recipe"]

Value = TypeVar("Value")
# What may change when a run goes on: it decides when we look, not what is learned.
FREE = ("checkpoint_every_s", "checkpoint_every_steps", "evaluate_every_steps")
CHOICES = {
    "optimizer": ("adamw", "muon"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
}


def _flag(default: Value, about: str) -> Value:
    """A field with a default, and a word on what it is, which `--help` shows."""
    told: Value = field(default=default, metadata={"about": about})
    return told


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to train, on what, and how. Each field is also a flag of `sparrow pretrain`.

    The defaults follow DeepSeek-V3 (arXiv:2412.19437, section 4.2) where a small model
    allows it: 0.9 and 0.95 for AdamW, decay 0.1, clipping at 1, MTP weight 0.3,
    sequence balance 0.0001. Rate, bias speed and schedule are our own choice,
    measured (book/developer/log.md).

    Raises:
        ConfigError: the numbers contradict each other; the sentence names them.
    """

    model: Config = field(default_factory=lambda: Config.preset("pico"))
    corpus: str = _flag("pico", "What to read: pico, or a file or folder of text.")
    corpus_mb: float = _flag(8.0, "How much of it, in millions of bytes.")
    tokenizer: str = _flag("", "Folder of a tokenizer; empty: learn one first.")
    seed: int = _flag(0, "Decides the first weights and the order of the text.")

    steps: int = _flag(2000, "How many steps.")
    batch_size: int = _flag(32, "Rows of text a step, over all processes.")
    micro_batch_size: int = _flag(0, "Rows at a time, to save memory; 0: all.")
    length: int = _flag(256, "Tokens a row.")

    optimizer: Literal["adamw", "muon"] = _flag("adamw", "How weights follow.")
    learning_rate: float = _flag(3e-3, "The largest step, after warming up.")
    warmup_steps: int = _flag(50, "Steps until the rate is at its peak.")
    decay_frac: float = _flag(0.3, "The part of all steps that goes down again.")
    floor_frac: float = _flag(0.05, "The last rate, as a part of the peak.")
    beta1: float = _flag(0.9, "AdamW: memory of the gradient.")
    beta2: float = _flag(0.95, "AdamW: memory of its square.")
    weight_decay: float = _flag(0.1, "Pull of every matrix towards zero.")
    clip_norm: float = _flag(1.0, "The longest gradient that is allowed.")

    bias_speed: float = _flag(0.01, "Step of the experts' selection bias; 0: none.")
    balance_weight: float = _flag(1e-4, "Weight of the sequence balance loss.")
    mtp_weight: float = _flag(0.3, "Weight of multi-token prediction.")

    precision: Literal["auto", "fp32", "bf16", "fp16"] = _flag(
        "auto", "Numbers to compute in; auto: what the device is made for."
    )
    compile: bool = _flag(False, "Fuse small steps; needs a C++ compiler.")

    checkpoint_every_s: float = _flag(60.0, "Seconds between checkpoints.")
    checkpoint_every_steps: int = _flag(0, "Steps between them; 0: only by clock.")
    evaluate_every_steps: int = _flag(500, "Steps between looks at held-out text.")

    def __post_init__(self) -> None:
        """Check every number that could not work."""
        for name, choices in CHOICES.items():
            if (got := getattr(self, name)) not in choices:
                raise ConfigError(
                    _(
                        '{name} must be one of {known}; got "{got}".',
                        name=name,
                        known=", ".join(choices),
                        got=got,
                    )
                )
        for name in ("steps", "batch_size", "length"):
            self._at_least(name, 2 if name == "length" else 1)
        for name in ("micro_batch_size", "bias_speed", "mtp_weight"):
            self._at_least(name, 0)
        for name in ("learning_rate", "clip_norm", "corpus_mb", "checkpoint_every_s"):
            self._above_zero(name)
        for name in ("decay_frac", "floor_frac"):
            self._at_least(name, 0)
            if getattr(self, name) > 1:
                raise ConfigError(_("{name} is a part of 1: at most 1.", name=name))
        self._check_schedule()
        self._check_length()

    def _check_schedule(self) -> None:
        if self.warmup_steps < 1:
            raise ConfigError(
                _(
                    "this schedule never warms up: AdamW knows nothing yet in its "
                    "first steps, and full ones would throw the weights about. Let "
                    "warmup_steps be at least 1, got {got}.",
                    got=self.warmup_steps,
                )
            )
        if self.warmup_steps + self.decay_steps > self.steps:
            raise ConfigError(
                _(
                    "the schedule does not fit: {warmup} steps of warm-up and {decay} "
                    "of decay are more than all {steps} steps; lower warmup_steps or "
                    "decay_frac, or take more steps.",
                    warmup=self.warmup_steps,
                    decay=self.decay_steps,
                    steps=self.steps,
                )
            )

    def _check_length(self) -> None:
        limit = self.model.max_position_embeddings
        further = self.model.num_nextn_predict_layers
        if not further + 1 < self.length <= limit:
            raise ConfigError(
                _(
                    "length must be in {low}..{high} for this model, got {got}.",
                    low=further + 2,
                    high=limit,
                    got=self.length,
                )
            )

    def _at_least(self, name: str, low: float) -> None:
        if getattr(self, name) < low:
            raise ConfigError(
                _(
                    "{name} must be at least {low}, got {got}.",
                    name=name,
                    low=low,
                    got=getattr(self, name),
                )
            )

    def _above_zero(self, name: str) -> None:
        if not getattr(self, name) > 0:
            raise ConfigError(
                _(
                    "{name} must be above 0, got {got}.",
                    name=name,
                    got=getattr(self, name),
                )
            )

    @property
    def decay_steps(self) -> int:
        """How many steps the rate goes down for."""
        return round(self.decay_frac * self.steps)

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one step reads, over all processes."""
        return self.batch_size * self.length

    def to_dict(self) -> dict[str, object]:
        """The fields as plain data, for checkpoints and manifests."""
        return asdict(self)

    def differences(self, told: dict[str, object]) -> list[str]:
        """Names of the fields that decide what is learned and differ from `told`."""
        mine = self.to_dict()
        return [
            each.name
            for each in fields(self)
            if each.name not in FREE and mine[each.name] != told.get(each.name)
        ]
