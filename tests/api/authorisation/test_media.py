"""The media service against everybody who comes to it (semantics 4.8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tertulia.server.blobs.folder import FolderBlobs
from tertulia.server.domain.messages import SendMessage
from tertulia.server.media_api import MEDIA_API
from tests.engine.world import BASE_URL

from .rows import MEDIA, NO_MEDIA, Outcome
from .stage import Stage, Tenant, make_server, refusal_of
from .test_client import BAD_TOKENS, INSIDE, OUTSIDE, token_of
from .test_rest import BAD_CREDENTIALS

pytestmark = pytest.mark.asyncio(loop_scope="package")

OPERATIONS = {f"{operation.method} {operation.path}": operation for operation in MEDIA_API}
NAMING = [name for name in MEDIA if "{media}" in name]


class Files:
    """The stage's world behind a server that keeps files."""

    def __init__(self, stage: Stage, http: httpx.AsyncClient) -> None:
        self.stage = stage
        self.http = http
        self.service = stage.owner.service

    async def file(self) -> str:
        """A new one, of a message of ana's."""
        token = {"X-Twilio-Token": token_of(self.stage, "ana")}
        made = await self.http.post(f"/v1/Services/{self.service}/Media", content=b"secret", headers=token)
        assert made.status_code == 201, made.text
        sid = str(made.json()["sid"])
        world = self.stage.world
        wish = SendMessage(service=self.service, conversation=self.stage.things.conversation, media_sids=(sid,))
        await world.engine.execute(world.user("ana"), wish)
        return sid

    async def ask(
        self, name: str, media: str, *, token: str | None = None, auth: httpx.Auth | None = None, service: str = ""
    ) -> httpx.Response:
        row, (method, path) = MEDIA[name], name.split(" ")
        path = path.replace("{service}", service or self.service).replace("{media}", media)
        headers = {} if token is None else {"X-Twilio-Token": token}
        if row.body is not None:
            wanted = {"command": "get", "list": [{"media_sid": media}]}
            return await self.http.request(method, path, json=wanted, headers=headers, auth=auth)
        content = b"x" if method == "POST" else None
        return await self.http.request(method, path, content=content, headers=headers, auth=auth)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def files(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Files]:
    folder: Path = tmp_path_factory.mktemp("files")
    blobs = FolderBlobs(folder)
    await blobs.open()
    transport = httpx.ASGITransport(app=make_server(stage.world, blobs).application)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        yield Files(stage, http)
    await blobs.close()


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def media(files: Files) -> str:
    """A file that all tests share."""
    return await files.file()


def basic(tenant: Tenant) -> httpx.BasicAuth:
    return httpx.BasicAuth(tenant.account_sid, tenant.auth_token)


async def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert set(MEDIA) == set(OPERATIONS)


@pytest.mark.parametrize("name", MEDIA)
async def test_the_account_may(files: Files, name: str) -> None:
    answer = await files.ask(name, await files.file(), auth=basic(files.stage.owner))
    assert refusal_of(answer) == MEDIA[name].owner, answer.text
    assert answer.status_code == OPERATIONS[name].status


@pytest.mark.parametrize("name", MEDIA)
async def test_a_member_may(files: Files, name: str) -> None:
    answer = await files.ask(name, await files.file(), token=token_of(files.stage, "ana"))
    assert refusal_of(answer) == MEDIA[name].member, answer.text


@pytest.mark.parametrize("caller", INSIDE)
@pytest.mark.parametrize("name", MEDIA)
async def test_others_of_the_service_find_nothing(files: Files, media: str, name: str, caller: str) -> None:
    answers = [await files.ask(name, sid, token=token_of(files.stage, caller)) for sid in (media, "ME" + "f" * 32)]
    assert [refusal_of(answer) for answer in answers] == [MEDIA[name].inside] * 2
    if MEDIA[name].inside is not None:
        assert answers[0].content == answers[1].content


@pytest.mark.parametrize("caller", OUTSIDE)
@pytest.mark.parametrize("name", MEDIA)
async def test_users_of_elsewhere_find_nothing(files: Files, media: str, name: str, caller: str) -> None:
    answer = await files.ask(name, media, token=token_of(files.stage, caller))
    assert refusal_of(answer) == MEDIA[name].outside


@pytest.mark.parametrize("name", MEDIA)
async def test_another_account_finds_nothing(files: Files, media: str, name: str) -> None:
    stranger = files.stage.stranger
    assert refusal_of(await files.ask(name, media, auth=basic(stranger))) == MEDIA[name].outside
    if name in NAMING:
        beneath_its_own = await files.ask(name, media, auth=basic(stranger), service=stranger.service)
        assert refusal_of(beneath_its_own) == NO_MEDIA


@pytest.mark.parametrize("name", NAMING)
async def test_another_service_of_the_account_has_nothing_of_this_one(files: Files, media: str, name: str) -> None:
    answer = await files.ask(name, media, auth=basic(files.stage.owner), service=files.stage.other_service)
    assert refusal_of(answer) == NO_MEDIA


@pytest.mark.parametrize("caller", ["former", "guest", "stranger"])
async def test_a_set_tells_others_nothing(files: Files, media: str, caller: str) -> None:
    name = "POST /v1/Services/{service}/MediaSet"
    stranger = files.stage.stranger
    if caller == "stranger":
        answer = await files.ask(name, media, auth=basic(stranger), service=stranger.service)
    else:
        answer = await files.ask(name, media, token=token_of(files.stage, caller))
    assert answer.json() == [{"code": 404, "media_record": {"sid": media}, "error": NO_MEDIA[1]}]


@pytest.mark.parametrize("caller", [*BAD_TOKENS, *BAD_CREDENTIALS])
@pytest.mark.parametrize("name", MEDIA)
async def test_without_good_credentials_nothing_is_answered(files: Files, media: str, name: str, caller: str) -> None:
    """The same, whatever is asked for, and whether it exists."""
    wanted: Outcome
    if caller in BAD_TOKENS:
        wanted, token, auth = BAD_TOKENS[caller], token_of(files.stage, caller), None
    else:
        wanted, token, auth = BAD_CREDENTIALS[caller], None, _credentials(files.stage, caller)
    answers = [await files.ask(name, sid, token=token, auth=auth) for sid in (media, "ME" + "f" * 32)]
    assert [refusal_of(answer) for answer in answers] == [wanted] * 2
    assert answers[0].content == answers[1].content


def _credentials(stage: Stage, caller: str) -> httpx.BasicAuth | None:
    owner, revoked, suspended = stage.owner, stage.revoked, stage.suspended
    known = {
        "wrong secret": (owner.account_sid, "x" * 32),
        "revoked key": (revoked.key_sid, revoked.secret),
        "member's token": (owner.account_sid, token_of(stage, "ana")),
        "suspended account": (suspended.account_sid, suspended.auth_token),
        "key of suspended account": (suspended.key_sid, suspended.secret),
    }
    return httpx.BasicAuth(*known[caller]) if caller in known else None
