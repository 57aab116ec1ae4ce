"""A mail as a message of a person, as reports, or as nothing of interest (gateways 8.6). Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from tertulia.server.domain import limits
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.domain.mail_threads import ATTRIBUTE, provider_name
from tertulia.wire.sids import CONVERSATION, MESSAGE

from .address_lists import Named, named_in
from .believing import Belief, belief_in
from .bodies import Bodies
from .charsets import header_text
from .codes import Codes
from .composing import HOPS, LOOP
from .mailboxes import Known, known, message_ids, name_of, spelled, tag_of
from .mime import Part, read
from .notifications import is_report, reports_in
from .settings import OnFailure

REFERENCES: Final = 50
TEXT_CHARS: Final = limits.MESSAGE_BODY + 1
"""Of its words; that there are more than a message may have can be told by one of them."""
MAILBOXES: Final = 10
"""Addresses of ours that one mail is for, at most."""
MOST_RECEIVED: Final = 50
"""Servers that a mail has come through."""
MOST_HOPS: Final = 5
"""Servers like this one that have passed a message on."""
_TO_HEADERS: Final = ("delivered-to", "x-original-to", "envelope-to", "to", "cc")
_AUTOMATIC: Final = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply")
_BULK: Final = frozenset(("bulk", "list", "junk", "auto_reply"))


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader has to know of us."""

    senders: tuple[str, ...]
    reply_mailbox: str = ""
    bounce_mailbox: str = ""
    codes: Mapping[str, int] = {}
    """What the numbers of mail servers mean, where it is not what they usually do."""
    trusted_server: str = ""
    """Whose word counts on who has sent a mail; empty: nobody's, and who it says is believed."""
    on_failure: OnFailure = OnFailure.MARK

    def takes(self, address: str) -> bool:
        """Whether mail to this address is for us."""
        if known([address], self.senders, self.reply_mailbox):
            return True
        bounces = known([address], (), self.bounce_mailbox)
        return any(one.sid is not None and not one.sid.startswith(CONVERSATION) for one in bounces)


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A mail as it came. Printed without it."""

    data: bytes
    sender: str | None = None
    """What the server that brought it says; empty for a report of a mail server. None: nobody says."""
    recipients: tuple[str, ...] = ()
    """The same."""
    is_cut: bool = False
    """There was more of it."""

    def __repr__(self) -> str:
        return f"Delivered({len(self.data)} bytes, ***)"


class Ignored(msgspec.Struct, frozen=True):
    """Nothing that belongs in a conversation."""

    why: str
    """A sentence of ours, without anything of the mail."""
    is_refused: bool = False
    """Whoever brings it may be told so."""


class _For(msgspec.Struct, frozen=True):
    """An address of ours that a mail is for, and what in it is about the conversation there."""

    mailbox: str
    answers: tuple[str, ...]
    conversation_sid: str | None


def read_mail(mail: Delivered, ours: Ours) -> tuple[Incoming, ...] | tuple[Report, ...] | Ignored:
    """What it says, to each address of ours that it is for. There is none that cannot be read."""
    whole = read(mail.data)
    to = [*mail.recipients, *(one.address for name in _TO_HEADERS for one in _named(whole, name))]
    if is_report(whole):
        return reports_in(whole, to, Codes(ours.codes)) or Ignored("a report of nothing of ours")
    sender = next(iter(_named(whole, "from")), None)
    if sender is None:
        return Ignored("it names no sender")
    if (why := _why_automatic(whole, mail.sender, sender, ours)) is not None:
        return Ignored(why)
    belief = belief_in(whole, ours.trusted_server, sender.address.rpartition("@")[2]) if ours.trusted_server else None
    if belief is Belief.FAIL and ours.on_failure is OnFailure.REFUSE:
        return Ignored("it is not from whom it says", is_refused=True)
    # Of a mail that is brought to some of them here, the others get theirs when it is brought to them.
    found = known(mail.recipients, ours.senders, ours.reply_mailbox) or known(to, ours.senders, ours.reply_mailbox)
    if not found and not mail.recipients and len(ours.senders) == 1:
        found = [Known(ours.senders[0], None)]  # who was written to is not said: a blind copy, or a list
    if not found:
        return Ignored("it is for no address of ours")
    name, bodies = _name(whole, mail.data), Bodies(whole)
    subject, media = header_text(whole.header("subject")), tuple(bodies.media())
    about = _attributes(_hops(whole), belief if ours.on_failure is not OnFailure.ACCEPT else None)
    return tuple(
        Incoming(
            provider_id=provider_name(name, one.mailbox),
            sender=sender.address,
            recipient=one.mailbox,
            text=bodies.reply[:TEXT_CHARS] or None,
            media=media,
            subject=subject or None,
            profile_name=sender.name,
            answers=one.answers,
            conversation_sid=one.conversation_sid,
            is_incomplete=mail.is_cut or whole.is_cut or bodies.is_cut,
            attributes=about,
        )
        for one in _mailboxes(found, ours, _answers(whole))
    )


def _named(whole: Part, header: str) -> list[Named]:
    return [one for value in whole.all(header)[:10] for one in named_in(value)]


def _mailboxes(found: Sequence[Known], ours: Ours, answered: Sequence[tuple[str, str]]) -> list[_For]:
    """The addresses of ours that it came to: rather senders than the mailbox that takes answers for all of them.

    What it answers was sent from one of them, and is about the conversation there alone.
    """
    mailboxes = list(dict.fromkeys(one.address for one in found if one.address in ours.senders))[:MAILBOXES]
    mailboxes = mailboxes or [found[0].address]
    of_tag = {tag_of(one): one for one in mailboxes}
    main = next((of_tag[tag] for _, tag in answered if tag in of_tag), mailboxes[0])
    answers: dict[str, dict[str, None]] = {one: {} for one in mailboxes}
    for sid, tag in answered:
        answers[of_tag.get(tag, main)][sid] = None
    conversations: dict[str, str] = {}
    for known_one in found:
        if known_one.sid is not None and known_one.sid.startswith(CONVERSATION):
            at = known_one.address if known_one.address in answers else main
            conversations.setdefault(at, known_one.sid)
    return [_For(one, tuple(answers[one]), conversations.get(one)) for one in mailboxes]


def _hops(whole: Part) -> int:
    said = whole.header(HOPS.lower()).strip()
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 4 else 0


def _attributes(hops: int, belief: Belief | None) -> Mapping[str, Any]:
    """What the message says of the mail: how often servers like this one have passed it on, and who vouches for it."""
    about: dict[str, Any] = {}
    if belief is not None:
        about["dmarc"] = belief.value
    if hops:
        about["hops"] = hops
    return {ATTRIBUTE: about} if about else {}


def _why_automatic(whole: Part, envelope_sender: str | None, sender: Named, ours: Ours) -> str | None:
    """Why it is no person's: answering such mail makes two machines talk to each other for ever (RFC 3834)."""
    submitted = whole.header("auto-submitted").partition(";")[0].partition("(")[0].strip().lower()
    if submitted not in ("", "no"):
        return "a program has sent it"
    if whole.header("precedence").strip().lower() in _BULK:
        return "it was sent to many"
    if any(whole.header(name).strip().lower() not in ("", "no") for name in _AUTOMATIC):
        return "a program has answered"
    if _hops(whole) > MOST_HOPS or len(whole.all("received")) > MOST_RECEIVED:
        return "it has been passed on too often"
    if sender.address.partition("@")[0].casefold() == "mailer-daemon":
        return "a mail server has sent it"
    if envelope_sender == "" or whole.header("return-path").strip() == "<>":
        return "it must not be answered"
    mailboxes = {spelled(one) for one in (*ours.senders, ours.reply_mailbox, ours.bounce_mailbox) if one}
    if spelled(sender.address) in mailboxes:
        return "it comes from an address of ours"
    if any(spelled(one.address) in mailboxes for one in _named(whole, LOOP.lower())):
        return "it is ours, and came back"
    own = whole.header("message-id")
    domain = own.strip().strip("<>").rpartition("@")[2].casefold()
    if name_of(own) is not None and domain in {one.rpartition("@")[2] for one in mailboxes}:
        return "it is ours, and came back"
    return None


def _name(whole: Part, data: bytes) -> str:
    """What a repeat is known by: its ``Message-ID``, else its bytes."""
    return next(iter(message_ids(whole.header("message-id"), 1)), "") or f"sha256:{hashlib.sha256(data).hexdigest()}"


def _answers(whole: Part) -> list[tuple[str, str]]:
    """Messages of ours that it answers, the likeliest first, each with the tag of the mail."""
    ids: Iterable[str] = message_ids(whole.header("in-reply-to"), REFERENCES)
    ids = [*ids, *reversed(message_ids(whole.header("references"), REFERENCES))]
    names = (name.partition(".") for one in ids if (name := name_of(one)) is not None)
    return [(sid, tag) for sid, _, tag in names if sid.startswith(MESSAGE)]
