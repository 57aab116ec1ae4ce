"""Google's own library against our double of its service: what it reads there are the errors it knows."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.peers.as_google import named
from tests.peers.fcm import (
    ANOTHER_SENDER,
    API_IS_OFF,
    BAD_TOKEN_FIELD,
    GOOGLES_TOKEN_URI,
    NO_APPLE_KEY,
    NO_SUCH_TOKEN,
    UNAVAILABLE,
    UNREGISTERED,
    FcmPeer,
    Reply,
    quota_exceeded,
)

SENDER = Path(__file__).with_name("firebase_sender.py")
WITHIN_S = 60.0

READ_AS: dict[str, tuple[tuple[Reply, ...], list[object]]] = {
    "gone": ((UNREGISTERED,), ["UnregisteredError", "NOT_FOUND", 404]),
    "nonsense": ((NO_SUCH_TOKEN,), ["InvalidArgumentError", "INVALID_ARGUMENT", 400]),
    "malformed": ((BAD_TOKEN_FIELD,), ["InvalidArgumentError", "INVALID_ARGUMENT", 400]),
    "foreign": ((ANOTHER_SENDER,), ["SenderIdMismatchError", "PERMISSION_DENIED", 403]),
    "off": ((API_IS_OFF,), ["PermissionDeniedError", "PERMISSION_DENIED", 403]),
    "apple": ((NO_APPLE_KEY,), ["ThirdPartyAuthError", "UNAUTHENTICATED", 401]),
    "too-often": ((quota_exceeded(),), ["QuotaExceededError", "RESOURCE_EXHAUSTED", 429]),
}


async def test_googles_library_sends_to_the_double_and_reads_its_errors(tmp_path: Path) -> None:
    async with FcmPeer() as peer, named("fcm.googleapis.com", peer.runner, tmp_path) as variables:
        account = tmp_path / "account.json"
        account.write_text(peer.service_account())
        for device, (replies, _) in READ_AS.items():
            peer.answer_with(device, *replies)
        # It tries again by itself what is unavailable.
        peer.answer_with("tired", UNAVAILABLE, Reply(200, '{"name": "projects/p/messages/2"}'))
        read = await read_by_googles_library(["phone", *READ_AS, "tired"], account, variables)

    (sent, *refused), retried = read[:-1], read[-1]
    assert str(sent[0]).startswith(f"projects/{peer.project}/messages/")
    assert dict(zip(READ_AS, refused, strict=True)) == {device: seen for device, (_, seen) in READ_AS.items()}
    assert retried[0] == "projects/p/messages/2"
    assert {claims["aud"] for claims in peer.assertions} == {GOOGLES_TOKEN_URI}
    message = peer.received[0].message
    assert message["data"] == {"twi_message_type": "twilio.conversations.new_message", "twi_body": "hello"}
    assert message["android"] == {"priority": "high", "ttl": "3600s"}


async def read_by_googles_library(
    devices: list[str], account: Path, variables: dict[str, str]
) -> list[list[str | int | None]]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        str(SENDER),
        str(account),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**kept, **variables},
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(json.dumps(devices).encode()), WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    read: list[list[str | int | None]] = json.loads(out)
    return read
