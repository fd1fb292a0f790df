"""Results of a search: header, and the view that the address names: cards, table or sky map."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
import httpx
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from fink_broker.portal.web import code, light_curve_preview, notices, sky
from fink_broker.portal.web.results import table
from fink_broker.portal.web.results.cards import cards
from fink_broker.portal.web.results.sources import sky_sources
from fink_broker.portal.web.search.actions import Results
from fink_broker.portal.web.site import Site, Visit

VIEWS = {"cards": "Cards", "table": "Table", "map": "Sky map"}
#: Formats of downloads: how the API calls them, what visitors read.
FORMATS = {"csv": "CSV", "json": "JSON", "votable": "VOTable", "parquet": "Parquet"}
_ENDINGS = {"votable": "xml"}
_ONE_EACH = "Each result is one object, shown by the latest of its alerts that the search found."
_SEVERAL_EACH = (
    "Each result is one alert: an object is here as often as the search found alerts of it. The table can keep "
    "one of each."
)
_HELP = (
    "Cards show the science image of that alert and the light curve of the object: difference magnitudes over modified "
    "julian dates, g in blue, r in orange. A red outline says that a source of the reference image is within 1.5″.",
    "The table sorts by its headers and filters by the menu in each; any column of the archive can be added. "
    "Unique objects, SSO and tracklets keep the first row of each.",
    "The sky map shows up to 1,000 results, one colour a class. A click on a point opens the object.",
    "The address says which view this is: it can be shared and kept.",
)


def results_view(results: Results, visit: Visit, site: Site) -> Component:
    """Return the results of a search.

    Parameters
    ----------
    results : Results
        What was found.
    visit : Visit
        ``view`` (cards, table, map), ``page`` and ``unique`` of its address are heeded.
    site : Site
        What pages are built with.
    """
    if results.rows.empty:
        return html.Section(
            [_title(results), notices.nothing("Nothing found", _advice(results))], **{"aria-label": "Results"}
        )
    view = visit.arguments.get("view", "")
    view = view if view in VIEWS else "cards"
    return html.Section(
        [
            _title(results),
            _tools(view, results),
            _content(view, results, visit, site),
            _code(results, site),
            dcc.Store(id="results-call", data={"route": results.route, "arguments": dict(results.arguments)}),
        ],
        **{"aria-label": "Results"},
    )


def _content(view: str, results: Results, visit: Visit, site: Site) -> Component:
    if view == "table":
        return table.table(results, visit.arguments)
    if view == "map":
        return sky.sky_map(sky_sources(results.rows), id="results-sky", aladin=sky.aladin_offered(site), height=520)
    return cards(results.rows, visit)


def _title(results: Results) -> Component:
    number = len(results.rows)
    count = f"{number:,} result{'' if number == 1 else 's'}"
    if results.is_cut:
        count = f"the first {count}; there are more"
    criteria = [dmc.Badge(words, variant="default", tt="none", fw=500) for words in results.criteria]
    return html.Div(
        [
            html.H2(results.title, className="results-title"),
            dmc.Group([*criteria, html.Span(count if number else "", className="results-count")], gap="xs"),
        ],
        className="results-header",
    )


def _advice(results: Results) -> str:
    if results.kind == "cone":
        return _advice_on_cone(results.arguments)
    if results.kind in ("class", "time"):
        return "No alert of the archive meets this. Try another class, a longer time, or fewer conditions."
    if results.kind in ("objects", "tracklet", "sso"):
        return "The archive has no alert of this name. Names may be cut short, as ZTF21ab; capitals do not matter."
    return "No alert of the archive meets this. Fewer conditions find more."


def _advice_on_cone(arguments: Mapping[str, str | int | float]) -> str:
    if {"startdate", "stopdate"} & set(arguments):
        return "No object of the archive in this cone was first detected at that time. Other times may have some."
    radius = float(arguments.get("radius", 0.0))
    wider = [written for written, arcsec in (("r=60", 60.0), ("r=10m", 600.0)) if arcsec > radius]
    further = f" A larger radius may have some: add {', or '.join(wider)}." if wider else ""
    return f"No object of the archive is in this cone.{further}"


def _tools(view: str, results: Results) -> Component:
    links = [
        html.A(label, href=download_address(results, name), download=file_name(results, name), className="results-link")
        for name, label in FORMATS.items()
    ]
    return html.Div(
        [
            dmc.SegmentedControl(
                id="results-view",
                data=[{"value": value, "label": label} for value, label in VIEWS.items()],
                value=view,
                **{"aria-label": "How results are shown"},
            ),
            html.Div([html.Span("Download", className="results-label"), *links], className="results-downloads"),
            dmc.Group(
                [
                    dmc.Button("Code", id="results-code-open", variant="default", size="compact-sm", fw=500),
                    _help(results),
                ],
                gap="xs",
            ),
        ],
        className="results-tools",
    )


def help_on(results: Results) -> list[str]:
    """Return what helps to read these results, in paragraphs."""
    is_one_each = "i:objectId" in results.rows and results.rows["i:objectId"].is_unique
    return [_ONE_EACH if is_one_each else _SEVERAL_EACH, *_HELP]


def _help(results: Results) -> Component:
    return dmc.Popover(
        [
            dmc.PopoverTarget(dmc.Button("Help", variant="default", size="compact-sm", fw=500)),
            dmc.PopoverDropdown(dmc.Stack([dmc.Text(words, size="sm") for words in help_on(results)], gap="xs")),
        ],
        width=340,
        position="bottom-end",
        shadow="md",
        withinPortal=True,
        withRoles=False,
    )


def _code(results: Results, site: Site) -> Component:
    given = {name: _written(value) for name, value in results.arguments.items()}
    return dmc.Modal(
        dmc.Stack(
            [
                dmc.Text("What this page asked of the REST API:", size="sm"),
                code.code_block(code.python(site.api_url, results.route, given), "python", "Python program"),
                code.code_block(code.curl(site.api_url, results.route, given), "bash", "curl command"),
            ]
        ),
        id="results-code",
        title="The same in a program",
        size="lg",
        opened=False,
    )


def download_address(results: Results, output_format: str) -> str:
    """Return the address at which this site gives what a search asked for, in a format of the API."""
    given: dict[str, Any] = {name: _written(value) for name, value in results.arguments.items()}
    given["output-format"] = output_format
    return f"/api/v1/{results.route}?{httpx.QueryParams(given)}"


def file_name(results: Results, output_format: str) -> str:
    """Return the name of a downloaded file: words of the title, and the ending of the format."""
    words = re.sub(r"[^A-Za-z0-9.+-]+", "_", results.title).strip("_.")[:60]
    return f"fink_{words or results.route}.{_ENDINGS.get(output_format, output_format)}"


def _written(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of results, of sky maps, and the addresses of small light curves; once."""
    sky.register(app, site)
    light_curve_preview.register(app, site)
    table.register(app, site)
    app.clientside_callback(
        ClientsideFunction("results", "choose_view"),
        Output("address", "search", allow_duplicate=True),
        Input("results-view", "value"),
        State("address", "search"),
        prevent_initial_call="initial_duplicate",
    )
    app.clientside_callback(
        ClientsideFunction("results", "open"),
        Output("results-code", "opened"),
        Input("results-code-open", "n_clicks"),
        prevent_initial_call=True,
    )
