"""Our double of Meta's Graph API, judged by ``pywa``: a client of WhatsApp's API that knows nothing of us."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import httpx
import pytest
from aiohttp import web
from pywa import errors
from pywa.client import WhatsApp
from pywa.handlers import CallbackButtonHandler, CallbackSelectionHandler, MessageHandler, MessageStatusHandler
from pywa.types.callback import Button, Section, SectionList, SectionRow
from pywa.types.message_status import MessageStatusType
from pywa.types.templates import TemplateLanguage

from tests.peers.graph import (
    NO_WINDOW,
    NUMBER_ID,
    PAIR_THROTTLED,
    PERSON,
    THROTTLED,
    URL_LIFE_S,
    VERSION,
    GraphPeer,
    changed,
    message,
    status,
    update,
    user_id,
)

T = TypeVar("T")


def judge(peer: GraphPeer, session: httpx.Client, token: str | None = None) -> WhatsApp:
    """The client, as if our double were Meta."""
    client = WhatsApp(
        phone_id=NUMBER_ID,
        token=peer.token if token is None else token,
        session=session,
        app_secret=peer.app_secret,
        verify_token=peer.verify_token,
        skip_duplicate_updates=False,
    )
    session.base_url = httpx.URL(f"{peer.url}/{VERSION}")
    return client


async def said(peer: GraphPeer, calls: Callable[[WhatsApp], T], token: str | None = None) -> T:
    """What the client gets, which blocks."""

    def call() -> T:
        # Its errors are frozen, so no context manager written in Python may be on their way.
        session = httpx.Client()
        try:
            return calls(judge(peer, session, token))
        finally:
            session.close()

    return await asyncio.to_thread(call)


async def test_it_takes_texts_and_names_them() -> None:
    async with GraphPeer() as peer:
        sent = await said(peer, lambda client: client.send_message(to=PERSON, text="hello"))

    assert [(one.node, one.name) for one in peer.sent] == [(NUMBER_ID, sent.id)]
    assert peer.bodies[0]["text"]["body"] == "hello"


async def test_it_takes_places_lists_buttons_and_files() -> None:
    sections = SectionList("Pick", [Section("All", [SectionRow("Soup", "soup", "hot")])])
    buttons = [Button("Yes", "yes"), Button("No", "no")]

    async with GraphPeer() as peer:
        await said(peer, lambda client: client.send_location(to=PERSON, latitude=1.5, longitude=2.5, name="Inn"))
        await said(peer, lambda client: client.send_message(to=PERSON, text="Which?", buttons=sections))
        await said(peer, lambda client: client.send_message(to=PERSON, text="Sure?", buttons=buttons))
        await said(peer, lambda client: client.send_image(to=PERSON, image=b"png", mime_type="image/png", caption="Us"))

    assert [body["type"] for body in peer.bodies] == ["location", "interactive", "interactive", "image"]
    assert [file.content for file in peer.files.values()] == [b"png"]


async def test_it_takes_a_template_that_is_approved_and_no_other() -> None:
    english = TemplateLanguage.ENGLISH

    def send(name: str) -> Callable[[WhatsApp], Any]:
        return lambda client: client.send_template(to=PERSON, name=name, language=english, params=[])

    async with GraphPeer() as peer:
        peer.templates["invitation"] = 0
        await said(peer, send("invitation"))
        with pytest.raises(errors.TemplateNotExists):
            await said(peer, send("other"))

    assert [body["template"]["name"] for body in peer.bodies] == ["invitation"]


async def test_it_keeps_files_and_gives_them_back() -> None:
    async with GraphPeer() as peer:
        kept = await said(peer, lambda client: client.upload_media(b"a song", mime_type="audio/mpeg", filename="a.mp3"))
        assert kept is not None
        place = await said(peer, lambda client: client.get_media_url(kept.id))
        content = await said(peer, lambda client: client.get_media_bytes(url=place.url))

    assert (place.mime_type, place.file_size, content) == ("audio/mpeg", 6, b"a song")


async def test_its_urls_end_after_five_minutes_and_want_the_token() -> None:
    at = [1_000_000.0]
    async with GraphPeer(now=lambda: at[0]) as peer, httpx.AsyncClient() as stranger:
        url = peer.link(peer.keep_file(b"secret"))
        headers = {"Authorization": f"Bearer {peer.token}"}
        assert (await stranger.get(url)).status_code == 401
        assert (await stranger.get(url, headers=headers)).content == b"secret"
        at[0] += URL_LIFE_S
        assert (await stranger.get(url, headers=headers)).status_code == 404


async def test_it_notes_what_is_marked_as_read() -> None:
    async with GraphPeer() as peer:
        await said(peer, lambda client: client.mark_message_as_read("wamid.x"))

    assert peer.marked == ["wamid.x"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (NO_WINDOW, errors.ReEngagementMessage),
        (THROTTLED, errors.RateLimitHit),
        (PAIR_THROTTLED, errors.TooManyMessages),
    ],
)
async def test_its_errors_are_read_as_what_they_are(reply: Any, kind: type[Exception]) -> None:
    async with GraphPeer() as peer:
        peer.answer_with(reply)
        with pytest.raises(kind):
            await said(peer, lambda client: client.send_message(to=PERSON, text="hello"))


async def test_it_refuses_another_token() -> None:
    async with GraphPeer() as peer:
        with pytest.raises(errors.ExpiredAccessToken):
            await said(peer, lambda client: client.send_message(to=PERSON, text="hello"), token="another")


async def test_it_refuses_what_meta_refuses() -> None:
    async with GraphPeer() as peer:
        with pytest.raises(errors.InvalidParameter):
            await said(peer, lambda client: client.send_message(to=PERSON, text="x" * 4097))
        with pytest.raises(errors.MediaUploadError):
            await said(peer, lambda client: client.send_image(to=PERSON, image="999"))

    assert peer.sent == []


# --- what it posts


class Receiver:
    """A webhook of the judge's."""

    def __init__(self, peer: GraphPeer) -> None:
        self.heard: list[Any] = []
        self._peer = peer
        self.url = ""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        with httpx.Client() as session:
            client = judge(self._peer, session)
            for handler in (MessageHandler, CallbackButtonHandler, CallbackSelectionHandler, MessageStatusHandler):
                client.add_handlers(handler(lambda _, update: self.heard.append(update)))

            async def take(request: web.Request) -> web.Response:
                if request.method == "GET":
                    text, code = client.webhook_challenge_handler(
                        request.query.get("hub.verify_token"), request.query.get("hub.challenge")
                    )
                    return web.Response(status=code, text=text)
                body = await request.read()
                wrong = client.webhook_update_validator(body, request.headers.get("X-Hub-Signature-256"))
                text, code = wrong or client.webhook_update_handler(body)
                return web.Response(status=code, text=text)

            application = web.Application()
            application.router.add_route("*", "/hook", take)
            runner = web.AppRunner(application)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            try:
                yield
            finally:
                await runner.cleanup()


async def test_its_requests_are_believed_and_read() -> None:
    now = time.time()
    photo = {"id": "77", "mime_type": "image/jpeg", "sha256": "0", "caption": "Us"}
    chosen = {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}}
    async with GraphPeer() as peer:
        receiver = Receiver(peer)
        async with receiver.listening():
            assert await peer.verify(receiver.url)
            assert not await peer.verify(receiver.url, "another word")
            answered = await peer.tell(
                receiver.url,
                update(changed(messages=[message("text", {"body": "hello"}, at_s=now)])),
                update(changed(messages=[message("image", photo, at_s=now, name="wamid.in2")])),
                update(changed(messages=[message("interactive", chosen, at_s=now, name="wamid.in3")])),
                update(changed(statuses=[status("read", at_s=now)])),
                update(changed(statuses=[status("failed", at_s=now, code=131047)])),
            )

    assert answered == [200] * 5
    text, image, button, read, failed = receiver.heard
    assert (text.text, text.from_user.wa_id, text.from_user.name) == ("hello", PERSON, "Ana")
    assert text.from_user.bsuid == user_id(PERSON)
    assert (image.image.id, image.caption) == ("77", "Us")
    assert (button.data, button.title) == ("yes", "Yes")
    assert (read.status, failed.status) == (MessageStatusType.READ, MessageStatusType.FAILED)
    assert isinstance(failed.error, errors.ReEngagementMessage)


async def test_it_posts_twice_and_out_of_order_when_told_to() -> None:
    now = time.time()
    async with GraphPeer() as peer:
        receiver = Receiver(peer)
        async with receiver.listening():
            updates = [update(changed(statuses=[status(state, at_s=now)])) for state in ("sent", "delivered")]
            await peer.tell(receiver.url, *updates, times=2, backwards=True)

    assert [str(one.status) for one in receiver.heard] == ["delivered", "sent", "delivered", "sent"]


async def test_what_is_signed_with_another_secret_is_believed_by_nobody() -> None:
    async with GraphPeer() as peer:
        receiver = Receiver(peer)
        async with receiver.listening():
            peer.app_secret = "another"
            told = update(changed(messages=[message("text", {"body": "x"}, at_s=time.time())]))
            assert await peer.tell(receiver.url, told) == [403]

    assert receiver.heard == []
