"""One request, from the table to the reply: who asks, what is wanted, doing it, saying so."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import msgspec

from tertulia.server import observe, tracing
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.errors import METHOD_NOT_SUPPORTED, RESOURCE_NOT_FOUND
from tertulia.server.randomness import Randomness
from tertulia.wire.requests import Reply, Request

from .admission import Admission
from .errors import known
from .faces import Face
from .forms import Reader
from .operations import Call, Found, Operations, Router, Services
from .streams import CallerGone, Incoming, with_headers

log = logging.getLogger(__name__)

_encode: Final = msgspec.json.Encoder().encode
_UNKNOWN: Final = "unknown"
"""What a request for no operation counts as."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Dispatcher:
    """Answers the requests of one face.

    Every request is answered: what goes wrong is an error body, what we did not foresee a 500 that names the
    request. One log line and one measurement each, without anything a caller wrote.
    """

    def __init__(
        self, face: Face, tables: Iterable[Operations], services: Services, admission: Admission | None = None
    ) -> None:
        self.operations = tuple(operation for table in tables for operation in table)
        self._face = face
        self._services = services
        self._admission = admission
        self._router = Router(self.operations)
        self._public_url = services.settings.server.public_url
        types = {type_ for operation in self.operations for type_ in (operation.form, operation.query) if type_}
        self._readers: dict[type[msgspec.Struct], Reader[Any]] = {type_: Reader(type_) for type_ in types}
        self._randomness = Randomness()
        self._running = 0

    def find(self, method: str, path: str) -> Found | frozenset[str]:
        """The operation of a path; or the methods that the path has, none when there is no such path."""
        return self._router.find(method, path)

    async def dispatch(
        self,
        request: Request,
        *,
        caller: Caller | None = None,
        base_url: str | None = None,
        body: Callable[[], Awaitable[bytes]] | None = None,
        incoming: Incoming | None = None,
    ) -> Reply:
        """The answer to a request.

        Who asks is found from its headers unless the connection knows it and says so with ``caller``. URLs in the
        answer begin with ``server.public_url``, else ``base_url``, else ``http://`` and the request's host. What is
        not here yet of the request is brought by ``body``, for callers who are let in only, or left in ``incoming`` to
        operations that read it themselves; their ``CallerGone`` is the one thing raised.
        """
        started = time.perf_counter()
        request_id = f"RQ{self._randomness.draw(16).hex()}"
        mark = observe.request_id.set(request_id)
        self._running += 1
        running = self._running
        found = self._router.find(request.method, request.path)
        span = self._span(request, found, request_id) if tracing.active is not None else None
        reply: Reply | None = None
        try:
            url = self._public_url or base_url or f"http://{request.headers.get('host', 'localhost')}"
            who = caller or await self._face.caller(request)
            if span is not None:
                span.belongs_to(who.account_sid)
            if incoming is not None and not _is_streamed(found):
                incoming = None
            if body is not None and incoming is None:
                waits = time.perf_counter()
                request = msgspec.structs.replace(request, body=await body())
                started += time.perf_counter() - waits  # how fast they send is not ours to measure
            work = self._answer(request, found, who, url, incoming)
            if caller is None and self._admission is not None:  # requests of a connection have taken their turn
                work = self._admission.through(who.account_sid, work)
            reply = await work
        except CallerGone:
            raise
        except Exception as error:
            # The edge: whatever happened, the caller gets an answer.
            reply = self._face.failure(known(error, request_id), request)
        finally:
            self._running -= 1
            observe.request_id.reset(mark)
            if span is not None:
                span.answered(None if reply is None else reply.status)
        seconds = time.perf_counter() - started
        if incoming is not None:
            seconds = max(seconds - incoming.waited_s, 0.0)
        self._told(request_id, request.method, found, reply.status, seconds)
        if caller is not None:
            # Inside a connection only the id is of use.
            return Reply(reply.status, reply.body, (("Twilio-Request-Id", request_id), *reply.headers))
        headers = (
            ("Twilio-Request-Id", request_id),
            ("Twilio-Request-Duration", f"{seconds:.3f}"),
            ("Twilio-Concurrent-Requests", str(running)),
            *self._face.headers,
            *reply.headers,
        )
        return with_headers(reply, headers)

    async def _answer(
        self,
        request: Request,
        found: Found | frozenset[str],
        caller: Caller,
        url: str,
        incoming: Incoming | None,
    ) -> Reply:
        if not isinstance(found, Found):
            raise METHOD_NOT_SUPPORTED() if found else RESOURCE_NOT_FOUND()
        operation = found.operation
        call = Call(operation, found.values, request, caller, url, self._services)
        if incoming is not None:
            call.incoming = incoming
        await self._face.enter(call)
        if operation.query is not None:
            call.query = self._readers[operation.query].of_query(request.query)
        if operation.form is None:
            view = await operation.handler(call)
        else:
            reader = self._readers[operation.form]
            form = reader.of_form(request.body) if operation.body == "form" else reader.of_json(request.body)
            view = await operation.handler(call, form)
        if view is None:
            return Reply(call.status)
        return view if isinstance(view, Reply) else Reply(call.status, _encode(view))

    def _span(self, request: Request, found: Found | frozenset[str], request_id: str) -> tracing.Span | None:
        if tracing.active is None:
            return None
        method, parent = _known_method(request.method), request.headers.get(tracing.HEADER)
        return tracing.active.request(self._face.name, _named(found), method, request_id, parent)

    def _told(self, request_id: str, method: str, found: Found | frozenset[str], status: int, seconds: float) -> None:
        """Measured and logged, without anything the caller wrote."""
        name = _named(found)
        observe.request_meter(self._face.name, name).done(status, seconds)
        observe.info(
            log,
            "request.done",
            request_id=request_id,
            face=self._face.name,
            operation=name,
            method=_known_method(method),
            status=status,
            ms=seconds * 1000,
        )


def _named(found: Found | frozenset[str]) -> str:
    return found.operation.name if isinstance(found, Found) else _UNKNOWN


def _is_streamed(found: Found | frozenset[str]) -> bool:
    return isinstance(found, Found) and found.operation.body == "stream"


def _known_method(method: str) -> str:
    return method if method in _METHODS else "other"
