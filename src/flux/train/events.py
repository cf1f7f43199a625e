"""TensorBoard's event files: numbers by tag and step, as the protocol buffers that it reads.

A file is a row of records: the length of the data (8 bytes, little endian), its checksum (4 bytes),
the data, their checksum. The data are an `Event` of tensorflow/core/util/event.proto; of its fields
we write `wall_time`, `step`, `file_version` and `summary`.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
import weakref
from pathlib import Path

import numpy as np

__all__ = ["EventFile", "crc32c", "record"]

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5  # how a field of a protocol buffer is written
NUMBER = itertools.count()  # of files that this process has opened


def crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc_table()


def crc32c(data: bytes) -> int:
    """The checksum of Castagnoli et al. (1993), as in RFC 3720.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    """The checksum turned by 15 bits and shifted, so that data may hold checksums themselves."""
    crc = crc32c(data)
    turned = ((crc >> 15) | (crc << 17)) + 0xA282EAD8
    return struct.pack("<I", turned & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """Data as a record of the file.

    >>> len(record(b"12345"))
    21
    """
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def varint(number: int) -> bytes:
    """A number in groups of seven bits, the lowest first, of which all but the last are marked.

    >>> varint(300)
    b'\\xac\\x02'
    """
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def field(number: int, kind: int, content: bytes) -> bytes:
    """A field of a protocol buffer."""
    length = varint(len(content)) if kind == BYTES else b""
    return varint(number << 3 | kind) + length + content


def event(wall_time: float, step: int, *fields: bytes) -> bytes:
    start = field(1, DOUBLE, struct.pack("<d", wall_time)) + field(2, VARINT, varint(step))
    return b"".join([start, *fields])


class EventFile:
    """A file of scalars for TensorBoard; every number is on its way to the disk when it is given.

    Args:
        folder: where; made if it is not there. TensorBoard shows the files of a folder as one run.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, EventFile(folder) as file:
    ...     file.scalar("loss", 0.5, step=1)
    ...     len(list(Path(folder).glob("events.out.tfevents.*")))
    1
    """

    def __init__(self, folder: str | os.PathLike):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        unique = f"{time.time():.0f}.{socket.gethostname()}.{os.getpid()}.{next(NUMBER)}"
        self.path = folder / f"events.out.tfevents.{unique}"
        self.file = open(self.path, "wb", buffering=0)
        self.close = weakref.finalize(self, self.file.close)
        self.file.write(record(event(time.time(), 0, field(3, BYTES, b"brain.Event:2"))))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number."""
        with np.errstate(over="ignore"):  # to infinity
            number = np.asarray(value, "<f4").tobytes()
        entry = field(1, BYTES, tag.encode()) + field(2, FLOAT, number)
        summary = field(5, BYTES, field(1, BYTES, entry))
        self.file.write(record(event(time.time(), step, summary)))

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *problem) -> None:
        self.close()
