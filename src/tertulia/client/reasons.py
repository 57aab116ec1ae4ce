"""Why something failed, as a log may say it: never a token, a message, or words of a server that may hold one."""

from __future__ import annotations

from .errors import ConversationsError


def reason(error: BaseException | None) -> str:
    """What is known to be ours to tell: of a server's refusal its numbers, of what others raise its kind."""
    if error is None:
        return "it is not known why"
    kind = type(error).__name__
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    if isinstance(status, int):
        return f"{kind} {status}" if code is None else f"{kind} {status}/{code}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, ConversationsError) and str(error) else kind
