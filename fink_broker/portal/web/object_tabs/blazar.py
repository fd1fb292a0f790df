"""The tab of gamma-ray blazars: how bright they are against the levels of their low and high states.

Each alert of such a blazar carries its flux, and the mean flux of the days before it, over these levels
(:mod:`fink_broker.science.blazars`).
"""

from __future__ import annotations

from typing import Literal

import dash_mantine_components as dmc
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from dash import Dash
from dash.development.base_component import Component

from fink_broker.alert.lightcurve import Floats
from fink_broker.alert.photometry import MAG_PER_RELATIVE_ERROR
from fink_broker.portal.web.light_curve import band_name
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.object_tabs.science_plots import (
    NO_VALUE,
    by_band,
    listed,
    markers,
    number,
    shown_plot,
    time_axis,
)
from fink_broker.portal.web.photometry import apparent_magnitudes, column
from fink_broker.portal.web.site import Site, Tab
from fink_broker.portal.web.theme import HEX_COLOURS, figure
from fink_broker.science.blazars import HIGH_DAYS, LOW_DAYS

State = Literal["low", "between", "high", "unknown"]
#: name, Mantine's colour and meaning of each state
STATES: dict[State, tuple[str, str, str]] = {
    "low": (
        "Quiescent (low)",
        "blue",
        f"The flux, and its mean over {LOW_DAYS:.0f} days, are below the low level of this blazar: "
        "what is left may be the galaxy and the quiet jet.",
    ),
    "between": ("In between", "gray", "Neither quiescent nor high: the usual flickering."),
    "high": (
        "High",
        "red",
        f"The flux, and its mean over {HIGH_DAYS:.0f} days, are above the high level of this blazar: a flare, "
        "worth a look at gamma rays.",
    ),
    "unknown": ("Not known", "gray", "The alert does not say: a point was missing."),
}
_LAST_LOW, _MEAN_LOW = "d:blazar_stats_instantness_low", "d:blazar_stats_robustness_low"
_LAST_HIGH, _MEAN_HIGH = "d:blazar_stats_instantness_high", "d:blazar_stats_robustness_high"
_QUANTILE = "d:blazar_stats_cdf_quantile"
#: colour of the mean over time, seen on light and dark
_TEAL = "#1098AD"


def states(alerts: pd.DataFrame) -> list[State]:
    """Return the state of a blazar at each alert.

    Low: last and mean flux are both in 0 to 1 times the low level; high: both are at least the high level.
    """
    last, mean = ratio(alerts, _LAST_LOW), ratio(alerts, _MEAN_LOW)
    with np.errstate(invalid="ignore"):
        is_low = (last <= 1) & (mean <= 1)
        is_high = (ratio(alerts, _LAST_HIGH) >= 1) & (ratio(alerts, _MEAN_HIGH) >= 1)
    is_known = np.isfinite(last) & np.isfinite(mean)
    return [
        "low" if low else "high" if high else "between" if known else "unknown"
        for low, high, known in zip(is_low, is_high, is_known, strict=True)
    ]


def ratio(alerts: pd.DataFrame, name: str) -> Floats:
    """Return a ratio, NaN where the alerts say that there is none (-1)."""
    values = column(alerts, name)
    return np.where(values >= 0, values, np.nan)


def high_level(alerts: pd.DataFrame) -> float:
    """Return the level of the high state in units of the low one, NaN where no alert tells."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = ratio(alerts, _LAST_LOW) / ratio(alerts, _LAST_HIGH)
    found = found[np.isfinite(found) & (found > 0)]
    return float(np.median(found)) if len(found) else float("nan")


def flux_errors(alerts: pd.DataFrame) -> Floats:
    """Return errors of the standardised flux: the relative errors of the apparent magnitudes, NaN without one."""
    relative = apparent_magnitudes(alerts)["error"].reindex(alerts.index).to_numpy(np.float64) / MAG_PER_RELATIVE_ERROR
    return ratio(alerts, _LAST_LOW) * relative


def flux_plot(alerts: pd.DataFrame) -> go.Figure:
    """Return the standardised flux over time in units of the low level, by band, with levels and the mean flux."""
    plot = figure()
    for name, colour, symbol, rows in by_band(alerts):
        values, errors = ratio(rows, _LAST_LOW), flux_errors(rows)
        plot.add_trace(markers(rows, values, name=name, unit="", colour=colour, symbol=symbol, errors=errors))
    mean = markers(
        alerts,
        ratio(alerts, _MEAN_LOW),
        name=f"mean of {LOW_DAYS:.0f} days",
        unit="",
        colour=_TEAL,
        symbol="line-ew-open",
    )
    plot.add_trace(mean.update(mode="lines+markers", line={"color": _TEAL, "width": 1, "dash": "dot"}))
    _level(plot, 1.0, "low level", HEX_COLOURS["blue"])
    high = high_level(alerts)
    if np.isfinite(high):
        _level(plot, high, "high level", HEX_COLOURS["red"])
    plot.update_yaxes(title="Standardised flux / low level", rangemode="tozero")
    return time_axis(plot)


def _level(plot: go.Figure, height: float, name: str, colour: str) -> None:
    label = {"text": name, "textposition": "end", "font": {"size": 11}}
    plot.add_hline(y=height, line={"color": colour, "dash": "dash", "width": 1.5}, label=label)


def _why_not(data: ObjectData) -> str:
    there = _LAST_LOW in data.alerts and np.isfinite(ratio(data.alerts, _LAST_LOW)).any()
    return "" if there else "It is none of the gamma-ray blazars that are watched."


def _build(data: ObjectData, site: Site) -> Component:
    del site
    alerts = data.alerts
    of_each = states(alerts)
    label = f"Standardised flux of {data.object_id} over time; the latest state: {STATES[of_each[-1]][0]}"
    words = (
        "Apparent flux over the median of its band, in units of the level below which this blazar is quiescent. "
        "The high level is drawn where the list of blazars has one."
    )
    return dmc.Grid(
        [
            dmc.GridCol(
                [shown_plot("blazar-flux", flux_plot(alerts), label, words, height=400), _history(alerts, of_each)],
                span={"base": 12, "md": 8},
            ),
            dmc.GridCol(_card(of_each), span={"base": 12, "md": 4}),
        ],
        gutter="lg",
    )


def _card(of_each: list[State]) -> Component:
    meanings = [
        dmc.Box([_badge(state, of_each.count(state)), dmc.Text(words, size="sm", mt=4)])
        for state, (_, _, words) in STATES.items()
        if state != "unknown" or state in of_each
    ]
    return dmc.Paper(
        [
            dmc.Title("State", order=2, size="h4", mb="xs"),
            dmc.Group([dmc.Text("At the latest alert:", size="sm"), _badge(of_each[-1])], mb="md"),
            dmc.Stack(meanings, gap="md"),
        ],
        withBorder=True,
        p="md",
    )


def _badge(state: State, count: int | None = None) -> Component:
    name, colour, _ = STATES[state]
    text = name if count is None else f"{name} · {count} alert{'' if count == 1 else 's'}"
    return dmc.Badge(text, color=colour, variant="dot", tt="none", fw=600)


def _history(alerts: pd.DataFrame, of_each: list[State]) -> Component:
    """Return the table of states, the latest first."""
    names = (
        "Date (UTC)", "Band", "State", "Flux / low", f"Mean {LOW_DAYS:.0f} d / low", "Flux / high",
        f"Mean {HIGH_DAYS:.0f} d / high", "Time spent fainter",
    )  # fmt: skip
    ratios = [ratio(alerts, name) for name in (_LAST_LOW, _MEAN_LOW, _LAST_HIGH, _MEAN_HIGH)]
    quantile = ratio(alerts, _QUANTILE)
    rows = []
    for at in range(len(alerts) - 1, -1, -1):
        alert = alerts.iloc[at]
        share = f"{quantile[at]:.0%}" if np.isfinite(quantile[at]) else NO_VALUE
        date, band = str(alert.get("v:lastdate") or NO_VALUE)[:19], band_name(int(alert["i:fid"]))
        rows.append((date, band, STATES[of_each[at]][0], *(number(each[at], 2) for each in ratios), share))
    title = dmc.Title("States", order=2, size="h4", mt="lg", mb="xs")
    return dmc.Box([title, listed(names, rows, "State at each alert, the latest first")])


def _register(app: Dash, site: Site) -> None:
    del app, site  # nothing here changes


TAB = Tab("blazar", "Blazars", _why_not, _build, _register)
