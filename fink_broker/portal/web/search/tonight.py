"""What the archive has last: counts of its last night, and the latest alerts of classes people wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import pandas as pd

from fink_broker.portal.web.api import Api

#: classes whose latest alerts are shown, the rarest first
CLASSES = (
    "Early SN Ia candidate", "Kilonova candidate", "Microlensing candidate", "SN candidate", "Solar System candidate",
    "Solar System MPC",
)  # fmt: skip
#: alerts read of each class, of which objects are taken once
_LOOKED_AT = 8
MOST_SHOWN = 6
_COLUMNS = "i:objectId,i:jd,i:fid,i:magpsf,i:ndethist,i:ssnamenr,v:classification,v:lastdate"
#: what is counted of a night: words for it, and the columns that are added up
_COUNTED: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Alerts processed", ("basic:sci",)),
    ("Supernova candidates", ("class:SN candidate", "class:Early SN Ia candidate")),
    ("Solar System objects", ("class:Solar System MPC", "class:Solar System candidate")),
    ("Known to SIMBAD", ("class:simbad_tot",)),
)


@dataclass(frozen=True)
class Night:
    """Counts of a night.

    Parameters
    ----------
    date : str
        As ``2024-09-01``.
    counts : tuple of (str, int)
        Words and numbers.
    nights : int
        Nights in the archive.
    total : int
        Alerts of all nights.
    """

    date: str
    counts: tuple[tuple[str, int], ...]
    nights: int
    total: int


def last_night(api: Api) -> Night | None:
    """Return counts of the last night, None if there is none yet; raises ApiError."""
    nights = _records(api.document("statistics", date="", columns="basic:sci"))
    dated = {_date(night): count_of(night, "basic:sci") for night in nights}
    dated = {date: count for date, count in dated.items() if date and count}
    if not dated:
        return None
    latest = max(dated)
    found = _records(api.document("statistics", date=latest))
    columns = found[0] if found else {}
    counts = tuple((words, sum(count_of(columns, name) for name in names)) for words, names in _COUNTED)
    return Night(f"{latest[:4]}-{latest[4:6]}-{latest[6:]}", counts, len(dated), sum(dated.values()))


def latest_alerts(api: Api, most: int = MOST_SHOWN) -> list[Mapping[str, Any]]:
    """Return the latest alerts of interesting classes, each object once, classes in turn; raises ApiError."""
    by_class = [_objects(api.rows("latests", n=_LOOKED_AT, columns=_COLUMNS, **{"class": name})) for name in CLASSES]
    found: dict[str, Mapping[str, Any]] = {}
    for turn in zip_longest(*by_class):
        for alert in turn:
            if alert is not None:
                found.setdefault(str(alert["i:objectId"]), alert)
    return list(found.values())[:most]


def count_of(night: Mapping[str, Any], column: str) -> int:
    """Return a count of a night, whose cells are texts; what is none counts nothing."""
    text = str(night.get(column) or "").strip()
    return int(text) if text.isascii() and text.isdigit() else 0


def _objects(rows: pd.DataFrame) -> list[Mapping[str, Any]]:
    if rows.empty:
        return []
    return [
        {str(name): value for name, value in row.items()}
        for row in rows.drop_duplicates("i:objectId").to_dict("records")
    ]


def _date(night: Mapping[str, Any]) -> str:
    date = str(night.get("key:key", "")).removeprefix("ztf_")
    return date if len(date) == 8 and date.isdigit() else ""


def _records(answer: Any) -> list[Mapping[str, Any]]:
    return [row for row in answer if isinstance(row, dict)] if isinstance(answer, list) else []
