"""Uploads that are refused, and leave nothing: the table of bad input."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tertulia.server.settings import JobsSettings, ServerSettings, Settings

from .desk import ACCOUNT, Desk, Start, refusal
from .raw import chunk, uploading
from .test_uploads import BOUNDARY, file, form

FORM = f"multipart/form-data; boundary={BOUNDARY}"
LARGE = 100_000
SMALL: dict[str, Any] = {"max_bytes": LARGE}

BAD: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "zero bytes": ({"content": b""}, (400, 50512)),
    "too large, and says so": ({"content": b"x" * (LARGE + 1)}, (400, 50512)),
    "type without a slash": ({"type": "text"}, (400, 50511)),
    "type with a line of its own": ({"type": "text/plain\tX"}, (400, 50511)),
    "type that is too long": ({"type": "text/" + "x" * 300}, (400, 50511)),
    "unknown category": ({"Category": "virus"}, (400, 20001)),
    "e-mail body of another type": ({"Category": "body", "type": "image/png"}, (400, 50511)),
    "history of a template's type": (
        {"Category": "history", "type": "application/x-vnd.com.twilio.rich.twilio.card"},
        (400, 50511),
    ),
    "name with a NUL": ({"Filename": "a\0b"}, (400, 20001)),
    "name with a line break": ({"Filename": "a\r\nSet-Cookie: b"}, (400, 20001)),
    "name that is too long": ({"Filename": "x" * 256}, (400, 20001)),
    "form without a boundary": ({"type": "multipart/form-data"}, (400, 20001)),
    "form without a file": (
        {"type": FORM, "content": form(('Content-Disposition: form-data; name="a"', b"b"))},
        (400, 20001),
    ),
    "form that is none": ({"type": FORM, "content": b"x" * 1000}, (400, 20001)),
    "form that is cut off": ({"type": FORM, "content": form((file("a"), b"x" * 1000))[:-10]}, (400, 20001)),
    "form with an empty file": ({"type": FORM, "content": form((file("a"), b""))}, (400, 50512)),
    "form with too large a file": ({"type": FORM, "content": form((file("a"), b"x" * (LARGE + 1)))}, (400, 50512)),
    "form with a header without end": ({"type": FORM, "content": form((file("a" * 90_000), b"x"))}, (400, 20001)),
    "form with a body of another type": (
        {"type": FORM, "content": form((file("a", "image/png"), b"x")), "Category": "body"},
        (400, 50511),
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_upload_is_refused_and_leaves_nothing(start: Start, case: str) -> None:
    desk: Desk = await start(**SMALL)
    how, wanted = BAD[case]
    assert refusal(await desk.send(**how)) == wanted
    assert (await desk.stored(), await desk.rows()) == ([], 0)
    assert (await desk.send()).status_code == 201


@pytest.mark.parametrize("place", ["before", "after"])
async def test_a_form_has_little_beside_its_file(desk: Desk, place: str) -> None:
    much = (
        (file("b"), b"y" * 300_000)
        if place == "after"
        else ('Content-Disposition: form-data; name="b"', b"y" * 300_000)
    )
    body = form((file("a"), b"x"), much) if place == "after" else form(much, (file("a"), b"x"))

    async def pieces() -> Any:
        for at in range(0, len(body), 10_000):
            yield body[at : at + 10_000]

    assert refusal(await desk.send(pieces(), type=FORM)) == (400, 20001)
    assert (await desk.stored(), await desk.rows()) == ([], 0)


@pytest.mark.parametrize("by", ["ana", ACCOUNT])
async def test_an_upload_into_a_service_that_is_not_there_is_refused(desk: Desk, by: str | None) -> None:
    answer = await desk.ask("POST", f"/v1/Services/IS{'f' * 32}/Media", by, content=b"x")
    assert refusal(answer) == (404, 20404)


async def test_nobody_uploads_nothing(desk: Desk) -> None:
    assert refusal(await desk.http.post(desk.media, content=b"x")) == (401, 20003)
    assert refusal(await desk.http.post(desk.media, content=b"x", headers={"X-Twilio-Token": "x.y.z"})) == (401, 20101)
    assert await desk.stored() == []


async def test_too_large_a_file_is_refused_before_its_bytes_are_sent(start: Start) -> None:
    desk: Desk = await start(**SMALL)
    async with uploading(desk, length=LARGE + 1) as line:
        assert await line.answer() == (400, 50512)


@pytest.mark.parametrize(("by", "type", "wanted"), [("nobody", "text/plain", (401, 20003)), ("ana", "x", (400, 50511))])
async def test_what_is_wrong_is_said_before_the_bytes_are_sent(
    desk: Desk, by: str, type: str, wanted: tuple[int, int]
) -> None:
    async with uploading(desk, by=by, length=1000, type=type) as line:
        assert await line.answer() == wanted


async def test_whoever_waits_to_be_asked_for_the_bytes_is_not_asked_for_too_many(start: Start) -> None:
    desk: Desk = await start(**SMALL)
    async with uploading(desk, length=LARGE + 1, headers="Expect: 100-continue\r\n") as line:
        assert await line.answer() == (400, 50512)
    async with uploading(desk, length=1, headers="Expect: 100-continue\r\n") as line:
        assert (await line.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")


async def test_a_refusal_reaches_a_sender_who_does_not_stop(start: Start) -> None:
    desk: Desk = await start(**SMALL)
    async with uploading(desk, length=50 * LARGE) as line:
        for _ in range(20):
            await line.write(b"x" * LARGE)
        assert await line.answer() == (400, 50512)
        assert await line.ended()


async def test_too_large_a_file_without_a_length_is_refused_while_it_comes(start: Start) -> None:
    desk: Desk = await start(**SMALL)
    async with uploading(desk) as line:
        for _ in range(3):
            await line.write(chunk(b"x" * (LARGE // 2)))
        assert await line.answer() == (400, 50512)
        assert await line.ended()
    assert (await desk.stored(), await desk.rows()) == ([], 0)


async def test_an_upload_that_is_cut_leaves_nothing(desk: Desk) -> None:
    for length in (300_000, None):
        async with uploading(desk, length=length) as line:
            await line.write(b"x" * 200_000 if length else chunk(b"x" * 200_000))
            while not list(desk.folder.rglob("*")):  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.001)
    async with asyncio.timeout(10):
        while [path for path in desk.folder.rglob("*") if path.is_file()]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert await desk.rows() == 0


async def test_an_upload_that_stops_coming_is_given_up(start: Start) -> None:
    desk: Desk = await start(idle_timeout_s=0.05)
    async with uploading(desk, length=1000) as line:
        await line.write(b"x")
        assert await line.answer() == (408, 20408)
        assert await line.ended()
    assert (await desk.stored(), await desk.rows()) == ([], 0)


async def test_an_upload_may_take_longer_than_other_bodies(start: Start) -> None:
    settings = Settings(jobs=JobsSettings(poll_s=60), server=ServerSettings(body_timeout_s=0.05))
    desk: Desk = await start(settings)

    async def slowly() -> Any:
        for _ in range(4):
            await asyncio.sleep(0.05)
            yield b"x"

    assert (await desk.upload(slowly()))["size"] == 4
    async with uploading(desk, length=10, path=f"{desk.media}Set") as line:
        assert (await line.reader.readline()).startswith(b"HTTP/1.1 408 ")


async def test_an_upload_that_never_ends_is_given_up(start: Start) -> None:
    desk: Desk = await start(upload_timeout_s=0.2)

    async with uploading(desk) as line:

        async def drip() -> None:
            while True:
                await line.write(chunk(b"x"))
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert await line.answer() == (408, 20408)
        dripping.cancel()
    assert (await desk.stored(), await desk.rows()) == ([], 0)


async def under_way(desk: Desk, count: int) -> None:
    """Until so many uploads have been let in: each writes a file."""
    async with asyncio.timeout(10):
        while len([path for path in desk.folder.rglob("*") if path.is_file()]) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_an_account_has_so_many_uploads_at_a_time(start: Start) -> None:
    desk: Desk = await start(uploads_at_once=2)
    async with uploading(desk, length=2) as first, uploading(desk, by="ben", length=2) as second:
        for line in (first, second):
            await line.write(b"x")
        await under_way(desk, 2)
        answer = await desk.send(by=ACCOUNT)
        assert refusal(answer) == (429, 20429)
        assert int(answer.headers["retry-after"]) >= 1
        await first.write(b"y")
        assert (await first.reader.readline()).startswith(b"HTTP/1.1 201 ")
        await desk.upload()


async def test_one_user_leaves_most_places_to_the_others(start: Start) -> None:
    desk: Desk = await start(uploads_at_once=8)
    async with uploading(desk, length=2) as first, uploading(desk, length=2) as second:
        for line in (first, second):
            await line.write(b"x")
        await under_way(desk, 2)
        answer = await desk.send()
        assert refusal(answer) == (429, 20429)
        await desk.upload(by="ben")
        await desk.upload(by=ACCOUNT)
        await first.write(b"y")
        assert (await first.reader.readline()).startswith(b"HTTP/1.1 201 ")
        await desk.upload()


async def test_other_bodies_of_the_service_are_bounded_as_everywhere(desk: Desk) -> None:
    answer = await desk.ask("POST", f"{desk.media}Set", "ana", content=b"x" * (2 << 20))
    assert refusal(answer) == (413, 20413)


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "..\\..\\boot.ini", "/etc/shadow", "C:\\x", "blobs/x", ".", "..", "~/.ssh", "CON"]
)
async def test_a_name_is_data_and_never_a_path(desk: Desk, name: str) -> None:
    before = sorted(path for path in desk.folder.parent.rglob("*") if path.is_file())
    record = await desk.upload(Filename=name)
    assert record["filename"] == name
    (key,) = await desk.stored()
    assert key.endswith(record["sid"])
    after = [path for path in desk.folder.parent.rglob("*") if path.is_file() and path not in before]
    assert [path.is_relative_to(desk.folder) for path in after] == [True]
    answer = await desk.ask("GET", record["links"]["content"], "ana")
    offered = answer.headers["content-disposition"].partition("filename")[2]
    assert not set(offered) & set("/\\~:")


@pytest.mark.parametrize(
    "path", ["/../x", "/..%2f..%2fetc", "/ME/Content/../../x", "/%00", "//Content", "/.", "/ME%2f"]
)
async def test_a_path_that_plays_tricks_names_nothing(desk: Desk, path: str) -> None:
    answer = await desk.ask("GET", f"{desk.media}{path}", ACCOUNT)
    assert answer.status_code in (404, 405)
