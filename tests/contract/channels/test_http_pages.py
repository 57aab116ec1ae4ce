"""The pages of channels with an HTTP API name every setting, and every code that the code knows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tertulia.server.channels.http_sms.presets import PRESETS
from tertulia.server.channels.registry import adapter_of, known_settings
from tertulia.server.channels.telnyx.settings import CODES as TELNYX_CODES
from tertulia.server.channels.twilio_messaging.codes import LATER, TO_BE_MENDED
from tests.contract.channels.providers import a_message, opened, sent
from tests.peers.http_provider import Answered, HttpProvider

PAGES = Path(__file__).parents[3] / "docs/channels"


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["twilio", "telnyx", "vonage", "kannel", "http-sms"])
def test_every_setting_has_its_row(name: str) -> None:
    rows = [line for line in page(name).splitlines() if line.startswith("| `")]
    named = {word for row in rows for word in re.findall(r"`([a-z_]+)`", row.split(" | ")[0])}
    assert {one.name for one in known_settings(adapter_of(name))} - named == set()


async def test_the_example_of_a_provider_is_what_it_says() -> None:
    blocks = re.findall(r"```json\n(.*?)```", page("http-sms").replace('"…"', '"ours"'), re.DOTALL)
    wanted = re.findall(r"^(\{.*\})$", page("http-sms"), re.MULTILINE)[0]
    async with HttpProvider() as peer:
        peer.answer_with(Answered(200, {"message": {"id": "m-17", "parts": 1}}))
        described = {**json.loads(blocks[0]), "base_url": peer.url + "/v3"}
        async with opened("http-sms", described) as channel:
            assert await sent(channel, a_message()) == "accepted m-17 x1"
        (asked,) = peer.asked
        assert (asked.path, asked.headers["Authorization"]) == ("/v3/accounts/4711/send", "Bearer ours")
        told = asked.json
        assert told.pop("notify").startswith("https://")
        assert told == {name: value for name, value in json.loads(wanted).items() if name != "notify"}


def test_every_preset_has_its_row() -> None:
    for name, preset in PRESETS.items():
        assert f"| `{name}` |" in page("http-sms"), name
        assert "base_url" in preset or "`base_url`: your own" in page("http-sms")


def test_the_codes_that_are_tried_again_are_those_of_the_page() -> None:
    assert [code for code in (*LATER, *TO_BE_MENDED) if str(code) not in page("twilio")] == []
    told = set(re.findall(r"\b[14]0\d{3}\b", page("telnyx")))
    for code, ours in TELNYX_CODES.items():
        assert code in told or ours in (30001, 30004, 30008, 30410, 21614, 50511)
