"""The channel of a provider with an HTTP API: asks it to send, hears what it reports, fetches its files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from urllib.parse import quote, quote_plus

from tertulia.server.domain.addresses import SMS
from tertulia.server.domain.channels import IncomingMedia
from tertulia.server.outgoing import Answer, Call
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
from .answers import outcome
from .asking import call_of, headers_of, is_group
from .calling import ANSWER_BYTES, got, posted
from .files import Files
from .hearing import INBOUND, STATUS, document_in_request, heard
from .proving import QUERY_FIELD, Proof
from .settings import HttpSmsSettings, resolved
from .templates import in_path
from .vocabulary import UNKNOWN_ERROR

NAME: Final = "http-sms"
CHECK_S: Final = 10.0


class HttpChannel(Channel):
    """One account with one provider.

    Named providers are made of it: they give their settings as these, and change what is particular to them.
    ``incoming_bytes`` is the largest file that is fetched, where it is not that which is sent.
    """

    def __init__(
        self,
        settings: HttpSmsSettings,
        surroundings: Surroundings,
        name: str = "the provider",
        incoming_bytes: int | None = None,
    ) -> None:
        self._settings = settings = resolved(settings)
        self._surroundings = surroundings
        self._name = name
        self.capabilities = Capabilities(
            text_chars=settings.text_chars,
            media_types=frozenset(settings.media_types),
            media_bytes=settings.media_bytes,
            media_count=settings.media_count,
            has_captions=True,
            has_groups=bool(settings.group_json),
            has_opt_out=settings.heeds_keywords,
            counts_segments=True,
        )
        self._files = Files(
            surroundings.call,
            settings.base_url,
            self._headers if settings.fetch_authorized else tuple,
            settings.media_bytes if incoming_bytes is None else incoming_bytes,
            name,
        )

    def handle_of(self, message: ChannelMessage) -> str | None:
        return message.sid if self._settings.id_is_ours else None

    async def send(self, message: ChannelMessage) -> Accepted:
        """Raises ``Refused``, ``NotNow``, ``Unsure``."""
        everybody = len(message.recipients) + len(message.others)
        if is_group(message) and everybody > self._settings.group_size:
            raise Refused(UNKNOWN_ERROR, f"{self._name} has no groups of {everybody}")
        answer = await posted(self._surroundings.call, self._call(message), self._name)
        return self._outcome(answer, message)

    def hear(self, request: Request, url: str) -> Heard:
        return heard(request, url, self._settings, self._surroundings.clock.now(), self._document)

    def fetch(self, media: IncomingMedia) -> AsyncIterator[bytes]:
        return self._files.fetch(media.reference)

    async def check(self) -> Sequence[Finding]:
        return (await self._looked_at(), self._called_at())

    def reports_url(self) -> str:
        """Where the provider of a message is told to report it: with the secret, where that stands in the URL.

        Nothing where reports would not be believed.
        """
        url, secret = self._surroundings.callback_url, self._settings.callback_secret
        if not self._is_believable:
            return ""
        if self._settings.proof is Proof.PATH:
            return f"{url}/{quote(secret, safe='')}{STATUS}"
        if self._settings.proof is Proof.QUERY:
            return f"{url}{STATUS}?{self._settings.proof_name or QUERY_FIELD}={quote_plus(secret)}"
        return url + STATUS

    def _call(self, message: ChannelMessage) -> Call:
        return call_of(message, self._settings, self.reports_url(), self._surroundings.clock.now())

    def _outcome(self, answer: Answer | None, message: ChannelMessage) -> Accepted:
        return outcome(answer, message, self._settings, self._name)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        """Those of every request: credentials among them."""
        return headers_of(self._settings)

    def _document(self, request: Request) -> Any:
        return document_in_request(request)

    @property
    def _is_believable(self) -> bool:
        """Something is set that callbacks can prove to know."""
        return bool(self._settings.callback_secret) or self._settings.proof is Proof.ED25519

    def _called_at(self) -> Finding:
        settings, url = self._settings, self._surroundings.callback_url
        if not self._is_believable:
            return Finding(
                is_good=False,
                what=f"{self._name} cannot prove who it is: no message or report of it is heard",
                remedy="Set callback_secret.",
            )
        if settings.proof is Proof.PATH:
            return Finding(is_good=True, what=f"messages are to be brought to {url}/<callback_secret>{INBOUND}")
        if settings.proof is Proof.QUERY:
            field = settings.proof_name or QUERY_FIELD
            return Finding(is_good=True, what=f"messages are to be brought to {url}{INBOUND}?{field}=<callback_secret>")
        return Finding(is_good=True, what=f"messages are to be brought to {url}{INBOUND}")

    async def _looked_at(self) -> Finding:
        settings = self._settings
        place = settings.base_url
        call = Call(
            method="GET",
            url=place.rstrip("/") + in_path(settings.check_path, settings.credentials),
            headers=self._headers(),
            read_s=CHECK_S,
            total_s=CHECK_S,
            answer_limit_bytes=ANSWER_BYTES,
        )
        try:
            answer = await got(self._surroundings.call, call, self._name)
        except NotNow as trouble:
            return Finding(
                is_good=False, what=f"{place}: {trouble.why}", remedy="Compare base_url with its documentation."
            )
        if not settings.check_path:
            return Finding(is_good=True, what=f"{place} answers; whether it believes us is not known until we send")
        if 200 <= answer.status < 300:
            return Finding(is_good=True, what=f"{place} believes us")
        remedy = "Compare the credentials with the provider's page." if answer.status in (401, 403) else None
        return Finding(is_good=False, what=f"{place} answers {answer.status}", remedy=remedy)


ADAPTER: Final = Adapter(name=NAME, kinds=frozenset({SMS}), settings=HttpSmsSettings, open=HttpChannel)
