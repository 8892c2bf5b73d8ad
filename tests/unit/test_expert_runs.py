"""The study behind lab 03: what differs between designs, and what is kept."""

import json

from click.testing import CliRunner

from sparrow.cost.training import active_parameters
from sparrow.evaluate import expert_runs
from sparrow.evaluate.expert_runs import DESIGNS, recipes


def test_designs_differ_in_what_their_names_say():
    known = recipes(seed=3)
    assert tuple(known) == DESIGNS
    assert {each.seed for each in known.values()} == {3}
    bias = known["bias"].to_dict()
    for name, fields in {"nothing": {"bias_speed"}, "dense": {"model"}}.items():
        told = known[name].to_dict()
        assert {field for field in told if told[field] != bias[field]} == fields
    penalty = known["penalty"]
    assert (penalty.bias_speed, penalty.balance_weight) == (0, 0.01)
    for name in ("bias, no MTP", "dense, no MTP"):
        assert known[name].model.num_nextn_predict_layers == 0


def test_some_designs_can_be_asked_for_by_name():
    assert list(recipes("dense", "bias")) == ["dense", "bias"]


def test_pairs_of_designs_have_equally_much_work_for_each_token():
    known = recipes()
    for one, other in (("bias", "dense"), ("bias, no MTP", "dense, no MTP")):
        first, second = (active_parameters(known[each].model) for each in (one, other))
        assert abs(first / second - 1) < 0.002


def test_what_is_shipped_has_every_design_for_every_seed():
    runs = expert_runs.shipped()
    seeds = {each.seed for each in runs}
    assert {(each.design, each.seed) for each in runs} == {
        (design, seed) for design in DESIGNS for seed in seeds
    }
    for each in runs:
        assert (each.max_violation is None) == ("dense" in each.design)
        assert bool(each.accepted) == ("no MTP" not in each.design)
        assert 0 < each.mean_bits_per_byte < 8


def test_the_command_trains_what_is_missing_and_nothing_twice(tmp_path, monkeypatch):
    from tests.unit.test_side_by_side import TINY, lessons, recipe

    asked = {"bias": recipe(TINY)}
    monkeypatch.setattr(
        expert_runs, "recipes", lambda *_names, seed=0: {"bias": recipe(seed=seed)}
    )
    monkeypatch.setattr(expert_runs, "prepare", lambda _recipe: lessons())
    path = tmp_path / "runs.jsonl"
    flags = ["--seeds", "2", "--seconds", "0.05", "--file", str(path)]
    first = CliRunner().invoke(expert_runs.main, flags)
    assert first.exit_code == 0, first.output
    runs = expert_runs.read(path)
    assert [(each.design, each.seed) for each in runs] == [("bias", 0), ("bias", 1)]
    assert runs[0].accepted["count"][1] == 2
    assert runs[0].tokens == runs[0].steps * asked["bias"].tokens_per_step
    kept = path.read_bytes()
    again = CliRunner().invoke(expert_runs.main, flags)
    assert again.exit_code == 0
    assert "is done" not in again.output
    assert path.read_bytes() == kept
    assert json.loads(kept.splitlines()[0])["design"] == "bias"
