"""Google's push service and its token endpoint, as far as a sender can tell them from the real ones.

On loopback, with keys made at the start. Answers have the shapes that Google documents; ``firebase-admin`` reads them
as it reads Google's (``tests/contract/push/test_fcm_peer.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple, Self

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SCOPES = {"https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"}
GOOGLES_TOKEN_URI = "https://oauth2.googleapis.com/token"
"""Google's own library names it as the audience whatever the account's file says."""
PROJECT = "merry-otter-1"
RESERVED = re.compile(r"from|message_type|google.*|gcm.*")
LARGEST_BYTES = 4096
LONGEST_TTL_S = 28 * 24 * 3600
MEMBERS = {"token", "data", "android", "notification", "webpush", "apns", "fcm_options"}


class Reply(NamedTuple):
    """An answer that a script wants given."""

    status: int
    body: str
    headers: Mapping[str, str] = {}


STALLED = Reply(0, "")
"""No answer at all."""
TAKEN = Reply(200, "")
"""The usual one."""


def error(
    status: int,
    name: str,
    message: str = "Something is wrong.",
    *,
    code: str | None = None,
    violated: str | None = None,
    reason: str | None = None,
    headers: Mapping[str, str] = {},
) -> Reply:
    """An error as Google writes it: of the push service with ``code``, of what stands before it without."""
    details: list[dict[str, object]] = []
    if code is not None:
        details.append({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
    if violated is not None:
        violations = [{"field": violated, "description": message}]
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations})
    if reason is not None:
        details.append(
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
        )
    told = {"code": status, "message": message, "status": name, **({"details": details} if details else {})}
    return Reply(status, json.dumps({"error": told}), headers)


UNREGISTERED = error(404, "NOT_FOUND", "Requested entity was not found.", code="UNREGISTERED")
NO_SUCH_TOKEN = error(
    400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token", code="INVALID_ARGUMENT"
)
BAD_TOKEN_FIELD = error(
    400,
    "INVALID_ARGUMENT",
    "Request contains an invalid argument.",
    code="INVALID_ARGUMENT",
    violated="message.token",
)
ANOTHER_SENDER = error(403, "PERMISSION_DENIED", "SenderId mismatch", code="SENDER_ID_MISMATCH")
NO_APPLE_KEY = error(
    401,
    "UNAUTHENTICATED",
    "Request is missing required authentication credential.",
    code="THIRD_PARTY_AUTH_ERROR",
)
API_IS_OFF = error(
    403, "PERMISSION_DENIED", "Firebase Cloud Messaging API has not been used before.", reason="SERVICE_DISABLED"
)
NOT_ALLOWED = error(
    403, "PERMISSION_DENIED", "Permission 'cloudmessaging.messages.create' denied.", reason="IAM_PERMISSION_DENIED"
)
BAD_ACCESS_TOKEN = error(
    401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", reason="ACCESS_TOKEN_EXPIRED"
)
UNAVAILABLE = error(503, "UNAVAILABLE", "The service is currently unavailable.", code="UNAVAILABLE")
INTERNAL = error(500, "INTERNAL", "Internal error encountered.", code="INTERNAL")


def quota_exceeded(retry_after: str | None = None) -> Reply:
    """The rate of a project or a device is used up."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", code="QUOTA_EXCEEDED", headers=headers)


class Received(NamedTuple):
    """A message that was asked for, well-formed or not."""

    token: str
    message: Mapping[str, Any]
    access_token: str


@cache
def account_key() -> rsa.RSAPrivateKey:
    """The key of the service account, one for the process: making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FcmPeer:
    """``async with FcmPeer() as peer``: listens on a free port until the end of the block."""

    def __init__(self, *, project: str = PROJECT, now: Callable[[], float] = time.time) -> None:
        self.project = project
        self.received: list[Received] = []
        self.assertions: list[dict[str, Any]] = []
        """The claims of each request for an access token."""
        self.life_s: float = 3600
        """Of the access tokens from now on."""
        self.most_at_once = 0
        self.url = ""
        self._now = now
        self._under_way = 0
        self._tokens: dict[str, float] = {}
        self._scripts: dict[str, list[Reply]] = {}
        self._token_script: list[Reply] = []
        self._came = asyncio.Condition()
        self._ended = asyncio.Event()
        application = web.Application()
        application.router.add_post("/token", self._give_token)
        application.router.add_post("/v1/projects/{project}/messages:send", self._take)
        self.runner = web.AppRunner(application, shutdown_timeout=1.0, max_field_size=64 << 10)

    async def __aenter__(self) -> Self:
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        await self.runner.cleanup()

    # What a test says.

    def service_account(self, **changed: object) -> str:
        """The file of an account that may send; what is None is left out of it."""
        pem = account_key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        members: dict[str, object] = {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": f"sender@{self.project}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.url}/token",
            "universe_domain": "googleapis.com",
            **changed,
        }
        return json.dumps({name: value for name, value in members.items() if value is not None})

    def answer_with(self, device_token: str, *replies: Reply) -> None:
        """What messages to this device are answered with, one after the other; the last one for good."""
        self._scripts[device_token] = list(replies)

    def answer_token_requests_with(self, *replies: Reply) -> None:
        """The same for requests for access tokens."""
        self._token_script = list(replies)

    def accept_token(self, token: str) -> None:
        """This access token is good, too, whoever gave it."""
        self._tokens[token] = float("inf")

    def withdraw_tokens(self) -> None:
        """The access tokens that were given are good for nothing any more."""
        self._tokens.clear()

    async def has_received(self, times: int) -> None:
        """Until so many messages have come."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.received) >= times)

    async def has_been_asked(self, times: int) -> None:
        """Until so many good requests for access tokens have come."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.assertions) >= times)

    # What callers get.

    async def _give_token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        try:
            assert form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer"
            claims = jwt.decode(
                str(form["assertion"]),
                account_key().public_key(),
                algorithms=["RS256"],
                audience=[f"{self.url}/token", GOOGLES_TOKEN_URI],
                # By the clock of the test, below.
                options={"require": ["iss", "aud", "iat", "exp"], "verify_exp": False, "verify_iat": False},
            )
            assert set(str(claims["scope"]).split()) & SCOPES
            assert claims["iss"] == f"sender@{self.project}.iam.gserviceaccount.com"
            assert claims["iat"] - 300 <= self._now() < claims["exp"] <= claims["iat"] + 3600
        except (AssertionError, KeyError, jwt.InvalidTokenError):
            return web.json_response({"error": "invalid_grant", "error_description": "Invalid JWT."}, status=400)
        self.assertions.append(claims)
        scripted = _next(self._token_script)
        if scripted is not None:
            return await self._said(scripted)
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self._tokens[token] = self._now() + self.life_s
        return web.json_response({"access_token": token, "expires_in": self.life_s, "token_type": "Bearer"})

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            return await self._said(self._judged(request, await request.read()))
        finally:
            self._under_way -= 1

    def _judged(self, request: web.Request, body: bytes) -> Reply:
        scheme, _, access_token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or self._tokens.get(access_token, 0) <= self._now():
            return BAD_ACCESS_TOKEN
        if request.match_info["project"] != self.project:
            return NOT_ALLOWED
        try:
            asked = json.loads(body)
            message = asked["message"]
            device = message.get("token")
        except (ValueError, KeyError, TypeError, AttributeError):
            return error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.", violated="message")
        self.received.append(Received(str(device), message, access_token))
        if (refusal := refusal_of(message)) is not None:
            return refusal
        if (scripted := _next(self._scripts.get(str(device), []))) is not None and scripted is not TAKEN:
            return scripted
        name = "fake_message_id" if asked.get("validate_only") else secrets.token_hex(8)
        return Reply(200, json.dumps({"name": f"projects/{self.project}/messages/{name}"}))

    async def _said(self, reply: Reply) -> web.StreamResponse:
        async with self._came:
            self._came.notify_all()
        if reply is STALLED:
            await self._ended.wait()
        return web.Response(
            status=reply.status or 503, text=reply.body, content_type="application/json", headers=reply.headers
        )


def refusal_of(message: Mapping[str, Any]) -> Reply | None:
    """Why Google would not take a message, whoever it is for."""
    if unknown := sorted(set(message) - MEMBERS):
        return error(400, "INVALID_ARGUMENT", f"Unknown name \"{unknown[0]}\" at 'message'", violated="message")
    if not message.get("token"):
        said = "Recipient of the message is not set."
        return error(400, "INVALID_ARGUMENT", said, code="INVALID_ARGUMENT", violated="message")
    data = message.get("data", {})
    for index, (name, value) in enumerate(data.items()):
        if not isinstance(value, str):
            at = f"message.data[{index}].value"
            return error(400, "INVALID_ARGUMENT", f"Invalid value at '{at}' (TYPE_STRING)", violated=at)
        if RESERVED.fullmatch(name):
            said = f"Invalid data payload key: {name}"
            return error(400, "INVALID_ARGUMENT", said, code="INVALID_ARGUMENT", violated="message.data")
    if sum(len(part.encode()) for pair in data.items() for part in pair) > LARGEST_BYTES:
        return error(400, "INVALID_ARGUMENT", "Android message is too big", code="INVALID_ARGUMENT")
    android = message.get("android", {})
    with contextlib.suppress(ValueError):
        if 0 <= float(re.sub(r"s\Z", "", android.get("ttl", "0s"))) <= LONGEST_TTL_S:
            if android.get("priority", "normal").lower() in ("normal", "high"):
                return None
            return error(400, "INVALID_ARGUMENT", "Invalid value", violated="message.android.priority")
    return error(400, "INVALID_ARGUMENT", "Invalid value", code="INVALID_ARGUMENT", violated="message.android.ttl")


def _next(script: list[Reply]) -> Reply | None:
    if not script:
        return None
    return script.pop(0) if len(script) > 1 else script[0]
