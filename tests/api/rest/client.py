"""An account holder who checks every answer he gets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx

from tests.api.published import check_answer

Parameters = Mapping[str, str | Sequence[str]]


class Answer:
    """What came back, already compared with the published description."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.body: Any = response.json() if response.content else None

    def __getitem__(self, name: str) -> Any:
        assert self.status < 400, self.body
        return self.body[name]

    def refused_with(self, status: int, code: int) -> str:
        """The sentence of a refusal with this status and code."""
        assert (self.status, self.body and self.body.get("code")) == (status, code), (self.status, self.body)
        return str(self.body["message"])


class AccountHolder:
    """Speaks to the account API. ``prefix`` stands before every path that begins with a slash."""

    def __init__(self, http: httpx.AsyncClient, account_sid: str, service_sid: str, prefix: str, base_url: str) -> None:
        self.http = http
        self.account_sid = account_sid
        self.service_sid = service_sid
        self.prefix = prefix
        self.base_url = base_url

    async def in_new_service(self) -> AccountHolder:
        """The same account, by the long form of URLs, in a service of its own."""
        service = await self.made("/v1/Services", {"FriendlyName": "second"})
        return AccountHolder(
            self.http, self.account_sid, service["sid"], f"/v1/Services/{service['sid']}", self.base_url
        )

    @property
    def is_long(self) -> bool:
        return self.prefix != "/v1"

    @property
    def root(self) -> str:
        """What URLs in answers begin with."""
        return self.base_url + self.prefix

    def url(self, path: str) -> str:
        return path if path.startswith(("http:", "/v1")) else self.prefix + path

    async def ask(self, method: str, path: str, **how: Any) -> Answer:
        response = await self.http.request(method, self.url(path), **how)
        answer = Answer(response)
        check_answer(method, response.request.url.raw_path.decode().partition("?")[0], answer.status, answer.body)
        return answer

    async def get(self, path: str, **query: str | int) -> Answer:
        """Parameters of the query are named as on the wire."""
        return await self.ask("GET", path, params=query) if query else await self.ask("GET", path)

    async def post(self, path: str, form: Parameters | None = None, **how: Any) -> Answer:
        return await self.ask("POST", path, data=form or {}, **how)

    async def delete(self, path: str) -> Answer:
        return await self.ask("DELETE", path)

    async def made(self, path: str, form: Parameters | None = None) -> dict[str, Any]:
        """What was created; fails when it was not."""
        answer = await self.post(path, form)
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.body
        return made

    async def conversation(self, **form: str) -> str:
        """SID of a new conversation."""
        return str((await self.made("/Conversations", form))["sid"])

    async def pages(self, path: str, **query: str | int) -> AsyncIterator[Answer]:
        """Every page of a list, by its own directions."""
        answer = await self.get(path, **query)
        yield answer
        while answer["meta"]["next_page_url"]:
            answer = await self.get(answer["meta"]["next_page_url"])
            yield answer

    async def everything(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        """Every record of a list."""
        return [record async for page in self.pages(path, **query) for record in page[page["meta"]["key"]]]
