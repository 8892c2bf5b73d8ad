"""A simulated class asks in its own time, and what it waits for is measured."""

import asyncio

import numpy as np
import pytest

from sparrow.errors import ConfigError
from sparrow.serve import bench
from sparrow.serve.bench import Answered, Load, Report, Sample
from sparrow.viz.load import load_table, plot_load
from tests.unit import parrot
from tests.unit.parrot import Parrot, served

SAYS = parrot.tokenizer().encode("<think>8+2=10</think>8+2")
QUICK = Load(learners=10, every_s=1.0, duration_s=1.0, max_tokens=20)


def test_a_class_asks_as_often_as_it_should_and_at_random_times():
    load = Load(learners=50, every_s=10.0, duration_s=400.0)
    times = bench.arrivals(load)
    assert len(times) == pytest.approx(2000, abs=4 * np.sqrt(2000))
    gaps = np.diff(times)
    # Of a Poisson process the gaps are exponential: their deviation is their mean.
    assert gaps.mean() == pytest.approx(0.2, rel=0.1)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)
    assert times == bench.arrivals(load)
    assert times != bench.arrivals(Load(learners=50, duration_s=400.0, seed=1))


@pytest.mark.parametrize("name", ["learners", "every_s", "duration_s", "max_tokens"])
def test_a_load_of_nothing_is_refused(name):
    with pytest.raises(ConfigError, match=name):
        Load(**{name: 0})


def test_every_question_is_answered_and_timed():
    with served(Parrot(SAYS, most=100)) as (home, _server):
        report = asyncio.run(bench.run(home, QUICK))
    assert len(report.good) == len(report.answers) == len(bench.arrivals(QUICK))
    assert all(each.tokens == len(SAYS) + 1 for each in report.good)
    assert all(0 < each.first_s < 5 for each in report.good)
    assert report.tokens_per_s > 0
    assert report.samples[0].waiting == 0
    assert report.to_dict()["answered"] == len(report.good)


def test_a_server_that_refuses_is_counted_and_not_hidden():
    with served(Parrot(SAYS, most=0)) as (home, _server):
        report = asyncio.run(bench.run(home, QUICK))
    assert report.good == []
    assert {each.status for each in report.answers} == {429}
    assert {each.problem for each in report.answers} == {"too many wait"}
    assert report.tokens_per_s == 0


def test_an_open_loop_does_not_wait_for_a_slow_server():
    engine = Parrot(SAYS, most=100)
    engine.may_step.clear()

    async def watched(home):
        running = asyncio.create_task(bench.run(home, QUICK))
        await asyncio.sleep(1.5)
        going = len(engine.going)
        engine.may_step.set()
        return going, await running

    with served(engine) as (home, _server):
        going, report = asyncio.run(watched(home))
    assert going == len(report.answers)


def test_where_nobody_listens_is_one_sentence():
    with pytest.raises(bench.ServerError, match="sparrow serve"):
        asyncio.run(bench.run("http://127.0.0.1:9", QUICK))


def report():
    answers = [
        Answered(asked_s=at, pieces_s=[at + 0.5, at + 0.7], tokens=2)
        for at in (0.0, 1.0, 2.0)
    ]
    samples = [Sample(at_s=at, waiting=at, running=2, blocks_used=1) for at in range(3)]
    return Report(model="x", load=QUICK, answers=answers, samples=samples)


def test_the_figures_are_those_of_the_answers():
    told = report()
    assert told.first_s == pytest.approx({50: 0.5, 95: 0.5, 99: 0.5})
    assert told.between_s[95] == pytest.approx(0.2)
    assert told.tokens_per_s == pytest.approx(6 / 2.7)


def test_the_plot_concludes_and_the_table_has_both_waits():
    ax = plot_load(report())
    assert "after 0.50 s" in ax.get_label()
    assert {each.get_text() for each in ax.texts} == {"served", "waiting"}
    table = load_table(report())
    assert table.row_count == 2
    assert "3 of 3" in table.caption
