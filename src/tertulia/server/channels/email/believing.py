"""What a mail server that we trust says of who has sent a mail: ``Authentication-Results`` (RFC 8601). Pure.

Anybody can write such a header. That of the server which took the mail from the world stands above what came with it,
and bears a name that the server lets nobody else use.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from .mailboxes import spelled
from .mime import Part

_COMMENT: Final = re.compile(r"\([^()]*+\)")
_SERVER: Final = re.compile(r"\s*\"?([^\s\";]{1,253})\"?(?:\s+\d+)?\s*(?:;|$)")
_RESULT: Final = re.compile(r"\s*dmarc(?:\s*/\s*\d+)?\s*=\s*([a-z]+)\b", re.IGNORECASE)
_FROM: Final = re.compile(r"\bheader\.from\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_NESTED: Final = 3
"""Comments within comments that are passed over."""


class Belief(StrEnum):
    """Whether a mail is from whom it says (DMARC), in the words of a server that we trust."""

    PASS = "pass"  # noqa: S105 - no secret
    FAIL = "fail"
    NONE = "none"
    """It says nothing, or could not tell."""


def belief_in(mail: Part, server: str, domain: str) -> Belief:
    """What the server of this name says of mail from this domain.

    Its own headers stand together: what lies below the next ``Received`` was there before the server had the mail.
    """
    is_there = False
    for name, value in mail.headers:
        if name == "received" and is_there:
            break
        if name != "authentication-results":
            continue
        said = _without_comments(value)
        found = _SERVER.match(said)
        if found is None or found[1].casefold() != server.casefold():
            continue
        is_there = True
        for one in said[found.end() :].split(";"):
            result = _RESULT.match(one)
            if result is not None:
                about = _FROM.search(one)
                is_his = about is None or spelled(f"@{about[1].rpartition('@')[2]}") == spelled(f"@{domain}")
                return _BELIEFS.get(result[1].lower(), Belief.NONE) if is_his else Belief.NONE
    return Belief.NONE


_BELIEFS: Final = {"pass": Belief.PASS, "fail": Belief.FAIL}


def _without_comments(value: str) -> str:
    for _ in range(_NESTED):
        value = _COMMENT.sub(" ", value)
    return value
