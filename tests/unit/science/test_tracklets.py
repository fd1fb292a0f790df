"""Tracklets: planted streaks are found and named, whatever the order of the rows and wherever on the sky."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fink_broker.science.tracklets import COLUMNS, MAX_CANDIDATES, find_tracklets, is_candidate
from fink_broker.science.tracklets.great_circles import aligned_sets, unit_vectors

JD = 2459509.8888889
ARCSEC = 1 / 3600
TYPES = {
    "candid": pa.int64(),
    "jd": pa.float64(),
    "ra": pa.float64(),
    "dec": pa.float64(),
    "ssnamenr": pa.string(),
    "isdiffpos": pa.string(),
    "ndethist": pa.int32(),
}
CENTRES = [(150.0, 20.0), (0.0, 5.0), (359.9, -30.0), (10.0, 89.9), (200.0, -90.0)]

Row = dict[str, Any]
Position = tuple[float, float]


def alert(candid: int, position: Position, **fields: Any) -> Row:
    return {
        "candid": candid,
        "jd": JD,
        "xpos": float(candid),
        "ypos": 7.0,
        "ra": position[0] % 360,
        "dec": position[1],
        "ssnamenr": "null",
        "ndethist": 1,
        "isdiffpos": "t",
        "distnr": 8.0,
        "magnr": 20.0,
        "magpsf": 18.0,
    } | fields


def table(rows: list[Row]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], TYPES.get(name, pa.float32())) for name in COLUMNS})


def names_of(rows: list[Row]) -> dict[int, str]:
    return dict(zip([row["candid"] for row in rows], find_tracklets(table(rows)).to_pylist(), strict=True))


def on_sky(centre: Position, x: np.ndarray, y: np.ndarray) -> list[Position]:
    """Return ra and dec (degrees) of offsets (degrees) from a centre, in the tangent plane: lines are great circles."""
    ra, dec = np.radians(centre)
    x, y = np.radians(x), np.radians(y)
    out = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    east, north = np.array([-np.sin(ra), np.cos(ra), 0]), np.cross(out, [-np.sin(ra), np.cos(ra), 0])
    points = out + np.multiply.outer(x, east) + np.multiply.outer(y, north)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return list(
        zip(np.degrees(np.arctan2(points[:, 1], points[:, 0])), np.degrees(np.arcsin(points[:, 2])), strict=True)
    )


def streak(
    random: np.random.Generator,
    centre: Position,
    angle: float,
    count: int,
    noise: float = 0.2,
    curve: float = 0.0,
    aside: float = 0.0,
) -> list[Position]:
    """Return glints along a line (length 4°) with noise, and a curve of so many arcsec at the ends."""
    along = np.sort(random.uniform(-2, 2, count))
    across = aside + ARCSEC * (random.normal(0, noise, count) + curve * (along / 2) ** 2)
    return on_sky(
        centre, along * np.cos(angle) - across * np.sin(angle), along * np.sin(angle) + across * np.cos(angle)
    )


def scattered(random: np.random.Generator, centre: Position, count: int, side: float = 7.0) -> list[Position]:
    return on_sky(centre, random.uniform(-side / 2, side / 2, count), random.uniform(-side / 2, side / 2, count))


@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize("seed", range(4))
def test_a_streak_is_found_anywhere_on_the_sky(centre: Position, seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(5, 30))
    places = streak(random, centre, random.uniform(0, np.pi), count) + scattered(random, centre, 100)
    names = names_of([alert(k, place) for k, place in enumerate(places)])
    assert {names[k] for k in range(count)} == {"TRCK_20211022_092000_00"}
    # chance puts a point or two on the line as well
    assert sum(name != "" for name in names.values()) <= count + 2


def test_a_curved_streak_is_found() -> None:
    random = np.random.default_rng(1)
    places = streak(random, CENTRES[0], 0.7, 20, curve=4.0)
    names = names_of([alert(k, place) for k, place in enumerate(places)])
    assert set(names.values()) == {"TRCK_20211022_092000_00"}


@pytest.mark.parametrize("seed", range(10))
def test_random_points_are_no_tracklet(seed: int) -> None:
    random = np.random.default_rng(seed)
    names = names_of([alert(k, place) for k, place in enumerate(scattered(random, CENTRES[seed % 5], 150))])
    assert set(names.values()) == {""}


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_two_satellites_in_one_exposure_have_two_names_the_longer_first(shift: float) -> None:
    random = np.random.default_rng(2)
    places = streak(random, CENTRES[0], 0.3, 12, aside=shift) + streak(random, CENTRES[0], 1.9, 20)
    names = names_of([alert(k, place) for k, place in enumerate(places)])
    assert {names[k] for k in range(12)} == {"TRCK_20211022_092000_01"}
    assert {names[k] for k in range(12, 32)} == {"TRCK_20211022_092000_00"}


def test_a_point_where_two_streaks_cross_belongs_to_the_longer() -> None:
    random = np.random.default_rng(3)
    crossing = [CENTRES[0]]
    places = crossing + streak(random, CENTRES[0], 0.3, 9) + streak(random, CENTRES[0], 1.9, 20)
    names = names_of([alert(k, place) for k, place in enumerate(places)])
    assert names[0] == names[25]
    assert len(set(names.values())) == 2


def test_exposures_are_searched_apart() -> None:
    random = np.random.default_rng(4)
    places = streak(random, CENTRES[0], 0.3, 8)
    rows = [alert(k, place, jd=JD + 0.01 * (k % 2)) for k, place in enumerate(places)]
    assert set(names_of(rows).values()) == {""}
    rows += [alert(100 + k, place, jd=JD + 0.01 * (k % 2)) for k, place in enumerate(streak(random, CENTRES[1], 1, 16))]
    by_name = defaultdict(set)
    for candid, name in names_of(rows).items():
        by_name[name].add(candid)
    assert by_name.pop("") == set(range(8))
    assert by_name == {
        "TRCK_20211022_092000_00": set(range(100, 116, 2)),
        "TRCK_20211022_093424_00": set(range(101, 116, 2)),
    }


def test_names_do_not_depend_on_the_order_of_rows_or_on_chunks() -> None:
    random = np.random.default_rng(5)
    places = scattered(random, CENTRES[1], 300)
    for k in range(5):
        places += streak(random, CENTRES[1], k, 6 + k)
    rows = [alert(k, place, jd=JD + 0.001 * (k % 2)) for k, place in enumerate(places)]
    names = names_of(rows)
    assert len(set(names.values())) > 2
    for _ in range(4):
        order = random.permutation(len(rows))
        assert names_of([rows[k] for k in order]) == names
    halves = pa.concat_tables([table(rows[:100]), table(rows[100:])])
    assert find_tracklets(halves).to_pylist() == list(names.values())


def test_a_repeated_place_counts_once_and_a_repeated_alert_has_its_name() -> None:
    random = np.random.default_rng(6)
    places = streak(random, CENTRES[0], 1.0, 4)
    four = [alert(k, place) for k, place in enumerate(places)]
    again = [{**row, "candid": row["candid"] + 100} for row in four]
    assert set(names_of(four + again).values()) == {""}
    assert find_tracklets(table(four * 3)).to_pylist() == [""] * 12
    five = [*four, alert(4, streak(random, CENTRES[0], 1.0, 1)[0])]
    assert set(names_of(five + again).values()) == {"", "TRCK_20211022_092000_00"}
    assert set(find_tracklets(table(five * 2)).to_pylist()) == {"TRCK_20211022_092000_00"}
    nowhere = [{**row, "xpos": None, "ypos": float("nan")} for row in five]
    assert set(find_tracklets(table(nowhere)).to_pylist()) == {"TRCK_20211022_092000_00"}
    assert find_tracklets(table([{**row, "xpos": None} for row in four] * 2)).to_pylist() == [""] * 8


@pytest.mark.parametrize("offset", [2.5, 10.0, 3000.0])
def test_a_point_beside_the_streak_is_left_out(offset: float) -> None:
    random = np.random.default_rng(7)
    places = streak(random, CENTRES[0], 0.5, 20) + streak(random, CENTRES[0], 0.5, 1, aside=offset * ARCSEC)
    names = names_of([alert(k, place) for k, place in enumerate(places)])
    assert names[20] == ""
    assert {names[k] for k in range(20)} == {"TRCK_20211022_092000_00"}


def test_a_lone_point_far_beyond_the_end_is_left_out() -> None:
    along = np.array([0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 3.0])
    places = on_sky(CENTRES[0], along, 0.5 * along)
    names = names_of([alert(k, place) for k, place in enumerate(places)])
    assert [name != "" for name in names.values()] == [True] * 6 + [False]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, True),
        ({"ssnamenr": None}, True),
        ({"ssnamenr": "1234"}, False),
        ({"ndethist": 2}, False),
        ({"ndethist": None}, False),
        ({"isdiffpos": "f"}, False),
        ({"isdiffpos": None}, False),
        ({"distnr": 1.0, "magnr": 17.0}, False),
        ({"distnr": 1.0, "magnr": 18.9}, True),
        ({"distnr": 1.0, "magnr": 17.1}, False),
        ({"distnr": 2.0, "magnr": 16.0}, True),
        ({"distnr": 0.0, "magnr": 17.0}, False),
        ({"distnr": -999.0, "magnr": -999.0}, True),
        ({"distnr": None}, True),
        ({"ra": None}, False),
        ({"dec": float("nan")}, False),
        ({"dec": 91.0}, False),
        ({"jd": None}, False),
        ({"jd": 1e30}, False),
        ({"jd": -1.0}, False),
    ],
)
def test_what_may_belong_to_a_tracklet(fields: Row, kept: bool) -> None:
    row = {**alert(1, (10.0, 10.0)), **fields}
    assert is_candidate(table([row])).tolist() == [kept]
    assert find_tracklets(table([row])).to_pylist() == [""]


def test_a_night_without_alerts() -> None:
    empty = table([])
    assert find_tracklets(empty).to_pylist() == []
    assert find_tracklets(empty).type == pa.string()
    with pytest.raises(KeyError):
        find_tracklets(empty.drop_columns(["xpos"]))


def test_the_name_tells_utc() -> None:
    places = streak(np.random.default_rng(8), CENTRES[0], 0.2, 9)
    for jd, label in [(2451544.5, "20000101_000000"), (2451545.0 - 1e-9, "20000101_120000"), (2460369.5, "20240229_0")]:
        (name,) = set(names_of([alert(k, place, jd=jd) for k, place in enumerate(places)]).values())
        assert re.fullmatch(r"TRCK_\d{8}_\d{6}_\d\d", name)
        assert name.startswith(f"TRCK_{label}")


@pytest.mark.parametrize("seed", range(6))
def test_the_sets_are_those_of_a_search_through_all_pairs(seed: int) -> None:
    random = np.random.default_rng(seed)
    # a small field, so that chance gives many sets
    places = scattered(random, CENTRES[seed % 5], 60, side=0.1)
    points = unit_vectors(*np.array(places).T)
    expected = set()
    for one in range(60):
        for two in range(one):
            pole = np.cross(points[one], points[two])
            if np.linalg.norm(pole) > np.sin(np.radians(10 * ARCSEC)):
                near = np.abs(points @ pole) / np.linalg.norm(pole) <= np.sin(np.radians(5 * ARCSEC))
                if near.sum() >= 5:
                    expected.add(tuple(np.flatnonzero(near)))
    found = [tuple(members) for _, members in aligned_sets(points)]
    assert set(found) == expected
    assert len(found) == len(expected) > 20
    assert [len(members) for members in found] == sorted(map(len, found), reverse=True)


@pytest.mark.parametrize("place", ["one", "opposite", "line"])
def test_odd_exposures_end_without_a_warning(place: str) -> None:
    random = np.random.default_rng(9)
    places = {
        "one": [(10.0, 10.0)] * 300,
        "opposite": [(10.0, 10.0), (190.0, -10.0), (100.0, 0.0)] * 50 + scattered(random, (10.0, 10.0), 50, 0.01),
        "line": [(0.001 * k, 0.0) for k in range(600)],
    }[place]
    names = names_of([alert(k, where) for k, where in enumerate(places)])
    assert (place == "line") == (set(names.values()) == {"TRCK_20211022_092000_00"})


def test_a_crowded_exposure_takes_seconds_and_a_hopeless_one_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    random = np.random.default_rng(10)
    places = streak(random, CENTRES[0], 0.4, 25) + scattered(random, CENTRES[0], 1000)
    started = time.perf_counter()
    names = names_of([alert(k, place) for k, place in enumerate(places)])
    assert time.perf_counter() - started < 20
    assert {names[k] for k in range(25)} == {"TRCK_20211022_092000_00"}
    hopeless = scattered(random, CENTRES[0], MAX_CANDIDATES + 1)
    assert set(names_of([alert(k, place) for k, place in enumerate(hopeless)]).values()) == {""}
    assert "too many" in caplog.text
