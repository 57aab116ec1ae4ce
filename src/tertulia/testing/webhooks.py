"""A receiver of webhooks that remembers what it hears, and answers what it was told to."""

from __future__ import annotations

import asyncio
import difflib
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec

from tertulia.server.domain.webhooks import EVENTS, PRE_EVENTS
from tertulia.wire import signatures

if TYPE_CHECKING:
    from .server import LocalServer

LARGEST: Final = 1_048_576


class CapturedWebhook(msgspec.Struct, frozen=True):
    """One call of the server."""

    event_type: str
    """``onMessageAdded`` and so on."""
    fields: dict[str, str]
    """What it told, by its published names."""
    is_signed: bool
    """Whether ``X-Twilio-Signature`` was right."""
    headers: dict[str, str]
    """Names in lower case."""

    def __getitem__(self, name: str) -> str:
        return self.fields[name]


class WebhookReceiver:
    """An HTTP server on loopback. Everything it hears is in ``captured``, in order.

    What is no webhook is refused with 400, and is not in ``captured``.
    """

    def __init__(self, auth_token: str) -> None:
        self.captured: list[CapturedWebhook] = []
        self._auth_token = auth_token
        self._answers: dict[str, tuple[int, bytes]] = {}
        self._news = threading.Condition()
        self._http = _Server(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = False
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.01,), name="tertulia-webhooks", daemon=True
        )

    @property
    def url(self) -> str:
        """Where webhooks are to be sent to."""
        return f"http://127.0.0.1:{self._http.server_port}/webhooks"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Nothing of it is left."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def clear(self) -> None:
        """Forgets what was heard; answers stay."""
        with self._news:
            self.captured.clear()

    def answer(self, event_type: str, json: Any = None, *, status: int = 200) -> None:
        """What to say from now on to webhooks of this type: JSON that changes what was asked about, or a refusal.

        Without either, it is as before the first call: nothing is changed, nothing refused. Raises ``ValueError`` for a
        type that does not exist, and for JSON to one that is told afterwards, when nothing can be changed.
        """
        _require_type(event_type)
        if json is not None and event_type not in PRE_EVENTS:
            raise ValueError(f"{event_type} is told afterwards: JSON changes what is asked before{_near(event_type)}")
        body = b"" if json is None else msgspec.json.encode(json)
        with self._news:
            self._answers[event_type] = (status, body)

    def of(self, event_type: str) -> list[CapturedWebhook]:
        """Those of this type, in order. Raises ``ValueError`` for a type that does not exist."""
        _require_type(event_type)
        with self._news:
            return [each for each in self.captured if each.event_type == event_type]

    def wait_for(
        self, event_type: str, holds: Callable[[CapturedWebhook], bool] | None = None, *, timeout: float = 5
    ) -> CapturedWebhook:
        """The first of this type for which ``holds``, also one of before. Raises ``TimeoutError``.

        And ``ValueError``, at once, for a type that does not exist.
        """
        _require_type(event_type)
        end = time.monotonic() + timeout
        with self._news:
            while True:
                for each in self.captured:
                    if each.event_type == event_type and (holds is None or holds(each)):
                        return each
                left = end - time.monotonic()
                if left <= 0:
                    heard = ", ".join(each.event_type for each in self.captured[-20:]) or "nothing"
                    raise TimeoutError(f"no {event_type} within {timeout:g} s; heard: {heard}")
                self._news.wait(left)

    async def heard(
        self, event_type: str, holds: Callable[[CapturedWebhook], bool] | None = None, *, timeout: float = 5
    ) -> CapturedWebhook:
        """``wait_for``, for coroutines: others go on meanwhile."""
        return await asyncio.to_thread(self.wait_for, event_type, holds, timeout=timeout)

    def _take(self, captured: CapturedWebhook) -> tuple[int, bytes]:
        with self._news:
            self.captured.append(captured)
            self._news.notify_all()
            return self._answers.get(captured.event_type, (200, b""))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def do_POST(self) -> None:
                size = _size(self.headers.get("Content-Length", "0"))
                if size is None:
                    self._say(HTTPStatus.BAD_REQUEST, b"")
                    return
                if size > LARGEST:
                    self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"")
                    return
                body = self.rfile.read(size)
                try:
                    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
                except ValueError:
                    fields = None
                if fields is None or len(body) < size:
                    self._say(HTTPStatus.BAD_REQUEST, b"")
                    return
                self._say(*receiver._take(self._captured(fields)))

            def do_GET(self) -> None:
                _, _, query = self.path.partition("?")
                self._say(*receiver._take(self._captured(dict(parse_qsl(query, keep_blank_values=True)), is_get=True)))

            def _captured(self, fields: dict[str, str], *, is_get: bool = False) -> CapturedWebhook:
                url = f"http://{self.headers['Host']}{self.path}"
                signature = self.headers.get("X-Twilio-Signature", "")
                signed = signatures.verify(signature, url, () if is_get else fields.items(), receiver._auth_token)
                headers = {name.lower(): value for name, value in self.headers.items()}
                return CapturedWebhook(fields.get("EventType", ""), fields, signed, headers)

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing: a test's output is the test's."""

        return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a caller that has left: he may, and a test's output is the test's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _size(told: str) -> int | None:
    """A length as HTTP has it; None of what is none."""
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 20 else None


class Capturing:
    """A receiver that the server's account tells everything, for as long as a block lasts."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._receiver: WebhookReceiver | None = None

    def __enter__(self) -> WebhookReceiver:
        receiver = WebhookReceiver(self._server.auth_token)
        receiver.start()
        try:
            _tell(self._server, receiver.url)
        except BaseException:
            receiver.stop()
            raise
        self._receiver = receiver
        return receiver

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        try:
            if self._server.is_running:
                _tell(self._server, "")
        finally:
            receiver.stop()

    async def __aenter__(self) -> WebhookReceiver:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)


def capturing(server: LocalServer) -> Capturing:
    """A receiver that hears every webhook of the server's account, before and after, for as long as a block lasts.

    ``with capturing(server) as webhooks`` or ``async with``; the block is given a ``WebhookReceiver``.
    """
    return Capturing(server)


def _tell(server: LocalServer, url: str) -> None:
    form = {"PreWebhookUrl": url, "PostWebhookUrl": url, "Method": "POST", "Filters": sorted(EVENTS)}
    with server.rest() as rest:
        rest.post("/v1/Configuration/Webhooks", data=form).raise_for_status()


def _require_type(event_type: str) -> None:
    if event_type not in EVENTS:
        raise ValueError(f"there is no webhook {event_type!r}{_near(event_type)}")


def _near(event_type: str) -> str:
    """What may have been meant; all there are when nothing is like it."""
    others = sorted(EVENTS - {event_type})
    near = difflib.get_close_matches(event_type, others, 3)
    return f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(others)}"
