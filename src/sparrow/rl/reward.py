"""What each answer earns: the rule's verdict, and controls that must not teach."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparrow.errors import RewardError
from sparrow.evaluate.run import Answers
from sparrow.language import _
from sparrow.rl.recipe import Control, GrpoRecipe
from sparrow.verify import Problem, Score
from sparrow.verify.language import consistency

__all__ = ["OVERLONG_PENALTY", "Reward", "controlled", "rewards_of"]

# What a caller may put in place of the rule: (problem, text, score) -> reward.
Reward = Callable[[Problem, str, Score], float]
OVERLONG_PENALTY = 0.5


def rewards_of(
    answers: Answers,
    recipe: GrpoRecipe,
    *,
    generator: torch.Generator,
    reward: Reward | None = None,
) -> Tensor:
    """What each answer earns, before groups are compared.

    Args:
        answers: Q questions with G answers each.
        recipe: which parts count, and whether this is a control.
        generator: the source of randomness of the controls.
        reward: takes the place of the rule's reward.

    Shapes:
        returns [Q, G].

    Raises:
        RewardError: the reward function raised, or gave what is no number.
    """
    rows = [
        [
            _one(answers, recipe, reward, question, answer)
            for answer in range(len(answers.texts[question]))
        ]
        for question in range(len(answers.problems))
    ]
    return controlled(torch.tensor(rows), recipe.control, generator)


def controlled(reward: Tensor, control: Control, generator: torch.Generator) -> Tensor:
    """Replace rewards by ones that say nothing, or the opposite.

    random: heads or tails. shuffled: the rewards of each group, dealt out again in
    any order. inverted: one less the reward.

    Shapes:
        reward: [Q, G]; returns the same.
    """
    if control == "random":
        return torch.randint(0, 2, reward.shape, generator=generator).float()
    if control == "shuffled":
        order = torch.rand(reward.shape, generator=generator).argsort(dim=1)
        return reward.gather(1, order)
    return 1 - reward if control == "inverted" else reward


def _one(
    answers: Answers,
    recipe: GrpoRecipe,
    reward: Reward | None,
    question: int,
    answer: int,
) -> float:
    problem, text = answers.problems[question], answers.texts[question][answer]
    score = answers.scores[question][answer]
    earned = score.reward
    if reward is not None:
        earned = _asked(reward, problem, text, score)
    earned += recipe.format_weight * score.format
    if recipe.language_weight:
        earned += recipe.language_weight * consistency(text, recipe.language)
    is_cut = not answers.completions[question][answer].stopped
    if is_cut and recipe.overlong == "penalty":
        earned -= OVERLONG_PENALTY
    return earned


def _asked(reward: Reward, problem: Problem, text: str, score: Score) -> float:
    """The caller's own reward; its mistakes become one sentence."""
    try:
        return float(reward(problem, text, score))
    except Exception as error:
        raise RewardError(
            _(
                "the reward function failed on an answer to {question} ({reason}): "
                "mend it; the last checkpoint is whole.",
                question=repr(problem.question),
                reason=repr(error),
            )
        ) from error
