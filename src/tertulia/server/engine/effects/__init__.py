"""What follows from a change, in the same transaction (architecture 4).

* ``sync``: what clients see, in the order they need
"""

from __future__ import annotations

from . import sync as sync
