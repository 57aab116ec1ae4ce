"""What Messenger takes at most: the one table of Meta's numbers.

UNVERIFIED: all of them (gateways 8.5). Those that decide whether a message is sent at all can be set for a gateway.
"""

from __future__ import annotations

from typing import Final

TEXT_CHARS: Final = 2000
FILE_BYTES: Final = 25 << 20
FILES: Final = 10
"""Files of one message; each goes as one of its own. Ours: nothing is published."""
WINDOW_H: Final = 24
AGENT_WINDOW_H: Final = 7 * 24
"""With the tag for answers of people."""

CATEGORIES: Final = ("image", "audio", "video")
"""Kinds of attachments, by the first half of their content type; all others are files."""
