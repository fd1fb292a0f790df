"""The light curve as a plot."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from fink_broker.portal.web.light_curve import MODES, colour_pairs, dates, is_paired, light_curve
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.theme import BAND_COLOURS, BAND_SHADES

CANDIDS = [2800127822615010001, 2800127822615010003, 2800127822615010005]


def data(bands: tuple[int, ...] = (1, 2, 1), distance: float = 9.0, limits: int = 1) -> ObjectData:
    """Return an object with an alert for each band, one upper limit, and one measurement of bad quality."""
    number = len(bands)
    alerts = pd.DataFrame(
        {
            "i:candid": CANDIDS[:number],
            "i:jd": [2460000.5, 2460000.7, 2460002.5][:number],
            "i:fid": bands,
            "i:magpsf": [18.0, 17.5, 19.0][:number],
            "i:sigmapsf": [0.05, 0.04, 0.1][:number],
            "i:magnr": [17.0, 16.5, 17.2][:number],
            "i:sigmagnr": [0.02] * number,
            "i:isdiffpos": ["t", "t", "f"][:number],
            "i:distnr": [distance] * number,
        }
    )
    upper = pd.DataFrame({"i:jd": [2459999.5], "i:fid": [2], "i:diffmaglim": [20.5]}).iloc[:limits]
    bad = alerts.iloc[:1].assign(**{"i:jd": 2460004.5, "i:candid": -1})
    return ObjectData("ZTF24aaaaaaa", alerts, upper, bad)


def traces(plot: go.Figure, symbol: str) -> list[go.Scatter]:
    return [trace for trace in plot.data if trace.marker.symbol == symbol]


def test_points_name_their_alerts_to_the_last_digit() -> None:
    plot = light_curve(data())
    named = sorted(candid for trace in plot.data for candid in trace.customdata if candid)
    assert named == [str(candid) for candid in CANDIDS]


def test_difference_magnitudes_grow_downwards() -> None:
    assert light_curve(data()).layout.yaxis.autorange == "reversed"
    assert light_curve(data(), "dc_flux").layout.yaxis.autorange != "reversed"


def test_points_fainter_than_the_reference_are_lighter_and_say_so() -> None:
    circles = traces(light_curve(data()), "circle")
    assert [trace.marker.color for trace in circles] == [BAND_COLOURS[1], BAND_SHADES[1]]
    assert [["(-)" in text for text in trace.text] for trace in circles] == [[False], [True]]


def test_limits_are_open_triangles_and_bad_points_filled_ones() -> None:
    plot = light_curve(data())
    (limits,), (bad,) = traces(plot, "triangle-down-open"), traces(plot, "triangle-up")
    assert (list(limits.y), list(bad.y)) == ([20.5], [18.0])
    assert limits.legendgroup == "r"


def test_a_click_on_the_legend_takes_all_points_of_a_band() -> None:
    plot = light_curve(data())
    shown = [trace.legendgroup for trace in plot.data if trace.showlegend is not False]
    assert sorted(shown) == ["g", "r"]
    assert {trace.legendgroup for trace in plot.data} == {"g", "r"}


def test_no_limits_leave_a_light_curve() -> None:
    assert len(traces(light_curve(data(limits=0)), "circle")) == 2


def test_apparent_magnitudes_have_the_mean_of_the_reference() -> None:
    plot = light_curve(data(distance=0.3), "dc_magnitude")
    assert sorted(line.y0 for line in plot.layout.shapes) == pytest.approx([16.5, 17.1])
    assert not traces(plot, "triangle-down-open")
    assert "Apparent" in plot.layout.yaxis.title.text


def test_without_a_source_behind_dc_magnitude_is_the_difference() -> None:
    plot = light_curve(data(distance=4.0), "dc_magnitude")
    assert not plot.layout.shapes
    assert np.concatenate([trace.y for trace in traces(plot, "circle")]).tolist() == [18.0, 19.0]


def test_colour_is_that_of_points_close_in_time() -> None:
    pairs = colour_pairs(data().alerts, is_apparent=False)
    assert pairs["colour"].tolist() == pytest.approx([0.5])
    assert pairs["error"].tolist() == pytest.approx([np.hypot(0.05, 0.04)])
    plot = light_curve(data(), colour=True)
    assert plot.layout.yaxis2.title.text == "g − r (mag)"
    assert plot.layout.yaxis.domain[0] > plot.layout.yaxis2.domain[1]


def test_a_point_takes_no_colour_of_its_neighbour() -> None:
    alerts = data(bands=(1, 1, 2)).alerts.assign(**{"i:jd": [2460000.0, 2460000.25, 2460000.5]})
    assert colour_pairs(alerts, is_apparent=False).index.tolist() == [1]


def test_pairs_are_those_of_a_search_through_all_points_within_little_memory() -> None:
    random = np.random.default_rng(1)
    number = 3000
    jd, fid = 2460000.5 + random.uniform(0, 1000, number), random.integers(1, 4, number).astype(float)
    nearest = np.abs(jd[:, None] - jd[fid == 2]).min(axis=1)
    tracemalloc.start()
    found = is_paired(jd, fid)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, (fid == 1) & (nearest <= 0.3))
    assert found.any()
    assert peak < 100 * 8 * number
    assert not is_paired(jd, np.ones(number)).any()
    assert is_paired(jd[:0], fid[:0]).shape == (0,)


def test_bands_that_are_hidden_stay_in_the_legend() -> None:
    release = pd.DataFrame({"jd": [2459000.5], "fid": [1], "mag": [17.0], "error": [0.1]})
    for mode in MODES:
        plot = light_curve(data(distance=0.3), mode, release=release, hidden=[1])
        assert {trace.legendgroup for trace in plot.data if trace.visible == "legendonly"} >= {"g"}
        assert all((trace.visible == "legendonly") == (trace.legendgroup in ("g", "g DR")) for trace in plot.data)
        assert len({trace.uid for trace in plot.data}) == len(plot.data)


def test_an_object_without_r_says_that_it_has_no_colour() -> None:
    plot = light_curve(data(bands=(1,)), colour=True)
    assert "No g and r" in plot.layout.annotations[0].text


def test_photometry_of_releases_is_shown_with_apparent_magnitudes_only() -> None:
    release = pd.DataFrame({"jd": [2459000.5], "fid": [1], "mag": [17.0], "error": [0.1]})
    assert not traces(light_curve(data(distance=0.3), release=release), "cross")
    (shown,) = traces(light_curve(data(distance=0.3), "dc_flux", release=release), "cross")
    assert shown.y[0] == pytest.approx(3_631_000 * 10 ** (-0.4 * 17.0))


def test_dates_are_to_the_millisecond() -> None:
    assert dates(np.array([2440587.5, 2460554.6278204364])).tolist() == [
        "1970-01-01T00:00:00.000",
        "2024-09-01T03:04:03.686",
    ]
