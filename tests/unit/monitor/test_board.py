"""The board: every commit counted once, in bounded memory, with the same result as all at once."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from board_night import NIGHT, NOW, REASON, Clock, MadeUpNight, made

from fink_broker.archive.storage import Storage
from fink_broker.errors import DataError
from fink_broker.metrics.beacon import put
from fink_broker.metrics.sample import FOLDER, ServiceSample
from fink_broker.monitor import read_counts
from fink_broker.monitor.board import closing, reader
from fink_broker.monitor.board.closing import Handover
from fink_broker.monitor.board.reader import LogReader
from fink_broker.monitor.board.sums import step_edge


def test_sums_are_those_of_all_commits_at_once(night: MadeUpNight, make_board) -> None:
    for number in range(20):
        night.step(NOW - 300 + 10 * number)
    board = make_board()
    seen, counts = board.look(), read_counts(board.config)
    for name in ("raw", "science", "topics", "archived"):
        stage, whole = seen.stage(name), getattr(counts, name)
        assert stage.batches == 20
        assert {way: whole.count(way) for way in stage.totals} == stage.totals
    assert {topic.name: topic.messages for topic in seen.topics} == counts.messages
    assert (seen.reasons, seen.cuts) == (counts.reasons, counts.cuts)
    assert seen.stage("topics").latency_total.p99 == counts.latency.percentile(0.99)
    assert counts.open_ends() == []
    assert (board.snapshot.is_complete, board.live_rates()) == (True, board.history.batches())
    assert [stage.difference_count for stage in seen.stages] == [0, 0, 0, 0]
    assert seen.status.level == "ok"
    assert seen.status.headline.startswith("All counts close. 480 alerts in the last 24 h")


def test_nothing_is_read_twice(night: MadeUpNight, make_board, monkeypatch: pytest.MonkeyPatch) -> None:
    night.step(NOW)
    board = make_board()
    board.look()
    added: list[str] = []
    monkeypatch.setattr(board._reader.ledger, "add", lambda _stage, commit: added.append(commit.id))
    board.look()
    assert added == []
    night.step(NOW + 1)
    board.look()
    assert added == ["r-000000001", "s-000000001", "topics-s-000000001", "archived-s-000000001"]


def test_what_is_on_its_way_is_no_difference(night: MadeUpNight, make_board) -> None:
    night.step(NOW - 30)
    night.step(NOW - 20, until="raw")
    clock = Clock()
    seen = make_board(clock).look()
    (waiting,) = [each for each in seen.waiting if each.alerts]
    assert (waiting.earlier, waiting.later, waiting.alerts, waiting.batches) == ("raw", "science", 24, 1)
    assert waiting.oldest == NOW - 20
    assert seen.status.level == "ok"
    clock.now += 600
    late = make_board(clock).look()
    assert late.status.level == "warn"
    assert late.status.notes == (("warn", "24 alerts of raw wait for raw2science, the first for 10 min."),)


@pytest.mark.parametrize(
    ("stage", "batch", "sentence"),
    [
        (
            "science",
            made("s-x", ["r-000000000"], {"in": 24, "out": 24, "cut": 0}, NOW, NOW),
            "raw batch r-000000000 was taken twice, by science batches s-000000000 and s-x.",
        ),
        (
            "science",
            made("s-x", ["r-x"], {"in": 1, "out": 1, "cut": 0}, NOW, NOW),
            "science batch s-x took in raw batches that do not exist: r-x.",
        ),
        (
            "raw",
            made("r-x", [], {"in": 3, "out": 1, "rejected": 2}, NOW, NOW, reasons={"why": 1}),
            "raw batch r-x has 2 rejected, but reasons for 1.",
        ),
        (
            "science",
            replace(made("s-x", [], {"in": 5, "out": 5, "cut": 0}, NOW, NOW), files=[]),
            "science batch s-x put out 5 alerts, but its files hold 0.",
        ),
        (
            "raw",
            made("r-x", [], {"in": 0, "out": 0}, NOW, NOW, lost_offsets=1200),
            "Kafka no longer had 1,200 messages when raw asked for them.",
        ),
    ],
)
def test_a_difference_is_said_and_is_bad_for_a_day(night: MadeUpNight, make_board, stage, batch, sentence) -> None:
    night.step(NOW - 10)
    night.commit(stage, batch)
    clock = Clock()
    seen = make_board(clock).look()
    assert sentence in seen.stage(stage).differences
    assert seen.status.level == "bad"
    assert seen.status.headline.startswith("Counts do not close.")
    assert sum(stage.difference_day for stage in seen.stages) == sum(stage.difference_count for stage in seen.stages)
    clock.now += 2 * 86400
    found = make_board(clock).look()
    assert [each.difference_day for each in found.stages] == [0, 0, 0, 0]
    assert found.stage(stage).difference_count > 0
    later = found.status
    assert later.level == "warn"
    assert later.headline.startswith("All counts of the last 24 h close.")
    assert any(text.endswith("That was 2 d ago.") for _, text in later.notes)


def test_fewer_alerts_taken_than_handed_on() -> None:
    handover = Handover("raw", "science")
    handover.put_out(made("r-0", [], {"in": 10, "out": 10}, NOW, NOW))
    found = handover.take_in(made("s-0", ["r-0"], {"in": 9, "out": 9}, NOW, NOW))
    assert found == ["science batch s-0 took in 9 alerts, but its raw batches hold 10."]
    assert handover.waiting().alerts == 0


def test_batches_that_wait_for_weeks_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "MOST_WAITING", 3)
    monkeypatch.setattr(closing, "MOST_TAKEN", 2)
    handover = Handover("science", "archived")
    for number in range(10):
        handover.put_out(made(f"s-{number}", [], {"in": 2, "out": 2}, NOW, NOW + number))
    waiting = handover.waiting()
    assert (waiting.alerts, waiting.batches, waiting.oldest) == (20, 10, NOW)
    for number in range(10):
        taken = made(f"a-{number}", [f"s-{number}"], {"in": 2, "out": 2}, NOW, NOW)
        assert handover.knows_inputs(taken)
        assert handover.take_in(taken) == []
        assert handover.waiting().alerts == 18 - 2 * number
    assert len(handover._waiting) == 0
    assert len(handover._taken) == 2


def test_a_long_past_is_read_in_rounds_and_closes(
    night: MadeUpNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_A_ROUND", 4)
    for number in range(10):
        night.step(NOW + number)
    # one batch of science that took in many of raw: science is far ahead of raw when rounds are short
    logs = LogReader(str(tmp_path / "online"), Clock())
    rounds = 1
    while not logs.read_round():
        rounds += 1
        assert rounds < 20
    assert rounds == 3
    assert logs.read == logs.to_read == 40
    assert all(wrong.count == 0 for wrong in logs.ledger.differences.values())


def test_a_stage_waits_for_the_one_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_A_ROUND", 2)
    night = MadeUpNight(str(tmp_path / "online"))
    names = [f"r-{number}" for number in range(6)]
    for name in names:
        night.commit("raw", made(name, [], {"in": 1, "out": 1}, NOW, NOW))
    night.commit("science", made("s-0", names, {"in": 6, "out": 6}, NOW, NOW))
    logs = LogReader(str(tmp_path / "online"), Clock())
    assert not logs.read_round()
    assert logs.ledger.stages["science"].batches == 0
    while not logs.read_round():
        pass
    assert logs.ledger.stages["science"].batches == 1
    assert all(wrong.count == 0 for wrong in logs.ledger.differences.values())


def test_a_batch_that_is_not_there_is_told_once_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_A_ROUND", 3)
    night = MadeUpNight(str(tmp_path / "online"))
    one = {"in": 1, "out": 1}
    for number in range(8):
        night.commit("raw", made(f"r-{number}", [], one, NOW, NOW))
    night.commit("science", made("s-x", ["r-nowhere"], one, NOW, NOW))
    for number in range(8):
        night.commit("science", made(f"s-{number}", [f"r-{number}"], one, NOW, NOW))
    for number in range(4):
        inputs = [f"s-{2 * number}", f"s-{2 * number + 1}"]
        night.commit("topics", made(f"t-{number}", inputs, {"in": 2, "out": 2}, NOW, NOW))
    logs = LogReader(str(tmp_path / "online"), Clock())
    rounds = 1
    while not logs.read_round():
        assert not logs.is_complete
        rounds += 1
        assert rounds < 20
    assert logs.is_complete
    told = [text for wrong in logs.ledger.differences.values() for text in wrong.sentences]
    assert told == ["science batch s-x took in raw batches that do not exist: r-nowhere."]


def test_the_past_is_not_called_closed_before_it_was_read(
    night: MadeUpNight, make_board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_A_ROUND", 2)
    for number in range(3):
        night.step(NOW + number)
    board = make_board()
    assert (board.snapshot.is_complete, board.snapshot.status.headline) == (False, "Reading what was done before.")
    first = board.look()
    assert (first.status.level, first.is_complete) == ("empty", False)
    assert first.status.headline.startswith("The past is being read (8 of 12 batches).")
    assert board.look().status.headline.startswith("All counts close.")


def test_time_from_stage_to_stage(night: MadeUpNight, make_board) -> None:
    for number in range(3):
        night.step(NOW - 60 + 10 * number)
    stages = {stage.name: stage for stage in make_board().look().stages}
    # a batch of 0.8 s after a trigger of 1 s; then what the night made up: 0.6 s, 0.4 s and 0.6 s
    assert {name: (stage.step_recent.p99, stage.step_recent.longest) for name, stage in stages.items()} == {
        name: (pytest.approx(seconds, abs=1e-6),) * 2
        for name, seconds in {"raw": 1.8, "science": 0.6, "topics": 0.4, "archived": 0.6}.items()
    }
    assert stages["raw"].step_total.longest == pytest.approx(1.8, abs=0.01)
    assert stages["science"].step_total.messages == stages["raw"].totals["out"]
    assert [step_edge(seconds) for seconds in (0.0, 0.3, 9.9, 10.2, 123.0, 86400.0)] == [
        0.25, 0.5, 10.0, 11.0, 130.0, 87000.0,
    ]  # fmt: skip


def test_data_that_were_removed_begin_again(night: MadeUpNight, make_board, tmp_path: Path) -> None:
    night.step(NOW)
    night.step(NOW)
    board = make_board()
    assert board.look().stage("raw").batches == 2
    for folder in sorted((tmp_path / "online").glob("*/_commits/*/*.json")):
        folder.unlink()
    MadeUpNight(night.online).step(NOW)
    assert board.look().stage("raw").batches == 1


def test_the_longest_of_late_is_no_longer_than_the_longest_of_all(night: MadeUpNight, make_board) -> None:
    night.step(NOW - 5)
    topics = make_board().look().stage("topics")
    assert topics.latency_recent.longest == topics.latency_total.longest
    assert topics.latency_recent.p99 == topics.latency_total.p99
    assert topics.latency_recent.p99 <= topics.latency_total.longest < topics.latency_total.histogram[-1][0]


def sample_of(name: str, host: str, sampled: float) -> ServiceSample:
    return ServiceSample(name, host, 7, sampled - 99, sampled, up=True)


def test_a_disk_that_is_not_mounted_is_no_empty_archive(night: MadeUpNight, make_board, tmp_path: Path) -> None:
    clock, online = Clock(time.time()), Path(night.online)
    for number in range(3):
        night.step(clock.now - 60 + 10 * number)
    storage = Storage(night.online)
    storage.make_folder(FOLDER)
    far = sample_of("raw2science", "far", clock.now)
    put(storage, far.path, far.to_json())
    board = make_board(clock)
    assert board.look().status.level == "ok"
    online.rename(tmp_path / "unmounted")
    online.mkdir()
    clock.now += 40
    # services of this host write on, now to the disk below
    storage.make_folder(FOLDER)
    near = sample_of("dashboard", "near", clock.now)
    put(storage, near.path, near.to_json())
    seen = board.look()
    assert (seen.stage("raw").batches, seen.is_complete, seen.read) == (3, True, 12)
    assert seen.trouble.endswith("cannot be read: 12 were there, and none is any more. Is the disk mounted?")
    assert {service.name: service.state for service in seen.services} == {"dashboard": "up", "raw2science": "lost"}
    assert seen.disks_away == (f"The disk of {online} is away, or its data were removed.",)
    assert [disk.path for disk in seen.disks] == [str(tmp_path / "state")]
    assert seen.status.level == "bad"
    (online / near.path).unlink()
    (online / FOLDER).rmdir()
    online.rmdir()
    (tmp_path / "unmounted").rename(online)
    night.step(clock.now)
    back = board.look()
    assert (back.stage("raw").batches, back.trouble, back.disks_away) == (4, "", ())


def test_a_disk_that_goes_away_between_two_logs_is_no_empty_archive(
    night: MadeUpNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.step(NOW)
    logs = LogReader(night.online, Clock())
    logs.read_round()
    end = logs._logs["raw"].end

    def unmount() -> int:
        found = end()
        if Path(night.online).exists():
            Path(night.online).rename(tmp_path / "unmounted")
        return found

    monkeypatch.setattr(logs._logs["raw"], "end", unmount)
    with pytest.raises(DataError, match="Is the disk mounted"):
        logs.read_round()
    assert logs.ledger.stages["raw"].batches == 1


def test_a_filter_that_failed_long_ago_is_no_trouble(night: MadeUpNight, make_board) -> None:
    night.step(NOW - 10)
    told = {"sn": {"seen": 12, "passed": 0, "failed": 1, "ms": 1.0, "error": "KeyError: 'd:rb'"}}
    night.commit("topics", made("t-x", [], {"in": 0, "out": 0}, NOW - 10, NOW - 10, filters=told))
    clock = Clock()
    board = make_board(clock)
    (text,) = [text for _, text in board.look().status.notes if "filter" in text]
    assert text == "The filter sn failed on 1 alert in the last hour: KeyError: 'd:rb'"
    clock.now += 3700
    seen = board.look()
    (view,) = [each for each in seen.filters if each.name == "sn"]
    assert (view.failed, view.failed_last_hour, view.error) == (1, 0, "KeyError: 'd:rb'")
    assert [text for _, text in seen.status.notes if "filter" in text] == []


def test_a_damaged_commit_is_told_and_does_not_end_the_board(night: MadeUpNight, make_board, tmp_path: Path) -> None:
    night.step(NOW)
    (tmp_path / "online" / "raw" / "_commits" / "000000" / "000000001-r-x.json").write_text("{")
    seen = make_board().look()
    assert seen.status.level == "bad"
    assert "This is no commit of a table" in seen.trouble


def test_nothing_ever_ran(make_board) -> None:
    seen = make_board().look()
    assert (seen.status.level, seen.status.headline) == ("empty", "No alert has come in yet.")
    assert json.loads(seen.to_json())["stages"][0]["age"] is None


def test_rates_and_rejected_packets_of_the_last_hour(night: MadeUpNight, make_board) -> None:
    for number in range(6):
        night.step(NOW - 60 + 10 * number)
    seen = make_board().look()
    assert seen.stage("raw").rate_in_60 == pytest.approx(2.4, rel=0.1)
    assert seen.reasons_hour == {REASON: 1}
    assert ("empty", f"1 packet rejected in the last hour (0.7%): {REASON}.") in seen.status.notes
    assert seen.status.level == "ok"
    assert seen.nights[0].night == NIGHT
