"""The page of an object, ``/ZTF…``: what it is at the left, what it did at the right."""

from __future__ import annotations

from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import object_header, object_parts
from fink_broker.portal.web.object_data import ObjectData, read_object
from fink_broker.portal.web.object_tabs import (
    blazar,
    microlensing,
    solar_system,
    summary,
    supernovae,
    tracklets,
    variable,
)
from fink_broker.portal.web.site import Page, Site, Tab, Visit

_NOT_FOUND = 404
SUMMARY = "summary"
#: Tabs of objects, besides the summary, in the order they are shown.
TABS: tuple[Tab, ...] = (
    supernovae.TAB,
    variable.TAB,
    microlensing.TAB,
    solar_system.TAB,
    tracklets.TAB,
    blazar.TAB,
)
_NO_GRB = "Gamma-ray bursts are not matched with alerts of ZTF."
#: what a tab needs before it is made (pixels)
_TAB_HEIGHT = 560


def _build(visit: Visit, site: Site) -> Component:
    object_id = visit.path.strip("/")
    try:
        data = read_object(site.api, object_id)
    except ApiError as error:
        if error.status == _NOT_FOUND:
            return unknown_object(object_id)
        raise
    reasons = {tab.name: tab.why_not(data) for tab in TABS}
    wanted = visit.arguments.get("tab", SUMMARY)
    opened = wanted if reasons.get(wanted) == "" else SUMMARY
    return html.Div(
        [
            dcc.Store(id="object-id", data=object_id),
            dcc.Store(id="object-noted"),
            html.Div(object_header.header(data), className="object-head"),
            html.Div(_tabs(data, site, visit, reasons, opened), className="object-main"),
            html.Aside(
                dmc.Paper(
                    [dmc.Title("Finder", order=2, size="h5", mb="xs"), object_header.finder_place(site)],
                    p="md", withBorder=True,
                ),
                className="object-sky", **{"aria-label": "Finder"},
            ),
        ],
        className="object-grid",
    )  # fmt: skip


def unknown_object(object_id: str) -> Component:
    """Return the page of a name that no object in the archive has."""
    start = object_id[:7]
    asked = urlencode({"action": "objectid", "object": start, "partial": "true"})
    return dmc.Center(
        className="object-missing",
        children=dmc.Stack(
            [
                html.Div("404", className="object-nowhere", **{"aria-hidden": "true"}),
                dmc.Title(f"No object is named {object_id}", order=1, size="h2", ta="center"),
                dmc.Text(
                    "It may be misspelled, or none of its alerts passed the cuts of quality, or this archive does not "
                    "reach back to it.",
                    c="dimmed", ta="center",
                ),
                dmc.Group(
                    [
                        dcc.Link(f"Names that begin with {start}", href=f"/?{asked}", className="object-link"),
                        dcc.Link("Search again", href="/", className="object-link"),
                        dcc.Link("Latest alerts", href="/gallery", className="object-link"),
                    ],
                    justify="center",
                ),
            ],
            align="center", maw=560,
        ),
        mih="60vh",
    )  # fmt: skip


def _tabs(data: ObjectData, site: Site, visit: Visit, reasons: dict[str, str], opened: str) -> Component:
    heads: list[Component] = [dmc.TabsTab("Summary", value=SUMMARY)]
    heads += [_head(tab.name, tab.label, reasons[tab.name]) for tab in TABS]
    heads.append(_head("grb", "GRB", _NO_GRB))
    panels = [dmc.TabsPanel(summary.build(data, site, visit), value=SUMMARY, pt="md")]
    panels += [
        dmc.TabsPanel(object_parts.part(tab.name, _TAB_HEIGHT), value=tab.name, pt="md")
        for tab in TABS
        if not reasons[tab.name]
    ]
    return dmc.Tabs(
        [dmc.TabsList(heads, className="object-tabs", **{"aria-label": "What is known of the object"}), *panels],
        id="object-tabs", value=opened, activateTabWithKeyboard=False,
    )  # fmt: skip


def _head(name: str, label: str, why_not: str) -> Component:
    if not why_not:
        return dmc.TabsTab(label, value=name)
    return dmc.Tooltip(
        dmc.TabsTab(label, value=name, disabled=True),
        label=why_not,
        withArrow=True,
        multiline=True,
        maw=280,
        events={"hover": True, "focus": True, "touch": True},
    )


def _register(app: Dash, site: Site) -> None:
    for tab in TABS:
        tab.register(app, site)
    summary.register(app, site)
    builders = {tab.name: tab.build for tab in TABS}
    builders |= {"finder": object_header.finder, "names": object_header.names, **summary.PARTS}
    object_parts.register(app, site, builders)
    app.clientside_callback(
        ClientsideFunction("object", "ask"),
        Output("object-noted", "modified_timestamp"),
        Input("object-tabs", "value"),
        Input("object-drawers", "value"),
        State({"type": "object-ask", "name": ALL}, "id"),
        State({"type": "object-ask", "name": ALL}, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("object", "address"),
        Output("object-noted", "data"),
        Input("object-tabs", "value"),
        Input("object-mode", "value"),
        Input("object-colour", "checked"),
        State("object-id", "data"),
        prevent_initial_call=True,
    )


PAGE = Page("/{object_id}", "{object_id} : Fink Science Portal", _build, _register, "")
