"""The part of the first page that lives: the last night, and the latest alerts, as cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
import pandas as pd
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.light_curve_preview import HEIGHT, WIDTH
from fink_broker.portal.web.results.cards import lazy_image, preview_address
from fink_broker.portal.web.search.attributes import aria
from fink_broker.portal.web.search.tonight import MOST_SHOWN, Night, last_night, latest_alerts
from fink_broker.portal.web.site import Site
from fink_broker.portal.web.theme import BAND_NAMES, class_colour

_FIGURES = 4


def alive() -> Component:
    """Return the place of what comes a moment later, as high as it will be."""
    return html.Div(
        [
            html.Div(_waiting_night(), id="search-night"),
            html.Div(_waiting_alerts(), id="search-latest"),
            dcc.Store(id="search-alive", data=True),
        ]
    )


def register(app: Dash, site: Site) -> None:
    """Add the callbacks that bring it."""

    @app.callback(Output("search-night", "children"), Input("search-alive", "data"))
    def night(started: Any) -> Component:
        del started
        try:
            found = last_night(site.api)
        except ApiError as error:
            return notices.failure(error)
        return _night(found) if found else _fresh()

    @app.callback(Output("search-latest", "children"), Input("search-alive", "data"))
    def latest(started: Any) -> Component | list[Component]:
        del started
        try:
            alerts = latest_alerts(site.api)
        except ApiError:
            return []  # the counts beside say why
        return _latest(alerts) if alerts else []


def _night(night: Night) -> Component:
    return html.Section(
        [
            html.Div(
                [
                    html.H2(["Last night ", html.Span(night.date, className="home-date")], className="home-heading"),
                    dcc.Link("Statistics", href="/stats", className="home-more"),
                ],
                className="home-line",
            ),
            dmc.SimpleGrid(
                [_figure(words, f"{count:,}") for words, count in night.counts], cols={"base": 2, "sm": _FIGURES}
            ),
            html.P(f"{night.total:,} alerts of {_nights(night.nights)} are in the archive.", className="home-words"),
        ],
        **aria(label="Last night"),
    )


def _figure(words: str, number: str) -> Component:
    return dmc.Paper(
        [html.Div(number, className="home-number"), html.Div(words, className="home-words")],
        withBorder=True,
        p="md",
        radius="lg",
    )


def _fresh() -> Component:
    return dmc.Paper(
        [
            html.H2("The archive is still empty", className="home-heading"),
            html.P(
                "No night has been processed yet. As soon as the first alerts arrive they can be searched here, a few "
                "seconds after their exposure was published.",
                className="home-words",
            ),
        ],
        withBorder=True,
        p="xl",
        radius="lg",
        ta="center",
    )


def _latest(alerts: list[Mapping[str, Any]]) -> list[Component]:
    heading = html.Div(
        [
            html.H2("Latest of the rarer classes", className="home-heading"),
            dcc.Link("Gallery", href="/gallery", className="home-more"),
        ],
        className="home-line",
    )
    grid = dmc.SimpleGrid([_card(alert) for alert in alerts], cols={"base": 1, "sm": 2, "lg": 3}, spacing="md")
    return [html.Section([heading, grid], **aria(label="Latest of the rarer classes"))]


def _card(alert: Mapping[str, Any]) -> Component:
    name, label = str(alert["i:objectId"]), str(alert.get("v:classification") or "Unknown")
    image = f"/api/v1/cutouts?objectId={name}&kind=Science&output-format=PNG"
    return dcc.Link(
        [
            lazy_image(image, "", (96, 96), "home-stamp"),
            html.Div(
                [
                    html.Span(name, className="home-name"),
                    dmc.Badge(
                        label, color=class_colour(label), variant="dot", tt="none", size="md", className="home-class"
                    ),
                    html.Span(_brightness(alert), className="home-words"),
                    html.Span(f"{str(alert.get('v:lastdate') or '')[:16]} UTC", className="home-words"),
                ],
                className="home-card-words",
            ),
            lazy_image(preview_address(name), "", (WIDTH, HEIGHT), "home-curve"),
        ],
        href=f"/{name}",
        className="home-card",
        title=f"{name}, {label}",
    )


def _brightness(alert: Mapping[str, Any]) -> str:
    parts = []
    if pd.notna(alert.get("i:magpsf")):
        parts.append(f"{BAND_NAMES.get(int(alert['i:fid']), '')} {alert['i:magpsf']:.2f} mag")
    if pd.notna(alert.get("i:ndethist")):
        count = int(alert["i:ndethist"])
        parts.append(f"{count} detection{'' if count == 1 else 's'}")
    return " · ".join(parts)


def _waiting_night() -> Component:
    figures = [dmc.Skeleton(height=92, radius="lg") for _ in range(_FIGURES)]
    grid = dmc.SimpleGrid(figures, cols={"base": 2, "sm": _FIGURES})
    return html.Div([dmc.Skeleton(height=22, width=200, my="sm"), grid, dmc.Skeleton(height=16, width=240, mt="sm")])


def _waiting_alerts() -> Component:
    cards = [dmc.Skeleton(height=250, radius="lg") for _ in range(MOST_SHOWN)]
    grid = dmc.SimpleGrid(cards, cols={"base": 1, "sm": 2, "lg": 3}, spacing="md")
    return html.Div([dmc.Skeleton(height=22, width=160, my="sm"), grid])


def _nights(number: int) -> str:
    return f"{number:,} night{'' if number == 1 else 's'}"
