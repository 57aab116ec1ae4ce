"""Push services that take a call and say nothing: one push at a time finds out whether they are back.

Each push that waits for an answer in vain keeps a batch waiting for ten seconds, and of batches only so many are under
way at a time. Whoever names a push service of his own to a browser could hold up all others with it.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from tertulia.server.outgoing import FailureKind

from .answers import CALL_S, Said
from .service import Verdict

FIRST_REST_S: Final = 5.0
LONGEST_REST_S: Final = 300.0
"""As long as a batch waits for its next attempt."""
MOST_KEPT: Final = 1_000
"""Services something is remembered of; browsers name them, so anybody can name new ones."""

SILENCE: Final = frozenset((FailureKind.CONNECT_TIMEOUT, FailureKind.READ_TIMEOUT, FailureKind.TOTAL_TIMEOUT))
"""Others are known at once, and hold nobody up."""

SLOW_S: Final = 5.0
"""As long as calls may be silent by default: an answer that takes longer is as good as none."""
PROMPT_S: Final = 1.0
"""Nobody minds an answer that takes less."""
RELIED_ON: Final = 20
"""Prompt answers after which a service is no stranger any more."""
_SLOW: Final = Said(Verdict.LATER, "not asked: its push service took too long to answer others")


class _Known:
    __slots__ = ("answers", "asked", "fell_at", "heard_at", "rest_s", "said", "until", "waiting_since")

    def __init__(self) -> None:
        self.answers = 0
        """Prompt ones, since it was silent the last time; each that was not so halves them."""
        self.asked = 0
        """Calls on their way."""
        self.waiting_since = 0.0
        """While there are any: when the first of them began, or it answered any."""
        self.heard_at = float("-inf")
        self.fell_at = float("-inf")
        self.said: Said | None = None
        """What becomes of pushes to it; None: it is not silent."""
        self.rest_s = 0.0
        self.until = 0.0


class Silences:
    """Which services are silent; in memory. ``now`` gives the seconds of a clock that is never put back."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def of(self, service: str) -> Said | None:
        """What becomes of a batch that need not ask, because the service was silent a moment ago; None: ask.

        After a rest, which doubles up to five minutes, one batch gets None; it asks with one push at a time
        (``is_silent``).
        """
        known, now = self._known.get(service), self.now()
        if known is None or known.said is None:
            return None
        if now < known.until:
            return known.said
        known.until = now + CALL_S  # nobody else asks meanwhile
        return None

    def is_silent(self, service: str) -> bool:
        """Whether it has said nothing the last time."""
        known = self._known.get(service)
        return known is not None and known.said is not None

    @contextlib.contextmanager
    def asking(self, service: str) -> Iterator[None]:
        """Around a call."""
        known = self._of(service)
        if not known.asked:
            known.waiting_since = self.now()
        known.asked += 1
        try:
            yield
        finally:
            known.asked -= 1

    def is_hanging(self, service: str) -> bool:
        """Whether it has let the calls that are on their way wait for longer than anybody likes, all of them."""
        known = self._known.get(service)
        return known is not None and known.asked > 0 and self.now() - known.waiting_since >= PROMPT_S

    def is_stranger(self, service: str) -> bool:
        """Whether it has yet to show that it answers promptly."""
        known = self._known.get(service)
        return known is None or known.answers < RELIED_ON

    def heard(self, service: str, asked_at: float | None = None) -> None:
        """It has answered, whatever; a call that began at ``asked_at``, where it matters how long that took.

        Whoever lets each call wait until just before its end holds up as many as whoever says nothing.
        """
        if asked_at is not None and self.now() - asked_at >= SLOW_S:
            self.unheard(service, asked_at, FailureKind.TOTAL_TIMEOUT, _SLOW)
            return
        known = self._of(service)
        known.heard_at, known.said, known.rest_s = self.now(), None, 0.0
        known.waiting_since = known.heard_at
        is_prompt = asked_at is None or known.heard_at - asked_at < PROMPT_S
        known.answers = min(known.answers + 1, 2 * RELIED_ON) if is_prompt else known.answers // 2

    def unheard(self, service: str, asked_at: float, kind: FailureKind, said: Said) -> bool:
        """A call that began at ``asked_at`` (by ``now``) failed so; whether the service counts as silent.

        It does not while it answers others: then it is about this one push.
        """
        if kind not in SILENCE:
            return False
        known, now = self._of(service), self.now()
        if known.heard_at >= asked_at:
            return False
        if asked_at >= known.fell_at:  # not those that were under way when it fell silent
            known.rest_s = min(max(2 * known.rest_s, FIRST_REST_S), LONGEST_REST_S)
            known.fell_at, known.until = now, now + known.rest_s
        known.said, known.answers = said, 0
        return True

    def _of(self, service: str) -> _Known:
        known = self._known.get(service)
        if known is None:
            known = self._known[service] = _Known()
            if len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(service)
        return known
