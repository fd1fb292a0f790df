"""What goes to SkyPortal for one alert: all of it, made from the message alone, before anything is posted."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .annotation import annotation_data
from .config import Generation
from .kilonova import Classification, classification
from .photometry import FILTERS, PhotometryRow, photometry
from .thumbnails import thumbnails

__all__ = ["Candidate", "Classification", "NotPostable", "PhotometryRow", "candidate_of"]

#: the fields of ``candidate`` without which nothing can be posted
REQUIRED_NUMBERS = ("jd", "ra", "dec", "magpsf", "sigmapsf", "diffmaglim")
#: what SkyPortal takes as the name of an object
_NAME = re.compile(r"[A-Za-z0-9_\-;:+.]+")
_UNIX_EPOCH_JD = 2440587.5
_DAY_MILLISECONDS = 86_400_000


class NotPostable(ValueError):
    """An alert that cannot be posted; says why in one sentence."""


@dataclass(frozen=True)
class Candidate:
    """What is posted for one alert.

    Parameters
    ----------
    object_id : str
        Its objectId.
    candid : int
        Its identifier.
    ra, dec : float
        Its position (ICRS) in degrees.
    passed_at : str
        When it was exposed, ISO 8601 in UTC: ``2023-10-18T08:12:33.000``.
    topic : str
        The topic it came on.
    instrument : str
        Name of the instrument, as SkyPortal knows it.
    photometry : tuple of PhotometryRow
        Its light curve, by time; may be empty.
    annotation : dict
        The broker's values, ready for JSON.
    classification : Classification
        Its class.
    thumbnails : callable
        Gives its images, base64 PNG by ``new``, ``ref`` and ``sub``; made when called, as only new objects need them.
    """

    object_id: str
    candid: int
    ra: float
    dec: float
    passed_at: str
    topic: str
    instrument: str
    photometry: tuple[PhotometryRow, ...]
    annotation: dict[str, Any]
    classification: Classification | None
    thumbnails: Callable[[], dict[str, str]]


def candidate_of(alert: Mapping[str, Any], topic: str, generation: Generation) -> Candidate:
    """Return what is posted for an alert.

    Parameters
    ----------
    alert : mapping
        The decoded message.
    topic : str
        The topic it came on.
    generation : {"microservice", "stand-alone"}
        Whose rules hold for kilonova topics.

    Raises
    ------
    NotPostable
        If objectId or a required field of the candidate is missing or no finite number.
    """
    object_id, detection = _identified(alert)
    candid = detection.get("candid", alert.get("candid"))
    if not isinstance(candid, int) or isinstance(candid, bool):
        raise NotPostable(f"{object_id} has no candid.")
    for name in REQUIRED_NUMBERS:
        if not _is_finite(detection.get(name)):
            raise NotPostable(f"candidate.{name} of {object_id} is missing or no finite number.")
    if detection.get("fid") not in FILTERS:
        raise NotPostable(f"candidate.fid of {object_id} is {detection.get('fid')!r}, not 1, 2 or 3 (g, r, i).")
    if not isinstance(detection.get("isdiffpos"), str | int):
        raise NotPostable(f"candidate.isdiffpos of {object_id} is missing.")
    return Candidate(
        object_id=object_id,
        candid=candid,
        ra=float(detection["ra"]),
        dec=float(detection["dec"]),
        passed_at=_iso(detection["jd"], object_id),
        topic=topic,
        instrument="ZTF",
        photometry=photometry(alert),
        annotation=annotation_data(alert, topic),
        classification=classification(alert, topic, generation),
        thumbnails=functools.partial(thumbnails, alert),
    )


def _identified(alert: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    object_id = alert.get("objectId")
    if not isinstance(object_id, str) or not object_id:
        raise NotPostable("The alert has no objectId.")
    if not _NAME.fullmatch(object_id):
        raise NotPostable(f"SkyPortal takes no object named {object_id!r}: letters, digits and _-;:+. only.")
    detection = alert.get("candidate")
    if not isinstance(detection, Mapping):
        raise NotPostable(f"{object_id} has no candidate.")
    return object_id, detection


def _is_finite(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


def _iso(jd: float, object_id: str) -> str:
    """Return a Julian date (days, UTC) as ISO 8601 to the millisecond: a double resolves 0.04 ms there."""
    try:
        milliseconds = round((jd - _UNIX_EPOCH_JD) * _DAY_MILLISECONDS)
        time = datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)
    except OverflowError as error:
        raise NotPostable(f"candidate.jd of {object_id} is {jd}, which is no date.") from error
    return time.isoformat(timespec="milliseconds")
