"""Everything known of one object, as its page shows it: from one `objects` request with upper limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.api import Api

#: names of objects; the API takes beginnings of names and lists of them, too
OBJECT_ID = re.compile(r"ZTF[0-9]{2}[a-z]{7}")


@dataclass(frozen=True)
class ObjectData:
    """An object and its rows; the frames are shared between visitors, and must not be changed.

    Parameters
    ----------
    object_id : str
        Its name, as ``ZTF21abfmbix``.
    alerts : pandas.DataFrame
        Its alerts by time (``i:jd``, days), all columns; never empty.
    upper_limits : pandas.DataFrame
        Upper limits by time: ``i:jd``, ``i:fid``, ``i:diffmaglim`` (mag); may be empty.
    bad_quality : pandas.DataFrame
        Measurements of bad quality by time, without those that an alert stands for, too; may be empty.
    """

    object_id: str
    alerts: pd.DataFrame
    upper_limits: pd.DataFrame
    bad_quality: pd.DataFrame

    @property
    def latest(self) -> pd.Series:
        """Its latest alert."""
        return self.alerts.iloc[-1]


def read_object(api: Api, object_id: str) -> ObjectData:
    """Return everything known of an object; the request is kept for a while, so tabs may ask again.

    Raises
    ------
    ApiError
        With status 404 if there is no such object.
    """
    if not OBJECT_ID.fullmatch(object_id):
        raise _unknown(object_id)
    rows = api.rows("objects", objectId=object_id, withupperlim="True")
    if rows.empty or "d:tag" not in rows:
        raise _unknown(object_id)
    rows = rows.sort_values("i:jd", kind="stable")
    tag = rows["d:tag"]
    alerts = rows[tag == "valid"]
    if alerts.empty:
        raise _unknown(object_id)
    bad = rows[tag == "badquality"]
    bad = bad[~bad["i:jd"].isin(alerts["i:jd"])]
    return ObjectData(object_id, *(part.reset_index(drop=True) for part in (alerts, rows[tag == "upperlim"], bad)))


def _unknown(object_id: str) -> ApiError:
    return ApiError(f"There is no object named {object_id[:40]} in the archive.", 404)
