"""``tertulia push why`` and ``push test``: beside the running server, whose pushes go to a service on this machine."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import pytest_asyncio

from tertulia.wire import tokens
from tests.cli.command import WITHIN_S, Server, printed, refusal, run, serving
from tests.peers.fcm import UNAVAILABLE, UNREGISTERED, FcmPeer

R = TypeVar("R")

BODY = "nobody but its readers sees this"
TOKEN = "4711-device-token"
GONE = (
    "nothing was sent: the push service knows no such device any more, so its registration is removed; the client has"
    " to register again"
)


class Pushed:
    """A server with two members of a room who are told of messages."""

    def __init__(self, server: Server, peer: FcmPeer) -> None:
        self.server, self.peer = server, peer
        self.known = server.credentials()
        self.rest = httpx.Client(
            base_url=f"{server.base_url}/v1",
            auth=(self.known.account_sid, self.known.auth_token),
            timeout=WITHIN_S,
            trust_env=False,
        )

    def begin(self) -> None:
        path = f"/Services/{self.known.service_sid}/Configuration/Notifications"
        self.post(path, {"NewMessage.Enabled": "true", "AddedToConversation.Enabled": "true"})
        secret = self.peer.service_account()
        self.credential: str = self.post("/Credentials", {"Type": "fcm", "Secret": secret})["sid"]
        self.room, self.members = self.conversation("ana", "ben", "cleo")

    def conversation(self, *identities: str) -> tuple[str, dict[str, str]]:
        """Its SID, and those of its members."""
        room: str = self.post("/Conversations", {})["sid"]
        path = f"/Conversations/{room}/Participants"
        return room, {identity: self.post(path, {"Identity": identity})["sid"] for identity in identities}

    def post(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        answer = self.rest.post(path, data=form)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def device(self, identity: str, name: str = TOKEN, *, credential: bool = True) -> str:
        """SID of the registration."""
        token = tokens.mint(
            account_sid=self.known.account_sid,
            key_sid=self.known.api_key,
            secret=self.known.api_secret,
            identity=identity,
            service_sid=self.known.service_sid,
            now_s=time.time(),
            push_credential_sid=self.credential if credential else None,
        )
        answer = self.rest.post(
            "/registrations",
            json={"channel_type": "fcm", "data": {"registration_id": name}},
            headers={"X-Twilio-Token": token},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def say(self) -> str:
        """SID of a message of ana's."""
        return str(self.post(f"/Conversations/{self.room}/Messages", {"Author": "ana", "Body": BODY})["sid"])

    def push(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = run("push", *arguments, "--data", self.server.data)
        for secret in (BODY, TOKEN, "PRIVATE KEY"):
            assert secret not in done.stdout + done.stderr
        return done

    def why(self, sid: str) -> list[dict[str, Any]]:
        done = self.push("why", sid, "--json")
        assert done.returncode == 0, done.stderr
        told: list[dict[str, Any]] = json.loads(done.stdout)
        return told

    def test(self, *arguments: str) -> tuple[int, list[tuple[str, str | None]], str]:
        """The exit code, state and answer of each device, and what was said beside."""
        done = self.push("test", *arguments, "--json")
        devices = json.loads(done.stdout) if done.stdout else []
        return done.returncode, [(one["state"], one["answer"]) for one in devices], done.stderr


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pushed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pushed]:
    """For all tests: each has users of its own."""
    async with FcmPeer() as peer:
        with serving(tmp_path_factory.mktemp("push") / "data", variables={"TERTULIA_PUSH_FCM_URL": peer.url}) as server:
            made = Pushed(server, peer)
            with made.rest:
                await aside(made.begin)
                yield made


async def aside(work: Callable[..., R], *arguments: Any, **named: Any) -> R:
    """In a thread: the push service is in this one."""
    return await asyncio.to_thread(work, *arguments, **named)


def until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


# --- why


async def test_why_groups_who_was_told_and_who_was_not(pushed: Pushed) -> None:
    device = await aside(pushed.device, "ben")
    message = await aside(pushed.say)
    await pushed.peer.has_received(1)
    await aside(until, lambda: any(one["rang"] for one in pushed.why(message)))
    done = await aside(pushed.push, "why", message)
    assert (done.returncode, done.stderr) == (0, "")
    rang, head, ben, silent, _, ana, cleo = done.stdout.splitlines()
    assert (rang, silent) == ("rang: 1 of 3", "did not ring: 2 of 3")
    assert head.split()[:6] == ["identity", "about", "device", "type", "credential", "state"]
    assert ben.split()[:7] == ["ben", "new_message", device, "fcm", pushed.credential, "sent", "1"]
    assert ana.split() == ["ana", "new_message", "he", "is", "the", "author"]
    assert cleo.endswith("he had no device registered then")
    shown = await aside(pushed.why, message)
    listed = await aside(
        lambda: httpx.get(
            f"{pushed.server.base_url}/push/Messages/{message}", auth=pushed.rest.auth, trust_env=False
        ).json()
    )
    assert shown == listed["explanations"]


async def test_why_of_a_participant_tells_of_his_coming(pushed: Pushed) -> None:
    (told,) = await aside(pushed.why, pushed.members["cleo"])
    assert (told["kind"], told["reason"]) == ("added_to_conversation", "he had no device registered then")


async def test_why_nobody_is_concerned_is_said(pushed: Pushed) -> None:
    room, _ = await aside(pushed.conversation)
    message = (await aside(pushed.post, f"/Conversations/{room}/Messages", {"Body": BODY}))["sid"]
    done = await aside(pushed.push, "why", message)
    assert (done.returncode, done.stdout) == (0, "")
    assert "nobody is concerned" in done.stderr


async def test_what_cannot_be_explained_is_refused_in_one_line(pushed: Pushed, tmp_path: Path) -> None:
    for sid, word in (
        ("IM" + "0" * 32, "Message not found"),
        ("MB" + "0" * 32, "Participant not found"),
    ):
        assert word in refusal(await aside(pushed.push, "why", sid))
    for sid in ("CH" + "0" * 32, "IM12", "ana", ""):
        done = await aside(pushed.push, "why", sid)
        assert (done.returncode, done.stdout) == (2, "")
        assert "expected the whole SID of a message (IM...)" in done.stderr
    assert "no data folder" in refusal(run("push", "why", "IM" + "0" * 32, "--data", tmp_path / "none"))


# --- test


async def test_a_test_waits_for_each_device_and_shows_what_its_service_said(pushed: Pushed) -> None:
    room, _ = await aside(pushed.conversation, "dora")
    for name in ("taken", "gone"):
        await aside(pushed.device, "dora", f"{TOKEN}-{name}")
    pushed.peer.received.clear()
    pushed.peer.answer_with(f"{TOKEN}-gone", UNREGISTERED)
    code, devices, said = await aside(pushed.test, "dora")
    assert (code, sorted(state for state, _ in devices), said) == (0, ["gone", "sent"], "")
    assert any("UNREGISTERED" in str(answer) for state, answer in devices if state == "gone")
    assert {one.token for one in pushed.peer.received} == {f"{TOKEN}-taken", f"{TOKEN}-gone"}
    # The registration of the one that is gone went with it.
    code, devices, _ = await aside(pushed.test, "dora", "--service", pushed.known.service_sid)
    assert (code, [state for state, _ in devices]) == (0, ["sent"])
    # In one shape, wherever it is read: numbers are numbers.
    (shown,) = json.loads((await aside(pushed.push, "test", "dora", "--json")).stdout)
    message = await aside(pushed.post, f"/Conversations/{room}/Messages", {"Author": "ana", "Body": BODY})
    await aside(until, lambda: any(one["rang"] for one in pushed.why(message["sid"])))
    ((device,),) = [one["devices"] for one in await aside(pushed.why, message["sid"]) if one["identity"] == "dora"]
    assert shown == {**device, "date_updated": shown["date_updated"]}
    assert (shown["binding_type"], shown["credential_sid"], shown["attempts"]) == ("fcm", pushed.credential, 1)
    table = await aside(pushed.push, "test", "dora")
    assert table.stdout.splitlines()[1].split()[3:5] == ["sent", "1"]


async def test_a_test_fails_when_nothing_was_sent_and_says_what_is_missing(pushed: Pushed) -> None:
    await aside(pushed.conversation, "emil", "fritz", "gina")
    await aside(pushed.device, "emil", f"{TOKEN}-emil", credential=False)
    await aside(pushed.device, "fritz", f"{TOKEN}-fritz")
    pushed.peer.answer_with(f"{TOKEN}-fritz", UNREGISTERED)
    code, devices, said = await aside(pushed.test, "emil")
    assert (code, devices) == (1, [("skipped", "it is registered under no credential of its kind")])
    assert "push_credential_sid" in said
    code, devices, said = await aside(pushed.test, "fritz")
    assert (code, [state for state, _ in devices], said) == (1, ["gone"], f"tertulia: {GONE}\n")
    for arguments, word in (
        (("gina",), "gina has no device registered"),
        (("gina",), "tertulia token gina --push-credential CR"),
        (("nobody",), "there is no user nobody"),
        (("gina", "--service", "IS" + "0" * 32), "there is no service"),
    ):
        assert word in refusal(await aside(pushed.push, "test", *arguments))


async def test_a_test_that_takes_longer_than_it_may_says_so(pushed: Pushed) -> None:
    await aside(pushed.conversation, "hugo")
    await aside(pushed.device, "hugo", f"{TOKEN}-hugo")
    pushed.peer.answer_with(f"{TOKEN}-hugo", UNAVAILABLE)
    code, devices, said = await aside(pushed.test, "hugo", "--wait", "1")
    assert (code, devices) == (1, [("waiting", "503 UNAVAILABLE")])
    assert "not all of it ended within 1 s" in said


async def test_a_test_needs_an_installation(tmp_path: Path) -> None:
    assert "no data folder" in refusal(run("push", "test", "ana", "--data", tmp_path / "none"))
    assert "no server is running" in refusal(run("push", "test", "ana", "--data", tmp_path))
    assert await aside(lambda: list(tmp_path.iterdir())) == []
    for wrong in ("0", "x", "-1"):
        done = run("push", "test", "ana", "--wait", wrong, "--data", tmp_path)
        assert done.returncode == 2
        assert f"expected a whole number of seconds above 0, got '{wrong}'" in done.stderr
    assert run("push", "--data", tmp_path).returncode == 2


async def test_without_a_server_nothing_is_promised(pushed: Pushed) -> None:
    owed = ("outbox", "list", "--json", "--data", pushed.server.data)
    assert await aside(pushed.server.stop) == 0
    before = printed(*owed)
    assert "no server is running on" in refusal(await aside(pushed.push, "test", "ben"))
    assert printed(*owed) == before
    (told,) = await aside(pushed.why, pushed.members["ben"])
    assert told["identity"] == "ben"
