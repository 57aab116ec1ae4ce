"""The account API: what account holders, server libraries and the command line use (REST v1).

Table of contents, a file per resource:

* ``configuration``: what new conversations of the account get
* ``services``, ``service_configuration``: services and their defaults
* ``conversations``, ``participants``, ``messages``: the chats themselves
* ``users``, ``roles``: people of a service, and what they may do
* ``user_conversations``, ``participant_conversations``: the two reverse views
* ``views``, ``parameters``: shapes that several resources show, values that several read

Forms and views are named as on the wire. Nearly everything exists under two paths, for the account's default service
and for a named one; ``scopes=BOTH`` says so (rest 1.1).
"""

from __future__ import annotations

from tertulia.server.web.operations import Operations

from . import (
    configuration,
    conversations,
    messages,
    participant_conversations,
    participants,
    roles,
    service_configuration,
    services,
    user_conversations,
    users,
)
from .views import FACE, PREFIX

ACCOUNT_API = Operations(FACE, PREFIX)
"""Everything this face answers."""

for _part in (
    configuration,
    services,
    service_configuration,
    conversations,
    participants,
    messages,
    users,
    user_conversations,
    participant_conversations,
    roles,
):
    ACCOUNT_API.include(_part.OPERATIONS)
