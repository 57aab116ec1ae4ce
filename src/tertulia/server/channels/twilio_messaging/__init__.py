"""SMS, MMS, WhatsApp, Messenger and RCS by Twilio Programmable Messaging (gateways 8.2).

In reading order: ``codes``, ``settings``, ``asking`` (a message as a request, and its answer), ``hearing`` (callbacks),
``channel``.
"""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
