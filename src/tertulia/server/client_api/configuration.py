"""What a client asks first: who it is, where things are, what it may assume (client-commands 3, realtime 10.1)."""

from __future__ import annotations

import msgspec

from tertulia.server.domain.attachments import EMAIL_TYPES
from tertulia.server.domain.limits import MEDIA_BYTES, MEDIA_OF_A_MESSAGE
from tertulia.server.domain.sync import ObjectKind, user_object_name
from tertulia.server.web.operations import Call, Operations

from .links import COMMANDS, TYPING, my_conversations_url, receipts_url, user_url
from .memberships import PAGE_SIZE

OPERATIONS = Operations("client")

_MB = 1 << 20


class Links(msgspec.Struct, frozen=True):
    my_conversations: str
    conversations: str
    users: str
    current_user: str
    typing: str
    media_service: str
    """Never empty, or clients do not start."""
    media_set_service: str
    messages_receipts: str
    """A pattern: conversation, then message."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    consumption_report_interval: str = "PT5S"
    user_infos_to_subscribe: int = 100
    reachability_enabled: bool
    http_cache_interval: str = "PT5S"
    my_conversations_page_size: int = PAGE_SIZE
    media_attachments_count_limit: int = MEDIA_OF_A_MESSAGE
    media_attachment_size_limit_in_mb: int
    """Of one upload; what is less than one is one."""
    media_attachments_total_size_limit_in_mb: int = MEDIA_BYTES // _MB
    email_histories_allowed_mime_types: tuple[str, ...] = EMAIL_TYPES
    email_bodies_allowed_mime_types: tuple[str, ...] = EMAIL_TYPES
    mutation_replay_interval: str
    """How long a change may be sent again with the same id: our addition, which tells our own client that it may."""


class SyncObjects(msgspec.Struct, frozen=True):
    my_conversations: str
    my_user_info: str


class ConfigurationView(msgspec.Struct, frozen=True):
    url: str
    identity: str
    service_sid: str
    options: Options
    sync_objects: SyncObjects
    links: Links


@OPERATIONS.operation("GET", f"{COMMANDS}/Configuration")
async def fetch_configuration(call: Call) -> ConfigurationView:
    identity, sid, base_url = call.caller.author, call.service_sid, call.base_url
    service = await call.queries.service(call.caller, sid)
    return ConfigurationView(
        url=f"{base_url}{COMMANDS}/Configuration",
        identity=identity,
        service_sid=sid,
        options=Options(
            reachability_enabled=service.reachability_enabled,
            mutation_replay_interval=f"PT{call.settings.mutations.keep_s}S",
            media_attachment_size_limit_in_mb=max(1, call.settings.media.max_bytes // _MB),
        ),
        sync_objects=SyncObjects(
            my_conversations=user_object_name(ObjectKind.CONVERSATIONS, sid, identity),
            my_user_info=user_object_name(ObjectKind.USER_INFO, sid, identity),
        ),
        links=Links(
            my_conversations=my_conversations_url(base_url, identity),
            conversations=f"{base_url}{COMMANDS}/Conversations",
            users=f"{base_url}{COMMANDS}/Users",
            current_user=user_url(base_url, identity),
            typing=f"{base_url}{TYPING}",
            media_service=f"{base_url}/v1/Services/{sid}/Media",
            media_set_service=f"{base_url}/v1/Services/{sid}/MediaSet",
            messages_receipts=receipts_url(base_url, "%s", "%s"),
        ),
    )
