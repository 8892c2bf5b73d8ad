"""The board in a real hub: who agreed is on it, the instructor sees it, nobody else."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hub_room import Room, opened

SCREENSHOTS = Path(__file__).parent / "screenshots"
PEOPLE = (
    ("amina", "Amina Ben Salah", "en"),
    ("omar", "عمر بن علي", "ar"),
    ("diaye", "Aïcha N'Diaye", "fr"),
)
CAUSE = "There is no guess yet: put a number in place of None."
pytestmark = [pytest.mark.needs_hub, pytest.mark.needs_chromium]


@pytest.fixture(scope="module")
def room():
    with opened(PEOPLE, more="[board]\non = true\n") as room:
        yield room


@pytest.fixture
def browser(chromium: Any):
    """A window that accepts the room's certificate, as people do once."""
    context = chromium.new_context(
        ignore_https_errors=True, viewport={"width": 1280, "height": 900}
    )
    context.set_default_timeout(180_000)
    yield context.new_page()
    context.close()


def log_in(page: Any, room: Room, account: str) -> None:
    page.goto(f"{room.home}/hub/login?next=/hub/home")
    page.fill("#username_input", account)
    page.fill("#password_input", room.passcodes[account])
    page.click("#login_submit")
    page.wait_for_url("**/hub/home")


BEGIN = """
from sparrow.checks import check
from sparrow.lab import start
lab = start("00_preflight")
{share}
print(check("0.1", None).passed)
{rest}
"""
SHARE = "lab.share()"
PASS = 'print(check("0.1", 1000).passed)'


def test_the_instructor_sees_who_agreed_live_and_nobody_else_opens_it(room, browser):
    amina, omar, diaye = (room.enter(name) for name, *_rest in PEOPLE)
    said = diaye.ask(BEGIN.format(share="", rest=PASS))
    assert "nobody sees it; to show your instructor" in said, said
    said = amina.ask(BEGIN.format(share=SHARE, rest=""))
    assert said.endswith("False"), said
    assert omar.ask(BEGIN.format(share=SHARE, rest=PASS)).endswith("True")
    # What is kept is the instructor's own, and the socket's folder too.
    for path in (room.place.board, room.place.board_window.with_name("mine")):
        assert "PermissionError" in amina.ask(f"open({str(path)!r}, 'ab')")

    teacher = room.people.instructor
    log_in(browser, room, teacher)
    browser.goto(f"{room.home}/hub/user-redirect/board")
    browser.wait_for_selector("table.grid tbody tr")
    names = browser.locator("table.grid tbody th").all_inner_texts()
    assert names == ["Amina Ben Salah", "عمر بن علي"]
    assert "2 of 3 learners" in browser.inner_text(".count")
    stuck = browser.inner_text(".help")
    assert "Amina Ben Salah" in stuck
    assert CAUSE in stuck
    assert "Diaye" not in browser.content()
    memory = browser.locator("td.memory").first.inner_text()
    assert 0.05 < float(memory) < 4
    SCREENSHOTS.mkdir(exist_ok=True)
    browser.screenshot(path=SCREENSHOTS / "board.png", full_page=True)

    browser.evaluate("window.untouched = true")
    amina.ask(BEGIN.format(share="", rest=PASS))
    browser.wait_for_selector("tr:has-text('Amina') td.passed")
    assert browser.evaluate("window.untouched")  # renewed, and not loaded again

    for learner in (amina, diaye):
        answer = learner.visitor.get(f"/user/{teacher}/board")
        assert answer.status_code == 403
        assert "Amina Ben Salah" not in answer.text
        assert learner.visitor.get(f"{learner.at}/board").status_code == 404
    with room.visitor() as stranger:
        answer = stranger.get(f"/user/{teacher}/board")
        assert "/hub/login" in str(answer.url)

    amina.ask("from sparrow.lab import start; start('00_preflight').share(False)")
    browser.wait_for_selector("tr:has-text('Amina')", state="detached")
    assert "عمر بن علي" in browser.content()
    shown = room.run("board")
    assert "عمر بن علي" in shown
    assert "Amina" not in shown
