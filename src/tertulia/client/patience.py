"""How long a connection waits for what."""

from __future__ import annotations

import msgspec


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds."""

    opening: float = 15
    """For a socket to open."""
    greeting: float = 30
    """For the answer to ``init``."""
    silence: float = 75
    """A server says something every 30 seconds; after so much silence it is asked whether it is there."""
    probe: float = 5
    """For the answer to that."""
    closing: float = 2
    """For a socket to close in peace."""
    pulse: float = 1
    """How often it is looked at whether this process was away."""
    jump: float = 5
    """Who wakes so much later than he wanted was away: an absence of six seconds is noticed for certain."""
