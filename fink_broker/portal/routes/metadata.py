"""``metadata``: names and notes that users give to objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fink_broker.archive.hbase.store import KeyRange
from fink_broker.portal import records
from fink_broker.portal.arguments import missing
from fink_broker.portal.route import Answer, Argument, Query, RequestError, Route, Rows, Text
from fink_broker.portal.writing import check_may_write

ALL = "all"
FIELDS = ("d:internal_name", "d:internal_name_encoded", "d:comments", "d:username")
CHOICES = ("objectId", "internal_name", "internal_name_encoded")
_IN_WORDS = "Choose one among: `objectId`, `internal_name`, `internal_name_encoded`"

_OBJECT_ID = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)
_USERNAME = re.compile(r"[\w .@+-]{1,60}")
_INTERNAL_NAME = re.compile(r"[\w .:,;/()*'+-]{1,100}")


def answer(query: Query) -> Answer:
    """Return notes by one of their names (GET), or write one (POST)."""
    return _write(query) if query.method == "POST" else _read(query)


def _read(query: Query) -> Rows:
    asked = [name for name in CHOICES if name in query.given]
    if not asked:
        raise RequestError(f"Argument not understood. {_IN_WORDS}.")
    if len(asked) > 1:
        raise RequestError(f"Too many arguments! {_IN_WORDS} ")
    key = "i:objectId" if query.generation == "current" else "key:key"
    schema = records.texts((key, *FIELDS))
    return Rows(records.as_tables(({key: name, **fields} for name, fields in _found(query, asked[0])), schema))


def _found(query: Query, by: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    wanted = query[by]
    if by == "objectId" and wanted != ALL:
        key = _object_id(wanted).encode()
        yield from records.read(query.archive, records.METADATA, KeyRange(key, key + b"\0"))
        return
    for name, fields in records.read(query.archive, records.METADATA, records.ALL):
        if by == "objectId" or fields.get(f"d:{by}") == wanted:
            yield name, fields


def _write(query: Query) -> Text:
    check_may_write(query)
    for name in ("objectId", "internal_name", "username"):
        if not query[name]:
            raise missing(name, query.generation)
    object_id, username = _object_id(query["objectId"]), query["username"]
    internal_name = " ".join(query["internal_name"].split())
    if _USERNAME.fullmatch(username) is None:
        raise RequestError("`username` may have letters, digits, blanks and . @ + - _, at most 60.\n")
    if _INTERNAL_NAME.fullmatch(internal_name) is None:
        raise RequestError(
            "`internal_name` may have letters, digits, blanks and . : , ; / ( ) * ' + - _, at most 100.\n"
        )
    encoded = internal_name.replace(" ", "")
    note = dict(zip(FIELDS, (internal_name, encoded, query["comments"] or "", username), strict=True))
    records.write(query.archive, records.METADATA, [(object_id, note)])
    api = query.config.api
    portal = (api.public_url or f"http://{api.host}:{api.port}").rstrip("/")
    return Text(f"Thanks {username} - You can visit {portal}/{encoded}")


def _object_id(text: str) -> str:
    if _OBJECT_ID.fullmatch(text) is None:
        raise RequestError("`objectId` is the name of one object: letters and digits, as ZTF21abfmbix.\n")
    return text


ROUTES = (
    Route(
        "metadata",
        "Get or post metadata: names and notes that users give to objects",
        answer,
        (
            Argument("objectId", "name of an object; all: every note", example="ZTF21abfmbix", longest=40),
            Argument("internal_name", "name that a user gave it", longest=200),
            Argument("internal_name_encoded", "that name without blanks", longest=200),
            Argument("username", "who writes the note (POST, with the token)", longest=100),
            Argument("comments", "the note (POST)", longest=4000),
        ),
        group="Names",
    ),
)
