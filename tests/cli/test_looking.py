"""``tertulia doctor``, ``migrate`` and ``settings``: what they say, and that looking changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tertulia import __version__
from tests.cli.command import WITHIN_S, Server, printed, refusal, run, serving
from tests.peers.fcm import FcmPeer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("looking") / "data") as server:
        yield server


def findings(*arguments: str | Path, code: int = 0) -> dict[str, str]:
    """What the doctor says, by subject: verdict and text."""
    done = run("doctor", *arguments)
    assert done.returncode == code, done
    assert done.stderr == ""
    lines = (line.split(maxsplit=1) for line in done.stdout.splitlines())
    return {rest[:12].strip(): f"{verdict} {rest[12:].strip()}" for verdict, rest in lines}


def port_of(server: Server) -> str:
    return server.base_url.rpartition(":")[2]


def free_port(tmp_path: Path) -> str:
    with serving(tmp_path / "passing") as passing:
        return port_of(passing)


def test_the_doctor_finds_a_running_server_well(server: Server) -> None:
    said = findings("--data", server.data, "--config", port_file(server.data.parent, port_of(server)))
    assert said["server"] == f"ok ready at {server.base_url}"
    assert said["database"].startswith("ok ")
    assert said["data"].startswith("ok ")


def test_the_doctor_finds_the_server_whatever_its_port(tmp_path: Path, server: Server) -> None:
    assert findings("--data", server.data)["server"] == f"ok ready at {server.base_url}"
    elsewhere = findings("--data", tmp_path / "none", "--url", server.base_url + "/")
    assert elsewhere["server"] == f"ok ready at {server.base_url}"
    assert "--url" in refusal(run("doctor", "--data", server.data, "--url", "8080"))


def port_file(folder: Path, port: str, more: str = "") -> Path:
    file = folder / "settings.toml"
    file.write_text(f"[server]\nport = {port}\n{more}")
    return file


def test_the_doctor_does_not_mind_that_nothing_is_there_yet(tmp_path: Path) -> None:
    config = port_file(tmp_path, free_port(tmp_path))
    said = findings("--data", tmp_path / "data", "--config", config)
    assert said["data"].startswith("note no folder")
    assert said["server"].startswith("note nothing answers")
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    assert findings("--data", tmp_path / "data", "--config", config)["database"].startswith("note ")
    assert list((tmp_path / "data").iterdir()) == []


def test_the_doctor_names_a_lost_key_and_a_foreign_program(tmp_path: Path, server: Server) -> None:
    copy = tmp_path / "data"
    shutil.copytree(server.data, copy)
    (copy / "seal.key").unlink()
    config = port_file(tmp_path, port_of(server), f'public_url = "{server.base_url}/elsewhere"\n')
    said = findings("--data", copy, "--config", config, code=1)
    assert said["database"].startswith("problem ")
    assert "seal.key is missing" in said["database"]
    assert said["public url"].startswith("problem ")


def test_the_doctor_names_the_push_credentials_that_cannot_send(server: Server) -> None:
    known = server.credentials()
    made = {}
    for name, form in {
        "old": {"Type": "fcm", "Secret": "AAAA:s3cret"},
        "good": {
            "Type": "fcm",
            "Secret": FcmPeer().service_account(token_uri="https://oauth2.googleapis.com/token"),
        },
        "browsers": {"Type": "webpush", "PublicKey": "s3cret", "PrivateKey": "s3cret"},
        "apple": {"Type": "apn", "Certificate": "s3cret", "PrivateKey": "s3cret"},
    }.items():
        url, login = f"{known.base_url}/v1/Credentials", (known.account_sid, known.auth_token)
        made[name] = requests.post(url, form, auth=login, timeout=WITHIN_S).json()["sid"]

    said = run("doctor", "--data", server.data)
    push = [line.split(maxsplit=2) for line in said.stdout.splitlines() if line.split()[1] == "push"]
    assert said.returncode == 0
    assert [verdict for verdict, _, _ in push] == ["note", "note", "note", "ok"]
    assert push[0][2] == (
        f"{made['old']} (fcm) of {known.account_sid} cannot send: the credential holds an old server key, which Google"
        " no longer accepts: put the JSON of a service account in its place"
    )
    assert [line[2].split()[0] for line in push[1:3]] == [made["browsers"], made["apple"]]
    assert push[3][2] == "1 credential that can send"
    assert "s3cret" not in said.stdout


def test_the_doctor_names_the_push_credentials_that_will_not_send_for_long(server: Server) -> None:
    known = server.credentials()
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    now = datetime.now(UTC)
    ends = {days: now + timedelta(days=days, hours=12) for days in (-2, 5, 90)}
    forms = {f"of {days}": {"Certificate": certificate_of(key, end), "PrivateKey": text} for days, end in ends.items()}
    forms["a \x1b[2Jkey"] = {"PrivateKey": text, "KeyId": "ABC", "TeamId": "TEAM123456", "Topic": "org.example"}
    url, login = f"{known.base_url}/v1/Credentials", (known.account_sid, known.auth_token)
    made = {}
    for name, form in forms.items():
        answer = requests.post(url, {"Type": "apn", "FriendlyName": name, **form}, auth=login, timeout=WITHIN_S)
        made[name] = answer.json()["sid"]
    said = run("doctor", "--data", server.data)
    assert said.returncode == 0
    push = [line.split(maxsplit=2) for line in said.stdout.splitlines() if line.split()[1] == "push"]
    lines = {line[2].split()[0]: (line[0], line[2]) for line in push}

    def told(name: str, shown: str) -> str:
        verdict, text = lines[made[name]]
        assert verdict == "note"
        place = f'{made[name]} (apn, "{shown}") of {known.account_sid}'
        assert text.startswith(place), text
        return text.removeprefix(place)

    assert told("of -2", "of -2") == (
        f" cannot send: the certificate of the credential has expired on {ends[-2]:%Y-%m-%d}"
    )
    assert told("of 5", "of 5") == (
        f": its certificate ends on {ends[5]:%Y-%m-%d}, in 5 days: renew it, or take a token key"
    )
    assert "KeyId" in told("a \x1b[2Jkey", "a ␛[2Jkey")
    assert made["of 90"] not in lines
    assert text not in said.stdout


def certificate_of(key: ec.EllipticCurvePrivateKey, ends: datetime) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Apple Push Services: org.example")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(ends - timedelta(days=365)).not_valid_after(ends)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_the_plan_names_what_a_start_would_run_and_runs_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    planned = printed("migrate", "--plan", "--data", data).splitlines()
    assert planned[0] == "would run 0001_foundation"
    assert list(data.iterdir()) == []
    ran = printed("migrate", "--data", data).splitlines()
    assert ran == [line.replace("would run", "ran") for line in planned]
    assert printed("migrate", "--plan", "--data", data) == "nothing to do: the database is up to date\n"
    with serving(data) as server:
        assert "migration.applied" not in server.log


def test_a_server_is_not_migrated_under_its_feet(server: Server) -> None:
    assert printed("migrate", "--data", server.data) == "nothing to do: the database is up to date\n"


def test_migrate_wants_a_folder(tmp_path: Path) -> None:
    assert "no data folder" in refusal(run("migrate", "--data", tmp_path / "data"))


def test_settings_shows_each_value_and_its_source_and_no_secret(tmp_path: Path) -> None:
    config = port_file(tmp_path, "8081", '[log]\nlevel = "debug"\n')
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    variables = {"TERTULIA_TOKENS_MIN_TTL_S": "7", "TERTULIA_SEAL_KEY": key, "TERTULIA_AUTH_TOKEN": "hush1234"}
    text = printed("settings", "--config", config, "--data", tmp_path / "x", variables=variables)
    rows = {name.strip(): rest.strip() for name, _, rest in (line.partition(" = ") for line in text.splitlines())}
    assert rows["server.port"].split() == ["8081", "#", str(config)]
    assert rows["log.level"].split() == ['"debug"', "#", str(config)]
    assert rows["tokens.min_ttl_s"].split() == ["7", "#", "TERTULIA_TOKENS_MIN_TTL_S"]
    assert rows["server.data"].split()[1:] == ["#", "--data"]
    assert rows["tokens.on_expiry"].split() == ['"reauth"', "#", "default"]
    assert rows["seal.key"].startswith("***")
    assert key not in text
    assert "hush1234" not in text


def test_it_names_its_version_and_its_commands() -> None:
    assert printed("--version") == f"tertulia {__version__}\n"
    text = printed("--help")
    for command in ("serve", "env", "token", "doctor", "migrate", "outbox", "settings"):
        assert f"\n    {command} " in text
    assert printed() == text
    assert run("sing").returncode == 2
