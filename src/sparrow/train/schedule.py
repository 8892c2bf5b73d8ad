"""Warm up, stay, cool down: how large each step of training may be."""

__all__ = ["learning_rate"]


def learning_rate(
    step: int,
    *,
    peak: float,
    warmup_steps: int,
    decay_steps: int,
    total_steps: int,
    floor: float = 0.0,
) -> float:
    """The learning rate of one step: up in a line, level, down in a line.

    The level part has no end built in: a run can be made longer without starting
    again, which cosine schedules do not allow.

    Args:
        step: which step, from 0.
        peak: the rate of the level part.
        warmup_steps: how many steps it takes to get there; the first is above zero.
        decay_steps: how many steps the way down takes, at the end.
        total_steps: how many steps there are.
        floor: the rate that the last step comes close to.

    Source: warm-up, stable, decay: Hu et al., arXiv:2404.06395, section 4.
    """
    # 1. Going up: a step before the end of the warm-up has its share of the peak.
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    # 2. Level, until only the decay is left.
    left = total_steps - step
    if left > decay_steps:
        return peak
    # 3. Going down: from the peak to the floor, by the share of the decay that is left.
    return floor + (peak - floor) * max(left, 0) / decay_steps
