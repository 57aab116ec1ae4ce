"""``X-Twilio-Signature``: proof that a request comes from a holder of the account's auth token (semantics 1.7)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

HEADER: Final = "X-Twilio-Signature"
BODY_HASH: Final = "bodySHA256"
"""The query parameter that ties a body other than a form to the signed URL."""

Parameters = Iterable[tuple[str, str]]
"""The decoded parameters of a form; a name may come several times."""

_STANDARD_PORTS: Final = {"http": ":80", "https": ":443"}


def sign(url: str, parameters: Parameters, auth_token: str) -> str:
    """The value of the header for a request to exactly this URL.

    ``parameters`` are those of a form in the body; there are none for GET, and none for JSON, where the URL is that
    of ``with_body_hash``. The URL is taken as it stands: its port and ``user:password@`` are signed (UNVERIFIED for
    the latter: semantics 1.7), a fragment is left out because it is not sent.
    """
    values: defaultdict[str, set[str]] = defaultdict(set)
    for name, value in parameters:
        values[name].add(value)
    signed = [url.partition("#")[0]]
    signed += [name + value for name in sorted(values) for value in sorted(values[name])]
    digest = hmac.digest(auth_token.encode(), "".join(signed).encode(), hashlib.sha1)
    return base64.b64encode(digest).decode("ascii")


def with_body_hash(url: str, body: bytes) -> str:
    """The URL to request, and to sign, when the body is no form: with the body's hash in its query."""
    bare, hash_sign, fragment = url.partition("#")
    joint = "?" if "?" not in bare else "" if bare.endswith(("?", "&")) else "&"
    return f"{bare}{joint}{BODY_HASH}={hashlib.sha256(body).hexdigest()}{hash_sign}{fragment}"


def verify(signature: str, url: str, parameters: Parameters, auth_token: str, body: bytes | None = None) -> bool:
    """Whether a request to this URL was signed with this auth token.

    ``body`` is given when it is no form; it must then be the one whose hash is in the URL. The URL is tried as it
    stands, and with the standard port added or taken away, because the sender may not have seen the URL as we do.
    The time it takes does not depend on what is wrong.
    """
    fields = list(parameters)
    given = signature.encode()
    matches = [hmac.compare_digest(given, sign(form, fields, auth_token).encode()) for form in _forms(url)]
    return any(matches) and (body is None or _is_hashed(url, body))


def _is_hashed(url: str, body: bytes) -> bool:
    hashes = parse_qs(urlsplit(url).query).get(BODY_HASH, [])
    return len(hashes) == 1 and hmac.compare_digest(hashes[0].encode(), hashlib.sha256(body).hexdigest().encode())


def _forms(url: str) -> tuple[str, str]:
    """The URL as it stands, and with its standard port there or away; a port of one's own is never dropped."""
    scheme, separator, rest = url.partition("://")
    port = _STANDARD_PORTS.get(scheme.lower())
    if port is None:
        return url, url
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    host = authority.rpartition("@")[2].rpartition("]")[2]  # an IPv6 address has colons of its own, in brackets
    if ":" not in host:
        return url, f"{scheme}{separator}{authority}{port}{tail}"
    return url, f"{scheme}{separator}{authority.removesuffix(port)}{tail}"
