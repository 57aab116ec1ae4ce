"""Access tokens: who may connect, as what, until when. Signed (JWT) or signed and encrypted (JWE).

``verify`` judges a token, ``mint`` and ``encrypt`` make one. The libraries that do the cryptography are heavy and
loaded when first needed. No text of a token ever gets into an exception. Source: semantics 3.1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

import msgspec

from tertulia.wire import base64url
from tertulia.wire.identities import IdentityRefused, check_identity

if TYPE_CHECKING:
    from joserfc.jwe import JWERegistry
    from joserfc.jwk import OctKey
    from joserfc.jws import JWSRegistry

CONTENT_TYPE: Final = "twilio-fpa;v=1"
ALGORITHMS: Final = ("HS256", "HS384", "HS512")

BAD_TOKEN: Final = 20101
BAD_HEADER: Final = 20102
BAD_ISSUER: Final = 20103
EXPIRED: Final = 20104
NOT_YET_VALID: Final = 20105
BAD_GRANTS: Final = 20106
BAD_SIGNATURE: Final = 20107
BAD_EXPIRY: Final = 20156
LIVES_TOO_LONG: Final = 20157

EXPIRED_MESSAGE: Final = "Access Token expired or expiration date invalid"

# Members that change what the rest means: none belongs into a token of this kind.
_FOREIGN_MEMBERS: Final = frozenset(("crit", "b64", "zip"))
_HKDF_INFO: Final = b"conversations access token"
_MAX_HEADER: Final = 4096

Keys = Callable[[str], tuple[str, str] | None]
"""From the SID of an API key to its account's SID and its secret; None unless the key is alive."""


class TokenRules(msgspec.Struct, frozen=True):
    """Which life spans a token may have, and how far clocks may differ."""

    min_ttl_s: float = 180
    max_ttl_s: float = 24 * 3600
    leeway_s: float = 30
    """For ``nbf`` and ``iat``; ``exp`` is exact."""


class Claims(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a token that passed says. Whether service and account are open to it is the caller's question (20403)."""

    identity: str
    account_sid: str
    service_sid: str
    key_sid: str
    expires_at: float
    """Unix seconds."""
    lifetime_s: float
    """From its issue or first validity, whichever is later, to its end; from now if it tells neither."""
    issued_at: float | None = None
    endpoint_id: str | None = None
    push_credential_sid: str | None = None
    deployment_role_sid: str | None = None


class TokenRefused(Exception):
    """The token is not good: HTTP-like ``status``, public error ``code``, and a ``message`` for the application."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def verify(token: str, keys: Keys, now_s: float, rules: TokenRules) -> Claims:
    """What a good token says, of either form; raises ``TokenRefused`` with the code of its first defect otherwise."""
    key_sid = None
    if token.count(".") == 4:
        key_sid, token = _decrypt(token, keys)
    header, claims = _decode_signed(token)
    if header.get("alg") not in ALGORITHMS or header.get("cty", CONTENT_TYPE) != CONTENT_TYPE:
        _refuse(BAD_HEADER, "Invalid Access Token header")
    _check_members(header)
    issuer = claims.get("iss")
    if key_sid is not None and issuer != key_sid:
        _refuse(BAD_HEADER, "Invalid Access Token header: the token inside was issued by another key")
    account_sid, secret = _key(issuer, keys)
    if claims.get("sub") != account_sid:
        _refuse(BAD_ISSUER, "Invalid Access Token issuer/subject")
    _check_signature(token, secret)
    expires_at, issued_at, lifetime_s = _check_times(claims, now_s, rules)
    identity, grant = _check_grants(claims)
    return Claims(
        identity=identity,
        account_sid=account_sid,
        service_sid=grant["service_sid"],
        key_sid=str(issuer),
        expires_at=expires_at,
        issued_at=issued_at,
        lifetime_s=lifetime_s,
        endpoint_id=grant.get("endpoint_id"),
        push_credential_sid=grant.get("push_credential_sid"),
        deployment_role_sid=grant.get("deployment_role_sid"),
    )


def key_named_by(token: str) -> str | None:
    """The API key a token says it is made with, unproven: to fetch that key before ``verify`` asks for it."""
    try:
        if token.count(".") == 4:
            named = _json_object(token.partition(".")[0]).get("kid")
        else:
            named = _decode_signed(token)[1].get("iss")
    except TokenRefused:
        return None
    return named if isinstance(named, str) else None


def mint(
    *,
    account_sid: str,
    key_sid: str,
    secret: str,
    identity: str,
    service_sid: str,
    now_s: float,
    ttl_s: int = 3600,
    not_before: int | Literal["now"] | None = "now",
    endpoint_id: str | None = None,
    deployment_role_sid: str | None = None,
    push_credential_sid: str | None = None,
    region: str | None = None,
) -> str:
    """A signed token; byte for byte the one of the official helper library for the same inputs and second."""
    now = int(now_s)
    grant = {
        "service_sid": service_sid,
        "endpoint_id": endpoint_id,
        "deployment_role_sid": deployment_role_sid,
        "push_credential_sid": push_credential_sid,
    }
    claims: dict[str, object] = {
        "jti": f"{key_sid}-{now}",
        "grants": {"chat": {name: value for name, value in grant.items() if value}, "identity": identity},
        "iss": key_sid,
        "exp": now + ttl_s,
    }
    if not_before is not None:
        claims["nbf"] = now if not_before == "now" else not_before
    claims["sub"] = account_sid
    header = {"alg": "HS256", "cty": CONTENT_TYPE}
    if region:
        header["twr"] = region
    header["typ"] = "JWT"
    payload = json.dumps(claims, separators=(",", ":"))

    from joserfc import jws

    return jws.serialize_compact(header, payload, _signing_key(secret), registry=_signing())


def encrypt(token: str, key_sid: str, secret: str, iv: bytes) -> str:
    """A signed token wrapped so that its holder cannot read it.

    ``iv`` is 12 random bytes, never used twice with one secret: the encryption is broken otherwise.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(iv) != 12:
        raise ValueError(f"an initialisation vector has 12 bytes, got {len(iv)}")
    header = base64url.encode(msgspec.json.encode({"alg": "dir", "enc": "A256GCM", "cty": "JWT", "kid": key_sid}))
    sealed = AESGCM(_derive(secret)).encrypt(iv, token.encode(), header.encode())
    return ".".join((header, "", base64url.encode(iv), base64url.encode(sealed[:-16]), base64url.encode(sealed[-16:])))


# --- the checks, in the order in which they are made ------------------------------------------------------------


def _decrypt(token: str, keys: Keys) -> tuple[str, str]:
    header_part, _, rest = token.partition(".")
    header = _json_object(header_part)
    for part in rest.split("."):
        _bytes(part)
    if (header.get("alg"), header.get("enc"), header.get("cty")) != ("dir", "A256GCM", "JWT"):
        _refuse(BAD_HEADER, "Invalid Access Token header")
    _check_members(header)
    key_sid = header.get("kid")
    if not isinstance(key_sid, str):
        _refuse(BAD_HEADER, "Invalid Access Token header: no key is named")
    _, secret = _key(key_sid, keys)

    from joserfc import jwe
    from joserfc.errors import JoseError

    try:
        plaintext = jwe.decrypt_compact(token, _content_key(secret), registry=_encryption()).plaintext
        return key_sid, (plaintext or b"").decode("ascii")
    except (JoseError, ValueError):
        _refuse(BAD_SIGNATURE, "Invalid Access Token: it cannot be decrypted")


def _decode_signed(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = token.split(".")
    if len(parts) != 3:
        _refuse(BAD_TOKEN, "Invalid Access Token")
    header, claims = _json_object(parts[0]), _json_object(parts[1])
    _bytes(parts[2])
    return header, claims


def _check_members(header: dict[str, Any]) -> None:
    if not _FOREIGN_MEMBERS.isdisjoint(header):
        _refuse(BAD_HEADER, "Invalid Access Token header")


def _key(issuer: object, keys: Keys) -> tuple[str, str]:
    key = keys(issuer) if isinstance(issuer, str) else None
    if key is None:
        _refuse(BAD_ISSUER, "Invalid Access Token issuer/subject")
    return key


def _check_signature(token: str, secret: str) -> None:
    from joserfc import jws
    from joserfc.errors import JoseError

    try:
        jws.deserialize_compact(token, _signing_key(secret), registry=_signing())
    except (JoseError, ValueError):
        _refuse(BAD_SIGNATURE, "Invalid Access Token signature")


def _check_times(claims: dict[str, Any], now_s: float, rules: TokenRules) -> tuple[float, float | None, float]:
    expires_at = _seconds(claims.get("exp"))
    if expires_at is None:
        _refuse(BAD_EXPIRY, "Invalid expiration time in Access Token")
    # Before the life span: only this code makes clients say that their token expired.
    if expires_at <= now_s:
        _refuse(EXPIRED, EXPIRED_MESSAGE)
    starts = []
    for name in ("nbf", "iat"):
        if claims.get(name) is not None:
            start = _seconds(claims[name])
            # A later issue would also stretch the longest life.
            if start is None or start > now_s + rules.leeway_s:
                _refuse(NOT_YET_VALID, "Access Token not yet valid")
            starts.append(start)
    issued_at = max(starts, default=None)
    life = expires_at - (now_s if issued_at is None else issued_at)
    if life < rules.min_ttl_s:
        _refuse(BAD_EXPIRY, f"Access Token lives {life:.0f} seconds, at least {rules.min_ttl_s:.0f} are required")
    if life > rules.max_ttl_s:
        _refuse(LIVES_TOO_LONG, f"Access Token lives {life:.0f} seconds, at most {rules.max_ttl_s:.0f} are allowed")
    return expires_at, issued_at, life


def _check_grants(claims: dict[str, Any]) -> tuple[str, dict[str, str]]:
    grants = claims.get("grants")
    if not isinstance(grants, dict):
        _refuse(BAD_GRANTS, "Invalid Access Token grants")
    identity = grants.get("identity")
    if not isinstance(identity, str) or not identity:
        _refuse(BAD_GRANTS, "Invalid Access Token grants: no identity")
    try:
        check_identity(identity)
    except IdentityRefused as refused:
        _refuse(BAD_GRANTS, f"Invalid Access Token grants: {refused.message}")
    # realtime 4: the grant is named after the product's later name, and in old tokens after its first.
    grant = grants.get("chat", grants.get("ip_messaging"))
    if not isinstance(grant, dict) or not grant.get("service_sid"):
        _refuse(BAD_GRANTS, "Invalid Access Token grants: no chat grant with a service")
    told = {name: value for name in _GRANT_MEMBERS if (value := grant.get(name))}
    if not all(isinstance(value, str) for value in told.values()):
        _refuse(BAD_GRANTS, "Invalid Access Token grants: a SID is not a text")
    return identity, told


_GRANT_MEMBERS: Final = ("service_sid", "endpoint_id", "push_credential_sid", "deployment_role_sid")


def _refuse(code: int, message: str) -> NoReturn:
    # What led here may quote the token.
    raise TokenRefused(401, code, message) from None


def _bytes(part: str) -> bytes:
    try:
        return base64url.decode(part)
    except ValueError:
        _refuse(BAD_TOKEN, "Invalid Access Token")


def _json_object(part: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(_bytes(part))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        _refuse(BAD_TOKEN, "Invalid Access Token")
    return value


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None


# --- cryptography -----------------------------------------------------------------------------------------------


@cache
def _signing() -> JWSRegistry:
    from joserfc.jws import JWSRegistry

    # Headers may hold members of Twilio's own (`twr`).
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    registry.max_header_length = _MAX_HEADER
    return registry


@cache
def _encryption() -> JWERegistry:
    from joserfc.jwe import JWERegistry

    registry = JWERegistry(algorithms=("dir", "A256GCM"), strict_check_header=False)
    registry.max_protected_header_length = _MAX_HEADER
    return registry


# Making a key of a secret costs as much as checking a signature with it, and few secrets sign most tokens.
@lru_cache(maxsize=64)
def _signing_key(secret: str) -> OctKey:
    from joserfc.jwk import OctKey

    return OctKey.import_key(secret.encode())


@lru_cache(maxsize=64)
def _content_key(secret: str) -> OctKey:
    from joserfc.jwk import OctKey

    return OctKey.import_key(_derive(secret))


def _derive(secret: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_HKDF_INFO).derive(secret.encode())
