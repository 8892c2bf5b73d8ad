"""One simulated learner, who talks to the hub as the pages in a browser do."""

import json
import re
import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import websocket

from sparrow.language import _
from workshop.rehearsal.room import RehearsalError, Room

__all__ = ["Learner"]

SPAWN_S, CELL_S = 600, 600
LINKED = re.compile(r'(?:src|href)="(/[^"]+\.(?:js|css))')


class Learner:
    """Somebody with a card.

    Args:
        room: where they go.
        account: who they are.
    """

    def __init__(self, room: Room, account: str) -> None:
        self.room, self.account = room, account
        self._at = f"/user/{account}"
        self._browser = room.visitor()
        self._channel: websocket.WebSocket | None = None
        self._sent = 0

    def close(self) -> None:
        """Close the browser; server and kernel go on."""
        if self._channel is not None:
            self._channel.close()
        self._browser.close()

    def log_in(self) -> None:
        """Fill in the form, wait for the server, and load the page of JupyterLab."""
        browser = self._browser
        browser.get("/hub/login")
        told = {
            "username": self.account,
            "password": self.room.passcodes[self.account],
            "_xsrf": browser.cookies.get("_xsrf", path="/hub/"),
        }
        answer = browser.post("/hub/login", data=told, follow_redirects=False)
        if answer.status_code != 302:
            raise RehearsalError(
                _("The log-in was answered with {status}.", status=answer.status_code)
            )
        until = time.monotonic() + SPAWN_S
        page = browser.get("/hub/spawn")
        while page.status_code != 200 or not page.url.path.startswith(f"{self._at}/"):
            if page.status_code >= 500 or time.monotonic() > until:
                raise RehearsalError(
                    _(
                        "The server did not open: {status} at {path}.",
                        status=page.status_code,
                        path=page.url.path,
                    )
                )
            time.sleep(0.5)
            page = browser.get(f"{self._at}/lab")
        for linked in sorted(set(LINKED.findall(page.text))):
            browser.get(linked).raise_for_status()
        for asked in ("api/kernelspecs", "api/contents/labs", "lab/api/settings"):
            browser.get(f"{self._at}/{asked}").raise_for_status()

    def open(self, path: str) -> None:
        """Open a notebook: its kernel starts, and says that it is ready."""
        about = {"path": path, "type": "notebook", "name": Path(path).name}
        answer = self._ask("POST", "sessions", {**about, "kernel": {"name": "python3"}})
        kernel = answer["kernel"]["id"]
        home = self.room.home
        cookies = "; ".join(
            f"{each.name}={each.value}"
            for each in self._browser.cookies.jar
            if each.path in ("/", f"{self._at}/")
        )
        self._channel = websocket.create_connection(
            f"wss{home.removeprefix('https')}{self._at}/api/kernels/{kernel}/channels",
            cookie=cookies,
            origin=home,
            sslopt={
                "ca_certs": str(self.room.certificate),
                "cert_reqs": ssl.CERT_REQUIRED,
            },
            timeout=CELL_S,
        )
        self.run("pass")

    def save(self, path: str, notebook: dict[str, Any]) -> None:
        """Ctrl+S."""
        told = {"type": "notebook", "format": "json", "content": notebook}
        self._ask("PUT", f"contents/{path}", told)

    def run(self, code: str) -> str:
        """Run a cell; what it printed.

        Raises:
            RehearsalError: the cell ended in an error, or the kernel died.
        """
        assert self._channel is not None
        self._sent += 1
        name = f"{self.account}-{self._sent}"
        self._channel.send(json.dumps(_request(name, code)))
        printed = ""
        while True:
            told: dict[str, Any] = json.loads(self._channel.recv())
            kind, content = told["msg_type"], told["content"]
            if content.get("execution_state") in ("restarting", "dead"):
                raise RehearsalError(_("The kernel died."))
            if told["parent_header"].get("msg_id") != name:
                continue
            if kind == "stream":
                printed += content["text"]
            elif kind == "error":
                raise RehearsalError(f"{content['ename']}: {content['evalue']}")
            elif kind == "status" and content["execution_state"] == "idle":
                return printed.strip()

    def _ask(self, how: str, what: str, told: dict[str, Any]) -> dict[str, Any]:
        token = self._browser.cookies.get("_xsrf", path=f"{self._at}/") or ""
        answer: httpx.Response = self._browser.request(
            how, f"{self._at}/api/{what}", headers={"X-XSRFToken": token}, json=told
        )
        if answer.is_error:
            raise RehearsalError(f"{what}: {answer.status_code} {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found


def _request(name: str, code: str) -> dict[str, Any]:
    """Jupyter's message that runs a cell."""
    return {
        "header": {
            "msg_id": name,
            "msg_type": "execute_request",
            "username": "",
            "session": name,
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False, "store_history": True},
        "channel": "shell",
    }
