"""Read and write packets: Avro container files held in memory, one alert each as ZTF sends them.

The container is taken apart here, by the Avro specification ("Object Container Files"); fastavro only decodes the
records inside. So the schema text of a stream is parsed once, not once a packet, and what a hostile sender may write
is refused before anything is built from it: lengths beyond the data, records that take no bytes, endless schemas.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import fastavro

from fink_broker.alert.schema import Schema, parse
from fink_broker.alert.schema_checks import check_decodable
from fink_broker.alert.varint import Cursor, zigzag
from fink_broker.errors import DataError

Record = dict[str, Any]
#: Data in memory: bytes, or a file mapped into it
Buffer = Any

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
#: Largest block of records after decompression (bytes): two hundred times the largest alert seen
MAX_BLOCK_BYTES = 256 * 1024 * 1024
_CODECS = ("null", "deflate")


@dataclass(frozen=True)
class ContainerHeader:
    """What stands before the first block of an Avro container file.

    Parameters
    ----------
    metadata : dict of str to bytes
        All entries of the header, ``avro.schema`` and ``avro.codec`` among them.
    sync : bytes
        The 16 bytes after each block.
    length : int
        Bytes from the beginning of the file to its first block.
    """

    metadata: dict[str, bytes]
    sync: bytes
    length: int

    @property
    def schema_text(self) -> bytes:
        """JSON text of the schema the records were written with."""
        return self.metadata["avro.schema"]

    @property
    def codec(self) -> str:
        """How blocks are compressed; ``null`` if they are not."""
        return self.metadata.get("avro.codec", b"null").decode("utf-8", "replace")


def header(data: Buffer) -> ContainerHeader:
    """Read the header of an Avro container file.

    Parameters
    ----------
    data : bytes or mmap
        The file; only its beginning is looked at.

    Raises
    ------
    DataError
        If it is empty, no Avro file, breaks off within the header, or has no schema.
    """
    if len(data) == 0:
        raise DataError("The packet is empty.")
    if data[: len(MAGIC)] != MAGIC:
        raise DataError("The packet is no Avro container file: it does not begin with 'Obj' and 1.")
    cursor = Cursor(data, len(MAGIC))
    metadata: dict[str, bytes] = {}
    while count := cursor.number():
        if count < 0:  # then the size of this part of the map follows
            count = -count
            cursor.number()
        for _ in range(count):  # each entry takes two bytes or more, so data that end also end this
            key = cursor.text()
            metadata[key] = cursor.sized()
    sync = cursor.take(SYNC_BYTES)
    if "avro.schema" not in metadata:
        raise DataError("The packet has no schema in its header.")
    return ContainerHeader(metadata, sync, cursor.at)


def read_packet(data: Buffer) -> tuple[Record, Schema]:
    """Decode a packet, an Avro container file with one alert.

    Parameters
    ----------
    data : bytes or mmap
        The packet.

    Returns
    -------
    tuple of dict and dict
        The alert, and the schema it was written with (shared by packets: not to be changed).

    Raises
    ------
    DataError
        If it cannot be decoded, or holds no alert or several.
    """
    records = read_container(data)
    found = next(records, None)
    if found is None:
        raise DataError("The packet holds no alert.")
    if next(records, None) is not None:
        raise DataError("The packet holds more than one alert.")
    return found


def read_container(data: Buffer) -> Iterator[tuple[Record, Schema]]:
    """Decode an Avro container file of any number of records, one after the other.

    Parameters
    ----------
    data : bytes or mmap
        The file. Blocks may be plain or deflated.

    Yields
    ------
    tuple of dict and dict
        A record, and the schema it was written with (shared: not to be changed).

    Raises
    ------
    DataError
        At the first thing that cannot be decoded; records before it have been yielded.
    """
    head = header(data)
    if head.codec not in _CODECS:
        raise DataError(f"The packet is compressed with {head.codec[:20]!r}.", "Known are null and deflate.")
    schema, parsed = _schema(head.schema_text)
    cursor = Cursor(data, head.length)
    while not cursor.at_end:
        count, block = cursor.number(), cursor.sized()
        if cursor.take(SYNC_BYTES) != head.sync:
            raise DataError("The packet is damaged: a block does not end with the file's sync marker.")
        if head.codec == "deflate":
            block = _inflate(block)
        if not 0 <= count <= len(block):  # a record takes one byte or more
            raise DataError(f"The packet claims {count} alerts in {len(block)} bytes.")
        stream = io.BytesIO(block)
        for _ in range(count):
            yield _decode(stream, parsed), schema
        if stream.tell() != len(block):
            raise DataError(f"The packet has {len(block) - stream.tell()} bytes beyond its alerts.")


def read_datum(data: bytes, schema: Schema) -> Record:
    """Decode one bare Avro record whose schema is known from elsewhere.

    Raises
    ------
    DataError
        If the bytes do not fit the schema.
    """
    stream = io.BytesIO(data)
    record = _decode(stream, _schema(_text(schema))[1])
    if stream.tell() != len(data):
        raise DataError(f"The packet has {len(data) - stream.tell()} bytes beyond its alert.")
    return record


def write_packet(record: Record, schema: Schema) -> bytes:
    """Encode an alert as ZTF sends it: an Avro container file with this one record, not compressed.

    The same record and schema give the same bytes.

    Parameters
    ----------
    record : dict
        The alert.
    schema : dict
        The schema to write with, its documentation included: it becomes part of the packet.

    Raises
    ------
    DataError
        If the record does not fit the schema.
    """
    text = _text(schema)
    front, sync = _front(text)
    datum = _encode(record, text)
    return b"".join((front, zigzag(1), zigzag(len(datum)), datum, sync))


def write_datum(record: Record, schema: Schema) -> bytes:
    """Encode an alert as a bare Avro record, without its schema.

    Raises
    ------
    DataError
        If the record does not fit the schema.
    """
    return _encode(record, _text(schema))


def _encode(record: Record, schema_text: bytes) -> bytes:
    stream, parsed = io.BytesIO(), _schema(schema_text)[1]
    try:
        fastavro.schemaless_writer(stream, parsed, record)
    except Exception as error:  # a value that does not fit makes fastavro raise errors of a dozen kinds
        raise DataError(f"The alert does not fit its schema: {type(error).__name__} {error}.") from error
    return stream.getvalue()


def _decode(stream: io.BytesIO, parsed: Schema) -> Record:
    try:
        record = fastavro.schemaless_reader(stream, parsed, None)
    except Exception as error:  # bytes that do not fit a schema make fastavro raise errors of a dozen kinds
        raise DataError(f"The packet cannot be decoded: {type(error).__name__} {error}.".strip()) from error
    return dict(record)


def _inflate(block: bytes) -> bytes:
    """Decompress a block, but never more than `MAX_BLOCK_BYTES` of it."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(block, MAX_BLOCK_BYTES)
    except zlib.error as error:
        raise DataError(f"The packet is damaged: {error}.") from error
    if not inflater.eof:
        raise DataError(f"A block of the packet breaks off, or is larger than {MAX_BLOCK_BYTES} bytes.")
    return plain


def _text(schema: Schema) -> bytes:
    return json.dumps(schema).encode()


@lru_cache(maxsize=64)
def _schema(text: bytes) -> tuple[Schema, Schema]:
    """Return a schema as it was written, and prepared for decoding."""
    try:
        schema = parse(text)
    except RecursionError as error:
        raise DataError("The writer's schema is no JSON: it is nested too deep.") from error
    check_decodable(schema)
    try:
        return schema, fastavro.parse_schema(schema)
    except Exception as error:  # fastavro raises errors of many kinds for the many ways to be no schema
        raise DataError(f"The writer's schema is not valid: {type(error).__name__} {error}.") from error


@lru_cache(maxsize=16)
def _front(schema_text: bytes) -> tuple[bytes, bytes]:
    """Return what stands before the block of a packet, and its sync marker, which follows from the schema."""
    sync = hashlib.sha256(schema_text).digest()[:SYNC_BYTES]
    metadata = (b"avro.codec", b"null"), (b"avro.schema", schema_text)
    entries = b"".join(zigzag(len(part)) + part for entry in metadata for part in entry)
    return b"".join((MAGIC, zigzag(len(metadata)), entries, zigzag(0), sync)), sync
