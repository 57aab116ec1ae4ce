"""Webhook signatures: ours are those of the official libraries, and nothing else passes."""

from __future__ import annotations

from random import Random
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from tertulia.wire.signatures import sign, verify, with_body_hash

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMETERS = [
    ("Digits", "1234"),
    ("To", "+18005551212"),
    ("From", "+14158675309"),
    ("Caller", "+14158675309"),
    ("CallSid", "CA1234567890ABCDE"),
]
KNOWN = "RSOYDt4T1cUTdK1PDd93/VVr8B8="

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
forms = st.lists(st.tuples(st.sampled_from(["Body", "body", "B", "Media", "é"]) | texts, texts), max_size=8)
words = st.text(ascii_letters + digits, min_size=1, max_size=8)
urls = st.builds(
    "{}://{}{}/{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["", "user:pw@"]),
    st.sampled_from(["hooks.example", "10.0.0.1", "Hooks.Example"]),
    words,
    st.sampled_from(["", "?a=1&b=%20", "?b=2&a=1&a=0"]),
)


class Form(dict[str, str]):
    """A form as web frameworks hand it to the official library: several values may have one name."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def getall(self, name: str) -> list[str]:
        return [value for known, value in self._pairs if known == name]


def official(url: str, parameters: object, signature: str) -> bool:
    return bool(RequestValidator(TOKEN).validate(url, parameters, signature))


def test_the_published_example_has_its_published_signature() -> None:
    assert sign(URL, PARAMETERS, TOKEN) == KNOWN


@given(urls, forms)
def test_the_official_library_accepts_a_signed_form(url: str, form: list[tuple[str, str]]) -> None:
    assert official(url, Form(form), sign(url, form, TOKEN))


@given(urls)
def test_the_official_library_accepts_a_signed_get(url: str) -> None:
    assert official(url, {}, sign(url, (), TOKEN))


@given(urls, texts)
def test_the_official_library_accepts_a_signed_json_body(url: str, body: str) -> None:
    requested = with_body_hash(url, body.encode())
    assert official(requested, body, sign(requested, (), TOKEN))
    assert verify(sign(requested, (), TOKEN), requested, (), TOKEN, body.encode())


@given(urls, forms)
def test_we_accept_what_the_official_library_signs(url: str, form: list[tuple[str, str]]) -> None:
    assert verify(RequestValidator(TOKEN).compute_signature(url, Form(form)), url, form, TOKEN)


@given(forms, st.randoms())
def test_neither_the_order_of_parameters_nor_repeats_matter(form: list[tuple[str, str]], random: Random) -> None:
    shuffled = [*form, *form[:2]]
    random.shuffle(shuffled)
    assert sign(URL, shuffled, TOKEN) == sign(URL, form, TOKEN)


def test_a_fragment_is_not_signed() -> None:
    assert sign(f"{URL}#rc=3", PARAMETERS, TOKEN) == KNOWN


def test_credentials_in_the_url_are_signed() -> None:
    assert sign("https://user:pw@host.example/", (), TOKEN) != sign("https://host.example/", (), TOKEN)


@pytest.mark.parametrize(
    ("signed", "seen"),
    [
        ("https://host.example/x", "https://host.example:443/x"),
        ("https://host.example:443/x", "https://host.example/x"),
        ("http://host.example/x", "http://host.example:80/x"),
        ("http://host.example:80?a=1", "http://host.example?a=1"),
        ("https://user:pw@host.example/x", "https://user:pw@host.example:443/x"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]:443/x"),
    ],
)
def test_a_standard_port_may_be_seen_or_not(signed: str, seen: str) -> None:
    assert verify(sign(signed, PARAMETERS, TOKEN), seen, PARAMETERS, TOKEN)


@pytest.mark.parametrize(
    "seen",
    [
        "https://host.example:8443/x",
        "https://host.example:80/x",
        "http://host.example/x",
        "https://host.example/y",
        "https://host.example.evil/x",
        "https://host.example/x?",
    ],
)
def test_another_url_does_not_pass(seen: str) -> None:
    assert not verify(sign("https://host.example/x", (), TOKEN), seen, (), TOKEN)


@pytest.mark.parametrize("signature", ["", KNOWN.lower(), KNOWN[:-1], KNOWN + "=", "ключ", "\x00"])
def test_another_signature_does_not_pass(signature: str) -> None:
    assert not verify(signature, URL, PARAMETERS, TOKEN)


def test_another_form_or_token_does_not_pass() -> None:
    assert not verify(KNOWN, URL, PARAMETERS[1:], TOKEN)
    assert not verify(KNOWN, URL, [*PARAMETERS, ("Digits", "1235")], TOKEN)
    assert not verify(KNOWN, URL, PARAMETERS, "12346")


def test_another_body_does_not_pass() -> None:
    url = with_body_hash("https://host.example/x", b'{"a":1}')
    signature = sign(url, (), TOKEN)
    assert verify(signature, url, (), TOKEN, b'{"a":1}')
    assert not verify(signature, url, (), TOKEN, b'{"a":2}')
    assert not verify(sign("https://host.example/x", (), TOKEN), "https://host.example/x", (), TOKEN, b"{}")


@pytest.mark.parametrize(
    ("url", "begins"),
    [
        ("https://h.example/x", "https://h.example/x?bodySHA256="),
        ("https://h.example/x?a=1", "https://h.example/x?a=1&bodySHA256="),
        ("https://h.example/x?", "https://h.example/x?bodySHA256="),
    ],
)
def test_the_hash_of_a_body_goes_into_the_query(url: str, begins: str) -> None:
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert with_body_hash(url, b"") == begins + digest
    assert with_body_hash(f"{url}#rc=1", b"") == f"{begins}{digest}#rc=1"
