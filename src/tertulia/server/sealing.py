"""Secrets at rest: sealed with one key of the installation, bound to the place they are kept.

Sealed are the secrets we must be able to use again: API key secrets and auth tokens (they sign), push credentials,
channel accounts. The key is in the settings or in a file of its own, never in the database, so a copy of the
database alone gives none of them away.

A sealed text is ``s1.<key id>.<base64url of nonce, ciphertext and tag>``: AES-256-GCM under a key derived from the
installation's. The key id tells a wrong key from a damaged text; it is derived too, and says nothing about the key.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class SealingError(Exception):
    """A secret, or the key to all of them, is not usable."""


class BadKey(SealingError):
    """What should be the key is none: wrong length or form, or a file that others can read."""


class WrongKey(SealingError):
    """This was sealed with another key. Give the installation the key it was set up with."""


class SealBroken(SealingError):
    """The text is damaged, or was sealed for another place."""


class Sealer:
    """Seals and opens with one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise BadKey(f"a sealing key has {KEY_BYTES} bytes, this one {len(key)}")
        self._key = key
        self._cipher: AESGCM | None = None
        self.key_id = self.derive("key id")[:6].hex()
        """Tells keys apart. Kept with the data, to notice a wrong key at the start: see ``require``."""

    def require(self, key_id: str) -> None:
        """Raise ``WrongKey`` unless the data with this key id was sealed with this key."""
        if key_id != self.key_id:
            raise WrongKey(f"the data was sealed with key {key_id}, the key given is {self.key_id}")

    def derive(self, purpose: str) -> bytes:
        """32 bytes that only holders of the key can know, different for each purpose (HKDF-SHA256, RFC 5869)."""
        extracted = hmac.digest(bytes(32), self._key, "sha256")
        return hmac.digest(extracted, f"tertulia {purpose}".encode() + b"\x01", "sha256")

    def seal(self, text: str, context: str) -> str:
        """The text, readable only with the key and for the same context (say, the SID of its owner)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._aes().encrypt(nonce, text.encode(), context.encode())
        return f"s1.{self.key_id}.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def open(self, text: str, context: str) -> str:
        """What was sealed. Raises ``WrongKey`` or ``SealBroken``."""
        version, _, rest = text.partition(".")
        key_id, _, sealed = rest.partition(".")
        if version != "s1":
            raise SealBroken("this is no sealed text")
        self.require(key_id)
        from cryptography.exceptions import InvalidTag  # late, see _aes

        try:
            octets = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
            return self._aes().decrypt(octets[:_NONCE_BYTES], octets[_NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise SealBroken("the sealed text is damaged, or belongs to another place") from None

    def _aes(self) -> AESGCM:
        if self._cipher is None:
            # Late: the import takes 30 ms, and a server without accounts, or a command that only looks, needs none.
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(self.derive("sealing"))
        return self._cipher


def new_key() -> str:
    """A new key, as settings and key files hold it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def key_of(text: str) -> bytes:
    """The key that a setting holds: base64 (of either alphabet) or hexadecimal of 32 bytes. Raises ``BadKey``."""
    text = text.strip()
    if len(text) == 2 * KEY_BYTES:
        with contextlib.suppress(ValueError):
            return bytes.fromhex(text)
    try:
        key = base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKey(f"a sealing key is base64 or hexadecimal of {KEY_BYTES} random bytes")
    return key


def key_in_file(path: Path) -> bytes:
    """The key in this file; made first, for its owner alone (mode 0600), when there is none. Raises ``BadKey``.

    Of two processes that make it at once both get the same.
    """
    with contextlib.suppress(FileNotFoundError):
        return _read_key(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    # What is sealed with a key that a power cut takes away is lost: its folder's entry has to be on disk, too.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    with path.open() as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise BadKey(f"others may read {path}: chmod 600 it, and renew the key if they have")
        text = file.read(1024)
    try:
        return key_of(text)
    except BadKey as error:
        raise BadKey(f"{path}: {error}") from None
