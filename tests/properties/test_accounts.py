"""Two accounts with the same names in one installation: neither reaches, lists or even notices the other's things."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.authorisation.stage import Stage, Tenant, make_server
from tests.engine.world import new_world

NAMES = ("room", "hall")
PEOPLE = ("ana", "ben")
NUMBERS = ("+15550000001", "+15550000002")
PROXY = "+15559999999"
SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")

LISTS = ("Services", "Credentials", "Configuration/Addresses", "Conversations", "Users", "Roles")
REVERSE = ("ParticipantConversations?Identity=ana", "ParticipantConversations?Address=%2B15550000001")

Deed = tuple[str, str, int]
"""What is done, in the room of what name, and with which person or number."""
DEEDS = st.tuples(
    st.sampled_from(
        ("conversation", "user", "member", "number", "message", "address", "credential", "close", "delete", "connect")
    ),
    st.sampled_from(NAMES),
    st.sampled_from(range(2)),
)
STORIES = st.lists(st.tuples(st.booleans(), DEEDS), min_size=4, max_size=24)
"""Deeds of two accounts, mixed; the truth says whose."""


async def done(stage: Stage, tenant: Tenant, deed: Deed) -> tuple[int, int | None]:
    """How the deed goes: status, and the code of a refusal."""
    what, name, which = deed
    if what == "connect":
        token = tenant.token(PEOPLE[which], stage.now_s)
        answer = await stage.client("POST", "/Client/v2/Conversations", "", {"unique_name": name}, token=token)
    else:
        method, path, form = requests(what, name, which)
        answer = await stage.rest(method, f"/v1/{path}", form=form, auth=(tenant.account_sid, tenant.auth_token))
    return answer.status_code, answer.json()["code"] if answer.status_code >= 400 else None


def requests(what: str, name: str, which: int) -> tuple[str, str, dict[str, str]]:
    room = f"Conversations/{name}"
    return {
        "conversation": ("POST", "Conversations", {"UniqueName": name}),
        "user": ("POST", "Users", {"Identity": PEOPLE[which]}),
        "member": ("POST", f"{room}/Participants", {"Identity": PEOPLE[which]}),
        "number": (
            "POST",
            f"{room}/Participants",
            {"MessagingBinding.Address": NUMBERS[which], "MessagingBinding.ProxyAddress": PROXY},
        ),
        "message": ("POST", f"{room}/Messages", {"Author": PEOPLE[which], "Body": "hello"}),
        "address": ("POST", "Configuration/Addresses", {"Type": "sms", "Address": NUMBERS[which]}),
        "credential": ("POST", "Credentials", {"Type": "fcm", "Secret": "x", "FriendlyName": name}),
        "close": ("POST", room, {"State": "closed"}),
        "delete": ("DELETE", room, {}),
    }[what]


async def seen(stage: Stage, tenant: Tenant) -> str:
    """Every answer that an account gets when it asks for all there is, and follows every link of it."""
    auth, texts, asked = (tenant.account_sid, tenant.auth_token), [], set[str]()
    waiting = [f"/v1/{path}" for path in (*LISTS, *REVERSE)]
    while waiting:
        path = waiting.pop()
        if path in asked:
            continue
        asked.add(path)
        answer = await stage.rest("GET", path, auth=auth)
        texts.append(answer.text)
        if answer.status_code < 400:
            waiting += [url.removeprefix("http://chat.test") for url in urls_in(answer.json())]
    for identity in PEOPLE:
        token = tenant.token(identity, stage.now_s)
        mine = f"{tenant.service}.{identity}"
        paths = [f"/Client/v2/Users/{identity}/Conversations", f"/v3/Maps/{mine}.conversations/Items"]
        paths += [f"/Client/v2/Conversations/{name}" for name in NAMES]
        texts += [(await stage.client("GET", path, "", token=token)).text for path in paths]
    return "\n".join(texts)


def urls_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from urls_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from urls_in(inner)
    elif isinstance(value, str) and value.startswith("http://chat.test/v1/"):
        yield value


async def live(story: list[tuple[bool, Deed]]) -> None:
    async with new_world() as world, new_world() as quiet:
        stage, alone = Stage(world, make_server(world)), Stage(quiet, make_server(quiet))
        async with stage.http, alone.http:
            other = await stage.tenant("other")
            for is_owners, deed in story:
                outcome = await done(stage, stage.owner if is_owners else other, deed)
                if is_owners:
                    # Nothing of the other account's deeds makes a difference.
                    assert outcome == await done(alone, alone.owner, deed)
            views = [await seen(stage, stage.owner), await seen(stage, other)]
            mine, theirs = (set(SID.findall(view)) for view in views)
            assert mine & theirs <= {sid for sid in mine if sid.startswith("RQ")}
            assert other.account_sid not in views[0] and stage.owner.account_sid not in views[1]


@given(STORIES)
@settings(max_examples=25)
def test_accounts_live_side_by_side_as_if_alone(story: list[tuple[bool, Deed]]) -> None:
    asyncio.run(live(story))
