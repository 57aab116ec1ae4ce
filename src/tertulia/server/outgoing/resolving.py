"""Names to addresses, without holding up anything else when a name server is silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to the addresses to try, best first; raises ``OSError`` where there is none."""

LOOK_UPS_AT_ONCE = 32

_threads = threading.BoundedSemaphore(LOOK_UPS_AT_ONCE)


class LookUps:
    """Look-ups under way: no account has more of them than it leaves free, however long its name servers are silent.

    Who asks what is being asked already waits for that answer. A look-up goes on, and counts, when nobody waits for it
    any more: it cannot be broken off.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._under_way: dict[tuple[str, int, str | None], asyncio.Task[list[str]]] = {}

    async def addresses(self, host: str, port: int, account: str | None) -> list[str]:
        """As the resolver says; raises ``OSError`` as it does, and when the account has its share."""
        question = (host, port, account)
        task = self._under_way.get(question)
        if task is None:
            count = sum(1 for *_, other in self._under_way if other == account)
            if account is not None and count >= LOOK_UPS_AT_ONCE - len(self._under_way):
                raise OSError("too many names are being looked up for this account")
            task = self._under_way[question] = asyncio.ensure_future(self._ask(host, port))
            task.add_done_callback(lambda task: self._ended(question, task))
        return await asyncio.shield(task)

    async def _ask(self, host: str, port: int) -> list[str]:
        return await self._resolve(host, port)

    def _ended(self, question: tuple[str, int, str | None], task: asyncio.Task[list[str]]) -> None:
        del self._under_way[question]
        if not task.cancelled():
            task.exception()  # seen, though nobody may be waiting


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a host, as the operating system knows them; raises ``OSError``.

    The system's call cannot be broken off. It gets a thread of its own, which a stopping process does not wait for and
    which takes no turn of the pools that serve everything else; beyond ``LOOK_UPS_AT_ONCE`` of them it fails at once.
    """
    if not _threads.acquire(blocking=False):
        raise OSError("too many names are being looked up")
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str], error: Exception | None) -> None:
        if not found.done():  # nobody may be waiting any more
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

    def ask() -> None:
        addresses: list[str] = []
        failure: Exception | None = None
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except OSError as error:
            failure = error
        except (UnicodeError, ValueError):  # no possible name: a label is empty or too long, or it holds a NUL
            failure = OSError("not a possible name")
        finally:
            _threads.release()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, addresses, failure)

    try:
        threading.Thread(target=ask, name="look-up", daemon=True).start()
    except RuntimeError:
        _threads.release()
        raise OSError("no thread for looking up a name") from None
    return await found
