"""The authorisation matrix: every operation of both faces, and what each kind of caller may expect of it.

An operation is named ``METHOD path``; of an operation that exists under two paths the short one stands here, and what
holds for it holds for the long one. Values of a path and of a body in braces are those of the ``Things`` of a test.

A new operation without a row fails the tests, and so does a row without an operation.
"""

from __future__ import annotations

from typing import Final

import msgspec

Outcome = tuple[int, int] | None
"""Status and code of a refusal; None is what the owner gets: it is done."""

DONE: Final = None
ABSENT: Final = (404, 50350)
"""The conversation does not exist, as far as this caller can tell."""
NO_USER: Final = (404, 50200)
NOT_THERE: Final = (404, 20404)
FORBIDDEN: Final = (403, 50107)
READ_ONLY: Final = (403, 54007)

Body = dict[str, object]

OURS: Final = "+15559999999"
"""A number of both accounts, each by its own gateway ``phones``."""


# --- account API: owner, other service of the owner, other account


class Rest(msgspec.Struct, frozen=True):
    """A row of the account API.

    Whatever the row, who has no good credentials is refused in one way (``test_rest``). Another account gets 404/20404
    where the path names something, and its own things where it names nothing.
    """

    form: dict[str, str] = {}
    owner: Outcome = DONE
    json: Body | None = None
    """In place of a form."""
    is_anybodys: bool = False
    """What its path names, every account may have under that name: each gets its own."""


REST: Final[dict[str, Rest]] = {
    "GET /Configuration": Rest(),
    "POST /Configuration": Rest({"DefaultClosedTimer": "P1D"}),
    "GET /Configuration/Webhooks": Rest(),
    "POST /Configuration/Webhooks": Rest({"Method": "POST"}),
    "GET /Configuration/Addresses": Rest(),
    "POST /Configuration/Addresses": Rest({"Type": "sms", "Address": "{number}"}),
    "GET /Configuration/Addresses/{configuration}": Rest(),
    "POST /Configuration/Addresses/{configuration}": Rest({"FriendlyName": "x"}),
    "DELETE /Configuration/Addresses/{configuration}": Rest(),
    "GET /Credentials": Rest(),
    "POST /Credentials": Rest({"Type": "fcm", "Secret": "x"}),
    "GET /Credentials/{credential}": Rest(),
    "POST /Credentials/{credential}": Rest({"FriendlyName": "x"}),
    "DELETE /Credentials/{credential}": Rest(),
    "GET /Content": Rest(),
    "POST /Content": Rest(json={"language": "en", "types": {"twilio/text": {"body": "x"}}}),
    "GET /Content/{content}": Rest(),
    "PUT /Content/{content}": Rest(json={"types": {"twilio/text": {"body": "y"}}}),
    "DELETE /Content/{content}": Rest(),
    "GET /Content/{content}/ApprovalRequests": Rest(),
    "POST /Content/{content}/ApprovalRequests/whatsapp": Rest(json={"name": "x", "category": "UTILITY"}),
    "GET /ContentAndApprovals": Rest(),
    "GET /LegacyContent": Rest(),
    "GET /Services": Rest(),
    "POST /Services": Rest({"FriendlyName": "x"}),
    "GET /Services/{service}": Rest(),
    "DELETE /Services/{service}": Rest(),
    "GET /Services/{service}/Configuration": Rest(),
    "POST /Services/{service}/Configuration": Rest({"ReachabilityEnabled": "false"}),
    "GET /Services/{service}/Configuration/Notifications": Rest(),
    "POST /Services/{service}/Configuration/Notifications": Rest({"LogEnabled": "true"}),
    "GET /Services/{service}/Configuration/Webhooks": Rest(),
    "POST /Services/{service}/Configuration/Webhooks": Rest({"Method": "POST"}),
    "GET /Services/{service}/Bindings": Rest(),
    "GET /Services/{service}/Bindings/{binding}": Rest(),
    "DELETE /Services/{service}/Bindings/{binding}": Rest(),
    "GET /Conversations": Rest(),
    "POST /Conversations": Rest({"FriendlyName": "x"}),
    "POST /ConversationWithParticipants": Rest({"FriendlyName": "x"}),
    "GET /Conversations/{conversation}": Rest(),
    "POST /Conversations/{conversation}": Rest({"FriendlyName": "x"}),
    "DELETE /Conversations/{conversation}": Rest(),
    "GET /Conversations/{conversation}/Participants": Rest(),
    "POST /Conversations/{conversation}/Participants": Rest({"Identity": "eve"}),
    "GET /Conversations/{conversation}/Participants/{participant}": Rest(),
    "POST /Conversations/{conversation}/Participants/{participant}": Rest({"Attributes": '{"a":1}'}),
    "DELETE /Conversations/{conversation}/Participants/{participant}": Rest(),
    "GET /Conversations/{conversation}/Messages": Rest(),
    "POST /Conversations/{conversation}/Messages": Rest({"Body": "x"}),
    "GET /Conversations/{conversation}/Messages/{message}": Rest(),
    "POST /Conversations/{conversation}/Messages/{message}": Rest({"Body": "x"}),
    "DELETE /Conversations/{conversation}/Messages/{message}": Rest(),
    "GET /Conversations/{conversation}/Messages/{message}/ChannelMetadata": Rest(owner=(404, 50530)),
    "GET /Conversations/{conversation}/Messages/{message}/Receipts": Rest(),
    "GET /Conversations/{conversation}/Messages/{message}/Receipts/{receipt}": Rest(),
    "GET /Conversations/{conversation}/Webhooks": Rest(),
    "POST /Conversations/{conversation}/Webhooks": Rest(
        {"Target": "webhook", "Configuration.Url": "https://example.org/x", "Configuration.Filters": "onMessageAdded"}
    ),
    "GET /Conversations/{conversation}/Webhooks/{webhook}": Rest(),
    "POST /Conversations/{conversation}/Webhooks/{webhook}": Rest({"Configuration.Method": "GET"}),
    "DELETE /Conversations/{conversation}/Webhooks/{webhook}": Rest(),
    "GET /Users": Rest(),
    "POST /Users": Rest({"Identity": "eve {number}"}),
    "GET /Users/{user}": Rest(),
    "POST /Users/{user}": Rest({"FriendlyName": "x"}),
    "DELETE /Users/{user}": Rest(),
    "GET /Users/{user}/Conversations": Rest(),
    "GET /Users/{user}/Conversations/{conversation}": Rest(),
    "POST /Users/{user}/Conversations/{conversation}": Rest({"NotificationLevel": "muted"}),
    "DELETE /Users/{user}/Conversations/{conversation}": Rest(),
    "GET /ParticipantConversations": Rest(),
    "GET /Roles": Rest(),
    "POST /Roles": Rest({"FriendlyName": "x", "Type": "service", "Permission": "createConversation"}),
    "GET /Roles/{role}": Rest(),
    "POST /Roles/{role}": Rest({"Permission": "joinConversation"}),
    "DELETE /Roles/{role}": Rest(),
    # Additions of ours, outside of /v1.
    "GET /push/Messages/{message}": Rest(),
    "GET /push/Participants/{participant}": Rest(),
    "GET /channels/Gateways": Rest(),
    "POST /channels/Gateways": Rest({"Name": "x", "Adapter": "simulator"}),
    "GET /channels/Gateways/{gateway}": Rest(),
    "POST /channels/Gateways/{gateway}": Rest({"Settings": '{"loss": 0.5}'}),
    "DELETE /channels/Gateways/{gateway}": Rest(),
    "POST /channels/Gateways/{gateway}/Check": Rest(),
    "GET /channels/Senders": Rest(),
    "POST /channels/Senders": Rest({"Address": "{number}", "Gateway": "phones"}),
    "GET /channels/Senders/{address}": Rest(),
    "POST /channels/Senders/{address}": Rest({"Pool": "x"}),
    "DELETE /channels/Senders/{address}": Rest(),
    "GET /simulator/Phones": Rest(),
    "GET /simulator/Phones/{phone}": Rest(),
    "POST /simulator/Phones/{phone}": Rest({"Outcome": "lost"}, is_anybodys=True),
    "DELETE /simulator/Phones/{phone}": Rest(),
    "GET /simulator/Phones/{phone}/Messages": Rest(is_anybodys=True),
    "POST /simulator/Phones/{phone}/Messages": Rest({"To": OURS, "Body": "x"}, is_anybodys=True),
    "POST /simulator/Phones/{phone}/Read": Rest(),
    "POST /simulator/Phones/{phone}/Media": Rest({"x": "the bytes of a file"}, is_anybodys=True),
    "GET /simulator/Phones/{phone}/Media/{media}": Rest(),
}

REFERENCES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "role of a user": ("POST /Users", {"Identity": "zoe {number}", "RoleSid": "{role}"}),
    "role of a participant": ("POST /Conversations/room/Participants", {"Identity": "zoe", "RoleSid": "{role}"}),
    "default service": ("POST /Configuration", {"DefaultChatServiceSid": "{service}"}),
    "default role": ("POST /Services/{mine}/Configuration", {"DefaultChatServiceRoleSid": "{role}"}),
    "content of a message": ("POST /Conversations/room/Messages", {"ContentSid": "{content}"}),
    "service of an address": (
        "POST /Configuration/Addresses",
        {"Type": "sms", "Address": "+18885550100", "AutoCreation.ConversationServiceSid": "{service}"},
    ),
    "gateway of a sender": ("POST /channels/Senders", {"Address": "+18885550101", "Gateway": "{gateway}"}),
    "gateway of a sender that it has": ("POST /channels/Senders/" + OURS, {"Gateway": "{gateway}"}),
    "network of a phone": ("POST /simulator/Phones/+18885550102", {"Gateway": "{gateway}"}),
}
"""Where another account could name something of the owner's in a parameter. ``mine`` is its own service.

Paths of what is published stand without their ``/v1``."""

QUERIES: Final = {"GET /ParticipantConversations": {"Identity": "ana"}}
"""What must be asked for in the query; else the answer is a refusal of another kind."""


# --- client API: member, others of his service, users of other services and accounts


class Client(msgspec.Struct, frozen=True):
    """A row of the client API.

    ``inside``: users of the service who are not in the conversation, former members among them. ``outside``: users of
    another service of the account, and of another account. Whoever has no good token is refused in one way
    (``test_client``).
    """

    inside: Outcome
    outside: Outcome
    body: Body | None = None
    member: Outcome = DONE
    query: dict[str, str] = {}
    is_form: bool = False


def of_members(body: Body | None = None, member: Outcome = DONE, query: dict[str, str] | None = None) -> Client:
    """To everybody but its members the conversation does not exist."""
    return Client(ABSENT, ABSENT, body, member, query or {})


def of_anybody(body: Body | None = None) -> Client:
    """Concerns the caller alone."""
    return Client(DONE, DONE, body)


def of_himself(outside: Outcome, body: Body | None = None) -> Client:
    """The side of a member: nobody else's exists for a user."""
    return Client(NOT_THERE, outside, body)


def refused(outcome: Outcome) -> Client:
    """Refused to every user alike."""
    return Client(outcome, outcome, member=outcome)


_ROOM: Final = "/Client/v2/Conversations/{conversation}"
_MINE: Final = "/Client/v2/Users/{member}/Conversations"
_SYNC_TOPS: Final = ("/v3", "/v3/Services/{service}")

CLIENT: Final[dict[str, Client]] = {
    "GET /Client/v2/Configuration": of_anybody(),
    "GET /Client/v2/ContentTemplates": of_anybody(),
    "POST /Client/v2/Conversations": of_anybody({"friendly_name": "x", "attributes": "{}"}),
    f"GET {_ROOM}": of_members(),
    f"POST {_ROOM}": of_members({"friendly_name": "x"}),
    f"DELETE {_ROOM}": of_members(),
    f"POST {_ROOM}/Participants": of_members({"identity": "eve", "attributes": "{}"}),
    f"POST {_ROOM}/Participants/{{participant}}": of_members({"attributes": "{}"}),
    f"DELETE {_ROOM}/Participants/{{participant}}": of_members(),
    f"POST {_ROOM}/Messages": of_members({"body": "x", "attributes": "{}", "media_sids": []}),
    f"GET {_ROOM}/Messages/{{message}}": of_members(),
    f"POST {_ROOM}/Messages/{{message}}": of_members({"body": "x"}),
    f"DELETE {_ROOM}/Messages/{{message}}": of_members(),
    f"GET {_ROOM}/Messages/{{message}}/ChannelMetadata": of_members(member=(404, 50530)),
    f"GET {_ROOM}/Messages/{{message}}/Receipts": of_members(),
    f"GET {_ROOM}/MessageRecipients": of_members(query={"MessageSid": "{message}"}),
    # Everybody of the service may read its users; to change another takes a permission.
    "GET /Client/v2/Users/{user}": Client(DONE, NO_USER),
    "POST /Client/v2/Users/{user}": Client(FORBIDDEN, NO_USER, {"friendly_name": "x"}),
    # The same identity outside has conversations of his own.
    f"GET {_MINE}": of_himself(DONE),
    f"GET {_MINE}/{{conversation}}": of_himself(ABSENT),
    f"POST {_MINE}/{{conversation}}": of_himself(ABSENT, {"notification_level": "muted"}),
    "POST /v1/typing": Client(ABSENT, ABSENT, {"ChannelSid": "{conversation}"}, is_form=True),
    "POST /v1/registrations": of_anybody({"channel_type": "fcm", "data": {"registration_id": "{number}"}}),
    # A success for everybody (clients would repeat it without end); what it must not do is in ``test_client``.
    "DELETE /v1/registrations": of_anybody({"binding_type": "fcm", "address": "{device}"}),
    "DELETE /v1/registrations/{registration}": of_anybody(),
    **{
        f"GET {top}/{{type}}/{{name}}{items}": Client((404, 54150), (404, 54150))
        for top in _SYNC_TOPS
        for items in ("", "/Items")
    },
    **{
        f"{method} {top}/{{type}}{rest}": refused(READ_ONLY)
        for method in ("GET", "POST", "PUT", "DELETE")
        for top in _SYNC_TOPS
        for rest in ("", "/{name}", "/{name}/Items", "/{name}/Items/{item}", "/{name}/{part}", "/{name}/{part}/{item}")
        if method != "GET" or rest not in ("/{name}", "/{name}/Items")
    },
}


# --- media: account holders and users alike


class Media(msgspec.Struct, frozen=True):
    """A row of the media service, about the file of a message.

    ``inside``: users of the service who are not in its conversation, former members among them. ``outside``: users of
    another service of the account, and of another account; account holders of another account.
    """

    inside: Outcome
    outside: Outcome
    owner: Outcome = DONE
    member: Outcome = DONE
    body: Body | None = None


NO_MEDIA: Final = (404, 50507)
_MEDIA: Final = "/v1/Services/{service}/Media"

MEDIA: Final[dict[str, Media]] = {
    f"POST {_MEDIA}": Media(DONE, NOT_THERE),
    f"GET {_MEDIA}/{{media}}": Media(NO_MEDIA, NOT_THERE),
    f"GET {_MEDIA}/{{media}}/Content": Media(NO_MEDIA, NOT_THERE),
    # Its message keeps it: only the account takes it away.
    f"DELETE {_MEDIA}/{{media}}": Media(NO_MEDIA, NOT_THERE, member=NO_MEDIA),
    # A set is answered element by element; what is in it is in ``test_media``.
    f"POST {_MEDIA}Set": Media(DONE, NOT_THERE, body={"command": "get", "list": [{"media_sid": "{media}"}]}),
}
