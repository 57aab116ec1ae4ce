"""Sending on channels: what is decided, sent, and kept of what the gateway said (semantics 4.5, 4.11, gateways 8.0).

The row says ``sending`` before the gateway is asked. An attempt that finds it so had one before it that died: nobody
knows whether it was sent. It is sent again only where the provider knows a repeat by our SID, or where the channel
remembers which parts of it are taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeVar

import msgspec

from tertulia.server import observe
from tertulia.server.channels.base import (
    Accepted,
    Channel,
    ChannelMessage,
    MessageMedia,
    NotNow,
    Refused,
    Unsure,
)
from tertulia.server.clock import Clock
from tertulia.server.domain import callers
from tertulia.server.domain.address_configurations import label_of
from tertulia.server.domain.base import Command
from tertulia.server.domain.channel_messages import (
    EXPIRED,
    MEDIA_FETCH,
    NO_SENDER,
    QUEUE_OVERFLOW,
    UNKNOWN_ERROR,
    BeginSending,
    ChannelRecord,
    ChannelState,
    Failures,
    PostponeSending,
    RecordRefusal,
    RecordSent,
    SendOnChannel,
)
from tertulia.server.domain.channel_rules import NO_SENDER_WHY, Decided, Options, Refusal, decide, decide_reply
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.jobs import Attempt, Job
from tertulia.server.domain.loop_brake import LoopBrake, Verdict
from tertulia.server.domain.sender_rates import SenderRates, default_rate
from tertulia.server.engine.channel_queries import ChannelQueries, Reading
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.media_store import MediaStore
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import ChannelsSettings

from .channel_media import ChannelMedia
from .foreign_media import ForeignMedia
from .performing import SETTLED, Performer, Settled, TryAgain
from .poison import Poison
from .retry import RetryPolicy

R = TypeVar("R")
log = logging.getLogger(__name__)

SECOND: Final = 1_000_000
SERVER_ERROR: Final = 500
PATIENT: Final = RetryPolicy(attempts=1_000_000, first_wait_s=1.0, factor=2.0, last_wait_s=300.0)
"""The end is told by the receipt, when the message's time is over; not by the job."""
RECORD_AGAIN_S: Final = (0.1, 1.0)
"""Waits before what a gateway has said is told to a database again that would not hear it."""
UNKNOWN_OUTCOME: Final = "unknown outcome"
LATE: Final = "its time is over"
POISON: Final = "its gateway comes to grief at it, and not at others"
NEXT_SLOT: Final = "its sender sends no faster"
LOOP: Final = "more of what people write goes from one address of ours to one person than people write"
CROWDED: Final = "its sender has more to send than its time allows"


class OpenChannels(Protocol):
    """Where channels are found."""

    def use(self, gateway_sid: str) -> AbstractAsyncContextManager[Channel]:
        """A gateway's channel, open. Raises ``Refused`` and ``NotNow``."""
        ...


def channel_performers(
    engine: Engine,
    queries: ChannelQueries,
    channels: OpenChannels,
    media: MediaStore,
    clock: Clock,
    settings: ChannelsSettings,
    base_url: str,
    outgoing: Outgoing,
    rates: SenderRates | None = None,
) -> dict[type[Job], Performer[Any]]:
    """By the kind of the job. ``base_url`` is where gateways fetch files."""
    files = ChannelMedia(media, base_url, settings.media_url_s)
    options = Options(media_keep_body=settings.media_keep_body, media_text=settings.media_text)
    foreign, rates = ForeignMedia(outgoing), rates or SenderRates()
    brake = LoopBrake(settings.loop_brake_per_minute)
    return {SendOnChannel: ChannelPerformer(engine, queries, channels, files, foreign, clock, options, rates, brake)}


class ChannelPerformer:
    """Sends one channel message. What its gateway cannot take now waits, and is tried until its time is over."""

    def __init__(
        self,
        engine: Engine,
        queries: ChannelQueries,
        channels: OpenChannels,
        files: ChannelMedia,
        foreign: ForeignMedia,
        clock: Clock,
        options: Options,
        rates: SenderRates,
        brake: LoopBrake,
    ) -> None:
        self._engine = engine
        self._queries = queries
        self._channels = channels
        self._files = files
        self._foreign = foreign
        self._clock = clock
        self._options = options
        self._rates = rates
        self._poison = Poison()
        self._brake = brake

    def policy(self, _job: SendOnChannel, /) -> RetryPolicy:
        return PATIENT

    async def __call__(self, job: SendOnChannel, attempt: Attempt, /) -> Settled | None:
        reading = await self._queries.due(job)
        if reading is None:
            return None  # it was sent, or refused, or removed with its message
        outcome = await self._outcome(job, reading)
        if outcome is None:
            return None
        await self._record(reading, outcome, settling=attempt)
        observe.CHANNEL_MESSAGES.labels(label_of(reading.record.kind), _state_of(outcome)).inc()
        if isinstance(outcome, RecordRefusal):
            log.info(
                "channel.refused",
                extra=observe.fields(channel_message=outcome.channel_message, code=outcome.code, why=outcome.why),
            )
        return SETTLED

    async def _outcome(self, job: SendOnChannel, reading: Reading) -> RecordSent | RecordRefusal | None:
        """What became of it; None: it was removed meanwhile. Raises ``TryAgain`` while it is to be tried again."""
        if reading.gateway_sid is None:
            return _refusal(reading, NO_SENDER, NO_SENDER_WHY)
        if job.is_relayed and self._is_in_a_loop(reading.record):
            return _refusal(reading, QUEUE_OVERFLOW, LOOP)
        try:
            async with self._channels.use(reading.gateway_sid) as channel:
                begun = channel.begun(reading.record.sid)
                outcome = await self._attempted(job, reading, reading.gateway_sid, channel, is_known=begun is not None)
                return _with_parts(outcome, begun, reading.gateway_sid)
        except Refused as refused:
            return _refusal(reading, refused.code, refused.why)
        except NotNow as later:
            _sound(reading, later)
            if self._is_late(reading):  # nor will it be opened in time
                return _refusal(
                    reading, *((UNKNOWN_ERROR, UNKNOWN_OUTCOME) if _is_unknown(reading) else (EXPIRED, LATE))
                )
            raise self._again(reading, later.why, later.after_s) from None

    async def _attempted(
        self, job: SendOnChannel, reading: Reading, gateway_sid: str, channel: Channel, *, is_known: bool
    ) -> RecordSent | RecordRefusal | None:
        """``is_known``: the channel remembers which parts of it are taken."""
        is_repeated = is_known or (channel.repeats_safely and reading.record.gateway_sid == gateway_sid)
        if _is_unknown(reading) and not is_repeated:
            return _refusal(reading, UNKNOWN_ERROR, UNKNOWN_OUTCOME)
        if self._is_late(reading):
            return _refusal(reading, EXPIRED, LATE)
        try:
            return await self._through(job, reading, gateway_sid, channel)
        except Refused as refused:
            return _refusal(reading, refused.code, refused.why)

    async def _through(
        self, job: SendOnChannel, reading: Reading, gateway_sid: str, channel: Channel
    ) -> RecordSent | RecordRefusal | None:
        decided = self._decide(job, reading, channel)
        if isinstance(decided, Refusal):
            return RecordRefusal(
                channel_message=reading.record.sid,
                code=decided.code,
                why=decided.why,
                failures=decided.failures,
                is_withdrawn=decided.is_withdrawn,
            )
        message = await self._message(job, reading, decided, channel)
        wait_us = self._wait_for_slot(reading)
        if wait_us is None:
            return _refusal(reading, QUEUE_OVERFLOW, CROWDED, decided.failures)
        if wait_us:
            raise TryAgain(NEXT_SLOT, wait_us / SECOND, is_expected=True)
        begin = BeginSending(channel_message=reading.record.sid, gateway=gateway_sid, handle=channel.handle_of(message))
        if not await self._record(reading, begin):
            return None
        try:
            accepted = await channel.send(message)
        except NotNow as later:
            if channel.begun(message.sid) is not None:
                # It stays ``sending``: who does not know which parts are taken must not send it.
                _sound(reading, later)
                raise self._again(reading, later.why, later.after_s) from None
            await self._record(reading, PostponeSending(channel_message=reading.record.sid))
            if later.is_broken and self._poison.is_in(reading.record.sid, gateway_sid):
                return _refusal(reading, UNKNOWN_ERROR, POISON, decided.failures)
            raise
        except Refused as refused:
            return _refusal(reading, refused.code, refused.why, decided.failures)
        except Unsure as unsure:
            if channel.repeats_safely:
                raise self._again(reading, unsure.why, None) from None
            return _refusal(reading, UNKNOWN_ERROR, UNKNOWN_OUTCOME, decided.failures)
        self._poison.passed(reading.record.sid, gateway_sid)
        return RecordSent(
            channel_message=reading.record.sid,
            gateway=gateway_sid,
            handles=accepted.handles,
            segments=accepted.segments,
            status=accepted.status,
            failures=(*decided.failures, *_not_taken(reading, accepted.refused)),
            lost=accepted.lost,
        )

    def _decide(self, job: SendOnChannel, reading: Reading, channel: Channel) -> Decided | Refusal:
        capabilities = channel.capabilities_of(reading.record.kind)
        if job.text is not None:
            return decide_reply(reading.case, job.text, capabilities)
        return decide(reading.case, capabilities, self._options, self._clock.now(), self._files.url)

    async def _message(
        self, job: SendOnChannel, reading: Reading, decided: Decided, channel: Channel
    ) -> ChannelMessage:
        envelope = decided.envelope
        if envelope is not None and decided.html is not None:
            envelope = msgspec.structs.replace(envelope, html=await self._files.text(decided.html))
        text, media = decided.text, tuple(self._files.given(file) for file in decided.media)
        if decided.urls:
            text, media = await self._with_files_of_others(reading, decided, channel)
        return ChannelMessage(
            sid=reading.record.sid,
            sender=reading.record.sender,
            recipients=decided.recipients,
            others=job.others,
            text=text,
            media=media,
            template=decided.template,
            envelope=envelope,
            valid_until=reading.record.valid_until,
            is_within_window=decided.is_within_window,
        )

    async def _with_files_of_others(
        self, reading: Reading, decided: Decided, channel: Channel
    ) -> tuple[str | None, tuple[MessageMedia, ...]]:
        """The words and the files, or words alone that say where they are."""
        record = reading.record
        media = await self._foreign.files(decided.urls, record.account_sid, channel.capabilities_of(record.kind))
        if media is not None:
            return decided.text, media
        if decided.stand_in is None:
            raise Refused(MEDIA_FETCH, "its files cannot be had, and where they are is too long to say")
        return decided.stand_in, ()

    def _is_in_a_loop(self, record: ChannelRecord) -> bool:
        way = " ".join((record.account_sid, record.sender, *record.recipients))
        verdict = self._brake.judge(way, record.sid, record.created_at)
        if verdict is Verdict.STOPS:
            log.warning(
                "channel.loop",
                extra=observe.fields(channel_message=record.sid, conversation=record.conversation_sid, why=LOOP),
            )
        return verdict is not Verdict.GOES

    def _wait_for_slot(self, reading: Reading) -> int | None:
        """Microseconds until its sender may send it; None: not while it is of use. The simulator has no rates."""
        record, sender = reading.record, reading.sender
        per_minute = None if sender is None else sender.per_minute or default_rate(record.kind, record.sender)
        if per_minute is None:
            return 0
        whose = f"{record.account_sid}/{record.sender}"
        return self._rates.reserve(whose, per_minute, record.sid, self._clock.now(), record.valid_until)

    async def _record(self, reading: Reading, command: Command[R], settling: Attempt | None = None) -> R:
        """Execute the command, again where the database would not: what a gateway has said is not said twice.

        Raises ``TryAgain`` when it will not be heard.
        """
        caller = callers.system(reading.record.account_sid)
        for wait_s in (*RECORD_AGAIN_S, None):
            try:
                return await self._engine.execute(caller, command, settling=settling)
            except TertuliaError as refusal:
                if wait_s is None or refusal.status < SERVER_ERROR:
                    raise TryAgain(f"refused with {refusal.code}") from refusal
                await asyncio.sleep(wait_s)
        raise AssertionError("the last wait is None")

    def _is_late(self, reading: Reading) -> bool:
        return self._clock.now() >= reading.record.valid_until

    def _again(self, reading: Reading, why: str, after_s: float | None) -> TryAgain:
        """Later; where the gateway names a time, no later than the message's own is over."""
        left_s = (reading.record.valid_until - self._clock.now()) / SECOND
        return TryAgain(why, None if after_s is None else max(min(after_s, left_s), PATIENT.first_wait_s))


def _state_of(outcome: RecordSent | RecordRefusal) -> str:
    if isinstance(outcome, RecordSent):
        return ChannelState.SENT
    return ChannelState.WITHDRAWN if outcome.is_withdrawn else ChannelState.FAILED


def _sound(reading: Reading, later: NotNow) -> None:
    """What somebody has to mend is said aloud."""
    if later.is_alarming:
        log.warning("channel.alarm", extra=observe.fields(gateway=reading.gateway_sid, why=later.why))


def _with_parts(
    outcome: RecordSent | RecordRefusal | None, begun: Accepted | None, gateway_sid: str
) -> RecordSent | RecordRefusal | None:
    """What is refused after parts of it were taken has failed, and these are known by their names."""
    if begun is None or not isinstance(outcome, RecordRefusal) or outcome.is_withdrawn:
        return outcome
    return RecordSent(
        channel_message=outcome.channel_message,
        gateway=gateway_sid,
        handles=begun.handles,
        segments=begun.segments,
        failures=outcome.failures,
        lost=outcome.code,
    )


def _is_unknown(reading: Reading) -> bool:
    return reading.record.state == ChannelState.SENDING


def _not_taken(reading: Reading, refused: Sequence[tuple[str, int]]) -> Failures:
    """Whom of several the gateway did not take it for."""
    codes = dict(refused)
    return tuple(
        (person.participant_sid, codes[person.address]) for person in reading.case.people if person.address in codes
    )


def _refusal(reading: Reading, code: int, why: str, failures: Failures = ()) -> RecordRefusal:
    return RecordRefusal(channel_message=reading.record.sid, code=code, why=why, failures=failures)
