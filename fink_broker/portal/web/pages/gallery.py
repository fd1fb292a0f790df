"""The page ``/gallery``: how the latest alerts of a class look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
import pandas as pd
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.results.cards import lazy_image, stamp_address
from fink_broker.portal.web.results.values import class_of, date_of, number_of, text_of
from fink_broker.portal.web.site import Page, Site, Visit
from fink_broker.portal.web.theme import BAND_NAMES, class_colour

KINDS = ("Science", "Template", "Difference")
NUMBERS = ("12", "24", "48", "96")
FIRST_CLASS = "SN candidate"
_COLUMNS = (
    "i:objectId", "i:candid", "i:jd", "i:fid", "i:magpsf", "d:classification", "d:cdsxmatch",
)  # fmt: skip
#: Pixels of a stamp.
_EDGE = 176
#: Alerts asked for, a shown object: an object may have several of the latest.
_ALERTS_PER_OBJECT = 4
_LONGEST_CLASS = 80


def _build(visit: Visit, site: Site) -> Component:
    label = visit.arguments.get("class", FIRST_CLASS)[:_LONGEST_CLASS]
    kind = visit.arguments.get("kind", KINDS[0])
    kind = kind if kind in KINDS else KINDS[0]
    number = visit.arguments.get("n", NUMBERS[1])
    number = number if number in NUMBERS else NUMBERS[1]
    return html.Div(
        [
            dmc.Title("Gallery", order=1),
            dmc.Text("The objects of a class that were alerted last, as ZTF saw them.", mt=4),
            _choices(site, label, kind, number),
            _stamps(site, label, kind, int(number)),
        ]
    )


def _choices(site: Site, label: str, kind: str, number: str) -> Component:
    return html.Div(
        [
            dmc.Select(
                id="gallery-class",
                label="Class",
                data=_classes(site, label),
                value=label,
                searchable=True,
                allowDeselect=False,
                limit=200,
                clearSearchOnFocus=True,
                placeholder=label,
                w=280,
            ),
            dmc.Select(
                id="gallery-number", label="Objects", data=list(NUMBERS), value=number, allowDeselect=False, w=96
            ),
            html.Div(
                [
                    html.Span("Image", className="gallery-label"),
                    dmc.SegmentedControl(id="gallery-kind", data=list(KINDS), value=kind, **{"aria-label": "Image"}),
                ]
            ),
        ],
        className="gallery-choices",
    )


def _classes(site: Site, chosen: str) -> list[dict[str, Any]]:
    """Return the classes by origin; the chosen one alone where the API does not say."""
    try:
        origins: Mapping[str, list[str]] = site.api.document("classes", **{"output-format": "json"})
    except ApiError:
        return [{"value": chosen, "label": chosen}]
    groups = [
        {"group": origin.split(" (see", 1)[0], "items": [{"value": name, "label": name} for name in names]}
        for origin, names in origins.items()
    ]
    if not any(chosen in names for names in origins.values()):
        groups.append({"group": "Asked for", "items": [{"value": chosen, "label": chosen}]})
    return groups


def _stamps(site: Site, label: str, kind: str, number: int) -> Component:
    try:
        alerts = site.api.rows("latests", **{"class": label}, n=number * _ALERTS_PER_OBJECT, columns=_COLUMNS)
    except ApiError as error:
        return notices.failure(error)
    if alerts.empty:
        return notices.nothing("No alerts", f"The archive has no alert of the class {label}. Choose another class.")
    latest = alerts.drop_duplicates("i:objectId").head(number)
    return html.Ol([_stamp(row, kind) for row in latest.to_dict("records")], className="gallery-grid")


def _stamp(row: Mapping[Any, Any], kind: str) -> Component:
    object_id = text_of(row, "i:objectId")
    candid = row.get("i:candid")
    image = lazy_image(
        stamp_address(object_id, kind, None if candid is None or pd.isna(candid) else int(candid)),
        f"{kind} image of {object_id}",
        (_EDGE, _EDGE),
        "gallery-image",
    )
    magnitude, fid = number_of(row, "i:magpsf"), number_of(row, "i:fid")
    said = f"{BAND_NAMES.get(int(fid or 0), '')} {magnitude:.1f}" if magnitude is not None else ""
    label = class_of(row)
    return html.Li(
        dcc.Link(
            [
                image,
                html.Span(object_id, className="gallery-name"),
                html.Span([said, " · ", date_of(number_of(row, "i:jd"))[:10]], className="gallery-said"),
            ],
            href=f"/{object_id}",
            title=f"{object_id}: {label}",
        ),
        style={"--gallery-class": f"var(--mantine-color-{class_colour(label)}-6)"},
    )


def _register(app: Dash, site: Site) -> None:
    del site
    app.clientside_callback(
        ClientsideFunction("results", "choose_gallery"),
        Output("address", "search", allow_duplicate=True),
        Input("gallery-class", "value"),
        Input("gallery-number", "value"),
        Input("gallery-kind", "value"),
        State("address", "search"),
        prevent_initial_call=True,
    )


PAGE = Page("/gallery", "Gallery : Fink Science Portal", _build, _register, "")
