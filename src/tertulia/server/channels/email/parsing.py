"""Mails are read beside everything else, one at a time: whatever they hold, others of the process have their turn."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tertulia.server.domain.channels import Incoming, Report

from .reading import Delivered, Ignored, Ours, read_mail

_READER: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="email")


async def parsed(mail: Delivered, ours: Ours) -> tuple[Incoming | Report, ...] | Ignored:
    """What a mail says."""
    return await asyncio.get_running_loop().run_in_executor(_READER, read_mail, mail, ours)
