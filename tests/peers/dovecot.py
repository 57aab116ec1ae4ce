"""Dovecot, the mail server that most mailboxes of the world are in: a process of an ordinary user's, on loopback."""

from __future__ import annotations

import asyncio
import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from tests.peers.authority import Issued

PROGRAM: Final = shutil.which(
    "dovecot", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
)
NOBODY: Final = 65534
WITHIN_S: Final = 20.0
USERNAME: Final = "support"
PASSWORD: Final = 'odd "pass\\word" {9}'

_CONFIGURATION: Final = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
mail_location = maildir:{folder}/mail
disable_plaintext_auth = no
auth_mechanisms = plain login
{tls}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


class DovecotPeer:
    """A mailbox with STARTTLS if it has a certificate. Skips visibly where Dovecot (2.3) is not installed.

    It refuses to serve mail as root; where the tests run as root it runs as nobody.
    """

    host = "127.0.0.1"

    def __init__(self, certificate: Issued | None = None) -> None:
        self.port = 0
        self._certificate = certificate
        self._folder = Path()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        if PROGRAM is None:
            pytest.skip("Dovecot is missing: Debian has it as dovecot-imapd")
        owner = await asyncio.to_thread(self._prepare)
        uid, gid = (None, None) if owner is None else owner
        self._process = await asyncio.create_subprocess_exec(
            PROGRAM,
            "-F",
            "-c",
            str(self._folder / "conf"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            user=uid,
            group=gid,
            extra_groups=None if owner is None else [],
        )
        try:
            await asyncio.to_thread(self._greeted)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def bring(self, *mails: bytes, folder: str = "INBOX") -> None:
        """Mail comes."""

        def append() -> None:
            with self._client() as client:
                for mail in mails:
                    assert client.append(folder, "", "", mail)[0] == "OK"

        await asyncio.to_thread(append)

    async def flags(self, folder: str = "INBOX") -> list[set[str]]:
        """Those of each mail, in its order."""

        def look() -> list[set[str]]:
            with self._client() as client:
                client.select(folder, readonly=True)
                if not client.search(None, "ALL")[1][0]:
                    return []
                said = client.fetch("1:*", "(FLAGS)")[1]
                lines = [one.decode() for one in said if isinstance(one, bytes)]
                return [set(line.partition("FLAGS (")[2].rstrip(")").split()) - {"\\Recent"} for line in lines]

        return await asyncio.to_thread(look)

    async def make(self, folder: str) -> None:
        """A folder anew, with other UIDs than it had, if it was there."""

        def begin() -> None:
            with self._client() as client:
                client.delete(folder)
                assert client.create(folder)[0] == "OK"

        await asyncio.to_thread(begin)

    def _prepare(self) -> tuple[int, int] | None:
        """Its folder; whose process it is to be, where it cannot be ours."""
        uid, gid = (NOBODY, NOBODY) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        self._folder = folder = Path(tempfile.mkdtemp(prefix="dovecot"))
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            self.port = probe.getsockname()[1]
        (folder / "users").write_text(f"{USERNAME}:{{PLAIN}}{PASSWORD}\n")
        tls = "ssl = no"
        if self._certificate is not None:
            (folder / "certificate").write_text(self._certificate.certificate)
            (folder / "key").write_text(self._certificate.private_key)
            tls = f"ssl = yes\nssl_cert = <{folder}/certificate\nssl_key = <{folder}/key"
        names = {"user": pwd.getpwuid(uid).pw_name, "group": grp.getgrgid(gid).gr_name, "uid": uid, "gid": gid}
        (folder / "conf").write_text(_CONFIGURATION.format(folder=folder, port=self.port, tls=tls, **names))
        (folder / "mail").mkdir()
        if os.geteuid() == 0:
            for one in (folder, *folder.iterdir()):
                os.chown(one, uid, gid)
        return (uid, gid) if os.geteuid() == 0 else None

    def _client(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4(self.host, self.port, timeout=WITHIN_S)
        client.authenticate("PLAIN", lambda _: f"\0{USERNAME}\0{PASSWORD}".encode())
        return client

    def _greeted(self) -> None:
        """Returns when it answers; it tells nobody when that is."""
        until = time.monotonic() + WITHIN_S
        while True:
            try:
                with self._client():
                    return
            except OSError:
                log = self._folder / "log"
                said = log.read_text() if log.exists() else ""
                assert time.monotonic() < until, said
                time.sleep(0.02)

    async def _end(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN_S):
            await self._process.communicate()
        shutil.rmtree(self._folder)
