"""Finding the operation of a path."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.server.web.operations import BOTH, Call, Found, Operations, Router

TABLE = Operations("rest", "/v1")


@TABLE.operation("GET", "/Users/{user}", scopes=BOTH)
@TABLE.operation("POST", "/Users/{user}", scopes=BOTH)
async def one(call: Call) -> None:
    """One user."""


@TABLE.operation("GET", "/Users/me")
async def myself(call: Call) -> None:
    """The word wins."""


@TABLE.operation("GET", "/Users/{user}/Conversations/{conversation}")
async def theirs(call: Call) -> None:
    """Two values."""


ROUTER = Router(TABLE)


def found(method: str, path: str) -> tuple[str, dict[str, str]]:
    match = ROUTER.find(method, path)
    assert isinstance(match, Found)
    return match.operation.name, match.values


def test_values_are_taken_from_the_path() -> None:
    assert found("GET", "/v1/Users/ana") == ("one", {"user": "ana"})
    assert found("GET", "/v1/Users/a/Conversations/b") == ("theirs", {"user": "a", "conversation": "b"})


def test_both_forms_of_a_path_lead_to_one_function() -> None:
    assert found("POST", "/v1/Services/IS1/Users/ana") == ("one", {"service": "IS1", "user": "ana"})
    long, short = ROUTER.find("GET", "/v1/Services/IS1/Users/ana"), ROUTER.find("GET", "/v1/Users/ana")
    assert isinstance(long, Found) and isinstance(short, Found)
    assert long.operation.handler is short.operation.handler
    assert (long.operation.is_long, short.operation.is_long) == (True, False)
    assert long.operation.in_service and short.operation.in_service


def test_a_word_wins_over_a_value() -> None:
    assert found("GET", "/v1/Users/me") == ("myself", {})
    assert found("GET", "/v1/Users/%6De") == ("myself", {})


@given(st.text(min_size=1).filter(lambda text: "\0" not in text and text != "me"))
def test_a_value_is_what_was_encoded(text: str) -> None:
    try:
        encoded = quote(text, safe="")
    except UnicodeEncodeError:
        return
    assert found("GET", f"/v1/Users/{encoded}")[1] == {"user": text}


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v1", "/v1/", "/v1/Users", "/v1/Users/", "/v1/Users//Conversations/b", "/v1/users/a", "/v2/Users/a"],
)
def test_no_such_path(path: str) -> None:
    assert ROUTER.find("GET", path) == frozenset()


def test_a_path_without_the_method_tells_which_it_has() -> None:
    assert ROUTER.find("DELETE", "/v1/Users/a") == frozenset({"GET", "POST"})


def test_nothing_is_declared_twice() -> None:
    table = Operations("rest")
    for _ in range(2):
        table.operation("GET", "/x")(myself)
    with pytest.raises(ValueError, match="GET /x is declared twice"):
        Router(table)


def test_a_declared_function_stays_what_it_is() -> None:
    assert [operation.handler for operation in TABLE if operation.path == "/v1/Users/me"] == [myself]
    assert myself.__name__ == "myself"
