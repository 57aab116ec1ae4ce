"""Tokens as a client has them: what they say, where they come from, where they wait, and when they go."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tertulia.client import (
    ClientConfig,
    ConnectionState,
    TokenReason,
    TokenRequest,
)
from tertulia.client.errors import (
    ConversationsError,
    InitializationError,
    InvalidArgumentError,
    TokenExpiredError,
    TokenProviderError,
    TokenRejectedError,
    TokenTtlTooShortError,
)
from tertulia.client.events import (
    ClientFailed,
    ConnectionErrorOccurred,
    TokenAboutToExpire,
    TokenExpired,
    TokenUpdated,
    TokenUpdateFailed,
)
from tertulia.client.token_store import FileTokenStore
from tertulia.client.tokens import TokenKeeper, check_life, read_times, when_to_renew
from tertulia.wire import tokens

from .connecting import nothing_left
from .scripted import settle
from .stage import Stage, until

NOW = 1_800_000_000.0
HOUR = 3600
SERVER = "https://chat.example"


def written(**claims: Any) -> str:
    """A token that says this; signed by nobody."""
    payload = base64.urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{payload}.c2lnbmF0dXJl"


def token(life: float = HOUR, *, identity: str = "ana", age: float = 0, **more: Any) -> str:
    """One that lives for so long, begun so long ago."""
    begun = NOW - age
    return written(iat=begun, exp=begun + life, grants={"identity": identity}, **more)


class Source:
    """A provider, and a clock."""

    def __init__(self, *tokens: Any) -> None:
        self.tokens = list(tokens)
        self.asked: list[TokenRequest] = []
        self.opens = asyncio.Event()
        self.opens.set()
        self.now = NOW

    async def __call__(self, request: TokenRequest) -> str:
        self.asked.append(request)
        await self.opens.wait()
        given = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        if isinstance(given, Exception):
            raise given
        assert given is None or isinstance(given, str | bytes)
        return given  # type: ignore[return-value]

    def keeper(self, **options: Any) -> TokenKeeper:
        usual: dict[str, Any] = {
            "server_url": SERVER,
            "token_provider": self,
            "clock": lambda: self.now,
            "reconnect_min": 0.001,
        }
        return TokenKeeper(ClientConfig(**{**usual, **options}), short_patience_s=0.05)


def lone(given: str, **options: Any) -> TokenKeeper:
    """A keeper without a provider."""
    return TokenKeeper(ClientConfig(server_url=SERVER, token=given, clock=lambda: NOW, **options))


async def kept(store: FileTokenStore, **options: Any) -> str | None:
    """The token that waits for the next start."""
    keeper = Source("").keeper(token_store=store, **options)
    await keeper.recall()
    return keeper.current


async def keep(store: FileTokenStore, given: str, **options: Any) -> None:
    """A client gets this one, and ends."""
    keeper = Source(given).keeper(token_store=store, **options)
    assert await keeper.get(TokenReason.START) == given
    await keeper.close()


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    return FileTokenStore(tmp_path / "kept" / "token")


def kept_name() -> str:
    """Under which a token of nobody known is kept."""
    return f"{SERVER}\n"


# --- what a token says


def test_a_token_says_when_it_begins_and_ends_and_whose_it_is() -> None:
    times = read_times(token(HOUR))
    assert (times.expires_at, times.begins_at, times.identity) == (NOW + HOUR, NOW, "ana")
    assert read_times(written(exp=NOW, nbf=NOW - 5, iat=NOW - 9)).begins_at == NOW - 5
    assert read_times(written(exp=NOW + 0.5)).expires_at == NOW + 0.5


@pytest.mark.parametrize(
    "unreadable",
    [
        "",
        "opaque",
        "a.b.c",
        "a.b.c.d.e",
        written(exp="soon"),
        written(grants="all"),
        "a." + base64.urlsafe_b64encode(b"[" * 100_000).decode() + ".c",
        "a.é.c",
    ],
)
def test_what_cannot_be_read_says_nothing_and_is_taken(unreadable: str) -> None:
    times = read_times(unreadable)
    assert (times.expires_at, times.begins_at, times.identity) == (None, None, None)
    check_life(unreadable, NOW)
    assert when_to_renew(unreadable, NOW) is None


@pytest.mark.parametrize(
    ("claims", "is_too_short"),
    [
        ({"exp": NOW + 180, "iat": NOW}, False),
        ({"exp": NOW + 179, "iat": NOW}, True),
        ({"exp": NOW + 10, "iat": NOW - HOUR}, False),
        ({"exp": NOW - 10, "iat": NOW - HOUR}, False),
        ({"exp": NOW + HOUR, "iat": NOW, "nbf": NOW + HOUR - 100}, True),
        ({"exp": NOW + 179}, True),
        ({"exp": NOW + 180}, False),
        ({"exp": NOW - HOUR}, True),
        ({"iat": NOW}, False),
    ],
)
def test_a_token_is_too_short_by_its_whole_life(claims: dict[str, float], is_too_short: bool) -> None:
    if not is_too_short:
        check_life(written(**claims), NOW)
        return
    with pytest.raises(TokenTtlTooShortError):
        check_life(written(**claims), NOW)


def test_the_shortest_life_can_be_lowered() -> None:
    check_life(token(30), NOW, min_ttl_s=30)


@pytest.mark.parametrize(
    ("left", "after"),
    [(HOUR, HOUR - 165), (300, 135), (200, 60), (100, 60), (1, 60)],
)
def test_a_token_is_renewed_before_its_end_and_not_too_often(left: float, after: float) -> None:
    assert when_to_renew(token(HOUR, age=HOUR - left), NOW) == NOW + after
    assert when_to_renew(token(HOUR, age=HOUR), NOW) is None


# --- one token that was given


async def test_a_given_token_is_used_as_long_as_the_server_takes_it() -> None:
    given = token(HOUR, age=2 * HOUR)
    keeper = lone(given)
    # By our clock it has ended; whose clock is right is for the server to say.
    assert await keeper.get(TokenReason.START) == given == keeper.current
    assert keeper.identity == "ana" and keeper.expires_at == NOW - HOUR
    with pytest.raises(TokenExpiredError):
        await keeper.get(TokenReason.EXPIRED)
    with pytest.raises(TokenRejectedError):
        await keeper.get(TokenReason.REJECTED)


async def test_a_given_token_of_too_short_a_life_is_refused() -> None:
    keeper = lone(token(120))
    with pytest.raises(TokenTtlTooShortError, match="120 s"):
        await keeper.get(TokenReason.START)
    assert await lone(token(120), min_token_life=120).get(TokenReason.START)


async def test_another_token_takes_its_place() -> None:
    keeper = lone(token(HOUR))
    assert not keeper.take(token(HOUR))
    assert keeper.take(token(2 * HOUR))
    assert await keeper.get(TokenReason.START) == token(2 * HOUR)


@pytest.mark.parametrize(
    ("bad", "error"),
    [(token(100), TokenTtlTooShortError), (token(identity="ben"), TokenRejectedError), ("", InvalidArgumentError)],
)
async def test_a_token_that_will_not_do_changes_nothing(bad: str, error: type[ConversationsError]) -> None:
    keeper = lone(token(HOUR))
    with pytest.raises(error) as refusal:
        keeper.take(bad)
    assert not bad or bad not in str(refusal.value)
    assert await keeper.get(TokenReason.START) == token(HOUR)


@pytest.mark.parametrize("is_confirmed", [False, True])
async def test_a_token_the_server_does_not_take_gives_way_to_the_one_it_took(is_confirmed: bool) -> None:
    keeper = lone(token(HOUR))
    await keeper.get(TokenReason.START)
    keeper.take(token(2 * HOUR))
    if is_confirmed:
        keeper.confirm()
    keeper.withdraw()
    assert keeper.current == token((2 if is_confirmed else 1) * HOUR)


async def test_a_token_that_was_not_used_yet_is_what_is_gone_back_to() -> None:
    keeper = lone(token(HOUR))
    keeper.take(token(2 * HOUR))
    keeper.withdraw()
    assert await keeper.get(TokenReason.START) == token(HOUR)


async def test_the_user_is_who_the_application_says() -> None:
    with pytest.raises(TokenRejectedError):
        await lone(token(identity="ben"), identity="ana").get(TokenReason.START)
    opaque = lone("opaque", identity="ana")
    assert await opaque.get(TokenReason.START) == "opaque" and opaque.identity == "ana"


# --- a provider


async def test_a_provider_is_told_who_why_and_how_often() -> None:
    source = Source(OSError("no"), TimeoutError(), token())
    keeper = source.keeper(identity="ana")
    assert await keeper.get(TokenReason.START) == token()
    assert source.asked == [TokenRequest("ana", TokenReason.START, attempt) for attempt in (1, 2, 3)]


async def test_a_good_token_is_used_again() -> None:
    source = Source(token())
    keeper = source.keeper()
    for _ in range(3):
        await keeper.get(TokenReason.START)
    assert len(source.asked) == 1


@pytest.mark.parametrize("reason", [TokenReason.ABOUT_TO_EXPIRE, TokenReason.EXPIRED, TokenReason.REJECTED])
async def test_a_token_is_replaced_for_a_reason(reason: TokenReason) -> None:
    source = Source(token(), token(2 * HOUR))
    keeper = source.keeper()
    await keeper.get(TokenReason.START)
    assert await keeper.get(reason) == token(2 * HOUR)
    assert source.asked[1] == TokenRequest("ana", reason, 1)


async def test_a_token_that_has_ended_is_replaced_before_it_is_used() -> None:
    source = Source(token(), token(2 * HOUR))
    keeper = source.keeper()
    await keeper.get(TokenReason.START)
    source.now += HOUR
    assert await keeper.get(TokenReason.START) == token(2 * HOUR)


async def test_whoever_asks_at_the_same_time_shares_the_answer() -> None:
    source = Source(token())
    source.opens.clear()
    keeper = source.keeper()
    asked = [asyncio.ensure_future(keeper.get(reason)) for reason in TokenReason]
    await settle()
    asked[0].cancel()
    source.opens.set()
    assert await asyncio.gather(*asked[1:]) == [token()] * 3
    assert len(source.asked) == 1


async def test_a_fresh_token_is_waited_for_a_moment_while_the_old_one_works() -> None:
    source = Source(token(HOUR), token(2 * HOUR), token(3 * HOUR), OSError("no"))
    keeper = source.keeper()
    await keeper.get(TokenReason.START)
    source.now += HOUR - 100
    assert await keeper.get(TokenReason.START) == token(2 * HOUR)
    source.now = NOW + 2 * HOUR - 100
    source.opens.clear()
    assert await keeper.get(TokenReason.START) == token(2 * HOUR)
    # What comes later counts from the next time one is needed.
    source.opens.set()
    await settle()
    assert keeper.current == token(3 * HOUR)
    source.now = NOW + 3 * HOUR - 100
    assert await keeper.get(TokenReason.START) == token(3 * HOUR)


@pytest.mark.parametrize("given", [OSError("s3cret"), ValueError("s3cret"), None, "", b"bytes"])
async def test_a_provider_that_fails_is_asked_five_times(given: Any, caplog: pytest.LogCaptureFixture) -> None:
    source = Source(given)
    keeper = source.keeper()
    with pytest.raises(TokenProviderError) as failure:
        await keeper.get(TokenReason.START)
    assert [request.attempt for request in source.asked] == [1, 2, 3, 4, 5]
    assert failure.value.__cause__ is not None
    assert "s3cret" not in str(failure.value) + caplog.text
    with pytest.raises(TokenProviderError):
        await keeper.get(TokenReason.START)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "the token is empty"),
        (" \n", "the token is empty"),
        (None, "a token is a text, not None"),
        (b"eyJ", "a token is a text, not bytes"),
        ("eyJ\u00e4", "printable ASCII"),
        (OSError("s3cret"), "OSError"),
    ],
)
async def test_a_provider_that_fails_is_said_to_and_why(given: Any, why: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TokenProviderError, match=f"the token provider failed 5 times: .*{why}") as failure:
        await Source(given).keeper().get(TokenReason.START)
    said = [record for record in caplog.records if record.message.startswith("client.token_provider_failed: ")]
    assert len(said) == 4 and all(why in record.message and why in record.__dict__["why"] for record in said)
    assert "s3cret" not in str(failure.value) + caplog.text


@pytest.mark.parametrize("around", ["{}\n", "  {}\r\n", "\t{} "])
async def test_blanks_around_a_token_count_for_nothing(around: str, store: FileTokenStore) -> None:
    given, other = around.format(token()), around.format(token(2 * HOUR))
    keeper = lone(given)
    assert keeper.current == token() == await keeper.get(TokenReason.START)
    assert not keeper.take(given)
    assert keeper.take(other) and keeper.current == token(2 * HOUR)
    assert await Source(given).keeper().get(TokenReason.START) == token()
    kept_with_blanks = Source(OSError("no back end")).keeper(token_store=store)
    store.save(kept_name(), given)
    await kept_with_blanks.recall()
    assert kept_with_blanks.current == token()


@pytest.mark.parametrize(
    ("bad", "error"), [(token(100), TokenTtlTooShortError), (token(identity="ben"), TokenRejectedError)]
)
async def test_a_provider_that_errs_is_not_asked_again_and_again(bad: str, error: type[ConversationsError]) -> None:
    source = Source(bad)
    with pytest.raises(error):
        await source.keeper(identity="ana").get(TokenReason.START)
    assert len(source.asked) == 1


async def test_a_given_token_comes_before_the_provider() -> None:
    source = Source(token(2 * HOUR))
    keeper = source.keeper(token=token(HOUR))
    assert await keeper.get(TokenReason.START) == token(HOUR) and not source.asked
    assert await keeper.get(TokenReason.REJECTED) == token(2 * HOUR)


async def test_the_end_leaves_nobody_asking() -> None:
    async with nothing_left():
        source = Source(token())
        source.opens.clear()
        keeper = source.keeper()
        asked = asyncio.ensure_future(keeper.get(TokenReason.START))
        await settle()
        await keeper.close()
        await keeper.close()
        await asyncio.gather(asked, return_exceptions=True)


# --- the store


async def test_a_token_is_kept_for_the_next_start(store: FileTokenStore) -> None:
    await keep(store, token())
    source = Source(token(2 * HOUR))
    source.opens.clear()
    keeper = source.keeper(token_store=store)
    await keeper.recall()
    assert keeper.identity == "ana"
    assert await keeper.get(TokenReason.START) == token()
    # A fresh one is fetched beside it.
    await settle()
    assert len(source.asked) == 1
    source.opens.set()
    await settle()
    assert await keeper.get(TokenReason.START) == token(2 * HOUR) and len(source.asked) == 1
    await keeper.close()
    assert await kept(store) == token(2 * HOUR)


@pytest.mark.parametrize("left", [179, 0, -10])
async def test_a_stored_token_that_ends_soon_is_not_used(store: FileTokenStore, left: float) -> None:
    await keep(store, token())
    source = Source(token(2 * HOUR))
    source.now += HOUR - left
    assert await source.keeper(token_store=store).get(TokenReason.START) == token(2 * HOUR)


async def test_a_stored_token_is_used_although_the_provider_fails(store: FileTokenStore) -> None:
    await keep(store, token())
    keeper = Source(OSError("no back end")).keeper(token_store=store)
    assert await keeper.get(TokenReason.START) == token()
    await keeper.close()


async def test_a_refused_token_is_not_kept(store: FileTokenStore) -> None:
    await keep(store, token())
    source = Source(token(2 * HOUR))
    source.opens.clear()
    keeper = source.keeper(token_store=store)
    await keeper.get(TokenReason.START)
    fetching = asyncio.ensure_future(keeper.get(TokenReason.REJECTED))
    await settle()
    await keeper.settle()
    assert await kept(store) is None
    # The one that is being fetched already will do.
    source.opens.set()
    assert await fetching == token(2 * HOUR) and len(source.asked) == 1


async def test_a_token_the_server_did_not_take_is_not_kept_either(store: FileTokenStore) -> None:
    keeper = lone(token(), token_store=store)
    await keeper.get(TokenReason.START)
    keeper.take(token(2 * HOUR))
    keeper.withdraw()
    await keeper.close()
    assert await kept(store) == token()


async def test_logging_out_forgets_the_token(store: FileTokenStore) -> None:
    keeper = Source(token()).keeper(token_store=store)
    await keeper.get(TokenReason.START)
    await keeper.forget()
    assert await kept(store) is None


async def test_tokens_are_kept_by_server_and_user(store: FileTokenStore) -> None:
    await keep(store, token(), identity="ana")
    for options in ({"identity": "ben"}, {}, {"identity": "ana", "server_url": "https://other.example"}):
        assert await kept(store, **options) is None
    assert await kept(store, identity="ana", server_url=SERVER + "/") == token()


async def test_whoever_is_not_the_one_who_was_here_last_is_refused_and_has_the_next_start(
    store: FileTokenStore,
) -> None:
    await keep(store, token(identity="ana"))
    keeper = Source(token(identity="ben")).keeper(token_store=store)
    assert await keeper.get(TokenReason.START) == token(identity="ana")
    await settle()
    with pytest.raises(TokenRejectedError):
        await keeper.get(TokenReason.ABOUT_TO_EXPIRE)
    await keeper.close()
    assert await Source(token(identity="ben")).keeper(token_store=store).get(TokenReason.START) == token(identity="ben")


def test_a_file_of_tokens_is_its_owners_alone_and_never_half_written(store: FileTokenStore, tmp_path: Path) -> None:
    path = tmp_path / "kept" / "token"
    store.save("a", "first")
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    before = path.stat().st_ino
    path.chmod(0o644)
    store.save("b", "second")
    assert path.stat().st_ino != before and path.stat().st_mode & 0o777 == 0o600
    assert (store.load("a"), store.load("b"), store.load("c")) == ("first", "second", None)
    store.clear("a")
    store.clear("c")
    assert (store.load("a"), store.load("b")) == (None, "second")
    assert os.listdir(path.parent) == ["token"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a":1}', bytes(range(256))])
def test_a_file_that_cannot_be_read_holds_nothing_and_is_replaced(
    store: FileTokenStore, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "kept" / "token"
    path.parent.mkdir()
    path.write_bytes(content)
    assert store.load("a") is None
    store.save("a", "token")
    assert store.load("a") == "token"


def test_a_file_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = FileTokenStore(tmp_path / "file" / "token")
    store.save("a", "token")
    assert store.load("a") is None


def test_neither_keeper_nor_store_shows_a_token_or_whose_it_is(store: FileTokenStore, tmp_path: Path) -> None:
    keeper = lone(token(), token_store=store)
    store.save("ana", token())
    assert repr(keeper) == "<TokenKeeper>" and repr(store) == "<FileTokenStore token>"
    assert "ana" not in (tmp_path / "kept" / "token").read_text()


# --- a client, and the real server


async def test_a_bad_new_token_is_told_and_the_next_reconnection_uses_the_old_one(stage: Stage) -> None:
    ana = await stage.connect("ana")
    bad = stage.token("ana", ttl_s=4000)[:-4] + "AAAA"
    with pytest.raises(TokenRejectedError):
        await ana.update_token(bad)
    stage.proxy.reset()
    await until(lambda: ana.connection_state is ConnectionState.CONNECTING)
    await until(lambda: ana.connection_state is ConnectionState.CONNECTED)


async def test_a_token_of_another_user_is_refused_before_it_is_sent(stage: Stage) -> None:
    ana = await stage.connect("ana")
    with pytest.raises(TokenRejectedError):
        await ana.update_token(stage.token("ben"))
    stage.proxy.reset()
    await until(lambda: ana.connection_state is ConnectionState.CONNECTING)
    await until(lambda: ana.connection_state is ConnectionState.CONNECTED)
    assert ana.identity == "ana"


async def test_a_renewal_that_fails_is_told_and_goes_on(stage: Stage) -> None:
    given: list[Any] = [stage.token("ana", ttl_s=3600)]

    async def provide(request: TokenRequest) -> str:
        token = given.pop(0)
        if isinstance(token, Exception):
            raise token
        assert isinstance(token, str)
        return token

    ana = await stage.connect("ana", token_provider=provide, reconnect_min=0.001)
    events: list[object] = []
    for kind in (TokenAboutToExpire, TokenUpdated, TokenUpdateFailed, TokenExpired):
        ana.on(kind, events.append)
    stage.pass_time(3600 - 100)
    given[:] = [*[OSError("no back end")] * 5, stage.token("ana", ttl_s=3600)]
    await until(lambda: any(isinstance(event, TokenUpdated) for event in events))
    assert [type(event) for event in events] == [TokenAboutToExpire, TokenUpdateFailed, TokenUpdated]


async def test_a_client_with_a_provider_outlives_a_back_end_that_errs(stage: Stage) -> None:
    good = stage.token("ana", ttl_s=3600)
    given = [good]

    async def provide(request: TokenRequest) -> str:
        return given[0]

    ana = await stage.connect("ana", token_provider=provide)
    problems: list[ConnectionErrorOccurred] = []
    failures: list[TokenUpdateFailed] = []
    ana.on(ConnectionErrorOccurred, problems.append)
    ana.on(TokenUpdateFailed, failures.append)
    given[0] = good[:-4] + "AAAA"
    stage.pass_time(3700)
    await until(lambda: len(failures) >= 2)
    assert not any(problem.terminal for problem in problems)
    given[0] = stage.token("ana", ttl_s=3600)
    await until(lambda: ana.connection_state is ConnectionState.CONNECTED)


async def test_a_start_without_any_luck_fails_and_leaves_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tertulia.client")
    bad = stage.token("ana")[:-4] + "AAAA"

    async def provide(request: TokenRequest) -> str:
        return bad

    async with nothing_left():
        with pytest.raises(InitializationError) as failure:
            await stage.client("ana", token_provider=provide).start()
    assert isinstance(failure.value.__cause__, TokenRejectedError)
    assert bad not in caplog.text + str(failure.value)


async def test_nor_is_a_token_of_another_user_that_only_the_server_can_read(stage: Stage) -> None:
    known = stage.world.credentials
    sealed = tokens.encrypt(stage.token("ben"), known.api_key_sid, known.api_key_secret, os.urandom(12))
    ana = await stage.connect("ana")
    with pytest.raises(TokenRejectedError) as refusal:
        await ana.update_token(sealed)
    assert refusal.value.code == 51232
    await until(lambda: ana.connection_state is ConnectionState.CONNECTED)
    room = await ana.create_conversation(join=True)
    message = await room.send("it is still me")
    assert message.author == "ana"


async def test_a_token_read_from_a_file_is_one(stage: Stage) -> None:
    async def provide(_: TokenRequest) -> str:
        return f"{stage.token('ben')}\n"

    ana = await stage.connect("ana", token=f"  {stage.token('ana')}\n")
    await ana.update_token(f"{stage.token('ana', ttl_s=7200)}\n")
    room = await ana.create_conversation(join=True)
    # Its way to the media service is another one.
    [media] = (await room.send(media=b"words")).media
    assert await media.download() == b"words"
    assert (await stage.connect("ben", token_provider=provide)).identity == "ben"


async def test_a_token_that_is_none_is_refused_and_changes_nothing(stage: Stage) -> None:
    ana = await stage.connect("ana")
    for wrong in ("", "\n", None, 5, b"eyJ"):
        with pytest.raises(InvalidArgumentError, match="token"):
            await ana.update_token(wrong)  # type: ignore[arg-type]
    assert ana.connection_state is ConnectionState.CONNECTED
    await ana.create_conversation()


# --- a provider that never gives one


async def test_a_start_says_that_the_provider_goes_on_failing(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[TokenRequest] = []

    async def provide(request: TokenRequest) -> str:
        asked.append(request)
        raise LookupError("s3cret")

    async with nothing_left():
        ana = stage.client("ana", token_provider=provide, start_timeout=0.5, reconnect_min=0.01, reconnect_max=0.02)
        failures: list[ClientFailed] = []
        ana.on(ClientFailed, failures.append)
        with pytest.raises(InitializationError, match=r"the token provider failed .*: LookupError") as failure:
            await ana.start()
    assert isinstance(failure.value.__cause__, TokenProviderError)
    assert isinstance(failure.value.__cause__.__cause__, LookupError)
    assert [event.error for event in failures] == [failure.value]
    # It was left alone longer and longer, and asked on when a round was over.
    assert 5 <= len(asked) <= 40 and {request.attempt for request in asked} == {1, 2, 3, 4, 5}
    assert "s3cret" not in caplog.text + str(failure.value)
    so_far = len(asked)
    await asyncio.sleep(0.05)
    assert len(asked) == so_far


async def test_a_start_that_ends_before_the_first_round_says_so_too(stage: Stage) -> None:
    async def provide(_: TokenRequest) -> str:
        raise LookupError

    with pytest.raises(InitializationError, match="the token provider failed once: LookupError"):
        await stage.client("ana", token_provider=provide, start_timeout=0.2, reconnect_min=30).start()


async def test_a_start_says_that_the_provider_does_not_answer(stage: Stage) -> None:
    async def provide(_: TokenRequest) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async with nothing_left():
        with pytest.raises(InitializationError, match="the token provider has not answered"):
            await stage.client("ana", token_provider=provide, start_timeout=0.2).start()


async def test_a_provider_that_recovers_is_not_blamed_for_what_comes_after(stage: Stage) -> None:
    given: list[str | Exception] = [OSError(), stage.token("ana")]

    async def provide(_: TokenRequest) -> str:
        token = given.pop(0)
        if isinstance(token, Exception):
            raise token
        return token

    stage.proxy.refuse()
    with pytest.raises(InitializationError) as failure:
        await stage.client("ana", token_provider=provide, start_timeout=0.3, reconnect_min=0.01).start()
    assert "provider" not in str(failure.value) and not given


# --- a store of the application's own


class Broken:
    """Keeps nothing, and says so."""

    def load(self, name: str) -> str | None:
        raise RuntimeError("s3cret")

    def save(self, name: str, token: str) -> None:
        raise OSError(28, "No space left on device")

    def clear(self, name: str) -> None:
        raise RuntimeError("s3cret")


async def test_a_store_that_fails_is_done_without_and_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async def provide(_: TokenRequest) -> str:
        return stage.token("ana")

    async with nothing_left():
        ana = await stage.connect("ana", token_provider=provide, token_store=Broken())
        await ana.logout()
    told = [record.message for record in caplog.records if record.name == "tertulia.client.token_store"]
    assert told == [
        "client.token_not_loaded: RuntimeError",
        "client.token_not_kept: No space left on device",
        "client.token_not_kept: RuntimeError",
    ]
    assert "s3cret" not in caplog.text and stage.token("ana") not in caplog.text


def test_a_file_that_fails_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    FileTokenStore(tmp_path / "file" / "token").save("a", "s3cret")
    FileTokenStore(tmp_path / "file").load("a")
    assert FileTokenStore(tmp_path / "nothing yet").load("a") is None
    assert [record.message for record in caplog.records] == [
        "client.file_not_read: Not a directory",
        "client.file_not_written: File exists",
        "client.file_not_read: what is in it is something else",
    ]
    assert "s3cret" not in caplog.text and str(tmp_path) not in caplog.text
