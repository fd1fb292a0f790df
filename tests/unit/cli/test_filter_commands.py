"""``fink filter``: what it prints, what it refuses, and what it writes."""

from __future__ import annotations

import json
import os
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink_broker.archive import AlertTable, Commit, DataFile
from fink_broker.archive.promised import promised_schema
from fink_broker.cli import filter_explain, filter_list, main
from fink_broker.cli.filter_app import filter_app
from fink_broker.errors import FinkError
from fink_broker.filters.topics_file import read_topics
from fink_broker.science.testing import offline_config
from fink_broker.simulate.sources import open_source

ALERTS = 300
NIGHT = "20231018"
RARE = "candid % 50 = 0"
TOPICS = """\
# my topics
[[topic]]
name = "mine"   # a comment
owner = "me"
description = "d"
rule = "drb > 0.9"
"""


def run(*arguments: str | Path) -> int:
    """Run a command as ``fink filter`` does; return its exit code."""
    try:
        code = filter_app(args=[str(word) for word in arguments], prog_name="fink filter", standalone_mode=False)
    except FinkError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return code or 0


@pytest.fixture(scope="module")
def alerts() -> pa.Table:
    """Return science alerts: packets of a synthetic sky, and some columns of science."""
    schema = promised_schema(offline_config())
    packets = [alert.record for alert in open_source("synthetic", print, synthetic_count=ALERTS, seed=3).alerts()]
    for number, packet in enumerate(packets):
        packet |= {"candid": number, "cdsxmatch": "Unknown", "roid": 0, "cutoutScience": None}
        packet |= {"cutoutTemplate": None, "cutoutDifference": None}
    return pa.Table.from_pylist(packets, schema)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alerts: pa.Table) -> Path:
    """Return the folder of a broker that holds a night."""
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("FINK__STORAGE__ONLINE", str(tmp_path / "online"))
    write(tmp_path / "online" / "science", [alerts.slice(0, 200), alerts.slice(200)])
    (tmp_path / "conf").mkdir()
    return tmp_path


def write(folder: Path, parts: list[pa.Table], details: dict[str, object] | None = None, days_ago: float = 0.0) -> None:
    """Commit tables as batches of a table of the broker."""
    table = AlertTable(str(folder))
    table.create()
    (folder / f"night={NIGHT}").mkdir()
    for number, part in enumerate(parts):
        path = f"night={NIGHT}/batch-{number}.parquet"
        pq.write_table(part, folder / path)
        size = (folder / path).stat().st_size
        files = [DataFile(path, NIGHT, len(part), size)]
        counts = {"in": len(part), "out": len(part)}
        committed = time.time() - 86_400 * days_ago
        table.log.write(Commit(f"batch-{number}", [], files, counts, committed - 1, committed, details or {}))


@pytest.mark.parametrize("rule", [RARE, "vra", "drb > 0.5 AND size(prv_candidates.magpsf) > 2", "is_transient"])
@pytest.mark.parametrize("empty", [False, True])
def test_a_good_rule_passes_the_check(home: Path, capsys: pytest.CaptureFixture[str], rule: str, empty: bool) -> None:
    assert run("check", rule, *(["-c", str(other(home))] if empty else [])) == 0
    assert "The rule can be used. It reads" in capsys.readouterr().out


def other(home: Path) -> Path:
    """Return the configuration of a broker without alerts."""
    file = home / "empty.conf"
    file.write_text(f'[storage]\nonline = "{home / "nothing"}"\n')
    return file


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("drbb > 0.9", "Did you mean 'drb'"),
        ("candidate.magpsf", "is a number, not a condition"),
        ("cdsxmatch > 3", "cdsxmatch"),
        ("drb >", ""),
        ("no_such_topic", "There is no topic 'no_such_topic'."),
        ("vraa", "Did you mean 'vra'?"),
        ("no_such_module:f", "pip install no-such-module"),
        ("json:no_such", "no attribute 'no_such'"),
        ("json:loads", "no column for the argument 's'"),
    ],
)
def test_a_bad_rule_is_refused_with_a_hint(
    home: Path, capsys: pytest.CaptureFixture[str], rule: str, told: str
) -> None:
    assert run("check", rule) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_topics_file_is_checked_as_a_whole(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "conf" / "topics.toml"
    file.write_text(TOPICS)
    assert run("check", file) == 0
    bad = '[[topic]]\nname = "bad"\ndescription = "d"\nrule = "nonsense > 3"\n'
    worse = '[[topic]]\nname = "worse"\ndescription = "d"\nrul = "drb > 3"\n'
    thin = '[[topic]]\nname = "thin"\ndescription = "d"\nrule = "drb > 0.1"\ncolumns = ["rooid"]\n'
    file.write_text(TOPICS + bad + worse + thin)
    capsys.readouterr()
    assert run("check", file) == 2
    out = capsys.readouterr().out
    for told in ("drb > 0.9", "'nonsense'", "There is no key 'rul'", "'rooid'", "1 topic can be used, 3 mistakes."):
        assert told in out
    assert run("check", home / "no_such.toml") == 4


def test_a_night_is_filtered_and_examples_are_drawn(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("test", RARE, "--night", NIGHT, "--examples", "1") == 0
    out = capsys.readouterr().out
    assert "6 of 300 alerts of the night 20231018 pass: 2.00%." in out
    assert out.count("candid ") == 1
    assert "difference magnitude" in out
    assert "when they came" in out
    assert run("test", RARE, "--limit", "120", "--examples", "0") == 0
    assert "3 of 120 alerts" in capsys.readouterr().out


def test_a_file_of_science_alerts_does_as_well(
    home: Path, alerts: pa.Table, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(alerts, home / "alerts.parquet")
    assert run("test", RARE, "--source", home / "alerts.parquet", "--examples", "0") == 0
    assert "6 of 300 alerts" in capsys.readouterr().out
    pq.write_table(pa.table({"candid": [1]}), home / "other.parquet")
    assert run("test", RARE, "--source", home / "other.parquet") == 4
    assert run("test", RARE, "--source", home / "no_such.parquet") == 4
    assert run("test", RARE, "--night", "19990101") == 4
    assert "It has 20231018" in capsys.readouterr().err


def test_a_rule_sees_each_light_curve_as_it_was(home: Path, alerts: pa.Table) -> None:
    """The history of an alert ends before the alert: what came later is nowhere to be seen."""
    past = alerts["prv_candidates"].combine_chunks()
    owner = np.repeat(np.arange(len(alerts)), past.value_lengths().fill_null(0).to_numpy())
    now = alerts["candidate"].combine_chunks().field("jd").to_numpy()
    assert (past.flatten().field("jd").to_numpy() < now[owner]).all()
    assert run("test", "array_max(prv_candidates.jd) >= candidate.jd", "--examples", "0") == 0


def test_a_rule_that_takes_too_much_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("test", "candid % 10 = 0", "--activate", "tenth", "--examples", "0") == 1
    printed = capsys.readouterr()
    assert "30 of 300 alerts" in printed.out
    assert "takes 10.00% of the alerts, more than 5.00%" in printed.err
    assert not (home / "conf" / "topics.toml").exists()
    assert run("test", "candid % 10 = 0", "--activate", "tenth", "--examples", "0", "--force") == 0
    assert [entry.name for entry in read_topics(home / "conf" / "topics.toml")[0]] == ["tenth"]


@pytest.mark.parametrize(("limit", "told"), [("1", "That was only 1 alert:"), ("99", "Those were only 99 alerts:")])
def test_a_rule_tried_on_few_alerts_becomes_no_topic(
    home: Path, capsys: pytest.CaptureFixture[str], limit: str, told: str
) -> None:
    words = ["test", "candid > 0 AND candid % 50 = 0", "--examples", "0", "--limit", limit]
    assert run(*words) == 0
    assert told in capsys.readouterr().out
    assert run(*words, "--activate", "rare") == 1
    printed = capsys.readouterr()
    assert told in printed.err
    assert "--force takes it as it is. Nothing was activated." in printed.err
    assert f"of {limit} alert" + ("s of" if limit == "99" else " of") in printed.out
    assert not (home / "conf" / "topics.toml").exists()
    assert run(*words, "--activate", "rare", "--force") == 0
    assert [entry.name for entry in read_topics(home / "conf" / "topics.toml")[0]] == ["rare"]


def test_activating_does_not_wait_for_a_pipe(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(home / "conf" / "topics.toml")
    assert run("test", RARE, "--examples", "0", "--activate", "rare") == 1
    assert "it is no regular file" in capsys.readouterr().err


def test_activating_adds_to_the_file_and_keeps_what_stands_there(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "conf" / "topics.toml"
    file.write_text(TOPICS)
    file.chmod(0o640)
    rule = "cdsxmatch LIKE '%\"\\\\ü%' OR candid = 7"
    assert run("test", rule, "--activate", "rare", "--owner", "us", "--examples", "0") == 0
    assert file.read_text().startswith(TOPICS)
    assert file.stat().st_mode & 0o777 == 0o640
    assert tomllib.loads(file.read_text())["topic"][1] == {
        "name": "rare", "owner": "us", "version": "1", "rule": rule,
        "description": f"Alerts that pass: {rule}",
    }  # fmt: skip
    assert read_topics(file)[1] == []
    for name, told in (("rare", "has a topic 'rare' already"), ("vra", "The broker itself"), ("A B", "is no name")):
        assert run("test", RARE, "--activate", name, "--examples", "0") == 2
        assert told in capsys.readouterr().err
    file.write_text("[[topic")
    assert run("test", RARE, "--activate", "another", "--examples", "0") == 1
    assert file.read_text() == "[[topic"
    assert [found.name for found in file.parent.iterdir()] == ["topics.toml"]


def test_a_function_is_tried_and_activated(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "conf" / "my_filters.py").write_text(
        "def rare(candid, cmagpsfc):\n    return candid % 50 == 0\n\ndef raises(candid):\n    raise ValueError('no')\n"
    )
    assert run("test", "my_filters:rare", "--activate", "rare", "--examples", "0") == 0
    assert "6 of 300 alerts" in capsys.readouterr().out
    assert read_topics(home / "conf" / "topics.toml")[0][0].rule.text.startswith("function my_filters:rare")
    assert run("test", "my_filters:raises") == 2
    assert "ValueError: no" in capsys.readouterr().err
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "my_other.py").write_text("def rare(candid):\n    return candid % 50 == 0\n")
    monkeypatch.chdir(elsewhere)
    assert run("test", "my_other:rare", "--activate", "again", "--examples", "0") == 1
    assert "Put it into" in capsys.readouterr().err


def test_topics_are_listed_with_what_they_did(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "conf" / "topics.toml").write_text(TOPICS + '[[topic]]\nname = "bad"\n')
    told = {"seen": 100, "passed": 7, "failed": 1, "ms": 25.0, "identity": "1-x"}
    write(home / "online" / "topics", [routed(), routed()], {"filters": {"mine": told}})
    assert run("off", "vra", "--reason", "too many") == 0
    capsys.readouterr()
    assert run("list") == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if "mine" in line]
    assert [word.strip() for word in line.strip("│ ").split("│")] == [
        "mine",
        "me",
        "1",
        "on",
        "200",
        "14",
        "2",
        "0.250",
    ]
    assert "vra is off since" in out
    assert "too many" in out
    assert "Left out:" in out
    assert "The key 'description' is missing." in out


@pytest.mark.parametrize(("days_ago", "most"), [(8.0, 10), (0.0, 1)])
def test_only_the_last_week_is_counted_unless_all_is_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, days_ago: float, most: int
) -> None:
    """And never more batches than a command can read while one waits."""
    monkeypatch.setattr(filter_list, "MOST_COMMITS", most)
    (home / "conf" / "topics.toml").write_text(TOPICS)
    details = {"filters": {"mine": {"seen": 100, "passed": 7, "failed": 1, "ms": 25.0}}}
    write(home / "online" / "topics", [routed(), routed()], details, days_ago)
    recent = 100 if days_ago == 0 else 0
    for words, seen, told in (
        (["list"], recent, "of the last 1 batches" if recent else "of the last 7 days"),
        (["list", "--all"], 200, "alerts so far"),
    ):
        assert run(*words) == 0
        out = capsys.readouterr().out
        (line,) = [line for line in out.splitlines() if "mine" in line]
        assert line.strip("│ ").split("│")[4].strip() == str(seen)
        assert told in out


def routed() -> pa.Table:
    return pa.table(
        {
            "candid": [1, 2],
            "objectId": ["ZTF1", "ZTF2"],
            "topics": pa.array([["mine"], []], pa.list_(pa.string())),
            "failed": pa.array([[], ["sn_candidates"]], pa.list_(pa.string())),
        }
    )


def test_topics_are_switched_off_and_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = home / ".fink" / "filters.json"
    assert run("off", "vra") == 0
    assert json.loads(state.read_text())["vra"]["cause"] == "hand"
    assert run("on", "vra") == 0
    assert json.loads(state.read_text()) == {}
    assert run("on", "vra") == 0
    assert "was on already" in capsys.readouterr().out
    assert run("off", "vraa") == 2
    assert "Did you mean 'vra'" in capsys.readouterr().err


def test_an_alert_is_explained(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "conf" / "topics.toml").write_text(TOPICS)
    filters = {name: {"seen": 2, "passed": 1, "identity": "1-abc"} for name in ("mine", "sn_candidates", "blazar")}
    write(home / "online" / "topics", [routed()], {"filters": filters})
    run("off", "vra", "--reason", "a rest")
    capsys.readouterr()
    assert run("explain", "1") == 0
    said = {row[0]: row[1:] for row in rows(capsys.readouterr().out)}
    assert said["mine"] == ["1-abc", "passed"]
    assert said["blazar"] == ["1-abc", "let go"]
    assert said["vra"] == ["", "did not see it (off: a rest)"]
    assert run("explain", "2") == 0
    said = {row[0]: row[1:] for row in rows(capsys.readouterr().out)}
    assert said["sn_candidates"] == ["1-abc", "failed"]
    assert said["mine"] == ["1-abc", "let go"]
    assert run("explain", "3") == 0
    assert "has not been filtered yet" in capsys.readouterr().out
    assert run("explain", "999999") == 4


def test_a_filter_that_did_not_see_an_alert_of_its_batch_is_not_said_to_have_let_it_go(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when it was switched off half-way through the batch."""
    (home / "conf" / "topics.toml").write_text(TOPICS)
    filters = {name: {"seen": 1, "passed": 1, "identity": "1-abc"} for name in ("mine", "sn_candidates", "blazar")}
    judged = pa.array([["mine", "sn_candidates"], ["sn_candidates"]], pa.list_(pa.string()))
    write(home / "online" / "topics", [routed().append_column("judged", judged)], {"filters": filters})
    said = {}
    for candid in ("1", "2"):
        assert run("explain", candid) == 0
        said[candid] = {row[0]: row[1:] for row in rows(capsys.readouterr().out)}
    assert said["1"]["mine"] == ["1-abc", "passed"]
    assert said["1"]["sn_candidates"] == ["1-abc", "let go"]
    assert said["1"]["blazar"] == ["", "did not see it"]
    assert said["2"]["mine"] == ["", "did not see it"]
    assert said["2"]["sn_candidates"] == ["1-abc", "failed"]


def test_an_alert_is_looked_for_in_the_files_of_its_night_only(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home / "online" / "topics", [routed()], {"filters": {}})
    assert run("explain", "1", "--night", NIGHT) == 0
    opened = []
    read = filter_explain._rows
    monkeypatch.setattr(filter_explain, "_rows", lambda *given: opened.append(given) or read(*given))
    assert run("explain", "1", "--night", "20231019") == 4
    assert opened == []
    assert "holds no alert 1 of the night 20231019" in capsys.readouterr().err
    assert run("explain", "1", "--night", "2023-10-18") == 1


@pytest.mark.parametrize("group", ["filter", "science", "user", "config"])
def test_a_group_of_commands_alone_prints_its_help(capsys: pytest.CaptureFixture[str], group: str) -> None:
    assert main([group]) == 0
    printed = capsys.readouterr()
    assert f"fink {group} [OPTIONS] COMMAND" in printed.out
    assert printed.err == ""


def rows(out: str) -> list[list[str]]:
    return [[word.strip() for word in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]
