"""The one way in which a command fails."""

from __future__ import annotations

from tertulia.cli.plain import plain


class CommandFailed(Exception):
    """A command could not do its work; the text is the one line to print."""


def because(error: BaseException) -> str:
    """What went wrong and why, in one line: the errors of the client, of the system, and ours; no others' texts.

    Words of a server among them are fit for a terminal.
    """
    from tertulia.client.errors import ConversationsError

    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        known = isinstance(cause, (ConversationsError, CommandFailed, OSError))
        text = str(cause) if known else type(cause).__name__
        if not text and isinstance(cause, TimeoutError):
            text = "no answer in time"
        text = plain(" ".join(text.split()))
        # Many a text ends with that of its cause.
        if text and not any(text in said for said in texts):
            texts.append(text)
        cause = cause.__cause__
    return ": ".join(texts) or type(error).__name__
