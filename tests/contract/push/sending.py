"""What the tests of Google's push service say to it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tertulia.server.clock import Clock, ManualClock
from tertulia.server.domain.credentials import CredentialKind, Secrets
from tertulia.server.domain.push_content import PushContent, PushKind
from tertulia.server.outgoing import Outgoing
from tertulia.server.outgoing.resolving import Resolve, look_up
from tertulia.server.push.fcm import Fcm
from tertulia.server.push.service import Batch, OpenCredential, Outcome, Push
from tertulia.server.settings import OutgoingSettings, Settings
from tertulia.server.settings.push import PushSettings
from tests.peers.fcm import FcmPeer

OPEN = Settings(outgoing=OutgoingSettings(allow_private=True))
NOTICE = "RU" + "7" * 32
ACCOUNT = "AC" + "1" * 32
MESSAGE = PushContent(
    kind=PushKind.NEW_MESSAGE,
    text="tavern:ana: hello",
    title="Tavern",
    sound="ding",
    conversation_sid="CH" + "2" * 32,
    conversation_title="The tavern",
    author="ana",
    message_sid="IM" + "3" * 32,
    message_index=6,
)


def credential(
    secret: str, *, kind: CredentialKind = CredentialKind.FCM, version: int = 1, account: str = ACCOUNT
) -> OpenCredential:
    secrets = Secrets(api_key=secret) if kind is CredentialKind.GCM else Secrets(secret=secret)
    return OpenCredential(
        sid="CR" + "4" * 32, account_sid=account, kind=kind, sandbox=False, secrets=secrets, updated_at=version
    )


def batch(*devices: str, content: PushContent = MESSAGE, expires_at_s: int = 1_735_689_600 + 86_400) -> Batch:
    """A push to these device tokens; their registrations have the SIDs that ``registration_of`` tells."""
    pushes = [Push(registration_sid=registration_of(device), address=device) for device in devices]
    return Batch(notice_sid=NOTICE, content=content, pushes=pushes, expires_at_s=expires_at_s)


def registration_of(device: str) -> str:
    return f"BS-{device}"


@contextlib.asynccontextmanager
async def google(
    peer: FcmPeer,
    clock: Clock | None = None,
    settings: Settings = OPEN,
    *,
    url: str | None = None,
    resolve: Resolve = look_up,
) -> AsyncIterator[Fcm]:
    """Our side of Google's push service, with the peer in Google's place, or what is at the URL."""
    outgoing = Outgoing(settings, resolve=resolve)
    service = Fcm(outgoing, clock or ManualClock(), PushSettings(fcm_url=url or peer.url))
    try:
        yield service
    finally:
        await service.close()
        await outgoing.close()


def by_device(outcomes: list[Outcome]) -> dict[str, Outcome]:
    """The outcomes, by device token."""
    return {outcome.registration_sid.removeprefix("BS-"): outcome for outcome in outcomes}
