"""Which texts may name a user."""

from __future__ import annotations

from typing import Final

from tertulia.wire import sids

MAX_LENGTH: Final = 256
SYSTEM: Final = "system"
"""The author and creator of what is made without an identity; nobody can connect as it."""


class IdentityRefused(Exception):
    """The text cannot be an identity: ``code`` is the public error code, ``message`` says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def check_identity(identity: str) -> None:
    """Passes every text of 1 to 256 characters that is neither reserved nor shaped like a SID.

    Case counts; spaces, ``@``, ``/`` and all of Unicode are fine. Raises ``IdentityRefused``. Source: semantics 3.3.
    """
    if not identity:
        raise IdentityRefused(50204, "An identity must not be empty")
    if len(identity) > MAX_LENGTH:
        raise IdentityRefused(50207, f"An identity has at most {MAX_LENGTH} characters, this one has {len(identity)}")
    if identity == SYSTEM:
        raise IdentityRefused(50203, f"The identity '{SYSTEM}' is reserved")
    # In URLs an identity stands where a user SID or a participant SID may stand.
    if sids.is_sid(identity, sids.USER) or sids.is_sid(identity, sids.PARTICIPANT):
        raise IdentityRefused(50206, "An identity must not look like the SID of a user or participant")
    # A NUL is the one character that not every database can store.
    if "\0" in identity:
        raise IdentityRefused(50204, "An identity must not contain a NUL character")
