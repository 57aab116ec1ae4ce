"""Whether a credential can send at all, as far as can be seen without asking anybody; and for how long."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Final

from tertulia.server.domain.credentials import CredentialKind, Secrets

from .keys import private_key_in
from .service import OpenCredential, Unusable
from .service_accounts import service_account_in, signing_key
from .vapid import read_keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

SOON: Final = datetime.timedelta(days=30)
"""A certificate that ends within it is due to be renewed."""

_APPLES: Final = re.compile("[A-Za-z0-9]{10}")
"""Key ids and team ids of Apple's."""
_NO_CERTIFICATE: Final = "the certificate of the credential is no readable PEM"
_UNKNOWN_CERTIFICATE: Final = "the certificate of the credential is for a kind of key that nobody here can read"
_HEADER: Final = re.compile("[!-~]*")


def why_unusable(credential: OpenCredential, now: int | None = None) -> str | None:
    """What to mend before this credential can send; None where nothing is seen to be wrong.

    The text holds nothing of its secrets. With ``now``, in UTC microseconds, a certificate that has expired is named,
    too. Reads keys, which takes milliseconds and loads a heavy library.
    """
    try:
        match credential.kind:
            case CredentialKind.APN:
                _check_apple(credential.secrets, now)
            case CredentialKind.WEBPUSH:
                read_keys(credential.secrets)
            case CredentialKind.FCM | CredentialKind.GCM:
                signing_key(service_account_in(credential.secrets))
    except Unusable as why:
        return str(why)
    return None


def ends_at(certificate: str) -> int:
    """When a certificate that can be read ends, in UTC microseconds."""
    return int(_certificate_in(certificate).not_valid_after_utc.timestamp()) * 1_000_000


def doubts(credential: OpenCredential, now: int) -> list[str]:
    """What is to be looked at in a credential that can send, or could, for all that is seen here.

    ``now`` is in UTC microseconds. The texts hold nothing of its secrets.
    """
    secrets = credential.secrets
    if credential.kind is not CredentialKind.APN:
        return []
    if not secrets.certificate:
        names = {"KeyId": secrets.key_id, "TeamId": secrets.team_id}
        return [
            f"its {name} is not ten letters and digits, as Apple gives them"
            for name, value in names.items()
            if not _APPLES.fullmatch(value or "")
        ]
    ends, today = _certificate_in(secrets.certificate).not_valid_after_utc, _utc(now)
    if not today <= ends <= today + SOON:
        return []
    days = (ends - today).days
    left = "within a day" if days == 0 else f"in {days} day{'s' if days > 1 else ''}"
    return [f"its certificate ends on {ends:%Y-%m-%d}, {left}: renew it, or take a token key"]


def _check_apple(secrets: Secrets, now: int | None) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    if not _HEADER.fullmatch(secrets.topic or ""):
        raise Unusable("the topic of the credential has a blank or an odd character in it")
    key = private_key_in(secrets.private_key or "", "the private key of the credential")
    if secrets.certificate:
        _check_certificate(secrets.certificate, key, now)
        return
    missing = [name for name in ("key_id", "team_id", "topic") if not getattr(secrets, name)]
    if missing:
        raise Unusable(f"the credential has neither a certificate nor a {missing[0]} for its key")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Unusable("the private key of the credential is not that of a .p8 file of Apple's")


def _check_certificate(text: str, key: PrivateKeyTypes, now: int | None) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    certificate = _certificate_in(text)
    try:
        its_key, ours = (
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for public in (certificate.public_key(), key.public_key())
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unusable(_UNKNOWN_CERTIFICATE) from None
    if its_key != ours:
        raise Unusable("the certificate of the credential does not belong to its private key")
    ends = certificate.not_valid_after_utc
    if now is not None and ends < _utc(now):
        raise Unusable(f"the certificate of the credential has expired on {ends:%Y-%m-%d}")


def _certificate_in(text: str) -> Certificate:
    """The first one of the text is ours, others lead to who gave it."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(text.encode())[0]
    except ValueError:
        raise Unusable(_NO_CERTIFICATE) from None


def _utc(now: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(now / 1e6, datetime.UTC)
