"""Certificates for a test: an authority of its own, made when it is needed."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BEGINS = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
ENDS = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


class Issued(NamedTuple):
    """A certificate and its key, as PEM."""

    certificate: str
    private_key: str


class Authority:
    """Whom a test trusts, by ``file``."""

    def __init__(self, folder: Path, name: str = "Authority of a test") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            self._begun(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / "authority.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def issue(self, *names: str, uid: str | None = None, ends: datetime.datetime = ENDS) -> Issued:
        """For a server with these names, or with a UID for a client, as Apple's certificates carry the topic."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, names[0] if names else "client")]
        if uid is not None:
            parts.append(x509.NameAttribute(NameOID.USER_ID, uid))
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = self._begun(x509.Name(parts), key.public_key(), ends).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if names:
            general = [x509.DNSName(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        return Issued(_pem(builder.sign(self._key, hashes.SHA256())), key_pem(key))

    def _begun(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, ends: datetime.datetime = ENDS
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGINS)
            .not_valid_after(ends)
        )


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """As PKCS#8, the form of a ``.p8``."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
