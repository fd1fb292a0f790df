"""The numbers of services on one page: labelled, bounded, and none of them can break it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

from fink_broker.metrics import registry as numbers
from fink_broker.metrics.merging import LONGEST_LABEL, MOST_SERIES, merged
from fink_broker.metrics.sample import ServiceSample

NOW = time.time()


def sample(metrics: str, **changes: object) -> ServiceSample:
    return replace(ServiceSample("api", "alpha", 1, NOW, NOW, up=True, metrics=metrics), **changes)


def told(*samples: ServiceSample) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (entry.name, frozenset(entry.labels.items())): entry.value
        for family in merged(samples)
        for entry in family.samples
    }


def text(*values: int) -> str:
    registry = CollectorRegistry()
    counter = Counter("fink_things", "Things.", ["kind"], registry=registry)
    Histogram("fink_time_seconds", "Time.", buckets=(1, 2), registry=registry).observe(1.5)
    for number, value in enumerate(values):
        counter.labels(f'a "{number}" \\ \n').inc(value)
    return generate_latest(registry).decode()


def test_services_are_told_apart_by_labels() -> None:
    found = told(sample(text(3)), sample(text(4), host="beta"))
    label = ("kind", 'a "0" \\ \n')
    assert found["fink_things_total", frozenset([label, ("service", "api"), ("host", "alpha")])] == 3
    assert found["fink_things_total", frozenset([label, ("service", "api"), ("host", "beta")])] == 4
    assert found["fink_time_seconds_bucket", frozenset([("le", "2.0"), ("service", "api"), ("host", "alpha")])] == 1
    (things,) = [family for family in merged([sample(text(3)), sample(text(4))]) if family.name == "fink_things"]
    assert len(things.samples) == 2


def test_who_has_ended_counts_nothing() -> None:
    assert told(sample(text(1), ended=NOW)) == {}


@pytest.mark.parametrize(
    "bad",
    [
        "fink_things_total{ 1\n",
        "fink_things_total one\n",
        "# TYPE\n# HELP\n\x00\n{}",
        "other_things 1\n",
        'fink_Things{a="b"} 1\n',
        "# TYPE fink_build info\nfink_build_info 1\n",
    ],
)
def test_what_is_not_understood_is_left_out(bad: str) -> None:
    good = sample(text(1), host="beta")
    assert told(sample(bad), good) == told(good)


def test_no_service_can_pass_for_another() -> None:
    found = told(sample('# TYPE fink_x gauge\nfink_x{service="kafka",host="gamma",a="' + "b" * 900 + '"} 1\n'))
    ((_, labels),) = found
    assert labels == {("service", "api"), ("host", "alpha"), ("a", "b" * LONGEST_LABEL)}


def test_names_that_are_taken_and_kinds_that_differ() -> None:
    assert [family.name for family in merged([sample(text(1))], {"fink_things"})] == ["fink_time_seconds"]
    gauge = sample("# TYPE fink_things gauge\nfink_things 7\n", host="beta")
    assert told(sample(text(1)), gauge) == told(sample(text(1)))


def test_a_service_that_counts_too_much_is_cut() -> None:
    lines = "".join(f'fink_x{{a="{number}"}} 1\n' for number in range(3 * MOST_SERIES))
    assert len(told(sample("# TYPE fink_x gauge\n" + lines))) == MOST_SERIES


def test_the_numbers_of_this_process_can_be_merged() -> None:
    numbers.api_numbers().count("objects", 200, 0.02, 5)
    numbers.api_numbers().count("objects", 404, 0.01, 0)
    before = told(sample(numbers.exposition()))
    numbers.api_numbers().count("objects", 200, 0.02, 5)
    after = told(sample(numbers.exposition()))
    ours = {("service", "api"), ("host", "alpha"), ("route", "objects")}
    grown = {key: after[key] - before[key] for key in after if after[key] != before[key] and not key[0].endswith("sum")}
    assert grown["fink_api_requests_total", frozenset({*ours, ("status", "200")})] == 1
    assert grown["fink_api_rows_total", frozenset(ours)] == 5
    assert grown["fink_api_request_seconds_count", frozenset(ours)] == 1
    assert ("fink_api_request_seconds_bucket", frozenset({*ours, ("le", "0.01")})) not in grown
