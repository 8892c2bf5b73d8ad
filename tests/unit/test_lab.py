"""A learner's session: begin, use what you wrote, keep it, hand it in."""

import hashlib
import importlib.util
import json
import linecache
import os
import re
import sys
import time
from pathlib import Path

import pytest

from sparrow import checks, lab, runtime
from sparrow.checks import library
from sparrow.errors import LabError, StorageError
from sparrow.lab import catalogue, hand_in, keep, session

LAB = "00_preflight"
RIGHT = '''
from __future__ import annotations
import torch
from sparrow.cost.bill import Effort

HOUR = 3600
elsewhere = undefined_here
print("tried out")


# the step
def training_effort(active_parameters: Foreign, tokens, flops_per_s):
    """Two bills."""
    flops = 6 * active_parameters * tokens  # six
    return Effort(flops=flops, machine_hours=flops / flops_per_s / HOUR)
'''
WRONG = RIGHT.replace("6 *", "5 *")


def cell(text, name="training_effort"):
    """What a notebook makes of a cell: the object, with source that can be found."""
    file = f"<cell {hashlib.sha256(text.encode()).hexdigest()}>"
    lines = text.splitlines(keepends=True)
    linecache.cache[file] = (len(text), None, lines, file)
    space = {"__name__": "__main__", "undefined_here": 1, "print": lambda _text: None}
    exec(compile(text, file, "exec"), space)
    return space[name]


@pytest.fixture
def begun(capsys):
    """Lab 00, begun; what it replaced is put back."""
    started = lab.start(LAB)
    capsys.readouterr()
    yield started
    for symbol in list(library.replaced()):
        library.put_back(symbol)
    checks.on_pass.clear()


# --- begin


def test_start_tells_the_machine_the_versions_the_budget_and_the_folder(capsys):
    lab.start(LAB)
    shown = capsys.readouterr().out
    here = runtime.machine()
    for word in (
        catalogue.about(LAB).title,
        here.device.upper(),
        f"{here.cores} cores",
        f"PyTorch {here.torch}",
        f"Python {here.python}",
        "60 minutes",
        "2 GiB",
        str(runtime.home_folder()),
    ):
        assert word in shown


def test_a_question_that_the_title_does_not_ask_has_its_own_line(capsys):
    lab.start("tour")
    assert capsys.readouterr().out.splitlines()[1] == "What will you build?"


def test_the_tier_is_the_machines(capsys, monkeypatch):
    here = runtime.machine()
    for tier, word in (("cpu", "Tier: CPU"), ("gpu", "Tier: GPU")):
        told = type(here)(**{**vars(here), "tier": tier})
        monkeypatch.setattr(runtime, "machine", lambda told=told: told)
        lab.start(LAB)
        assert word in capsys.readouterr().out


def test_start_makes_no_folder_and_leaves_the_library_alone(capsys):
    lab.start(LAB)
    assert not runtime.home_folder().exists()
    assert library.replaced() == {}


@pytest.mark.parametrize("name", ["00_prefligth", "preflight", "00"])
def test_an_unknown_lab_names_the_near_one(name):
    with pytest.raises(LabError, match=LAB):
        lab.start(name)


# --- use what you wrote


def test_use_mine_lets_the_library_call_a_right_function(begun, capsys):
    from sparrow.cost import bill

    mine = cell(RIGHT)
    begun.use_mine(mine)
    assert bill.training_effort is mine
    assert "training_effort" in capsys.readouterr().out


def test_use_mine_refuses_a_wrong_function_and_changes_nothing(begun):
    with pytest.raises(LabError, match=r"Exercise 0\.2 .*check\(\"0\.2\""):
        begun.use_mine(cell(WRONG))
    assert library.replaced() == {}


def test_a_wrong_function_is_used_by_force(begun):
    from sparrow.cost import bill

    mine = cell(WRONG)
    begun.use_mine(mine, force=True)
    assert bill.training_effort is mine


def test_use_library_puts_back_one_or_all(begun, capsys):
    from sparrow.cost import bill

    begun.use_mine(cell(RIGHT))
    begun.use_library("footprint")
    assert library.replaced()
    begun.use_library("training_effort")
    assert bill.training_effort.__module__ == "sparrow.cost.bill"
    begun.use_mine(cell(RIGHT))
    begun.use_library()
    assert library.replaced() == {}
    assert capsys.readouterr().out.rstrip().endswith("training_effort.")


@pytest.mark.parametrize("foreign", [len, 3, None, lambda x: x])
def test_what_no_exercise_asks_for_is_refused_with_the_names(begun, foreign):
    with pytest.raises(LabError, match="training_effort, footprint"):
        begun.use_mine(foreign)


# --- keep


def load():
    spec = importlib.util.spec_from_file_location("my_sparrow", keep.path())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_passed_is_kept_and_the_file_can_be_imported(begun):
    assert checks.check("0.2", cell(RIGHT)).passed
    module = load()
    assert module.training_effort(2, 3, 1.0).flops == 36
    text = keep.path().read_text("utf-8")
    assert "# six" in text
    assert "tried out" not in text
    assert "undefined_here" not in text


def test_what_failed_is_not_kept(begun):
    assert not checks.check("0.2", cell(WRONG)).passed
    assert not keep.path().exists()


def test_a_later_version_takes_the_earlier_ones_place(begun):
    keep.keep("0.3", cell("def footprint():\n    return 3\n", "footprint"))
    keep.keep("0.2", cell(WRONG))
    keep.keep("0.2", cell(RIGHT))
    found = keep.sections(keep.path().read_text("utf-8"))
    assert list(found) == ["0.2", "0.3"]
    assert "6 * active" in found["0.2"]
    assert "5 * active" not in keep.path().read_text("utf-8")
    assert load().footprint() == 3


def test_sections_stand_in_the_order_of_the_labs(begun):
    for number in ("10.2", "2.10", "2.9"):
        keep.keep(number, cell(RIGHT))
    assert list(keep.sections(keep.path().read_text("utf-8"))) == [
        "2.9",
        "2.10",
        "10.2",
    ]


@pytest.mark.parametrize("value", [3, "text", None, [1]])
def test_values_are_not_kept(value):
    keep.keep("0.1", value)
    assert not keep.path().exists()


def test_the_librarys_own_function_is_not_kept(begun):
    from sparrow.cost import bill

    assert checks.check("0.2", bill.training_effort).passed
    assert not keep.path().exists()


OTHERS = """
import math
import torch
from torch import Tensor as T
SIX = 2 * 3
def times(a, b):
    return a * b * math.exp(0)
def unused():
    return notebook_only
notebook_only = torch.ones(2)
"""


def in_a_notebook(*cells):
    """Run cells one after another in one space; the space."""
    space = {"__name__": "__main__"}
    for number, text in enumerate(cells):
        file = f"<cell {number} {hashlib.sha256(text.encode()).hexdigest()}>"
        lines = text.splitlines(keepends=True)
        linecache.cache[file] = (len(text), None, lines, file)
        exec(compile(text, file, "exec"), space)
    return space


def test_what_other_cells_define_is_kept_too_and_nothing_else():
    using = "def f(x: T) -> T:\n    return torch.tensor(times(SIX, x))\nprint = 3\n"
    keep.keep("0.2", in_a_notebook(OTHERS, using)["f"])
    assert load().f(7) == 42
    text = keep.path().read_text("utf-8")
    assert "SIX = 6" in text
    assert "unused" not in text
    assert "notebook_only" not in text


def test_a_class_is_kept_with_what_its_methods_use():
    using = "class C:\n    @staticmethod\n    def f(x):\n        return times(SIX, x)\n"
    keep.keep("0.2", in_a_notebook(OTHERS, using)["C"])
    assert load().C.f(7) == 42


@pytest.mark.parametrize(
    ("using", "word"),
    [
        ("def f(x):\n    return notebook_only\n", "notebook_only"),
        ("def f(x, y=notebook_only):\n    return y\n", "notebook_only"),
        ("import sys\n@sys.unheard_of\ndef f(x):\n    return x\n", "unheard_of"),
    ],
)
def test_what_only_the_notebook_has_is_said_and_the_file_stays(using, word):
    keep.keep("0.2", cell(RIGHT))
    before = keep.path().read_bytes()
    made = in_a_notebook(OTHERS, "import sys\nsys.unheard_of = lambda f: f\n", using)
    del sys.unheard_of
    with pytest.raises(LabError, match=f"Exercise 0.3 passes, but .*{word}"):
        keep.keep("0.3", made["f"])
    assert keep.path().read_bytes() == before


def test_a_check_that_passes_ends_well_even_if_nothing_can_be_kept(begun, capsys):
    runtime.home_folder().write_text("a file where a folder should be")
    assert checks.check("0.2", cell(RIGHT)).passed
    assert str(runtime.home_folder()) in capsys.readouterr().out


def test_a_section_that_somebody_broke_does_not_break_the_file():
    keep.keep("0.2", cell(RIGHT))
    with keep.path().open("a", encoding="utf-8") as file:
        file.write("def broken(:\n")
    keep.keep("0.3", cell("def footprint():\n    return 3\n", "footprint"))
    assert load().footprint() == 3


def test_a_file_that_is_no_text_is_replaced(begun):
    keep.path().parent.mkdir(parents=True)
    keep.path().write_bytes(b"\xff\xfe\x00")
    keep.keep("0.2", cell(RIGHT))
    assert load().training_effort(1, 1, 1.0).flops == 6


# --- hand in


@pytest.fixture
def course(tmp_path, monkeypatch):
    folder = tmp_path / "course"
    folder.mkdir()
    monkeypatch.setenv("SPARROW_COURSE", str(folder))
    monkeypatch.setenv("LOGNAME", "ada")
    return folder


@pytest.fixture
def notebook(tmp_path):
    return written(tmp_path / f"{LAB}.ipynb", "first")


def written(path, text, name=LAB):
    told = {
        "cells": [{"cell_type": "markdown", "metadata": {}, "source": text}],
        "metadata": {"sparrow": {"lab": name}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(told), "utf-8")
    return path


def everything(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_submit_copies_the_notebook_and_shows_the_receipt(
    begun, course, notebook, capsys
):
    begun.submit(notebook)
    place = course / "submitted/ada" / LAB
    assert (place / f"{LAB}.ipynb").read_bytes() == notebook.read_bytes()
    assert str(place / "receipt.json") in capsys.readouterr().out
    assert sorted(path.name for path in course.iterdir()) == ["submitted"]


def test_the_receipt_has_the_hash_of_each_file(begun, course, notebook):
    begun.submit(notebook)
    place = course / "submitted/ada" / LAB
    told = json.loads((place / "receipt.json").read_text("utf-8"))
    assert told["lab"] == LAB
    assert told["user"] == "ada"
    assert told["sha256"] == {
        f"{LAB}.ipynb": hashlib.sha256(notebook.read_bytes()).hexdigest()
    }


def test_nbgrader_can_read_the_time(begun, course, notebook):
    from nbgrader.utils import parse_utc

    begun.submit(notebook)
    text = (course / "submitted/ada" / LAB / "timestamp.txt").read_text("utf-8")
    assert abs(parse_utc(text.strip()).timestamp() - _utc_now()) < 86_400


def _utc_now():
    return time.time()


def test_the_labs_files_go_along(course, notebook):
    told = catalogue.About(
        **{**vars(catalogue.about(LAB)), "artefacts": ("ledger.json", "missing.json")}
    )
    runtime.home_folder().mkdir(parents=True)
    (runtime.home_folder() / "ledger.json").write_text("{}", "utf-8")
    assert hand_in.missing(told) == ["missing.json"]
    receipt = hand_in.hand_in(told, notebook)
    hashes = json.loads(receipt.read_text("utf-8"))["sha256"]
    assert sorted(hashes) == [f"{LAB}.ipynb", "ledger.json"]
    assert (receipt.parent / "ledger.json").read_text("utf-8") == "{}"


def test_a_second_submission_keeps_the_first(begun, course, notebook):
    begun.submit(notebook)
    first = notebook.read_bytes()
    begun.submit(written(notebook, "second"))
    kept = list((course / "earlier/ada" / LAB).iterdir())
    assert len(kept) == 1
    assert (kept[0] / f"{LAB}.ipynb").read_bytes() == first
    now = course / "submitted/ada" / LAB / f"{LAB}.ipynb"
    assert now.read_bytes() == notebook.read_bytes()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"this is no JSON", "not a Jupyter notebook"),
        (b"\xff\xfe\x00", "not a Jupyter notebook"),
        (b"[1, 2]", "not a Jupyter notebook"),
        (b'{"metadata": {}, "cells": 3}', "not a Jupyter notebook"),
        (b"[" * 100_000, "not a Jupyter notebook"),
        (b'{"metadata": {}, "cells": []}', "belongs to no lab"),
        (b" " * 20_000_001, "has 21 MB, and 20 are allowed"),
    ],
)
def test_what_is_no_notebook_is_refused(begun, course, notebook, data, words):
    notebook.write_bytes(data)
    with pytest.raises(LabError, match=words):
        begun.submit(notebook)
    assert everything(course) == {}


def test_another_labs_notebook_is_refused(begun, course, notebook):
    written(notebook, "text", name="02_latent_attention")
    with pytest.raises(LabError, match=f"02_latent_attention, not to {LAB}"):
        begun.submit(notebook)
    assert everything(course) == {}


def test_a_missing_notebook_is_said(begun, course, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabError, match=re.escape(f"{tmp_path / LAB}.ipynb")):
        begun.submit()


def test_the_notebook_is_found_by_the_labs_name_or_by_jupyter(
    begun, course, notebook, monkeypatch, tmp_path
):
    monkeypatch.chdir(notebook.parent)
    begun.submit()
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    begun.submit()
    assert len(list((course / "earlier/ada" / LAB).iterdir())) == 1


def test_a_renamed_notebook_is_found_by_its_lab(begun, course, notebook, monkeypatch):
    monkeypatch.chdir(notebook.parent)
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    written(notebook.with_name("tour.ipynb"), "text", name="tour")
    notebook.rename(notebook.with_name("mine.ipynb"))
    begun.submit()
    assert (course / "submitted/ada" / LAB / f"{LAB}.ipynb").is_file()


def test_what_the_lab_asks_for_and_is_not_there_is_said(
    course, notebook, monkeypatch, capsys
):
    told = catalogue.About(**{**vars(catalogue.about(LAB)), "artefacts": ("a.json",)})
    session.Lab(told).submit(notebook)
    assert "also asks for a.json" in capsys.readouterr().out


def test_a_notebook_older_than_the_last_pass_is_refused(begun, course, notebook):
    checks.check("0.2", cell(RIGHT))
    before = time.time() - 60
    os.utime(notebook, (before, before))
    with pytest.raises(LabError, match="Ctrl\\+S"):
        begun.submit(notebook)
    notebook.touch()
    begun.submit(notebook)


def test_a_course_folder_that_cannot_be_made_is_one_sentence(
    begun, course, notebook, monkeypatch
):
    (course / "submitted").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match=str(course)):
        begun.submit(notebook)
    assert everything(course) == {"submitted": b"a file where a folder should be"}


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_what_breaks_half_way_leaves_the_old_submission_whole(
    begun, course, notebook, monkeypatch, failing, error
):
    begun.submit(notebook)
    before = everything(course)
    written(notebook, "second")
    replace, calls = os.replace, []

    def break_once(source, target):
        calls.append(target)
        if len(calls) == failing:
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", break_once)
    kind = StorageError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(kind):
        begun.submit(notebook)
    assert everything(course) == before


def test_a_full_disk_leaves_nothing_behind(begun, course, notebook, monkeypatch):
    def full(_source, target):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hand_in.shutil, "copyfile", full)
    with pytest.raises(StorageError, match="No space left"):
        begun.submit(notebook)
    assert everything(course) == {}


@pytest.mark.parametrize("user", ["..", "../../etc", ".hidden", "a/b", ""])
def test_a_strange_account_stays_in_its_folder(course, notebook, user):
    receipt = hand_in.hand_in(catalogue.about(LAB), notebook, user)
    assert receipt.parents[2] == course / "submitted"
    assert not receipt.parents[1].name.startswith(".")


def test_a_notebook_shows_an_error_as_its_line_and_one_sentence():
    text = "from sparrow.lab import start\n\nstart('no such lab')\n"
    with pytest.raises(LabError) as caught:
        in_a_notebook(text)
    line, sentence = caught.value._render_traceback_()
    assert line == "Line 3 of the cell: start('no such lab')"
    assert sentence == f"LabError: {caught.value}"


def test_feedback_lies_beside_the_notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARROW_COURSE", str(tmp_path / "course"))
    monkeypatch.setattr(hand_in, "_account", lambda: "amina")
    about = catalogue.about("00_preflight")
    with pytest.raises(LabError, match="no feedback"):
        hand_in.fetch_feedback(about, tmp_path)
    place = tmp_path / "course" / "feedback" / "amina" / about.name
    place.mkdir(parents=True)
    (place / f"{about.name}.html").write_text("<p>Good.</p>")
    page = hand_in.fetch_feedback(about, tmp_path)
    assert page == tmp_path / "feedback" / f"{about.name}.html"
    assert page.read_text() == "<p>Good.</p>"
