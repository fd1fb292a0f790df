"""Times as visitors read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_J2000_JD = 2451545.0
_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


def iso_of(jd: float) -> str:
    """Return a julian date (days, UTC) as ``2024-09-01`` at midnight, else as ``2024-09-01 03:00:00``."""
    moment = _J2000 + timedelta(seconds=round((jd - _J2000_JD) * 86400.0))
    return moment.strftime("%Y-%m-%d" if moment.hour == moment.minute == moment.second == 0 else "%Y-%m-%d %H:%M:%S")
