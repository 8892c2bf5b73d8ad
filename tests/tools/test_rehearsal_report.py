"""What a rehearsal says, from figures that were made up."""

import getpass
import json
import sys

import nbformat
import pytest
from click.testing import CliRunner
from rich.console import Console

from tests.tools.small_course import REPOSITORY
from workshop.rehearsal import room
from workshop.rehearsal.command import rehearse
from workshop.rehearsal.conduct import Result, light_cells
from workshop.rehearsal.memory import Taken, Watch, taken, watched
from workshop.rehearsal.report import as_json, sentences, table


def result(**changes) -> Result:
    made = Result(learners=30, lab="02_latent_attention", handed_in=30)
    made.seconds = {"log_in": [float(each) for each in range(1, 31)]}
    made.memory = [Taken(pss_mib=400, rss_mib=900)] * 30
    made.machine = Watch(before_mib=20_480, least_mib=6_144)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def shown(made: Result) -> list[str]:
    console = Console(width=100)
    with console.capture() as printed:
        console.print(table(made))
    return [" ".join(line.split()) for line in printed.get().splitlines()]


def test_half_nearly_all_and_all_were_not_slower():
    lines = shown(result())
    assert lines[0] == "Half, less than 95 of 100 Longest"
    assert lines[1] == "From the card to JupyterLab 15 s 29 s 30 s"
    assert lines[2].endswith("– – –")
    assert lines[-1].endswith("400 MiB 400 MiB 400 MiB")


def test_a_class_that_went_well_says_so_in_two_sentences():
    assert sentences(result()) == [
        "Handed in and found again: 30 of 30.",
        "The machine had 20.0 GiB free before and 6.0 GiB at the least.",
    ]
    assert result().went_well


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"load_before": 3.2}, "busy before it began (load 3.2 a core)"),
        ({"seconds": {"log_in": [5.0, 720.0]}}, "Somebody waited 12 min"),
        (
            {"machine": Watch(before_mib=1, least_mib=1, ran_out=True)},
            "Memory ran out",
        ),
        ({"errors": ["try-001, run: OSError: gone"]}, "try-001, run: OSError: gone"),
        ({"handed_in": 29}, "29 of 30"),
    ],
)
def test_what_went_wrong_is_a_sentence_of_its_own(changes, words):
    assert any(words in each for each in sentences(result(**changes)))


def test_an_error_or_a_lost_submission_is_a_finding():
    assert not result(errors=["x"]).went_well
    assert not result(handed_in=29).went_well
    assert json.loads(as_json(result(handed_in=29)))["went_well"] is False


def test_cells_that_take_long_on_purpose_are_left_out():
    path = REPOSITORY / "solutions/02_latent_attention/02_latent_attention.ipynb"
    notebook = nbformat.read(path, as_version=4)
    code = [each for each in notebook.cells if each.cell_type == "code"]
    light = light_cells(notebook)
    assert len(code) - len(light) == 2
    assert any("check(" in each for each in light)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says what is shared")
def test_memory_that_is_shared_counts_by_its_share():
    (mine,) = taken([getpass.getuser()]).values()
    assert 10 < mine.pss_mib <= mine.rss_mib


def test_memory_that_runs_out_is_noticed_once(monkeypatch):
    monkeypatch.setattr("workshop.rehearsal.memory.LEAST_MIB", 2**40)
    given_up = []
    with watched(lambda: given_up.append(1)) as watch:
        while not watch.ran_out:
            pass
    assert given_up == [1]


def test_settings_that_are_not_there(tmp_path):
    ran = CliRunner().invoke(rehearse, ["--settings", str(tmp_path / "none.toml")])
    assert ran.exit_code == 2
    assert ran.output.count("\n") == 1


def test_another_hubs_sockets_stay_its_own(tmp_path):
    """A listener would put its own socket in their place."""
    real, own = tmp_path / "real", tmp_path / "own"
    for name in ("exchange", "board", "labs"):
        (real / "share/sparrow" / name).mkdir(parents=True)
    (real / "pyvenv.cfg").write_text("", "utf-8")
    room._link_programs(real, own)
    assert [each.name for each in (own / "share/sparrow").iterdir()] == ["labs"]
