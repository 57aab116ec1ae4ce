"""STOP, START and HELP (semantics 4.10)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tertulia.server.callbacks.inbox import GatewayInbox
from tertulia.server.domain.channels import Keyword
from tertulia.server.domain.gateways import AddGateway, AddSender, UpdateSender
from tertulia.server.domain.opt_out import (
    HELP_REPLY,
    HELP_WORDS,
    START_REPLY,
    START_WORDS,
    STOP_REPLY,
    STOP_WORDS,
    Keywords,
)
from tertulia.server.engine.unit import Policy
from tertulia.server.settings import ChannelsSettings
from tertulia.server.settings.channels import words
from tests.contract.channels.heard import installed

from .inbound import ANA, BEN, OURS, OURS_TOO, Inbound, inbound_of
from .world import BASE_URL, World


async def is_out(inbound: Inbound, key: str = OURS, who: str = ANA) -> bool:
    async with inbound.world.database.snapshot() as connection:
        found = await connection.value("SELECT 1 FROM opt_outs WHERE pool = $1 AND address = $2", key, who)
    return found is not None


@pytest.mark.parametrize("word", STOP_WORDS)
@pytest.mark.parametrize("spelled", [str.upper, str.lower, " {}\n".format])
async def test_who_says_stop_is_out_and_told_so(inbound: Inbound, word: str, spelled: object) -> None:
    assert callable(spelled)
    await inbound.hears(spelled(word))
    assert await is_out(inbound)
    assert await inbound.replies() == [STOP_REPLY]


@pytest.mark.parametrize("text", ["STOP PLEASE", "please stop", "STOP.", "stopp", "", None, "S TOP", "STOP STOP"])
async def test_only_a_whole_message_counts(inbound: Inbound, text: str | None) -> None:
    await inbound.hears(text)
    assert not await is_out(inbound)
    assert await inbound.replies() == []


async def test_the_word_gets_into_the_conversation(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hears("Stop")
    await inbound.settle()
    assert await inbound.bodies(room.sid) == ["Stop"]


async def test_the_reply_is_no_message_of_the_conversation(inbound: Inbound) -> None:
    room, _ = await inbound.pair()
    await inbound.hears("help")
    await inbound.settle()
    async with inbound.world.database.snapshot() as connection:
        rows = await connection.rows("SELECT conversation_sid, sender, recipients, kind FROM channel_messages")
    assert rows == [(None, OURS, f'["{ANA}"]', "sms")]
    assert await inbound.bodies(room.sid) == ["help"]


async def test_who_is_out_already_is_not_told_again(inbound: Inbound) -> None:
    await inbound.hear(inbound.incoming("STOP"), inbound.incoming("END"))
    await inbound.hears("QUIT")
    assert await inbound.replies() == [STOP_REPLY]


async def test_a_repeat_is_not_answered_again(inbound: Inbound) -> None:
    one = inbound.incoming("HELP")
    await inbound.hear(one, one)
    await inbound.hear(one)
    assert await inbound.replies() == [HELP_REPLY]


@pytest.mark.parametrize("word", START_WORDS)
async def test_who_was_out_may_come_back(inbound: Inbound, word: str) -> None:
    await inbound.hears("STOP")
    await inbound.hears(word)
    assert not await is_out(inbound)
    assert await inbound.replies() == [STOP_REPLY, START_REPLY]


async def test_there_and_back_again_counts_each_time_and_is_answered_once(inbound: Inbound) -> None:
    await inbound.hear(*(inbound.incoming(text) for text in ("STOP", "START", "STOP", "yes", "YES")))
    assert not await is_out(inbound)
    await inbound.hears("STOP")
    assert await is_out(inbound)
    assert await inbound.replies() == [STOP_REPLY, START_REPLY]


async def test_yes_is_a_word_like_others_unless_one_is_out(inbound: Inbound) -> None:
    await inbound.hears("YES")
    assert await inbound.replies() == []


@pytest.mark.parametrize("word", HELP_WORDS)
async def test_help_is_answered_and_changes_nothing(inbound: Inbound, word: str) -> None:
    await inbound.hears(word)
    assert await inbound.replies() == [HELP_REPLY]
    assert not await is_out(inbound)


async def test_one_is_out_of_one_number_alone(inbound: Inbound) -> None:
    await inbound.hears("STOP")
    assert await is_out(inbound)
    assert not await is_out(inbound, OURS_TOO)
    assert not await is_out(inbound, who=BEN)


async def test_one_is_out_of_a_whole_pool(inbound: Inbound) -> None:
    for address in (OURS, OURS_TOO):
        await inbound.world.do(UpdateSender, address=address, pool="shop")
    await inbound.hears("STOP")
    assert await is_out(inbound, "pool shop")
    await inbound.hears("START", recipient=OURS_TOO)
    assert not await is_out(inbound, "pool shop")


async def test_what_the_gateway_has_dealt_with_is_noted_and_not_answered(inbound: Inbound) -> None:
    await inbound.hear(inbound.incoming("Arrêt", keyword=Keyword.STOP), heeds=False)
    assert await is_out(inbound)
    await inbound.hear(inbound.incoming("Début", keyword=Keyword.START), heeds=False)
    assert not await is_out(inbound)
    await inbound.hear(inbound.incoming("Aide", keyword=Keyword.HELP), heeds=False)
    assert await inbound.replies() == []


async def test_a_channel_that_heeds_them_itself_leaves_nothing_to_us(inbound: Inbound) -> None:
    await inbound.hear(*(inbound.incoming(text) for text in ("STOP", "HELP")), heeds=False)
    assert not await is_out(inbound)
    assert await inbound.replies() == []


async def test_who_is_out_with_us_comes_back_also_where_others_heed_the_words(inbound: Inbound) -> None:
    await inbound.hears("STOP")
    await inbound.hear(inbound.incoming("START"), heeds=False)
    assert not await is_out(inbound)
    assert await inbound.replies() == [STOP_REPLY]


@pytest.mark.parametrize(
    "text", ["\uff33\uff34\uff2f\uff30", "\u200bSTOP", "ST\u00adOP\u200d", "\ufeffstop\u00a0", "\u202estop\u202c"]
)
async def test_it_is_the_word_that_counts_and_not_how_it_is_encoded(inbound: Inbound, text: str) -> None:
    await inbound.hears(text)
    assert await is_out(inbound)


async def test_help_is_answered_once_in_some_minutes(inbound: Inbound) -> None:
    await inbound.hear(*(inbound.incoming("HELP") for _ in range(50)))
    await inbound.hears("info")
    await inbound.hears("HELP", sender=BEN)
    await inbound.hears("HELP", recipient=OURS_TOO)
    assert await inbound.replies() == [HELP_REPLY] * 3
    inbound.world.clock.advance(timedelta(minutes=10, seconds=1))
    await inbound.hears("HELP")
    assert await inbound.replies() == [HELP_REPLY] * 4


async def test_start_is_answered_where_it_changes_something(inbound: Inbound) -> None:
    await inbound.hear(inbound.incoming("START"), inbound.incoming("UNSTOP"))
    assert await inbound.replies() == []


async def test_in_a_group_they_are_words_like_others(inbound: Inbound) -> None:
    await inbound.hears("STOP", others=(BEN,))
    assert not await is_out(inbound)
    assert await inbound.replies() == []


async def test_words_and_replies_are_the_operators(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keywords = Keywords(stop=frozenset(("BASTA",)), stop_reply="Hecho", help_reply="")
    policy = Policy(base_url=BASE_URL, keywords=keywords)
    with installed(tmp_path / "installed", monkeypatch):
        async with inbound_of(world, tmp_path / "blobs", policy) as inbound:
            await inbound.hear(*(inbound.incoming(text) for text in ("STOP", "basta", "HELP")))
            assert await is_out(inbound)
            assert await inbound.replies() == ["Hecho"]


def test_the_settings_say_what_the_domain_says() -> None:
    settings, keywords = ChannelsSettings(), Keywords()
    assert words(settings.stop_words) == keywords.stop
    assert words(settings.start_words) == keywords.start
    assert words(settings.help_words) == keywords.help
    assert (settings.stop_reply, settings.start_reply, settings.help_reply) == (STOP_REPLY, START_REPLY, HELP_REPLY)


async def test_a_gateway_of_several_kinds_heeds_words_where_people_opt_out_by_words(inbound: Inbound) -> None:
    """The simulator serves all kinds: a text STOP is one, a mail that says so is a mail."""
    desk, number = "desk@example.org", "+15550003000"
    made = await inbound.world.do(AddGateway, name="lab", adapter="simulator", settings={})
    for address in (desk, number):
        await inbound.world.do(AddSender, address=address, gateway="lab")
    gateway = await inbound.channels.gateway(made.sid)
    assert gateway is not None
    box = GatewayInbox(inbound.channels, inbound.store, gateway)
    await box.put(
        inbound.incoming("STOP", sender="anna@x.org", recipient=desk), inbound.incoming("STOP", recipient=number)
    )
    assert (await is_out(inbound, number), await is_out(inbound, desk, "anna@x.org")) == (True, False)
    assert await inbound.replies() == [STOP_REPLY]
