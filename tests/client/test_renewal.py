"""Getting another token, for as long as that takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tertulia.client.errors import (
    ClientShutDownError,
    CommandTimeoutError,
    ConversationsError,
    TokenProviderError,
    TokenRejectedError,
)
from tertulia.client.renewal import Renewal
from tertulia.client.states import TokenReason

from .connecting import nothing_left
from .scripted import settle

NO_LUCK, REJECTED = TokenProviderError("no luck"), TokenRejectedError("no good")


class Office:
    """Gives out tokens and judges them: each is given, or fails, as ``luck`` says."""

    def __init__(self) -> None:
        self.luck: list[str | ConversationsError] = []
        self.verdicts: dict[str, ConversationsError] = {}
        self.reasons: list[TokenReason] = []
        self.failures: list[ConversationsError] = []
        self.renewed = 0
        self.ends = False
        self.complains = False
        self.opens = asyncio.Event()
        self.opens.set()
        self.renewal = Renewal(self.token, self.update, self.done, self.failed, pause_min=60, pause_max=120)

    async def token(self, reason: TokenReason) -> str:
        self.reasons.append(reason)
        await self.opens.wait()
        given = self.luck.pop(0)
        if isinstance(given, ConversationsError):
            raise given
        return given

    async def update(self, token: str) -> None:
        if token in self.verdicts:
            if self.complains:
                # As the connection does of the very token that is refused.
                self.renewal.need(TokenReason.REJECTED)
            raise self.verdicts[token]

    def done(self) -> None:
        self.renewed += 1

    def failed(self, error: ConversationsError, attempt: int) -> bool:
        self.failures.append(error)
        assert attempt == len(self.failures)
        return not self.ends


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with nothing_left():
        office = Office()
        yield office
        await office.renewal.close()


async def test_a_token_that_is_taken_is_the_end_of_it(office: Office) -> None:
    office.luck = ["good"]
    office.renewal.need(TokenReason.ABOUT_TO_EXPIRE)
    await settle()
    assert office.renewed == 1 and office.reasons == [TokenReason.ABOUT_TO_EXPIRE]


async def test_whoever_needs_one_meanwhile_shares_it(office: Office) -> None:
    office.luck = ["good"]
    office.opens.clear()
    office.renewal.need(TokenReason.ABOUT_TO_EXPIRE)
    await settle()
    office.renewal.need(TokenReason.ABOUT_TO_EXPIRE)
    office.opens.set()
    await settle()
    assert office.renewed == 1 and len(office.reasons) == 1


async def test_a_second_attempt_comes_at_once_and_a_third_does_not(office: Office) -> None:
    office.luck = [NO_LUCK, NO_LUCK, "good"]
    office.renewal.need(TokenReason.ABOUT_TO_EXPIRE)
    await settle()
    assert office.failures == [NO_LUCK, NO_LUCK] and not office.renewed


async def test_whoever_needs_one_now_does_not_wait_for_the_next_attempt(office: Office) -> None:
    office.luck = [NO_LUCK, NO_LUCK, "good"]
    office.renewal.need(TokenReason.ABOUT_TO_EXPIRE)
    await settle()
    office.renewal.need(TokenReason.EXPIRED)
    await settle()
    assert office.renewed == 1 and office.reasons[-1] is TokenReason.EXPIRED


async def test_a_refusal_during_an_attempt_does_not_hurry_the_next(office: Office) -> None:
    office.luck, office.verdicts = ["bad", "bad", "good"], {"bad": REJECTED}
    office.complains = True
    office.renewal.need(TokenReason.ABOUT_TO_EXPIRE)
    await settle()
    assert office.failures == [REJECTED, REJECTED]


async def test_a_refused_token_is_said_to_be_so(office: Office) -> None:
    office.luck, office.verdicts = ["bad", "good"], {"bad": REJECTED}
    office.renewal.need(TokenReason.EXPIRED)
    await settle()
    assert office.reasons == [TokenReason.EXPIRED, TokenReason.REJECTED] and office.renewed == 1


async def test_a_network_that_is_away_says_nothing_of_the_token(office: Office) -> None:
    office.luck, office.verdicts = ["lost", "good"], {"lost": CommandTimeoutError("no answer")}
    office.renewal.need(TokenReason.EXPIRED)
    await settle()
    assert office.reasons == [TokenReason.EXPIRED, TokenReason.EXPIRED] and office.renewed == 1


async def test_nobody_asks_on_when_there_is_no_point(office: Office) -> None:
    office.ends = True
    office.luck = [NO_LUCK, "good", ClientShutDownError()]
    office.renewal.need(TokenReason.EXPIRED)
    await settle()
    assert office.failures == [NO_LUCK] and len(office.reasons) == 1
    office.luck = [ClientShutDownError()]
    office.renewal.need(TokenReason.EXPIRED)
    await settle()
    assert len(office.failures) == 1 and not office.renewed
