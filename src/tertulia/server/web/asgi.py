"""The callable that uvicorn serves: HTTP in, values to the faces, HTTP out.

The host does not matter; the path chooses. ``/v1/typing`` and ``/v1/registrations`` belong to clients, the media of
services to both, the rest of ``/v1`` to account holders, and so do our additions under ``/push``, ``/channels`` and
``/simulator``. Under ``/callbacks`` the providers of channels call us.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, NamedTuple, Protocol

from tertulia.server import observe
from tertulia.server.domain.errors import BODY_TOO_LARGE, RESOURCE_NOT_FOUND, TertuliaError
from tertulia.wire.requests import Reply, Request, error_reply, parse_query

from . import cors
from .dispatch import Dispatcher
from .streams import CallerGone, Incoming, Outgoing, send_pieces

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")
_CORS: Final = tuple((name.lower().encode(), value.encode()) for name, value in cors.HEADERS)
_CLIENT_PREFIXES: Final = ("/Client/", "/v3/", "/v1/typing", "/v1/registrations")
_REST_PREFIXES: Final = ("/v1/", "/push/", "/channels/", "/simulator/")
CALLBACKS: Final = "/callbacks/"
_SERVICES: Final = "/v1/Services/"
_MEDIA: Final = re.compile(r"/v1/Services/[^/]+/Media(?:Set)?(?:/|$)").match
_UPLOAD: Final = re.compile(r"/v1/Services/[^/]+/Media|/simulator/Phones/[^/]+/Media").fullmatch


def is_upload(method: str, path: str) -> bool:
    """Whether the body of such a request is read as it comes, with time limits of its own."""
    return method == "POST" and _UPLOAD(path) is not None


class Callbacks(Protocol):
    """Who answers the providers of channels."""

    @property
    def limit_bytes(self) -> int:
        """The largest body."""
        ...

    async def answer(self, request: Request, url: str, body: Callable[[], Awaitable[bytes]]) -> Reply:
        """The reply to a request of any method; ``url`` is the whole, as it was asked for. ``body`` brings its body,
        and raises 20413 for one that is too large."""
        ...


class UploadLimits(NamedTuple):
    """How long a body that is read as it comes may bring nothing, and how long it may take in all."""

    idle_s: float
    total_s: float


UPLOAD_LIMITS: Final = UploadLimits(30.0, 1800.0)


class HttpApp:
    """Every HTTP request of the process.

    ``is_ready`` says whether the server should be sent work; ``document`` is our own description of the API.
    """

    def __init__(
        self,
        rest: Dispatcher,
        client: Dispatcher,
        media: Dispatcher | None = None,
        *,
        callbacks: Callbacks | None = None,
        is_ready: Callable[[], Awaitable[bool]],
        document: Callable[[], bytes],
        body_limit_bytes: int,
        upload_limits: UploadLimits = UPLOAD_LIMITS,
    ) -> None:
        self._rest = rest
        self._client = client
        self._media = media
        self._callbacks = callbacks
        self._upload_limits = upload_limits
        self._is_ready = is_ready
        self._document = document
        self._limit = body_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Only HTTP comes here; the WebSocket has its own way in."""
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        is_head = scope["method"] == "HEAD"
        method = "GET" if is_head else scope["method"]
        raw = scope.get("raw_path") or scope["path"].encode()
        path = raw.partition(b"?")[0].decode("utf-8", "replace")
        if self._callbacks is not None and path.startswith(CALLBACKS):
            return await self._callback_answer(self._callbacks, scope, receive, send, path)
        face = self._face(path)
        if face is not None and (face is self._media or is_upload(method, path)) and method != "OPTIONS":
            return await self._media_answer(face, scope, receive, send, method, path)
        try:
            reply = await (
                self._own(method, path) if face is None else self._answer(face, scope, receive, method, path)
            )
        except CallerGone:
            return
        # Pages of other sites may call the APIs, with credentials of their own; what the server says of itself they
        # may not read.
        await _send(send, reply, with_body=not is_head, for_all_origins=face is not None)

    async def _callback_answer(
        self, callbacks: Callbacks, scope: Scope, receive: Receive, send: Send, path: str
    ) -> None:
        """No page of another site has any business here."""
        headers = _headers(scope["headers"])
        query = scope["query_string"].decode("utf-8", "replace")
        request = Request(scope["method"], path, parse_query(query) if query else {}, headers, b"")
        url = f"{scope['scheme']}://{headers.get('host', 'localhost')}{path}{'?' if query else ''}{query}"
        try:
            reply = await callbacks.answer(request, url, lambda: self._body(headers, receive, callbacks.limit_bytes))
        except CallerGone:
            return
        await _send(send, reply, with_body=scope["method"] != "HEAD", for_all_origins=False)

    async def _media_answer(
        self, face: Dispatcher, scope: Scope, receive: Receive, send: Send, method: str, path: str
    ) -> None:
        """Bodies come and go in pieces here."""
        idle_s, total_s = self._upload_limits
        incoming = None
        if method not in ("GET", "HEAD"):
            length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
            incoming = Incoming(receive, length, idle_s=idle_s, total_s=total_s)
        try:
            reply = await self._answer(face, scope, receive, method, path, incoming)
        except CallerGone:
            return
        with_body = scope["method"] != "HEAD"
        if isinstance(reply, Outgoing):
            headers = [*_encoded(reply), *_CORS, (b"content-length", str(reply.length).encode())]
            try:
                if with_body:
                    return await send_pieces(send, receive, reply, headers)
                await send({"type": "http.response.start", "status": reply.status, "headers": headers})
                return await send({"type": "http.response.body", "body": b""})
            finally:
                await reply.close()
        refused = incoming if is_upload(method, path) and reply.status >= 400 else None
        await _send(send, reply, with_body=with_body, for_all_origins=True, refused=refused)

    def _face(self, path: str) -> Dispatcher | None:
        if path.startswith(_CLIENT_PREFIXES):
            return self._client
        if path.startswith(_SERVICES) and self._media is not None and _MEDIA(path):
            return self._media
        return self._rest if path.startswith(_REST_PREFIXES) else None

    async def _answer(
        self,
        face: Dispatcher,
        scope: Scope,
        receive: Receive,
        method: str,
        path: str,
        incoming: Incoming | None = None,
    ) -> Reply:
        if method == "OPTIONS":
            return cors.PREFLIGHT
        headers = _headers(scope["headers"])
        query = scope["query_string"]
        request = Request(
            method=method,
            path=path,
            query=parse_query(query.decode("utf-8", "replace")) if query else {},
            headers=headers,
            body=b"",
        )
        host = headers.get("host")
        return await face.dispatch(
            request,
            base_url=f"{scope['scheme']}://{host}" if host else None,
            body=(lambda: self._body(headers, receive, self._limit)) if method != "GET" else None,
            incoming=incoming,
        )

    async def _body(self, headers: dict[str, str], receive: Receive, limit: int) -> bytes:
        length = headers.get("content-length", "")
        if length.isdigit() and int(length[:16]) > limit:
            raise _too_large(limit)
        event = await receive()
        body: bytes = event.get("body", b"")
        if not event.get("more_body"):
            return _bounded(event, body, limit)
        parts, size = [body], len(body)
        while event.get("more_body"):
            if size > limit:
                raise _too_large(limit)
            event = await receive()
            part = event.get("body", b"")
            size += len(part)
            parts.append(part)
        return _bounded(event, b"".join(parts), limit)

    async def _own(self, method: str, path: str) -> Reply:
        """The pages of the server itself."""
        if method == "GET" and path == "/healthz":
            return Reply(200, b'{"status":"ok"}')
        if method == "GET" and path == "/readyz":
            return (
                Reply(200, b'{"status":"ready"}') if await self._is_ready() else Reply(503, b'{"status":"not ready"}')
            )
        if method == "GET" and path == "/metrics":
            return Reply(200, observe.render(), (("content-type", observe.CONTENT_TYPE),))
        if method == "GET" and path == "/openapi.json":
            return Reply(200, self._document())
        message = f"The requested resource {path} was not found"
        return error_reply(RESOURCE_NOT_FOUND.family.status, RESOURCE_NOT_FOUND.code, message)


def _bounded(event: Event, body: bytes, limit: int) -> bytes:
    if event["type"] == "http.disconnect":
        raise CallerGone
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> TertuliaError:
    return BODY_TOO_LARGE(f"The request body is larger than {limit} bytes")


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}


def _encoded(reply: Reply) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]


async def _send(
    send: Send, reply: Reply, *, with_body: bool, for_all_origins: bool, refused: Incoming | None = None
) -> None:
    """``refused`` is a body that is not read: its sender may still be at it, and hears of the refusal first."""
    headers = _encoded(reply)
    if reply.body:
        headers.append((b"content-length", str(len(reply.body)).encode()))
        if not any(name == b"content-type" for name, _ in headers):
            headers.append(_JSON)
    elif reply.status not in (204, 304):
        headers.append((b"content-length", b"0"))
    if for_all_origins and reply is not cors.PREFLIGHT:
        headers.extend(_CORS)
    is_cut = refused is not None and not refused.is_whole
    if is_cut or reply.status == BODY_TOO_LARGE.family.status:
        headers.append(_CLOSE)  # what is left of the body is not read
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if is_cut and refused is not None:
        # A connection that is closed with bytes unread may take the answer with it.
        await send({"type": "http.response.body", "body": reply.body, "more_body": True})
        await refused.throw_away()
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.body", "body": reply.body if with_body else b""})
