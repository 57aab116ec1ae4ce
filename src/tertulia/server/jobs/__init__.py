"""Work that nobody waits for.

* ``housekeeping``: what has outlived its use is trimmed, in small bites
"""
