"""Page tokens: opaque, ours, for one list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.domain.errors import TertuliaError
from tertulia.server.sealing import KEY_BYTES, Sealer
from tertulia.server.web.page_tokens import PageTokens, Place

TOKENS = PageTokens(Sealer(bytes(KEY_BYTES)))
KEYS = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.integers(-(2**63), 2**63 - 1),
    st.tuples(st.integers(0, 2**60), st.text(st.characters(codec="utf-8"))),
)


@given(st.builds(Place, KEYS, st.booleans(), st.booleans()), st.binary())
def test_a_token_says_what_it_was_made_of_and_fits_into_a_url(place: Place, context: bytes) -> None:
    token = TOKENS.make(place, context)
    assert TOKENS.read(token, context) == place
    assert all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in token)


@given(st.text())
def test_every_other_text_is_refused(text: str) -> None:
    with pytest.raises(TertuliaError) as caught:
        TOKENS.read(text, b"")
    assert caught.value.code == 20001


def test_a_token_of_another_list_or_another_installation_is_refused() -> None:
    token = TOKENS.make(Place("CH1"), b"one")
    with pytest.raises(TertuliaError):
        TOKENS.read(token, b"two")
    with pytest.raises(TertuliaError):
        PageTokens(Sealer(b"x" * KEY_BYTES)).read(token, b"one")
