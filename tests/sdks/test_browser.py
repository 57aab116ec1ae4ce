"""Two pages with the official browser bundle talk to each other through our server."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from tests.cli.command import Credentials

from .chromium import Browser, Page, browsing
from .official import library, signed

HERE = Path(__file__).parent
SDKS = {"3.0.1": "@twilio/conversations", "2.6.5": "conversations-2"}

READY = "document.documentElement.dataset.ready"

pytestmark = pytest.mark.browser


class _Files(http.server.SimpleHTTPRequestHandler):
    """The page, and beside it under /sdk the bundle as it lies in the package."""

    def __init__(self, *arguments: Any, bundle: Path) -> None:
        self._bundle = bundle
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        place = path.partition("?")[0]
        folder, name = (self._bundle, place[5:]) if place.startswith("/sdk/") else (HERE / "page", place[1:])
        return str(folder / (name or "index.html"))

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(chromium, tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


@pytest.fixture(params=SDKS)
def site(request: pytest.FixtureRequest, chromium: str) -> Iterator[str]:
    """The URL of the page, with either version of the SDK."""
    bundle = HERE / "node_modules" / SDKS[request.param] / "builds"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, bundle=bundle)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def lines(page: Page) -> list[str]:
    """The messages that the page shows."""
    shown = page.evaluate("[...document.querySelectorAll('#messages li')].map(item => item.firstChild.textContent)")
    assert isinstance(shown, list)
    return shown


def say(page: Page, text: str) -> None:
    page.evaluate("document.getElementById('text').focus()")
    page.type(text)
    page.press_enter()


def shows(text: str) -> str:
    return f"document.body.innerText.includes({text!r})"


def test_two_pages_chat(browser: Browser, site: str, known: Credentials, tmp_path: Path) -> None:
    room, v1 = f"tavern-{uuid4().hex[:8]}", library(known).conversations.v1
    v1.conversations.create(unique_name=room)
    people = [f"{name}-{uuid4().hex[:4]}" for name in ("ana", "ben")]
    pages = []
    for identity in people:
        v1.conversations(room).participants.create(identity=identity)
        given = {"token": signed(known, identity), "ws": known.ws_url, "room": room}
        pages.append(browser.open(f"{site}#{urlencode(given)}"))
    ana, ben = pages
    for page in pages:
        page.eventually(READY)

    say(ana, "Good evening, Ben!")
    ben.eventually(shows("Good evening, Ben!"))
    ana.eventually(shows(f"read by {people[1]}"))

    ben.evaluate("document.getElementById('text').focus()")
    ben.type("Evening")
    ana.eventually(shows(f"{people[1]} is typing"))
    ben.type(", Ana.")
    ben.press_enter()
    ana.eventually(shows("Evening, Ana."))
    ben.eventually(shows(f"read by {people[0]}"))
    assert lines(ana) == lines(ben) == ["Good evening, Ben!", "Evening, Ana."]

    for name, page in zip(("ana", "ben"), pages, strict=True):
        page.screenshot(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000

    ana.load("Page.reload")
    ana.eventually(READY)
    assert lines(ana) == ["Good evening, Ben!", "Evening, Ana."]
    assert browser.complaints == []
