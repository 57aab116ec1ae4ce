"""Others against our double of Apple's service: a library that we do not use, and what a careless sender would do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from tertulia.server.outgoing import Call, Outgoing
from tests.contract.push.apple import DEVICE, OPEN
from tests.peers.apns import KEY_ID, TEAM_ID, TOPIC, ApnsPeer

SENDER = Path(__file__).with_name("apns_sender.py")
WITHIN_S = 60.0

pytestmark = pytest.mark.node


async def test_another_library_sends_to_the_double_and_reads_its_answers(tmp_path: Path) -> None:
    gone, foreign = "cd" * 32, "ef" * 32
    async with ApnsPeer(tmp_path) as peer:
        await peer.answer_with(gone, {"status": 410, "reason": "Unregistered", "timestamp": 1_735_000_000_123})
        await peer.answer_with(foreign, {"status": 400, "reason": "DeviceTokenNotForTopic"})
        sender = await asyncio.create_subprocess_exec(
            sys.executable,
            str(SENDER),
            peer.url.rpartition(":")[2],
            str(peer.ca_file),
            KEY_ID,
            TEAM_ID,
            TOPIC,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(os.environ),
        )
        asked = json.dumps([peer.p8, DEVICE, gone, foreign, "not-hex"]).encode()
        said, troubles = await asyncio.wait_for(sender.communicate(asked), WITHIN_S)
        assert sender.returncode == 0, troubles.decode()
        assert json.loads(said) == [
            ["200", None, None],
            ["410", "Unregistered", 1_735_000_000_123],
            ["400", "DeviceTokenNotForTopic", None],
            ["400", "BadDeviceToken", None],
        ]
        sent = (await peer.seen(4))[0]
        assert sent["payload"] == {
            "aps": {"alert": "hello"},
            "twi_message_type": "twilio.conversations.new_message",
        }
        assert sent["headers"]["apns-topic"] == TOPIC


GOOD: dict[str, str] = {"apns-topic": TOPIC, "apns-push-type": "alert", "apns-priority": "10"}

CARELESS: list[tuple[str, dict[str, Any], int, str]] = [
    ("nothing is wrong", {}, 200, ""),
    ("no token", {"bearer": None}, 403, "MissingProviderToken"),
    ("not a token", {"bearer": "x.y.z"}, 403, "InvalidProviderToken"),
    ("another team", {"team": "OTHER12345"}, 403, "InvalidProviderToken"),
    ("another key id", {"key_id": "OTHER12345"}, 403, "InvalidProviderToken"),
    ("too old", {"age_s": 3_700}, 403, "ExpiredProviderToken"),
    ("from the future", {"age_s": -3_700}, 403, "ExpiredProviderToken"),
    ("too many tokens", {"age_s": 60}, 429, "TooManyProviderTokenUpdates"),
    ("no topic", {"apns-topic": None}, 400, "MissingTopic"),
    ("another topic", {"apns-topic": "com.example.other"}, 400, "TopicDisallowed"),
    ("a strange kind", {"apns-push-type": "loud"}, 400, "InvalidPushType"),
    ("a strange priority", {"apns-priority": "11"}, 400, "BadPriority"),
    ("a strange id", {"apns-id": "7"}, 400, "BadMessageId"),
    ("a strange expiry", {"apns-expiration": "soon"}, 400, "BadExpirationDate"),
    ("nothing in it", {"body": b""}, 400, "PayloadEmpty"),
    ("no aps in it", {"body": b"{}"}, 400, "PayloadEmpty"),
    ("too much in it", {"body": b'{"aps":{"alert":"' + b"x" * 4_096 + b'"}}'}, 413, "PayloadTooLarge"),
    ("no device", {"path": "/3/device/"}, 400, "MissingDeviceToken"),
    ("a strange device", {"path": "/3/device/zz"}, 400, "BadDeviceToken"),
    ("another path", {"path": "/2/device/ab"}, 404, "BadPath"),
    ("another method", {"method": "PUT"}, 405, "MethodNotAllowed"),
]


async def test_the_double_refuses_what_apple_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ApnsPeer(tmp_path) as peer:
        monkeypatch.setenv("SSL_CERT_FILE", str(peer.ca_file))
        now = int(time.time())
        tokens: dict[object, str] = {}

        def token(team: str = TEAM_ID, key_id: str = KEY_ID, age_s: int = 0) -> str:
            signed = jwt.encode({"iss": team, "iat": now - age_s}, peer.p8, "ES256", {"kid": key_id})
            return tokens.setdefault((team, key_id, age_s), signed)

        outgoing = Outgoing(OPEN)
        calls = outgoing.multiplexed(peer.url)
        for case, wrong, status, reason in CARELESS:
            claims = {name: value for name, value in wrong.items() if name in ("team", "key_id", "age_s")}
            bearer = wrong.get("bearer", token(**claims))
            headers = {**GOOD, **{name: value for name, value in wrong.items() if name.startswith("apns-")}}
            if bearer is not None:
                headers["authorization"] = f"bearer {bearer}"
            call = Call(
                method=wrong.get("method", "POST"),
                url=peer.url + wrong.get("path", f"/3/device/{DEVICE}"),
                headers=tuple((name, value) for name, value in headers.items() if value is not None),
                body=wrong.get("body", b'{"aps":{"alert":"hello"}}'),
            )
            answer = await calls.call(call)
            said = json.loads(answer.body)["reason"] if answer.body else ""
            assert (answer.status, said) == (status, reason), case
        await outgoing.close()
