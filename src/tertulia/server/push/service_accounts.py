"""The service account by which Google knows a credential: its JSON file, as the Firebase console hands it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from tertulia.server.domain.credentials import Secrets

from .keys import private_key_in
from .service import Unusable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LEAST_KEY_BITS: Final = 2048

OLD_SERVER_KEY: Final = (
    "the credential holds an old server key, which Google no longer accepts:"
    " put the JSON of a service account in its place"
)
GOOGLE_SERVICES: Final = (
    "the credential holds the google-services.json of an application: put the JSON of a service account in its place"
)

Word = Annotated[str, Meta(min_length=1, max_length=1000)]


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What of the file is used. Printed without its key."""

    type: Literal["service_account"]
    project_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
    client_email: Word
    private_key: Annotated[str, Meta(min_length=1)]
    private_key_id: Word
    token_uri: Annotated[str, Meta(pattern=r"^https?://[^\s#@]+$", max_length=500)]
    """Who hands out access tokens; it is also whom they are asked for (``aud``)."""

    def __repr__(self) -> str:
        return f"ServiceAccount({self.project_id}, ***)"


def service_account_in(secrets: Secrets) -> ServiceAccount:
    """The service account of a credential; raises ``Unusable``. Its key is not looked at: see ``signing_key``.

    A credential of the old type has it in place of the server key it was made for.
    """
    text = secrets.secret or secrets.api_key or ""
    try:
        members = _members(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        if text.lstrip().startswith("{"):
            raise Unusable("the credential should hold the JSON of a service account, and it is not whole") from None
        raise Unusable(OLD_SERVER_KEY) from None
    if "project_info" in members:
        raise Unusable(GOOGLE_SERVICES)
    try:
        return _account(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Unusable(_fault(members)) from None


def signing_key(account: ServiceAccount) -> RSAPrivateKey:
    """The key to sign with; raises ``Unusable``.

    Loads a heavy library, and takes half a second at most: for a thread.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    key = private_key_in(account.private_key, "the private_key in the JSON of the service account")
    if not isinstance(key, RSAPrivateKey):
        raise Unusable("the private_key in the JSON of the service account is not an RSA key")
    if key.key_size < LEAST_KEY_BITS:
        raise Unusable(f"the private_key in the JSON of the service account has less than {LEAST_KEY_BITS} bits")
    return key


_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_account = msgspec.json.Decoder(ServiceAccount).decode


def _fault(members: dict[str, msgspec.Raw]) -> str:
    """Which member is at fault. What the decoder says would quote some of them."""
    kind = members.get("type")
    if kind is None or bytes(kind) != b'"service_account"':
        return "the JSON in the credential is not that of a service account (its type is another one)"
    for member in msgspec.structs.fields(ServiceAccount):
        if member.name not in members:
            return f"the JSON of the service account has no {member.name}"
        try:
            msgspec.json.decode(members[member.name], type=member.type)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return f"the {member.name} in the JSON of the service account is not one"
    return "the JSON of the service account cannot be read"
