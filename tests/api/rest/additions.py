"""Asking for what stands outside of ``/v1``: no published description judges it."""

from __future__ import annotations

from typing import Any

from .client import AccountHolder, Answer


async def ask(account: AccountHolder, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
    """``path`` is whole; a URL of ours is one, too."""
    return Answer(await account.http.request(method, path, data=form))


async def made(account: AccountHolder, path: str, form: dict[str, str]) -> dict[str, Any]:
    """What was created; fails when it was not."""
    answer = await ask(account, "POST", path, form)
    assert answer.status == 201, answer.body
    body: dict[str, Any] = answer.body
    return body


async def listed(account: AccountHolder, path: str, key: str, size: int) -> list[list[Any]]:
    """The records of each page of a list, forward; what leads back is followed, too."""
    pages: list[list[Any]] = []
    answer = await ask(account, "GET", f"{path}?PageSize={size}")
    while True:
        pages.append([record[key] for record in answer[answer["meta"]["key"]]])
        onward = answer["meta"]["next_page_url"]
        if onward is None:
            break
        answer = await ask(account, "GET", onward)
        back = await ask(account, "GET", answer["meta"]["previous_page_url"])
        assert [record[key] for record in back[back["meta"]["key"]]] == pages[-1]
    return pages
