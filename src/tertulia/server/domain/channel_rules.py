"""What is sent of a message on a channel, and to whom; or why nothing is (semantics 4.5 to 4.11). Pure.

What a channel cannot carry is decided here: its adapter is never given it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from .addresses import EMAIL, SMS
from .attachments import parts_of
from .channel_messages import (
    INVALID_NUMBER,
    LARGE_MEDIA,
    MEDIA_FETCH,
    NO_SENDER,
    OPTED_OUT,
    OUTSIDE_WINDOW,
    TOO_LONG,
    UNKNOWN_ERROR,
    WRONG_MEDIA,
    ChannelRecord,
    Failures,
)
from .channels import Capabilities, Envelope, MessageTemplate
from .content import ApprovalStatus, Content
from .conversations import Conversation
from .mail_threads import Earlier, automatic_envelope, envelope_of
from .media import Media, MediaCategory
from .messages import Message
from .rendering import media_urls

ANY_TYPE: Final = "*/*"
URL: Final = "{url}"
WORDS_DROPPED: Final = (SMS, "whatsapp")
"""Where a file goes without words in the strict way (semantics 4.8)."""

_MICROSECOND: Final = timedelta(microseconds=1)
_variables: Final = msgspec.json.Decoder(dict[str, str]).decode


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient, as he stands when it is sent. Printed without his address."""

    participant_sid: str
    address: str
    is_member: bool = True
    """He takes part still."""
    is_copy: bool = False
    """Of level ``cc``."""
    is_opted_out: bool = False
    is_ours: bool = False
    """His address is a sender of the account: what it hears comes back to us."""
    heard_at: int | None = None
    """When he last wrote to the sender."""

    def __repr__(self) -> str:
        return f"Person({self.participant_sid}, ***)"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to decide about. Printed without content."""

    record: ChannelRecord
    is_ours: bool
    """The sender is one of ours; while an account has none, every address is."""
    people: tuple[Person, ...] = ()
    """Of what is no message of a conversation nobody: its recipient asked for it."""
    message: Message | None = None
    """None: it is gone, or there never was one."""
    conversation: Conversation | None = None
    files: tuple[Media, ...] = ()
    """Those of the message that may be had, in its order."""
    content: Content | None = None
    """The template it was made from, as it is now."""
    earlier: tuple[Earlier, ...] = ()
    """Of an e-mail: the messages before it, the newest first."""

    def __repr__(self) -> str:
        return f"Case({self.record.sid}, ***)"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator has decided."""

    media_keep_body: bool = True
    """A file takes its words along, where the channel has captions."""
    media_text: str = ""
    """Said in place of files that cannot be carried; ``{url}`` in it is where the first can be fetched."""


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent. Printed without addresses and content."""

    recipients: tuple[str, ...]
    text: str | None
    """Of a template what it says in plain words."""
    media: tuple[Media, ...] = ()
    urls: tuple[str, ...] = ()
    """Files of others, of a template: sent if all of them can be had."""
    stand_in: str | None = None
    """What is said without them; None where that is too long."""
    template: MessageTemplate | None = None
    envelope: Envelope | None = None
    html: Media | None = None
    """Of an e-mail: the file that is its body for who can show it."""
    is_within_window: bool = True
    failures: Failures = ()
    """Who does not get it."""

    def __repr__(self) -> str:
        return f"Decided({len(self.recipients)} people, ***)"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is sent."""

    code: int
    why: str
    """A sentence of ours, without content."""
    failures: Failures = ()
    """Whose receipts have codes of their own."""
    is_withdrawn: bool = False


class _Body(msgspec.Struct, frozen=True):
    """What a message says on a channel."""

    text: str | None
    media: tuple[Media, ...] = ()
    urls: tuple[str, ...] = ()
    stand_in: str | None = None
    template: MessageTemplate | None = None


def decide_reply(case: Case, text: str, capabilities: Capabilities) -> Decided | Refusal:
    """Of what is no message of a conversation: neither window nor opt-out is in its way, as it was asked for."""
    if not case.is_ours:
        return Refusal(code=NO_SENDER, why=NO_SENDER_WHY)
    if len(text) > capabilities.text_chars:
        return Refusal(code=TOO_LONG, why=_too_long(capabilities))
    envelope = automatic_envelope() if case.record.kind == EMAIL else None
    return Decided(recipients=case.record.recipients, text=text, envelope=envelope)


def decide(
    case: Case, capabilities: Capabilities, options: Options, now: int, link: Callable[[Media], str]
) -> Decided | Refusal:
    """Of a message of a conversation; ``link`` makes the URL of a file."""
    record, message = case.record, case.message
    if message is None:
        return Refusal(code=UNKNOWN_ERROR, why="the message was removed meanwhile", is_withdrawn=True)
    if not case.is_ours or not record.sender:
        return Refusal(code=NO_SENDER, why=NO_SENDER_WHY)
    template = _template(case.content, message, capabilities)
    reached, failures = _sorted_out(case, capabilities, now, has_template=template is not None and bool(template.name))
    if not reached:
        is_withdrawn = not any(person.is_member for person in case.people)
        why = "who was to have it takes no part any more" if is_withdrawn else "nobody may be sent it"
        code = failures[0][1] if failures else UNKNOWN_ERROR
        return Refusal(code=code, why=why, failures=failures, is_withdrawn=is_withdrawn)
    if record.kind == SMS and record.participant_sid is None and not capabilities.has_groups:
        return Refusal(code=UNKNOWN_ERROR, why="its gateway has no group texts", failures=failures)
    html = _html(case.files) if record.kind == EMAIL else None
    body = _Body(message.body, template=template)
    if template is None:
        body = _body(case, message, capabilities, options, link)
        if body.text is not None and len(body.text) > capabilities.text_chars:
            return Refusal(code=TOO_LONG, why=_too_long(capabilities), failures=failures)
        if not (body.text or body.media or body.urls) and html is None:
            return Refusal(code=_why_nothing(case, message, capabilities), why=NOTHING_LEFT, failures=failures)
    to = tuple(person.address for person in reached if not person.is_copy)
    copies = tuple(person.address for person in reached if person.is_copy)
    envelope = None
    if record.kind == EMAIL:
        envelope = envelope_of(message, case.conversation, case.earlier, copies if to else ())
    return Decided(
        recipients=(to or copies) if record.kind == EMAIL else (*to, *copies),
        text=body.text or None,
        media=body.media,
        urls=body.urls,
        stand_in=body.stand_in,
        template=template,
        envelope=envelope,
        html=html,
        is_within_window=all(_is_within(person, capabilities, now) for person in reached),
        failures=failures,
    )


NO_SENDER_WHY: Final = "there is no address of ours to send it from"
NOTHING_LEFT: Final = "it has nothing that this channel can carry"


def _too_long(capabilities: Capabilities) -> str:
    return f"it is longer than {capabilities.text_chars} characters"


# --- who


def _sorted_out(
    case: Case, capabilities: Capabilities, now: int, *, has_template: bool
) -> tuple[list[Person], Failures]:
    """Who gets it, and why the others do not."""
    reached: list[Person] = []
    failures: list[tuple[str, int]] = []
    for person in case.people:
        code = _why_not(person, capabilities, now, has_template=has_template)
        if code:
            failures.append((person.participant_sid, code))
        else:
            reached.append(person)
    return reached, tuple(failures)


def _why_not(person: Person, capabilities: Capabilities, now: int, *, has_template: bool) -> int:
    if not person.is_member:
        # UNVERIFIED: which code. What was promised before he was removed is not sent any more.
        return UNKNOWN_ERROR
    if person.is_ours:
        return INVALID_NUMBER
    if person.is_opted_out:
        # Whoever reads the words now: they were said to this sender.
        return OPTED_OUT
    return 0 if has_template or _is_within(person, capabilities, now) else OUTSIDE_WINDOW


def _is_within(person: Person, capabilities: Capabilities, now: int) -> bool:
    if capabilities.window is None:
        return True
    return person.heard_at is not None and now - person.heard_at < capabilities.window // _MICROSECOND


# --- what


def _template(content: Content | None, message: Message, capabilities: Capabilities) -> MessageTemplate | None:
    if content is None or not capabilities.has_templates:
        return None
    approval = content.approval
    if approval is not None and approval.status is ApprovalStatus.APPROVED:
        name, kind = approval.name, approval.content_type
    elif capabilities.has_free_form:
        name, kind = "", content.types.richest
    else:
        return None
    part = content.types.get(kind)
    if part is None:
        return None
    return MessageTemplate(
        name=name,
        language=content.language,
        type=kind,
        content=msgspec.json.decode(msgspec.json.encode(part)),
        variables={**content.variables, **_variables(message.content_variables or "{}")},
    )


def _body(
    case: Case, message: Message, capabilities: Capabilities, options: Options, link: Callable[[Media], str]
) -> _Body:
    """Of a message that is no template: files that the channel carries, else words in their place."""
    keeps_words = options.media_keep_body or case.record.kind not in WORDS_DROPPED
    words = message.body if keeps_words and capabilities.has_captions else None
    if not _has_files(message):
        return _of_others(case.content, message, capabilities, words)
    files = [one for one in case.files if one.category == MediaCategory.MEDIA]
    carried = tuple(
        [one for one in files if carries(capabilities, one.content_type, one.size)][: capabilities.media_count]
    )
    if carried:
        return _Body(words, carried)
    instead = ""
    if options.media_text and (files or URL not in options.media_text):
        instead = options.media_text.replace(URL, link(files[0]) if files else "")
    return _Body("\n".join(line for line in (message.body, instead) if line))


def _of_others(content: Content | None, message: Message, capabilities: Capabilities, words: str | None) -> _Body:
    """Of a message without files of its own: those that its template names, else where they are; else its words."""
    urls = () if content is None else media_urls(content, _variables(message.content_variables or "{}"))
    if not urls:
        return _Body(message.body)
    said = "\n".join(line for line in (message.body, *urls) if line)
    if not capabilities.media_types:
        return _Body(said)
    stand_in = said if len(said) <= capabilities.text_chars else None
    return _Body(words, urls=urls[: capabilities.media_count], stand_in=stand_in)


def _has_files(message: Message) -> bool:
    return any(part.category == MediaCategory.MEDIA for part in parts_of(message.media))


def carries(capabilities: Capabilities, content_type: str, size: int) -> bool:
    """Whether a file of this type and size can be sent."""
    return _is_known(content_type, capabilities) and size <= capabilities.media_bytes


def _is_known(content_type: str, capabilities: Capabilities) -> bool:
    bare = content_type.partition(";")[0].strip().lower()
    return bare in capabilities.media_types or ANY_TYPE in capabilities.media_types


def _html(files: Sequence[Media]) -> Media | None:
    bodies = (one for one in files if one.category == MediaCategory.BODY and one.content_type == "text/html")
    return next(bodies, None)


def _why_nothing(case: Case, message: Message, capabilities: Capabilities) -> int:
    """The code of a message of which nothing is left."""
    if not _has_files(message):
        return UNKNOWN_ERROR
    files = [one for one in case.files if one.category == MediaCategory.MEDIA]
    if not files:
        return MEDIA_FETCH
    return LARGE_MEDIA if any(_is_known(one.content_type, capabilities) for one in files) else WRONG_MEDIA
