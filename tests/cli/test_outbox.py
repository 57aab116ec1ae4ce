"""``tertulia outbox``: what is owed is seen, tried again and removed, while the server runs, and never shown."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from tests.cli.command import WITHIN_S, Server, printed, refusal, run, serving

BODY = "nobody but its reader sees this"


def until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


class Debtor:
    """A server that owes three messages to a receiver that is not there, and has given them up."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.data = server.data
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        known = server.credentials()
        self.http = httpx.Client(
            base_url=f"{server.base_url}/v1",
            auth=(known.account_sid, known.auth_token),
            headers={"X-Twilio-Webhook-Enabled": "true"},
            timeout=WITHIN_S,
            trust_env=False,
        )

    def begin(self) -> None:
        hook = f"http://127.0.0.1:{self.port}/hook?secret=4711#rc=0"
        self.post("/Configuration/Webhooks", {"PostWebhookUrl": hook, "Filters": "onMessageAdded"})
        self.room: str = str(self.post("/Conversations", {})["sid"])

    def post(self, path: str, form: dict[str, str]) -> dict[str, object]:
        answer = self.http.post(path, data=form)
        assert answer.is_success, answer.text
        made: dict[str, object] = answer.json()
        return made

    def send(self, count: int) -> None:
        for _ in range(count):
            self.post(f"/Conversations/{self.room}/Messages", {"Body": BODY})

    def jobs(self, *arguments: str) -> list[dict[str, str]]:
        jobs: list[dict[str, str]] = json.loads(printed("outbox", "list", "--json", "--data", self.data, *arguments))
        return jobs

    def dead(self) -> list[str]:
        return [job["id"] for job in self.jobs("--state", "dead")]


@pytest.fixture(scope="module")
def debtor_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debtor]:
    with serving(tmp_path_factory.mktemp("outbox") / "data") as server:
        debtor = Debtor(server)
        with debtor.http:
            debtor.begin()
            yield debtor


@pytest.fixture
def debtor(debtor_for_all: Debtor) -> Debtor:
    """With three dead jobs, and nothing else."""
    run("outbox", "purge", "--dead", "--data", debtor_for_all.data)
    debtor_for_all.send(3)
    until(lambda: len(debtor_for_all.dead()) == 3)
    return debtor_for_all


class Listener:
    """Somebody who listens at last."""

    def __init__(self, port: int) -> None:
        heard: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(self.headers["I-Twilio-Idempotency-Token"])
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is said of requests."""

        self.heard = heard
        self._http = HTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def test_jobs_are_listed_newest_first_and_say_nothing_of_what_they_hold(debtor: Debtor) -> None:
    text = printed("outbox", "list", "--data", debtor.data)
    head, *rows = text.splitlines()
    assert head.split()[:3] == ["id", "kind", "state"]
    newest = int(rows[0].split()[0])
    assert [row.split()[:3] for row in rows] == [[str(newest - age), "CallWebhook", "dead"] for age in range(3)]
    for secret in (BODY, "4711", "127.0.0.1", debtor.room):
        assert secret not in text
    assert [job["id"] for job in debtor.jobs("--limit", "2")] == [str(newest), str(newest - 1)]
    assert debtor.jobs("--state", "waiting") == debtor.jobs("--kind", "SendPush") == []
    nothing = run("outbox", "list", "--state", "waiting", "--data", debtor.data)
    assert (nothing.stdout, nothing.stderr) == ("", "tertulia: there are none\n")
    (job, *_) = debtor.jobs("--kind", "CallWebhook", "--state", "dead")
    assert job["attempts"] == "1"
    assert job["last_error"]


def test_dead_jobs_are_tried_again_by_the_running_server_in_their_order(debtor: Debtor) -> None:
    listener = Listener(debtor.port)
    try:
        first = debtor.dead()[-1]
        assert printed("outbox", "retry", first, "--data", debtor.data).startswith("1 job to be tried again")
        until(lambda: len(debtor.dead()) == 2 and len(debtor.jobs()) == 2)
        assert len(listener.heard) == 1
        assert printed("outbox", "retry", "--all-dead", "--data", debtor.data).startswith("2 jobs")
        until(lambda: debtor.jobs() == [])
    finally:
        listener.close()
    assert len(set(listener.heard)) == 3


def test_all_dead_means_those_of_the_kind_that_is_named(debtor: Debtor) -> None:
    assert printed("outbox", "retry", "--all-dead", "--kind", "SendPush", "--data", debtor.data).startswith("0 jobs")
    assert len(debtor.dead()) == 3


def test_purged_jobs_are_gone(debtor: Debtor) -> None:
    newest, middle, oldest = debtor.dead()
    assert printed("outbox", "purge", middle, "--data", debtor.data) == "1 job purged\n"
    assert debtor.dead() == [newest, oldest]
    for days in ("1", str((1 << 63) - 1)):
        assert (
            printed("outbox", "purge", "--dead", "--older-than-days", days, "--data", debtor.data) == "0 jobs purged\n"
        )
    assert printed("outbox", "purge", "--dead", "--data", debtor.data) == "2 jobs purged\n"
    assert debtor.jobs() == []


def test_what_could_not_be_done_is_said_and_fails(debtor: Debtor) -> None:
    one = debtor.dead()[0]
    done = run("outbox", "purge", one, one, "7777777", "--data", debtor.data)
    assert (done.returncode, done.stdout) == (1, "1 job purged\n")
    assert "1 job left alone" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry"],
        ["retry", "1", "--all-dead"],
        ["retry", "1", "--kind", "CallWebhook"],
        ["purge"],
        ["purge", "1", "--dead"],
        ["purge", "1", "--older-than-days", "3"],
    ],
)
def test_which_jobs_are_meant_must_be_said_in_one_way(tmp_path: Path, arguments: list[str]) -> None:
    assert refusal(run("outbox", *arguments, "--data", tmp_path)).startswith("name the jobs")


def test_an_outbox_needs_an_installation(tmp_path: Path) -> None:
    assert "no data folder" in refusal(run("outbox", "list", "--data", tmp_path / "none"))
    assert "out of date" in refusal(run("outbox", "list", "--data", tmp_path))
    assert list(tmp_path.iterdir()) == []
    for wrong in ("0", "-1", "x", str(1 << 63)):
        assert run("outbox", "retry", wrong, "--data", tmp_path).returncode == 2
    assert run("outbox", "list", "--state", "lost", "--data", tmp_path).returncode == 2


def test_the_command_works_after_the_server_has_stopped(debtor: Debtor) -> None:
    assert debtor.server.stop() == 0
    assert printed("outbox", "retry", "--all-dead", "--data", debtor.data).startswith("3 jobs")
    assert [job["state"] for job in debtor.jobs()] == ["waiting"] * 3
