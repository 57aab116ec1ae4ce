"""Which adapters there are, ours and those of others; whether settings fit them."""

from __future__ import annotations

import base64
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from tertulia.server.channels.base import Adapter, Channel, Surroundings
from tertulia.server.channels.registry import (
    MASK,
    BadSettings,
    NoAdapter,
    adapter_of,
    adapters,
    known_settings,
    settings_of,
    shown,
)

from .distribution import install

SECRET = "s3cr3t"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    host: Annotated[str, Meta(description="Where it is.", min_length=1)]
    key: Annotated[str, Meta(description="Proves who we are.", extra={"secret": True}, max_length=8)]
    port: Annotated[int, Meta(description="Its port.", ge=1)] = 25
    tls: bool = True
    note: str | None = None
    colour: Colour = Colour.RED
    numbers: tuple[int, ...] = ()
    codes: dict[str, int] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.tls and self.port == 1:
            raise ValueError("port 1 has no TLS")


def _open(settings: Any, surroundings: Surroundings) -> Channel:
    raise ValueError("nobody opens it here")


ADAPTER = Adapter(name="of-a-test", kinds=frozenset(("sms",)), settings=Settings, open=_open)
GIVEN = {"host": "a.test", "key": SECRET}


def in_force(**given: Any) -> Settings:
    settings = settings_of(ADAPTER, {**GIVEN, **given})
    assert isinstance(settings, Settings)
    return settings


@pytest.mark.parametrize("name", adapters())
def test_each_of_ours_says_what_can_be_set_and_marks_secrets(name: str) -> None:
    known = known_settings(adapter_of(name))
    assert [one.name for one in known if not one.description.endswith(".")] == []
    telling = ("password", "secret", "token", "private_key", "passphrase")
    assert [one.name for one in known if one.name.endswith(telling) and not one.is_secret] == []


def test_another_distribution_brings_an_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, **{"of-a-test": f"{__name__}:ADAPTER"})
    assert "of-a-test" in adapters() and "simulator" in adapters()
    assert adapter_of("of-a-test") is ADAPTER


def test_nobody_takes_the_place_of_one_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, simulator=f"{__name__}:ADAPTER", smpp=f"{__name__}:ADAPTER")
    assert adapter_of("simulator").name == "simulator" and adapter_of("smpp").settings is not Settings


@pytest.mark.parametrize(
    ("source", "place", "said"),
    [
        ("", "{module}:ADAPTER", "AttributeError"),
        ("import not_there_at_all", "{module}:ADAPTER", "No module named 'not_there_at_all'"),
        ("ADAPTER = 1 + ''", "{module}:ADAPTER", "TypeError"),
        ("ADAPTER = (", "{module}:ADAPTER", "SyntaxError"),
        ("ADAPTER = 5", "{module}:ADAPTER", "names no Adapter"),
        ("from tertulia.server.channels.simulator import ADAPTER", "{module}:ADAPTER", "calls itself 'simulator'"),
    ],
    ids=["no such name", "a library is missing", "an error", "no Python", "no adapter", "of another name"],
)
def test_one_that_cannot_be_loaded_says_why_and_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, place: str, said: str
) -> None:
    module = f"broken_{abs(hash(said))}"
    (tmp_path / f"{module}.py").write_text(source)
    install(tmp_path, monkeypatch, name="somebody-elses", broken=place.format(module=module))
    with pytest.raises(NoAdapter, match="somebody-elses") as problem:
        adapter_of("broken")
    assert said in str(problem.value)


def test_an_unknown_name_is_answered_with_a_near_one_or_with_all() -> None:
    with pytest.raises(NoAdapter, match="did you mean smpp"):
        adapter_of("smp")
    with pytest.raises(NoAdapter, match=r"installed are .*simulator"):
        adapter_of("pigeon post")


def test_what_can_be_set_is_told_in_order_with_defaults_and_secrets() -> None:
    known = {one.name: one for one in known_settings(ADAPTER)}
    assert list(known)[:3] == ["host", "key", "port"]
    assert [name for name, one in known.items() if one.is_required] == ["host", "key"]
    assert [name for name, one in known.items() if one.is_secret] == ["key"]
    assert (known["port"].default, known["codes"].default, known["host"].description) == (25, {}, "Where it is.")


def test_texts_stand_for_what_is_wanted() -> None:
    settings = in_force(port="2775", tls="false", colour="blue", numbers="[1, 2]", codes='{"a": 1}', note="5")
    assert (settings.port, settings.tls, settings.colour, settings.numbers) == (2775, False, Colour.BLUE, (1, 2))
    assert (settings.codes, settings.note) == ({"a": 1}, "5")
    assert in_force(port=7, numbers=[3], codes={"b": 2}).numbers == (3,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hots": "x"}, "no setting 'hots'; did you mean host"),
        ({"host": ""}, "host: "),
        ({"port": "0"}, "got '0'"),
        ({"port": "many"}, "port: "),
        ({"colour": "green"}, "colour: "),
        ({"numbers": "1, 2"}, "numbers: "),
        ({"numbers": '["x"]'}, "numbers: "),
        ({"codes": "{"}, "codes: "),
        ({"port": 1}, "port 1 has no TLS"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSettings) as problem:
        in_force(**given)
    assert said in str(problem.value)


def test_what_is_missing_is_named_with_its_meaning() -> None:
    with pytest.raises(BadSettings, match=r"host is missing: Where it is\."):
        settings_of(ADAPTER, {"key": SECRET})


def test_a_secret_that_does_not_fit_is_not_repeated() -> None:
    for wrong in ("far too long a secret", ["far too long a secret"]):
        with pytest.raises(BadSettings) as problem:
            in_force(key=wrong)
        assert str(problem.value).startswith("key: ") and "far too" not in str(problem.value)


def test_what_is_in_force_is_shown_and_secrets_are_stars() -> None:
    seen = shown(ADAPTER, {**GIVEN, "colour": "blue"})
    assert seen == {
        "host": "a.test",
        "key": MASK,
        "port": 25,
        "tls": True,
        "note": None,
        "colour": "blue",
        "numbers": (),
        "codes": {},
    }
    assert shown(ADAPTER, {"host": "a.test", "key": ""})["key"] == ""


def test_what_the_adapter_knows_no_longer_is_shown_as_stars() -> None:
    assert shown(ADAPTER, {"host": "a.test", "old": SECRET}) == {
        **shown(ADAPTER, {"host": "a.test"}),
        "old": MASK,
    }
    assert shown(ADAPTER, {})["host"] is None


WRITTEN = "hunter2-5fc1a0"


@pytest.mark.parametrize("name", ["headers", "query", "form", "json", "media_json", "group_json", "statuses"])
@pytest.mark.parametrize("wrong", [[WRITTEN], WRITTEN, {"a": [WRITTEN], "b": 1}, f'{{"Authorization": "{WRITTEN}"'])
def test_a_table_that_does_not_fit_is_not_repeated(name: str, wrong: Any) -> None:
    given = {"base_url": "https://api.example", "json": {"to": "{to}"}, "media_types": 7, name: wrong}
    with pytest.raises(BadSettings) as problem:
        settings_of(adapter_of("http-sms"), given)
    assert WRITTEN not in str(problem.value)


@pytest.mark.parametrize("given", [{"base_url": f"https://u:{WRITTEN}@x"}, {"base_url": "https://x", "path": WRITTEN}])
def test_a_text_that_does_not_fit_is_not_repeated(given: dict[str, Any]) -> None:
    with pytest.raises(BadSettings) as problem:
        settings_of(adapter_of("http-sms"), {"json": {"to": "{to}"}, **given})
    assert WRITTEN not in str(problem.value)


@pytest.mark.parametrize(
    ("name", "given", "seen"),
    [
        ("headers", {"Authorization": f"Bearer {WRITTEN}"}, {"Authorization": MASK}),
        ("headers", {"Authorization": "Bearer {token}"}, {"Authorization": "Bearer {token}"}),
        ("headers", {"Authorization": f"{WRITTEN}{{token}}"}, {"Authorization": MASK}),
        ("headers", {"X-Anything": WRITTEN}, {"X-Anything": MASK}),
        ("headers", {"accept": "text/plain", "User-Agent": "us"}, {"accept": "text/plain", "User-Agent": "us"}),
        ("query", {"api_key": WRITTEN, "to": "{to}"}, {"api_key": MASK, "to": "{to}"}),
        ("query", {"PASSWORD": WRITTEN, "password": "{token}"}, {"PASSWORD": MASK, "password": "{token}"}),
        ("form", {"accessToken": WRITTEN, "type": "sms"}, {"accessToken": MASK, "type": "sms"}),
        ("json", {"a": [{"secret": WRITTEN, "text": "{text}"}]}, {"a": [{"secret": MASK, "text": "{text}"}]}),
        ("json", {"auth": {"user": WRITTEN, "on": True}}, {"auth": {"user": MASK, "on": True}}),
        ("basic", f"us:{WRITTEN}", MASK),
        ("basic", "{token}:x", MASK),
        ("basic", "{token}:{token}", "{token}:{token}"),
    ],
)
def test_secrets_that_are_written_out_in_a_table_are_stars(name: str, given: Any, seen: Any) -> None:
    adapter = adapter_of("http-sms")
    settings = {"base_url": "https://api.example", "json": {"to": "{to}"}, "credentials": {"token": "t"}, name: given}
    settings_of(adapter, settings)
    assert shown(adapter, settings)[name] == seen


def test_stars_in_a_table_stand_for_what_was_there() -> None:
    adapter = adapter_of("http-sms")
    before = {
        "base_url": "https://api.example",
        "headers": {"X-Key": WRITTEN, "Accept": "a/b"},
        "json": {"to": "{to}", "keys": [WRITTEN]},
        "basic": f"us:{WRITTEN}",
    }
    seen = {name: shown(adapter, before)[name] for name in before}
    assert WRITTEN not in str(seen)
    settings: Any = settings_of(adapter, {**seen, "headers": {"X-Key": MASK, "Accept": "c/d"}}, before)
    assert (settings.headers, settings.json, settings.basic) == (
        {"X-Key": WRITTEN, "Accept": "c/d"},
        before["json"],
        before["basic"],
    )
    as_text: Any = settings_of(adapter, {**seen, "headers": '{"X-Key": "***"}'}, before)
    assert as_text.headers == {"X-Key": WRITTEN}
    with pytest.raises(BadSettings, match=r"headers: nobody knows what \*\*\* stands for"):
        settings_of(adapter, {**seen, "headers": {"X-Other": MASK}}, before)


META = {"app_secret": "0123456789abcdef", "verify_token": "long enough"}
OF_TELNYX = {"public_key": base64.b64encode(bytes(32)).decode()}


def tokens(name: str, token: str) -> list[dict[str, Any]]:
    """Settings of an adapter in each of which this is a token."""
    if name == "telnyx":
        return [{**OF_TELNYX, "api_key": token}]
    if name == "whatsapp":
        return [{**META, "phone_number_id": "1", "access_token": token}]
    page = {**META, "page_id": "1"}
    return [{**page, "access_token": token}, {**page, "access_token": "EAA", "more_pages": {"2": token}}]


@pytest.mark.parametrize("token", ["EAA\n", "EAA\r\nX-Evil: 1", "EAA\u2026", "EAA ", ""])
@pytest.mark.parametrize("name", ["whatsapp", "messenger", "telnyx"])
def test_a_token_that_no_header_can_carry_is_refused(name: str, token: str) -> None:
    for given in tokens(name, "EAA"):
        settings_of(adapter_of(name), given)
    for given in tokens(name, token):
        with pytest.raises(BadSettings) as problem:
            settings_of(adapter_of(name), given)
        assert "EAA" not in str(problem.value)


IDS = {
    "whatsapp": {**META, "access_token": "EAA", "phone_number_id": "1"},
    "messenger": {**META, "access_token": "EAA", "page_id": "1"},
    "twilio": {"account_sid": "AC" + "1" * 32, "auth_token": "x"},
    "smpp": {"host": "smsc.example", "system_id": "us", "password": "x"},
}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("whatsapp", "phone_number_id"),
        ("messenger", "page_id"),
        ("twilio", "account_sid"),
        ("smpp", "system_id"),
        ("smpp", "password"),
    ],
)
def test_a_line_end_behind_what_was_copied_is_refused(name: str, field: str) -> None:
    given = IDS[name]
    settings_of(adapter_of(name), given)
    with pytest.raises(BadSettings, match=f"^{field}: "):
        settings_of(adapter_of(name), {**given, field: f"{given[field]}\n"})
