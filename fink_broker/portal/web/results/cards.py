"""Results as cards: what an object is, how it looks, how it changes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
import httpx
import numpy as np
import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from fink_broker.portal.web.light_curve_preview import HEIGHT, WIDTH
from fink_broker.portal.web.results.badges import class_badges, generic_badges
from fink_broker.portal.web.results.values import (
    date_of,
    equatorial,
    first_detection,
    galactic,
    lapse,
    number_of,
    separation,
    text_of,
)
from fink_broker.portal.web.site import Visit

#: Cards of a page.
PER_PAGE = 10
#: Edge of a stamp, pixels of the page.
STAMP = 132


def cards(rows: pd.DataFrame, visit: Visit) -> Component:
    """Return the cards of the page that an address names, and links to the other pages.

    Parameters
    ----------
    rows : pandas.DataFrame
        All results.
    visit : Visit
        ``page`` of its arguments counts from 1; beyond the last it is the last.
    """
    pages = max(1, -(-len(rows) // PER_PAGE))
    asked = visit.arguments.get("page", "1")
    page = min(max(int(asked) if re.fullmatch("[0-9]{1,6}", asked) else 1, 1), pages)
    first = (page - 1) * PER_PAGE
    some = rows.iloc[first : first + PER_PAGE].to_dict("records")
    shown = [_card(row, place) for row, place in zip(some, _corners(some, first), strict=True)]
    parts: list[Component] = [html.Ol(shown, className="results-cards", start=str(first + 1))]
    if pages > 1:
        parts.append(_page_links(visit, page, pages))
    return html.Div(parts)


def _page_links(visit: Visit, page: int, pages: int) -> Component:
    """Return links to the first and last page, those beside this one, and the next ones either way."""

    def link(number: int, label: str, words: str) -> Component:
        given = {name: value for name, value in visit.arguments.items() if name != "page"}
        address = f"{visit.path}?{httpx.QueryParams({**given, 'page': str(number)})}"
        if number == page:
            return html.Span(label, className="results-page", title=words, **{"aria-current": "page"})
        return dcc.Link(label, href=address, className="results-page", title=words)

    shown = sorted({1, pages, *range(max(1, page - 2), min(pages, page + 2) + 1)})
    parts: list[Component] = [link(page - 1, "‹", "Previous page")] if page > 1 else []
    for before, number in zip([0, *shown], shown, strict=False):
        if number > before + 1:
            parts.append(html.Span("…", className="results-gap"))
        parts.append(link(number, str(number), f"Page {number} of {pages}"))
    if page < pages:
        parts.append(link(page + 1, "›", "Next page"))
    return html.Nav(parts, className="results-pages", **{"aria-label": "Pages of results"})


def stamp_address(object_id: str, kind: str = "Science", candid: int | str | None = None) -> str:
    """Return the address of an image of an object: of its latest alert, or of the alert that is named."""
    of_alert = f"&candid={candid}" if candid is not None else ""
    return f"/api/v1/cutouts?objectId={quote(object_id)}&kind={kind}&output-format=PNG{of_alert}"


def preview_address(object_id: str) -> str:
    """Return the address of a small light curve."""
    return f"/preview/{quote(object_id)}.svg"


def lazy_image(address: str, alternative: str, size: tuple[int, int], class_name: str) -> Component:
    """Return an image that is fetched when it comes into view.

    Parameters
    ----------
    address : str
        Where it is.
    alternative : str
        What it shows, in words.
    size : tuple of int
        Width and height in pixels: its room is kept until it is there.
    class_name : str
        Of the style sheet.
    """
    width, height = size
    attributes = {"root": {"loading": "lazy", "width": width, "height": height, "decoding": "async"}}
    return dmc.Image(src=address, alt=alternative, className=class_name, attributes=attributes)


def _corners(rows: Sequence[Mapping[Any, Any]], first: int) -> list[str]:
    """Return what the corner of each card says: its separation in a cone, else its rank."""
    distances = [number_of(row, "v:separation_degree") for row in rows]
    return [
        f"#{first + number}" if distance is None else separation(distance)
        for number, distance in enumerate(distances, start=1)
    ]


def _card(row: Mapping[Any, Any], corner: str) -> Component:
    object_id = text_of(row, "i:objectId")
    candid = row.get("i:candid")
    stamp = lazy_image(
        stamp_address(object_id, candid=None if candid is None or pd.isna(candid) else int(candid)),
        f"Science image of {object_id}",
        (STAMP, STAMP),
        "results-stamp",
    )
    curve = lazy_image(preview_address(object_id), f"Light curve of {object_id}", (WIDTH, HEIGHT), "results-curve")
    return html.Li(
        dmc.Paper(
            [
                html.Div(
                    [
                        html.H2(dcc.Link(object_id, href=f"/{object_id}"), className="results-name"),
                        *class_badges(row),
                        *generic_badges(row),
                        html.Span(corner, className="results-corner"),
                    ],
                    className="results-head",
                ),
                html.Div([stamp, _facts(row), curve], className="results-body"),
            ],
            withBorder=True,
            p="md",
            radius="md",
        ),
        className="results-card",
    )


def _facts(row: Mapping[Any, Any]) -> Component:
    """Return what is known of an object, as a list of terms."""
    facts = [(term, said) for term, said in (*_when(row), *_where(row), *_scores(row)) if said]
    items: list[Component] = []
    for term, said in facts:
        items += [html.Dt(term), html.Dd(said)]
    return html.Dl(items, className="results-facts")


def _when(row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    first, last = first_detection(row), number_of(row, "i:jd")
    span = lapse(last - first if first is not None and last is not None else None)
    detections, alerts = number_of(row, "i:ndethist"), number_of(row, "d:nalerthist")
    number = _counted(alerts, "alert") if detections is None else _counted(detections, "detection")
    magnitude, fid = number_of(row, "i:magpsf"), number_of(row, "i:fid")
    band = {1: "g", 2: "r", 3: "i"}.get(int(fid or 0), "")
    return [
        ("Seen", " in ".join(part for part in (number, span) if part)),
        ("Magnitude", f"{band} = {magnitude:.2f}" if magnitude is not None and band else ""),
        ("First", date_of(first)),
        ("Last", date_of(last)),
    ]


def _counted(number: float | None, what: str) -> str:
    return "" if number is None else f"{number:.0f} {what}{'' if number == 1 else 's'}"


def _where(row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    ra, dec = number_of(row, "i:ra"), number_of(row, "i:dec")
    if ra is None or dec is None or not -90 <= dec <= 90:
        return []
    ((longitude, latitude),) = galactic(np.array([ra]), np.array([dec]))
    return [("Equatorial", equatorial(ra, dec)), ("Galactic", f"{longitude:.4f}° {latitude:+.4f}°")]


def _scores(row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    named = (("Real-bogus", "i:rb"), ("Deep RB", "i:drb"), ("Anomaly", "d:anomaly_score"))
    numbers = [(term, number_of(row, column)) for term, column in named]
    return [(term, f"{number:.2f}") for term, number in numbers if number is not None]
