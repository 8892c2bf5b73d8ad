"""All that a run is: the same recipe on the same machine gives the same model."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from sparrow.config import Config
from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.train.settings import Moving, flag

__all__ = ["Learning", "Recipe"]


@dataclass(frozen=True, kw_only=True)
class Learning(Moving):
    """How a model learns from rows of text, whatever they say.

    The defaults follow DeepSeek-V3 (arXiv:2412.19437, section 4.2) where a small model
    allows it: 0.9 and 0.95 for AdamW, decay 0.1, clipping at 1, MTP weight 0.3,
    sequence balance 0.0001. Rate, bias speed and schedule are our own choice,
    measured (book/developer/log.md).
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        **Moving.CHOICES,
        "precision": ("auto", "fp32", "bf16", "fp16"),
    }

    batch_size: int = flag(32, "Rows of text a step, over all processes.")
    micro_batch_size: int = flag(0, "Rows at a time, to save memory; 0: all.")
    length: int = flag(256, "Tokens a row.")

    decay_frac: float = flag(0.3, "The part of all steps that goes down again.")
    floor_frac: float = flag(0.05, "The last rate, as a part of the peak.")

    bias_speed: float = flag(0.01, "Step of the experts' selection bias; 0: none.")
    balance_weight: float = flag(1e-4, "Weight of the sequence balance loss.")
    mtp_weight: float = flag(0.3, "Weight of multi-token prediction.")

    precision: Literal["auto", "fp32", "bf16", "fp16"] = flag(
        "auto", "Numbers to compute in; auto: what the device is made for."
    )
    compile: bool = flag(False, "Fuse small steps; needs a C++ compiler.")

    def __post_init__(self) -> None:
        """Check every number that could not work."""
        super().__post_init__()
        self.at_least(1, "batch_size")
        self.at_least(2, "length")
        self.at_least(0, "micro_batch_size", "bias_speed", "mtp_weight")
        self.at_most_one("decay_frac", "floor_frac")
        self._check_schedule()

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

    def check_length(self, model: Config) -> None:
        """Refuse rows that this model cannot read."""
        limit = model.max_position_embeddings
        further = model.num_nextn_predict_layers
        if not further + 1 < self.length <= limit:
            raise ConfigError(
                _(
                    "length must be in {low}..{high} for this model, got {got}.",
                    low=further + 2,
                    high=limit,
                    got=self.length,
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


@dataclass(frozen=True, kw_only=True)
class Recipe(Learning):
    """What to pretrain, on what, and how: the flags of `sparrow pretrain`."""

    model: Config = field(default_factory=lambda: Config.preset("pico"))
    corpus: str = flag("pico", "What to read: pico, or a file or folder of text.")
    corpus_mb: float = flag(8.0, "How much of it, in millions of bytes.")
    tokenizer: str = flag("", "Folder of a tokenizer; empty: learn one first.")

    def __post_init__(self) -> None:
        """Check every number that could not work."""
        super().__post_init__()
        self.above_zero("corpus_mb")
        self.check_length(self.model)
