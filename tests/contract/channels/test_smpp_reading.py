"""What an SMSC brings, byte for byte: receipts, messages, parts of them, and what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.channels.smpp import pdus
from tertulia.server.channels.smpp.hearing import Ignored, heard
from tertulia.server.channels.smpp.ids import MessageIds
from tertulia.server.channels.smpp.numbers import address_of
from tertulia.server.channels.smpp.pdus import Malformed, Pdu, Sms, sms_of, submit_body, taken
from tertulia.server.channels.smpp.settings import DefaultAlphabet, ReceiptIds, SmppSettings
from tertulia.server.domain.channels import Incoming, Part, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.smpp_cases import (
    IDS,
    INCOMING_NUMBERS,
    INCOMING_WORDS,
    RECEIPT_TEXTS,
    STATES,
    UNREADABLE_RECEIPTS,
    WORDS,
)


def settings(**given: Any) -> SmppSettings:
    if "default_alphabet" in given:
        given["default_alphabet"] = DefaultAlphabet(given["default_alphabet"])
    return SmppSettings(host="smsc.example.com", system_id="tertulia", **given)


def sms(text: bytes = b"", **fields: Any) -> Sms:
    return Sms(
        **{
            "source": "15550002222",
            "source_ton": 1,
            "source_npi": 1,
            "destination": "15550001111",
            "destination_ton": 1,
            "destination_npi": 1,
            "text": text,
            **fields,
        }
    )


def read(one: Sms, ids: MessageIds | None = None, **given: Any) -> Incoming | Report | Ignored:
    """As it comes over the wire."""
    # Both have the same body.
    came = sms_of(Pdu(pdus.DELIVER_SM, 0, 1, submit_body(one)))
    assert came == one
    return heard(came, settings(**given), ids or MessageIds(ReceiptIds.AUTO), lambda digest: f"name of {digest}")


def report(one: Sms, **given: Any) -> Report:
    what = read(one, **given)
    assert isinstance(what, Report)
    return what


def message(one: Sms, **given: Any) -> Incoming:
    what = read(one, **given)
    assert isinstance(what, Incoming)
    return what


# --- receipts


@pytest.mark.parametrize(("stat", "err", "outcome"), WORDS)
def test_the_word_of_a_receipt_says_what_became_of_the_message(
    stat: str, err: str, outcome: tuple[ReceiptStatus, int]
) -> None:
    told = report(sms(f"id:77 sub:001 dlvrd:001 stat:{stat} err:{err} text:Hi".encode(), esm_class=0x04))
    assert (told.status, told.error_code) == outcome
    assert told.handle == "77"


@pytest.mark.parametrize(("state", "outcome"), STATES)
def test_the_state_of_a_receipt_is_believed_before_its_text(state: int, outcome: tuple[ReceiptStatus, int]) -> None:
    tlvs = {pdus.RECEIPTED_ID: b"88\0", pdus.STATE: bytes([state])}
    told = report(sms(b"id:77 stat:SKIPPED err:000 text:", esm_class=0x04, tlvs=tlvs))
    assert (told.status, told.error_code, told.handle) == (*outcome, "88")


def test_a_receipt_may_have_no_text_at_all() -> None:
    tlvs = {pdus.RECEIPTED_ID: b"88\0", pdus.STATE: b"\x05", pdus.NETWORK_ERROR: b"\x03\x00\x01"}
    told = report(sms(esm_class=0x04, tlvs=tlvs))
    assert (told.status, told.error_code, told.handle) == (ReceiptStatus.UNDELIVERED, 30005, "88")


def test_a_receipt_is_known_by_its_parameters_where_its_class_says_nothing() -> None:
    told = report(sms(b"Hi", tlvs={pdus.RECEIPTED_ID: b"88\0", pdus.STATE: b"\x02"}))
    assert told.status is ReceiptStatus.DELIVERED


@pytest.mark.parametrize("text", RECEIPT_TEXTS)
def test_receipts_are_read_by_key(text: str) -> None:
    told = report(sms(text.encode(), esm_class=0x04))
    assert (told.status, told.handle) == (ReceiptStatus.DELIVERED, "1a2b")


@pytest.mark.parametrize("text", UNREADABLE_RECEIPTS)
def test_a_receipt_that_says_nothing_is_taken_and_forgotten(text: str) -> None:
    what = read(sms(text.encode(), esm_class=0x04))
    assert isinstance(what, Ignored)
    assert what.is_strange


def test_vendors_codes_can_be_set() -> None:
    one = sms(b"id:77 stat:UNDELIV err:006", esm_class=0x04)
    assert report(one).error_code == 30003
    assert report(one, receipt_codes={"006": 30006}).error_code == 30006


def test_what_is_not_final_never_says_that_a_message_has_failed() -> None:
    told = report(sms(b"id:77 stat:UNDELIV err:001", esm_class=0x20))
    assert (told.status, told.error_code) == (ReceiptStatus.SENT, 0)


@pytest.mark.parametrize("esm_class", [0x08, 0x10])
def test_a_handsets_own_acknowledgement_is_no_message(esm_class: int) -> None:
    what = read(sms(b"read", esm_class=esm_class))
    assert isinstance(what, Ignored)
    assert not what.is_strange


@pytest.mark.parametrize(("given_id", "reported"), IDS)
def test_an_id_is_recognised_in_both_spellings(given_id: str, reported: str) -> None:
    ids = MessageIds(ReceiptIds.AUTO)
    handle = ids.given(given_id)
    assert handle in ids.reported(reported)


def test_a_decimal_id_is_hexadecimal_where_others_have_been() -> None:
    ids = MessageIds(ReceiptIds.AUTO)
    ids.given("4660")
    assert ids.reported("ff") == ("ff", "255")
    assert ids.reported("1234") == ("1234", "4660")


def test_who_always_spells_the_same_has_no_other_names() -> None:
    assert MessageIds(ReceiptIds.SAME).reported("1234") == ("1234", None)
    ids = MessageIds(ReceiptIds.AUTO)
    ids.given("ab12")
    assert ids.reported("ff12") == ("ff12", None)


# --- messages


@pytest.mark.parametrize(("data_coding", "data", "given_settings", "text"), INCOMING_WORDS)
def test_texts_are_read_as_their_coding_says(
    data_coding: int, data: bytes, given_settings: dict[str, Any], text: str | None
) -> None:
    what = read(sms(data, data_coding=data_coding), **given_settings)
    if text is None:
        assert isinstance(what, Ignored)
    else:
        assert isinstance(what, Incoming)
        assert (what.text, what.sender, what.recipient, what.part) == (text, "+15550002222", "+15550001111", None)


@pytest.mark.parametrize(("ton", "came", "country_code", "address"), INCOMING_NUMBERS)
def test_numbers_are_spelled_as_conversations_do(ton: int, came: str, country_code: str, address: str) -> None:
    assert address_of(ton, came, country_code) == address


@pytest.mark.parametrize(
    ("header", "reference"),
    [("050003a70301", "8/167"), ("06080412340301", "16/4660"), ("082401010003a70301", "8/167")],
)
def test_a_header_says_which_part_it_is(header: str, reference: str) -> None:
    what = message(sms(bytes.fromhex(header) + b"Hi", esm_class=0x40))
    assert what.part == Part(reference=reference, number=1, total=3)
    assert what.text == "Hi"


def test_parameters_say_which_part_it_is() -> None:
    tlvs = {pdus.SAR_REFERENCE: b"\x12\x34", pdus.SAR_TOTAL: b"\x02", pdus.SAR_NUMBER: b"\x02"}
    what = message(sms(b"Hi", tlvs=tlvs))
    assert what.part == Part(reference="sar/4660", number=2, total=2)


def test_a_packed_part_begins_behind_its_header() -> None:
    header = bytes.fromhex("050003a70201")
    # The first septet of "hi" begins one bit after the six bytes of the header.
    data = ((ord("h") | ord("i") << 7) << 1).to_bytes(2, "little")
    what = message(sms(header + data, esm_class=0x40), default_alphabet="gsm7_packed")
    assert what.text == "hi"


@pytest.mark.parametrize("header", ["050003a70101", "050003a70300", "050003a70304", "0400030102"])
def test_numbers_that_no_part_has_make_it_a_message_of_its_own(header: str) -> None:
    what = message(sms(bytes.fromhex(header) + b"Hi", esm_class=0x40))
    assert what.part is None
    assert what.text == "Hi"


def test_halves_of_a_character_stay_until_they_meet() -> None:
    data = "😀".encode("utf-16-be")
    halves = [message(sms(half, data_coding=8)).text or "" for half in (data[:2], data[2:])]
    assert "".join(halves).encode("utf-16-be", "surrogatepass") == data


def test_a_payload_is_the_text() -> None:
    assert message(sms(tlvs={pdus.PAYLOAD: b"Hi" * 300})).text == "Hi" * 300


def test_data_sm_says_the_same() -> None:
    fields = b"\0" + b"\x01\x01" + b"15550002222\0" + b"\x01\x01" + b"15550001111\0" + b"\x00\x00\x08"
    body = fields + b"\x04\x24\x00\x04" + "Hi".encode("utf-16-be")
    what = heard(sms_of(Pdu(pdus.DATA_SM, 0, 1, body)), settings(), MessageIds(ReceiptIds.AUTO), str)
    assert isinstance(what, Incoming)
    assert (what.sender, what.recipient, what.text) == ("+15550002222", "+15550001111", "Hi")


def test_a_message_is_named_by_what_it_says_unless_the_smsc_has_a_name_for_it() -> None:
    one, same, other = (message(sms(text)).provider_id for text in (b"Hi", b"Hi", b"Ho"))
    assert one == same != other
    assert message(sms(b"Hi", tlvs={pdus.RECEIPTED_ID: b"mo-1\0"})).provider_id == "id mo-1"


def test_nothing_of_a_message_is_printed() -> None:
    one = sms(b"a secret")
    said = repr(one) + repr(Pdu(5, 0, 1, submit_body(one))) + repr(message(one)) + repr(settings(password="hush"))
    for secret in ("secret", "1555000", "hush"):
        assert secret not in said


# --- what cannot be read


BODY = submit_body(sms(b"Hello", tlvs={pdus.PAYLOAD: b"x"}))


@given(st.integers(0, len(BODY) - 1))
def test_a_body_that_is_cut_short_is_malformed(length: int) -> None:
    whole = submit_body(sms(b"Hello"))
    if length == len(whole):  # nothing is missing but the parameters
        return
    with pytest.raises(Malformed):
        sms_of(Pdu(pdus.DELIVER_SM, 0, 1, BODY[:length]))


@given(st.binary(max_size=200), st.sampled_from([pdus.DELIVER_SM, pdus.DATA_SM]))
def test_any_bytes_are_read_or_malformed(body: bytes, command: int) -> None:
    try:
        heard(sms_of(Pdu(command, 0, 1, body)), settings(), MessageIds(ReceiptIds.AUTO), str)
    except Malformed:
        assert body != BODY


def test_a_header_that_is_longer_than_the_text_is_malformed() -> None:
    with pytest.raises(Malformed):
        read(sms(b"\x05\x00\x03", esm_class=0x40))


@given(st.lists(st.binary(max_size=50), max_size=5), st.data())
def test_pdus_are_taken_whole_however_they_come(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(pdus.pdu(pdus.DELIVER_SM, number, body) for number, body in enumerate(bodies))
    buffer, found = bytearray(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        buffer += stream[:size]
        stream = stream[size:]
        found += taken(buffer)
    assert [one.body for one in found] == bodies
    assert not buffer


@pytest.mark.parametrize("length", [0, 15, 80_001, 0xFFFF_FFFF])
def test_a_length_that_no_pdu_has_is_malformed(length: int) -> None:
    with pytest.raises(Malformed):
        taken(bytearray(length.to_bytes(4, "big") + bytes(12)))
