"""Exercise 4.4: warm up, stay, cool down, each at its own steps."""

from collections.abc import Callable

import torch

from sparrow.checks.compare import compare_close
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.language import _
from sparrow.train import schedule

__all__ = ["CHECKS"]

UP, LEVEL, DOWN = "warming up", "the level part", "cooling down"
Rate = Callable[..., float]


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Every kind of step of a short run, one without warm-up, one without decay."""
    runs: list[dict[str, float]] = [
        {
            "peak": 0.8,
            "warmup_steps": 4,
            "decay_steps": 5,
            "total_steps": 12,
            "floor": 0.1,
        },
        {
            "peak": 3e-3,
            "warmup_steps": 0,
            "decay_steps": 4,
            "total_steps": 9,
            "floor": 0.0,
        },
        {
            "peak": 2.0,
            "warmup_steps": 3,
            "decay_steps": 0,
            "total_steps": 8,
            "floor": 0.5,
        },
    ]
    if hidden:
        up, level, down = torch.randint(1, 9, (3,), generator=generator).tolist()
        peak, floor = torch.rand(2, generator=generator).tolist()
        runs.append(
            {
                "peak": 1 + peak,
                "warmup_steps": up,
                "decay_steps": down,
                "total_steps": up + level + down,
                "floor": floor,
            }
        )
    found = []
    for number, run in enumerate(runs):
        total, down, up = (
            int(run[name]) for name in ("total_steps", "decay_steps", "warmup_steps")
        )
        for step in range(total + 1):
            group = UP if step < up else LEVEL if step < total - down else DOWN
            if step == total and not down:
                continue  # there is no such step, and no decay to end it
            inputs: dict[str, Plain] = {"step": step, **run}
            found.append(Case(f"run {number + 1}, step {step}", group, inputs))
    return found


def expected(case: Case) -> Plain:
    """What the library answers."""
    return schedule.learning_rate(**case.inputs)  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """One number, to float rounding."""
    return compare_close(
        actual, wanted, rtol=1e-6, atol=1e-12, causes=causes(), inputs=case.inputs
    )


def causes() -> list[tuple[str, Rate]]:
    """What each likely mistake answers."""

    def rate(up: Rate | None = None, down: Rate | None = None, shift: int = 0) -> Rate:
        """The right schedule with one part replaced."""

        def wrong(
            step: int,
            *,
            peak: float,
            warmup_steps: int,
            decay_steps: int,
            total_steps: int,
            floor: float,
        ) -> float:
            left = total_steps - step
            if step < warmup_steps:
                share = (step + 1) / warmup_steps
                return up(step, warmup_steps, peak, floor) if up else peak * share
            if left > decay_steps + shift:
                return peak
            share = max(left, 0) / max(decay_steps, 1)
            if down is None:
                return floor + (peak - floor) * share
            return down(share, peak, floor, left, total_steps)

        return wrong

    return [
        (
            _("The first step has a rate of 0: it learns nothing. Count from 1."),
            rate(up=lambda step, steps, peak, _floor: peak * step / steps),
        ),
        (
            _("The warm-up begins at 0, not at the floor."),
            rate(
                up=lambda step, steps, peak, floor: (
                    floor + (peak - floor) * (step + 1) / steps
                )
            ),
        ),
        (_("There is no warm-up."), rate(up=lambda _step, _steps, peak, _floor: peak)),
        (_("It never goes down."), rate(down=lambda _share, peak, *_rest: peak)),
        (
            _("The line aims at 0: let it aim at the floor."),
            rate(down=lambda share, peak, *_rest: peak * share),
        ),
        (
            _("The floor is added: the line ends right, and begins above the peak."),
            rate(down=lambda share, peak, floor, *_rest: floor + peak * share),
        ),
        (
            _("It goes up again: which share of the decay is left?"),
            rate(
                down=lambda share, peak, floor, *_rest: (
                    floor + (peak - floor) * (1 - share)
                )
            ),
        ),
        (
            _("The decay is shared over all steps: only decay_steps count."),
            rate(
                down=lambda _share, peak, floor, left, total: (
                    floor + (peak - floor) * left / total
                )
            ),
        ),
        (
            _("It falls to the floor at once."),
            rate(down=lambda _s, _p, floor, *_r: floor),
        ),
    ]


CHECKS = {
    "4.4": Check(
        exercise="4.4",
        solution="sparrow.train.schedule:learning_rate",
        groups={UP: 0.35, LEVEL: 0.2, DOWN: 0.45},
        cases=cases,
        expected=expected,
        compare=compare,
    )
}
