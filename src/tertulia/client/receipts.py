"""What became of messages on channels, and what channels told about them (client-commands 4.7 to 4.9)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .errors import NotFoundError
from .moments import moment
from .paging import Trail
from .urls import segment

if TYPE_CHECKING:
    from .session import Session

NO_METADATA: Final = 50530
METADATA_KEPT: Final = 100
RECIPIENTS_KEPT: Final = 1000


class PageMeta(msgspec.Struct, frozen=True):
    next_token: str | None = None


class DeliveryReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message for one recipient."""

    sid: str
    message_sid: str
    conversation_sid: str
    participant_sid: str | None = None
    channel_message_sid: str | None = None
    status: str = "queued"
    """``queued``, ``sent``, ``delivered``, ``read``, ``undelivered`` or ``failed``."""
    error_code: int | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("date_created", "date_updated"):
            msgspec.structs.force_setattr(self, name, moment(getattr(self, name)))


class ChannelMetadata(msgspec.Struct, frozen=True):
    """What the channel told about a message."""

    type: str
    data: Any = None


class RecipientDescriptor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody an e-mail went to or came from; of other types only ``type`` is known, and ``raw_data``."""

    message_sid: str
    type: str
    level: str | None = None
    """``to``, ``cc`` or ``from``."""
    name: str | None = None
    address: str | None = None
    raw_data: Any = None

    def __repr__(self) -> str:
        return f"<RecipientDescriptor {self.type} {self.level}>"


class _Receipts(msgspec.Struct):
    delivery_receipts: list[DeliveryReceipt]
    meta: PageMeta = PageMeta()


class _Recipients(msgspec.Struct):
    message_recipients: list[dict[str, Any]]
    meta: PageMeta = PageMeta()


class Receipts:
    """What is asked about single messages, remembered where it does not change."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._metadata: OrderedDict[str, ChannelMetadata | None] = OrderedDict()
        self._recipients: OrderedDict[str, list[RecipientDescriptor]] = OrderedDict()

    async def delivery(self, conversation_sid: str, message_sid: str) -> AsyncIterator[DeliveryReceipt]:
        """All receipts of a message, page by page."""
        pattern = self._session.configuration.links.messages_receipts
        url = pattern.replace("%s", segment(conversation_sid), 1).replace("%s", segment(message_sid), 1)
        params: dict[str, str] = {}
        trail = Trail()
        while True:
            page = await self._session.calls.get(url, _Receipts, params)
            for receipt in page.delivery_receipts:
                yield receipt
            if not trail.leads_on(page.meta.next_token):
                return
            params = {"PageToken": page.meta.next_token or ""}

    async def channel_metadata(self, conversation_sid: str, message_sid: str) -> ChannelMetadata | None:
        """What the channel told; None when it told nothing."""
        if message_sid not in self._metadata:
            url = self._session.conversation_url(conversation_sid, "Messages", message_sid, "ChannelMetadata")
            try:
                told: ChannelMetadata | None = await self._session.calls.get(url, ChannelMetadata)
            except NotFoundError as error:
                if error.code != NO_METADATA:
                    raise
                told = None
            _keep(self._metadata, message_sid, told, METADATA_KEPT)
            return told
        self._metadata.move_to_end(message_sid)
        return self._metadata[message_sid]

    async def recipients(self, conversation_sid: str, message_sid: str) -> list[RecipientDescriptor]:
        """To whom an e-mail went, and from whom."""
        if message_sid not in self._recipients:
            url = self._session.conversation_url(conversation_sid, "MessageRecipients")
            page = await self._session.calls.get(url, _Recipients, {"MessageSid": message_sid})
            found = [_recipient(told) for told in page.message_recipients]
            if found:
                _keep(self._recipients, message_sid, found, RECIPIENTS_KEPT)
            return list(found)
        self._recipients.move_to_end(message_sid)
        return list(self._recipients[message_sid])

    async def all_recipients(self, conversation_sid: str, page_size: int = 50) -> AsyncIterator[RecipientDescriptor]:
        """The recipients of all messages of a conversation; a page has those of so many messages."""
        url = self._session.conversation_url(conversation_sid, "MessageRecipients")
        params = {"PageSize": str(page_size)}
        trail = Trail()
        while True:
            page = await self._session.calls.get(url, _Recipients, params)
            for told in page.message_recipients:
                yield _recipient(told)
            if not trail.leads_on(page.meta.next_token):
                return
            params = {"PageSize": str(page_size), "PageToken": page.meta.next_token or ""}


def _recipient(told: dict[str, Any]) -> RecipientDescriptor:
    type_ = str(told.get("type", "unknown"))
    if type_ != "email":
        return RecipientDescriptor(message_sid=str(told.get("message_sid", "")), type=type_, raw_data=told)
    return RecipientDescriptor(
        message_sid=str(told.get("message_sid", "")),
        type=type_,
        level=told.get("level"),
        name=told.get("name"),
        address=told.get("address"),
        raw_data=told,
    )


def _keep(kept: OrderedDict[str, Any], key: str, value: Any, most: int) -> None:
    """Those that nobody has asked for the longest go first."""
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
