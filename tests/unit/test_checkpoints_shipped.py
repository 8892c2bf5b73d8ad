"""What travels with the package is whole, opens, and is as good as its manifest."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from sparrow import Config, Sparrow, checkpoints
from sparrow.data import corpus
from sparrow.errors import CheckpointError
from sparrow.evaluate.run import ask
from sparrow.rl import problems
from sparrow.rl.metrics import Exam, Rollouts
from sparrow.rl.recipe import GrpoRecipe
from sparrow.text import Tokenizer
from sparrow.train import metrics
from sparrow.train.held_out import bits_per_byte
from sparrow.train.prepare import held_out_part
from sparrow.train.sft import Examined

NAMES = checkpoints.names()


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_model_is_whole_and_opens(name: str) -> None:
    folder = checkpoints.find(name)
    model, tokenizer = Sparrow.from_pretrained(folder), Tokenizer(folder)
    assert model.config.vocab_size == tokenizer.vocab_size
    assert model.config.eos_token_id == tokenizer.end


@pytest.mark.parametrize("name", NAMES)
def test_its_log_ends_where_its_manifest_says(name: str) -> None:
    told = checkpoints.manifest(name)
    folder = checkpoints.find(name)
    found = 0
    if training := told.get("training"):
        assert isinstance(training, dict)
        steps, looks = metrics.read(folder)
        assert steps[-1].step == training["steps"]
        assert steps[-1].loss == training["last_loss_nats_per_token"]
        last = {
            each.part: each.bits_per_byte
            for each in looks
            if each.step == steps[-1].step
        }
        assert last == told.get("held_out_bits_per_byte", {})
        found += 1
    for kind in (Examined, Exam, Rollouts):
        if kind.kind in told:
            assert asdict(metrics.read_kind(folder, kind)[-1]) == told[kind.kind]
            found += 1
    assert found


@pytest.mark.parametrize("name", ["pico-r1", "pico-r1-zero"])
def test_a_model_of_reward_is_as_good_as_its_manifest_says(name: str) -> None:
    told = checkpoints.manifest(name)
    exam, recipe = told["exam"], told["recipe"]
    assert isinstance(exam, dict)
    assert isinstance(recipe, dict)
    rules = GrpoRecipe(style=recipe["style"])
    folder = checkpoints.find(name)
    found = ask(
        Sparrow.from_pretrained(folder),
        Tokenizer(folder),
        problems.examination(rules, exam["problems"]),
        max_new_tokens=rules.max_new_tokens,
        form=rules.form,
    )
    # another processor may add in another order, and a close choice may turn
    assert float(found.rewards.mean()) == pytest.approx(exam["pass1"], abs=0.05)


def test_the_base_is_as_good_as_its_manifest_says() -> None:
    folder = checkpoints.find("pico-base")
    told = checkpoints.manifest("pico-base")["held_out_bits_per_byte"]
    assert isinstance(told, dict)
    model, tokenizer = Sparrow.from_pretrained(folder).eval(), Tokenizer(folder)
    text = corpus.build("pico", size=10_000).held_out
    for name in ("arithmetic", "puzzles"):  # prose differs between versions of Python
        part = held_out_part(tokenizer, text[name])
        scored = bits_per_byte(
            model, part.documents, part.text_bytes, length=256, end=tokenizer.end
        )
        # another processor may add in another order
        assert scored.bits_per_byte == pytest.approx(told[name], abs=1e-3)


def test_the_base_was_made_in_twenty_minutes_on_two_cores() -> None:
    told = checkpoints.manifest("pico-base")
    training, machine = told["training"], told["machine"]
    assert isinstance(training, dict)
    assert isinstance(machine, dict)
    assert training["seconds"] <= 20 * 60
    assert machine["cores"] <= 2


def test_the_base_has_every_number_below_one_hundred_as_one_token() -> None:
    tokenizer = Tokenizer(checkpoints.find("pico-base"))
    for number in range(100):
        assert len(tokenizer.encode(str(number))) == 1


def test_the_base_opens_in_transformers() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = checkpoints.find("pico-base")
    ids = AutoTokenizer.from_pretrained(folder)("12+7=", return_tensors="pt").input_ids
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        ours = Sparrow.from_pretrained(folder)(ids)
        torch.testing.assert_close(theirs(ids).logits, ours, atol=1e-4, rtol=1e-4)


def test_a_changed_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(checkpoints.FOLDER / "pico-base", tmp_path / "pico-base")
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    assert checkpoints.find("pico-base") == tmp_path / "pico-base"
    config = tmp_path / "pico-base" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": 9}))
    with pytest.raises(CheckpointError, match="config.json is missing or changed"):
        checkpoints.find("pico-base")
    config.unlink()
    with pytest.raises(CheckpointError, match="missing or changed"):
        checkpoints.find("pico-base")


def test_an_unknown_model_names_those_that_are_here() -> None:
    with pytest.raises(CheckpointError, match='called "mini-base".*pico-base'):
        checkpoints.find("mini-base")


def test_the_shipped_preset_is_the_preset() -> None:
    model = Sparrow.from_pretrained(checkpoints.find("pico-base"))
    assert model.config == Config.preset("pico").replace(eos_token_id=0)
