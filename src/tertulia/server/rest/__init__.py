"""The account API: what account holders, server libraries and the command line use (REST v1).

Table of contents, a file per resource:

* ``configuration``: what new conversations of the account get
* ``services``, ``service_configuration``: services and their defaults
* ``conversations``, ``participants``, ``messages``, ``receipts``: the chats themselves
* ``conversation_with_participants``: a conversation and its members by one request
* ``users``, ``roles``: people of a service, and what they may do
* ``user_conversations``, ``participant_conversations``: the two reverse views
* ``address_configurations``: what happens when a stranger writes to an address
* ``content``: templates of messages
* ``credentials``, ``push_bindings``, ``notifications``: which devices are woken, by which service, with which words
* ``hooks``, ``webhooks``: whom to ask and tell, of accounts and services, of conversations
* ``views``, ``parameters``: shapes that several resources show, values that several read
* ``gateways``, ``senders``: of ours: who takes messages to phones and mailboxes, which addresses are the account's
* ``simulator``, ``phone_views``: of ours: phones that people play, where the setting allows it
* ``push_explained``: of ours, outside of ``/v1``: why devices were woken or not

Forms and views are named as on the wire. Nearly everything exists under two paths, for the account's default service
and for a named one; ``scopes=BOTH`` says so (rest 1.1).
"""

from __future__ import annotations

from tertulia.server.web.operations import Operations

from . import (
    address_configurations,
    configuration,
    content,
    conversation_with_participants,
    conversations,
    credentials,
    gateways,
    hooks,
    messages,
    notifications,
    participant_conversations,
    participants,
    push_bindings,
    push_explained,
    receipts,
    roles,
    senders,
    service_configuration,
    services,
    simulator,
    user_conversations,
    users,
    webhooks,
)
from .views import FACE, PREFIX

ACCOUNT_API = Operations(FACE, PREFIX)
"""Everything of this face that is published (rest 1)."""

ADDITIONS = Operations(FACE)
"""What it answers beside that: it stands apart, so that nothing of ours can be taken for published."""

for _part in (push_explained, gateways, senders, simulator):
    ADDITIONS.include(_part.OPERATIONS)

for _part in (
    configuration,
    services,
    service_configuration,
    conversations,
    conversation_with_participants,
    participants,
    messages,
    receipts,
    users,
    user_conversations,
    participant_conversations,
    roles,
    hooks,
    webhooks,
    address_configurations,
    content,
    credentials,
    notifications,
    push_bindings,
):
    ACCOUNT_API.include(_part.OPERATIONS)
