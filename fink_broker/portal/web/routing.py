"""From the address bar to a page."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote

from dash import Dash, Input, Output, html
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.pages import about, api_docs, gallery, gw, home, object_page, stats, transfer, xmatch
from fink_broker.portal.web.site import Page, Site, Visit

log = logging.getLogger(__name__)

PAGES: tuple[Page, ...] = (
    home.PAGE,
    transfer.PAGE,
    gw.PAGE,
    stats.PAGE,
    gallery.PAGE,
    xmatch.PAGE,
    api_docs.PAGE,
    about.PAGE,
)
#: longest address that is looked at
LONGEST = 8000
_OBJECT = re.compile(r"/(ZTF[0-9]{2}[a-z]{7})/?", re.IGNORECASE)
TITLE = "Fink Science Portal"


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of all pages, and the one that shows them."""
    for page in (*PAGES, object_page.PAGE):
        page.register(app, site)

    @app.callback(
        Output("page", "children"),
        Output("visit-title", "data"),
        Input("address", "pathname"),
        Input("address", "search"),
    )
    def show(path: object, search: object) -> tuple[Component, str]:
        return page_of(site, visit_of(path, search))

    app.clientside_callback(
        "(title) => { document.title = title || 'Fink Science Portal'; return window.dash_clientside.no_update; }",
        Output("visit-title", "id"),
        Input("visit-title", "data"),
    )


def visit_of(path: object, search: object) -> Visit:
    """Return what the address bar says: two texts, unless somebody forged them."""
    # halves of surrogate pairs, which no browser sends, are nothing that could be asked for or answered
    path, search = (
        given.encode("utf-8", "replace").decode() if isinstance(given, str) else "" for given in (path, search)
    )
    given = parse_qsl(search[:LONGEST].lstrip("?"), keep_blank_values=True, max_num_fields=None)
    arguments: dict[str, str] = {}
    for name, value in given:
        arguments.setdefault(name, value)
    return Visit(unquote((path or "/")[:LONGEST]), arguments)


def page_of(site: Site, visit: Visit) -> tuple[Component, str]:
    """Return the page of a visit and its title; what goes wrong becomes a page, too."""
    try:
        page, visit = find(site, visit)
        title = page.title.format(object_id=visit.path.strip("/")[:40])
        return html.Div(page.build(visit, site), className="page-content"), title
    except ApiError as error:
        return html.Div(notices.failure(error), className="page-content"), TITLE
    except Exception:
        log.exception("page %s failed", visit.path[:200])
        words = "The page could not be made. The fault is ours and has been noted; other pages work."
        return html.Div(notices.notice("Something went wrong", words, colour="red"), className="page-content"), TITLE


def find(site: Site, visit: Visit) -> tuple[Page, Visit]:
    """Return the page at a path: a fixed one, an object's by its name, by its registered name, else home."""
    path = visit.path.rstrip("/") or "/"
    known = next((page for page in PAGES if page.path == path), None)
    if known is not None:
        return known, visit
    if match := _OBJECT.fullmatch(path):
        name = match[1]
        return object_page.PAGE, Visit(f"/{name[:3].upper()}{name[3:].lower()}", visit.arguments)
    if object_id := _registered(site, path.strip("/")):
        return object_page.PAGE, Visit(f"/{object_id}", visit.arguments)
    return home.PAGE, Visit("/", visit.arguments)


def is_object(path: str) -> bool:
    """Tell whether a path is that of an object, by its name."""
    return _OBJECT.fullmatch(path) is not None


def _registered(site: Site, name: str) -> str:
    """Return the object that was registered under an internal name, empty if none was."""
    if not 3 <= len(name) <= 64:
        return ""
    try:
        found: Sequence[dict[str, str]] = site.api.document("metadata", internal_name_encoded=name)
    except ApiError:
        return ""
    ids = [str(entry.get("key:key", "")) for entry in found if isinstance(entry, dict)] if found else []
    return ids[0] if ids and _OBJECT.fullmatch(f"/{ids[0]}") else ""
