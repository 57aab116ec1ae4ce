"""Copies of the server's objects, kept by its events.

In reading order: ``shapes`` (what is read), ``copies`` (how events apply), ``subscriptions`` (what is said for that;
these do no I/O), ``kept`` and ``keeping`` (what outlives the process), ``reading`` (what is asked), ``speaking`` (says
what is to be said), ``following`` (all of it, over a connection).
"""

from __future__ import annotations

from .copies import ContentFollower, Copy, Follower, How, ItemFollower, Key, Kind
from .following import Following
from .kept import StoredItem, StoredObject, SyncStore
from .reading import Item, ItemsPage

__all__ = [
    "ContentFollower",
    "Copy",
    "Follower",
    "Following",
    "How",
    "Item",
    "ItemFollower",
    "ItemsPage",
    "Key",
    "Kind",
    "StoredItem",
    "StoredObject",
    "SyncStore",
]
