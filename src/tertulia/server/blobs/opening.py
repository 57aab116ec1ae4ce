"""The store of blobs that the settings name."""

from __future__ import annotations

from pathlib import Path

from tertulia.server.settings import BlobsSettings

from .base import Blobs, BlobsUnavailable
from .folder import FolderBlobs


async def open_blobs(settings: BlobsSettings, data_folder: Path) -> Blobs:
    """Ready for use, and to be closed. Raises ``BlobsUnavailable``: one line that says why, and what to do."""
    blobs = _make(settings, data_folder)
    await blobs.open()
    return blobs


def _make(settings: BlobsSettings, data_folder: Path) -> Blobs:
    if settings.driver == "folder":
        return FolderBlobs(Path(settings.folder) if settings.folder else data_folder / "blobs")
    try:
        # Its package is an extra: who keeps blobs in a folder has no need of it.
        from .s3 import S3Blobs
    except ImportError:
        raise BlobsUnavailable(
            "blobs.driver is s3, but its package is not installed: pip install 'tertulia[s3]', or set blobs.driver to"
            " folder"
        ) from None
    return S3Blobs(settings)
