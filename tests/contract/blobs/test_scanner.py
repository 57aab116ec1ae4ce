"""The scanner asks clamd in its protocol, and has an answer in time whatever clamd does. Clamd is a script here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tertulia.server.blobs.scanner import AT_ONCE, Outcome, Scanner, Verdict, open_scanner
from tertulia.server.settings import ScannerSettings

from .stores import pieces_of, some_bytes

BAD = b"a-test-of-scanners-and-nothing-else"
"""What our clamd takes for a virus."""
SHORT_S = 0.2
"""A limit that a test waits for."""
LONG_S = 30.0
"""A limit that no test waits for."""
STREAM_LIMIT = 1 << 20


class Clamd:
    """One connection to the daemon."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def command(self) -> bytes:
        return await self.reader.readuntil(b"\0")

    async def stream(self, most: int | None = None) -> bytes | None:
        """What is to be scanned; None for more than allowed."""
        whole = b""
        while length := int.from_bytes(await self.reader.readexactly(4), "big"):
            whole += await self.reader.readexactly(length)
            if most is not None and len(whole) > most:
                return None
        return whole

    def say(self, answer: bytes) -> None:
        self.writer.write(answer)


Script = Callable[[Clamd], Awaitable[None]]


async def as_clamd_does(clamd: Clamd) -> None:
    assert await clamd.command() == b"zINSTREAM\0"
    whole = await clamd.stream(STREAM_LIMIT)
    if whole is None:
        clamd.say(b"INSTREAM size limit exceeded. ERROR\0")
    elif BAD in whole:
        clamd.say(b"stream: Our-Test-Signature FOUND\0")
    else:
        clamd.say(b"stream: OK\0")


@asynccontextmanager
async def listening(script: Script, path: Path | None = None) -> AsyncIterator[str]:
    """Where the script listens, as the setting says it."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await script(Clamd(reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            running.discard(task)

    if path is not None:
        server, place = await asyncio.start_unix_server(serve, path), str(path)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield place
    finally:
        server.close()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


def scanner_at(place: str, timeout_s: float = LONG_S, **changes: str) -> Scanner:
    scanner = open_scanner(ScannerSettings(clamd=place, timeout_s=timeout_s, **changes))  # type: ignore[arg-type]
    assert scanner is not None
    return scanner


async def verdict_of(script: Script, data: bytes = b"bytes", timeout_s: float = LONG_S) -> Verdict:
    async with listening(script) as place:
        return await scanner_at(place, timeout_s).scan(pieces_of(data))


def test_without_a_place_to_ask_there_is_no_scanner() -> None:
    assert open_scanner(ScannerSettings()) is None


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 500_000])
async def test_a_clean_file_is_clean(size: int) -> None:
    assert await verdict_of(as_clamd_does, some_bytes(size)) == Verdict(Outcome.CLEAN)


async def test_what_is_found_has_its_name() -> None:
    data = some_bytes(200_000) + BAD + some_bytes(100_000)
    assert await verdict_of(as_clamd_does, data) == Verdict(Outcome.FOUND, "Our-Test-Signature")


async def test_clamd_sees_the_very_bytes_that_came() -> None:
    seen: list[bytes | None] = []

    async def script(clamd: Clamd) -> None:
        await clamd.command()
        seen.append(await clamd.stream())
        clamd.say(b"stream: OK\0")

    data = some_bytes(300_000)
    async with listening(script) as place:
        await scanner_at(place).scan(pieces_of(data, 200_000))
    assert seen == [data]


async def test_it_is_asked_over_a_socket_of_the_machine_too(tmp_path: Path) -> None:
    async with listening(as_clamd_does, tmp_path / "clamd") as place:
        assert (await scanner_at(place).scan(pieces_of(BAD))).outcome is Outcome.FOUND


async def test_a_file_above_clamds_own_limit_is_not_scanned() -> None:
    async def content() -> AsyncIterator[bytes]:
        async for piece in pieces_of(some_bytes(8 * STREAM_LIMIT)):
            yield piece

    async with listening(as_clamd_does) as place:
        verdict = await scanner_at(place).scan(content())
    assert verdict.outcome is Outcome.UNAVAILABLE


async def test_it_does_not_read_on_when_clamd_has_answered() -> None:
    read = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(65_536)
            await asyncio.sleep(0)

    async def script(clamd: Clamd) -> None:
        await clamd.command()
        clamd.say(b"INSTREAM size limit exceeded. ERROR\0")
        await clamd.stream()

    async with listening(script) as place:
        verdict = await scanner_at(place).scan(content())
    assert verdict == Verdict(Outcome.UNAVAILABLE, "it said 'INSTREAM size limit exceeded.'")


async def hangs_up(clamd: Clamd) -> None:
    await clamd.command()


async def resets(clamd: Clamd) -> None:
    await clamd.command()
    clamd.writer.transport.abort()


async def answers_nonsense(clamd: Clamd) -> None:
    await clamd.command()
    await clamd.stream()
    clamd.say(b"\xff\x00")


async def answers_without_end(clamd: Clamd) -> None:
    await clamd.command()
    await clamd.stream()
    for _ in range(100):
        clamd.say(b"x" * 1000)
        await clamd.writer.drain()


async def leaves_half_an_answer(clamd: Clamd) -> None:
    await clamd.command()
    await clamd.stream()
    clamd.say(b"stream: O")


@pytest.mark.parametrize("script", [hangs_up, resets, answers_nonsense, answers_without_end, leaves_half_an_answer])
@pytest.mark.parametrize("size", [0, 3 << 20])
async def test_a_clamd_that_goes_wrong_is_unavailable(script: Script, size: int) -> None:
    assert (await verdict_of(script, some_bytes(size))).outcome is Outcome.UNAVAILABLE


async def says_nothing(clamd: Clamd) -> None:
    await clamd.command()
    await clamd.stream()
    await asyncio.sleep(600)


async def reads_nothing(clamd: Clamd) -> None:
    clamd.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(600)


@pytest.mark.parametrize("script", [says_nothing, reads_nothing])
async def test_a_silent_clamd_is_unavailable_in_time(script: Script) -> None:
    verdict = await verdict_of(script, some_bytes(16 << 20), timeout_s=SHORT_S)
    assert verdict == Verdict(Outcome.UNAVAILABLE, "no answer within 0.2 s")


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    async with listening(as_clamd_does) as place:
        pass
    for absent in (place, str(tmp_path / "nothing")):
        verdict = await scanner_at(absent).scan(pieces_of(b"x"))
        assert verdict.outcome is Outcome.UNAVAILABLE and verdict.detail.startswith("cannot connect")


async def test_trouble_with_the_bytes_is_the_callers() -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"some"
        raise TimeoutError

    async with listening(as_clamd_does) as place:
        with pytest.raises(TimeoutError):
            await scanner_at(place).scan(content())


async def test_a_scan_may_be_cancelled_and_leaves_its_turn_to_others() -> None:
    begun = asyncio.Event()

    async def script(clamd: Clamd) -> None:
        await clamd.command()
        begun.set()
        whole = await clamd.stream()
        if whole == b"slow":
            await asyncio.sleep(600)
        clamd.say(b"stream: OK\0")

    async with listening(script) as place:
        scanner = scanner_at(place)
        slow = [asyncio.create_task(scanner.scan(pieces_of(b"slow"))) for _ in range(AT_ONCE)]
        await begun.wait()
        waiting = asyncio.create_task(scanner.scan(pieces_of(b"quick")))
        for task in slow:
            task.cancel()
        await asyncio.wait(slow)
        assert all(task.cancelled() for task in slow)
        assert await waiting == Verdict(Outcome.CLEAN)


async def test_many_are_scanned_and_only_some_at_a_time() -> None:
    now, most = 0, 0

    async def script(clamd: Clamd) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await as_clamd_does(clamd)
        now -= 1

    async with listening(script) as place:
        scanner = scanner_at(place)
        files = [BAD if number % 5 == 0 else some_bytes(10_000, number) for number in range(40)]
        verdicts = await asyncio.gather(*(scanner.scan(pieces_of(data)) for data in files))
    assert [verdict.outcome is Outcome.FOUND for verdict in verdicts] == [data is BAD for data in files]
    assert most <= AT_ONCE


@pytest.mark.parametrize(
    ("outcome", "on_error", "refused"),
    [
        (Outcome.CLEAN, "refuse", False),
        (Outcome.CLEAN, "accept", False),
        (Outcome.FOUND, "refuse", True),
        (Outcome.FOUND, "accept", True),
        (Outcome.UNAVAILABLE, "refuse", True),
        (Outcome.UNAVAILABLE, "accept", False),
    ],
)
def test_the_settings_say_what_becomes_of_a_file(outcome: Outcome, on_error: str, refused: bool) -> None:
    assert scanner_at("127.0.0.1:3310", on_error=on_error).refuses(Verdict(outcome)) is refused
