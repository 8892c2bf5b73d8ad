"""Asking a model: three forms of a question, and everything it wrote is kept."""

from pathlib import Path

import pytest
import torch

from sparrow import checkpoints
from sparrow.errors import CheckpointError, PromptError
from sparrow.evaluate.run import ask, prompt_of, stops_of
from sparrow.model import Sparrow, named
from sparrow.runtime import generator
from sparrow.text import Tokenizer
from sparrow.verify import Countdown, Form

PROBLEMS = [Countdown((3, 7, 8), 29), Countdown((2, 5, 9), 43)]


@pytest.fixture(scope="module")
def folder() -> Path:
    return checkpoints.find("pico-base")


@pytest.fixture(scope="module")
def model(folder: Path) -> Sparrow:
    return Sparrow.from_pretrained(folder)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer(folder)


def test_each_form_asks_in_its_own_way(tokenizer: Tokenizer) -> None:
    def asked(form: Form) -> str:
        return tokenizer._fast.decode(
            prompt_of(tokenizer, PROBLEMS[0], form), skip_special_tokens=False
        )

    question = "numbers 3 7 8 target 29"
    assert asked("line") == f"{question}:"
    assert asked("tags") == f"<|user|>{question}<|end|><|assistant|>"
    assert asked("told").startswith(f"<|user|>{question}\nThink between <think>")


def test_a_line_ends_with_any_token_that_begins_a_new_one(
    model: Sparrow, tokenizer: Tokenizer
) -> None:
    stops = stops_of(model, tokenizer, "line")
    assert tokenizer.end in stops
    assert all(
        tokenizer.decode([each]).startswith("\n")
        for each in stops
        if each != tokenizer.end
    )
    assert stops_of(model, tokenizer, "tags") == [tokenizer.end]


def test_every_answer_is_kept_with_its_score(
    model: Sparrow, tokenizer: Tokenizer
) -> None:
    found = ask(
        model,
        tokenizer,
        PROBLEMS,
        samples=3,
        temperature=1.0,
        max_new_tokens=30,
        form="line",
        generator=generator(0),
    )
    assert found.rewards.shape == found.lengths.shape == (2, 3)
    assert found.surprise > 0
    for problem, texts, scores in zip(
        found.problems, found.texts, found.scores, strict=True
    ):
        for text, scored in zip(texts, scores, strict=True):
            if scored.reward:
                assert isinstance(problem, Countdown)
                assert text.strip().endswith(f"={problem.target}")
    assert 0 <= found.share("legality") <= found.share("format") <= 1


def test_the_base_model_is_right_now_and_then(
    model: Sparrow, tokenizer: Tokenizer
) -> None:
    """Pretraining has puzzles, so R1-Zero's way has something to begin with."""
    from sparrow.data import countdown

    asked = countdown.problems(generator(1), 64, largest=12, held_out=True)
    found = ask(model, tokenizer, asked, max_new_tokens=30, form="line")
    assert 0.1 < float(found.rewards.mean()) < 0.7


def test_greedy_answers_are_the_same_each_time(
    model: Sparrow, tokenizer: Tokenizer
) -> None:
    first = ask(model, tokenizer, PROBLEMS, max_new_tokens=20)
    assert first.texts == ask(model, tokenizer, PROBLEMS, max_new_tokens=20).texts


def test_the_model_is_left_as_it_was(model: Sparrow, tokenizer: Tokenizer) -> None:
    for was_training in (True, False):
        model.train(was_training)
        ask(model, tokenizer, PROBLEMS, max_new_tokens=2)
        assert model.training == was_training
    assert not torch.is_inference_mode_enabled()


def test_a_question_that_does_not_fit_is_refused(
    model: Sparrow, tokenizer: Tokenizer
) -> None:
    with pytest.raises(PromptError, match="reads at most 512"):
        ask(model, tokenizer, PROBLEMS, max_new_tokens=510)


def test_models_have_names_or_folders(folder: Path) -> None:
    assert named.folder_of("pico-base") == folder
    assert named.folder_of(str(folder)) == folder
    with pytest.raises(CheckpointError, match='There is no model "nobody"'):
        named.folder_of("nobody")
