"""Blobs in a bucket of an S3-compatible service, through obstore (the object_store of Rust).

A blob of more than one part is a multipart upload: it never shows until it is complete, and is aborted when it will not
be. What a killed process had begun stays there, unseen, until the bucket's rule for incomplete uploads removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tertulia.server.settings import BlobsSettings

from .base import BlobInfo, BlobMissing, BlobsUnavailable, is_key, require_key
from .s3_failures import explained, no_bucket
from .s3_uploads import UNDO_S, Upload

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ClientConfig, S3Config, S3Credential

PIECE: Final = 64 << 10
"""Least bytes of a piece that is read; when the network had more ready, it is some hundred KiB."""
LISTED: Final = 500
OPEN_S: Final = 20.0
RETRIES: Final = 3
RETRY_FOR: Final = timedelta(seconds=20)
_CLIENT: Final[ClientConfig] = {
    "connect_timeout": "5s",
    "read_timeout": "30s",  # of silence
    # For one request with all its bytes. A part needs 9 KiB a second; a read that is slower goes on with another.
    "timeout": "10m",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class S3Blobs:
    """One bucket, or what is below a prefix in it."""

    def __init__(self, settings: BlobsSettings) -> None:
        self._settings = settings
        try:
            self._store = _store(settings)
        except (BaseError, ValueError):
            # It may quote what it was given.
            raise BlobsUnavailable(
                f"the bucket {settings.bucket!r} cannot be used with these settings of the section blobs and these"
                " variables AWS_...; compare them with the service's own words"
            ) from None
        self._undoing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        try:
            async with asyncio.timeout(OPEN_S):
                async for _ in obstore.list(self._store, chunk_size=1):
                    break
        except (BaseError, FileNotFoundError, TimeoutError) as trouble:
            raise self._unavailable(trouble) from None

    async def close(self) -> None:
        if self._undoing:
            await asyncio.wait(self._undoing, timeout=2 * UNDO_S)

    async def put(self, key: str, content: AsyncIterator[bytes]) -> None:
        upload = Upload(self._store, require_key(key))
        try:
            await upload.take(content)
        except BaseException as trouble:
            # A task of its own: it goes on when we are cancelled once more.
            undoing = asyncio.create_task(upload.undo())
            self._undoing.add(undoing)
            undoing.add_done_callback(self._undoing.discard)
            await asyncio.shield(undoing)
            if upload.failure is trouble:
                raise self._unavailable(trouble) from None
            raise

    @contextlib.asynccontextmanager
    async def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        found = await self._get(require_key(key), start, length)
        async with contextlib.aclosing(self._pieces(key, found)) as pieces:
            yield pieces

    async def remove(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, require_key(key))
        except FileNotFoundError as trouble:
            if no_bucket(str(trouble)):
                raise self._unavailable(trouble) from None
        except BaseError as trouble:
            raise self._unavailable(trouble) from None

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        # The library's prefixes are whole parts of a key.
        folder = prefix.rpartition("/")[0] or None
        try:
            async for batch in obstore.list(self._store, folder, chunk_size=LISTED):
                for meta in batch:
                    if meta["path"].startswith(prefix) and is_key(meta["path"]):
                        stored_at = (meta["last_modified"] - _EPOCH) // timedelta(microseconds=1)
                        yield BlobInfo(meta["path"], meta["size"], stored_at)
        except (BaseError, FileNotFoundError) as trouble:
            raise self._unavailable(trouble) from None

    async def _get(self, key: str, start: int, length: int | None) -> GetResult | None:
        """The answer that has these bytes; None where there are none of them."""
        options: GetOptions | None = None
        try:
            if length != 0:
                if length is not None:
                    options = {"range": (start, start + length)}
                elif start:
                    options = {"range": {"offset": start}}
                with contextlib.suppress(BaseError):
                    return await obstore.get_async(self._store, key, options=options)
            # Some services refuse ranges that reach beyond the end, all refuse those that begin there.
            size = (await obstore.head_async(self._store, key))["size"]
            if length == 0 or start >= size:
                return None
            end = size if length is None else min(size, start + length)
            return await obstore.get_async(self._store, key, options={"range": (start, end)})
        except FileNotFoundError as trouble:
            if no_bucket(str(trouble)):
                raise self._unavailable(trouble) from None
            raise BlobMissing("there are no such bytes") from None
        except BaseError as trouble:
            raise self._unavailable(trouble) from None

    async def _pieces(self, key: str, found: GetResult | None) -> AsyncGenerator[bytes, None]:
        if found is None:
            return
        at, end = found.range
        while at < end:
            before = at
            try:
                async for piece in found.stream(PIECE):
                    at += len(piece)
                    yield piece
                return
            except BaseError as trouble:
                # A reader who takes his time is forgotten by the service: what is left is asked for anew.
                if at == before:
                    raise self._unavailable(trouble) from None
            again = await self._get(key, at, end - at)
            if again is None:
                return
            found = again

    def _unavailable(self, trouble: BaseException) -> BlobsUnavailable:
        return BlobsUnavailable(explained(self._settings, str(trouble)))


def _store(settings: BlobsSettings) -> S3Store:
    config: S3Config = {"disable_bulk_delete": True}  # not every service has it, and we remove one by one
    client: ClientConfig = {**_CLIENT}
    if settings.region is not None:
        config["region"] = settings.region
    if settings.endpoint is not None:
        # Both, or else a variable for the one would be stronger than our setting for the other.
        config["endpoint"] = config["aws_endpoint_url_s3"] = settings.endpoint
        client["allow_http"] = settings.endpoint.startswith("http://")
    return S3Store(
        settings.bucket,
        prefix=settings.prefix.strip("/") or None,
        config=config,
        client_options=client,
        retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_FOR},
        credential_provider=_credentials(settings),
    )


def _credentials(settings: BlobsSettings) -> _Credentials | None:
    if settings.access_key is None or settings.secret_key is None:
        return None
    return _Credentials(settings.access_key, settings.secret_key)


class _Credentials:
    """Hands over the keys of the settings, so that no variable mixes with them, and nothing prints them."""

    def __init__(self, access_key: str, secret_key: str) -> None:
        self._access_key = access_key
        self._secret_key = secret_key

    def __call__(self) -> S3Credential:
        return {
            "access_key_id": self._access_key,
            "secret_access_key": self._secret_key,
            "token": None,
            "expires_at": None,
        }
