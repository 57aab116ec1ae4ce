"""How fast each of our addresses may send (gateways 8.0). Pure arithmetic.

Whoever wants to send reserves a slot, and is told how long it is until then; the slot is his, so he waits once, however
many others want to. Counted in microseconds times the rate, so that nothing is ever rounded but the wait itself.

One for each process: what several send together is so many times as much.
"""

from __future__ import annotations

import re
from typing import Final

MINUTE: Final = 60_000_000
BURST_S: Final = 1
"""So many seconds' worth may go out at once."""
MOST_KEYS: Final = 100_000

LONG_CODE: Final = 60
TOLL_FREE: Final = 180
SHORT_CODE: Final = 6_000
WHATSAPP: Final = 4_800
"""Messages a minute of each kind of address. UNVERIFIED; each sender may have a rate of its own."""

_TOLL_FREE: Final = re.compile(r"\+18(?:00|33|44|55|66|77|88)[0-9]{7}")
_LONG_CODE: Final = re.compile(r"\+[0-9]{7,15}")
_SHORT_CODE: Final = re.compile(r"\+?[0-9]{3,6}|[0-9]{7,8}")


def default_rate(kind: str, address: str) -> int | None:
    """Messages a minute of an address that has no rate of its own; None: as many as there are."""
    if kind == "whatsapp":
        return WHATSAPP
    if kind != "sms":
        return None
    if _TOLL_FREE.fullmatch(address):
        return TOLL_FREE
    if _SHORT_CODE.fullmatch(address):
        return SHORT_CODE
    return LONG_CODE if _LONG_CODE.fullmatch(address) else None


class SenderRates:
    """The slots of every sender, and who has reserved one."""

    __slots__ = ("_most", "_next", "_now", "_reserved")

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        # When the next slot of a sender would be, if nothing had been allowed at once; times its rate.
        self._next: dict[str, tuple[int, int]] = {}
        self._reserved: dict[str, int] = {}
        self._now = 0

    def __len__(self) -> int:
        """What is remembered: senders, and reservations."""
        return len(self._next) + len(self._reserved)

    def reserve(self, sender: str, per_minute: int, whose: str, now: int, latest: int) -> int | None:
        """Microseconds until this one may send; 0: it may now, and has used its slot. None: not before ``latest``.

        Asking again for the same one finds the slot it has.
        """
        if now < self._now - MINUTE:
            # A clock that was set back must not stop anybody for as long.
            self._next.clear()
            self._reserved.clear()
        self._now = now
        slot = self._reserved.pop(whose, None)
        if slot is None:
            slot = self._take(sender, per_minute, now, latest)
            if slot is None:
                return None
        if slot <= now:
            return 0
        if len(self._reserved) >= self._most:
            del self._reserved[next(iter(self._reserved))]
        self._reserved[whose] = slot
        return slot - now

    def _take(self, sender: str, per_minute: int, now: int, latest: int) -> int | None:
        ahead = max(per_minute * BURST_S // 60 - 1, 0) * MINUTE
        here = now * per_minute
        rate, following = self._next.pop(sender, (per_minute, here))
        if rate != per_minute:  # it was given another one: what was reserved stays where it is
            following = following // rate * per_minute
        following = max(following, here)
        slot = max(now, -(-(following - ahead) // per_minute))
        is_in_time = slot <= latest
        self._next[sender] = (per_minute, following + MINUTE if is_in_time else following)
        self._forget(now)
        return slot if is_in_time else None

    def _forget(self, now: int) -> None:
        # Two for each that may have been added, the one used longest ago first.
        for _ in range(2):
            oldest = next(iter(self._next), None)
            if oldest is None:
                return
            rate, following = self._next[oldest]
            if following > now * rate and len(self._next) <= self._most:
                return
            del self._next[oldest]
