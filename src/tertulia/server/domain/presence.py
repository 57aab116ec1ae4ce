"""Presence: who is connected where, and what of it others are shown as reachability (semantics 6.3).

The system alone sends these commands: nodes about their own connections, the sweep about nodes that are no more.
"""

from __future__ import annotations

import msgspec

from .base import Command


class ArriveUser(Command[bool], frozen=True, kw_only=True):
    """A user's first connection to a node is open.

    False when the node counts as dead, and must take another name first. Nothing happens where reachability is off.
    """

    service: str
    identity: str
    node: str


class DepartUser(Command[None], frozen=True, kw_only=True):
    """A user's last connection to a node has ended and was not resumed; he may be connected to others."""

    service: str
    identity: str
    node: str


class DepartNode(Command[None], frozen=True, kw_only=True):
    """Some users of a service depart from a node that is dead; from one that is not, nobody does."""

    service: str
    node: str


class SettleReachability(Command[None], frozen=True, kw_only=True):
    """Some users of a service whose reachability was turned on or off are brought in line with it."""

    service: str


class UsersOfNode(msgspec.Struct, frozen=True):
    """Users of one service who are still kept as connected to a dead node."""

    account_sid: str
    service_sid: str
    node: str


class Turn(msgspec.Struct, frozen=True):
    """A service whose users are being brought in line with its reachability, in bounded steps."""

    service_sid: str
    account_sid: str
    reached: str
    """The last identity that is done."""
