"""A gateway's channel in a process that does not serve: it holds no connection that messages come by."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from tertulia.server import app
from tertulia.server.channels.base import Channel, Surroundings
from tertulia.server.channels.making import made
from tertulia.server.domain.gateways import Gateway
from tertulia.server.engine.gateway_directory import GatewayDirectory
from tertulia.server.outgoing import Outgoing

CLOSE_S: Final = 5.0


@contextlib.asynccontextmanager
async def opened(
    installation: app.Installation, gateway: Gateway, outgoing: Outgoing, callback_url: str
) -> AsyncIterator[Channel]:
    """The channel, closed at the end. Raises ``NotNow`` when somebody has to mend the gateway first."""
    directory = GatewayDirectory(installation.database, installation.sealer)
    surroundings = Surroundings(
        gateway_sid=gateway.sid,
        account_sid=gateway.account_sid,
        callback_url=callback_url,
        outgoing=outgoing,
        clock=installation.clock,
        new_sid=installation.new_sid,
        senders=partial(directory.senders, gateway.sid),
        may_listen=installation.settings.channels.may_listen,
    )
    channel = await made(directory.opened(gateway), surroundings)
    try:
        yield channel
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(channel.close(), CLOSE_S)
