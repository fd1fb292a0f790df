"""The chart and Aladin Lite as a component of a page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import MATCH, ClientsideFunction, Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from flask import Response, abort, send_file

from fink_broker.config.paths import web_parts_folder
from fink_broker.portal.web.site import Site
from fink_broker.portal.web.sky.figure import MOST_SOURCES, place, sky_figure
from fink_broker.portal.web.sky.sources import Ring, SkySource
from fink_broker.portal.web.theme import graph_config

#: File of Aladin Lite in the folder of the parts of the portal.
ALADIN = "aladin.js"
#: Seconds browsers keep Aladin Lite.
_KEPT_SECONDS = 7 * 86_400
#: Width of the whole sky, degrees.
_WHOLE_SKY = 360.0


def aladin_offered(site: Site) -> bool:
    """Return whether pages offer Aladin Lite: it is wanted, and it was fetched."""
    return site.config.portal.aladin and (web_parts_folder() / ALADIN).is_file()


def sky_map(
    sources: Sequence[SkySource],
    *,
    id: str,
    centre: tuple[float, float] | None = None,
    field_deg: float | None = None,
    region: Sequence[Ring] = (),
    aladin: bool = False,
    height: int = 420,
    caption: str = "",
) -> Component:
    """Return sources on the sky; a click on one leads to its page.

    Parameters
    ----------
    sources : sequence of SkySource
        Those with a position are shown, 1,000 at most.
    id : str
        Of the component, one on the page; with the prefix of the part that shows it.
    centre : tuple of float, optional
        Right ascension and declination in the middle, degrees; by default the middle of the sources.
    field_deg : float, optional
        Width in degrees; by default so that all sources are within. Beyond 60 degrees the whole sky is shown.
    region : sequence of rings
        Polygons of a region, each its corners (ra, dec) in degrees.
    aladin : bool
        Whether to offer Aladin Lite: `aladin_offered`.
    height : int
        Pixels.
    caption : str
        What is said below the chart, for all; by default what is on it.
    """
    there = [source for source in sources if math.isfinite(source.ra) and math.isfinite(source.dec)][:MOST_SOURCES]
    chart = html.Div(
        dcc.Graph(
            id={"type": "sky-graph", "index": id},
            figure=sky_figure(there, region, centre, field_deg, height),
            config=graph_config("sky") | {"scrollZoom": True},
            style={"height": height},
        ),
        id=f"{id}-chart",
        className="sky-chart",
        style={"minHeight": height},  # the graph has no height before its script is there
    )
    parts: list[Component] = [chart, dcc.Store(id={"type": "sky-chosen", "index": id})]
    if aladin:
        parts = [*_aladin(id, height), *parts, _data(id, there, region, centre, field_deg)]
    caption = caption or _caption(there, region)
    return html.Figure(
        [*parts, html.Figcaption(caption, className="sky-caption")], className="sky-map", **{"aria-label": caption}
    )


def _aladin(id: str, height: int) -> list[Component]:
    choice = dmc.SegmentedControl(
        id={"type": "sky-view", "index": id},
        data=[{"value": "chart", "label": "Chart"}, {"value": "aladin", "label": "Aladin Lite"}],
        value="chart",
        size="xs",
        persistence=True,
        **{"aria-label": "How the sky is shown"},
    )
    return [
        dmc.Group([choice, html.Span(id=f"{id}-said", className="sky-said", role="status")], gap="sm", mb="xs"),
        html.Div(
            [
                html.Div(id=f"{id}-aladin", className="sky-aladin", style={"height": height}),
                html.Div(id=f"{id}-source", className="sky-source", hidden=True, role="status"),
            ],
            id=f"{id}-images",
            className="sky-images",
            hidden=True,
        ),
    ]


def _data(
    id: str,
    sources: Sequence[SkySource],
    region: Sequence[Ring],
    centre: tuple[float, float] | None,
    field_deg: float | None,
) -> Component:
    """Return what Aladin Lite is told, as JSON."""
    shown = place(sources, region, centre, field_deg)
    middle, field = shown or (centre or (180.0, 0.0), _WHOLE_SKY)
    content: dict[str, Any] = {
        "id": id,
        "centre": list(middle),
        "field": field,
        "region": [[list(corner) for corner in ring] for ring in region],
        "sources": [
            {
                "name": source.name, "ra": source.ra, "dec": source.dec, "label": source.label, "href": source.href,
                "text": source.text, "colour": source.hex_colour,
            }
            for source in sources
        ],
    }  # fmt: skip
    return dcc.Store(id={"type": "sky-data", "index": id}, data=content)


def _caption(sources: Sequence[SkySource], region: Sequence[Ring]) -> str:
    if not sources:
        return "The credible region." if region else "No source has a position."
    counts = Counter(source.label or "source" for source in sources).most_common(6)
    number = f"{len(sources):,} source{'s' if len(sources) > 1 else ''}"
    return f"{number}: " + ", ".join(f"{count} {label}" for label, count in counts) + "."


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of all sky maps, and the address of Aladin Lite; once."""
    app.clientside_callback(
        ClientsideFunction("sky", "follow"),
        Output({"type": "sky-chosen", "index": MATCH}, "data"),
        Input({"type": "sky-graph", "index": MATCH}, "clickData"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("sky", "show"),
        Output({"type": "sky-view", "index": MATCH}, "data-shown"),
        Input({"type": "sky-view", "index": MATCH}, "value"),
        Input({"type": "sky-data", "index": MATCH}, "data"),
    )

    @app.server.route(f"/parts/{ALADIN}")
    def aladin_script() -> Response:
        if not aladin_offered(site):
            abort(404)
        return send_file(
            (web_parts_folder() / ALADIN).absolute(),
            mimetype="text/javascript",
            max_age=_KEPT_SECONDS,
            conditional=True,
        )
