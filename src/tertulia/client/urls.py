"""Where a server is: from the one URL of the configuration."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from . import arguments
from .errors import InvalidArgumentError

SOCKET_PATH: Final = "/v3/wsconnect"

_SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_HTTP_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def socket_url(server_url: str) -> str:
    """The URL of the socket; one that is such is taken as it is. Raises ``InvalidArgumentError``."""
    parts = _split(server_url)
    path = parts.path.rstrip("/")
    if parts.scheme in ("http", "https") or not path:
        path += SOCKET_PATH
    return urlunsplit((_SOCKET_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


def base_url(server_url: str) -> str:
    """What paths of the client API are appended to: no slash at its end. Raises ``InvalidArgumentError``."""
    parts = _split(server_url)
    path = parts.path.rstrip("/").removesuffix(SOCKET_PATH)
    return urlunsplit((_HTTP_SCHEMES[parts.scheme], parts.netloc, path, "", ""))


def segment(text: str) -> str:
    """A text as one part of a path, whatever it is. Raises ``InvalidArgumentError`` for what is no text."""
    if not is_text(arguments.text(text, "a SID, a name or an identity", may_be_empty=True)):
        raise InvalidArgumentError("a name has a surrogate in it")
    # Dots alone would lead elsewhere.
    return quote(text, safe="") if text.strip(".") else "%2E" * len(text)


def is_text(text: str) -> bool:
    """Whether it can be written: what has lone surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _split(server_url: str) -> SplitResult:
    arguments.text(server_url, "server_url")
    try:
        parts = urlsplit(server_url)
        _ = parts.port
    except ValueError:
        raise InvalidArgumentError("server_url is no URL: its host or its port is none") from None
    if parts.scheme not in _SOCKET_SCHEMES or not parts.hostname:
        raise InvalidArgumentError("server_url is like https://chat.example, or wss://chat.example/v3/wsconnect")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise InvalidArgumentError("the host of server_url is no name of a host") from None
    if parts.username or parts.password:
        raise InvalidArgumentError("server_url has no user and no password: tokens say who one is")
    return parts
