"""The channel: sends by Programmable Messaging, hears its callbacks, fetches its files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from tertulia.server.domain.addresses import SMS
from tertulia.server.domain.channels import IncomingMedia
from tertulia.server.outgoing import Call
from tertulia.wire.requests import Request

from ..base import (
    Accepted,
    Adapter,
    Capabilities,
    Channel,
    ChannelMessage,
    Finding,
    Heard,
    NotNow,
    Refused,
    Surroundings,
)
from ..http_sms import kinds
from ..http_sms.calling import ANSWER_BYTES, basic, document_in, got, posted
from ..http_sms.files import Files
from ..http_sms.kinds import MESSENGER, RCS, WHATSAPP
from .asking import NAME, call_of, credentials, outcome, refuse
from .hearing import heard
from .settings import TwilioSettings

KINDS: Final = frozenset({SMS, WHATSAPP, MESSENGER, RCS})
CHECK_S: Final = 10.0


class TwilioChannel(Channel):
    """One account with Twilio."""

    def __init__(self, settings: TwilioSettings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self.capabilities = Capabilities(
            text_chars=settings.text_chars,
            media_types=frozenset(settings.media_types),
            media_bytes=settings.media_bytes,
            media_count=settings.media_count,
            has_captions=True,
            has_templates=bool(settings.contents),
            has_opt_out=settings.heeds_keywords,
            counts_segments=True,
        )
        has = {"has_templates": bool(settings.contents), "has_opt_out": settings.heeds_keywords}
        self._others = {
            WHATSAPP: kinds.whatsapp(settings.whatsapp_media_bytes, settings.window_h, **has),
            MESSENGER: kinds.messenger(settings.messenger_media_bytes, settings.window_h, **has),
            RCS: kinds.rcs(settings.rcs_media_bytes, **has),
        }
        self._files = Files(
            surroundings.call,
            settings.base_url,
            lambda: (basic(settings.account_sid, settings.auth_token),),
            settings.incoming_media_bytes,
            NAME,
        )

    def capabilities_of(self, kind: str) -> Capabilities:
        return self._others.get(kind, self.capabilities)

    async def send(self, message: ChannelMessage) -> Accepted:
        """Raises ``Refused``, ``NotNow``, ``Unsure``."""
        around = self._surroundings
        call = call_of(message, self._settings, around.callback_url, around.clock.now())
        return outcome(await posted(around.call, call, NAME), message, self._settings)

    def hear(self, request: Request, url: str) -> Heard:
        return heard(request, url, self._settings)

    def fetch(self, media: IncomingMedia) -> AsyncIterator[bytes]:
        return self._files.fetch(media.reference)

    async def check(self) -> Sequence[Finding]:
        return (await self._account(),)

    async def _account(self) -> Finding:
        settings = self._settings
        call = Call(
            method="GET",
            url=f"{settings.base_url.rstrip('/')}/2010-04-01/Accounts/{settings.account_sid}.json",
            headers=(credentials(settings), ("Accept", "application/json")),
            read_s=CHECK_S,
            total_s=CHECK_S,
            answer_limit_bytes=ANSWER_BYTES,
        )
        try:
            answer = await got(self._surroundings.call, call, NAME)
            said = document_in(answer.body)
            document: dict[str, Any] = said if isinstance(said, dict) else {}
            if not 200 <= answer.status < 300:
                refuse(answer, document, settings)
        except (NotNow, Refused) as trouble:
            return Finding(
                is_good=False,
                what=trouble.why,
                remedy="Compare account_sid, auth_token and the API key with the console.",
            )
        if document.get("status") != "active":
            return Finding(
                is_good=False, what=f"{NAME} believes us, and the account is not active", remedy="See the console."
            )
        return Finding(is_good=True, what=f"{NAME} believes us, and the account is active")


ADAPTER: Final = Adapter(name="twilio", kinds=KINDS, settings=TwilioSettings, open=TwilioChannel)
