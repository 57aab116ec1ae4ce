"""``tertulia retention``: what a service keeps is chosen beside the running server."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import printed, refusal, run, serving


def test_a_service_chooses_for_itself_and_goes_back_to_the_settings(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        data, service = ("--data", server.data), server.credentials().service_sid

        def retention(*arguments: str) -> dict[str, str]:
            facts: dict[str, str] = json.loads(printed("retention", *arguments, "--service", service, "--json", *data))
            assert facts.pop("service_sid") == service
            return facts

        unchosen = {
            "messages_days": "0",
            "messages_days_from": "settings",
            "closed_conversations_days": "0",
            "closed_conversations_days_from": "settings",
        }
        assert retention("show") == unchosen
        chosen = {**unchosen, "messages_days": "30", "messages_days_from": "service"}
        assert retention("set", "--messages-days", "30") == chosen
        assert retention("show") == chosen
        assert retention("set", "--messages-days", "default") == unchosen


def test_what_makes_no_sense_is_refused_in_one_line(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        service = server.credentials().service_sid
        for arguments, word in (
            (("set", "--service", service), "say what to change"),
            (("set", "--service", service, "--messages-days", "soon"), "expected days"),
            (("set", "--service", service, "--messages-days", "99999"), "36500"),
            (("set", "--service", "IS" + "0" * 32, "--messages-days", "1"), "no service"),
            (("show", "--service", "IS" + "0" * 32), "no service"),
        ):
            assert word in refusal(run("retention", *arguments, "--data", server.data))
