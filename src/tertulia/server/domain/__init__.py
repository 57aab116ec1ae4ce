"""The vocabulary of the platform: entities, commands and changes. Pure: no I/O, no clock, no randomness.

Reading order:

* ``base``: what an entity, a command and a change are
* ``callers``: who asks, and from where
* ``permissions``: what a role may grant, what a command needs, the roles of a new service
* ``errors``: the families of failure and the catalogue of codes
* ``limits``: every number that is a limit
* ``values``: parsing of attributes, names, dates and durations
* ``accounts``, ``services``, ``roles``, ``users``, ``conversations``, ``participants``, ``addresses``,
  ``address_configurations``, ``memberships``, ``messages``, ``push``, ``credentials``, ``notifications``: one subject
  each
"""
