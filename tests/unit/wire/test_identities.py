from __future__ import annotations

import pytest

from tertulia.wire.identities import IdentityRefused, check_identity


@pytest.mark.parametrize(
    "identity",
    [
        "a",
        "alice@example.com",
        "a b/é",
        "+15017122661",
        "! * ' ( ) ; : @ & = + $ , / ? % # [ ]",
        "System",
        "x" * 256,
        "🦊" * 256,
        "US" + "0" * 31,
        "CH" + "0" * 32,
        "us" + "0" * 32,
    ],
)
def test_any_text_may_be_an_identity(identity: str) -> None:
    check_identity(identity)


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        ("", 50204),
        ("a\0b", 50204),
        ("x" * 257, 50207),
        ("system", 50203),
        ("US" + "0" * 32, 50206),
        ("US" + "AbCdEf01" * 4, 50206),
        ("MB" + "f" * 32, 50206),
    ],
)
def test_an_identity_that_could_be_mistaken_is_refused(identity: str, code: int) -> None:
    with pytest.raises(IdentityRefused) as refused:
        check_identity(identity)
    assert refused.value.code == code
    assert refused.value.message == str(refused.value)
