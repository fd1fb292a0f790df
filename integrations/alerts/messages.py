"""Messages of the broker's topics: one bare Avro datum each, with the JSON text of its schema as key."""

from __future__ import annotations

import io
import json
from functools import lru_cache
from typing import Any

import fastavro

#: A schema is nested at most so deep, and has at most so many types when every named one is written out. Alerts have
#: 5 and some 400: a schema beyond this, or one that contains itself, would exhaust the memory of whoever decodes it.
DEEPEST, MOST_TYPES = 32, 20_000

_CONTAINER = b"Obj\x01"


class UnreadableAlert(ValueError):
    """A message that cannot be decoded; the text says in one sentence why."""


def decode(value: bytes, key: bytes | None) -> dict[str, Any]:
    """Return the alert in a message.

    Parameters
    ----------
    value : bytes
        One Avro datum without a header.
    key : bytes or None
        UTF-8 JSON text of the schema it was written with.

    Returns
    -------
    dict
        The alert; its fields are those of the schema.

    Raises
    ------
    UnreadableAlert
        If the key is no schema of a record, or the value not exactly one datum in it.
    """
    if not key:
        raise UnreadableAlert("The message has no key, where the schema of the alert should be.")
    if not value:
        raise UnreadableAlert("The message is empty.")
    schema = _schema(key)
    if value.startswith(_CONTAINER):
        raise UnreadableAlert("The message is an Avro file, not a bare Avro datum.")
    stream = io.BytesIO(value)
    try:
        alert = fastavro.schemaless_reader(stream, schema, None)
    # a decoder led astray by foreign bytes raises errors of any kind
    except Exception as error:
        raise UnreadableAlert(f"The message does not fit the schema in its key ({_told(error)}).") from error
    if rest := len(value) - stream.tell():
        raise UnreadableAlert(f"The message does not fit the schema in its key ({rest} bytes are left over).")
    return alert


@lru_cache(maxsize=32)
def _schema(key: bytes) -> dict[str, Any]:
    """Return the parsed schema: a topic has the same in every message, and parsing costs more than decoding."""
    try:
        written = json.loads(key)
    except (ValueError, RecursionError) as error:
        raise UnreadableAlert(f"The key of the message is not JSON ({_told(error)}).") from error
    if not isinstance(written, dict) or written.get("type") != "record":
        raise UnreadableAlert("The key of the message is not the Avro schema of a record.")
    named: dict[str, Any] = {}
    try:
        parsed = fastavro.parse_schema(written, named)
        _Sizes(named).least(parsed, 0)
    except UnreadableAlert:
        raise
    except Exception as error:
        raise UnreadableAlert(f"The key of the message is not an Avro schema ({_told(error)}).") from error
    return parsed


class _Sizes:
    """Finds the least number of bytes a datum of a type takes, and with it schemas that cost without bound to read."""

    def __init__(self, named: dict[str, Any]) -> None:
        self._named = named
        self._seen = 0

    def least(self, of_type: Any, depth: int) -> int:
        self._seen += 1
        if depth > DEEPEST or self._seen > MOST_TYPES:
            raise UnreadableAlert("The schema in the key of the message contains itself or is nested too deeply.")
        if isinstance(of_type, str):
            return self.least(self._named[of_type], depth + 1) if of_type in self._named else int(of_type != "null")
        if isinstance(of_type, list):
            return 1 + min(self.least(branch, depth + 1) for branch in of_type)
        kind = of_type["type"]
        if kind in ("record", "error"):
            return sum(self.least(field["type"], depth + 1) for field in of_type["fields"])
        if kind in ("array", "map"):
            items = self.least(of_type["items" if kind == "array" else "values"], depth + 1)
            # elements of no bytes: a count of a few bytes could stand for any number of them
            if kind == "array" and items == 0:
                raise UnreadableAlert("The schema in the key of the message has lists of nothing.")
            return 1
        if kind == "fixed":
            return int(of_type["size"])
        return 1 if kind == "enum" else self.least(kind, depth + 1)


def _told(error: BaseException) -> str:
    """Return what an error says, on one line and short."""
    said = " ".join(str(error).split()) or "no reason given"
    return f"{type(error).__name__}: {said[:160]}"
