"""A link under test: plays the shell and the server, and holds the link to what it promises."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from tertulia.client.errors import ConversationsError
from tertulia.client.link import Link, LinkTerms
from tertulia.client.link_steps import (
    START,
    Connect,
    Connected,
    Drop,
    Lost,
    NeedsToken,
    Notify,
    Probe,
    Problem,
    Send,
    Settle,
    StateChanged,
    Step,
    Steps,
)
from tertulia.client.patience import Patience
from tertulia.client.states import ConnectionState, TokenReason
from tertulia.wire import frames
from tertulia.wire.frames import Backoff, ContinuationStatus, Frame, HttpRequest, Status
from tertulia.wire.requests import Reply

GET = HttpRequest(method="GET", path="/Client/v2/Configuration")
PATIENCE = Patience(greeting=30, silence=75, probe=5)


class Shell:
    """Takes the steps of a link, and fails if they break what holds for every one."""

    def __init__(
        self, *, renews: bool = False, random: Callable[[], float] = lambda: 0.5, max_queued: int = 1000
    ) -> None:
        ids = count(1)
        terms = LinkTerms(version="1.2.3", renews=renews, patience=PATIENCE, max_queued=max_queued)
        self.link = Link(terms, lambda: f"TM{next(ids)}", random)
        self.now = 1000.0
        self.is_opening = False
        self.has_socket = False
        self.is_connected = False
        self.sent: list[Frame] = []
        self.told: list[Step] = []
        self.asked: dict[str, None] = {}
        self.given_up: set[str] = set()
        self.outcomes: dict[str, Reply | ConversationsError | None] = {}
        self.started: list[Reply | ConversationsError | None] = []
        self.reasons: list[TokenReason] = []

    def do(self, steps: Steps) -> Steps:
        """Takes them, in order."""
        for step in steps:
            self.told.append(step)
            self._do(step)
        assert self.link.is_ready == self.is_connected
        return steps

    def _do(self, step: Step) -> None:
        match step:
            case Connect(reason):
                assert not self.is_opening and not self.has_socket, "there is a socket already"
                self.is_opening = True
                self.reasons.append(reason)
            case Drop():
                self.is_opening = self.has_socket = False
            case Send(frame):
                assert self.has_socket, "there is nothing to send it by"
                self.sent.append(frames.parse(frame))
            case Probe():
                assert self.has_socket
            case Settle(id, outcome):
                if id == START:
                    self.started.append(outcome)
                    assert len(self.started) == 1
                else:
                    assert id not in self.outcomes, "it was settled before"
                    self.outcomes[id] = outcome
            case Connected():
                assert not self.is_connected
                self.is_connected = True
            case Lost():
                assert self.is_connected
                self.is_connected = False
            case Notify():
                assert self.has_socket
            case StateChanged(state, previous):
                states = [each.state for each in self.told[:-1] if isinstance(each, StateChanged)]
                assert previous == (states[-1] if states else ConnectionState.UNKNOWN) and state != previous

    # --- what happens

    def opens(self, token: str = "jwt") -> Steps:
        self.is_opening, self.has_socket = False, True
        return self.do(self.link.opened(token, self.now))

    def does_not_open(self) -> Steps:
        self.is_opening = False
        return self.do(self.link.not_opened("refused", self.now))

    def hears(self, message: bytes) -> Steps:
        frame = self.link.read(message, self.now)
        return () if frame is None else self.do(self.link.received(frame, self.now))

    def is_cut(self) -> Steps:
        self.has_socket = False
        return self.do(self.link.lost(self.now))

    def connects(self) -> Steps:
        """From the beginning, or after a loss."""
        if self.link.state is ConnectionState.UNKNOWN:
            self.do(self.link.start())
        elif self.link.retry_at is not None:
            self.waits(self.link.retry_at)
        self.opens()
        return self.hears(self.greeting())

    def waits(self, until: float) -> Steps:
        """Lets time pass, with a tick at each deadline on the way; all their steps."""
        steps: list[Step] = []
        while (due := self.link.deadline) is not None and due <= until:
            self.now = max(due, self.now)
            steps += self.do(self.link.tick(self.now))
            assert self.link.deadline is None or self.link.deadline > self.now
        self.now = until
        return steps

    # --- what is asked

    def asks(self) -> str:
        id, steps = self.link.request(GET, b"", "application/json")
        self.asked[id] = None
        self.do(steps)
        return id

    def updates(self, token: str = "newer") -> str:
        id, steps = self.link.update(token)
        self.asked[id] = None
        self.do(steps)
        return id

    def pending(self) -> list[str]:
        """What is neither settled nor given up, latest first."""
        return [id for id in reversed(self.asked) if id not in self.outcomes and id not in self.given_up]

    # --- what the server says

    def last(self, method: str) -> Frame:
        return [frame for frame in self.sent if frame.header.method == method][-1]

    def greeting(self, continuation: str = "ct1") -> bytes:
        return frames.initialised(
            self.last("init").header.id,
            capabilities=("client_update",),
            continuation_token=continuation,
            continuation_status=ContinuationStatus(False),
            registrations=(),
        )

    def refusal(self, method: str, status: int, code: int | None = None, backoff: Backoff | None = None) -> bytes:
        """Of the last frame of this method."""
        payload = backoff.payload() if backoff else b""
        return frames.reply(self.last(method).header.id, Status(status, "NO", "no", code), payload)


def kinds(steps: Steps) -> list[type[Step]]:
    return [type(step) for step in steps]


def only(steps: Steps, kind: type[Step]) -> list[Step]:
    return [step for step in steps if isinstance(step, kind)]


def problem_in(steps: Steps) -> Problem | None:
    return next((step for step in steps if isinstance(step, Problem)), None)


def need_in(steps: Steps) -> TokenReason | None:
    return next((step.reason for step in steps if isinstance(step, NeedsToken)), None)
