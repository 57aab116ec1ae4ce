"""The pair of a person's address and ours, which one open conversation at a time may use (semantics 4.2)."""

from __future__ import annotations

from tertulia.server.domain.errors import BINDING_TAKEN

from .unit import Unit


async def require_free_pair(unit: Unit, account_sid: str, address: str, proxy_address: str) -> None:
    """Nobody of the account talks over this pair in an open conversation; else 50416.

    The message names the conversation to account holders only: for a user it need not exist (semantics 2.4), and
    with its SID he could join it.
    """
    holder = await unit.participants.holder_of_pair(account_sid, address, proxy_address)
    if holder is None:
        return
    if unit.caller.is_identity:
        raise BINDING_TAKEN()
    # Applications take the SID out of this sentence (rest 8).
    raise BINDING_TAKEN(f"{BINDING_TAKEN.text} in Conversation {holder}")
