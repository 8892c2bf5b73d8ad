"""Train several models for the same seconds, in turns: so a slow step costs its price.

Equal steps would hide that one design is slower than another. Turns of a second make a
machine that is busy with other things slow all of them alike.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from sparrow import runtime
from sparrow.model import Sparrow
from sparrow.train.held_out import Scored, score_parts
from sparrow.train.learner import Learned, Learner
from sparrow.train.parallel import Team
from sparrow.train.prepare import Lessons
from sparrow.train.recipe import Recipe
from sparrow.train.stopping import stop_gently

__all__ = ["Trainee", "score", "side_by_side", "with_threads"]

TURN_S = 1.0
Watch = Callable[[float], None]


@dataclass(kw_only=True)
class Trainee:
    """One of the models, and what its steps told."""

    recipe: Recipe
    model: Sparrow
    learned: list[Learned] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """How many tokens it has read."""
        return len(self.learned) * self.recipe.tokens_per_step

    @property
    def max_violations(self) -> list[float]:
        """MaxVio of each step, the mean over layers; empty without experts."""
        layers = [each.max_violations for each in self.learned]
        return [sum(each) / len(each) for each in layers if each]


def side_by_side(
    recipes: Mapping[str, Recipe],
    lessons: Lessons,
    *,
    seconds: float,
    threads: int = 1,
    watch: Watch = lambda _seconds: None,
) -> dict[str, Trainee]:
    """Train one model for each recipe, all on the same rows, for `seconds` each.

    The schedule follows the clock: `recipe.steps` only says how fine it is. How many
    steps a model makes depends on the machine, so no two runs are the same.

    Args:
        recipes: what to train, by name; those of one seed begin with the same
            embeddings.
        lessons: what all of them read.
        seconds: of training, for each; an interrupt (Ctrl-C) ends the turns earlier.
        threads: of the processor. One is nearly as fast for small models, and does
            not wait for a second one that others use.
        watch: is told after every turn how many seconds all of them trained.
    """
    learners = {name: _learner(recipe, lessons) for name, recipe in recipes.items()}
    trainees = {
        name: Trainee(recipe=recipes[name], model=learner.model)
        for name, learner in learners.items()
    }
    with with_threads(threads), runtime.fast_matmul(), stop_gently() as wish:
        while not wish.is_there:
            waiting = [name for name in trainees if trainees[name].seconds < seconds]
            if not waiting:
                break
            for name in waiting:
                _take_turn(learners[name], trainees[name], lessons, seconds)
                watch(sum(each.seconds for each in trainees.values()))
    for each in trainees.values():
        each.model.eval()
    return trainees


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Inside this block PyTorch uses so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _learner(recipe: Recipe, lessons: Lessons) -> Learner:
    device = runtime.device()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = Sparrow(recipe.model.replace(eos_token_id=lessons.tokenizer.end))
    return Learner(model.to(device).train(), recipe, Team(0, 1, device))


def _take_turn(
    learner: Learner, trainee: Trainee, lessons: Lessons, seconds: float
) -> None:
    """Steps for about a second; the rate goes by the share of time that is gone."""
    end = min(trainee.seconds + TURN_S, seconds)
    while trainee.seconds < end:
        started = time.perf_counter()
        gone = int(trainee.seconds / seconds * trainee.recipe.steps)
        batch = lessons.stream.batch(len(trainee.learned))
        trainee.learned.append(learner.learn(batch, gone))
        trainee.seconds += time.perf_counter() - started


def score(trainee: Trainee, lessons: Lessons) -> dict[str, Scored]:
    """How well it predicts each held-out part."""
    return score_parts(trainee.model, lessons, trainee.recipe.length)
