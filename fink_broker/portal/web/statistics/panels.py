"""The panels of the page of statistics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import dash_mantine_components as dmc
import pandas as pd
import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from fink_broker.portal.web import notices
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.statistics import nights as counted
from fink_broker.portal.web.statistics import plots
from fink_broker.portal.web.statistics.nights import RAW, SCIENCE, SIMBAD, UNKNOWN, label_of
from fink_broker.portal.web.theme import HEX_COLOURS, graph_config

EVERY = {"D": "Night", "MS": "Month", "YS": "Year"}
#: figures of a night: title, then name, column and colour of each bar; None: with a class
_NIGHT_BARS: tuple[tuple[str, tuple[tuple[str, str | None, str], ...]], ...] = (
    ("Quality cuts", (("Received", RAW, "gray"), ("Processed", SCIENCE, "indigo"))),
    ("Classification", (("With a class", None, "indigo"), ("Without", UNKNOWN, "gray"))),
    ("Cross-match", (("MPC", "class:Solar System MPC", "yellow"), ("SIMBAD", SIMBAD, "blue"))),
    (
        "Candidates",
        (
            ("SSO", "class:Solar System candidate", "indigo"),
            ("SNe", "class:SN candidate", "orange"),
            ("SN Ia", "class:Early SN Ia candidate", "red"),
            ("Kilonova", "class:Kilonova candidate", "grape"),
        ),
    ),
)
_NOT_LABELS = frozenset({"class:simbad_tot", "class:simbad_gal"})


def header(nights: pd.DataFrame) -> Component:
    """Return the figures at the top: the last night, and all since the beginning."""
    last, total = nights.iloc[-1], counted.totals(nights)
    share = f"{total.classified / total.alerts:.1%} of all" if total.alerts else ""
    return dmc.SimpleGrid(
        [
            _figure_card("Last night", f"{nights.index[-1]:%Y-%m-%d}", f"{len(nights):,} nights in all"),
            _figure_card("Alerts processed", f"{int(last[SCIENCE]):,}", "in the last night"),
            _figure_card("Total", f"{total.alerts:,}", f"since {counted.FIRST_NIGHT:%Y-%m-%d}"),
            _figure_card("With classification", f"{total.classified:,}", share),
            _figure_card("Without classification", f"{total.unclassified:,}", "class Unknown"),
        ],
        cols={"base": 2, "sm": 3, "lg": 5},
        spacing="md",
    )


def _figure_card(name: str, value: str, words: str) -> Component:
    content = [html.Dt(name), html.Dd([html.Strong(value), html.Span(words)])]
    return dmc.Paper(html.Dl(content, className="stats-figure"), withBorder=True, p="md")


def heatmap(nights: pd.DataFrame) -> Component:
    """Return one calendar a year, the latest first."""
    most = int(nights[SCIENCE].max())
    years = sorted(set(counted.years_of(nights).tolist()), reverse=True)
    steps = [
        html.Span([html.Span(className="stats-swatch", style={"background": colour}), words])
        for words, colour in plots.scale_steps(most)
    ]
    legend = html.Div(["Alerts a night:", *steps], className="stats-scale")
    return html.Div([legend, *(_year(year, nights[SCIENCE], most) for year in years)])


def _year(year: int, counts: pd.Series, most: int) -> Component:
    mine = counts[(counted.years_of(counts) == year) & (counts > 0)]
    label = f"Processed alerts in {year}: {int(mine.sum()):,} in {len(mine)} nights"
    graph = dcc.Graph(
        id={"type": "stats-year", "year": year}, figure=plots.calendar_plot(year, counts, most),
        config=still(f"nights-{year}"), style={"height": f"{plots.CALENDAR_HEIGHT}px"},
    )  # fmt: skip
    months = [
        html.Tr([html.Th(f"{month:%B}", scope="row"), html.Td(f"{len(some):,}"), html.Td(f"{some.sum():,}")])
        for month, some in ((some.index[0], some) for _, some in mine.groupby(pd.DatetimeIndex(mine.index).month))
    ]
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in ("Month", "Nights", "Alerts")]))
    total = dmc.Text(f"{int(mine.sum()):,} alerts", size="sm")
    return html.Section(
        [
            dmc.Group([dmc.Title(str(year), order=2, size="h4"), total], gap="sm"),
            html.Div(_place(graph, plots.CALENDAR_HEIGHT, label, "stats-year"), className="stats-wide"),
            html.Details(
                [
                    html.Summary(f"{year} by month"),
                    html.Table([head, html.Tbody(months)], className="stats-months"),
                ]
            ),
        ],
        className="stats-section",
    )


def daily(nights: pd.DataFrame, chosen: date | None) -> Component:
    """Return the choice of a night, and the place of its figures."""
    names = [f"{night:%Y-%m-%d}" for night in nights.index[::-1]]
    value = f"{chosen:%Y-%m-%d}" if chosen is not None else names[0]
    choice = dmc.Select(
        id="stats-night", label="Night (UTC)", data=names if value in names else [value, *names], value=value,
        searchable=True, allowDeselect=False, limit=200, w=200, nothingFoundMessage="No such night",
    )  # fmt: skip
    return html.Div([choice, html.Div(id="stats-night-figures", className="stats-place")])


def one_night(api: Api, text: str | None) -> Component:
    """Return the figures of a night; raises ApiError."""
    night = counted.night_of(text)
    if night is None:
        return notices.nothing("No such night", "Write a night as 2024-09-01.")
    counts = counted.read_one_night(api, night)
    if counts is None:
        return notices.nothing("No alerts", f"Nothing was counted in the night {night:%Y-%m-%d}.")
    charts = [_night_chart(title, bars, counts) for title, bars in _NIGHT_BARS]
    names = [name for name in counts.index if str(name).startswith("class:") and name not in _NOT_LABELS]
    labels = counts[names][counts[names] > 0]
    parts: list[Component] = [dmc.SimpleGrid(charts, cols={"base": 1, "sm": 2}, spacing="md", mt="md")]
    if len(labels):
        words = "All labels: " + ", ".join(f"{label_of(str(name))} {count}" for name, count in labels.items())
        parts.append(_plot_card("All labels", plots.labels_plot(labels), words, "stats-labels"))
    return html.Div(parts)


def _night_chart(title: str, bars: tuple[tuple[str, str | None, str], ...], counts: pd.Series) -> Component:
    values = [_count(counts, name) for _, name, _ in bars]
    names = [name for name, _, _ in bars]
    said = ("not counted" if value is None else f"{value:,}" for value in values)
    words = f"{title}: " + ", ".join(f"{name} {value}" for name, value in zip(names, said, strict=True))
    plot = plots.bars_plot(names, values, [HEX_COLOURS[colour] for _, _, colour in bars])
    return _plot_card(title, plot, words, f"stats-bars-{title.lower().replace(' ', '-')}")


def _count(counts: pd.Series, name: str | None) -> int | None:
    """Return a count; None of those received, where only what was archived is known."""
    processed = int(counts[SCIENCE])
    if name is None:
        return processed - int(counts.get(UNKNOWN, 0))
    value = int(counts.get(name, 0))
    return None if name == RAW and value < processed else value


def _plot_card(title: str, plot: go.Figure, words: str, identifier: str) -> Component:
    height = plot.layout.height
    graph = dcc.Graph(
        id=identifier, figure=plot, config=still(identifier),
        style={"height": f"{height}px"},
    )  # fmt: skip
    head = dmc.Title(title, order=2, size="h5", mb="xs")
    return dmc.Paper([head, _place(graph, height, words)], withBorder=True, p="md", mt="md")


def timelines(api: Api, chosen: Mapping[str, str]) -> Component:
    """Return the choice of a count and how it is shown, and the place of the plot; raises ApiError."""
    names = counted.column_names(api)
    column = chosen.get("column", SCIENCE)
    groups = [
        {
            "group": group,
            "items": [{"value": name, "label": label_of(name)} for name in names if name.startswith(prefix)],
        }
        for group, prefix in (("Basics", "basic:"), ("Classes", "class:"))
    ]
    select = dmc.Select(
        id="stats-column", label="What is counted", data=groups, value=column if column in names else SCIENCE,
        searchable=True, allowDeselect=False, w=300, nothingFoundMessage="Nothing of that name",
    )  # fmt: skip
    cumulative = dmc.Switch(id="stats-cumulative", label="Cumulative", checked=chosen.get("cumulative") == "1")
    percentage = dmc.Switch(id="stats-percentage", label="Percentage", checked=chosen.get("percentage") == "1")
    return html.Div(
        [
            dmc.Group([select, cumulative, percentage], align="end", gap="lg"),
            html.Div(id="stats-timeline", className="stats-place"),
        ]
    )


def one_timeline(api: Api, column: str, *, cumulative: bool, percentage: bool) -> Component:
    """Return a count over time; raises ApiError."""
    if not counted.is_column(column):
        return notices.nothing("No such count", "Choose one of the list.")
    rows = counted.read_nights(api, list(dict.fromkeys([column, SCIENCE])))
    if column not in rows or rows.empty:
        return notices.nothing("Nothing counted", f"No night counts {label_of(column)}.")
    values = counted.timeline(rows, column, cumulative=cumulative, percentage=percentage)
    plot = plots.timeline_plot(values, column, cumulative=cumulative, percentage=percentage)
    words = f"{label_of(column)} by night, {rows.index[0]:%Y-%m-%d} to {rows.index[-1]:%Y-%m-%d}"
    return _plot_card(label_of(column), plot, words, "stats-timeline-plot")


def classes(every: str = "MS") -> Component:
    """Return the choice of what a column is, and the place of the plot."""
    choice = dmc.SegmentedControl(
        id="stats-every", data=[{"value": key, "label": label} for key, label in EVERY.items()],
        value=every if every in EVERY else "MS", **{"aria-label": "One column for each"},
    )  # fmt: skip
    return html.Div([choice, html.Div(id="stats-classes", className="stats-place")])


def classes_over_time(nights: pd.DataFrame, every: str) -> Component:
    """Return alerts by class over time."""
    every = every if every in EVERY else "MS"
    counts = counted.classes_over_time(nights, every)
    words = "Processed alerts by class: " + ", ".join(f"{name} {int(counts[name].sum()):,}" for name in counts)
    return _plot_card(
        f"Classes by {EVERY[every].lower()}", plots.classes_plot(counts, every), words, "stats-classes-plot"
    )


HELP = (
    ("Received", "Alerts of the survey's stream."),
    ("Processed", "Those that passed the quality cuts, and carry the values of the science modules."),
    ("Heatmap", "A calendar of processed alerts for each year. Choose a night to see its numbers."),
    ("Daily statistics", "Quality cuts, classes, cross-matches and candidates of one night."),
    ("Timelines", "Any count over time. Cumulative sums up; Percentage is of the processed alerts."),
    ("Classes", "All classes on top of each other, by night, month or year."),
)


def explanation() -> Component:
    """Return the words of the tab Help."""
    words = (
        "Each night is counted when its alerts are archived, and named after the UTC date of its observations. The "
        "same numbers come from the API: "
    )
    terms = [part for name, meaning in HELP for part in (html.Dt(name), html.Dd(meaning))]
    link = dcc.Link("its route statistics", href="/api?route=statistics")
    return html.Div([html.P([words, link, "."]), html.Dl(terms)], className="stats-help")


def empty() -> Component:
    """Return what is shown before the first night."""
    words = "As soon as the alerts of a night are archived, its numbers are here: by stage, class and cross-match."
    return notices.notice("No night has been counted yet", words)


def _place(graph: Component, height: int, label: str, style: str = "") -> Component:
    """Return a plot in a place as high as it will be: it has no height before its script is there."""
    return html.Div(graph, className=style, style={"minHeight": f"{height}px"}, **aria(label, role="figure"))


def still(name: str) -> Any:
    """Return the ``config`` of a plot that has no bar of its own."""
    return graph_config(name) | {"displayModeBar": False}


def aria(label: str, role: str) -> dict[str, Any]:
    """Return what tells those who cannot see a plot what it shows."""
    return {"role": role, "aria-label": label}
