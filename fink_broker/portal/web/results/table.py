"""Results as a table that sorts, filters, and takes further columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.results.call import arguments_of
from fink_broker.portal.web.results.columns import MOST_ADDED, added_values, definitions, known_columns, records
from fink_broker.portal.web.search.actions import Results
from fink_broker.portal.web.site import Site

#: Rows of a page of the table.
PER_PAGE = 100
_HEAD_PIXELS, _ROW_PIXELS = 112, 43
#: The switches: what the address calls them, what visitors read.
SWITCHES = {"object": "Unique objects", "sso": "Unique SSO", "tracklet": "Unique tracklets"}


def table(results: Results, arguments: Mapping[str, str]) -> Component:
    """Return the table; ``unique`` of the arguments says which switches are on."""
    on = [name for name in SWITCHES if name in arguments.get("unique", "").split(",")]
    return html.Div(
        [
            html.Div(
                [
                    dmc.MultiSelect(
                        id="results-columns",
                        label="Further columns",
                        placeholder="Add a column",
                        data=[],
                        value=[],
                        searchable=True,
                        clearable=True,
                        limit=100,
                        maxValues=MOST_ADDED,
                        className="results-columns",
                    ),
                    dmc.CheckboxGroup(
                        dmc.Group(
                            [dmc.Checkbox(label=label, value=name, size="sm") for name, label in SWITCHES.items()]
                        ),
                        id="results-unique",
                        value=on,
                        className="results-unique",
                    ),
                ],
                className="results-table-tools",
            ),
            html.Div(id="results-columns-said"),
            dag.AgGrid(
                id="results-grid",
                rowData=[],
                columnDefs=definitions(results.kind),
                defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": False},
                getRowId="params.data.id",
                dashGridOptions={
                    "pagination": True,
                    "paginationPageSize": PER_PAGE,
                    "paginationPageSizeSelector": False,
                    "domLayout": "normal",
                    "enableCellTextSelection": True,
                    "ensureDomOrder": True,
                    "animateRows": False,
                },
                className="results-grid",
                style={"height": f"min(640px, 75vh, {_HEAD_PIXELS + _ROW_PIXELS * max(len(results.rows), 3)}px)"},
            ),
            dcc.Store(id="results-rows", data=records(results.rows)),
            dcc.Store(id="results-definitions", data=definitions(results.kind)),
            dcc.Store(id="results-added", data={}),
        ]
    )


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of the table; once."""
    app.clientside_callback(
        ClientsideFunction("results", "fill"),
        Output("results-grid", "rowData"),
        Output("results-grid", "columnDefs"),
        Input("results-unique", "value"),
        Input("results-added", "data"),
        Input("results-rows", "data"),
        State("results-definitions", "data"),
    )

    @app.callback(Output("results-columns", "data"), Input("results-rows", "data"))
    def offer(rows: object) -> list[str]:
        del rows
        try:
            return known_columns(site.api)
        except ApiError:
            return []  # the table is whole without

    @app.callback(
        Output("results-added", "data"),
        Output("results-columns-said", "children"),
        Input("results-columns", "value"),
        State("results-call", "data"),
        prevent_initial_call=True,
    )
    def add(names: Any, call: Any) -> tuple[Any, Any]:
        chosen = [str(name) for name in names] if isinstance(names, list) else []
        if not chosen:
            return {}, None
        route, arguments = arguments_of(call)
        try:
            return added_values(site.api, route, arguments, chosen), None
        except ApiError as error:
            return no_update, dmc.Alert(error.message, color="red", variant="light", mb="sm")
