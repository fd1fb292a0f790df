"""The plots of a period search: folded, unfolded, and the periodogram."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from fink_broker.alert.lightcurve import Floats
from fink_broker.portal.web.light_curve import SHAPES, band_name, dates
from fink_broker.portal.web.object_tabs.science_plots import GREY, MJD_ZERO, time_axis
from fink_broker.portal.web.theme import BAND_COLOURS, BAND_SHADES, HEX_COLOURS, figure

#: cycles up to which a model is drawn over time; more are a band of colour
MOST_CYCLES = 80
_POINTS_PER_CYCLE = 40


def folded(result: Mapping[str, Any]) -> go.Figure:
    """Return measurements and model over two cycles of a period."""
    plot = figure()
    phases = np.asarray(result["model"]["phase"])
    for band, points in points_by_band(result):
        phase = np.concatenate([points["phase"], points["phase"] + 1])
        plot.add_trace(_points(band, phase, {name: np.tile(each, 2) for name, each in points.items()}))
        curve = np.asarray(result["model"]["mag"][str(band)])
        closed = np.concatenate([phases, phases + 1, [2.0]])
        plot.add_trace(_line(band, closed, np.concatenate([curve, curve, curve[:1]])))
    plot.update_xaxes(title=f"Phase (period {result['period']:.6g} d)", range=[0, 2])
    return _magnitude_axis(plot)


def unfolded(result: Mapping[str, Any]) -> go.Figure:
    """Return measurements over time, and the model where its cycles can be told apart."""
    plot = figure()
    for band, points in points_by_band(result):
        plot.add_trace(_points(band, dates(points["jd"]), points))
        if cycles(result) <= MOST_CYCLES:
            first, last = min(result["points"]["jd"]), max(result["points"]["jd"])
            jd = np.linspace(first, last, int(cycles(result) * _POINTS_PER_CYCLE) + 2)
            phase = (jd - result["epoch"]) / result["period"] % 1
            curve = np.interp(phase, result["model"]["phase"], result["model"]["mag"][str(band)], period=1)
            plot.add_trace(_line(band, dates(jd), curve))
    return _magnitude_axis(time_axis(plot))


def unfolded_said(result: Mapping[str, Any]) -> str:
    """Return what the plot over time shows, in words."""
    if cycles(result) <= MOST_CYCLES:
        return "Lines: the model of each band."
    return f"The model is not drawn: its {cycles(result):,.0f} cycles would cover the plot. Folded shows it."


def cycles(result: Mapping[str, Any]) -> float:
    """Return how many periods the measurements span."""
    return float(result["span"] / result["period"])


def periodogram(result: Mapping[str, Any]) -> go.Figure:
    """Return the score over the period; the one found is marked."""
    plot = figure(showlegend=False)
    found = result["periodogram"]
    plot.add_vline(x=result["period"], line={"color": HEX_COLOURS["orange"], "width": 2, "dash": "dot"})
    plot.add_trace(
        go.Scatter(
            x=found["period"], y=found["power"], mode="lines", line={"color": HEX_COLOURS["indigo"], "width": 1.2},
            hovertemplate="%{x:.6f} d<br>score %{y:.3f}<extra></extra>",
        )
    )  # fmt: skip
    plot.update_xaxes(title="Period (d)")
    return plot.update_yaxes(title="Score (0 to 1)", rangemode="tozero")


def points_by_band(result: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Floats]]]:
    """Give each band (fid) and the columns of its points."""
    columns = {name: np.asarray(each) for name, each in result["points"].items()}
    for band in np.unique(columns["fid"]).tolist():
        yield band, {name: each[columns["fid"] == band] for name, each in columns.items()}


def _points(band: int, x: Any, points: Mapping[str, Floats]) -> go.Scatter:
    colour = BAND_COLOURS.get(band, GREY)
    texts = [
        f"MJD {jd - MJD_ZERO:.5f}<br>{band_name(band)}: {mag:.3f} ± {error:.3f} mag"
        for jd, mag, error in zip(points["jd"], points["mag"], points["error"], strict=True)
    ]
    return go.Scatter(
        x=x, y=points["mag"], mode="markers", name=band_name(band), legendgroup=str(band),
        error_y={"type": "data", "array": points["error"], "color": colour, "thickness": 1, "width": 0},
        marker={"color": colour, "symbol": SHAPES.get(band, "circle"), "size": 7},
        text=texts, hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _line(band: int, x: Any, curve: Floats) -> go.Scatter:
    return go.Scatter(
        x=x, y=curve, mode="lines", name=f"{band_name(band)}, model", legendgroup=str(band), showlegend=False,
        line={"color": BAND_SHADES.get(band, GREY), "width": 2}, hoverinfo="skip",
    )  # fmt: skip


def _magnitude_axis(plot: go.Figure) -> go.Figure:
    return plot.update_yaxes(title="Magnitude (AB)", autorange="reversed")
