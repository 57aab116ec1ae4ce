"""What the server says first: who we are, where things are, what we may assume (client-commands 3)."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_DURATION: Final = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


class Links(msgspec.Struct, frozen=True):
    """Where things are; absolute URLs."""

    my_conversations: str
    conversations: str
    users: str
    typing: str
    media_service: str
    messages_receipts: str
    media_set_service: str | None = None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the service allows, and how often it wants to be asked. Durations are as the server writes them."""

    reachability_enabled: bool = False
    user_infos_to_subscribe: int = 100
    http_cache_interval: str = "PT5S"
    consumption_report_interval: str = "PT5S"
    mutation_replay_interval: str = "PT0S"
    """How long a change may be repeated with the same id; our server's addition."""
    media_attachments_count_limit: int = 10
    media_attachment_size_limit_in_mb: int = 150
    media_attachments_total_size_limit_in_mb: int = 150
    email_histories_allowed_mime_types: tuple[str, ...] = ("text/plain", "text/html")
    email_bodies_allowed_mime_types: tuple[str, ...] = ("text/plain", "text/html")


class SyncNames(msgspec.Struct, frozen=True):
    my_conversations: str
    my_user_info: str


class Configuration(msgspec.Struct, frozen=True):
    """The answer to the first question of a client."""

    identity: str
    links: Links
    sync_objects: SyncNames
    options: Options = Options()

    @property
    def cache_s(self) -> float:
        """How long counts may be kept."""
        return seconds(self.options.http_cache_interval, 5)

    @property
    def report_s(self) -> float:
        """How far apart reports of one read horizon are to be."""
        return min(seconds(self.options.consumption_report_interval, 5), 60.0)

    @property
    def replay_s(self) -> float:
        """How long the server recognises a change that is sent again; 0 when it did not say."""
        return seconds(self.options.mutation_replay_interval, 0)


def seconds(duration: str, otherwise: float) -> float:
    """An ISO 8601 duration of days and less; ``otherwise`` when it is none."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return otherwise
    days, hours, minutes, rest = (float(part or 0) for part in match.group("days", "hours", "minutes", "seconds"))
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest
