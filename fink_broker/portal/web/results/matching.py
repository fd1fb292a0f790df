"""The steps of a cross-match: a catalogue, its columns, the matches, their file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
import pandas as pd
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.results.badges import badge
from fink_broker.portal.web.results.catalogue import (
    Catalogue,
    CatalogueError,
    guess_columns,
    read_catalogue,
    uploaded,
)
from fink_broker.portal.web.results.values import class_of, date_of, number_of, text_of
from fink_broker.portal.web.site import Site

#: Radius that is offered, and the largest, arcsec.
RADIUS, LARGEST = 1.5, 60.0
_ROWS_OF_PREVIEW = 5
_COLUMNS_OF_PREVIEW = 8
_SEPARATION = "v:separation_degree"


def setup(catalogue: Catalogue) -> Component:
    """Return what a catalogue is, and where its columns and the radius are chosen."""
    ra, dec, identifier = guess_columns(catalogue.names)
    names = list(catalogue.names)
    chosen = (
        ("xmatch-ra", "Right ascension", ra),
        ("xmatch-dec", "Declination", dec),
        ("xmatch-id", "Identifier", identifier),
    )
    return dmc.Paper(
        [
            html.H2(f"{len(catalogue.rows):,} sources, {len(names)} columns", className="xmatch-title"),
            _preview(catalogue),
            html.Div(
                [
                    *(
                        dmc.Select(
                            id=id_,
                            label=label,
                            data=names,
                            value=value,
                            searchable=True,
                            clearSearchOnFocus=True,
                            w=190,
                        )
                        for id_, label, value in chosen
                    ),
                    dmc.NumberInput(
                        id="xmatch-radius", label="Radius (″)", value=RADIUS, min=0.1, max=LARGEST, step=0.5, w=120
                    ),
                    dmc.Button("Match", id="xmatch-match"),
                ],
                className="xmatch-choices",
            ),
        ],
        withBorder=True,
        p="md",
    )


def _preview(catalogue: Catalogue) -> Component:
    shown = catalogue.names[:_COLUMNS_OF_PREVIEW]
    rows = [[cell[:60] for cell in row[:_COLUMNS_OF_PREVIEW]] for row in catalogue.rows[:_ROWS_OF_PREVIEW]]
    return dmc.ScrollArea(
        dmc.Table(data={"head": [name[:60] for name in shown], "body": rows}, verticalSpacing=4, fz="sm"),
        type="auto",
    )


def match(site: Site, text: Any, header: tuple[Any, Any, Any], radius: Any) -> tuple[Catalogue, pd.DataFrame]:
    """Return a catalogue and its matches in the archive.

    Parameters
    ----------
    site : Site
        Whose API is asked.
    text : object
        The catalogue as a browser sent it back.
    header : tuple
        Columns of right ascension, declination and identifier, from a browser.
    radius : object
        Arcsec, from a browser.

    Raises
    ------
    CatalogueError
        If something is missing or wrong.
    ApiError
        If the API refuses, or is away.
    """
    if not isinstance(text, str):
        raise CatalogueError("There is no catalogue yet. Upload one first.")
    catalogue = read_catalogue(text)
    if not all(isinstance(name, str) and name in catalogue.names for name in header):
        raise CatalogueError("Choose the columns of right ascension, declination and identifier.")
    if len(set(header)) < len(header):
        raise CatalogueError("Right ascension, declination and identifier are three different columns.")
    if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 < radius <= LARGEST:
        raise CatalogueError(f"The radius is a number of arcseconds above 0, {LARGEST:g} at most.")
    if any("," in name for name in header):
        raise CatalogueError("The names of these columns may not have commas: rename them.")
    return catalogue, site.api.rows("xmatch", catalog=catalogue.text(), header=",".join(header), radius=float(radius))


def matches(catalogue: Catalogue, found: pd.DataFrame, identifier: str, radius: float) -> Component:
    """Return the matches: in numbers, as a table, and a button that downloads them."""
    if found.empty:
        words = f"None of the {len(catalogue.rows):,} positions has an object within {radius:g}″. Try a larger radius."
        return notices.nothing("No matches", words)
    column = own_column(identifier, found)
    matched = found[column].nunique()
    summary = f"{matched:,} of {len(catalogue.rows):,} sources have an object within {radius:g}″"
    return html.Div(
        [
            html.Div(
                [
                    html.H2(summary, className="xmatch-title"),
                    *(
                        [badge("cut: there are more", "the API gives no more at once", "red")]
                        if found.attrs.get("is_cut")
                        else []
                    ),
                    dmc.Button("Download CSV", id="xmatch-download", variant="default", size="compact-md", fw=500),
                ],
                className="xmatch-summary",
            ),
            dag.AgGrid(
                rowData=[_record(row, column) for row in found.to_dict("records")],
                columnDefs=_definitions(identifier),
                defaultColDef={"sortable": True, "resizable": True},
                dashGridOptions={"pagination": True, "paginationPageSize": 100, "paginationPageSizeSelector": False},
                className="results-grid",
                style={"height": f"{min(640, 120 + 44 * len(found))}px", "width": "100%"},
            ),
        ]
    )


def own_column(name: str, found: pd.DataFrame) -> str:
    """Return what a column of the catalogue is called among the matches.

    Where the archive has a column of that name too, the catalogue's is marked: ``i:ra_catalog``.
    """
    marked = [str(column) for column in found.columns if re.fullmatch(rf"{re.escape(name)}(_catalog)+", str(column))]
    return max(marked, key=len) if marked and name[:2] in ("i:", "d:", "v:") else name


def _record(row: Mapping[Any, Any], column: str) -> dict[str, Any]:
    apart = number_of(row, _SEPARATION)
    return {
        "own": str(row.get(column, "")),
        "objectId": text_of(row, "i:objectId"),
        "separation": None if apart is None else apart * 3600,
        "class": class_of(row),
        "magnitude": number_of(row, "i:magpsf"),
        "last": date_of(number_of(row, "i:jd")),
    }


def _definitions(identifier: str) -> list[dict[str, Any]]:
    def number(field: str, header: str, decimals: int) -> dict[str, Any]:
        text = {"function": f"finkDecimals(params.value, {decimals})"}
        kind = {"type": "rightAligned", "filter": "agNumberColumnFilter", "width": 160, "valueFormatter": text}
        return {"field": field, "headerName": header, **kind}

    return [
        {"field": "own", "headerName": identifier[:60], "filter": "agTextColumnFilter", "minWidth": 160, "flex": 1},
        {"field": "objectId", "headerName": "Object", "cellRenderer": "FinkObject", "filter": "agTextColumnFilter"},
        number("separation", "Separation (″)", 2),
        {"field": "class", "headerName": "Classification", "filter": "agTextColumnFilter", "minWidth": 180, "flex": 1},
        number("magnitude", "Magnitude", 2),
        {"field": "last", "headerName": "Last alert (UTC)", "filter": "agTextColumnFilter", "width": 180},
    ]


def _refusal(error: CatalogueError) -> Component:
    return notices.notice("This does not work", str(error), colour="red")


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of the steps; once."""
    header = [State(f"xmatch-{part}", "value") for part in ("ra", "dec", "id", "radius")]

    @app.callback(
        Output("xmatch-catalogue", "data"),
        Output("xmatch-setup", "children"),
        Output("xmatch-results", "children", allow_duplicate=True),
        Input("xmatch-upload", "contents"),
        Input("xmatch-use", "n_clicks"),
        State("xmatch-text", "value"),
        prevent_initial_call=True,
    )
    def read(contents: Any, clicks: int | None, text: Any) -> tuple[str | None, Component, None]:
        del clicks
        try:
            pasted = ctx.triggered_id == "xmatch-use"
            catalogue = read_catalogue(str(text or "") if pasted else uploaded(contents))
        except CatalogueError as error:
            return None, _refusal(error), None
        return catalogue.text(), setup(catalogue), None

    @app.callback(
        Output("xmatch-results", "children"),
        Input("xmatch-match", "n_clicks"),
        State("xmatch-catalogue", "data"),
        *header,
        prevent_initial_call=True,
    )
    def show(clicks: int | None, text: Any, *given: Any) -> Any:
        ra, dec, identifier, radius = given
        if not clicks:
            return no_update
        try:
            catalogue, found = match(site, text, (ra, dec, identifier), radius)
        except CatalogueError as error:
            return _refusal(error)
        except ApiError as error:
            return notices.failure(error)
        return matches(catalogue, found, identifier, radius)

    @app.callback(
        Output("xmatch-file", "data"),
        Input("xmatch-download", "n_clicks"),
        State("xmatch-catalogue", "data"),
        *header,
        prevent_initial_call=True,
    )
    def save(clicks: int | None, text: Any, *given: Any) -> Any:
        ra, dec, identifier, radius = given
        if not clicks:
            return no_update
        try:
            _, found = match(site, text, (ra, dec, identifier), radius)
        except (CatalogueError, ApiError):
            return no_update  # it was matched a moment ago: the page says what is wrong when it is matched again
        return dcc.send_string(found.to_csv(index=False), "fink_xmatch.csv")
