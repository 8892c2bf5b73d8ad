"""A student learns what a teacher wrote, if it is right and no test's."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from sparrow.decode import Completion
from sparrow.distill import forward_kl, keep_right, reverse_kl, sampler, soft
from sparrow.distill.loop import distill
from sparrow.distill.recipe import DistillRecipe
from sparrow.errors import CheckpointError, ConfigError, TeacherError
from sparrow.evaluate.run import Answers
from sparrow.model import Sparrow
from sparrow.runtime import generator
from sparrow.text.learn import learn_tokenizer
from sparrow.train.metrics import Line, Step, read_kind
from sparrow.train.run import Trained
from sparrow.verify import Countdown, score

PROBLEM = Countdown((3, 7, 8), 29)
RIGHT = "<think>3*7=21,21+8=29=29</think><answer>(3*7)+8</answer>"
ALSO = "<think>7*3=21,8+21=29=29</think><answer>8+(7*3)</answer>"
WRONG = "<think>3+7=10,10+8=18<29</think><answer>(3+7)+8</answer>"


def answers(*rows: list[str]) -> Answers:
    return Answers(
        tuple(PROBLEM for _row in rows),
        tuple(map(tuple, rows)),
        tuple(tuple(score(PROBLEM, text) for text in row) for row in rows),
        tuple(tuple(Completion() for _text in row) for row in rows),
    )


# --- what is kept


def test_only_right_answers_are_kept_each_once_and_not_too_many() -> None:
    question = PROBLEM.question
    asked = answers([WRONG, RIGHT, RIGHT, ALSO], [WRONG, WRONG])
    assert keep_right(asked, most=4) == [(question, RIGHT), (question, ALSO)]
    assert keep_right(asked, most=1) == [(question, RIGHT)]
    assert keep_right(answers([WRONG]), most=1) == []


def test_a_planted_leak_is_found_whatever_the_order_of_its_numbers() -> None:
    from sparrow.data import countdown

    held = countdown.problems(generator(0), 5, largest=12, held_out=True)
    own = countdown.problems(generator(0), 5, largest=12, held_out=False)
    turned = [Countdown(each.numbers[::-1], each.target) for each in held]
    lessons = [(each.question, "") for each in [*own, *turned]]
    kept = sampler.decontaminated(lessons, sampler.is_leak)
    assert kept == [(each.question, "") for each in own]
    for strange in ("", "numbers target", "numbers a b target 3", "sort 1 2"):
        assert not sampler.is_leak(strange)


def test_lessons_are_made_once(tmp_path: Path) -> None:
    made = sampler.Taught(
        lessons=(("numbers 1 2 target 3", "1+2\nü"),),
        answers=2,
        right=1,
        tokens=9,
        seconds=0.1,
    )
    file = tmp_path / "lessons.jsonl"
    assert sampler.kept_at(file, lambda: made) == made
    assert sampler.kept_at(file, pytest.fail) == made


# --- soft


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_both_distances_are_those_of_pytorch(temperature: float) -> None:
    teacher, student = torch.randn(2, 4, 5, 11, generator=generator(0)).unbind()
    log_t = (teacher / temperature).log_softmax(-1)
    log_s = (student / temperature).log_softmax(-1)
    expected = F.kl_div(log_s, log_t, reduction="none", log_target=True).sum(-1)
    ours = forward_kl(teacher, student, temperature=temperature)
    torch.testing.assert_close(ours, expected)
    expected = F.kl_div(log_t, log_s, reduction="none", log_target=True).sum(-1)
    ours = reverse_kl(teacher, student, temperature=temperature)
    torch.testing.assert_close(ours, expected)


def test_equal_models_have_no_distance_and_others_have_one() -> None:
    scores = torch.randn(3, 7, generator=generator(1))
    for measure in (forward_kl, reverse_kl):
        assert float(measure(scores, scores + 5).abs().max()) < 1e-6
        assert float(measure(scores, scores.flip(-1)).min()) > 0


def test_the_surprise_is_that_of_pytorch_and_in_the_mean_the_forward_distance() -> None:
    teacher, student = torch.randn(2, 3, 11, generator=generator(0)).unbind()
    every = torch.arange(11).expand(3, 11)
    surprises = torch.stack([soft.surprise(student, row) for row in every.T], dim=1)
    expected = F.cross_entropy(student, every[:, 4], reduction="none")
    torch.testing.assert_close(surprises[:, 4], expected)
    wanted = teacher.softmax(-1)
    own = -(wanted * wanted.log()).sum(-1)
    torch.testing.assert_close(
        (wanted * surprises).sum(-1), forward_kl(teacher, student) + own
    )


# --- runs


@pytest.fixture(scope="module")
def recipe() -> DistillRecipe:
    return DistillRecipe(
        init="pico-cold-start",
        problems=12,
        samples=2,
        max_new_tokens=100,
        steps=4,
        batch_size=2,
        warmup_steps=1,
        checkpoint_every_steps=2,
        evaluate_every_steps=0,
    )


@pytest.fixture(scope="module")
def whole(recipe: DistillRecipe, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return distill(recipe, tmp_path_factory.mktemp("whole"))


class PowerCutError(Exception):
    """Raised by a test in the middle of a run."""


def test_the_lessons_are_right_and_no_tests(whole: Trained) -> None:
    _figures, *lines = (whole.folder / sampler.LESSONS).read_text().splitlines()
    assert lines
    for told in map(json.loads, lines):
        words = told["question"].split()
        problem = Countdown(tuple(map(int, words[1:4])), int(words[5]))
        assert score(problem, told["answer"]).reward == 1
        assert not sampler.is_leak(told["question"])


@pytest.mark.parametrize("method", ["hard", "forward", "reverse"])
def test_each_way_trains_and_goes_on_with_the_same_bits(
    recipe: DistillRecipe, tmp_path: Path, method: str
) -> None:
    mine = dataclasses.replace(recipe, method=method)  # type: ignore[arg-type]
    once = distill(mine, tmp_path / "whole")

    def cut(line: Line) -> None:
        if isinstance(line, Step) and line.step == 3:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        distill(mine, tmp_path / "cut", watch=cut)
    assert distill(mine, tmp_path / "cut").fingerprint == once.fingerprint
    losses = [each.loss for each in read_kind(once.folder, Step)]
    assert all(0 < each < 5 for each in losses)


def test_soft_steps_bring_the_student_nearer(
    recipe: DistillRecipe, tmp_path: Path
) -> None:
    mine = dataclasses.replace(
        recipe,
        init="pico-base",
        method="forward",
        steps=12,
        learning_rate=1e-3,
        optimizer="adamw",
    )
    trained = distill(mine, tmp_path)
    losses = [each.loss for each in read_kind(trained.folder, Step)]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])


# --- bad input


def test_a_missing_teacher_is_named(recipe: DistillRecipe, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='There is no model "nobody"'):
        distill(dataclasses.replace(recipe, teacher="nobody"), tmp_path)


def test_a_teacher_with_other_tokens_is_refused(
    recipe: DistillRecipe, tmp_path: Path
) -> None:
    from sparrow import Config

    other = tmp_path / "other"
    other.mkdir()
    tokenizer = learn_tokenizer(["some other text " * 9], 300)
    learned = Config.preset("pico").replace(
        vocab_size=tokenizer.vocab_size, eos_token_id=tokenizer.end
    )
    Sparrow(learned).save_pretrained(other)
    tokenizer.save(other)
    with pytest.raises(TeacherError, match="read text as other tokens"):
        distill(dataclasses.replace(recipe, teacher=str(other)), tmp_path / "run")


def test_a_teacher_that_is_never_right_is_refused(
    recipe: DistillRecipe, tmp_path: Path
) -> None:
    poor = dataclasses.replace(recipe, teacher="pico-base", problems=3, samples=1)
    with pytest.raises(TeacherError, match="none of 3 problems right"):
        distill(poor, tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("samples", 0, "samples must be at least 1"),
        ("softness", 0.0, "softness must be above 0"),
        ("method", "soft", "method must be one of hard, forward, reverse"),
    ],
)
def test_settings_that_cannot_be_are_refused(recipe, field, value, words) -> None:
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(recipe, **{field: value})
