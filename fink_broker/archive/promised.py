"""The columns of science alerts as the configuration promises them, whether or not there are any yet."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from fastavro.schema import expand_schema

from fink_broker.alert.schema import ztf_reading_schema
from fink_broker.config import Config
from fink_broker.science.registry import build_pipeline

_TIME = pa.timestamp("us", tz="UTC")
_TIMES = ("brokerIngestTimestamp", "brokerStartProcessTimestamp", "brokerEndProcessTimestamp")
_TEXTS = ("publisher", "fink_broker_version", "fink_science_version")
_ARROW = {
    "string": pa.string(), "long": pa.int64(), "int": pa.int32(), "float": pa.float32(), "double": pa.float64(),
    "boolean": pa.bool_(), "bytes": pa.binary(),
}  # fmt: skip


def promised_schema(config: Config) -> pa.Schema:
    """Return the columns of a science alert: those of the packet, those of the modules, and what the broker adds."""
    packet = _arrow(expand_schema(json.loads(ztf_reading_schema())))
    added = [pa.field(name, _TIME) for name in _TIMES] + [pa.field(name, pa.string()) for name in _TEXTS]
    fields = {field.name: field for field in [*packet, *added, *build_pipeline(config).output_type]}
    return pa.schema(list(fields.values()))


def _arrow(of_type: Any) -> pa.DataType:
    """Return the Arrow type of an Avro type; nullable ones are those of their value."""
    if isinstance(of_type, list):
        return _arrow(next(branch for branch in of_type if branch != "null"))
    if isinstance(of_type, str):
        return _ARROW[of_type]
    if of_type["type"] == "record":
        return pa.struct([pa.field(field["name"], _arrow(field["type"])) for field in of_type["fields"]])
    if of_type["type"] == "array":
        return pa.list_(_arrow(of_type["items"]))
    return _arrow(of_type["type"])
