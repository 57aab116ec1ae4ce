"""The channel: an HTTP API with groups, whose callbacks are signed with a key."""

from __future__ import annotations

from typing import Final

from tertulia.server.domain.addresses import SMS

from ..base import Adapter, Surroundings
from ..http_sms.channel import HttpChannel
from .settings import TelnyxSettings, described

NAME: Final = "Telnyx"


class TelnyxChannel(HttpChannel):
    """One messaging profile."""

    def __init__(self, settings: TelnyxSettings, surroundings: Surroundings) -> None:
        super().__init__(described(settings), surroundings, NAME)


ADAPTER: Final = Adapter(name="telnyx", kinds=frozenset({SMS}), settings=TelnyxSettings, open=TelnyxChannel)
