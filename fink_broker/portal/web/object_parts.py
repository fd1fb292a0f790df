"""Parts of the object page that are made after the first paint, or when they are opened.

Each part has a store that asks for it and a place it comes to. ``assets/object.js`` sets the store of what is seen: of
the finder at once, of a tab or a drawer of the summary when it is opened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import MATCH, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.object_data import ObjectData, read_object
from fink_broker.portal.web.site import Site

log = logging.getLogger(__name__)

Builder = Callable[[ObjectData, Site], Component]


def part(name: str, height: int) -> Component:
    """Return the place of a part.

    Parameters
    ----------
    name : str
        Of the part, as `register` knows it.
    height : int
        Pixels it will need about, so that nothing jumps when it comes.
    """
    waiting = dmc.Skeleton(height=height, radius="md")
    return html.Div(
        [
            dcc.Store(id={"type": "object-ask", "name": name}),
            html.Div(waiting, id={"type": "object-part", "name": name}, **{"aria-live": "polite"}),
        ],
        className="object-part",
    )


def register(app: Dash, site: Site, builders: Mapping[str, Builder]) -> None:
    """Add the callback that makes parts when they are asked for."""

    @app.callback(
        Output({"type": "object-part", "name": MATCH}, "children"),
        Input({"type": "object-ask", "name": MATCH}, "data"),
        State({"type": "object-ask", "name": MATCH}, "id"),
        State("object-id", "data"),
        prevent_initial_call=True,
    )
    def make(is_asked: Any, asked: Any, object_id: Any) -> Any:
        builder = builders.get(asked.get("name", "")) if isinstance(asked, dict) else None
        if not is_asked or builder is None or not isinstance(object_id, str):
            return no_update
        return made(builder, site, object_id)


def made(builder: Builder, site: Site, object_id: str) -> Component:
    """Return a part of the page of an object; what goes wrong becomes words in its place."""
    try:
        return builder(read_object(site.api, object_id), site)
    except ApiError as error:
        return notices.failure(error)
    except Exception:
        log.exception("a part of the page of %s failed", object_id[:40])
        words = "This part of the page could not be made. The fault is ours and has been noted; the others work."
        return notices.notice("Something went wrong", words, colour="red")
