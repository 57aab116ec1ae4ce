"""What simulated phones write and read, and what the server hears of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tertulia.server.channels.base import Refused
from tertulia.server.channels.simulator.media import ALL_BYTES, FILE_BYTES
from tertulia.server.channels.simulator.network import Unfit
from tertulia.server.domain.channels import Incoming, IncomingMedia, Keyword, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels.simulated import ANA, BEN, CLEO, OURS, OURS_TOO, Simulated, simulated


@pytest.fixture
async def phones() -> AsyncIterator[Simulated]:
    async with simulated() as made:
        yield made


async def heard(phones: Simulated, seconds: float = 0) -> list[Incoming]:
    return [one for one in await phones.after(seconds) if isinstance(one, Incoming)]


async def test_a_message_is_heard_at_once(phones: Simulated) -> None:
    phones.network.write(ANA, [OURS], text="hello", profile_name="Ana")
    (incoming,) = await heard(phones)
    assert incoming == Incoming(
        provider_id=incoming.provider_id, sender=ANA, recipient=OURS, text="hello", profile_name="Ana"
    )
    assert await heard(phones, 3600) == []


async def test_each_message_has_a_name_of_its_own(phones: Simulated) -> None:
    for _ in range(3):
        phones.network.write(ANA, [OURS], text="hello")
    assert len({one.provider_id for one in await heard(phones)}) == 3


async def test_repeats_have_the_same_name(phones: Simulated) -> None:
    phones.behave(duplicates=2)
    phones.network.write(ANA, [OURS], text="hello")
    incoming = await heard(phones)
    assert len(incoming) == 3
    assert incoming[0] == incoming[1] == incoming[2]


async def test_a_group_message_reaches_all_phones_and_each_number_of_ours(phones: Simulated) -> None:
    phones.network.write(ANA, [OURS, OURS_TOO], others=[BEN, CLEO], text="to all")
    first, second = await heard(phones)
    assert (first.sender, first.recipient, set(first.others)) == (ANA, OURS, {OURS_TOO, BEN, CLEO})
    assert (second.sender, second.recipient, set(second.others)) == (ANA, OURS_TOO, {OURS, BEN, CLEO})
    assert first.provider_id != second.provider_id
    await phones.after(1)
    assert (phones.texts(ANA), phones.texts(BEN), phones.texts(CLEO)) == ([], ["to all"], ["to all"])


@pytest.mark.parametrize(
    ("to", "others", "text", "why"),
    [
        ([], [], "x", "nobody of ours"),
        ([OURS], [], None, "neither words nor a file"),
        pytest.param([OURS], [], "x" * 100_001, "100000 characters", id="long"),
        ([OURS], [ANA], "x", "named twice"),
        ([ANA], [], "x", "named twice"),
        ([OURS], ["ben@his.test"], "x", "several channels"),
        ([OURS], [f"+1212{number:07}" for number in range(19)], "x", "20 are allowed"),
    ],
)
async def test_what_no_phone_could_write_is_refused(
    phones: Simulated, to: list[str], others: list[str], text: str | None, why: str
) -> None:
    with pytest.raises(Unfit, match=why):
        phones.network.write(ANA, to, others=others, text=text)
    assert await heard(phones, 1) == []


async def test_whatsapp_has_no_groups(phones: Simulated) -> None:
    with pytest.raises(Unfit, match="no groups"):
        phones.network.write(f"whatsapp:{ANA}", [f"whatsapp:{OURS}"], others=[f"whatsapp:{BEN}"], text="x")


# --- files


async def fetched(phones: Simulated, reference: str) -> bytes:
    media = IncomingMedia(content_type="image/png", reference=reference)
    return b"".join([piece async for piece in phones.channel.fetch(media)])


async def test_a_file_is_fetched_from_the_phone(phones: Simulated) -> None:
    content = bytes(range(256)) * 1000
    kept = phones.network.shelf.keep(content, len(content), "image/png", "cat.png")
    phones.network.write(ANA, [OURS], media=[kept.sid])
    (incoming,) = await heard(phones)
    (media,) = incoming.media
    assert (media.content_type, media.filename, media.content) == ("image/png", "cat.png", None)
    assert await fetched(phones, media.reference or "") == content


async def test_files_go_when_there_is_no_room(phones: Simulated) -> None:
    shelf, content = phones.network.shelf, bytes(FILE_BYTES)
    kept = [shelf.keep(content, len(content), "image/png", None) for _ in range(ALL_BYTES // FILE_BYTES + 1)]
    assert [shelf.find(one.sid) is not None for one in kept] == [False] + [True] * (len(kept) - 1)
    with pytest.raises(Refused) as refused:
        await fetched(phones, kept[0].sid)
    assert refused.value.code == 11200
    with pytest.raises(Unfit, match="any more"):
        phones.network.write(ANA, [OURS], media=[kept[0].sid])


# --- reading


async def test_reading_is_told_of_each_message_by_whatsapp(phones: Simulated) -> None:
    person, ours = f"whatsapp:{ANA}", f"whatsapp:{OURS}"
    sent = [(await phones.send(person, sender=ours)).handles[0] for _ in range(3)]
    await phones.after(1)
    assert phones.network.read(person, phones.inbox(person)[1].sid) == 2
    assert await phones.after(0) == [Report(status=ReceiptStatus.READ, handle=handle) for handle in sent[:2]]
    assert phones.network.read(person) == 1
    assert await phones.after(0) == [Report(status=ReceiptStatus.READ, handle=sent[2])]
    assert phones.network.read(person) == 0


async def test_messenger_tells_until_when_everything_was_read(phones: Simulated) -> None:
    person, ours = "messenger:psid", "messenger:page"
    for _ in range(3):
        await phones.send(person, sender=ours)
    await phones.after(1)
    assert phones.network.read(person) == 3
    assert await phones.after(0) == [
        Report(status=ReceiptStatus.READ, up_to=phones.clock.now(), sender=ours, recipient=person)
    ]


async def test_sms_has_no_read_receipts(phones: Simulated) -> None:
    await phones.send()
    await phones.after(1)
    assert phones.network.read(ANA) == 1
    assert await phones.after(60) == []


async def test_a_phone_may_read_by_itself(phones: Simulated) -> None:
    person = f"whatsapp:{ANA}"
    phones.behave(person, reads_after_s=5)
    await phones.send(person, sender=f"whatsapp:{OURS}")
    assert await phones.reports_after(1) == [("delivered", 0)]
    assert await phones.reports_after(5) == [("read", 0)]


async def test_who_has_nothing_reads_nothing(phones: Simulated) -> None:
    assert phones.network.read(ANA) == 0
    await phones.send()
    await phones.after(1)
    assert phones.network.read(ANA, "SM" + "f" * 32) == 0


# --- opting out


async def test_stop_is_left_to_the_server(phones: Simulated) -> None:
    phones.network.write(ANA, [OURS], text="STOP")
    assert [one.keyword for one in await heard(phones)] == [None]
    assert phones.channel.capabilities.has_opt_out
    await phones.send()


async def test_or_the_carrier_heeds_it() -> None:
    async with simulated(carrier_opt_outs="true") as phones:
        assert not phones.channel.capabilities.has_opt_out
        phones.network.write(ANA, [OURS], text=" stop ")
        assert [one.keyword for one in await heard(phones)] == [Keyword.STOP]
        with pytest.raises(Refused) as refused:
            await phones.send()
        assert refused.value.code == 21610
        await phones.send(sender=OURS_TOO)
        await phones.send(BEN)
        await phones.after(1)
        # The carrier answers by itself.
        assert len(phones.texts()) == 2 and "START" in (phones.texts()[0] or "")
        phones.network.write(ANA, [OURS], text="yes")
        assert [one.keyword for one in await heard(phones)] == [Keyword.START]
        await phones.send()


async def test_in_a_group_it_is_a_word_like_others() -> None:
    async with simulated(carrier_opt_outs="true") as phones:
        phones.network.write(ANA, [OURS], others=[BEN], text="STOP")
        assert [one.keyword for one in await heard(phones)] == [None]
        await phones.send()
