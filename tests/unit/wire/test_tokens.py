from __future__ import annotations

import base64
import hmac
import json
import subprocess
import sys
import time
import warnings
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant, VideoGrant

from tertulia.wire import tokens
from tertulia.wire.tokens import Claims, TokenRefused, TokenRules

ACCOUNT = "AC" + "a" * 32
KEY = "SK" + "b" * 32
SECRET = "s3cret-s3cret-s3cret-s3cret-s3cr"
OTHER_KEY = "SK" + "c" * 32
SERVICE = "IS" + "d" * 32
NOW = 1_700_000_000
RULES = TokenRules()
KEYS = {KEY: (ACCOUNT, SECRET), OTHER_KEY: (ACCOUNT, "another-secret-another-secret-an")}
HEADER = {"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}
CLAIMS: dict[str, Any] = {
    "jti": f"{KEY}-{NOW}",
    "iss": KEY,
    "sub": ACCOUNT,
    "exp": NOW + 3600,
    "nbf": NOW,
    "grants": {"identity": "alice", "chat": {"service_sid": SERVICE}},
}
LEFT_OUT = object()


def b64(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(header: object, claims: object, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token by the letter of RFC 7515, whatever is in it."""
    text = f"{b64(header)}.{b64(claims)}"
    return f"{text}.{b64(hmac.digest(secret.encode(), text.encode(), digest))}"


def claims(**changes: object) -> dict[str, Any]:
    return {name: value for name, value in {**CLAIMS, **changes}.items() if value is not LEFT_OUT}


def header(**changes: object) -> dict[str, Any]:
    return {name: value for name, value in {**HEADER, **changes}.items() if value is not LEFT_OUT}


def grants(**members: object) -> dict[str, Any]:
    return claims(grants={**CLAIMS["grants"], **members})


def content_key(secret: str) -> bytes:
    """HKDF-SHA-256 as RFC 5869 writes it, for one block."""
    extracted = hmac.digest(bytes(32), secret.encode(), "sha256")
    return hmac.digest(extracted, b"conversations access token\x01", "sha256")


def encrypted(token: str, secret: str = SECRET, enc: str = "A256GCM", **changes: object) -> str:
    outer = {"alg": "dir", "enc": enc, "cty": "JWT", "kid": KEY, **changes}
    outer = {name: value for name, value in outer.items() if value is not LEFT_OUT}
    key = OctKey.import_key(content_key(secret)[: 16 if enc == "A128GCM" else 32])
    return jwe.encrypt_compact(outer, token, key, algorithms=["dir", enc, "DEF"])


def with_outer_header(token: str, value: object) -> str:
    return f"{b64(value)}.{token.partition('.')[2]}"


def verify(token: str, now_s: float = NOW, rules: TokenRules = RULES) -> Claims:
    return tokens.verify(token, KEYS.get, now_s, rules)


def refusal(token: str, now_s: float = NOW, rules: TokenRules = RULES) -> tuple[int, int]:
    with pytest.raises(TokenRefused) as refused:
        verify(token, now_s, rules)
    assert str(refused.value) == refused.value.message
    for part in token.split("."):
        assert len(part) < 8 or part not in refused.value.message
    return refused.value.status, refused.value.code


# --- good tokens ------------------------------------------------------------------------------------------------


def test_a_good_token_says_who_may_connect_as_what() -> None:
    members = {"endpoint_id": "phone", "push_credential_sid": "CR1", "deployment_role_sid": "RL1"}
    token = signed(HEADER, grants(chat={"service_sid": SERVICE, **members}, video={"room": "x"}))
    assert verify(token, NOW + 10) == Claims(
        identity="alice",
        account_sid=ACCOUNT,
        service_sid=SERVICE,
        key_sid=KEY,
        expires_at=NOW + 3600,
        lifetime_s=3600,
        issued_at=NOW,
        endpoint_id="phone",
        push_credential_sid="CR1",
        deployment_role_sid="RL1",
    )


@pytest.mark.parametrize(("alg", "digest"), [("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")])
def test_each_hmac_algorithm_is_accepted(alg: str, digest: str) -> None:
    assert verify(signed(header(alg=alg), CLAIMS, digest=digest)).identity == "alice"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (header(cty=LEFT_OUT), CLAIMS),
        (header(typ=LEFT_OUT), CLAIMS),
        (header(twr="ie1"), CLAIMS),
        (header(twr="x" * 1500), CLAIMS),
        (HEADER, claims(jti=LEFT_OUT)),
        (HEADER, claims(jti="anything")),
        (HEADER, claims(nbf=LEFT_OUT)),
        (HEADER, claims(nbf=None)),
        (HEADER, claims(nbf=LEFT_OUT, iat=NOW)),
        (HEADER, claims(nbf=NOW + 30, iat=NOW + 30)),
        (HEADER, claims(exp=NOW + 3600.5)),
        (HEADER, claims(nbf=NOW, exp=NOW + 180)),
        (HEADER, claims(nbf=NOW, exp=NOW + 24 * 3600)),
        (HEADER, claims(grants={"identity": "alice", "ip_messaging": {"service_sid": SERVICE}})),
        (HEADER, grants(chat={"service_sid": SERVICE, "endpoint_id": "", "push_credential_sid": None})),
        (HEADER, grants(video={"room": 5}, voice=[], extra="x" * 20_000)),
    ],
)
def test_what_is_optional_may_be_there_or_not(head: object, body: object) -> None:
    assert verify(signed(head, body)).service_sid == SERVICE


@pytest.mark.parametrize("identity", ["a b/é@x", "🦊" * 256, "System"])
def test_an_identity_may_be_any_text(identity: str) -> None:
    assert verify(signed(HEADER, grants(identity=identity))).identity == identity


@pytest.mark.parametrize(
    ("start", "lifetime_s", "issued_at"),
    [
        ({"nbf": NOW - 100}, 3700, NOW - 100),
        ({"nbf": NOW - 100, "iat": NOW - 50}, 3650, NOW - 50),
        ({"nbf": NOW - 50, "iat": NOW - 100}, 3650, NOW - 50),
        ({"iat": NOW - 20}, 3620, NOW - 20),
        ({}, 3600, None),
    ],
)
def test_life_is_counted_from_issue_or_first_validity_or_now(
    start: dict[str, int], lifetime_s: int, issued_at: int | None
) -> None:
    good = verify(signed(HEADER, claims(nbf=LEFT_OUT) | start))
    assert (good.lifetime_s, good.issued_at) == (lifetime_s, issued_at)


def test_a_token_ends_at_its_second_and_not_before() -> None:
    token = signed(HEADER, CLAIMS)
    assert verify(token, NOW + 3599.999).expires_at == NOW + 3600
    assert refusal(token, NOW + 3600) == (401, 20104)


@pytest.mark.owner_demand(11)
def test_a_long_token_is_good_to_its_last_minute() -> None:
    assert verify(signed(HEADER, CLAIMS), NOW + 3590).lifetime_s == 3600


def test_life_spans_are_a_setting() -> None:
    short = signed(HEADER, claims(exp=NOW + 8))
    assert refusal(short) == (401, 20156)
    assert verify(short, rules=TokenRules(min_ttl_s=1)).lifetime_s == 8
    assert refusal(signed(HEADER, CLAIMS), rules=TokenRules(max_ttl_s=3599)) == (401, 20157)
    assert refusal(signed(HEADER, claims(nbf=NOW + 1)), rules=TokenRules(leeway_s=0)) == (401, 20105)


# --- defects, each with its code --------------------------------------------------------------------------------

SIGNATURE = signed(HEADER, CLAIMS).rpartition(".")[2]

DEFECTS = {
    "nothing": ("", 20101),
    "one part": ("garbage", 20101),
    "two parts": ("a.b", 20101),
    "four parts": ("a.b.c.d", 20101),
    "six parts": ("a.b.c.d.e.f", 20101),
    "empty parts": ("..", 20101),
    "empty parts of a JWE": ("....", 20101),
    "another alphabet": (signed(HEADER, CLAIMS).replace(".", "=.", 1), 20101),
    "no ASCII": ("é.é.é", 20101),
    "header no JSON": (f"{b64(b'hello')}.{b64(CLAIMS)}.{SIGNATURE}", 20101),
    "header no object": (signed([], CLAIMS), 20101),
    "claims no JSON": (f"{b64(HEADER)}.{b64(b'hello')}.{SIGNATURE}", 20101),
    "claims no object": (signed(HEADER, "text"), 20101),
    "claims no UTF-8": (signed(HEADER, b'{"iss":"\xff"}'), 20101),
    "claims too deep": (signed(HEADER, b"[" * 50_000), 20101),
    "signature no base64": (f"{b64(HEADER)}.{b64(CLAIMS)}.a", 20101),
    "alg none": (f"{b64(header(alg='none'))}.{b64(CLAIMS)}.", 20102),
    "alg None": (signed(header(alg="None"), CLAIMS), 20102),
    "alg RS256": (signed(header(alg="RS256"), CLAIMS), 20102),
    "alg missing": (signed(header(alg=LEFT_OUT), CLAIMS), 20102),
    "alg a list": (signed(header(alg=["HS256"]), CLAIMS), 20102),
    "cty": (signed(header(cty="twilio-fpa;v=2"), CLAIMS), 20102),
    "cty null": (signed(header(cty=None), CLAIMS), 20102),
    "crit": (signed(header(crit=["exp"]), CLAIMS), 20102),
    "b64": (signed(header(b64=False), CLAIMS), 20102),
    "iss missing": (signed(HEADER, claims(iss=LEFT_OUT)), 20103),
    "iss a number": (signed(HEADER, claims(iss=5)), 20103),
    "iss unknown": (signed(HEADER, claims(iss="SK" + "0" * 32)), 20103),
    "sub missing": (signed(HEADER, claims(sub=LEFT_OUT)), 20103),
    "sub another": (signed(HEADER, claims(sub="AC" + "0" * 32)), 20103),
    "signature by another": (signed(HEADER, CLAIMS, "x" * 32), 20107),
    "signature of another algorithm": (signed(HEADER, CLAIMS, digest="sha512"), 20107),
    "signature empty": (f"{b64(HEADER)}.{b64(CLAIMS)}.", 20107),
    "exp missing": (signed(HEADER, claims(exp=LEFT_OUT)), 20156),
    "exp a text": (signed(HEADER, claims(exp=str(NOW + 3600))), 20156),
    "exp true": (signed(HEADER, claims(exp=True)), 20156),
    "exp beyond numbers": (signed(HEADER, claims(exp=10**400)), 20156),
    "exp now": (signed(HEADER, claims(exp=NOW)), 20104),
    "exp passed": (signed(HEADER, claims(exp=NOW - 5, nbf=NOW - 10)), 20104),
    "exp negative": (signed(HEADER, claims(exp=-1)), 20104),
    "nbf in the future": (signed(HEADER, claims(nbf=NOW + 31)), 20105),
    "nbf a text": (signed(HEADER, claims(nbf="now")), 20105),
    "iat in the future": (signed(HEADER, claims(iat=NOW + 31)), 20105),
    "issued in ten years": (signed(HEADER, claims(iat=NOW + 3 * 10**8, exp=NOW + 3 * 10**8 + 3600)), 20105),
    "life too short": (signed(HEADER, claims(exp=NOW + 179)), 20156),
    "rest too short": (signed(HEADER, claims(nbf=LEFT_OUT, exp=NOW + 179)), 20156),
    "life too long": (signed(HEADER, claims(exp=NOW + 24 * 3600 + 1)), 20157),
    "rest too long": (signed(HEADER, claims(nbf=LEFT_OUT, exp=NOW + 24 * 3600 + 1)), 20157),
    "no grants": (signed(HEADER, claims(grants=LEFT_OUT)), 20106),
    "grants a list": (signed(HEADER, claims(grants=[])), 20106),
    "no identity": (signed(HEADER, claims(grants={"chat": {"service_sid": SERVICE}})), 20106),
    "identity empty": (signed(HEADER, grants(identity="")), 20106),
    "identity a number": (signed(HEADER, grants(identity=5)), 20106),
    "identity reserved": (signed(HEADER, grants(identity="system")), 20106),
    "identity like a SID": (signed(HEADER, grants(identity="US" + "0" * 32)), 20106),
    "identity too long": (signed(HEADER, grants(identity="x" * 257)), 20106),
    "no chat grant": (signed(HEADER, claims(grants={"identity": "alice"})), 20106),
    "chat grant no object": (signed(HEADER, grants(chat="IS")), 20106),
    "chat grant without service": (signed(HEADER, grants(chat={})), 20106),
    "service a number": (signed(HEADER, grants(chat={"service_sid": 5})), 20106),
    "endpoint a number": (signed(HEADER, grants(chat={"service_sid": SERVICE, "endpoint_id": 5})), 20106),
    "JWE header no JSON": (with_outer_header(encrypted(signed(HEADER, CLAIMS)), b"x"), 20101),
    "JWE part no base64": (encrypted(signed(HEADER, CLAIMS)) + "=", 20101),
    "JWE inside no JWT": (encrypted("hello"), 20101),
    "JWE inside a JWE": (encrypted(encrypted(signed(HEADER, CLAIMS))), 20101),
    "JWE alg": (with_outer_header(encrypted(signed(HEADER, CLAIMS)), {"alg": "A256KW", "enc": "A256GCM"}), 20102),
    "JWE enc": (encrypted(signed(HEADER, CLAIMS), enc="A128GCM"), 20102),
    "JWE cty": (encrypted(signed(HEADER, CLAIMS), cty="text"), 20102),
    "JWE cty missing": (encrypted(signed(HEADER, CLAIMS), cty=LEFT_OUT), 20102),
    "JWE kid missing": (encrypted(signed(HEADER, CLAIMS), kid=LEFT_OUT), 20102),
    "JWE kid a number": (
        with_outer_header(encrypted(signed(HEADER, CLAIMS)), {"alg": "dir", "enc": "A256GCM", "cty": "JWT", "kid": 5}),
        20102,
    ),
    "JWE compressed": (encrypted(signed(HEADER, CLAIMS), zip="DEF"), 20102),
    "JWE kid is not the issuer": (encrypted(signed(HEADER, CLAIMS), KEYS[OTHER_KEY][1], kid=OTHER_KEY), 20102),
    "JWE header inside": (encrypted(signed(header(alg="none"), CLAIMS)), 20102),
    "JWE kid unknown": (encrypted(signed(HEADER, CLAIMS), kid="SK" + "0" * 32), 20103),
    "JWE sub another": (encrypted(signed(HEADER, claims(sub="AC0"))), 20103),
    "JWE of another secret": (encrypted(signed(HEADER, CLAIMS), "x" * 32), 20107),
    "JWE header changed": (
        with_outer_header(
            encrypted(signed(HEADER, CLAIMS)), {"kid": KEY, "alg": "dir", "enc": "A256GCM", "cty": "JWT"}
        ),
        20107,
    ),
    "JWE tag cut": (encrypted(signed(HEADER, CLAIMS))[:-20], 20107),
    "JWE with a key inside": (encrypted(signed(HEADER, CLAIMS)).replace("..", ".YWJj."), 20107),
    "JWE signature inside": (encrypted(signed(HEADER, CLAIMS, "x" * 32)), 20107),
    "JWE expired": (encrypted(signed(HEADER, claims(exp=NOW))), 20104),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_has_its_code(name: str) -> None:
    token, code = DEFECTS[name]
    assert refusal(token) == (401, code)


IN_ORDER: list[tuple[int, dict[str, Any]]] = [
    (20102, {"alg": "none"}),
    (20103, {"iss": "SK0"}),
    (20107, {"secret": "x" * 32}),
    (20104, {"exp": NOW - 1}),
    (20105, {"nbf": NOW + 60}),
    (20156, {"exp": NOW + 100}),
    (20106, {"grants": {}}),
]


@pytest.mark.parametrize("first", range(len(IN_ORDER)))
def test_the_first_defect_counts(first: int) -> None:
    changes: dict[str, Any] = {}
    for _, defect in reversed(IN_ORDER[first:]):
        changes |= defect
    secret = changes.pop("secret", SECRET)
    token = signed(header(alg=changes.pop("alg", "HS256")), claims(**changes), secret)
    assert refusal(token) == (401, IN_ORDER[first][0])


def test_a_key_without_a_secret_signs_nothing() -> None:
    with pytest.raises(TokenRefused) as refused:
        tokens.verify(signed(HEADER, CLAIMS, ""), lambda _: (ACCOUNT, ""), NOW, RULES)
    assert refused.value.code == 20107


@given(
    st.text() | st.lists(st.sampled_from(["", "e30", "W10", b64(HEADER), b64(CLAIMS), "!", SIGNATURE])).map(".".join)
)
def test_judging_raises_nothing_but_a_refusal(token: str) -> None:
    with pytest.raises(TokenRefused):
        verify(f"{token}.")
    tokens.key_named_by(token)


@given(st.data())
def test_a_damaged_token_is_refused(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from([signed(HEADER, CLAIMS), encrypted(signed(HEADER, CLAIMS))]))
    at = data.draw(st.integers(0, len(good) - 2))
    # The last character of a part may differ in bits that nobody reads.
    if good[at + 1] != "." and good[at] != ".":
        sign = data.draw(st.sampled_from("ABab01-_"))
        if sign != good[at]:
            refusal(good[:at] + sign + good[at + 1 :])


# --- who signed, before it is proven ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "key_sid"),
    [
        (signed(HEADER, CLAIMS), KEY),
        (encrypted(signed(HEADER, CLAIMS)), KEY),
        (signed(HEADER, claims(iss=5)), None),
        (encrypted("x", kid=LEFT_OUT), None),
        ("garbage", None),
        ("", None),
        ("....", None),
    ],
    ids=["signed", "encrypted", "issuer no text", "no key named", "garbage", "empty", "dots"],
)
def test_the_key_a_token_names_is_told(token: str, key_sid: str | None) -> None:
    assert tokens.key_named_by(token) == key_sid


# --- minting ----------------------------------------------------------------------------------------------------


def helper_token(monkeypatch: pytest.MonkeyPatch, now_s: float, **arguments: Any) -> str:
    """What the official helper library makes of the same inputs at the same moment."""
    monkeypatch.setattr(time, "time", lambda: now_s)
    grant = {name: arguments.pop(name, None) for name in ("endpoint_id", "deployment_role_sid", "push_credential_sid")}
    token = AccessToken(ACCOUNT, KEY, SECRET, **arguments)
    token.add_grant(ChatGrant(service_sid=SERVICE, **grant))
    made = token.to_jwt()
    return made if isinstance(made, str) else made.decode()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({}, {}),
        ({"identity": 'a b/é🦊"\\'}, {"identity": 'a b/é🦊"\\'}),
        ({"ttl": 600}, {"ttl_s": 600}),
        ({"nbf": None}, {"not_before": None}),
        ({"nbf": NOW - 7}, {"not_before": NOW - 7}),
        ({"region": "ie1"}, {"region": "ie1"}),
        ({"endpoint_id": "phone"}, {"endpoint_id": "phone"}),
        (
            {"push_credential_sid": "CR1", "endpoint_id": "e", "deployment_role_sid": "RL1"},
            {"push_credential_sid": "CR1", "endpoint_id": "e", "deployment_role_sid": "RL1"},
        ),
    ],
)
@pytest.mark.parametrize("now_s", [NOW, NOW + 0.9])
def test_our_tokens_are_those_of_the_helper_library(
    monkeypatch: pytest.MonkeyPatch, now_s: float, theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    expected = helper_token(monkeypatch, now_s, **{"identity": "alice", **theirs})
    arguments: dict[str, Any] = {"identity": "alice", **ours}
    made = tokens.mint(account_sid=ACCOUNT, key_sid=KEY, secret=SECRET, service_sid=SERVICE, now_s=now_s, **arguments)
    assert made == expected
    assert verify(made, now_s).identity == arguments["identity"]


def test_a_token_of_the_helper_library_with_several_grants_is_accepted() -> None:
    token = AccessToken(ACCOUNT, KEY, SECRET, identity="alice", grants=[VideoGrant("room"), ChatGrant(SERVICE)])
    assert verify(token.to_jwt(), time.time()).service_sid == SERVICE


@pytest.mark.parametrize("alg", tokens.ALGORITHMS)
def test_tokens_of_another_library_are_accepted(alg: str) -> None:
    with warnings.catch_warnings():
        # The other library finds our secrets short for the longer algorithms.
        warnings.simplefilter("ignore")
        token = jwt.encode(CLAIMS, SECRET, alg, {"cty": "twilio-fpa;v=1"})
    assert verify(token).identity == "alice"


# --- encryption -------------------------------------------------------------------------------------------------


def test_an_encrypted_token_says_what_the_token_inside_says() -> None:
    token = signed(HEADER, CLAIMS)
    wrapped = tokens.encrypt(token, KEY, SECRET, bytes(12))
    assert verify(wrapped) == verify(token)
    assert not any(part in wrapped for part in token.split("."))


def test_an_encrypted_token_is_what_the_specification_says() -> None:
    token = signed(HEADER, CLAIMS)
    wrapped = tokens.encrypt(token, KEY, SECRET, b"0123456789ab")
    parts = wrapped.split(".")
    assert base64.urlsafe_b64decode(parts[0] + "==") == (
        b'{"alg":"dir","enc":"A256GCM","cty":"JWT","kid":"%b"}' % KEY.encode()
    )
    assert parts[1] == ""
    assert base64.urlsafe_b64decode(parts[2]) == b"0123456789ab"
    opened = jwe.decrypt_compact(wrapped, OctKey.import_key(content_key(SECRET)), algorithms=["dir", "A256GCM"])
    assert opened.plaintext == token.encode()


def test_a_known_encrypted_token_never_changes() -> None:
    wrapped = tokens.encrypt("a.b.c", "SK1", "secret", bytes(range(12)))
    assert wrapped == (
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwiY3R5IjoiSldUIiwia2lkIjoiU0sxIn0"
        "..AAECAwQFBgcICQoL.J-LBxmA.JZynhTAPNjBTJrUdtRS1Pw"
    )


@pytest.mark.parametrize("length", [0, 11, 16])
def test_an_initialisation_vector_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        tokens.encrypt("a.b.c", KEY, SECRET, bytes(length))


# --- cost -------------------------------------------------------------------------------------------------------


def test_the_cryptography_is_loaded_when_it_is_needed() -> None:
    script = "import sys, tertulia.wire.tokens; print([m for m in sys.modules if m in ('joserfc', 'cryptography')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
