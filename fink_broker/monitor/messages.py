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

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from fink_broker.alert.packet import MAGIC, header, read_datum, read_packet
from fink_broker.alert.schema import Schema, parse
from fink_broker.errors import ConfigError, DataError

Format = Literal["container", "schema in key", "enveloped", "bare", "unreadable"]
Record = dict[str, Any]

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
    if value.startswith(MAGIC):
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
    ConfigError
        If the schema file is needed and cannot be read.
    """
    match found.format:
        case "container":
            return read_packet(value)[0]
        case "schema in key":
            return read_datum(value, _schema_of_text(found.schema))
        case "enveloped":
            return read_datum(value[_ENVELOPE_BYTES:], _schema_of_file(packet_schema))
        case "bare":
            return read_datum(value, _schema_of_file(packet_schema))
    raise DataError("The message is no Avro, or its schema is not known.", "Set kafka.packet_format.")


@lru_cache(maxsize=16)
def _schema_of_text(text: bytes) -> Schema:
    return parse(text)


@lru_cache(maxsize=2)
def _schema_of_file(path: str) -> Schema:
    try:
        return parse(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(
            f"The schema of packets, '{path}', cannot be read: {error.strerror}.",
            "Set kafka.packet_schema to an Avro schema file.",
        ) from error


def _container_schema(value: bytes) -> bytes:
    """Return the schema text in the header of an Avro file, empty if the header is broken."""
    try:
        return header(value).schema_text
    except DataError:
        return b""
