"""How much a selection is, in words, numbers and a picture."""

from __future__ import annotations

import shlex

import dash_mantine_components as dmc
import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from fink_broker.portal.web import notices, theme
from fink_broker.portal.web.code import code_block
from fink_broker.portal.web.transfer.estimate import LARGE, Estimate
from fink_broker.portal.web.transfer.selection import CONTENTS, MOST_ALERTS, Selection

_MOST_BARS = 400


def summary(selection: Selection, estimate: Estimate) -> Component:
    """Return how much a selection is."""
    if estimate.alerts == 0:
        return notices.nothing("No alerts", why_none(selection, estimate))
    at_most = ", at most" if estimate.is_most else ""
    numbers = (
        (f"{estimate.alerts:,}", f"alerts{at_most}"),
        (f"{estimate.percent:.3g} %", "of these nights"),
        (size_text(estimate.gigabytes), CONTENTS[selection.content].label.lower()),
        (f"{len(estimate.nights):,}", "night with alerts" if len(estimate.nights) == 1 else "nights with alerts"),
    )
    return html.Div(
        [
            dmc.SimpleGrid([_number(*number) for number in numbers], cols={"base": 2, "sm": 4}, spacing="sm"),
            verdict(estimate),
            _plot(estimate),
            dmc.Text("The same on the command line of the broker:", size="sm", mt="sm", mb=4),
            code_block(command(selection), "bash", "the command"),
        ]
    )


def verdict(estimate: Estimate) -> Component:
    """Return whether that is much, in the colour that says so."""
    texts = {
        "green": ("A good size", "It is sent within minutes."),
        "orange": ("Large", f"More than {LARGE:,} alerts: it may take hours. Would fewer nights or classes do?"),
        "red": (
            "Too large",
            f"More than {MOST_ALERTS:,} alerts are not sent at once: take fewer nights or classes, several times.",
        ),
    }
    title, text = texts[estimate.colour]
    if estimate.is_most:
        text += " Further conditions and types of the TNS are not counted by night, so it may well be less"
        text += ", which is known only once all have been read." if estimate.colour == "red" else "."
    return notices.notice(title, text, colour=estimate.colour)


def why_none(selection: Selection, estimate: Estimate) -> str:
    """Return why nothing is selected, and what may help."""
    days = selection.start if selection.start == selection.stop else f"{selection.start} to {selection.stop}"
    if not estimate.nights:
        return f"The archive has no alerts of {days}. Choose other nights."
    return f"None of the {int(estimate.archived.sum()):,} alerts of {days} is of these classes. Widen the selection."


def command(selection: Selection, topic: str = "") -> str:
    """Return what an operator types to send the same."""
    return shlex.join(["fink", "transfer", *selection.arguments(topic)])


def size_text(gigabytes: float) -> str:
    """Return a size in GB, or in MB if that is less than one, with two digits or more."""
    size, unit = (gigabytes, "GB") if gigabytes >= 1 else (1000 * gigabytes, "MB")
    return f"{size:.2g} {unit}" if size < 10 else f"{size:,.0f} {unit}"


def _number(value: str, label: str) -> Component:
    return html.Div([html.Div(value, className="transfer-number"), dmc.Text(label, size="xs", c="dimmed")])


def _plot(estimate: Estimate) -> Component:
    """Return the alerts of each night, and which of them are selected."""
    nights, others = estimate.nights, estimate.archived - estimate.selected
    text = (
        f"{estimate.alerts:,} of {int(estimate.archived.sum()):,} alerts of {len(nights):,} nights, "
        f"{nights[0]} to {nights[-1]}, are selected."
    )
    if not 1 < len(nights) <= _MOST_BARS:
        return dmc.Text(text, size="sm", c="dimmed", mt="sm") if len(nights) > 1 else html.Div()
    figure = theme.figure(
        barmode="stack", bargap=0.15, margin={"l": 56, "r": 12, "t": 24, "b": 44}, yaxis={"title": "Alerts"},
        xaxis={"title": "Observing night (UTC)"}, showlegend=bool(others.any()),
    )  # fmt: skip
    # nights without alerts would be most of a long range: each night takes the same room
    figure.update_xaxes(type="category", nticks=3, tickangle=0)
    figure.add_trace(
        go.Bar(x=nights, y=estimate.selected, name="selected", marker={"color": "#4263EB", "line": {"width": 0}})
    )
    if others.any():
        figure.add_trace(go.Bar(x=nights, y=others, name="others", marker={"color": "#ADB5BD", "line": {"width": 0}}))
    graph = dcc.Graph(
        figure=figure, config=theme.graph_config("fink-transfer") | {"displayModeBar": False}, style={"height": 240}
    )
    return html.Figure([graph, html.Figcaption(text, className="transfer-caption")], className="transfer-figure")
