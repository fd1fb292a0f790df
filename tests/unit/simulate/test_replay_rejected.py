"""Sending rejected packets again, to a Kafka that is made up: what it has taken is noted, or nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rejected_rows import TOPIC, add_rejected, packet

from fink_broker.archive.rejected import rejected_packets
from fink_broker.archive.replayed import Replayed
from fink_broker.archive.storage import Storage
from fink_broker.config import Config
from fink_broker.config.model import KafkaConfig, StorageConfig
from fink_broker.errors import DataError
from fink_broker.simulate import replay_rejected
from fink_broker.simulate.replay_rejected import Replay


class Producer:
    """Takes everything at once."""

    taken: list[bytes]

    def __init__(self, _options: object) -> None:
        pass

    def produce(self, _topic: str, content: bytes, on_delivery: Callable[[None, None], None]) -> None:
        self.taken.append(content)
        on_delivery(None, None)

    def poll(self, _seconds: float) -> int:
        return 0

    def flush(self, _seconds: float) -> int:
        return 0


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(Producer, "taken", [], raising=False)
    monkeypatch.setattr(replay_rejected, "Producer", Producer)
    monkeypatch.setattr(replay_rejected, "PIECE", 3)
    monkeypatch.setattr(Replay, "_topics", lambda _: {TOPIC})
    config = Config(
        storage=StorageConfig(online=str(tmp_path / "online")), kafka=KafkaConfig(servers="127.0.0.1:1", topic="ztf_.*")
    )
    rows = [packet(number, "noise", b"noise %d" % number) for number in range(8)]
    add_rejected(config.storage.online, "q-000000000", "20231018", rows)
    return config


def test_what_kafka_has_taken_is_noted(config: Config) -> None:
    assert Replay(config, {}).send(rejected_packets(config)) == 8
    assert len(set(Producer.taken)) == len(Replayed(config).arrivals()) == 8


def fill_disk(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have no room for files in whose name something stands."""
    write = Storage.write_atomically

    def write_if_room(storage: Storage, path: str, content: bytes) -> None:
        if name in path:
            raise OSError(28, "No space left on device")
        write(storage, path, content)

    monkeypatch.setattr(Storage, "write_atomically", write_if_room)


def test_nothing_is_sent_if_it_cannot_be_noted(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_disk(monkeypatch, "_replayed")
    for _ in range(3):
        with pytest.raises(DataError, match=r"Nothing was sent: it could not be noted in .*No space left on device"):
            Replay(config, {}).send(rejected_packets(config))
    assert Producer.taken == []


def test_a_disk_that_becomes_full_meanwhile_is_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_disk(monkeypatch, ".json")
    with pytest.raises(DataError, match="3 packets were sent, and that could not be noted: No space left on device"):
        Replay(config, {}).send(rejected_packets(config))
    assert len(Producer.taken) == 3
