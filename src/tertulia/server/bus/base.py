"""Publications between nodes, and the bus that carries them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec


class EventPublished(msgspec.Struct, frozen=True, tag="event"):
    """A numbered event of a Sync object, encoded for clients."""

    object_sid: str
    number: int
    message_type: str
    body: bytes
    supersedes: bool = False
    """Who has not seen earlier events of the object need not see them after this one."""
    ends_object: bool = False

    @property
    def topic(self) -> str:
        return object_topic(self.object_sid)


class TypingPublished(msgspec.Struct, frozen=True, tag="typing"):
    """Somebody types; goes to those who follow the conversation's messages, without himself."""

    object_sid: str
    identity: str
    body: bytes

    @property
    def topic(self) -> str:
        return object_topic(self.object_sid)


class AccessEnded(msgspec.Struct, frozen=True, tag="access"):
    """A user may no longer follow these objects."""

    service_sid: str
    identity: str
    object_sids: tuple[str, ...]

    @property
    def topic(self) -> str:
        return user_topic(self.service_sid, self.identity)


class UserGone(msgspec.Struct, frozen=True, tag="user"):
    """A user was deleted; his connections end."""

    service_sid: str
    identity: str

    @property
    def topic(self) -> str:
        return user_topic(self.service_sid, self.identity)


class ServiceGone(msgspec.Struct, frozen=True, tag="service"):
    """A service was deleted; every connection to it ends."""

    service_sid: str

    @property
    def topic(self) -> str:
        return NODES


class HooksChanged(msgspec.Struct, frozen=True, tag="hooks"):
    """The hooks of an account or of one of its services are others now."""

    account_sid: str

    @property
    def topic(self) -> str:
        return NODES


class NotificationsChanged(msgspec.Struct, frozen=True, tag="notifications"):
    """What devices are woken for in one of the account's services is different now."""

    account_sid: str

    @property
    def topic(self) -> str:
        return NODES


class GatewaysChanged(msgspec.Struct, frozen=True, tag="gateways"):
    """Gateways of an account, or the addresses they serve, are different now."""

    account_sid: str

    @property
    def topic(self) -> str:
        return NODES


class KeysChanged(msgspec.Struct, frozen=True, tag="keys"):
    """An API key was revoked, an account suspended or reinstated: what is remembered of either is old."""

    account_sid: str

    @property
    def topic(self) -> str:
        return NODES


class ReachabilityTurned(msgspec.Struct, frozen=True, tag="reachability"):
    """A service shows from now on who is connected, or no longer."""

    account_sid: str
    service_sid: str
    is_enabled: bool

    @property
    def topic(self) -> str:
        return NODES


Publication = (
    EventPublished
    | TypingPublished
    | AccessEnded
    | UserGone
    | ServiceGone
    | HooksChanged
    | NotificationsChanged
    | GatewaysChanged
    | KeysChanged
    | ReachabilityTurned
)
"""A hint to other nodes: may be lost, repeated or late on an unreliable bus; readers repair from the database."""

NODES = "nodes"
"""What every node hears."""

Receive = Callable[[Publication], None]


def object_topic(object_sid: str) -> str:
    return f"sync.{object_sid}"


def user_topic(service_sid: str, identity: str) -> str:
    return f"user.{service_sid}.{identity}"


class Bus(Protocol):
    """Carries publications to the nodes that asked for their topic, this one included.

    Publications of one call reach a node in their order, if they reach it.
    """

    @property
    def reliable(self) -> bool:
        """Never loses, repeats or reorders, so that positions need not be checked."""
        ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def subscribe(self, topic: str, receive: Receive) -> None:
        """From now on ``receive`` gets the topic's publications. Subscribing twice is once."""
        ...

    def unsubscribe(self, topic: str, receive: Receive) -> None: ...

    async def publish(self, publications: Sequence[Publication]) -> None: ...
