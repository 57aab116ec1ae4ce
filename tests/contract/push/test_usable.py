"""Credentials that cannot send are known without asking anybody."""

from __future__ import annotations

import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes, PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from tertulia.server.domain.credentials import CredentialKind, Secrets
from tertulia.server.push.service import OpenCredential
from tertulia.server.push.usable import doubts, why_unusable
from tertulia.server.push.vapid import new_pair
from tests.peers.fcm import FcmPeer, account_key

NOW = 1_735_689_600_000_000
P256 = ec.generate_private_key(ec.SECP256R1())


def pem(key: PrivateKeyTypes, encryption: KeySerializationEncryption | None = None) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode()


def certificate(key: CertificateIssuerPrivateKeyTypes, ends: int = 2120, day: datetime.datetime | None = None) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Apple Push Services: com.example.app")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(day or datetime.datetime(ends, 1, 1, tzinfo=datetime.UTC))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def account(**changed: object) -> Secrets:
    return Secrets(secret=FcmPeer().service_account(**{"token_uri": "https://oauth2.example/token", **changed}))


def token_key(key: str, **changed: str | None) -> Secrets:
    given: dict[str, str | None] = {"key_id": "K", "team_id": "T", "topic": "com.example.app", **changed}
    return Secrets(private_key=key, **given)


PUBLIC, PRIVATE = new_pair()
OTHER_PUBLIC, _ = new_pair()
APN, FCM, GCM, WEBPUSH = CredentialKind.APN, CredentialKind.FCM, CredentialKind.GCM, CredentialKind.WEBPUSH

# Made with openssl for this test, on the curve secp112r1; it says nothing but "CN=odd".
ODD_CURVE = """-----BEGIN CERTIFICATE-----
MIIBJjCB8qADAgECAhQh/Bn7EpERDN1wStS6W9gBrCOF0jAKBggqhkjOPQQDAjAO
MQwwCgYDVQQDDANvZGQwIBcNMjYxMTI1MTQzMjAyWhgPMjEyNjExMDExNDMyMDJa
MA4xDDAKBgNVBAMMA29kZDAyMBAGByqGSM49AgEGBSuBBAAGAx4ABC9JJWCcyf29
rV4BrT5qcJfMICu4h6f5Fw3l2ZGjUzBRMB0GA1UdDgQWBBQzxj7sGeZlNdptQVEi
MogLYXlp/zAfBgNVHSMEGDAWgBQzxj7sGeZlNdptQVEiMogLYXlp/zAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCAyMAMCACDmSpx7QPJrP2k1emmjQnAg50zt5a
O7/Z1Hod7PbVMA==
-----END CERTIFICATE-----
"""


ROWS: dict[str, tuple[CredentialKind, Secrets, str | None]] = {
    "service account": (FCM, account(), None),
    "service account, old type": (GCM, Secrets(api_key=account().secret), None),
    "old server key": (FCM, Secrets(secret="AAAA:old"), "old server key"),
    "old server key, old type": (GCM, Secrets(api_key="AIzaOld"), "old server key"),
    "nothing": (FCM, Secrets(), "old server key"),
    "cut JSON": (FCM, Secrets(secret=(account().secret or "")[:500]), "not whole"),
    "deep JSON": (FCM, Secrets(secret='{"type":' + "[" * 16_000), "not whole"),
    "no object": (FCM, Secrets(secret="[1]"), "old server key"),
    "the application's file": (FCM, Secrets(secret='{"project_info": {}}'), "google-services.json"),
    "a person's file": (FCM, account(type="authorized_user"), "not that of a service account"),
    "no type": (FCM, account(type=None), "not that of a service account"),
    "no project": (FCM, account(project_id=None), "has no project_id"),
    "odd project": (FCM, account(project_id="a/b"), "the project_id in the JSON of the service account is not one"),
    "no key": (FCM, account(private_key=None), "has no private_key"),
    "no key id": (FCM, account(private_key_id=None), "has no private_key_id"),
    "no e-mail": (FCM, account(client_email=7), "the client_email"),
    "no token_uri": (FCM, account(token_uri=None), "has no token_uri"),
    "odd token_uri": (FCM, account(token_uri="ftp://x"), "the token_uri"),
    "key is no PEM": (FCM, account(private_key="none"), "no readable PEM"),
    "key with escaped line ends": (
        FCM,
        account(private_key=pem(account_key()).replace("\n", "\\n")),
        "no readable PEM",
    ),
    "key of another kind": (FCM, account(private_key=pem(P256)), "not an RSA key"),
    "key too short": (
        FCM,
        account(private_key=pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))),
        "less than 2048 bits",
    ),
    "key with a password": (
        FCM,
        account(private_key=pem(account_key(), BestAvailableEncryption(b"p"))),
        "no readable PEM",
    ),
    "Apple: key": (APN, token_key(pem(P256)), None),
    "Apple: key without topic": (APN, token_key(pem(P256), topic=None), "topic"),
    "Apple: key with a blank in its topic": (APN, token_key(pem(P256), topic="com.example.app\n"), "topic"),
    "Apple: certificate with a blank in its topic": (
        APN,
        Secrets(certificate=certificate(P256), private_key=pem(P256), topic="com example"),
        "topic",
    ),
    "Apple: key without team": (APN, token_key(pem(P256), team_id=None), "team_id"),
    "Apple: no PEM": (APN, token_key("none"), "no readable PEM"),
    "Apple: key of another kind": (APN, token_key(pem(account_key())), ".p8"),
    "Apple: another curve": (APN, token_key(pem(ec.generate_private_key(ec.SECP384R1()))), ".p8"),
    "Apple: certificate": (APN, Secrets(certificate=certificate(P256), private_key=pem(P256)), None),
    "Apple: no certificate": (APN, Secrets(certificate="none", private_key=pem(P256)), "certificate of the credential"),
    "Apple: certificate without key": (
        APN,
        Secrets(certificate=certificate(P256), private_key="none"),
        "private key of the credential",
    ),
    "Apple: certificate of another key": (
        APN,
        Secrets(certificate=certificate(P256), private_key=pem(ed25519.Ed25519PrivateKey.generate())),
        "does not belong",
    ),
    "Apple: certificate for a curve that nobody reads": (
        APN,
        Secrets(certificate=ODD_CURVE, private_key=pem(P256)),
        "for a kind of key that nobody here can read",
    ),
    "Apple: expired": (
        APN,
        Secrets(certificate=certificate(P256, ends=2024), private_key=pem(P256)),
        "expired on 2024-01-01",
    ),
    "browsers": (WEBPUSH, Secrets(public_key=PUBLIC, private_key=PRIVATE), None),
    "browsers: no private half": (WEBPUSH, Secrets(public_key=PUBLIC), "private key"),
    "browsers: no public half": (WEBPUSH, Secrets(private_key=PRIVATE), "public key"),
    "browsers: two halves": (WEBPUSH, Secrets(public_key=OTHER_PUBLIC, private_key=PRIVATE), "does not belong"),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_credential_that_cannot_send_says_what_to_mend(row: tuple[CredentialKind, Secrets, str | None]) -> None:
    kind, secrets, text = row
    found = OpenCredential(sid="CR1", account_sid="AC1", kind=kind, sandbox=False, secrets=secrets, updated_at=1)
    why = why_unusable(found, NOW)
    if text is None:
        assert why is None
        return
    assert why is not None and text in why
    assert len(why) <= 200
    assert [value for value in secrets.given().values() if len(value) > 4 and value in why] == []


def test_an_expired_certificate_is_not_judged_without_the_time() -> None:
    secrets = Secrets(certificate=certificate(P256, ends=2024), private_key=pem(P256))
    found = OpenCredential(sid="CR1", account_sid="AC1", kind=APN, sandbox=False, secrets=secrets, updated_at=1)
    assert why_unusable(found) is None


TODAY = datetime.datetime.fromtimestamp(NOW / 1e6, datetime.UTC)


def by_certificate(**left: int) -> Secrets:
    return Secrets(certificate=certificate(P256, day=TODAY + datetime.timedelta(**left)), private_key=pem(P256))


@pytest.mark.parametrize(
    ("kind", "secrets", "doubt"),
    [
        (APN, by_certificate(days=31), None),
        (APN, by_certificate(days=30), "its certificate ends on 2025-01-31, in 30 days: renew it, or take a token key"),
        (APN, by_certificate(days=1, hours=23), "ends on 2025-01-02, in 1 day: "),
        (APN, by_certificate(hours=23), "ends on 2025-01-01, within a day: "),
        (APN, by_certificate(days=-1), None),  # it has ended, which is said elsewhere
        (APN, token_key(pem(P256), key_id="ABC123DEFG", team_id="TEAM123456"), None),
        (APN, token_key(pem(P256), key_id="ABC123DEF", team_id="TEAM123456"), "its KeyId is not ten letters"),
        (APN, token_key(pem(P256), key_id="ABC123DEFGH", team_id="TEAM123456"), "its KeyId is not ten letters"),
        (APN, token_key(pem(P256), key_id="ABC-23DEFG", team_id="TEAM123456"), "its KeyId is not ten letters"),
        (APN, token_key(pem(P256), key_id="ABC123DEFG", team_id="TEAM"), "its TeamId is not ten letters"),
        (FCM, account(), None),
        (WEBPUSH, Secrets(public_key=PUBLIC, private_key=PRIVATE), None),
    ],
)
def test_what_can_send_and_will_not_for_long_or_is_oddly_named_is_doubted(
    kind: CredentialKind, secrets: Secrets, doubt: str | None
) -> None:
    found = OpenCredential(sid="CR1", account_sid="AC1", kind=kind, sandbox=False, secrets=secrets, updated_at=1)
    said = doubts(found, NOW)
    assert len(said) == (0 if doubt is None else 1)
    assert doubt is None or doubt in said[0]
    assert [name for name in ("ABC123DEF", "TEAM") if name in "".join(said)] == []


def test_what_is_wrong_with_a_service_account_is_said_without_quoting_it() -> None:
    secret = json.dumps({"type": "service_account", "project_id": 5, "private_key": "s3cret"})
    found = OpenCredential(
        sid="CR1", account_sid="AC1", kind=FCM, sandbox=False, secrets=Secrets(secret=secret), updated_at=1
    )
    assert why_unusable(found) == "the project_id in the JSON of the service account is not one"
