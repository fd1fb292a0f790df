"""Columns computed on the fly: as production recorded them, and as the plainest way to compute them says."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from archived import archived_alerts
from astropy import units
from astropy.coordinates import SkyCoord, get_constellation
from astropy.time import Time

from fink_broker.portal.colours import Points, colours
from fink_broker.portal.computed import ALWAYS, COLOURS, COMPUTED, dates, with_computed
from fink_broker.portal.constellations import constellation_names

SINGLE = {"i:magpsf", "i:sigmapsf", "i:drb", "i:classtar"}


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> list[dict]:
    """Rows of an answer of production."""
    return json.loads((shared_data / "api" / "objects_ZTF19aaosfcb.json").read_text())["response"]


def table(recorded: list[dict]) -> pa.Table:
    names = [name for name in recorded[0] if not name.startswith("v:")]
    kinds = {name: pa.float32() if name in SINGLE else None for name in names}
    return pa.table({name: pa.array([row[name] for row in recorded], kinds[name]) for name in names})


@pytest.mark.parametrize("name", COMPUTED)
def test_a_recorded_object_has_the_values_of_the_recording(recorded: list[dict], name: str) -> None:
    found = with_computed(table(recorded), COMPUTED)[name].to_pylist()
    expected = [row[name] for row in recorded]
    if COMPUTED[name].type == "string":
        assert found == expected
    else:  # the recording has 10 decimals
        assert [value and round(value, 10) for value in found] == expected


def test_the_recording_has_no_other_computed_columns(recorded: list[dict]) -> None:
    assert set(COMPUTED) == {name for name in recorded[0] if name.startswith("v:")}
    assert set(ALWAYS) | set(COLOURS) == set(COMPUTED)


def test_dates_are_those_of_astropy() -> None:
    jd = np.random.default_rng(1).uniform(2458000, 2462000, 500)
    assert dates(jd).to_pylist() == Time(jd, format="jd").iso.tolist()


@pytest.mark.parametrize("jd", [np.nan, np.inf, -np.inf, 1e300, -5.0, 0.0, 5373485.0])
def test_what_is_no_date_is_null(jd: float) -> None:
    assert dates(np.array([jd, 2460000.5])).to_pylist() == [None, "2023-02-25 00:00:00.000"]


def test_constellations_are_those_of_astropy() -> None:
    random = np.random.default_rng(2)
    ra, dec = random.uniform(0, 360, 20_000), np.degrees(np.arcsin(random.uniform(-1, 1, 20_000)))
    expected = get_constellation(SkyCoord(ra * units.deg, dec * units.deg))
    assert constellation_names(ra, dec).tolist() == [name.strip() for name in expected]  # astropy's Crux has a blank
    assert len(set(expected)) == 88


def test_poles_and_positions_that_do_not_exist_have_a_constellation_or_none() -> None:
    ra = np.array([0.0, 123.0, 0.0, 360.0, np.nan, 10.0, -1.0])
    dec = np.array([90.0, -90.0, 0.0, 0.0, 0.0, 91.0, 0.0])
    found = constellation_names(ra, dec).tolist()
    assert found == ["Ursa Minor", "Octans", "Pisces", "Pisces", None, None, None]


def plain_colours(frame: pd.DataFrame) -> pd.DataFrame:
    """Compute rates and colours point by point."""
    out = pd.DataFrame(np.nan, index=frame.index, columns=list(COLOURS))
    for _, own in frame.groupby("owner"):
        for band in (1, 2):
            of_band = own[own.band == band].sort_values("jd", kind="stable")
            for (_, before), (row, point) in itertools.pairwise(of_band.iterrows()):
                if point.jd > before.jd:
                    out.loc[row, "v:rate"] = (point.mag - before.mag) / (point.jd - before.jd)
                    out.loc[row, "v:sigma(rate)"] = np.hypot(point.err, before.err) / (point.jd - before.jd)
        matched = []
        for _, green in own[own.band == 1].sort_values("jd", kind="stable").iterrows():
            red = own[(own.band == 2) & ((own.jd - green.jd).abs() <= 0.3)]
            if len(red):
                near = red.loc[(red.jd - green.jd).abs().idxmin()]
                colour = [green.mag - near.mag, np.hypot(green.err, near.err), np.nan, np.nan]
                if matched:
                    days = green.jd - matched[-1][0]
                    colour[2] = (colour[0] - matched[-1][1][0]) / days
                    colour[3] = np.hypot(colour[1], matched[-1][1][1]) / days
                matched.append((green.jd, colour))
        for row, point in own.iterrows():
            near_ones = [(abs(jd - point.jd), colour) for jd, colour in matched if abs(jd - point.jd) <= 0.3]
            if near_ones:
                out.loc[row, list(COLOURS[2:])] = min(near_ones, key=lambda pair: pair[0])[1]
    return out


@pytest.mark.parametrize("seed", range(4))
def test_rates_and_colours_are_those_of_the_plain_way(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = 300
    frame = pd.DataFrame(
        {
            "owner": random.integers(0, 5, count),
            "jd": 2460000.5 + random.integers(0, 40, count) + random.uniform(0, 0.5, count),
            "band": random.integers(1, 4, count),
            "mag": random.uniform(15, 20, count),
            "err": random.uniform(0.01, 0.2, count),
        }
    )
    points = Points(*(frame[name].to_numpy() for name in ("owner", "jd", "band", "mag", "err")))
    found = colours(points)
    values = np.stack(
        [found.rate, found.rate_error, found.colour, found.colour_error, found.colour_rate, found.colour_rate_error]
    )
    expected = plain_colours(frame)
    np.testing.assert_allclose(values.T, expected.to_numpy(dtype=float), rtol=1e-9)
    assert np.isfinite(values).sum(axis=1).min() > 30


def test_points_at_one_time_or_without_magnitude_have_no_rate() -> None:
    points = Points(
        np.zeros(4, np.int64), np.array([1.0, 1.0, 2.0, 3.0]), np.ones(4, np.int64),
        np.array([18.0, 19.0, np.nan, 20.0]), np.full(4, 0.1),
    )  # fmt: skip
    assert np.isnan(colours(points).rate).tolist() == [True, True, True, False]


def test_a_nameless_alert_takes_part_in_nothing() -> None:
    alerts = pa.table(
        {"i:objectId": pa.array([None, None]), "i:jd": [1.0, 2.0], "i:fid": [1, 1],
         "i:magpsf": [18.0, 19.0], "i:sigmapsf": [0.1, 0.1]}
    )  # fmt: skip
    alerts = alerts.set_column(0, "i:objectId", alerts["i:objectId"].cast(pa.string()))
    assert with_computed(alerts, COLOURS)["v:rate"].to_pylist() == [None, None]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> pa.Table:
    """Every real alert, with all columns."""
    archive = archived_alerts(shared_data)
    found = archive.alerts(["ZTF"])
    assert len(found) > 500
    return found


def theirs(alerts: pa.Table) -> list[str]:
    """Return the classes by fink-filters, as it is."""
    with pytest.MonkeyPatch.context() as patch:
        profiler = ModuleType("line_profiler")
        profiler.profile = lambda function: function  # type: ignore[attr-defined]
        patch.setitem(sys.modules, "line_profiler", profiler)
        rule = importlib.import_module("fink_filters.ztf.classification").extract_fink_classification_
    order = (
        "d:cdsxmatch", "d:roid", "d:mulens", "d:snn_snia_vs_nonia", "d:snn_sn_vs_all", "d:rf_snia_vs_nonia",
        "i:ndethist", "i:drb", "i:classtar", "i:jd", "i:jdstarthist", "d:rf_kn_vs_nonkn", "d:tracklet",
    )  # fmt: skip
    return rule(*(alerts[name].to_pandas() for name in order)).tolist()


def test_classes_are_those_of_fink_filters(real: pa.Table) -> None:
    """Beside the columns of real alerts, tracklets are drawn at random: their rule meets every class."""
    drawn = np.random.default_rng(5).random(len(real)) < 0.5
    tracklets = pa.array(np.where(drawn, "TRCK_20240101_010203_00", ""))
    alerts = real.set_column(real.column_names.index("d:tracklet"), "d:tracklet", tracklets)
    ours = with_computed(alerts.drop_columns(["d:classification"]), ["v:classification"])["v:classification"]
    assert ours.to_pylist() == theirs(alerts)
    assert {"Tracklet", "Solar System MPC", "Ambiguous", "SN candidate"} <= set(ours.to_pylist())


def test_the_stored_class_is_the_computed_one(real: pa.Table) -> None:
    computed = with_computed(real.drop_columns(["d:classification"]), ["v:classification"])["v:classification"]
    assert real["d:classification"].to_pylist() == computed.to_pylist() == theirs(real)
