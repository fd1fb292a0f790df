"""``fink science``: what it prints, what it writes, and what it says when it cannot."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink_broker.alert.table import struct_from_table
from fink_broker.cli import main
from fink_broker.config.model import Config, CrossmatchConfig
from fink_broker.errors import DataError
from fink_broker.science.describe import render
from fink_broker.science.registry import MODULES, Pipeline, build_pipeline
from fink_broker.science.testing import batch_of, offline_config
from fink_broker.simulate.sources import open_source
from fink_broker.simulate.stored import StoredAlert

ALERTS = 40


@pytest.fixture(scope="module")
def alerts() -> list[StoredAlert]:
    return list(open_source("synthetic", print, synthetic_count=ALERTS, seed=3).alerts())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    for name in CrossmatchConfig.model_fields:
        value = getattr(offline_config().crossmatch, name)
        if isinstance(value, list):
            monkeypatch.setenv(f"FINK__CROSSMATCH__{name.upper()}", json.dumps(value))
    return tmp_path


@pytest.fixture
def packets(home: Path, alerts: list[StoredAlert]) -> Path:
    folder = home / "packets"
    folder.mkdir()
    for alert in alerts:
        (folder / f"{alert.record['candid']}.avro").write_bytes(alert.packet())
    return folder


@pytest.fixture
def table(home: Path, alerts: list[StoredAlert]) -> Path:
    """Return a Parquet file of the same alerts, nested as packets are, in row groups of 7."""
    file = home / "alerts.parquet"
    pq.write_table(pa.Table.from_pylist([alert.record for alert in alerts]), file, row_group_size=7)
    return file


def run(*arguments: str | Path) -> int:
    return main(["science", *map(str, arguments)])


def test_packets_and_a_table_of_them_give_the_same_columns(packets: Path, table: Path, home: Path) -> None:
    assert run("run", packets, "-m", "asteroids", "-m", "vsx", "-o", home / "a.parquet") == 0
    assert run("run", table, "-m", "asteroids", "-m", "vsx", "-o", home / "b.parquet") == 0
    one, other = (pq.read_table(home / f"{name}.parquet").sort_by("candid") for name in "ab")
    assert len(one) == ALERTS
    assert {"objectId", "candid", "roid", "vsx", "science_made_with"} <= set(one.column_names)
    assert "snn_sn_vs_all" not in one.column_names
    assert one.to_pylist() == other.to_pylist()


def test_modules_that_are_needed_come_along(packets: Path, home: Path) -> None:
    assert run("run", packets, "--module", "supernnova", "--limit", "5", "--out", home / "scores.csv") == 0
    with (home / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5
    assert {"cdsxmatch", "roid", "snn_sn_vs_all"} <= set(rows[0])
    assert json.loads(rows[0]["science_made_with"])["supernnova"].startswith("1 28daec3d6e9a")


def test_json_lines_have_null_for_nan(packets: Path, home: Path) -> None:
    assert run("run", packets, "-m", "mangrove", "-m", "nalerthist", "-o", home / "out" / "rows.jsonl") == 0
    rows = [json.loads(line, parse_constant=pytest.fail) for line in (home / "out" / "rows.jsonl").open()]
    assert len(rows) == ALERTS
    assert set(rows[0]["mangrove"]) == {"HyperLEDA_name", "2MASS_name", "lum_dist", "ang_dist"}


def test_the_summary_counts_every_alert_once(packets: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("run", packets, "-m", "asteroids", "-m", "supernnova") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(f"{ALERTS} alerts in " in line for line in lines)
    (counts,) = [line.replace("│", " ").split()[1:5] for line in lines if "supernnova" in line]
    assert sum(map(int, counts)) == ALERTS


def test_an_alert_is_explained_with_its_light_curve(
    packets: Path, table: Path, alerts: list[StoredAlert], capsys: pytest.CaptureFixture
) -> None:
    record = alerts[5].record
    printed = []
    for source in (packets, table):
        assert run("explain", str(record["candid"]), "--source", source, "-m", "asteroids") == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    for expected in (record["objectId"], "days before this alert", "roid", "ndethist", "cjd", "points:"):
        assert expected in printed[0]


def test_the_alerts_the_broker_holds_are_found(home: Path, alerts: list[StoredAlert]) -> None:
    night = home / "online" / "raw" / "night=20231018"
    night.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([alert.record for alert in alerts]), night / "0.parquet")
    assert run("explain", str(alerts[7].record["candid"]), "-m", "nalerthist") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("explain", "9"), 4, "There is no alert 9 in the raw table"),
        (("explain", "9", "--source", "/no/such"), 4, "There is no file or folder /no/such"),
        (("run", "/no/such"), 4, "There is no file or folder /no/such"),
        (("run", "synthetic", "-m", "nonsense"), 2, "no configured science module 'nonsense'"),
        (("run", "synthetic", "-o", "x.txt"), 1, "'x.txt' is of no kind"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    home: Path, capsys: pytest.CaptureFixture, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert run(*arguments) == code
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "Traceback" not in error


def test_a_table_of_other_things_is_told(home: Path, capsys: pytest.CaptureFixture) -> None:
    pq.write_table(pa.table({"x": [1, 2]}), home / "x.parquet")
    assert run("run", home / "x.parquet") == 4
    assert "lacks the columns candid and candidate" in capsys.readouterr().err
    (home / "y.parquet").write_bytes(b"PAR1 nothing")
    assert run("run", home / "y.parquet") == 4
    assert "cannot be read" in capsys.readouterr().err


def test_a_table_without_rows_or_of_other_kinds_is_told(home: Path, table: Path, capsys: pytest.CaptureFixture) -> None:
    whole = pq.read_table(table)
    pq.write_table(whole.slice(0, 0), home / "empty.parquet")
    assert run("run", home / "empty.parquet") == 4
    assert "There is no alert in" in capsys.readouterr().err
    rows = [{"candid": 1, "candidate": {"jd": 2460000.5, "magpsf": "bright", "fid": 1}}]
    pq.write_table(pa.Table.from_pylist(rows), home / "text.parquet")
    for command in (("run", home / "text.parquet"), ("explain", "1", "--source", home / "text.parquet")):
        assert run(*command) == 4
        assert "The table holds no alerts" in capsys.readouterr().err


def test_text_of_a_packet_is_no_markup(home: Path, capsys: pytest.CaptureFixture) -> None:
    rows = [{"candid": 1, "objectId": "ZTF[/bold][red]x", "candidate": {"jd": 2460000.5, "fid": 1, "ra": 1.0}}]
    pq.write_table(pa.Table.from_pylist(rows), home / "odd.parquet")
    assert run("explain", "1", "--source", home / "odd.parquet", "-m", "blazars") == 0
    assert capsys.readouterr().out.count("ZTF[/bold][red]x") == 2


def test_the_streak_of_a_satellite_is_found_in_a_night(home: Path, capsys: pytest.CaptureFixture) -> None:
    jd = 2460236.75
    still = {"ndethist": 1, "isdiffpos": "t", "distnr": 9.0, "magnr": 19.0, "magpsf": 18.0, "ssnamenr": "null"}
    rows = [
        {"candid": k, "objectId": f"ZTF23{k}", "candidate": {"jd": jd, "ra": 150 + 0.1 * k, "dec": 2 + 0.05 * k,
                                                             "xpos": 1.0 * k, "ypos": 2.0 * k, **still}}
        for k in range(6)
    ]  # fmt: skip
    rows.append(rows[0] | {"candid": 9, "candidate": rows[0]["candidate"] | {"dec": 1.2, "xpos": 7.0}})
    pq.write_table(pa.Table.from_pylist(rows), home / "night.parquet")
    assert run("tracklets", home / "night.parquet", "-o", home / "names.csv") == 0
    assert "TRCK_20231019_060000_00" in capsys.readouterr().out
    with (home / "names.csv").open() as stream:
        names = {row["candid"]: row["tracklet"] for row in csv.DictReader(stream)}
    assert [candid for candid, name in names.items() if not name] == ["9"]


def test_an_output_that_cannot_be_written_is_told_before_the_work(home: Path, capsys: pytest.CaptureFixture) -> None:
    (home / "folder.csv").mkdir()
    assert run("run", "synthetic", "-o", home / "folder.csv") == 1
    assert "is a folder" in capsys.readouterr().err


def test_the_list_names_each_module_and_column_once(home: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("list", "--markdown") == 0
    modules = capsys.readouterr().out.splitlines()[2:]
    assert {line.split("`")[1] for line in modules} <= set(MODULES)
    assert run("list", "--columns", "--markdown") == 0
    columns = [line.split("`")[1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert len(set(columns)) == len(columns) > len(modules)
    assert run("list") == 0
    assert run("list", "--columns") == 0


def test_the_manual_has_the_columns_of_the_registry() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "columns.md"
    made = render(build_pipeline(Config()))
    assert page.read_text() == made, "make it anew: python -m fink_broker.science.describe > docs/columns.md"


def test_a_table_without_history_or_images_gives_null() -> None:
    table = pa.table({"candid": [1, 2], "candidate": [{"jd": 1.0, "fid": 1}, {"jd": 2.0, "fid": None}]})
    batch = struct_from_table(table, ["candid", "objectId"], ["jd", "fid", "rb"], ["jd"], ["Science"])
    assert batch.to_pylist()[1] == {
        "candid": 2, "objectId": None, "jd": 2.0, "fid": None, "rb": None, "prv_jd": None, "cutoutScience": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "columns", [{"candid": [1], "candidate": [5]}, {"candid": [1], "candidate": [{"jd": 1.0}], "prv_candidates": [5]}]
)
def test_a_table_nested_otherwise_is_an_error(columns: dict) -> None:
    with pytest.raises(DataError, match="nested as packets are"):
        struct_from_table(pa.table(columns), ["candid"], ["jd"], ["jd"])


def test_lists_of_a_sliced_table_stay_with_their_alerts() -> None:
    rows = [
        {"candid": k, "candidate": {"jd": float(k)}, "prv_candidates": None if k % 3 == 0 else [{"jd": k + 0.5}] * k}
        for k in range(1, 9)
    ]
    table = pa.Table.from_pylist(rows).slice(2, 4)
    found = struct_from_table(table, ["candid"], ["jd"], ["jd"]).to_pylist()
    expected = [row["prv_candidates"] and [point["jd"] for point in row["prv_candidates"]] for row in rows[2:6]]
    assert [row["prv_jd"] for row in found] == expected
    assert isinstance(Pipeline([]).run(batch_of(Pipeline([]), rows[:1])), pa.StructArray)


def test_stdout_is_clean_markdown(home: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("list", "--markdown") == 0
    assert all(line.startswith("|") for line in io.StringIO(capsys.readouterr().out))
