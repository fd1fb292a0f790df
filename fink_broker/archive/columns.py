"""Published columns: how a row of the science table reads to those who ask the archive.

Names begin with the family of the column: ``i:`` what the telescope's packet said of the alert, ``d:`` what the broker
added. Which columns there are follows from the rows themselves, from the packet's schema and from what the science
modules declare; none is listed here for its own sake.

Left out: images (the archive keeps where they are), the light curve of the packet (its detections are alerts of their
own, the rest is the archive's history), where and when the packet came in, and what the modules did without result.
``d:science_failed`` stays: it tells a null that means "nothing" from one that means "not known".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.batch import field_types
from fink_broker.alert.schema import SCHEMAS
from fink_broker.archive.flattening import ABSENT_LIST, as_stored, flatten, is_text_list
from fink_broker.config import Config
from fink_broker.science.describe import type_name
from fink_broker.science.finkclass import CLASSES, UNKNOWN
from fink_broker.science.module import Column
from fink_broker.science.outcome import FAILED, NAMES, OUTCOMES
from fink_broker.science.registry import MODULES
from fink_broker.science.user import user_module

CLASS, TRACKLET = "d:classification", "d:tracklet"
#: Root fields of an alert that are published beside those of its ``candidate``; the versions are the broker's.
VERSIONS = ("fink_broker_version", "fink_science_version")
NO_SOLAR_SYSTEM_OBJECT = "null"

#: What tables that are found by class, name or time hold of the packet; of the broker's columns they hold all.
_INDEX = (
    "objectId", "candid", "publisher", "rcid", "chipsf", "distnr", "ra", "dec", "jd", "fid", "nid", "field", "xpos",
    "ypos", "rb", "ssdistnr", "ssmagnr", "ssnamenr", "jdstarthist", "jdendhist", "tooflag", "sgscore1", "distpsnr1",
    "neargaia", "maggaia", "nmtchps", "diffmaglim", "magpsf", "sigmapsf", "magnr", "sigmagnr", "magzpsci", "isdiffpos",
    "classtar", "drb", "ndethist",
)  # fmt: skip
#: What a search on the sky gives.
_POSITION = (
    "i:objectId", "i:candid", "i:magpsf", "i:sigmapsf", "i:jd", "i:jdstarthist", "d:cdsxmatch", "i:drb", "i:ra",
    "i:dec", "i:fid", "i:distnr", "d:nalerthist", CLASS,
)  # fmt: skip

#: Columns of the science table that jobs need and nobody else: provenance, times of processing.
_JOBS = frozenset(
    {
        "origin", "night", "topics", "cut", "timestamp", "brokerIngestTimestamp", "brokerStartProcessTimestamp",
        "brokerEndProcessTimestamp",
    }
    | (set(OUTCOMES) - {FAILED})
)  # fmt: skip
#: Keys that maps have in alerts of earlier versions, with what they hold where there is nothing to say.
_EARLIER_KEYS: Mapping[str, Mapping[str, Any]] = {"blazar_stats": {"m0": -1.0, "m1": -1.0, "m2": -1.0}}
#: Where the columns of the science modules begin: whatever follows is none of the packet's.
_SCIENCE_BEGINS = "brokerStartProcessTimestamp"
#: Classes that the finding of a tracklet outdoes; catalogues and known solar system objects outdo it.
_BELOW_TRACKLET = (UNKNOWN, *(name for name in CLASSES if name != "Solar System MPC"))


@dataclass(frozen=True)
class ColumnDescription:
    """What is known of a published column.

    Parameters
    ----------
    name : str
        With its family, as in ``i:magpsf``.
    type : str
        ``integer``, ``long``, ``float``, ``double``, ``string``, ``boolean``, or ``list of`` one of these.
    unit : str
        Empty for a label or a plain number.
    doc : str
        What it says.
    family : str
        ``i`` or ``d``.
    """

    name: str
    type: str
    unit: str
    doc: str
    family: str


def publish(alerts: pa.Table) -> pa.Table:
    """Return rows of the science table as published columns.

    Parameters
    ----------
    alerts : pyarrow.Table
        Rows of the science table, nested as packets are; columns that are not published may be lacking.

    Returns
    -------
    pyarrow.Table
        As many rows. Of a science column the table lacks it holds what that column says where there is nothing to
        say; a text that is null becomes that, too.
    """
    alerts = alerts.combine_chunks()
    columns = dict(_packet_columns(alerts)) | dict(_science_columns(alerts))
    return pa.table(columns)


def wanted(schema: pa.Schema) -> list[str]:
    """Return the top-level columns of the science table that `publish` reads, in their order."""
    needed = {"candidate", _SCIENCE_BEGINS, *(name for side in _sides(schema) for name in side)}
    return [name for name in schema.names if name in needed]


@lru_cache(maxsize=1)
def index_columns() -> tuple[str, ...]:
    """Return the columns of tables that are found by class, name or time."""
    return (*(f"i:{name}" for name in _INDEX), *(name for name in described() if name.startswith("d:")))


def position_columns() -> tuple[str, ...]:
    """Return the columns of the table that is searched by position."""
    return _POSITION


def is_index_column(name: str) -> bool:
    """Tell whether index tables hold a published column; of the broker's they hold those of users' modules too."""
    return name.startswith("d:") or name.removeprefix("i:") in _INDEX


def described(config: Config | None = None) -> Mapping[str, ColumnDescription]:
    """Return what is known of every column an alert has today, by its name, in order.

    Parameters
    ----------
    config : Config, optional
        Where given, the columns of users' modules are described as well.
    """
    return _described() if config is None else _describe(_modules_columns(config))


def known_columns(config: Config | None = None) -> tuple[str, ...]:
    """Return the names of all columns an alert has today."""
    return tuple(described(config))


def _sides(schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Return the root fields of packets that are published, and the science columns of a table.

    A field that no schema knows is the packet's if it stands before the broker's first column.
    """
    roots, science = [], []
    ours = {column.name for column in _ours()}
    begun = False
    for field in schema:
        begun = begun or field.name == _SCIENCE_BEGINS
        if field.name in _JOBS or field.name == "candidate":
            continue
        if field.name in VERSIONS or field.name in field_types()[0]:
            roots.append(field.name)
        elif field.name in ours or field.name in (FAILED, "tracklet", "finkclass") or begun:
            science.append(field.name)
        elif not pa.types.is_nested(field.type):
            roots.append(field.name)
    return roots, science


def _packet_columns(alerts: pa.Table) -> Iterator[tuple[str, pa.Array]]:
    for name in _sides(alerts.schema)[0]:
        yield f"i:{name}", as_stored(_single(alerts[name]))
    candidate = _single(alerts["candidate"])
    for field, array in zip(candidate.type, candidate.flatten(), strict=True):
        if field.name not in alerts.column_names:  # candid is said twice
            for name, column in flatten(field.name, array):
                yield f"i:{name}", column.fill_null(NO_SOLAR_SYSTEM_OBJECT) if name == "ssnamenr" else column


def _science_columns(alerts: pa.Table) -> Iterator[tuple[str, pa.Array]]:
    there = dict.fromkeys(_sides(alerts.schema)[1])
    length = len(alerts)
    declared = {column.name: column for column in _ours()}
    tracklet = _text(alerts, "tracklet", "")
    yield CLASS, _classification(_text(alerts, "finkclass", UNKNOWN), tracklet)
    yield TRACKLET, tracklet
    for name in [*declared, *(name for name in there if name not in declared)]:
        if name in ("finkclass", "tracklet"):
            continue
        column = declared.get(name)
        array = _single(alerts[name]) if name in there else _absent(declared[name], length)
        for flat, values in flatten(name, array, _nothing(column) if column else None):
            yield f"d:{flat}", values
    if FAILED not in there:
        yield f"d:{FAILED}", pa.nulls(length, NAMES)


def _classification(finkclass: pa.Array, tracklet: pa.Array) -> pa.Array:
    """Return the class of alerts, those of a tracklet included."""
    moving = pc.and_(pc.not_equal(tracklet, ""), pc.is_in(finkclass, value_set=pa.array(_BELOW_TRACKLET)))
    return pc.if_else(moving, "Tracklet", finkclass)


def _text(alerts: pa.Table, name: str, absent: str) -> pa.Array:
    if name not in alerts.column_names:
        return pa.repeat(pa.scalar(absent), len(alerts))
    return as_stored(_single(alerts[name])).cast(pa.string()).fill_null(absent)


def _absent(column: Column, length: int) -> pa.Array:
    value = list(column.absent.items()) if isinstance(column.absent, Mapping) else column.absent
    return pa.repeat(pa.scalar(value, column.type), length) if value is not None else pa.nulls(length, column.type)


def _nothing(column: Column) -> Any:
    """Return what a column holds where there is nothing to say; of a map under keys of earlier versions, too."""
    if isinstance(column.absent, Mapping):
        return {**column.absent, **_EARLIER_KEYS.get(column.name, {})}
    return column.absent


def _single(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


@lru_cache(maxsize=1)
def _ours() -> tuple[Column, ...]:
    """Return the columns of the broker's own modules."""
    return tuple(_modules_columns(None))


def _modules_columns(config: Config | None) -> Iterator[Column]:
    """Give the columns of the broker's modules, and of users' where a configuration names some."""
    settings = config or Config()
    for build in MODULES.values():
        yield from build(settings).outputs
    for name in dict.fromkeys(settings.science.user_modules):
        yield from user_module(name, settings).outputs


@lru_cache(maxsize=1)
def _described() -> Mapping[str, ColumnDescription]:
    return _describe(_ours())


def _describe(science: Any) -> Mapping[str, ColumnDescription]:
    told = [*_packet_descriptions()]
    told.append(ColumnDescription(CLASS, "string", "", "class of the alert, SIMBAD's where it has one", "d"))
    told.append(ColumnDescription(TRACKLET, "string", "", "name of the tracklet it is part of; empty: none", "d"))
    for column in science:
        if column.name != "finkclass":
            told += _science_descriptions(column)
    failed = "modules that raised on this alert or build on one that did, or could ask nobody"
    told.append(ColumnDescription(f"d:{FAILED}", _type_name(NAMES), "", failed, "d"))
    return {entry.name: entry for entry in told}


def _science_descriptions(column: Column) -> Iterator[ColumnDescription]:
    empty = pa.nulls(0, column.type)
    for name, array in flatten(column.name, empty, _nothing(column)):
        part = name.removeprefix(column.name).lstrip("_")
        doc = f"{column.meaning} ({part})" if part else column.meaning
        if is_text_list(column.type):
            names = ", ".join(field.name for field in column.type)
            doc = f"{column.meaning}; JSON text of a list, {ABSENT_LIST} where there is none: {names}"
        elif isinstance(column.absent, Mapping) and not part:
            doc = f"{column.meaning}; JSON text of what there is beyond: {', '.join(column.absent)}"
        yield ColumnDescription(f"d:{name}", _type_name(array.type), column.unit, doc, "d")


def _packet_descriptions() -> Iterator[ColumnDescription]:
    """Give what the schema of packets says of its fields."""
    schema = json.loads((SCHEMAS / "ztf" / "alert_4.02.avsc").read_text())
    root, candidate, _ = field_types()
    fields = {field["name"]: field for field in schema["fields"]}
    inner = {field["name"]: field for field in fields["candidate"]["type"]["fields"]}
    for name, kind in root.items():
        yield _packet_description(name, kind, fields[name].get("doc") or inner.get(name, {}).get("doc", ""))
    for name in VERSIONS:
        what = "broker" if "broker" in name else "science modules"
        yield _packet_description(name, pa.string(), f"version of the {what} that processed the alert")
    for name, kind in candidate.items():
        if name not in root:
            yield _packet_description(name, kind, inner[name].get("doc", ""))


def _packet_description(name: str, kind: pa.DataType, doc: str) -> ColumnDescription:
    unit = re.search(r"\[([^\]]+)\]\s*$", doc)
    return ColumnDescription(f"i:{name}", _type_name(kind), unit.group(1) if unit else "", doc, "i")


def _type_name(kind: pa.DataType) -> str:
    name = type_name(kind)
    return "integer" if name == "int" else name
