"""The tab of supernovae: how the scores of the classifiers, the colour and its rate went along the light curve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, no_update
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.light_curve import band_name, dates, is_paired, light_curve
from fink_broker.portal.web.object_data import ObjectData, read_object
from fink_broker.portal.web.object_tabs.science_plots import (
    GREY,
    HEIGHT,
    MJD_ZERO,
    NO_VALUE,
    by_band,
    markers,
    name_value_table,
    number,
    shown_plot,
    time_axis,
)
from fink_broker.portal.web.photometry import column
from fink_broker.portal.web.results.values import class_of, date_of, first_detection, number_of, text_of
from fink_broker.portal.web.site import Site, Tab
from fink_broker.portal.web.theme import HEX_COLOURS, figure

#: scores over time: column, name, colour, symbol
SCORES = (
    ("d:snn_snia_vs_nonia", "SN Ia", HEX_COLOURS["red"], "circle"),
    ("d:snn_sn_vs_all", "SNe", HEX_COLOURS["blue"], "square"),
    ("d:rf_snia_vs_nonia", "Early SN Ia", HEX_COLOURS["lime"], "diamond"),
)
KILONOVA = ("d:rf_kn_vs_nonkn", "Kilonova", HEX_COLOURS["grape"], "cross")
#: a score above this counts as a candidate
THRESHOLD = 0.5
#: computed columns, which the API gives where they are asked for
COLOURS = ("v:g-r", "v:sigma(g-r)", "v:rate(g-r)", "v:sigma(rate(g-r))", "v:rate", "v:sigma(rate)")
_T2 = "d:t2_"
_NO_T2 = frozenset({"d:t2_class", "d:t2_maxprob"})
_TYPE = "supernovae-plot"


def _why_not(data: ObjectData) -> str:
    return "It takes more than one alert." if len(data.alerts) < 2 else ""


def scores_plot(alerts: pd.DataFrame, *, kilonova: bool = False) -> go.Figure:
    """Return the scores of the classifiers over time, 0 to 1, with a dashed line at `THRESHOLD`.

    Parameters
    ----------
    alerts : pandas.DataFrame
        Alerts by time.
    kilonova : bool
        Whether the score of kilonovae is there, too.
    """
    plot = figure()
    for name, label, colour, symbol in (*SCORES, *([KILONOVA] if kilonova else [])):
        plot.add_trace(markers(alerts, column(alerts, name), name=label, unit="", colour=colour, symbol=symbol))
    plot.add_hline(y=THRESHOLD, line={"color": GREY, "dash": "dash", "width": 1.5})
    plot.update_yaxes(title="Score (0 to 1)", range=[-0.04, 1.04])
    return time_axis(plot)


def t2_votes(alerts: pd.DataFrame) -> dict[str, int]:
    """Return how often each class of T2 had the highest probability; empty where T2 said nothing."""
    names = [str(name) for name in alerts if str(name).startswith(_T2) and name not in _NO_T2]
    if not names:
        return {}
    scores = np.stack([column(alerts, name) for name in names], axis=1)
    scores = np.nan_to_num(scores[np.any(scores > 0, axis=1)], nan=-1.0)
    if not len(scores):
        return {}
    votes = Counter(np.argmax(scores, axis=1).tolist())
    return {name.removeprefix(_T2): votes[number] for number, name in enumerate(names)}


def t2_plot(votes: Mapping[str, int]) -> go.Figure:
    """Return the votes of T2 as a radar."""
    names, counts = [*votes, next(iter(votes))], [*votes.values(), next(iter(votes.values()))]
    plot = figure()
    plot.add_trace(
        go.Scatterpolar(
            r=counts, theta=names, fill="toself", name="alerts", line={"color": HEX_COLOURS["indigo"]},
            hovertemplate="%{theta}: highest in %{r} alerts<extra></extra>",
        )
    )  # fmt: skip
    return plot.update_layout(polar={"bgcolor": "rgba(0,0,0,0)", "radialaxis": {"rangemode": "tozero"}})


def colour_plot(alerts: pd.DataFrame) -> go.Figure:
    """Return g − r at the points in g that have one in r within 0.3 days."""
    in_g = alerts[is_paired(column(alerts, "i:jd"), column(alerts, "i:fid"))]
    plot = figure()
    values, errors = column(in_g, "v:g-r"), column(in_g, "v:sigma(g-r)")
    plot.add_trace(markers(in_g, values, name="g − r", unit=" mag", colour=HEX_COLOURS["violet"], errors=errors))
    plot.update_yaxes(title="g − r (mag)")
    return time_axis(plot)


def rates_plot(alerts: pd.DataFrame) -> go.Figure:
    """Return how fast magnitudes change in each band, and the colour."""
    plot = figure()
    for name, colour, symbol, rows in by_band(alerts):
        values, errors = column(rows, "v:rate"), column(rows, "v:sigma(rate)")
        plot.add_trace(markers(rows, values, name=name, unit=" mag/day", colour=colour, symbol=symbol, errors=errors))
    in_g = alerts[is_paired(column(alerts, "i:jd"), column(alerts, "i:fid"))]
    values, errors = column(in_g, "v:rate(g-r)"), column(in_g, "v:sigma(rate(g-r))")
    plot.add_trace(
        markers(in_g, values, name="g − r", unit=" mag/day", colour=HEX_COLOURS["violet"], symbol="x", errors=errors)
    )
    plot.add_hline(y=0, line={"color": GREY, "dash": "dot", "width": 1})
    plot.update_yaxes(title="Rate (mag/day)")
    return time_axis(plot)


def time_range(data: ObjectData) -> list[str]:
    """Return the dates all plots begin and end with, as texts: of everything the light curve shows."""
    jd = np.concatenate([column(rows, "i:jd") for rows in (data.alerts, data.upper_limits, data.bad_quality)])
    margin = max(0.03 * (jd.max() - jd.min()), 0.2)
    first, last = dates(np.array([jd.min() - margin, jd.max() + margin])).tolist()
    return [first, last]


def properties(alert: pd.Series) -> Component:
    """Return what is known of one alert, as a card."""
    row = alert.to_dict()

    def said(name: str, digits: int = 3, unit: str = "") -> str:
        return number(number_of(row, name), digits, unit)

    first, jd = first_detection(row), float(row["i:jd"])
    magnitude = f"{said('i:magpsf')} ± {said('i:sigmapsf')} mag"
    rows: list[tuple[str, str | Component]] = [
        ("Date (UTC)", date_of(jd) or NO_VALUE),
        ("MJD", number(jd - MJD_ZERO, 5)),
        ("Band", band_name(int(row["i:fid"]))),
        ("Difference magnitude", magnitude),
        ("Class", class_of(row)),
        *((f"Score, {label}", said(name)) for name, label, *_ in (*SCORES, KILONOVA)),
        ("Days since the first detection", number(None if first is None else jd - first, 1)),
        ("Detections so far", said("i:ndethist", 0)),
        ("Real-bogus (drb)", said("i:drb")),
        ("Star-galaxy (classtar)", said("i:classtar")),
        ("Nearest reference source", said("i:distnr", 2, "″")),
        ("Nearest Pan-STARRS source", said("i:distpsnr1", 2, "″")),
        ("SIMBAD", text_of(row, "d:cdsxmatch") or NO_VALUE),
        ("TNS", text_of(row, "d:tns") or NO_VALUE),
    ]
    return name_value_table(rows, f"Alert {row['i:candid']}")


def _build(data: ObjectData, site: Site) -> Component:
    curve = light_curve(data, height=HEIGHT).update_layout(uirevision=None, xaxis_range=time_range(data))
    label = f"Light curve of {data.object_id}: difference magnitudes over time"
    return dmc.Grid(
        [
            dmc.GridCol(
                [_linked("light-curve", curve, label), _sub_tabs(data, site)],
                span={"base": 12, "lg": 8},
            ),
            dmc.GridCol(
                dmc.Paper(
                    [
                        dmc.Title("The alert", order=2, size="h4", mb="xs"),
                        dmc.Text("The latest; choose a point for another.", size="sm", className="science-caption"),
                        dmc.Box(properties(data.latest), id="supernovae-alert", **{"aria-live": "polite"}),
                    ],
                    withBorder=True,
                    p="md",
                ),
                span={"base": 12, "lg": 4},
            ),
        ],
        gutter="lg",
    )  # fmt: skip


def _sub_tabs(data: ObjectData, site: Site) -> Component:
    try:
        asked = ("i:objectId", "i:candid", "i:jd", "i:fid", *COLOURS)
        colours = site.api.rows("objects", objectId=data.object_id, columns=asked).sort_values("i:jd", kind="stable")
        colour, rates = _colour_panel(data, colours), _rates_panel(data, colours)
    except ApiError as error:
        colour = rates = notices.failure(error)
    panels = {
        "scores": ("SN scores", _scores_panel(data)),
        "t2": ("T2 scores", _t2_panel(data)),
        "colour": ("Color evolution", colour),
        "rates": ("Color and mag rate", rates),
    }
    tabs = dmc.TabsList([dmc.TabsTab(label, value=name) for name, (label, _) in panels.items()])
    shown = [dmc.TabsPanel(content, value=name, pt="md") for name, (_, content) in panels.items()]
    return dmc.Tabs([tabs, *shown], value="scores", keepMounted=False, mt="md")


def _scores_panel(data: ObjectData) -> Component:
    switch = dmc.Switch(id="supernovae-kilonova", label="Kilonova score, too", size="sm", mb="xs")
    words = "Dashed: 0.5, from which on an alert counts as a candidate. 0: the alert has too few points for a score."
    scores = scores_plot(data.alerts).update_xaxes(range=time_range(data))
    plot = _linked("scores", scores, "Scores of the supernova classifiers over time", words)
    return dmc.Box([switch, plot])


def _t2_panel(data: ObjectData) -> Component:
    votes = t2_votes(data.alerts)
    if not votes:
        return notices.notice("T2", "No classification from T2 yet.")
    label = "How often T2 gave each class the highest probability: " + ", ".join(f"{k} {n}" for k, n in votes.items())
    return shown_plot(
        "supernovae-t2", t2_plot(votes), label, "How many alerts had each class as the most probable one."
    )


def _colour_panel(data: ObjectData, colours: pd.DataFrame) -> Component:
    plot = colour_plot(colours).update_xaxes(range=time_range(data))
    if not len(plot.data[0].x):
        return notices.nothing("No colour", "No point in g has one in r within 0.3 days.")
    words = "At the points in g that have one in r within 0.3 days."
    return _linked("colour", plot, f"Colour g − r of {data.object_id} over time", words)


def _rates_panel(data: ObjectData, colours: pd.DataFrame) -> Component:
    plot = rates_plot(colours).update_xaxes(range=time_range(data))
    words = (
        "Below 0 it brightens, and becomes bluer. Each since the previous point of the band, or the previous colour."
    )
    return _linked("rates", plot, f"Rates of magnitude and colour of {data.object_id}", words)


def _linked(name: str, plot: go.Figure, label: str, caption: str = "") -> Component:
    """Return a plot whose stretch of time is that of the others, and whose points show their alert."""
    return shown_plot(f"supernovae-{name}", plot, label, caption, graph_id=_plot_id(name))


def _plot_id(name: Any) -> dict[str, Any]:
    return {"type": _TYPE, "name": name}


def _register(app: Dash, site: Site) -> None:
    app.clientside_callback(
        ClientsideFunction("science_tabs", "same_times"),
        Output(_plot_id(ALL), "figure", allow_duplicate=True),
        Input(_plot_id(ALL), "relayoutData"),
        State(_plot_id(ALL), "figure"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("supernovae-alert", "children"),
        Input(_plot_id(ALL), "clickData"),
        State("object-id", "data"),
        prevent_initial_call=True,
    )
    def choose(clicks: Any, object_id: Any) -> Any:
        del clicks  # of all plots: the last is what triggered this
        try:
            return chosen(read_object(site.api, str(object_id)), ctx.triggered[0]["value"])
        except ApiError as error:
            return notices.failure(error)

    @app.callback(
        Output(_plot_id("scores"), "figure"),
        Input("supernovae-kilonova", "checked"),
        State("object-id", "data"),
        State(_plot_id("scores"), "figure"),
        prevent_initial_call=True,
    )
    def with_kilonova(is_on: Any, object_id: Any, before: Any) -> Any:
        try:
            plot = scores_plot(read_object(site.api, str(object_id)).alerts, kilonova=bool(is_on))
        except ApiError:
            return no_update
        return plot.update_layout(height=HEIGHT).update_xaxes(range=range_of(before))


def range_of(plot: Any) -> list[str] | None:
    """Return the dates a plot begins and ends with, as a browser sent it back; None if it does not say."""
    found = plot
    for name in ("layout", "xaxis", "range"):
        found = found.get(name) if isinstance(found, dict) else None
    is_range = isinstance(found, list) and len(found) == 2 and all(isinstance(date, str) for date in found)
    return found if is_range else None


def chosen(data: ObjectData, clicked: Any) -> Any:
    """Return the properties of the alert a click is on; what is no alert changes nothing."""
    try:
        candid = str(clicked["points"][0]["customdata"])
    except (TypeError, KeyError, IndexError):
        return no_update
    found = data.alerts[data.alerts["i:candid"].astype(str) == candid]
    return no_update if found.empty else properties(found.iloc[0])


TAB = Tab("supernovae", "Supernovae", _why_not, _build, _register)
