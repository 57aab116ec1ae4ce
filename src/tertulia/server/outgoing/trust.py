"""Whom we believe over TLS, and how we prove ourselves where that is asked. Loads certificates: for a thread."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Final

import certifi

from tertulia.server.outgoing.calls import ClientCertificate

HTTP_1: Final = "http/1.1"
HTTP_2: Final = "h2"


def trusting(protocol: str) -> ssl.SSLContext:
    """Verifies against the system's certificates (``SSL_CERT_FILE`` names others), or a shipped set if it has none.

    Offers one protocol. The same context for all who ask, so it is not to be changed. Raises ``OSError`` where the
    system has no room for it now.
    """
    return _trusting(ssl.get_default_verify_paths(), protocol)


def trusting_only(authorities: str) -> ssl.SSLContext:
    """For what is not HTTP: believes these authorities, in PEM, in place of the system's; empty: as ``trusting``.

    Read once, and not to be changed either. Raises ``ValueError`` for what is no PEM.
    """
    return _trusting_only(authorities) if authorities else _trusting(ssl.get_default_verify_paths(), None)


@lru_cache(maxsize=64)
def _trusting_only(authorities: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=authorities)
    except (OSError, TypeError, ValueError):  # their texts can quote it
        raise ValueError("the authorities are no certificates in PEM") from None


def serving(certificate: ClientCertificate) -> ssl.SSLContext:
    """For those who call us: proves who we are. Raises ``ValueError`` for a certificate that cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _prove(context, certificate)
    return context


def presenting(certificate: ClientCertificate, protocol: str) -> ssl.SSLContext:
    """As ``trusting``, and proves itself with a certificate; raises ``ValueError`` for one that cannot be used.

    Raises ``OSError`` where the system has no room for it now.
    """
    context = _made(ssl.get_default_verify_paths(), protocol)
    _prove(context, certificate)
    return context


def _prove(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    # A line between them: a certificate may end without one.
    pem = f"{certificate.certificate}\n{certificate.private_key}\n".encode()
    try:
        with _as_file(pem) as path:
            # A password is never asked for: the library would ask the terminal.
            context.load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError):  # their texts can quote the file
        raise ValueError("the certificate or its key is no PEM, or they do not belong together") from None


@cache
def _trusting(paths: ssl.DefaultVerifyPaths, protocol: str | None) -> ssl.SSLContext:
    return _made(paths, protocol)


def _made(paths: ssl.DefaultVerifyPaths, protocol: str | None) -> ssl.SSLContext:
    has_own = paths.cafile or paths.capath
    context = ssl.create_default_context(cafile=None if has_own else certifi.where())
    if paths.cafile and not context.cert_store_stats()["x509"]:
        # The library says nothing about a file that it could not open, and would believe nobody from now on.
        os.close(os.open(paths.cafile, os.O_RDONLY))
    if protocol is not None:
        context.set_alpn_protocols([protocol])
    return context


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path where the data can be read, by us alone; in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate")
        try:
            os.write(descriptor, data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "certificate.pem")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        yield path
