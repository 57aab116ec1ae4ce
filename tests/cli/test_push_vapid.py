"""``tertulia push vapid``: a key pair, and the call that puts it in."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import jwt
import pytest
import requests

from tertulia.server.domain.credentials import Secrets
from tertulia.server.push.vapid import read_keys
from tests.cli.command import WITHIN_S, environment, evaluated, printed, refusal, run, serving


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
def test_the_line_it_prints_makes_a_credential(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        printed_lines = printed("push", "vapid", "--subject", "mailto:ops+web@example.org").splitlines()
        *facts, _, hint, line, more = printed_lines
        pair = dict(fact.split() for fact in facts)
        assert more.startswith("# ") and "--push-credential" in more
        assert hint.startswith("# ") and read_keys(Secrets(**pair)).public == pair["public_key"]
        command = shlex.split(line)
        assert f"PrivateKey={pair['private_key']}" in command and "Subject=mailto:ops+web@example.org" in command
        variables = evaluated(printed("env", "--data", server.data, "--url", server.base_url))
        done = subprocess.run(
            ["sh", "-c", f"{line} --silent --show-error --fail"],
            env=environment(**variables),
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        assert made["type"] == "webpush" and pair["private_key"] not in done.stdout

        token = printed("token", "ana", "--push-credential", made["sid"], "--data", server.data).strip()
        grant = jwt.decode(token, options={"verify_signature": False})["grants"]["chat"]
        assert grant["push_credential_sid"] == made["sid"]
        wrong = "CR" + "0" * 32
        line = refusal(run("token", "ana", "--push-credential", wrong, "--data", server.data))
        assert f"--push-credential {wrong}" in line and f"{made['sid']} (webpush)" in line
        answer = requests.get(
            f"{server.base_url}/Client/v2/Configuration", headers={"X-Twilio-Token": token}, timeout=WITHIN_S
        )
        assert answer.status_code == 200


def test_each_call_makes_another_pair() -> None:
    first, second = (json.loads(printed("push", "vapid", "--json")) for _ in range(2))
    assert set(first) == {"public_key", "private_key"} and set(first.values()).isdisjoint(second.values())


@pytest.mark.parametrize("subject", ["ops@example.org", "http://example.org", "mailto:"])
def test_a_subject_that_no_service_takes_is_refused(subject: str) -> None:
    assert "mailto:" in refusal(run("push", "vapid", "--subject", subject))
