"""Labs are fetched at each start of a server, and what a person wrote stays."""

from pathlib import Path

import pytest

from tests.small_disk import small_disk
from workshop.hub.learner import fetch

LAB = "02_latent_attention"


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    lab = tmp_path / "labs" / LAB
    lab.mkdir(parents=True)
    (lab / f"{LAB}.ipynb").write_text("as released" * 10_000)
    return lab.parent


def test_a_lab_that_is_fetched_twice_keeps_what_was_written(labs, tmp_path):
    own = tmp_path / "home" / "labs"
    own.mkdir(parents=True)
    fetch(labs, own)
    written = own / LAB / f"{LAB}.ipynb"
    written.write_text("my work")
    (labs / LAB / f"{LAB}.ipynb").write_text("released anew")
    fetch(labs, own)
    assert written.read_text() == "my work"
    assert [each.name for each in own.iterdir()] == [LAB]


def test_half_a_lab_from_before_a_power_cut_is_fetched_anew(labs, tmp_path):
    own = tmp_path / "labs of mine"
    (own / f".{LAB}.part").mkdir(parents=True)
    (own / f".{LAB}.part" / "half").write_text("")
    fetch(labs, own)
    assert [each.name for each in own.iterdir()] == [LAB]
    assert len(list((own / LAB).iterdir())) == 1


@pytest.mark.needs_mount
def test_a_full_disk_keeps_nobody_out_and_leaves_no_half_lab(labs, tmp_path, capsys):
    with small_disk(tmp_path / "disk", 64) as own:
        fetch(labs, own)
        assert "No space left" in capsys.readouterr().err
        assert not (own / LAB).exists()
        (labs / LAB / f"{LAB}.ipynb").write_text("smaller")
        fetch(labs, own)
        assert (own / LAB / f"{LAB}.ipynb").read_text() == "smaller"
