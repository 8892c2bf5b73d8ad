"""Recorded samples are what models wrote; whether they are right is judged anew."""

import json
from dataclasses import replace

import pytest

from sparrow.data import countdown, puzzles
from sparrow.errors import CheckpointError, UsageError
from sparrow.evaluate import evidence, samples
from sparrow.verify import Countdown

RECORDED = [(model, family) for model, family, _form in samples.SHIPPED]


@pytest.mark.parametrize(("model", "family"), RECORDED)
def test_every_question_has_its_sixteen_texts(model: str, family: str) -> None:
    found = samples.shipped(model, family)
    assert list(found.problems) == samples.examination(family)
    for table in (found.texts, found.tokens, found.confidence, found.correct):
        assert {len(row) for row in table} == {samples.SAMPLES}
    flat = [right for row in found.correct for right in row]
    assert 0.1 < sum(flat) / len(flat) < 0.6


def test_no_question_was_met_in_training() -> None:
    for problem in samples.examination("countdown"):
        assert isinstance(problem, Countdown)
        assert countdown.is_held_out(list(problem.numbers), problem.target)
    for problem in samples.examination("puzzles", 20):
        kind, _space, rest = problem.question.partition(" ")
        assert kind in puzzles.FAMILIES
        assert rest


def test_what_is_written_is_what_is_read(monkeypatch, tmp_path) -> None:
    found = samples.shipped("pico-base", "puzzles")
    few = replace(
        found,
        model="few",
        problems=found.problems[:3],
        texts=found.texts[:3],
        tokens=found.tokens[:3],
        confidence=found.confidence[:3],
    )
    (tmp_path / samples.FILE).write_text("\n".join(samples.lines_of(few)), "utf-8")
    monkeypatch.setattr(samples.resources, "files", lambda _package: tmp_path)
    again = samples.shipped("few", "puzzles")
    assert again == few
    assert again.correct == found.correct[:3]


def test_a_model_is_asked_again_alike() -> None:
    one, two = (
        samples.record("pico-base", "puzzles", "line", count=3, samples=2, seed=1)
        for _time in range(2)
    )
    assert one == two
    assert {len(row) for row in one.texts} == {2}


def test_what_nobody_recorded_is_refused() -> None:
    with pytest.raises(UsageError, match="no samples of pico-base on poetry"):
        samples.shipped("pico-base", "poetry")
    with pytest.raises(UsageError, match="countdown or puzzles; got poetry"):
        samples.examination("poetry")


def test_evidence_keeps_every_text(tmp_path) -> None:
    texts = [str(at) for at in range(samples.PROBLEMS)]
    path = evidence.leave(
        tmp_path / evidence.FILE, a=texts, b=texts[::-1], said={"low": 0.5}
    )
    found = evidence.read(path.read_bytes())
    assert (found.a, found.b, found.said) == (texts, texts[::-1], {"low": 0.5})
    told = json.loads(path.read_bytes())
    for broken in ({"a": texts[1:]}, {"b": [1, *texts[1:]]}, {"said": 7}):
        with pytest.raises(CheckpointError, match="two texts for each question"):
            evidence.read(json.dumps({**told, **broken}).encode())
