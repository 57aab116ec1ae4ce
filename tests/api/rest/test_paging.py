"""Walking over lists: sizes, tokens, neighbours (rest 1.6)."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from .client import AccountHolder

COUNT = 7
META = {"page", "page_size", "first_page_url", "previous_page_url", "url", "next_page_url", "key"}


class Filled(NamedTuple):
    """A service with seven of everything."""

    api: AccountHolder
    room: str

    def path(self, kind: str) -> str:
        return PATHS[kind].format(room=self.room)


PATHS = {
    "services": "/v1/Services?",
    "conversations": "/Conversations?",
    "conversations by date": "/Conversations?StartDate=2020-01-01T00:00:00Z&State=active&",
    "participants": "{room}/Participants?",
    "messages": "{room}/Messages?",
    "messages down": "{room}/Messages?Order=desc&",
    "users": "/Users?",
    "roles": "/Roles?",
    "user conversations": "/Users/p0/Conversations?",
    "participant conversations": "/ParticipantConversations?Identity=p0&",
    "participant conversations by address": "/ParticipantConversations?Address=%2B15550000002&",
}
KEYS = {
    "conversations by date": "conversations",
    "messages down": "messages",
    "user conversations": "conversations",
    "participant conversations": "conversations",
    "participant conversations by address": "conversations",
}
SIZES = {
    "services": (50, 100),
    "conversations": (50, 100),
    "conversations by date": (50, 100),
    "participants": (50, 100),
    "messages": (50, 100),
    "messages down": (50, 100),
    "users": (50, 50),
    "roles": (50, 50),
    "user conversations": (50, 50),
    "participant conversations": (50, 50),
    "participant conversations by address": (50, 50),
}


@pytest.fixture
async def filled(api: AccountHolder) -> Filled:
    rooms = [f"/Conversations/{await api.conversation()}" for _ in range(COUNT)]
    for number in range(COUNT):
        await api.made(f"{rooms[0]}/Participants", {"Identity": f"p{number}"})
        await api.made(f"{rooms[0]}/Messages", {"Body": str(number)})
        await api.made("/v1/Services", {"FriendlyName": str(number)})
        form = {"FriendlyName": str(number), "Type": "conversation", "Permission": "sendMessage"}
        await api.made("/Roles", form)
        address = {"MessagingBinding.Address": "+15550000002", "MessagingBinding.ProxyAddress": f"+1555000010{number}"}
        await api.made(f"{rooms[number]}/Participants", address)
    for room in rooms[1:]:
        await api.made(f"{room}/Participants", {"Identity": "p0"})
    return Filled(api, rooms[0])


def names(answer: Any) -> list[str]:
    return [one.get("sid") or one.get("participant_sid") for one in answer[answer["meta"]["key"]]]


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_make_the_whole_and_lead_back(filled: Filled, kind: str, size: int) -> None:
    api, path = filled.api, filled.path(kind)
    everything = names(await api.get(path))
    assert len(everything) >= COUNT and len(set(everything)) == len(everything)
    pages = [page async for page in api.pages(f"{path}PageSize={size}")]
    assert [name for page in pages for name in names(page)] == everything
    assert len(pages) == -(-len(everything) // size)
    assert [page["meta"]["page"] for page in pages] == list(range(len(pages)))
    assert pages[0]["meta"]["previous_page_url"] is None
    back = pages[-1]
    for expected in reversed(pages[:-1]):
        back = await api.get(back["meta"]["previous_page_url"])
        assert names(back) == names(expected)
        assert back["meta"]["page"] == expected["meta"]["page"]
        assert names(await api.get(back["meta"]["url"])) == names(expected)
        again = await api.get(back["meta"]["next_page_url"])
        assert again["meta"]["page"] == expected["meta"]["page"] + 1
    assert back["meta"]["previous_page_url"] is None


@pytest.mark.parametrize("kind", PATHS)
async def test_the_meta_block_repeats_filters_in_absolute_urls(filled: Filled, kind: str) -> None:
    path = filled.path(kind)
    answer = await filled.api.get(f"{path}PageSize=3")
    meta = answer["meta"]
    assert set(meta) == META
    assert (meta["key"], meta["page"], meta["page_size"]) == (KEYS.get(kind, kind), 0, 3)
    assert len(answer[meta["key"]]) == 3
    filters = parse_qs(path.partition("?")[2])
    for name in ("first_page_url", "url", "next_page_url"):
        url = urlsplit(meta[name])
        assert f"{url.scheme}://{url.netloc}" == filled.api.base_url
        assert url.path == urlsplit(filled.api.url(path)).path
        query = parse_qs(url.query)
        assert query.pop("PageToken", None) is None or name == "next_page_url"
        assert query == {**filters, "PageSize": ["3"], "Page": ["1" if name == "next_page_url" else "0"]}
    assert "=" not in parse_qs(urlsplit(meta["next_page_url"]).query)["PageToken"][0]


@pytest.mark.parametrize("kind", PATHS)
async def test_a_size_above_the_maximum_is_cut_down_silently(filled: Filled, kind: str) -> None:
    size, most = SIZES[kind]
    path = filled.path(kind)
    assert (await filled.api.get(path))["meta"]["page_size"] == size
    for asked in (most + 1, 1000, 10**15):
        answer = await filled.api.get(f"{path}PageSize={asked}")
        assert answer["meta"]["page_size"] == most
        assert f"PageSize={most}&" in answer["meta"]["url"]


@pytest.mark.parametrize(
    "query",
    [
        "PageSize=0",
        "PageSize=-1",
        "PageSize=many",
        "PageSize=",
        "PageSize=1.5",
        "PageSize=%D9%A3",
        "Page=-1",
        "Page=x",
        "PageToken=",
        "PageToken=x",
        "PageToken=PT1_%00",
        "PageToken=" + "%C3%A9" * 40,
        "PageToken=" + "A" * 64,
    ],
)
async def test_nonsense_is_refused(api: AccountHolder, query: str) -> None:
    for path in ("/v1/Services", "/Conversations", "/Users"):
        (await api.get(f"{path}?{query}")).refused_with(400, 20001)


async def token_of(api: AccountHolder, path: str) -> str:
    url: str = (await api.get(f"{path}PageSize=1"))["meta"]["next_page_url"]
    return parse_qs(urlsplit(url).query)["PageToken"][0]


async def test_a_token_belongs_to_one_list_with_its_filters(filled: Filled) -> None:
    api, tokens = filled.api, {kind: await token_of(filled.api, filled.path(kind)) for kind in PATHS}
    for kind in PATHS:
        for origin, token in tokens.items():
            answer = await api.get(f"{filled.path(kind)}Page=1&PageToken={token}")
            if origin == kind:
                assert answer.status == 200
            else:
                answer.refused_with(400, 20001)


async def test_a_token_that_was_changed_is_refused(filled: Filled) -> None:
    token = await token_of(filled.api, "/Users?")
    for at in range(0, len(token), 7):
        other = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        (await filled.api.get(f"/Users?PageToken={other}")).refused_with(400, 20001)


async def test_a_token_of_another_service_is_refused(account: AccountHolder, other_service: AccountHolder) -> None:
    for api in (account, other_service):
        for identity in ("a", "b"):
            await api.made("/Users", {"Identity": identity})
    token = await token_of(account, "/Users?")
    (await other_service.get(f"/Users?PageToken={token}")).refused_with(400, 20001)


async def test_a_page_beyond_the_end_is_empty_and_leads_back(api: AccountHolder, room: str) -> None:
    sids = [(await api.made(f"{room}/Messages", {"Body": str(number)}))["sid"] for number in range(3)]
    first = await api.get(f"{room}/Messages?PageSize=2")
    await api.delete(f"{room}/Messages/{sids[2]}")
    beyond = await api.get(first["meta"]["next_page_url"])
    assert (beyond["messages"], beyond["meta"]["next_page_url"]) == ([], None)
    assert names(await api.get(beyond["meta"]["previous_page_url"])) == sids[:2]


async def test_an_empty_list_has_one_page(api: AccountHolder) -> None:
    answer = await api.get("/Users")
    assert answer["users"] == []
    assert (answer["meta"]["next_page_url"], answer["meta"]["previous_page_url"]) == (None, None)


async def test_rows_that_go_while_one_pages_shift_nothing(filled: Filled) -> None:
    api = filled.api
    everything = names(await api.get("/Users"))
    first = await api.get("/Users?PageSize=3")
    await api.delete(f"/Users/{everything[0]}")
    await api.delete(f"/Users/{everything[2]}")
    second = await api.get(first["meta"]["next_page_url"])
    assert names(second) == everything[3:6]
