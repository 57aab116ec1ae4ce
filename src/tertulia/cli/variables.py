"""The environment variables that speak to our clients, not to a server; they are no settings."""

from __future__ import annotations

from typing import Final

TOKEN: Final = "TERTULIA_TOKEN"  # noqa: S105 (its name)
URL: Final = "TERTULIA_URL"
OF_CLIENTS: Final = frozenset((TOKEN, URL))
