"""Plots of what was counted by night: calendars, bars, lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fink_broker.portal.web.statistics.nights import label_of
from fink_broker.portal.web.theme import CLASS_COLOURS, HEX_COLOURS, class_hex, figure

INDIGO = "#5C7CFA"
CALENDAR_HEIGHT = 168
#: few alerts to many: what is more stands out more, on light and on dark
_FAINTEST, _BLUE = 0.25, (28, 126, 214)
#: of bars: a dark one is seen on dark
_EDGE = {"color": "#868E96", "width": 0.5}
_NOTHING = "rgba(134, 142, 150, 0.16)"
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: classes that have no colour of their own elsewhere
_MORE_COLOURS = {
    "SLSN candidate": "#C2255C", "(CTA) Blazar low state": "#1098AD", "(CTA) Blazar high state": "#0CA678",
    "SIMBAD": HEX_COLOURS["blue"],
}  # fmt: skip
#: so many alerts have a tick each
_FEW = 5
_STEPS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)


def calendar_plot(year: int, counts: pd.Series, most: int) -> go.Figure:
    """Return one year as a calendar: a column a week, a row a day of the week.

    Parameters
    ----------
    year : int
        Which.
    counts : pandas.Series
        Processed alerts by night, of any years.
    most : int
        Of all nights of all years, so that their colours compare.
    """
    days = pd.date_range(date(year, 1, 1), date(year, 12, 31))
    found = counts.groupby(counts.index).sum().reindex(days)
    weekday, week = days.weekday.to_numpy(), (days.dayofyear.to_numpy() - 1 + days[0].weekday()) // 7
    shape = (len(_WEEKDAYS), int(week.max()) + 1)
    grids = [np.full(shape, np.nan), np.full(shape, np.nan)]
    grids[0][weekday, week] = 0.0
    grids[1][weekday, week] = np.log10(found.where(found > 0))
    texts, nights = np.full(shape, "", dtype=object), np.full(shape, "", dtype=object)
    texts[weekday, week] = [_day_text(day, count) for day, count in zip(days, found, strict=True)]
    nights[weekday, week] = [f"{day:%Y%m%d}" if count > 0 else "" for day, count in zip(days, found, strict=True)]
    top = max(np.log10(max(most, 1)), 1.0)
    plot = figure(height=CALENDAR_HEIGHT, margin={"l": 40, "r": 12, "t": 8, "b": 28})
    common = {"xgap": 2, "ygap": 2, "text": texts, "hovertemplate": "%{text}<extra></extra>", "showscale": False}
    plot.add_heatmap(z=grids[0], colorscale=[[0, _NOTHING], [1, _NOTHING]], **common)
    plot.add_heatmap(
        z=grids[1], colorscale=[[0, _colour_at(0)], [1, _colour_at(1)]], zmin=0, zmax=top, customdata=nights, **common
    )
    firsts = days[days.day == 1]
    at = (firsts.dayofyear.to_numpy() - 1 + days[0].weekday()) // 7
    months = [f"{day:%b}" for day in firsts]
    plot.update_xaxes(tickvals=at, ticktext=months, showgrid=False, showline=False, ticks="", fixedrange=True)
    return plot.update_yaxes(
        tickvals=[0, 2, 4, 6], ticktext=_WEEKDAYS[::2], autorange="reversed", showgrid=False, showline=False, ticks="",
        fixedrange=True, automargin=False,
    )  # fmt: skip


def _day_text(day: pd.Timestamp, count: float) -> str:
    return f"{day:%Y-%m-%d}<br>" + (f"{count:,.0f} alerts" if count > 0 else "no alerts")


def scale_steps(most: int) -> list[tuple[str, str]]:
    """Return words and colours of the scale of the calendars, few to many."""
    top = max(np.log10(max(most, 1)), 1.0)
    steps = [step for step in _STEPS if np.log10(step) <= top]
    return [(f"{step:,}", _colour_at(np.log10(step) / top)) for step in steps]


def _colour_at(share: float) -> str:
    return f"rgba{(*_BLUE, round(_FAINTEST + (1.0 - _FAINTEST) * share, 3))}"


def bars_plot(names: Sequence[str], counts: Sequence[int | None], colours: Sequence[str]) -> go.Figure:
    """Return counts as columns with their numbers on top; None: it was not counted."""
    plot = figure(height=250, margin={"l": 56, "r": 12, "t": 24, "b": 32})
    most = max([count for count in counts if count is not None], default=0)
    plot.add_bar(
        x=list(names), y=[count or 0 for count in counts], marker={"color": list(colours)}, width=0.6,
        text=["not counted" if count is None else f"{count:,}" for count in counts], textposition="outside",
        cliponaxis=False, hovertemplate="%{x}: %{text}<extra></extra>",
    )  # fmt: skip
    plot.update_yaxes(title="Alerts", range=[0, max(most, 1) * 1.18], **_whole_numbers(most))
    return plot.update_xaxes(fixedrange=True)


def _whole_numbers(most: int) -> dict[str, object]:
    """Return ticks without fractions, which few alerts would have."""
    return {"dtick": 1} if most <= _FEW else {"tickformat": ",d"}


def labels_plot(counts: pd.Series) -> go.Figure:
    """Return counts of all classes of a night as bars, the most frequent at the top."""
    counts = counts.sort_values()
    names = [label_of(str(name)) for name in counts.index]
    plot = figure(height=26 * len(counts) + 84, margin={"l": 12, "r": 56, "t": 12, "b": 44})
    plot.add_bar(
        y=names, x=counts.to_numpy(), orientation="h", marker={"color": [colour_of(name) for name in names]},
        text=[f"{count:,}" for count in counts], textposition="outside", cliponaxis=False,
        hovertemplate="%{y}: %{x:,} alerts<extra></extra>",
    )  # fmt: skip
    plot.update_xaxes(title="Alerts", rangemode="tozero", fixedrange=True, **_whole_numbers(int(counts.max())))
    return plot.update_yaxes(showgrid=False, fixedrange=True)


def timeline_plot(values: pd.Series, column: str, *, cumulative: bool, percentage: bool) -> go.Figure:
    """Return a count over time: columns, or a line where it is a sum."""
    plot = figure(height=420)
    unit = "%{y:.2f} %" if percentage else "%{y:,.0f}"
    hover = f"%{{x|%Y-%m-%d}}<br>{unit}<extra></extra>"
    style = {"mode": "lines", "line": {"color": INDIGO, "width": 2}} if cumulative else {
        "mode": "markers", "marker": {"color": INDIGO, "size": 6}
    }  # fmt: skip
    plot.add_scatter(x=values.index, y=values.to_numpy(), hovertemplate=hover, **style)
    title = label_of(column) + (" (% of processed alerts)" if percentage else " (number)")
    plot.update_yaxes(title=f"{title}, summed" if cumulative else title, rangemode="tozero")
    return plot.update_xaxes(title="Night (UTC)", type="date")


def classes_plot(counts: pd.DataFrame, every: str) -> go.Figure:
    """Return alerts by class as columns on top of each other, a night, month or year each."""
    plot = figure(height=460, barmode="stack")
    shown = {"D": ("%Y-%m-%d", "Night"), "MS": ("%B %Y", "Month"), "YS": ("%Y", "Year")}[every]
    for name in counts:
        hover = f"%{{x|{shown[0]}}}<br>{name}: %{{y:,}} alerts<extra></extra>"
        plot.add_bar(
            x=counts.index,
            y=counts[name],
            name=str(name),
            marker={"color": colour_of(str(name)), "line": _EDGE},
            hovertemplate=hover,
        )
    plot.update_layout(legend={"y": 1.02, "font": {"size": 12}}, margin={"t": 70})
    plot.update_yaxes(title="Alerts")
    return plot.update_xaxes(title=f"{shown[1]} (UTC)", type="date")


def colour_of(name: str) -> str:
    """Return the colour of a class."""
    if name in _MORE_COLOURS:
        return _MORE_COLOURS[name]
    return class_hex(name) if name in CLASS_COLOURS else HEX_COLOURS["blue"]
