"""A topic of a part of the sky: a coverage map, or the credible region of a probability map."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.errors import ConfigError
from fink_broker.filters.places import fits_table, moc, skymap
from fink_broker.filters.places.limited_file import MIB, Opened, open_limited
from fink_broker.filters.places.sky_region import SkyRegion
from fink_broker.filters.view import AlertView

RA, DEC, TIME = "candidate.ra", "candidate.dec", "candidate.jd"
#: A flat map of order 10 with the four columns of LIGO, Virgo and KAGRA has 384 MiB.
LARGEST_MAP = 1024 * MIB
_UNIX_EPOCH_JD = 2440587.5

Time = str | float | date


@dataclass(frozen=True)
class Area:
    """Takes the alerts inside a part of the sky, if wanted within some time.

    The file is read once, when it is first needed: a multi-order coverage map (FITS, JSON or ASCII), or a probability
    map in FITS, flat or multi-order, packed with gzip or not.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    level : float
        Of a probability map: share of the probability the smallest region shall hold, above 0, at most 1. Coverage
        maps have no such thing.
    after, before : str, datetime.date, datetime.datetime or float, optional
        Earliest and latest time of the measurement (``candidate.jd``), inclusive, as ISO 8601 (UTC where it names no
        zone) or Julian date.
    days : float, optional
        Latest time, in days after ``after``.

    Raises
    ------
    ConfigError
        If the level or the times make no sense.
    """

    path: Path
    level: float = 0.9
    after: Time | None = None
    before: Time | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if not isinstance(self.level, int | float) or not 0 < self.level <= 1:
            raise ConfigError(f"{self.level} is no credible level.", "Give a share above 0, at most 1, such as 0.9.")
        if self.days is not None:
            if self.after is None or self.before is not None:
                raise ConfigError("'days' is counted from 'after'.", "Give 'after', and 'days' or 'before'.")
            if not isinstance(self.days, int | float) or not self.days > 0:
                raise ConfigError(f"{self.days} days are no time.", "Give a number above 0.")
        earliest, latest = self.window
        if not earliest < latest:
            raise ConfigError("The time of the area ends before it begins.", "Give an 'after' earlier than 'before'.")

    @cached_property
    def window(self) -> tuple[float, float]:
        """Earliest and latest Julian date; infinite where there is no limit."""
        earliest = -np.inf if self.after is None else julian_date(self.after)
        if self.days is not None:
            return earliest, earliest + self.days
        return earliest, np.inf if self.before is None else julian_date(self.before)

    @property
    def reads(self) -> tuple[str, ...]:
        """Position, and with a time window the time of the measurement."""
        return (RA, DEC, TIME) if np.isfinite(self.window).any() else (RA, DEC)

    @property
    def text(self) -> str:
        """What it takes; it changes with the content of the file. Raises ConfigError if that cannot be read."""
        region, kind, digest = self._loaded
        told = f"inside {kind} {self.path.name} ({region.share:.3%} of the sky, sha256 {digest[:16]})"
        if TIME in self.reads:
            earliest, latest = self.window
            told += f" and {TIME} from {earliest:.6f} to {latest:.6f}"
        return told

    @property
    def region(self) -> SkyRegion:
        """The part of the sky. Raises ConfigError if the file cannot be read."""
        return self._loaded[0]

    @cached_property
    def _loaded(self) -> tuple[SkyRegion, str, str]:
        with open_limited(self.path, LARGEST_MAP) as opened:
            return *self._read(opened), opened.digest

    def _read(self, opened: Opened) -> tuple[SkyRegion, str]:
        if opened.head(len(fits_table.MAGIC)) != fits_table.MAGIC:
            return moc.read_text(opened.name, opened.text()), "the coverage map"
        with fits_table.first_table(opened) as table:
            if not skymap.is_skymap(table):
                return moc.read_fits(table), "the coverage map"
            cells = skymap.read_cells(table)
        return skymap.credible_region(cells, self.level), f"the {self.level:g} credible region of"

    def check(self, schema: pa.Schema) -> None:
        """See whether the columns are there and the file can be read."""
        for path in self.reads:
            AlertView.type_of(schema, path)
        _ = self._loaded

    def decide(self, view: AlertView) -> Mask:
        """Return which alerts lie inside."""
        inside = self.region.contains(view.numbers(RA), view.numbers(DEC))
        if TIME in self.reads:
            time, (earliest, latest) = view.numbers(TIME), self.window
            inside &= (time >= earliest) & (time <= latest)  # NaN is neither
        return inside


def julian_date(time: Time) -> float:
    """Return a time as Julian date (UTC).

    Raises
    ------
    ConfigError
        If it is no time.
    """
    if isinstance(time, int | float) and not isinstance(time, bool) and np.isfinite(time):
        return float(time)
    try:
        moment = datetime.fromisoformat(time.isoformat() if isinstance(time, date) else str(time))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _UNIX_EPOCH_JD + moment.timestamp() / 86400.0
    except (ValueError, OverflowError):
        pass
    raise ConfigError(f"'{time}' is no time.", "Write it as 2026-11-20T00:00:00 (UTC), or as a Julian date.")
