"""Light curves in the database of a TOM: each exposure once, in the form the plots of TOM Toolkit read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import tom_dataproducts.models
from django.conf import settings
from django.db import models, transaction
from django.db.models import F, QuerySet
from tom_dataproducts.models import ReducedDatum
from tom_targets.base_models import BaseTarget

from . import conf, permissions
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

    Whoever may see the target may see them, and those of the same time that came before.

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
        stored = _stored(target, min(wanted)[0], max(wanted)[0])
        known = _known(stored)
        origin = {"target": target, "source_name": source, "source_location": conf.object_link(target.name)[:200]}
        new = [_datum(key, point, origin) for key, point in wanted.items() if key not in known]
        (PhotometryReducedDatum or ReducedDatum).objects.bulk_create(
            new, batch_size=500, ignore_conflicts=PhotometryReducedDatum is not None
        )
        permissions.show(target, stored.filter(source_name=source))
    return len(new)


def _key(point: Point) -> _Key | None:
    """Return what tells a point apart, the same whether it came in a packet, in its history or from the API."""
    value = point.limit if point.magnitude is None else point.magnitude
    timestamp = _timestamp(point.jd)
    if value is None or timestamp is None:
        return None
    return timestamp, point.band, point.magnitude is None, _rounded(value)


def _timestamp(jd: float) -> datetime | None:
    """Return the time of a Julian date (d, UTC) to the millisecond: a double holds it to 0.04 ms."""
    try:
        milliseconds = round((jd - UNIX_EPOCH_JD) * SECONDS_A_DAY * 1000.0)
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError):
        return None


def _rounded(magnitude: float) -> float:
    """Return a magnitude to 0.1 mmag, far below any error.

    Packets hold 32-bit floats, the API their decimals, and the history in later packets may hold fewer of them:
    18.425804, 18.4258044 and 18.4258 are one measurement.
    """
    return round(magnitude, 4)


def _datum(key: _Key, point: Point, origin: dict[str, Any]) -> models.Model:
    timestamp, band, is_limit, value = key
    is_negative = not is_limit and not point.is_positive
    common = {**origin, "timestamp": timestamp}
    # a source fainter than in the reference image: its magnitude is that of the difference
    extra = {"is_positive": False} if is_negative else {}
    error = None if point.error is None else _rounded(point.error)
    if PhotometryReducedDatum is not None:
        measured = {"limit": value} if is_limit else {"brightness": value, "brightness_error": error}
        return PhotometryReducedDatum(**common, **measured, bandpass=band, telescope=TELESCOPE, value=extra)
    if is_limit:
        return ReducedDatum(**common, data_type=_data_type(), value={"filter": band, "limit": value})
    measured = {"magnitude": value} if error is None else {"magnitude": value, "error": error}
    return ReducedDatum(**common, data_type=_data_type(), value={"filter": band, **measured, **extra})


def _stored(target: BaseTarget, first: datetime, last: datetime) -> QuerySet:
    """Return what the target has between two times, whoever stored it."""
    between = {"target": target, "timestamp__range": (first, last)}
    if PhotometryReducedDatum is not None:
        return PhotometryReducedDatum.objects.filter(**between)
    return ReducedDatum.objects.filter(**between, data_type=_data_type())


def _known(stored: QuerySet) -> set[_Key]:
    rows: Iterable[tuple[Any, ...]]
    if PhotometryReducedDatum is not None:
        rows = stored.values_list("timestamp", "bandpass", "brightness", "limit")
    else:
        rows = (
            (timestamp, value.get("filter"), _number(value.get("magnitude")), _number(value.get("limit")))
            for timestamp, value in stored.values_list("timestamp", "value")
            if isinstance(value, dict)
        )
    return {
        (timestamp, band, magnitude is None, _rounded(limit if magnitude is None else magnitude))
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
