"""``tertulia push why``: whose devices rang because of a message or a membership, and why the others did not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import msgspec

from tertulia.cli.call import resolve_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.installation import at_installation
from tertulia.cli.tables import Fact, print_all, time_of
from tertulia.server import app
from tertulia.server.domain.errors import NotFound
from tertulia.server.domain.notices import Delivery
from tertulia.server.domain.push_explained import Explanation, reason_of
from tertulia.server.engine.push_explaining import PushExplaining, key_of
from tertulia.server.rest.push_explained import ExplanationView
from tertulia.server.storage.paging import Page

AT_ONCE = 200
"""So many are read at a time."""


def run(options: argparse.Namespace) -> int:
    """Print who was told, then who was not; with ``--json`` what ``GET /push/...`` answers, all in one array."""
    resolved = resolve_settings(options)

    async def read(installation: app.Installation) -> list[Explanation]:
        installation.first_account()
        asking = PushExplaining(installation.database, installation.clock, resolved.settings.push.log_days)
        try:
            explained = await asking.why(None, options.sid, Page(AT_ONCE))
        except NotFound as refusal:
            raise CommandFailed(
                f"{options.sid}: {refusal.message}; it was removed, or belongs to another data folder than"
                f" {resolved.settings.server.data} (--data)"
            ) from refusal
        page = explained
        while len(page) == AT_ONCE:
            page = await asking.why(None, options.sid, Page(AT_ONCE, key_of(page[-1])))
            explained += page
        return explained

    explained = at_installation(resolved, read)
    if options.json:
        print(msgspec.json.encode([ExplanationView.of(one) for one in explained]).decode())
        return 0
    if not explained:
        print("tertulia: nobody is concerned: the conversation has no chat members", file=sys.stderr)
    rang = [one for one in explained if one.rang]
    silent = [one for one in explained if not one.rang]
    for title, part, rows in (("rang", rang, _rung), ("did not ring", silent, _silent)):
        if part:
            print(f"{title}: {len(part)} of {len(explained)}")
            print_all(rows(part), as_json=False)
    return 0


def _rung(part: Sequence[Explanation]) -> list[dict[str, Fact]]:
    """A row for each device of those of whom one has rung."""
    return [{**_who(one), **device_facts(device)} for one in part for device in one.devices]


def _silent(part: Sequence[Explanation]) -> list[dict[str, Fact]]:
    """A row for each device, and one for somebody without; no columns that nothing would be in."""
    has_devices = any(one.devices for one in part)
    rows = []
    for one in part:
        devices: Sequence[Delivery | None] = one.devices or (None,)
        for device in devices:
            facts = device_facts(device) if has_devices else {}
            facts.pop("answer", None)  # it is in the reason
            why = one.why_not if device is None else reason_of(device)
            rows.append({**_who(one), **facts, "why": why})
    return rows


def _who(explained: Explanation) -> dict[str, Fact]:
    return {"identity": explained.identity, "about": explained.kind}


def device_facts(device: Delivery | None) -> dict[str, Fact]:
    """What can be said of a device; a dash for each where there is none."""
    if device is None:
        return dict.fromkeys(("device", "type", "credential", "state", "attempts", "answer", "date"))
    return {
        "device": device.registration_sid,
        "type": device.kind,
        "credential": device.credential_sid,
        "state": device.state,
        "attempts": str(device.attempts),
        "answer": device.answer,
        "date": time_of(device.at),
    }
