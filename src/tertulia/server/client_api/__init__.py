"""The face of client libraries: commands, Sync reads, typing, push registration (client-commands, realtime 9 and 10).

Reading order:

* ``configuration``: what a client asks first
* ``conversations``, ``memberships`` (a user's own side of them), ``participants``, ``messages``, ``receipts``,
  ``users``: commands
* ``sync``: the objects whose state clients follow
* ``typing``, ``push_registrations``, ``content``: the rest
* ``links``, ``paging``: URLs handed out, page tokens

JSON in snake_case; dates with milliseconds, the very text that the Sync objects have. A command's answer says that it
was done; clients see what changed in the Sync objects.
"""

from __future__ import annotations

from tertulia.server.web.operations import Operations

from . import (
    configuration,
    content,
    conversations,
    memberships,
    messages,
    participants,
    push_registrations,
    receipts,
    sync,
    typing,
    users,
)

CLIENT_API = Operations("client")
"""Everything this face answers."""

for _part in (
    configuration,
    conversations,
    memberships,
    participants,
    messages,
    receipts,
    users,
    sync,
    typing,
    push_registrations,
    content,
):
    CLIENT_API.include(_part.OPERATIONS)
