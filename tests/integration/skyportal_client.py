"""What tests of the SkyPortal client share: real alerts as the broker sends them, and the client as users run it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import yaml
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from contract_messages import Messages, encoded
from expected_topics import science_table
from pipeline import until
from skyportal_server import SkyPortalServer

from fink_broker.alert.packet import read_packet
from fink_broker.alert.wire import encode
from fink_broker.alert.wire_schema import wire_schema_text
from fink_broker.filters.filter import Output
from fink_broker.stream.columns import IMAGES
from fink_broker.stream.messages import public

PACKAGE = Path(__file__).resolve().parents[2] / "integrations" / "skyportal"
FILTERS = {1: "ztfg", 2: "ztfr", 3: "ztfi"}

#: what an exposure says of an object: its name, modified Julian date (d), filter, flux (µJy) or null for a limit
Exposure = tuple[str, float, str, str | None]


def real_alerts(shared_data: Path, unpacked: Callable[..., list[bytes]], count: int) -> pa.Table:
    """Return real alerts of as many objects, as the science table has them, with images."""
    rows = science_table(shared_data, unpacked, "20231018_retimed")
    first = dict(zip(reversed(rows["objectId"].to_pylist()), reversed(range(len(rows))), strict=True))
    rows = rows.take(pa.array(sorted(first.values())[:count]))
    packets = {packet["candid"]: packet for packet, _ in map(read_packet, unpacked("ztf_public_20231018"))}
    for name in IMAGES:
        rows = rows.append_column(name, pa.array([packets[candid][name] for candid in rows["candid"].to_pylist()]))
    assert len(rows) == count
    return rows


def messages_of(rows: pa.Table, output: Output = "full") -> Messages:
    """Return what the distribution sends of alerts."""
    chosen = public(rows, output)
    return Messages(wire_schema_text(chosen.schema), chosen.select(["objectId", "candid"]).to_pylist(), encode(chosen))


def read(value: bytes, schema: Any) -> dict[str, Any]:
    """Return the alert of a message."""
    return fastavro.schemaless_reader(io.BytesIO(value), fastavro.parse_schema(schema))


def one_message(schema: Any, alert: dict[str, Any]) -> Messages:
    """Return an alert as a message in a schema of its own."""
    return Messages(json.dumps(schema), [alert], [encoded(alert, fastavro.parse_schema(schema))])


def exposures_of(rows: pa.Table) -> set[Exposure]:
    """Return the exposures in alerts, those of the histories included."""
    found = set()
    for alert in rows.select(["objectId", "candidate", "prv_candidates"]).to_pylist():
        for row in (alert["candidate"], *(alert["prv_candidates"] or ())):
            sign = 1 if row["isdiffpos"] in ("t", "1") else -1
            flux = None if row["magpsf"] is None else sign * 10 ** (-0.4 * (row["magpsf"] - 23.9))
            found.add(_exposure(alert["objectId"], row["jd"] - 2400000.5, FILTERS[row["fid"]], flux))
    return found


def _exposure(object_id: str, mjd: float, band: str, flux: float | None) -> Exposure:
    return object_id, round(mjd, 6), band, None if flux is None else f"{flux:.6g}"


class Client:
    """The stand-alone client, in a process of its own, at home in an empty folder.

    Parameters
    ----------
    folder : Path
        Holds configuration, home and log.
    server : SkyPortalServer
        Where it posts.
    kafka : str
        Where it reads.
    topics : str
        What it reads.
    """

    def __init__(self, folder: Path, server: SkyPortalServer, kafka: str, *topics: str) -> None:
        self.folder, self.server, self.kafka, self.topics = folder, server, kafka, topics
        self.config: dict[str, Any] = {
            "fink_topics": list(topics),
            "fink_username": None,
            "fink_password": None,
            "fink_group_id": f"group-{folder.name}",
            "fink_servers": kafka,
            "skyportal_token": server.token,
            "skyportal_url": server.url,
            "skyportal_group": "Fink",
            "skyportal_name": "fink_bot",
            "testing": False,
            "whitelisted": True,
        }
        self.command = "poll"
        self.process: subprocess.Popen | None = None

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    @property
    def group(self) -> str:
        return self.config["fink"]["client_group_id"] if "fink" in self.config else self.config["fink_group_id"]

    @property
    def refused(self) -> list[str]:
        """Return the lines of the file of refused alerts."""
        path = self.folder / "fink_refused.jsonl"
        return path.read_text().splitlines() if path.exists() else []

    def start(self) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                self._words(self.command), stdout=log, stderr=log, cwd=self.folder, env=self._environment()
            )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another of its commands to the end."""
        return subprocess.run(
            self._words(*words),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env=self._environment(),
        )

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def forget_killed(self) -> None:
        """Tell Kafka that the killed one will not come back; it would find out after ten seconds."""
        forget_members(self.kafka, self.group)

    def interrupt(self) -> int:
        """Press ctrl-C, and return the exit code."""
        return self._end(signal.SIGINT)

    def exit_code(self, seconds: float = 30) -> int:
        """Wait until it ends by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on: {self.log[-2000:]}") from None

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait for a condition while it runs."""

        def holds() -> bool:
            is_there = condition()
            assert is_there or self.process.poll() is None, f"it has ended: {self.log[-2000:]}"
            return is_there

        try:
            until(holds, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.server.counts()}; {self.log[-2000:]}") from None

    def wait_until_committed(self, count: int, seconds: float = 60) -> None:
        """Wait until so many alerts of all topics are finished with."""
        with offsets(self.kafka, self.group, self.topics) as committed:
            self.wait(lambda: committed() == count, f"{count} alerts are committed", seconds)

    def _words(self, *words: str) -> list[str]:
        more = ["--config", str(self.folder / "config.yaml")] if words[0] != "refused" else []
        return [sys.executable, "-m", "fink_skyportal", *words, *more]

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(PACKAGE)}

    def _end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.exit_code()


@contextmanager
def offsets(servers: str, group: str, topics: tuple[str, ...]) -> Iterator[Callable[[], int]]:
    """Give a function that returns the sum of the offsets a group has committed."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    there = consumer.list_topics(timeout=30).topics
    places = [TopicPartition(topic, partition) for topic in topics for partition in there[topic].partitions]
    try:
        yield lambda: sum(max(0, place.offset) for place in consumer.committed(places, timeout=30))
    finally:
        consumer.close()


def forget_members(servers: str, group: str) -> None:
    """Put all members out of a group (request LeaveGroup of the Kafka protocol, version 0)."""
    admin = AdminClient({"bootstrap.servers": servers})
    described = admin.describe_consumer_groups([group])[group].result(30)
    host, _, port = servers.rpartition(":")
    for member in described.members:
        texts = [struct.pack(">h", len(text)) + text for text in (b"test", group.encode(), member.member_id.encode())]
        request = struct.pack(">hhi", 13, 0, 1) + b"".join(texts)
        with socket.create_connection((host, int(port)), 30) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb").read(10)
        assert struct.unpack(">iih", answer) == (6, 1, 0), answer


def check_each_once(server: SkyPortalServer, rows: pa.Table, filters: int = 1) -> None:
    """Check that every alert is a candidate of each filter, annotated once, with each exposure once."""
    with server.lock:
        state = server.state
        candidates = Counter((row["obj_id"], row["filter_id"]) for row in state.candidates.values())
        annotated = Counter(row["obj_id"] for row in state.annotations.values())
        classified = Counter((row["obj_id"], row["author_id"]) for row in state.classifications.values())
        names = ("obj_id", "mjd", "filter", "flux")
        measured = Counter(_exposure(*(row[name] for name in names)) for row in state.photometry.values())
    objects = Counter(rows["objectId"].to_pylist())
    of_objects = Counter(object_id for object_id, _ in candidates.elements())
    _check_same("annotations", annotated, objects)
    _check_same("candidates", of_objects, Counter(dict.fromkeys(objects, filters)))
    _check_same("candidates of a filter", candidates, Counter(dict.fromkeys(candidates, 1)))
    _check_same("photometry", measured, Counter(exposures_of(rows)))
    _check_same("classifications", classified, Counter(dict.fromkeys(classified, 1)))
    assert len(classified) == len(objects), f"{len(classified)} of {len(objects)} objects have a class"


def _check_same(what: str, found: Counter, expected: Counter) -> None:
    lost, more = expected - found, found - expected
    assert found == expected, f"{what}: {lost.total()} lost, {more.total()} too many: {[*lost][:3]}, {[*more][:3]}"


class Gate:
    """A port in front of Kafka, closed until it is opened; Kafka itself then says where to go on."""

    def __init__(self, port: int, behind: str) -> None:
        self.address = f"127.0.0.1:{port}"
        self._port, self._behind, self._server = port, behind, None

    def open(self) -> None:
        host, _, port = self._behind.rpartition(":")

        class Passing(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection((host, int(port))) as far:
                    back = threading.Thread(target=_pass_on, args=(far, self.request), daemon=True)
                    back.start()
                    _pass_on(self.request, far)
                    back.join()

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", self._port), Passing)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    try:
        while content := near.recv(65536):
            far.sendall(content)
        far.shutdown(socket.SHUT_WR)
    except OSError:
        far.close()
