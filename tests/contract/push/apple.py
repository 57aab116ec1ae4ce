"""What the tests of Apple's push service say to it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from tertulia.server.clock import Clock, SystemClock
from tertulia.server.domain.credentials import CredentialKind, Secrets
from tertulia.server.domain.push_content import PushContent, PushKind
from tertulia.server.outgoing import Outgoing
from tertulia.server.push.apns import Apns
from tertulia.server.push.service import Batch, OpenCredential, Outcome, Push
from tertulia.server.settings import OutgoingSettings, Settings
from tertulia.server.settings.push import PushSettings
from tests.peers.apns import KEY_ID, TEAM_ID, TOPIC, ApnsPeer
from tests.peers.authority import Issued

from .sending import MESSAGE as MESSAGE

OPEN = Settings(outgoing=OutgoingSettings(allow_private=True))
NOTICE = "RU" + "7" * 32
NOWHERE = "https://localhost:1"
BADGE = PushContent(kind=PushKind.BADGE)
DEVICE = "ab" * 32
EXPIRES_AT_S = 4_102_444_800
"""Far away, by any clock."""


def by_token(
    peer: ApnsPeer,
    *,
    key_id: str = KEY_ID,
    team_id: str = TEAM_ID,
    topic: str = TOPIC,
    version: int = 1,
    sandbox: bool = False,
) -> OpenCredential:
    return credential(
        Secrets(private_key=peer.p8, key_id=key_id, team_id=team_id, topic=topic), version=version, sandbox=sandbox
    )


def by_certificate(issued: Issued, topic: str | None = None) -> OpenCredential:
    return credential(Secrets(certificate=issued.certificate, private_key=issued.private_key, topic=topic))


def credential(secrets: Secrets, *, version: int = 1, sandbox: bool = False) -> OpenCredential:
    return OpenCredential(
        sid="CR" + "4" * 32,
        account_sid="AC" + "1" * 32,
        kind=CredentialKind.APN,
        sandbox=sandbox,
        secrets=secrets,
        updated_at=version,
    )


def batch(
    *devices: str,
    content: PushContent = MESSAGE,
    badges: Callable[[int], int | None] = lambda one: None,
    expires_at_s: int = EXPIRES_AT_S,
) -> Batch:
    """A push to these devices; their registrations have the SIDs that ``registration_of`` tells."""
    pushes = [
        Push(registration_sid=registration_of(device), address=device, badge=badges(one))
        for one, device in enumerate(devices)
    ]
    return Batch(notice_sid=NOTICE, content=content, pushes=pushes, expires_at_s=expires_at_s)


def registration_of(device: str) -> str:
    return f"BS-{device}"


def devices(number: int) -> list[str]:
    return [f"{one:064x}" for one in range(1, number + 1)]


@contextlib.asynccontextmanager
async def apple(
    peer: ApnsPeer | None, clock: Clock | None = None, *, sandbox: bool = False, settings: Settings = OPEN
) -> AsyncIterator[Apns]:
    """Our side of Apple's push service, with the peer in Apple's place, or in that of its sandbox; or with nobody."""
    outgoing = Outgoing(settings)
    urls = (NOWHERE, NOWHERE if peer is None else peer.url)
    real, test = urls if sandbox else urls[::-1]
    service = Apns(outgoing, clock or SystemClock(), PushSettings(apns_url=real, apns_sandbox_url=test))
    try:
        yield service
    finally:
        await service.close()
        await outgoing.close()


def by_device(outcomes: list[Outcome]) -> dict[str, Outcome]:
    """The outcomes, by device token."""
    return {outcome.registration_sid.removeprefix("BS-"): outcome for outcome in outcomes}
