"""The bytes of a file on their way back: ranges, temporary URLs, and what browsers are told (rest 13.1)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from tertulia.server.domain import callers
from tertulia.server.domain.accounts import ReinstateAccount, SuspendAccount
from tertulia.server.media_api.headers import disposition

from .desk import ACCOUNT, Desk, Start, refusal

DATA = bytes(range(200))


@pytest.fixture
async def record(desk: Desk) -> dict[str, Any]:
    return await desk.upload(DATA, type="image/png", Filename="a.png")


def temporary(record: dict[str, Any]) -> str:
    url: str = record["links"]["content_direct_temporary"]
    return url


async def fetch(desk: Desk, record: dict[str, Any], **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await desk.http.get(temporary(record), headers=names)


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ("bytes=0-9", DATA[:10]),
        ("bytes=10-", DATA[10:]),
        ("bytes=-10", DATA[-10:]),
        ("bytes=0-", DATA),
        ("bytes=190-1000", DATA[190:]),
        ("bytes=-1000", DATA),
        ("bytes=199-199", DATA[199:]),
    ],
)
async def test_a_range_is_sent_alone(desk: Desk, record: dict[str, Any], wanted: str, sent: bytes) -> None:
    answer = await fetch(desk, record, range=wanted)
    assert (answer.status_code, answer.content) == (206, sent)
    start = DATA.index(sent)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(sent) - 1}/200"
    assert answer.headers["content-length"] == str(len(sent))


@pytest.mark.parametrize("wanted", ["bytes=200-", "bytes=1000-2000", "bytes=-0"])
async def test_a_range_that_the_file_does_not_have_is_refused(desk: Desk, record: dict[str, Any], wanted: str) -> None:
    answer = await fetch(desk, record, range=wanted)
    assert refusal(answer) == (416, 20001)
    assert answer.headers["content-range"] == "bytes */200"


@pytest.mark.parametrize(
    "wanted", ["bytes=0-1,3-4", "lines=0-1", "bytes=9-1", "bytes=-", "bytes=x-", "bytes=" + "9" * 30]
)
async def test_other_ranges_are_passed_over(desk: Desk, record: dict[str, Any], wanted: str) -> None:
    answer = await fetch(desk, record, range=wanted)
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["accept-ranges"] == "bytes"


async def test_a_range_of_another_file_is_the_whole_one(desk: Desk, record: dict[str, Any]) -> None:
    tag = (await fetch(desk, record)).headers["etag"]
    assert (await fetch(desk, record, range="bytes=0-1", if_range=tag)).status_code == 206
    assert (await fetch(desk, record, range="bytes=0-1", if_range='"another"')).status_code == 200


async def test_who_has_the_bytes_does_not_get_them_again(desk: Desk, record: dict[str, Any]) -> None:
    tag = (await fetch(desk, record)).headers["etag"]
    for said in (tag, f'"x", W/{tag}', "*"):
        answer = await fetch(desk, record, if_none_match=said)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert (await fetch(desk, record, if_none_match='"x"')).status_code == 200
    same = await desk.upload(DATA)
    assert (await fetch(desk, same)).headers["etag"] == tag


async def test_head_says_what_get_would(desk: Desk, record: dict[str, Any]) -> None:
    for range_ in ({}, {"Range": "bytes=0-1"}):
        head = await desk.http.head(temporary(record), headers=range_)
        got = await desk.http.get(temporary(record), headers=range_)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-length"] == str(len(got.content))
        assert head.headers["etag"] == got.headers["etag"]


# --- temporary URLs


async def test_a_temporary_url_needs_nothing_else_until_it_expires(desk: Desk, record: dict[str, Any]) -> None:
    answer = await desk.http.get(temporary(record))
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["cache-control"] == "private, max-age=300"
    desk.world.clock.advance(timedelta(seconds=299))
    assert (await desk.http.get(temporary(record))).headers["cache-control"] == "private, max-age=1"
    desk.world.clock.advance(timedelta(seconds=1))
    assert refusal(await desk.http.get(temporary(record))) == (403, 20006)


async def test_a_temporary_url_that_was_changed_opens_nothing(desk: Desk, record: dict[str, Any]) -> None:
    other = await desk.upload(b"other", by="ben")
    url = httpx.URL(temporary(record))
    query = dict(url.params)
    changed = [
        {**query, "Expires": str(int(query["Expires"]) + 1)},
        {**query, "Signature": query["Signature"][:-2] + "AA"},
        {**query, "Signature": ""},
        {**query, "Signature": "é"},
        {**query, "Account": "AC" + "0" * 32},
        {name: value for name, value in query.items() if name != "Expires"},
        {**query, "Expires": [query["Expires"], "9999999999"]},
    ]
    for params in changed:
        assert refusal(await desk.http.get(url.copy_with(params=params))) == (403, 20006), params
    elsewhere = [
        url.copy_with(path=url.path.replace(record["sid"], other["sid"])),
        url.copy_with(path=url.path.replace(desk.service, "IS" + "0" * 32)),
    ]
    for forged in elsewhere:
        assert refusal(await desk.http.get(forged)) == (403, 20006)


async def test_a_temporary_url_is_good_for_its_content_alone(desk: Desk, record: dict[str, Any]) -> None:
    url = httpx.URL(temporary(record))
    bare = url.copy_with(path=url.path.removesuffix("/Content"))
    assert refusal(await desk.http.get(bare)) == (401, 20003)
    assert refusal(await desk.http.delete(url)) == (401, 20003)
    assert refusal(await desk.http.delete(bare)) == (401, 20003)
    assert refusal(await desk.http.post(url.copy_with(path=desk.media))) == (401, 20003)


async def test_a_temporary_url_of_what_is_gone_opens_nothing(desk: Desk, record: dict[str, Any]) -> None:
    assert (await desk.ask("DELETE", record["url"], ACCOUNT)).status_code == 204
    assert refusal(await desk.http.get(temporary(record))) == (404, 50507)


async def test_a_temporary_url_opens_nothing_of_a_suspended_account(desk: Desk, record: dict[str, Any]) -> None:
    sid = desk.world.account.account_sid
    await desk.world.engine.execute(callers.operator(), SuspendAccount(account=sid))
    for method in ("GET", "HEAD"):
        assert (await desk.http.request(method, temporary(record))).status_code == 403
    assert refusal(await desk.http.get(temporary(record))) == (403, 20006)
    await desk.world.engine.execute(callers.operator(), ReinstateAccount(account=sid))
    assert (await desk.http.get(temporary(record))).content == DATA


async def test_temporary_urls_are_good_for_as_long_as_the_setting_says(start: Start) -> None:
    desk: Desk = await start(temporary_url_s=10)
    record = await desk.upload()
    desk.world.clock.advance(timedelta(seconds=10))
    assert (await desk.http.get(temporary(record))).status_code == 403


# --- what browsers are told


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        ("image/png", "inline"),
        ("text/plain; charset=utf-8", "inline"),
        ("video/mp4", "inline"),
        ("image/svg+xml", "attachment"),
        ("text/html", "attachment"),
        ("application/pdf", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("text/javascript", "attachment"),
        ("application/octet-stream", "attachment"),
    ],
)
async def test_what_a_browser_could_run_is_saved(desk: Desk, type: str, kind: str) -> None:
    record = await desk.upload(b"<script>alert(1)</script>", type=type, Filename="a")
    answer = await desk.http.get(temporary(record))
    assert answer.headers["content-disposition"] == f'{kind}; filename="a"'
    assert answer.headers["content-type"] == type
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "; sandbox;" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        (None, "inline"),
        ("a.png", 'inline; filename="a.png"'),
        ('a"; x="b.png', 'inline; filename="a_; x=_b.png"'),
        ("Grüße.png", "inline; filename=\"Gr__e.png\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.png"),
        ("50%.png", "inline; filename=\"50_.png\"; filename*=UTF-8''50%25.png"),
        ("../../a.png", 'inline; filename="a.png"'),
        ("c:\\x\\a.png", 'inline; filename="a.png"'),
        ("..", "inline"),
        ("a\u202egnp.exe", 'inline; filename="a_gnp.exe"'),
        ("x" * 250 + ".png", f'inline; filename="{"x" * 196}.png"'),
    ],
)
async def test_a_name_is_offered_so_that_it_is_one_everywhere(desk: Desk, name: str | None, offered: str) -> None:
    record = await desk.upload(type="image/png", **({} if name is None else {"Filename": name}))
    media = await desk.queries.file(desk.world.account, desk.service, record["sid"])
    assert disposition(media) == offered
    assert (await desk.http.get(temporary(record))).headers["content-disposition"] == offered


async def test_pages_of_other_sites_may_hand_in_and_fetch(desk: Desk, record: dict[str, Any]) -> None:
    for path in (desk.media, f"{desk.media}Set", record["url"], temporary(record)):
        answer = await desk.http.request(
            "OPTIONS",
            path,
            headers={"Origin": "https://chat.example", "Access-Control-Request-Method": "POST"},
        )
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert {"GET", "POST", "DELETE", "OPTIONS"} <= set(answer.headers["access-control-allow-methods"].split(", "))
        allowed = set(answer.headers["access-control-allow-headers"].split(", "))
        assert {"X-Twilio-Token", "Content-Type", "Range", "Authorization"} <= allowed
    for answer in (
        await desk.send(),
        await desk.http.get(temporary(record)),
        await desk.http.get(temporary(record), headers={"Range": "bytes=0-1"}),
        await desk.http.get(desk.media + "/x"),
        await desk.send(b""),
    ):
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert {"Content-Range", "Content-Disposition", "ETag", "Content-Length"} <= exposed


async def test_a_fetch_with_credentials_is_asked_about_each_time(desk: Desk, record: dict[str, Any]) -> None:
    answer = await desk.ask("GET", record["links"]["content"], "ana")
    assert answer.headers["cache-control"] == "private, no-cache"


# --- when something goes wrong on the way


async def test_bytes_that_are_gone_are_not_found(desk: Desk, record: dict[str, Any]) -> None:
    for key in await desk.stored():
        await desk.blobs.remove(key)
    assert refusal(await desk.http.get(temporary(record))) == (404, 50507)


async def test_whoever_takes_nothing_is_cut_off(start: Start) -> None:
    desk: Desk = await start(idle_timeout_s=0.1)
    record = await desk.upload(b"x" * 20_000_000)
    url = httpx.URL(temporary(record))
    _reader, writer = await asyncio.open_connection("127.0.0.1", desk.port, limit=1024)
    writer.write(f"GET {url.raw_path.decode()} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    async with asyncio.timeout(10):
        while desk.here.connections() > 1:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.005)
    writer.close()


async def test_a_reader_who_leaves_ends_the_reading(desk: Desk) -> None:
    record = await desk.upload(b"x" * 20_000_000)
    async with desk.http.stream("GET", temporary(record)) as answer:
        async for _ in answer.aiter_bytes(1000):
            break
    async with asyncio.timeout(10):
        while desk.here.connections():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_a_template_has_become_is_fetched_without_blobs(desk: Desk, record: dict[str, Any]) -> None:
    text = '{"data":{"body":"¡hola!"}}'
    await desk.world.sql(
        "UPDATE media SET inline = $1, blob = NULL, size = $2 WHERE sid = $3", text, len(text.encode()), record["sid"]
    )
    answer = await desk.http.get(temporary(record))
    assert msgspec.json.decode(answer.content) == {"data": {"body": "¡hola!"}}
    assert (await fetch(desk, record, range="bytes=1-6")).content == b'"data"'
