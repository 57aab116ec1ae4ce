"""The settings of push notifications: whom they wake, how long they are tried, where the services are."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .units import DAYS, SECONDS

ServiceUrl = Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+$", max_length=300)]


class PushSettings(Struct, frozen=True):
    """Devices that are woken by push notifications."""

    single_owner: Annotated[
        bool,
        Meta(
            description="A device belongs to the user who registered it last: what is sent to the one before no longer"
            " reaches it. Off: to all who registered it, as on the hosted service."
        ),
    ] = True
    only_offline: Annotated[
        bool,
        Meta(
            description="Wake only the devices of users who have no connection. Who has one is known only in services"
            " that show reachability; in others all are woken. Off: all of them, and the client decides what to show,"
            " as on the hosted service."
        ),
    ] = False
    ttl_s: Annotated[
        int,
        Meta(
            description="How long a push service keeps a push for a device that is off.",
            ge=0,
            le=28 * 24 * 3600,
            extra=SECONDS,
        ),
    ] = 24 * 3600
    give_up_after_s: Annotated[
        int,
        Meta(
            description="How long a push is tried again while its service cannot be reached or asks us to wait.",
            ge=1,
            le=24 * 3600,
            extra=SECONDS,
        ),
    ] = 4 * 3600
    log_days: Annotated[
        int,
        Meta(description="How long `tertulia push why` can tell what became of a push.", ge=1, le=365, extra=DAYS),
    ] = 7
    apns_url: Annotated[ServiceUrl, Meta(description="Apple's push service.")] = "https://api.push.apple.com"
    apns_sandbox_url: Annotated[
        ServiceUrl, Meta(description="Apple's push service for applications under development.")
    ] = "https://api.sandbox.push.apple.com"
    fcm_url: Annotated[ServiceUrl, Meta(description="Google's push service.")] = "https://fcm.googleapis.com"
