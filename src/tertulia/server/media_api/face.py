"""Who asks for media: account holders, users, and whoever has a signed URL."""

from __future__ import annotations

from typing import ClassVar, Final

from tertulia.server.domain.callers import Caller, link_holder
from tertulia.server.domain.errors import LINK_REFUSED, RESOURCE_NOT_FOUND, UNAUTHENTICATED, TertuliaError
from tertulia.server.engine.identities import Identities
from tertulia.server.engine.media_links import SIGNATURE, MediaLinks
from tertulia.server.web.auth import AccessTokens, basic, refusal, user
from tertulia.server.web.errors import client_failure
from tertulia.server.web.operations import Call
from tertulia.wire.requests import Reply, Request, segments
from tertulia.wire.tokens import TokenRefused

from .views import FACE

_TOKEN: Final = "x-twilio-token"  # noqa: S105 -- the name of a header


class MediaFace:
    """Basic credentials, or an access token in ``X-Twilio-Token``; a signed URL needs neither."""

    name: ClassVar[str] = FACE
    headers: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self, identities: Identities, tokens: AccessTokens, links: MediaLinks) -> None:
        self._identities = identities
        self._tokens = tokens
        self._links = links

    async def caller(self, request: Request) -> Caller:
        headers = request.headers
        if SIGNATURE in request.query and request.method == "GET":
            return await self._link_holder(request)
        if _TOKEN in headers:
            try:
                return user(await self._tokens.admit(headers[_TOKEN]))
            except TokenRefused as refused:
                raise refusal(refused) from None
        return await basic(self._identities, headers.get("authorization"))

    async def _link_holder(self, request: Request) -> Caller:
        parts = segments(request.path)
        if len(parts) != 6 or parts[3] != "Media" or parts[5] != "Content":
            raise UNAUTHENTICATED()
        link = self._links.read(parts[2], parts[4], request.query)
        if not await self._identities.is_served(link.account_sid):
            raise LINK_REFUSED("The temporary URL is good no longer")
        return link_holder(link.account_sid, parts[2])

    async def enter(self, call: Call) -> None:
        sid, caller = call.path["service"], call.caller
        if not caller.is_identity:
            sid = (await call.queries.service(caller, sid)).sid
        elif caller.service_sid != sid:
            raise RESOURCE_NOT_FOUND()
        call.service_sid = sid

    def failure(self, error: TertuliaError, request: Request) -> Reply:
        return client_failure(error)
