"""Whatever is sent is answered, and never with our own failure."""

from __future__ import annotations

import json
import random
from urllib.parse import quote, urlencode

import msgspec
import pytest

from tertulia.server.rest import ACCOUNT_API
from tertulia.server.web.operations import Operation

from .client import AccountHolder

ODD = (
    *("", " ", "null", "true", "0", "-1", "1", "9" * 30, "1e5", "NaN", "{}", "[]", "{", '"\\ud800"', '"\\u0000"'),
    *("CH" + "0" * 32, "RL" + "0" * 32, "MG" + "f" * 32, "ME" + "0" * 32, "HX" + "0" * 32, "US" + "0" * 32),
    *("2025-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2025-02-30T00:00:00Z"),
    *("PT1M", "P99999999D", "PT0S", "P", "PT", "P1W", "+15550001111", "whatsapp:+15550001111", "a@b.test", "x:y"),
    *("active", "closed", "conversation", "sendMessage", "muted", "desc", "\ufffd", "\U0001f680", "\u202e", "a\nb"),
    *("x" * 300, "é" * 20_000, "[" * 5_000, '{"a":' * 2_000, "' OR 1=1 --", "%", "%zz", "a&b=c", "\x7f"),
)

CONTENT = {"language": "en", "types": {"twilio/text": {"body": "Hello {{1}}"}}}

SHORT = tuple(text for text in ODD if len(text) < 1000)
"""What fits into a URL."""


@pytest.mark.parametrize("operation", list(ACCOUNT_API), ids=lambda one: f"{one.method} {one.path}")
async def test_nonsense_is_never_our_failure(account: AccountHolder, operation: Operation) -> None:
    chance = random.Random(operation.path + operation.method)
    room = f"/v1/Conversations/{await account.conversation(UniqueName='known')}"
    message = (await account.made(f"{room}/Messages", {"Body": "x"}))["sid"]
    await account.made(f"{room}/Participants", {"Identity": "known"})
    known = {"conversation": "known", "participant": "known", "user": "known", "message": message}
    known["role"] = (await account.everything("/Roles"))[0]["sid"]
    absent = {"receipt": "DY", "webhook": "WH", "configuration": "IG", "credential": "CR", "binding": "BS"}
    known["content"] = (await account.ask("POST", "/v1/Content", json=CONTENT))["sid"]
    known |= {name: prefix + "0" * 32 for name, prefix in absent.items()}
    known["service"] = (
        account.service_sid if operation.is_long else (await account.made("/Services", {"FriendlyName": "n"}))["sid"]
    )
    for _ in range(25):
        values = {
            name: value if chance.random() < 0.7 else quote(chance.choice(SHORT), safe="") or "-"
            for name, value in known.items()
        }
        path = operation.path.format(**{name: values[name] for name in operation.parameters})
        query = urlencode(parameters(operation.query, chance, SHORT))
        odd = parameters(operation.form, chance, ODD)
        body = urlencode(odd) if operation.body == "form" else members(odd, chance)
        answer = await account.ask(operation.method, f"{path}?{query}", content=body.encode())
        assert answer.status < 500, (path, query, body, answer.body)


def members(odd: list[tuple[str, str]], chance: random.Random) -> str:
    """A JSON object of odd members: texts, or whatever they are as JSON."""
    return "{" + ",".join(f"{json.dumps(name)}:{chance.choice((json.dumps(text), text))}" for name, text in odd) + "}"


def parameters(
    form: type[msgspec.Struct] | None, chance: random.Random, values: tuple[str, ...]
) -> list[tuple[str, str]]:
    names = [field.encode_name for field in msgspec.structs.fields(form)] if form is not None else []
    return [(name, chance.choice(values)) for name in names for _ in range(chance.choice((0, 0, 1, 1, 1, 2)))]
