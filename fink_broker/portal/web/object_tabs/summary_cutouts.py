"""The three images of an alert: science, template, difference; in the page, and as large as the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, html
from dash.development.base_component import Component

from fink_broker.portal.image_rendering import SIGMOID, STRETCH_NAMES
from fink_broker.portal.images import KINDS
from fink_broker.portal.web import photometry
from fink_broker.portal.web.light_curve import band_name, dates
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.results.values import class_of

#: Colour maps, besides grey, that keep their order for those who see colours differently, and some that are well known.
COLOUR_MAPS = ("viridis", "magma", "inferno", "plasma", "cividis", "Blues_r", "RdBu_r")
_SAID = {"Science": "the exposure", "Template": "the reference", "Difference": "science minus template"}
_PIXELS = 63
#: So many dates are searched rather than scrolled through.
_MANY = 12


def listed(data: ObjectData) -> list[dict[str, str]]:
    """Return the alerts of an object by time, as the browser steps through them."""
    alerts = data.alerts
    jd, fid, magnitude = (photometry.column(alerts, name) for name in ("i:jd", "i:fid", "i:magpsf"))
    labels = [class_of({"v:classification": label}) for label in alerts["v:classification"]]
    times = [text[:19].replace("T", " ") for text in dates(jd)]
    rows = zip(alerts["i:candid"].astype(str), times, fid, magnitude, labels, strict=True)
    return [
        {"value": candid, "label": f"{time} · {band_name(int(band))} {mag:.2f}", "class": label}
        for candid, time, band, mag, label in rows
    ]


def stamp_url(object_id: str, kind: str, candid: str) -> str:
    """Return the address of an image as it is shown at first."""
    asked = {"objectId": object_id, "kind": kind, "output-format": "PNG", "stretch": SIGMOID, "candid": candid}
    return f"/api/v1/cutouts?{urlencode(asked)}"


def build(data: ObjectData, alerts: Sequence[Mapping[str, str]]) -> Component:
    """Return the images of the latest alert, and what steps through the others, as `listed` gives them."""
    latest = alerts[-1]
    only = len(alerts) == 1
    stamps = [_stamp(data.object_id, kind, latest["value"]) for kind in KINDS]
    choices = [{"value": each["value"], "label": each["label"]} for each in reversed(alerts)]
    choice = dmc.Select(
        id="object-date", label="Alert", data=choices, value=latest["value"], allowDeselect=False, size="xs", w=270,
        searchable=len(alerts) > _MANY, disabled=only, limit=500,
    )  # fmt: skip
    stretch = dmc.Select(
        id="object-stretch", label="Stretch", data=list(STRETCH_NAMES), value=SIGMOID, allowDeselect=False, size="xs",
        w=110,
    )  # fmt: skip
    maps = [{"value": "grey", "label": "grey"}, *({"value": name, "label": name} for name in COLOUR_MAPS)]
    colours = dmc.Select(
        id="object-colourmap", label="Colour map", data=maps, value="grey", allowDeselect=False, size="xs", w=120,
    )  # fmt: skip
    large = dmc.Button("Full screen", id="object-large", size="xs", variant="light")
    return html.Div(
        [
            dmc.Group([choice, _steps("object", only), stretch, colours, large], align="flex-end", gap="sm", mb="md"),
            html.Div(stamps, className="object-stamps"),
            _modal(data.object_id, latest, only),
        ]
    )


def register(app: Dash) -> None:
    """Add what follows the chosen alert; all of it happens in the browser."""
    app.clientside_callback(
        ClientsideFunction("object", "choose"),
        Output("object-candid", "data"),
        Output("object-date", "value"),
        Input("object-plot", "clickData"),
        Input("object-date", "value"),
        Input("object-previous", "n_clicks"),
        Input("object-next", "n_clicks"),
        Input("object-large-previous", "n_clicks"),
        Input("object-large-next", "n_clicks"),
        State("object-candid", "data"),
        State("object-alerts", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("object", "stamps"),
        *(Output(f"object-stamp-{kind.lower()}", "src") for kind in KINDS),
        *(Output(f"object-large-{kind.lower()}", "src") for kind in KINDS),
        Output("object-large-said", "children"),
        Input("object-candid", "data"),
        Input("object-stretch", "value"),
        Input("object-colourmap", "value"),
        State("object-id", "data"),
        State("object-alerts", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        "(clicks) => Boolean(clicks)",
        Output("object-modal", "opened"),
        Input("object-large", "n_clicks"),
        prevent_initial_call=True,
    )


def _steps(prefix: str, only: bool) -> Component:
    return dmc.Group(
        [
            dmc.ActionIcon("‹", id=f"{prefix}-previous", variant="default", size=30, disabled=only,
                           **{"aria-label": "Previous alert"}),
            dmc.ActionIcon("›", id=f"{prefix}-next", variant="default", size=30, disabled=only,
                           **{"aria-label": "Next alert"}),
        ],
        gap=4, wrap="nowrap",
    )  # fmt: skip


def _stamp(object_id: str, kind: str, candid: str, *, prefix: str = "object-stamp") -> Component:
    image = html.Img(
        id=f"{prefix}-{kind.lower()}", src=stamp_url(object_id, kind, candid), alt=f"{kind} image of the alert",
        width=_PIXELS, height=_PIXELS, className="object-image",
    )  # fmt: skip
    words = html.Figcaption([html.Strong(kind), html.Span(f" {_SAID[kind]}")])
    missing = html.Div("No image of this alert is kept.", className="object-no-image")
    return html.Figure([html.Div([image, missing], className="object-frame"), words], className="object-stamp")


def _modal(object_id: str, latest: Mapping[str, str], only: bool) -> Component:
    stamps = [_stamp(object_id, kind, latest["value"], prefix="object-large") for kind in KINDS]
    title = dmc.Text(_said(latest), id="object-large-said", fw=600, className="object-number")
    return dmc.Modal(
        [
            dmc.Group([_steps("object-large", only), title], justify="center", mb="md", gap="md"),
            html.Div(stamps, className="object-stamps object-stamps-large"),
        ],
        id="object-modal", title=f"Cutouts of {object_id}", fullScreen=True, transitionProps={"duration": 0},
        closeButtonProps={"aria-label": "Close"},
    )  # fmt: skip


def _said(alert: Mapping[str, str]) -> str:
    return f"{alert['label']} · {alert['class']}"
