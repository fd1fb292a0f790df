"""Light curves of alerts: every exposure once, in order, whatever the history is like."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import fastavro
import pytest
from fink_skyportal.alerts.light_curve import Point, number, points

JD = 2460235.5
NOW = {
    "jd": JD, "fid": 1, "magpsf": 18.5, "sigmapsf": 0.1, "diffmaglim": 20.5, "isdiffpos": "t", "ra": 10.0, "dec": -5.0,
    "candid": 7,
}  # fmt: skip
POINT = Point(JD, "g", 18.5, 0.1, 20.5, True, 10.0, -5.0, 7)
LIMIT = {"jd": JD - 1, "fid": 2, "magpsf": None, "sigmapsf": None, "diffmaglim": 20.0, "isdiffpos": None}
LIMIT_POINT = Point(JD - 1, "r", None, None, 20.0, False, None, None, None)


def test_alert_and_history_in_order_of_time() -> None:
    later = NOW | {"jd": JD - 0.5, "fid": 3, "isdiffpos": "f", "candid": 6}
    curve = points({"candidate": NOW, "prv_candidates": [later, LIMIT]})
    assert curve == [LIMIT_POINT, Point(JD - 0.5, "i", 18.5, 0.1, 20.5, False, 10.0, -5.0, 6), POINT]


@pytest.mark.parametrize("history", [None, [], "x", [None, 5]])
def test_without_a_history_there_is_one_point(history: object) -> None:
    assert points({"candidate": NOW, "prv_candidates": history}) == [POINT]


@pytest.mark.parametrize("alert", [{}, {"candidate": None}, {"objectId": "a", "triggerId": 1}])
def test_without_a_candidate_there_is_none(alert: dict) -> None:
    assert points(alert) == []


def test_each_exposure_is_there_once_and_the_alert_s_own_wins() -> None:
    repeated = NOW | {"candid": None}
    assert points({"candidate": NOW, "prv_candidates": [repeated, LIMIT, LIMIT]}) == [LIMIT_POINT, POINT]


def test_two_bands_at_one_time_are_two_points() -> None:
    assert len(points({"candidate": NOW, "prv_candidates": [NOW | {"fid": 2}, NOW | {"magpsf": 18.6}]})) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"jd": None}, {"jd": math.nan}, {"fid": 4}, {"fid": None}, {"fid": [1]}, {"diffmaglim": 0.0},
        {"diffmaglim": -999.0}, {"diffmaglim": None}, {"diffmaglim": math.inf}, {"sigmapsf": None},
    ],
)  # fmt: skip
def test_a_row_that_says_nothing_is_left_out(change: dict) -> None:
    assert points({"candidate": NOW, "prv_candidates": [NOW | {"jd": JD - 3} | change]}) == [POINT]


def test_a_magnitude_that_is_no_number_is_a_limit() -> None:
    (point,) = points({"candidate": NOW | {"magpsf": math.nan}})
    assert (point.magnitude, point.error, point.limit) == (None, None, 20.5)


@pytest.mark.parametrize(("text", "positive"), [("t", True), ("1", True), ("true", True), ("f", False), ("0", False)])
def test_the_sign_of_the_difference(text: str, positive: bool) -> None:
    assert points({"candidate": NOW | {"isdiffpos": text}})[0].is_positive is positive


@pytest.mark.parametrize(
    ("value", "found"), [(1, 1.0), (2.5, 2.5), (True, None), ("2.5", None), (math.inf, None), (10**400, None)]
)
def test_what_counts_as_a_number(value: object, found: float | None) -> None:
    assert number(value) == found


def test_real_packets(unpacked: Callable) -> None:
    packets = [next(fastavro.reader(io.BytesIO(packet))) for packet in unpacked("ztf_public_20231018")[::10]]
    for packet in packets:
        curve = points(packet)
        rows = [packet["candidate"], *(packet["prv_candidates"] or [])]
        usable = {(row["jd"], row["fid"], row["magpsf"]) for row in rows if (row["diffmaglim"] or 0) > 0}
        assert len(curve) == len(usable)
        assert [point.jd for point in curve] == sorted(point.jd for point in curve)
        own = [point for point in curve if point.candid == packet["candid"]]
        assert [(point.magnitude, point.error) for point in own] == [
            (packet["candidate"]["magpsf"], packet["candidate"]["sigmapsf"])
        ]
    assert len(packets) > 20
    assert sum(point.magnitude is None for packet in packets for point in points(packet)) > 50
