"""Who asks, and from where. Decided once, at the edge."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class CallerKind(StrEnum):
    ACCOUNT = "account"
    """Holder of the account's token or of an API key: every permission."""
    IDENTITY = "identity"
    """A user, by an access token: the permissions of his roles."""
    CHANNEL = "channel"
    """Somebody who writes to us from outside: he may send what he has written, and nothing else."""
    SYSTEM = "system"
    """A timer, or the server itself."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants something. Pre-action hooks and webhooks run only when ``hooks`` is true (semantics 1.2)."""

    kind: CallerKind
    account_sid: str
    service_sid: str | None = None
    """The service of a token; an account key has all services of its account."""
    identity: str | None = None
    hooks: bool = True
    mutation_id: str | None = None
    """Repeats of one wish carry the same id and get the same answer."""
    endpoint_id: str | None = None
    """The device, as the token names it."""
    push_credential_sid: str | None = None
    """The credential under which the token's device is registered for push."""
    address: str | None = None
    """Of somebody on a channel: where he writes from."""
    source: str | None = None
    """What webhooks are told that his deeds come from; None: what his kind says."""

    @property
    def is_identity(self) -> bool:
        return self.kind is CallerKind.IDENTITY

    @property
    def is_link_holder(self) -> bool:
        return self.identity == ""

    @property
    def author(self) -> str:
        """The name under which this caller's deeds are kept: his identity, or ``system`` (semantics 3.3).

        An address is no such name: it is the author of a message, but a user might have it for his identity.
        """
        return self.identity if self.identity is not None else "system"

    @property
    def key(self) -> str:
        """Names the caller in the table of mutation ids."""
        if self.identity is not None:
            return f"{self.service_sid}/{self.identity}"
        return f"{self.account_sid}/{self.kind}"


def account(sid: str, *, hooks: bool = False) -> Caller:
    """The holder of an account's credentials. Hooks are off unless the request says otherwise (rest 1.3)."""
    return Caller(kind=CallerKind.ACCOUNT, account_sid=sid, hooks=hooks)


def identity(
    account_sid: str,
    service_sid: str,
    name: str,
    *,
    mutation_id: str | None = None,
    endpoint_id: str | None = None,
    push_credential_sid: str | None = None,
) -> Caller:
    """The user behind an access token. An empty mutation id is none."""
    return Caller(
        kind=CallerKind.IDENTITY,
        account_sid=account_sid,
        service_sid=service_sid,
        identity=name,
        mutation_id=mutation_id or None,
        endpoint_id=endpoint_id,
        push_credential_sid=push_credential_sid,
    )


def link_holder(account_sid: str, service_sid: str) -> Caller:
    """Whoever has one of our signed URLs: a user whom nobody knows, so that he may do what it says and nothing else."""
    return Caller(kind=CallerKind.IDENTITY, account_sid=account_sid, service_sid=service_sid, identity="")


def channel(account_sid: str, address: str, *, source: str | None = None) -> Caller:
    """Somebody whose message came in over a channel; hooks are on (semantics 1.2)."""
    return Caller(kind=CallerKind.CHANNEL, account_sid=account_sid, address=address, source=source)


def operator() -> Caller:
    """Who runs the installation, above all accounts: the command line."""
    return Caller(kind=CallerKind.SYSTEM, account_sid="")


def system(account_sid: str) -> Caller:
    """The server itself, acting in one account."""
    return Caller(kind=CallerKind.SYSTEM, account_sid=account_sid)
