"""VAPID: how the push services of browsers know who sends (RFC 8292, gateways 8.10)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from tertulia.server.clock import Clock
from tertulia.server.domain.credentials import Secrets
from tertulia.server.domain.subscriptions import is_point
from tertulia.wire import base64url

from .keys import private_key_in
from .service import OpenCredential, Unusable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from joserfc.jwk import ECKey

LIFE_S: Final = 12 * 3600
"""RFC 8292 allows a day; half of it leaves room for clocks that differ."""
RENEWED_BEFORE_S: Final = 3600
"""A token with less life than this left is made anew."""
MOST_ORIGINS: Final = 50
"""Of a credential, tokens for so many are kept; the oldest go first. Browsers say where their endpoints are, so anybody
can name new origins: he pushes out tokens of that credential alone."""
MOST_KEPT: Final = 1_000
"""Credentials something is kept of; the one that was used longest ago goes first."""
NO_CONTACT: Final = "mailto:nobody@example.com"
"""Whom services may write to where a credential has no ``subject``. Apple refuses hosts that no name server knows: this
one exists, and is nobody's (RFC 2606)."""

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256: private keys are numbers below it."""


class VapidKeys(msgspec.Struct, frozen=True):
    """A pair that belongs together, and whom to write to. Printed without the private half."""

    private: EllipticCurvePrivateKey
    public: str
    """The uncompressed point in base64url, as browsers and services want it."""
    subject: str

    def __repr__(self) -> str:
        return f"VapidKeys({self.public}, ***)"


def read_keys(secrets: Secrets) -> VapidKeys:
    """The key pair of a credential; raises ``Unusable``.

    Either key is base64url of its bare bytes (65 and 32), or PEM.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    private = _private_key((secrets.private_key or "").strip())
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if _public_point((secrets.public_key or "").strip()) != point:
        raise Unusable("the public key of the credential does not belong to its private key")
    return VapidKeys(private, base64url.encode(point), _subject((secrets.subject or "").strip()))


def new_pair() -> tuple[str, str]:
    """A new public and private key, in base64url."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64url.encode(point), base64url.encode(key.private_numbers().private_value.to_bytes(32))


class _Kept:
    """Of one version of a credential."""

    __slots__ = ("known", "tokens", "unusable")

    def __init__(self) -> None:
        self.known: tuple[VapidKeys, ECKey] | None = None
        self.unusable: str | None = None
        self.tokens: dict[str, tuple[str, int]] = {}
        """By origin, with their ends."""


class VapidTokens:
    """The ``Authorization`` of pushes: a token for each origin and credential, kept while it lives.

    May be asked from several threads at a time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def authorization(self, credential: OpenCredential, origin: str) -> str:
        """The header's value for a push service; raises ``Unusable``."""
        now_s = self._clock.now() // 1_000_000
        kept = self._of(credential)
        value, expires_at_s = kept.tokens.get(origin, ("", 0))
        if now_s <= expires_at_s - RENEWED_BEFORE_S and expires_at_s <= now_s + LIFE_S:
            return value
        keys, signing = self._pair(kept, credential)
        expires_at_s = now_s + LIFE_S
        value = f"vapid t={_signed(signing, keys.subject, origin, expires_at_s)}, k={keys.public}"
        with self._lock:
            kept.tokens.pop(origin, None)
            kept.tokens[origin] = (value, expires_at_s)
            if len(kept.tokens) > MOST_ORIGINS:
                del kept.tokens[next(iter(kept.tokens))]
        return value

    def _pair(self, kept: _Kept, credential: OpenCredential) -> tuple[VapidKeys, ECKey]:
        from joserfc.jwk import ECKey

        if kept.unusable is not None:
            raise Unusable(kept.unusable)
        if kept.known is None:
            try:
                keys = read_keys(credential.secrets)
            except Unusable as why:
                kept.unusable = str(why)
                raise
            kept.known = (keys, ECKey.import_key(keys.private))
        return kept.known

    def _of(self, credential: OpenCredential) -> _Kept:
        name = (credential.sid, credential.updated_at)
        with self._lock:
            kept = self._kept.get(name)
            if kept is None:
                kept = self._kept[name] = _Kept()
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(name)
            return kept


def _signed(key: ECKey, subject: str, origin: str, expires_at_s: int) -> str:
    from joserfc import jwt

    claims = {"aud": origin, "exp": expires_at_s, "sub": subject}
    return jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, key)


def _private_key(text: str) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    wrong = Unusable("the private key of the credential is neither 32 bytes in base64url nor a PEM of P-256")
    if text.startswith("-----BEGIN"):
        try:
            loaded = private_key_in(text, "the private key of the credential", takes_rsa=False)
        except Unusable:
            raise wrong from None
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or not isinstance(loaded.curve, ec.SECP256R1):
            raise wrong
        return loaded
    scalar = _bytes(text)
    value = int.from_bytes(scalar)
    if len(scalar) != 32 or not 0 < value < _ORDER:
        raise wrong
    return ec.derive_private_key(value, ec.SECP256R1())


def _public_point(text: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    wrong = Unusable("the public key of the credential is neither 65 bytes in base64url nor a PEM of P-256")
    if text.startswith("-----BEGIN"):
        try:
            loaded = load_pem_public_key(text.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise wrong from None
        if not isinstance(loaded, ec.EllipticCurvePublicKey) or not isinstance(loaded.curve, ec.SECP256R1):
            raise wrong
        return loaded.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    point = _bytes(text)
    if not is_point(point):
        raise wrong
    return point


def _subject(text: str) -> str:
    if not text:
        return NO_CONTACT
    scheme, _, rest = text.partition(":")
    fits = {"mailto": "@" in rest, "https": rest.startswith("//") and len(rest) > 2}.get(scheme.lower(), False)
    if not fits or not (text.isascii() and text.isprintable()) or " " in text:
        raise Unusable("the subject of the credential is neither mailto:somebody@example.com nor an https address")
    return text


def _bytes(text: str) -> bytes:
    """Of either alphabet of base64; nothing where it is none."""
    try:
        return base64url.decode(text.replace("+", "-").replace("/", "_").rstrip("="))
    except ValueError:
        return b""
