"""Alerts as rows of the API: which can be used, and what a TOM shows of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

#: What a row must have to become a target.
NEEDED = ("i:objectId", "i:candid", "i:jd", "i:ra", "i:dec")
LONGEST_NAME = 100


def usable(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those rows that have all that a target needs."""
    return [row for row in rows if _is_usable(row)]


def notice(rows: int, left_out: int, is_cut: bool) -> str:
    """Return a sentence about alerts that the user does not see, or nothing.

    Parameters
    ----------
    rows : int
        Rows the API gave.
    left_out : int
        Rows without what a target needs.
    is_cut : bool
        Whether the API has more than it gave.
    """
    said = []
    if left_out:
        said.append(f"{left_out} of {rows} alerts are left out: they have no name, time or position.")
    if is_cut:
        said.append(f"Fink has more alerts than the {rows} it gave; ask for less.")
    return " ".join(said)


def magnitude(row: dict[str, Any]) -> float | None:
    """Return the magnitude of an alert on the difference image (AB), if it has one."""
    return _finite(row.get("i:magpsf"))


def score(row: dict[str, Any]) -> float:
    """Return the score of an alert as an early type Ia supernova, from 0 to 1; 0 if there is none."""
    return _finite(row.get("d:rf_snia_vs_nonia")) or 0.0


def _is_usable(row: dict[str, Any]) -> bool:
    name, candid, jd, ra, dec = (row.get(column) for column in NEEDED)
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_NAME:
        return False
    if isinstance(candid, bool) or not isinstance(candid, int | str) or _finite(jd) is None:
        return False
    has_ra, has_dec = _finite(ra), _finite(dec)
    return has_ra is not None and has_dec is not None and 0 <= has_ra <= 360 and -90 <= has_dec <= 90


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
