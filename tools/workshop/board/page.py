"""The page, in the instructor's own server, which asks nobody else in.

A learner who opens it is stopped by JupyterHub before this code runs. It opens no port:
one that is free for a moment could be taken by any account of this machine, which would
then be what the instructor sees.
"""

import json
import os
import pwd
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.escape import to_unicode
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import StaticFileHandler, authenticated

from sparrow import language
from sparrow.language import _
from workshop.board import plots
from workshop.board.events import Known
from workshop.board.in_hub import TOLD
from workshop.board.machine import EVERY_S, Machine
from workshop.board.store import Store
from workshop.board.view import look, newest_lab
from workshop.classroom.cards import RIGHT_TO_LEFT, say
from workshop.classroom.people import People
from workshop.classroom.settings import from_tables

__all__ = ["Board", "PageHandler"]

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MOST_STUCK = 8


class Board:
    """Everything that the page is made from.

    Args:
        course: the course folder.
        title: of the course.
        time_zone: of the course.
        speech: the language of the page.
    """

    def __init__(self, course: Path, title: str, time_zone: str, speech: str) -> None:
        self.people = People(from_tables({"places": {"course": str(course)}}, course))
        self.store = Store(self.people.place.board)
        self.title, self.zone, self.speech = title, ZoneInfo(time_zone), speech
        self.known = Known()
        self.machine = Machine(course)
        templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True
        )
        templates.filters["say"] = say
        self.template = templates.get_template("board.html.j2")

    def html(self, lab: str, named: bool, static: str, token: str = "") -> str:
        """The page.

        Args:
            lab: which one; the newest if it is unknown.
            named: with the names of learners; without, it may be shown to the room.
            static: where its style and its script are.
            token: what the script shows to get the page again.
        """
        language.use(self.speech)
        work, now = self.store.work(), time.time()
        if lab not in self.known.minutes:
            lab = newest_lab(work, self.known)
        about = (self.people.listed(), self.store.people(), work, self.store.causes())
        view = look(lab, *about, self.known, now)
        load = self.machine.loads[-1] if self.machine.loads else self.machine.look()
        memory = _memory_by_account(load.memory_by_user)
        return self.template.render(
            title=self.title,
            speech=language.current(),
            direction="rtl" if self.speech[:2] in RIGHT_TO_LEFT else "ltr",
            static=static,
            token=token,
            clock=f"{datetime.fromtimestamp(now, self.zone):%H:%M:%S}",
            labs=list(self.known.minutes),
            view=view,
            named=named,
            stuck=view.stuck[:MOST_STUCK],
            more=len(view.stuck) - MOST_STUCK,
            load=load,
            memory=memory,
            shows_memory=any(each.person.account in memory for each in view.rows),
            passes=plots.passes_over_time(view, self.zone),
            loads=plots.load_over_time(self.machine.loads, self.zone),
            words=_Words(),
        )


class _Words:
    """Sentences with values; a template could not keep their placeholders."""

    def sharing(self, shown: int, all_: int) -> str:
        return _("{n} of {all} learners show their progress", n=shown, all=all_)

    def minutes(self, n: int) -> str:
        return _("{n} min", n=n)

    def long(self, n: int, planned: int) -> str:
        return _("{n} min, planned {planned}", n=n, planned=planned)

    def more(self, n: int) -> str:
        return _("and {n} more, for less time", n=n)

    def checks(self, n: int) -> str:
        return _("checks: {n}", n=n)

    def trying(self, n: int) -> str:
        return _("trying for {n} min", n=n)

    def too_long(self, n: int, planned: int) -> str:
        return _("trying for {n} min, planned {planned}", n=n, planned=planned)

    def of(self, used: float, total: float) -> str:
        return _("{used:.1f} of {total:.1f} GiB", used=used, total=total)

    def free(self, free: float) -> str:
        return _("{free:.0f} GiB free", free=free)

    def cores(self, frac: float, n: int) -> str:
        return _("{frac:.0%} of {n} cores", frac=frac, n=n)


def _memory_by_account(by_user: dict[int, float]) -> dict[str, float]:
    """The same, by the names of accounts."""
    found = {}
    for user, gib in by_user.items():
        with suppress(KeyError):
            found[pwd.getpwuid(user).pw_name] = gib
    return found


class PageHandler(JupyterHandler):
    """The board, for whoever owns this server."""

    @property
    def content_security_policy(self) -> str:
        """Nothing from elsewhere, and no script but ours."""
        return POLICY

    def set_default_headers(self) -> None:
        """Ours alone: the server's own allow formgrader's frame."""
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    @authenticated
    async def get(self) -> None:
        """`?lab=NAME` chooses a lab, `?names=no` leaves the names out."""
        board: Board = self.settings["sparrow_board"]
        static = url_path_join(self.base_url, "board/static")
        named = self.get_query_argument("names", "yes") != "no"
        lab = self.get_query_argument("lab", "")
        token = to_unicode(self.xsrf_token)
        self.finish(board.html(lab, named, static, token))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Tell Jupyter where the extension is."""
    return [{"module": "workshop.board.page"}]


def _load_jupyter_server_extension(app: Any) -> None:
    """Serve the board, and look at the machine now and then."""
    told = os.environ.get(TOLD)
    if not told:
        return
    settings = json.loads(told)
    board = Board(Path(settings.pop("course")), **settings)
    web, base = app.web_app, app.web_app.settings["base_url"]
    web.settings["sparrow_board"] = board
    files = {"path": str(HERE / "static")}
    web.add_handlers(
        ".*$",
        [
            (url_path_join(base, r"board/?"), PageHandler),
            (url_path_join(base, r"board/static/(.*)"), StaticFileHandler, files),
        ],
    )

    async def watch() -> None:
        """In a thread: a graphics card's driver may take its time."""
        await IOLoop.current().run_in_executor(None, board.machine.look)

    PeriodicCallback(watch, EVERY_S * 1000).start()
