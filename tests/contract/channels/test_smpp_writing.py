"""What an SMSC is given: alphabets, parts, numbers, and for how long it is of use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib import command

from tertulia.server.channels.base import ChannelMessage, Refused
from tertulia.server.channels.registry import BadSettings, adapter_of, known_settings, settings_of
from tertulia.server.channels.smpp import pdus
from tertulia.server.channels.smpp.links import wait_s
from tertulia.server.channels.smpp.numbers import ours
from tertulia.server.channels.smpp.pdus import Pdu, Sms, sms_of
from tertulia.server.channels.smpp.settings import SmppSettings, Validity
from tertulia.server.channels.smpp.submitting import submission, validity
from tests.contract.channels.smpp_cases import NUMBERS, WORDINGS

NOW = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
HOUR = 3600 * 1_000_000


def settings(**given: Any) -> SmppSettings:
    made = settings_of(adapter_of("smpp"), {"host": "smsc.example.com", "system_id": "tertulia", **given})
    assert isinstance(made, SmppSettings)
    return made


def message(text: str | None, **fields: Any) -> ChannelMessage:
    values: dict[str, Any] = {
        "sid": "SM0123456789abcdef0123456789abcdef",
        "sender": "+15550001111",
        "recipients": ("+15550002222",),
        "text": text,
        "valid_until": NOW + 4 * HOUR,
    }
    return ChannelMessage(**{**values, **fields})


def submitted(text: str, **given: Any) -> list[Sms]:
    """As the SMSC reads it."""
    bodies = submission(message(text), settings(**given), NOW).bodies
    return [sms_of(Pdu(pdus.DELIVER_SM, 0, 1, body)) for body in bodies]


@pytest.mark.parametrize(("text", "given_settings", "data_coding", "data"), WORDINGS)
def test_a_text_is_said_in_the_shortest_way(
    text: str, given_settings: dict[str, Any], data_coding: int, data: bytes
) -> None:
    (one,) = submitted(text, **given_settings)
    assert (one.data_coding, one.text, one.esm_class) == (data_coding, data, 0)


@pytest.mark.parametrize(("address", "given_settings", "spelled"), NUMBERS)
def test_our_numbers_are_spelled_as_smscs_want_them(
    address: str, given_settings: dict[str, Any], spelled: tuple[int, int, str]
) -> None:
    one = ours(address, settings(**given_settings))
    assert (one.ton, one.npi, one.text) == spelled


def test_a_short_text_is_one_plain_message() -> None:
    (body,) = submission(message("Hi"), settings(), NOW).bodies
    # Another reader of the same bytes.
    read: Any = command.SubmitSM("submit_sm", sequence=1)
    read.parse_params(body)
    assert (read.source_addr, read.source_addr_ton, read.source_addr_npi) == (b"15550001111", 1, 1)
    assert (read.destination_addr, read.dest_addr_ton, read.dest_addr_npi) == (b"15550002222", 1, 1)
    assert (read.short_message, read.sm_length, read.esm_class, read.data_coding) == (b"Hi", 2, 0, 0)
    assert (read.validity_period, read.registered_delivery) == (b"000000040000000R", 1)


def test_receipts_need_not_be_asked_for() -> None:
    (body,) = submission(message("Hi"), settings(receipts=False, validity="none", service_type="CMT"), NOW).bodies
    read: Any = command.SubmitSM("submit_sm", sequence=1)
    read.parse_params(body)
    assert (read.service_type, read.validity_period, read.registered_delivery) == (b"CMT", b"", 0)


@pytest.mark.parametrize(
    ("text", "given_settings", "lengths"),
    [
        ("a" * 161, {"long_text": "udh8"}, [6 + 153, 6 + 8]),
        ("a" * 161, {"long_text": "udh16"}, [7 + 152, 7 + 9]),
        ("a" * 161, {"long_text": "sar"}, [153, 8]),
        ("ж" * 71, {"long_text": "udh8"}, [6 + 134, 6 + 8]),
        ("ж" * 71, {"long_text": "udh16"}, [7 + 132, 7 + 10]),
        ("ж" * 71, {"long_text": "sar"}, [134, 8]),
        ("ë" * 141, {"long_text": "udh8", "uses_latin1": True}, [6 + 134, 6 + 7]),
        ("a" * 161, {"long_text": "udh8", "default_alphabet": "gsm7_packed"}, [140, 6 + 8]),
        ("a" * 161, {"long_text": "udh16", "default_alphabet": "gsm7_packed"}, [140, 7 + 8]),
    ],
)
def test_a_long_text_has_parts_that_fit(text: str, given_settings: dict[str, Any], lengths: list[int]) -> None:
    assert [len(one.text) for one in submitted(text, **given_settings)] == lengths


def test_parts_say_in_a_header_that_they_belong_together() -> None:
    first, second = submitted("a" * 161, long_text="udh8")
    assert first.esm_class == second.esm_class == 0x40
    assert first.text[:3] == second.text[:3] == b"\x05\x00\x03"
    assert first.text[3] == second.text[3]
    assert (first.text[4:6], second.text[4:6]) == (b"\x02\x01", b"\x02\x02")


def test_parts_say_in_a_header_of_16_bits_that_they_belong_together() -> None:
    first, second = submitted("a" * 161, long_text="udh16")
    assert first.text[:5] == second.text[:5]
    assert first.text[:3] == b"\x06\x08\x04"
    assert (first.text[5:7], second.text[5:7]) == (b"\x02\x01", b"\x02\x02")


def test_parts_say_in_parameters_that_they_belong_together() -> None:
    first, second = submitted("a" * 161, long_text="sar")
    assert first.esm_class == second.esm_class == 0
    assert first.tlvs[pdus.SAR_REFERENCE] == second.tlvs[pdus.SAR_REFERENCE]
    assert (first.tlvs[pdus.SAR_TOTAL], second.tlvs[pdus.SAR_TOTAL]) == (b"\x02", b"\x02")
    assert (first.tlvs[pdus.SAR_NUMBER], second.tlvs[pdus.SAR_NUMBER]) == (b"\x01", b"\x02")


def test_a_payload_is_not_cut() -> None:
    made = submission(message("a" * 1600), settings(long_text="payload"), NOW)
    (one,) = [sms_of(Pdu(pdus.DELIVER_SM, 0, 1, body)) for body in made.bodies]
    assert (one.text, one.tlvs) == (b"", {pdus.PAYLOAD: b"a" * 1600})
    assert made.segments == 11


def test_every_attempt_submits_the_same_parts() -> None:
    first, again = (submission(message("a" * 400), settings(validity="none"), NOW + late) for late in (0, HOUR))
    assert first == again
    other = submission(message("a" * 400, sid="SMffff"), settings(validity="none"), NOW)
    assert other != first


@pytest.mark.parametrize(
    ("how", "left_us", "said"),
    [
        (Validity.RELATIVE, 4 * HOUR, "000000040000000R"),
        (Validity.RELATIVE, 50 * HOUR + 61_000_000, "000002020101000R"),
        (Validity.RELATIVE, 0, "000000000001000R"),
        (Validity.RELATIVE, -5 * HOUR, "000000000001000R"),
        (Validity.RELATIVE, 1000 * 24 * HOUR, "000030000000000R"),
        (Validity.ABSOLUTE, 4 * HOUR, "260101040000000+"),
        (Validity.NONE, 4 * HOUR, ""),
    ],
)
def test_for_how_long_it_is_of_use(how: Validity, left_us: int, said: str) -> None:
    text = validity(how, NOW + left_us, NOW)
    assert text == said
    assert len(text) in (0, 16)


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (message(None), 30008),
        (message(""), 30008),
        (message("Hi", recipients=("+15550002222", "+15550003333")), 30008),
        (message("a" * 153 * 256), 21617),
        (message("Hi", sender="Ташкент"), 30008),
    ],
)
def test_what_smpp_cannot_carry_is_refused(one: ChannelMessage, code: int) -> None:
    with pytest.raises(Refused) as refused:
        submission(one, settings(), NOW)
    assert refused.value.code == code


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=500),
    st.sampled_from(["udh8", "udh16", "sar"]),
    st.sampled_from(["gsm7", "gsm7_packed", "latin1"]),
)
def test_no_part_is_longer_than_a_message_may_be(text: str, way: str, alphabet: str) -> None:
    for one in submitted(text, long_text=way, default_alphabet=alphabet):
        assert len(one.text) <= 160


@pytest.mark.parametrize(
    ("given_settings", "named"),
    [
        ({"password": "longer than 8"}, "password"),
        ({"system_id": ""}, "system_id"),
        ({"system_id": "seventeen letters"}, "system_id"),
        ({"window": 0}, "window"),
        ({"port": 70000}, "port"),
        ({"status_codes": {"throttled": 30001}}, "status_codes"),
        ({"bind": "both"}, "bind"),
        ({"hots": "x"}, "hots"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(given_settings: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSettings, match=named) as refused:
        settings(**given_settings)
    assert "longer than 8" not in str(refused.value)


def test_a_refused_bind_is_not_tried_again_for_half_a_minute_and_more() -> None:
    assert [wait_s(count, is_refused=True, chance=0.0) for count in range(1, 6)] == [30, 60, 120, 240, 300]
    assert wait_s(1, is_refused=True, chance=1.0) == 36


def test_a_broken_connection_is_made_anew_ever_more_slowly() -> None:
    waits = [wait_s(count, is_refused=False, chance=0.0) for count in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert wait_s(10_000, is_refused=False, chance=1.0) == 72


def test_without_its_library_it_says_which_extra_brings_it() -> None:
    tried = """
import sys
sys.modules["smpplib"] = None
from tertulia.server.channels.registry import NoAdapter, adapter_of
try:
    adapter_of("smpp")
except NoAdapter as problem:
    print(problem)
"""
    said = subprocess.run([sys.executable, "-c", tried], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "smpplib" in said
    assert "tertulia[channels]" in said


def test_every_setting_is_described_also_on_its_page() -> None:
    known = known_settings(adapter_of("smpp"))
    page = (Path(__file__).parents[3] / "docs/channels/smpp.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in page.partition("## Settings")[2].partition("## What becomes")[0].splitlines()
        if line[:1] == "|"
    ]
    assert [one.name for one in known if not one.description] == []
    assert [one.name for one in known if not any(f"`{one.name}`" in row.split("|")[1] for row in rows)] == []
    assert [one.name for one in known if one.is_secret] == ["password"]
