"""What the owner demands of the client libraries, what of it binds the server, and the tests that prove it.

A test says what it proves by ``@pytest.mark.owner_demand(number)``, on itself or on its class; a story of the official
SDK by a line ``// Owner's demands: 1, 2.`` at its top. They are read here without running anything.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import NamedTuple, TypeGuard

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
CLIENT_TESTS = TESTS / "client"
READS_STORIES = TESTS / "sdks" / "test_node_sdk.py"
"""Its tests have the marks of the stories that they play."""
PAGE = ROOT / "docs" / "reference" / "owner-demands.md"
MARK = "owner_demand"
STORY = re.compile(r"^// Owner's demands: ([\d, ]+)\.$", re.MULTILINE)


class Demand(NamedTuple):
    """One statement, in our words, and what it means for the server and for the client library."""

    statement: str
    server: str | None
    client: str


class Proof(NamedTuple):
    """A test, and where it is."""

    number: int
    path: Path
    name: str

    @property
    def is_of_client(self) -> bool:
        """Whether it proves the library's part."""
        return CLIENT_TESTS in self.path.parents


DEMANDS: dict[int, Demand] = {
    1: Demand(
        "What an app asks for is done at once or later; what has changed, it learns from an event.",
        "A change that was acknowledged is always told as an event, also to the device that asked for it.",
        "Values change by events alone; a change that is waited for is done when its event has come, and the answer"
        " alone is to be had, too.",
    ),
    2: Demand(
        "A lost network needs no new client: it connects again by itself.",
        "Who returns gets what he has missed, each event once and in order, also from a server that was killed"
        " meanwhile.",
        "It connects again by itself, and nothing is lost, repeated or out of order.",
    ),
    3: Demand(
        "An app that comes back to the foreground needs none either.",
        "A session can be resumed; for half a minute nobody sees that its user was away, and a longer absence is"
        " caught up with.",
        "A process that was suspended finds out by itself and catches up; hints only shorten the wait.",
    ),
    4: Demand(
        "A client is shut down only when its user logs out.",
        "A client that says goodbye is let go cleanly, and its user is offline in that moment.",
        "Shutting down says goodbye, and the user is offline in that moment; losing the network does not end a client.",
    ),
    5: Demand(
        "A client that was shut down is not used again.",
        None,
        "Every call on a client that was shut down says that it was, and that a new one has to be made.",
    ),
    6: Demand(
        "An app registers its device for push at every start, or when its address has changed.",
        "The same registration again is the same one, renewed.",
        "A device that is registered already, as the kept record says, is not registered again.",
    ),
    7: Demand(
        "When the system gives the device another address, the app registers again.",
        "The new address takes the place of the old one.",
        "The old address of a device is forgotten when the new one is registered.",
    ),
    8: Demand(
        "Registrations last a year without use, and who logs out unregisters, else his pushes reach the next user"
        " of the device.",
        "A registration that nobody uses for a year ends; a device belongs to who registered it last.",
        "A registration is renewed long before it ends, and logging out takes it away.",
    ),
    9: Demand(
        "Nobody is told when an app is removed from a device; a clean-up once a day is good.",
        "Unregistering costs little and may be repeated, by clients and by the back end. What push services report"
        " of devices that are gone arrives with the release that calls them.",
        "Unregistering may be repeated; the clean-up asks at most once a day.",
    ),
    10: Demand(
        "References to old clients are let go.",
        None,
        "A hundred clients come and go and leave no task, socket, thread or object behind.",
    ),
    11: Demand(
        "Access tokens live for hours, at most a day.",
        "A token of 24 hours is taken and good to its end; a longer one is refused.",
        "A token of a day is used to its end.",
    ),
    12: Demand(
        "Tokens of less than three minutes do not work.",
        "They are refused with a code at which no app fetches the same again for ever, and a sentence that says why.",
        "A token whose whole life is under three minutes is refused before anything is sent, and the error says why.",
    ),
    13: Demand(
        "An app gives its client a new token when it is told that the old one ends.",
        "The warning comes three minutes before, once; a new token keeps the connection; after the end the refusal"
        " says that it was the end, so that a new token brings it back.",
        "The events come, and with a provider a client renews its token by itself, before its end and after it.",
    ),
    14: Demand(
        "For a fast start an app may keep a token that it fetched earlier.",
        "Nothing is remembered of a token: it opens any number of connections, at any time of its life.",
        "A stored token starts a client while the provider is still thinking.",
    ),
    15: Demand(
        "A token is a key to the service and has to be guarded.",
        "No token appears in a log line, a refusal or a URL of ours.",
        "No token appears in a log line, a repr, an error or a URL.",
    ),
    16: Demand(
        "Creating a JavaScript client is done when it is connected, not when it has all conversations.",
        None,
        "A start takes the same few requests however many conversations there are.",
    ),
    17: Demand(
        "After the start the conversations of a user go on arriving.",
        "Each is told by an event, and can be read whole from the moment it is told.",
        "Conversations are told one by one after the start.",
    ),
    18: Demand(
        "Apps listen for new conversations first and then fetch the list, page by page; both may bring the same one.",
        "Pages and events may overlap, and nothing falls between them.",
        "Pages and events give the same object, and whoever listens first and then reads has each conversation once.",
    ),
    19: Demand(
        "Messages are not fetched at the start: new ones are told, and changes of those that were fetched.",
        "Who subscribes without a number hears what happens from then on, and no history.",
        "No message is fetched at the start, and changes are told of those that are known.",
    ),
    20: Demand(
        "The numbers of members, messages and unread messages may lag for some seconds.",
        "The server's are right at once; it tells clients how long they may keep them (5 s).",
        "Counts are kept for the time the server says, and asked anew on demand.",
    ),
    21: Demand(
        "On phones the client is used when its synchronisation is complete.",
        None,
        "The stages of synchronisation come in order, and can be waited for.",
    ),
    22: Demand(
        "On phones a conversation is used when its own synchronisation is.",
        None,
        "So do those of each conversation.",
    ),
    23: Demand(
        "After an update of attributes, new values count when the event about them has come.",
        "Attributes of conversations, messages, participants and users are told to every device, the asking one"
        " included.",
        "An update is done when the new attributes can be read, whichever comes first, answer or event.",
    ),
    24: Demand(
        "Objects are let go before the client that made them.",
        None,
        "Objects that outlive their client hold nothing alive, and say that it has ended.",
    ),
    25: Demand(
        "Conversations reach over channels: SMS, WhatsApp, chat, and group texts.",
        "There are participants on channels, pairs of addresses, the rules of group texts, and delivery receipts."
        " The channels that carry messages and report receipts arrive with a later release.",
        "Participants from elsewhere, their addresses, and what became of a message for them can be seen.",
    ),
    26: Demand(
        "The list comes in pages of a hundred; 100 kbit/s and 200 ms are enough.",
        "Pages have a hundred entries, and a client starts and talks over such a line.",
        "The list comes in pages of a hundred, and a thin line is enough.",
    ),
}

HEAD = """\
<!-- Written by tools/owner_demands.py (`make docs`) from its table and the marks of the tests. -->

# What the owner demands

The owner's document says how apps use the client libraries: twenty-six statements, told here in our own words. Each
binds our own client library, and most bind the server, too; each part has tests, which say so themselves
(`@pytest.mark.owner_demand(number)`, or a line at the top of a story that the official SDK plays). A part without a
test fails `make check`.
"""


def proofs() -> list[Proof]:
    """Every test that says what it proves, in the order of files and lines. Raises ``ValueError`` for a stray mark."""
    found: list[Proof] = []
    for path in sorted(TESTS.rglob("*")):
        if "node_modules" in path.parts:
            continue
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            if MARK in text and path != READS_STORIES:
                found += _of_module(path, ast.parse(text))
        elif path.suffix == ".mjs":
            found += [Proof(number, path, path.stem) for number in demands_of_story(path)]
    return found


def demands_of_story(path: Path) -> list[int]:
    """The numbers that a story names."""
    line = STORY.search(path.read_text(encoding="utf-8"))
    return [int(number) for number in line[1].split(",")] if line else []


def flaws(found: list[Proof]) -> list[str]:
    """What is wrong with the table and the tests, a sentence each."""
    proven = {(proof.number, proof.is_of_client) for proof in found}
    wanted = {
        (number, is_of_client)
        for number, demand in DEMANDS.items()
        for is_of_client in (False, True)
        if is_of_client or demand.server is not None
    }
    return [
        *(
            f"statement {number} of the owner has no test for the {'client library' if is_of_client else 'server'}"
            for number, is_of_client in sorted(wanted - proven)
        ),
        *(
            f"{proof.name} proves {proof.number}, which does not bind what it tests"
            for proof in found
            if (proof.number, proof.is_of_client) not in wanted
        ),
    ]


def page(found: list[Proof] | None = None) -> str:
    """The page as it should be."""
    found = proofs() if found is None else found
    lines = [HEAD.rstrip("\n")]
    for number, demand in sorted(DEMANDS.items()):
        lines += ["", f"## {number}. {demand.statement}"]
        for name, text, is_of_client in (("Server", demand.server, False), ("Client library", demand.client, True)):
            if text is not None:
                tests = [proof for proof in found if (proof.number, proof.is_of_client) == (number, is_of_client)]
                lines += ["", f"**{name}.** {text}", "", *(f"* {_link(proof)}" for proof in tests)]
    return "\n".join([*lines, ""])


def _of_module(path: Path, tree: ast.Module) -> list[Proof]:
    """What the decorators say; a mark in any other place would be overlooked, so there may be none."""
    found: list[Proof] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            tests = [inner for inner in node.body if _is_test(inner)]
            found += [Proof(number, path, test.name) for test in tests for number in (*_marks(node), *_marks(test))]
        elif _is_test(node):
            found += [Proof(number, path, node.name) for number in _marks(node)]
    decorated = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) or _is_test(node)]
    marks = sum(isinstance(node, ast.Attribute) and node.attr == MARK for node in ast.walk(tree))
    if marks != sum(len(_marks(node)) for node in decorated):
        raise ValueError(f"{path}: {MARK} is a decorator of tests and their classes, with one number")
    return found


def _is_test(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def _marks(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[int]:
    numbers: list[int] = []
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr=name), args=[ast.Constant(value=int(number))]) if name == MARK:
                numbers.append(number)
    return numbers


def _link(proof: Proof) -> str:
    place = Path(os.path.relpath(proof.path, PAGE.parent)).as_posix()
    return f"[`{proof.name}`]({place})" + (", played by the official SDK" if proof.path.suffix == ".mjs" else "")
