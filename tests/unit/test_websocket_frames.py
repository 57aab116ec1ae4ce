"""What `tertulia.wire.websocket` promises about frames; `websockets` and `wsproto` give second opinions."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side
from wsproto.frame_protocol import FrameProtocol, ParseFailed

from tertulia.wire import websocket
from tertulia.wire.websocket import (
    Closed,
    Event,
    Failed,
    FrameReader,
    Message,
    Ping,
    Pong,
    apply_mask,
    apply_mask_in_python,
)

LIMIT = 100_000


def sent(opcode: int, data: bytes = b"", *, fin: bool = True, mask: bool = True, rsv: int = 0) -> bytes:
    """A client's frame as another library writes it, then spoilt as asked."""
    frame = bytearray(Frame(Opcode(opcode), data).serialize(mask=mask))
    frame[0] = (0x80 if fin else 0) | rsv << 4 | opcode
    return bytes(frame)


def raw(first: int, second: int, rest: bytes = b"") -> bytes:
    """A frame that no library would write, masked with zeros."""
    return bytes((first, second)) + rest


def read(data: bytes, limit: int = LIMIT) -> list[Event]:
    return FrameReader(limit).feed(data)


def read_in_pieces(pieces: Iterable[bytes], limit: int = LIMIT) -> list[Event]:
    reader = FrameReader(limit)
    return [event for piece in pieces for event in reader.feed(piece)]


TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0
EURO = "€".encode()

GOOD: dict[str, tuple[bytes, list[Event]]] = {
    "nothing": (b"", []),
    "a binary message": (sent(BINARY, b"hello"), [Message(b"hello", True)]),
    "a text message": (sent(TEXT, EURO), [Message(EURO, False)]),
    "an empty message": (sent(BINARY), [Message(b"", True)]),
    "the longest with a short length": (sent(BINARY, b"x" * 125), [Message(b"x" * 125, True)]),
    "the shortest with two bytes of length": (sent(BINARY, b"x" * 126), [Message(b"x" * 126, True)]),
    "the longest with two bytes of length": (sent(BINARY, b"x" * 65535), [Message(b"x" * 65535, True)]),
    "the shortest with eight bytes of length": (sent(BINARY, b"x" * 65536), [Message(b"x" * 65536, True)]),
    "exactly the limit": (sent(BINARY, b"x" * LIMIT), [Message(b"x" * LIMIT, True)]),
    "several messages": (sent(BINARY, b"a") + sent(BINARY, b"b"), [Message(b"a", True), Message(b"b", True)]),
    "fragments": (
        sent(BINARY, b"a", fin=False) + sent(CONTINUATION, b"b", fin=False) + sent(CONTINUATION, b"c"),
        [Message(b"abc", True)],
    ),
    "empty fragments": (
        sent(BINARY, fin=False) + sent(CONTINUATION, fin=False) + sent(CONTINUATION),
        [Message(b"", True)],
    ),
    "a character cut by fragments": (
        sent(TEXT, EURO[:1], fin=False) + sent(CONTINUATION, EURO[1:]),
        [Message(EURO, False)],
    ),
    "control frames between fragments": (
        sent(TEXT, b"a", fin=False) + sent(PING, b"1") + sent(PONG, b"2") + sent(CONTINUATION, b"b"),
        [Ping(b"1"), Pong(b"2"), Message(b"ab", False)],
    ),
    "a close between fragments": (sent(BINARY, b"a", fin=False) + sent(CLOSE), [Closed(1005, "")]),
    "a message after fragments": (
        sent(BINARY, b"a", fin=False) + sent(CONTINUATION, b"b") + sent(TEXT, b"c"),
        [Message(b"ab", True), Message(b"c", False)],
    ),
    "a ping without data": (sent(PING), [Ping(b"")]),
    "the longest ping": (sent(PING, b"p" * 125), [Ping(b"p" * 125)]),
    "a close without a code": (sent(CLOSE), [Closed(1005, "")]),
    "a close with a code": (sent(CLOSE, b"\x03\xe8"), [Closed(1000, "")]),
    "a close with a reason": (sent(CLOSE, b"\x0f\xa0" + EURO), [Closed(4000, "€")]),
    "bytes after a close": (sent(CLOSE) + b"\xff" * 50, [Closed(1005, "")]),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_stream_of_good_frames_becomes_its_events(case: str) -> None:
    stream, events = GOOD[case]
    assert read(stream) == events


@pytest.mark.parametrize("case", GOOD)
def test_a_stream_byte_by_byte_becomes_the_same_events(case: str) -> None:
    stream, events = GOOD[case]
    assert read_in_pieces(stream[n : n + 1] for n in range(len(stream))) == events


ZEROS = b"\0" * 4
BAD: dict[str, tuple[bytes, int]] = {
    "not masked": (sent(BINARY, b"x", mask=False), 1002),
    "not masked and empty": (sent(BINARY, mask=False), 1002),
    "a close that is not masked": (sent(CLOSE, mask=False), 1002),
    **{f"reserved bits {bits}": (sent(BINARY, b"x", rsv=bits), 1002) for bits in range(1, 8)},
    "reserved bit on a ping": (sent(PING, rsv=4), 1002),
    **{f"reserved opcode {op}": (raw(0x80 | op, 0x80, ZEROS), 1002) for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"fragmented control frame {op}": (sent(op, fin=False), 1002) for op in (CLOSE, PING, PONG)},
    **{f"long control frame {op}": (raw(0x80 | op, 0xFE, b"\0\x7e"), 1002) for op in (CLOSE, PING, PONG)},
    "continuation of nothing": (sent(CONTINUATION, b"x"), 1002),
    "continuation of a whole message": (sent(BINARY, b"a") + sent(CONTINUATION, b"b"), 1002),
    "continuation after the last": (
        sent(BINARY, fin=False) + sent(CONTINUATION) + sent(CONTINUATION, b"b", fin=False),
        1002,
    ),
    "a message inside a message": (sent(BINARY, b"a", fin=False) + sent(BINARY, b"b"), 1002),
    "fragments inside fragments": (sent(TEXT, b"a", fin=False) + sent(TEXT, b"b", fin=False), 1002),
    "two bytes for a short length": (raw(0x82, 0xFE, b"\0\x7d"), 1002),
    "eight bytes for a short length": (raw(0x82, 0xFF, b"\0" * 7 + b"\x05"), 1002),
    "eight bytes for a medium length": (raw(0x82, 0xFF, b"\0" * 6 + b"\xff\xff"), 1002),
    "the top bit of a length": (raw(0x82, 0xFF, b"\x80" + b"\0" * 7), 1002),
    "half a close code": (sent(CLOSE, b"\x03"), 1002),
    **{
        f"close code {code}": (sent(CLOSE, code.to_bytes(2, "big")), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "a close reason that is not UTF-8": (sent(CLOSE, b"\x03\xe8\xff"), 1007),
    "a close reason with half a character": (sent(CLOSE, b"\x03\xe8" + EURO[:2]), 1007),
    "text that is not UTF-8": (sent(TEXT, b"\xff"), 1007),
    "text with half a character": (sent(TEXT, EURO[:2]), 1007),
    "text with a surrogate": (sent(TEXT, b"\xed\xa0\x80"), 1007),
    "text with an overlong character": (sent(TEXT, b"\xc0\xaf"), 1007),
    "text in fragments that is not UTF-8": (sent(TEXT, EURO[:2], fin=False) + sent(CONTINUATION, b"x"), 1007),
    "one byte too long": (sent(BINARY, b"x" * (LIMIT + 1)), 1009),
    "far too long": (raw(0x82, 0xFF, b"\x7f" + b"\xff" * 7), 1009),
    "too long in fragments": (
        sent(BINARY, b"x" * LIMIT, fin=False) + sent(PING) + sent(CONTINUATION, b"y"),
        1009,
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_violation_fails_with_its_close_code_and_ends_the_stream(case: str) -> None:
    stream, code = BAD[case]
    reader = FrameReader(LIMIT)
    *_, last = reader.feed(sent(PING, b"before") + stream + sent(PING, b"after"))
    assert isinstance(last, Failed)
    assert last.code == code
    assert last.reason
    assert reader.feed(sent(PING, b"later")) == []


@pytest.mark.parametrize("case", BAD)
def test_what_came_before_a_violation_is_delivered(case: str) -> None:
    stream, _ = BAD[case]
    assert read(sent(PING, b"before") + stream)[0] == Ping(b"before")


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_every_close_code_that_may_travel_is_accepted(code: int) -> None:
    assert read(sent(CLOSE, code.to_bytes(2, "big") + b"why")) == [Closed(code, "why")]


@pytest.mark.parametrize("limit", [0, 5, 124])
def test_a_limit_below_the_fast_path_holds(limit: int) -> None:
    assert read(sent(BINARY, b"x" * limit), limit) == [Message(b"x" * limit, True)]
    assert isinstance(read(sent(BINARY, b"x" * (limit + 1)), limit)[0], Failed)
    assert read(sent(PING, b"x" * 125), limit) == [Ping(b"x" * 125)]


def test_a_long_message_is_refused_by_its_length_alone() -> None:
    header = raw(0x82, 0xFE, b"\xff\xff")
    for events in (read(header, 1000), read_in_pieces((header[n : n + 1] for n in range(4)), 1000)):
        assert [event.code for event in events if isinstance(event, Failed)] == [1009]


def memory_of(reader: FrameReader, piece: bytes, times: int) -> int:
    tracemalloc.start()
    try:
        for _ in range(times):
            reader.feed(piece)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_many_tiny_fragments_take_no_more_memory_than_the_message() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(sent(BINARY, b"x", fin=False))
    assert memory_of(reader, sent(CONTINUATION, b"x", fin=False), 30_000) < 2 * LIMIT


def test_endless_empty_fragments_take_no_memory() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(sent(BINARY, fin=False))
    assert memory_of(reader, sent(CONTINUATION, fin=False), 30_000) < 10_000


def test_a_frame_in_many_pieces_takes_no_more_memory_than_the_message() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(sent(BINARY, b"x" * LIMIT)[:14])
    assert memory_of(reader, b"x", LIMIT - 10) < 2 * LIMIT


def test_a_promised_length_reserves_nothing() -> None:
    assert memory_of(FrameReader(1 << 40), raw(0x82, 0xFF, b"\0\0\0\xff\0\0\0\0" + ZEROS), 1) < 10_000


@pytest.mark.parametrize("end", [sent(CLOSE), raw(0x83, 0x80)], ids=["close", "violation"])
def test_a_stream_that_ended_takes_no_memory(end: bytes) -> None:
    stream = sent(BINARY, b"x" * LIMIT, fin=False) + end
    reader = FrameReader(LIMIT)
    tracemalloc.start()
    try:
        reader.feed(stream)
        reader.feed(b"x" * 1000)
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()


# --- masks


@given(data=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4))
def test_both_ways_of_masking_agree_and_undo_themselves(data: bytes, mask: bytes) -> None:
    masked = apply_mask_in_python(data, mask)
    assert masked == apply_mask(data, mask) == bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
    assert apply_mask_in_python(masked, mask) == data


@pytest.mark.parametrize("missing", ["websockets", "websockets.speedups"])
def test_messages_are_read_without_the_fast_mask(missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from tertulia.wire.websocket import FrameReader, apply_mask, apply_mask_in_python\n"
        "assert apply_mask is apply_mask_in_python\n"
        f"print(FrameReader(100).feed({sent(BINARY, b'hello')!r})[0].data)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.strip() == "b'hello'", done.stderr


# --- fuzzing


texts = st.text("aé€😀\0", max_size=30)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """A valid stream and what it means."""
    stream, events = b"", list[Event]()

    def controls() -> bytes:
        bits = b""
        for ping, data in draw(st.lists(st.tuples(st.booleans(), st.binary(max_size=125)), max_size=2)):
            events.append(Ping(data) if ping else Pong(data))
            bits += sent(PING if ping else PONG, data)
        return bits

    for is_binary in draw(st.lists(st.booleans(), max_size=4)):
        data = draw(st.binary(max_size=400)) if is_binary else draw(texts).encode()
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
        bounds = [0, *cuts, len(data)]
        for n, (begin, end) in enumerate(itertools.pairwise(bounds)):
            opcode = CONTINUATION if n else BINARY if is_binary else TEXT
            stream += controls() + sent(opcode, data[begin:end], fin=n == len(cuts))
        events.append(Message(data, is_binary))
    stream += controls()
    if draw(st.booleans()):
        reason = draw(texts)
        stream += sent(CLOSE, (1000).to_bytes(2, "big") + reason.encode())
        events.append(Closed(1000, reason))
    return stream, events


def pieces(stream: bytes) -> st.SearchStrategy[list[bytes]]:
    """The stream, cut anywhere."""
    cuts = st.lists(st.integers(0, len(stream)), max_size=20).map(sorted)
    return cuts.map(lambda at: [stream[begin:end] for begin, end in itertools.pairwise([0, *at, len(stream)])])


@given(st.data())
def test_a_valid_stream_means_the_same_however_it_is_cut(data: st.DataObject) -> None:
    stream, events = data.draw(streams())
    assert read(stream) == events
    assert read_in_pieces(data.draw(pieces(stream))) == events


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_garbage_never_raises_and_nothing_follows_the_end(pieces: list[bytes]) -> None:
    events = read_in_pieces(pieces, limit=50)
    assert all(not isinstance(event, (Closed, Failed)) for event in events[:-1])


@given(st.data())
def test_a_valid_stream_with_one_byte_changed_never_raises(data: st.DataObject) -> None:
    stream, _ = data.draw(streams().filter(lambda made: made[0] != b""))
    at = data.draw(st.integers(0, len(stream) - 1))
    spoilt = stream[:at] + data.draw(st.binary(min_size=1, max_size=1)) + stream[at + 1 :]
    assert read_in_pieces(data.draw(pieces(spoilt))) == read(spoilt)


def seen_by_wsproto(stream: bytes) -> list[Event]:
    server, message, seen = FrameProtocol(client=False, extensions=[]), b"", list[Event]()
    server.receive_bytes(stream)
    try:
        for frame in server.received_frames():
            data = frame.payload
            if frame.opcode == CLOSE:
                assert isinstance(data, tuple)
                seen.append(Closed(int(data[0]), data[1]))
                continue
            assert not isinstance(data, tuple)
            data = data.encode() if isinstance(data, str) else bytes(data)
            if frame.opcode in (PING, PONG):
                seen.append(Ping(data) if frame.opcode == PING else Pong(data))
                continue
            message += data
            if frame.message_finished:
                seen.append(Message(message, frame.opcode == BINARY))
                message = b""
    except ParseFailed as error:
        seen.append(Failed(int(error.code), ""))
    return seen


# Its text is checked fragment by fragment and its list of close codes stops at 1013: neither is generated here.
any_frames = st.lists(
    st.one_of(
        st.builds(sent, st.sampled_from([BINARY, CONTINUATION]), st.binary(max_size=200), fin=st.booleans()),
        st.builds(sent, st.just(TEXT), st.binary(max_size=4)),
        st.builds(sent, st.sampled_from([BINARY, PING, PONG]), st.binary(max_size=125), fin=st.just(True)),
        st.builds(sent, st.sampled_from([BINARY, PING]), rsv=st.integers(0, 7), mask=st.booleans()),
        st.builds(
            lambda code, reason: sent(CLOSE, code.to_bytes(2, "big") + reason),
            st.one_of(st.integers(0, 1013), st.integers(1015, 65535)),
            st.one_of(texts.map(str.encode), st.binary(max_size=10)),
        ),
        st.builds(sent, st.just(CLOSE), st.binary(max_size=1)),
        st.builds(raw, st.integers(0, 255), st.integers(0, 255), st.just(b"\0" * 300)),
    ),
    max_size=8,
)


@given(any_frames)
def test_good_and_bad_frames_mean_what_wsproto_reads(frames: list[bytes]) -> None:
    stream = b"".join(frames)
    ours = [Failed(event.code, "") if isinstance(event, Failed) else event for event in read(stream)]
    assert ours == seen_by_wsproto(stream)


# --- what we send


def seen_by_websockets(stream: bytes) -> list[tuple[Opcode, bytes]]:
    client = Protocol(Side.CLIENT)
    client.receive_data(stream)
    assert client.parser_exc is None
    return [(frame.opcode, bytes(frame.data)) for frame in client.events_received() if isinstance(frame, Frame)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_client_reads_our_messages(size: int) -> None:
    data = b"x" * size
    stream = websocket.binary(data) + websocket.text(data.decode())
    assert seen_by_websockets(stream) == [(Opcode.BINARY, data), (Opcode.TEXT, data)]


def test_a_client_reads_our_control_frames() -> None:
    stream = websocket.ping(b"a") + websocket.pong(b"b") + websocket.ping() + websocket.close(4001, "why €")
    assert seen_by_websockets(stream) == [
        (Opcode.PING, b"a"),
        (Opcode.PONG, b"b"),
        (Opcode.PING, b""),
        (Opcode.CLOSE, b"\x0f\xa1why " + EURO),
    ]


def test_a_close_without_a_code_has_no_payload() -> None:
    assert websocket.close(1005, "unheard") == b"\x88\x00"


def test_a_long_close_reason_is_cut_between_characters() -> None:
    frame = websocket.close(1000, "a" + "€" * 60)
    assert len(frame) <= 127
    assert frame[4:].decode() == "a" + "€" * 40


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
def test_a_close_code_that_may_not_travel_is_not_sent(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        websocket.close(code)


def test_a_control_frame_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ValueError, match="126"):
        websocket.ping(b"x" * 126)
