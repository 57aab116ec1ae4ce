"""What the environment may fix of the first start: credentials that are the same on every machine."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from tertulia.wire.sids import ACCOUNT, API_KEY, SERVICE

_SECRET = {"secret": True}


class Bootstrap(Struct, frozen=True):
    """What the first start makes, where the environment fixes it; later starts do not look at it."""

    account_sid: Annotated[str | None, Meta(description="SID of the account.", extra={"prefix": ACCOUNT})] = None
    auth_token: Annotated[str | None, Meta(description="Auth token of the account.", extra=_SECRET)] = None
    api_key_sid: Annotated[str | None, Meta(description="SID of the API key.", extra={"prefix": API_KEY})] = None
    api_key_secret: Annotated[str | None, Meta(description="Secret of the API key.", extra=_SECRET)] = None
    service_sid: Annotated[str | None, Meta(description="SID of the default service.", extra={"prefix": SERVICE})] = (
        None
    )

    def __repr__(self) -> str:
        return f"Bootstrap({self.account_sid}, ***, {self.api_key_sid}, ***, {self.service_sid})"
