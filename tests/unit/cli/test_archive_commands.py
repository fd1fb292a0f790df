"""``fink merge`` and ``fink clean``: what they do and say; and other commands on a night that is merged."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from stored_nights import Stored, raw_alerts, raw_rows

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.additions import BATCH, TRACKLET, flattened
from fink_broker.archive.reading import files_of_night, read_night
from fink_broker.cli import filter_explain, filter_source, main
from fink_broker.errors import UsageError
from fink_broker.science import tracklets
from fink_broker.science.testing import offline_config, ordinary_alert

NIGHTS = ("20231017", "20231018")


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Return two nights of two batches each."""
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "fink.conf").write_text("[storage]\nmin_free_gib = 0\nwarn_free_gib = 0\n")
    stored = empty(tmp_path)
    raw = raw_rows([ordinary_alert(candid) for candid in range(1, 41)], stored.config)
    for number, night in enumerate((*NIGHTS, *NIGHTS)):
        stored.add(str(number), raw.slice(10 * number, 10), night)
    return stored


def empty(folder: Path) -> Stored:
    config = offline_config()
    storage = config.storage.model_copy(update={"online": str(folder / "online"), "state": folder / ".fink"})
    science = config.science.model_copy(update={"modules": ["nalerthist"]})
    return Stored(config.model_copy(update={"storage": storage, "science": science}))


def small_files(table: AlertTable, night: str) -> int:
    return sum(not info.base_name.startswith("merged-") for info in table.storage.find(f"night={night}", ".parquet"))


def test_every_night_but_the_latest_is_merged(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge"]) == 0
    out = capsys.readouterr().out
    for name, files in (("raw", 4), ("science", 4), ("topics", 2)):
        assert f"20231017 {name}: {files} files → 1 file, 20 rows" in out
    assert NIGHTS[1] not in out
    assert main(["merge", "--all-closed"]) == 0
    assert capsys.readouterr().out == "Nothing to merge.\n"
    assert small_files(stored.raw, NIGHTS[0]) == 4
    assert main(["merge", "-night", "2023-10-18", "--night", NIGHTS[0], "--now"]) == 0
    out = capsys.readouterr().out
    assert "20231018 science: 4 files → 1 file, 20 rows" in out
    assert "20 files merged away earlier removed" in out
    assert [small_files(table, night) for table in (stored.raw, stored.science) for night in NIGHTS] == [0] * 4
    assert sum(len(part) for part in read_night(stored.science, NIGHTS[1], ["candid"])) == 20
    assert main(["archive", "check", "--night", NIGHTS[1]]) == 0


def test_what_later_jobs_need_is_left(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    stored.add_raw("late", raw_rows([ordinary_alert(99)], stored.config), NIGHTS[0], 1)
    assert main(["merge", "--night", NIGHTS[0], "--now"]) == 0
    out = capsys.readouterr().out
    assert "20231017 raw: 4 files → 1 file, 20 rows" in out
    assert "20231017 raw: 1 file left as it is, until they are in science." in out
    assert small_files(stored.raw, NIGHTS[0]) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--night", "20200101"], "holds nothing of the night 20200101. It has 20231017, 20231018."),
        (["--night", "../etc"], "'../etc' is no observing night."),
        (["--night", "2023101"], "'2023101' is no observing night."),
    ],
)
def test_nights_that_are_none(
    stored: Stored, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main(["merge", *arguments]) == 1
    assert text in capsys.readouterr().err


def test_an_empty_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "fink.conf").write_text("")
    assert main(["merge"]) == 0
    assert "no night before the latest" in capsys.readouterr().out
    assert main(["clean"]) == 0
    assert main(["reprocess", "--night", NIGHTS[0]]) == 1
    assert main(["archive", "check", "--night", NIGHTS[0]]) == 1


def test_clean_tells_and_then_removes(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clean"]) == 0
    assert "0.0 MB in 0 files freed." in capsys.readouterr().out
    monkeypatch.setenv("FINK__STORAGE__KEEP_RAW_DAYS", "30")
    stored.add_raw("late", raw_rows([ordinary_alert(99)], stored.config), NIGHTS[1], 1)
    assert main(["clean", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "raw 20231017: 4 files" in out
    assert "raw 20231018 stays: a later job, or a transfer, has not done with it." in out
    assert "would be freed" in out
    assert len(files_of_night(stored.raw, NIGHTS[0])) == 4
    assert main(["clean"]) == 0
    assert files_of_night(stored.raw, NIGHTS[0]) == []
    assert small_files(stored.raw, NIGHTS[0]) == 0
    assert len(files_of_night(stored.raw, NIGHTS[1])) == 5
    assert len(files_of_night(stored.science, NIGHTS[0])) == 4
    capsys.readouterr()
    assert main(["archive", "check", "--night", NIGHTS[0]]) == 0  # science and topics still agree


def test_a_nearly_full_disk_is_told(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FINK__STORAGE__WARN_FREE_GIB", "1000000000")
    assert main(["clean"]) == 0
    assert "is nearly full" in capsys.readouterr().out


def test_what_filters_said_is_found_in_a_merged_night(stored: Stored) -> None:
    before = {candid: filter_explain.find(stored.topics, candid, NIGHTS[0]) for candid in (1, 8, 22)}
    assert main(["merge", "--night", NIGHTS[0], "--now"]) == 0
    for candid, expected in before.items():
        found = filter_explain.find(AlertTable(stored.topics.storage.root), candid)
        assert found is not None
        assert expected is not None
        assert {**found.row, BATCH: None} == {**expected.row, BATCH: None}
        assert (found.commit, found.judged, found.batch) == (expected.commit, expected.judged, expected.batch)
    assert filter_explain.find(stored.topics, 12345) is None


def test_rules_are_tried_on_a_merged_night(stored: Stored) -> None:
    def seen(night: str) -> list[int]:
        alerts = filter_source.alerts_of_night(stored.config, night)
        found = [candid for part in alerts.batches(["objectId"]) for candid in part["candid"].to_pylist()]
        assert len(found) == alerts.total
        return sorted(found)

    before = seen(NIGHTS[0]), seen("")
    assert main(["merge", "--night", NIGHTS[0], "--night", NIGHTS[1], "--now"]) == 0
    assert (seen(NIGHTS[0]), seen("")) == before


def test_unfinished_transfers_keep_their_files(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    from fink_broker.cli import table_upkeep  # noqa: PLC0415

    (file, *_) = files_of_night(stored.science, NIGHTS[0])
    monkeypatch.setattr("fink_broker.cli.merge.needed_files", lambda _config: frozenset([file.path]))
    assert main(["merge", "--now"]) == 0
    assert small_files(stored.science, NIGHTS[0]) == 1
    monkeypatch.undo()
    assert table_upkeep.needed_files(stored.config) == frozenset()
    with pytest.raises(UsageError):
        table_upkeep.night_of("x" * 1000)


def test_a_real_night_with_tracklets(tmp_path: Path, unpacked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real alerts: the merged night has every one once, unchanged, and the tracklets of the whole night."""
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    monkeypatch.setenv("FINK__STORAGE__FILE_MIB", "8")
    monkeypatch.setenv("FINK__STORAGE__MIN_FREE_GIB", "0")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "fink.conf").write_text("")
    stored = empty(tmp_path)
    raw = raw_alerts(unpacked("ztf_public_20231018"), stored.config)
    for number in range(4):
        stored.add(str(number), raw.slice(140 * number, 140))
    night = NIGHTS[1]
    before = pa.concat_tables(read_night(stored.science, night)).sort_by("candid")
    names = tracklets.find_tracklets(flattened(before))
    assert main(["merge", "--night", night]) == 0
    merged = AlertTable(Layout(stored.config.storage.online).table("science")).merged.read(night)
    assert merged is not None
    assert (len(merged.files), merged.rows) == (3, 558)
    after = pa.concat_tables(read_night(stored.science, night)).sort_by("candid")
    assert after[TRACKLET].to_pylist() == names.to_pylist()
    assert merged.details["tracklets"] == len(set(names.to_pylist()) - {""}) > 0
    assert after.drop_columns([TRACKLET]).equals(before.select(after.drop_columns([TRACKLET]).column_names))
    raw_after = pa.concat_tables(read_night(stored.raw, night)).sort_by("candid")
    assert raw_after.select(raw.column_names).equals(raw.sort_by("candid").select(raw.column_names))
    assert json.loads(stored.science.storage.read(f"_merged/{night}.json"))["until"] == 4
    assert pc.all(pc.is_valid(after["cutoutScience"])).as_py()
