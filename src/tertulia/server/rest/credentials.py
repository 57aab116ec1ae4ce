"""Credentials of push services (rest 12). Their secrets go in and never come out."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from tertulia.server.domain import credentials as domain
from tertulia.server.domain.credentials import Credential, CredentialKind, Secrets
from tertulia.server.domain.values import second
from tertulia.server.web.forms import Folded, Form, one_of
from tertulia.server.web.operations import Call, Operations
from tertulia.server.web.paging import ListRule, Meta, PageQuery, Paging

from .views import FACE, PREFIX

OPERATIONS = Operations(FACE, PREFIX)
LIST = ListRule("credentials", size=50, most=100)

Kind = Annotated[Folded, one_of(*CredentialKind)]


class CredentialView(msgspec.Struct, frozen=True):
    sid: str
    account_sid: str
    friendly_name: str | None
    type: str
    sandbox: str
    """``True`` or ``False``, as text: typed libraries decode one (rest 1.4)."""
    date_created: str
    date_updated: str
    url: str

    @classmethod
    def of(cls, credential: Credential, root: str) -> CredentialView:
        return cls(
            sid=credential.sid,
            account_sid=credential.account_sid,
            friendly_name=credential.friendly_name,
            type=credential.kind,
            sandbox=str(credential.sandbox),
            date_created=second(credential.created_at),
            date_updated=second(credential.updated_at),
            url=f"{root}/Credentials/{credential.sid}",
        )


class CredentialList(msgspec.Struct, frozen=True):
    meta: Meta
    credentials: list[CredentialView]


class SecretsForm(Form, frozen=True, kw_only=True):
    """What creating and updating a credential share. ``KeyId`` and after are additions of ours (semantics 7.1)."""

    certificate: str | None = None
    private_key: str | None = None
    api_key: str | None = None
    secret: str | None = None
    key_id: str | None = None
    team_id: str | None = None
    topic: str | None = None
    public_key: str | None = None
    subject: str | None = None

    def secrets(self) -> Secrets:
        return Secrets(**{name: getattr(self, name) for name in Secrets.__struct_fields__})

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class CreateCredential(SecretsForm, frozen=True, kw_only=True):
    type: Kind
    friendly_name: str | None = None
    sandbox: bool = False


class UpdateCredential(SecretsForm, frozen=True, kw_only=True):
    type: Kind | UnsetType = UNSET
    friendly_name: str | UnsetType = UNSET
    sandbox: bool | UnsetType = UNSET


@OPERATIONS.operation("POST", "/Credentials", CreateCredential, status=201)
async def create_credential(call: Call, form: CreateCredential) -> CredentialView:
    """Keep a credential with the secrets of its type, sealed."""
    credential = await call.execute(
        domain.CreateCredential(
            kind=form.type, friendly_name=form.friendly_name, sandbox=form.sandbox, secrets=form.secrets()
        )
    )
    return CredentialView.of(credential, call.root)


@OPERATIONS.operation("GET", "/Credentials", query=PageQuery)
async def list_credentials(call: Call) -> CredentialList:
    """The credentials of the account, by age."""
    paging: Paging[Credential] = Paging(call, LIST, call.query)
    read = await call.queries.of_account.credentials(call.caller, paging.page)
    root = call.root
    return CredentialList(paging.meta(read, _key), [CredentialView.of(one, root) for one in paging.cut(read)])


@OPERATIONS.operation("GET", "/Credentials/{credential}")
async def fetch_credential(call: Call) -> CredentialView:
    """One credential, without its secrets."""
    found = await call.queries.of_account.credential(call.caller, call.path["credential"])
    return CredentialView.of(found, call.root)


@OPERATIONS.operation("POST", "/Credentials/{credential}", UpdateCredential)
async def update_credential(call: Call, form: UpdateCredential) -> CredentialView:
    """Change a credential; what is not sent stays. Another type, or Apple's other way, needs all secrets of it."""
    credential = await call.execute(
        domain.UpdateCredential(
            credential=call.path["credential"],
            kind=form.type,
            friendly_name=form.friendly_name,
            sandbox=form.sandbox,
            secrets=form.secrets(),
        )
    )
    return CredentialView.of(credential, call.root)


@OPERATIONS.operation("DELETE", "/Credentials/{credential}", status=204)
async def delete_credential(call: Call) -> None:
    """Forget a credential; devices registered under it stay registered and are no longer woken."""
    await call.execute(domain.DeleteCredential(credential=call.path["credential"]))


def _key(credential: Credential) -> str:
    return credential.sid
