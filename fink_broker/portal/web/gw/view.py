"""What the page of gravitational waves shows: the form, the objects, the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
import pandas as pd
from astropy.time import Time
from dash import dcc, html
from dash.development.base_component import Component

from fink_broker.portal.web import notices, polling
from fink_broker.portal.web.code import code_block, curl
from fink_broker.portal.web.sky import SkySource, sky_map

DEFAULT_LEVEL = 0.2
MAP_HEIGHT = 420
_HOURS = 24.0
_PER_PAGE = 50
#: milliseconds between two looks at the region that is drawn
POLL_MS = 300


def form(event: str, level: float) -> Component:
    """Return the fields: a superevent or a file, and the credible level."""
    return dmc.Paper(
        [
            html.Form(
                [
                    dmc.TextInput(
                        id="gw-event", label="Superevent", placeholder="S230709bi", value=event, size="sm",
                        className="gw-event", debounce=False,
                    ),
                    dmc.NumberInput(
                        id="gw-level", label="Credible level", value=level, min=0, max=1, step=0.05, size="sm",
                        clampBehavior="none", className="gw-level",
                    ),
                    dmc.Button("Search", id="gw-search", size="sm", color="indigo.7"),
                ],
                id="gw-form", className="gw-form", action="",
            ),
            html.Div(
                [
                    html.Span("or your own skymap", className="gw-or"),
                    html.Div(id="gw-drop", className="gw-drop"),
                    html.Div(id="gw-said", className="gw-said", role="status"),
                ],
                className="gw-file",
            ),
        ],
        withBorder=True, p="md",
    )  # fmt: skip


def introduction() -> Component:
    """Return what the page is for, before anything is asked."""
    return dmc.Stack(
        [
            dmc.Text(
                "Which objects appeared in the credible region of a gravitational-wave event, from one day before it "
                "to six days after it? Give the name of a superevent of LIGO, Virgo and KAGRA as GraceDB has it, or a "
                "skymap in FITS (HEALPix, flat or multi-order, gzipped or not, at most 100 MB).",
                size="sm",
            ),
            dmc.Text(
                "The credible level is the share of the probability the region holds: 0.2 is a small region where the "
                "event most likely was; 0.9 is the usual one for follow-up, and takes longer.",
                size="sm",
            ),
        ],
        gap="xs", className="gw-help",
    )  # fmt: skip


def waiting() -> Component:
    """Return the place of a result that is on its way."""
    return html.Div([dmc.Skeleton(height=28, width=320, mb="md"), dmc.Skeleton(height=MAP_HEIGHT, radius="md")])


def result(found: pd.DataFrame, name: str, level: float, further: Sequence[Component] = ()) -> Component:
    """Return the objects of an event; the region comes to its map later.

    Parameters
    ----------
    found : pandas.DataFrame
        As `candidates` gives them.
    name : str
        Of the event, or of the file.
    level : float
        Share of the probability, 0 to 1.
    further : sequence of Component
        What else belongs to it.
    """
    count = len(found)
    said = "1 object" if count == 1 else f"{count:,} objects"
    head = [dmc.Title(f"{said} for {name}", order=2, size="h3")]
    if count:
        event = Time(float(found["v:jdstartgw"].iloc[0]), format="jd", scale="utc").strftime("%Y-%m-%d %H:%M:%S")
        head.append(dmc.Text(f"Event at {event} UTC, credible level {level:g}", size="sm", className="gw-note"))
    content: list[Component] = [html.Div(head)]
    if not count:
        words = (
            f"No object appeared in the region of credible level {level:g}, from one day before the event to six days "
            "after it. A higher level takes a larger region."
        )
        content.append(notices.nothing("No counterpart found", words))
    content.append(html.Div(chart(found, None), id="gw-map", className="gw-map"))
    if count:
        content.append(table(found))
    return dmc.Stack([*content, *further], gap="md")


def chart(found: pd.DataFrame, region: Mapping[str, Any] | None) -> Component:
    """Return objects and region on the sky.

    Parameters
    ----------
    found : pandas.DataFrame
        Objects: ``i:objectId``, ``i:ra``, ``i:dec``, ``d:classification``, ``delay``.
    region : mapping, optional
        ``rings`` and ``area``; None: it is not known yet.
    """
    caption = "The credible region is being drawn."
    if region is not None:
        caption = f"Outline: the credible region, {region['area']:,.0f} square degrees. Points: objects; click on one."
    sources = sources_of(found)
    rings = [[(float(ra), float(dec)) for ra, dec in ring] for ring in region["rings"]] if region else []
    return sky_map(
        sources, id="gw-sky", centre=(180.0, 0.0), field_deg=360.0, region=rings, height=MAP_HEIGHT, caption=caption
    )


def sources_of(found: pd.DataFrame) -> list[SkySource]:
    """Return objects as the sky shows them."""
    return [
        SkySource(
            str(row["i:objectId"]), float(row["i:ra"]), float(row["i:dec"]), str(row["d:classification"]),
            f"/{row['i:objectId']}", f"first seen {written_delay(float(row['delay']))}",
        )
        for row in found.to_dict("records")
    ]  # fmt: skip


def written_delay(days: float) -> str:
    """Return the time from the event to the first detection in words."""
    side = "after" if days >= 0 else "before"
    amount = abs(days)
    return f"{amount * _HOURS:.1f} h {side} it" if amount < 1 else f"{amount:.2f} d {side} it"


def records(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    return [
        {
            "objectId": str(row["i:objectId"]), "class": str(row["d:classification"]), "count": int(row["i:ndethist"]),
            "delay": float(row["delay"]), "first": _date(row["i:jdstarthist"]), "last": _date(row["i:jd"]),
        }
        for row in found.to_dict("records")
    ]  # fmt: skip


def table(found: pd.DataFrame) -> Component:
    """Return objects as a table that sorts and filters, by their delay at first."""
    text, number = {"filter": "agTextColumnFilter"}, {"filter": "agNumberColumnFilter", "type": "rightAligned"}
    decimals = {"valueFormatter": {"function": "finkDecimals(params.value, 3)"}}
    columns = [
        {"field": "objectId", "headerName": "objectId", "cellRenderer": "FinkObject", "width": 150},
        {"field": "class", "headerName": "Classification", "minWidth": 190, "flex": 1} | text,
        {"field": "count", "headerName": "Number of measurements", "width": 230} | number,
        {"field": "delay", "headerName": "Delay (days)", "sort": "asc", "width": 170} | number | decimals,
        {"field": "first", "headerName": "First detection (UTC)", "width": 190} | text,
        {"field": "last", "headerName": "Last alert (UTC)", "width": 190} | text,
    ]
    return dag.AgGrid(
        id="gw-table", rowData=records(found), columnDefs=columns, defaultColDef={"sortable": True, "resizable": True},
        dashGridOptions={
            "pagination": len(found) > _PER_PAGE, "paginationPageSize": _PER_PAGE, "paginationPageSizeSelector": False,
            "enableCellTextSelection": True, "ensureDomOrder": True, "animateRows": False,
        },
        className="results-grid", style={"height": f"{min(560, 52 + 42 * len(found))}px", "width": "100%"},
    )  # fmt: skip


def snippet(api_url: str, event: str, level: float) -> Component:
    """Return how to ask the API the same."""
    command = curl(api_url, "skymap", {"event_name": event, "credible_level": level})
    if not event:
        command = f'curl "{api_url}/api/v1/skymap" -F "bayestar=@skymap.fits.gz" -F credible_level={level:g}'
    return dmc.Accordion(
        dmc.AccordionItem(
            [dmc.AccordionControl("Ask the API the same"), dmc.AccordionPanel(code_block(command, "bash", "curl"))],
            value="code",
        ),
        variant="contained",
    )


def _date(jd: Any) -> str:
    return str(Time(float(jd), format="jd", scale="utc").strftime("%Y-%m-%d %H:%M:%S"))


def stores() -> list[Component]:
    """Return what the page remembers: what was asked, the uploaded file, and the job that draws the region."""
    return [
        dcc.Store(id="gw-asked"),
        dcc.Store(id="gw-busy", data=False),
        dcc.Store(id="gw-file"),
        dcc.Store(id="gw-shown"),
        dcc.Store(id="gw-job"),
        dcc.Store(id="gw-ended"),
        *polling.components("gw", POLL_MS),
    ]
