"""The page Prometheus reads, and the rules and the Grafana dashboard that read it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from fink_broker.metrics import registry
from fink_broker.metrics.sample import ServiceSample
from fink_broker.monitor.board.snapshot import Snapshot
from fink_broker.monitor.board.views import (
    DiskView,
    FilterView,
    LagView,
    LatencyView,
    MachineView,
    ModuleView,
    PartitionLag,
    ServiceView,
    StageView,
    Status,
    TopicView,
    Waiting,
)
from fink_broker.monitor.exposition import MOST_SERIES, exposition
from fink_broker.notify.numbers import NoticeNumbers
from fink_broker.notify.status import Counters

MONITORING = Path(__file__).parents[3] / "conf" / "monitoring"
NOW = time.time()
STAGE = StageView(
    "topics",
    "distribution",
    batches=3,
    totals={"in": 12, "out": 12},
    batch_p50=0.5,
    batch_last=0.7,
    committed=NOW - 5,
    age=5.0,
    latency_recent=LatencyView(9, 1.0, 2.0, 3.0, 4.0),
    latency_total=LatencyView(10, 1.0, 2.0, 90000.0, 90000.0, ((0.25, 3), (2.0, 4), (61.0, 2), (86400.0, 1))),
    difference_count=2,
    difference_day=1,
)
SNAPSHOT = Snapshot(
    NOW,
    "1.0",
    "ztf",
    Status("ok", "All counts close."),
    stages=(STAGE, StageView("science", "raw2science", totals={"in": 14, "out": 12, "cut": 2})),
    waiting=(Waiting("science", "topics", 5, 1, NOW - 60), Waiting("raw", "science")),
    lost_offsets=1,
    reasons={"truncated": 3},
    cuts={"rb": 2},
    topics=(TopicView("fink_sn_ztf", 7, 7, 0.1),),
    filters=(FilterView("sn", 12, 7, 1, 1500.0, 3.0, ""),),
    modules=(ModuleView("cdsxmatch", 2500.0, 1.0, 4, 0, 0),),
    lag=LagView("known", NOW, "", 9, (PartitionLag("ztf_1", 0, 4), PartitionLag("ztf_1", 1, 5))),
    services=(
        ServiceView("api", "alpha", "up", NOW - 60, cpu_percent=12.0, memory_mib=100.0, sample_age=1.0),
        ServiceView("archive", "beta", "died", NOW - 60, NOW - 5, why="it was killed"),
    ),
    disks=(DiskView("alpha", "/data", 2.0, 8.0, "warn"),),
    disks_away=("The disk of /away does not answer.",),
    machine=MachineView("alpha", 2, 50.0, (1.0, 1.0, 1.0), 2.0, 8.0, 0.0),
    read=5,
    to_read=5,
    is_complete=True,
)


def families(page: bytes) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(page.decode())}


def value(page: bytes, name: str, **labels: str) -> float:
    found = [
        entry.value
        for family in text_string_to_metric_families(page.decode())
        for entry in family.samples
        if entry.name == name and entry.labels == labels
    ]
    assert len(found) == 1, f"{name} {labels} is there {len(found)} times"
    return found[0]


@pytest.fixture(scope="module")
def whole() -> bytes:
    """Return a page with everything a service can count."""
    registry.api_numbers().count("objects", 200, 0.02, 5)
    registry.hbase_numbers().rows.labels("main").inc(3)
    registry.hbase_numbers().size.labels("main").inc(3)
    registry.hbase_numbers().seconds.labels("main").inc(3)
    registry.sending_numbers().messages.inc()
    registry.stream_numbers().tell(3.0, 2.0, 1)
    registry.spark_numbers().phase_seconds.labels("addBatch").inc()
    registry.spark_numbers().behind.labels("all partitions").set(1)

    class Status:
        counters = Counters(posted=1)

    class Channel:
        status = Status()

    with registry.collecting(NoticeNumbers(lambda: {"mine": Channel()})):
        text = registry.exposition()
    return exposition(SNAPSHOT, [ServiceSample("everything", "alpha", 1, NOW, NOW, up=True, metrics=text)])


def test_stages_services_and_disks(whole: bytes) -> None:
    assert value(whole, "fink_alerts_total", stage="science", way="cut") == 2
    assert value(whole, "fink_open_ends", stage="topics") == 1
    assert value(whole, "fink_open_ends", stage="science") == 0
    assert value(whole, "fink_count_differences_total", stage="topics") == 2
    assert value(whole, "fink_stage_last_commit_age_seconds", stage="topics") == 5
    assert value(whole, "fink_batch_seconds", stage="topics", of="median") == 0.5
    assert value(whole, "fink_waiting_oldest_age_seconds", earlier="science", later="topics") == pytest.approx(60)
    assert value(whole, "fink_waiting_oldest_age_seconds", earlier="raw", later="science") == 0
    assert value(whole, "fink_rejected_total", reason="truncated") == 3
    assert value(whole, "fink_topic_messages_total", topic="fink_sn_ztf") == 7
    assert value(whole, "fink_filter_seconds_total", filter="sn") == 1.5
    assert value(whole, "fink_module_seconds_total", module="cdsxmatch") == 2.5
    assert value(whole, "fink_kafka_lag_messages", topic="ztf_1", partition="1") == 5
    assert value(whole, "fink_service_up", service="archive", host="beta") == 0
    assert value(whole, "fink_service_state", service="archive", host="beta", state="died") == 1
    assert value(whole, "fink_service_end_time_seconds", service="archive", host="beta") == pytest.approx(NOW - 5)
    assert value(whole, "fink_service_memory_bytes", service="api", host="alpha") == 100 * 2**20
    assert value(whole, "fink_disk_free_bytes", host="alpha", path="/data") == 2 * 2**30
    assert value(whole, "fink_disks_away") == 1
    assert value(whole, "fink_hbase_written_rows_total", service="everything", host="alpha", table="main") >= 3


def test_latencies_never_look_better_than_they_are(whole: bytes) -> None:
    buckets = {
        entry.labels["le"]: entry.value
        for entry in families(whole)["fink_latency_seconds"].samples
        if entry.name.endswith("bucket")
    }
    assert (buckets["0.25"], buckets["1.5"], buckets["2"], buckets["60"], buckets["120"]) == (3, 3, 7, 7, 9)
    assert (buckets["14400"], buckets["+Inf"]) == (9, 10)
    assert list(buckets.values()) == sorted(buckets.values())


def test_what_is_not_known_is_not_told() -> None:
    bare = exposition(Snapshot(NOW, "1.0", "ztf", Status("empty", "")), [])
    assert "fink_kafka_lag_messages" not in families(bare)
    assert value(bare, "fink_kafka_lag_known") == 0
    unknown = exposition(replace(SNAPSHOT, lag=replace(SNAPSHOT.lag, state="unknown")), [])
    assert "fink_kafka_lag_messages" not in families(unknown)


@pytest.mark.parametrize(("read", "to_read"), [(0, 0), (10, 5000), (4999, 5000), (5000, 5000)])
def test_sums_are_told_once_all_of_the_past_was_read(read: int, to_read: int) -> None:
    """A sum that was larger before the dashboard was started is a restart to Prometheus, and then a flood."""
    started = replace(SNAPSHOT, read=read, to_read=to_read, is_complete=False)
    text = exposition(started, []).decode()
    assert re.findall(r"^fink_\w+_total", text, re.MULTILINE) == []
    assert value(text.encode(), "fink_commits_known") == to_read
    assert "fink_lost_offsets_total 1.0" in exposition(replace(started, is_complete=True), []).decode()


def test_only_services_that_run_count() -> None:
    """Who is lost is told by the board's clock: the one of another host may be an hour behind."""
    numbers = "# TYPE fink_things gauge\nfink_things 7.0\n"
    samples = [
        ServiceSample("api", "alpha", 1, NOW, NOW - 3600, up=True, metrics=numbers),
        ServiceSample("archive", "beta", 1, NOW, NOW, up=True, metrics=numbers),
    ]
    assert [entry.labels["service"] for entry in families(exposition(SNAPSHOT, samples))["fink_things"].samples] == [
        "api"
    ]


def test_labels_of_any_content_keep_the_page_whole() -> None:
    odd = {'a"b\\c\nd': 1, "\ud800 alone": 2, "x" * 5000: 3, "x" * 5001: 4, "": 5}
    many = {f"reason {number}": 1 for number in range(3 * MOST_SERIES)}
    reasons = families(exposition(replace(SNAPSHOT, reasons={**odd, **many}), []))["fink_rejected"].samples
    assert len(reasons) == MOST_SERIES
    assert reasons[0].labels == {"reason": 'a"b\\c\nd'}
    assert len({entry.labels["reason"] for entry in reasons}) == MOST_SERIES


def test_each_family_is_described_once(whole: bytes) -> None:
    named = re.findall(r"^# TYPE (\S+)", whole.decode(), re.MULTILINE)
    assert len(named) == len(set(named)) > 40
    assert all(name.startswith("fink_") for name in named)


def expressions() -> Iterator[tuple[str, str]]:
    """Give where each expression of PromQL stands, and the expression."""
    for group in yaml.safe_load((MONITORING / "alert-rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads((MONITORING / "grafana-dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("place", "expression"), sorted(set(expressions())))
def test_what_is_asked_for_is_told(whole: bytes, place: str, expression: str) -> None:
    told: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(whole.decode()):
        for entry in family.samples:
            told.setdefault(entry.name, set()).update(entry.labels)
    asked = re.findall(r"\b(fink_\w+|up)\b(?:\{([^}]*)\})?", expression)
    assert asked, f"{place} asks for nothing"
    for name, selection in asked:
        if name == "up":
            continue
        assert name in told, f"{place} asks for {name}"
        assert set(re.findall(r"(\w+)\s*[=!]", selection)) <= told[name], f"{place} selects by labels of {name}"
    labels = {label for names in re.findall(r"\bby \(([^)]*)\)", expression) for label in re.split(r", *", names)}
    assert labels <= set().union(*(told[name] for name, _ in asked if name != "up")), f"{place} sums by a label"


def test_every_metric_is_explained(whole: bytes) -> None:
    text = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text()
    names = re.findall(r"^# TYPE (\S+)", whole.decode(), re.MULTILINE)
    assert [name for name in names if f"`{name}`" not in text] == []


def test_rules_say_what_is_wrong_and_what_to_do() -> None:
    groups = yaml.safe_load((MONITORING / "alert-rules.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_a_dashboard_that_sees_nothing_is_an_alarm() -> None:
    asked = {
        name for place, text in expressions() if place.startswith("Fink") for name in re.findall(r"fink_\w+", text)
    }
    assert {"fink_commits_readable", "fink_snapshot_timestamp_seconds"} <= asked


def fired(alert: str, series: dict[str, str], minutes: int, **labels: str) -> dict[str, Any]:
    """Return a test of promtool: an alert fires for these labels after some minutes of series of 15 s, or for none."""
    return {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{minutes}m",
                "alertname": alert,
                "exp_alerts": [{"exp_labels": labels}] if labels else [],
            }
        ],
    }


def died(host: str, ended: int) -> dict[str, str]:
    """Return series of a service that died on a host at a second."""
    labels = f'{{service="archive", host="{host}"'
    return {
        f'fink_service_state{labels}, state="died"}}': "1x40",
        f"fink_service_up{labels}}}": "0x40",
        f"fink_service_start_time_seconds{labels}}}": "0x40",
        f"fink_service_end_time_seconds{labels}}}": f"{ended}x40",
    }


def runs(host: str, since: int) -> dict[str, str]:
    """Return series of the same service that runs on a host since a second."""
    labels = f'{{service="archive", host="{host}"'
    return {
        f'fink_service_state{labels}, state="died"}}': "0x40",
        f"fink_service_up{labels}}}": "1x40",
        f"fink_service_start_time_seconds{labels}}}": f"{since}x40",
    }


HOOK = {"webhook": "kn", "severity": "ticket"}
RETRIES = 'fink_notice_failures_total{webhook="kn"}'
REFUSED = 'fink_notices_total{webhook="kn", result="refused"}'
PAGE = {"severity": "page"}
RULE_TESTS = [
    fired(
        "FinkDashboardBlind", {"fink_commits_readable": "0x40", "fink_snapshot_timestamp_seconds": "0+15x40"}, 5, **PAGE
    ),
    fired(
        "FinkDashboardBlind", {"fink_commits_readable": "1x40", "fink_snapshot_timestamp_seconds": "0x40"}, 5, **PAGE
    ),
    fired("FinkDashboardBlind", {"fink_commits_readable": "1x40", "fink_snapshot_timestamp_seconds": "0+15x40"}, 5),
    # a failure every five minutes is the slowest there is
    fired("FinkWebhookFails", {RETRIES: " ".join(f"{number}x19" for number in range(20))}, 60, **HOOK),
    fired("FinkWebhookFails", {RETRIES: "0x20 3x200"}, 45),
    fired("FinkWebhookFails", {RETRIES: "0x240", REFUSED: "0+1x240"}, 60, **HOOK),
    fired("FinkServiceDied", died("alpha", 60), 5, service="archive", host="alpha", **PAGE),
    fired("FinkServiceDied", died("alpha", 60) | runs("beta", 90), 5),
    # it ran side by side with the one that died
    fired("FinkServiceDied", died("alpha", 60) | runs("beta", 30), 5, service="archive", host="alpha", **PAGE),
]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, of Debian's package prometheus, is not there")
def test_rules_fire_when_they_are_to(tmp_path: Path) -> None:
    """Labels decide; what an alert says is left out, so that the test need not repeat it."""
    rules = yaml.safe_load((MONITORING / "alert-rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": RULE_TESTS}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    command = ["promtool", "test", "rules", str(tmp_path / "tests.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_lie_side_by_side_and_ask_the_chosen_prometheus() -> None:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    assert [each["type"] for each in dashboard["templating"]["list"]] == ["datasource"]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        squares = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert not squares & taken
        assert place["x"] + place["w"] <= 24
        taken |= squares
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel.get("targets", ()))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, of Debian's package prometheus, is not there")
def test_prometheus_own_tool_takes_page_and_rules(whole: bytes, tmp_path: Path) -> None:
    exprs = [{"record": f"x{number}", "expr": text} for number, (_, text) in enumerate(expressions())]
    for rule in exprs:
        rule["expr"] = rule["expr"].replace("$__rate_interval", "1m")
    (tmp_path / "all.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": exprs}]}))
    for command in (
        ["check", "rules", str(tmp_path / "all.yml")],
        ["check", "config", str(MONITORING / "prometheus.yml")],
    ):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(["promtool", "check", "metrics"], input=whole, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
