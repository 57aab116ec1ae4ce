"""Copies of the server's objects, kept by its events.

In reading order: ``shapes`` (what is read), ``copies`` (how events apply), ``subscriptions`` (what is said for that;
no I/O),
``kept`` (what outlives the process), ``following`` (all of it, over a connection).
"""

from __future__ import annotations

from .copies import Copy, Follower, How, Key, Kind
from .following import Following, Item, ItemsPage
from .kept import StoredItem, StoredObject, SyncStore

__all__ = [
    "Copy",
    "Follower",
    "Following",
    "How",
    "Item",
    "ItemsPage",
    "Key",
    "Kind",
    "StoredItem",
    "StoredObject",
    "SyncStore",
]
