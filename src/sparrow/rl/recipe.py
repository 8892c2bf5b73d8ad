"""All that a run of reinforcement learning is."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from sparrow.errors import ConfigError
from sparrow.language import _
from sparrow.rl.shares import KINDS, Kind
from sparrow.train.settings import Moving, flag
from sparrow.verify import Form

__all__ = ["FIRST_MODEL", "Control", "GrpoRecipe", "Overlong", "Style"]

Style = Literal["r1", "zero", "told"]
Control = Literal["none", "random", "inverted", "shuffled"]
Overlong = Literal["keep", "mask", "penalty"]
# Where each style begins, if nothing else is said.
FIRST_MODEL: dict[Style, str] = {
    "r1": "pico-cold-start",
    "zero": "pico-base",
    "told": "smollm2",
}
FORMS: dict[Style, Form] = {"r1": "tags", "zero": "line", "told": "told"}


@dataclass(frozen=True, kw_only=True)
class GrpoRecipe(Moving):
    """What to ask, what to reward, and how to learn: the flags of `sparrow grpo`.

    The defaults are DAPO's (arXiv:2503.14476) where they have been found to matter: no
    KL, a higher upper clip, every token alike, groups without signal left out. Rate
    and sizes are our own choice, measured (book/developer/log.md).
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        **Moving.CHOICES,
        "style": ("r1", "zero", "told"),
        "kind": KINDS,
        "overlong": ("keep", "mask", "penalty"),
        "control": ("none", "random", "inverted", "shuffled"),
    }

    style: Style = flag(
        "r1",
        "r1: after a cold start, in tags; zero: from a base model, on plain lines; "
        "told: a language model that is told to use tags.",
    )
    init: str = flag("", "Model to start from; empty: the shipped one of the style.")
    family: str = flag("countdown", "Problems: countdown, or one of reasoning-gym.")
    numbers: int = flag(3, "Countdown: numbers a problem; more are harder.")
    largest: int = flag(12, "Countdown: the largest number given.")

    questions: int = flag(32, "Questions a step, over all processes.")
    group_size: int = flag(8, "Answers to each question.")
    max_new_tokens: int = flag(192, "The longest answer, in tokens.")
    temperature: float = flag(1.0, "How boldly answers are drawn.")
    refill: int = flag(0, "Times to draw again for groups without signal.")

    control: Control = flag("none", "A control: what the reward is replaced by.")
    format_weight: float = flag(0.0, "Extra reward for keeping the format.")
    language_weight: float = flag(0.0, "Extra reward for staying in one language.")
    language: str = flag("en", "Which language.")
    overlong: Overlong = flag("keep", "Answers without an end: keep, mask, penalty.")

    kind: Kind = flag("dapo", "The loss.")
    scale: bool = flag(True, "Divide by the spread of each group.")
    clip_low: float = flag(0.2, "How far below 1 a ratio counts.")
    clip_high: float = flag(0.28, "How far above 1 a ratio counts.")
    beta: float = flag(0.0, "Weight of the distance to the reference.")
    reference_every: int = flag(0, "Steps until the reference is renewed; 0: never.")
    updates: int = flag(1, "Moves of the weights for each batch of answers.")
    micro_batch_tokens: int = flag(2048, "Tokens at a time, to save memory.")

    learning_rate: float = flag(2e-4, "The size of a step, after warming up.")
    warmup_steps: int = flag(5, "Steps until the rate is there.")
    decay_frac: float = flag(0.5, "The part of all steps that goes down again.")
    floor_frac: float = flag(0.1, "The last rate, as a part of the peak.")
    weight_decay: float = flag(0.0, "Pull of every matrix towards zero.")

    steps: int = flag(160, "How many steps.")
    evaluate_every_steps: int = flag(20, "Steps between examinations.")
    examined: int = flag(200, "Held-out problems in an examination.")
    gate: bool = flag(True, "Refuse a model that has little chance to learn.")
    hopeless_steps: int = flag(20, "Stop after so many steps without any reward.")

    def __post_init__(self) -> None:
        """Check every number that could not work."""
        super().__post_init__()
        if not self.init:  # said in full, so that a checkpoint tells where it began
            object.__setattr__(self, "init", FIRST_MODEL[self.style])
        if self.group_size < 2:
            raise ConfigError(
                _(
                    "group_size must be at least 2, got {got}: an answer is judged "
                    "against the others to the same question.",
                    got=self.group_size,
                )
            )
        positive = ("questions", "max_new_tokens", "updates", "micro_batch_tokens")
        self.at_least(1, *positive, "examined", "hopeless_steps", "warmup_steps")
        self.at_least(0, "refill", "format_weight", "language_weight", "beta")
        self.at_least(0, "reference_every", "clip_high")
        self.above_zero("temperature")
        self.at_most_one("clip_low", "decay_frac", "floor_frac")

    @property
    def form(self) -> Form:
        """How a question is asked: a base model has never seen tags."""
        return FORMS[self.style]
