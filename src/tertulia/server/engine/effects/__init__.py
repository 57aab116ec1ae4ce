"""What follows from a change, in the same transaction (architecture 4).

* ``push``: what devices may have to be told
* ``sync``: what clients see, in the order they need
* ``channels``: who gets a message outside the chat
* ``accounts``: what nodes forget when a key or an account ends
* ``presence``: who is shown as notifiable, and what follows from turning reachability on or off
* ``timers``: what will make conversations inactive and close them
* ``webhooks``: whom we owe word of it
"""

from __future__ import annotations

from . import accounts as accounts
from . import channels as channels
from . import presence as presence
from . import push as push
from . import sync as sync
from . import timers as timers
from . import webhooks as webhooks
