"""The settings of the files that people send: what may be uploaded, where the bytes are, who looks into them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .units import BYTES, DAYS, SECONDS, SECRET

BlobsDriver = Literal["folder", "s3"]
OnScannerError = Literal["accept", "refuse"]
Text = Annotated[str, Meta(min_length=1)]
Bucket = Annotated[str, Meta(min_length=3, max_length=63)]


class BlobsSettings(Struct, frozen=True):
    """Where the bytes of media are kept."""

    driver: Annotated[
        BlobsDriver,
        Meta(description="`folder`, or `s3`: a bucket of an S3-compatible service. `s3` needs the extra `s3`."),
    ] = "folder"
    folder: Annotated[Text | None, Meta(description="The folder. Unset: `blobs` in the data folder.")] = None
    endpoint: Annotated[
        str | None,
        Meta(description="URL of the S3-compatible service. Unset: Amazon's, by the region."),
    ] = None
    bucket: Annotated[Bucket | None, Meta(description="The bucket, which has to be there. `s3` needs it.")] = None
    region: Annotated[Text | None, Meta(description="Region of the bucket. Unset: `us-east-1`.")] = None
    prefix: Annotated[
        str,
        Meta(
            description="What the names of our objects begin with, where others use the bucket too.",
            pattern=r"^([A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*/?)?$",
            max_length=200,
        ),
    ] = ""
    access_key: Annotated[
        str | None,
        Meta(
            description="Access key id, with `blobs.secret_key`. Unset: those of the variables `AWS_ACCESS_KEY_ID` and"
            " so on, else of the machine's role at Amazon.",
            extra=SECRET,
        ),
    ] = None
    secret_key: Annotated[str | None, Meta(description="The secret of the access key.", extra=SECRET)] = None

    def __post_init__(self) -> None:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("blobs.access_key and blobs.secret_key belong together: set both, or neither")
        if self.driver == "s3" and self.bucket is None:
            raise ValueError("blobs.driver = s3 needs blobs.bucket")
        if self.endpoint is not None:
            scheme, _, rest = self.endpoint.partition("://")
            # Not quoted: what is wrong with it may be that it holds a password.
            if scheme not in ("http", "https") or rest[:1] in ("", "/") or set(rest) & set("?#@ "):
                raise ValueError("expected http://host or https://host, without credentials or query")

    def __repr__(self) -> str:
        return (
            f"BlobsSettings(driver={self.driver!r}, folder={self.folder!r}, endpoint={self.endpoint!r},"
            f" bucket={self.bucket!r}, region={self.region!r}, prefix={self.prefix!r},"
            f" access_key={'***' if self.access_key else None}, secret_key={'***' if self.secret_key else None})"
        )


class ScannerSettings(Struct, frozen=True):
    """ClamAV's daemon, which is asked about every file that is uploaded."""

    clamd: Annotated[
        Text | None,
        Meta(
            description="Where `clamd` listens: `host:port`, or the path of its socket. Unset: files are not scanned.",
        ),
    ] = None
    on_error: Annotated[
        OnScannerError,
        Meta(
            description="What becomes of a file when `clamd` does not answer, or does not take files of its size:"
            " `refuse` the upload, or `accept` it unscanned."
        ),
    ] = "refuse"
    timeout_s: Annotated[
        float,
        Meta(
            description="How long `clamd` may take for one file, its place in the queue included.",
            gt=0,
            le=300,  # with the longest upload less than the hour that the sweep spares bytes without a row
            extra=SECONDS,
        ),
    ] = 60.0

    def __post_init__(self) -> None:
        if self.clamd is None or self.clamd.startswith("/"):
            return
        host, _, port = self.clamd.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65_536:
            raise ValueError(f"expected host:port or the absolute path of a socket, got {self.clamd!r}")


class MediaSettings(Struct, frozen=True):
    """Files that people send: uploads, the URLs to fetch them by, and how long those stay that nobody attaches."""

    max_bytes: Annotated[
        int, Meta(description="Largest file that may be uploaded.", ge=1, le=150 << 20, extra=BYTES)
    ] = 150 << 20
    service_quota_bytes: Annotated[
        int, Meta(description="What all files of one service may have together; 0 is no limit.", ge=0, extra=BYTES)
    ] = 0
    uploads_at_once: Annotated[
        int,
        Meta(
            description="Uploads of one account that may be under way at a time, a quarter of them by one user; more"
            " are refused with 429.",
            ge=1,
        ),
    ] = 64
    idle_timeout_s: Annotated[
        float,
        Meta(
            description="How long an upload may bring nothing, and a reader take nothing of an answer.",
            gt=0,
            le=3600,
            extra=SECONDS,
        ),
    ] = 30.0
    upload_timeout_s: Annotated[
        float, Meta(description="How long an upload may take, in all.", gt=0, le=3000, extra=SECONDS)
    ] = 1800.0
    temporary_url_s: Annotated[
        int, Meta(description="How long a temporary URL is good.", ge=1, le=86_400, extra=SECONDS)
    ] = 300
    orphan_s: Annotated[
        int,
        Meta(
            description="How long an upload may wait to be attached to a message; then it is removed.",
            ge=1,
            le=86_400,
            extra=SECONDS,
        ),
    ] = 300
    quarantine_days: Annotated[
        int,
        Meta(description="How long a file that the scanner objected to is kept, for nobody to get.", ge=0, extra=DAYS),
    ] = 30
