"""Signed requests with anything in any place: read as far as they make sense, and never more than that."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.server.channels import registry
from tertulia.server.channels.base import Channel, Surroundings, Unreadable
from tertulia.server.channels.graph.callbacks import signature_of
from tertulia.server.clock import ManualClock
from tertulia.server.domain.arriving import arriving_of
from tertulia.server.domain.channels import Incoming
from tertulia.server.outgoing import Outgoing
from tertulia.wire.requests import Request
from tests.contract.channels.graph_stage import CALLBACK, OPEN, now_s
from tests.peers.graph import NUMBER_ID, PAGE_ID, changed, message, page_event, page_update, status, update

NOW = now_s(ManualClock())
SECRET = "made up"

WHATSAPP = update(
    changed(
        messages=[
            message("text", {"body": "hello"}, at_s=NOW, context={"id": "x"}, referral={"headline": "y"}),
            message("image", {"id": "77", "mime_type": "image/jpeg", "caption": "Us"}, at_s=NOW),
            message("interactive", {"type": "list_reply", "list_reply": {"id": "a", "title": "b"}}, at_s=NOW),
            message("location", {"latitude": 1.0, "longitude": 2.0, "name": "Inn"}, at_s=NOW),
            message("contacts", [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+1555"}]}], at_s=NOW),
            message("reaction", {"message_id": "x", "emoji": "!"}, at_s=NOW),
            message("order", {"text": "z", "product_items": [{"product_retailer_id": "p", "quantity": 1}]}, at_s=NOW),
        ],
        statuses=[status("delivered", at_s=NOW), status("failed", at_s=NOW, code=131047)],
    )
)
MESSENGER = page_update(
    page_event(at_s=NOW, message={"mid": "m_1", "text": "x", "quick_reply": {"payload": "p"}}),
    page_event(at_s=NOW, message={"mid": "m_2", "attachments": [{"type": "image", "payload": {"url": "https://x"}}]}),
    page_event(at_s=NOW, postback={"title": "t", "payload": "p", "mid": "m_3"}),
    page_event(at_s=NOW, delivery={"mids": ["m_0"], "watermark": int(NOW * 1000)}),
    page_event(at_s=NOW, read={"watermark": int(NOW * 1000)}),
    page_event(at_s=NOW, reaction={"mid": "m_0", "action": "react", "emoji": "!"}),
    at_s=NOW,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("x" * 5000),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something could be put in place of what is there."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def with_value(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed_one = copy.deepcopy(whole)
    inner = changed_one
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed_one


def channel_of(adapter: str) -> Channel:
    known = registry.adapter_of(adapter)
    own = {"phone_number_id": NUMBER_ID} if adapter == "whatsapp" else {"page_id": PAGE_ID}
    surroundings = Surroundings(
        gateway_sid="GW" + "1" * 32,
        account_sid="AC" + "1" * 32,
        callback_url=CALLBACK,
        outgoing=Outgoing(OPEN),
        clock=ManualClock(),
        new_sid=lambda prefix: prefix,
    )
    given_ones = {"access_token": "t", "app_secret": SECRET, "verify_token": "tavern at nine", **own}
    return known.open(registry.settings_of(known, given_ones), surroundings)


@pytest.mark.parametrize(("adapter", "whole"), [("whatsapp", WHATSAPP), ("messenger", MESSENGER)])
def test_anything_in_any_place_is_read_or_refused(adapter: str, whole: Any) -> None:
    channel = channel_of(adapter)

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(path=st.sampled_from(list(places(whole))), value=values)
    def check(path: tuple[Any, ...], value: Any) -> None:
        body = json.dumps(with_value(whole, path, value)).encode()
        signed = Request("POST", "", {}, {"x-hub-signature-256": signature_of(body, SECRET)}, body)
        try:
            events = channel.hear(signed, CALLBACK).events
        except Unreadable:
            return
        for event in events:
            msgspec.json.encode(event)
            if isinstance(event, Incoming):
                assert event.provider_id and event.sender.startswith(adapter) and (event.text or event.media)
                arriving = arriving_of(event, "RA" + "1" * 32, [None] * len(event.media))
                assert arriving is not None and not arriving.content.is_cut

    check()
