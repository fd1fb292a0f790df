"""A light curve drawn with characters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import plotext

#: Filter ids with their names and colours.
BANDS = {1: ("g", "green"), 2: ("r", "red"), 3: ("i", "yellow")}


def draw(alert: Mapping[str, Any], width: int = 100, height: int = 18) -> str:
    """Return the light curve of an alert as text with colours.

    Parameters
    ----------
    alert : mapping
        Current values (``jd`` in days, ``magpsf`` and ``diffmaglim`` in AB mag, ``fid``) and the history of each as
        ``prv_<field>``.
    width, height : int
        Size in characters.
    """
    points = _points(alert)
    if not points:
        return "(no measurement can be drawn)\n"
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, height)
    for fid, (band, colour) in BANDS.items():
        for limit, marker, what in ((False, "●", "detection"), (True, "▾", "upper limit")):
            chosen = [(days, mag) for days, mag, of_fid, is_limit in points if of_fid == fid and is_limit == limit]
            if chosen:
                days, mags = zip(*chosen, strict=True)
                plotext.scatter(list(days), list(mags), marker=marker, color=colour, label=f"{band} {what}")
    plotext.yreverse(True)
    plotext.xlabel("days before this alert")
    plotext.ylabel("difference magnitude (AB)")
    return str(plotext.build())


def _points(alert: Mapping[str, Any]) -> list[tuple[float, float, int, bool]]:
    """Return days, magnitude, filter id and whether it is an upper limit, for each point that can be drawn."""
    now = alert["jd"]
    fields = ("jd", "magpsf", "diffmaglim", "fid")
    past = zip(*(alert[f"prv_{name}"] or [] for name in fields), strict=True)
    found = []
    for jd, magnitude, limit, fid in [*past, tuple(alert[name] for name in fields)]:
        value = limit if magnitude is None else magnitude
        if fid in BANDS and all(number is not None and math.isfinite(number) for number in (jd, value, now)):
            found.append((jd - now, value, fid, magnitude is None))
    return found
