"""`workshop grade`: full, partial and no marks, and a report instead of a crash."""

import json
import re
import sqlite3
from contextlib import closing

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell

from tests.tools import small_course
from tests.tools.small_course import EFFORT, FOOTPRINT, GUESS, LAB
from workshop.grading import reference
from workshop.grading.command import grade
from workshop.grading.pipeline import Pipeline
from workshop.grading.preprocessors import Course

pytestmark = pytest.mark.needs_bubblewrap

FULL = {"answer_0_1": GUESS, "answer_0_2": EFFORT, "answer_0_3": FOOTPRINT}
HALF = EFFORT.replace(" / 3600", "")
WORDS = "The hours are those of one step. It leaves V3 out."


def cell_of(notebook, name):
    return next(cell for cell in notebook.cells if cell["id"] == name)


def without(notebook, *names):
    notebook.cells = [cell for cell in notebook.cells if cell["id"] not in names]
    return notebook


def split_in_two(notebook):
    """JupyterLab copies the metadata when it splits a cell."""
    cell = cell_of(notebook, "answer-0-2")
    cell.source = "half = 6"
    other = new_code_cell(EFFORT.replace("6 *", "half *"), metadata=cell.metadata)
    notebook.cells.insert(notebook.cells.index(cell) + 1, other)
    return notebook


def copied_stub_below(notebook):
    cell = cell_of(notebook, "answer-0-2")
    stub = new_code_cell(small_course.STUBS["answer-0-2"], metadata=cell.metadata)
    notebook.cells.append(stub)
    return notebook


def with_edited_metadata(notebook):
    """Everything that a learner could do to metadata, at once."""
    cell_of(notebook, "check-0-1").metadata.nbgrader["points"] = 1000
    cell_of(notebook, "check-0-2").metadata.nbgrader["points"] = "many"
    cell_of(notebook, "check-0-2").source = "print('passed')"
    cell_of(notebook, "check-0-3").metadata.nbgrader = {"grade_id": "check-0-3"}
    cell_of(notebook, "answer-0-2").metadata.nbgrader["schema_version"] = 99
    cell_of(notebook, "answer-0-3").metadata.sparrow = "nothing"
    cell_of(notebook, "answer-0-1").metadata.nbgrader["grade_id"] = "answer-7-7"
    strange = new_code_cell("1", metadata={"nbgrader": ["a", "list"]})
    notebook.cells += [strange, new_markdown_cell("x", metadata={"nbgrader": 7})]
    notebook.metadata.kernelspec = {"name": "evil", "display_name": "", "language": "c"}
    return notebook


def with_changed_types(notebook):
    answer = cell_of(notebook, "answer-0-2")
    other = new_markdown_cell(answer.source, metadata=answer.metadata)
    notebook.cells[notebook.cells.index(answer)] = other
    text = cell_of(notebook, "answer-0-6")
    other = new_code_cell("a word", metadata=text.metadata)
    notebook.cells[notebook.cells.index(text)] = other
    return notebook


def old_format(notebook):
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]
    return notebook


ATTACK = (
    "<img src=x onerror=alert(1)> <script>alert(1)</script> [x](javascript:alert(1)) "
    "![p](http://foreign.example/p.png) <iframe src=http://foreign.example></iframe> "
    "$\\href{javascript:alert(1)}{x}$ words of an answer"
)
SUBMISSIONS = {
    "full": small_course.answered(**FULL, answer_0_6=WORDS),
    "stub": small_course.answered(),
    "half": small_course.answered(**{**FULL, "answer_0_2": HALF}, answer_0_6=WORDS),
    "noisy": small_course.answered(
        **{**FULL, "answer_0_1": "import sys\nsys.stderr.write('!')\n" + GUESS}
    ),
    "deleted": without(
        small_course.answered(**FULL), "answer-0-2", "check-0-3", "answer-0-6"
    ),
    "all_deleted": without(
        small_course.answered(), *small_course.STUBS, "check-0-1", "check-0-2", "c001"
    ),
    "split": split_in_two(small_course.answered(**FULL)),
    "copied": copied_stub_below(small_course.answered(**FULL)),
    "edited": with_edited_metadata(small_course.answered(**FULL)),
    "types": with_changed_types(small_course.answered(**FULL)),
    "old": old_format(small_course.answered(**FULL)),
    "script": small_course.answered(
        answer_0_2=f"def training_effort(**g):\n    raise ValueError({ATTACK!r})",
        answer_0_6=ATTACK,
    ),
}
# points of 0.1, 0.2, 0.3, 0.6; None waits for a person
SCORES = {
    "full": [1, 4, 5, None],
    "stub": [0, 0, 0, 0],
    "half": [1, 2, 5, None],
    "noisy": [1, 4, 5, 0],
    "deleted": [1, 0, 5, 0],
    "all_deleted": [0, 0, 0, 0],
    "split": [1, 4, 5, 0],
    "copied": [1, 4, 5, 0],
    "edited": [0, 4, 5, 0],
    "types": [1, 4, 5, None],
    "old": [1, 4, 5, 0],
    "script": [0, 0, 0, None],
}
REFUSED = {
    "not_json": "is no JSON",
    "cut": "is no JSON",
    "too_large": "21 MiB, and 20 MiB is the most",
    "other_lab": "notebook of lab 02_latent_attention, handed in as 00_preflight",
    "foreign": "No cell of this notebook belongs to lab 00_preflight",
    "no_notebook": "no notebook of format 4",
    "deep": "is no JSON",
    "link": "secret.txt is a link or a special file",
    "empty": "There is no notebook 00_preflight.ipynb",
    "[bold]*": "is no learner's name",
}


def hand_in_broken(course):
    def place(name, text):
        path = course / "submitted" / name / LAB / f"{LAB}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return path

    place("not_json", "my homework")
    place("cut", nbformat.writes(small_course.solved())[:500])
    place("too_large", " " * 21 * 1024**2)
    other = small_course.solved()
    other.metadata.sparrow.lab = "02_latent_attention"
    place("other_lab", nbformat.writes(other))
    place("foreign", nbformat.writes(nbformat.v4.new_notebook()))
    place("no_notebook", json.dumps({"nbformat": 4, "cells": [1]}))
    place("deep", "[" * 200_000 + "]" * 200_000)
    linked = place("link", nbformat.writes(small_course.solved()))
    (linked.parent / "secret.txt").symlink_to(course / ".workshop" / "secret")
    (course / "submitted" / "empty" / LAB).mkdir(parents=True)
    place("[bold]*", nbformat.writes(small_course.solved()))


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course in which everybody has been graded once: the folder and the output."""
    with pytest.MonkeyPatch.context() as patch:
        course = small_course.make(tmp_path_factory.mktemp("course"), patch)
        for learner, notebook in SUBMISSIONS.items():
            small_course.hand_in(course, learner, notebook)
        hand_in_broken(course)
        ran = CliRunner().invoke(grade, [LAB, "--course", str(course), "--feedback"])
        yield course, ran


def marks(course, learner):
    known = reference.read(Course(course).reference_path(LAB))
    return [each.score for each in Pipeline(Course(course)).marks(known, learner)]


@pytest.mark.parametrize("learner", SCORES)
def test_every_submission_gets_the_points_it_earned(graded, learner):
    course, _ran = graded
    assert marks(course, learner) == SCORES[learner]


@pytest.mark.parametrize("learner", REFUSED)
def test_a_broken_submission_is_one_sentence_and_the_others_are_graded(graded, learner):
    course, ran = graded
    said = " ".join(ran.output.split())
    assert f"{learner} was not graded." in said
    assert REFUSED[learner] in said
    assert not (course / "autograded" / learner).exists()
    assert not (course / "feedback" / learner).exists()


def test_the_exit_status_says_that_some_were_refused(graded):
    _course, ran = graded
    assert ran.exit_code == 1
    assert "Traceback" not in ran.output


def test_the_table_shows_everybody(graded):
    _course, ran = graded
    for learner in (*SCORES, *REFUSED):
        assert f"│ {learner} " in ran.output
    assert "10 + ·" in ran.output


def test_the_learners_notebook_is_not_changed(graded):
    course, _ran = graded
    path = course / "submitted" / "half" / LAB / f"{LAB}.ipynb"
    assert path.read_text() == nbformat.writes(SUBMISSIONS["half"]) + "\n" or (
        nbformat.read(path, 4) == SUBMISSIONS["half"]
    )


def test_grading_writes_nothing_to_labs(graded):
    course, _ran = graded
    assert not (course / "labs").exists()


def test_the_secret_is_private_and_stays(graded):
    course, _ran = graded
    path = course / ".workshop" / "secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (
        Course(course).secret() == Course(course).secret() == path.read_text().strip()
    )
    assert path.parent.stat().st_mode & 0o777 == 0o700


def feedback(course, learner):
    return (course / "feedback" / learner / LAB / f"{LAB}.html").read_text()


def test_feedback_says_which_part_failed_and_why(graded):
    course, _ran = graded
    page = feedback(course, "half")
    assert "2 of 4 points" in page
    assert "These are seconds" in page
    assert "not graded yet" in page


def test_feedback_is_titled_like_the_lab_and_counts_in_whole_numbers(graded):
    course, _ran = graded
    page = feedback(course, "half")
    assert LAB not in page.split("<main>")[0]
    assert page.count("<h1") == 1
    assert "<title>Lab 00</title>" in page
    assert "2 / 4</td>" in page
    assert ".0 /" not in page
    assert "reads your answer: 3</p>" in page
    for link in re.findall(r'href="#([^"]+)"', page.split("<main>")[0]):
        assert f'id="{link}"' in page


@pytest.mark.parametrize("learner", ["script", "half"])
def test_feedback_holds_no_script_and_asks_no_other_host(graded, learner):
    course, _ran = graded
    page = feedback(course, learner)
    assert "<script" not in page
    assert "<iframe" not in page
    assert 'href="javascript' not in page
    assert "http://foreign" not in page.replace("&lt;", "<").split("<pre>")[0]
    assert "default-src 'none'" in page


def test_formgrader_asks_no_other_host_and_shows_no_script(graded):
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers
    from traitlets.config import Config

    course, _ran = graded
    theirs = Config()  # what the extension adds to our configuration
    theirs.HTMLExporter.template_name = "formgrade"
    theirs.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    theirs.merge(Pipeline(Course(course)).config)
    path = course / "autograded" / "script" / LAB / f"{LAB}.ipynb"
    about = {"base_url": "", "notebook_id": LAB, "assignment_id": LAB, "index": 0}
    page, _resources = HTMLExporter(config=theirs).from_filename(
        str(path), resources={**about, "submission_id": "1", "total": 1}
    )
    assert "words of an answer" in page
    assert "cdnjs" not in page
    assert "Content-Security-Policy" in page
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "<iframe" not in page


def test_feedback_holds_no_hidden_case(graded):
    import torch

    from sparrow.checks import find
    from sparrow.checks.protocol import seed_of

    course, _ran = graded
    seed = seed_of("0.2", Course(course).secret())
    cases = find("0.2").cases(torch.Generator().manual_seed(seed), True)
    page = feedback(course, "half")
    for case in cases:
        for value in case.inputs.values():
            assert len(repr(value)) < 5 or repr(value) not in page


def test_a_cell_that_is_still_as_it_was_released_earns_nothing(monkeypatch):
    """Even if its values happen to pass a part of the check."""
    from workshop.grading import judge

    monkeypatch.setattr(judge, "grade_exercise", lambda *given: pytest.fail("it ran"))
    path = small_course.REPOSITORY / "solutions" / LAB / f"{LAB}.ipynb"
    lab = reference.read(path)
    same = {each.answer_id: "x = 1" for each in lab.exercises}
    outcomes = judge.grade(None, lab, same, [], "secret", same)
    assert {each.points_frac for each in outcomes.values()} == {0}


def test_a_missing_cell_is_back_in_the_graded_notebook(graded):
    course, _ran = graded
    path = course / "autograded" / "deleted" / LAB / f"{LAB}.ipynb"
    ids = [
        cell.metadata.nbgrader.grade_id
        for cell in nbformat.read(path, 4).cells
        if "nbgrader" in cell.metadata
    ]
    known = reference.read(Course(course).reference_path(LAB))
    assert tuple(ids) == known.order


def test_the_rubric_is_for_who_marks_and_in_nothing_that_comes_back(graded):
    course, _ran = graded
    rubric = Pipeline(Course(course)).config.HTMLExporter.filters["rubric"]
    [criterion] = rubric("answer-0-6", LAB)
    assert [each.points for each in criterion.levels] == [3.0, 1.5]
    assert criterion.levels[0].words == small_course.RUBRIC["3"]
    assert rubric("answer-0-2", LAB) == rubric(None, LAB) == ()
    for folder in ("autograded", "feedback"):
        for path in (course / folder).glob(f"full/{LAB}/*"):
            if path.is_file():
                text = path.read_text("utf-8")
                assert WORDS in text
                for words in small_course.RUBRIC.values():
                    assert words not in text


def test_an_edited_check_cell_is_put_back(graded):
    course, _ran = graded
    path = course / "autograded" / "edited" / LAB / f"{LAB}.ipynb"
    sources = [cell.source for cell in nbformat.read(path, 4).cells]
    assert 'check("0.2", training_effort)' in sources
    assert "print('passed')" not in sources


def test_grading_again_keeps_what_a_person_gave(graded):
    course, _ran = graded
    with closing(sqlite3.connect(course / "gradebook.db")) as database:
        database.execute(
            "update grade set manual_score = 2.5 where cell_id in (select id from "
            "base_cell where name = 'answer-0-6') and notebook_id in (select "
            "submitted_notebook.id from submitted_notebook join submitted_assignment "
            "on submitted_notebook.assignment_id = submitted_assignment.id "
            "where student_id = 'full')"
        )
        database.commit()
    options = [LAB, "--course", str(course), "--student", "full"]
    ran = CliRunner().invoke(grade, options)
    assert ran.exit_code == 0, ran.output
    assert "12.5" in ran.output
    assert marks(course, "full") == [1, 4, 5, 2.5]


def test_nbgrader_autograde_gives_the_same_scores(graded, tmp_path):
    """The command and the formgrader button use nbgrader's own converter."""
    from nbgrader.apps import NbGraderAPI

    course, _ran = graded
    pipeline = Pipeline(Course(course))
    import os
    import warnings

    before = os.getcwd()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(course)
        try:
            api = NbGraderAPI(pipeline.directory, config=pipeline.config)
            found = api.autograde(LAB, "half", force=True)
            linked = api.autograde(LAB, "link", force=True)
            refused = api.autograde(LAB, "other_lab", force=True)
        finally:
            os.chdir(before)
    assert found["success"], found
    assert marks(course, "half") == SCORES["half"]
    assert linked["success"], linked
    assert not (course / "autograded" / "link" / LAB / "secret.txt").exists()
    assert not refused["success"]
    assert "handed in as 00_preflight" in refused["log"]
    assert not (course / "autograded" / "other_lab" / LAB).exists()


def run(*options):
    return CliRunner().invoke(grade, list(options))


def test_a_lab_that_does_not_exist_is_one_sentence(graded):
    course, _ran = graded
    ran = run("99_nothing", "--course", str(course))
    assert ran.exit_code == 2
    assert ran.output.startswith("There is no lab '99_nothing'")
    assert "choose from 00_preflight" in ran.output


def test_a_folder_that_is_no_course_is_one_sentence(tmp_path):
    ran = run(LAB, "--course", str(tmp_path))
    assert ran.exit_code == 2
    assert "is no course folder" in ran.output


def test_nothing_handed_in_is_one_sentence(graded):
    course, _ran = graded
    ran = run(LAB, "--course", str(course), "--student", "nobody")
    assert ran.exit_code == 2
    assert "Nothing has been handed in for 00_preflight" in ran.output


def test_a_damaged_full_notebook_is_one_sentence(tmp_path, monkeypatch):
    course = small_course.make(tmp_path, monkeypatch)
    (course / "solutions" / LAB / f"{LAB}.ipynb").write_text("{}")
    ran = run(LAB, "--course", str(course))
    assert ran.exit_code == 2
    assert "is damaged" in ran.output
    assert "run `workshop build`" in ran.output


def test_a_damaged_secret_is_one_sentence(tmp_path):
    (tmp_path / ".workshop").mkdir()
    (tmp_path / ".workshop" / "secret").write_text("short")
    from sparrow.errors import StorageError

    with pytest.raises(StorageError, match="is damaged"):
        Course(tmp_path).secret()


def test_without_a_sandbox_nothing_is_graded_or_written(tmp_path, monkeypatch):
    from workshop.sandbox import bubblewrap

    course = small_course.make(tmp_path, monkeypatch)
    small_course.hand_in(course, "ada", small_course.solved())
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: None)
    ran = run(LAB, "--course", str(course))
    assert ran.exit_code == 1
    assert "sudo apt install bubblewrap" in ran.output
    assert sorted(p.name for p in course.iterdir()) == [
        "nbgrader_config.py",
        "solutions",
        "submitted",
    ]


def test_an_instructor_may_grade_their_own_notebook_without(tmp_path, monkeypatch):
    from workshop.sandbox import bubblewrap

    course = small_course.make(tmp_path, monkeypatch)
    small_course.hand_in(course, "ada", small_course.solved())
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: None)
    ran = run(LAB, "--course", str(course), "--no-sandbox")
    assert ran.exit_code == 0, ran.output
    assert "No sandbox" in ran.output
    assert marks(course, "ada") == [1, 4, 5, None]
