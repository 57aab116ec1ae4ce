"""kill -9 while the server has work of its own to do: timers, deletions, new members. It goes on after the restart."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tertulia.server.storage.sqlite import SqliteDatabase
from tests.engine.test_lifecycle import fill_room

from .process import PATIENCE_S, ServerProcess, served

pytestmark = pytest.mark.faults

MANY = 20_000
LEASE_S = 2
"""What a killed process had begun is begun again after this."""


class Looking:
    """At the database, beside the server."""

    def __init__(self, server: ServerProcess) -> None:
        self._file = server.data / "tertulia.db"

    def value(self, sql: str, *parameters: object) -> Any:
        with sqlite3.connect(f"file:{self._file}?mode=ro", uri=True) as connection:
            (value,) = connection.execute(sql, parameters).fetchone()
        connection.close()
        return value

    def messages(self) -> int:
        return int(self.value("SELECT count(*) FROM messages"))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 (another process does it)
            await asyncio.sleep(0.01)


async def test_a_deletion_goes_on_where_it_was(tmp_path: Path) -> None:
    async with served(tmp_path, jobs_lease_s=LEASE_S) as server:
        room, look = await server.room("ana"), Looking(server)
        await server.kill()
        database = SqliteDatabase(server.data / "tertulia.db")
        await database.open()
        async with database.transaction() as connection:
            row = await connection.row("SELECT account_sid, service_sid FROM conversations WHERE sid = $1", room)
            assert row is not None
            account_sid, service_sid = row
            await fill_room(connection, room, account_sid, service_sid, MANY)
        await database.close()
        await server.start()
        async with server.rest() as rest:
            assert (await rest.delete(f"/Conversations/{room}")).status_code == 204
        assert look.messages() > MANY / 2, "the answer does not wait for them"
        await until(lambda: look.messages() < MANY * 0.9)
        await server.kill()
        left = look.messages()
        assert 0 < left < MANY
        await server.start()
        async with server.rest() as rest:
            assert (await rest.get(f"/Conversations/{room}")).status_code == 404
        await until(lambda: look.messages() == 0)
        await until(lambda: look.value("SELECT count(*) FROM outbox") == 0)


async def test_a_timer_whose_time_came_while_nothing_ran_goes_off_after_the_start(tmp_path: Path) -> None:
    async with served(tmp_path, jobs_lease_s=LEASE_S) as server:
        async with server.rest() as rest:
            made = await rest.post("/Conversations", data={"Timers.Inactive": "PT1M", "Timers.Closed": "PT10M"})
        room = made.json()["sid"]
        await server.kill()
        # A minute and a half passes.
        with sqlite3.connect(server.data / "tertulia.db") as connection:
            for change in (
                "UPDATE conversations SET inactive_at = inactive_at - 90000000, closed_at = closed_at - 90000000",
                "UPDATE outbox SET due_at = due_at - 90000000",
            ):
                connection.execute(change)
        connection.close()
        await server.start()
        look = Looking(server)
        await until(lambda: look.value("SELECT state FROM conversations") == "inactive")
        async with server.rest() as rest:
            got = (await rest.get(f"/Conversations/{room}")).json()
        assert (got["state"], set(got["timers"])) == ("inactive", {"date_closed"})


async def test_members_who_were_promised_come_after_the_start(tmp_path: Path) -> None:
    async with served(tmp_path, jobs_lease_s=LEASE_S) as server:
        members = [json.dumps({"identity": name}) for name in ("ana", "ben")]
        async with server.rest() as rest:
            answer = await rest.post("/ConversationWithParticipants", data={"Participant": members})
        assert answer.status_code == 202
        await server.kill()
        await server.start()
        look, room = Looking(server), answer.json()["sid"]
        await until(lambda: look.value("SELECT state FROM conversations") == "active")
        async with server.rest() as rest:
            got = (await rest.get(f"/Conversations/{room}/Participants")).json()["participants"]
        assert [one["identity"] for one in got] == ["ana", "ben"]
