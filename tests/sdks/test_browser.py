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

from .chromium import Browser, Page
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


def together(browser: Browser, site: str, known: Credentials) -> tuple[list[str], list[Page]]:
    """Ana's and Ben's identities, and a page of each, in a new room."""
    room, v1 = f"tavern-{uuid4().hex[:8]}", library(known).conversations.v1
    v1.conversations.create(unique_name=room)
    people = [f"{name}-{uuid4().hex[:4]}" for name in ("ana", "ben")]
    pages = []
    for identity in people:
        v1.conversations(room).participants.create(identity=identity)
        given = {"token": signed(known, identity), "ws": known.ws_url, "room": room}
        pages.append(browser.open(f"{site}#{urlencode(given)}"))
    for page in pages:
        page.eventually(READY)
    return people, pages


def test_two_pages_chat(browser: Browser, site: str, known: Credentials, tmp_path: Path) -> None:
    people, pages = together(browser, site, known)
    ana, ben = pages

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


SENDS = """(async () => {
  const bytes = Uint8Array.from({ length: 300_000 }, (_, n) => (n * n) % 251);
  const form = new FormData();
  form.append("file", new File([bytes], "Kätzchen & Co.png", { type: "image/png" }));
  const conversation = await client.getConversationByUniqueName(room);
  await conversation.sendMessage(form);
  return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].join();
})()"""
RECEIVES = """(async () => {
  const conversation = await client.getConversationByUniqueName(room);
  const message = (await conversation.getMessages()).items.at(-1);
  const [media] = message.attachedMedia;
  const answer = await fetch(await media.getContentTemporaryUrl());
  const digest = await crypto.subtle.digest("SHA-256", await answer.arrayBuffer());
  const { filename, contentType, size } = media;
  return { filename, contentType, size, digest: [...new Uint8Array(digest)].join() };
})()"""


def test_a_page_sends_a_form_with_a_file_and_another_reads_it(browser: Browser, site: str, known: Credentials) -> None:
    _, (ana, ben) = together(browser, site, known)
    digest = ana.evaluate(SENDS)
    ben.eventually("document.querySelectorAll('#messages li').length === 1")
    expected = {"filename": "Kätzchen & Co.png", "contentType": "image/png", "size": 300_000, "digest": digest}
    assert ben.evaluate(RECEIVES) == expected
    assert browser.complaints == []


# Both have bytes of their own making, the same ones.
PIECES = """
  const conversation = await client.getConversationByUniqueName(room);
  const pieces = [1024, 5 << 20, 1].map((size) => Uint8Array.from({ length: size }, (_, n) => (n * n + size) % 251));
  const hash = async (bytes) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].join();
  const fetched = async (url) => {
    const answer = await fetch(url);
    return answer.ok ? hash(await answer.arrayBuffer()) : answer.status;
  };
"""
LISTENS = f"""(async () => {{
  {PIECES}
  conversation.once("messageAdded", async (message) => {{
    const media = message.attachedMedia;
    const urls = await message.getTemporaryContentUrlsForAttachedMedia();
    const body = await fetch(await message.getEmailBody("text/html").getContentTemporaryUrl());
    window.heard = {{
      words: [message.type, message.body, message.subject],
      files: media.map((file) => [file.filename, file.contentType, file.size]),
      read: await Promise.all(media.map((file) => fetched(urls.get(file.sid)))),
      hashes: await Promise.all(pieces.map(hash)),
      body: await body.text(),
    }};
    window.url = await media[0].getContentTemporaryUrl();
  }});
}})()"""
SENDS_SEVERAL = f"""(async () => {{
  {PIECES}
  const form = new FormData();
  form.append("file", new File([pieces[0]], "form.png", {{ type: "image/png" }}));
  const blob = new Blob([pieces[1]], {{ type: "video/mp4" }});
  return conversation
    .prepareMessage()
    .setBody("Three things.")
    .setSubject("things")
    .addMedia(form)
    .addMedia({{ contentType: "video/mp4", filename: "blob.mp4", media: blob }})
    .addMedia({{ contentType: "application/zip", media: new Blob([pieces[2]]) }})
    .setEmailBody("text/html", {{ contentType: "text/html", filename: "body.html", media: "<b>Three</b> ☕" }})
    .build()
    .send();
}})()"""
REMOVES = """(async () => {
  const conversation = await client.getConversationByUniqueName(room);
  await (await conversation.getMessages()).items.at(-1).remove();
})()"""


def test_a_page_sends_files_with_words_and_another_hears_of_them(
    browser: Browser, site: str, known: Credentials
) -> None:
    _, (ana, ben) = together(browser, site, known)
    ben.evaluate(LISTENS)
    assert ana.evaluate(SENDS_SEVERAL) == 0
    ben.eventually("window.url")
    heard = ben.evaluate("heard")
    assert heard["words"] == ["media", "Three things.", "things"]
    assert heard["files"] == [
        ["form.png", "image/png", 1024],
        ["blob.mp4", "video/mp4", 5 << 20],
        [None, "application/zip", 1],
    ]
    assert heard["read"] == heard["hashes"]
    assert heard["body"] == "<b>Three</b> ☕"

    # A page of another origin is told that what was taken back is gone; only what the browser itself kept, it has.
    status = "fetch(url, { cache: 'no-store' }).then((answer) => answer.status)"
    assert ben.evaluate(status) == 200
    ana.evaluate(REMOVES)
    assert ben.evaluate(status) == 404
    forged = "fetch(url.slice(0, -4)).then(async (answer) => [answer.status, (await answer.json()).code])"
    assert ben.evaluate(forged) == [403, 20006]
    assert browser.complaints == []
