"""How events reach the application: handlers, streams, and waiting for one.

Every object with events is an ``Emitter``; what it emits bubbles to its parent (message, conversation, client).
Handlers are called in the order in which they were attached, one event after the other. A handler that is a coroutine
function has a queue of its own, worked off in order by a task that lives only while there is something to do; no
handler ever delays the connection, and none that raises disturbs another.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, overload

from . import arguments
from .errors import ClientShutDownError, EventOverflowError, InvalidArgumentError
from .events import Event, HandlerFailed

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)
Handler = Callable[[E], Awaitable[object] | object]
"""A function or a coroutine function; what it gives back is left alone."""


class Hub(Protocol):
    """What the outermost emitter knows: how to run a task, and how much may wait."""

    max_event_queue: int
    is_closed: bool

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...


class Emitter:
    """Something with events. One that nobody listens to costs two empty places."""

    __slots__ = ("__weakref__", "_heard", "_last")

    def __init__(self) -> None:
        self._heard: list[_Listener] | None = None
        self._last: dict[type[Event], Event] | None = None

    # Who is told next, and who runs tasks: told by the objects, so that thousands of them need not hold it.

    def _parent(self) -> Emitter | None:
        raise NotImplementedError

    def _hub(self) -> Hub:
        raise NotImplementedError

    @overload
    def on(
        self, event_type: type[E], handler: None = None, /, *, replay: bool = False
    ) -> Callable[[Handler[E]], Handler[E]]: ...

    @overload
    def on(self, event_type: type[E], handler: Handler[E], /, *, replay: bool = False) -> Handler[E]: ...

    @overload
    def on(
        self, event_type: type[E], second: type[E2], /, *, replay: bool = False
    ) -> Callable[[Handler[E | E2]], Handler[E | E2]]: ...

    @overload
    def on(
        self, event_type: type[E], second: type[E2], third: type[E3], /, *, replay: bool = False
    ) -> Callable[[Handler[E | E2 | E3]], Handler[E | E2 | E3]]: ...

    @overload
    def on(
        self, event_type: type[E], second: type[E2], third: type[E3], fourth: type[E4], /, *, replay: bool = False
    ) -> Callable[[Handler[E | E2 | E3 | E4]], Handler[E | E2 | E3 | E4]]: ...

    def on(self, event_type: type[Event], /, *more: Any, replay: bool = False) -> Any:
        """Call the handler at each event of this type (or of a kind of it): ``on(MessageAdded, handler)``.

        Without a handler it is a decorator, also for several types: ``@client.on(MessageAdded, MessageUpdated)``. With
        ``replay`` the handler is called at once with the last such event, if there was one. Handlers may be functions
        or coroutine functions; what they raise is logged and reported as ``HandlerFailed``.
        """
        if more in ((), (None,)) or _is_event(more[-1]):
            event_types = (event_type, *(each for each in more if each is not None))
            _require_events(*event_types)
            return lambda handler: self._call(handler, event_types, replay)
        event_types = (event_type, *more[:-1])
        _require_events(*event_types)
        return self._call(more[-1], event_types, replay)

    def _call(self, handler: Handler[Any], event_types: tuple[type[Event], ...], replay: bool) -> Handler[Any]:
        arguments.function(handler, "a handler")
        listener = _HandlerListener(self, event_types, handler)
        self._attach(listener)
        for event_type in event_types if replay else ():
            last = self._last_of(event_type)
            if last is not None:
                listener.tell(last)
        return handler

    def off(self, event_type: type[E], handler: Handler[Any]) -> None:
        """Call the handler no more for this type; nothing happens when it was not attached."""
        for listener in self._heard or ():
            if isinstance(listener, _HandlerListener) and listener.is_of(event_type, handler):
                if not listener.hears_less(event_type):
                    self._detach(listener)
                return

    @overload
    def events(self, *, replay_last: bool = False, max_queue: int | None = None) -> EventStream[Event]: ...

    @overload
    def events(
        self, event_type: type[E], /, *, replay_last: bool = False, max_queue: int | None = None
    ) -> EventStream[E]: ...

    @overload
    def events(
        self, first: type[E], second: type[E2], /, *, replay_last: bool = False, max_queue: int | None = None
    ) -> EventStream[E | E2]: ...

    @overload
    def events(
        self,
        first: type[E],
        second: type[E2],
        third: type[E3],
        /,
        *,
        replay_last: bool = False,
        max_queue: int | None = None,
    ) -> EventStream[E | E2 | E3]: ...

    @overload
    def events(
        self,
        first: type[E],
        second: type[E2],
        third: type[E3],
        fourth: type[E4],
        /,
        *,
        replay_last: bool = False,
        max_queue: int | None = None,
    ) -> EventStream[E | E2 | E3 | E4]: ...

    @overload
    def events(
        self, *event_types: type[Event], replay_last: bool = False, max_queue: int | None = None
    ) -> EventStream[Event]: ...

    def events(
        self, *event_types: type[Event], replay_last: bool = False, max_queue: int | None = None
    ) -> EventStream[Any]:
        """The events of these types (all without any) from now on, for ``async with`` and ``async for``.

        At most ``max_queue`` events (the configuration's ``max_event_queue``) wait for a slow reader; one more, and
        reading raises ``EventOverflowError``. The stream ends when the client is shut down. Of one to four types the
        type checker knows the events; of more, that they are events.
        """
        _require_events(*event_types)
        if max_queue is not None:
            arguments.number(max_queue, "max_queue", 1)
        return EventStream(self, event_types, replay_last, max_queue or self._hub().max_event_queue)

    async def wait_for(
        self, event_type: type[E], predicate: Callable[[E], bool] | None = None, timeout: float | None = None
    ) -> E:
        """The next event of this type that the predicate agrees to.

        Raises ``TimeoutError`` after ``timeout`` seconds, ``ClientShutDownError`` when the client ends.
        """
        arguments.seconds(timeout, "timeout")
        if predicate is not None:
            arguments.function(predicate, "a predicate")
        async with asyncio.timeout(timeout), self.events(event_type) as stream:
            async for event in stream:
                if predicate is None or predicate(event):
                    return event
        raise ClientShutDownError

    def _emit(self, event: Event) -> None:
        """Tell who listens here, then who listens further out."""
        emitter: Emitter | None = self
        while emitter is not None:
            if emitter._last is None:
                emitter._last = {}
            emitter._last[type(event)] = event
            for listener in tuple(emitter._heard or ()):
                listener.tell(event)
            emitter = emitter._parent()

    def _attach(self, listener: _Listener) -> None:
        if self._hub().is_closed:
            raise ClientShutDownError
        if self._heard is None:
            self._heard = []
        self._heard.append(listener)

    def _detach(self, listener: _Listener) -> None:
        if self._heard is not None and listener in self._heard:
            self._heard.remove(listener)

    def _last_of(self, event_type: type[Event]) -> Event | None:
        for kind in reversed(self._last or {}):
            if issubclass(kind, event_type):
                return (self._last or {})[kind]
        return None

    def _let_go(self) -> None:
        """Forget who listens, and what was last said: nothing comes any more."""
        for listener in self._heard or ():
            listener.end()
        self._heard = self._last = None


def _is_event(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Event)


def _require_events(*event_types: object) -> None:
    for each in event_types:
        if not _is_event(each):
            raise InvalidArgumentError(f"{each!r:.60} is no event: give a class, as in on(MessageAdded, handler)")


class _Listener:
    def __init__(self, event_types: tuple[type[Event], ...]) -> None:
        self._event_types = event_types

    def tell(self, event: Event) -> None:
        if not self._event_types or isinstance(event, self._event_types):
            self._take(event)

    def end(self) -> None:
        """Nothing will come any more."""

    def _take(self, event: Event) -> None:
        raise NotImplementedError


class _HandlerListener(_Listener):
    def __init__(self, emitter: Emitter, event_types: tuple[type[Event], ...], handler: Handler[Any]) -> None:
        super().__init__(event_types)
        self._emitter = emitter
        self._handler = handler
        self._is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
            getattr(handler, "__call__", None)  # noqa: B004 (an object whose __call__ is a coroutine function)
        )
        self._waiting: deque[Event] = deque()
        self._is_running = False

    def is_of(self, event_type: type[Event], handler: Handler[Any]) -> bool:
        return event_type in self._event_types and self._handler == handler

    def hears_less(self, event_type: type[Event]) -> bool:
        """From now on nothing of this type, unless that was the only one, which it says."""
        left = tuple(each for each in self._event_types if each is not event_type)
        self._event_types = left or self._event_types
        return bool(left)

    def end(self) -> None:
        self._waiting.clear()

    def _take(self, event: Any) -> None:
        if not self._is_async:
            waited = self._called(event)
            if waited is not None:
                # A partial of a coroutine function looks like a function, until it is called.
                self._is_async = self._is_running = True
                self._emitter._hub().spawn(self._work(event, waited))
            return
        hub = self._emitter._hub()
        if len(self._waiting) >= hub.max_event_queue:
            self._failed(event, EventOverflowError(f"a handler is {len(self._waiting)} events behind; one was dropped"))
            return
        self._waiting.append(event)
        if not self._is_running:
            self._is_running = True
            hub.spawn(self._work())

    async def _work(self, event: Event | None = None, waited: Awaitable[object] | None = None) -> None:
        try:
            if event is not None and waited is not None:
                await self._await(event, waited)
            while self._waiting:
                event = self._waiting.popleft()
                waited = self._called(event)
                if waited is not None:
                    await self._await(event, waited)
        finally:
            self._is_running = False

    def _called(self, event: Any) -> Awaitable[object] | None:
        try:
            waited = self._handler(event)
        except (Exception, asyncio.CancelledError) as error:
            self._failed(event, error)
            return None
        return waited if inspect.isawaitable(waited) else None

    async def _await(self, event: Event, waited: Awaitable[object]) -> None:
        try:
            await waited
        except Exception as error:
            self._failed(event, error)

    def _failed(self, event: Event, error: BaseException) -> None:
        log.error("client.handler_failed", exc_info=error, extra={"event": type(event).__name__})
        if not isinstance(event, HandlerFailed):
            self._emitter._emit(HandlerFailed(event, error))


class EventStream(_Listener, Generic[E]):
    """Events as they come: ``async with`` it, then ``async for``."""

    def __init__(self, emitter: Emitter, event_types: tuple[type[E], ...], replay_last: bool, max_queue: int) -> None:
        super().__init__(event_types)
        self._emitter = emitter
        self._replay_last = replay_last
        self._max_queue = max_queue
        self._waiting: deque[E] = deque()
        self._news: asyncio.Future[None] | None = None
        self._overflowed = False
        self._is_over = False
        self._is_attached = False

    async def __aenter__(self) -> EventStream[E]:
        self._emitter._attach(self)
        self._is_attached = True
        if self._replay_last:
            for event_type in self._event_types:
                last = self._emitter._last_of(event_type)
                if last is not None:
                    self._take(last)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._emitter._detach(self)
        self.end()

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        if not self._is_attached:
            raise InvalidArgumentError("events are heard inside of a block: async with room.events(...) as stream")
        while not self._waiting:
            if self._overflowed:
                raise EventOverflowError(f"more than {self._max_queue} events were waiting to be read")
            if self._is_over:
                raise StopAsyncIteration
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        return self._waiting.popleft()

    def end(self) -> None:
        self._is_over = True
        self._wake()

    def _take(self, event: Any) -> None:
        if self._overflowed or self._is_over:
            return
        if len(self._waiting) >= self._max_queue:
            # What came before can still be read; then the reader learns that there was more.
            self._overflowed = True
        else:
            self._waiting.append(event)
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
