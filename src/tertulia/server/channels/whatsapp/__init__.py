"""WhatsApp by Meta's Cloud API (gateways 8.4), over the shared ``graph``.

In reading order: ``settings``, ``limits`` (Meta's numbers), ``hearing`` (requests of Meta → messages and reports, with
``said`` for the shapes), ``bodies`` (a message → what is posted), ``interactive`` (templates shown with buttons and
lists), ``components`` (approved templates), ``placeholders``, ``channel``.
"""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
