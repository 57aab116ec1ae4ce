"""The network: messages of ours on their way to phones, and messages of phones on their way to us and to each other.

Nothing here waits. What takes time is put into the schedule, and ``step`` says what is due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tertulia.server.channels.base import Accepted, ChannelMessage, NotNow, Refused, Unsure
from tertulia.server.clock import Clock
from tertulia.server.domain.addresses import EMAIL, SMS, kind_of
from tertulia.server.domain.channels import Incoming, IncomingMedia, Keyword, Report
from tertulia.server.domain.opt_out import Keywords, said
from tertulia.server.domain.receipts import ReceiptStatus
from tertulia.wire.sids import CHANNEL_SMS

from .media import PhoneMedia, Shelf
from .phones import USUAL_CODE, Behaviour, Outcome, Phone, PhoneMessage, Phones
from .schedule import Arrival, News, Schedule
from .settings import SimulatorSettings

SECOND: Final = 1_000_000
AGAIN_S: Final = (0.2, 1.0, 5.0, 30.0, 30.0)
"""Waits before the server is told again of what it would not hear; then it is never told."""
OPTED_OUT: Final = 21610
OUTSIDE_WINDOW: Final = 63016
WINDOWED: Final = frozenset(("whatsapp", "messenger"))
READS_ONE: Final = frozenset(("whatsapp", "rcs"))
"""Kinds that tell of each message that it was read; Messenger tells until when everything was."""
READS_ALL: Final = "messenger"
TEXT_CHARS: Final = 100_000
"""Of what a phone writes, at most."""
MOST_PEOPLE: Final = 20
"""In one message."""
CARRIER: Final = Keywords()


class Unfit(ValueError):
    """What a phone is asked to write cannot be written; the text says why, without content."""


class Network:
    """``wake`` is called whenever something new is due."""

    def __init__(
        self, settings: SimulatorSettings, clock: Clock, new_sid: Callable[[str], str], wake: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._new_sid = new_sid
        self._wake = wake
        self.phones = Phones(settings.seed)
        self.shelf = Shelf(new_sid)
        self.schedule = Schedule()

    # --- to phones

    def accept(self, message: ChannelMessage, files: tuple[PhoneMedia, ...] = ()) -> Accepted:
        """Take a message of ours. Raises ``Refused``, ``NotNow`` and ``Unsure`` as its phones are told to."""
        copies = message.envelope.copies if message.envelope is not None else ()
        people = [self.phones.use(address) for address in dict.fromkeys((*message.recipients, *copies))]
        # It arrives; it was sent, delivered, read.
        self.schedule.require_room(sum(1 + 3 * (1 + phone.behaviour.duplicates) for phone in people))
        verdicts = [(phone, *self._verdict(phone, message)) for phone in people]
        if any(outcome is Outcome.BUSY for _, outcome, _ in verdicts):
            raise NotNow("the phone is busy")
        if all(outcome is Outcome.REFUSED for _, outcome, _ in verdicts):
            raise Refused(verdicts[0][2], "the carrier refuses it")
        shown = self._shown(message, [phone.address for phone in people], files)
        for phone, outcome, code in verdicts:
            self._plan(phone, shown, message, outcome, code, is_alone=len(people) == 1)
        self._wake()
        if any(outcome is Outcome.UNANSWERED for _, outcome, _ in verdicts):
            raise Unsure("the carrier did not answer")
        is_reordered = any(phone.behaviour.is_reordered for phone in people)
        return Accepted(
            handles=(shown.handle,) if shown.handle is not None else (),
            status=ReceiptStatus.QUEUED if is_reordered else ReceiptStatus.SENT,
        )

    def _verdict(self, phone: Phone, message: ChannelMessage) -> tuple[Outcome, int]:
        behaviour = phone.behaviour
        if message.sender in phone.stopped:
            return Outcome.REFUSED, OPTED_OUT
        is_free = message.template is None and kind_of(phone.address) in WINDOWED
        if is_free and not message.is_within_window:
            return Outcome.REFUSED, OUTSIDE_WINDOW
        loss = self._settings.loss if behaviour.loss is None else behaviour.loss
        if behaviour.outcome is Outcome.DELIVERED and phone.is_unlucky(loss):
            return Outcome.LOST, 0
        return behaviour.outcome, behaviour.error_code or USUAL_CODE.get(behaviour.outcome, 0)

    def _shown(self, message: ChannelMessage, people: Sequence[str], files: tuple[PhoneMedia, ...]) -> PhoneMessage:
        envelope = message.envelope
        return PhoneMessage(
            sid=message.sid,
            at=self._clock.now(),
            sender=message.sender,
            recipients=(*people, *message.others),
            ours=frozenset((message.sender, *message.others)),
            text=message.text,
            subject=envelope.subject if envelope is not None else None,
            media=files,
            template=message.template,
            handle=f"sim-{message.sid}",
            message_sid=envelope.message_sid if envelope is not None else None,
        )

    def _plan(
        self,
        phone: Phone,
        shown: PhoneMessage,
        message: ChannelMessage,
        outcome: Outcome,
        code: int,
        *,
        is_alone: bool,
    ) -> None:
        """What will happen to the message on its way to this phone."""
        now, behaviour = self._clock.now(), phone.behaviour
        at = now + self._delay_us(behaviour)
        reports: list[tuple[int, ReceiptStatus, int]] = []
        if outcome is Outcome.REFUSED:
            reports = [(now, ReceiptStatus.FAILED, code)]
        elif outcome is Outcome.UNDELIVERED:
            reports = [(at, ReceiptStatus.UNDELIVERED, code)]
        elif outcome in (Outcome.DELIVERED, Outcome.UNANSWERED):
            self.schedule.put(at, Arrival(phone.address, shown))
            reports = [(at, ReceiptStatus.DELIVERED, 0)] if outcome is Outcome.DELIVERED else []
            if behaviour.reads_after_s is not None and self._reads(phone.address) and reports:
                reports.append((at + _us(behaviour.reads_after_s), ReceiptStatus.READ, 0))
        if behaviour.is_reordered and reports:
            reports.insert(0, (now, ReceiptStatus.SENT, 0))
            said_last_first = [(status, code) for _, status, code in reversed(reports)]
            reports = [(when, *said) for (when, _, _), said in zip(reports, said_last_first, strict=True)]
        for when, status, error_code in reports:
            report = Report(
                status=status,
                handle=shown.handle,
                error_code=error_code,
                recipient=None if is_alone else phone.address,
            )
            self._tell(when, report, behaviour)

    def _delay_us(self, behaviour: Behaviour) -> int:
        return _us(self._settings.delay_s if behaviour.delay_s is None else behaviour.delay_s)

    def _tell(self, at: int, event: Incoming | Report, behaviour: Behaviour) -> None:
        for _ in range(1 + behaviour.duplicates):
            self.schedule.put(at, News(event))

    # --- from phones

    def write(
        self,
        address: str,
        to: Sequence[str],
        *,
        others: Sequence[str] = (),
        text: str | None = None,
        media: Sequence[str] = (),
        profile_name: str | None = None,
        subject: str | None = None,
        answered: PhoneMessage | None = None,
    ) -> PhoneMessage:
        """A phone writes to addresses of ours, and to other phones; each of ours gets a copy of its own.

        Raises ``Unfit``, and ``NotNow`` when too much is under way.
        """
        ours, people = tuple(dict.fromkeys(to)), tuple(dict.fromkeys(others))
        _check(address, ours, people)
        if not (text or media):
            raise Unfit("It has neither words nor a file")
        if len(text or "") > TEXT_CHARS:
            raise Unfit(f"It is longer than {TEXT_CHARS} characters")
        files = [self._file(sid) for sid in media]
        phone = self.phones.use(address)
        self.schedule.require_room(1 + len(people) + len(ours) * (1 + phone.behaviour.duplicates))
        message = PhoneMessage(
            sid=self._new_sid(CHANNEL_SMS),
            at=self._clock.now(),
            sender=address,
            recipients=(*ours, *people),
            ours=frozenset(ours),
            text=text,
            subject=subject,
            media=tuple(files),
        )
        self.phones.show(address, message)
        for other in people:
            at = message.at + self._delay_us(self.phones.use(other).behaviour)
            self.schedule.put(at, Arrival(other, message))
        keyword = self._heed(phone, ours[0], text) if len(ours) + len(people) == 1 else None
        for number, recipient in enumerate(ours):
            incoming = Incoming(
                provider_id=f"sim-{message.sid}-{number}",
                sender=address,
                recipient=recipient,
                others=tuple(other for other in (*ours, *people) if other != recipient),
                text=text,
                media=tuple(
                    IncomingMedia(content_type=file.content_type, filename=file.filename, reference=file.sid)
                    for file in files
                ),
                subject=subject,
                profile_name=profile_name,
                keyword=keyword,
                answers=(answered.message_sid,) if answered is not None and answered.message_sid is not None else (),
            )
            self._tell(message.at, incoming, phone.behaviour)
        self._wake()
        return message

    def _file(self, sid: str) -> PhoneMedia:
        found = self.shelf.find(sid)
        if found is None:
            raise Unfit(f"There is no file {sid} any more")
        return found[0]

    def _heed(self, phone: Phone, ours: str, text: str | None) -> Keyword | None:
        """What the carrier does about STOP and START by itself, and what it answers."""
        if not self._settings.carrier_opt_outs or kind_of(ours) != SMS:
            return None
        keyword = said(text, CARRIER, is_out=ours in phone.stopped)
        if keyword is None:
            return None
        if keyword is Keyword.STOP:
            phone.opt_out(ours)
        elif keyword is Keyword.START:
            phone.stopped.pop(ours, None)
        answer = PhoneMessage(
            sid=self._new_sid(CHANNEL_SMS),
            at=self._clock.now(),
            sender=ours,
            recipients=(phone.address,),
            ours=frozenset((ours,)),
            text=CARRIER.reply(keyword),
        )
        self.schedule.put(answer.at + self._delay_us(phone.behaviour), Arrival(phone.address, answer))
        return keyword

    def read(self, address: str, until: str | None = None) -> int:
        """A phone reads what it has got, until this message or all of it; how many that were.

        Whoever sent them is told where the kind of address has read receipts.
        """
        phone = self.phones.find(address)
        if phone is None:
            return 0
        self.schedule.require_room(len(phone.messages) * (1 + phone.behaviour.duplicates))
        read = phone.read(until)
        now, kind = self._clock.now(), kind_of(address)
        if kind == READS_ALL:
            for sender in dict.fromkeys(message.sender for message in read if message.handle is not None):
                report = Report(status=ReceiptStatus.READ, up_to=now, sender=sender, recipient=address)
                self._tell(now, report, phone.behaviour)
        elif kind in READS_ONE:
            for message in read:
                if message.handle is not None:
                    self._tell(now, Report(status=ReceiptStatus.READ, handle=message.handle), phone.behaviour)
        self._wake()
        return len(read)

    @staticmethod
    def _reads(address: str) -> bool:
        return kind_of(address) in READS_ONE or kind_of(address) == READS_ALL

    def behave(self, address: str, behaviour: Behaviour) -> Phone:
        """What is sent to this phone from now on goes as it says."""
        phone = self.phones.use(address)
        phone.behaviour = behaviour
        return phone

    # --- what happens

    def step(self) -> News | None:
        """What the server is to be told next, of what is due by now; messages that are due before it reach phones."""
        while (step := self.schedule.take(self._clock.now())) is not None:
            if isinstance(step, News):
                return step
            self.phones.show(step.address, step.message)
        return None

    def again(self, news: News) -> bool:
        """The server would not hear it, and is told later; whether there is a later."""
        if news.failures >= len(AGAIN_S):
            return False
        at = self._clock.now() + _us(AGAIN_S[news.failures])
        self.schedule.put(at, News(news.event, news.failures + 1))
        return True


def _us(seconds: float) -> int:
    return int(seconds * SECOND)


def _check(address: str, ours: Sequence[str], people: Sequence[str]) -> None:
    """Whether such a message can be. Raises ``Unfit``."""
    everybody = (address, *ours, *people)
    if not ours:
        raise Unfit("It is written to nobody of ours")
    if len(set(everybody)) != len(everybody):
        raise Unfit("Somebody is named twice")
    if len(everybody) > MOST_PEOPLE:
        raise Unfit(f"It has {len(everybody)} people, {MOST_PEOPLE} are allowed")
    kinds = {kind_of(one) for one in everybody}
    if len(kinds) > 1:
        raise Unfit(f"It is of several channels: {', '.join(sorted(kinds))}")
    if len(everybody) > 2 and not kinds & {SMS, EMAIL}:
        raise Unfit(f"{kinds.pop()} has no groups")
