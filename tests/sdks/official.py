"""The official Python library, pointed at our server by the one seam it has for that: its HTTP client."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from twilio.http.http_client import TwilioHttpClient
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant
from twilio.rest import Client

from tests.cli.command import Credentials


class Redirected(TwilioHttpClient):  # type: ignore[misc]  # the library has no types
    """Sends what is meant for the hosted service to another base URL, and leaves all other URLs as they are."""

    def __init__(self, base_url: str) -> None:
        super().__init__(timeout=20)
        self._base_url = base_url
        self.session.trust_env = False

    def request(self, method: str, url: str, *arguments: Any, **named: Any) -> Any:
        parts = urlsplit(url)
        if (parts.hostname or "").endswith(".twilio.com"):
            url = self._base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        return super().request(method, url, *arguments, **named)


def library(known: Credentials, *, by_key: bool = False) -> Client:
    """The library as a back end uses it, with account and auth token or with an API key."""
    user, password = (known.api_key, known.api_secret) if by_key else (known.account_sid, known.auth_token)
    return Client(user, password, account_sid=known.account_sid, http_client=Redirected(known.base_url))


def signed(known: Credentials, identity: str, ttl_s: int = 3600) -> str:
    """An access token of the library for the default service."""
    token = AccessToken(known.account_sid, known.api_key, known.api_secret, identity=identity, ttl=ttl_s)
    token.add_grant(ChatGrant(service_sid=known.service_sid))
    text = token.to_jwt()
    assert isinstance(text, str)
    return text
