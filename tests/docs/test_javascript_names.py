"""The page for who comes from JavaScript has a row for every public name of the official SDK, and ours exist."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from tertulia import client
from tertulia.client import events
from tertulia.client.model.snapshots import Delivery
from tertulia.client.push import PushNotification
from tertulia.client.receipts import ChannelMetadata, DeliveryReceipt, RecipientDescriptor

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "client-from-javascript.md"
PACKAGES = ROOT / "tests" / "sdks" / "node_modules"
OFFICIAL = PACKAGES / "@twilio" / "conversations" / "builds" / "lib.d.ts"
LISTENING = PACKAGES / "@twilio" / "replay-event-emitter" / "builds" / "lib.d.ts"

RECEIVERS = {
    "Client": ("client", "Client"),
    "ClientOptions": ("options",),
    "Conversation": ("conversation",),
    "Message": ("message",),
    "Media": ("media",),
    "Participant": ("participant",),
    "User": ("user",),
    "MessageBuilder": ("builder",),
    "UnsentMessage": ("unsent",),
    "Paginator": ("page",),
    "RestPaginator": ("page",),
    "AggregatedDeliveryReceipt": ("delivery",),
    "DetailedDeliveryReceipt": ("receipt",),
    "EmailRecipientDescriptor": ("recipient",),
    "UnknownRecipientDescriptor": ("recipient",),
    "ChannelMetadata": ("metadata",),
    "ContentTemplate": ("template",),
    "ContentTemplateVariable": ("variable",),
    "PushNotification": ("notification",),
}
"""The classes of the SDK, and how the page calls one of each. Of the other types the names are enough."""

OURS: dict[str, type] = {
    "client": client.ConversationsClient,
    "conversation": client.Conversation,
    "message": client.Message,
    "media": client.Media,
    "participant": client.Participant,
    "user": client.User,
    "page": client.Page,
    "delivery": Delivery,
    "receipt": DeliveryReceipt,
    "recipient": RecipientDescriptor,
    "metadata": ChannelMetadata,
    "notification": PushNotification,
    "MessageDraft": client.MessageDraft,
    "ClientConfig": client.ClientConfig,
    "ConnectionState": client.ConnectionState,
    "PushNotification": PushNotification,
}
MODULES = ("", ".events", ".errors", ".content", ".push", ".attributes", ".model.snapshots")

SPAN = re.compile(r"`([^`]+)`")
OF = re.compile(r"(?:await |async for \w+ in |async with |@)?([A-Za-z]\w*)\.([A-Za-z]\w*)")


@cache
def rows() -> list[tuple[str, str]]:
    """The two cells of each row."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith(("| ---", "| JavaScript")):
            left, right = line.removeprefix("| ").removesuffix(" |").split(" | ")
            found.append((left, right))
    return found


def pairs(cell: str, receivers: set[str]) -> set[tuple[str, str]]:
    """The members that a cell names: one says whose it is, those after it are of the same."""
    found, whose = set(), None
    for span in SPAN.findall(cell):
        named = OF.match(span)
        if named is not None and named[1] in receivers:
            whose = named[1]
            found |= {(each[1], each[2]) for each in OF.finditer(span) if each[1] in receivers}
        elif whose is not None and re.fullmatch(r"[a-z]\w*(?:\(.*\))?", span):
            found.add((whose, span.partition("(")[0]))
    return found


@cache
def official() -> str:
    if not OFFICIAL.exists():
        pytest.skip("the packages of tests/sdks are not installed; `make sdk-parts` does it where it can")
    text = re.sub(r"/\*.*?\*/", "", OFFICIAL.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"//.*", "", text)


def exported() -> dict[str, str]:
    """The public names, and what each is called inside of the file."""
    [listed] = re.findall(r"^export \{(.*?)\};", official(), re.DOTALL | re.MULTILINE)
    each = [one.strip().split(" as ") for one in listed.split(",")]
    return {names[-1]: names[0] for names in each}


def body_of(name: str) -> str:
    pattern = rf"^(?:declare class|interface|type) {re.escape(name)}\b[^{{;]*\{{\n(.*?)^\}}"
    found = re.search(pattern, official(), re.DOTALL | re.MULTILINE)
    assert found is not None, name
    return found[1]


def members_of(body: str) -> set[str]:
    """The public members of a class or a type, events that are named as constants aside."""
    found, depth = set(), 0
    for line in body.splitlines():
        words = re.match(
            r" {4}((?:(?:static|readonly|get|set|private|protected) )*)(#?[A-Za-z_]\w*)\??(?=[(:<;])", line
        )
        if depth == 0 and words is not None and not re.search(r"private|set ", words[1]):
            found.add(words[2])
        depth += sum(map(line.count, "{(")) - sum(map(line.count, "})"))
    return {name for name in found if not name.startswith(("_", "#")) and name != "constructor"}


@pytest.mark.node
def test_every_public_name_of_the_sdk_is_in_a_first_column() -> None:
    text = " ".join(left for left, _ in rows())
    words = set(re.findall(r"\w+", " ".join(SPAN.findall(text))))
    assert len(exported()) > 70
    assert exported().keys() - words == set()


@pytest.mark.node
@pytest.mark.parametrize("name", RECEIVERS)
def test_every_public_member_has_a_row_or_a_reason(name: str) -> None:
    receivers = set(RECEIVERS[name])
    told = {member for left, _ in rows() for _, member in pairs(left, receivers)}
    wanted = members_of(body_of(exported()[name]))
    assert wanted
    assert wanted - told == set()


@pytest.mark.node
def test_every_class_of_the_sdk_is_looked_at() -> None:
    classes = set(re.findall(r"^declare class (\w+)", official(), re.MULTILINE))
    public = {name for name, inside in exported().items() if inside in classes}
    assert public - RECEIVERS.keys() == {"NotificationTypes"}


@pytest.mark.node
def test_every_event_has_a_row() -> None:
    told = {span for left, _ in rows() for span in SPAN.findall(left)}
    for name in ("Client", "Conversation", "Message", "Participant", "User"):
        wanted = members_of(body_of(f"{name}Events"))
        assert wanted
        assert wanted - told == set(), name


@pytest.mark.node
def test_every_way_to_listen_has_a_row() -> None:
    official()
    wanted = members_of(LISTENING.read_text(encoding="utf-8").partition("{\n")[2].rpartition("}\nexport")[0])
    told = {member for left, _ in rows() for _, member in pairs(left, {"client"})}
    assert {"on", "onWithReplay"} <= wanted
    assert wanted - told == set()


def test_what_the_second_column_names_exists() -> None:
    named = {pair for _, right in rows() for pair in pairs(right, set(OURS))}
    assert len(named) > 100
    slots = {
        whose: {slot for each in kind.__mro__ for slot in getattr(each, "__slots__", ())}
        for whose, kind in OURS.items()
    }
    missing = {
        f"{whose}.{name}" for whose, name in named if not hasattr(OURS[whose], name) and name not in slots[whose]
    }
    assert missing == set()


def test_so_do_the_classes_it_names() -> None:
    modules = [importlib.import_module(f"tertulia.client{name}") for name in MODULES]
    named = {
        word
        for _, right in rows()
        for span in SPAN.findall(right)
        for word in re.findall(r"(?<![\w.-])[A-Z][a-z]\w+", re.sub(r'"[^"]*"', "", span))
    }
    assert {"MessageDraft", "ConversationUpdated", "MediaTooLargeError"} <= named
    missing = {name for name in named if not any(hasattr(module, name) for module in modules)}
    assert missing - {"Path", "True", "False", "Retry"} == set()


def test_every_event_of_ours_has_a_row() -> None:
    told = {word for _, right in rows() for span in SPAN.findall(right) for word in re.findall(r"\w+", span)}
    ours = {
        name
        for name, value in vars(events).items()
        if isinstance(value, type) and issubclass(value, events.Event) and value is not events.Event
    }
    assert len(ours) > 25
    assert ours - told == set()
