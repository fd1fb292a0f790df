"""``fink reject show``: one rejected packet, as far as it can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from fink_broker.alert.packet import header, read_container
from fink_broker.archive.rejected import Place, RejectedPacket, rejected_packet
from fink_broker.cli.configuration import load
from fink_broker.errors import DataError, FinkError, UsageError

_HEX_BYTES, _HEX_LINE = 256, 16
_LONGEST_JSON, _LONGEST_TEXT = 6000, 300


def show(conf: str | None, place: str, output: Path | None) -> int:
    """Print a packet, and write it to a file if one is named; return the exit code."""
    config = load(conf, quiet=True).config
    packet = rejected_packet(config, *place_of(place))
    console = Console(highlight=False, soft_wrap=True)
    for line in described(packet):
        console.print(line, markup=False)
    if output is not None:
        output.write_bytes(packet.content or b"")
        console.print(f"{packet.entry.size:,} bytes are in {output}.", markup=False)
    return 0


def place_of(text: str) -> Place:
    """Return the place of a packet by its text, ``topic/partition/offset``.

    Raises
    ------
    UsageError
        If it is none.
    """
    topic, _, rest = text.strip().partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
        raise UsageError(
            f"'{text[:100]}' names no packet.", "Write TOPIC/PARTITION/OFFSET, as `fink reject list` does."
        )
    return Place(topic, int(partition[:18]), int(offset[:18]))


def described(packet: RejectedPacket) -> list[str]:
    """Return lines that say what is known of a packet."""
    entry, content = packet.entry, packet.content or b""
    lines = [
        f"packet    {entry.place}",
        f"came      {entry.time:%Y-%m-%d %H:%M:%S} UTC",
        f"bytes     {entry.size:,}" + (" (a message without a value)" if packet.content is None else ""),
        f"rejected  {_printable(entry.reason)}",
    ]
    if not content:
        return lines
    return [*lines, "", *_header_lines(content), "", *_content_lines(content)]


def _header_lines(content: bytes) -> list[str]:
    try:
        head = header(content)
    except FinkError as error:
        return [f"header    {error}"]
    lines = [f"header    Avro container, codec {_printable(head.codec)}"]
    for name, value in head.metadata.items():
        if name != "avro.schema":
            lines.append(f"          {_printable(name)}: {_printable(value.decode('utf-8', 'replace'))}")
    return [*lines, f"schema    {_schema_name(head.schema_text)}"]


def _schema_name(text: bytes) -> str:
    try:
        schema = json.loads(text)
        names = [f"{schema[key]}" for key in ("namespace", "name", "version") if key in schema]
    except (ValueError, TypeError, RecursionError):
        return f"no JSON: {_printable(text[:80].decode('utf-8', 'replace'))}"
    return f"{_printable(' '.join(names) or 'without a name')}, {len(text):,} bytes"


def _content_lines(content: bytes) -> list[str]:
    """Return the alerts in a packet as JSON, else its first bytes."""
    try:
        records = [record for record, _ in read_container(content)]
    except (DataError, RecursionError) as error:
        return [f"content   cannot be decoded: {_printable(str(error))}", "", *hex_lines(content)]
    text = json.dumps(records[0] if len(records) == 1 else records, indent=1, default=_instead, ensure_ascii=False)
    more = "" if len(text) <= _LONGEST_JSON else f"\n… ({len(text):,} characters in all)"
    return [f"content   {len(records)} record{'' if len(records) == 1 else 's'}", text[:_LONGEST_JSON] + more]


def hex_lines(content: bytes) -> list[str]:
    """Return the first bytes in hexadecimal, and the letters they are."""
    lines = []
    for start in range(0, min(len(content), _HEX_BYTES), _HEX_LINE):
        part = content[start : min(start + _HEX_LINE, _HEX_BYTES)]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<{3 * _HEX_LINE}} {letters}")
    if len(content) > _HEX_BYTES:
        lines.append(f"… ({len(content):,} bytes in all; --output FILE writes them)")
    return lines


def _instead(value: Any) -> str:
    return f"<{len(value):,} bytes>" if isinstance(value, bytes) else str(value)


def _printable(text: str) -> str:
    """Return a text that a packet brought without what a terminal might obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST_TEXT])
