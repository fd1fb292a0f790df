"""What can be written into the search field, with examples that a click tries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, html, no_update
from dash.development.base_component import Component

from fink_broker.portal.web.search.attributes import aria, data
from fink_broker.portal.web.search.examples import searches
from fink_broker.portal.web.site import Site

#: what can be searched: the sort of `searches` that is an example of it, how it is written, and what it is
GUIDE: Sequence[tuple[str, Sequence[tuple[str, str, str]]]] = (
    (
        "By name",
        (
            ("object", "ZTF21abcdefg", "an object"),
            ("beginning", "ZTF21abc", "all objects whose names begin so"),
            ("", "SN 2021co", "a name of the Transient Name Server or of SIMBAD"),
            ("sso", "sso=8467", "a Solar System object, by number or name"),
            ("tracklet", "TRCK_20211022", "tracklets of a night"),
        ),
    ),
    (
        "By place",
        (
            ("place", "193.822 +2.897 r=10m", "degrees, with a radius; 10″ where none is given"),
            ("sexagesimal", "12:55:17.2 +02:53:50", "hours and degrees; 12h55m17.2s +02d53m50s and blanks do, too"),
            ("", "M31 r=1d", "around anything that has a name"),
        ),
    ),
    (
        "By class",
        (
            ("class", 'class="SN candidate" last=100', "the latest alerts of a class"),
            ("trend", 'class="SN candidate" trend=rising', "those that get brighter"),
            ("anomaly", "class=Anomaly", "the strangest light curves"),
            ("random", "random=10", "objects drawn at random; seed= draws the same again"),
        ),
    ),
    (
        "By time",
        (
            ("time", "after=2024-08-30 03:00:00 window=2h", "objects alerted within three hours at most"),
            ("since", "193.822 +2.897 r=1d after=2024-08-01", "in a cone: objects first detected since"),
        ),
    ),
)


def help_button() -> Component:
    """Return the button that opens the description of the search field."""
    return html.Button(
        html.Span("?", **aria(hidden="true")),
        id="search-help",
        type="button",
        className="search-help",
        **aria(label="What can be searched", expanded="false", controls="search-guide"),
    )


def help_panel() -> Component:
    """Return the description of the search field, closed; examples that a click tries come when it is opened."""
    return html.Div(
        _content({}),
        id="search-guide",
        className="search-guide",
        role="group",
        tabIndex=0,
        **aria(label="What can be searched"),
    )


def register(app: Dash, site: Site) -> None:
    """Add the callback that takes examples from the archive."""

    @app.callback(Output("search-guide", "children"), Input("search-help", "n_clicks"), prevent_initial_call=True)
    def describe(clicks: Any) -> Any:
        return _content(searches(site.api)) if clicks else no_update


def _content(found: Mapping[str, str]) -> list[Component]:
    """Return how searches are written, those that find something as examples to be tried."""
    groups: list[Component] = []
    for title, lines in GUIDE:
        groups.append(html.H2(title, className="search-guide-title"))
        groups += [
            html.Div(
                [
                    _example(found[sort]) if sort in found else html.Code(pattern, className="search-pattern"),
                    html.Span(words, className="search-guide-words"),
                ],
                className="search-guide-row",
            )
            for sort, pattern, words in lines
        ]
    groups.append(
        html.P(
            "Angles take d, m or s (degrees, minutes, seconds of arc) behind the number. Times are UTC. "
            "Values with blanks stand in quotes.",
            className="search-guide-foot",
        )
    )
    return groups


def _example(text: str) -> Component:
    return html.Button(text, type="button", className="search-example", **data(search_try=text))
