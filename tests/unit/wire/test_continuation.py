from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.wire import base64url, continuation
from tertulia.wire.continuation import Endpoint, Settled
from tertulia.wire.frames import ContinuationStatus


def sign(data: bytes) -> bytes:
    return hmac.digest(b"a key of the deployment", data, hashlib.sha256)


def settle(
    token: str | None, identity: str = "alice", service_sid: str = "IS1", endpoint_id: str | None = None
) -> Settled:
    return continuation.settle(
        sign, token, identity=identity, service_sid=service_sid, endpoint_id=endpoint_id, fresh_id="fresh"
    )


@given(st.binary())
def test_bytes_survive_the_alphabet_of_urls(data: bytes) -> None:
    text = base64url.encode(data)
    assert base64url.decode(text) == data
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("text", ["a", "ab=", "YQ==", "a b", "ab+/", "YQ\n", "é", "YQ=YQ", "abcde", "\0\0"])
def test_another_alphabet_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        base64url.decode(text)


@given(st.text(), st.text(), st.text())
def test_a_token_names_its_endpoint(endpoint_id: str, identity: str, service_sid: str) -> None:
    endpoint = Endpoint(endpoint_id, identity, service_sid)
    assert continuation.read(sign, continuation.issue(sign, endpoint)) == endpoint


@pytest.mark.parametrize("token", ["", ".", "not-a-token", "a.b.c", "eyJ2IjoxfQ.c2ln", "é.é"])
def test_what_we_did_not_sign_names_nobody(token: str) -> None:
    assert continuation.read(sign, token) is None


def test_signed_bytes_of_another_purpose_name_nobody() -> None:
    note = b'["endpoint","alice","IS1"]'
    assert continuation.read(sign, f"{base64url.encode(note)}.{base64url.encode(sign(note))}") is None


def test_a_changed_token_names_nobody() -> None:
    token = continuation.issue(sign, Endpoint("one", "alice", "IS1"))
    note, _, signature = token.partition(".")
    changed = base64url.encode(base64url.decode(note).replace(b"alice", b"mallo"))
    assert continuation.read(sign, f"{changed}.{signature}") is None


def test_a_token_that_fits_is_kept() -> None:
    token = settle(None, endpoint_id="mine").token
    assert settle(token) == Settled(token, "mine", ContinuationStatus(reissued=False))
    assert settle(token, endpoint_id="mine").status == ContinuationStatus(reissued=False)


@pytest.mark.parametrize(
    ("reason", "arguments"),
    [
        ("MISSING", {"token": None}),
        ("MISSING", {"token": ""}),
        ("INVALID", {"token": "not-a-token"}),
        ("DIFFERENT_IDENTITY", {"identity": "bob"}),
        ("DIFFERENT_SERVICE", {"service_sid": "IS2"}),
        ("DIFFERENT_ENDPOINT", {"endpoint_id": "other"}),
    ],
)
def test_a_token_that_does_not_fit_is_replaced_and_the_client_is_told_why(
    reason: str, arguments: dict[str, str | None]
) -> None:
    defaults: dict[str, str | None] = {"token": continuation.issue(sign, Endpoint("mine", "alice", "IS1"))}
    settled = settle(**{**defaults, **arguments})  # type: ignore[arg-type]
    assert (settled.status.reissued, settled.status.reissue_reason) == (True, reason)
    assert settled.status.reissue_message
    known = continuation.read(sign, settled.token)
    assert known is not None
    assert known.endpoint_id == settled.endpoint_id == (arguments.get("endpoint_id") or "fresh")
