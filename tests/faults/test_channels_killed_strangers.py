"""kill -9 while strangers write, and while files are fetched: one conversation each, and every file and word once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.peers.twilio_messages import TwilioMessages

from .carrying import OURS, TWILIO, Caller, Carrying, carrying, number

pytestmark = pytest.mark.faults

LEASE_S = 2
PEOPLE = 15
EACH = 10
PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40


async def conversations(world: Carrying) -> dict[str, list[str]]:
    """Who is in them, of everybody outside, and what they say there. Fails for two of one person."""
    found: dict[str, list[str]] = {}
    async with world.server.rest() as rest:
        listed = (await rest.get("/Conversations?PageSize=100")).json()["conversations"]
        for sid in (one["sid"] for one in listed):
            (person,) = (await rest.get(f"/Conversations/{sid}/Participants")).json()["participants"]
            address = person["messaging_binding"]["address"]
            assert address not in found
            found[address] = [body for _, body in await world.server.messages(sid)]
    return found


async def makes_conversations(world: Carrying) -> None:
    form = {"Type": "sms", "Address": OURS, "AutoCreation.Enabled": "true", "AutoCreation.Type": "default"}
    await world.post("/v1/Configuration/Addresses", **form)


async def test_each_stranger_has_one_conversation_however_often_we_are_killed(tmp_path: Path) -> None:
    async with carrying(tmp_path, jobs_lease_s=LEASE_S) as world, Caller(world) as caller:
        await world.serve("twilio", TWILIO)
        await makes_conversations(world)

        async def write(person: int) -> None:
            await asyncio.gather(*(caller.bring(f"SM{person}.{turn}", person, str(turn)) for turn in range(EACH)))

        writing = [asyncio.create_task(write(person)) for person in range(PEOPLE)]
        for count in (3, 7, 11):
            await world.until(lambda: world.count("conversations") >= count)  # noqa: B023 (it is done before the next)
            await world.server.kill()
            await world.server.start()
        await asyncio.gather(*writing)
        await world.settled()
        found = await conversations(world)
        assert found.keys() == {number(person) for person in range(PEOPLE)}
        assert {tuple(sorted(said, key=int)) for said in found.values()} == {tuple(map(str, range(EACH)))}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_each_moment_at_which_a_conversation_is_made(tmp_path: Path, when: str) -> None:
    async with carrying(tmp_path, jobs_lease_s=1) as world, Caller(world) as caller:
        await world.serve("twilio", TWILIO)
        await makes_conversations(world)
        await world.server.end()
        world.server.die = f'{when}:INSERT INTO "conversations"'
        await world.server.start()
        bringing = asyncio.create_task(caller.bring("SM1", 0, "first"))
        await world.server.death()
        assert world.count("conversations") == (1 if when == "after" else 0)
        world.server.die = None
        await world.server.start()
        await bringing
        await caller.bring("SM2", 0, "second")
        await world.settled()
        assert await conversations(world) == {number(0): ["first", "second"]}


async def test_files_that_are_fetched_when_we_are_killed_are_there_once(tmp_path: Path) -> None:
    async with TwilioMessages() as twilio, carrying(tmp_path, jobs_lease_s=LEASE_S) as world, Caller(world) as caller:
        await world.serve("twilio", {**TWILIO, "base_url": twilio.url})
        await world.apart(PEOPLE)

        async def send(person: int) -> None:
            picture = PICTURE + bytes([person])
            file = {"NumMedia": "1", "MediaUrl0": twilio.media_url(picture), "MediaContentType0": "image/jpeg"}
            await caller.bring(f"MM{person}", person, f"picture {person}", **file)

        writing = [asyncio.create_task(send(person)) for person in range(PEOPLE)]
        for count in (6, 18):  # each is asked for twice: here, and where it really is
            await world.until(lambda: len(twilio.asked) >= count)  # noqa: B023 (it is done before the next)
            await world.server.kill()
            await world.server.start()
        await asyncio.gather(*writing)
        await world.settled()
        assert await world.said() == [[f"picture {person}"] for person in range(PEOPLE)]
        async with world.server.rest() as rest:
            for room in world.rooms:
                (there,) = (await rest.get(f"/Conversations/{room}/Messages")).json()["messages"]
                (file,) = there["media"]
                assert (file["content_type"], file["size"]) == ("image/jpeg", len(PICTURE) + 1)
