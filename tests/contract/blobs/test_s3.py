"""What the S3 driver promises besides: clear words at the start, whose credentials, a wire that breaks."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tertulia.server.blobs.base import Blobs, BlobsUnavailable
from tertulia.server.blobs.opening import open_blobs
from tertulia.server.settings import BlobsSettings

from .s3_service import ACCESS_KEY, SECRET_KEY, S3Place, S3Service, free_ports
from .stores import keys, pieces_of, some_bytes, whole

AT_ONCE_NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _no_keys_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    # Where a machine at Amazon asks for its role; not from here.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", AT_ONCE_NOWHERE)


@pytest.fixture
async def place(service: S3Service) -> AsyncIterator[S3Place]:
    made = S3Place(service, prefix=uuid.uuid4().hex)
    await made.come()
    yield made
    await made.leave()


@pytest.fixture
async def blobs(place: S3Place, tmp_path: Path) -> AsyncIterator[Blobs]:
    opened = await open_blobs(place.settings, tmp_path)
    yield opened
    await opened.close()


async def refusal(settings: BlobsSettings, **changes: object) -> str:
    with pytest.raises(BlobsUnavailable) as trouble:
        await open_blobs(msgspec.structs.replace(settings, **changes), Path("unused"))
    said = str(trouble.value)
    # For a log, and for somebody who is not to see the keys.
    assert "\n" not in said and ACCESS_KEY not in said and SECRET_KEY not in said and "<" not in said
    return said


async def test_a_missing_bucket_is_said_at_the_start(place: S3Place) -> None:
    said = await refusal(place.settings, bucket="another")
    assert said.startswith("there is no bucket 'another' at http://127.0.0.1:") and "make it" in said


async def test_wrong_keys_are_said_at_the_start(place: S3Place) -> None:
    said = await refusal(place.settings, secret_key="a-wrong-secret-key")
    assert "refuses us the bucket 'media' (SignatureDoesNotMatch)" in said and "blobs.secret_key" in said
    assert "InvalidAccessKeyId" in await refusal(place.settings, access_key="somebody-else")


async def test_a_service_out_of_reach_is_said_at_the_start(place: S3Place) -> None:
    [nobody] = free_ports(1)
    assert "cannot be reached" in await refusal(place.settings, endpoint=f"http://127.0.0.1:{nobody}")


async def test_a_service_that_is_none_is_said_at_the_start(place: S3Place) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        assert "does not speak S3" in await refusal(place.settings, endpoint=f"http://127.0.0.1:{port}")


async def test_keys_that_are_nowhere_are_said_at_the_start(place: S3Place) -> None:
    said = await refusal(place.settings, access_key=None, secret_key=None)
    assert said.startswith("no credentials") and "blobs.access_key" in said and "AWS_" in said


async def test_variables_that_do_not_fit_are_said_at_the_start(place: S3Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "perhaps")
    assert "variables AWS_" in await refusal(place.settings)


async def test_a_missing_package_is_said_at_the_start(place: S3Place) -> None:
    code = (
        "import asyncio, sys; sys.modules['obstore'] = None;"
        "from pathlib import Path; from tertulia.server.blobs.opening import open_blobs;"
        "from tertulia.server.settings import BlobsSettings;"
        "asyncio.run(open_blobs(BlobsSettings(driver='s3', bucket='media'), Path('unused')))"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    _, said = await child.communicate()
    assert said.decode().strip().splitlines()[-1].endswith("pip install 'tertulia[s3]', or set blobs.driver to folder")


async def test_keys_may_come_from_the_environment(place: S3Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    settings = msgspec.structs.replace(place.settings, access_key=None, secret_key=None)
    blobs = await open_blobs(settings, Path("unused"))
    await blobs.put("a", pieces_of(b"bytes"))
    assert await whole(blobs, "a") == b"bytes"
    await blobs.close()


async def test_keys_in_the_settings_do_not_mix_with_the_environment(
    place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody-else")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another-token")
    monkeypatch.setenv("AWS_ENDPOINT_URL", AT_ONCE_NOWHERE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", AT_ONCE_NOWHERE)
    blobs = await open_blobs(place.settings, Path("unused"))
    await blobs.put("a", pieces_of(b"bytes"))
    assert await keys(blobs) == ["a"]
    await blobs.close()


async def test_below_two_prefixes_are_two_stores(service: S3Service, blobs: Blobs) -> None:
    other_place = S3Place(service, prefix=f"deep/{uuid.uuid4().hex}/")
    await other_place.come()
    other = await open_blobs(other_place.settings, Path("unused"))
    await blobs.put("a", pieces_of(b"one"))
    await other.put("a", pieces_of(b"two"))
    await other.put("b", pieces_of(b"three"))
    assert await keys(blobs) == ["a"] and await keys(other) == ["a", "b"]
    assert await whole(other, "a") == b"two"
    await other.remove("a")
    assert await whole(blobs, "a") == b"one"
    await other.close()
    await other_place.leave()


async def test_a_read_goes_on_where_its_wire_broke(blobs: Blobs, place: S3Place) -> None:
    data = some_bytes(4 << 20)
    await blobs.put("a", pieces_of(data))
    place.wire.answers_cut_after = [1 << 20, 1 << 20]
    assert await whole(blobs, "a") == data
    assert place.wire.answers_cut_after == []
    place.wire.answers_cut_after = [1 << 20]
    assert await whole(blobs, "a", 77, 3 << 20) == data[77 : 77 + (3 << 20)]
    assert place.wire.answers_cut_after == []


async def test_a_read_without_progress_ends(blobs: Blobs, place: S3Place) -> None:
    data = some_bytes(4 << 20)
    await blobs.put("a", pieces_of(data))
    async with blobs.read("a") as pieces:
        await anext(pieces)
        await place.leave()
        with pytest.raises(BlobsUnavailable, match="cannot be reached"):
            async for _ in pieces:
                pass
    await place.come()


async def test_what_others_put_there_is_no_blob_of_ours(blobs: Blobs, place: S3Place) -> None:
    import obstore
    from obstore.store import S3Store

    settings = place.settings
    theirs = S3Store(
        settings.bucket,
        endpoint=settings.endpoint,
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        client_options={"allow_http": True},
    )
    await obstore.put_async(theirs, f"{settings.prefix}/not ours.txt", b"x")
    await blobs.put("ours", pieces_of(b"x"))
    assert await keys(blobs) == ["ours"]


async def test_a_listing_has_more_than_one_page(blobs: Blobs) -> None:
    put = [f"page/{number:04}" for number in range(1100)]
    for at in range(0, len(put), 50):
        await asyncio.gather(*(blobs.put(key, pieces_of(b"x")) for key in put[at : at + 50]))
    assert await keys(blobs) == put
    assert await keys(blobs, "page/10") == put[1000:]
