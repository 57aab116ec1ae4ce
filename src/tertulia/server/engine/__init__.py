"""The command path, and what follows from it (architecture 4).

Reading order:

* ``engine``: one wish from the caller to the answer
* ``rules``: who handles which command, what it needs, what follows from which change
* ``unit``: one transaction, as handlers and effects see it
* ``scenes``: where a command takes place, and whether its caller may be there
* ``messages``, ``conversations``, ``participants``, ``memberships``, ``users``, ``roles``, ``services``, ``accounts``,
  ``push``, ``credentials``, ``notifications``, ``address_configurations``: the handlers, a file per subject
* ``transitions``, ``timers``, ``conversation_with_participants``: how conversations come to their states
* ``remains``, ``retention``: what is removed in steps
* ``effects/``: what follows from a change, inside the same transaction
* ``sync/``: the five views that clients follow
* ``queries``, ``account_queries``: reads; of what an account holds beside its conversations in the second
* ``windows``: pages that know whether they begin or end their listing
* ``typing``: what is said and not kept
* ``identities``: who signs requests and tokens
"""
