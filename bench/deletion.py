"""A conversation of 200,000 messages is deleted while others send and read: what they notice of it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from .client import Refused, stamped
from .crowd import Person, fill_rooms, log_in_all
from .measure import Facts, Run, latencies
from .rest import Rest
from .server import SERVICE_SID, Server, fresh_folder, start

MESSAGES = 200_000
HISTORY = 500
ROOMS = 10
SENT_PER_S = 100
READ_PER_S = 50
MOST_S = 40.0
TEXT = "Are we still meeting at seven, or did that move to the other place again? "


async def deletion(run: Run) -> Facts:
    """Steady senders over sockets and readers over REST, before the deletion and until the last message is gone."""
    with fresh_folder(run.options) as data:
        server = await start(run.options, data)
        rest = await Rest.connect(server)
        doomed = await rest.conversation("doomed")
        rest.close()
        await server.stop()
        _fill(data, doomed)
        server = await start(run.options, data)
        try:
            return await _measured(run, server, doomed)
        finally:
            await server.stop()


async def _measured(run: Run, server: Server, doomed: str) -> Facts:
    rest = await Rest.connect(server)
    filled = await fill_rooms(rest, ROOMS, 2)
    history, _ = filled[0]
    await rest.send(history, [TEXT] * HISTORY)
    people = await log_in_all(server, [identity for _, identities in filled for identity in identities])
    others = _Others(server, rest, people, f"/v1/Conversations/{history}/Messages?PageSize=50")
    await others.work(1, lambda: False)
    others.forget()
    await others.work(run.seconds(9), lambda: False)
    before, before_kib = others.facts("before_"), _own_kib(server.pid)
    others.forget()

    begun = time.perf_counter()
    await rest.call("DELETE", f"/v1/Conversations/{doomed}")
    answered_ms = (time.perf_counter() - begun) * 1000
    left = _Left(server.data)
    at_answer = left.count(doomed)
    gone = asyncio.create_task(left.none(doomed))
    try:
        await others.work(MOST_S, gone.done)
        if not gone.done():
            raise RuntimeError(f"{left.count(doomed)} of {MESSAGES} messages are left after {MOST_S} s")
    finally:
        gone.cancel()
        rest.close()
    return {
        "messages": MESSAGES,
        "left_at_answer": at_answer,
        "answered_ms": answered_ms,
        "gone_s": time.perf_counter() - begun,
        "sent_per_s": SENT_PER_S,
        "read_per_s": READ_PER_S,
        **before,
        **others.facts("during_"),
        "before_own_kib": before_kib,
        "peak_own_kib": others.peak_kib,
        "growth_kib": others.peak_kib - before_kib,
    }


class _Others:
    """Who has nothing to do with it, and how long they wait."""

    def __init__(self, server: Server, rest: Rest, people: list[Person], page: str) -> None:
        self._server = server
        self._rest = rest
        self._people = people
        self._request = rest.request("GET", page)
        self._sends: list[int] = []
        self._reads: list[int] = []
        self.peak_kib = 0

    def forget(self) -> None:
        self._sends.clear()
        self._reads.clear()

    def facts(self, prefix: str) -> Facts:
        return {**latencies(self._sends, f"{prefix}send_"), **latencies(self._reads, f"{prefix}read_")}

    async def work(self, seconds: float, is_enough: Callable[[], bool]) -> None:
        """Send and read at a steady pace; all answers have come when it returns."""
        ends = time.perf_counter() + seconds

        def is_over() -> bool:
            return is_enough() or time.perf_counter() > ends

        await asyncio.gather(self._send(is_over), self._read(is_over), self._watch(is_over))

    async def _send(self, is_over: Callable[[], bool]) -> None:
        under_way = 0

        def replied(begun: int) -> Callable[[bytes], None]:
            def reply(frame: bytes) -> None:
                nonlocal under_way
                under_way -= 1
                self._sends.append(time.monotonic_ns() - begun)
                if b'"code":201' not in frame:
                    raise Refused("a message was not taken")

            return reply

        number = 0
        async for _ in _paced(SENT_PER_S, is_over):
            person = self._people[number % len(self._people)]
            number, under_way = number + 1, under_way + 1
            person.client.send_message(person.messages_url, stamped(TEXT), replied(time.monotonic_ns()))
        async with asyncio.timeout(10):
            while under_way:  # noqa: ASYNC110 (the last answers)
                await asyncio.sleep(0.005)

    async def _read(self, is_over: Callable[[], bool]) -> None:
        number = 0
        async with asyncio.TaskGroup() as reads:
            async for _ in _paced(READ_PER_S, is_over):
                number += 1
                reads.create_task(self._page(number))

    async def _page(self, number: int) -> None:
        begun = time.monotonic_ns()
        answer = await self._rest.connections[number % len(self._rest.connections)].ask(self._request)
        self._reads.append(time.monotonic_ns() - begun)
        if answer.status != 200:
            raise Refused(f"a page was answered with {answer.status}")

    async def _watch(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            self.peak_kib = max(self.peak_kib, _own_kib(self._server.pid))
            await asyncio.sleep(0.05)


async def _paced(per_second: int, is_over: Callable[[], bool]) -> AsyncIterator[None]:
    """One turn each so many times a second, until it is over."""
    due = time.perf_counter()
    while not is_over():
        yield
        due += 1 / per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


def _own_kib(pid: int) -> int:
    """Memory of the process's own: the mapped pages of the database are the system's to take back."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise RuntimeError("the server has no memory any more")


class _Left:
    """What is left of a conversation, seen beside the server."""

    def __init__(self, data: Path) -> None:
        self._file = data / "tertulia.db"

    def count(self, conversation: str) -> int:
        return self._value("SELECT count(*) FROM messages WHERE conversation_sid = ?", conversation)

    async def none(self, conversation: str) -> None:
        exists = "SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_sid = ?)"
        while self._value(exists, conversation):  # noqa: ASYNC110 (another process removes them)
            await asyncio.sleep(0.1)

    def _value(self, sql: str, parameter: str) -> int:
        connection = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)
        try:
            return int(connection.execute(sql, (parameter,)).fetchone()[0])
        finally:
            connection.close()


def _fill(data: Path, conversation: str) -> None:
    """Put the messages where the server would have put them; sending them would take longer than a scenario may."""
    connection = sqlite3.connect(data / "tertulia.db")
    (account,) = connection.execute("SELECT account_sid FROM conversations WHERE sid = ?", (conversation,)).fetchone()
    now = time.time_ns() // 1000
    connection.executemany(
        'INSERT INTO messages (conversation_sid, "index", sid, account_sid, service_sid, author, body, attributes,'
        " created_at, updated_at, created_event, event) VALUES (?, ?, ?, ?, ?, 'system', ?, '{}', ?, ?, ?, ?)",
        (
            (conversation, n, f"IM{n:08x}{conversation[10:]}", account, SERVICE_SID, f"{TEXT}{n}", now, now, n, n)
            for n in range(MESSAGES)
        ),
    )
    connection.execute(
        "UPDATE conversations SET last_index = ?, newest_index = ?, newest_at = ?, message_count = ?,"
        " messages_event = ? WHERE sid = ?",
        (MESSAGES - 1, MESSAGES - 1, now, MESSAGES, MESSAGES - 1, conversation),
    )
    connection.commit()
    connection.close()
