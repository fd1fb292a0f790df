"""All that differs between surveys: identifiers, night rule, topic names, plausible times.

A second survey joins by adding a :class:`Survey` here, not by a second copy of the jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

#: jd of 1970-01-01T00:00:00 UTC (days)
JD_UNIX_EPOCH = 2440587.5


@dataclass(frozen=True)
class Survey:
    """What the jobs need to know of a survey.

    Parameters
    ----------
    name : str
        Short name, also the suffix of output topics.
    topic_pattern : str
        Regular expression of the survey's nightly input topics.
    jd_first, jd_last : float
        Exposure times (days) outside [jd_first, jd_last) are not believed.
    night_offset_days : float
        Added to the exposure jd before its UTC date is taken as the observing night.
    """

    name: str
    topic_pattern: str
    jd_first: float
    jd_last: float
    night_offset_days: float

    def night(self, jd: float) -> str:
        """Return the observing night ``YYYYMMDD`` of an exposure time in jd (days, UTC)."""
        unix_seconds = (jd + self.night_offset_days - JD_UNIX_EPOCH) * 86400.0
        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix_seconds)
        return date.strftime("%Y%m%d")

    def input_topic(self, jd: float) -> str:
        """Return the name of the input topic an alert of this exposure time (jd, days) travels on."""
        return f"{self.name}_{self.night(jd)}_programid1"

    def output_topic(self, prefix: str, filter_name: str) -> str:
        """Return the name of the output topic of a filter."""
        return f"{prefix}{filter_name}_{self.name}"


#: ZTF on Palomar: a night is one UTC date. First public alerts 2018; engineering data from 2017.
ZTF = Survey(
    name="ztf",
    topic_pattern=r"ztf_\d{8}_programid1",
    jd_first=2457754.5,  # 2017-01-01
    jd_last=2488069.5,  # 2100-01-01
    night_offset_days=0.0,
)

SURVEYS = {ZTF.name: ZTF}
