"""What lab 08 leaves can be examined again, and both ways are billed alike."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from sparrow import Config, checkpoints
from sparrow.cost.training import active_parameters
from sparrow.distill import budget, evidence, examination, recorded, within
from sparrow.distill.budget import Work
from sparrow.errors import CheckpointError
from sparrow.evaluate import run as evaluation
from sparrow.verify import Countdown

CLAIM = {"difference": -0.02, "low": -0.1, "high": 0.06}
TAUGHT = {"answers": 4, "right": 3, "tokens": 90, "seconds": 1.5}
RECIPE = {"seed": 7, "steps": 2, "batch_size": 5, "length": 10, "method": "hard"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two problems and short answers, from the base model that is shipped."""
    monkeypatch.setattr(evidence, "BEFORE", "pico-base")
    problems = (Countdown((3, 7, 8), 29), Countdown((1, 2, 3), 6))
    monkeypatch.setattr(examination, "asked", lambda: problems)
    ask = evaluation.ask
    monkeypatch.setattr(
        evaluation,
        "ask",
        lambda *given, **named: ask(*given, **{**named, "max_new_tokens": 2}),
    )
    monkeypatch.setattr(checkpoints, "names", lambda: ["pico-base"])


def model_in(folder: Path, noise: float) -> None:
    model, tokenizer = evidence.opened(checkpoints.find("pico-base"))
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for each in model.parameters():
            each += noise * torch.randn(each.shape, generator=draw)
    model.save_pretrained(folder / "model")
    tokenizer.save(folder / "model")


def lines(folder: Path, *told: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(each) + "\n" for each in told)
    (folder / "metrics.jsonl").write_text(text)


def taught_in(folder: Path, noise: float = 0.01) -> Path:
    """A finished run that was taught."""
    lines(
        folder,
        {"kind": "step", "step": 1, "tokens": 50, "seconds": 2.0},
        {"kind": "examined", "step": 1},
        {"kind": "step", "step": 2, "tokens": 100, "seconds": 4.0},
    )
    (folder / "lessons.jsonl").write_text(json.dumps(TAUGHT) + "\n")
    (folder / "recipe.json").write_text(json.dumps(RECIPE))
    model_in(folder, noise)
    return folder


def rewarded_in(folder: Path) -> Path:
    """A finished run that learned from reward."""
    step = {"kind": "rollouts", "answers": 10, "length": 6.0, "learned": 4}
    lines(
        folder,
        {"kind": "exam", "step": 0, "seconds": 0.0},
        {**step, "step": 1, "seconds": 3.0},
        {**step, "step": 2, "seconds": 5.0},
    )
    (folder / "recipe.json").write_text(json.dumps({"seed": 7, "steps": 2}))
    model_in(folder, 0.01)
    return folder


# ---- the bill


def test_reward_pays_for_what_it_writes_and_for_what_it_learns_from(
    tmp_path: Path,
) -> None:
    work = budget.of_run(rewarded_in(tmp_path), prompt_tokens=4.0)
    assert work == Work(written=120, learned=80)
    assert budget.seconds_of(tmp_path) == 5.0


def test_a_student_pays_for_what_its_teacher_wrote(tmp_path: Path) -> None:
    assert budget.of_run(taught_in(tmp_path), 4.0) == Work(written=90, learned=100)
    assert budget.seconds_of(tmp_path) == 5.5


def test_a_run_that_never_began_costs_nothing(tmp_path: Path) -> None:
    assert budget.of_run(tmp_path, 4.0) == Work(written=0, learned=0)
    assert budget.seconds_of(tmp_path) == 0


def test_a_weight_costs_two_sums_to_write_a_token_and_six_to_learn_from_it() -> None:
    config = Config.preset("pico")
    alone = active_parameters(config.replace(num_nextn_predict_layers=0))
    assert budget.flops(config, Work(written=10, learned=0)) == 20 * alone
    assert budget.flops(config, Work(written=0, learned=10)) == 60 * alone


@pytest.mark.parametrize(
    ("work", "written", "step", "steps"),
    [
        ((90, 40), 60, 10, 5),
        ((90, 40), 0, 10, 7),
        ((90, 40), 61, 10, 4),
        ((30, 10), 60, 5, 0),
        ((30, 10), 6000, 5, 0),
    ],
)
def test_a_student_never_costs_more_than_the_other_way(
    work: tuple[int, int], written: int, step: int, steps: int
) -> None:
    whole = Work(written=work[0], learned=work[1])
    assert budget.steps_within(whole, written=written, tokens_per_step=step) == steps


# ---- the file


def test_what_is_left_can_be_read_and_examined_again(tmp_path: Path) -> None:
    path = evidence.leave(
        tmp_path / evidence.FILE, run=taught_in(tmp_path), claim=CLAIM
    )
    found = evidence.read(path.read_bytes())
    assert found.work == {"written": 90, "learned": 100}
    assert found.recipe == RECIPE
    assert found.claim == CLAIM
    evidence.refuse_shipped(found)
    measured = evidence.measured(found)
    own = evidence.opened(tmp_path / "model")
    assert measured["after"] == examination.shares(*own)
    assert len(measured["before"]) == 2


def test_a_run_that_has_not_ended_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no finished run"):
        evidence.leave(tmp_path / evidence.FILE, run=tmp_path, claim=CLAIM)


@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_a_shipped_model_is_refused_even_with_a_little_noise(
    tmp_path: Path, noise: float
) -> None:
    run = taught_in(tmp_path, noise)
    path = evidence.leave(tmp_path / evidence.FILE, run=run, claim=CLAIM)
    with pytest.raises(CheckpointError, match="This is pico-base"):
        evidence.refuse_shipped(evidence.read(path.read_bytes()))


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = evidence.leave(
        tmp_path / evidence.FILE, run=taught_in(tmp_path), claim=CLAIM
    )
    found = evidence.read(path.read_bytes())
    found.weights.pop(next(iter(found.weights)))
    with pytest.raises(CheckpointError, match="another shape than pico-base"):
        evidence.measured(found)


# ---- recorded runs


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(recorded.resources, "files", lambda _package: tmp_path)
    return tmp_path / recorded.FILE


def test_runs_of_both_ways_are_taken_down_and_replaced(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = taught_in(tmp_path / "a"), rewarded_in(tmp_path / "b")
    assert recorded.main([f"short={one}", f"short={other}"]) == 0
    assert recorded.main([f"short={one}"]) == 0
    assert "Wrote 2 runs" in capsys.readouterr().out
    assert [(each.way, each.seconds) for each in recorded.read(file)] == [
        ("hard", 5.5),
        ("reward", 5.0),
    ]
    ((taught, rewarded),) = recorded.pairs("short")
    assert (taught.way, rewarded.way) == ("hard", "reward")
    assert recorded.mean_shares("short", "hard") == taught.shares
    assert recorded.pairs("long") == []
    assert recorded.main(["--only", f"long={one}"]) == 0
    assert [each.size for each in recorded.read(file)] == ["long"]


def test_a_run_that_has_not_ended_is_not_taken_down(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recorded.main([f"short={tmp_path}"]) == 2
    assert "holds no finished run" in capsys.readouterr().err
    assert not file.exists()


def test_shipped_runs_say_what_they_cost_and_students_never_cost_more() -> None:
    for size in ("short", "long"):
        assert recorded.shipped(size, "reward")
        for taught, rewarded in recorded.pairs(size):
            assert taught.flops <= rewarded.flops
    assert recorded.shipped("short", "hard")


def test_both_ways_get_the_problems_of_lab_07(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    from sparrow.rl import evidence as by_reward

    assert examination.asked() == by_reward.examination()


# ---- teaching within a budget


def test_the_command_teaches_for_as_many_steps_as_are_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def teach(recipe: object, folder: Path, cost: Work) -> object:
        seen.update(recipe=recipe, cost=cost)
        raise CheckpointError("that is enough.")

    monkeypatch.setattr(within, "teach", teach)
    words = [str(rewarded_in(tmp_path / "b")), str(tmp_path / "c")]
    found = CliRunner().invoke(
        within.main, [*words, "--seed", "3", "--method", "reverse"]
    )
    assert found.exit_code == 1
    assert "that is enough." in found.output
    assert (seen["recipe"].seed, seen["recipe"].method) == (3, "reverse")
    assert seen["cost"].written == 120


def test_a_student_is_taught_with_what_is_left_after_the_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    recipe = within.recipe_of(1, 4)
    cost = Work(written=0, learned=100 * recipe.tokens_per_step)

    class Written:
        tokens = 3 * recipe.tokens_per_step

    def learn(asked: Any, _folder: Path) -> None:
        steps.append(asked.steps)

    monkeypatch.setattr(within.loop, "lessons", lambda *_given: Written())
    monkeypatch.setattr(within.loop, "distill", learn)
    within.teach(recipe, tmp_path, cost)
    assert steps == [99]
