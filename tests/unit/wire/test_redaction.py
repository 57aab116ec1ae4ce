from __future__ import annotations

import msgspec
import pytest

from tertulia.wire import redaction

CH = "CH" + "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/Client/v2/Configuration", "/Client/v2/Configuration"),
        (f"/Client/v2/Conversations/{CH}/Messages", f"/Client/v2/Conversations/{CH}/Messages"),
        (f"/v3/Documents/{CH}.channel", f"/v3/Documents/{CH}.channel"),
        ("/Client/v2/Users/alice", "/Client/v2/Users/…"),
        ("/Client/v2/Users/alice%40example.com/Devices", "/Client/v2/Users/…/Devices"),
        ("/Client/v2/Users/+15017122661?a=b", "/Client/v2/Users/…"),
        ("/v1/a\nforged", "/v1/…"),
        ("/" + "x" * 5000, "/…"),
    ],
)
def test_a_path_shows_its_way_and_nobodys_name(path: str, shown: str) -> None:
    assert redaction.path(path) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("TM1", "TM1"), ("TM39d49674-f665-4035", "TM39d49674-f66…"), ("a\r\nb", "a??b"), ("é", "?")],
)
def test_a_foreign_word_is_short_and_harmless(text: str, shown: str) -> None:
    assert redaction.word(text) == shown


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (
            b'{"sdk":"JS","osa":64,"env":"Node.js","tree":{"a":1},"none":null}',
            {"sdk": "JS", "osa": "64", "env": "Node.js"},
        ),
        (b"null", {}),
        (b'"text"', {}),
        (b"[" * 100_000, {}),
        (b'{"a":"\xff"}', {}),
        (b'{"a":"line\\nline"}', {"a": "line?line"}),
    ],
)
def test_a_client_describes_itself_in_plain_words(metadata: bytes, told: dict[str, str]) -> None:
    assert redaction.described(msgspec.Raw(metadata)) == told


def test_a_talkative_client_is_cut_short() -> None:
    told = redaction.described(msgspec.Raw(msgspec.json.encode({f"k{n}": "x" * 500 for n in range(100)})))
    assert len(told) == 16
    assert all(len(value) == 65 for value in told.values())
