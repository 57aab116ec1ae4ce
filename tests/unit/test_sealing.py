"""A sealed secret opens with its key, in its place, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import assume, given
from hypothesis import strategies as st

from tertulia.server.sealing import BadKey, SealBroken, Sealer, WrongKey, key_in_file, key_of, new_key

KEY = bytes(range(32))
sealer = Sealer(KEY)


@given(st.text(), st.text())
def test_what_was_sealed_opens_again(text: str, context: str) -> None:
    assert sealer.open(sealer.seal(text, context), context) == text


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert sealer.seal("secret", "a") != sealer.seal("secret", "a")


def test_a_seal_is_of_no_use_in_another_place() -> None:
    with pytest.raises(SealBroken):
        sealer.open(sealer.seal("secret", "AC1"), "AC2")


def test_a_wrong_key_is_told_apart_from_damage() -> None:
    with pytest.raises(WrongKey):
        Sealer(bytes(32)).open(sealer.seal("secret", "a"), "a")


_SEALED = sealer.seal("secret", "a")


@given(st.integers(len(_SEALED) - 40, len(_SEALED) - 2), st.sampled_from("ABCxyz019-_"))
def test_a_damaged_seal_never_opens(at: int, other: str) -> None:
    assume(other != _SEALED[at])
    with pytest.raises(SealBroken):
        sealer.open(_SEALED[:at] + other + _SEALED[at + 1 :], "a")


@pytest.mark.parametrize("text", ["", "secret", "s2.00.00", f"s1.{sealer.key_id}.", f"s1.{sealer.key_id}.***"])
def test_what_is_no_seal_is_refused(text: str) -> None:
    with pytest.raises(SealBroken):
        sealer.open(text, "a")


def test_the_key_id_shows_a_wrong_key_at_the_start() -> None:
    Sealer(KEY).require(sealer.key_id)
    with pytest.raises(WrongKey):
        Sealer(bytes(32)).require(sealer.key_id)


def test_each_purpose_has_bytes_of_its_own() -> None:
    assert len({sealer.derive(purpose) for purpose in ("a", "b", "key id", "sealing")}) == 4
    assert sealer.derive("a") == Sealer(KEY).derive("a")


def test_deriving_is_hkdf() -> None:
    expected = HKDF(SHA256(), 32, salt=None, info=b"tertulia page tokens").derive(KEY)
    assert sealer.derive("page tokens") == expected


def test_keys_are_read_in_base64_and_hexadecimal() -> None:
    assert key_of(new_key()) != key_of(new_key())
    assert key_of(KEY.hex() + "\n") == KEY
    assert key_of("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8") == KEY


@pytest.mark.parametrize("text", ["", "short", "x" * 64, "=" * 44])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadKey):
        key_of(text)


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = key_in_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_in_file(path) == key
    assert os.listdir(tmp_path) == ["key"]


def test_a_key_file_made_by_several_at_once_is_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(key_in_file, [tmp_path / "key"] * 8))
    assert len(keys) == 1


def test_a_key_file_others_can_read_is_refused(tmp_path: Path) -> None:
    key_in_file(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(BadKey, match="chmod 600"):
        key_in_file(tmp_path / "key")


def test_a_key_file_with_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("oops")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(BadKey, match=str(tmp_path / "key")):
        key_in_file(tmp_path / "key")


def test_a_start_that_seals_nothing_does_not_load_the_cipher() -> None:
    program = (
        "import sys; from tertulia.server.sealing import Sealer; Sealer(bytes(32)).derive('a');"
        "sys.exit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
