"""The `twilio` package, untouched: content templates, and messages made from them."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList
from twilio.rest.content.v1.content.approval_create import ApprovalCreateList

from tests.cli.command import Credentials

from .official import library

QUICK_REPLY = {
    "body": "Will you come, {{1}}?",
    "actions": [{"type": "QUICK_REPLY", "title": "Yes", "id": "yes"}, {"type": "QUICK_REPLY", "title": "No"}],
}


@pytest.fixture(scope="module")
def client(known: Credentials) -> Client:
    return library(known)


def request(types: dict[str, Any], **more: Any) -> Any:
    return ContentList.ContentCreateRequest({"language": "en", "types": types, **more})


def code_of(failure: pytest.ExceptionInfo[TwilioRestException]) -> tuple[int, int]:
    return failure.value.status, failure.value.code


def test_a_template_from_its_creation_to_its_end(client: Client) -> None:
    contents = client.content.v1.contents
    name = f"invitation-{uuid4().hex[:12]}"
    made = contents.create(
        request(
            {"twilio/text": {"body": "Come, {{1}}!"}, "twilio/quick-reply": QUICK_REPLY},
            friendly_name=name,
            variables={"1": "friend"},
        )
    )
    assert (made.friendly_name, made.language, made.variables) == (name, "en", {"1": "friend"})
    assert made.types == {"twilio/text": {"body": "Come, {{1}}!"}, "twilio/quick-reply": QUICK_REPLY}
    assert made.date_created is not None and made.date_created.tzinfo is not None

    fetched = contents(made.sid).fetch()
    assert (fetched.sid, fetched.types, fetched.url) == (made.sid, made.types, made.url)
    changed = contents(made.sid).update(
        ContentList.ContentUpdateRequest({"types": {"twilio/text": {"body": "Never mind."}}})
    )
    assert (changed.friendly_name, changed.types) == (name, {"twilio/text": {"body": "Never mind."}})
    again = contents.create(request({"twilio/text": {"body": "x"}}))
    assert [one.sid for one in contents.stream(page_size=1)][-2:] == [made.sid, again.sid]

    for sid in (made.sid, again.sid):
        assert contents(sid).delete()
    with pytest.raises(TwilioRestException) as failure:
        contents(made.sid).fetch()
    assert code_of(failure) == (404, 20404)


def test_an_approval_is_asked_for_and_answered(client: Client) -> None:
    v1 = client.content.v1
    made = v1.contents.create(request({"twilio/text": {"body": "Hello"}}))
    wish = ApprovalCreateList.ContentApprovalRequest({"name": "hello", "category": "UTILITY"})
    asked = v1.contents(made.sid).approval_create.create(wish)
    assert (asked.name, asked.category, asked.status, asked.content_type) == (
        "hello",
        "UTILITY",
        "received",
        "twilio/text",
    )
    assert v1.contents(made.sid).approval_fetch().fetch().whatsapp["status"] == "approved"
    listed = {one.sid: one.approval_requests for one in v1.content_and_approvals.list()}
    assert listed[made.sid]["status"] == "approved"
    assert v1.legacy_contents.list() == []
    assert v1.contents(made.sid).delete()


def test_a_message_is_made_from_a_template(client: Client) -> None:
    contents, v1 = client.content.v1.contents, client.conversations.v1
    made = contents.create(request({"twilio/quick-reply": QUICK_REPLY}, variables={"1": "friend"}))
    room = v1.conversations.create()
    messages = v1.conversations(room.sid).messages
    message = messages.create(content_sid=made.sid, content_variables=json.dumps({"1": "Ana"}), body="ignored")
    assert (message.body, message.content_sid) == ("Will you come, Ana?", made.sid)
    assert messages.create(content_sid=made.sid).body == "Will you come, friend?"
    assert contents(made.sid).delete()
    assert messages(message.sid).fetch().content_sid == made.sid
    with pytest.raises(TwilioRestException) as failure:
        messages.create(content_sid=made.sid)
    assert failure.value.status == 404
    assert v1.conversations(room.sid).delete()


def test_what_is_wrong_with_a_template_is_said(client: Client) -> None:
    with pytest.raises(TwilioRestException) as failure:
        client.content.v1.contents.create(request({"twilio/card": {"title": "alone"}}))
    assert code_of(failure) == (400, 20001)
    assert "types.twilio/card" in failure.value.msg
    flows = {"body": "b", "button_text": "c", "flow_id": "1"}
    made = client.content.v1.contents.create(request({"whatsapp/flows": flows}))
    room = client.conversations.v1.conversations.create()
    with pytest.raises(TwilioRestException) as failure:
        client.conversations.v1.conversations(room.sid).messages.create(content_sid=made.sid)
    assert code_of(failure) == (400, 50542)
