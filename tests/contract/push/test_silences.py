"""A push service that says nothing is asked less and less, by one batch at a time, until it answers."""

from __future__ import annotations

import pytest

from tertulia.server.outgoing import FailureKind
from tertulia.server.push.answers import CALL_S, Said
from tertulia.server.push.service import Verdict
from tertulia.server.push.silences import (
    FIRST_REST_S,
    LONGEST_REST_S,
    MOST_KEPT,
    PROMPT_S,
    RELIED_ON,
    SILENCE,
    SLOW_S,
    Silences,
)

SERVICE = "https://push.test"
SAID = Said(Verdict.LATER, "no answer (read_timeout)")


class Watched:
    """Silences by a clock of the test's own."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.silences = Silences(lambda: self.at)

    def fail(self, asked_s_ago: float = CALL_S, kind: FailureKind = FailureKind.READ_TIMEOUT) -> bool:
        return self.silences.unheard(SERVICE, self.at - asked_s_ago, kind, SAID)

    def rest_s(self) -> float:
        """How long nobody asks; in half seconds."""
        began = self.at
        while self.silences.of(SERVICE) is not None:
            self.at += 0.5
        return self.at - began


def test_a_service_that_was_never_asked_is_asked() -> None:
    watched = Watched()
    assert watched.silences.of(SERVICE) is None
    assert not watched.silences.is_silent(SERVICE)


def test_a_silent_service_rests_twice_as_long_each_time() -> None:
    watched = Watched()
    rests = []
    for _ in range(9):
        assert watched.fail()
        assert watched.silences.of(SERVICE) == SAID
        rests.append(watched.rest_s())
        assert watched.silences.is_silent(SERVICE)
        watched.at += CALL_S  # it asks, in vain
    assert rests == [min(FIRST_REST_S * 2**n, LONGEST_REST_S) for n in range(9)]


def test_while_one_batch_asks_the_others_need_not_wait_for_it() -> None:
    watched = Watched()
    watched.fail()
    watched.at += FIRST_REST_S
    assert watched.silences.of(SERVICE) is None
    assert watched.silences.of(SERVICE) == SAID
    watched.at += CALL_S  # it was cut off: nobody knows what it would have found
    assert watched.silences.of(SERVICE) is None


def test_calls_that_were_under_way_when_it_fell_silent_make_the_rest_no_longer() -> None:
    watched = Watched()
    for seconds in (10, 9, 8):
        assert watched.fail(asked_s_ago=seconds)
        watched.at += 0.5
    assert watched.rest_s() == FIRST_REST_S - 1.5


def test_a_service_that_answers_others_is_not_silent() -> None:
    watched = Watched()
    watched.silences.heard(SERVICE)
    watched.at += 1
    assert not watched.fail(asked_s_ago=2)
    assert watched.silences.of(SERVICE) is None
    assert watched.fail(asked_s_ago=0.5)


def test_an_answer_ends_it() -> None:
    watched = Watched()
    watched.fail()
    watched.silences.heard(SERVICE)
    assert watched.silences.of(SERVICE) is None
    assert not watched.silences.is_silent(SERVICE)
    watched.at += CALL_S
    watched.fail(asked_s_ago=1)
    assert watched.rest_s() == FIRST_REST_S, "and it begins anew"


def test_an_answer_that_takes_too_long_is_as_good_as_none() -> None:
    watched = Watched()
    watched.at += SLOW_S
    watched.silences.heard(SERVICE, watched.at - SLOW_S)
    said = watched.silences.of(SERVICE)
    assert said is not None and (said.verdict, "too long" in said.answer) == (Verdict.LATER, True)
    assert watched.rest_s() == FIRST_REST_S
    watched.silences.heard(SERVICE, watched.at - SLOW_S + 0.1)
    assert watched.silences.of(SERVICE) is None


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - SILENCE))
def test_what_fails_at_once_is_no_silence(kind: FailureKind) -> None:
    watched = Watched()
    assert not watched.fail(kind=kind)
    assert watched.silences.of(SERVICE) is None


def test_of_so_many_services_something_is_remembered() -> None:
    watched = Watched()
    watched.fail()
    for number in range(MOST_KEPT):
        watched.silences.heard(f"{SERVICE}/{number}")
    assert not watched.silences.is_silent(SERVICE)


def test_a_service_is_a_stranger_until_it_has_answered_promptly_often_enough() -> None:
    watched = Watched()
    assert watched.silences.is_stranger(SERVICE)
    for _ in range(RELIED_ON):
        assert watched.silences.is_stranger(SERVICE)
        watched.silences.heard(SERVICE, watched.at - PROMPT_S / 2)
    assert not watched.silences.is_stranger(SERVICE)
    watched.silences.heard(SERVICE, watched.at - PROMPT_S)
    assert watched.silences.is_stranger(SERVICE), "who takes long makes others wait"


def test_a_service_that_was_silent_is_a_stranger_again() -> None:
    watched = Watched()
    for _ in range(2 * RELIED_ON):
        watched.silences.heard(SERVICE)
    watched.at += 20
    assert watched.fail()
    watched.silences.heard(SERVICE)
    assert watched.silences.is_stranger(SERVICE)


def test_a_service_hangs_while_it_answers_none_of_the_calls_that_are_on_their_way() -> None:
    watched = Watched()
    with watched.silences.asking(SERVICE):
        assert not watched.silences.is_hanging(SERVICE)
        watched.at += PROMPT_S
        assert watched.silences.is_hanging(SERVICE)
        with watched.silences.asking(SERVICE):
            assert watched.silences.is_hanging(SERVICE), "one more changes nothing"
            watched.silences.heard(SERVICE)
        assert not watched.silences.is_hanging(SERVICE)
        watched.at += PROMPT_S
        assert watched.silences.is_hanging(SERVICE)
    assert not watched.silences.is_hanging(SERVICE)
