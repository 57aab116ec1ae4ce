"""A message before it is sent, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from . import arguments
from .attributes import attributes_text
from .configuration import Options
from .errors import InvalidArgumentError
from .files import Files, FileToSend, files_of

if TYPE_CHECKING:
    from .media import MediaService


class MessageDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a message can be made of. It may be sent any number of times; each time makes one message."""

    body: str | None = None
    media: Files = ()
    """A file or several: ``FileToSend``, a ``Path``, bytes, or a pair of one of these and its content type."""
    attributes: Any = None
    """JSON; ``{}`` when not given."""
    subject: str | None = None
    email_bodies: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Long bodies of an e-mail, by content type."""
    email_histories: Mapping[str, str] = msgspec.field(default_factory=dict)
    """What an e-mail answers to, by content type."""
    content_sid: str | None = None
    """A template, in place of all else that it shows."""
    content_variables: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"<MessageDraft with {len(self.files)} files>"

    @property
    def files(self) -> tuple[FileToSend, ...]:
        """Its files, in order. Raises ``InvalidArgumentError`` for what is none."""
        return files_of(self.media)

    def check(self, options: Options) -> None:
        """Raises ``InvalidArgumentError`` for what the server would refuse, as far as that can be known."""
        arguments.words(self.body, "the body of a message")
        arguments.words(self.subject, "subject")
        arguments.words(self.content_sid, "content_sid")
        arguments.texts(self.email_bodies, "email_bodies")
        arguments.texts(self.email_histories, "email_histories")
        arguments.texts(self.content_variables, "content_variables")
        files = self.files
        if not (self.body or files or self.email_bodies or self.email_histories or self.content_sid):
            raise InvalidArgumentError("a message has words, files, or a template")
        if len(files) > options.media_attachments_count_limit:
            raise InvalidArgumentError(
                f"{len(files)} files, {options.media_attachments_count_limit} are allowed in a message"
            )
        if self.content_variables is not None and self.content_sid is None:
            raise InvalidArgumentError("content_variables belong to a template: give content_sid")
        for given, allowed, name in (
            (self.email_bodies, options.email_bodies_allowed_mime_types, "body"),
            (self.email_histories, options.email_histories_allowed_mime_types, "history"),
        ):
            for content_type in given:
                if content_type not in allowed:
                    raise InvalidArgumentError(f"{content_type} is not allowed for the {name} of an e-mail")

    async def upload(self, service: MediaService) -> Sequence[str]:
        """The SIDs of its files, then of its long bodies and histories, all uploaded."""
        parts = [(file, "media") for file in self.files]
        for given, category in ((self.email_bodies, "body"), (self.email_histories, "history")):
            parts += [(FileToSend(text.encode(), content_type=kind), category) for kind, text in given.items()]
        return await service.upload_all(parts) if parts else ()

    def body_of(self, media_sids: Sequence[str]) -> dict[str, object]:
        """The command that makes the message (client-commands 4.3)."""
        body: dict[str, object] = {
            "media_sids": list(media_sids),
            "attributes": attributes_text(self.attributes),
        }
        if self.body is not None:
            body["body"] = self.body
        if self.subject is not None:
            body["subject"] = self.subject
        if self.content_sid is not None:
            body["content_sid"] = self.content_sid
            body["content_variables"] = msgspec.json.encode(self.content_variables or {}).decode()
        return body
