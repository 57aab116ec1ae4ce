"""VAPID: which key pairs can send, and the tokens that they sign, judged by another library."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from py_vapid import Vapid02

from tertulia.server.clock import ManualClock
from tertulia.server.domain.credentials import Secrets
from tertulia.server.push.service import OpenCredential, Unusable
from tertulia.server.push.vapid import LIFE_S, MOST_ORIGINS, VapidTokens, new_pair, read_keys
from tertulia.wire import base64url

from .browsers import credential

ORIGIN = "https://push.example.net"
KEY = ec.generate_private_key(ec.SECP256R1())
SCALAR = KEY.private_numbers().private_value.to_bytes(32)
POINT = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
OTHER_CURVE = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pem(key: Private, style: PrivateFormat = PrivateFormat.PKCS8, password: bytes | None = None) -> str:
    sealed: KeySerializationEncryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, style, sealed).decode()


def public_pem(key: Private) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def standard(data: bytes) -> str:
    """Base64 in its first alphabet, padded."""
    text = base64url.encode(data).replace("-", "+").replace("_", "/")
    return text + "=" * (-len(text) % 4)


@pytest.mark.parametrize(
    "private",
    [
        base64url.encode(SCALAR),
        base64url.encode(SCALAR) + "=",
        standard(SCALAR),
        f"  {base64url.encode(SCALAR)}\n",
        pem(KEY),
        pem(KEY, PrivateFormat.TraditionalOpenSSL),
    ],
    ids=["web-push", "padded", "standard alphabet", "white space", "PKCS 8", "SEC 1"],
)
@pytest.mark.parametrize(
    "public",
    [base64url.encode(POINT), standard(POINT), public_pem(KEY), f"\n{public_pem(KEY)}"],
    ids=["web-push", "standard alphabet", "PEM", "white space"],
)
def test_a_pair_is_read_as_other_tools_print_it(public: str, private: str) -> None:
    keys = read_keys(Secrets(public_key=public, private_key=private))
    assert keys.public == base64url.encode(POINT)
    assert keys.private.private_numbers() == KEY.private_numbers()
    assert base64url.encode(SCALAR) not in repr(keys)


def test_what_py_vapid_makes_is_read() -> None:
    made = Vapid02()
    made.generate_keys()
    keys = read_keys(Secrets(public_key=made.public_pem().decode(), private_key=made.private_pem().decode()))
    assert keys.private.private_numbers() == made.private_key.private_numbers()


def test_a_new_pair_is_one_and_new() -> None:
    (public, private), another = new_pair(), new_pair()
    assert read_keys(Secrets(public_key=public, private_key=private)).public == public
    assert (len(base64url.decode(public)), len(base64url.decode(private))) == (65, 32)
    assert {public, private}.isdisjoint(another)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"private_key": base64url.encode(SCALAR[:31])}, "private key"),
        ({"private_key": base64url.encode(b"\0" * 32)}, "private key"),
        ({"private_key": base64url.encode(b"\xff" * 32)}, "private key"),
        ({"private_key": "not base64!"}, "private key"),
        ({"private_key": ""}, "private key"),
        ({"private_key": pem(OTHER_CURVE)}, "private key"),
        ({"private_key": pem(RSA)}, "private key"),
        ({"private_key": pem(KEY, password=b"secret")}, "private key"),
        ({"private_key": public_pem(KEY)}, "private key"),
        ({"private_key": pem(KEY)[:-60]}, "private key"),
        ({"public_key": base64url.encode(POINT[:-1])}, "public key"),
        ({"public_key": base64url.encode(POINT[:-1] + bytes([POINT[-1] ^ 1]))}, "public key"),
        ({"public_key": public_pem(OTHER_CURVE)}, "public key"),
        ({"public_key": public_pem(RSA)}, "public key"),
        ({"public_key": pem(KEY)}, "public key"),
        ({"public_key": ""}, "public key"),
        ({"public_key": new_pair()[0]}, "does not belong"),
        ({"subject": "ops@tertulia.test"}, "subject"),
        ({"subject": "mailto:ops"}, "subject"),
        ({"subject": "mailto: ops@tertulia.test"}, "subject"),
        ({"subject": "http://tertulia.test"}, "subject"),
        ({"subject": "https://"}, "subject"),
        ({"subject": "https://tertulia.test\r\nA: b"}, "subject"),
    ],
)
def test_what_cannot_sign_is_said_without_any_of_it(changed: dict[str, str], complaint: str) -> None:
    given = {"public_key": base64url.encode(POINT), "private_key": base64url.encode(SCALAR), **changed}
    with pytest.raises(match=complaint) as unusable:
        read_keys(Secrets(**given))
    assert unusable.value.__suppress_context__ or unusable.value.__context__ is None
    assert not any(value in str(unusable.value) for value in given.values() if value)


def claims(header: str, given: OpenCredential, audience: str = ORIGIN) -> dict[str, Any]:
    """What the token says, once its signature is proved with the key beside it."""
    scheme, _, rest = header.partition(" ")
    fields = dict(part.split("=", 1) for part in rest.split(", "))
    assert (scheme, set(fields), fields["k"]) == ("vapid", {"t", "k"}, given.secrets.public_key)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), base64url.decode(fields["k"]))
    assert jwt.get_unverified_header(fields["t"]) == {"alg": "ES256", "typ": "JWT"}
    said: dict[str, Any] = jwt.decode(
        fields["t"], key, algorithms=["ES256"], audience=audience, options={"verify_exp": False}
    )
    return said


def test_a_token_says_to_whom_until_when_and_who_may_be_asked() -> None:
    clock, given = ManualClock(), credential()
    said = claims(VapidTokens(clock).authorization(given, ORIGIN), given)
    now_s = clock.now() // 1_000_000
    assert said == {"aud": ORIGIN, "exp": now_s + LIFE_S, "sub": "mailto:ops@tertulia.test"}
    assert LIFE_S <= 24 * 3600


@pytest.mark.parametrize("subject", ["https://tertulia.test/contact", "MAILTO:ops@tertulia.test", ""])
def test_the_subject_is_the_credentials_or_one_that_is_allowed(subject: str) -> None:
    given = credential(subject=subject)
    said = claims(VapidTokens(ManualClock()).authorization(given, ORIGIN), given)["sub"]
    assert said == (subject or "mailto:nobody@example.com")


def test_a_token_is_kept_and_renewed_in_time() -> None:
    clock, given = ManualClock(), credential()
    tokens = VapidTokens(clock)
    first = tokens.authorization(given, ORIGIN)
    clock.advance(timedelta(hours=11))
    assert tokens.authorization(given, ORIGIN) == first
    clock.advance(timedelta(seconds=1))
    second = tokens.authorization(given, ORIGIN)
    now_s = clock.now() // 1_000_000
    assert claims(second, given)["exp"] == now_s + LIFE_S
    assert tokens.authorization(given, ORIGIN) == second


class Hands:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.at = ManualClock().now()

    def now(self) -> int:
        return self.at


def test_a_clock_that_was_set_back_makes_no_token_live_longer_than_allowed() -> None:
    clock, given = Hands(), credential()
    tokens = VapidTokens(clock)
    tokens.authorization(given, ORIGIN)
    clock.at -= 48 * 3600 * 1_000_000
    assert claims(tokens.authorization(given, ORIGIN), given)["exp"] == clock.now() // 1_000_000 + LIFE_S


def test_each_origin_and_each_version_of_a_credential_has_its_own() -> None:
    tokens, one = VapidTokens(ManualClock()), credential()
    changed = credential(updated_at=2)
    assert claims(tokens.authorization(one, ORIGIN), one)["aud"] == ORIGIN
    other = "https://push.example.org:8443"
    assert claims(tokens.authorization(one, other), one, other)["aud"] == other
    claims(tokens.authorization(changed, ORIGIN), changed)  # proved with the new key
    claims(tokens.authorization(one, ORIGIN), one)


def test_what_is_kept_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.server.push.vapid.MOST_KEPT", 3)
    tokens, given = VapidTokens(ManualClock()), credential()
    first = tokens.authorization(given, ORIGIN)
    for number in range(2, 5):
        tokens.authorization(credential(number), ORIGIN)
    again = tokens.authorization(given, ORIGIN)
    assert again != first and claims(again, given) == claims(first, given)


def test_who_names_many_origins_pushes_out_tokens_of_his_own_credential_alone() -> None:
    tokens, given, other = VapidTokens(ManualClock()), credential(), credential(2)
    first, others = tokens.authorization(given, ORIGIN), tokens.authorization(other, ORIGIN)
    for number in range(MOST_ORIGINS):
        tokens.authorization(given, f"https://{number}.example.net")
    assert tokens.authorization(other, ORIGIN) == others
    assert tokens.authorization(given, ORIGIN) != first


def test_a_credential_that_cannot_sign_says_so_each_time() -> None:
    tokens, given = VapidTokens(ManualClock()), credential(public_key=new_pair()[0])
    for _ in range(2):
        with pytest.raises(Unusable):
            tokens.authorization(given, ORIGIN)
