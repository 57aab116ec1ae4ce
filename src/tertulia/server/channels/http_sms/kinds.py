"""What a provider of several channels carries beside SMS: the one table of these numbers.

UNVERIFIED: all of them (gateways 8.2 to 8.5). Those that decide whether a message is sent at all can be set for a
gateway.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from msgspec import Meta

from tertulia.server.domain.channels import MEDIA_OF_PHONES, Capabilities
from tertulia.server.settings.units import BYTES

WHATSAPP: Final = "whatsapp"
MESSENGER: Final = "messenger"
RCS: Final = "rcs"

WHATSAPP_BYTES: Final = 16 << 20
MESSENGER_BYTES: Final = 25 << 20
RCS_BYTES: Final = 16 << 20
WINDOW_H: Final = 24
WHATSAPP_CHARS: Final = 1600
"""Of a message in a conversation (semantics 4.5); WhatsApp itself takes 4096."""
MESSENGER_CHARS: Final = 2000
RCS_CHARS: Final = 1600
ALL_TYPES: Final = frozenset(("*/*",))

WhatsAppBytes = Annotated[
    int, Meta(description="Largest file that is sent to WhatsApp.", ge=0, le=100 << 20, extra=BYTES)
]
MessengerBytes = Annotated[
    int, Meta(description="Largest file that is sent to Messenger.", ge=0, le=100 << 20, extra=BYTES)
]
RcsBytes = Annotated[int, Meta(description="Largest file that is sent by RCS.", ge=0, le=100 << 20, extra=BYTES)]
WindowHours = Annotated[
    int,
    Meta(
        description="For so many hours after a person's message WhatsApp and Messenger may be written to freely; 0: the"
        " provider decides.",
        ge=0,
        le=720,
    ),
]


def whatsapp(media_bytes: int, window_h: int, *, has_templates: bool, has_opt_out: bool) -> Capabilities:
    """One file, with words beside it."""
    return Capabilities(
        text_chars=WHATSAPP_CHARS,
        media_types=MEDIA_OF_PHONES,
        media_bytes=media_bytes,
        has_captions=True,
        has_templates=has_templates,
        window=_window(window_h),
        has_opt_out=has_opt_out,
    )


def messenger(media_bytes: int, window_h: int, *, has_templates: bool, has_opt_out: bool) -> Capabilities:
    """One file of any type, with words beside it."""
    return Capabilities(
        text_chars=MESSENGER_CHARS,
        media_types=ALL_TYPES,
        media_bytes=media_bytes,
        has_captions=True,
        has_templates=has_templates,
        window=_window(window_h),
        has_opt_out=has_opt_out,
    )


def rcs(media_bytes: int, *, has_templates: bool, has_opt_out: bool) -> Capabilities:
    """One file, with words beside it; at any time."""
    return Capabilities(
        text_chars=RCS_CHARS,
        media_types=MEDIA_OF_PHONES,
        media_bytes=media_bytes,
        has_captions=True,
        has_templates=has_templates,
        has_opt_out=has_opt_out,
    )


def _window(hours: int) -> timedelta | None:
    return timedelta(hours=hours) if hours else None
