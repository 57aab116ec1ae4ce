"""Callbacks: messages and reports in what a provider says, once it has proved who it is."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tertulia.server.domain.channels import Incoming, IncomingMedia, Report
from tertulia.server.domain.receipts import FAILURES, ReceiptStatus
from tertulia.wire.requests import Reply, Request, parse_query

from ..base import Heard, Unreadable
from . import paths
from .calling import document_in
from .numbers import address_of
from .proving import Proving, proved, ties_the_query
from .settings import HttpSmsSettings
from .vocabulary import MOST_FILES, UNKNOWN_ERROR

INBOUND: Final = "/inbound"
STATUS: Final = "/status"
MOST_EVENTS: Final = 500
"""Events of one callback."""
MOST_REPORTS: Final = 50
"""Reports of one event."""
ID_CHARS: Final = 200
OCTETS: Final = "application/octet-stream"
_types: Final = mimetypes.MimeTypes(filenames=())
"""What the system's own tables say differs from machine to machine."""

_FORM: Final = "application/x-www-form-urlencoded"
Spell = Callable[[str], str]


def proving_of(settings: HttpSmsSettings) -> Proving:
    return Proving(
        proof=settings.proof,
        secret=settings.callback_secret,
        user=settings.callback_user,
        public_key=settings.public_key,
        name=settings.proof_name,
        prefix=settings.proof_prefix,
        digest=settings.proof_digest,
        encoding=settings.proof_encoding,
        signed=settings.signed,
        timestamp_name=settings.timestamp_name,
        replay_s=settings.replay_s,
    )


def heard(
    request: Request,
    url: str,
    settings: HttpSmsSettings,
    now_us: int,
    document_of: Callable[[Request], Any] | None = None,
    spell: Spell | None = None,
) -> Heard:
    """What a callback says. Raises ``Forged``, ``Unreadable``.

    ``document_of`` reads a callback that is written in another way than most; ``spell`` makes addresses.
    """
    proving = proving_of(settings)
    tail = proved(request, url, proving, now_us)
    if not ties_the_query(proving):
        request = msgspec.structs.replace(request, query={})
    document = (document_of or document_in_request)(request)
    if document is None:
        raise Unreadable("the callback is neither JSON nor a form")
    reading = _Reading(settings, tail, spell or (lambda text: address_of(text, settings.country_code)))
    events = list(reading.all_of(document))
    if reading.is_lost and not events:
        raise Unreadable("the callback lacks what its mapping names")
    headers = (("content-type", settings.reply_type),)
    return Heard(events=tuple(events), reply=Reply(200, settings.reply_body.encode(), headers))


def document_in_request(request: Request) -> Any:
    """A body of JSON, or the fields of form and query, the form's before the query's. None for what is neither."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "GET" or not request.body:
        return _fields(request.query) or None
    if content_type == _FORM:
        return {**_fields(request.query), **_fields(parse_query(request.body.decode("utf-8", "replace")))}
    document = document_in(request.body)
    return document if isinstance(document, dict | list) else None


def type_of(url: str, otherwise: str = OCTETS) -> str:
    """The content type that the ending of a URL's path tells."""
    try:
        return _types.guess_type(urlsplit(url).path)[0] or otherwise
    except ValueError:
        return otherwise


class _Reading:
    """One callback being read."""

    def __init__(self, settings: HttpSmsSettings, tail: str, spell: Spell) -> None:
        self._settings = settings
        self._spell = spell
        # Where nothing in an event tells what it is, the path does.
        self._messages = bool(settings.message_when) or tail.rstrip("/").endswith(INBOUND)
        self._reports = bool(settings.report_when) or tail.rstrip("/").endswith(STATUS)
        self.is_lost = not (self._messages or self._reports)
        """Something was there that could not be read."""

    def all_of(self, document: Any) -> Iterable[Incoming | Report]:
        for event in paths.found(document, self._settings.events_path)[:MOST_EVENTS]:
            if self._messages and paths.holds(event, self._settings.message_when):
                message = self._message(event)
                self.is_lost |= message is None
                if message is not None:
                    yield message
            elif self._reports and paths.holds(event, self._settings.report_when):
                yield from self._reports_in(event)

    def _message(self, event: Any) -> Incoming | None:
        where = self._settings.message
        sender = paths.text(event, where.get("sender")) or ""
        ours, *further = self._addresses(event, where.get("recipient")) or [self._settings.our_number]
        if not sender or not ours:
            return None
        person = self._spell(sender)
        others = [*further, *self._addresses(event, where.get("others"))]
        return Incoming(
            provider_id=_name_of(event, where.get("id")),
            sender=person,
            recipient=ours,
            others=tuple(one for one in dict.fromkeys(others) if one not in (person, ours)),
            text=paths.text(event, where.get("text")),
            subject=paths.text(event, where.get("subject")) or None,
            media=tuple(_media(event, where)),
            profile_name=paths.text(event, where.get("name")) or None,
        )

    def _addresses(self, event: Any, path: str | None) -> list[str]:
        return [self._spell(one) for one in paths.texts(event, path) if one.strip()] if path is not None else []

    def _reports_in(self, event: Any) -> Iterable[Report]:
        where = self._settings.report
        items = paths.found(event, where["each"])[:MOST_REPORTS] if "each" in where else [None]
        for item in items:
            # An event may be what has members of any name: it is not changed.
            view = {**event, "each": item} if isinstance(event, dict) else event
            report = self._report(view, where)
            if report is not None:
                yield report

    def _report(self, view: Any, where: Mapping[str, str]) -> Report | None:
        said = self._settings.statuses.get(paths.text(view, where.get("status")) or "")
        handle = paths.text(view, where.get("id"))
        if not handle or len(handle) > ID_CHARS:
            self.is_lost = True
            return None
        if said is None:
            return None
        status = ReceiptStatus(said)
        code = paths.code(view, where.get("code")) or ""
        recipient = paths.text(view, where.get("recipient")) if "each" in where else None
        return Report(
            status=status,
            handle=handle,
            error_code=self._settings.codes.get(code, UNKNOWN_ERROR) if status in FAILURES else 0,
            recipient=self._spell(recipient) if recipient else None,
        )


def _name_of(event: Any, path: str | None) -> str:
    """What a repeat is known by: its name, or, without one, all that it says."""
    name = paths.text(event, path)
    if name and len(name) <= ID_CHARS:
        return name
    return hashlib.sha256(msgspec.json.encode(event, order="deterministic")).hexdigest()


def _media(event: Any, where: Mapping[str, str]) -> Iterable[IncomingMedia]:
    urls = paths.texts(event, where["media_url"]) if "media_url" in where else []
    types = paths.texts(event, where["media_type"]) if "media_type" in where else []
    names = paths.texts(event, where["media_name"]) if "media_name" in where else []
    for at, url in enumerate(urls[:MOST_FILES]):
        said = types[at] if len(types) == len(urls) and "/" in types[at] else type_of(url)
        yield IncomingMedia(
            content_type=said.partition(";")[0].strip().lower(),
            filename=names[at] if len(names) == len(urls) else None,
            reference=url,
        )


def _fields(query: Mapping[str, list[str]]) -> dict[str, Any]:
    return {name: values[0] if len(values) == 1 else values for name, values in query.items()}
