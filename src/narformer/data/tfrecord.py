"""Records of a TFRecord file, every checksum tested, without TensorFlow.

A record is: its length (8 bytes, little-endian), the masked CRC-32C of these 8 bytes, its data, the masked CRC-32C of
the data. Format and mask: TensorFlow documentation, "TFRecord and tf.train.Example". The CRC (Castagnoli polynomial,
RFC 3720 appendix B.4) is computed for thousands of records at once, two bytes of each per step.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narformer.data.facts import require_file
from narformer.errors import BadFile
from narformer.progress import Progress, silent

__all__ = ["MAX_RECORD", "crc32c", "masked", "records"]

MAX_RECORD = 1 << 20
"""Bytes; a NAS-Bench-101 record has some hundred, and a wrong length must not request gigabytes."""

_BATCH, _BATCH_BYTES = 4096, 1 << 25
_HEAD, _TAIL = 12, 4
_AGAIN = "The file is truncated or damaged: get it from its source again."


def _step_table() -> NDArray[np.uint32]:
    """The register after each of its 65,536 low halves has been shifted out."""
    table = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(16):
        table = (table >> np.uint32(1)) ^ (np.uint32(0x82F63B78) * (table & np.uint32(1)))
    return table


_TABLE = _step_table()


def crc32c(data: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint32]:
    """CRC-32C of B stretches of ``data``: ``lengths`` bytes from ``starts``, both (B,).

    Stretches are padded in front to a common length: a register of zero is not changed by zero bytes. The usual start,
    a register of ones, is obtained by inverting the first four bytes.
    """
    crc_B = np.zeros(len(starts), dtype=np.uint32)
    short_B = lengths < 4
    for b in np.flatnonzero(short_B):
        crc_B[b] = _one(data[starts[b] : starts[b] + lengths[b]])
    # lengths of one power of two together, so that padding at most doubles the work
    power_B = np.where(short_B, -1, np.ceil(np.log2(np.maximum(lengths, 4))).astype(np.int64))
    for power in np.unique(power_B[~short_B]):
        rows = np.flatnonzero(power_B == power)
        size = int(lengths[rows].max() + 1) // 2 * 2
        padded_D = np.frombuffer(bytes(size) + data, dtype=np.uint8)
        step = max(1, (1 << 24) // size)
        for some in np.split(rows, range(step, len(rows), step)):
            crc_B[some] = _many(padded_D, starts[some] + lengths[some], lengths[some], size)
    return crc_B


def _many(
    padded_D: NDArray[np.uint8], ends: NDArray[np.int64], lengths: NDArray[np.int64], size: int
) -> NDArray[np.uint32]:
    byte_BL = np.lib.stride_tricks.sliding_window_view(padded_D, size)[ends]
    byte_BL[np.arange(size) < (size - lengths)[:, None]] = 0
    byte_BL[np.arange(len(ends))[:, None], (size - lengths)[:, None] + np.arange(4)] ^= 0xFF
    crc_B = np.zeros(len(ends), dtype=np.uint32)
    for pair_B in np.ascontiguousarray(byte_BL.view("<u2").T):
        crc_B = _TABLE[(crc_B ^ pair_B) & np.uint32(0xFFFF)] ^ (crc_B >> np.uint32(16))
    return ~crc_B


def _one(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    return crc ^ 0xFFFFFFFF


def masked(crc_B: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The checksums as the format stores them: rotated right by 15 bits, a constant added."""
    return ((crc_B >> np.uint32(15)) | (crc_B << np.uint32(17))) + np.uint32(0xA282EAD8)


def records(path: str | Path, progress: Progress = silent) -> Iterator[bytes]:
    """The data of each record in turn; ``progress`` gets the percentage of the file that has been read.

    Raises BadFile where a checksum is wrong, a record is larger than MAX_RECORD, or the file ends inside a record.
    """
    path = require_file(path, "a TFRecord file")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place, number = 0, 0
        while place < len(data):
            starts, lengths, place, fault = _walk(data, place)
            # a copy of the stretch, so that no array refers to the map when it is closed
            begin = starts[0] - _HEAD if starts else place
            stretch = data[begin:place]
            _check(stretch, np.array(starts, dtype=np.int64) - begin, np.array(lengths, dtype=np.int64), path, number)
            for start, length in zip(starts, lengths, strict=True):
                yield stretch[start - begin : start - begin + length]
            number += len(starts)
            if fault:
                raise BadFile(path, f"{fault} at byte {place:,}, in record {number:,}", "a whole TFRecord file", _AGAIN)
            progress("read", 100 * place // len(data), 100, None)


def _walk(data: mmap.mmap, place: int) -> tuple[list[int], list[int], int, str]:
    """Start and length of up to _BATCH records from ``place``, their end, and the reason if they end too early."""
    starts: list[int] = []
    lengths: list[int] = []
    first = place
    while place < len(data) and len(starts) < _BATCH and place - first < _BATCH_BYTES:
        if place + _HEAD > len(data):
            return starts, lengths, place, "the end of the file"
        (length,) = struct.unpack_from("<Q", data, place)
        if length > MAX_RECORD:
            return starts, lengths, place, f"a record of {length:,} bytes"
        if place + _HEAD + length + _TAIL > len(data):
            return starts, lengths, place, "the end of the file"
        starts.append(place + _HEAD)
        lengths.append(length)
        place += _HEAD + length + _TAIL
    return starts, lengths, place, ""


def _check(stretch: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64], path: Path, number: int) -> None:
    bytes_D = np.frombuffer(stretch, dtype=np.uint8)
    for part, begin, length, stored in (
        ("length", starts - _HEAD, np.full_like(starts, 8), starts - _TAIL),
        ("data", starts, lengths, starts + lengths),
    ):
        found = bytes_D[stored[:, None] + np.arange(_TAIL)].astype(np.uint32) << (8 * np.arange(_TAIL, dtype=np.uint32))
        wrong = np.flatnonzero(found.sum(axis=1, dtype=np.uint32) != masked(crc32c(stretch, begin, length)))
        if len(wrong):
            raise BadFile(
                path, f"a wrong checksum of the {part} of record {number + wrong[0]:,}", "a whole TFRecord file", _AGAIN
            )
