"""Who may open ports of the server's machine: nobody, until the operator allows it; and nobody names files of it."""

from __future__ import annotations

from typing import Any

import pytest

from tertulia.server.channels.base import NotNow, Surroundings
from tertulia.server.channels.making import OpenGateway, made
from tertulia.server.channels.registry import adapter_of, adapters, known_settings
from tertulia.server.domain.errors import TertuliaError
from tertulia.server.domain.gateways import AddGateway, UpdateGateway
from tertulia.server.engine.unit import Policy
from tertulia.server.outgoing import Outgoing
from tertulia.server.settings import Settings

from .world import BASE_URL, World

MAIL = {"host": "127.0.0.1", "security": "none"}
LISTENING = {**MAIL, "listen_port": 2525}
WHY = "listen_port: the operator lets no gateway listen (channels.may_listen)"


def test_nobody_may_by_default() -> None:
    assert not Settings().channels.may_listen


async def test_a_gateway_that_listens_is_refused(world: World) -> None:
    with pytest.raises(TertuliaError, match="may_listen") as refusal:
        await world.do(AddGateway, name="mail", adapter="email", settings=LISTENING)
    assert refusal.value.code == 20001
    await world.do(AddGateway, name="mail", adapter="email", settings=MAIL)
    with pytest.raises(TertuliaError, match="may_listen"):
        await world.do(UpdateGateway, gateway="mail", settings={"listen_port": "2525"})


async def test_it_is_made_where_the_operator_allows_it(world: World) -> None:
    world.engine = world.engine_with(Policy(base_url=BASE_URL, may_listen=True))
    gateway = await world.do(AddGateway, name="mail", adapter="email", settings=LISTENING)
    assert gateway.adapter == "email"


@pytest.mark.parametrize("may_listen", [True, False])
async def test_what_was_allowed_once_is_not_opened_when_it_is_no_more(world: World, may_listen: bool) -> None:
    gateway = OpenGateway(
        sid="GW" + "1" * 32, account_sid=world.account.account_sid, adapter="email", settings=LISTENING, version="1"
    )
    outgoing = Outgoing(Settings())
    around: dict[str, Any] = {"gateway_sid": gateway.sid, "account_sid": gateway.account_sid, "outgoing": outgoing}
    surroundings = Surroundings(
        callback_url="https://x.test", clock=world.clock, new_sid=world.new_sid, may_listen=may_listen, **around
    )
    try:
        if may_listen:
            await (await made(gateway, surroundings)).close()
            return
        with pytest.raises(NotNow) as refusal:
            await made(gateway, surroundings)
        assert refusal.value.why == f"the gateway cannot be opened: {WHY}"
        assert refusal.value.is_alarming
    finally:
        await outgoing.close()


@pytest.mark.parametrize("name", adapters())
def test_no_setting_names_a_file_of_the_server(name: str) -> None:
    for setting in known_settings(adapter_of(name)):
        assert not setting.name.endswith("_file")
        assert "on the server" not in setting.description
