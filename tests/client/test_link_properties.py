"""The client's side of a connection, as a machine: what holds whatever comes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.client.errors import TokenProviderError, TokenTtlTooShortError
from tertulia.client.states import ConnectionState
from tertulia.wire import frames, requests
from tertulia.wire.frames import Backoff, Status
from tertulia.wire.requests import Reply

from .linking import Shell

CONNECTING, CONNECTED = ConnectionState.CONNECTING, ConnectionState.CONNECTED
AWAY = Backoff(3000, 5000)
HAPPENINGS = (
    # What leads on comes more often than what does not.
    *("start", "opens", "greeted") * 2,
    *("hears", "ask", "answered") * 2,
    *("fails", "no token", "cut", "update", "give up", "hurry", "tick", "away", "time", "pong", "no luck"),
)


def _of_server(shell: Shell, data: Any) -> bytes:
    """Something a server might say, sensible or not."""
    status = data.draw(st.sampled_from([200, 308, 401, 403, 406, 410, 417, 429, 500]))
    code = data.draw(st.sampled_from([None, 20101, 20104, 51232]))
    payload = data.draw(st.sampled_from([b"", AWAY.payload(), b"{", b"[]"]))
    ids = (*shell.pending()[:2], *shell.asked, *(frame.header.id for frame in shell.sent[-2:]), "TM0")
    id = data.draw(st.sampled_from(ids))
    said = data.draw(
        st.sampled_from(["greeting", "reply", "reply", "answer", "close", "notification", "ping", "noise"])
    )
    if said == "greeting" and any(frame.header.method == "init" for frame in shell.sent):
        return shell.greeting()
    if said == "answer":
        return requests.tunnelled(id, Reply(status, payload))
    if said == "close":
        return frames.close("TMx", Status(status, "BYE", None, code), payload)
    if said == "notification":
        return frames.notification("TMx", "twilio.sync.event", payload)
    if said == "ping":
        return frames.ping("TMx")
    if said == "noise":
        return bytes(data.draw(st.binary(max_size=40)))
    return frames.reply(id, Status(status, "SO", None, code), payload)


@given(data=st.data(), renews=st.booleans(), number=st.floats(0, 1))
@settings(max_examples=400, deadline=None)
def test_whatever_comes_in_which_order_there_is_one_socket_and_each_request_is_settled_once(
    data: Any, renews: bool, number: float
) -> None:
    shell = Shell(renews=renews, random=lambda: number, max_queued=5)
    for _ in range(data.draw(st.integers(1, 40))):
        what = data.draw(st.sampled_from(HAPPENINGS))
        link, now = shell.link, shell.now
        if what == "start":
            shell.do(link.start(is_awaited=not shell.started))
        elif what == "opens" and shell.is_opening:
            shell.opens()
        elif what == "greeted" and shell.has_socket and not shell.is_connected:
            shell.hears(shell.greeting())
        elif what == "answered" and shell.is_connected and shell.pending():
            id = shell.pending()[0]
            shell.hears(data.draw(st.sampled_from([frames.reply(id), requests.tunnelled(id, Reply(200))])))
        elif what == "fails" and shell.is_opening:
            shell.does_not_open()
        elif what == "no token" and shell.is_opening:
            shell.is_opening = False
            shell.do(link.refused_token(TokenTtlTooShortError("short"), now))
        elif what == "hears" and shell.has_socket:
            shell.hears(_of_server(shell, data))
        elif what == "cut" and shell.has_socket:
            shell.is_cut()
        elif what == "ask":
            shell.asks()
        elif what == "update":
            shell.updates()
        elif what == "give up" and shell.pending():
            id = data.draw(st.sampled_from(shell.pending()))
            link.give_up(id)
            shell.given_up.add(id)
        elif what == "hurry":
            shell.do(link.hurry(now))
        elif what == "tick":
            shell.do(link.tick(now))
        elif what == "away":
            shell.do(link.tick(now, was_away=True))
        elif what == "pong":
            link.heard(now)
        elif what == "no luck":
            shell.do(link.no_token(TokenProviderError("no luck")))
        elif what == "time":
            shell.waits(now + data.draw(st.sampled_from([0.5, 5, 80, 700])))
        # Whoever goes on has something to wait for, and none has both a socket and an attempt.
        assert not (shell.is_opening and shell.has_socket)
        if shell.link.state is CONNECTING:
            assert shell.is_opening or shell.has_socket or link.retry_at is not None
        if shell.is_connected:
            assert shell.has_socket and shell.link.state is CONNECTED
    shell.do(shell.link.shut_down())
    assert not shell.has_socket and not shell.is_opening and shell.link.deadline is None
    assert not shell.pending() and not shell.given_up & shell.outcomes.keys()
