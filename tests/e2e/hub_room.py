"""A room with a real hub: its folder, its people, and what they do from outside."""

import contextlib
import csv
import html
import json
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import websocket

from workshop.classroom import settings
from workshop.classroom.people import People
from workshop.hub import install

REPOSITORY = Path(__file__).parents[2]
PACKAGES = Path(sys.prefix) / "lib" / install.VERSION / "site-packages"
START_S, SPAWN_S = 300, 300  # a busy machine is no failure
MAIN = "from workshop.cli import main; main()"
SETTINGS = """
[course]
title = "Small reasoning models"
languages = ["en", "ar"]
[hub]
name = "{name}"
port = {port}
origins = "{origins}"
instructor = "{mark}-teacher"
[login]
tries = 3
[limits]
memory_mib = 1024
cpu_cores = 1.0
[roster]
group = "{mark}"
[places]
environment = "{root}/environment"
course = "{root}/course"
homes = "{root}/homes"
state = "{root}/state"
"""


@contextlib.contextmanager
def opened(
    people: Sequence[Sequence[str]],
    *,
    name: str = "localhost",
    origins: str = "one",
    more: str = "",
) -> Iterator["Room"]:
    """A room with these people (account, name, language), and nothing left of it.

    `more` is written at the end of its settings.
    """
    mark = f"spt-{secrets.token_hex(3)}"  # of our accounts: no others are touched
    # Not pytest's folder, which root alone may enter: learners must reach theirs.
    root = Path(tempfile.mkdtemp(prefix="sparrow-room-"))
    root.chmod(0o755)
    room = Room(root, mark, name, origins, more)
    try:
        room.build()
        room.enrol([(f"{mark}-{account}", *rest) for account, *rest in people])
        room.start()
        yield room
    finally:
        room.close()


class Room:
    """A hub that runs, and the learners of its roster."""

    def __init__(
        self, root: Path, mark: str, name: str, origins: str, more: str = ""
    ) -> None:
        self.root, self.mark = root, mark
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.home = f"https://{name}:{port}"
        self.settings = root / "workshop.toml"
        self.settings.write_text(
            SETTINGS.format(name=name, port=port, origins=origins, mark=mark, root=root)
            + more,
            "utf-8",
        )
        self.people = People(settings.read(self.settings))
        self.place = self.people.place
        self.passcodes: dict[str, str] = {}
        self.entered: list[httpx.Client] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.log = root / "hub.log"

    def account(self, name: str) -> str:
        """The account of somebody: its mark keeps it apart from all others."""
        return f"{self.mark}-{name}"

    def build(self) -> None:
        """An environment like that of `--install`; links, where all may read ours."""
        place = self.place
        programs = place.environment / "bin"
        if not install.all_may_reach(PACKAGES):
            install.install_environment(place, print)
        else:
            packages = place.environment / "lib" / install.VERSION / "site-packages"
            packages.parent.mkdir(parents=True)
            packages.symlink_to(PACKAGES)
            programs.mkdir()
            python = install.shared_python()
            (programs / "python").symlink_to(python)
            config = f"home = {python.parent}\ninclude-system-site-packages = false\n"
            (place.environment / "pyvenv.cfg").write_text(config, "utf-8")
            for script in (Path(sys.prefix) / "bin").iterdir():
                if script.is_file() and not script.is_symlink():
                    copy = programs / script.name
                    install.rewrite(script, copy, place.environment)
            (place.environment / "etc").symlink_to(Path(sys.prefix) / "etc")
            place.shared.mkdir(parents=True)
            for each in (Path(sys.prefix) / "share").iterdir():
                (place.environment / "share" / each.name).symlink_to(each)
            for lab in ("tour", "00_preflight"):
                shutil.copytree(REPOSITORY / "labs" / lab, place.labs / lab)
            shutil.copy(REPOSITORY / "book/_theme/static/sparrow.svg", place.shared)
            place.book.mkdir()
            (place.book / "index.html").write_text("<h1>The book</h1>", "utf-8")
        passcode = install.install_course(self.people)
        self.passcodes[self.people.instructor] = passcode

    def enrol(self, rows: Sequence[Sequence[str]]) -> None:
        """Import a roster with the command, and read the passcodes off the cards."""
        file = self.root / "learners.csv"
        with file.open("w", encoding="utf-8", newline="") as written:
            table = csv.writer(written)
            table.writerow(("account", "name", "language"))
            table.writerows(rows)
        self.run("roster", "import", str(file))
        self.read_cards()

    def read_cards(self) -> None:
        """What a person with a card in hand knows."""
        page = html.unescape(self.place.cards.read_text("utf-8"))
        typed = re.findall(r'class="typed[^"]*">([^<]+)<', page)
        for _address, account, passcode in zip(*(iter(typed),) * 3, strict=True):
            self.passcodes[account] = passcode

    def run(self, command: str, *arguments: str) -> str:
        """`workshop COMMAND …` as root types it."""
        line = [sys.executable, "-c", MAIN, command, "--settings", str(self.settings)]
        done = subprocess.run(
            [*line, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """`workshop hub`, until the page for logging in opens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "hub", "--settings", str(self.settings)],
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            time.sleep(0.3)
            if self.answers():
                return
        raise AssertionError(self.log.read_text("utf-8"))

    def answers(self) -> bool:
        """Whether the page for logging in opens."""
        missing = (httpx.HTTPError, FileNotFoundError)
        with contextlib.suppress(*missing), self.visitor() as visitor:
            return visitor.get("/hub/login").status_code == 200
        return False

    def kill(self) -> None:
        """As a power cut: `kill -9` for the hub and its proxy."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def visitor(self) -> httpx.Client:
        """A browser that trusts the certificate whose fingerprint is on the cards."""
        trusted = ssl.create_default_context(
            cafile=self.place.state / "tls/certificate.pem"
        )
        return httpx.Client(
            base_url=self.home, verify=trusted, follow_redirects=True, timeout=60
        )

    def log_in(
        self, visitor: httpx.Client, account: str, passcode: str
    ) -> httpx.Response:
        """Fill in the form."""
        visitor.get("/hub/login")
        told = {
            "username": account,
            "password": passcode,
            "_xsrf": visitor.cookies.get("_xsrf", path="/hub/"),
        }
        return visitor.post("/hub/login", data=told, follow_redirects=False)

    def enter(self, name: str) -> "Server":
        """Log in with the card, and wait for the server."""
        account = name if name in self.passcodes else self.account(name)
        visitor = self.visitor()
        answer = self.log_in(visitor, account, self.passcodes[account])
        assert answer.status_code == 302, answer.text
        self.entered.append(visitor)
        return Server(visitor, account)

    def close(self) -> None:
        """Stop everything; remove the accounts that carry our mark, and no others."""
        for each in self.entered:
            each.close()
        with contextlib.suppress(AssertionError):
            self.run("hub", "--stop")
        if self.process is not None:
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()
        for account in self.people.accounts.ours():
            assert account.startswith(self.mark)
            self.people.accounts.remove(account)
        subprocess.run(["groupdel", self.mark], check=False, capture_output=True)
        shutil.rmtree(self.root, ignore_errors=True)


class Server:
    """Somebody's JupyterLab, as its page talks to it."""

    def __init__(self, visitor: httpx.Client, account: str) -> None:
        self.visitor, self.account = visitor, account
        self.at = f"/user/{account}"
        until = time.monotonic() + SPAWN_S
        visitor.get("/hub/spawn")
        while visitor.get(f"{self.at}/api/status").status_code != 200:
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.5)
            visitor.get(f"{self.at}/lab")

    def ask(self, code: str) -> str:
        """Run Python in a kernel of this server; what it printed, or its error."""
        token = self.visitor.cookies.get("_xsrf", path=f"{self.at}/")
        kernel = self.visitor.post(
            f"{self.at}/api/kernels", headers={"X-XSRFToken": token}, json={}
        ).json()
        cookies = "; ".join(
            f"{each.name}={each.value}"
            for each in self.visitor.cookies.jar
            if each.path in ("/", f"{self.at}/")
        )
        home = str(self.visitor.base_url).rstrip("/")
        socket_ = websocket.create_connection(
            f"wss{home.removeprefix('https')}{self.at}/api/kernels/{kernel['id']}/channels",
            cookie=cookies,
            origin=home,
            sslopt={"cert_reqs": ssl.CERT_NONE},
            timeout=60,
        )
        with contextlib.closing(socket_) as channel:
            channel.send(json.dumps(_request(code)))
            printed = ""
            while True:
                told: dict[str, Any] = json.loads(channel.recv())
                kind, content = told["msg_type"], told["content"]
                if content.get("execution_state") in ("restarting", "dead"):
                    return "the kernel died"
                if told["parent_header"].get("msg_id") != "one":
                    continue
                if kind == "stream":
                    printed += content["text"]
                elif kind == "error":
                    printed += f"{content['ename']}: {content['evalue']}"
                elif kind == "status" and content["execution_state"] == "idle":
                    return printed.strip()


def _request(code: str) -> dict[str, Any]:
    return {
        "header": {
            "msg_id": "one",
            "msg_type": "execute_request",
            "username": "",
            "session": "one",
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False, "store_history": False},
        "channel": "shell",
    }
