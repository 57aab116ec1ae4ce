"""Push: registering a device so that it rings when its user is away, and reading what it then gets (semantics 7)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import platform
import random
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from . import arguments
from .aside import aside
from .config import PushConfig
from .decoding import decoded
from .errors import ClientShutDownError, ConversationsError, InvalidArgumentError, NotFoundError, PushRegistrationError
from .push_store import MemoryPushStore, PushRecord, PushStore
from .reasons import reason
from .urls import segment

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger(__name__)

CHANNELS: Final = {"fcm": "3", "apn": "4", "webpush": "3"}
"""What a device can be registered for, and the version of the payloads it understands."""
MESSAGE_TYPES: Final = PushConfig(channel="fcm", device_token="").message_types
"""What is asked for without a configuration."""
NOTHING: Final = PushRecord(device_token="", registration_id="", message_types=(), registered_at=0)
RENEW_S: Final = 30 * 86_400.0
"""Registrations live a year without use; one of this age is made again at the next start."""
CLEAN_S: Final = 86_400.0
FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 120.0


class _Registered(msgspec.Struct):
    id: str


class PushNotification(msgspec.Struct, frozen=True, kw_only=True):
    """What a device got. Printed, it does not show what it says."""

    type: str
    """``twilio.conversations.new_message``, ``…added_to_conversation`` or ``…removed_from_conversation``."""
    title: str | None = None
    body: str | None = None
    sound: str | None = None
    badge: int | None = None
    action: str | None = None
    conversation_sid: str | None = None
    conversation_title: str | None = None
    message_sid: str | None = None
    message_index: int | None = None
    author: str | None = None
    media_count: int | None = None
    media: Any = None
    """The first file of the message: ``sid``, ``filename``, ``content_type``, ``size``."""

    def __repr__(self) -> str:
        return f"<PushNotification {self.type}>"

    @classmethod
    def parse(cls, payload: Mapping[str, Any]) -> PushNotification:
        """Reads a payload of FCM (all under ``data``) or APNs (``aps``, the rest beside it).

        Raises ``InvalidArgumentError`` for one that is not of this service.
        """
        aps, data = payload.get("aps"), payload.get("data")
        if isinstance(aps, Mapping):
            alert = aps.get("alert")
            told = alert if isinstance(alert, Mapping) else {"body": alert}
            return cls(
                title=_text(told.get("title")),
                body=_text(told.get("body")),
                sound=_text(aps.get("sound")),
                badge=_number(aps.get("badge")),
                action=_text(aps.get("category")),
                **_common(payload),
            )
        if isinstance(data, Mapping):
            return cls(
                title=_text(data.get("twi_title")),
                body=_text(data.get("twi_body")),
                sound=_text(data.get("twi_sound")),
                action=_text(data.get("twi_action")),
                **_common(data),
            )
        raise InvalidArgumentError("a notification has 'aps' (APNs) or 'data' (FCM)")


def _common(data: Mapping[str, Any]) -> dict[str, Any]:
    kind = data.get("twi_message_type")
    if not isinstance(kind, str) or not kind:
        raise InvalidArgumentError("not a notification of this service: it has no twi_message_type")
    media = data.get("media")
    if isinstance(media, str):
        with contextlib.suppress(ValueError):
            media = decoded(media.encode(), object)
    return {
        "type": kind,
        "conversation_sid": _text(data.get("conversation_sid")),
        "conversation_title": _text(data.get("conversation_title")),
        "message_sid": _text(data.get("message_sid")),
        "message_index": _number(data.get("message_index")),
        "author": _text(data.get("author")),
        "media_count": _number(data.get("media_count")),
        "media": media,
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    try:
        return None if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        return None


class PushRegistrar:
    """The registrations of one client's device.

    What is registered already, as the store says, is not registered again, unless it is a month old, wants other
    notifications, or the device was registered for another user since. A new device token takes the place of the old.
    Failures in the background are tried again, 2 s to 2 min apart, for as long as the client lives and nothing else
    is wanted.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._store: PushStore = MemoryPushStore()
        self._config: PushConfig | None = None
        self._lock = asyncio.Lock()
        """Held while the server is asked, so that nothing is given up that it may have done."""
        self._wish: tuple[str, str] | None = None
        """The channel and the device token that are registered in the background."""
        self._background: asyncio.Task[None] | None = None

    def begin(self, config: PushConfig) -> None:
        """Registers in the background."""
        _check(config.channel, config.device_token)
        if config.store is not None:
            self._store = config.store
        self._config = config
        self._want(config.channel, config.device_token)

    def on_device_token(self, device_token: str) -> None:
        """The device has another token now, which takes the old one's place, in the background.

        Raises ``InvalidArgumentError`` without ``ClientConfig.push``, which tells the channel.
        """
        if self._config is None:
            raise InvalidArgumentError("configure the client with push=PushConfig(...), or use register_push()")
        _check(self._config.channel, device_token)
        self._want(self._config.channel, device_token)

    async def register(self, channel: str, device_token: str) -> None:
        """The device is registered when this returns. Raises ``PushRegistrationError``."""
        _check(channel, device_token)
        async with self._lock:
            self._want_no_more(channel)
            await self._register(channel, device_token)

    async def unregister(self, channel: str, device_token: str | None = None) -> None:
        """Takes back what was registered here, and the device token if one is given."""
        if device_token is None:
            _check_channel(channel)
        else:
            _check(channel, device_token)
        async with self._lock:
            self._want_no_more(channel, device_token)
            known = await self._load(self._name(channel))
            if known is not None and known.device_token and device_token in (None, known.device_token):
                await self._take_back(channel, known)
                return
        if device_token is not None:
            await self.remove(channel, device_token)

    async def remove(self, channel: str, device_token: str) -> None:
        """Forgets a device by its token; nothing happens when it is not known. Raises ``PushRegistrationError``."""
        _check(channel, device_token)
        async with self._lock:
            self._want_no_more(channel, device_token)
            known = await self._load(self._name(channel))
            await self._delete("", {"binding_type": channel, "address": device_token})
            if known is not None and known.device_token == device_token:
                await self._forget(channel, known)

    async def cleanup(self, channel: str, device_token: str) -> bool:
        """Forgets a device that is not to ring any more; asks at most once a day, and says whether it has."""
        _check(channel, device_token)
        name, now = self._name(channel), self._session.config.clock()
        known = await self._load(name)
        if known is not None and 0 <= now - known.cleaned_at < CLEAN_S:
            return False
        await self.remove(channel, device_token)
        await self._save(name, msgspec.structs.replace(await self._load(name) or NOTHING, cleaned_at=now))
        return True

    async def logout(self) -> None:
        """Nothing that was registered here stays."""
        for channel in CHANNELS:
            # That it could not be told is no reason to stay logged in: the next user's registration takes the device.
            with contextlib.suppress(PushRegistrationError):
                await self.unregister(channel)

    async def close(self) -> None:
        """Nothing is tried any more."""
        task, self._background, self._wish = self._background, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    # --- what is wanted

    def _want(self, channel: str, device_token: str) -> None:
        before, self._wish = self._background, (channel, device_token)
        self._background = self._session.spawn(self._keep_trying(before, channel, device_token))

    def _want_no_more(self, channel: str, device_token: str | None = None) -> None:
        """What is tried in the background gives up, if it is about this. Only with the lock: nothing is under way."""
        if self._wish is not None and self._background is not None:
            wished_channel, wished_token = self._wish
            if wished_channel == channel and device_token in (None, wished_token):
                self._background.cancel()
                self._background = self._wish = None

    async def _keep_trying(self, before: asyncio.Task[None] | None, channel: str, device_token: str) -> None:
        if before is not None and not before.done():
            async with self._lock:
                before.cancel()
        pause = FIRST_PAUSE_S
        while True:
            try:
                async with self._lock:
                    await self._register(channel, device_token)
            except PushRegistrationError as error:
                why = reason(error.__cause__)
                log.warning("client.push_not_registered: %s", why, extra={"why": why})
            else:
                return
            await asyncio.sleep(pause * (0.8 + 0.4 * random.random()))  # noqa: S311 (spreads load, guards nothing)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    # --- what is asked

    async def _register(self, channel: str, device_token: str) -> None:
        name, now = self._name(channel), self._session.config.clock()
        known = await self._load(name)
        if known is not None and await self._is_good(channel, known, device_token):
            return
        if known is not None and known.device_token not in ("", device_token):
            known = await self._take_back(channel, known)
        if known is None or known.device_token != device_token:
            # Written down first: when the answer is lost, it is still known what there may be to take back.
            known = msgspec.structs.replace(known or NOTHING, device_token=device_token)
            await self._save(name, known)
        body: dict[str, object] = {
            "endpoint_platform": f"Python {platform.python_version()}",
            "channel_type": channel,
            "version": CHANNELS[channel],
            "message_types": list(self._message_types),
            "data": {"registration_id": device_token},
        }
        try:
            answer = await self._session.calls.post(self._url(), body, _Registered)
        except ClientShutDownError:
            raise
        except ConversationsError as error:
            raise PushRegistrationError("the device could not be registered") from error
        made = PushRecord(
            device_token=device_token,
            registration_id=answer.id,
            message_types=self._message_types,
            registered_at=now,
            cleaned_at=known.cleaned_at,
        )
        await self._save(name, made, self._device(channel, device_token))

    async def _take_back(self, channel: str, known: PushRecord) -> PushRecord | None:
        """What is recorded is registered no more; what is left of the record."""
        if known.registration_id:
            await self._delete(f"/{segment(known.registration_id)}")
        else:
            await self._delete("", {"binding_type": channel, "address": known.device_token})
        return await self._forget(channel, known)

    async def _delete(self, path: str, body: Mapping[str, object] | None = None) -> None:
        try:
            await self._session.calls.delete(self._url(path), body)
        except NotFoundError:
            return
        except ClientShutDownError:
            raise
        except ConversationsError as error:
            raise PushRegistrationError("the device could not be unregistered") from error

    # --- what is remembered

    async def _forget(self, channel: str, known: PushRecord) -> PushRecord | None:
        """Nothing is registered; only when it was cleaned up is still known."""
        device = self._device(channel, known.device_token)
        last = await self._load(device)
        if last is not None and last.registration_id == known.registration_id:
            await self._clear(device)
        if not known.cleaned_at:
            await self._clear(self._name(channel))
            return None
        left = msgspec.structs.replace(NOTHING, cleaned_at=known.cleaned_at)
        await self._save(self._name(channel), left)
        return left

    async def _is_good(self, channel: str, known: PushRecord, device_token: str) -> bool:
        age = self._session.config.clock() - known.registered_at
        if known.device_token != device_token or known.message_types != self._message_types or not 0 <= age < RENEW_S:
            return False
        # A device belongs to whom it was registered for last (semantics 7.2).
        last = await self._load(self._device(channel, device_token))
        return last is not None and bool(known.registration_id) and last.registration_id == known.registration_id

    async def _load(self, name: str) -> PushRecord | None:
        return await aside(partial(self._store.load, name))

    async def _save(self, name: str, record: PushRecord, another: str | None = None) -> None:
        """Under this name, and under another: who is cancelled meanwhile has saved both."""

        def save() -> None:
            for each in (name, another) if another is not None else (name,):
                self._store.save(each, record)

        await aside(save)

    async def _clear(self, name: str) -> None:
        await aside(partial(self._store.clear, name))

    @property
    def _message_types(self) -> tuple[str, ...]:
        return MESSAGE_TYPES if self._config is None else self._config.message_types

    def _url(self, path: str = "") -> str:
        return f"{self._session.base_url}/v1/registrations{path}?productId=ip_messaging"

    def _name(self, channel: str) -> str:
        return _hashed(self._session.base_url, self._session.identity, channel)

    def _device(self, channel: str, device_token: str) -> str:
        """The name of the last registration of a device, whoever made it."""
        return _hashed(self._session.base_url, channel, device_token, "device")


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _check(channel: str, device_token: str) -> None:
    _check_channel(channel)
    arguments.text(device_token, "a device token")


def _check_channel(channel: str) -> None:
    if arguments.text(channel, "a channel") not in CHANNELS:
        raise InvalidArgumentError(f"a device is registered for {' or '.join(CHANNELS)}, not {channel}")
