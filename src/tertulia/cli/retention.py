"""``tertulia retention``: how long services keep what is said in them, also while a server runs."""

from __future__ import annotations

import argparse

from msgspec import UNSET, UnsetType

from tertulia.cli.call import resolve_settings
from tertulia.cli.failure import CommandFailed
from tertulia.cli.installation import at_installation
from tertulia.cli.tables import Fact, print_one
from tertulia.server import app
from tertulia.server.domain.retention import ChooseRetention, Retention
from tertulia.server.settings import RetentionSettings
from tertulia.server.sources import Resolved
from tertulia.server.storage.retention import Retentions
from tertulia.server.storage.services import Services

_DEFAULT = "default"


def run(options: argparse.Namespace) -> int:
    """Choose for a service, or show what holds for it."""
    return {"set": _set, "show": _show}[options.what](options, resolve_settings(options))


def _set(options: argparse.Namespace, resolved: Resolved) -> int:
    wish = ChooseRetention(
        service=options.service,
        messages_days=_days("--messages-days", options.messages_days),
        closed_conversations_days=_days("--closed-conversations-days", options.closed_conversations_days),
    )
    if wish.messages_days is UNSET and wish.closed_conversations_days is UNSET:
        raise CommandFailed("say what to change: --messages-days, --closed-conversations-days")

    async def choose(installation: app.Installation) -> Retention:
        return await installation.execute(wish)

    chosen = at_installation(resolved, choose, writes=True)
    print_one(_facts(chosen, resolved.settings.retention), as_json=options.json)
    return 0


def _show(options: argparse.Namespace, resolved: Resolved) -> int:
    async def read(installation: app.Installation) -> Retention:
        installation.first_account()
        async with installation.database.snapshot() as connection:
            service = await Services(connection).get(options.service)
            if service is None:
                raise CommandFailed(f"there is no service {options.service}")
            chosen = await Retentions(connection).find(service.sid)
        return chosen or Retention(service.sid, service.account_sid, None, None)

    print_one(_facts(at_installation(resolved, read), resolved.settings.retention), as_json=options.json)
    return 0


def _days(name: str, text: str | None) -> int | UnsetType | None:
    """A number of days; None for the installation's; unset when nothing is said."""
    if text is None:
        return UNSET
    if text == _DEFAULT:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise CommandFailed(f"{name} {text}: expected days, 0 for good, or {_DEFAULT} for what the settings say")
    return int(text)


def _facts(chosen: Retention, settings: RetentionSettings) -> dict[str, Fact]:
    own, closed = chosen.messages_days, chosen.closed_conversations_days
    return {
        "service_sid": chosen.service_sid,
        "messages_days": str(settings.messages_days if own is None else own),
        "messages_days_from": "settings" if own is None else "service",
        "closed_conversations_days": str(settings.closed_conversations_days if closed is None else closed),
        "closed_conversations_days_from": "settings" if closed is None else "service",
    }
