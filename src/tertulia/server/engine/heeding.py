"""STOP, START and HELP: what they change, and what is answered (semantics 4.10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tertulia.server.domain.addresses import kind_of
from tertulia.server.domain.arrivals import Arriving
from tertulia.server.domain.channels import Keyword
from tertulia.server.domain.opt_out import ANSWER_AGAIN_US, said
from tertulia.server.storage.opt_outs import Person

from .channel_messages import promise_reply
from .unit import Unit


class _Answer(NamedTuple):
    """What is said to somebody."""

    sender: str
    recipient: str
    keyword: Keyword


async def heed(unit: Unit, new: Sequence[Arriving], *, heeded: frozenset[str]) -> None:
    """Take note of who wants no messages, or wants them again, and promise the answers.

    ``heeded``: the kinds of address at which that is ours to do. At others the gateway does it, and START alone counts,
    of somebody who is out with us: he could not come back otherwise. UNVERIFIED: said to a group they are words like
    others. No statement where nobody says such words, else three, and those of the answers.
    """
    concerned = [one for one in new if one.group_key is None and _may_be_one(unit, one, heeded=heeded)]
    if not concerned:
        return
    account_sid = unit.caller.account_sid
    senders = await unit.senders.among(account_sid, {one.recipient for one in concerned})
    keys = {address: sender.opt_out_key for address, sender in senders.items()}
    people: list[Person] = [(keys.get(one.recipient, one.recipient), one.sender) for one in concerned]
    before = await unit.opt_outs.among(account_sid, people)
    out = set(before)
    answers: dict[_Answer, None] = {}
    for one, person in zip(concerned, people, strict=True):
        was_out = person in out
        keyword = one.keyword or said(one.content.text, unit.policy.keywords, is_out=was_out)
        if keyword is Keyword.STOP:
            out.add(person)
        elif keyword is Keyword.START:
            out.discard(person)
        changes = keyword is Keyword.HELP or was_out != (person in out)
        if keyword is not None and one.keyword is None and changes and kind_of(one.recipient) in heeded:
            answers[_Answer(one.recipient, one.sender, keyword)] = None
    await _answer(unit, list(answers))
    await unit.opt_outs.add_many(account_sid, out - before, unit.now)
    await unit.opt_outs.remove_many(account_sid, before - out)


def _may_be_one(unit: Unit, one: Arriving, *, heeded: frozenset[str]) -> bool:
    if one.keyword is not None:
        return True
    keyword = said(one.content.text, unit.policy.keywords, is_out=True)
    return keyword is Keyword.START or (keyword is not None and kind_of(one.recipient) in heeded)


async def _answer(unit: Unit, wanted: Sequence[_Answer]) -> None:
    """Whoever was told the same a moment ago is not told again: two machines would never end."""
    keywords = unit.policy.keywords
    answers = [one for one in wanted if keywords.reply(one.keyword)]
    told = await unit.channel_messages.answered(
        unit.caller.account_sid, {one.sender for one in answers}, unit.now - ANSWER_AGAIN_US
    )
    for one in answers:
        if (one.sender, one.recipient, one.keyword.value) not in told:
            await promise_reply(
                unit,
                kind=kind_of(one.recipient),
                sender=one.sender,
                recipient=one.recipient,
                text=keywords.reply(one.keyword),
                keyword=one.keyword,
            )
