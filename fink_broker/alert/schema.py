"""Avro schemas of packets: the one reading schema that all versions of a survey are read into.

A packet is decoded with the schema it was written with; the reading schema says what comes out: every field any
known version has, each nullable. A version that brings new fields widens it, so no field is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastavro.schema import expand_schema

from fink_broker.errors import DataError

Schema = dict[str, Any]

SCHEMAS = Path(__file__).resolve().parent.parent.parent / "schemas"

#: An Avro container file with one block: its data are the records of that block, `count` of them.
CONTAINER_SCHEMA: Schema = {
    "type": "record",
    "name": "Container",
    "fields": [
        {"name": "magic", "type": {"type": "fixed", "name": "Magic", "size": 4}},
        {"name": "meta", "type": {"type": "map", "values": "bytes"}},
        {"name": "sync", "type": {"type": "fixed", "name": "Sync", "size": 16}},
        {"name": "count", "type": "long"},
        {"name": "data", "type": "bytes"},
        {"name": "end_sync", "type": "Sync"},
    ],
}

#: Without these a record is no alert.
ESSENTIAL = ("objectId", "candid", "candidate.jd")


@lru_cache(maxsize=1)
def ztf_reading_schema() -> str:
    """Return the reading schema of ZTF packets as JSON text: schema 4.02, every field nullable."""
    schema = parse((SCHEMAS / "ztf" / "alert_4.02.avsc").read_text())
    return json.dumps(_defined_once(nullable(expand_schema(schema))))


def parse(text: str | bytes) -> Schema:
    """Read the JSON text of a record schema.

    Raises
    ------
    DataError
        If it is no JSON or no record.
    """
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise DataError(f"The writer's schema is no JSON: {error}.") from error
    if not isinstance(schema, dict) or schema.get("type") != "record" or "fields" not in schema:
        raise DataError("The writer's schema is no Avro record.")
    return schema


def nullable(schema: Schema) -> Schema:
    """Return the schema with documentation dropped and every field ``["null", type]``, default null."""
    return {
        "type": "record",
        "name": schema["name"],
        **({"namespace": schema["namespace"]} if "namespace" in schema else {}),
        "fields": [
            {"name": field["name"], "type": ["null", *_branches(field["type"], nullable)], "default": None}
            for field in schema["fields"]
        ],
    }


def missing_fields(reading: Schema, writer: Schema) -> list[str]:
    """Return dotted names of the writer's fields that the reading schema lacks."""
    known = _record_fields(expand_schema(reading))
    return [name for name in _record_fields(expand_schema(writer)) if name not in known]


def evolve(reading: Schema, writer: Schema) -> Schema:
    """Return the reading schema widened by the fields only the writer has, at every level.

    A named type that both define, wherever, is the same type: it gets the fields of both.
    """
    return _defined_once(_widen(expand_schema(reading), nullable(expand_schema(writer))))


def _widen(ours: Schema, theirs: Schema) -> Schema:
    others = {field["name"]: field for field in theirs["fields"]}
    fields = []
    for field in ours["fields"]:
        other = others.pop(field["name"], None)
        fields.append(field if other is None else {**field, "type": _merge(field["type"], other["type"])})
    return {**ours, "fields": fields + list(others.values())}


def refusal(writer: Schema) -> str | None:
    """Return why records of this schema cannot be alerts, or None if they can."""
    fields = _record_fields(expand_schema(writer))
    lacking = [name for name in ESSENTIAL if name not in fields]
    return f"another schema ({writer.get('name')}): no {', '.join(lacking)}" if lacking else None


def _branches(of_type: Any, change: Callable[[Schema], Schema]) -> list[Any]:
    """Return the non-null branches of a type, records below them changed."""
    branches = of_type if isinstance(of_type, list) else [of_type]
    return [_walk(branch, change) for branch in branches if branch != "null"]


def _walk(of_type: Any, change: Callable[[Schema], Schema]) -> Any:
    """Return a type with the records in it changed and documentation dropped."""
    if isinstance(of_type, list):
        return [_walk(branch, change) for branch in of_type]
    if not isinstance(of_type, dict):
        return of_type
    if of_type["type"] == "record":
        return change(of_type)
    if isinstance(of_type["type"], dict | list):
        return _walk(of_type["type"], change)
    nested = {key: _walk(of_type[key], change) for key in ("items", "values") if key in of_type}
    return {key: value for key, value in of_type.items() if key != "doc"} | nested


def _merge(ours: Any, theirs: Any) -> Any:
    """Widen our type by the records found in theirs; where kinds differ ours stays."""
    if isinstance(ours, list) and isinstance(theirs, list):
        others = {_kind(branch): branch for branch in theirs}
        return [_merge(branch, others[_kind(branch)]) if _kind(branch) in others else branch for branch in ours]
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours["type"] == theirs["type"]:
        if ours["type"] == "record":
            return _widen(ours, theirs)
        if ours["type"] == "array":
            return {"type": "array", "items": _merge(ours["items"], theirs["items"])}
    return ours


def _defined_once(schema: Schema) -> Schema:
    """Return a schema in which each named type is defined where it is met first, and only named from then on."""
    records: dict[str, Schema] = {}
    defined: set[str] = set()

    def collect(of_type: Any) -> None:
        for part in _parts(of_type):
            collect(part)
        if isinstance(of_type, dict) and of_type["type"] == "record":
            name = of_type["name"]
            records[name] = _widen(records[name], of_type) if name in records else of_type

    def emit(of_type: Any) -> Any:
        if isinstance(of_type, list):
            return [emit(branch) for branch in of_type]
        if not isinstance(of_type, dict):
            return of_type
        if of_type["type"] in ("record", "enum", "fixed"):
            name = of_type["name"]
            if name in defined:
                return name
            defined.add(name)
            if of_type["type"] != "record":
                return of_type
            record = records[name]
            return {**record, "fields": [{**field, "type": emit(field["type"])} for field in record["fields"]]}
        return {key: emit(value) if key in ("type", "items", "values") else value for key, value in of_type.items()}

    collect(schema)
    emitted: Schema = emit(schema)
    return emitted


def _parts(of_type: Any) -> list[Any]:
    """Return the types a type is made of."""
    if isinstance(of_type, list):
        return of_type
    if not isinstance(of_type, dict):
        return []
    fields = [field["type"] for field in of_type.get("fields", ())]
    return fields + [of_type[key] for key in ("type", "items", "values") if isinstance(of_type.get(key), dict | list)]


def _kind(of_type: Any) -> str:
    return str(of_type["type"]) if isinstance(of_type, dict) else str(of_type)


def _record_fields(schema: Schema, prefix: str = "") -> dict[str, None]:
    """Return dotted names of all fields, in order; elements of arrays count as their array."""
    names: dict[str, None] = {}
    for field in schema["fields"]:
        name = f"{prefix}{field['name']}"
        names[name] = None
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        for branch in branches:
            names.update(_below(branch, f"{name}."))
    return names


def _below(of_type: Any, prefix: str) -> dict[str, None]:
    if isinstance(of_type, list):
        return {name: None for branch in of_type for name in _below(branch, prefix)}
    if not isinstance(of_type, dict):
        return {}
    if of_type["type"] == "record":
        return _record_fields(of_type, prefix)
    if of_type["type"] == "array":
        return _below(of_type["items"], prefix)
    return _below(of_type["type"], prefix) if isinstance(of_type["type"], dict | list) else {}
