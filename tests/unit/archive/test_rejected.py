"""Rejected packets: counts, pages, each packet whole; and the ledger of those that were sent again."""

from __future__ import annotations

from pathlib import Path

import pytest
from rejected_rows import TOPIC, add_rejected, packet

from fink_broker.archive import AlertTable, Commit, Layout, rejected_files, replayed
from fink_broker.archive.rejected import (
    Arrival,
    rejected_arrivals,
    rejected_packet,
    rejected_packets,
    rejected_page,
    rejected_summary,
)
from fink_broker.archive.replayed import Replayed
from fink_broker.config import Config
from fink_broker.config.model import StorageConfig
from fink_broker.errors import DataError, UsageError

EMPTY, NOISE = "empty message", "not an Avro container"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(storage=StorageConfig(online=str(tmp_path / "online")))


@pytest.fixture
def filled(config: Config) -> Config:
    """Return three files of two days: two batches on the second, of which the later has offsets 10 to 109."""
    online = config.storage.online
    add_rejected(online, "q-000000000", "20231017", [packet(0, NOISE, b"first")], age=30)
    add_rejected(
        online, "q-000000001", "20231018", [packet(1, EMPTY, None), packet(2, NOISE, b"xyz", seconds=5)], age=20
    )
    late = [packet(number, NOISE, bytes([number]) * number, seconds=number) for number in range(10, 110)]
    add_rejected(online, "q-000000002", "20231018", late, age=10)
    return config


def test_without_a_table_nothing_was_rejected(config: Config) -> None:
    summary = rejected_summary(config)
    assert (summary.total, dict(summary.reasons), dict(summary.days)) == (0, {}, {})
    assert rejected_page(config).entries == ()
    assert list(rejected_packets(config)) == []


def test_counts_by_reason_and_day(filled: Config) -> None:
    summary = rejected_summary(filled)
    assert summary.total == 103
    assert list(summary.reasons.items()) == [(NOISE, 102), (EMPTY, 1)]
    assert list(summary.days) == ["20231018", "20231017"]
    assert summary.days["20231018"] == {NOISE: 101, EMPTY: 1}


def test_pages_give_each_packet_once_the_newest_first(filled: Config) -> None:
    seen: list[int] = []
    for start in range(0, 120, 25):
        page = rejected_page(filled, limit=25, offset=start)
        assert page.total == 103
        seen += [entry.offset for entry in page.entries]
    assert seen == [*range(109, 9, -1), 2, 1, 0]
    assert [entry.size for entry in rejected_page(filled, limit=2).entries] == [109, 108]
    assert rejected_page(filled, limit=0).total == 103


def test_pages_of_a_reason_and_a_day(filled: Config) -> None:
    (entry,) = rejected_page(filled, reason=EMPTY).entries
    assert (entry.offset, entry.size, entry.reason) == (1, 0, EMPTY)
    assert f"{entry.time:%Y-%m-%d %H:%M:%S %Z}" == "2023-10-18 12:00:00 UTC"
    page = rejected_page(filled, reason=NOISE, day="2023-10-18", limit=3, offset=99)
    assert [entry.offset for entry in page.entries] == [10, 2]
    assert page.total == 101
    assert rejected_page(filled, day="20200101").total == 0
    for wrong in ("yesterday", "2023-13-01", "20231018/..", "２０２３１０１８"):
        with pytest.raises(UsageError, match="is no day"):
            rejected_page(filled, day=wrong)


def test_a_packet_is_found_by_its_place(filled: Config) -> None:
    found = rejected_packet(filled, TOPIC, 0, 42)
    assert found.content == bytes([42]) * 42
    assert str(found.entry.place) == f"{TOPIC}/0/42"
    assert rejected_packet(filled, TOPIC, 0, 1).content is None
    for topic, partition, offset in ((TOPIC, 1, 42), (TOPIC, 0, 5), ("other", 0, 42)):
        with pytest.raises(UsageError, match="among the rejected ones"):
            rejected_packet(filled, topic, partition, offset)


def test_of_a_topic_made_anew_the_latest_packet_is_meant(filled: Config) -> None:
    add_rejected(filled.storage.online, "r-000000000", "20231019", [packet(42, NOISE, b"of today")])
    assert rejected_packet(filled, TOPIC, 0, 42).content == b"of today"


def test_all_packets_of_a_reason_come_oldest_first(filled: Config) -> None:
    arrivals = list(rejected_arrivals(filled, NOISE))
    assert [packet.entry.arrival for packet in rejected_packets(filled, NOISE)] == arrivals
    assert [arrival.offset for arrival in arrivals] == [0, 2, *range(10, 110)]
    assert {arrival.time % 1_000_000 for arrival in arrivals} == {0}


def test_files_of_a_batch_that_is_not_committed_are_not_there(filled: Config) -> None:
    layout = Layout(filled.storage.online)
    staging = Path(AlertTable(layout.table("rejected")).staging("q-000000002"))
    staging.mkdir(parents=True)
    assert rejected_summary(filled).total == 3
    raw = AlertTable(layout.table("raw"))
    raw.create()
    counts = {"in": 100, "out": 0, "rejected": 100}
    raw.log.write(Commit("q-000000002", [], [], counts, started=0.0, committed=1.0))
    assert rejected_summary(filled).total == 103


def test_each_file_is_looked_at_once_however_many_there_are(filled: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    look = rejected_files.RejectedFiles._look_at
    monkeypatch.setattr(
        rejected_files.RejectedFiles, "_look_at", lambda files, path: opened.append(path) or look(files, path)
    )
    for _ in range(3):
        assert rejected_page(filled, limit=1).total == 103
        assert rejected_page(filled, limit=1, day="20231018").total == 102
    assert len(opened) == 3
    path = add_rejected(filled.storage.online, "q-000000000", "20231017", [packet(0, EMPTY, b"")] * 2, age=5)
    assert rejected_page(filled, reason=EMPTY).total == 3, "a file that was written again"
    path.unlink()
    assert rejected_page(filled).total == 102
    assert len(opened) == 4


def test_two_may_look_at_the_same_time(filled: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(dict[str, object]):
        """Loses what it is told: somebody who listed the folder before a file was there takes it for gone."""

        def __setitem__(self, path: str, entry: object) -> None:
            pass

    location = rejected_files.RejectedFiles(filled.storage.online)._storage.location
    monkeypatch.setitem(rejected_files._KNOWN, location, Forgetful())
    assert rejected_summary(filled).total == 103


def test_a_damaged_file_is_told_by_its_name(filled: Config) -> None:
    path = add_rejected(filled.storage.online, "q-000000003", "20231018", [packet(500, NOISE, b"x")])
    path.write_bytes(b"PAR1 this is no Parquet")
    with pytest.raises(DataError, match=r"date=20231018/q-000000003-0\.parquet of the rejected packets cannot be read"):
        rejected_summary(filled)


def test_the_ledger_keeps_places_and_joins_its_pieces(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replayed, "MOST_PIECES", 3)
    ledger, arrivals = Replayed(config), [Arrival(TOPIC, 0, number, 7) for number in range(10)]
    assert ledger.arrivals() == set()
    for arrival in arrivals:
        ledger.add([arrival])
        assert len(ledger._pieces()) <= 3
    assert Replayed(config).arrivals() == set(arrivals)


def test_what_is_joined_while_it_is_read_is_not_lost(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = [Arrival(TOPIC, 0, number, 7) for number in range(4)]
    writer, reader = Replayed(config), Replayed(config)
    for arrival in arrivals:
        writer.add([arrival])
    listed = reader._pieces

    def pieces() -> list[str]:
        found = listed()
        monkeypatch.setattr(reader, "_pieces", listed)
        monkeypatch.setattr(replayed, "MOST_PIECES", 1)
        writer._join()
        return found

    monkeypatch.setattr(reader, "_pieces", pieces)
    assert reader.arrivals() == set(arrivals)
    assert len(listed()) == 1


def test_pieces_that_cannot_be_joined_are_noted(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise OSError(28, "No space left on device")

    ledger = Replayed(config)
    monkeypatch.setattr(ledger, "_join", fails)
    ledger.add([Arrival(TOPIC, 0, 1, 7)])
    assert ledger.arrivals() == {Arrival(TOPIC, 0, 1, 7)}


def test_a_damaged_ledger_says_what_to_do(config: Config) -> None:
    ledger = Replayed(config)
    ledger.add([Arrival(TOPIC, 0, 1, 7)])
    piece = Path(config.storage.online) / "rejected" / ledger._pieces()[0]
    piece.write_text("[[1]]")
    with pytest.raises(DataError, match="Remove it"):
        ledger.arrivals()
