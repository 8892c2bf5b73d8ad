"""`sparrow evaluate`: each figure with its interval and n, the same for two models."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparrow.cli.evaluate import evaluate
from sparrow.errors import UsageError
from sparrow.evaluate import report
from sparrow.evaluate.run import Answers, ask
from sparrow.model import Sparrow
from sparrow.runtime import generator
from sparrow.text import Tokenizer
from sparrow.verify import Countdown, score
from tests.unit.untrained import save_untrained

QUICK = ["--problems", "5", "--max-new-tokens", "8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows nothing."""
    return save_untrained(tmp_path_factory.mktemp("tiny"))


def run(*words: object) -> Result:
    # the group that it belongs to makes sentences of errors, its test is the group's
    return CliRunner().invoke(evaluate, list(map(str, words)))


def test_each_figure_has_an_interval_and_n(folder: Path) -> None:
    shown = run("--model", folder, *QUICK)
    assert shown.exit_code == 0, shown.output
    for name in ("pass@1", "format", "legality", "length", "backtracks"):
        line = next(each for each in shown.stdout.split("\n") if f" {name} " in each)
        assert "–" in line
        assert line.split("│")[-2].strip() == "5"
    assert "answers 5 problems, 1 times each" in shown.stderr


def test_several_samples_give_pass_at_k(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "told.json"
    shown = run("--model", folder, *QUICK, "--samples", 3, "--json", file)
    assert shown.exit_code == 0, shown.output
    told = json.loads(file.read_text("utf-8"))
    assert told["settings"]["temperature"] == 1.0
    (model,) = told["models"]
    assert list(model["figures"])[:3] == ["pass@1", "pass@2", "pass@3"]
    assert len(model["completions"]) == 15
    assert model["completions"][0]["question"].startswith("numbers ")
    assert set(model["completions"][0]) >= {"completion", "tokens", "reward", "why"}
    assert told["comparison"] is None


def test_two_models_are_asked_the_same(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "told.json"
    shown = run("--model", folder, "--compare", folder, *QUICK, "--json", file)
    assert shown.exit_code == 0, shown.output
    assert "+0.000, 95 % interval" in shown.stdout
    assert "McNemar's exact test: p = 1." in shown.stdout
    told = json.loads(file.read_text("utf-8"))
    first, second = (
        [each["question"] for each in model["completions"]] for model in told["models"]
    )
    assert first == second
    assert told["comparison"]["difference"]["n"] == 5


def test_the_same_command_gives_the_same_figures(folder: Path) -> None:
    words = ["--model", folder, *QUICK, "--samples", 2, "--seed", 3]
    assert run(*words).stdout == run(*words).stdout


def test_another_family_is_asked_by_its_name(folder: Path) -> None:
    pytest.importorskip("reasoning_gym", reason="the extra gym is not installed")
    shown = run(
        "--model", folder, *QUICK, "--family", "gym:chain_sum", "--form", "line"
    )
    assert shown.exit_code == 0, shown.output
    assert "pass@1" in shown.stdout
    assert "backtracks" not in shown.stdout  # only Countdown has tries to give up


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--samples", 0], "--samples must be at least 1; got 0."),
        (["--samples", 2, "--temperature", 0], "are all the same: raise --temperature"),
        (["--temperature", "nan"], "--temperature must be a number; got nan"),
        (["--problems", 0], "--problems must be at least 1; got 0."),
        (["--numbers", 9], "numbers must be in 2..6"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    folder: Path, words: list[object], says: str
) -> None:
    got = run("--model", folder, *words)
    assert isinstance(got.exception, UsageError)
    assert says in str(got.exception)


# --- figures, where the answers are known


def answered(rights: list[list[int]]) -> Answers:
    """As many right and wrong answers as are asked for."""
    problem = Countdown((3, 7, 8), 29)
    said = {
        1: "<think>3+7=10,10+8=18<29\n3*7=21,21+8=29=29</think>"
        "<answer>(3*7)+8</answer>",
        0: "<think>3+7=10,10+8=18<29</think><answer>(3+7)+8</answer>",
    }
    texts = tuple(tuple(said[each] for each in row) for row in rights)
    return Answers(
        (problem,) * len(rights),
        texts,
        tuple(tuple(score(problem, text) for text in row) for row in texts),
        tuple(tuple(Written() for _text in row) for row in texts),
    )


class Written:
    """A completion of five tokens."""

    tokens = (1, 2, 3, 4, 5)


def test_figures_of_known_answers() -> None:
    found = report.figures(answered([[1], [0], [1], [1]]), generator(0))
    told = {each.name: each.interval for each in found}
    assert told["pass@1"].estimate == 0.75
    assert (told["pass@1"].low, told["pass@1"].high) == pytest.approx(
        (0.301, 0.954), abs=1e-3
    )  # Wilson's bounds for 3 of 4
    assert told["backtracks"].estimate == 0.75
    assert told["length"].estimate == 5.0
    assert told["legality"].estimate == 1.0


def test_pass_at_k_of_known_answers() -> None:
    rows = [[1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    found = report.figures(answered(rows), generator(0))
    told = {each.name: each.interval.estimate for each in found}
    assert told["pass@1"] == pytest.approx((1 / 4 + 1 + 0) / 3)
    assert told["pass@2"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert told["pass@4"] == pytest.approx((1 + 1 + 0) / 3)


def test_a_paired_comparison_sees_what_two_intervals_hide() -> None:
    chance = random.Random(0)
    before = [[int(chance.random() < 0.5)] for _question in range(100)]
    after = [[1] if i % 10 == 0 else row for i, row in enumerate(before)]
    found = report.compare(answered(after), answered(before), generator(0))
    assert found.difference.low > 0
    assert found.mcnemar is not None
    assert found.mcnemar.only_b == 0
    assert found.mcnemar.p_value < 0.1


def test_answers_to_other_questions_are_not_compared() -> None:
    with pytest.raises(UsageError, match="only answers to the same questions"):
        report.compare(answered([[1]]), answered([[1], [0]]), generator(0))
    with pytest.raises(UsageError, match="only answers to the same questions"):
        report.compare(answered([[1]]), answered([[1, 0]]), generator(0))


def test_asking_leaves_a_model_in_the_mode_it_was_in(folder: Path) -> None:
    model = Sparrow.from_pretrained(folder).train()
    ask(model, Tokenizer(folder), [Countdown((3, 7, 8), 29)], max_new_tokens=2)
    assert model.training


def test_there_must_be_something_to_ask(folder: Path) -> None:
    model, tokenizer = Sparrow.from_pretrained(folder), Tokenizer(folder)
    with pytest.raises(UsageError, match="there is nothing to ask"):
        ask(model, tokenizer, [])
    with pytest.raises(UsageError, match="there is nothing to ask"):
        ask(model, tokenizer, [Countdown((3, 7, 8), 29)], samples=0)
