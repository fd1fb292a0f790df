"""Transfers without Kafka: every alert once, in pieces or in one, and what is noticed and said."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import fastavro
import pytest
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st
from transfer_rows import NIGHT, commit, rows

from fink_broker.archive import AlertTable
from fink_broker.cli import transfer as cli
from fink_broker.config.model import Config, DistributionConfig, StorageConfig
from fink_broker.errors import DataError, ServiceError, UsageError
from fink_broker.stream.transfer import transfers as all_of_it
from fink_broker.stream.transfer.manifest import Manifest, ManifestStore, Part, check_name
from fink_broker.stream.transfer.numbering import Numbering
from fink_broker.stream.transfer.planning import plan
from fink_broker.stream.transfer.schemas import JoinedSchema
from fink_broker.stream.transfer.selection import Selection
from fink_broker.stream.transfer.sending import NumberedSender
from fink_broker.stream.transfer.stopping import Stopped
from fink_broker.stream.transfer.transfers import Transfers


@pytest.fixture
def science(tmp_path: Path) -> AlertTable:
    return AlertTable(str(tmp_path / "online" / "science"))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        storage=StorageConfig(online=str(tmp_path / "online"), state=tmp_path / "state"),
        distribution=DistributionConfig(servers="localhost:1"),
    )


def planned(science: AlertTable, selection: Selection = NIGHT) -> Manifest:
    return plan(science, selection, "ftransfer_x", threading.Event())


class TestManifests:
    @pytest.mark.parametrize(
        "name", ["fink_x", "ftransfer_", "ftransfer_a/b", "ftransfer_" + "a" * 240, "ftransfer_a_schema", "ftransfer_é"]
    )
    def test_names(self, name: str) -> None:
        with pytest.raises(UsageError, match="is no name for the topic"):
            check_name(name)

    def test_kept_listed_removed(self, science: AlertTable, config: Config) -> None:
        commit(science, "a", "20231018", rows(20))
        store = ManifestStore(config.storage.online, config.storage.state)
        assert store.read_all() == []
        manifest = planned(science)
        store.write(manifest)
        store.write(manifest.complete(5.0))
        assert [entry.finished for entry in store.read_all()] == [5.0]
        assert store.find("ftransfer_x").archived_schema == JoinedSchema([rows(1).schema]).schema
        store.remove("ftransfer_x")
        with pytest.raises(UsageError, match="no transfer to the topic"):
            store.find("ftransfer_x")

    def test_one_process_at_a_time(self, config: Config) -> None:
        store = ManifestStore(config.storage.online, config.storage.state)
        with store.only_one("ftransfer_x"):
            assert store.is_running("ftransfer_x")
            with pytest.raises(UsageError, match="is running"), store.only_one("ftransfer_x"):
                pass
        assert not store.is_running("ftransfer_x")

    def test_a_damaged_one_is_told_and_can_be_removed(self, config: Config, kafka: Kafka) -> None:
        folder = Path(config.storage.online, "transfers")
        folder.mkdir(parents=True)
        (folder / "ftransfer_x.json").write_text("{}")
        transfers = Transfers(config, threading.Event(), print)
        with pytest.raises(DataError, match=r"transfer to ftransfer_x cannot be read.*--remove ftransfer_x"):
            transfers.list_all()
        transfers.remove("ftransfer_x")
        assert transfers.list_all() == []


@st.composite
def interrupted(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Return how many alerts each file has, and how many messages each partition holds at some instant."""
    files = draw(st.lists(st.integers(0, 30), min_size=1, max_size=8))
    partitions = draw(st.integers(1, 10))
    total = sum(files)
    return files, [draw(st.integers(0, len(range(number, total, partitions)))) for number in range(partitions)]


@given(interrupted(), st.integers(1, 12))
def test_what_is_missing_gets_its_number_and_nothing_else(case: tuple[list[int], list[int]], at_once: int) -> None:
    files, ends = case
    numbering, sent, number = Numbering(ends), [], 0
    for count in files:
        part = Part("f", "20231018", count, count)
        if not numbering.has_to_send(part):
            numbering.skip(part)
        else:
            for first in range(0, count, at_once):
                numbers, missing = numbering.take(part, min(at_once, count - first))
                assert numbers.tolist() == list(range(number + first, number + min(first + at_once, count)))
                sent += numbers[missing].tolist()
            numbering.close(part)
        number += count
    there = {partition + len(ends) * place for partition, end in enumerate(ends) for place in range(end)}
    assert sent == [one for one in range(sum(files)) if one not in there]


def test_a_file_with_other_alerts_than_it_had_is_refused() -> None:
    numbering, part = Numbering([0] * 10), Part("f", "20231018", 20, 12)
    numbering.has_to_send(part)
    numbering.take(part, 11)
    with pytest.raises(DataError, match="not what it was"):
        numbering.close(part)
    with pytest.raises(DataError, match="not what it was"):
        numbering.take(part, 2)


class Kafka:
    """The topics of one transfer as Kafka would hold them, with a sender that stops after some messages."""

    def __init__(self) -> None:
        self.partitions: list[list[tuple[int, int, bytes]]] = []
        self.options, self.compression = {}, "none"
        self.allowed = 10**9
        self.copies: list[str] = []

    def existing(self) -> set[str]:
        there = {"ftransfer_x"} if self.partitions else set()
        return there | ({"ftransfer_x_schema"} if self.copies else set())

    def create(self, manifest: Manifest) -> None:
        self.partitions = self.partitions or [[] for _ in range(manifest.partitions)]

    def fill_schema(self, manifest: Manifest) -> None:
        assert not any(self.partitions) or self.copies, "the schema comes first"
        self.copies.append(manifest.avro)

    def ends(self, topic: str, _partitions: int) -> list[int]:
        if topic.endswith("_schema"):
            return [len(self.copies)]
        return [len(messages) for messages in self.partitions]

    settled_ends = ends

    def last_numbers(self, _topic: str, ends: list[int]) -> list[int | None]:
        return [self.partitions[number][-1][0] if end else None for number, end in enumerate(ends)]

    def remove(self, topics: list[str]) -> None:
        assert topics == ["ftransfer_x", "ftransfer_x_schema"]
        self.partitions, self.copies = [], []


class Sender:
    def __init__(self, kafka: Kafka) -> None:
        self.kafka, self.delivered = kafka, 0

    def send(self, number: int, candid: int, value: bytes) -> bool:
        if self.delivered == self.kafka.allowed:
            return False
        # partitions fill unevenly, as they do
        self.kafka.partitions[number % 10].append((number, candid, value))
        self.delivered += 1
        return True

    def finish(self, meanwhile) -> None:
        meanwhile()


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    kafka = Kafka()
    monkeypatch.setattr(all_of_it, "TransferTopics", lambda *_: kafka)
    monkeypatch.setattr(all_of_it, "NumberedSender", lambda *_, **__: Sender(kafka))
    return kafka


def test_sent_in_pieces_it_is_what_it_is_in_one(science: AlertTable, config: Config, kafka: Kafka) -> None:
    for number in range(6):
        commit(science, f"c{number}", f"2023101{8 + number % 2}", rows(40, 40 * number))
    transfers = Transfers(config, threading.Event(), print)
    selection = Selection.asked("2023-10-18", "2023-10-19", where="candidate.magpsf > 17")
    transfers.begin(transfers.plan(selection, "ftransfer_x"))
    shown: list[tuple[int, int]] = []
    for kafka.allowed in (0, 1, 50, 7, 10**9):
        commit(science, f"late{kafka.allowed}", "20231018", rows(3, 1000))  # no part of what was agreed on
        try:
            transfers.send("ftransfer_x", lambda done, of: shown.append((done, of)))
        except Stopped:
            assert transfers.list_all()[0].state == "interrupted"
    assert transfers.list_all()[0].state == "complete"
    messages = sorted(message for partition in kafka.partitions for message in partition)
    wanted = [row for first in (0, 80, 160, 40, 120, 200) for row in rows(40, first).to_pylist()]
    wanted = [row for row in wanted if row["candidate"]["magpsf"] > 17]
    assert [number for number, _, _ in messages] == list(range(len(wanted)))
    schema = fastavro.parse_schema(json.loads(kafka.copies[0]))
    for (_, candid, value), row in zip(messages, wanted, strict=True):
        alert = fastavro.schemaless_reader(io.BytesIO(value), schema)
        assert alert["candid"] == candid == row["candid"]
        assert {name: alert[name] for name in row if name != "origin"} == {
            name: value for name, value in row.items() if name != "origin"
        }
    assert shown[-1] == (len(wanted) - 58, len(wanted) - 58)
    assert transfers.send("ftransfer_x") == 0


def test_foreign_or_missing_messages_are_noticed(science: AlertTable, config: Config, kafka: Kafka) -> None:
    commit(science, "a", "20231018", rows(40))
    transfers = Transfers(config, threading.Event(), print)
    transfers.begin(transfers.plan(NIGHT, "ftransfer_x"))
    kafka.create(transfers.store.find("ftransfer_x"))
    kafka.copies.append("")
    kafka.partitions[4] = [(4, 0, b""), (24, 0, b"")]
    with pytest.raises(ServiceError, match=r"Partition 4 .* did not send"):
        transfers.send("ftransfer_x")
    kafka.partitions[4] = [(4 + 10 * place, 0, b"") for place in range(5)]
    with pytest.raises(ServiceError, match=r"Partition 4 .* did not send"):
        transfers.send("ftransfer_x")


def test_finished_it_is_complete_only_while_kafka_has_it(science, config, kafka) -> None:
    commit(science, "a", "20231018", rows(40))
    transfers = Transfers(config, threading.Event(), print)
    transfers.begin(transfers.plan(NIGHT, "ftransfer_x"))
    assert transfers.send("ftransfer_x") == 40
    assert [(entry.sent, entry.state) for entry in transfers.list_all()] == [(40, "complete")]
    assert transfers.send("ftransfer_x") == 0
    del kafka.partitions[3][2:]
    (listed,) = transfers.list_all()
    assert (listed.sent, listed.state.partition(":")[0]) == (38, "incomplete")
    assert transfers.send("ftransfer_x") == 2
    kafka.copies = []
    assert transfers.list_all()[0].state.startswith("incomplete")
    kafka.partitions = []
    assert transfers.list_all()[0].sent == 0
    assert transfers.send("ftransfer_x") == 40
    assert transfers.list_all()[0].state == "complete"
    kafka.partitions[4] += [(44, 0, b"")]
    with pytest.raises(ServiceError, match=r"Partition 4 .* did not send"):
        transfers.send("ftransfer_x")


def test_what_kafka_holds_is_not_known_when_it_says_so(science, config, kafka, monkeypatch) -> None:
    commit(science, "a", "20231018", rows(40))
    transfers = Transfers(config, threading.Event(), print)
    transfers.begin(transfers.plan(NIGHT, "ftransfer_x"))
    transfers.send("ftransfer_x")

    def gone(*_: object) -> list[int]:
        raise ServiceError("Messages of ftransfer_x are gone from Kafka.")

    monkeypatch.setattr(kafka, "ends", gone)
    (listed,) = transfers.list_all()
    assert listed.sent is None
    assert listed.state == "not known: Messages of ftransfer_x are gone from Kafka."


def test_a_topic_has_one_selection(science: AlertTable, config: Config, kafka: Kafka) -> None:
    commit(science, "a", "20231018", rows(40))
    transfers = Transfers(config, threading.Event(), print)
    manifest = transfers.plan(NIGHT, "ftransfer_x")
    assert transfers.known(NIGHT, "ftransfer_x") is None
    transfers.begin(manifest)
    assert transfers.known(NIGHT, "ftransfer_x") == manifest
    with pytest.raises(UsageError, match="made for another selection"):
        transfers.known(dataclasses.replace(NIGHT, output="thin"), "ftransfer_x")
    with pytest.raises(UsageError, match="exists"):
        transfers.begin(manifest)
    transfers.remove("ftransfer_x")
    kafka.create(manifest)
    with pytest.raises(UsageError, match="exists, and not from this transfer"):
        transfers.begin(manifest)
    with pytest.raises(UsageError, match="no transfer to the topic"):
        transfers.remove("ftransfer_x")


def test_names_of_topics_are_made_of_the_time(config: Config) -> None:
    name = Transfers(config, threading.Event(), print).new_topic(1697608800.25)
    assert name == "ftransfer_ztf_2023-10-18-060000_250000"
    check_name(name)


class TestSender:
    def sender(self) -> NumberedSender:
        return NumberedSender({"bootstrap.servers": "localhost:1"}, "t", [5] * 10, threading.Event(), print)

    def delivered(self, partition: int, offset: int) -> SimpleNamespace:
        return SimpleNamespace(partition=lambda: partition, offset=lambda: offset)

    def test_offsets_go_on_where_the_partition_ended(self) -> None:
        sender = self.sender()
        for offset in (5, -1, 7):  # the second one was a repeat, of which the broker tells no offset
            sender._on_delivery(None, self.delivered(3, offset))
        sender.poll()
        assert sender.delivered == 3
        sender._on_delivery(None, self.delivered(3, 9))
        with pytest.raises(ServiceError, match=r"another process writes.*--resume t"):
            sender.poll()

    def test_what_kafka_refuses_ends_it(self) -> None:
        sender = self.sender()
        sender._on_delivery(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), self.delivered(3, -1))
        with pytest.raises(ServiceError, match="cannot go on"):
            sender.poll()


class TestCommand:
    def run(self, monkeypatch: pytest.MonkeyPatch, config: Config, **options) -> int:
        monkeypatch.setattr(cli, "load", lambda *_, **__: SimpleNamespace(config=config))
        return cli.transfer(cli.TransferOptions(**options), None)

    def test_one_thing_at_a_time(self, monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
        for options in ({}, {"list_all": True, "remove": "x"}, {"start": "2023-10-18", "resume": "x"}):
            with pytest.raises(UsageError, match="not clear what to do"):
                self.run(monkeypatch, config, **options)

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"start": "2023-10-18"}, "--stop is missing"),
            ({"stop": "2023-10-18"}, "--start is missing"),
            ({"where": "roid > 1"}, "--start is missing"),
            ({"list_all": True, "where": "roid > 1"}, "--where does not go with --list"),
            ({"remove": "ftransfer_x", "dry_run": True}, "--dry-run does not go with --remove"),
            ({"resume": "ftransfer_x", "classes": ("Unknown",)}, "--class does not go with --resume"),
        ],
    )
    def test_what_is_missing_or_too_much_is_named(self, monkeypatch, config, options, told) -> None:
        with pytest.raises(UsageError, match=told):
            self.run(monkeypatch, config, **options)

    def test_what_kafka_lost_is_sent_again_on_resume(self, science, config, kafka, monkeypatch, capsys) -> None:
        commit(science, "a", "20231018", rows(40))
        self.run(monkeypatch, config, start="2023-10-18", stop="2023-10-18", topic="ftransfer_x")
        del kafka.partitions[7][1:]
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        self.run(monkeypatch, config, list_all=True)
        assert "incomplete: Kafka no longer has all that was sent" in capsys.readouterr().out
        self.run(monkeypatch, config, resume="ftransfer_x")
        assert len(kafka.partitions[7]) == 4
        assert "All 40 alerts are in ftransfer_x." in capsys.readouterr().out

    def test_sends_says_so_and_does_so_once(self, science, config, kafka, monkeypatch, capsys) -> None:
        commit(science, "a", "20231018", rows(40))
        asked = {"start": "2023-10-18", "stop": "2023-10-18", "topic": "ftransfer_x", "columns": "tns,cdsxmatch"}
        assert self.run(monkeypatch, config, **asked, dry_run=True) == 0
        assert not kafka.partitions
        assert "40 of 40 alerts (100 %) of 1 night" in capsys.readouterr().err
        assert self.run(monkeypatch, config, **asked) == 0
        printed = capsys.readouterr().out
        assert "All 40 alerts are in ftransfer_x." in printed
        assert "finkctl transfer -survey ztf -topic ftransfer_x -outdir ftransfer_x" in printed
        assert "fink_datatransfer -topic ftransfer_x" in printed
        assert self.run(monkeypatch, config, **asked) == 0
        assert "All 40 alerts were sent to ftransfer_x by 20" in capsys.readouterr().out
        assert self.run(monkeypatch, config, list_all=True) == 0
        assert "complete" in capsys.readouterr().out
        assert self.run(monkeypatch, config, remove="ftransfer_x") == 0
        assert self.run(monkeypatch, config, list_all=True) == 0
        assert "There are no transfers." in capsys.readouterr().out

    def test_too_many(self, science, config, kafka, monkeypatch) -> None:
        commit(science, "a", "20231018", rows(40))
        with pytest.raises(UsageError, match="40 alerts, more than 39"):
            self.run(monkeypatch, config, start="2023-10-18", stop="2023-10-18", max_alerts=39)

    def test_interrupted_it_says_how_to_go_on(self, science, config, kafka, monkeypatch, capsys) -> None:
        commit(science, "a", "20231018", rows(40))
        sent = Sender.send

        def interrupt(self, number: int, candid: int, value: bytes) -> bool:
            if number == 20:
                signal.raise_signal(signal.SIGINT)
                return False
            return sent(self, number, candid, value)

        monkeypatch.setattr(Sender, "send", interrupt)
        asked = {"start": "2023-10-18", "stop": "2023-10-18", "topic": "ftransfer_x"}
        assert self.run(monkeypatch, config, **asked) == 130
        assert "`fink transfer --resume ftransfer_x` goes on where this ended." in capsys.readouterr().err
        monkeypatch.setattr(Sender, "send", sent)
        assert self.run(monkeypatch, config, resume="ftransfer_x") == 0
        assert "All 40 alerts are in ftransfer_x." in capsys.readouterr().out
