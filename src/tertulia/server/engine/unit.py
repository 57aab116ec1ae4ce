"""One transaction, as handlers and effects see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from tertulia.server import observe, tracing
from tertulia.server.bus.base import EventPublished, Publication
from tertulia.server.domain.base import Change
from tertulia.server.domain.callers import Caller
from tertulia.server.domain.jobs import Job, Promised
from tertulia.server.domain.limits import GROUP_TEXT_PARTICIPANTS
from tertulia.server.domain.opt_out import Keywords
from tertulia.server.domain.webhooks import ScopedWebhook
from tertulia.server.sealing import Sealer
from tertulia.server.storage.accounts import Accounts
from tertulia.server.storage.address_configurations import AddressConfigurations
from tertulia.server.storage.arrivals import Arrivals
from tertulia.server.storage.channel_messages import ChannelMessages, EarlyReports, Handles
from tertulia.server.storage.channel_reads import ChannelReads
from tertulia.server.storage.content import Contents
from tertulia.server.storage.conversations import Conversations
from tertulia.server.storage.credentials import Credentials
from tertulia.server.storage.database import Connection
from tertulia.server.storage.gateways import Gateways, Senders
from tertulia.server.storage.media import MediaFiles
from tertulia.server.storage.memberships import Memberships
from tertulia.server.storage.messages import Messages
from tertulia.server.storage.mutations import Mutations
from tertulia.server.storage.notices import Notices
from tertulia.server.storage.notifications import Notifications
from tertulia.server.storage.opt_outs import LastHeard, OptOuts
from tertulia.server.storage.outbox import Outbox
from tertulia.server.storage.participants import Participants
from tertulia.server.storage.presence import Nodes, Presences, Turns
from tertulia.server.storage.push import PushRegistrations
from tertulia.server.storage.receipts import Receipts
from tertulia.server.storage.remains import Remains
from tertulia.server.storage.retention import Retentions
from tertulia.server.storage.roles import Roles
from tertulia.server.storage.services import Services
from tertulia.server.storage.tombstones import Tombstones
from tertulia.server.storage.users import Users
from tertulia.server.storage.webhooks import Webhooks
from tertulia.wire.sync import ObjectEvent, live_body

from .hook_directory import HookDirectory
from .notification_directory import NotificationDirectory

T = TypeVar("T")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator has decided and handlers must know."""

    base_url: str
    """What the URLs in events begin with."""
    group_text_participants: int = GROUP_TEXT_PARTICIPANTS
    push_single_owner: bool = True
    """A device registered by one user is no longer registered by another (semantics 7.2)."""
    push_only_offline: bool = False
    """Devices of users who are connected are not woken (semantics 7.4)."""
    rest_pre_action: bool = True
    """What account holders do with hooks on is asked about before, too (semantics 1.2)."""
    flows: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The URL that stands for a flow's SID (semantics 1.1)."""
    media_quota_bytes: int = 0
    """What all files of a service may have together; 0 is no limit."""
    keywords: Keywords = Keywords()
    """What people say to hear no more from us, and what they are answered."""
    channel_validity_s: int = 4 * 3600
    """How long a message to somebody on a channel is tried."""
    gateways_per_account: int = 50
    senders_per_account: int = 1000
    may_listen: bool = False
    """Gateways of account holders may open ports of this machine."""
    keeps_done_jobs: bool = False
    """Jobs stay in the outbox when they are done, until housekeeping removes them."""


class _Made(Generic[T]):
    """The tables of one entity, made when somebody first asks a unit for them: most commands touch a few of many."""

    def __init__(self, make: Callable[[Connection], T]) -> None:
        self._make = make

    def __set_name__(self, _owner: type[Unit], name: str) -> None:
        self._name = name

    def __get__(self, unit: Unit, _owner: type[Unit]) -> T:
        # It then stands in the unit itself, before which Python does not come here.
        made = self._make(unit.connection)
        setattr(unit, self._name, made)
        return made


class Unit:
    """The tables, a clock that stands still, and what became true.

    Handlers have no effect outside it, so a unit that failed can be thrown away and tried again.
    """

    accounts = _Made(Accounts)
    services = _Made(Services)
    roles = _Made(Roles)
    users = _Made(Users)
    conversations = _Made(Conversations)
    participants = _Made(Participants)
    memberships = _Made(Memberships)
    messages = _Made(Messages)
    receipts = _Made(Receipts)
    media = _Made(MediaFiles)
    contents = _Made(Contents)
    tombstones = _Made(Tombstones)
    remains = _Made(Remains)
    retentions = _Made(Retentions)
    mutations = _Made(Mutations)
    push_registrations = _Made(PushRegistrations)
    notices = _Made(Notices)
    credentials = _Made(Credentials)
    address_configurations = _Made(AddressConfigurations)
    notifications = _Made(Notifications)
    channel_messages = _Made(ChannelMessages)
    channel_reads = _Made(ChannelReads)
    handles = _Made(Handles)
    early_reports = _Made(EarlyReports)
    gateways = _Made(Gateways)
    senders = _Made(Senders)
    arrivals = _Made(Arrivals)
    opt_outs = _Made(OptOuts)
    last_heard = _Made(LastHeard)
    nodes = _Made(Nodes)
    presences = _Made(Presences)
    turns = _Made(Turns)
    webhooks = _Made(Webhooks)

    def __init__(
        self,
        connection: Connection,
        caller: Caller,
        now: int,
        new_sid: Callable[[str], str],
        policy: Policy,
        sealer: Sealer,
        hooks: HookDirectory,
        notification_settings: NotificationDirectory,
    ) -> None:
        self.connection = connection
        self.caller = caller
        self.now = now
        """UTC microseconds; the same throughout."""
        self.new_sid = new_sid
        self.policy = policy
        self.sealer = sealer
        """Seals what must not be readable at rest."""
        self.hooks = hooks
        """Which account's or service's hooks apply."""
        self.notification_settings = notification_settings
        """What the devices of a service are woken for."""
        self.amended: frozenset[str] = frozenset()
        """The fields of the command that a hook has replaced; its caller may not have been allowed to."""
        self.webhooks_heard: dict[str, list[ScopedWebhook]] = {}
        """Those of the conversations that something has happened in, read once."""
        self.changes: list[Change] = []
        self._told: list[ObjectEvent | Publication] = []
        self.promises: list[Promised] = []
        """What the outside world will be owed; written at the end of the transaction, as one statement."""
        self.withdrawn: list[str] = []
        """Keys of waiting jobs that are no longer owed."""

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.connection, done_at=self.now if self.policy.keeps_done_jobs else None)

    def record(self, change: Change) -> None:
        """Something became true; its effects run after the handler, in the order of recording."""
        self.changes.append(change)

    def enqueue(
        self, job: Job, *, ordering_key: str | None = None, key: str | None = None, due_at: int | None = None
    ) -> None:
        """Owe this job to the outside world; it commits with the change. A waiting one of the same key is replaced."""
        self.promises.append(Promised(job=job, ordering_key=ordering_key, key=key, due_at=due_at))

    def withdraw(self, key: str) -> None:
        """The waiting job of this key, if there is one, is no longer owed."""
        self.promises = [promised for promised in self.promises if promised.key != key]
        self.withdrawn.append(key)

    async def write_promises(self) -> None:
        """What is withdrawn goes from the outbox, what is promised gets into it."""
        if self.withdrawn:
            await self.outbox.withdraw(self.withdrawn)
        if self.promises:
            await self.outbox.promise(
                self.promises,
                self.now,
                new_token=self._new_token,
                account_sid=self.caller.account_sid,
                trace=tracing.carried(observe.request_id.get()),
            )

    def _new_token(self) -> str:
        """A UUID."""
        return str(UUID(hex=self.new_sid("JB")[2:]))

    def emit(self, event: ObjectEvent) -> None:
        """Clients that follow the object will see this event after the commit."""
        self._told.append(event)

    def tell(self, publication: Publication) -> None:
        """Nodes will hear this after the commit, in order with the events."""
        self._told.append(publication)

    def publications(self) -> list[Publication]:
        """What to publish, each event encoded once. For use after the commit."""
        return [_published(told) if isinstance(told, ObjectEvent) else told for told in self._told]


def _published(event: ObjectEvent) -> EventPublished:
    return EventPublished(
        event.object_sid, event.number, event.message_type, live_body(event), event.supersedes, event.ends_object
    )
