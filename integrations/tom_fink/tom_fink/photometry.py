"""Light curves in the database of a TOM: each exposure once, in the form the plots of TOM Toolkit read."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import tom_dataproducts.models
from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from tom_dataproducts.models import ReducedDatum
from tom_targets.base_models import BaseTarget

from . import conf
from .alerts.light_curve import Point, points

#: Columns of the API that a light curve is made of.
COLUMNS = "i:jd,i:fid,i:magpsf,i:sigmapsf,i:diffmaglim,i:isdiffpos,i:candid,d:tag"
BAD_QUALITY = "badquality"
TELESCOPE = "ZTF"
UNIX_EPOCH_JD = 2440587.5
SECONDS_A_DAY = 86400.0
#: Photometry has a table of its own from TOM Toolkit 3 on.
PhotometryReducedDatum: type[models.Model] | None = getattr(tom_dataproducts.models, "PhotometryReducedDatum", None)

#: What tells exposures of a target apart: time, band, whether it is a limit, magnitude (AB) or limit.
_Key = tuple[datetime, str, bool, float]


def points_of_rows(rows: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Return the light curve in rows of the API's route ``objects``, in order of time.

    Parameters
    ----------
    rows : iterable of mapping
        Rows with the columns ``COLUMNS``. Numbers may be texts. Rows the broker calls of bad quality are left out.

    Returns
    -------
    list of Point
        Each exposure once; rows without time, band or limit are left out.
    """
    history = [
        {
            **{name: _number(row.get(f"i:{name}")) for name in ("jd", "magpsf", "sigmapsf", "diffmaglim")},
            **{name: _integer(row.get(f"i:{name}")) for name in ("fid", "candid")},
            "isdiffpos": row.get("i:isdiffpos"),
        }
        for row in rows
        if row.get("d:tag") != BAD_QUALITY
    ]
    return points({"prv_candidates": history})


def store(target: BaseTarget, light_curve: Iterable[Point], source: str = conf.NAME) -> int:
    """Store those points of a light curve that the target does not have yet.

    Parameters
    ----------
    target : Target
        A target that is in the database.
    light_curve : iterable of Point
        The light curve. Points whose time no calendar has are left out.
    source : str
        What the data are said to come from. TOM Toolkit asks the broker of this name for updates.

    Returns
    -------
    int
        How many points were new.

    Raises
    ------
    django.db.DatabaseError
        If the database does not take them; nothing is stored then.
    """
    wanted: dict[_Key, Point] = {}
    for point in light_curve:
        key = _key(point)
        if key is not None:
            wanted.setdefault(key, point)
    if not wanted:
        return 0
    with transaction.atomic():
        # a write that changes nothing: whoever else stores points of this target waits, with every kind of database
        BaseTarget.objects.filter(pk=target.pk).update(name=F("name"))
        known = _known(target, min(wanted)[0], max(wanted)[0])
        origin = {"target": target, "source_name": source, "source_location": conf.object_link(target.name)[:200]}
        new = [_datum(key, point, origin) for key, point in wanted.items() if key not in known]
        (PhotometryReducedDatum or ReducedDatum).objects.bulk_create(
            new, batch_size=500, ignore_conflicts=PhotometryReducedDatum is not None
        )
    return len(new)


def _key(point: Point) -> _Key | None:
    """Return what tells a point apart, the same whether it came in a packet or from the API."""
    value = point.limit if point.magnitude is None else point.magnitude
    timestamp = _timestamp(point.jd)
    return (
        None if value is None or timestamp is None else (timestamp, point.band, point.magnitude is None, _as_f4(value))
    )


def _timestamp(jd: float) -> datetime | None:
    """Return the time of a Julian date (d, UTC) to the millisecond: a double holds it to 0.04 ms."""
    try:
        milliseconds = round((jd - UNIX_EPOCH_JD) * SECONDS_A_DAY * 1000.0)
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError):
        return None


def _as_f4(value: float) -> float:
    """Return the shortest decimal number that stands for the same 32-bit float.

    Packets hold 32-bit floats, the API their decimals: 18.700000762939453 and 18.7 are one magnitude.
    """
    try:
        packed = struct.pack("f", value)
        shortest = (float(f"{value:.{digits}g}") for digits in range(6, 10))
        return next((number for number in shortest if struct.pack("f", number) == packed), value)
    except OverflowError:  # too large for 32 bits, so it never was in 32
        return value


def _datum(key: _Key, point: Point, origin: dict[str, Any]) -> models.Model:
    timestamp, band, is_limit, value = key
    is_negative = not is_limit and not point.is_positive
    common = {**origin, "timestamp": timestamp}
    # a source fainter than in the reference image: its magnitude is that of the difference
    extra = {"is_positive": False} if is_negative else {}
    error = None if point.error is None else _as_f4(point.error)
    if PhotometryReducedDatum is not None:
        measured = {"limit": value} if is_limit else {"brightness": value, "brightness_error": error}
        return PhotometryReducedDatum(**common, **measured, bandpass=band, telescope=TELESCOPE, value=extra)
    if is_limit:
        return ReducedDatum(**common, data_type=_data_type(), value={"filter": band, "limit": value})
    measured = {"magnitude": value} if error is None else {"magnitude": value, "error": error}
    return ReducedDatum(**common, data_type=_data_type(), value={"filter": band, **measured, **extra})


def _known(target: BaseTarget, first: datetime, last: datetime) -> set[_Key]:
    """Return what the target has between two times, whoever stored it."""
    if PhotometryReducedDatum is not None:
        rows = PhotometryReducedDatum.objects.filter(target=target, timestamp__range=(first, last)).values_list(
            "timestamp", "bandpass", "brightness", "limit"
        )
    else:
        data = ReducedDatum.objects.filter(target=target, data_type=_data_type(), timestamp__range=(first, last))
        rows = (
            (timestamp, value.get("filter"), _number(value.get("magnitude")), _number(value.get("limit")))
            for timestamp, value in data.values_list("timestamp", "value")
            if isinstance(value, dict)
        )
    return {
        (timestamp, band, magnitude is None, _as_f4(limit if magnitude is None else magnitude))
        for timestamp, band, magnitude, limit in rows
        if magnitude is not None or limit is not None
    }


def _data_type() -> str:
    """Return what photometry is called in this TOM; before TOM Toolkit 3 it can be changed."""
    types = getattr(settings, "DATA_PRODUCT_TYPES", None) or {}
    return types.get("photometry", ("photometry",))[0]


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None
