"""What the tabs of the sciences share: points with errors, a plot with its words, a table of names and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from fink_broker.alert.lightcurve import Floats
from fink_broker.portal.web.light_curve import SHAPES, band_name, dates
from fink_broker.portal.web.photometry import column
from fink_broker.portal.web.theme import BAND_COLOURS, HEX_COLOURS, graph_config

MJD_ZERO = 2400000.5
#: of plots, pixels
HEIGHT = 320
#: of values there are none of
NO_VALUE = "–"
#: of lines and words in plots, seen on light and dark
GREY = HEX_COLOURS["gray"]


def markers(
    rows: pd.DataFrame, values: Floats, *, name: str, unit: str, colour: str, symbol: str = "circle",
    errors: Floats | None = None, asymmetric: Floats | None = None,
) -> go.Scatter:  # fmt: skip
    """Return values over time as points; ``customdata`` is the candid as text.

    Parameters
    ----------
    rows : pandas.DataFrame, shape (rows, …)
        Alerts with ``i:jd`` (days) and ``i:candid``; those without a value are left out.
    values : numpy.ndarray, shape (rows,)
        What is plotted.
    name, unit : str
        For the legend and the hover text.
    colour, symbol : str
        Of the points.
    errors, asymmetric : numpy.ndarray, shape (rows,), optional
        Length of error bars; with ``asymmetric`` it is the part below.
    """
    shown = np.isfinite(values)
    jd, values = column(rows, "i:jd")[shown], values[shown]
    bars: dict[str, object] = {"color": colour, "thickness": 1, "width": 0}
    texts = [f"{name}: {value:.3f}{unit}" for value in values]
    if errors is not None:
        bars |= {"type": "data", "array": errors[shown]}
        if asymmetric is not None:
            bars |= {"symmetric": False, "arrayminus": asymmetric[shown]}
        else:
            texts = [
                f"{name}: {value:.3f} ± {error:.3f}{unit}" for value, error in zip(values, errors[shown], strict=True)
            ]
    return go.Scatter(
        x=dates(jd), y=values, mode="markers", name=name, customdata=rows["i:candid"][shown].astype(str).tolist(),
        error_y=bars if errors is not None else None, marker={"color": colour, "symbol": symbol, "size": 8},
        text=[f"MJD {each - MJD_ZERO:.5f}<br>{text}" for each, text in zip(jd, texts, strict=True)],
        hovertemplate="<b>%{x}</b><br>%{text}<extra></extra>",
    )  # fmt: skip


def by_band(rows: pd.DataFrame) -> Iterable[tuple[str, str, str, pd.DataFrame]]:
    """Give name, colour, symbol and rows of each band that an object was seen in."""
    fid = column(rows, "i:fid")
    for band in np.unique(fid[np.isfinite(fid)]).astype(int).tolist():
        yield band_name(band), BAND_COLOURS.get(band, GREY), SHAPES.get(band, "circle"), rows[fid == band]


def time_axis(plot: go.Figure) -> go.Figure:
    """Make the horizontal axis one of dates, as that of light curves."""
    return plot.update_xaxes(title="Date (UTC)", type="date", hoverformat="%Y-%m-%d %H:%M:%S")


def shown_plot(
    identifier: str,
    plot: go.Figure,
    label: str,
    caption: str = "",
    *,
    height: int = HEIGHT,
    graph_id: Mapping[str, str] | None = None,
) -> Component:
    """Return a plot with its words, in a place that is as high as the plot before it comes.

    Parameters
    ----------
    identifier : str
        Of the graph, or of its place if the graph has an identifier of its own; files are named by it.
    plot : plotly.graph_objects.Figure
        The plot.
    label : str
        What it shows, for those who cannot see it.
    caption : str
        What helps to read it.
    height : int
        In pixels.
    graph_id : mapping, optional
        Identifier of the graph that callbacks of many graphs match.
    """
    plot.update_layout(height=height)
    config: Any = graph_config(identifier)
    graph = dcc.Graph(
        id=dict(graph_id) if graph_id else identifier, figure=plot, config=config, style={"height": f"{height}px"}
    )
    words = [dmc.Text(caption, size="sm", className="science-caption")] if caption else []
    named = {"id": identifier} if graph_id else {}
    # the graph has no height before its script is there
    place = html.Div(graph, style={"minHeight": f"{height}px"}, **named)
    return html.Figure([place, *words], className="science-figure", **aria(label))


def name_value_table(rows: Sequence[tuple[str, str | Component]], label: str) -> Component:
    """Return names and values as a table."""
    body = [html.Tr([html.Th(name, scope="row"), html.Td(value)]) for name, value in rows]
    return html.Table(html.Tbody(body), className="science-values", **aria(label))


def listed(names: Sequence[str], rows: Iterable[Sequence[str | Component]], label: str) -> Component:
    """Return rows under names as a table that scrolls where it is too wide."""
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in names]))
    body = html.Tbody([html.Tr([html.Td(cell) for cell in row]) for row in rows])
    table = html.Table([head, body], className="science-list", **aria(label))
    return html.Div(table, className="science-scroll", tabIndex=0, role="region", **aria(label))


def aria(label: str, **further: str) -> dict[str, Any]:
    """Return what tells those who cannot see what something is."""
    return {"aria-label": label} | {f"aria-{name}": value for name, value in further.items()}


def number(value: object, digits: int = 3, unit: str = "") -> str:
    """Return a number with its unit as text, a dash where there is none."""
    try:
        found = float(value)  # type: ignore[arg-type]  # whatever the archive holds
    except (TypeError, ValueError):
        return NO_VALUE
    return f"{found:.{digits}f}{unit}" if np.isfinite(found) else NO_VALUE
