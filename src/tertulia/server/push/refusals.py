"""Whose fault it is that a push service of a browser refuses a credential: its account's, or that service's own.

Endpoints are what browsers say they are, so anybody can have a push service that refuses whatever it gets. The account
is called upon only where several refuse, and none takes it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

SEVERAL: Final = 2
MOST_KEPT: Final = 1_000
"""Versions of credentials something is remembered of; the one that was used longest ago goes first."""

Version = tuple[str, int]
"""The SID of a credential, and when it was last changed."""


class Refusals:
    """Which origins have refused which credentials. In memory, for one event loop."""

    def __init__(self) -> None:
        self._refusing: OrderedDict[Version, set[str] | None] = OrderedDict()
        """None: it has been taken somewhere."""

    def refused(self, version: Version, origin: str) -> bool:
        """An origin has refused it; whether that is alarming by now."""
        refusing = self._of(version)
        if refusing is None:
            return False
        if len(refusing) < SEVERAL:
            refusing.add(origin)
        return len(refusing) >= SEVERAL

    def taken(self, version: Version) -> None:
        """A push service has taken a push that was sent with it."""
        self._of(version)
        self._refusing[version] = None

    def _of(self, version: Version) -> set[str] | None:
        if version not in self._refusing:
            self._refusing[version] = set()
            if len(self._refusing) > MOST_KEPT:
                self._refusing.popitem(last=False)
        self._refusing.move_to_end(version)
        return self._refusing[version]
