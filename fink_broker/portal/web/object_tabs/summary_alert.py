"""What one alert says: the scores the broker's modules gave it, and all its columns."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
import pandas as pd
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.light_curve import band_name
from fink_broker.portal.web.object_data import ObjectData, read_object
from fink_broker.portal.web.results.values import date_of, number_of
from fink_broker.portal.web.site import Site


@dataclass(frozen=True)
class Score:
    """A score between 0 and 1.

    Parameters
    ----------
    column : str
        Where it is; negative values stand for none.
    name : str
        What visitors read.
    meaning : str
        What 1 says.
    """

    column: str
    name: str
    meaning: str


SCORES = (
    Score("i:drb", "Deep real-bogus", "real, by a neural network"),
    Score("i:rb", "Real-bogus", "real, by a random forest"),
    Score("i:classtar", "Point-like", "a star rather than a galaxy"),
    Score("d:snn_sn_vs_all", "Supernova", "supernova, by SuperNNova"),
    Score("d:snn_snia_vs_nonia", "SN Ia", "supernova Ia, by SuperNNova"),
    Score("d:rf_snia_vs_nonia", "Early SN Ia", "supernova Ia before its peak, by a random forest"),
    Score("d:rf_kn_vs_nonkn", "Kilonova", "kilonova, by a random forest"),
    Score("d:slsn_score", "Superluminous SN", "superluminous supernova"),
    Score("d:mulens", "Microlensing", "microlensing, by LIA"),
)
_ANOMALY = "d:anomaly_score"
_LONGEST_TEXT = 400
_TABLE_HEIGHT = 440


def scores(data: ObjectData, site: Site) -> Component:
    """Return the place of the scores of the chosen alert."""
    del data, site
    return html.Div(dmc.Skeleton(height=260), id="object-scores")


def content(data: ObjectData, site: Site) -> Component:
    """Return the table of all columns of the chosen alert, with what they mean, and a field that filters it."""
    return html.Div(
        [
            dcc.Store(id="object-columns"),
            dcc.Store(id="object-meanings", data=_meanings(site)),
            dmc.Group(
                [
                    dmc.TextInput(id="object-filter", label="Filter", placeholder="mag, gaia …", size="xs", w=240),
                    html.Span(id="object-filtered", role="status", className="object-count"),
                ],
                align="flex-end", mb="sm",
            ),
            html.Div(
                dmc.Table(
                    id="object-content",
                    data={"head": ["Column", "Value", "Meaning"], "body": []},
                    striped=True,
                    highlightOnHover=True,
                    stickyHeader=True,
                    verticalSpacing=4,
                    className="object-content",
                ),
                className="object-scroll",
                style={"height": _TABLE_HEIGHT},
                role="region",
                tabIndex=0,
                **{"aria-label": f"Columns of an alert of {data.object_id}"},
            ),
        ]
    )  # fmt: skip


def register(app: Dash, site: Site) -> None:
    """Add what follows the chosen alert."""

    @app.callback(Output("object-scores", "children"), Input("object-candid", "data"), State("object-id", "data"))
    def show_scores(candid: Any, object_id: Any) -> Any:
        try:
            return score_bars(alert_of(read_object(site.api, str(object_id)), candid))
        except ApiError as error:
            return notices.failure(error)

    @app.callback(Output("object-columns", "data"), Input("object-candid", "data"), State("object-id", "data"))
    def show_columns(candid: Any, object_id: Any) -> Any:
        try:
            return columns_of(alert_of(read_object(site.api, str(object_id)), candid))
        except ApiError:
            return no_update

    app.clientside_callback(
        ClientsideFunction("object", "filter"),
        Output("object-content", "data"),
        Output("object-filtered", "children"),
        Input("object-columns", "data"),
        Input("object-filter", "value"),
        State("object-meanings", "data"),
    )


def alert_of(data: ObjectData, candid: Any) -> pd.Series:
    """Return an alert by its identifier, the latest one if it is none of the object's."""
    found = data.alerts[data.alerts["i:candid"].astype(str) == str(candid)]
    return data.latest if found.empty else found.iloc[-1]


def columns_of(alert: pd.Series) -> list[list[str]]:
    """Return the names and values of an alert's columns as texts, missing values empty."""
    return [[str(name), written(value)] for name, value in alert.items() if name != "d:tag"]


def written(value: Any) -> str:
    """Return a value as text; identifiers in full, numbers to the digits they are known to."""
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, float) or (
        hasattr(value, "dtype") and getattr(value.dtype, "kind", "") == "f" and value.ndim == 0
    ):
        return "" if math.isnan(float(value)) else str(value)
    text = str(value.tolist()) if hasattr(value, "tolist") else str(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def score_bars(alert: pd.Series) -> Component:
    """Return the scores of an alert as bars."""
    when = f"{date_of(float(alert['i:jd']))} UTC, {band_name(int(alert['i:fid']))}"
    rows = [_bar(score, _number(alert, score.column)) for score in SCORES if score.column in alert.index]
    anomaly = _number(alert, _ANOMALY)
    further = [] if math.isnan(anomaly) else [
        dmc.Text(f"Anomaly score: {anomaly:.3f}. Below 0 it is unusual: the lower, the more.", size="sm", mt="sm")
    ]  # fmt: skip
    return html.Div(
        [
            dmc.Text(f"Alert of {when}.", size="sm", c="dimmed", mb="xs"),
            html.Ul(rows, className="object-bars"),
            *further,
        ]
    )


def _bar(score: Score, value: float) -> Component:
    is_known = 0 <= value <= 1
    return html.Li(
        [
            html.Span(score.name, className="object-bar-name", title=f"1: {score.meaning}"),
            html.Span(
                html.Span(className="object-bar-fill", style={"width": f"{100 * value if is_known else 0:.1f}%"}),
                className="object-bar", **{"aria-hidden": "true"},
            ),
            html.Span(f"{value:.2f}" if is_known else "–", className="object-bar-value object-number"),
            html.Span(score.meaning if is_known else "no score", className="object-bar-said"),
        ]
    )  # fmt: skip


def _number(alert: pd.Series, name: str) -> float:
    value = number_of(alert.to_dict(), name)
    return math.nan if value is None else value


def _meanings(site: Site) -> dict[str, str]:
    """Return what each column means, empty if the API does not say."""
    try:
        groups = json.loads(site.api.file("schema").content)
    except (ApiError, ValueError):
        return {}
    found: dict[str, str] = {}
    for title, columns in groups.items() if isinstance(groups, dict) else ():
        prefix = str(title).rpartition("(")[2].rstrip(")")
        for name, column in columns.items() if isinstance(columns, dict) else ():
            found[f"{prefix}{name}"] = str(column.get("doc", "")) if isinstance(column, dict) else ""
    return found
