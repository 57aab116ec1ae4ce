"""What proves that a callback comes from the provider, looked at over the bytes as they came."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

import msgspec

from tertulia.wire.requests import Request

from ..base import Forged
from .templates import in_text

PUBLIC_KEY_BYTES: Final = 32
SECOND_US: Final = 1_000_000
_MILLISECONDS: Final = 100_000_000_000
"""A time with more than this is one of milliseconds."""


class Proof(StrEnum):
    PATH = "path"
    """The secret is the first part of what follows the callback URL."""
    QUERY = "query"
    HEADER = "header"
    BASIC = "basic"
    HMAC = "hmac"
    ED25519 = "ed25519"
    JWT = "jwt"
    """A token signed with the secret (HS256), in which the body's hash is."""


class Digest(StrEnum):
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA512 = "sha512"


class Encoding(StrEnum):
    HEX = "hex"
    BASE64 = "base64"


class Proving(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback has to show. Printed without the secret."""

    proof: Proof
    secret: str = ""
    user: str = ""
    public_key: str = ""
    name: str = ""
    prefix: str = ""
    digest: Digest = Digest.SHA256
    encoding: Encoding = Encoding.HEX
    signed: str = "{body}"
    timestamp_name: str = ""
    replay_s: int = 300

    def __repr__(self) -> str:
        return f"Proving({self.proof}, ***)"


class Tokens(msgspec.Struct, frozen=True):
    """The claims that are looked at."""

    iat: float = 0
    payload_hash: str = ""


class _Header(msgspec.Struct, frozen=True):
    alg: str = ""


QUERY_FIELD: Final = "key"
_OVER_THE_BODY: Final = (Proof.HMAC, Proof.ED25519, Proof.JWT)


def is_public_key(text: str) -> bool:
    return len(_of_base64(text) or b"") == PUBLIC_KEY_BYTES


def ties_the_query(proving: Proving) -> bool:
    """Whether nobody can have put a query beside what was proved: a signature over the body alone lets him."""
    return proving.proof not in _OVER_THE_BODY or "{url}" in proving.signed


def _check_set(proving: Proving) -> None:
    """What nothing is set for cannot be proved."""
    if proving.proof is Proof.ED25519:
        if not proving.public_key:
            raise Forged("no key of the provider is set")
    elif not proving.secret:
        raise Forged("no secret for callbacks is set")


def proved(request: Request, url: str, proving: Proving, now_us: int) -> str:
    """What follows the callback URL; without the secret where that stands in it. Raises ``Forged``."""
    _check_set(proving)
    tail = request.path
    if proving.timestamp_name:
        _check_time(request.headers.get(proving.timestamp_name.lower(), ""), proving.replay_s, now_us)
    match proving.proof:
        case Proof.PATH:
            first, slash, rest = tail.removeprefix("/").partition("/")
            _check_same(unquote(first), proving.secret)
            return slash + rest
        case Proof.QUERY:
            _check_same(_one(request.query, proving.name or QUERY_FIELD), proving.secret)
        case Proof.HEADER:
            _check_same(_proof_in(request, proving), proving.secret)
        case Proof.BASIC:
            _check_basic(request, proving)
        case Proof.HMAC:
            _check_hmac(request, url, proving)
        case Proof.ED25519:
            _check_ed25519(request, url, proving)
        case Proof.JWT:
            _check_token(request, proving, now_us)
    return tail


def _check_same(given: str, secret: str) -> None:
    if not hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode()):
        raise Forged("the secret is another" if given else "there is no secret")


def _check_time(text: str, replay_s: int, now_us: int) -> None:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise Forged("there is no time")
    said = int(text)
    said_us = said * 1000 if said > _MILLISECONDS else said * SECOND_US
    if abs(now_us - said_us) > replay_s * SECOND_US:
        raise Forged("its time is too far away: it is a replay, or a clock is wrong")


def _check_basic(request: Request, proving: Proving) -> None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise Forged("there are no credentials")
    given = _of_base64(credentials.strip()) or b""
    if not hmac.compare_digest(given, f"{proving.user}:{proving.secret}".encode()):
        raise Forged("the credentials are others")


def _check_hmac(request: Request, url: str, proving: Proving) -> None:
    mac = hmac.digest(proving.secret.encode(), _signed(request, url, proving), proving.digest.value)
    given = _proof_in(request, proving)
    if proving.encoding is Encoding.HEX:
        is_same = hmac.compare_digest(given.lower().encode("utf-8", "replace"), mac.hex().encode())
    else:
        is_same = hmac.compare_digest(_of_base64(given) or b"", mac)
    if not is_same:
        raise Forged("the signature is another" if given else "there is no signature")


def _check_ed25519(request: Request, url: str, proving: Proving) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    given = _proof_in(request, proving)
    if not given:
        raise Forged("there is no signature")
    try:
        key = Ed25519PublicKey.from_public_bytes(_of_base64(proving.public_key) or b"")
        key.verify(_of_base64(given) or b"", _signed(request, url, proving))
    except (InvalidSignature, ValueError):
        raise Forged("the signature is another") from None


def _check_token(request: Request, proving: Proving, now_us: int) -> None:
    """A token as RFC 7515 has it, of the one kind that is expected."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    parts = token.strip().split(".")
    if scheme.lower() != "bearer" or len(parts) != 3 or not token.isascii():
        raise Forged("there is no token")
    mac = hmac.digest(proving.secret.encode(), ".".join(parts[:2]).encode(), "sha256")
    if not hmac.compare_digest(_of_base64(parts[2], is_for_urls=True) or b"", mac):
        raise Forged("the signature is another")
    try:
        header = msgspec.json.decode(_of_base64(parts[0], is_for_urls=True) or b"", type=_Header)
        claims = msgspec.json.decode(_of_base64(parts[1], is_for_urls=True) or b"", type=Tokens)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Forged("the token is none") from None
    if header.alg != "HS256":
        raise Forged("the token is of another kind")
    if abs(now_us - claims.iat * SECOND_US) > proving.replay_s * SECOND_US:
        raise Forged("its time is too far away: it is a replay, or a clock is wrong")
    # Without a body there is nothing to tie the token to.
    if request.body and not hmac.compare_digest(
        claims.payload_hash.lower().encode(), hashlib.sha256(request.body).hexdigest().encode()
    ):
        raise Forged("the body is another")


def _signed(request: Request, url: str, proving: Proving) -> bytes:
    timestamp = request.headers.get(proving.timestamp_name.lower(), "")
    before, mark, after = proving.signed.partition("{body}")
    said = {"timestamp": timestamp, "url": url}
    around = [in_text(part, said).encode("utf-8", "replace") for part in (before, after)]
    return around[0] + (request.body if mark else b"") + around[1]


def _proof_in(request: Request, proving: Proving) -> str:
    given = request.headers.get(proving.name.lower(), "")
    return given.removeprefix(proving.prefix) if given.startswith(proving.prefix) else ""


def _one(query: Mapping[str, list[str]], name: str) -> str:
    values = query.get(name, [])
    return values[0] if len(values) == 1 else ""


def _of_base64(text: str, *, is_for_urls: bool = False) -> bytes | None:
    try:
        raw = text.encode("ascii")
        if is_for_urls:
            return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
        return base64.b64decode(raw, validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return None
