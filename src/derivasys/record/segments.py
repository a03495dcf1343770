"""Recording files: raw records in compressed blocks, readable up to the last flush whatever happened after it.

A recording is a folder of segments `NNNNNN.dvs`. A segment is a run of blocks; a block is a fixed header (magic, sizes,
checksum, first and last receive time, whether it holds terms) and a zstd-compressed run of records; a record is
(recv_ns, connection, kind, payload). Terms are what later frames mean nothing without: connections and listings. Beside
each segment stands its index `NNNNNN.dvi`: of every block offset, times and whether it holds terms, so that a span is
found without reading what lies before it. The index can be made again from the segment, and is where it is missing or
short. A block cut off by a crash ends its segment.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

from msgspec import Struct

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"DVS2"
BLOCK_BYTES = 256 << 10
"""A block is written when it holds so much …"""
FLUSH_S = 1.0
"""… or is so old."""
SEGMENT_BYTES = 256 << 20
RECORD_BYTES_MAX = 64 << 20
_HEADER = struct.Struct("<4sIIqqI?")
"""magic, compressed bytes, raw bytes, first ns, last ns, records, has terms; checksum and bytes follow."""
_CHECKSUM = struct.Struct("<I")
"""crc32 of the header and the compressed bytes."""
_HEAD_BYTES = _HEADER.size + _CHECKSUM.size
_RECORD = struct.Struct("<qHBI")
_INDEX = struct.Struct("<Qqq?")
"""offset of the block, first ns, last ns, has terms."""


class Kind(IntEnum):
    """What a record holds."""

    OPENED = 0  # a connection: JSON of venue, address and feed
    RECEIVED = 1
    SENT = 2
    LISTING = 3  # a REST reply, or a received frame that lists contracts
    CYCLE = 4  # a drain of the feed's pipeline at recv_ns; payload: its currency, empty for all


_KINDS = tuple(Kind)
"""By value: a call of the enumeration costs more than the rest of a record."""
TERMS = frozenset({Kind.OPENED, Kind.LISTING})


class Record(Struct, frozen=True, gc=False):
    """One thing that happened at `recv_ns`."""

    recv_ns: int
    connection: int
    kind: Kind
    payload: bytes


class SegmentError(ValueError):
    """A file that is no segment, or damaged before its end; names the file and the offset."""


class BlockWriter:
    """Gathers records and writes them as blocks to numbered segments of a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        existing = sorted(folder.glob("*.dvs"))
        self._number = int(existing[-1].stem) + 1 if existing else 0
        self._buffer = bytearray()
        self._records = 0
        self._has_terms = False
        self._first_ns = self._last_ns = 0
        self._segment: int | None = None
        self.path: Path | None = None
        """The segment being written; None between two."""
        self._index: int | None = None
        self._offset = 0
        self.bytes_written = 0
        self.lost = 0
        """Records of blocks that could not be written."""

    def add(self, recv_ns: int, connection: int, kind: int, payload: bytes) -> None:
        """Keep one record; writes a block when enough have come. Raises OSError."""
        # Feeds may run on clocks years apart: a block's span is that of the earliest and the latest of its records.
        if not self._records:
            self._first_ns = self._last_ns = recv_ns
        elif recv_ns > self._last_ns:
            self._last_ns = recv_ns
        elif recv_ns < self._first_ns:
            self._first_ns = recv_ns
        self._buffer += _RECORD.pack(recv_ns, connection, kind, len(payload))
        self._buffer += payload
        self._records += 1
        if kind in TERMS:
            self._has_terms = True
        if len(self._buffer) >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what has been kept as one block. Raises OSError; the block is then lost and the segment closed."""
        if not self._records:
            return
        raw = bytes(self._buffer)
        packed = zstd.compress(raw, level=1)
        spans = (self._first_ns, self._last_ns)
        has_terms = self._has_terms
        header = _HEADER.pack(MAGIC, len(packed), len(raw), *spans, self._records, has_terms)
        header += _CHECKSUM.pack(zlib.crc32(packed, zlib.crc32(header)))
        records = self._records
        self._buffer.clear()
        self._records = 0
        self._has_terms = False
        try:
            if self._segment is None:
                self._open()
            assert self._segment is not None
            assert self._index is not None
            _write_all(self._segment, header + packed)
            _write_all(self._index, _INDEX.pack(self._offset, *spans, has_terms))
        except OSError:
            self.lost += records
            if self._segment is not None:
                with suppress(OSError):  # a piece of a block is of no use
                    os.ftruncate(self._segment, self._offset)
            self.close()
            raise
        self._offset += len(header) + len(packed)
        self.bytes_written += len(header) + len(packed)
        if self._offset >= SEGMENT_BYTES:
            self.close()

    def close(self) -> None:
        """End the present segment. What was not flushed is not written."""
        for descriptor in (self._segment, self._index):
            if descriptor is not None:
                os.close(descriptor)
        self._segment = self._index = self.path = None

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        path = self._folder / f"{self._number:06d}.dvs"
        self._segment = os.open(path, flags, 0o644)
        self._index = os.open(path.with_suffix(".dvi"), flags, 0o644)
        self.path = path
        self._number += 1
        self._offset = 0


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Block(Struct, frozen=True):
    """Where a block stands and what times it spans."""

    path: Path
    offset: int
    first_ns: int
    last_ns: int
    has_terms: bool


def blocks(folder: Path) -> list[Block]:
    """Return the whole blocks of a recording in order. Raises SegmentError when there are none."""
    segments = sorted(folder.glob("*.dvs"))
    if not segments:
        raise SegmentError(f"{folder}: no recording there (no *.dvs)")
    return [block for segment in segments for block in _segment_blocks(segment)]


def _segment_blocks(path: Path) -> list[Block]:
    """Return a segment's whole blocks from its index, and from the segment itself beyond the index."""
    found: list[Block] = []
    size = path.stat().st_size
    index = path.with_suffix(".dvi")
    if index.is_file():
        content = index.read_bytes()
        whole = len(content) - len(content) % _INDEX.size
        found = [Block(path, *entry) for entry in _INDEX.iter_unpack(content[:whole])]
    with path.open("rb") as file:
        offset = found.pop().offset if found else 0
        while offset + _HEAD_BYTES <= size:
            file.seek(offset)
            magic, packed, _, first_ns, last_ns, _, has_terms = _HEADER.unpack(file.read(_HEADER.size))
            if magic != MAGIC:
                raise SegmentError(f"{path}: no block at byte {offset}")
            if offset + _HEAD_BYTES + packed > size:
                break  # cut off while it was written
            found.append(Block(path, offset, first_ns, last_ns, has_terms))
            offset += _HEAD_BYTES + packed
    return found


def read_block(block: Block) -> Iterator[Record]:
    """Yield a block's records. Raises SegmentError when its checksum does not hold."""
    with block.path.open("rb") as file:
        file.seek(block.offset)
        header = file.read(_HEADER.size)
        _, packed, raw, *_ = _HEADER.unpack(header)
        (checksum,) = _CHECKSUM.unpack(file.read(_CHECKSUM.size))
        content = file.read(packed)
    if zlib.crc32(content, zlib.crc32(header)) != checksum:
        raise SegmentError(f"{block.path}: damaged block at byte {block.offset}")
    data = zstd.ZstdDecompressor().decompress(content, max_length=raw)
    at = 0
    while at < len(data):
        recv_ns, connection, kind, size = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        yield Record(recv_ns, connection, _KINDS[kind], data[at : at + size])
        at += size


def read(folder: Path, from_ns: int | None = None, to_ns: int | None = None) -> Iterator[Record]:
    """Yield the records of a recording with from_ns ≤ recv_ns < to_ns, in the order they happened.

    What opened a connection and the listings before `from_ns` are yielded too: without them later frames mean nothing.
    """
    for block in blocks(folder):
        if to_ns is not None and block.first_ns >= to_ns:
            continue
        if from_ns is not None and block.last_ns < from_ns and not block.has_terms:
            continue
        for record in read_block(block):
            if to_ns is not None and record.recv_ns >= to_ns:
                continue
            is_before = from_ns is not None and record.recv_ns < from_ns
            if not is_before or record.kind in TERMS:
                yield record
