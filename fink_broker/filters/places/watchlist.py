"""A topic of a list of positions: alerts within the radius of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.filters.places.discs import Discs
from fink_broker.filters.places.positions_file import Positions, checked_radius, read_positions
from fink_broker.filters.view import AlertView

RA, DEC = "candidate.ra", "candidate.dec"
#: Most names told of one alert.
MOST_NAMES = 100


@dataclass(frozen=True)
class Watchlist:
    """Takes the alerts within the radius of a position of a list, rim included.

    The file is read once, when it is first needed or `load` asks for it.

    Parameters
    ----------
    path : pathlib.Path
        CSV, VOTable, ECSV or FITS table with a column each for right ascension and declination, and perhaps for
        radius and name.
    radius_arcsec : float
        Radius of the positions that have none of their own, at most 10°.

    Raises
    ------
    ConfigError
        If the radius is none.
    """

    path: Path
    radius_arcsec: float = 1.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "radius_arcsec", checked_radius(self.radius_arcsec))

    @property
    def reads(self) -> tuple[str, ...]:
        """The position of the alert."""
        return RA, DEC

    @property
    def text(self) -> str:
        """What it takes; it changes with the content of the file. Raises ConfigError if that cannot be read."""
        list_ = self.positions
        least, most = list_.radius.min(), list_.radius.max()
        radius = f"{most:g}″" if least == most else f"{least:g}″ to {most:g}″"
        return (
            f"within {radius} of one of {len(list_):,} positions of {self.path.name} "
            f"(radius {self.radius_arcsec:g}″ where the list has none; sha256 {list_.digest[:16]})"
        )

    @cached_property
    def positions(self) -> Positions:
        """The list. Raises ConfigError if it cannot be read."""
        return read_positions(self.path, self.radius_arcsec)

    @cached_property
    def _discs(self) -> Discs:
        return Discs(self.positions.ra, self.positions.dec, self.positions.radius)

    def load(self) -> None:
        """Read the list, and make it ready to be searched, if that is not done yet.

        Raises
        ------
        ConfigError
            If it cannot be read.
        """
        _ = self._discs

    def check(self, schema: pa.Schema) -> None:
        """See whether the columns are there and the list can be read."""
        for path in self.reads:
            AlertView.type_of(schema, path)
        self.load()

    def decide(self, view: AlertView) -> Mask:
        """Return which alerts lie within the radius of a position."""
        return self._discs.cover(view.numbers(RA), view.numbers(DEC))

    def matches(self, ra_deg: Floats, dec_deg: Floats) -> list[list[str]]:
        """Return the names of the sources within whose radius positions (degrees, shape (n,)) lie, nearest first."""
        names = self.positions.names
        return [[names[row] for row in rows] for rows in self._discs.covering(ra_deg, dec_deg, MOST_NAMES)]
