"""Settings: where values come from, which are refused, and that secrets stay hidden."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tertulia.server.bootstrap import Bootstrap
from tertulia.server.settable import KNOWN
from tertulia.server.settings import PUBLISHED, Settings
from tertulia.server.sources import SettingsError, resolve

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "tertulia.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_source_all_values_are_the_defaults() -> None:
    resolved = resolve({})
    assert resolved.settings == Settings()
    assert {row.source for row in resolved.effective()} == {"default"}
    assert resolved.bootstrap == Bootstrap()


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(folder: Path) -> None:
    file = write(folder, "[server]\nport = 1001\nhost = 'a'\n[typing]\ntimeout_s = 9\n")
    resolved = resolve(
        {"TERTULIA_SERVER_PORT": "1002", "TERTULIA_SERVER_HOST": "b"},
        {"server.port": "1003", "server.host": None, "server.data": str(folder)},
    )
    settings = resolved.settings
    assert (settings.server.port, settings.server.host, settings.typing.timeout_s) == (1003, "b", 9)
    sources = {row.name: row.source for row in resolved.effective()}
    assert sources["server.port"] == "--port"
    assert sources["server.host"] == "TERTULIA_SERVER_HOST"
    assert sources["typing.timeout_s"] == str(file)
    assert sources["sync.tombstone_days"] == "default"


def test_the_file_is_found_in_the_data_folder_that_a_variable_names(folder: Path) -> None:
    write(folder, "[sync]\ntombstone_days = 2\n")
    assert resolve({"TERTULIA_SERVER_DATA": str(folder)}).settings.sync.tombstone_days == 2


def test_a_named_file_may_set_the_data_folder_and_must_exist(tmp_path: Path) -> None:
    config = tmp_path / "elsewhere.toml"
    config.write_text("[server]\ndata = '/srv/tertulia'\n", encoding="utf-8")
    assert resolve({}, config=config).settings.server.data == "/srv/tertulia"
    with pytest.raises(SettingsError, match="no such file"):
        resolve({}, config=tmp_path / "missing.toml")


def test_the_file_in_the_data_folder_cannot_move_the_data_folder(folder: Path) -> None:
    write(folder, "[server]\ndata = 'elsewhere'\n")
    with pytest.raises(SettingsError, match=r"server\.data cannot be set in a file that is found through it"):
        resolve({}, {"server.data": str(folder)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nprot = 1\n", r"unknown setting server\.prot; did you mean server\.port\?"),
        ("[sever]\nport = 1\n", r"unknown section \[sever\]; did you mean server\?"),
        ("port = 1\n", r"unknown section \[port\]"),
        ("[server]\nport = '8080'\n", r"server\.port .*expected `int`, got `str`"),
        ("[server\n", r"tertulia\.toml: expected"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(folder: Path, text: str, message: str) -> None:
    write(folder, text)
    with pytest.raises(SettingsError, match=message) as caught:
        resolve({}, {"server.data": str(folder)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "TERTULIA_SERVER_PROT",
            "1",
            "unknown environment variable TERTULIA_SERVER_PROT; did you mean TERTULIA_SERVER_PORT",
        ),
        ("TERTULIA_ACCOUNTSID", "", "did you mean TERTULIA_ACCOUNT_SID"),
        (
            "TERTULIA_SERVER_PORT",
            "65536",
            r"server\.port \(TERTULIA_SERVER_PORT\): expected `int` <= 65535, got '65536'",
        ),
        ("TERTULIA_SERVER_PORT", "many", r"expected `int`, got `str`, got 'many'"),
        ("TERTULIA_REALTIME_PING_INTERVAL_S", "nan", r"realtime\.ping_interval_s"),
        ("TERTULIA_REALTIME_PING_INTERVAL_S", "inf", r"realtime\.ping_interval_s"),
        ("TERTULIA_TOKENS_ON_EXPIRY", "clos", "expected one of reauth, close, got 'clos'"),
        ("TERTULIA_TOKENS_MIN_TTL_S", "90000", r"tokens\.min_ttl_s is above tokens\.max_ttl_s"),
        ("TERTULIA_SERVER_PUBLIC_URL", "chat.example.org", "expected http://host or https://host"),
        ("TERTULIA_SERVER_PUBLIC_URL", "https:///path", "expected http://host or https://host"),
        ("TERTULIA_SEAL_KEY", "c2hvcnQ=", "expected 32 bytes in base64"),
        ("TERTULIA_BLOBS_DRIVER", "s3", r"blobs\.driver = s3 needs blobs\.bucket"),
        ("TERTULIA_BLOBS_DRIVER", "disk", "expected one of folder, s3, got 'disk'"),
        ("TERTULIA_BLOBS_ENDPOINT", "s3.example.org", "expected http://host or https://host, without credentials"),
        ("TERTULIA_BLOBS_ACCESS_KEY", "us", "blobs.access_key and blobs.secret_key belong together"),
        ("TERTULIA_BLOBS_PREFIX", "../elsewhere", r"blobs\.prefix"),
        ("TERTULIA_BLOBS_PREFIX", "/media", r"blobs\.prefix"),
        ("TERTULIA_SCANNER_CLAMD", "localhost", "expected host:port or the absolute path of a socket"),
        ("TERTULIA_SCANNER_CLAMD", ":3310", "expected host:port or the absolute path of a socket"),
        ("TERTULIA_SCANNER_CLAMD", "localhost:66000", "expected host:port or the absolute path of a socket"),
        ("TERTULIA_SCANNER_ON_ERROR", "ignore", "expected one of accept, refuse"),
    ],
)
def test_a_variable_that_does_not_fit_is_refused_in_one_line(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        resolve({variable: value})
    assert "\n" not in str(caught.value)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert resolve({"TERTULIA_SERVER_PORT": "", "TERTULIA_ACCOUNT_SID": ""}) == resolve({})


def test_variables_of_other_programs_are_left_alone() -> None:
    assert resolve({"PATH": "/bin", "TERTULIAN": "x"}) == resolve({})


def test_values_from_variables_have_the_type_of_their_setting() -> None:
    settings = resolve({"TERTULIA_TOKENS_ON_EXPIRY": "close", "TERTULIA_SERVER_SHUTDOWN_GRACE_S": "2"}).settings
    assert settings.tokens.on_expiry == "close"
    assert settings.server.shutdown_grace_s == 2.0


def test_a_public_url_loses_its_last_slash() -> None:
    settings = resolve({"TERTULIA_SERVER_PUBLIC_URL": "https://chat.example.org/x/"}).settings
    assert settings.server.public_url == "https://chat.example.org/x"


A_VALUE = {
    "server.public_url": "https://chat.example.org",
    "traces.endpoint": "http://127.0.0.1:4318",
    "webhooks.flows": f"FW{'0' * 32} https://flows.example.org",
    "blobs.endpoint": "https://s3.example.org",
    "blobs.bucket": "media",
    "blobs.prefix": "chat/media",
    "scanner.clamd": "127.0.0.1:3310",
    "channels.media_text": "See {url}",
}
ONLY_BESIDE = {
    "blobs.driver": {"TERTULIA_BLOBS_BUCKET": "media"},
    "blobs.access_key": {"TERTULIA_BLOBS_SECRET_KEY": KEY},
    "blobs.secret_key": {"TERTULIA_BLOBS_ACCESS_KEY": KEY},
}


def test_every_setting_can_be_set_by_the_variable_that_bears_its_name() -> None:
    for known in KNOWN.values():
        text = KEY if known.is_secret else known.choices[-1] if known.choices else str(known.default)
        text = A_VALUE.get(known.name, "0" if text == "None" else text)
        beside = ONLY_BESIDE.get(known.name, {})
        resolved = resolve({known.variable: text, **beside})
        assert resolved.sources[known.name] == known.variable
        assert len(resolved.sources) == 1 + len(beside)


def test_a_limit_is_the_one_that_is_set_else_that_of_the_profile_else_none() -> None:
    assert resolve({}).settings.limits.rate("connections") == 0
    hosted = {"TERTULIA_LIMITS_PROFILE": "hosted"}
    for chosen, in_force in (
        ({}, 7_000),
        ({"TERTULIA_LIMITS_CONNECTIONS": "0"}, 0),
        ({"TERTULIA_LIMITS_CONNECTIONS": "9"}, 9),
    ):
        limits = resolve({**hosted, **chosen}).settings.limits
        assert (limits.rate("connections"), limits.rate("conversation_actions_per_s")) == (in_force, 30)
    with pytest.raises(SettingsError, match=r"limits\.connections .*`int` >= 0"):
        resolve({"TERTULIA_LIMITS_CONNECTIONS": "-1"})


def test_every_rate_of_the_hosted_service_can_be_set() -> None:
    for name, published in PUBLISHED.items():
        known = KNOWN[f"limits.{name}"]
        assert known.default is None
        assert str(published) in known.description


def test_the_seal_key_is_never_shown() -> None:
    resolved = resolve({"TERTULIA_SEAL_KEY": KEY})
    assert resolved.settings.seal.key_bytes() == bytes(range(32))
    shown = {row.name: row.value for row in resolved.effective()}
    assert shown["seal.key"] == "***"
    assert KEY not in repr(resolved)
    with pytest.raises(SettingsError) as caught:
        resolve({"TERTULIA_SEAL_KEY": KEY + "!"})
    assert KEY not in str(caught.value)


def test_the_keys_of_the_bucket_are_never_shown() -> None:
    keys = {"TERTULIA_BLOBS_ACCESS_KEY": "our-access-key", "TERTULIA_BLOBS_SECRET_KEY": "our-secret-key"}
    resolved = resolve({"TERTULIA_BLOBS_DRIVER": "s3", "TERTULIA_BLOBS_BUCKET": "media", **keys})
    shown = {row.name: row.value for row in resolved.effective()}
    assert shown["blobs.access_key"] == shown["blobs.secret_key"] == "***"
    assert "our-" not in repr(resolved)
    with pytest.raises(SettingsError) as caught:
        resolve({**keys, "TERTULIA_BLOBS_ENDPOINT": "https://us:our-password@s3.example.org"})
    assert "our-" not in str(caught.value)


def test_bootstrap_values_come_from_the_environment_and_stay_hidden() -> None:
    hexes = "0123456789abcdef" * 2
    resolved = resolve(
        {
            "TERTULIA_ACCOUNT_SID": f"AC{hexes}",
            "TERTULIA_AUTH_TOKEN": "authtoken1",
            "TERTULIA_API_KEY_SID": f"SK{hexes}",
            "TERTULIA_API_KEY_SECRET": "keysecret1",
            "TERTULIA_SERVICE_SID": f"IS{hexes}",
        }
    )
    assert resolved.bootstrap == Bootstrap(f"AC{hexes}", "authtoken1", f"SK{hexes}", "keysecret1", f"IS{hexes}")
    assert "authtoken1" not in repr(resolved)
    assert "keysecret1" not in repr(resolved)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TERTULIA_ACCOUNT_SID", "AC1", "expected AC and 32 hexadecimal digits, got 'AC1'"),
        ("TERTULIA_SERVICE_SID", "AC" + "0" * 32, "expected IS and 32 hexadecimal digits"),
        ("TERTULIA_AUTH_TOKEN", "two words", "expected letters and digits only"),
        ("TERTULIA_API_KEY_SECRET", "clé", "expected letters and digits only"),
    ],
)
def test_bootstrap_values_that_do_not_fit_are_refused(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        resolve({variable: value})
    assert "SID" in variable or value not in str(caught.value)
