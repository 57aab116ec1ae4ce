"""Texts as SMS carries them: cut so that nothing is lost, nothing torn, nothing too long."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib import gsm

from tertulia.server.domain.sms_text import (
    SEGMENT,
    Alphabet,
    alphabet_of,
    is_gsm7,
    of_septets,
    packed,
    parts,
    plain,
    room,
    segments,
    septets,
    units,
    unpacked,
)

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "^{}\\[~]|€\f"
GSM = st.text(st.sampled_from(BASIC + EXTENSION), max_size=900)
ANY = st.text(st.characters(codec="utf-8"), max_size=400) | st.text(st.sampled_from("aé😀👍🏽€ф"), max_size=400)
LATIN1 = st.text(st.characters(max_codepoint=0xFF), max_size=700)
HEADERS = st.sampled_from([6, 7])


@given(GSM | ANY, HEADERS)
def test_the_parts_are_the_text_and_none_is_too_long(text: str, header_bytes: int) -> None:
    alphabet = alphabet_of(text)
    cut = parts(text, alphabet, header_bytes)
    assert "".join(cut) == text
    most = SEGMENT[alphabet] if len(cut) == 1 else room(alphabet, header_bytes)
    assert all(units(part, alphabet) <= most for part in cut)
    assert all(cut) or text == ""


@given(LATIN1)
def test_latin_1_is_cut_by_bytes(text: str) -> None:
    cut = parts(text, Alphabet.LATIN1)
    assert "".join(cut) == text
    assert len(cut) == (1 if len(text) <= 140 else math.ceil(len(text) / 134))


@given(st.text(st.sampled_from(BASIC), max_size=900))
def test_the_count_is_the_formula_where_every_character_is_one_unit(text: str) -> None:
    assert segments(text) == (1 if len(text) <= 160 else math.ceil(len(text) / 153))


@given(st.text(st.sampled_from("фжщ"), max_size=500))
def test_the_count_of_ucs_2_is_the_formula(text: str) -> None:
    assert segments(text) == (1 if len(text) <= 70 else math.ceil(len(text) / 67))


@given(GSM | ANY)
def test_the_count_is_at_most_what_a_unit_lost_at_each_end_costs(text: str) -> None:
    alphabet = alphabet_of(text)
    count, length = segments(text), units(text, alphabet)
    if length <= SEGMENT[alphabet]:
        assert count == 1
    else:
        assert math.ceil(length / room(alphabet)) <= count <= math.ceil(length / (room(alphabet) - 1))


@given(st.text(st.sampled_from(BASIC + EXTENSION), max_size=300))
def test_septets_say_what_an_independent_table_says(text: str) -> None:
    data = septets(text)
    assert of_septets(data) == text
    assert len(data) == units(text, Alphabet.GSM7)
    if not set(text) & set("§\f"):  # which the independent table has not
        assert data == gsm.gsm_encode(text)


@given(st.text(st.sampled_from(BASIC + EXTENSION), max_size=160), st.sampled_from([0, 6, 7]))
def test_packed_septets_are_unpacked(text: str, header_bytes: int) -> None:
    data = septets(text)
    assert all(byte < 0x80 for byte in data)
    if data[-1:] != b"\0":  # nobody can tell an @ at the very end from filling
        assert unpacked(packed(data, header_bytes), header_bytes) == data


@given(ANY)
def test_a_plain_text_stays_as_it_is(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    if is_gsm7(text):
        assert once == text


@pytest.mark.parametrize(
    ("text", "alphabet", "count"),
    [
        ("", Alphabet.GSM7, 1),
        ("a" * 160, Alphabet.GSM7, 1),
        ("a" * 161, Alphabet.GSM7, 2),
        ("a" * 306, Alphabet.GSM7, 2),
        ("a" * 307, Alphabet.GSM7, 3),
        ("€" * 80, Alphabet.GSM7, 1),
        ("€" * 81, Alphabet.GSM7, 2),
        ("€" * 152, Alphabet.GSM7, 2),
        ("€" * 153, Alphabet.GSM7, 3),  # 76 in each part: the 153rd septet would be half of one
        ("`", Alphabet.UCS2, 1),
        ("ç", Alphabet.UCS2, 1),
        ("Ç", Alphabet.GSM7, 1),
        ("ж" * 70, Alphabet.UCS2, 1),
        ("ж" * 71, Alphabet.UCS2, 2),
        ("😀" * 35, Alphabet.UCS2, 1),
        ("😀" * 36, Alphabet.UCS2, 2),
        ("😀" * 66, Alphabet.UCS2, 2),
        ("😀" * 67, Alphabet.UCS2, 3),
        ("a" * 1600, Alphabet.GSM7, 11),
        ("ж" * 1600, Alphabet.UCS2, 24),
    ],
)
def test_segments_of_texts(text: str, alphabet: Alphabet, count: int) -> None:
    assert alphabet_of(text) is alphabet
    assert segments(text) == count


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("“It’s” – fine…", '"It\'s" - fine...'),
        ("«no\u00a0space»", '"no space"'),
        ("a\u200bb", "ab"),
        ("naïve café 😀", "naïve café 😀"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_plain_replaces_looks_and_not_letters(text: str, said: str) -> None:
    assert plain(text) == said


def test_what_an_alphabet_cannot_say_is_refused() -> None:
    for alphabet in (Alphabet.GSM7, Alphabet.LATIN1):
        with pytest.raises(ValueError):
            parts("ж" * 200, alphabet)
    with pytest.raises(ValueError):
        septets("ж")
    with pytest.raises(ValueError):
        parts("a" * 153 * 256)


def test_an_escape_that_makes_nothing_is_the_character_behind_it() -> None:
    assert of_septets(b"\x1ba") == "a"
    assert of_septets(b"\x1b\x1b") == " "
    assert of_septets(b"a\x1b") == "a"
    assert of_septets(b"\x1be") == "€"
