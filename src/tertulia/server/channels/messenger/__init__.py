"""Messenger: people who write to a page (gateways 8.5), over the shared ``graph``.

In reading order: ``settings``, ``limits`` (Meta's numbers), ``hearing`` (requests of Meta → messages and reports, with
``said`` for the shapes), ``channel``.
"""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
