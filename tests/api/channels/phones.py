"""What people with phones do, and what an account holder does about them. By REST, as anybody would."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from tertulia.testing import LocalServer

OURS, OURS_TOO = "+12025550100", "+12025550101"
ANA, BEN, CLEO = "+12025550111", "+12025550112", "+12025550113"

Json = dict[str, Any]


class Phones:
    """Time passes when ``soon`` is called: what has been said has then arrived."""

    def __init__(self, server: LocalServer, http: httpx.Client) -> None:
        self.server = server
        self.http = http

    def soon(self) -> None:
        """What was on its way is there, and so is what came of that."""
        for _ in range(2):
            self.server.clock.advance(seconds=1)

    def post(self, path: str, **form: Any) -> Json:
        answer = self.http.post(path, data=form)
        assert answer.is_success, answer.text
        made: Json = answer.json()
        return made

    def get(self, path: str) -> Json:
        answer = self.http.get(path)
        assert answer.is_success, answer.text
        shown: Json = answer.json()
        return shown

    # --- the account holder

    def room(self, **form: Any) -> str:
        return str(self.post("/v1/Conversations", **form)["sid"])

    def add(self, room: str, **fields: str) -> httpx.Response:
        """``address``, ``proxy``, ``projected``, ``identity``."""
        names = {
            "address": "MessagingBinding.Address",
            "proxy": "MessagingBinding.ProxyAddress",
            "projected": "MessagingBinding.ProjectedAddress",
            "identity": "Identity",
        }
        form = {names[name]: value for name, value in fields.items()}
        return self.http.post(f"/v1/Conversations/{room}/Participants", data=form)

    def pair(self, room: str, address: str, proxy: str = OURS) -> str:
        """Somebody who talks by a number of ours; his SID."""
        answer = self.add(room, address=address, proxy=proxy)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["sid"])

    def say(self, room: str, body: str, **form: Any) -> str:
        return str(self.post(f"/v1/Conversations/{room}/Messages", Body=body, **form)["sid"])

    def said(self, room: str) -> list[tuple[str, str | None]]:
        """Author and body of its messages."""
        return [(one["author"], one["body"]) for one in self.get(f"/v1/Conversations/{room}/Messages")["messages"]]

    def receipts(self, room: str, message: str) -> list[tuple[str, int]]:
        listed = self.get(f"/v1/Conversations/{room}/Messages/{message}/Receipts")["delivery_receipts"]
        return sorted((one["status"], one["error_code"]) for one in listed)

    # --- people

    def path(self, phone: str, tail: str = "") -> str:
        return f"/simulator/Phones/{quote(phone, safe='')}{tail}"

    def write(self, phone: str, body: str, to: str | list[str] = OURS, **form: Any) -> Json:
        return self.post(self.path(phone, "/Messages"), To=to, Body=body, **form)

    def shown(self, phone: str) -> list[Json]:
        """What others have written to it."""
        return [one for one in self.get(self.path(phone, "/Messages"))["messages"] if not one["is_mine"]]

    def texts(self, phone: str) -> list[tuple[str, str]]:
        """From whom, and what."""
        return [(one["from"], one["text"]) for one in self.shown(phone)]
