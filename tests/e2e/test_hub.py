"""A real hub on this machine: people log in with their cards and stay apart."""

import json
import os
import re
import subprocess
import time

import httpx
import pytest

from tests.e2e.hub_room import Room, Server, opened
from tests.e2e.lab_server import SCREENSHOTS

PEOPLE = (
    ("amina", "Amina Ben Salah", "en"),
    ("diaye", "Aïcha N'Diaye", "fr"),
    ("omar", "عمر بن علي", "ar"),
)
pytestmark = pytest.mark.needs_hub


@pytest.fixture(scope="module")
def room():
    with opened(PEOPLE) as room:
        yield room


@pytest.fixture(scope="module")
def amina(room: Room) -> Server:
    return room.enter("amina")


@pytest.fixture(scope="module")
def diaye(room: Room) -> Server:
    return room.enter("diaye")


TRY_TO_READ = """
for path in {paths!r}:
    try:
        print(path, __import__("os").listdir(path))
    except PermissionError:
        print("refused")
"""


def test_a_server_runs_as_its_person_with_labs_and_without_settings_of_ours(amina):
    said = amina.ask(
        "import os, pwd, pathlib\n"
        "print(pwd.getpwuid(os.getuid()).pw_name, sorted(os.listdir('labs')))\n"
        "print(oct(os.stat('.').st_mode & 0o777), 'WORKSHOP_SETTINGS' in os.environ)\n"
        "open('mine.txt', 'w').write('work')\n"
        "print(oct(os.stat('mine.txt').st_mode & 0o777))\n"
    ).split("\n")
    assert said == [f"{amina.account} ['00_preflight', 'tour']", "0o700 False", "0o600"]


def test_nobody_reads_anothers_home_the_course_or_the_hubs_state(room, amina, diaye):
    assert diaye.ask("print(1)") == "1"
    place = room.place
    private = (
        place.home(diaye.account),
        place.classroom.places.homes,
        place.course,
        place.private,
        place.state,
    )
    said = amina.ask(TRY_TO_READ.format(paths=[str(each) for each in private]))
    assert said.split("\n") == ["refused"] * len(private)


def test_nobody_opens_anothers_server(room, amina, diaye):
    for at in (f"{diaye.at}/lab", f"{diaye.at}/api/contents"):
        assert amina.visitor.get(at).status_code in (403, 404)
    answer = amina.visitor.get("/hub/api/users")
    assert answer.status_code == 403
    assert amina.visitor.get("/hub/admin").status_code == 403


def test_the_instructor_grades_in_the_course_and_sees_no_server(room, amina):
    teacher = room.enter(room.people.instructor)
    said = teacher.ask("import os; print(os.getcwd(), sorted(os.listdir('.')))")
    assert said.startswith(str(room.place.course))
    assert "nbgrader_config.py" in said
    page = teacher.visitor.get(f"{teacher.at}/formgrader")
    assert page.status_code == 200
    assert page.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert teacher.visitor.get(f"{amina.at}/api/contents").status_code in (403, 404)
    assert teacher.visitor.get("/hub/admin").status_code == 200
    assert amina.visitor.get(f"{amina.at}/formgrader").status_code == 404


def test_a_request_without_the_xsrf_token_is_refused(amina):
    answer = amina.visitor.post(f"{amina.at}/api/kernels", json={})
    assert answer.status_code == 403
    assert "_xsrf" in answer.text


def test_memory_and_processes_end_at_the_limit(room, amina):
    said = amina.ask("x = bytearray(1500 * 2**20); print('too much')")
    assert said in ("the kernel died", "MemoryError: ")
    said = amina.ask("import resource as r; print(r.getrlimit(r.RLIMIT_NPROC)[0])")
    assert said == str(room.place.classroom.limits.processes)


def test_wrong_passcodes_lock_the_account_and_a_new_card_opens_it(room):
    account = room.account("omar")
    with room.visitor() as guess, room.visitor() as visitor:
        assert room.log_in(visitor, account, room.passcodes[account]).is_redirect
        for _try in range(2):
            answer = room.log_in(guess, account, "aaaa-bbbb-cccc")
            assert "do not belong together" in answer.text
        answer = room.log_in(guess, account, "aaaa-bbbb-cccc")
        assert "Too many wrong passcodes" in answer.text
        answer = room.log_in(guess, account, room.passcodes[account])
        assert "wait 5 min" in answer.text
        old = room.passcodes[account]
        room.run("roster", "reset", account)
        room.read_cards()
        assert room.passcodes[account] != old
        assert room.log_in(guess, account, room.passcodes[account]).is_redirect
        # whoever was logged in with the old card is no more
        assert "/hub/login" in str(visitor.get("/hub/home").url)


def test_somebody_comes_late_and_somebody_leaves(room):
    account = room.account("late")
    room.run("roster", "add", "Zoë Late", "--account", account)
    room.read_cards()
    with room.visitor() as visitor:
        assert room.log_in(visitor, account, room.passcodes[account]).is_redirect
        said = room.run("roster", "remove", account)
        (kept,) = re.findall(r"lies in (\S+) now", said)
        assert os.path.isdir(kept)
        assert not room.place.home(account).exists()
        with room.visitor() as again:
            answer = room.log_in(again, account, room.passcodes[account])
            assert "do not belong together" in answer.text


HAND_IN = """
import json
import os
from sparrow.lab import start
lab = start("00_preflight")
lab.submit(os.path.expanduser("~/labs/00_preflight/00_preflight.ipynb"))
"""


def test_a_lab_is_handed_in_and_collected_and_nobody_else_can_reach_it(room, amina):
    said = amina.ask(HAND_IN)
    assert "Handed in. Your receipt:" in said, said
    receipt = json.loads(amina.ask(f"print(open({said.split()[-1]!r}).read())"))
    assert receipt["learner"] == amina.account
    assert receipt["lab"] == "00_preflight"
    window = room.place.window
    said = amina.ask(f"import os; print(os.listdir({str(room.place.course)!r}))")
    assert "PermissionError" in said
    said = amina.ask(f"import os; os.unlink({str(window)!r})")
    assert "PermissionError" in said
    listed = room.run("submissions", "list")
    assert "The record is whole; submissions: 1." in listed
    assert receipt["hash"][:8] in listed
    said = room.run("submissions", "collect", "00_preflight")
    assert "Collected submissions of" in said
    place = room.place.course / "submitted" / amina.account / "00_preflight"
    handed_in = (place / "00_preflight.ipynb").read_bytes()
    assert (
        handed_in == (room.place.labs / "00_preflight/00_preflight.ipynb").read_bytes()
    )
    owner = room.place.course.stat().st_uid
    assert {each.stat().st_uid for each in (place, *place.iterdir())} == {owner}


def count_in(listed: str) -> int:
    """How many submissions the last line says there are; none says nothing."""
    found = re.search(r"submissions: (\d+)", listed)
    return int(found[1]) if found else 0


def test_what_was_acknowledged_survives_a_power_cut(room, amina):
    before = room.run("submissions", "list")
    room.kill()
    subprocess.run(["pkill", "-9", "-f", str(room.place.window)], check=False)
    assert "wait a minute" in amina.ask(HAND_IN)
    assert room.run("submissions", "list") == before
    room.start()
    until = time.monotonic() + 30
    while "Handed in" not in (said := amina.ask(HAND_IN)):
        assert time.monotonic() < until, said
        time.sleep(0.5)
    after = room.run("submissions", "list")
    assert "The record is whole" in after
    assert count_in(after) == count_in(before) + 1


def test_a_hub_that_was_killed_comes_back_with_homes_log_ins_and_servers(room, amina):
    amina.ask("open('kept.txt', 'w').write('before')")
    room.kill()
    with pytest.raises(AssertionError), httpx.Client() as _nobody:
        assert room.answers()
    room.start()
    assert "/hub/login" not in str(amina.visitor.get("/hub/home").url)
    assert amina.ask("print(open('kept.txt').read())") == "before"
    with room.visitor() as visitor:
        account = amina.account
        assert room.log_in(visitor, account, room.passcodes[account]).is_redirect


def test_a_second_hub_of_the_same_room_is_refused(room):
    with pytest.raises(AssertionError, match="runs already, as process"):
        room.run("hub")


def test_everybody_reads_the_book_and_it_runs_without_rights(room):
    with room.visitor() as visitor:
        assert "The book" in visitor.get("/book/").text
        assert visitor.get("/book/../../../etc/passwd").status_code in (403, 404)


def press(teacher: Server, button: str) -> str:
    """One of formgrader's buttons for the first lab; what it wrote to its log."""
    token = teacher.visitor.cookies.get("_xsrf", path=f"{teacher.at}/")
    answer = teacher.visitor.post(
        f"{teacher.at}/formgrader/api/assignment/00_preflight/{button}",
        headers={"X-XSRFToken": token},
    )
    told = answer.json()
    assert told["success"], told
    return told["log"]


@pytest.mark.needs_chromium
def test_nbgraders_panel_and_formgraders_buttons_work_at_the_window(
    room, amina, chromium
):
    listed = room.run("submissions", "list")
    number = 1 + count_in(listed)
    amina.ask("import os; os.rename('labs/00_preflight', 'labs/mine')")
    context = chromium.new_context(ignore_https_errors=True)
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(f"{room.home}/hub/login")
    page.fill("input[name=username]", amina.account)
    page.fill("input[name=password]", room.passcodes[amina.account])
    page.press("input[name=password]", "Enter")
    page.get_by_role("menuitem", name="Nbgrader").click()
    page.get_by_role("menuitem", name="Assignment List").click()
    panel = page.locator("#nbgrader-assignment-list")
    panel.get_by_role("button", name="Fetch", exact=True).click()
    fetched = panel.locator("#fetched_assignments_list > div", has_text="00_preflight")
    fetched.get_by_role("button", name="Submit").click()
    panel.get_by_text(f"receipt {number}, no feedback yet").wait_for()
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "hub-assignments.png")

    teacher = room.enter(room.people.instructor)
    assert "Collected submissions of 00_preflight: 1." in press(teacher, "collect")
    graded = f"feedback/{amina.account}/00_preflight"
    teacher.ask(
        f"import shutil; shutil.copytree('submitted/{amina.account}/00_preflight', "
        f"{graded!r}); open('{graded}/00_preflight.html', 'w').write('well done')"
    )
    assert "no feedback" in amina.ask(
        "from sparrow.lab import start; start('00_preflight').feedback()"
    )
    assert "1 learners can read about 00_preflight" in press(
        teacher, "release_feedback"
    )
    panel.get_by_role("button", name="Fetch Feedback").click()
    panel.get_by_text("(view feedback)").first.wait_for()
    said = amina.ask(
        "print(open('labs/00_preflight/feedback/00_preflight.html').read())"
    )
    assert said == "well done"
    context.close()
