"""The things a conversation is made of, as live objects.

In reading order: ``payloads`` (what the server tells), ``snapshots`` (what is known, as values), ``waiting``; ``user``
and ``users``; ``participant`` and ``roster``; ``message`` and ``history``; ``conversation`` with its halves
(``part``, ``reading``, ``reading_marks`` and ``horizon``, ``sending``); ``conversations``.
"""

from __future__ import annotations
