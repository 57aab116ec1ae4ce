"""The two faces: they differ in who asks, where an operation works, and how errors are spelled (architecture 5)."""

from __future__ import annotations

from typing import ClassVar, Final, Protocol

from tertulia.server.domain.callers import Caller, account
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.engine.identities import Identities
from tertulia.wire.requests import Reply, Request
from tertulia.wire.tokens import TokenRefused

from .auth import AccessTokens, basic, refusal, user
from .errors import client_failure, rest_failure
from .operations import Call

_HOOKS: Final = "x-twilio-webhook-enabled"
_TOKEN: Final = "x-twilio-token"  # noqa: S105 -- the name of a header
_MUTATION: Final = "x-twilio-mutation-id"


class Face(Protocol):
    """What a dispatcher asks about the audience of its operations."""

    name: ClassVar[str]
    headers: ClassVar[tuple[tuple[str, str], ...]]
    """On every answer."""

    async def caller(self, request: Request) -> Caller:
        """Who asks; raises the refusal."""
        ...

    async def enter(self, call: Call) -> None:
        """Puts the call into the service that its operation works in."""
        ...

    def failure(self, error: TertuliaError, request: Request) -> Reply: ...


class RestFace:
    """Account holders, by Basic credentials; the service is that of the path, else the account's default (rest 1)."""

    name: ClassVar[str] = "rest"
    headers: ClassVar[tuple[tuple[str, str], ...]] = (
        ("X-Home-Region", "us1"),
        ("X-API-Domain", "conversations.twilio.com"),
    )

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    async def caller(self, request: Request) -> Caller:
        return await basic(self._identities, request.headers.get("authorization"))

    async def enter(self, call: Call) -> None:
        # Absent means no hooks for what account holders do, and not every operation asks (rest 1.3).
        if call.operation.hooks and call.request.headers.get(_HOOKS, "").strip().lower() == "true":
            call.caller = account(call.caller.account_sid, hooks=True)
        if call.operation.is_long:
            call.service_sid = (await call.queries.service(call.caller, call.path["service"])).sid
        elif call.operation.in_service:
            call.service_sid = (await call.queries.account(call.caller)).default_service_sid

    def failure(self, error: TertuliaError, request: Request) -> Reply:
        return rest_failure(error, request.method, request.path)


class ClientFace:
    """Users, by access token. A connection knows its user; over plain HTTP the token is in ``X-Twilio-Token``."""

    name: ClassVar[str] = "client"
    headers: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    async def caller(self, request: Request) -> Caller:
        try:
            claims = await self._tokens.admit(request.headers.get(_TOKEN, ""))
        except TokenRefused as refused:
            raise refusal(refused) from None
        return user(claims, request.headers.get(_MUTATION))

    async def enter(self, call: Call) -> None:
        """The service of the token is there from the start."""

    def failure(self, error: TertuliaError, request: Request) -> Reply:
        return client_failure(error)
