"""One room, all its members connected: how many messages reach somebody per second of the server's processor.

A delivery is one message handed to one member (its ``list_item_added``). Each message also moves the conversation's
document, which all members follow like the SDK does; those frames are sent and acknowledged too, but not counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .client import Acknowledge, Client, Listener, Refused, stamped
from .crowd import Person, fill_rooms, log_in_all
from .measure import Facts, Run, latencies
from .rest import Rest
from .server import Server, running

SENDERS = 8
IN_FLIGHT = 8
PER_SECOND = 20
SAMPLED = 20
TEXT = "Are we still meeting at seven, or did that move to the other place again?"


class Sender:
    """Keeps some messages under way until told to stop."""

    def __init__(self, client: Client, url: str) -> None:
        self._client = client
        self._url = url
        self._open = 0
        self._is_sending = False
        self.sent = 0
        """Answered with success."""
        self.failure = b""

    def start(self, in_flight: int) -> None:
        self._is_sending = True
        for _ in range(in_flight):
            self._send()

    async def stop(self) -> None:
        """Send no more; returns when all is answered."""
        self._is_sending = False
        if not await until(lambda: not self._open, 20):
            raise Refused(f"{self._open} messages were not answered")
        if self.failure:
            raise Refused(self.failure.decode(errors="replace"))

    def send(self, body: str) -> None:
        self._open += 1
        self._client.send_message(self._url, body, self._replied)

    def _send(self) -> None:
        self.send(TEXT)

    def _replied(self, reply: bytes) -> None:
        self._open -= 1
        if b'"http_status":{"code":201' not in reply:
            self.failure = reply
            return
        self.sent += 1
        if self._is_sending:
            self._send()


async def until(is_so: Callable[[], bool], within_s: float) -> bool:
    """Whether it came to be so in time."""
    for _ in range(int(within_s * 100)):
        if is_so():
            return True
        await asyncio.sleep(0.01)
    return is_so()


class Room:
    """A room whose members are all connected; the first few write, the others listen."""

    def __init__(self, server: Server, senders: list[Sender], listeners: list[Listener], people: list[Person]) -> None:
        self.server = server
        self.senders = senders
        self.listeners = listeners
        self._people = people
        self._heard_by_senders = 0
        for person in people[: len(senders)]:
            person.client.on_event = self._hear

    def _hear(self, frame: bytes) -> None:
        self._heard_by_senders += b"list_item_added" in frame

    @property
    def sent(self) -> int:
        return sum(sender.sent for sender in self.senders)

    @property
    def delivered(self) -> int:
        return self._heard_by_senders + sum(listener.events for listener in self.listeners)

    async def drained(self) -> None:
        """Returns when every member has got every message. Raises ``Refused`` when some do not come."""
        await asyncio.gather(*(sender.stop() for sender in self.senders))
        wanted = self.sent * len(self._people)
        if not await until(lambda: self.delivered == wanted, 10):
            lost = sum(listener.is_lost for listener in self.listeners)
            raise Refused(f"{self.delivered} of {wanted} deliveries came; {lost} connections were lost")


async def _open_room(
    server: Server, members: int, senders: int, acknowledge: Acknowledge, sample: list[int] | None
) -> Room:
    rest = await Rest.connect(server)
    [(_, identities)] = await fill_rooms(rest, 1, members)
    rest.close()
    people = await log_in_all(server, identities)
    await asyncio.sleep(0.3)
    writing, listening = people[:senders], people[senders:]
    step = max(1, len(listening) // SAMPLED)
    listeners = [
        Listener(person.client, acknowledge, sample if number % step == 0 else None)
        for number, person in enumerate(listening)
    ]
    return Room(server, [Sender(person.client, person.messages_url) for person in writing], listeners, people)


async def saturated(run: Run, members: int, *, acknowledges: bool) -> Facts:
    """Senders keep messages under way all the time."""
    acknowledge: Acknowledge = run.ack if acknowledges else None
    async with running(run.options) as server:
        room = await _open_room(server, members, SENDERS, acknowledge, None)
        for sender in room.senders:
            sender.start(IN_FLIGHT)
        await asyncio.sleep(run.seconds(2))
        counted = [_Counts(room)]
        await asyncio.sleep(run.seconds(9))
        counted.append(_Counts(room))
        await room.drained()
        before, after = counted
        deliveries, cpu_s = after.delivered - before.delivered, after.server_cpu_s - before.server_cpu_s
        frames = after.frames - before.frames
        return {
            "members": members,
            "acknowledge": acknowledge or "no",
            "senders": SENDERS,
            "in_flight": SENDERS * IN_FLIGHT,
            "messages": after.sent - before.sent,
            "deliveries": deliveries,
            "wall_s": after.at - before.at,
            "server_cpu_s": cpu_s,
            "generator_cpu_s": after.own_cpu_s - before.own_cpu_s,
            "frames_per_read": frames / max(1, after.reads - before.reads),
            "bytes_per_delivery": (after.bytes - before.bytes) / max(1, after.events - before.events),
            "deliveries_per_cpu_s": deliveries / cpu_s,
        }


async def paced(run: Run, members: int) -> Facts:
    """A message every fiftieth of a second, so that there is nothing to join; all clients acknowledge."""
    sample: list[int] = []
    async with running(run.options) as server:
        room = await _open_room(server, members, 1, run.ack, sample)
        [sender] = room.senders
        await _pace(sender, run.seconds(2))
        await room.drained()
        sample.clear()
        before = _Counts(room)
        await _pace(sender, run.seconds(15))
        await room.drained()
        after = _Counts(room)
        deliveries, cpu_s = after.delivered - before.delivered, after.server_cpu_s - before.server_cpu_s
        return {
            "members": members,
            "acknowledge": run.ack,
            "per_second": PER_SECOND,
            "messages": after.sent - before.sent,
            "deliveries": deliveries,
            "wall_s": after.at - before.at,
            "server_cpu_s": cpu_s,
            "generator_cpu_s": after.own_cpu_s - before.own_cpu_s,
            "deliveries_per_cpu_s": deliveries / cpu_s,
            **latencies(sample),
        }


async def _pace(sender: Sender, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    for _ in range(int(seconds * PER_SECOND)):
        sender.send(stamped(TEXT))
        due += 1 / PER_SECOND
        await asyncio.sleep(max(0.0, due - loop.time()))


class _Counts:
    """All counters at one moment."""

    def __init__(self, room: Room) -> None:
        self.at = time.perf_counter()
        self.server_cpu_s = room.server.cpu_s()
        self.own_cpu_s = time.process_time()
        self.sent = room.sent
        self.delivered = room.delivered
        self.events = sum(listener.events for listener in room.listeners)
        self.frames = sum(listener.frames for listener in room.listeners)
        self.reads = sum(listener.reads for listener in room.listeners)
        self.bytes = sum(listener.bytes for listener in room.listeners)
