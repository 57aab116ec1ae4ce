"""Whether a credential can send at all, as far as can be seen without asking anybody."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from tertulia.server.domain.credentials import CredentialKind, Secrets

from .service import OpenCredential, Unusable
from .service_accounts import service_account_in, signing_key
from .vapid import read_keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


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


def _check_apple(secrets: Secrets, now: int | None) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    key = _private_key(secrets.private_key or "")
    if secrets.certificate:
        _check_certificate(secrets.certificate, key, now)
        return
    missing = [name for name in ("key_id", "team_id", "topic") if not getattr(secrets, name)]
    if missing:
        raise Unusable(f"the credential has neither a certificate nor a {missing[0]} for its key")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Unusable("the private key of the credential is not that of a .p8 file of Apple's")


def _check_certificate(text: str, key: PrivateKeyTypes, now: int | None) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        # The first one of the text is ours, others lead to who gave it.
        certificate = x509.load_pem_x509_certificates(text.encode())[0]
        its_key, ours = (
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for public in (certificate.public_key(), key.public_key())
        )
    except ValueError:
        raise Unusable("the certificate of the credential is no readable PEM") from None
    if its_key != ours:
        raise Unusable("the certificate of the credential does not belong to its private key")
    ends = certificate.not_valid_after_utc
    if now is not None and ends < datetime.datetime.fromtimestamp(now / 1e6, datetime.UTC):
        raise Unusable(f"the certificate of the credential has expired on {ends:%Y-%m-%d}")


def _private_key(text: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # the second: it is encrypted
        raise Unusable("the private key of the credential is no readable PEM") from None
