"""Every setting of the server: its default, its limits, and the sentence that explains it.

A setting is one annotated field of a section. Knowing it (``settable.py``), reading it (``sources.py``), checking it,
``tertulia settings`` and the reference page all follow from that line.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from tertulia.wire.sids import FLOW, is_sid

from .channels import ChannelsSettings as ChannelsSettings
from .media import BlobsSettings as BlobsSettings
from .media import MediaSettings as MediaSettings
from .media import ScannerSettings as ScannerSettings
from .push import PushSettings as PushSettings
from .units import BYTES, DAYS, SECONDS, SECRET

ENVIRONMENT_PREFIX = "TERTULIA_"


OnExpiry = Literal["reauth", "close"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
Profile = Literal["none", "hosted"]
Limit = Annotated[int, Meta(ge=0)]

PUBLISHED: Final[dict[str, int]] = {
    "conversation_actions_per_s": 30,
    "service_actions_per_s": 30,
    "connections": 7_000,
    "connections_per_s": 110,
    "connection_requests_per_s": 500,
    "account_requests_per_s": 20_000,
    "rest_requests_at_once": 100,  # UNVERIFIED: that there is a limit is published, its number is not
}
"""The rates of the hosted service, in force with ``limits.profile = "hosted"`` (semantics 9.3, rest 1.7)."""


# ------------------------------------------------------------------------------------------------------- sections


class ServerSettings(Struct, frozen=True):
    """Where the server listens and keeps its data."""

    host: Annotated[str, Meta(description="Address to listen on; `0.0.0.0` or `::` for all.", min_length=1)] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(description="Port to listen on; 0 takes any free one.", ge=0, le=65535)] = 8080
    public_url: Annotated[
        str | None,
        Meta(
            description="Base of the URLs in answers, as clients reach the server, with a path prefix if a proxy adds"
            " one. Unset: taken from the request's Host header."
        ),
    ] = None
    data: Annotated[
        str, Meta(description="Folder of the database, the seal key and `tertulia.toml`.", min_length=1)
    ] = "tertulia-data"
    body_limit_bytes: Annotated[int, Meta(description="Largest body of a request.", ge=1024, extra=BYTES)] = 1 << 20
    head_timeout_s: Annotated[
        float,
        Meta(
            description="How long the head of a request may take, from the connection or its first byte.",
            gt=0,
            le=3600,
            extra=SECONDS,
        ),
    ] = 10.0
    body_timeout_s: Annotated[
        float, Meta(description="How long the body of a request may take, in all.", gt=0, le=3600, extra=SECONDS)
    ] = 30.0
    shutdown_grace_s: Annotated[
        float, Meta(description="How long a stopping server lets requests finish.", ge=0, le=3600, extra=SECONDS)
    ] = 5.0

    def __post_init__(self) -> None:
        if self.public_url is None:
            return
        scheme, separator, rest = self.public_url.partition("://")
        if scheme not in ("http", "https") or not separator or rest[:1] in ("", "/") or set(rest) & set("?# "):
            raise ValueError(f"expected http://host or https://host, got {self.public_url!r}")
        force_setattr(self, "public_url", self.public_url.rstrip("/"))


class TokensSettings(Struct, frozen=True):
    """Which access tokens connect (semantics 3)."""

    min_ttl_s: Annotated[
        int, Meta(description="Shortest total life of an access token that may connect.", ge=0, extra=SECONDS)
    ] = 180
    max_ttl_s: Annotated[
        int, Meta(description="Longest life of an access token that may connect.", ge=1, extra=SECONDS)
    ] = 86_400
    leeway_s: Annotated[
        int,
        Meta(
            description="How far another machine's clock may be ahead, for `nbf` and `iat`; `exp` is exact.",
            ge=0,
            extra=SECONDS,
        ),
    ] = 30
    recheck_s: Annotated[
        float,
        Meta(
            description="How long API keys, accounts and access tokens are believed before the database is asked again;"
            " open connections are checked as often. What another process revokes ends within three times this.",
            gt=0,
            le=20,
            extra=SECONDS,
        ),
    ] = 15.0
    on_expiry: Annotated[
        OnExpiry,
        Meta(
            description="What a connection meets when its access token runs out: `reauth` drops the socket and refuses"
            " the next init, so that a new token given in the app's `tokenExpired` handler works; `close` sends a close"
            " frame, as the hosted service does."
        ),
    ] = "reauth"

    def __post_init__(self) -> None:
        if self.min_ttl_s > self.max_ttl_s:
            raise ValueError("tokens.min_ttl_s is above tokens.max_ttl_s, so no token could connect")


class RealtimeSettings(Struct, frozen=True):
    """How much one WebSocket connection may take."""

    frame_limit_bytes: Annotated[int, Meta(description="Largest message a client may send.", ge=4096, extra=BYTES)] = (
        256 << 10
    )
    send_queue_bytes: Annotated[
        int,
        Meta(
            description="What may wait for a slow reader; beyond it the connection is dropped and catches up later.",
            ge=65_536,
            extra=BYTES,
        ),
    ] = 4 << 20
    ping_interval_s: Annotated[
        float, Meta(description="Silence after which the server pings a connection.", gt=0, le=3600, extra=SECONDS)
    ] = 30.0
    ping_timeout_s: Annotated[
        float, Meta(description="Silence after a ping that ends the connection.", gt=0, le=3600, extra=SECONDS)
    ] = 30.0
    requests_in_flight: Annotated[
        int, Meta(description="Requests of one connection that may be worked on at a time.", ge=1)
    ] = 512
    replays_at_once: Annotated[
        int,
        Meta(
            description="Subscriptions of all connections that may read their backlog at a time, before anybody else's"
            " request gets a turn.",
            ge=1,
        ),
    ] = 8
    subscription_ttl_s: Annotated[
        int, Meta(description="Life of a subscription that the client does not renew.", ge=60, extra=SECONDS)
    ] = 86_400
    max_batch: Annotated[int, Meta(description="Subscriptions that one request may ask for.", ge=1)] = 1000
    init_timeout_s: Annotated[
        float,
        Meta(description="How long a new connection may take to present its token.", gt=0, le=3600, extra=SECONDS),
    ] = 30.0


class LimitsSettings(Struct, frozen=True):
    """Limits that an installation may choose; those of the API itself are fixed."""

    group_text_participants: Annotated[
        int, Meta(description="Largest number of participants in a group text.", ge=2)
    ] = 10
    profile: Annotated[
        Profile,
        Meta(
            description="`hosted` switches on the rates that the hosted service publishes; the settings below then"
            " change single ones. With `none` only those that are set hold. For each, 0 is no limit."
        ),
    ] = "none"
    conversation_actions_per_s: Annotated[
        Limit | None,
        Meta(
            description="Changes of one kind a second in one conversation: of the conversation itself, its"
            " participants, its messages. Unset: by the profile, 30 if `hosted`.",
        ),
    ] = None
    service_actions_per_s: Annotated[
        Limit | None,
        Meta(
            description="Changes of one kind a second in one service: conversations made or deleted, users, roles."
            " Unset: by the profile, 30 if `hosted`.",
        ),
    ] = None
    connections: Annotated[
        Limit | None,
        Meta(description="WebSocket connections of one account. Unset: by the profile, 7000 if `hosted`."),
    ] = None
    connections_per_s: Annotated[
        Limit | None,
        Meta(
            description="New WebSocket connections of one account a second. Unset: by the profile, 110 if `hosted`.",
        ),
    ] = None
    connection_requests_per_s: Annotated[
        Limit | None,
        Meta(description="Requests a second over one WebSocket connection. Unset: by the profile, 500 if `hosted`."),
    ] = None
    account_requests_per_s: Annotated[
        Limit | None,
        Meta(
            description="Requests a second over all WebSocket connections of one account. Unset: by the profile, 20000"
            " if `hosted`.",
        ),
    ] = None
    rest_requests_at_once: Annotated[
        Limit | None,
        Meta(
            description="REST requests of one account that are worked on at a time. Unset: by the profile, 100 if"
            " `hosted`.",
        ),
    ] = None
    writes_at_once: Annotated[
        int,
        Meta(
            description="Changes of one account that may be on their way to the database; another account's waits for"
            " no more than these.",
            ge=1,
        ),
    ] = 256
    writes_waiting: Annotated[
        int, Meta(description="Changes of one account that may wait for that; more are refused with 429.", ge=1)
    ] = 5_000
    requests_waiting: Annotated[
        int,
        Meta(description="HTTP requests of one account that may wait for their turn; more are refused with 429.", ge=1),
    ] = 5_000

    def rate(self, name: str) -> int:
        """The limit of this name that is in force: what is set, else what the profile says; 0 is none."""
        chosen: int | None = getattr(self, name)
        if chosen is not None:
            return chosen
        return PUBLISHED[name] if self.profile == "hosted" else 0


class TypingSettings(Struct, frozen=True):
    """The typing indicator."""

    timeout_s: Annotated[
        int, Meta(description="Silence after which somebody no longer types.", ge=1, extra=SECONDS)
    ] = 5


class SyncSettings(Struct, frozen=True):
    """What clients that were away can catch up on."""

    tombstone_days: Annotated[
        int, Meta(description="How long removals are remembered for clients that were away.", ge=1, extra=DAYS)
    ] = 7


class MutationsSettings(Struct, frozen=True):
    """Repeats of a request that carry the same mutation id."""

    keep_s: Annotated[
        int, Meta(description="How long an answer is kept for a repeat of its request.", ge=60, extra=SECONDS)
    ] = 600


class JobsSettings(Struct, frozen=True):
    """What is owed to the outside world: webhooks, push notifications, timers."""

    concurrency: Annotated[
        int,
        Meta(
            description="Jobs performed at a time. Of those that call somebody, one account has no more than it leaves"
            " free: half of them, while it is alone.",
            ge=1,
            le=10_000,
        ),
    ] = 64
    per_receiver: Annotated[
        int, Meta(description="Of them, how many may call the same receiver for the same account.", ge=1, le=10_000)
    ] = 16
    lease_s: Annotated[
        float,
        Meta(
            description="How long a job belongs to the process that performs it; a call may take three quarters of"
            " that. What a killed process had begun is begun again after this time.",
            ge=1,
            le=3600,
            extra=SECONDS,
        ),
    ] = 60.0
    poll_s: Annotated[
        float,
        Meta(description="How often to look for jobs that other processes promised.", gt=0, le=60, extra=SECONDS),
    ] = 1.0
    keep_done_days: Annotated[
        int, Meta(description="How long done jobs stay to be looked at; 0: not at all.", ge=0, extra=DAYS)
    ] = 0
    keep_dead_days: Annotated[
        int, Meta(description="How long jobs that were given up can be tried again by hand.", ge=1, extra=DAYS)
    ] = 30


class WebhooksSettings(Struct, frozen=True):
    """Whom the server asks before something happens and tells after it (semantics 1)."""

    rest_pre_action: Annotated[
        bool,
        Meta(
            description="Whether REST requests with `X-Twilio-Webhook-Enabled: true` are asked about before, as well as"
            " told after."
        ),
    ] = True
    extended_source: Annotated[
        bool,
        Meta(
            description="Whether webhooks are told by `Source` which channel a message came in by, as `SMS` or"
            " `WHATSAPP`. Off: `SDK`, as on the hosted service."
        ),
    ] = False
    post_retry: Annotated[
        bool,
        Meta(
            description="Whether receivers that do not answer, or answer 429 or 5xx, are called again for up to four"
            " hours. A webhook URL with connection overrides in its fragment says so itself."
        ),
    ] = True
    flows: Annotated[
        str,
        Meta(
            description="The URLs that stand for flows, for webhooks with target `studio`:"
            " `FW… https://…`, pairs separated by commas."
        ),
    ] = ""

    def __post_init__(self) -> None:
        self.flow_urls()

    def flow_urls(self) -> dict[str, str]:
        """The URL of each flow's SID. Raises ``ValueError``."""
        urls: dict[str, str] = {}
        for pair in filter(None, (part.strip() for part in self.flows.split(","))):
            sid, _, url = pair.partition(" ")
            if not is_sid(sid, FLOW) or not url.strip().startswith(("http://", "https://")):
                raise ValueError(f"expected a flow SID and its URL, separated by a blank, got {pair!r}")
            urls[sid] = url.strip()
        return urls


class OutgoingSettings(Struct, frozen=True):
    """Calls to other machines, such as webhooks."""

    allow_private: Annotated[
        bool | None,
        Meta(
            description="Whether machines in private networks, and this one, may be called. Unset: only while the"
            " server listens on a loopback address and `server.public_url` is unset. Link-local addresses, among them"
            " those where clouds hand out credentials, are never called."
        ),
    ] = None
    concurrency: Annotated[
        int,
        Meta(
            description="Calls that may be under way at a time. One account has no more than it leaves free: half of"
            " them, while it is alone.",
            ge=1,
            le=10_000,
        ),
    ] = 100
    concurrency_per_host: Annotated[
        int, Meta(description="Calls of one account to one host that may be under way at a time.", ge=1, le=10_000)
    ] = 20
    answer_limit_bytes: Annotated[
        int, Meta(description="How much of an answer is read.", ge=1024, le=64 << 20, extra=BYTES)
    ] = 256 << 10


class RetentionSettings(Struct, frozen=True):
    """How long things are kept. `tertulia retention set` chooses for one service."""

    messages_days: Annotated[
        int,
        Meta(
            description="Messages older than this are removed, by their date of creation; 0 keeps them for good.",
            ge=0,
            le=36_500,
            extra=DAYS,
        ),
    ] = 0
    closed_conversations_days: Annotated[
        int,
        Meta(
            description="Conversations that have been closed for longer are removed with all that is in them; 0 keeps"
            " them for good.",
            ge=0,
            le=36_500,
            extra=DAYS,
        ),
    ] = 0


class SealSettings(Struct, frozen=True):
    """The key that protects stored secrets."""

    key: Annotated[
        str | None,
        Meta(
            description="Key of 32 bytes in base64 that seals stored secrets. Unset: a key file in the data folder,"
            " made at the first start.",
            extra=SECRET,
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.key is not None:
            try:
                length = len(base64.b64decode(self.key, validate=True))
            except binascii.Error:
                length = -1
            if length != 32:
                raise ValueError("expected 32 bytes in base64; `openssl rand -base64 32` prints such a key")

    def key_bytes(self) -> bytes | None:
        """The key itself, if it is set here."""
        return None if self.key is None else base64.b64decode(self.key)

    def __repr__(self) -> str:
        return f"SealSettings(key={'***' if self.key else None})"


class LogSettings(Struct, frozen=True):
    """What the server says about itself, on standard error."""

    level: Annotated[LogLevel, Meta(description="Least severe lines to write.")] = "info"
    format: Annotated[LogFormat, Meta(description="`text` for people, `json` with one object a line for machines.")] = (
        "text"
    )


class TracesSettings(Struct, frozen=True):
    """Traces of requests, commands, transactions and jobs, for OpenTelemetry. Needs the extra `tracing`."""

    endpoint: Annotated[
        str | None,
        Meta(
            description="Receiver of OTLP over HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is added where the"
            " URL has no path. Unset: no traces."
        ),
    ] = None
    ratio: Annotated[
        float,
        Meta(description="Part of the traces that is sent, of those that no `traceparent` header decides.", ge=0, le=1),
    ] = 1.0

    def __post_init__(self) -> None:
        if self.endpoint is None:
            return
        scheme, _, rest = self.endpoint.partition("://")
        # Not quoted: what is wrong with it may be that it holds a password.
        if scheme not in ("http", "https") or rest[:1] in ("", "/") or set(rest) & set("?#@ "):
            raise ValueError("expected http://host or https://host, without credentials or query")


class Settings(Struct, frozen=True, kw_only=True):
    """Everything an installation can choose. ``Settings()`` is a server that starts."""

    server: ServerSettings = ServerSettings()
    tokens: TokensSettings = TokensSettings()
    realtime: RealtimeSettings = RealtimeSettings()
    limits: LimitsSettings = LimitsSettings()
    typing: TypingSettings = TypingSettings()
    sync: SyncSettings = SyncSettings()
    mutations: MutationsSettings = MutationsSettings()
    jobs: JobsSettings = JobsSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    outgoing: OutgoingSettings = OutgoingSettings()
    channels: ChannelsSettings = ChannelsSettings()
    push: PushSettings = PushSettings()
    retention: RetentionSettings = RetentionSettings()
    blobs: BlobsSettings = BlobsSettings()
    scanner: ScannerSettings = ScannerSettings()
    media: MediaSettings = MediaSettings()
    seal: SealSettings = SealSettings()
    log: LogSettings = LogSettings()
    traces: TracesSettings = TracesSettings()
