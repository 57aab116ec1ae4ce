"""What is sent to simulated phones: when it arrives, what is reported, and how phones can be told to be difficult."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tertulia.server.channels.base import Accepted, Envelope, MessageTemplate, NotNow, Refused, Unsure
from tertulia.server.channels.simulator.media import FILE_BYTES
from tertulia.server.channels.simulator.network import AGAIN_S
from tertulia.server.channels.simulator.phones import MESSAGES, PHONES, WEIGHT
from tertulia.server.channels.simulator.schedule import STEPS, WORDS
from tertulia.server.domain.channels import Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.simulated import ANA, BEN, OURS, OURS_TOO, Simulated, media, simulated


@pytest.fixture
async def phones() -> AsyncIterator[Simulated]:
    async with simulated() as made:
        yield made


# --- on its way


async def test_a_message_is_sent_at_once_and_delivered_a_little_later(phones: Simulated) -> None:
    accepted = await phones.send()
    assert accepted == Accepted(handles=accepted.handles)
    assert (accepted.status, len(accepted.handles)) == (ReceiptStatus.SENT, 1)
    assert await phones.after(0.1) == []
    assert phones.texts() == []
    assert await phones.after(0.2) == [Report(status=ReceiptStatus.DELIVERED, handle=accepted.handles[0])]
    assert phones.texts() == ["hello"]
    assert await phones.after(3600) == []


async def test_the_delay_can_be_set_and_each_phone_may_have_its_own() -> None:
    async with simulated(delay_s="10") as phones:
        phones.behave(BEN, delay_s=1)
        await phones.send(ANA)
        await phones.send(BEN)
        assert len(await phones.after(2)) == 1
        assert (phones.texts(ANA), phones.texts(BEN)) == ([], ["hello"])
        assert len(await phones.after(8)) == 1
        assert phones.texts(ANA) == ["hello"]


async def test_time_that_really_passes_delivers_as_well() -> None:
    async with simulated(delay_s=0) as phones:
        await phones.send()
        async with asyncio.timeout(10):
            await phones.is_told.wait()
        assert phones.texts() == ["hello"]


@pytest.mark.parametrize("ours", [OURS, "whatsapp:" + OURS, "messenger:page", "team@ours.test", "rcs:agent"])
async def test_every_kind_of_address_is_served(phones: Simulated, ours: str) -> None:
    person = ours.replace(OURS, ANA).replace("page", "psid").replace("team@ours", "ana@hers").replace("agent", "ana")
    envelope = Envelope(subject="news", from_name=None) if "@" in ours else None
    await phones.send(person, sender=ours, envelope=envelope)
    assert await phones.reports_after(1) == [("delivered", 0)]
    (message,) = phones.inbox(person)
    assert (message.sender, message.recipients, message.text) == (ours, (person,), "hello")
    assert message.subject == ("news" if envelope else None)


async def test_what_kinds_carry_differs(phones: Simulated) -> None:
    sms, whatsapp, mail = (phones.channel.capabilities_of(kind) for kind in ("sms", "whatsapp", "email"))
    assert (sms.has_groups, sms.window, sms.has_templates, sms.counts_segments) == (True, None, False, True)
    assert (whatsapp.has_groups, whatsapp.has_templates, whatsapp.media_bytes) == (False, True, 16_000_000)
    assert whatsapp.window is not None and mail.window is None
    assert (sms.has_opt_out, mail.has_opt_out) == (True, False)


# --- told to be difficult


@pytest.mark.parametrize(
    ("behaviour", "reports"),
    [
        ({"outcome": "undelivered"}, [("undelivered", 30003)]),
        ({"outcome": "undelivered", "error_code": 30007}, [("undelivered", 30007)]),
        ({"outcome": "lost"}, []),
        ({"loss": 1.0}, []),
        ({"loss": 0.0}, [("delivered", 0)]),
        ({"duplicates": 2}, [("delivered", 0)] * 3),
        ({"is_reordered": True}, [("delivered", 0), ("sent", 0)]),
        ({"outcome": "undelivered", "is_reordered": True}, [("undelivered", 30003), ("sent", 0)]),
    ],
)
async def test_a_phone_does_as_it_is_told(
    phones: Simulated, behaviour: dict[str, Any], reports: list[tuple[str, int]]
) -> None:
    phones.behave(**behaviour)
    accepted = await phones.send()
    expected = ReceiptStatus.QUEUED if behaviour.get("is_reordered") else ReceiptStatus.SENT
    assert accepted.status is expected
    assert await phones.reports_after(1) == reports
    assert bool(phones.texts()) == (("delivered", 0) in reports)
    # And nobody else does.
    await phones.send(BEN)
    assert await phones.reports_after(1) == [("delivered", 0)]


@pytest.mark.parametrize(("given", "code"), [(0, 21211), (21614, 21614)])
async def test_a_refusal_comes_at_once_with_its_code(phones: Simulated, given: int, code: int) -> None:
    phones.behave(outcome="refused", error_code=given)
    with pytest.raises(Refused) as refused:
        await phones.send()
    assert refused.value.code == code
    assert (await phones.after(1), phones.texts()) == ([], [])


async def test_a_busy_phone_takes_it_later(phones: Simulated) -> None:
    phones.behave(outcome="busy")
    with pytest.raises(NotNow):
        await phones.send()
    phones.behave()
    await phones.send()
    assert await phones.reports_after(1) == [("delivered", 0)]


async def test_what_is_not_answered_has_arrived_all_the_same(phones: Simulated) -> None:
    phones.behave(outcome="unanswered")
    with pytest.raises(Unsure):
        await phones.send()
    assert (await phones.after(1), phones.texts()) == ([], ["hello"])


async def test_the_same_messages_are_lost_with_the_same_seed() -> None:
    async def arrived(seed: int, others: int) -> list[str | None]:
        async with simulated(loss="0.5", seed=seed) as phones:
            for number in range(40):
                for _ in range(others):
                    await phones.send(BEN)
                await phones.send(ANA, text=str(number))
            await phones.after(1)
            return phones.texts()

    first = await arrived(1, 0)
    assert 0 < len(first) < 40
    # What others get changes nothing.
    assert (await arrived(1, 0), await arrived(1, 2)) == (first, first)
    assert await arrived(2, 0) != first


async def test_reports_that_nobody_hears_are_told_again_and_given_up_in_the_end(phones: Simulated) -> None:
    await phones.send()
    phones.is_deaf = True
    assert await phones.after(1) == []
    assert phones.texts() == ["hello"]
    phones.is_deaf = False
    assert await phones.reports_after(1) == [("delivered", 0)]
    await phones.send()
    phones.is_deaf, phones.attempts = True, 0
    for _ in range(20):
        await phones.after(60)
    assert phones.attempts == 1 + len(AGAIN_S)
    assert len(phones.network.schedule) == 0


# --- WhatsApp, e-mail


@pytest.mark.parametrize("kind", ["whatsapp", "messenger"])
async def test_outside_the_window_only_templates_get_through(phones: Simulated, kind: str) -> None:
    person, ours = f"{kind}:{ANA}", f"{kind}:{OURS}"
    with pytest.raises(Refused) as refused:
        await phones.send(person, sender=ours, is_within_window=False)
    assert refused.value.code == 63016
    template = MessageTemplate(
        name="order", language="en", type="twilio/text", content={"body": "no. {{1}}"}, variables={"1": "7"}
    )
    await phones.send(person, sender=ours, is_within_window=False, template=template, text="no. 7")
    await phones.after(1)
    (message,) = phones.inbox(person)
    assert (message.template, message.text) == (template, "no. 7")


async def test_people_in_copy_get_an_e_mail_too(phones: Simulated) -> None:
    envelope = Envelope(subject=None, from_name="us", copies=("ben@his.test",))
    accepted = await phones.send("ana@hers.test", sender="team@ours.test", envelope=envelope)
    reports = [one for one in await phones.after(1) if isinstance(one, Report)]
    assert {(one.recipient, one.handle) for one in reports} == {
        ("ana@hers.test", accepted.handles[0]),
        ("ben@his.test", accepted.handles[0]),
    }
    assert phones.texts("ben@his.test") == ["hello"]


# --- groups


async def test_a_group_message_is_one_and_the_same_on_all_phones(phones: Simulated) -> None:
    accepted = await phones.send(ANA, BEN, others=(OURS_TOO,))
    reports = [one for one in await phones.after(1) if isinstance(one, Report)]
    assert len(accepted.handles) == 1
    assert [(one.recipient, one.status.value) for one in reports] == [(ANA, "delivered"), (BEN, "delivered")]
    (hers,), (his,) = phones.inbox(ANA), phones.inbox(BEN)
    assert hers == his
    assert hers.recipients == (ANA, BEN, OURS_TOO)
    assert set(hers.ours) == {OURS, OURS_TOO}


async def test_each_of_a_group_fares_in_his_own_way(phones: Simulated) -> None:
    phones.behave(ANA, outcome="refused")
    phones.behave(BEN, outcome="undelivered", error_code=30006)
    await phones.send(ANA, BEN)
    reports = [one for one in await phones.after(1) if isinstance(one, Report)]
    told = [(one.recipient, one.status.value, one.error_code) for one in reports]
    assert told == [(ANA, "failed", 21211), (BEN, "undelivered", 30006)]
    phones.behave(BEN, outcome="refused")
    with pytest.raises(Refused):
        await phones.send(ANA, BEN)


# --- files


async def test_files_are_read_and_kept(phones: Simulated) -> None:
    content = bytes(range(256)) * 100
    await phones.send(media=(media(content),))
    await phones.after(1)
    (file,) = phones.inbox()[0].media
    assert (file.content_type, file.filename, file.size) == ("image/png", "a.png", len(content))
    kept = phones.network.shelf.find(file.sid)
    assert kept is not None and kept[1] == content


async def test_of_a_file_that_is_too_large_only_the_size_is_kept(phones: Simulated) -> None:
    content = bytes(FILE_BYTES + 1)
    await phones.send(media=(media(content),))
    await phones.after(1)
    (file,) = phones.inbox()[0].media
    assert (file.size, phones.network.shelf.find(file.sid)) == (len(content), None)


async def test_a_file_that_cannot_be_had_stops_the_message(phones: Simulated) -> None:
    with pytest.raises(Refused):
        await phones.send(media=(media(b"x", trouble=Refused(11200, "the bytes are gone")),))
    assert (await phones.after(1), phones.texts()) == ([], [])


# --- bounds


async def test_memory_is_bounded_and_the_oldest_goes(phones: Simulated) -> None:
    phones.behave(BEN, delay_s=1)
    for number in range(PHONES + 10):
        await phones.send(f"+1212{number:07}")
        await phones.after(1)
    assert len(phones.network.phones) == PHONES
    assert phones.texts("+12120000000") == []
    assert phones.texts(f"+1212{PHONES + 9:07}") == ["hello"]
    known = phones.network.phones.find(BEN)
    assert known is not None and known.behaviour.delay_s == 1, "it was told something"
    for number in range(MESSAGES + 5):
        await phones.send(text=str(number))
    await phones.after(1)
    assert phones.texts() == [str(number) for number in range(5, MESSAGES + 5)]


async def test_all_that_is_on_phones_is_bounded_and_those_used_least_lose_the_oldest(phones: Simulated) -> None:
    words = "x" * 1_000_000
    for number in range(WEIGHT // len(words) + 3):
        await phones.send(f"+1212{number:07}", text=f"{number} {words}")
        await phones.after(1)
    held = [len(phone.messages) for phone in phones.network.phones]
    assert held == [0] * held.count(0) + [1] * held.count(1)
    assert held.count(1) * len(words) <= WEIGHT < (held.count(1) + 2) * len(words)


async def test_words_under_way_are_bounded(phones: Simulated) -> None:
    phones.behave(delay_s=3600)

    async def too_many() -> None:
        for _ in range(WORDS // 1_000_000 + 2):
            await phones.send(text="x" * 1_000_000)

    with pytest.raises(NotNow):
        await too_many()
    await phones.after(3600)
    await phones.send()


async def test_what_is_under_way_is_bounded(phones: Simulated) -> None:
    phones.behave(delay_s=3600, duplicates=10)

    async def too_many() -> None:
        for _ in range(STEPS):
            await phones.send()

    with pytest.raises(NotNow):
        await too_many()
    assert len(phones.network.schedule) <= STEPS
    await phones.after(3600)
    await phones.send()


def test_nothing_that_is_printed_says_who_or_what() -> None:
    async def printed() -> str:
        async with simulated() as phones:
            await phones.send(text="a secret", media=(media(b"x"),))
            await phones.after(1)
            return repr(phones.inbox())

    text = asyncio.run(printed())
    assert ANA not in text and "a secret" not in text
