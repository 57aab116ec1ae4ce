"""What a setting counts, and whether it is shown: the ``extra`` of its ``Meta``."""

from __future__ import annotations

BYTES = {"unit": "bytes"}
SECONDS = {"unit": "seconds"}
DAYS = {"unit": "days"}
SECRET = {"secret": True}
