"""The stores every promise about blobs is checked on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tertulia.server.blobs.base import Blobs
from tertulia.server.blobs.opening import open_blobs

from .s3_service import S3Place, S3Service
from .stores import FolderPlace, Place


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Service]:
    """An S3-compatible service."""
    made = S3Service(tmp_path_factory.mktemp("s3"))
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(params=["folder", "s3"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Where the bytes are, there and ready; for each driver."""
    made: Place
    if request.param == "folder":
        made = FolderPlace(tmp_path)
    else:
        made = S3Place(request.getfixturevalue("service"), prefix=uuid.uuid4().hex)
    await made.come()
    yield made
    await made.close()


@pytest.fixture
async def blobs(place: Place, tmp_path: Path) -> AsyncIterator[Blobs]:
    """An empty store."""
    opened = await open_blobs(place.settings, tmp_path)
    yield opened
    await opened.close()
