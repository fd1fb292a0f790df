"""Messages for tests of the stream, its options, and a handler that does what a test says."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import fastavro
from tom_fink.alerts.reader import Received

TOPIC = "fink_sn_candidates_ztf"
OPTIONS = {
    "URL": "kafka.test:9092",
    "GROUP_ID": "group",
    "USERNAME": "astro",
    "TOPIC": TOPIC,
    "TOPIC_HANDLERS": {"fink.stream": "tom_fink.alertstream.alert_logger"},
    "MAX_POLL_NUMBER": "1e10",
    "TIMEOUT": "0.5",
}
NAME = "tom_fink.alertstream.FinkAlertStream"
SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "objectId", "type": "string"},
        {
            "name": "candidate",
            "type": {
                "type": "record",
                "name": "candidate",
                "fields": [{"name": name, "type": "double"} for name in ("ra", "dec", "jd")],
            },
        },
    ],
}
#: The handler of these tests, as settings name it.
HANDLE = f"{__name__}.handle"
#: What the handler of these tests does with an alert; a test sets it.
ACTION: list[Callable[[dict, str], None]] = []


def handle(alert: dict, topic: str) -> None:
    """Do with an alert what the test says; streams find this by its name."""
    ACTION[-1](alert, topic)


def message(number: int, name: str = "", topic: str = TOPIC) -> Received:
    alert = {"objectId": name or f"ZTF21aaaaaa{number}", "candidate": {"ra": 1.0 * number, "dec": 2.0, "jd": 2459376.7}}
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, SCHEMA, alert)
    return Received(topic, 0, number, json.dumps(SCHEMA).encode(), stream.getvalue(), alert, "")


def unreadable(number: int) -> Received:
    return Received(TOPIC, 0, number, None, b"\x00nothing", None, "The message has no key.")
