"""What a Kafka message holds: told from its first bytes, decoded only where asked.

======================  ===========================================================================
container               an Avro file, as ZTF sends: the writer's schema is in its header
schema in key           one Avro datum with its schema as the JSON text of the key, as Fink sends
enveloped               a zero byte and the number of a schema in a registry before the datum
bare                    one Avro datum, its schema known from elsewhere
unreadable              anything else
======================  ===========================================================================
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import fastavro

from fink_broker.alert.packet import read_packet
from fink_broker.errors import DataError

Format = Literal["container", "schema in key", "enveloped", "bare", "unreadable"]
Record = dict[str, Any]

_MAGIC = b"Obj\x01"
_ENVELOPE_BYTES = 5


@dataclass(frozen=True)
class Look:
    """What the first bytes of a message tell.

    Parameters
    ----------
    format : str
        One of the formats above.
    schema : bytes
        What tells its schema from others: the JSON text, or the number in the envelope; empty if unknown.
    """

    format: Format
    schema: bytes = b""


def look(value: bytes | None, key: bytes | None, bare_format: str = "container") -> Look:
    """Tell the format of a message without decoding it.

    Parameters
    ----------
    value, key : bytes or None
        Of the message.
    bare_format : str
        Configured format of packets: ``bare`` and ``enveloped`` cannot be told from other bytes otherwise.
    """
    if not value:
        return Look("unreadable")
    if value.startswith(_MAGIC):
        schema = _container_schema(value)
        return Look("container", schema) if schema else Look("unreadable")
    if key and key.startswith(b"{"):
        return Look("schema in key", key)
    if bare_format == "enveloped" and value[0] == 0 and len(value) > _ENVELOPE_BYTES:
        return Look("enveloped", value[1:_ENVELOPE_BYTES])
    if bare_format == "bare":
        return Look("bare", b"configured")
    return Look("unreadable")


def decode(value: bytes, found: Look, packet_schema: str = "") -> Record:
    """Return the record of a message.

    Parameters
    ----------
    value : bytes
        Of the message.
    found : Look
        What :func:`look` told of it.
    packet_schema : str
        Avro schema file of bare and enveloped packets.

    Raises
    ------
    DataError
        If it cannot be decoded.
    """
    if found.format == "container":
        return read_packet(value)[0]
    if found.format == "unreadable":
        raise DataError("The message is no Avro, or its schema is not known.", "Set kafka.packet_format.")
    if found.format == "schema in key":
        return _read_datum(value, lambda: _schema_of_text(found.schema))
    datum = value[_ENVELOPE_BYTES:] if found.format == "enveloped" else value
    return _read_datum(datum, lambda: _schema_of_file(packet_schema))


def _read_datum(datum: bytes, schema: Callable[[], Any]) -> Record:
    """Read one schemaless datum."""
    try:
        record = fastavro.schemaless_reader(io.BytesIO(datum), schema(), None)
    except Exception as error:  # bytes that do not fit a schema make fastavro raise errors of a dozen kinds
        raise DataError(f"The message does not fit its schema: {type(error).__name__} {error}.") from error
    if not isinstance(record, dict):
        raise DataError("The message holds no Avro record.")
    return record


@lru_cache(maxsize=16)
def _schema_of_text(text: bytes) -> Any:
    return fastavro.parse_schema(json.loads(text))


@lru_cache(maxsize=2)
def _schema_of_file(path: str) -> Any:
    return fastavro.parse_schema(json.loads(Path(path).read_text()))


def _container_schema(value: bytes) -> bytes:
    """Return the schema text in the header of an Avro file, empty if the header is broken.

    Avro specification, "Object Container Files": magic, then a map of text to bytes in blocks.
    """
    at = len(_MAGIC)
    try:
        while True:
            entries, at = _varint(value, at)
            if entries == 0:
                return b""
            if entries < 0:  # followed by the size of the block in bytes
                entries, (_, at) = -entries, _varint(value, at)
            for _ in range(entries):
                name, at = _bytes(value, at)
                content, at = _bytes(value, at)
                if name == b"avro.schema":
                    return content
    except IndexError:
        return b""


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = _varint(data, at)
    if length < 0 or at + length > len(data):
        raise IndexError
    return data[at : at + length], at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read one zig-zag number; return it and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7
        if shift > 63:
            raise IndexError
