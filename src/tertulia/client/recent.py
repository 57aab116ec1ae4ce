"""Answers that are good for some seconds more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

Question = tuple[str, tuple[tuple[str, str], ...]]
"""A URL and its parameters, in order."""

MOST: Final = 1000
MOST_BYTES: Final = 4 * 1_048_576
"""Of all answers together: they are held until there are others, also when their time is over."""


class _Answer(NamedTuple):
    body: bytes
    came_at: float
    until: float


class RecentAnswers:
    """What was answered lately, as far as there is room: those of longest ago go first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answers: OrderedDict[Question, _Answer] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def recall(self, question: Question, max_age: float) -> bytes | None:
        """The answer of so many seconds ago, at most."""
        self._drop_old()
        answer = self._answers.get(question)
        return answer.body if answer is not None and self._clock() - answer.came_at < max_age else None

    def keep(self, question: Question, body: bytes, max_age: float) -> None:
        """It came just now, and nobody will want it when it is older than that."""
        self._drop(question)
        self._drop_old()
        if len(body) > MOST_BYTES:
            return
        now = self._clock()
        self._answers[question] = _Answer(body, now, now + max_age)
        self._bytes += len(body)
        while len(self._answers) > MOST or self._bytes > MOST_BYTES:
            self._drop(next(iter(self._answers)))

    def _drop_old(self) -> None:
        now = self._clock()
        # Nearly all are wanted for the same time, so that the first is over first.
        while self._answers and next(iter(self._answers.values())).until <= now:
            self._drop(next(iter(self._answers)))

    def _drop(self, question: Question) -> None:
        dropped = self._answers.pop(question, None)
        if dropped is not None:
            self._bytes -= len(dropped.body)
