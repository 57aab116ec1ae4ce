"""What WhatsApp takes at most: the one table of Meta's numbers.

UNVERIFIED: all of them (gateways 8.4). Those that decide whether a message is sent at all can be set for a gateway.
"""

from __future__ import annotations

from typing import Final

TEXT_CHARS: Final = 1600
"""Of a message in a conversation (semantics 4.5); Meta itself takes 4096."""
FILE_BYTES: Final = 16 << 20
IMAGE_BYTES: Final = 5 << 20
"""A larger picture goes as a document."""
WINDOW_H: Final = 24

CAPTION_CHARS: Final = 1024
BUTTONS: Final = 3
BUTTON_CHARS: Final = 20
BUTTON_ID_CHARS: Final = 256
ROWS: Final = 10
ROW_CHARS: Final = 24
ROW_ID_CHARS: Final = 200
ROW_DETAIL_CHARS: Final = 72
BODY_CHARS: Final = 1024
LIST_BODY_CHARS: Final = 4096
HEADER_CHARS: Final = 60
FOOTER_CHARS: Final = 60

IMAGES: Final = frozenset(("image/jpeg", "image/png"))
"""Shown as pictures; others go as documents."""
AUDIO: Final = frozenset(("audio/aac", "audio/amr", "audio/mp4", "audio/mpeg", "audio/ogg"))
VIDEOS: Final = frozenset(("video/mp4", "video/3gpp"))

MARKS: Final = 1000
"""Messages that wait to be marked as read; of more the oldest are forgotten."""
