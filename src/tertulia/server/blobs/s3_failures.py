"""What is wrong between us and an S3-compatible service, in a line that says what to do.

Of what the service answers only its code is repeated: the rest may quote our request, and with it our key.
"""

from __future__ import annotations

import re
from typing import Final

from tertulia.server.settings import BlobsSettings

_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS: Final = re.compile(r"status code: (\d{3})")
_ROLE_ASKED_FOR: Final = ("/latest/api/token", "/latest/meta-data", "169.254.170.")
"""Where a machine at Amazon asks for credentials of its own, which is what happens when there are no others."""

_ELSEWHERE: Final = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
_REFUSED: Final = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "401",
    "403",
}


def no_bucket(said: str) -> bool:
    """Whether it is the bucket that is missing."""
    return "<Code>NoSuchBucket</Code>" in said


def explained(settings: BlobsSettings, said: str) -> str:
    """One line, from what the library said."""
    bucket, service = f"the bucket {settings.bucket!r}", settings.endpoint or "Amazon S3"
    found = _CODE.search(said) or _STATUS.search(said)
    code = found[1] if found else ""
    if any(place in said for place in _ROLE_ASKED_FOR):
        return f"no credentials for {service}; set blobs.access_key and blobs.secret_key, or the variables AWS_..."
    if code in _REFUSED:
        return (
            f"{service} refuses us {bucket} ({code}); check blobs.access_key and blobs.secret_key, and that they may"
            " list the bucket, and get, put and delete objects"
        )
    if code in _ELSEWHERE:
        return f"{bucket} is in another region ({code}); set blobs.region"
    if code == "NoSuchBucket":
        return f"there is no bucket {settings.bucket!r} at {service}; make it, or check blobs.bucket and blobs.endpoint"
    if code:
        return f"{service} cannot serve {bucket} now ({code})"
    return f"{service} cannot be reached, or does not speak S3; check blobs.endpoint and the network"
