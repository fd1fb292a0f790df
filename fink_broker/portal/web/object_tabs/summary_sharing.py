"""Taking an object along: its coordinates, its data, the address of its page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import dash_mantine_components as dmc
import segno
from astropy.coordinates import SkyCoord
from dash import ClientsideFunction, Dash, Input, Output, State, html
from dash.development.base_component import Component

from fink_broker.portal.web import code
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.site import Site

#: Files the rows of an object come in, by the name of the format in the API.
FORMATS = (("json", "JSON"), ("csv", "CSV"), ("votable", "VOTable"), ("parquet", "Parquet"))
_ENDINGS = {"votable": "vot"}
#: Longer addresses make no code that a telephone reads.
_LONGEST_ADDRESS = 300


def coordinates(data: ObjectData, site: Site) -> Component:
    """Return the position in two systems, one of which is shown."""
    del site
    place = SkyCoord(float(data.latest["i:ra"]), float(data.latest["i:dec"]), unit="deg")
    galactic = place.galactic
    texts = {
        "EQU": [f"{place.ra.deg:.7f} {place.dec.deg:+.7f}", place.to_string("hmsdms", precision=2),
                place.to_string("hmsdms", sep=":", precision=2), place.to_string("hmsdms", sep=" ", precision=2)],
        "GAL": [f"{galactic.l.deg:.7f} {galactic.b.deg:+.7f}", galactic.to_string("dms", precision=2)],
    }  # fmt: skip
    chips = dmc.ChipGroup(
        [dmc.Chip(name, value=name, size="sm", variant="light") for name in texts], id="object-system", value="EQU",
        deselectable=False,
    )  # fmt: skip
    lists = [
        html.Ul(
            [_line(text) for text in lines],
            id=f"object-system-{name.lower()}",
            className="object-places",
            hidden=name != "EQU",
        )
        for name, lines in texts.items()
    ]
    said = "Of the latest alert. EQU: right ascension and declination (ICRS); GAL: galactic longitude and latitude."
    return html.Div(
        [
            html.Div(dmc.Group(chips, gap=6), role="radiogroup", **{"aria-label": "System of coordinates"}),
            *lists,
            dmc.Text(said, size="sm", c="dimmed"),
        ]
    )


def download(data: ObjectData, site: Site) -> Component:
    """Return links to the rows of an object, and programs that ask for the same."""
    asked = {"objectId": data.object_id, "withupperlim": "True"}
    links = [
        html.A(name, href=f"/api/v1/objects?{urlencode({**asked, 'output-format': form})}",
               download=f"{data.object_id}.{_ENDINGS.get(form, form)}", className="object-link")
        for form, name in FORMATS
    ]  # fmt: skip
    file = f"{data.object_id}.csv"
    curl = code.curl(site.api_url, "objects", {**asked, "output-format": "csv"}, file)
    return dmc.Stack(
        [
            dmc.Group(links, gap="xs"),
            dmc.Text(
                "All alerts with all columns, upper limits and measurements of bad quality.", size="sm", c="dimmed"
            ),
            dmc.Title("Python", order=3, size="h6"),
            code.code_block(code.python(site.api_url, "objects", asked), "python", "Python program"),
            dmc.Title("curl", order=3, size="h6"),
            code.code_block(curl, "bash", "curl command"),
        ],
        gap="xs",
    )


def share(data: ObjectData, site: Site) -> Component:
    """Return the place of the page's address and its QR code; which host it is at is known to the browser."""
    del site
    return html.Div(dmc.Skeleton(height=240), id="object-share", **{"data-object": data.object_id})


def register(app: Dash) -> None:
    """Add the callbacks of coordinates and of the address."""
    app.clientside_callback(
        ClientsideFunction("object", "system"),
        Output("object-system-equ", "hidden"),
        Output("object-system-gal", "hidden"),
        Input("object-system", "value"),
    )

    @app.callback(
        Output("object-share", "children"),
        Input("object-share", "data-object"),
        State("address", "href"),
    )
    def show_address(object_id: Any, href: Any) -> Component:
        return shared(address_of(object_id, href))


def address_of(object_id: Any, href: Any) -> str:
    """Return the address of the page of an object at the host where a visitor is; empty if it is no such address."""
    try:
        parts = urlsplit(str(href or "")[:_LONGEST_ADDRESS])
    except ValueError:  # as http://[
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc or not str(object_id).isalnum():
        return ""
    return f"{parts.scheme}://{parts.netloc}/{object_id}"[:_LONGEST_ADDRESS]


def shared(address: str) -> Component:
    """Return an address with its QR code."""
    if not address:
        return dmc.Text("The address of this page is in the bar of your browser.", size="sm")
    picture = segno.make(address, error="m").svg_data_uri(scale=6, border=4, dark="#15284F", light="#fff")
    return dmc.Group(
        [
            html.Img(src=picture, alt=f"QR code of {address}", width=200, height=200, className="object-qr"),
            dmc.Stack(
                [
                    html.A(address, href=address, className="object-address"),
                    dmc.CopyButton(
                        "Copy the address", value=address, copiedChildren="Copied", size="xs", variant="light"
                    ),
                ],
                align="flex-start",
            ),
        ],
        align="flex-start",
    )


def _line(text: str) -> Component:
    copy = dmc.CopyButton(
        "Copy", value=text, copiedChildren="Copied", size="compact-xs", variant="default",
        buttonProps={"aria-label": f"Copy {text}"},
    )  # fmt: skip
    return html.Li([html.Span(text, className="object-number"), copy])
