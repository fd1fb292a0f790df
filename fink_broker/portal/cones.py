"""Objects around a position, for every route that searches so."""

from __future__ import annotations

import pyarrow as pa

from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal.alert_rows import Limit, Selection
from fink_broker.portal.angles import parse_position
from fink_broker.portal.main_rows import completed
from fink_broker.portal.route import Argument, Query, RequestError, Rows
from fink_broker.portal.scans import START, STOP, WINDOW, Dates, numbers

LARGEST_RADIUS_ARCSEC = 18000.0
SEPARATION = "v:separation_degree"

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


def objects_around(archive: Archive, ra: float, dec: float, radius_arcsec: float, dates: Dates | None) -> pa.Table:
    """Return the latest alert of every object in a disc, the nearest first.

    Parameters
    ----------
    archive : Archive
        Where they are.
    ra, dec : float
        Centre in degrees (ICRS).
    radius_arcsec : float
        Radius; objects on the edge belong to the disc.
    dates : Dates, optional
        When objects must have been detected first.

    Returns
    -------
    pyarrow.Table
        With ``v:separation_degree`` in degrees.
    """
    found = archive.around(ra, dec, radius_arcsec)
    if dates is None or not len(found):
        return found
    return found.filter(pa.array(dates.hold(numbers(found, "i:jdstarthist"))))


def cone(query: Query) -> Rows:
    """Return the answer of a search around a position: arguments ``ra``, ``dec``, ``radius`` (arcsec), dates, ``n``."""
    radius = checked_radius(query)
    ra, dec = parse_position(query["ra"], query["dec"])
    limit, selection = Limit.of(query), Selection.of(query, also=(SEPARATION,))
    found = objects_around(query.archive, ra, dec, radius, first_detections(query))
    if not len(found):
        return Rows([pa.table({})])
    return limit.answer(shown(query, found.slice(0, limit.rows), selection), len(found) > limit.rows)


def shown(query: Query, found: pa.Table, selection: Selection) -> pa.Table:
    """Return objects with the columns of the answer; position and separation always belong to it.

    Whole rows are those of the table by position: what it does not hold is not said to be absent.
    """
    if selection.names is None:
        return selection.show_stored(found)
    named = completed(query.archive, found, selection.fetched("i:ra", "i:dec"))
    return selection.show(named, added=("i:ra", "i:dec", SEPARATION))
