"""Who sends: a process on this machine, a cluster behind WebHDFS and Livy; limits; how far it is."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask import Flask, request

from fink_broker.config import Config, load_config
from fink_broker.errors import ConfigError, ServiceError, UsageError
from fink_broker.portal.web.transfer import livy_job, local, sender
from fink_broker.portal.web.transfer.livy import LivySender
from fink_broker.portal.web.transfer.local import LocalSender, as_toml
from fink_broker.portal.web.transfer.records import Record, Records
from fink_broker.portal.web.transfer.selection import Selection
from fink_broker.portal.web.transfer.sender import Standing
from fink_broker.portal.web.transfer.visitor import visitor_of

SELECTION = Selection("2023-10-17", "2023-10-18", ("SN candidate",), "candidate.drb > 0.9;\nroid = 3;", "cutouts")


def config_of(folder: Path, **portal: object) -> Config:
    return Config.model_validate(
        {"storage": {"online": str(folder / "online"), "state": str(folder / "state")}, "portal": portal}
    )


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Let a shell script stand for Python: it gets the arguments of `python -m fink_broker transfer …`."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(local.sys, "executable", str(path))


def wait_for(sends: LocalSender, record: Record, standing: str) -> sender.Progress:
    deadline = time.monotonic() + 10
    while (progress := sends.look(record)).standing != standing:
        assert time.monotonic() < deadline, progress
        time.sleep(0.02)
    return progress


def test_a_local_transfer_runs_the_command_without_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = 'for word in "$@"; do echo "<$word>"; done; echo "All 3 alerts are in x."'
    stand_in(monkeypatch, tmp_path, said)
    sends = LocalSender(config_of(tmp_path))
    record = sends.submit(replace(SELECTION, conditions="candidate.isdiffpos = '$(id)';"), "somebody")
    progress = wait_for(sends, record, "complete")
    assert "<--where=candidate.isdiffpos = '$(id)'>" in progress.log
    assert f"<--topic={record.topic}>" in progress.log
    assert Records(config_of(tmp_path)).read(record.topic) == record


def test_the_process_gets_the_same_configuration(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text(
        f"""[storage]\nonline = '{tmp_path}/a "quoted" folder'\nmin_free_gib = 0.5\n"""
        """[spark]\noptions = {"spark.a.b" = "ü$"}\n[distribution]\ntopics = ["blazar"]\n"""
    )
    environ = {"FINK_HOME": str(tmp_path)}
    config = load_config(path, environ=environ).config
    path.write_text(as_toml(config), encoding="utf-8")
    assert load_config(path, environ=environ).config == config
    assert config.spark.options == {"spark.a.b": "ü$"}


def test_how_far_a_transfer_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(
        monkeypatch,
        tmp_path,
        'echo "sent 1,200 of 5,000 alerts, 240/s"; read line < "$FINK_TEST_FIFO"; echo "No more room."',
    )
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setenv("FINK_TEST_FIFO", str(tmp_path / "fifo"))
    sends = LocalSender(config_of(tmp_path))
    record = sends.submit(SELECTION, "somebody")
    deadline = time.monotonic() + 10
    while not (progress := sends.look(record)).total:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (progress.standing, progress.sent, progress.total) == ("running", 1200, 5000)
    (tmp_path / "fifo").write_text("go on\n")
    assert "No more room." in wait_for(sends, record, "failed").log


def begin(config: Config, visitor: str, standing: Standing) -> Record:
    return sender.begin(
        config, SELECTION, visitor, standing_of=lambda _record: standing, start=lambda record: replace(record, batch=1)
    )


@pytest.mark.parametrize("standing", ["running", "waiting", "unknown"])
def test_there_is_an_end_to_what_visitors_may_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standing: Standing
) -> None:
    config = config_of(tmp_path)
    first, second = begin(config, "a", "complete"), begin(config, "a", "complete")
    assert first.topic != second.topic
    third = begin(config, "b", standing)  # one that nobody can tell of counts as being sent
    with pytest.raises(UsageError, match="2 transfers are being sent"):
        begin(config, "b", standing)
    assert [record.topic for record in Records(config).read_all()] == [first.topic, second.topic, third.topic]
    monkeypatch.setattr(sender, "MOST_A_DAY", 2)
    with pytest.raises(UsageError, match="You have begun 2 transfers"):
        begin(config, "a", "complete")
    begin(config, "b", "complete")


def test_the_lock_is_free_while_who_sends_is_asked_and_begins(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    begin(config, "a", "running")
    seen = []

    def note(what: str) -> None:
        with (Records(config).folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where somebody has it
        seen.append(what)

    def standing_of(_record: Record) -> Standing:
        note("asked")
        return "running"

    def start(record: Record) -> Record:
        note("begun")
        assert Records(config).read(record.topic) == record  # its place among the others is kept meanwhile
        return replace(record, batch=2)

    sender.begin(config, SELECTION, "b", standing_of=standing_of, start=start)
    assert seen == ["asked", "begun"]


def test_only_transfers_without_an_end_are_asked_about_and_only_while_there_are_answers(tmp_path: Path) -> None:
    config, asked = config_of(tmp_path), list[int]()
    answers: dict[int, Standing] = {1: "complete", 2: "unknown", 3: "complete", 4: "failed"}
    with Records(config).alone():
        for batch in answers:
            topic = f"ftransfer_ztf_2024-01-01_00000{batch}"
            Records(config).write(Record(topic, time.time() - 60 + batch, "a", "", batch=batch))

    def standing_of(record: Record) -> Standing:
        asked.append(record.batch)
        return answers[record.batch]

    def once_more() -> None:
        sender.begin(config, SELECTION, "b", standing_of=standing_of, start=lambda record: replace(record, batch=5))

    with pytest.raises(UsageError, match="3 transfers are being sent"):
        once_more()
    assert asked == [1, 2]
    asked.clear()
    answers[2] = "forgotten"
    once_more()
    assert asked == [2, 3, 4]
    assert [record.ended for record in Records(config).read_all()] == [
        "complete",
        "forgotten",
        "complete",
        "failed",
        "",
    ]


def test_a_transfer_that_nobody_took_on_gives_its_place_back(tmp_path: Path) -> None:
    config, now = config_of(tmp_path), time.time()
    ages = {"000001": 0.0, "000002": sender.BEGIN_SECONDS + 1, "000003": sender.BEGIN_SECONDS + 1}
    with Records(config).alone():
        for name, age in ages.items():
            Records(config).write(Record(f"ftransfer_ztf_2024-01-01_{name}", now - age, "a", ""))
    begin(config, "b", "running")
    with pytest.raises(UsageError, match="2 transfers are being sent"):
        begin(config, "b", "running")


def test_topics_are_named_by_date_and_microsecond_and_never_twice(tmp_path: Path) -> None:
    records, now = Records(config_of(tmp_path)), 1_704_067_200.25
    with records.alone():
        assert records.new_topic("ztf", now) == "ftransfer_ztf_2024-01-01_250000"
        records.write(Record("ftransfer_ztf_2024-01-01_250000", now, "a", ""))
        assert records.new_topic("ztf", now) == "ftransfer_ztf_2024-01-01_250001"


@pytest.mark.parametrize("topic", ["", "../../etc/passwd", "ftransfer_ztf_2024-01-01_1/../x", "fink_blazar", "x" * 500])
def test_only_our_own_transfers_can_be_looked_at(tmp_path: Path, topic: str) -> None:
    assert Records(config_of(tmp_path)).read(topic) is None


def test_old_transfers_are_forgotten(tmp_path: Path) -> None:
    records = Records(config_of(tmp_path))
    with records.alone():
        records.write(Record("ftransfer_ztf_2024-01-01_000001", 0.0, "a", ""))
    path = records.log("ftransfer_ztf_2024-01-01_000001").with_suffix(".json")
    os.utime(path, (1_704_067_200, 1_704_067_200))
    with records.alone():
        assert records.read_all() == []


def test_a_visitor_is_an_address_or_what_our_proxy_says() -> None:
    app = Flask("test")

    def seen(address: str, forwarded: str = "") -> str:
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        with app.test_request_context(environ_base={"REMOTE_ADDR": address}, headers=headers):
            return visitor_of(request)

    assert seen("192.0.2.1") == seen("192.0.2.1", "203.0.113.9") != seen("192.0.2.2")
    assert seen("127.0.0.1", "198.51.100.7, 192.0.2.1") == seen("192.0.2.1")


class Cluster(BaseHTTPRequestHandler):
    """A name node, a data node and a Livy server in one, that keep to their published interfaces."""

    files: dict[str, bytes]
    batches: list[dict[str, object]]
    state: str | None = "running"

    def do_PUT(self) -> None:
        """Take a file: first at the name node, which sends to the data node."""
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path.startswith("/webhdfs/v1/") and "op=CREATE" in query and "user.name=fink" in query and not body:
            self.answer(307, location=f"http://127.0.0.1:{self.server.server_port}/data{path}")
        elif path.startswith("/data/webhdfs/v1/"):
            type(self).files[path.removeprefix("/data/webhdfs/v1")] = body
            self.answer(201)
        else:
            self.answer(400)

    def do_POST(self) -> None:
        """Start a batch."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/batches" or not self.headers.get("X-Requested-By"):
            self.answer(400)
            return
        type(self).batches.append(body)
        self.answer(201, {"id": len(self.batches) - 1, "state": "starting"})

    def do_GET(self) -> None:
        """Tell the state or the log of a batch."""
        kind = self.path.partition("?")[0].rpartition("/")[2]
        if self.state is None:
            self.answer(404, {"msg": "Session '0' not found."})
            return
        log = ["sent 10 of 20 alerts, 5/s"]
        self.answer(200, {"id": 0, "state": self.state} if kind == "state" else {"id": 0, "log": log})

    def answer(self, status: int, content: object = None, location: str = "") -> None:
        """Send an answer."""
        body = json.dumps(content).encode() if content is not None else b""
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", f"{len(body)}")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Keep silent."""


@pytest.fixture
def cluster() -> Iterator[tuple[type[Cluster], str]]:
    """Return what the cluster was given, and its address."""
    kind = type("OwnCluster", (Cluster,), {"files": {}, "batches": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield kind, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def livy(folder: Path, url: str) -> LivySender:
    return LivySender(
        config_of(
            folder, transfer="livy", livy_url=url, webhdfs_url=f"{url}/webhdfs/v1", namenode_url="hdfs://nn:8020",
            livy_spark={"spark.cores.max": "4"},
        )
    )  # fmt: skip


def test_the_job_is_uploaded_and_started(tmp_path: Path, cluster: tuple[type[Cluster], str]) -> None:
    kind, url = cluster
    record = livy(tmp_path, url).submit(SELECTION, "somebody")
    path = f"/user/fink/fink_transfers/{record.topic}.py"
    assert kind.files == {path: Path(livy_job.__file__).read_bytes()}
    (batch,) = kind.batches
    assert batch["file"] == f"hdfs://nn:8020{path}" and batch["conf"] == {"spark.cores.max": "4"}
    assert f"-topic_name={record.topic}" in batch["args"] and "-fclass=SN candidate" in batch["args"]
    assert batch["args"][-2:] == ["-extraCond=candidate.drb > 0.9", "-extraCond=roid = 3"]
    words, places = livy_job.command(batch["args"])
    assert words[:4] == [sys.executable, "-m", "fink_broker", "transfer"]
    assert sorted(words[4:]) == sorted(SELECTION.arguments(record.topic))
    assert places["FINK__STORAGE__ONLINE"] == str(tmp_path / "online")


def test_state_and_log_come_from_livy(tmp_path: Path, cluster: tuple[type[Cluster], str]) -> None:
    kind, url = cluster
    sends = livy(tmp_path, url)
    record = sends.submit(SELECTION, "somebody")
    progress = sends.look(record)
    assert (progress.standing, progress.sent, progress.total) == ("running", 10, 20)
    for state, standing in (
        ("starting", "waiting"), ("success", "complete"), ("dead", "failed"), ("odd", "unknown"), (None, "forgotten")
    ):  # fmt: skip
        kind.state = state
        assert sends.look(record).standing == standing
    records = Records(config_of(tmp_path))
    kept = records.read(record.topic)
    assert kept is not None and kept.ended == "forgotten"
    records.write(replace(record, ended="complete"))
    kept = records.read(record.topic)
    assert kept is not None and sends.look(kept).standing == "complete"


def test_a_cluster_that_is_away_or_refuses_is_told(tmp_path: Path, cluster: tuple[type[Cluster], str]) -> None:
    _, url = cluster
    with pytest.raises(ConfigError, match=r"portal\.livy_url"):
        LivySender(config_of(tmp_path, transfer="livy"))
    sends = LivySender(
        config_of(tmp_path, livy_url=url, webhdfs_url=url, namenode_url="hdfs://nn", hadoop_user="nobody")
    )
    with pytest.raises(ServiceError, match="storage refuses the job: HTTP 400"):
        sends.submit(SELECTION, "somebody")
    away = livy(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(ServiceError, match="storage does not answer"):
        away.submit(SELECTION, "somebody")
    assert away.look(Record("x", 0.0, "a", "", batch=0)).standing == "unknown"
    assert Records(config_of(tmp_path)).read_all() == []
