"""Avro containers in files and archives, read without unpacking anything to disk."""

from __future__ import annotations

import gzip
import itertools
import mmap
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from fink_broker.alert.packet import read_container
from fink_broker.errors import DataError
from fink_broker.simulate.stored import StoredAlert

#: Largest packet inside an archive (bytes): no alert comes near, and it has to fit into memory
MAX_MEMBER_BYTES = 64 * 1024 * 1024
#: What reading a damaged file raises, beside DataError
READ_ERRORS = (OSError, EOFError, zlib.error, tarfile.TarError)


def alerts_in(data: Any) -> Iterator[StoredAlert]:
    """Yield the alerts of an Avro container file; the one of a packet keeps its bytes as they were sent.

    Raises
    ------
    DataError
        If something in it cannot be read; alerts before it have been yielded, unless there was only one.
    """
    records = read_container(data)
    first = next(records, None)
    if first is None:
        raise DataError("It holds no alert.")
    second = next(records, None)
    if second is None:
        yield StoredAlert(*first, raw=bytes(data))
        return
    for record, schema in itertools.chain((first, second), records):
        yield StoredAlert(record, schema)


def members(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and content of each Avro file in a tar archive, straight from the compressed stream."""
    with file.open("rb") as raw:
        # gzip by our own hands: it tells a stream that breaks off, which tarfile takes for the end
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        with (
            gzip.GzipFile(fileobj=raw) if packed else raw as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 16) as archive,
        ):
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined] # else it keeps a note of every member
                if member.isfile() and member.name.lower().endswith(".avro"):
                    content = archive.extractfile(member)
                    assert content is not None  # noqa: S101 - it is a file
                    yield member.name, content


def read_all(stream: IO[bytes] | gzip.GzipFile) -> bytes:
    """Read a packet whole.

    Raises
    ------
    DataError
        If it is larger than `MAX_MEMBER_BYTES`.
    """
    data = stream.read(MAX_MEMBER_BYTES + 1)
    if len(data) > MAX_MEMBER_BYTES:
        raise DataError(f"It is larger than {MAX_MEMBER_BYTES >> 20} MiB.")
    return data


def alerts_in_file(file: Path) -> Iterator[StoredAlert]:
    """Yield the alerts of an Avro file, which may be larger than the memory."""
    with file.open("rb") as stream:
        if file.stat().st_size == 0:
            raise DataError("It is empty.")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from alerts_in(data)
