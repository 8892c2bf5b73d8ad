"""Give a model with experts a twin without: the same work for each token."""

from sparrow.config import Config
from sparrow.cost.training import active_parameters
from sparrow.errors import ConfigError
from sparrow.language import _

__all__ = ["dense_twin"]


def dense_twin(config: Config) -> Config:
    """The model without experts in which a token meets equally many parameters.

    Everything else stays. One inner width for all layers takes the place of experts,
    router and shared experts, so the two counts agree up to half a row of a matrix in
    each layer.

    Raises:
        ConfigError: the model has no experts.
    """
    if config.feed_forward != "moe":
        raise ConfigError(
            _("Only a model with experts has a dense twin; this one is dense already.")
        )
    # 1. Parameters a token meets grow by the same amount with each feature of width.
    narrow = config.replace(feed_forward="dense", intermediate_size=1)
    wider = narrow.replace(intermediate_size=2)
    least = active_parameters(narrow)
    each = active_parameters(wider) - least
    # 2. So the width that gives as many as the experts follows.
    width = 1 + round((active_parameters(config) - least) / each)
    return narrow.replace(intermediate_size=width)
