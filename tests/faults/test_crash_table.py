"""Each row of the crash table (architecture 7): a process that is killed there loses nothing, and invents nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.webhooks.receiver import Receiver, receiving

from .process import PATIENCE_S, Device, ServerProcess, served

pytestmark = pytest.mark.faults

MUTATION = "INSERT INTO mutations"
LEASE = "UPDATE outbox SET state = 'leased'"
SETTLE = "DELETE FROM outbox WHERE id = $1 AND attempts = $2"
HOOKED = {"X-Twilio-Webhook-Enabled": "true"}


@asynccontextmanager
async def owing(folder: Path) -> AsyncIterator[tuple[ServerProcess, Receiver]]:
    """A server whose leases are short, and a receiver of what it owes."""
    async with receiving() as receiver, served(folder, jobs_lease_s=1, jobs_poll_s=0.05) as server:
        yield server, receiver


async def hooks(server: ServerProcess, receiver: Receiver) -> None:
    """The receiver hears of messages."""
    async with server.rest() as rest:
        form = {"PostWebhookUrl": receiver.url("/post"), "Filters": "onMessageAdded"}
        answer = await rest.post("/Configuration/Webhooks", data=form)
        assert answer.status_code == 200, answer.text


async def again(server: ServerProcess, die: str | None) -> None:
    """Killed, and started so that it dies there; or so that it does not."""
    await server.end()
    server.die = die
    await server.start()


async def post(server: ServerProcess, path: str, form: dict[str, Any]) -> None:
    """A request whose answer may never come."""
    async with server.rest() as rest:
        try:
            answer = await rest.post(path, data=form, headers=HOOKED)
        except httpx.TransportError:
            return
        assert answer.is_success, answer.text


async def send_and_die(server: ServerProcess, room: str, body: str, mutation_id: str) -> None:
    """As ana, by socket; no answer comes."""
    peer = await server.peer("ana")
    asking = asyncio.create_task(peer.send_message(room, body, mutation_id=mutation_id))
    await server.death()
    peer.cut()
    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled() or asking.exception() is not None


async def send(server: ServerProcess, room: str, body: str, mutation_id: str) -> Any:
    peer = await server.peer("ana")
    answer = (await peer.send_message(room, body, mutation_id=mutation_id)).json
    await peer.close()
    return answer


def owed(server: ServerProcess) -> int:
    """How many jobs there are, in whatever state."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data / 'tertulia.db'}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM outbox").fetchone()
    return int(count)


async def settled(server: ServerProcess) -> None:
    """As soon as nothing is owed any more."""
    async with asyncio.timeout(PATIENCE_S):
        while owed(server):  # noqa: ASYNC110 (another process decides)
            await asyncio.sleep(0.02)


async def test_before_the_commit_nothing_happened_and_the_caller_may_repeat(tmp_path: Path) -> None:
    async with owing(tmp_path) as (server, receiver):
        await hooks(server, receiver)
        room = await server.room("ana")
        await again(server, f"before:{MUTATION}")
        await send_and_die(server, room, "once", "M1")
        await again(server, None)
        assert await server.messages(room) == []
        assert owed(server) == 0
        assert receiver.told == []
        await send(server, room, "once", "M1")
        assert await server.messages(room) == [(0, "once")]
        await receiver.wait_for(1)


async def test_after_the_commit_and_before_the_answer_a_repeat_gets_the_stored_answer(tmp_path: Path) -> None:
    async with owing(tmp_path) as (server, receiver):
        await hooks(server, receiver)
        room = await server.room("ana")
        await again(server, f"after:{MUTATION}")
        await send_and_die(server, room, "once", "M1")
        await again(server, None)
        assert await server.messages(room) == [(0, "once")]
        first = await send(server, room, "once", "M1")
        assert await send(server, room, "once", "M1") == first
        assert await server.messages(room) == [(0, "once")]
        # What was promised with it is kept, once.
        await receiver.wait_for(1)
        await settled(server)
        assert [told["MessageSid"] for told in receiver.told] == [first["sid"]]


@pytest.mark.owner_demand(1)
async def test_after_the_commit_and_before_the_publication_subscribers_catch_up(tmp_path: Path) -> None:
    async with owing(tmp_path) as (server, _):
        room = await server.room("ana", "ben")
        messages = "ES" + room[2:]
        await again(server, f"after:{MUTATION}")
        device = Device(server, "ben", messages)
        await device.connect()
        await send_and_die(server, room, "not told", "M1")
        device.forget_peer()
        assert device.messages[messages] == []
        await again(server, None)
        await device.connect()
        await send(server, room, "told", "M2")
        await device.heard(messages, 1)
        assert device.messages[messages] == [(0, "not told"), (1, "told")]


async def test_with_a_job_leased_and_before_the_call_another_worker_performs_it(tmp_path: Path) -> None:
    async with owing(tmp_path) as (server, receiver):
        await hooks(server, receiver)
        room = await server.room()
        await again(server, f"after:{LEASE}")
        await post(server, f"/Conversations/{room}/Messages", {"Body": "hello"})
        await server.death()
        assert receiver.told == []
        await again(server, None)
        (told,) = await receiver.wait_for(1)
        assert told["Body"] == "hello"
        await settled(server)
        assert len(receiver.told) == 1


async def test_after_the_call_and_before_settling_it_is_performed_again_with_the_same_token(tmp_path: Path) -> None:
    async with owing(tmp_path) as (server, receiver):
        await hooks(server, receiver)
        room = await server.room()
        await again(server, f"before:{SETTLE}")
        await post(server, f"/Conversations/{room}/Messages", {"Body": "hello"})
        await server.death()
        assert len(receiver.told) == 1
        await again(server, None)
        first, second = await receiver.wait_for(2)
        assert first.token == second.token
        assert first["MessageSid"] == second["MessageSid"]
        await settled(server)
        assert len(receiver.told) == 2


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_result_and_the_end_of_its_job_are_one(tmp_path: Path, when: str) -> None:
    async with owing(tmp_path) as (server, _):
        await again(server, f"{when}:{SETTLE}")
        form = {"Participant": ['{"identity": "ana"}', '{"identity": "ben"}']}
        await post(server, "/ConversationWithParticipants", form)
        await server.death()
        await again(server, None)
        await settled(server)
        async with server.rest() as rest:
            (conversation,) = (await rest.get("/Conversations")).json()["conversations"]
            assert conversation["state"] == "active"
            members = (await rest.get(f"/Conversations/{conversation['sid']}/Participants")).json()["participants"]
        assert sorted(member["identity"] for member in members) == ["ana", "ben"]
