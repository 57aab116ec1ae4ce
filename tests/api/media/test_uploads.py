"""Uploads that succeed: what is kept, and how it is told (rest 13.1, client-commands 4.10)."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest

from tertulia.wire.sids import is_sid

from .desk import ACCOUNT, Desk, Start

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


def form(*parts: tuple[str, bytes], boundary: str = BOUNDARY) -> bytes:
    """A form as browsers send it: headers and content of each part."""
    chunks = [b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary.encode(), head.encode(), content) for head, content in parts]
    return b"".join(chunks) + b"--%s--\r\n" % boundary.encode()


def file(name: str, type: str = "image/png", field: str = "file") -> str:
    return f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: {type}'


async def test_a_record_says_everything_about_an_upload(desk: Desk) -> None:
    data = bytes(range(256)) * 10
    answer = await desk.send(data, type="image/png", Filename="a b.png")
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("application/json")
    record = answer.json()
    sid, url = record["sid"], f"{desk.media}/{record['sid']}"
    assert is_sid(sid, "ME")
    temporary = record["links"].pop("content_direct_temporary")
    assert temporary.startswith(f"http://127.0.0.1:{desk.port}{url}/Content?")
    dates = {record.pop(name) for name in ("date_created", "date_upload_updated", "date_updated")}
    assert len(dates) == 1 and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", dates.pop())
    assert record == {
        "sid": sid,
        "service_sid": desk.service,
        "size": 2560,
        "content_type": "image/png",
        "filename": "a b.png",
        "author": "ana",
        "category": "media",
        "message_sid": None,
        "channel_sid": None,
        "url": url,
        "links": {"content": f"{url}/Content"},
        "is_multipart_upstream": False,
    }
    assert (await desk.http.get(temporary)).content == data


async def test_the_account_uploads_as_system(desk: Desk) -> None:
    assert (await desk.upload(by=ACCOUNT))["author"] == "system"


async def test_the_bytes_come_back_as_they_were(desk: Desk) -> None:
    data = hashlib.sha256(b"x").digest() * 100_000
    record = await desk.upload(data, type="application/zip")
    answer = await desk.ask("GET", record["links"]["content"], "ana")
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(data).digest()


async def test_an_upload_without_a_length_is_kept(desk: Desk) -> None:
    async def pieces() -> Any:
        for _ in range(40):
            yield b"x" * 30_000

    assert (await desk.upload(pieces()))["size"] == 1_200_000


async def test_every_fetch_has_a_fresh_temporary_url(desk: Desk) -> None:
    record = await desk.upload()
    desk.here.pass_time(10)
    again = (await desk.ask("GET", record["url"], "ana")).json()
    assert again["links"]["content_direct_temporary"] != record["links"]["content_direct_temporary"]
    assert {**again, "links": None} == {**record, "links": None}


@pytest.mark.parametrize(
    ("sent", "kept"), [("a+b.txt", "a b.txt"), ("%C3%A9%2B.txt", "é+.txt"), ("a%20b", "a b"), ("", None)]
)
async def test_a_name_in_the_query_is_form_encoded(desk: Desk, sent: str, kept: str | None) -> None:
    answer = await desk.ask("POST", f"{desk.media}?Filename={sent}", "ana", content=b"x")
    assert answer.json()["filename"] == kept


@pytest.mark.parametrize(
    ("category", "sent", "kept"),
    [
        ("media", "Text/HTML; charset=utf-8", "text/html; charset=utf-8"),
        ("media", None, "application/octet-stream"),
        ("body", "text/html;charset=UTF-8", "text/html"),
        ("history", "text/plain", "text/plain"),
    ],
)
async def test_bodies_of_e_mails_have_bare_types(desk: Desk, category: str, sent: str | None, kept: str) -> None:
    record = await desk.upload(type=sent, Category=category)
    assert (record["category"], record["content_type"]) == (category, kept)


async def test_of_a_form_the_first_file_counts(desk: Desk) -> None:
    data = bytes(range(256)) * 2000 + b"\r\n--" + BOUNDARY.encode()[:-1]
    body = form(
        ('Content-Disposition: form-data; name="note"', b"not a file"),
        (file("ein \u00e4 %22x%22.png"), data),
        (file("second.txt", "text/plain"), b"dropped"),
    )
    record = await desk.upload(body, type=f"multipart/form-data; boundary={BOUNDARY}")
    assert (record["filename"], record["content_type"]) == ('ein ä "x".png', "image/png")
    assert (record["size"], record["is_multipart_upstream"]) == (len(data), True)
    assert (await desk.ask("GET", record["links"]["content"], "ana")).content == data


async def test_a_form_that_comes_byte_by_byte_is_the_same_form(desk: Desk) -> None:
    body = form((file("a.png"), b"\r\n-\r\n--" * 20))

    async def pieces() -> Any:
        for at in range(len(body)):
            yield body[at : at + 1]

    record = await desk.upload(pieces(), type=f'multipart/form-data; boundary="{BOUNDARY}"')
    assert (await desk.ask("GET", record["links"]["content"], "ana")).content == b"\r\n-\r\n--" * 20


async def test_the_query_names_the_file_of_a_form_too(desk: Desk) -> None:
    body = form((file("a.html", "text/html"), b"<p>"))
    record = await desk.upload(
        body, type=f"multipart/form-data; boundary={BOUNDARY}", Category="body", Filename="b.html"
    )
    assert (record["category"], record["filename"], record["content_type"]) == ("body", "b.html", "text/html")


async def test_a_message_gives_its_file_its_conversation(desk: Desk) -> None:
    record = await desk.upload()
    desk.world.clock.advance(timedelta(seconds=5))
    message = await desk.message(record["sid"], "ben")
    again = (await desk.ask("GET", record["url"], "ben")).json()
    assert (again["message_sid"], again["channel_sid"]) == (message.sid, message.conversation_sid)
    assert again["date_updated"] > again["date_created"] == record["date_created"]


async def test_a_service_may_have_so_many_bytes(start: Start) -> None:
    desk: Desk = await start(service_quota_bytes=10)
    await desk.upload(b"x" * 6)
    answer = await desk.send(b"x" * 5)
    assert (answer.status_code, answer.json()["code"]) == (400, 50512)
    await desk.upload(b"x" * 4)
    assert (await desk.send(b"x")).json()["code"] == 50512
    assert len(await desk.stored()) == 2
