"""Counts of all stages, added up and held against each other."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from fink_broker.archive import AlertTable, Commit, DataFile, Layout
from fink_broker.config.model import Config, StorageConfig
from fink_broker.errors import DataError
from fink_broker.monitor import Counts, Latency, Stage, read_counts, table
from fink_broker.monitor.counts import open_ends_of_night


def commit(commit_id: str, inputs: list[str], counts: dict[str, int], rows: int | None = None, **details) -> Commit:
    stored = counts["out"] if rows is None else rows
    files = [DataFile(f"night=20231018/{commit_id}-0.parquet", "20231018", stored, 1000)]
    return Commit(commit_id, inputs, files, counts, 1.0, 2.0, details)


RAW = (
    commit(
        "r-0",
        [],
        {"in": 12, "out": 8, "rejected": 3, "duplicate": 1},
        reasons={"truncated": 2, "no Avro": 1},
        lost_offsets=0,
    ),
    commit("r-1", [], {"in": 5, "out": 5, "rejected": 0, "duplicate": 0}, reasons={}, lost_offsets=0),
)
SCIENCE = (
    commit("s-0", ["r-0", "r-1"], {"in": 13, "out": 9, "cut": 4}, cuts={"rb": 3, "nbad": 1}, failed={"roid": 1}),
)
TOPICS = (
    commit(
        "t-0",
        ["s-0"],
        {"in": 9, "out": 9},
        topics={"fink_vra_ztf": 2, "fink_unknowns_ztf": 7},
        latency_seconds={"p50": 1.0, "p95": 2, "p99": 2, "max": 3.5},
        latency_histogram=[[1.0, 5], [2.0, 3], [5.0, 1]],
    ),
)


def counts(raw=RAW, science=SCIENCE, topics=TOPICS) -> Counts:
    return Counts(Stage("raw", raw), Stage("science", science), Stage("topics", topics))


def test_a_finished_night_has_no_open_ends() -> None:
    assert counts().open_ends() == []
    assert Counts().open_ends() == []


def test_what_waits_between_stages_is_told() -> None:
    assert counts(science=(), topics=()).open_ends() == ["13 alerts in 2 batches of raw are not yet in science."]
    assert counts(topics=()).open_ends() == ["9 alerts in 1 batch of science are not yet in topics."]


@pytest.mark.parametrize(
    "change, sentence",
    [
        (
            {"science": (commit("s-0", ["r-0", "r-1"], {"in": 12, "out": 9, "cut": 3}, cuts={"rb": 3}),)},
            "science batch s-0 took in 12 alerts, but its raw batches hold 13.",
        ),
        (
            {"science": (*SCIENCE, commit("s-1", ["r-1"], {"in": 5, "out": 0, "cut": 5}, cuts={"rb": 5}))},
            "raw batch r-1 was taken twice, by science batches s-0 and s-1.",
        ),
        (
            {"topics": (*TOPICS, commit("t-1", ["s-7"], {"in": 1, "out": 1}))},
            "topics batch t-1 took in science batches that do not exist: s-7.",
        ),
        (
            {"science": (commit("s-0", ["r-0", "r-1"], {"in": 13, "out": 9, "cut": 4}, cuts={"rb": 3}),)},
            "science batch s-0 has 4 cut, but cuts for 3.",
        ),
        (
            {"raw": (RAW[0], commit("r-1", [], {"in": 5, "out": 5}, rows=4))},
            "raw batch r-1 put out 5 alerts, but its files hold 4.",
        ),
        (
            {"raw": (RAW[0], commit("r-1", [], {"in": 5, "out": 5}, lost_offsets=2))},
            "Kafka no longer had 2 alerts when raw asked for them.",
        ),
    ],
)
def test_each_disagreement_is_told(change: dict, sentence: str) -> None:
    assert counts(**change).open_ends() == [sentence]


ARCHIVED = (commit("a-0", ["s-0"], {"in": 9, "out": 8, "refused": 1}, rows=0),)


def test_what_is_archived_is_held_against_science() -> None:
    def ends(*archived: Commit) -> list[str]:
        return Counts(
            Stage("raw", RAW), Stage("science", SCIENCE), Stage("topics", TOPICS), Stage("archived", archived)
        ).open_ends()

    assert ends() == []
    assert ends(*ARCHIVED) == []
    assert ends(commit("a-0", [], {"in": 0, "out": 0})) == ["9 alerts in 1 batch of science are not yet in archived."]
    assert ends(commit("a-0", ["s-0"], {"in": 8, "out": 8})) == [
        "archived batch a-0 took in 8 alerts, but its science batches hold 9."
    ]


def test_open_ends_of_one_night() -> None:
    """Two nights in overlapping batches; what is wrong with the one is not told of the other."""

    def on(night: str, entry: Commit) -> Commit:
        return dataclasses.replace(entry, files=[dataclasses.replace(entry.files[0], partition=night)])

    other = on("20231019", commit("r-2", [], {"in": 4, "out": 4}, reasons={}))
    wrong = on("20231019", commit("s-1", ["r-2"], {"in": 3, "out": 3}))
    found = counts(raw=(*RAW, other), science=(*SCIENCE, wrong))
    assert open_ends_of_night(found, "20231018") == []
    assert open_ends_of_night(found, "20231019") == [
        "science batch s-1 took in 3 alerts, but its raw batches hold 4.",
        "3 alerts in 1 batch of science are not yet in topics.",
    ]
    assert open_ends_of_night(counts(topics=()), "20231018") == [
        "9 alerts in 1 batch of science are not yet in topics."
    ]
    assert open_ends_of_night(found, "20200101") == []


def test_counts_are_read_from_the_commit_logs(tmp_path: Path) -> None:
    config = Config(storage=StorageConfig(online=str(tmp_path)))
    assert read_counts(config) == Counts()
    for name, commits in (("raw", RAW), ("science", SCIENCE), ("topics", TOPICS), ("archived", ARCHIVED)):
        log = AlertTable(Layout(str(tmp_path)).table(name)).log
        log.create()
        for entry in commits:
            log.write(entry)
    found = read_counts(config)
    assert sorted(found.raw.commits, key=lambda entry: entry.id) == list(RAW)
    assert found.open_ends() == []
    assert found.archived.commits == ARCHIVED
    assert found.reasons == {"truncated": 2, "no Avro": 1}
    assert found.cuts == {"rb": 3, "nbad": 1}
    assert found.failed == {"roid": 1}
    assert list(found.messages.items()) == [("fink_unknowns_ztf", 7), ("fink_vra_ztf", 2)]

    (tmp_path / "raw" / "_commits" / "000000" / "000000009-r-2.json").write_text('{"id": "r-2"}')
    with pytest.raises(DataError, match="no commit of a table"):
        read_counts(config)


def test_the_table_shows_every_number(tmp_path: Path) -> None:
    screen = io.StringIO()
    table(counts(raw=(*RAW, commit("r-2", [], {"in": 1, "out": 1}))), Console(file=screen, width=120))
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in screen.getvalue().splitlines()]
    shown = {row[0]: row[1] for row in rows if len(row) == 3}
    assert shown["alerts in"] == "18"
    assert shown["raw"] == "14"
    assert shown["rejected"] == "3"
    assert shown["duplicate"] == "1"
    assert shown["cut"] == "4"
    assert shown["science"] == "9"
    assert shown["on fink_unknowns_ztf"] == "7"
    assert shown["latency p50"] == "1.00 s"
    assert shown["latency max"] == "3.50 s"
    assert "rb 3, nbad 1" in screen.getvalue()
    assert "1 alert in 1 batch of raw is not yet in science." in screen.getvalue()


def test_percentiles_of_merged_histograms() -> None:
    one = {"latency_histogram": [[0.25, 50], [2.0, 40]], "latency_seconds": {"max": 1.9}}
    other = {"latency_histogram": [[0.25, 0], [0.5, 5], [86400.0, 5]], "latency_seconds": {"max": 90000.0}}
    merged = Latency.merge([one, other, {}])
    assert merged.messages == 100
    assert merged.percentile(0.5) == 0.25
    assert merged.percentile(0.51) == 0.5
    assert merged.percentile(0.95) == 2.0
    assert merged.percentile(0.99) == 90000.0
    assert Latency.merge([one]).percentile(0.99) == 1.9
    assert Latency().percentile(0.5) is None
