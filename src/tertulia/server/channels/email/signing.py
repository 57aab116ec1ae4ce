"""DKIM: a mail signed in the name of a domain (RFC 6376, 8463), so that receivers believe that it is hers.

The library that others use wants the whole mail in memory and signs in slow Python; here its body goes by in pieces.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from . import headers

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SIGNED: Final = (
    "from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references", "reply-to", "mime-version",
    "content-type", "content-transfer-encoding", "auto-submitted", "list-id", "disposition-notification-to",
)  # fmt: skip
SMALLEST_RSA: Final = 1024
"""Bits; receivers take shorter ones for none."""

_WHITE: Final = re.compile(rb"[ \t]+")


class BodyHash:
    """What a body comes to in the relaxed form, fed piece by piece."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._line = b""
        self._empty = 0

    def feed(self, piece: bytes) -> None:
        *lines, self._line = (self._line + piece).split(b"\r\n")
        for line in lines:
            self._take(line)

    def result(self) -> str:
        if self._line:
            self._take(self._line)
            self._line = b""
        return base64.b64encode(self._hash.digest()).decode("ascii")

    def _take(self, line: bytes) -> None:
        line = _WHITE.sub(b" ", line).rstrip(b" ")
        if not line:
            self._empty += 1
            return
        self._hash.update(b"\r\n" * self._empty + line + b"\r\n")
        self._empty = 0


class Signer:
    """Signs as one domain. Raises ``ValueError`` for a key that cannot sign."""

    def __init__(self, domain: str, selector: str, pem: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        self._domain = domain.encode("idna").decode("ascii").lower()
        self._selector = selector
        self._key: RSAPrivateKey | Ed25519PrivateKey
        try:
            key = load_pem_private_key(pem.encode(), None)
        except (ValueError, TypeError):  # their texts can quote the key
            raise ValueError("dkim_key is no private key as PEM, or has a password") from None
        if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey) or (
            isinstance(key, RSAPrivateKey) and key.key_size < SMALLEST_RSA
        ):
            raise ValueError("dkim_key is neither RSA of 1024 bits or more nor Ed25519")
        self._key = key

    def signature(self, head: Sequence[str], body_hash: str, now: int) -> str:
        """The header that goes before ``head``; ``now`` in UTC microseconds."""
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

        present = {line.partition(":")[0].lower(): line for line in head}
        names = [name for name in SIGNED if name in present]
        is_rsa = isinstance(self._key, RSAPrivateKey)
        unsigned = headers.folded(
            "DKIM-Signature",
            [
                "v=1;",
                f"a={'rsa' if is_rsa else 'ed25519'}-sha256;",
                "c=relaxed/relaxed;",
                f"d={self._domain};",
                f"s={self._selector};",
                f"t={now // 1_000_000};",
                # From twice: another one that is added later breaks the signature.
                *f"h={': '.join((*names, 'from'))};".split(" "),
                f"bh={body_hash};",
                "b=",
            ],
        )
        data = "".join(f"{_relaxed(present[name])}\r\n" for name in names) + _relaxed(unsigned)
        digest = hashlib.sha256(data.encode()).digest()
        signed = base64.b64encode(self._sign(data.encode(), digest)).decode("ascii")
        lines = [signed[start : start + 72] for start in range(0, len(signed), 72)]
        return unsigned + "\r\n ".join(lines)

    def _sign(self, data: bytes, digest: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.hashes import SHA256

        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(data, PKCS1v15(), SHA256())
        return self._key.sign(digest)


def _relaxed(header: str) -> str:
    name, _, value = header.partition(":")
    return f"{name.lower().strip()}:{' '.join(value.split())}"
