"""What the board says of services and disks, of this host and of others."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from board_night import NOW, Clock, MadeUpNight

from fink_broker.archive.storage import Storage
from fink_broker.config.model import StorageConfig
from fink_broker.metrics.beacon import put
from fink_broker.metrics.sample import FOLDER, Disk, ServiceSample
from fink_broker.monitor.board import machine
from fink_broker.monitor.board.machine import disk_level, disk_views
from fink_broker.monitor.board.services import SignsOfLife, service_views
from fink_broker.monitor.board.views import ServiceView


class _Local:
    def __init__(self, *views: ServiceView) -> None:
        self._views = views

    def look(self) -> list[ServiceView]:
        return list(self._views)


def test_a_service_that_died_is_bad(night: MadeUpNight, make_board) -> None:
    night.step(NOW)
    died = ServiceView("raw2science", "here", "died", since=NOW - 60, ended=NOW - 5, why="The disk is full.")
    seen = make_board(local=_Local(died)).look()
    assert seen.status.level == "bad"
    assert seen.status.notes[0][1].endswith("died: The disk is full.")


@pytest.mark.parametrize("last_seen", [NOW - 60, None])
@pytest.mark.parametrize("state", ["died", "lost"])
def test_a_service_that_was_killed_after_weeks_is_bad(night: MadeUpNight, make_board, state, last_seen) -> None:
    night.step(NOW)
    killed = ServiceView(
        "raw2science", "here", state, since=NOW - 20 * 86400, last_seen=last_seen, why="It was killed."
    )
    assert make_board(local=_Local(killed)).look().status.notes[0][1].endswith("It was killed.")
    old = replace(killed, last_seen=NOW - 4 * 86400)
    assert make_board(local=_Local(old)).look().status.level == "ok"


def test_a_host_whose_clock_is_wrong_is_not_lost(night: MadeUpNight, make_board, tmp_path: Path) -> None:
    clock, storage = Clock(), Storage(str(tmp_path / "online"))
    storage.make_folder(FOLDER)
    board = make_board(clock)

    def state(**more) -> str:
        sample = ServiceSample("archive", "far", 7, clock.now - 9 * 86400, **{"sampled": clock.now, "up": True, **more})
        put(storage, sample.path, sample.to_json())
        return board.look().services[0].state

    clock.now = time.time()  # samples of long ago are not read at all
    behind = clock.now - 100
    assert state(sampled=behind) == "up"
    clock.now += 20
    assert state(sampled=behind + 20) == "up"
    clock.now += 31
    assert state(sampled=behind + 20) == "lost"
    assert any("far is lost: Its last sample came 31 s ago" in text for _, text in board.snapshot.status.notes)
    clock.now += 60
    assert state(sampled=behind + 111) == "up"


def test_checkstream_tells_the_rates_while_raw_does_nothing(night: MadeUpNight, make_board, tmp_path: Path) -> None:
    clock, storage = Clock(time.time()), Storage(str(tmp_path / "online"))
    storage.make_folder(FOLDER)
    board = make_board(clock)
    rates = "fink_stream_arriving_messages_per_second 12.5\nfink_stream_read_messages_per_second 40.0\n"
    sample = ServiceSample("checkstream", "here", 7, clock.now - 9, clock.now, up=True, metrics=rates)
    put(storage, sample.path, sample.to_json())
    board.look()
    board.look()
    assert board.live_rates() == [(sample.sampled, 12.5, 40.0)]
    night.step(clock.now)
    board.look()
    assert board.live_rates() == board.history.batches()


def test_services_of_other_hosts_come_from_their_samples() -> None:
    def sample(name: str, host: str, **more) -> ServiceSample:
        return ServiceSample(name, host, 7, NOW - 100, **{"sampled": NOW - 1, "up": True, "cpu_percent": 9.0, **more})

    samples = [
        sample("archive", "far"),
        sample("api", "far", sampled=NOW - 500),
        sample("notifier", "far", ended=NOW - 9, reason="It broke."),
        sample("portal", "far", ended=NOW - 9, reason="done"),
        sample("stream2raw", "here", disks=(Disk("/data", 1.0, 2.0),)),
    ]
    here = ServiceView("stream2raw", "here", "up", pid=7, cpu_percent=1.0)
    signs = SignsOfLife()
    signs.hear(samples, NOW)
    found = {(view.host, view.name): view for view in service_views([here], samples, signs, "here", NOW)}
    assert {place: view.state for place, view in found.items()} == {
        ("here", "stream2raw"): "up",
        ("far", "archive"): "up",
        ("far", "api"): "lost",
        ("far", "notifier"): "died",
        ("far", "portal"): "stopped",
    }
    assert found["here", "stream2raw"].cpu_percent == 9.0
    assert found["far", "notifier"].why == "It broke."


def test_disks_warn_before_streams_pause() -> None:
    storage = StorageConfig(min_free_gib=1, warn_free_gib=20)
    assert [disk_level(storage, free) for free in (0.5, 5.0, 50.0)] == ["bad", "warn", "ok"]


def test_the_latest_sample_tells_of_a_disk() -> None:
    def sample(name: str, sampled: float, free: float) -> ServiceSample:
        return ServiceSample(name, "far", 7, NOW - 100, sampled, disks=(Disk("/data", free, 100.0),))

    found, away = disk_views(StorageConfig(), [sample("a", NOW, 0.2), sample("b", NOW - 20, 80.0)], "here")
    assert [disk.free_gib for disk in found if disk.host == "far"] == [0.2]
    assert away == ()


def test_a_disk_that_is_away_is_told_and_the_rest_is_shown(
    night: MadeUpNight, make_board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path) -> None:
        raise OSError(5, "Input/output error")

    night.step(NOW)
    monkeypatch.setattr(machine.shutil, "disk_usage", fails)
    seen = make_board().look()
    assert (seen.stage("raw").batches, seen.disks, seen.status.level) == (1, (), "bad")
    assert seen.status.notes[0][1].endswith("online cannot be looked at: Input/output error.")
