"""A person opens the chat page of a server in a browser, asks, and sees it think."""

import json
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.served import served

SCREENSHOTS = Path(__file__).parent / "screenshots"
EXAMPLE = "numbers 8 2 6 target 24"
# An answer takes a tenth of a second: no hand is quick enough to stop it.
STOP_SOON = """() => new MutationObserver((_all, watching) => {
  const stop = [...document.querySelectorAll("button")]
    .find(each => each.innerText === "Stop");
  if (!stop || !document.querySelector("article.answer")?.innerText) return;
  watching.disconnect();
  stop.click();
}).observe(document.body, {childList: true, subtree: true, characterData: true})"""
pytestmark = pytest.mark.needs_chromium


@pytest.fixture(scope="module")
def home():
    with served("--model", "pico-r1") as (address, _process):
        yield address


def picture(page, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    path = SCREENSHOTS / f"serve-{name}.png"
    page.screenshot(path=path)
    assert path.stat().st_size > 5000


def test_a_question_in_the_browser_is_thought_about_and_answered(home, page):
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(home)
    page.get_by_role("button", name=EXAMPLE).click()
    answer = page.locator("article.answer[aria-busy=false]")
    answer.wait_for(timeout=60_000)
    summary = answer.locator("summary")
    assert summary.inner_text().startswith("Thought, ")
    thought = answer.locator("details p")
    assert not thought.is_visible()
    assert answer.locator(".said").inner_text()
    assert "tokens/s" in answer.locator(".figures").inner_text()
    picture(page, "answer")
    summary.click()
    assert "=" in thought.inner_text()
    picture(page, "thought")
    assert trouble == []
    assert page.foreign == []


def test_the_keyboard_asks_and_a_button_stops(home, page):
    page.goto(home)
    page.get_by_role("button", name=EXAMPLE).wait_for()
    page.keyboard.type("numbers 9 8 7 5 3 target 999")
    page.evaluate(STOP_SOON)
    page.keyboard.press("Enter")
    page.locator("article.answer[aria-busy=false]").wait_for(timeout=20_000)
    assert "stopped" in page.locator(".figures").inner_text()
    page.wait_for_timeout(500)
    assert health(home)["blocks_used"] == 0
    page.get_by_role("button", name="New conversation").click()
    assert page.locator("article").count() == 0


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_a_phone_never_scrolls_sideways_in_either_direction(home, page, direction):
    page.set_viewport_size({"width": 320, "height": 600})
    page.route("**/page.json", lambda route: turn(route, direction))
    page.goto(home)
    page.get_by_role("button", name=EXAMPLE).click()
    page.locator("article.answer[aria-busy=false]").wait_for(timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    button = page.locator("#ask").bounding_box()
    field = page.locator("#question").bounding_box()
    assert (button["x"] > field["x"]) == (direction == "ltr")
    picture(page, f"phone-{direction}")


def turn(route, direction):
    told = route.fetch().json()
    route.fulfill(json=told | {"direction": direction})


def health(home):
    with urllib.request.urlopen(f"{home}/health") as answer:
        return json.load(answer)
