"""Badges: the class of an object, and what catalogues know of its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from fink_broker.portal.web.photometry import BEHIND_ARCSEC
from fink_broker.portal.web.results.values import class_of, number_of, text_of
from fink_broker.portal.web.theme import class_colour

#: Distances beyond these say nothing of an object, arcsec.
_NEARBY_ARCSEC = 30.0
_DISTANCES = (
    ("i:distnr", "ZTF", "nearest source of the ZTF reference image"),
    ("i:distpsnr1", "PS1", "nearest source of Pan-STARRS 1"),
    ("i:neargaia", "Gaia", "nearest source of Gaia"),
)


def class_badge(label: str, size: str = "md") -> Component:
    """Return a badge with the name of a class and a dot of its colour."""
    return badge(label, label, class_colour(label), size=size)


def badge(text: str, title: str, colour: str = "gray", *, size: str = "md", warns: bool = False) -> Component:
    """Return a badge.

    Parameters
    ----------
    text : str
        What it says.
    title : str
        What is said of it where the pointer rests.
    colour : str
        Mantine's name of the colour of its dot.
    size : str
        Of Mantine's sizes.
    warns : bool
        Whether its outline is red.
    """
    inside = dmc.Badge(
        text,
        color="gray.5" if colour == "gray" else colour,  # darker ones vanish on dark pages
        variant="dot",
        size=size,
        tt="none",
        fw=500,
        className="results-badge results-badge-warns" if warns else "results-badge",
    )
    return html.Span(inside, title=title)


def class_badges(row: Mapping[Any, Any]) -> list[Component]:
    """Return the badges of the class of an alert and of its type in SIMBAD, where that says something else."""
    label, simbad = class_of(row), text_of(row, "d:cdsxmatch")
    badges = [class_badge(label)]
    if simbad and simbad != label:
        badges.append(badge(f"SIMBAD: {simbad}", "type of the nearest object of SIMBAD", "blue"))
    return badges


def generic_badges(row: Mapping[Any, Any]) -> list[Component]:
    """Return badges of what catalogues know of a place: Solar System, tracklet, variable stars, distances.

    Parameters
    ----------
    row : mapping
        Columns of an alert (a row of a frame will do); those that lack give no badge.
    """
    badges: list[Component] = []
    if name := text_of(row, "i:ssnamenr"):
        badges.append(badge(f"SSO: {name}", "name of the Solar System object of the MPC", "yellow"))
    if track := text_of(row, "d:tracklet"):
        badges.append(badge(track, "tracklet it belongs to", "violet"))
    for column, catalogue in (("d:gcvs", "GCVS"), ("d:vsx", "VSX")):
        if kind := text_of(row, column):
            badges.append(badge(f"{catalogue}: {kind}", f"type in the catalogue of variable stars {catalogue}", "teal"))
    for column, catalogue, words in _DISTANCES:
        distance = number_of(row, column)
        if distance is None or not 0 <= distance <= _NEARBY_ARCSEC:
            continue
        is_behind = column == "i:distnr" and distance < BEHIND_ARCSEC
        said = f"{words}: {distance:.2f}″" + (", a source is behind the object" if is_behind else "")
        badges.append(badge(f"{catalogue}: {distance:.1f}″", said, "red" if is_behind else "gray", warns=is_behind))
    return badges
