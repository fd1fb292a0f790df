"""Messages as Fink clients expect them, written from real packets by plain fastavro: none of the broker's own code.

Value: one bare Avro datum. Key: the JSON text of its schema, every record inlined under a name of its own, unions with
the value first, times as text.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq
from confluent_kafka import Producer

from fink_broker.stream.kafka_io import MAX_MESSAGE_BYTES

#: columns of the science table by Avro type, a few of each kind clients use
SCIENCE = {
    "cdsxmatch": "string",
    "roid": "int",
    "nalerthist": "int",
    "snn_snia_vs_nonia": "double",
    "snn_sn_vs_all": "double",
    "rf_snia_vs_nonia": "double",
    "rf_kn_vs_nonkn": "double",
    "mulens": "double",
    "from_upper": "boolean",
    "finkclass": "string",
}
TIME = "%Y-%m-%d %H:%M:%S.%f"


@dataclass(frozen=True)
class Messages:
    """Alerts, and the messages that carry them.

    Parameters
    ----------
    key : str
        JSON text of the schema.
    alerts : list of dict
        What was encoded.
    values : list of bytes
        One for each alert.
    """

    key: str
    alerts: list[dict[str, Any]]
    values: list[bytes]


def from_packets(packets: Sequence[bytes], science: Path) -> Messages:
    """Encode packets with the science columns of a Parquet file, by candid; packets it does not know are left out."""
    rows = {row["candid"]: row for row in pq.read_table(science, columns=["candid", *SCIENCE]).to_pylist()}
    alerts, schema = [], None
    for packet in packets:
        reader = fastavro.reader(io.BytesIO(packet))
        alert = next(reader)
        if alert["candid"] in rows:
            schema = schema or full_schema(reader.writer_schema)
            alerts.append(alert | added(alert, rows[alert["candid"]]))
    parsed = fastavro.parse_schema(schema)
    return Messages(json.dumps(schema), alerts, [encoded(alert, parsed) for alert in alerts])


def added(alert: dict[str, Any], science: dict[str, Any]) -> dict[str, Any]:
    """Return what the broker adds to a packet."""
    exposure = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=alert["candidate"]["jd"] - 2440587.5)
    return {
        **{name: science[name] for name in SCIENCE},
        "tnsclass": "Unknown",
        "publisher": "Fink",
        "timestamp": exposure.strftime(TIME),
        "brokerEndProcessTimestamp": datetime.now(UTC).strftime(TIME),
        "mangrove": {"HyperLEDA_name": "None"},
    }


def full_schema(packet_schema: Any) -> Any:
    """Return the schema of a message from that of a ZTF packet."""
    schema = _inlined(packet_schema, "topLevelRecord", {})
    names = {field["name"] for field in schema["fields"]}
    more = {name: [kind, "null"] for name, kind in SCIENCE.items()}
    more |= {name: ["string", "null"] for name in ("tnsclass", "timestamp", "brokerEndProcessTimestamp")}
    more["mangrove"] = [{"type": "map", "values": ["string", "null"]}, "null"]
    schema["fields"] += [{"name": name, "type": kind} for name, kind in more.items() if name not in names]
    return schema


def encoded(alert: dict[str, Any], schema: Any) -> bytes:
    """Return one bare Avro datum."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, alert)
    return stream.getvalue()


def publish(servers: str, topic: str, messages: Messages, partitions: int) -> None:
    """Send messages, spread over the partitions, and wait until Kafka has them."""
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": MAX_MESSAGE_BYTES})
    for number, value in enumerate(messages.values):
        producer.produce(topic, value, key=messages.key, partition=number % partitions)
    assert producer.flush(60) == 0


def publish_transfer(servers: str, topic: str, messages: Messages, partitions: int, copies: int) -> None:
    """Fill a transfer's two topics: data with the topic's name as key, and copies of the schema, as keys."""
    publish(servers, topic, Messages(topic, messages.alerts, messages.values), partitions)
    schemas = Messages(messages.key, [], [b"schema"] * copies)
    publish(servers, f"{topic}_schema", schemas, 1)


def _inlined(of_type: Any, name: str, known: dict[str, Any]) -> Any:
    """Return an Avro type without references to named types, without defaults, and with null last in unions."""
    if isinstance(of_type, list):
        return sorted((_inlined(branch, name, known) for branch in of_type), key=lambda branch: branch == "null")
    if isinstance(of_type, str):
        return _inlined(known[of_type], name, known) if of_type in known else of_type
    if of_type["type"] == "record":
        known[of_type["name"]] = of_type
        if "namespace" in of_type:
            known[f"{of_type['namespace']}.{of_type['name']}"] = of_type
        fields = [
            {"name": field["name"], "type": _inlined(field["type"], f"{name}.{field['name']}", known)}
            for field in of_type["fields"]
        ]
        return {"type": "record", "name": name, "fields": fields}
    if of_type["type"] == "array":
        return {"type": "array", "items": _inlined(of_type["items"], name, known)}
    return _inlined(of_type["type"], name, known)
