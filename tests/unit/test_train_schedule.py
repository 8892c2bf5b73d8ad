"""Warm-up, stable, decay; and recipes that could not work."""

import pytest

from sparrow import Config
from sparrow.errors import ConfigError
from sparrow.train.recipe import Recipe
from sparrow.train.schedule import learning_rate


def rates(total: int = 100, warmup: int = 10, decay: int = 30) -> list[float]:
    return [
        learning_rate(
            step,
            peak=2.0,
            warmup_steps=warmup,
            decay_steps=decay,
            total_steps=total,
            floor=0.2,
        )
        for step in range(total)
    ]


def test_the_first_step_moves_a_little_and_the_warm_up_ends_at_the_peak() -> None:
    found = rates()
    assert found[0] == pytest.approx(0.2)
    assert found[9] == found[10] == 2.0


def test_the_level_part_is_level() -> None:
    assert set(rates()[9:70]) == {2.0}


def test_the_way_down_is_a_line_that_ends_near_the_floor() -> None:
    found = rates()
    falls = [found[step] - found[step + 1] for step in range(70, 99)]
    assert falls == pytest.approx([falls[0]] * len(falls))
    assert found[99] == pytest.approx(0.2 + 1.8 / 30)


def test_no_warm_up_begins_at_the_peak() -> None:
    assert rates(warmup=0)[0] == 2.0


def test_no_decay_ends_at_the_peak() -> None:
    assert rates(decay=0)[-1] == 2.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 10, "warmup_steps": 20}, "the schedule does not fit"),
        ({"steps": 10, "warmup_steps": 5, "decay_frac": 0.9}, "does not fit"),
        ({"warmup_steps": 0}, "this schedule never warms up.*at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"micro_batch_size": -1}, "micro_batch_size must be at least 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"decay_frac": 1.5}, "decay_frac is a part of 1"),
        ({"optimizer": "sgd"}, 'optimizer must be one of adamw, muon; got "sgd"'),
        ({"precision": "int8"}, "precision must be one of"),
        ({"length": 1}, "length must be at least 2"),
        ({"length": 2}, "length must be in 3..512"),
        ({"length": 4096}, "length must be in 3..512"),
        ({"corpus_mb": 0}, "corpus_mb must be above 0"),
    ],
)
def test_a_recipe_that_could_not_work_is_refused(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        Recipe(**{"steps": 100, "warmup_steps": 1, **changes})  # type: ignore[arg-type]


def test_a_recipe_names_what_differs_and_forgives_what_only_decides_when_we_look() -> (
    None
):
    told = Recipe(steps=100, warmup_steps=1).to_dict()
    other = Recipe(steps=100, warmup_steps=1, seed=3, checkpoint_every_s=1.0)
    assert other.differences(told) == ["seed"]
    wider = Recipe(steps=100, warmup_steps=1, model=Config.preset("mini"))
    assert wider.differences(told) == ["model"]
