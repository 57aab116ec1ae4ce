"""What is set for a simulator. What single phones do differently is told to them while it runs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tertulia.server.settings.units import SECONDS


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Without any of them everything is delivered, shortly after it was sent."""

    delay_s: Annotated[
        float,
        Meta(
            description="How long a message is on its way, from being sent to being delivered.",
            ge=0,
            le=86_400,
            extra=SECONDS,
        ),
    ] = 0.2
    loss: Annotated[
        float, Meta(description="Part of the messages that nobody hears of again, from 0 to 1.", ge=0, le=1)
    ] = 0.0
    seed: Annotated[
        int, Meta(description="Which messages these are: with the same seed it is the same ones of each phone.")
    ] = 0
    carrier_opt_outs: Annotated[
        bool,
        Meta(
            description="STOP, START and HELP are heeded by the carrier: it answers them, and refuses what is sent to"
            " somebody who has said STOP. Off: they are left to the server."
        ),
    ] = False
