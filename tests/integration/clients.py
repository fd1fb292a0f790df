"""Show that a version of the real fink-client reads topics of the broker; anyone can run it, the tests do too.

The client is installed in an environment of its own, registered in an empty home, and run as its users run it; what it
saved is held against the messages, which are read and decoded here without it::

    python tests/integration/clients.py 9.2 --servers localhost:9092 --topic fink_sn_candidates_ztf
    python tests/integration/clients.py 12.3.0 --servers localhost:9092 --transfer ftransfer_ztf_2023-10-18_1234
    FINK_PASSWORD=… python tests/integration/clients.py 7.2 --servers localhost:9093 --user astro --topic fink_vra_ztf

Versions: 12.3.0, 9.2, 7.2, 4.4. It needs the broker's packages, Python 3.11 and the package index.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaException, TopicPartition
from fink_client import TRANSFER_VERSIONS, VERSIONS, FinkClient, NoPackages, environment
from saved_alerts import differences, saved_alerts

Alerts = dict[int, dict[str, Any]]
DISPLAYED = ("Emitted at (UTC)", "Received at (UTC)", "Topic", "objectId", "Simbad", "Magnitude")


class NotAsExpected(Exception):
    """A client did something else than it should."""


def check_stream(client: FinkClient, topic: str, sent: Alerts, folder: Path) -> None:
    """Register, save and display all alerts of a topic.

    Parameters
    ----------
    client : FinkClient
        With an empty home and a fresh group.
    topic : str
        A topic nobody writes to meanwhile.
    sent : dict
        The alerts in it by candid.
    folder : Path
        Where the client shall save.

    Raises
    ------
    NotAsExpected
        If a value of an alert differs, an alert is missing, or the display lacks something.
    """
    client.register(topic)
    printed = client.save(len(sent), folder / "first")
    saved = saved_alerts(folder / "first")
    if set(saved) != set(sent):
        raise NotAsExpected(f"{len(sent)} alerts were sent, {len(saved)} saved, {len(set(sent) & set(saved))} of both")
    found = [f"{candid}: {text}" for candid, alert in sent.items() for text in differences(saved[candid], alert)]
    if found:
        raise NotAsExpected(f"{len(found)} values differ, such as {'; '.join(found[:3])}")
    if lacking := [words for words in (*DISPLAYED, topic, *_objects(sent)) if words not in printed]:
        raise NotAsExpected(f"the display lacks {', '.join(lacking[:5])}")


def check_nothing_more(client: FinkClient, folder: Path) -> None:
    """Poll in vain: the group of the client has seen all there is.

    Raises
    ------
    NotAsExpected
        If an alert came again.
    """
    nothing = "No alerts the last 2 seconds"
    again = client.poll_until(nothing, folder / "again", times=2)
    if nothing not in again.printed or saved_alerts(folder / "again"):
        raise NotAsExpected(f"the same group did not poll in vain: {again.printed[-300:]} {again.complained[-300:]}")


def check_transfer(client: FinkClient, topic: str, sent: Alerts, folder: Path) -> None:
    """Fetch a transfer into Parquet files divided by class, and hold them against what was sent.

    Parameters
    ----------
    client : FinkClient
        Of a version that fetches transfers, with an empty home and a fresh group.
    topic : str
        A topic ``ftransfer_…`` with its topic of schemas.
    sent : dict
        The alerts in it by candid.
    folder : Path
        Where the client shall save.

    Raises
    ------
    NotAsExpected
        If an alert is missing, is there twice, or lies with another class.
    """
    client.register(topic)
    printed = client.transfer(topic, folder)
    rows = [
        (_class_of(file), row["candid"])
        for file in sorted(folder.rglob("*.parquet"))
        for row in pq.ParquetFile(file).read(["candid"]).to_pylist()
    ]
    wanted = Counter((alert["finkclass"], candid) for candid, alert in sent.items())
    if Counter(rows) != wanted:
        matching = sum((Counter(rows) & wanted).values())
        raise NotAsExpected(f"{len(sent)} alerts were sent, {len(rows)} fetched, {matching} match: {printed[-500:]}")


def check_library(client: FinkClient, topic: str, sent: Alerts) -> None:
    """Read all alerts of a topic with the library, with user and password if the client has them.

    Raises
    ------
    NotAsExpected
        If not all come, or others.
    """
    alerts, outcome = client.read_with_library([topic], len(sent), 30)
    if sorted(alert["candid"] for alert in alerts) != sorted(sent):
        raise NotAsExpected(f"{len(sent)} alerts were sent, {len(alerts)} read: {outcome.complained[-500:]}")


def messages(topic: str, options: Mapping[str, str], schema: Any = None) -> Alerts:
    """Return the alerts in a topic by candid, decoded with the schema in their key unless one is given."""
    consumer = Consumer({**options, "group.id": uuid.uuid4().hex, "enable.auto.commit": False, "log_level": 0})
    alerts: Alerts = {}
    try:
        places = [
            TopicPartition(topic, number) for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        bounds = [consumer.get_watermark_offsets(place, timeout=10) for place in places]
        consumer.assign(
            [TopicPartition(topic, place.partition, low) for place, (low, _) in zip(places, bounds, strict=True)]
        )
        for message in consumer.consume(sum(high - low for low, high in bounds), timeout=60):
            if message.error():
                raise KafkaException(message.error())
            writer = schema or fastavro.parse_schema(json.loads(message.key()))
            alert = fastavro.schemaless_reader(io.BytesIO(message.value()), writer)
            alerts[alert["candid"]] = alert
    finally:
        consumer.close()
    return alerts


def transfer_schema(topic: str, options: Mapping[str, str]) -> Any:
    """Return the schema of a transfer: the key of the first message of its second topic."""
    consumer = Consumer({**options, "group.id": uuid.uuid4().hex, "enable.auto.commit": False, "log_level": 0})
    try:
        consumer.assign([TopicPartition(f"{topic}_schema", 0, 0)])
        message = consumer.poll(15)
        if message is None or message.error():
            raise NotAsExpected(f"there is no schema in {topic}_schema")
        return fastavro.parse_schema(json.loads(message.key()))
    finally:
        consumer.close()


def main() -> int:
    """Run the checks the command line asks for; return 0 if the client did all as it should."""
    asked = _arguments()
    password = os.environ.get("FINK_PASSWORD") if asked.user else None
    options = {"bootstrap.servers": asked.servers}
    if asked.user:
        if not password:
            print("Set FINK_PASSWORD in the environment to the password of --user.", file=sys.stderr)
            return 2
        options |= {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512"}
        options |= {"sasl.username": asked.user, "sasl.password": password}
    try:
        print(f"fink-client {asked.version} is in {environment(asked.version).parent}", flush=True)
        with tempfile.TemporaryDirectory(prefix="fink_client_") as folder:
            client = FinkClient(
                asked.version,
                Path(folder, "home"),
                asked.servers,
                f"check_{uuid.uuid4().hex[:8]}",
                user=asked.user or "tester",
                password=password,
            )
            _check(client, asked, options, Path(folder))
    except (NotAsExpected, AssertionError, KafkaException, NoPackages) as error:
        print(f"not as expected: {error}", file=sys.stderr)
        return 1
    return 0


def _check(client: FinkClient, asked: argparse.Namespace, options: Mapping[str, str], folder: Path) -> None:
    if asked.transfer:
        sent = messages(asked.transfer, options, transfer_schema(asked.transfer, options))
        check_transfer(client, asked.transfer, sent, folder / "fetched")
        print(f"fetched {len(sent)} alerts of {asked.transfer}, divided by class: each once, in the right folder")
        return
    sent = messages(asked.topic, options)
    if not sent:
        raise NotAsExpected(f"there are no alerts in {asked.topic}")
    if asked.user and not client.command_has_password:
        check_library(client, asked.topic, sent)
        print(f"the library read {len(sent)} alerts of {asked.topic} with a password (its commands send none)")
        return
    check_stream(client, asked.topic, sent, folder)
    check_nothing_more(client, folder)
    print(f"saved and displayed {len(sent)} alerts of {asked.topic}: all values equal; none came a second time")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", choices=VERSIONS)
    parser.add_argument("--servers", default="localhost:9092", help="host:port of Kafka (%(default)s)")
    parser.add_argument("--user", default="", help="log in with this name and the password in FINK_PASSWORD")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--topic", default="", help="topic of the livestream; nobody should write to it meanwhile")
    what.add_argument("--transfer", default="", help="topic of a data transfer")
    asked = parser.parse_args()
    if asked.transfer and (asked.version not in TRANSFER_VERSIONS or asked.user):
        parser.error(f"transfers are fetched by {' and '.join(TRANSFER_VERSIONS)}, which send no password for them")
    return asked


def _objects(sent: Alerts) -> set[str]:
    return {alert["objectId"] for alert in sent.values()}


def _class_of(file: Path) -> str:
    """Return the class a file lies under, from its folder ``finkclass=<percent-encoded>``."""
    (name,) = [part for part in file.parts if part.startswith("finkclass=")]
    return urllib.parse.unquote(name.removeprefix("finkclass="))


if __name__ == "__main__":
    sys.exit(main())
