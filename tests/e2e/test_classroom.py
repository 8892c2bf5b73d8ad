"""A workshop from the roster to the marks, as four people live it in their browsers.

The tests are one story, in order: cards, log-in, work, grading, a written answer read
by a person, feedback, marks. Each leaves pictures to look at in `screenshots/`.
"""

import csv
import hashlib
import json
import os
import pwd
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import network_guard
from tests.e2e.hub_room import REPOSITORY, Room, opened
from tests.e2e.lab_server import SCREENSHOTS, Notebook, errors_of, text_of
from workshop.grading import reference
from workshop.grading.course import Course
from workshop.grading.pipeline import Pipeline

LAB = "00_preflight"
SOLVE_S = 600  # three people on two cores, which may be busy with other work
PEOPLE = (
    ("amina", "Amina Ben Salah", "en"),
    ("diaye", "Aïcha N'Diaye", "fr"),
    ("omar", "عمر بن علي", "ar"),
)
# What each writes: everything right; no second function, and hours that are seconds;
# a footprint whose building costs no carbon, explained in Arabic.
SECONDS = """from sparrow.cost.bill import Effort


def training_effort(active_parameters, tokens, flops_per_s):
    flops = 6 * active_parameters * tokens
    return Effort(flops=flops, machine_hours=flops / flops_per_s)
"""
NO_BUILDING = """from sparrow.cost.bill import Footprint


def footprint(
    *, machine_hours, power_w, pue, price_per_hour, tariff_per_kwh, grid_g_per_kwh
):
    machine_kwh = power_w * machine_hours / 1000
    energy_kwh = machine_kwh * pue
    return Footprint(
        energy_kwh=energy_kwh,
        co2_kg=machine_kwh * grid_g_per_kwh / 1000,
        money=machine_hours * price_per_hour + energy_kwh * tariff_per_kwh,
    )
"""
WORDS = {
    "amina": "It counts 147 thousand hours for the last step, at 2 dollars. V3 took "
    "2,788 thousand, so the step added 5 %. How many hours did failed runs take?",
    "diaye": "It counts the hours of the last step. It leaves V3 out.",
    "omar": "يحسب هذا الرقم ساعات الخطوة الأخيرة فقط، أي 147 ألف ساعة بسعر دولارين، "
    "ولا يحسب تدريب V3. كم ساعة استغرقت التجارب الفاشلة؟",
}
COMMENT = "Good. Which experiments would you ask about first?"
pytestmark = [
    pytest.mark.needs_hub,
    pytest.mark.needs_chromium,
    pytest.mark.needs_bubblewrap,
]


@dataclass
class Visitor:
    """Somebody's browser, which keeps what it asked of other hosts in `foreign`."""

    page: Any
    account: str
    foreign: list[str] = field(default_factory=list)
    notebook: Notebook | None = None

    def picture(self, name: str, *, whole: bool = False) -> Path:
        """A screenshot to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.wait_for_timeout(500)
        path = SCREENSHOTS / f"classroom-{name}.png"
        self.page.screenshot(path=path, full_page=whole)
        return path


@pytest.fixture(scope="module")
def room():
    with opened(PEOPLE) as room:
        yield room


@pytest.fixture(scope="module")
def visit(room: Room, chromium: Any):
    """Open a browser of its own for an account; once for each."""
    met: dict[str, Visitor] = {}

    def visit(account: str) -> Visitor:
        if account not in met:
            # The certificate is the room's own; the first test compares fingerprints.
            context = chromium.new_context(
                viewport={"width": 1280, "height": 900}, ignore_https_errors=True
            )
            context.set_default_timeout(120_000)
            visitor = met[account] = Visitor(context.new_page(), account)

            def note(request: Any) -> None:
                address = urlsplit(request.url)
                if address.scheme.startswith(("http", "ws")) and (
                    not network_guard.is_here(address.hostname)
                ):
                    visitor.foreign.append(request.url)

            context.on("request", note)
        return met[account]

    yield visit
    for each in met.values():
        each.page.context.close()


@pytest.fixture(scope="module")
def class_(room: Room, visit: Any) -> dict[str, Visitor]:
    """The three learners, by the first part of their names."""
    return {name: visit(room.account(name)) for name, *_rest in PEOPLE}


@pytest.fixture(scope="module")
def teacher(room: Room, visit: Any) -> Visitor:
    return visit(room.people.instructor)


def cell_of(notebook: dict[str, Any], cell_id: str) -> dict[str, Any]:
    [cell] = [each for each in notebook["cells"] if each["id"] == cell_id]
    return cell


def put_answers(room: Room, name: str) -> Path:
    """Write a learner's code into their own notebook, as they would have typed it."""
    path = room.place.home(room.account(name)) / "labs" / LAB / f"{LAB}.ipynb"
    notebook = json.loads((room.place.labs / LAB / path.name).read_text("utf-8"))
    assert path.is_file(), "it was fetched"
    full = json.loads(
        (REPOSITORY / "solutions" / LAB / f"{LAB}.ipynb").read_text("utf-8")
    )
    stub = cell_of(notebook, "answer-0-3")["source"]
    for number in range(1, 6):
        answer = cell_of(full, f"answer-0-{number}")["source"]
        cell_of(notebook, f"answer-0-{number}")["source"] = answer
    if name == "diaye":
        cell_of(notebook, "answer-0-2")["source"] = SECONDS
        cell_of(notebook, "answer-0-3")["source"] = stub
    if name == "omar":
        cell_of(notebook, "answer-0-3")["source"] = NO_BUILDING
    path.write_text(json.dumps(notebook), "utf-8")
    person = pwd.getpwnam(room.account(name))
    os.chown(path, person.pw_uid, person.pw_gid)
    return path


def test_the_cards_as_printed_have_names_codes_and_the_right_fingerprint(
    room, chromium
):
    import zxingcpp
    from PIL import Image

    page = chromium.new_page(viewport={"width": 800, "height": 1130})
    page.emulate_media(media="print")
    page.goto(room.place.cards.as_uri())
    SCREENSHOTS.mkdir(exist_ok=True)
    path = SCREENSHOTS / "classroom-01-cards.png"
    page.screenshot(path=path)
    page.pdf(path=path.with_suffix(".pdf"), prefer_css_page_size=True)
    with Image.open(path) as image:
        found = {each.text for each in zxingcpp.read_barcodes(image)}
    accounts = [room.account(name) for name, *_rest in PEOPLE]
    assert found == {f"{room.home}/hub/login#{account}" for account in accounts}
    assert page.locator("h2").all_inner_texts() == [name for _a, name, _l in PEOPLE]
    words, room_for_them = page.locator("h2").last.evaluate(
        "it => { const all = document.createRange(); all.selectNodeContents(it);"
        " return [all, it].map(each => each.getBoundingClientRect().right) }"
    )
    assert words == pytest.approx(room_for_them, abs=1), "Arabic begins at the right"
    printed = "".join(page.locator("footer code").first.inner_text().split())
    address = urlsplit(room.home)
    certificate = ssl.PEM_cert_to_DER_cert(
        ssl.get_server_certificate((address.hostname, address.port))
    )
    assert printed == hashlib.sha256(certificate).hexdigest().upper()
    page.close()


def test_learners_log_in_with_their_cards_and_see_the_labs(room, class_):
    for name, visitor in class_.items():
        page = visitor.page
        page.goto(f"{room.home}/hub/login#{visitor.account}")  # what the code says
        field_ = page.get_by_label("Account")
        assert field_.input_value() == visitor.account
        page.get_by_label("Passcode").fill(room.passcodes[visitor.account])
        visitor.picture(f"02-login-{name}")
        page.get_by_role("button", name="Log in").click(no_wait_after=True)
    for name, visitor in class_.items():
        page = visitor.page
        files = page.locator(".jp-DirListing-content")
        files.get_by_text(LAB, exact=True).wait_for()
        visitor.picture(f"03-labs-{name}")
        assert files.get_by_text("tour", exact=True).count() == 1


def open_lab(room: Room, visitor: Visitor, name: str) -> Notebook:
    """From the list of files, as one opens a notebook by hand."""
    file = put_answers(room, name)
    files = visitor.page.locator(".jp-DirListing-content")
    files.get_by_text(LAB, exact=True).dblclick()
    files.get_by_text(f"{LAB}.ipynb", exact=True).dblclick()
    return Notebook(visitor.page, file)


def explain(notebook: Notebook, words: str) -> None:
    """Type the written answer in its own cell."""
    cell = notebook.cell("Write your answer here")
    cell.locator(".jp-RenderedMarkdown").dblclick()
    cell.locator(".cm-content").click()  # it waits for the editor: before it, all
    notebook.page.keyboard.press("Control+a")  # cells would be chosen, and run
    notebook.page.keyboard.insert_text(words)
    notebook.page.keyboard.press("Shift+Enter")


def has_run(notebook: Notebook) -> bool:
    """No, too, while Jupyter writes the file anew."""
    try:
        return notebook.has_run()
    except json.JSONDecodeError:
        return False


def test_they_solve_the_lab_and_the_checks_say_what_is_wrong(room, class_):
    for name, visitor in class_.items():
        visitor.notebook = open_lab(room, visitor, name)
        explain(visitor.notebook, WORDS[name])
        visitor.notebook.save()
        page = visitor.page
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    said = {"amina": "Exercise 0.3 passes.", "diaye": "hours", "omar": "building"}
    for name, visitor in class_.items():
        notebook = visitor.notebook
        until = time.monotonic() + SOLVE_S
        while not has_run(notebook):
            assert time.monotonic() < until
            notebook.rest()
            notebook.save()
        assert errors_of(notebook.cells()) == []
        number = "0-2" if name == "diaye" else "0-3"
        check = cell_of({"cells": notebook.cells()}, f"check-{number}")
        assert said[name] in text_of(check), text_of(check)
        notebook.cell('check("0.2"' if name == "diaye" else 'check("0.3"')
        visitor.picture(f"05-check-{name}")
        notebook.cell("147" if name != "diaye" else "It counts the hours")
        visitor.picture(f"06-written-{name}")


def test_they_hand_in_from_the_notebook(room, class_):
    for name, visitor in class_.items():
        notebook = visitor.notebook
        notebook.cell("Save (Ctrl + S), then run").click()
        notebook.add_below("lab.submit()")
        notebook.save()
        notebook.run_this()
        last = notebook.cell("lab.submit()Handed in")
        last.get_by_text("Handed in. Your receipt:").wait_for()
        visitor.picture(f"07-receipt-{name}")
    assert "The record is whole; submissions: 3." in room.run("submissions", "list")


def type_in_terminal(teacher: Visitor, line: str, done: Path) -> None:
    """Type a command, and wait until it has ended."""
    page = teacher.page
    page.locator(".jp-Terminal").last.click()
    page.keyboard.insert_text(f"{line}; echo $? > {done.name}")
    page.keyboard.press("Enter")
    until = time.monotonic() + SOLVE_S
    while not done.exists() or not done.read_text():
        assert time.monotonic() < until, f"{line} has not ended"
        page.wait_for_timeout(300)


def test_the_instructor_grades_in_a_terminal_of_the_hub(room, teacher):
    page = teacher.page
    page.goto(f"{room.home}/hub/login#{teacher.account}")
    page.get_by_label("Passcode").fill(room.passcodes[teacher.account])
    page.get_by_role("button", name="Log in").click(no_wait_after=True)
    page.locator(".jp-DirListing-content").get_by_text("solutions").wait_for()
    teacher.picture("08-instructor")
    page.locator(".jp-Launcher").get_by_text("Terminal", exact=True).click()
    page.locator(".jp-Terminal .xterm").wait_for()
    page.wait_for_timeout(1500)
    done = room.place.course / "graded.status"
    collect = f"workshop submissions collect {LAB}"  # no workshop.toml lies here
    type_in_terminal(teacher, f"{collect} && workshop grade {LAB}", done)
    teacher.picture("09-graded")
    assert done.read_text().strip() == "0"


def in_frame(teacher: Visitor) -> Any:
    """Formgrader's page, inside JupyterLab."""
    return teacher.page.frame_locator("iframe").first


def marks_of(room: Room) -> dict[str, dict[str, float | None]]:
    """What the gradebook holds: who -> exercise -> points."""
    course = Course(room.place.course)
    known = reference.read(course.reference_path(LAB))
    pipeline = Pipeline(course)
    return {
        name: {
            each.exercise: each.score
            for each in pipeline.marks(known, room.account(name))
        }
        for name, *_rest in PEOPLE
    }


def test_a_written_answer_is_marked_in_formgrader_with_the_rubric_beside_it(
    room, teacher
):
    page = teacher.page
    page.get_by_role("menuitem", name="Nbgrader", exact=True).click()
    page.get_by_role("menuitem", name="Formgrader", exact=True).click()
    frame = in_frame(teacher)
    frame.get_by_role("link", name="Manual Grading").click()
    frame.get_by_role("link", name=LAB, exact=True).click()
    frame.get_by_text("Notebook ID").wait_for()
    frame.get_by_role("link", name=LAB, exact=True).last.click()
    frame.get_by_role("link", name="Submission #1").wait_for()
    teacher.picture("10-formgrader-list")
    frame.get_by_role("link", name="Submission #1").click()
    chosen = {"amina": (0, 0, 0), "diaye": (1, 1, 2), "omar": (0, 1, 0)}
    for at in range(3):
        frame.get_by_text(f"Submission {at + 1} / 3").wait_for()
        rubric = frame.locator(".marking aside")
        answer = frame.locator(".marking .nbgrader_cell")
        said = answer.locator(".panel-body").inner_text().strip()
        [name] = [name for name, words in WORDS.items() if words == said]
        score = answer.locator("input.score")
        rubric.scroll_into_view_if_needed()
        beside, marked = rubric.bounding_box(), answer.bounding_box()
        assert beside["x"] >= marked["x"] + marked["width"]
        assert abs(beside["y"] - marked["y"]) < 40
        for group, level in enumerate(chosen[name]):
            lines = rubric.locator("fieldset").nth(group).locator("input")
            lines.nth(level).check()
        points = sum((1, 0.5, 0)[level] for level in chosen[name])
        assert float(score.input_value()) == points
        answer.locator("textarea.comment").fill(COMMENT)
        score.focus()  # so that the comment is saved
        answer.locator(".comment-saved").wait_for(state="visible")
        rubric.scroll_into_view_if_needed()
        teacher.picture(f"11-written-{name}")
        frame.get_by_role("link", name="Next").click()
    page.wait_for_timeout(500)
    found = marks_of(room)
    assert {name: each.pop("0.6") for name, each in found.items()} == {
        "amina": 3,
        "diaye": 1,
        "omar": 2.5,
    }
    assert sum(found["amina"].values()) == 17  # everything that a program marks
    assert found["diaye"]["0.2"] < 4
    assert found["diaye"]["0.3"] == 0
    assert 0 < found["omar"]["0.3"] < 5
    assert teacher.foreign == []


FEEDBACK = f"""
from sparrow.lab import start
start({LAB!r}).feedback()
"""


def test_feedback_comes_to_its_learner_alone_and_gives_nothing_away(
    room, class_, teacher
):
    tab = teacher.page.locator(".lm-TabBar-tab")
    tab.filter(has_text=f"{teacher.account}@").first.click()  # the terminal's
    done = room.place.course / "feedback.status"
    type_in_terminal(teacher, f"clear; workshop grade {LAB} --feedback", done)
    teacher.picture("12-graded-again")
    refused = room.enter("amina").ask(FEEDBACK)
    assert "There is no feedback" in refused, "it was not released yet"
    done = room.place.course / "released.status"
    release = f"clear; workshop submissions release-feedback {LAB}"
    type_in_terminal(teacher, release, done)
    secret = Course(room.place.course).secret()
    for name, visitor in class_.items():
        notebook = visitor.notebook
        notebook.add_below("lab.feedback()")
        notebook.run_this()
        notebook.cell("lab.feedback()Your feedback").wait_for()
        visitor.picture(f"13-fetched-{name}")
        file = notebook.file.parent / "feedback" / f"{LAB}.html"
        listed = visitor.page.locator(".jp-DirListing-content")
        for each in (file.parent.name, file.name):
            listed.get_by_text(each, exact=True).dblclick()
        shown = visitor.page.frame_locator(".jp-HTMLViewer iframe")
        shown.get_by_text(COMMENT).wait_for()
        visitor.picture(f"14-feedback-{name}")
        page = file.read_text("utf-8")
        assert WORDS[name].split(".")[0].replace("'", "&#39;") in page
        others = [words for other, words in WORDS.items() if other != name]
        assert not any(words in page for words in others)
        assert not [each for each in never_shown(secret) if each in page]
        look_at(visitor, file, f"15-feedback-{name}")
        assert visitor.foreign == []


def look_at(visitor: Visitor, file: Path, name: str) -> None:
    """The page alone, from top to bottom."""
    page = visitor.page.context.new_page()
    page.goto(file.as_uri())
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"classroom-{name}.png", full_page=True)
    page.close()


def never_shown(secret: str) -> list[str]:
    """Solutions, levels of the rubric, and the inputs of hidden cases."""
    import torch

    from sparrow.checks import find
    from sparrow.checks.protocol import seed_of

    path = REPOSITORY / "solutions" / LAB / f"{LAB}.ipynb"
    [written] = [each for each in reference.read(path).exercises if each.rubric]
    found = [level.words for each in written.rubric for level in each.levels]
    full = json.loads(path.read_text("utf-8"))
    found.append("".join(cell_of(full, "answer-0-6")["source"]))
    for number in ("0.2", "0.3"):
        seed = seed_of(number, secret)
        for case in find(number).cases(torch.Generator().manual_seed(seed), True):
            found += [x for x in map(repr, case.inputs.values()) if len(x) > 5]
    return found


SPY = """
import json, os, socket
from sparrow.lab import window
for path in {paths!r}:
    try:
        print(os.listdir(path))
    except PermissionError:
        print("refused")
line = {{"ask": "feedback", "lab": {lab!r}, "learner": {other!r}}}
_answer, told = window._ask({window!r}, line)
print({words!r} in told.decode(), {own!r} in told.decode())
"""


def test_nobody_gets_anothers_feedback(room, class_):
    diaye, amina = class_["diaye"], class_["amina"]
    home, course = room.place.home(amina.account), room.place.course
    code = SPY.format(
        paths=[str(home), str(course)],
        lab=LAB,
        other=amina.account,
        window=str(room.place.window),
        words=WORDS["amina"],
        own=WORDS["diaye"],
    )
    server = room.enter("diaye")
    assert server.ask(code).split("\n") == ["refused", "refused", "False True"]
    at = f"{room.home}/user/{amina.account}/files/labs/{LAB}/{LAB}.html"
    assert diaye.page.request.get(at).status in (403, 404)


def test_marks_are_exported_with_the_three_names(room, teacher):
    done = room.place.course / "marks.status"
    type_in_terminal(
        teacher, "clear; workshop marks --out marks.csv; cat marks.csv", done
    )
    teacher.picture("16-marks")
    with (room.place.course / "marks.csv").open(encoding="utf-8", newline="") as file:
        rows = {each["name"]: each for each in csv.DictReader(file)}
    assert set(rows) == {name for _a, name, _l in PEOPLE}
    totals = {name: sum(each.values()) for name, each in marks_of(room).items()}
    for account, name, _language in PEOPLE:
        row = rows[name]
        assert row["username"] == room.account(account)
        assert float(row[LAB]) == pytest.approx(totals[account], abs=0.01)
        assert row["waiting"] == "0"
    assert len(set(totals.values())) == 3, "their marks differ"
    assert totals["amina"] == 20
