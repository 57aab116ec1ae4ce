"""SMS through a Kannel of one's own: its smsbox sends by ``sendsms``, and calls us (gateways 8.3)."""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
