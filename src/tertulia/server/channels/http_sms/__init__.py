"""SMS by the HTTP API of any provider, described by settings alone (gateways 8.3).

In reading order: ``vocabulary`` (words of templates and mappings), ``templates`` and ``paths`` (what is written, what
is read), ``numbers`` (how numbers are spelled), ``proving`` (who calls us), ``settings``, ``presets`` (those of known
providers), ``calling`` (requests that fail), ``asking`` (a message as a request), ``answers``, ``hearing`` (callbacks
as messages and reports), ``files``, ``channel`` (all of it).
"""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
