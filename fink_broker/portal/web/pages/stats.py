"""The page ``/stats``: what the broker counted, by night and class."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
import pandas as pd
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.site import Page, Site, Visit
from fink_broker.portal.web.statistics import panels
from fink_broker.portal.web.statistics.nights import night_of, read_nights

TABS = {
    "heatmap": "Heatmap",
    "daily": "Daily statistics",
    "timelines": "Timelines",
    "classes": "Classes",
    "tns": "TNS",
    "help": "Help",
}
DEFAULT_TAB = "heatmap"
_DISABLED = frozenset({"tns"})


def _build(visit: Visit, site: Site) -> Component:
    nights = read_nights(site.api)
    title = dmc.Title("Statistics", order=1, mb="md")
    if nights.empty:
        return html.Div([title, panels.empty()], className="page-content")
    wanted = visit.arguments.get("tab", DEFAULT_TAB)
    opened = wanted if wanted in TABS and wanted not in _DISABLED else DEFAULT_TAB
    return html.Div(
        [title, panels.header(nights), dcc.Store(id="stats-address"), _tabs(opened, nights, visit, site)],
        className="page-content",
    )


def _tabs(opened: str, nights: pd.DataFrame, visit: Visit, site: Site) -> Component:
    heads = [dmc.TabsTab(label, value=name, disabled=name in _DISABLED) for name, label in TABS.items()]
    shown = [
        dmc.TabsPanel(
            html.Div(_panel(name, nights, visit, site) if name == opened else None, id=f"stats-panel-{name}"),
            value=name, pt="md",
        )
        for name in TABS
    ]  # fmt: skip
    return dmc.Tabs([dmc.TabsList(heads), *shown], id="stats-tabs", value=opened, keepMounted=False, mt="xl")


def _panel(name: str, nights: pd.DataFrame, visit: Visit, site: Site) -> Component:
    """Return the content of a tab."""
    if name == "daily":
        return panels.daily(nights, night_of(visit.arguments.get("night")))
    if name == "timelines":
        return panels.timelines(site.api, visit.arguments)
    if name == "classes":
        return panels.classes(visit.arguments.get("every", "MS"))
    return panels.explanation() if name == "help" else panels.heatmap(nights)


def _register(app: Dash, site: Site) -> None:
    _register_address(app)
    filled = [name for name in TABS if name not in _DISABLED]

    @app.callback(
        *(Output(f"stats-panel-{name}", "children") for name in filled),
        Input("stats-tabs", "value"),
        *(State(f"stats-panel-{name}", "children") for name in filled),
        prevent_initial_call=True,
    )
    def open_tab(opened: str | None, *there: Any) -> list[Any]:
        shown: list[Any] = [no_update] * len(filled)
        if opened in filled and not there[filled.index(opened)]:
            shown[filled.index(opened)] = _or_trouble(lambda: _panel(opened, read_nights(site.api), Visit(), site))
        return shown

    @app.callback(Output("stats-night-figures", "children"), Input("stats-night", "value"))
    def show_night(night: str | None) -> Any:
        return _or_trouble(lambda: panels.one_night(site.api, night if isinstance(night, str) else None))

    @app.callback(
        Output("stats-timeline", "children"),
        Input("stats-column", "value"),
        Input("stats-cumulative", "checked"),
        Input("stats-percentage", "checked"),
    )
    def show_timeline(column: str | None, is_sum: bool | None, is_share: bool | None) -> Any:
        return _or_trouble(
            lambda: panels.one_timeline(site.api, str(column), cumulative=bool(is_sum), percentage=bool(is_share))
        )

    @app.callback(Output("stats-classes", "children"), Input("stats-every", "value"))
    def show_classes(every: str | None) -> Any:
        return _or_trouble(lambda: panels.classes_over_time(read_nights(site.api), str(every)))


def _or_trouble(make: Any) -> Any:
    try:
        return make()
    except ApiError as error:
        return notices.failure(error)


def _register_address(app: Dash) -> None:
    """Keep what is chosen in the address; open the night that is chosen in a calendar."""
    for name, component, value in (
        ("tab", "stats-tabs", "value"),
        ("night", "stats-night", "value"),
        ("column", "stats-column", "value"),
        ("cumulative", "stats-cumulative", "checked"),
        ("percentage", "stats-percentage", "checked"),
        ("every", "stats-every", "value"),
    ):
        app.clientside_callback(
            ClientsideFunction("stats", f"keep_{name}"),
            Output("stats-address", "data", allow_duplicate=True),
            Input(component, value),
            prevent_initial_call=True,
        )
    app.clientside_callback(
        ClientsideFunction("stats", "open_night"),
        Output("address", "href", allow_duplicate=True),
        Input({"type": "stats-year", "year": ALL}, "clickData"),
        prevent_initial_call=True,
    )


PAGE = Page("/stats", "Statistics : Fink Science Portal", _build, _register, "Statistics")
