"""What is new in an answer, and what it quotes (semantics 4.8). Pure, and linear in its length.

The libraries for it try long patterns over and over; nothing here looks further than a few lines.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_QUOTED: Final = re.compile(r"\s{0,3}[>|]")
_WROTE: Final = re.compile(
    # How programs end the line before what they quote.
    r"(?:(?:schrieb|schreef|skrev)\b[^:]{0,80}|(?:wrote|writes|a écrit|escribió|ha scritto|escreveu|kirjoitti"
    r"|napisał\(?a?\)?|napsal\(?a?\)?|пише|написал\(?а?\)?|пишет|yazdı|írta"  # noqa: RUF001
    r"|έγραψε|写道|のメール|님이 작성)\s*)[:：]\s*$",  # noqa: RUF001
    re.IGNORECASE,
)
_BEGINS: Final = re.compile(r"\s{0,3}(?:On|Am|Le|El|Il|Em|Op|Den|Dne|W dniu|Στις|\d{4}|\d{1,2}[./])\b", re.IGNORECASE)
_RULE: Final = re.compile(
    r"\s{0,3}[-_=*]{2,}\s*(?:Original Message|Original-Nachricht|Ursprüngliche Nachricht|Message d'origine|Mensaje"
    r" original|Messaggio originale|Mensagem original|Oorspronkelijk bericht|Ursprungligt meddelande|Forwarded message"
    r"|Weitergeleitete Nachricht|Reply message|Исходное сообщение)\s*[-_=*]{2,}\s*",
    re.IGNORECASE,
)
_LINE: Final = re.compile(r"\s{0,3}_{20,}\s*")
_FIELD: Final = re.compile(
    r"[*\s]{0,4}(From|Von|De|Da|Van|Från|Fra|Od|От|Sent|Gesendet|Envoyé|Enviado|Inviato|Verzonden|Skickat|Date|Datum|Fecha"
    r"|Data|To|An|À|Para|A|Aan|Till|Til|Кому|Subject|Betreff|Objet|Asunto|Oggetto|Assunto|Onderwerp|Ämne|Тема)\s?[*:：]",  # noqa: RUF001
    re.IGNORECASE,
)
_FROM: Final = re.compile(r"[*\s]{0,4}(?:From|Von|De|Da|Van|Från|Fra|Od|От)\s?[*:：]", re.IGNORECASE)  # noqa: RUF001
NEAR: Final = 4
"""Lines that belong together at a cut."""
INTRODUCTIONS: Final = 20
"""Lines that are taken for one, at most."""
WORD_CHARS: Final = 120
MOST_CHARS: Final = 1 << 18
"""Of a text that is looked through; in a longer one nothing is split off."""


class Answer(NamedTuple):
    reply: str
    """What was written now."""
    history: str
    """What was there before; empty where nothing is quoted."""


def split(text: str) -> Answer:
    """An answer above what it quotes. Where words stand between quotations, or below them, nothing is split off."""
    lines = text.split("\n") if len(text) <= MOST_CHARS else []
    cut = _cut(lines)
    if cut is None:
        return Answer(_trimmed(text), "")
    reply = _trimmed("\n".join(lines[:cut]))
    if not reply:
        return Answer(_trimmed(text), "")  # nothing but a quotation: it was passed on as it is
    return Answer(reply, _trimmed("\n".join(lines[cut:])))


def _cut(lines: list[str]) -> int | None:
    """The line that the quotation begins with."""
    introduced = 0
    for number, line in enumerate(lines):
        if _RULE.fullmatch(line) or (_LINE.fullmatch(line) and _has_fields(lines, number + 1)):
            return number
        if _FROM.match(line) and _has_fields(lines, number):
            return number
        if introduced < INTRODUCTIONS and _WROTE.search(line[-WORD_CHARS:]):
            introduced += 1
            start = _introduction(lines, number)
            if _is_quoted_to_the_end(lines, number + 1, is_dated=_is_dated(lines[start : number + 1])):
                return start
    return _quoted_tail(lines)


def _has_fields(lines: list[str], at: int) -> bool:
    """A little head, as programs put before what they answer: three of its fields, in lines that follow closely."""
    near = [line for line in lines[at : at + 2 * NEAR] if line.strip()][: NEAR + 1]
    fields = {found[1].lower() for found in map(_FIELD.match, near) if found is not None}
    return len(fields) >= 3


def _introduction(lines: list[str], wrote: int) -> int:
    """Where the sentence begins that ends so; it may run over some lines."""
    for number in range(wrote, max(wrote - NEAR, -1), -1):
        if _BEGINS.match(lines[number]):
            return number
        if not lines[number].strip():
            break
    return wrote


def _is_dated(introduction: list[str]) -> bool:
    """It begins as programs begin such a sentence, and has a date, so that what follows need not be marked."""
    return bool(_BEGINS.match(introduction[0])) and any(map(str.isdigit, "".join(introduction)))


def _is_quoted_to_the_end(lines: list[str], at: int, *, is_dated: bool) -> bool:
    """Whether all that follows is a quotation; not where somebody answers below it, or in between."""
    rest = [line for line in lines[at:] if line.strip()]
    marks = [_QUOTED.match(line) is not None for line in rest]
    if not any(marks):
        return is_dated and bool(rest)
    return marks == sorted(marks, reverse=True) and _is_signature(rest[sum(marks) :])


def _quoted_tail(lines: list[str]) -> int | None:
    """Quoted lines at the end, without an introduction."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    start = end
    while start and (_QUOTED.match(lines[start - 1]) or not lines[start - 1].strip()):
        start -= 1
    while start < end and not lines[start].strip():
        start += 1
    return start if start < end else None


def _is_signature(lines: list[str]) -> bool:
    """A few words below a quotation that are no answer: after the line that signatures begin with."""
    return not lines or lines[0].rstrip() == "--"


def _trimmed(text: str) -> str:
    return re.sub(r"\A(?:[ \t]*\n)+", "", text).rstrip()
