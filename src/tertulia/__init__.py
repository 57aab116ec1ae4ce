"""Tertulia: a self-hosted conversations server for the official Twilio Conversations libraries.

* ``wire`` — the protocol both ends share: frames, Sync shapes, tokens, identifiers. Pure.
* ``server`` — the server. Needs the extra ``server``.
* ``cli`` — the command ``tertulia``.
"""

from __future__ import annotations

__version__ = "0.1.0"
