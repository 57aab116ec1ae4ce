"""The example of a channel of one's own, found by the entry point that its ``pyproject.toml`` names."""

from __future__ import annotations

import hashlib
import hmac
import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tertulia.server.channels.base import Channel, Heard
from tertulia.server.channels.checking import examined
from tertulia.server.channels.registry import GROUP, adapter_of, known_settings
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.domain.receipts import ReceiptStatus

from .distribution import install
from .providers import CALLBACK, OURS, THEIRS, a_message, a_request, opened, sent, verdict

EXAMPLE = Path(__file__).parents[3] / "examples/own_channel"
SECRET = "sixteen letters."
TOKEN = "a token of pigeons"


class PigeonPost:
    """The provider, on loopback."""

    def __init__(self) -> None:
        self.url = ""
        self.wishes: list[dict[str, Any]] = []
        self.answer: tuple[int, Any] = (202, {"id": "p1"})

    async def take(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({}, status=401)
        self.wishes.append(await request.json())
        status, body = self.answer
        return (
            web.Response(status=status, body=body)
            if isinstance(body, bytes)
            else web.json_response(body, status=status)
        )

    async def account(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if request.headers.get("Authorization") == f"Bearer {TOKEN}" else 401)


@pytest.fixture
async def post() -> AsyncIterator[PigeonPost]:
    post, application = PigeonPost(), web.Application()
    application.router.add_post("/messages", post.take)
    application.router.add_get("/account", post.account)
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    post.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield post
    await runner.cleanup()


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    monkeypatch.syspath_prepend(str(EXAMPLE))
    install(tmp_path, monkeypatch, project["name"], **project["entry-points"][GROUP])


@pytest.fixture
async def channel(post: PigeonPost, installed: None) -> AsyncIterator[Channel]:
    async with opened("pigeon", {"token": TOKEN, "callback_secret": SECRET, "base_url": post.url}) as channel:
        yield channel


def signed(told: Any, secret: str = SECRET) -> dict[str, Any]:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"body": body, "headers": {"X-Pigeon-Signature": signature}}


def test_it_can_be_told_what_its_provider_wants() -> None:
    known = known_settings(adapter_of("pigeon"))
    assert [(one.name, one.is_secret, one.is_required) for one in known] == [
        ("token", True, True),
        ("callback_secret", True, True),
        ("base_url", False, False),
    ]


async def test_a_message_goes_out(channel: Channel, post: PigeonPost) -> None:
    message = a_message("hello")
    assert await sent(channel, message) == "accepted p1 x1"
    assert post.wishes == [
        {"from": OURS, "to": THEIRS, "text": "hello", "reference": message.sid, "callback": CALLBACK}
    ]


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (202, b"no JSON", "accepted  x1"),
        (400, {"error": "unknown_number"}, "refused 21211"),
        (400, {"error": "opted_out"}, "refused 21610"),
        (400, {"error": "another"}, "refused 30008"),
        (400, b"<html>", "refused 30008"),
        (401, {}, "not now alarm"),
        (429, {}, "not now"),
        (503, b"", "not now"),
    ],
)
async def test_each_answer_has_its_outcome(
    channel: Channel, post: PigeonPost, status: int, body: Any, outcome: str
) -> None:
    post.answer = (status, body)
    assert await sent(channel, a_message()) == outcome


async def test_nobody_there_is_another_time(installed: None) -> None:
    told = {"token": TOKEN, "callback_secret": SECRET, "base_url": "http://127.0.0.1:1"}
    async with opened("pigeon", told) as channel:
        assert await sent(channel, a_message()) == "not now"
        (found, _) = await examined(channel, "pigeon", CALLBACK)
        assert not found.is_good and found.remedy == "compare base_url"


async def test_what_its_provider_says_is_heard(channel: Channel) -> None:
    def hears(told: Any) -> str | Heard:
        return verdict(channel, *a_request(**signed(told)))

    message = {"type": "message", "id": "m1", "from": THEIRS, "to": OURS, "text": "hi"}
    assert hears(message) == Heard(events=(Incoming(provider_id="m1", sender=THEIRS, recipient=OURS, text="hi"),))
    for state, status, code in (
        ("flying", ReceiptStatus.SENT, 0),
        ("landed", ReceiptStatus.DELIVERED, 0),
        ("lost", ReceiptStatus.UNDELIVERED, 30003),
    ):
        report = Report(handle="p1", status=status, error_code=code)
        assert hears({"type": "report", "id": "p1", "state": state}) == Heard(events=(report,))
    assert hears({"type": "report", "id": "p1", "state": "circling"}) == Heard()
    assert hears(b"no JSON") == "Unreadable"


async def test_what_anybody_says_is_not(channel: Channel) -> None:
    message = {"type": "message", "id": "m1", "from": THEIRS, "to": OURS, "text": "hi"}
    assert verdict(channel, *a_request(**signed(message, "another secret of somebody"))) == "Forged"
    assert verdict(channel, *a_request(**{**signed(message), "body": b"{}"})) == "Forged"
    assert verdict(channel, *a_request(b"{}")) == "Forged"


async def test_a_check_says_whether_the_token_is_good(channel: Channel, post: PigeonPost) -> None:
    assert [finding.is_good for finding in await examined(channel, "pigeon", CALLBACK)] == [True, True]
    async with opened("pigeon", {"token": "x", "callback_secret": SECRET, "base_url": post.url}) as other:
        (found, _) = await examined(other, "pigeon", CALLBACK)
    assert not found.is_good and "401" in found.what and found.remedy == "set a new token"
