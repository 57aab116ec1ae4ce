"""The HTTP library, for one connection of ours: what it costs too much to do its way is done in another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import h2.config
import h2.connection
import h2.settings
import hpack
import hpack.hpack
import hpack.table

TABLE_BYTES: Final = 4_096
"""Room for headers that were sent before. A receiver may offer more: then each search of it would cost more."""
SWEEP: Final = 256
"""New streams after which those that have ended are forgotten."""


class Encoder(hpack.Encoder):
    """Remembers how a field was written, and writes values as they are: to make them a third shorter would cost more
    than the whole rest of a call."""

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[tuple[bytes, bytes], bytes] = {}
        self._names: dict[bytes, bytes] = {}

    @property
    def header_table_size(self) -> int:
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        size = min(value, TABLE_BYTES)
        if size != self.header_table.maxsize:
            self.header_table.maxsize = size
            self.table_size_changes.append(size)
            self._written.clear()

    def encode(self, headers: Iterable[Any], huffman: bool = True) -> bytes:
        block = [super().encode(())]  # what there is to say about the table
        for field in headers:
            name, value = field
            if isinstance(field, hpack.NeverIndexedHeaderTuple):
                prefix = self._names.get(name) or self._name(name)
                size = len(value)
                length = bytes((size,)) if size < 127 else bytes(hpack.hpack.encode_integer(size, 7))
                block.append(prefix + length + value)
            else:
                block.append(self._written.get(field) or self._indexed(name, value))
        return b"".join(block)

    def _name(self, name: bytes) -> bytes:
        """The beginning of a field that is in no table; its name may be in the one that never changes."""
        standing = hpack.table.HeaderTable.STATIC_TABLE_MAPPING.get(name)
        if standing is None:
            prefix = bytearray(b"\x10") + hpack.hpack.encode_integer(len(name), 7) + name
        else:
            prefix = hpack.hpack.encode_integer(standing[0], 4)
            prefix[0] |= 0x10
        self._names[name] = written = bytes(prefix)
        return written

    def _indexed(self, name: bytes, value: bytes) -> bytes:
        written = self.add((name, value), sensitive=False, huffman=False)
        if written[0] & 0x80:
            self._written[name, value] = written
        else:
            self._written.clear()  # it is in the table from now on, and the places of all others have moved
        return written


class Http2(h2.connection.H2Connection):
    """The library's connection, which would otherwise go through all streams at each new one to count them."""

    def __init__(self, streams: Callable[[], int]) -> None:
        # What goes out is checked and in lower case before it comes here.
        super().__init__(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.encoder = Encoder()
        self.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: self.DEFAULT_MAX_HEADER_LIST_SIZE,
            },
        )
        self._streams = streams
        self._unswept = 0

    @property
    def open_outbound_streams(self) -> int:
        self._unswept += 1
        if self._unswept >= SWEEP:
            self._unswept = 0
            return super().open_outbound_streams  # forgets those that have ended
        return self._streams()
