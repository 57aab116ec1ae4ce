"""Adapters loaded beside everything else: what one needs to run may take a tenth of a second to load, or hang."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from .base import Adapter, NotNow
from .registry import adapter_of


class Loader:
    """Loads each adapter once, in a thread of its own that keeps nobody, nor the end of the process, waiting."""

    def __init__(self) -> None:
        self._known: dict[str, Adapter] = {}
        self._loading: dict[str, asyncio.Future[Adapter]] = {}
        self._is_closed = False

    async def adapter(self, name: str) -> Adapter:
        """At once where it has been loaded before. Raises ``NoAdapter``, and ``NotNow`` when all ends meanwhile."""
        known = self._known.get(name)
        if known is not None:
            return known
        if self._is_closed:
            raise NotNow("the server is stopping")
        loading = self._loading.get(name)
        if loading is None:
            loading = self._loading[name] = asyncio.get_running_loop().create_future()
            loading.add_done_callback(lambda done: self._done(name, done))
            # A thread of a pool is waited for when the process ends.
            threading.Thread(target=_load, args=(name, loading), name=f"load {name}", daemon=True).start()
        return await asyncio.shield(loading)

    def close(self) -> None:
        """Whoever waits is told; what is being loaded is nobody's any more."""
        self._is_closed = True
        for loading in list(self._loading.values()):
            _settle(loading, None, NotNow("the server is stopping"))

    def _done(self, name: str, loading: asyncio.Future[Adapter]) -> None:
        del self._loading[name]
        if loading.exception() is None:
            self._known[name] = loading.result()


def _load(name: str, loading: asyncio.Future[Adapter]) -> None:
    adapter, trouble = None, None
    try:
        adapter = adapter_of(name)
    except BaseException as error:  # whatever the code of others raises, somebody waits for it
        trouble = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
    with contextlib.suppress(RuntimeError):  # the loop has ended, and whoever waited with it
        loading.get_loop().call_soon_threadsafe(_settle, loading, adapter, trouble)


def _settle(loading: asyncio.Future[Adapter], adapter: Adapter | None, trouble: Exception | None) -> None:
    if loading.done():
        return
    if adapter is not None:
        loading.set_result(adapter)
    elif trouble is not None:
        loading.set_exception(trouble)
