"""From a gateway, as it is kept, to its channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .base import Channel, NotNow, Surroundings
from .loading import Loader
from .registry import BadSettings, NoAdapter, require_allowed, settings_of


class OpenGateway(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway whose settings can be read. Printed without them."""

    sid: str
    account_sid: str
    adapter: str
    settings: Mapping[str, Any]
    version: str
    """Another one means that its settings have changed. Empty: nobody has made it, and it never changes."""

    def __repr__(self) -> str:
        return f"OpenGateway({self.sid}, {self.adapter}, ***)"


async def made(gateway: OpenGateway, surroundings: Surroundings, loader: Loader | None = None) -> Channel:
    """Its channel. Raises ``NotNow`` when somebody has to mend its settings, or install its adapter, first."""
    try:
        adapter = await (loader or Loader()).adapter(gateway.adapter)
        settings = settings_of(adapter, gateway.settings)
        require_allowed(adapter, settings, may_listen=surroundings.may_listen)
        return adapter.open(settings, surroundings)
    except (NoAdapter, BadSettings, ValueError, OSError) as problem:
        raise NotNow(f"the gateway cannot be opened: {problem}", is_alarming=True) from None
