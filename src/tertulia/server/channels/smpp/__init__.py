"""SMS by SMPP 3.4: a connection held to an SMSC, which messages leave by and come in by (gateways 8.1).

In reading order: ``settings`` (what is set), ``statuses`` (what an SMSC's numbers mean), ``pdus`` (its bytes),
``numbers`` (its addresses), ``wording`` (its alphabets), ``submitting`` (a message as PDUs), ``receipts`` and
``hearing`` (PDUs as reports and messages), ``ids`` (names of messages, spelled in two ways), ``session`` (one
connection), ``links`` (a connection kept up), ``doubts`` (messages that may come twice), ``channel`` (all of it).
"""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
