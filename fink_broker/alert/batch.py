"""Batches of alerts for science, made of decoded packets without Spark: for tests, notebooks and archived files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from fink_broker.alert.lightcurve import HISTORY
from fink_broker.alert.schema import ztf_reading_schema

#: The image of a kind is in the field, and the column, of this name and the kind's.
CUTOUT = "cutout"

_ARROW = {
    "string": pa.string(),
    "long": pa.int64(),
    "int": pa.int32(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}


def struct_from_packets(
    packets: Sequence[Mapping[str, Any]],
    root: Sequence[str],
    candidate: Sequence[str],
    history: Sequence[str],
    cutouts: Sequence[str] = (),
) -> pa.StructArray:
    """Return decoded ZTF packets as the struct array that the science pipeline takes.

    Parameters
    ----------
    packets : sequence of mapping
        Packets as fastavro decodes them; a field that is missing is null.
    root, candidate, history : sequence of str
        Fields wanted of the packet, of ``candidate`` and of ``prv_candidates``.
    cutouts : sequence of str, optional
        Images wanted, of ``Science``, ``Template`` and ``Difference``. Column ``cutout<name>`` holds the gzipped FITS
        file, null if the packet has none.

    Raises
    ------
    KeyError
        If a field is in no ZTF schema.
    """
    types, candidate_types, history_types = field_types()
    columns = {name: pa.array([packet.get(name) for packet in packets], types[name]) for name in root}
    for name in candidate:
        columns[name] = pa.array([packet["candidate"].get(name) for packet in packets], candidate_types[name])
    for name in history:
        lists = [_history(packet, name) for packet in packets]
        columns[HISTORY + name] = pa.array(lists, pa.list_(history_types[name]))
    for name in cutouts:
        images = [packet.get(CUTOUT + name) for packet in packets]
        stamps = [None if image is None else image.get("stampData") for image in images]
        columns[CUTOUT + name] = pa.array(stamps, pa.binary())
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _history(packet: Mapping[str, Any], name: str) -> list[Any] | None:
    entries = packet.get("prv_candidates")
    return None if entries is None else [entry.get(name) for entry in entries]


@lru_cache(maxsize=1)
def field_types() -> tuple[dict[str, pa.DataType], dict[str, pa.DataType], dict[str, pa.DataType]]:
    """Return the Arrow types of root, candidate and history fields."""
    fields = {field["name"]: _inner(field["type"]) for field in json.loads(ztf_reading_schema())["fields"]}
    return (
        {name: _ARROW[kind] for name, kind in fields.items() if isinstance(kind, str) and kind in _ARROW},
        _scalars(fields["candidate"]),
        _scalars(_inner(fields["prv_candidates"]["items"])),
    )


def _scalars(record: Mapping[str, Any]) -> dict[str, pa.DataType]:
    kinds = {field["name"]: _inner(field["type"]) for field in record["fields"]}
    return {name: _ARROW[kind] for name, kind in kinds.items() if isinstance(kind, str)}


def _inner(of_type: Any) -> Any:
    """Return the type itself of ``["null", type]``."""
    return next(branch for branch in of_type if branch != "null") if isinstance(of_type, list) else of_type
