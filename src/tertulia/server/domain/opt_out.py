"""What people tell a number of ours with one word: STOP, START, HELP (semantics 4.10)."""

from __future__ import annotations

import unicodedata
from typing import Final

import msgspec

from .channels import Keyword

STOP_WORDS: Final = ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
"""UNVERIFIED: the last two, which carriers demand since 2025."""
START_WORDS: Final = ("START", "YES", "UNSTOP")
HELP_WORDS: Final = ("HELP", "INFO")
ONLY_WHEN_OUT: Final = frozenset(("YES",))
"""Words that people use for other things: they count only from somebody who has opted out."""

WORD_CHARS: Final = 1000
"""No word is longer, with whatever stands invisibly in it."""
ANSWER_AGAIN_US: Final = 10 * 60 * 1_000_000
"""Within this time one number tells nobody the same again, whatever he writes to it."""

STOP_REPLY: Final = "You will get no more messages from this number. Reply START to get them again."
START_REPLY: Final = "You will get messages from this number again. Reply STOP to end them, HELP for help."
HELP_REPLY: Final = "Reply STOP to get no more messages from this number, START to get them again."


class Keywords(msgspec.Struct, frozen=True, kw_only=True):
    """The words that count, in upper case, and what they are answered with; an empty text: nothing."""

    stop: frozenset[str] = frozenset(STOP_WORDS)
    start: frozenset[str] = frozenset(START_WORDS)
    help: frozenset[str] = frozenset(HELP_WORDS)
    stop_reply: str = STOP_REPLY
    start_reply: str = START_REPLY
    help_reply: str = HELP_REPLY

    def reply(self, keyword: Keyword) -> str:
        """What whoever says it is told."""
        return {Keyword.STOP: self.stop_reply, Keyword.START: self.start_reply, Keyword.HELP: self.help_reply}[keyword]


def said(text: str | None, keywords: Keywords, *, is_out: bool) -> Keyword | None:
    """The keyword that a whole message is, in any case and with blanks around it; None for any other message.

    It is what a reader sees that counts: wide letters are letters, and what is invisible is not there. ``is_out`` says
    that its sender has opted out.
    """
    word = _seen(text or "")
    if word in keywords.stop:
        return Keyword.STOP
    if word in keywords.start:
        return None if word in ONLY_WHEN_OUT and not is_out else Keyword.START
    return Keyword.HELP if word in keywords.help else None


def _seen(text: str) -> str:
    if len(text) > WORD_CHARS:
        return ""
    plain = unicodedata.normalize("NFKC", text)
    return "".join(one for one in plain if unicodedata.category(one) != "Cf").strip().upper()
