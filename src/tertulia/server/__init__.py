"""The server, from the outside inwards. Imports point down this list; ``make check`` holds them to it.

* ``app`` — builds everything from the settings, once; the order of starting and stopping.
* ``rest``, ``client_api``, ``realtime`` — the edges: the account API, the commands of the client SDKs, the WebSocket.
* ``web`` — what the edges share: the table of operations, authentication, paging, error bodies.
* ``engine`` — the one path of every write, and what follows from it.
* ``storage`` — the database: transactions, named queries, migrations.
* ``domain`` — entities, commands, changes, permissions, errors. Pure.
* ``settings``, ``bootstrap``, ``observe``, ``clock``, ``sealing`` — leaves that all above ``domain`` may use.
* ``settable``, ``sources`` — what can be set, and where it is read from, for the command line.

``docs/tour.md`` follows one message through them.
"""

from __future__ import annotations
