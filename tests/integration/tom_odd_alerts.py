"""Messages on a topic that are not what most of a stream is."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import contract_messages
import fastavro
from confluent_kafka import Producer
from pipeline import create_topic

#: object of the alert that the handler of the tests fails for
FAILING = "ZTFfails"
GARBAGE = b"\x02this is no alert"
_JD = 2460236.75
_FIELDS = {"jd": "double", "fid": "int", "ra": "double", "dec": "double", "diffmaglim": "float"}
_MEASURED = {"magpsf": "float", "sigmapsf": "float", "isdiffpos": "string"}


@dataclass(frozen=True)
class OddAlerts:
    """What stands on the topic.

    Parameters
    ----------
    topic : str
        Its name.
    readable : dict
        The alerts that can be handled, by candid.
    failing : dict
        The alert the handler fails for.
    kept : int
        How many messages are kept in files at first: one cannot be read, one fails.
    """

    topic: str
    readable: dict[int, dict[str, Any]]
    failing: dict[str, Any]
    kept: int = 2


def send(servers: str) -> OddAlerts:
    """Send alerts of other schemas, without photometry or without a position, and something that is no alert."""
    topic = f"fink_odd_{uuid.uuid4().hex[:6]}_ztf"
    create_topic(servers, topic, 1)
    candidate = {"jd": _JD, "fid": 1, "ra": 193.8, "dec": 2.9, "diffmaglim": 20.5}
    measured = candidate | {"magpsf": 18.25, "sigmapsf": 0.125, "isdiffpos": "t"}
    alerts: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"objectId": "ZTFother", "candid": 1, "candidate": measured, "never_seen": 7}, _FIELDS | _MEASURED),
        ({"objectId": "ZTFdim", "candid": 2, "candidate": candidate}, _FIELDS),
        ({"objectId": FAILING, "candid": 3, "candidate": measured}, _FIELDS | _MEASURED),
        ({"objectId": "GRB231018A", "candid": 4, "triggerId": "bn231018", "rate": 0.5}, {}),
    ]
    producer = Producer({"bootstrap.servers": servers})
    for alert, fields in alerts:
        schema = _schema(alert, fields)
        value = contract_messages.encoded(alert, fastavro.parse_schema(schema))
        producer.produce(topic, value, key=json.dumps(schema))
    producer.produce(topic, GARBAGE, key=json.dumps(_schema(*alerts[0])))
    assert producer.flush(30) == 0
    by_candid = {alert["candid"]: alert for alert, _ in alerts}
    failing = by_candid.pop(3)
    return OddAlerts(topic, by_candid, failing)


def _schema(alert: dict[str, Any], fields: dict[str, str]) -> dict[str, Any]:
    kinds = {str: "string", int: "long", float: "double"}
    root = [{"name": name, "type": kinds[type(value)]} for name, value in alert.items() if name != "candidate"]
    if fields:
        inner = [{"name": name, "type": [kind, "null"]} for name, kind in fields.items()]
        record = {"type": "record", "name": f"topLevelRecord.candidate{len(fields)}", "fields": inner}
        root.append({"name": "candidate", "type": record})
    return {"type": "record", "name": "topLevelRecord", "fields": root}
