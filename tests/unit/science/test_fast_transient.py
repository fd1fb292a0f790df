"""Rates of change: production's columns, the definition worked out point by point, and hostile light curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink_broker.config import Config
from fink_broker.science import fast_transient
from fink_broker.science.batch import AlertBatch
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.testing import batch_of, check_module, ordinary_alert

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

PIPELINE = Pipeline([fast_transient.build(Config())])
SETS = {
    "science_real": "ztf_real_packets",
    "science_20231018": "ztf_public_20231018",
    "science_20231018_retimed": "ztf_public_20231018_retimed",
}


def results(packets: Sequence[dict]) -> pd.DataFrame:
    result = PIPELINE.run(batch_of(PIPELINE, packets))
    assert not any(result.field("science_failed").to_pylist())
    return pd.DataFrame({name: result.field(name).to_pylist() for name in PIPELINE.output_names})


def textbook_rates(now: float, error: float, before: float, before_error: float, days: float) -> list[float]:
    """The definition as it stands, for one alert; no error of the previous point means an upper limit."""
    random = np.random.default_rng(2023)
    z_now, z_before, uniform = random.standard_normal(10000), random.standard_normal(10000), random.random(10000)

    def flux(magnitude: float) -> float:
        return 10 ** (0.4 * (27.5 - magnitude))

    def draw(magnitude: float, error: float, deviates: np.ndarray) -> np.ndarray:
        return flux(magnitude) + error * flux(magnitude) * math.log(10) / 2.5 * deviates

    current = draw(now, error, z_now)
    previous = flux(before) * uniform if math.isnan(before_error) else draw(before, before_error, z_before)
    counts = (current > 0) & (previous > 0)
    rates = -2.5 * np.log10(current[counts] / previous[counts]) / days
    return [rates.mean(), rates.std(), *np.percentile(rates, [5, 95])]


def rates(*alerts: tuple[float, float, float, float, float]) -> np.ndarray:
    return fast_transient.magnitude_rates(*np.array(alerts, dtype=float).T).T


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        ((18.0, 0.05, 18.5, 0.10, 2.0), (-0.251375, 0.055886, -0.344579, -0.160402)),
        ((18.0, 0.05, 20.0, math.nan, 1.0), (-3.084286, 1.090222, -5.266280, -2.050179)),
    ],
)
def test_the_published_check_values(alert: tuple, expected: tuple) -> None:
    np.testing.assert_allclose(rates(alert)[0], expected, rtol=0, atol=6e-7)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(8, 23),
            st.floats(0, 0.25) | st.floats(0, 3),
            st.floats(8, 23),
            st.floats(0, 0.25) | st.floats(0, 3) | st.just(math.nan),
            st.floats(1e-3, 100) | st.floats(-100, -1e-3),
        ),
        min_size=1,
        max_size=7,
    )
)
def test_rates_are_those_of_the_definition(alerts: list[tuple]) -> None:
    np.testing.assert_allclose(
        rates(*alerts),
        [textbook_rates(*alert) for alert in alerts],
        rtol=1e-9,
        atol=1e-9 / min(abs(a[4]) for a in alerts),
    )


@pytest.mark.parametrize("name", SETS)
def test_columns_of_production(decoded: Callable, shared_data: Path, name: str) -> None:
    packets = decoded(SETS[name])
    found = results(packets)
    expected = pd.read_parquet(shared_data / "expected" / f"{name}.parquet").set_index("candid")
    expected = expected.loc[[packet["candid"] for packet in packets]].reset_index()
    columns = ["jd_first_real_det", "jdstarthist_dt", "delta_time", "from_upper"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], check_exact=True)
    assert expected["from_upper"].sum() > 100
    # a rate is given exactly where there is a previous point
    for column in fast_transient.RATES:
        assert found[column].isna().equals(expected["delta_time"].isna()), column
    assert (found["lower_rate"].dropna() <= found["upper_rate"].dropna()).all()


@pytest.mark.parametrize("name", list(SETS.values()))
def test_rates_of_real_alerts_are_those_of_the_definition(decoded: Callable, name: str) -> None:
    packets = decoded(name)[::9]
    found = results(packets)
    for row, packet in enumerate(packets):
        point = previous_point(packet)
        if point is not None:
            now = packet["candidate"]
            before = (
                (point["diffmaglim"], math.nan) if point["magpsf"] is None else (point["magpsf"], point["sigmapsf"])
            )
            expected = textbook_rates(now["magpsf"], now["sigmapsf"], *before, now["jd"] - point["jd"])
            np.testing.assert_allclose(found.loc[row, list(fast_transient.RATES)].to_list(), expected, rtol=1e-9)


def previous_point(packet: dict) -> dict | None:
    """The rule as it stands: back from the last point until the band is the alert's, or not g or r."""
    for point in reversed(packet["prv_candidates"] or []):
        if point["fid"] is not None and point["fid"] > 2:
            return None
        if point["fid"] == packet["candidate"]["fid"]:
            return point
    return None


@given(st.lists(st.sampled_from([1, 2, 3, None, -999]), max_size=6), st.sampled_from([1, 2, 3]))
def test_the_previous_point_is_in_the_band_and_not_beyond_an_i_band_point(bands: list, band: int) -> None:
    alert = ordinary_alert(points=len(bands))
    for point, fid in zip(alert["prv_candidates"], bands, strict=True):
        point["fid"] = fid
    alert["candidate"]["fid"] = band
    found = results([alert, ordinary_alert()])["delta_time"][0]
    point = previous_point(alert)
    assert math.isnan(found) if point is None else found == alert["candidate"]["jd"] - point["jd"]


@pytest.mark.parametrize(
    ("before", "now", "from_upper"),
    [
        ({"jd": None}, {}, False),
        ({"jd": math.inf}, {}, False),
        ({"magpsf": None, "diffmaglim": None}, {}, False),
        ({"magpsf": None, "diffmaglim": math.inf}, {}, False),
        ({"magpsf": math.inf}, {}, False),
        ({"magpsf": -1e30}, {}, False),
        ({"sigmapsf": None}, {}, False),
        ({"sigmapsf": math.inf}, {}, False),
        ({"magpsf": None}, {"magpsf": None}, True),
        ({}, {"magpsf": 1e30}, False),
        ({}, {"sigmapsf": None}, False),
        ({}, {"jd": None}, False),
    ],
)
def test_a_rate_that_cannot_be_computed_is_not_given(before: dict, now: dict, from_upper: bool) -> None:
    alert = ordinary_alert()
    alert["candidate"] |= {"fid": 2} | now
    assert alert["prv_candidates"][-1]["fid"] == 2
    alert["prv_candidates"][-1] |= before
    found = results([alert]).loc[0]
    assert found[list(fast_transient.RATES)].isna().all()
    assert found["from_upper"] == from_upper
    assert math.isnan(found["delta_time"]) == ("jd" in before or "jd" in now)


def test_no_rate_between_points_of_one_time() -> None:
    alert = ordinary_alert()
    for point in alert["prv_candidates"]:
        point["jd"] = alert["candidate"]["jd"]
    found = results([alert]).loc[0]
    assert found["delta_time"] == 0
    assert found[list(fast_transient.RATES)].isna().all()


def test_the_first_detection_is_the_first_in_the_packet() -> None:
    alert = ordinary_alert(points=4)
    alert["prv_candidates"][0]["magpsf"] = None
    alert["prv_candidates"][1]["jd"] += 10
    alert["candidate"]["jdstarthist"] = alert["prv_candidates"][0]["jd"]
    nothing = ordinary_alert(points=2)
    for point in [*nothing["prv_candidates"], nothing["candidate"]]:
        point["magpsf"] = None
    found = results([alert, nothing])
    assert found["jd_first_real_det"][0] == alert["prv_candidates"][1]["jd"]
    assert found["jdstarthist_dt"][0] == alert["prv_candidates"][1]["jd"] - alert["prv_candidates"][0]["jd"]
    assert found.loc[1, ["jd_first_real_det", "jdstarthist_dt"]].isna().all()


def test_each_alert_on_its_own(decoded: Callable) -> None:
    check_module(PIPELINE.modules[0], decoded("ztf_public_20231018_retimed")[:150])


def test_poor_photometry_in_any_company() -> None:
    """Alerts with draws cut, of both kinds, give the same bits wherever they stand in a batch."""
    alerts = []
    for candid, error in enumerate([0.01, 0.1, 0.26, 0.27, 0.3, 0.5, 1.5, 40.0, -0.1, 0.0]):
        for limit in (False, True):
            alert = ordinary_alert(candid, points=6)
            alert["candidate"]["sigmapsf"] = error
            alert["prv_candidates"][-2] |= {"magpsf": None} if limit else {"sigmapsf": error}
            alert["candidate"]["fid"] = alert["prv_candidates"][-2]["fid"]
            alerts.append(alert)
    check_module(PIPELINE.modules[0], alerts)
    assert results(alerts)["mag_rate"].notna().all()


def test_an_empty_batch() -> None:
    assert len(PIPELINE.run(batch_of(PIPELINE, []))) == 0
    columns = fast_transient.build(Config()).compute(AlertBatch.from_struct(batch_of(PIPELINE, [])))
    assert all(len(values) == 0 for values in columns.values())
