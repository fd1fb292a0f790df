"""Scores, colours and votes of supernovae as plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from dash import no_update
from science_rows import FIRST_JD, alerts_of, object_of, words_of

from fink_broker.portal.web.object_tabs.supernovae import (
    TAB,
    chosen,
    colour_plot,
    properties,
    range_of,
    rates_plot,
    scores_plot,
    t2_plot,
    t2_votes,
    time_range,
)


def test_it_takes_two_alerts() -> None:
    assert TAB.why_not(object_of(alerts_of(1)))
    assert not TAB.why_not(object_of(alerts_of(2)))


def test_scores_are_over_time_with_the_threshold() -> None:
    alerts = alerts_of(3, **{"d:snn_snia_vs_nonia": [0.1, 0.6, None], "d:snn_sn_vs_all": 0.4, "d:rf_kn_vs_nonkn": 0.3})
    plot = scores_plot(alerts)
    assert [trace.name for trace in plot.data] == ["SN Ia", "SNe", "Early SN Ia"]
    assert list(plot.data[0].y) == [0.1, 0.6]
    assert list(plot.data[0].customdata) == alerts["i:candid"].astype(str).tolist()[:2]
    assert len(plot.data[2].x) == 0  # nobody scored them
    (line,) = plot.layout.shapes
    assert (line.y0, line.line.dash) == (0.5, "dash")
    assert scores_plot(alerts, kilonova=True).data[3].name == "Kilonova"


def test_t2_votes_are_of_the_highest_label() -> None:
    scores = {"d:t2_SNIa": [0.7, 0.2, 0.0], "d:t2_KN": [0.1, 0.6, 0.0], "d:t2_AGN": [0.2, 0.7, 0.0]}
    votes = t2_votes(alerts_of(3, **scores))
    assert votes == {"SNIa": 1, "KN": 0, "AGN": 1}  # the last alert was not classified
    (radar,) = t2_plot(votes).data
    assert list(radar.theta) == ["SNIa", "KN", "AGN", "SNIa"]


@pytest.mark.parametrize("scores", [{}, {"d:t2_SNIa": None}, {"d:t2_SNIa": -1.0}])
def test_no_votes_where_t2_said_nothing(scores: dict[str, Any]) -> None:
    assert t2_votes(alerts_of(2, **scores)) == {}


def test_colour_is_at_points_in_g() -> None:
    alerts = alerts_of(
        4,
        **{
            "i:jd": FIRST_JD + np.array([0.0, 0.1, 5.0, 5.1]),
            "v:g-r": [0.2, 0.2, None, 0.5],
            "v:sigma(g-r)": 0.1,
            "v:rate": 0.05,
            "v:sigma(rate)": 0.01,
        },
    )
    (trace,) = colour_plot(alerts).data
    assert list(trace.y) == [0.2]  # of fid 1, 2, 1, 2 only the first in g has one
    assert [trace.name for trace in rates_plot(alerts).data] == ["g", "r", "g − r"]


def test_a_colour_is_not_that_of_a_neighbour() -> None:
    alerts = alerts_of(3, **{"i:jd": [0.0, 0.25, 0.5], "i:fid": [1, 1, 2], "v:g-r": 0.2, "v:rate(g-r)": 0.1})
    (trace,) = colour_plot(alerts).data
    assert list(trace.customdata) == alerts["i:candid"].astype(str).tolist()[1:2]
    assert list(rates_plot(alerts).data[-1].y) == [0.1]


def test_values_that_stand_for_nothing_are_dashes() -> None:
    unknown = {"i:drb": None, "i:distpsnr1": -999.0, "d:cdsxmatch": "null", "d:tns": "nan", "i:jdstarthist": FIRST_JD}
    shown = words_of(properties(alerts_of(1, **unknown).iloc[0]))
    assert "-999" not in shown and "null" not in shown and "nan" not in shown
    assert "Days since the first detection 0.0" in shown


@pytest.mark.parametrize("before", [None, [], {"layout": []}, {"layout": {"xaxis": {"range": ["2024-01-01", 5]}}}])
def test_a_forged_plot_has_no_range(before: Any) -> None:
    assert range_of(before) is None
    assert range_of({"layout": {"xaxis": {"range": ["2024-01-01", "2024-02-01"]}}}) == ["2024-01-01", "2024-02-01"]


def test_all_plots_begin_and_end_together() -> None:
    data = object_of(alerts_of(3), upper_limits=pd.DataFrame({"i:jd": [2460490.5]}))
    first, last = time_range(data)
    assert "2024-06-28" < first < "2024-06-29" and last > "2024-07-14"


def test_a_click_shows_the_alert() -> None:
    data = object_of(alerts_of(3))
    clicked = {"points": [{"customdata": str(data.alerts["i:candid"][1])}]}
    assert str(data.alerts["i:candid"][1]) in str(chosen(data, clicked))
    assert "18.100" in words_of(chosen(data, clicked))


@pytest.mark.parametrize("clicked", [None, {}, {"points": []}, {"points": [{"customdata": "<script>"}]}, [1], "x"])
def test_a_click_on_nothing_changes_nothing(clicked: Any) -> None:
    assert chosen(object_of(alerts_of(2)), clicked) is no_update
