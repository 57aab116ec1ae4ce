"""A phone network inside of the server, for trying things out and for tests: it serves every kind of address.

In reading order: ``settings`` (what is set), ``phones`` (what a phone has, and how it behaves), ``media`` (the files on
them), ``schedule`` (what will happen, and when), ``network`` (messages on their way to phones and from them),
``channel`` (all of it, as a channel). Everything is in memory, and bounded: what is oldest goes first.
"""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
