"""The command ``tertulia``. ``main.py`` has every argument; each command has a file of its own, imported when called.

* ``serve`` — runs a server.
* ``chat`` — conversations in the terminal; ``listen`` and ``send`` — the same for scripts, as lines of JSON
  (``event_lines``, ``pipes``, ``complaints``); ``login`` — how the three get in; ``plain`` — words of others, harmless.
* ``env`` — prints what other tools need to reach it.
* ``token`` — prints an access token for an identity.
* ``accounts``, ``keys`` — make, list and end the tenants and their API keys.
* ``doctor`` — looks for trouble and says what to do.
* ``migrate`` — brings the database up to date, or says what that would take.
* ``outbox`` — lists, retries and purges what is owed to others.
* ``settings`` — prints the settings in force and their sources.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 could not, 2 called wrongly.
"""

from __future__ import annotations
