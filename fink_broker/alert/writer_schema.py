"""The schema a packet carries: anyone may have written it, so it is checked before a decoder gets it."""

from __future__ import annotations

import re
from typing import Any

import fastavro

from fink_broker.alert.schema import Schema, parse
from fink_broker.alert.schema_checks import check_decodable
from fink_broker.errors import DataError

#: what of a schema says how its data are written; all else (defaults, aliases, documentation) a writer may get wrong
_MEANT = (
    "type",
    "name",
    "namespace",
    "fields",
    "items",
    "values",
    "symbols",
    "size",
    "logicalType",
    "precision",
    "scale",
)


def read_writer_schema(text: str | bytes) -> Schema:
    """Return the schema of a writer, bare of all that does not matter for reading, with all names in full.

    Raises
    ------
    DataError
        If it is no Avro schema of a record, or one that no decoder should follow.
    """
    try:
        schema = parse(text)
        check_decodable(schema)
        plain: Schema = _plain(fastavro.parse_schema(_plain(schema)))
        check_names(plain)
    except DataError:
        raise
    except Exception as error:  # whatever a schema makes a parser raise is that schema's fault
        raise DataError(
            f"The writer's schema is not valid: {type(error).__name__} {' '.join(str(error).split())[:100]}."
        ) from error
    return plain


def check_names(of_type: Any) -> None:
    """Check that the fields of every record can be columns: names of letters, digits and _, whatever their case.

    Raises
    ------
    DataError
        If one cannot.
    """
    if isinstance(of_type, list):
        for branch in of_type:
            check_names(branch)
    if not isinstance(of_type, dict):
        return
    seen: set[str] = set()
    for field in of_type.get("fields", ()):
        name = field["name"]
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise DataError(f"The writer's schema is not valid: a field is called {name[:60]!r}.")
        if name.lower() in seen:
            raise DataError(f"The writer's schema has two fields called {name[:60]}, but for their case.")
        seen.add(name.lower())
        check_names(field["type"])
    for part in ("type", "items", "values"):
        check_names(of_type.get(part))


def _plain(of_type: Any) -> Any:
    if isinstance(of_type, list):
        return [_plain(branch) for branch in of_type]
    if not isinstance(of_type, dict):
        return of_type
    plain = {key: of_type[key] for key in _MEANT if key in of_type}
    for part in ("type", "items", "values"):
        if part in plain:
            plain[part] = _plain(plain[part])
    if "fields" in plain:
        plain["fields"] = [_plain(field) for field in plain["fields"]]
    return plain
