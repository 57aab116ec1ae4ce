"""SMS, MMS and WhatsApp by Vonage's Messages API, version 1 (gateways 8.3): ``settings``, ``tokens``, ``channel``."""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
