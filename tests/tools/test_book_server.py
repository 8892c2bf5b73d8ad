"""JupyterLab's server shows the book as pages, with their scripts, to anyone."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from tests.tools.book_project import REAL
from workshop import book_server


@pytest.fixture
def html(tmp_path, monkeypatch):
    folder = tmp_path / "book" / "html"
    monkeypatch.setattr(book_server, "HTML", folder)
    return folder


def fetch(*paths):
    """Answers of a server that carries the extension, below /user/ada/."""

    async def ask():
        application = Application(base_url="/user/ada/")
        server = SimpleNamespace(web_app=application)
        book_server._load_jupyter_server_extension(server)
        socket, port = bind_unused_port()
        http = HTTPServer(application)
        http.add_sockets([socket])
        client = AsyncHTTPClient()
        answers = [
            await client.fetch(
                f"http://127.0.0.1:{port}/user/ada{path}", raise_error=False
            )
            for path in paths
        ]
        http.stop()
        await http.close_all_connections()
        return answers

    return asyncio.run(ask())


def test_pages_are_served_below_the_servers_own_address(html):
    html.mkdir(parents=True)
    (html / "index.html").write_text("<h1>Sparrow</h1>")
    (html / "search.js").write_text("search()")
    first, bare, script = fetch("/book/", "/book", "/book/search.js")
    assert first.body == bare.body == b"<h1>Sparrow</h1>"
    assert bare.effective_url.endswith("/user/ada/book/")
    assert "sandbox" not in first.headers.get("Content-Security-Policy", "")
    assert script.headers["Content-Type"] == "text/javascript"


def test_nothing_outside_the_book_is_served(html):
    html.mkdir(parents=True)
    (html / "index.html").touch()
    (html.parent / "secret").write_text("answer")
    for answer in fetch("/book/../secret", "/book/%2e%2e/secret", "/book/..%2fsecret"):
        assert answer.code in (403, 404)
        assert b"answer" not in answer.body


def test_a_book_that_was_not_built_says_how(html):
    [answer] = fetch("/book/index.html")
    assert answer.code == 404
    assert b"Run: make book" in answer.body


def test_a_page_that_is_not_there_is_said(html):
    html.mkdir(parents=True)
    (html / "index.html").touch()
    [answer] = fetch("/book/nowhere.html")
    assert answer.code == 404
    assert b"no such page" in answer.body


def test_the_extension_is_found_by_its_name():
    settings = REAL / "tools/workshop/jupyter/server.json"
    enabled = json.loads(settings.read_text())["ServerApp"]["jpserver_extensions"]
    [point] = book_server._jupyter_server_extension_points()
    assert enabled == {point["module"]: True}
