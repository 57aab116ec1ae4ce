"""SMS, MMS and group MMS by Telnyx, API version 2 (gateways 8.3): ``settings``, then ``channel``."""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
