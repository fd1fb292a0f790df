"""Objects as pages read them, made up; and what a page says in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from dash.development.base_component import Component

from fink_broker.portal.web.object_data import ObjectData

FIRST_JD = 2460500.5


def alerts_of(count: int, **columns: Any) -> pd.DataFrame:
    """Return alerts in g and r by turns, five days apart, with further columns."""
    number = np.arange(count)
    rows = pd.DataFrame(
        {
            "i:objectId": "ZTF24aaaaaaa",
            "i:candid": 2_500_000_000_000_000_000 + number,
            "i:jd": FIRST_JD + 5.0 * number,
            "i:fid": 1 + number % 2,
            "i:magpsf": 18.0 + 0.1 * number,
            "i:sigmapsf": 0.05,
            "i:isdiffpos": "t",
            "i:distnr": 9.0,
            "i:magnr": 21.0,
            "i:sigmagnr": 0.1,
            "i:ra": 150.0,
            "i:dec": 20.0,
            "i:ssnamenr": "null",
            "v:lastdate": "2024-07-09 00:00:00.000",
        }
    )
    return rows.assign(**{name: pd.Series(value, rows.index) for name, value in columns.items()})


def object_of(alerts: pd.DataFrame, **others: pd.DataFrame) -> ObjectData:
    """Return an object with these alerts."""
    return ObjectData(
        "ZTF24aaaaaaa", alerts, others.get("upper_limits", pd.DataFrame()), others.get("bad_quality", pd.DataFrame())
    )


def words_of(shown: Any) -> str:
    """Return all texts of components, one after the other, with one blank between words."""
    return " ".join(_texts(shown).split())


def _texts(shown: Any) -> str:
    if isinstance(shown, Component):
        return " ".join(_texts(getattr(shown, name, "")) for name in ("title", "label", "children"))
    if isinstance(shown, list | tuple):
        return " ".join(map(_texts, shown))
    return "" if shown is None else str(shown)
