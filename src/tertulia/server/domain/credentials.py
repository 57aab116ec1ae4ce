"""Credentials of push services: what an account proves itself with to Apple, Google and browsers (semantics 7.1)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from .base import Change, Command, Entity
from .errors import BAD_PARAMETER
from .limits import CREDENTIAL_NAME_CHARS, CREDENTIAL_SECRET_CHARS
from .values import check_friendly_name

_OF_TOKENS: Final = frozenset(("key_id", "team_id"))
"""What only Apple's token keys have."""
_NAMES: Final = (*sorted(_OF_TOKENS), "topic")
_NAME: Final = re.compile("[!-~]*")
"""What a header, or Apple, takes for a name."""


class CredentialKind(StrEnum):
    APN = "apn"
    GCM = "gcm"
    """The old name of fcm; shown as it was made, used as fcm."""
    FCM = "fcm"
    WEBPUSH = "webpush"
    """Of ours: browsers, by a VAPID key pair. Not among the published ones."""


class Secrets(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a push service wants to see. Printed without any of it."""

    certificate: str | None = None
    private_key: str | None = None
    key_id: str | None = None
    """With ``team_id`` and ``topic``: Apple's tokens in place of a certificate, the key being the text of a .p8."""
    team_id: str | None = None
    topic: str | None = None
    """The application's bundle id."""
    api_key: str | None = None
    secret: str | None = None
    """A server key, or the JSON of a service account."""
    public_key: str | None = None
    subject: str | None = None
    """Whom push services of browsers may write to: mailto: or https:."""

    def given(self) -> dict[str, str]:
        """What has a value."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name))}

    def is_empty(self) -> bool:
        """No parameter was sent, not even an empty one."""
        return all(getattr(self, name) is None for name in self.__struct_fields__)

    def over(self, before: Secrets) -> Secrets:
        """These where they were sent, else those of before; an empty one removes.

        Of what proves the account to Apple in the other of the two ways, nothing is kept: a key of one is none of the
        other.
        """
        wish = self.trimmed()
        sent = {name: value for name in self.__struct_fields__ if (value := getattr(wish, name)) is not None}
        kept = before.given()
        if before.certificate:
            # Earlier releases kept them beside it, where they do nothing.
            kept = {name: value for name, value in kept.items() if name not in _OF_TOKENS}
        is_begun = {"certificate"} if wish.certificate else _OF_TOKENS & wish.given().keys()
        if is_begun and ("certificate" in is_begun) != bool(before.certificate):
            kept = {}
        return Secrets(**{name: value for name, value in (kept | sent).items() if value})

    def trimmed(self) -> Secrets:
        """Without the blanks and line ends that come with copying, around what goes into headers and claims."""
        names = {name: value.strip() for name in _NAMES if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(self, **names)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(f'{name}=***' for name in self.given())})"


_NEEDED: Final[dict[CredentialKind, tuple[tuple[str, ...], ...]]] = {
    CredentialKind.APN: (("certificate", "private_key"), ("private_key", "key_id", "team_id", "topic")),
    CredentialKind.GCM: (("api_key",),),
    CredentialKind.FCM: (("secret",),),
    CredentialKind.WEBPUSH: (("public_key", "private_key"),),
}
"""The sets of which one has to be complete."""

_BESIDE: Final[dict[CredentialKind, tuple[str, ...]]] = {
    CredentialKind.APN: ("topic",),
    CredentialKind.WEBPUSH: ("subject",),
}


def fitting(kind: CredentialKind, secrets: Secrets) -> Secrets:
    """What belongs to the kind, and is enough for it; raises 20001 that names what is missing, or what cannot be right.

    Whether a push service would take it is not asked: an unusable one fails when it is used (semantics 7.1).
    """
    given = secrets.trimmed().given()
    if all(not set(needed) <= set(given) for needed in _NEEDED[kind]):
        # Of several ways the one that was begun: a key id is no part of a certificate.
        begun = next((way for way in reversed(_NEEDED[kind]) if _OF_TOKENS & set(way) & set(given)), None)
        wanted = next(name for name in begun or _NEEDED[kind][0] if name not in given)
        raise BAD_PARAMETER(f"Missing required parameter {_PARAMETERS[wanted]} in the post body")
    fits = {name: value for name, value in given.items() if name in _own(kind)}
    for name in _NAMES:
        if not _NAME.fullmatch(fits.get(name, "")):
            raise BAD_PARAMETER(f"{_PARAMETERS[name]} has a blank or a letter in it that is not of ASCII")
    if "certificate" in fits and (besides := _OF_TOKENS & fits.keys()):
        raise BAD_PARAMETER(
            f"{_PARAMETERS[min(besides)]} belongs to a token key, not to a Certificate: send one of them"
        )
    return Secrets(**fits)


def check_belonging(kind: CredentialKind, secrets: Secrets) -> None:
    """Raises 20001 that names a parameter which means nothing in a credential of this kind."""
    for name in secrets.given():
        if name not in _own(kind):
            raise BAD_PARAMETER(f"{_PARAMETERS[name]} is no parameter of a credential of the type {kind}")


def _own(kind: CredentialKind) -> set[str]:
    return {name for way in _NEEDED[kind] for name in way}.union(_BESIDE.get(kind, ()))


_PARAMETERS: Final = {
    name: "".join(word.capitalize() for word in name.split("_")) for name in Secrets.__struct_fields__
}


def _check_kind(kind: str) -> CredentialKind:
    try:
        return CredentialKind(kind)
    except ValueError:
        raise BAD_PARAMETER(f"Type is {', '.join(CredentialKind)}") from None


def _check_sizes(secrets: Secrets) -> None:
    for name, value in secrets.given().items():
        if len(value) > CREDENTIAL_SECRET_CHARS:
            raise BAD_PARAMETER(f"{_PARAMETERS[name]} is longer than {CREDENTIAL_SECRET_CHARS} characters")


class Credential(Entity, frozen=True):
    sid: str
    account_sid: str
    kind: CredentialKind
    friendly_name: str | None
    sandbox: bool
    """Apple's sandbox, for applications under development."""
    sealed: str
    """``Secrets`` as JSON, sealed for this SID."""
    created_at: int
    updated_at: int

    def __repr__(self) -> str:
        return f"Credential({self.sid}, {self.kind}, ***)"


class CreateCredential(Command[Credential], frozen=True, kw_only=True):
    """Keep a credential; its secrets never come back."""

    kind: str
    friendly_name: str | None = None
    sandbox: bool = False
    secrets: Secrets

    def check(self) -> None:
        kind = _check_kind(self.kind)
        check_friendly_name(self.friendly_name, CREDENTIAL_NAME_CHARS)
        _check_sizes(self.secrets)
        fitting(kind, self.secrets)


class UpdateCredential(Command[Credential], frozen=True, kw_only=True):
    """Change a credential; one of another kind needs all secrets of that kind, and Apple's other way all of that.

    Raises 20001 for secrets of a kind that it is not of.
    """

    credential: str
    kind: str | UnsetType = UNSET
    friendly_name: str | UnsetType | None = UNSET
    sandbox: bool | UnsetType = UNSET
    secrets: Secrets = Secrets()

    def check(self) -> None:
        if self.kind is not UNSET:
            _check_kind(self.kind)
        if self.friendly_name is not UNSET:
            check_friendly_name(self.friendly_name, CREDENTIAL_NAME_CHARS)
        _check_sizes(self.secrets)


class DeleteCredential(Command[None], frozen=True, kw_only=True):
    """Forget a credential. Registrations under it stay and are inactive from now on (semantics 7.2)."""

    credential: str


class CredentialCreated(Change, frozen=True, kw_only=True):
    credential: Credential


class CredentialUpdated(Change, frozen=True, kw_only=True):
    credential: Credential
    before: Credential


class CredentialDeleted(Change, frozen=True, kw_only=True):
    """Registrations under it are inactive."""

    credential: Credential
