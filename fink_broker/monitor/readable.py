"""One alert for people: where, when, how bright, and its light curve in letters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fink_broker.alert.survey import Survey

Record = dict[str, Any]

#: ZTF filter ids
BANDS = {1: "g", 2: "r", 3: "i"}

_UPPER_LIMIT = "v"


def describe_fields(record: Record) -> list[str]:
    """Return the names of all fields of an alert, root first, then its candidate."""
    lines = [f"fields ({len(record)}): {', '.join(record)}"]
    candidate = record.get("candidate")
    if isinstance(candidate, dict):
        lines.append(f"fields of candidate ({len(candidate)}): {', '.join(candidate)}")
    return lines


def describe_alert(record: Record, survey: Survey) -> list[str]:
    """Return an alert in readable lines.

    Parameters
    ----------
    record : dict
        A decoded packet; any field may be missing.
    survey : Survey
        Whose night rule holds.
    """
    candidate = record.get("candidate") or {}
    history = record.get("prv_candidates") or []
    detections = [point for point in history if _number(point.get("magpsf")) is not None]
    jd = _number(candidate.get("jd"))
    night = survey.night(jd) if jd is not None and survey.jd_first <= jd < survey.jd_last else "unknown"
    lines = [
        f"objectId  {record.get('objectId')}   candid {record.get('candid')}",
        f"position  ra {_shown(candidate.get('ra'), '.6f')}°, dec {_shown(candidate.get('dec'), '+.6f')}°",
        f"night     {night}   jd {_shown(jd, '.5f')}",
        f"magnitude {_shown(candidate.get('magpsf'), '.2f')} ± {_shown(candidate.get('sigmapsf'), '.2f')}"
        f" in {_band(candidate)}",
        f"real-bogus rb {_shown(candidate.get('rb'), '.2f')}, drb {_shown(candidate.get('drb'), '.2f')}",
        f"history   {len(history)} points, {len(detections)} of them detections",
    ]
    if isinstance(record.get("cdsxmatch"), str):
        lines.append(f"SIMBAD    {record['cdsxmatch']}")
    return lines + light_curve([*history, candidate])


def light_curve(points: Sequence[Record], width: int = 64, height: int = 8) -> list[str]:
    """Draw magnitudes against days in letters: g, r, i for detections, v for upper limits.

    Parameters
    ----------
    points : sequence of dict
        With ``jd`` (days), ``fid``, ``magpsf`` and ``diffmaglim`` (mag AB); the last is the alert itself.
    width, height : int
        Columns and rows of the drawing.

    Returns
    -------
    list of str
        Empty with fewer than two points to draw.
    """
    marks = [mark for point in points if (mark := _mark(point)) is not None]
    if len(marks) < 2:
        return []
    times, mags = [mark[0] for mark in marks], [mark[1] for mark in marks]
    first, last, bright, faint = min(times), max(times), min(mags), max(mags)
    rows = [[" "] * width for _ in range(height)]
    # upper limits first, so that a detection in the same place stays visible
    for jd, mag, letter in sorted(marks, key=lambda mark: mark[2] != _UPPER_LIMIT):
        column = round((jd - first) / (last - first) * (width - 1)) if last > first else width - 1
        row = round((mag - bright) / (faint - bright) * (height - 1)) if faint > bright else 0
        rows[row][column] = letter
    labels = {0: f"{bright:5.2f}", height - 1: f"{faint:5.2f}"}
    drawing = [f"{labels.get(number, ''):>7} │{''.join(row)}" for number, row in enumerate(rows)]
    begin = f"{first - last:.1f} d"
    return [*drawing, f"{'':>7} └{'─' * width}", f"{'':>9}{begin}{'last':>{width - len(begin)}}"]


def _mark(point: Record) -> tuple[float, float, str] | None:
    """Return time, magnitude and letter of a point, None if it has none."""
    jd, mag = _number(point.get("jd")), _number(point.get("magpsf"))
    if jd is None:
        return None
    if mag is not None:
        return jd, mag, BANDS.get(point.get("fid", 0), "?")
    limit = _number(point.get("diffmaglim"))
    return None if limit is None else (jd, limit, _UPPER_LIMIT)


def _band(candidate: Record) -> str:
    fid = candidate.get("fid")
    return f"{BANDS[fid]} band" if fid in BANDS else f"an unknown band (fid {fid})"


def _number(value: object) -> float | None:
    """Return a finite number, None for anything else."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _shown(value: object, form: str) -> str:
    number = _number(value)
    return "none" if number is None else format(number, form)
