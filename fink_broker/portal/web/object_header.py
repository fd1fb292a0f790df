"""The card at the left of the object page: what the object is, when and where; and its place on the sky."""

from __future__ import annotations

from collections.abc import Sequence

import dash_mantine_components as dmc
import numpy as np
from dash import html
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import photometry
from fink_broker.portal.web.light_curve import band_name
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.object_parts import part
from fink_broker.portal.web.results.badges import badge, class_badge, generic_badges
from fink_broker.portal.web.results.values import date_of, equatorial, first_detection, lapse, text_of
from fink_broker.portal.web.site import Site
from fink_broker.portal.web.sky import SkySource, aladin_offered, sky_map
from fink_broker.portal.web.theme import BAND_COLOURS

#: Width of the finder (degrees).
FIELD_DEG = 0.025
FINDER_HEIGHT = 340
#: Heights of the words below it, and of the choice above it (pixels).
_CAPTION_HEIGHT, _CHOICE_HEIGHT = 44, 40
#: How the reference source of each band is drawn.
_REFERENCES = ((1, "circle-open"), (2, "square-open"))


def header(data: ObjectData) -> Component:
    """Return the card that says what an object is."""
    copy = dmc.CopyButton(
        "Copy", value=data.object_id, copiedChildren="Copied", size="compact-xs", variant="default",
        buttonProps={"aria-label": f"Copy the name {data.object_id}"},
    )  # fmt: skip
    title = dmc.Title(data.object_id, order=1, size="h2", className="object-name")
    facts = [html.Div([html.Dt(name), html.Dd(text)]) for name, text in facts_of(data)]
    return dmc.Paper(
        [
            dmc.Group([title, copy], justify="space-between", wrap="nowrap"),
            part("names", 22),
            dmc.Group(badges(data), gap=6, my="sm"),
            html.Dl(facts, className="object-facts"),
        ],
        p="md",
        withBorder=True,
    )


def badges(data: ObjectData) -> list[Component]:
    """Return a badge for each class an object had, the latest first, and for what catalogues know of its place."""
    classes = [str(label) for label in data.alerts["v:classification"].dropna()[::-1].unique() if label]
    latest = data.latest.to_dict()
    tns = text_of(latest, "d:tns")
    registered = [badge(f"TNS: {tns}", "type in the Transient Name Server", "red")] if tns else []
    return [*map(class_badge, classes), *registered, *generic_badges(latest)]


def facts_of(data: ObjectData) -> list[tuple[str, str]]:
    """Return what is known of an object, as names and texts."""
    latest = data.latest.to_dict()
    times = photometry.column(data.alerts, "i:jd")
    first = min(first_detection(latest) or np.inf, float(times[0]))
    band = band_name(int(latest["i:fid"]))
    magnitude = f"{float(latest['i:magpsf']):.2f} ± {float(latest['i:sigmapsf']):.2f} in {band}"
    counts = f"{len(data.alerts)} good, {len(data.bad_quality)} bad quality, {len(data.upper_limits)} upper limits"
    seen, held = lapse(float(times[-1]) - first), lapse(float(times[-1] - times[0]))
    return [
        ("First detection", f"{date_of(first)} UTC"),
        ("Last alert", f"{date_of(float(times[-1]))} UTC"),
        ("Time span", "; alerts here span ".join(span for span in (seen or "one detection", held) if span)),
        ("Measurements", counts),
        ("Last magnitude", magnitude),
        ("RA, Dec (ICRS)", equatorial(float(latest["i:ra"]), float(latest["i:dec"]))),
        ("Constellation", text_of(latest, "v:constellation") or "not known"),
    ]


def finder_place(site: Site) -> Component:
    """Return the place of the finder, as high as the finder will be."""
    above = _CHOICE_HEIGHT if aladin_offered(site) else 0
    return part("finder", above + FINDER_HEIGHT + _CAPTION_HEIGHT)


def finder(data: ObjectData, site: Site) -> Component:
    """Return the sky around an object, with what the reference images of ZTF have there."""
    return sky_map(
        finder_sources(data),
        id="object-finder",
        centre=(float(data.latest["i:ra"]), float(data.latest["i:dec"])),
        field_deg=FIELD_DEG,
        aladin=aladin_offered(site),
        height=FINDER_HEIGHT,
        caption=f"{data.object_id} and the nearest source of ZTF's reference image in g and r.",
    )


def finder_sources(data: ObjectData) -> list[SkySource]:
    """Return the object, and the nearest reference source of g and r as the latest alert of the band has it."""
    latest = data.latest.to_dict()
    label = text_of(latest, "v:classification") or "Unknown"
    here = SkySource(data.object_id, float(latest["i:ra"]), float(latest["i:dec"]), label, symbol="cross-thin-open")
    found = [here]
    for band, symbol in _REFERENCES:
        rows = data.alerts[photometry.column(data.alerts, "i:fid") == band]
        if rows.empty:
            continue
        ra, dec, magnitude = (photometry.column(rows, name)[-1] for name in ("i:ranr", "i:decnr", "i:magnr"))
        if np.isfinite([ra, dec]).all() and 0 <= ra < 360 and abs(dec) <= 90:
            name, said = f"Reference in {band_name(band)}", f"{magnitude:.2f} mag" if magnitude > 0 else ""
            colour = BAND_COLOURS[band]
            found.append(SkySource(name, float(ra), float(dec), name, text=said, colour=colour, symbol=symbol))
    return found


def names(data: ObjectData, site: Site) -> Component:
    """Return the name under which an object was registered, if it was."""
    try:
        notes = site.api.document("metadata", objectId=data.object_id)
    except ApiError:  # the page is complete without it
        notes = []
    registered = registered_name(notes)
    if not registered:
        return dmc.Text("No registered name", size="sm", c="dimmed")
    return dmc.Text(["Registered as ", html.Strong(registered)], size="sm")


def registered_name(notes: object) -> str:
    """Return the internal name in an answer of ``metadata``, empty if there is none."""
    rows = notes if isinstance(notes, Sequence) and not isinstance(notes, str) else []
    found = (str(row.get("d:internal_name") or "") for row in rows if isinstance(row, dict))
    return next((name for name in found if name), "")
