"""Browsers without a screen: subscriptions to any endpoint, and what only they can read."""

from __future__ import annotations

import json
import os
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tertulia.server.domain.credentials import CredentialKind, Secrets
from tertulia.server.push.service import OpenCredential
from tertulia.server.push.vapid import new_pair
from tertulia.wire import base64url


class Browser:
    """One browser, subscribed at an endpoint."""

    def __init__(self, endpoint: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = os.urandom(16)
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.keys = {"p256dh": base64url.encode(point), "auth": base64url.encode(self._auth)}
        self.subscription = json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": self.keys})

    def read(self, body: bytes) -> Any:
        """What a push says; raises for one that is meant for somebody else."""
        return json.loads(http_ece.decrypt(body, private_key=self._key, auth_secret=self._auth))


def credential(updated_at: int = 1, **secrets: str) -> OpenCredential:
    """One with a new pair, but for the secrets given."""
    public, private = new_pair()
    given = {"public_key": public, "private_key": private, "subject": "mailto:ops@tertulia.test", **secrets}
    return OpenCredential(
        sid="CR" + "1" * 32,
        account_sid="AC" + "1" * 32,
        kind=CredentialKind.WEBPUSH,
        sandbox=False,
        secrets=Secrets(**given),
        updated_at=updated_at,
    )
