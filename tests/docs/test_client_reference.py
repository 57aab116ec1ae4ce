"""The reference page of the client library has all that is for applications, and nothing else."""

from __future__ import annotations

import dis
import enum
import inspect
import re
from functools import cache
from pathlib import Path
from types import CodeType

import msgspec
import pytest
from tools import client_names

from tertulia import client
from tertulia.client import dispatch, errors, events, store
from tertulia.client.sync.copies import Follower

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "client.md"
EMITTER = {"on", "off", "events", "wait_for"}
FOREIGN = (object, Exception, ValueError, OSError, TimeoutError, LookupError, str, int, tuple, msgspec.Struct)


@cache
def sections() -> dict[str, str]:
    """What the page says of each name."""
    found = re.split(r"^### `(\w+)`.*\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    names, texts = found[::2], [re.split(r"^## ", text, flags=re.MULTILINE)[0] for text in found[1::2]]
    assert len(set(names)) == len(names)
    return dict(zip(names, texts, strict=True))


def told_of(name: str) -> set[str]:
    """The members that a section tells of."""
    pattern = r"^\* `(?:await |async with )?(?:[A-Z]\w*\.)?([A-Za-z]\w*)"
    return set(re.findall(pattern, sections()[name], re.MULTILINE)) - {name}


def members_of(kind: type) -> set[str]:
    """The public attributes of a class and its objects, as Python has them."""
    foreign = {
        name for each in kind.__mro__ if each in FOREIGN or each.__module__ in FOREIGN_MODULES for name in dir(each)
    }
    own = {name for name in dir(kind) if name not in foreign}
    if issubclass(kind, enum.Enum):
        own = set(kind.__members__)
    for each in kind.__mro__:
        init = vars(each).get("__init__")
        if each not in FOREIGN and inspect.isfunction(init):
            own |= set_by(init.__code__)
    return {name for name in own if not name.startswith("_")}


FOREIGN_MODULES = ("builtins", "collections.abc", "enum", "typing")


def set_by(code: CodeType) -> set[str]:
    return {str(each.argval) for each in dis.get_instructions(code) if each.opname == "STORE_ATTR"}


def classes_in(module: object) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == getattr(module, "__name__", "")
    ]


def test_each_name_that_is_exported_has_its_section() -> None:
    assert set(client.__all__) - sections().keys() == set()


def test_so_has_each_event_and_each_error() -> None:
    assert {*classes_in(events), *classes_in(errors)} - sections().keys() == set()


@pytest.mark.parametrize("name", [name for name in client.__all__ if inspect.isclass(getattr(client, name))])
def test_a_section_tells_of_each_public_member_of_its_class_and_of_nothing_else(name: str) -> None:
    kind = getattr(client, name)
    wanted = members_of(kind)
    if issubclass(kind, dispatch.Emitter):
        wanted -= EMITTER  # told of once
    wanted -= {each.partition(".")[2] for each in client_names.BETWEEN_MODULES if each.startswith(f"{name}.")}
    wanted -= FOR_THE_LIBRARY.get(name, set())
    assert told_of(name) == wanted


FOR_THE_LIBRARY = {
    "Conversation": {"document_changed", "object_removed", "item_changed", "item_removed"},
    "User": {"document_changed", "object_removed", "item_changed", "item_removed"},
    "MessageDraft": {"check", "upload"},
}
"""What the rules of ``tools.client_names`` leave out: what followers are told, and what takes internals."""


def test_what_the_library_tells_its_own_objects_is_not_shown() -> None:
    told = {name for name in vars(Follower) if not name.startswith("_")}
    assert "document_changed" in told and "object_removed" in told
    shown = {member for name in sections() for member in told_of(name)}
    assert shown & {*told, "copies", "upload", "body_of", "spawn", "tell", "end"} == set()


def test_no_section_is_of_something_internal() -> None:
    internal = {"MediaService", "Hub", "Trail", "Templates", "Receipts", "PushRegistrar", "Record", "Owner", "Session"}
    assert sections().keys() & (internal | {"ConversationPart", "Reading", "ReadingMarks", "Sending"}) == set()
    assert not [name for name in sections() if name.startswith("_")]


def test_what_other_modules_call_is_left_out_only_while_they_do() -> None:
    sources = [path.read_text(encoding="utf-8") for path in client_names.CLIENT.rglob("*.py")]
    for each in client_names.BETWEEN_MODULES:
        owner, _, member = each.partition(".")
        assert hasattr(getattr(client, owner), member), each
        assert sum(f".{member}(" in source for source in sources) >= 1, each


def test_a_store_of_the_applications_own_can_be_written_by_the_page_alone() -> None:
    every = {name for name in dir(store.Store) if not name.startswith("_")}
    assert told_of("Store") == every
    assert told_of("SqliteStore") == every
    assert {"StoredObject", "StoredItem", "OutboxRow", "TokenStore", "PushStore", "PushRecord"} <= sections().keys()


@pytest.mark.parametrize("name", ["ConversationsClient", "SqliteStore", "FileTokenStore", "FilePushStore"])
def test_what_applications_make_has_its_constructor(name: str) -> None:
    assert f"\n* `{name}(" in sections()[name]


@pytest.mark.parametrize("name", ["Conversation", "Message", "Media", "Participant", "User", "PendingMessage"])
def test_what_the_library_makes_has_none(name: str) -> None:
    assert f"* `{name}(" not in sections()[name]


def test_it_says_from_where_to_import_what_is_not_exported() -> None:
    import importlib

    for name, text in sections().items():
        place = re.match(r"\nFrom `([\w.]+)`\.\n", text)
        assert (place is None) == (name in client.__all__), name
        module = client if place is None else importlib.import_module(place[1])
        assert hasattr(module, name), name


def test_it_names_no_specification() -> None:
    assert re.findall(r"object-model|client-commands|\bsemantics\b|\(realtime ", PAGE.read_text(encoding="utf-8")) == []
