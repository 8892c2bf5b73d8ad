"""The same reinforcement learning on a real language model: two steps on a CPU."""

from pathlib import Path

import pytest
import torch

from sparrow.evaluate.run import prompt_of, stops_of
from sparrow.model import Sparrow
from sparrow.rl.loop import grpo
from sparrow.rl.metrics import Rollouts
from sparrow.rl.recipe import GrpoRecipe
from sparrow.text import Tokenizer
from sparrow.train.metrics import read_kind
from sparrow.verify import Problem, Score
from sparrow.verify.gym import gym_problems


def brevity(_problem: Problem, text: str, _score: Score) -> float:
    """A reward that differs between any two answers."""
    return 1 / (1 + len(text))


@pytest.mark.usefixtures("smollm2")
def test_a_real_language_model_learns_from_a_problem_of_reasoning_gym(
    tmp_path: Path,
) -> None:
    pytest.importorskip("reasoning_gym")
    recipe = GrpoRecipe(
        style="told",
        family="gym:chain_sum",
        gate=False,
        questions=2,
        group_size=2,
        max_new_tokens=12,
        steps=2,
        learning_rate=1e-5,
        warmup_steps=1,
        examined=2,
        evaluate_every_steps=0,
        checkpoint_every_s=1e9,
    )
    assert recipe.init == "smollm2"
    trained = grpo(recipe, tmp_path, earn=brevity)
    steps = read_kind(trained.folder, Rollouts)
    assert [each.step for each in steps] == [1, 2]
    assert all(each.answers == 4 for each in steps)
    assert any(each.gradient_norm > 0 for each in steps)


def test_it_is_told_to_use_tags_in_its_own_template(smollm2: Path) -> None:
    tokenizer = Tokenizer(smollm2)
    (problem,) = gym_problems("gym:chain_sum", 1, seed=0, held_out=False)
    asked = tokenizer.decode(prompt_of(tokenizer, problem, "told"))
    assert problem.question in asked
    assert "between <answer> and </answer>" in asked
    with torch.device("meta"):
        model = Sparrow.from_pretrained(smollm2)
    assert stops_of(model, tokenizer, "told") == [2]
