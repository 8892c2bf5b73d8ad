"""How much room an engine has, and how it guesses."""

from dataclasses import dataclass
from typing import Literal

from sparrow.errors import ConfigError
from sparrow.language import _

__all__ = ["EngineSettings", "Speculation"]

Speculation = Literal["none", "ngram", "mtp"]


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How much room and how much work a step the engine has.

    Raises:
        ConfigError: a number is out of its range; the sentence names it.
    """

    block_size: int = 16  # tokens in a block of the cache
    blocks: int = 1024
    max_batch: int = 256  # requests that run at the same time
    token_budget: int = 1024  # tokens in one step, over all requests
    max_waiting: int = 1024
    speculation: Speculation = "none"
    proposals: int = 3  # tokens that n-gram speculation proposes at most
    prefix_cache: bool = True

    def __post_init__(self) -> None:
        """Check every number."""
        positive = ("block_size", "blocks", "max_batch", "token_budget", "proposals")
        for name, low in {**dict.fromkeys(positive, 1), "max_waiting": 0}.items():
            if (got := getattr(self, name)) < low:
                raise ConfigError(
                    _(
                        "{name} must be at least {low}, got {got}.",
                        name=name,
                        low=low,
                        got=got,
                    )
                )
        known = ("none", "ngram", "mtp")
        if self.speculation not in known:
            raise ConfigError(
                _(
                    '{name} must be one of {known}; got "{got}".',
                    name="speculation",
                    known=", ".join(known),
                    got=self.speculation,
                )
            )
