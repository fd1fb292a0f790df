"""Spark's reports of batches, counted; Spark itself is not needed."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from py4j.protocol import Py4JNetworkError

from fink_broker.metrics import registry
from fink_broker.stream.progress import MOST_PHASES, Progress, _Ear, offsets_behind, progress_counted, rows_of

REPORT = {
    "numInputRows": 30,
    "inputRowsPerSecond": 12.5,
    "processedRowsPerSecond": 40.0,
    "durationMs": {"addBatch": 600, "walCommit": 100, "triggerExecution": 750},
    # each message was read twice, the way Spark counts
    "sources": [
        {
            "startOffset": {"ztf_1": {"0": 0, "1": 20}},
            "endOffset": {"ztf_1": {"0": 10, "1": 20}, "ztf_2": {"0": 5}},
            "latestOffset": {"ztf_1": {"0": 12, "1": 20}, "ztf_2": {"0": 105}, "ztf_3": {"0": 7}},
        }
    ],
}


def told() -> dict[str, float]:
    """Return the numbers of Spark in this process."""
    registry.spark_numbers()
    families = text_string_to_metric_families(registry.exposition())
    return {
        "/".join([entry.name, *(value for name, value in entry.labels.items() if name != "le")]): entry.value
        for family in families
        for entry in family.samples
        if entry.name.startswith("fink_spark")
    }


def event(report: object) -> SimpleNamespace:
    text = report if isinstance(report, str) else json.dumps(report)
    return SimpleNamespace(progress=lambda: SimpleNamespace(json=lambda: text))


def ending(*, failed: bool) -> SimpleNamespace:
    return SimpleNamespace(exception=lambda: SimpleNamespace(isDefined=lambda: failed))


@pytest.fixture
def ear() -> _Ear:
    return _Ear(Progress(registry.spark_numbers(), rows=True))


def test_a_batch_is_counted(ear: _Ear) -> None:
    before = told()
    ear.onQueryStarted(SimpleNamespace())
    ear.onQueryProgress(event(REPORT))
    after = told()
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    assert grown["fink_spark_batches_total"] == 1
    assert grown["fink_spark_input_rows_total"] == 15
    assert grown["fink_spark_phase_seconds_total/addBatch"] == pytest.approx(0.6)
    assert "fink_spark_phase_seconds_total/triggerExecution" not in after
    assert grown["fink_spark_batch_seconds_sum"] == pytest.approx(0.75)
    assert after["fink_spark_input_rows_per_second"] == 6.25
    assert after["fink_spark_processed_rows_per_second"] == 20
    assert after["fink_spark_offsets_behind/all partitions"] == 102
    assert after["fink_spark_offsets_behind/slowest partition"] == 100
    assert after["fink_spark_query_active"] == 1
    ear.onQueryTerminated(ending(failed=True))
    assert told()["fink_spark_query_active"] == 0
    assert told()["fink_spark_query_failures_total"] == after["fink_spark_query_failures_total"] + 1
    ear.onQueryTerminated(ending(failed=False))
    assert told()["fink_spark_query_failures_total"] == after["fink_spark_query_failures_total"] + 1


def test_a_look_that_found_nothing_is_no_batch(ear: _Ear) -> None:
    before = told()
    ear.onQueryProgress(event({"numInputRows": 0, "durationMs": {"latestOffset": 3, "triggerExecution": 3}}))
    assert told()["fink_spark_batches_total"] == before["fink_spark_batches_total"]
    ear.onQueryIdle(SimpleNamespace())
    assert told()["fink_spark_progress_timestamp_seconds"] > before["fink_spark_progress_timestamp_seconds"]


def test_rows_of_a_pulse_are_no_alerts() -> None:
    before = told()
    _Ear(Progress(registry.spark_numbers(), rows=False)).onQueryProgress(event(REPORT))
    after = told()
    assert after["fink_spark_batches_total"] == before["fink_spark_batches_total"] + 1
    assert after["fink_spark_input_rows_total"] == before["fink_spark_input_rows_total"]


@pytest.mark.parametrize("report", ["", "{", "[]", "null", {"durationMs": {"addBatch": "long"}}, {"durationMs": 3}])
def test_no_report_disturbs_the_query(ear: _Ear, report: object) -> None:
    ear.onQueryProgress(event(report))
    ear.onQueryProgress(SimpleNamespace())
    ear.onQueryTerminated(SimpleNamespace())


def test_phases_are_bounded(ear: _Ear) -> None:
    ear.onQueryProgress(event({"durationMs": {f"phase{number}": 1 for number in range(1000)}}))
    assert len([name for name in told() if "/phase" in name]) == MOST_PHASES


def test_offsets_of_other_sources_are_none() -> None:
    assert rows_of({}) == 0
    assert rows_of({"numInputRows": 7, "sources": [{"startOffset": 5, "endOffset": 12}]}) == 7
    assert rows_of({"numInputRows": 7, "sources": [{"startOffset": None, "endOffset": {"t": {"0": 1000}}}]}) == 7
    assert offsets_behind({}) == []
    assert offsets_behind({"sources": [{"endOffset": 5, "latestOffset": 6}, {"endOffset": None}]}) == []
    text = {"endOffset": '{"t": {"0": 1}}', "latestOffset": '{"t": {"0": 4}}'}
    assert offsets_behind({"sources": [text]}) == [3]


@pytest.mark.parametrize("trouble", [None, Py4JNetworkError("gone"), ConnectionError("gone")])
def test_a_java_process_that_is_gone_hides_no_error_of_the_job(trouble: Exception | None) -> None:
    def fail(_: object) -> None:
        if trouble is not None:
            raise trouble

    for streams in (
        SimpleNamespace(addListener=lambda _: None, removeListener=fail),
        SimpleNamespace(addListener=fail, removeListener=lambda _: None),
    ):
        with (
            pytest.raises(ZeroDivisionError),
            progress_counted(SimpleNamespace(streams=streams), rows=True),  # type: ignore[arg-type]
        ):
            raise ZeroDivisionError
        assert told()["fink_spark_query_active"] == 0
