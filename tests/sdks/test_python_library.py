"""The `twilio` package, untouched: a back end's work from the first conversation to the last."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant
from twilio.rest import Client

from tests.cli.command import Credentials, welcome

from .official import library, signed


@pytest.fixture(scope="module")
def client(known: Credentials) -> Client:
    return library(known)


@pytest.fixture(params=["the default service", "a named service"])
def service(request: pytest.FixtureRequest, client: Client) -> Iterator[Any]:
    """The resources of a service, by both forms of URL."""
    v1 = client.conversations.v1
    if request.param == "the default service":
        yield v1
        return
    made = v1.services.create(friendly_name="of this test")
    yield v1.services(made.sid)
    assert v1.services(made.sid).delete()


def unique(word: str) -> str:
    return f"{word}-{uuid4().hex[:12]}"


def code_of(failure: pytest.ExceptionInfo[TwilioRestException]) -> tuple[int, int]:
    return failure.value.status, failure.value.code


def test_a_conversation_from_its_creation_to_its_end(service: Any) -> None:
    name = unique("tavern")
    made = service.conversations.create(
        friendly_name="The tavern", unique_name=name, attributes=json.dumps({"tables": 7}), timers_closed="P1D"
    )
    assert (made.state, made.unique_name, json.loads(made.attributes)) == ("active", name, {"tables": 7})
    assert made.timers.keys() == {"date_closed"}
    assert service.conversations(name).fetch().sid == made.sid

    changed = service.conversations(made.sid).update(friendly_name="Closed", state="closed")
    assert (changed.friendly_name, changed.state) == ("Closed", "closed")
    with pytest.raises(TwilioRestException) as failure:
        service.conversations(made.sid).messages.create(body="too late")
    assert failure.value.status in (400, 403, 409)

    assert service.conversations(made.sid).delete()
    with pytest.raises(TwilioRestException) as failure:
        service.conversations(made.sid).fetch()
    assert failure.value.status == 404


def test_two_conversations_cannot_have_one_name(service: Any) -> None:
    name = unique("only")
    made = service.conversations.create(unique_name=name)
    with pytest.raises(TwilioRestException) as failure:
        service.conversations.create(unique_name=name)
    assert failure.value.status == 409
    assert service.conversations(made.sid).delete()


def test_participants_come_are_changed_and_go(service: Any) -> None:
    room = service.conversations.create(friendly_name="people")
    here = service.conversations(room.sid)
    ana = here.participants.create(identity="ana", attributes='{"seat": 1}')
    number = here.participants.create(
        messaging_binding_address="+15005550001", messaging_binding_proxy_address="+15005550006"
    )
    assert {person.identity for person in here.participants.list()} == {"ana", None}
    assert here.participants("ana").fetch().sid == ana.sid
    assert here.participants(number.sid).fetch().messaging_binding["address"] == "+15005550001"

    roles = {role.friendly_name: role.sid for role in service.roles.list() if role.type == "conversation"}
    assert here.participants("ana").update(role_sid=roles["channel admin"]).role_sid == roles["channel admin"]
    with pytest.raises(TwilioRestException) as failure:
        here.participants.create(identity="ana")
    assert code_of(failure) == (409, 50433)

    assert here.participants("ana").delete()
    assert [person.sid for person in here.participants.list()] == [number.sid]
    assert service.conversations(room.sid).delete()


def test_messages_are_numbered_paged_edited_and_removed(service: Any) -> None:
    room = service.conversations.create()
    messages = service.conversations(room.sid).messages
    made = [messages.create(author="ana", body=f"number {number} ☕") for number in range(7)]
    assert [message.index for message in made] == list(range(7))
    assert [message.body for message in messages.stream(page_size=3)] == [message.body for message in made]
    assert [message.index for message in messages.list(order="desc", limit=2)] == [6, 5]

    page = messages.page(page_size=3)
    assert page.next_page_url is not None
    following = page.next_page()
    assert [message.index for message in following] == [3, 4, 5]
    assert [message.index for message in following.previous_page()] == [0, 1, 2]

    changed = messages(made[3].sid).update(body="number three", attributes='{"edited": true}')
    assert (changed.body, changed.index) == ("number three", 3)
    assert messages(made[3].sid).fetch().date_updated >= made[3].date_updated
    assert messages(made[6].sid).delete()
    assert messages.create(body="after").index == 7
    assert service.conversations(room.sid).delete()


def test_a_message_has_a_file_that_was_uploaded_before(client: Client, known: Credentials) -> None:
    content = os.urandom(100_000)
    auth = (known.account_sid, known.auth_token)

    def place(service: str) -> str:
        return f"{known.base_url}/v1/Services/{service}/Media"

    def upload(service: str) -> str:
        answer = requests.post(
            place(service),
            params={"Category": "media", "Filename": "Kätzchen.jpg"},
            headers={"Content-Type": "image/jpeg"},
            data=content,
            auth=auth,
            timeout=20,
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["sid"])

    uploads, sid = place(known.service_sid), upload(known.service_sid)
    other = client.conversations.v1.services.create(friendly_name="with files of its own")
    foreign = upload(other.sid)
    room = client.conversations.v1.conversations.create()
    messages = client.conversations.v1.conversations(room.sid).messages
    alone = messages.create(author="ana", media_sid=sid)
    expected = {"sid": sid, "content_type": "image/jpeg", "filename": "Kätzchen.jpg", "size": len(content)}
    assert (alone.body, alone.media) == (None, [expected])
    assert [message.media for message in messages.list()] == [[expected]]
    for refused, code in ((sid, (409, 50508)), ("ME" + "0" * 32, (404, 50507)), (foreign, (404, 50507))):
        with pytest.raises(TwilioRestException) as failure:
            messages.create(media_sid=refused)
        assert code_of(failure) == code
    with pytest.raises(TwilioRestException) as failure:
        messages(alone.sid).update(body="a cat")
    assert code_of(failure) == (400, 50509)

    record = requests.get(f"{uploads}/{sid}", auth=auth, timeout=20).json()
    assert (record["message_sid"], record["channel_sid"]) == (alone.sid, room.sid)
    found = requests.get(record["links"]["content_direct_temporary"], timeout=20)
    assert (found.content, found.headers["content-type"]) == (content, "image/jpeg")
    assert messages(alone.sid).delete()
    assert requests.get(f"{uploads}/{sid}", auth=auth, timeout=20).status_code == 404
    assert requests.get(record["links"]["content_direct_temporary"], timeout=20).status_code == 404
    assert client.conversations.v1.services(other.sid).delete()
    assert client.conversations.v1.conversations(room.sid).delete()


def test_users_exist_from_the_moment_they_are_named(service: Any) -> None:
    identity = unique("ana") + "@example.org"
    room = service.conversations.create()
    service.conversations(room.sid).participants.create(identity=identity)
    user = service.users(identity).fetch()
    assert user.identity == identity

    changed = service.users(user.sid).update(friendly_name="Ana", attributes='{"likes": "chess"}')
    assert (changed.friendly_name, json.loads(changed.attributes)) == ("Ana", {"likes": "chess"})
    with pytest.raises(TwilioRestException) as failure:
        service.users.create(identity=identity)
    assert failure.value.status == 409

    service.conversations(room.sid).messages.create(body="one")
    service.conversations(room.sid).messages.create(body="two")
    (mine,) = service.users(identity).user_conversations.list()
    assert (mine.conversation_sid, mine.unread_messages_count) == (room.sid, None)
    read = service.users(user.sid).user_conversations(room.sid).update(last_read_message_index=0)
    assert (read.last_read_message_index, read.unread_messages_count) == (0, 1)
    assert [found.conversation_sid for found in service.participant_conversations.list(identity=identity)] == [room.sid]

    assert service.users(user.sid).delete()
    with pytest.raises(TwilioRestException) as failure:
        service.users(identity).fetch()
    assert failure.value.status == 404
    assert service.conversations(room.sid).delete()


def test_roles_can_be_made_given_and_removed(service: Any) -> None:
    role = service.roles.create(friendly_name=unique("guest"), type="conversation", permission=["sendMessage"])
    assert role.permissions == ["sendMessage"]
    changed = service.roles(role.sid).update(permission=["sendMessage", "leaveConversation"])
    assert sorted(changed.permissions) == ["leaveConversation", "sendMessage"]
    assert role.sid in {found.sid for found in service.roles.stream(page_size=2)}
    assert service.roles(role.sid).delete()
    with pytest.raises(TwilioRestException) as failure:
        service.roles(role.sid).fetch()
    assert failure.value.status == 404


def test_the_configuration_names_the_service_that_short_urls_mean(client: Client, known: Credentials) -> None:
    v1 = client.conversations.v1
    assert v1.configuration().fetch().default_chat_service_sid == known.service_sid
    room = v1.conversations.create()
    assert v1.services(known.service_sid).conversations(room.sid).fetch().sid == room.sid
    assert v1.conversations(room.sid).delete()


def test_an_api_key_does_what_the_account_does(known: Credentials) -> None:
    v1 = library(known, by_key=True).conversations.v1
    room = v1.conversations.create(friendly_name="by key")
    assert v1.conversations(room.sid).fetch().account_sid == known.account_sid
    assert v1.conversations(room.sid).delete()


def test_wrong_credentials_are_refused_as_the_library_expects(known: Credentials) -> None:
    with pytest.raises(TwilioRestException) as failure:
        library(known._replace(auth_token="0" * 32)).conversations.v1.conversations("x").fetch()
    assert code_of(failure) == (401, 20003)


def test_what_is_not_there_is_said_with_the_code_of_the_contract(client: Client) -> None:
    with pytest.raises(TwilioRestException) as failure:
        client.conversations.v1.conversations("CH" + "0" * 32).fetch()
    assert code_of(failure) == (404, 20404)
    assert "/Conversations/CH000" in failure.value.msg


def test_a_token_of_the_library_opens_the_client_api(known: Credentials) -> None:
    status = welcome(known.ws_url, signed(known, "ana")).header.status
    assert status is not None
    assert status.code == 200


@pytest.mark.parametrize(
    ("spoilt", "error"),
    [
        ({"secret": "0" * 32}, 20107),
        ({"signing_key_sid": "SK" + "0" * 32}, 20103),
        ({"ttl": 90_000}, 20157),
    ],
    ids=["another secret", "another key", "too long a life"],
)
def test_a_token_that_is_not_right_says_what_is_wrong_with_it(
    known: Credentials, spoilt: dict[str, Any], error: int
) -> None:
    given = {"account_sid": known.account_sid, "signing_key_sid": known.api_key, "secret": known.api_secret, **spoilt}
    token = AccessToken(identity="ana", **given)
    token.add_grant(ChatGrant(service_sid=known.service_sid))
    status = welcome(known.ws_url, token.to_jwt()).header.status
    assert status is not None
    assert (status.code // 100, status.error_code) == (4, error)
