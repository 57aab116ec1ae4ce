"""Credentials of push services: keeping, changing, forgetting; their secrets are sealed (semantics 7.1)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from tertulia.server.domain.credentials import (
    CreateCredential,
    Credential,
    CredentialCreated,
    CredentialDeleted,
    CredentialKind,
    CredentialUpdated,
    DeleteCredential,
    Secrets,
    UpdateCredential,
    check_belonging,
    fitting,
)
from tertulia.server.domain.errors import RESOURCE_NOT_FOUND
from tertulia.server.sealing import Sealer

from .rules import handles
from .scenes import AccountScene, in_account
from .unit import Unit

_secrets = msgspec.json.Decoder(Secrets).decode


def opened(sealer: Sealer, credential: Credential) -> Secrets:
    """What the credential proves itself with. Raises ``SealingError``."""
    return _secrets(sealer.open(credential.sealed, credential.sid))


def _sealed(unit: Unit, sid: str, secrets: Secrets) -> str:
    return unit.sealer.seal(msgspec.json.encode(secrets).decode(), sid)


@handles(CreateCredential, on=in_account, for_clients=False)
async def create_credential(unit: Unit, command: CreateCredential, _scene: AccountScene) -> Credential:
    sid, kind = unit.new_sid("CR"), CredentialKind(command.kind)
    credential = Credential(
        sid=sid,
        account_sid=unit.caller.account_sid,
        kind=kind,
        friendly_name=command.friendly_name or None,
        sandbox=command.sandbox,
        sealed=_sealed(unit, sid, fitting(kind, command.secrets)),
        created_at=unit.now,
        updated_at=unit.now,
    )
    await unit.credentials.add(credential)
    unit.record(CredentialCreated(credential=credential))
    return credential


@handles(UpdateCredential, on=in_account, for_clients=False)
async def update_credential(unit: Unit, command: UpdateCredential, _scene: AccountScene) -> Credential:
    before = await _locked(unit, command.credential)
    kind = before.kind if command.kind is UNSET else CredentialKind(command.kind)
    sealed = before.sealed
    if kind != before.kind or not command.secrets.is_empty():
        check_belonging(kind, command.secrets)
        had = opened(unit.sealer, before)
        # Secrets of one kind mean nothing in another, though a parameter may have the same name.
        secrets = fitting(kind, command.secrets.over(had if kind == before.kind else Secrets()))
        if secrets != had:
            sealed = _sealed(unit, before.sid, secrets)
    edited = msgspec.structs.replace(
        before,
        kind=kind,
        friendly_name=before.friendly_name if command.friendly_name is UNSET else command.friendly_name or None,
        sandbox=before.sandbox if command.sandbox is UNSET else command.sandbox,
        sealed=sealed,
    )
    if edited == before:
        return before
    credential = msgspec.structs.replace(edited, updated_at=unit.now)
    await unit.credentials.save(credential, before)
    unit.record(CredentialUpdated(credential=credential, before=before))
    return credential


@handles(DeleteCredential, on=in_account, for_clients=False)
async def delete_credential(unit: Unit, command: DeleteCredential, _scene: AccountScene) -> None:
    credential = await _locked(unit, command.credential)
    await unit.credentials.remove(credential.sid)
    unit.record(CredentialDeleted(credential=credential))


async def _locked(unit: Unit, sid: str) -> Credential:
    credential = await unit.credentials.lock(unit.caller.account_sid, sid)
    if credential is None:
        raise RESOURCE_NOT_FOUND()
    return credential
