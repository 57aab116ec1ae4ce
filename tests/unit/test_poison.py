"""Messages that a gateway comes to grief at: when they give way."""

from __future__ import annotations

from tertulia.server.jobs.poison import Poison

GATEWAY, OTHER_GATEWAY = "GW1", "GW2"


def attempts_until_it_gives_way(poison: Poison, message: str = "SM1", passing: str = GATEWAY, most: int = 50) -> int:
    """With a message of others taken between every two; -1: it does not."""
    for number in range(1, most + 1):
        if poison.is_in(message, GATEWAY):
            return number
        poison.passed(f"other {number}", passing)
    return -1


def test_eight_times_while_others_pass_is_enough() -> None:
    assert attempts_until_it_gives_way(Poison()) == 8


def test_what_passes_another_gateway_says_nothing() -> None:
    assert attempts_until_it_gives_way(Poison(), passing=OTHER_GATEWAY) == -1


def test_an_outage_counts_once_however_long_it_is() -> None:
    poison = Poison()
    poison.passed("before", GATEWAY)
    for _ in range(6):
        assert not any(poison.is_in("SM1", GATEWAY) for _ in range(100))
        poison.passed("in between", GATEWAY)
    assert attempts_until_it_gives_way(poison) == 2


def test_what_is_taken_begins_anew() -> None:
    poison = Poison()
    for number in range(7):
        assert not poison.is_in("SM1", GATEWAY)
        poison.passed(f"other {number}", GATEWAY)
    poison.passed("SM1", GATEWAY)
    assert attempts_until_it_gives_way(poison) == 8


def test_each_message_is_counted_for_itself() -> None:
    poison = Poison()
    for number in range(7):
        assert not (poison.is_in("SM1", GATEWAY) or poison.is_in("SM2", GATEWAY))
        poison.passed(f"other {number}", GATEWAY)
    assert poison.is_in("SM1", GATEWAY) and poison.is_in("SM2", GATEWAY)
    assert not poison.is_in("SM3", GATEWAY)


def test_of_too_many_the_oldest_is_forgotten() -> None:
    poison = Poison(attempts=2, most=2)
    for message in ("SM1", "SM2", "SM3"):
        assert not poison.is_in(message, GATEWAY)
    poison.passed("other", GATEWAY)
    assert [poison.is_in(message, GATEWAY) for message in ("SM3", "SM1")] == [True, False]
