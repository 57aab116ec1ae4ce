"""The one HTTP client of the server: every call to somebody else's machine goes through ``Outgoing``.

In reading order: ``calls`` (what is asked, what comes back, how it fails), ``caller`` (``Outgoing``), ``slots`` (how
many at a time), ``targets`` (a call taken apart), ``pool`` (connections kept), ``exchanges`` (a request and its
answer), ``opening`` (connections to the address that was judged), ``trust`` (whom we believe), ``streams`` (their
bytes), ``addresses`` (whom we do not call), ``resolving`` (names to addresses).

Many calls to one place share connections of HTTP/2: ``multiplexed`` (``Multiplexed``), ``pending`` (a call among
others), ``multiplexing`` (a connection), ``frames`` (what of it is seen before the library).
"""

from __future__ import annotations

from .caller import Outgoing, allows_private
from .calls import Answer, Call, CallFailed, ClientCertificate, FailureKind
from .multiplexed import Multiplexed

__all__ = [
    "Answer",
    "Call",
    "CallFailed",
    "ClientCertificate",
    "FailureKind",
    "Multiplexed",
    "Outgoing",
    "allows_private",
]
