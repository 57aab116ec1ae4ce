"""Tells each story on both event loops."""

from __future__ import annotations

from tests.contract.websocket import conftest as loops

run = loops.run
