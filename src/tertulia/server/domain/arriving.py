"""What an adapter has read, made fit to be kept; what a message then says of what it has lost (semantics 4.8).

Adapters pass on what strangers have written: nothing here trusts a length, a name or a character of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from . import limits
from .addresses import EMAIL, SMS, canonical, kind_of
from .arrivals import Arrival, ArrivalContent, ArrivedFile, ArrivedPart, Arriving
from .channels import Incoming, IncomingMedia, Part
from .errors import MEDIA_SIZE, MEDIA_TYPE, TertuliaError
from .media import MediaCategory, media_type
from .values import check_attributes

PROVIDER_ID_CHARS: Final = 998
"""The longest line of a mail: answers name its ``Message-ID``, which must not become a digest."""
OTHERS: Final = 50
"""Recipients of one message, at most; a group text has ten."""
ANSWERS: Final = 50
REFERENCE_CHARS: Final = 4096
FILES: Final = 20
"""Files of one arrival that are remembered, bodies of an e-mail among them; the rest are lost."""
UNFETCHABLE: Final = 11200
"""The code of a file that could not be fetched (semantics 4.11)."""
NOTES: Final = "channel"
"""The attribute that says what a message from outside has lost on its way."""
MISSING: Final = "[…]"
"""Stands where parts of a message are missing."""
MOST_PARTS: Final = 255
_REFERENCE: Final = re.compile(r"[!-~]{1,64}")
_UNKNOWN_TYPE: Final = "application/octet-stream"

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNKEPT: Final = re.compile(r"[\x00\ud800-\udfff]")


class Bounds(msgspec.Struct, frozen=True):
    """What the files of one message may have."""

    files: int
    each: int
    """Bytes of one."""
    together: int


_MEGABYTE: Final = 1 << 20
_BOUNDS: Final[Mapping[str, Bounds]] = {
    SMS: Bounds(10, 2 * _MEGABYTE, 5 * _MEGABYTE),
    "whatsapp": Bounds(1, 16 * _MEGABYTE, 16 * _MEGABYTE),
    EMAIL: Bounds(limits.MEDIA_OF_A_MESSAGE, limits.MEDIA_BYTES, limits.MEDIA_BYTES),
}
_OTHER_BOUNDS: Final = Bounds(limits.MEDIA_OF_A_MESSAGE, 25 * _MEGABYTE, 25 * _MEGABYTE)
"""UNVERIFIED: Messenger's; nothing is published for the others."""


def bounds_of(kind: str) -> Bounds:
    """What a message to an address of this kind may bring (semantics 4.8)."""
    return _BOUNDS.get(kind, _OTHER_BOUNDS)


def arriving_of(incoming: Incoming, sid: str, blobs: Sequence[str | None]) -> Arriving | None:
    """The arrival as it is kept; None for one without addresses or a name, which can belong nowhere.

    ``blobs`` are the keys of the bytes in hand, one for each of its first ``FILES`` files, None for those without.
    """
    sender, recipient = canonical(incoming.sender.strip()), canonical(incoming.recipient.strip())
    if incoming.part is not None and not 1 <= incoming.part.number <= incoming.part.total <= MOST_PARTS:
        incoming = msgspec.structs.replace(incoming, part=None)
    if not incoming.provider_id or not _is_address(sender) or not _is_address(recipient):
        return None
    bounds = bounds_of(kind_of(recipient))
    text, is_cut = _text(incoming.text) if incoming.text and incoming.part is None else (None, False)
    subject = _UNPRINTABLE.sub(" ", incoming.subject).strip() if incoming.subject else ""
    profile_name = _UNPRINTABLE.sub(" ", incoming.profile_name).strip() if incoming.profile_name else ""
    attributes = _attributes(incoming.attributes)
    others = dict.fromkeys(canonical(other.strip()) for other in incoming.others)
    content = ArrivalContent(
        text=text or None,
        subject=subject[: limits.SUBJECT_CHARS] or None,
        profile_name=profile_name[: limits.FRIENDLY_NAME_CHARS] or None,
        others=tuple(one for one in others if _is_address(one) and one not in (sender, recipient))[:OTHERS],
        files=tuple(_file(*pair, bounds) for pair in zip(incoming.media[:FILES], blobs, strict=True)),
        answers=incoming.answers[:ANSWERS],
        conversation_sid=incoming.conversation_sid,
        attributes=attributes or "{}",
        is_incomplete=incoming.is_incomplete,
        part=_part(incoming.part, incoming.text or ""),
        is_cut=is_cut or len(subject) > limits.SUBJECT_CHARS or attributes is None or len(incoming.media) > FILES,
    )
    return Arriving(
        sid=sid,
        provider_id=known_as(incoming.provider_id),
        sender=sender,
        recipient=recipient,
        content=content,
        keyword=incoming.keyword,
    )


def whole_of(parts: Sequence[Arrival], sid: str) -> Arriving:
    """The message that these parts make, in whatever order they came; of two with one number the later counts.

    Where some are missing it says so. At least one is there.
    """
    found: dict[int, ArrivedPart] = {}
    for one in sorted(parts, key=lambda one: (one.created_at, one.sid)):
        if one.content is not None and one.content.part is not None:
            found[one.content.part.number] = one.content.part
    total = max(part.total for part in found.values())
    pieces: list[bytes] = []
    for number in range(1, total + 1):
        if number in found:
            pieces.append(found[number].words)
        elif number - 1 in found or number == 1:
            pieces.append(MISSING.encode("utf-16-be"))
    text, is_cut = _text(b"".join(pieces).decode("utf-16-be", "replace"))
    first = min(parts, key=lambda one: (one.created_at, one.sid))
    content = ArrivalContent(text=text or None, is_incomplete=len(found) < total, is_cut=is_cut)
    return Arriving(
        sid=sid, provider_id=f"parts {first.sid}", sender=first.sender, recipient=first.recipient, content=content
    )


def are_whole(parts: Sequence[Arrival]) -> bool:
    """Whether all parts of a message have come."""
    found = [one.content.part for one in parts if one.content is not None and one.content.part is not None]
    return bool(found) and {part.number for part in found} == set(range(1, found[0].total + 1))


def known_as(provider_id: str) -> str:
    """The provider's name for a message as it is remembered: a long or odd one by its digest."""
    if len(provider_id) <= PROVIDER_ID_CHARS and not _UNPRINTABLE.search(provider_id):
        return provider_id
    return f"sha256:{hashlib.sha256(provider_id.encode('utf-8', 'surrogatepass')).hexdigest()}"


def digest_of(content: ArrivalContent) -> str:
    """The same for copies of one message: what it says, and which files it has."""
    said = [content.text, content.subject, [[file.content_type, file.filename] for file in content.files]]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def noted_attributes(content: ArrivalContent, lost: Sequence[ArrivedFile]) -> str:
    """The attributes of its message: what the adapter gives, and what was lost on the way.

    Where both are too long together, the notes stay.
    """
    notes: dict[str, Any] = {}
    if content.is_incomplete:
        notes["incomplete"] = True
    if content.is_cut:
        notes["cut"] = True
    if lost:
        notes["lost_media"] = [{"content_type": file.content_type, "error_code": file.error_code} for file in lost]
    if not notes:
        return content.attributes
    given: dict[str, Any] = msgspec.json.decode(content.attributes, type=dict[str, Any])
    text = msgspec.json.encode({**given, NOTES: notes}).decode()
    if len(text.encode()) <= limits.MESSAGE_ATTRIBUTES:
        return text
    return msgspec.json.encode({NOTES: {**notes, "cut": True}}).decode()


def _is_address(text: str) -> bool:
    return 0 < len(text) <= limits.ADDRESS_CHARS and not _UNPRINTABLE.search(text)


def _cut(text: str) -> tuple[str, bool]:
    """As much of the text as a message may have, and whether that is not all."""
    data = text.encode()
    if len(data) <= limits.MESSAGE_BODY:
        return text, False
    return data[: limits.MESSAGE_BODY].decode(errors="ignore"), True


def _text(text: str) -> tuple[str, bool]:
    return _cut(_UNKEPT.sub("", text))


def _part(part: Part | None, text: str) -> ArrivedPart | None:
    if part is None:
        return None
    reference = part.reference
    if not _REFERENCE.fullmatch(reference):
        reference = hashlib.sha256(reference.encode("utf-8", "surrogatepass")).hexdigest()
    return ArrivedPart(
        number=part.number,
        total=part.total,
        reference=reference,
        words=text.encode("utf-16-be", "surrogatepass")[: limits.MESSAGE_BODY],
    )


def _attributes(given: Mapping[str, Any]) -> str | None:
    """As JSON; None where a message cannot have them."""
    try:
        text = msgspec.json.encode(given).decode()
        check_attributes(text, limits.MESSAGE_ATTRIBUTES - 256)  # notes may have to stand beside them
    except (TertuliaError, TypeError, UnicodeEncodeError, RecursionError):
        return None
    return text


def _file(media: IncomingMedia, blob: str | None, bounds: Bounds) -> ArrivedFile:
    category = media.category.value
    error_code = 0
    try:
        content_type = media_type(media.content_type, category)
    except TertuliaError:
        content_type = _UNKNOWN_TYPE
        if media.category is not MediaCategory.MEDIA:
            error_code = MEDIA_TYPE.code
    filename = _UNPRINTABLE.sub("", media.filename)[-limits.FILENAME_CHARS :] if media.filename else None
    reference = media.reference if media.reference and not _UNKEPT.search(media.reference) else None
    if blob is None and media.content is not None and not 0 < len(media.content) <= bounds.each:
        reference, error_code = None, error_code or MEDIA_SIZE.code
    elif blob is None and (reference is None or len(reference) > REFERENCE_CHARS):
        reference, error_code = None, error_code or UNFETCHABLE
    return ArrivedFile(
        content_type=content_type,
        filename=filename or None,
        category=category,
        reference=reference if blob is None else None,
        blob=blob,
        size=media.size,
        error_code=error_code,
    )


def measured(files: Sequence[ArrivedFile], kind: str) -> list[ArrivedFile]:
    """The files as they may be fetched: those beyond the number that a message of the kind has are lost."""
    bounds, count = bounds_of(kind), 0
    kept: list[ArrivedFile] = []
    for file in files:
        is_one = file.category == MediaCategory.MEDIA
        count += is_one
        is_beyond = is_one and count > bounds.files
        is_large = file.size is not None and file.size > bounds.each
        if not file.error_code and (is_beyond or is_large):
            file = msgspec.structs.replace(file, error_code=MEDIA_SIZE.code)
        kept.append(file)
    return kept
