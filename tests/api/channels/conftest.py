"""A whole server whose account has no sender: every address is its own, every phone is simulated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tertulia.testing import running_server
from tests.api.channels.phones import Phones


@pytest.fixture
def phones() -> Iterator[Phones]:
    with running_server({"channels.simulator": True}) as server, server.rest() as http:
        yield Phones(server, http)
