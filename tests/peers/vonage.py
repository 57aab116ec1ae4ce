"""Vonage Messages, version 1, as far as a client can tell it from the real one; PyJWT reads and makes its tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tertulia.server.clock import Clock

from .http_provider import Answered, Asked, HttpProvider

API_KEY: Final = "abcd1234"
API_SECRET: Final = "no one's"
APPLICATION: Final = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
SIGNATURE_SECRET: Final = "a signature secret that is long enough for a digest"
SORTS: Final = ("text", "image", "audio", "video", "file")


def error(status: int, code: str, title: str = "Something") -> Answered:
    """An error as Vonage writes it."""
    kind = f"https://developer.vonage.com/api-errors/messages#{code}"
    return Answered(status, {"type": kind, "title": title, "detail": "about 15550101", "instance": "bf0ca0bf"})


@cache
def application_key() -> rsa.RSAPrivateKey:
    """The key of the application, one for the process: making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_key() -> str:
    return (
        application_key()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


class VonagePeer(HttpProvider):
    """One application."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, Any]] = {}
        self.claims: list[dict[str, Any]] = []
        self._clock = clock

    async def judged(self, asked: Asked) -> Answered:
        if not self._is_known(asked.headers.get("Authorization", "")):
            return error(401, "unauthorized")
        if asked.path.startswith("/v3/media/"):
            return Answered(200, b"bytes of a file")
        if asked.path != "/v1/messages":
            return error(404, "not-found")
        said = asked.json
        sort = said.get("message_type")
        if sort not in SORTS or not said.get(sort) or said.get("channel") not in ("sms", "mms", "whatsapp"):
            return error(422, "1020")
        if not str(said.get("to", "")).isdecimal() or (sort != "text" and said["channel"] == "sms"):
            return error(422, "1170")
        name = str(uuid.uuid4())
        self.messages[name] = said
        return Answered(202, {"message_uuid": name})

    async def say(self, url: str, event: dict[str, Any]) -> int:
        """A signed event; what it is answered with."""
        body, headers = self.signed(event)
        return await self.call(url, body, headers)

    def signed(self, event: dict[str, Any], secret: str = SIGNATURE_SECRET) -> tuple[bytes, dict[str, str]]:
        """Body and headers of an event."""
        body = json.dumps(event).encode()
        claims = {
            "iss": "Vonage",
            "iat": self._clock.now() // 1_000_000,
            "jti": str(uuid.uuid4()),
            "api_key": API_KEY,
            "payload_hash": hashlib.sha256(body).hexdigest(),
        }
        token = jwt.encode(claims, secret, algorithm="HS256")
        return body, {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def _is_known(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        if scheme == "Basic":
            return base64.b64decode(given).decode() == f"{API_KEY}:{API_SECRET}"
        try:
            claims = jwt.decode(
                given,
                application_key().public_key(),
                algorithms=["RS256"],
                # By the clock of the test, below.
                options={"require": ["iat", "exp", "jti"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return False
        self.claims.append(claims)
        now = self._clock.now() // 1_000_000
        is_ours: bool = claims["application_id"] == APPLICATION
        is_now: bool = claims["iat"] <= now < claims["exp"] <= now + 86_400
        return is_ours and is_now
