"""A connection under test: plays the shell, and tells what the client would see."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Literal

from tertulia.wire import frames
from tertulia.wire.frames import Backoff, Frame, HttpRequest
from tertulia.wire.handshake import SECOND_US, ServerHandshake, State, Terms
from tertulia.wire.steps import Send, Step, Steps
from tertulia.wire.tokens import Claims

START = 1_700_000_000
SEED = bytes(range(16))
GET = HttpRequest(method="GET", path="/Client/v2/Configuration")


def sign(data: bytes) -> bytes:
    return hmac.digest(b"a key of the deployment", data, hashlib.sha256)


def claims(*, ttl: float = 3600, lifetime_s: float | None = None, at: float = 0, **changes: Any) -> Claims:
    """Claims of a token that ends ``ttl`` seconds after ``at``; times count from the start of the connection."""
    who: dict[str, Any] = {"identity": "alice", "account_sid": "AC1", "service_sid": "IS1", "key_sid": "SK1"} | changes
    return Claims(expires_at=START + at + ttl, lifetime_s=ttl if lifetime_s is None else lifetime_s, **who)


class Connection:
    """One connection and the time that passes for it, in seconds from its start."""

    def __init__(self, on_expiry: Literal["reauth", "close"] = "reauth", **terms: Any) -> None:
        self.now_s: float = 0
        self.machine = ServerHandshake(Terms(sign, on_expiry, **terms), SEED, self.now_us)

    @property
    def now_us(self) -> int:
        return int((START + self.now_s) * SECOND_US)

    @property
    def deadline_s(self) -> float | None:
        due = self.machine.deadline_us
        return None if due is None else due / SECOND_US - START

    def is_in(self, state: State) -> bool:
        return self.machine.state is state

    def hears(self, message: bytes) -> Steps:
        return self.machine.received(frames.parse(message), self.now_us)

    def accepts(self, good: Claims | None = None) -> Steps:
        return self.machine.accept(good or claims(at=self.now_s), self.now_us)

    def refuses(self, status: int = 401, code: int = 20101, backoff: Backoff | None = None) -> Steps:
        return self.machine.refuse(status, code, "no", self.now_us, backoff)

    def initialises(self, good: Claims | None = None, **arguments: Any) -> Steps:
        self.hears(frames.init("TMinit", "jwt", **arguments))
        return self.accepts(good)

    def waits_until(self, now_s: float) -> Steps:
        """Lets the time come, calling ``tick`` at each deadline on the way, and tells all steps."""
        steps: list[Step] = []
        while (due := self.deadline_s) is not None and due <= now_s:
            self.now_s = max(due, self.now_s)
            steps += self.machine.tick(self.now_us)
            assert self.deadline_s is None or self.deadline_s > self.now_s
        self.now_s = now_s
        return steps


def seen(steps: Steps) -> list[str | Step]:
    """The steps, frames told by their method."""
    return [frames.parse(step.frame).header.method if isinstance(step, Send) else step for step in steps]


def sent(steps: Steps) -> Frame:
    """The one frame among the steps."""
    (frame,) = [frames.parse(step.frame) for step in steps if isinstance(step, Send)]
    return frame


def status_of(steps: Steps) -> tuple[int, int | None]:
    status = sent(steps).header.status
    assert status is not None
    return status.code, status.error_code
