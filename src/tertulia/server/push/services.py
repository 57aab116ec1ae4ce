"""Which push service serves which kind of credential."""

from __future__ import annotations

from collections.abc import Callable

from tertulia.server.clock import Clock
from tertulia.server.domain.credentials import CredentialKind
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import PushSettings

from .answers import unexpected
from .service import Batch, Course, OpenCredential, Outcome, PushService


class PushServices:
    """One of each kind, made when the first push of its kind is sent: who sends none loads nothing."""

    def __init__(self, outgoing: Outgoing, clock: Clock, settings: PushSettings) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._settings = settings
        self._made: dict[Callable[..., PushService], PushService] = {}

    def of(self, kind: CredentialKind) -> PushService:
        """The service for credentials of this kind."""
        make = _maker(kind)
        service = self._made.get(make)
        if service is None:
            service = self._made[make] = _Supervised(make(self._outgoing, self._clock, self._settings))
        return service

    async def close(self) -> None:
        """Their connections end."""
        for service in self._made.values():
            await service.close()


class _Supervised:
    """A push service of which an error of ours makes no exception: the batch is tried again."""

    def __init__(self, service: PushService) -> None:
        self._service = service

    async def send(self, credential: OpenCredential, batch: Batch, course: Course | None = None) -> list[Outcome]:
        course = course or Course()
        try:
            return await self._service.send(credential, batch, course)
        except Exception as error:
            said = unexpected(error)
            return [course.known.get(push.registration_sid) or said.of(push) for push in batch.pushes]

    async def close(self) -> None:
        await self._service.close()


def _maker(kind: CredentialKind) -> Callable[..., PushService]:
    # Imported here: each brings libraries that a server without push does not need.
    if kind is CredentialKind.APN:
        from .apns import Apns

        return Apns
    if kind is CredentialKind.WEBPUSH:
        from .webpush import WebPush

        return WebPush
    from .fcm import Fcm

    return Fcm
