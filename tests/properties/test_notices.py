"""Whoever is a member of what, with whatever devices: those who ought to be told are told, once, and no others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.server.domain.memberships import UpdateMembership
from tertulia.server.domain.messages import SendMessage
from tertulia.server.domain.push import RemovePush
from tertulia.server.settings import PushSettings
from tests.engine.telling import Telling
from tests.engine.world import new_world

PEOPLE = ("ana", "ben", "cleo", "dan")
TYPES = ("new_message", "added_to_conversation")
FITTING = {("fcm", "fcm"), ("gcm", "fcm"), ("fcm", "gcm"), ("gcm", "gcm"), ("apn", "apn"), ("webpush", "webpush")}
BROWSER = (  # as the server spells it
    '{"endpoint":"https://push.test/%s","keys":{"p256dh":"BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-'
    'eFivOM1drMV7Oy7ZAaDe_UfU","auth":"AAAAAAAAAAAAAAAAAAAAAA"}}'
)


class Owned(NamedTuple):
    """A device that somebody registers."""

    owner: str
    name: int
    kind: str
    credential: str | None
    types: tuple[str, ...]

    @property
    def place(self) -> str:
        """Whose device token it is: fcm is gcm by another name."""
        return "fcm" if self.kind == "gcm" else self.kind

    @property
    def address(self) -> str:
        return BROWSER % self.name if self.kind == "webpush" else f"device {self.name}"


class Member(NamedTuple):
    identity: str
    is_muted: bool


DEVICES = st.builds(
    Owned,
    st.sampled_from(PEOPLE),
    st.integers(0, 4),
    st.sampled_from(["fcm", "gcm", "apn", "webpush"]),
    st.sampled_from(["fcm", "gcm", "apn", "webpush", None]),
    st.sampled_from([TYPES, TYPES[:1], TYPES[1:], ()]),
)
MEMBERS = st.lists(st.builds(Member, st.sampled_from(PEOPLE), st.booleans()), unique_by=lambda member: member.identity)


def ought(
    members: Iterable[Member], devices: Iterable[Owned], author: str, left: set[int], is_enabled: bool
) -> list[str]:
    """Who is told, found out the long way."""
    owned = {(one.place, one.address): one for one in devices}  # the last one has it
    audible = {member.identity for member in members if not member.is_muted and member.identity != author}
    return sorted(
        one.address
        for one in owned.values()
        if is_enabled
        and one.owner in audible
        and (one.kind, one.credential) in FITTING
        and "new_message" in one.types
        and one.name not in left
    )


@settings(max_examples=60)
@given(
    members=MEMBERS,
    devices=st.lists(DEVICES, max_size=8),
    author=st.sampled_from([*PEOPLE, "system"]),
    left=st.sets(st.integers(0, 4), max_size=2),
    is_enabled=st.sampled_from([True, True, True, False]),
)
async def test_who_ought_to_be_told_is_told(
    members: list[Member], devices: list[Owned], author: str, left: set[int], is_enabled: bool
) -> None:
    async with new_world() as world:
        telling = Telling(world, PushSettings())
        await telling.configure(new_message_enabled=is_enabled)
        for one in devices:
            credential = None if one.credential is None else (await telling.credential(one.credential)).sid
            await telling.device(one.owner, one.address, one.kind, credential, one.types)
        room = await world.conversation(*(member.identity for member in members))
        for member in members:
            if member.is_muted:
                await world.do(
                    UpdateMembership, conversation=room.sid, user=member.identity, notification_level="muted"
                )
        await world.do(SendMessage, conversation=room.sid, author=author, body="hello")
        await telling.plan()
        for one in devices:
            if one.name in left:
                await world.do(RemovePush, by=world.user(one.owner), kind=one.kind, address=one.address)
        await telling.perform()
        assert telling.service.told == ought(members, devices, author, left, is_enabled)
        assert not {"waiting"} & {one.state for one in await telling.deliveries()}
