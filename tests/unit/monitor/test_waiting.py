"""What waits in Kafka, with a Kafka that is made up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from board_night import made

from fink_broker.archive import AlertTable, Layout
from fink_broker.config.model import Config, KafkaConfig, StorageConfig
from fink_broker.monitor import waiting
from fink_broker.monitor.waiting import messages_waiting


class _Kafka:
    """A Kafka with one topic of two partitions, of 100 messages each, the first ten of which are gone."""

    def __init__(self, _options: object) -> None:
        self.topics = {"ztf": SimpleNamespace(partitions={0: None, 1: None})}

    def list_topics(self, timeout: float) -> _Kafka:
        return self

    def get_watermark_offsets(self, place: object, timeout: float) -> tuple[int, int]:
        return 10, 100

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("taken", "begin", "number"),
    [
        ([40, 100], "earliest", 60),
        ([5, None], "earliest", 180),
        ([5, None], "latest", 90),
        ([5000, 100], "earliest", 90),
        ([5000, 100], "latest", 90),
    ],
)
def test_messages_no_batch_has_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[int | None], begin: str, number: int
) -> None:
    monkeypatch.setattr(waiting, "Consumer", _Kafka)
    table = AlertTable(Layout(str(tmp_path)).table("raw"))
    table.create()
    ends = {str(partition): [0, end] for partition, end in enumerate(taken) if end is not None}
    table.log.write(made("r-0", [], {"in": 0, "out": 0}, 0.0, 1.0, offsets={"ztf": ends}))
    kafka = KafkaConfig(servers="127.0.0.1:1", topic="ztf", starting_offsets=begin)
    assert messages_waiting(Config(kafka=kafka, storage=StorageConfig(online=str(tmp_path))), {}) == number
