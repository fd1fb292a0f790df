"""Objects around a position, for every route that searches so."""

from __future__ import annotations

import pyarrow as pa

from fink_broker.archive.columns import position_columns
from fink_broker.archive.hbase.discs import SEPARATION
from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal.alert_rows import Limit, Selection
from fink_broker.portal.angles import parse_position
from fink_broker.portal.main_rows import completed
from fink_broker.portal.route import Argument, Query, RequestError, Rows
from fink_broker.portal.scans import START, STOP, WINDOW, Dates, numbers

LARGEST_RADIUS_ARCSEC = 18000.0

RA = Argument(
    "ra", "right ascension: degrees, or hours as in 12h55m17.2s or 12:55:17.2", "angle", example="193.8217409"
)
DEC = Argument("dec", "declination: degrees, or as in 2d53m50.3s or 2:53:50.3", "angle", example="2.8973184")
RADIUS = Argument("radius", "radius in arcsec, at most 18000", "number", example=5)
COUNT = Argument("n", "most objects to return", "integer", default=1000, least=1, example=10)
DATES = (START, STOP, WINDOW)


def checked_radius(query: Query) -> float:
    """Return the radius of a request in arcsec.

    Raises
    ------
    RequestError
        If it is negative or larger than 5 degrees.
    """
    radius = float(query["radius"])
    if radius > LARGEST_RADIUS_ARCSEC:
        raise RequestError("`radius` cannot be bigger than 18,000 arcseconds (5 degrees).\n")
    if radius < 0:
        raise RequestError("`radius` cannot be negative; give arcseconds from 0 to 18,000.\n")
    return radius


def first_detections(query: Query) -> Dates | None:
    """Return the dates that first detections of objects must lie in, None where any will do."""
    if not {"startdate", "stopdate", "window"} & query.given:
        return None
    return Dates.of(query, window="window")


def objects_around(
    archive: Archive, position: tuple[float, float], radius_arcsec: float, dates: Dates | None, most: int
) -> pa.Table:
    """Return the latest alert of every object in a disc, the nearest first.

    Parameters
    ----------
    archive : Archive
        Where they are.
    position : tuple of float
        Right ascension and declination of the centre in degrees (ICRS).
    radius_arcsec : float
        Radius; objects on the edge belong to the disc.
    dates : Dates, optional
        When objects must have been detected first.
    most : int
        Objects wanted.

    Returns
    -------
    pyarrow.Table
        With ``v:separation_degree`` in degrees.
    """
    keep = None if dates is None else lambda objects: dates.hold(numbers(objects, "i:jdstarthist"))
    return archive.around(*position, radius_arcsec, most, keep)


def cone(query: Query) -> Rows:
    """Return the answer of a search around a position: arguments ``ra``, ``dec``, ``radius`` (arcsec), dates, ``n``."""
    radius = checked_radius(query)
    position = parse_position(query["ra"], query["dec"])
    limit, selection = Limit.of(query), Selection.of(query, also=(SEPARATION,))
    found = objects_around(query.archive, position, radius, first_detections(query), limit.rows + 1)
    if not len(found):
        found = selection.nothing(is_position_column, {SEPARATION: pa.float64()})
    return limit.answer(shown(query, found.slice(0, limit.rows), selection), len(found) > limit.rows)


def is_position_column(name: str) -> bool:
    """Tell whether the table that is searched by position holds a column."""
    return name in position_columns()


def shown(query: Query, found: pa.Table, selection: Selection) -> pa.Table:
    """Return objects with the columns of the answer; position and separation always belong to it.

    Whole rows are those of the table by position: what it does not hold is not said to be absent.
    """
    if selection.names is None:
        return selection.show_stored(found)
    named = completed(query.archive, found, selection.fetched("i:ra", "i:dec"))
    return selection.show(named, added=("i:ra", "i:dec", SEPARATION))
