"""Known magnetic cataclysmic variables."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow.csv as pacsv

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.alert.photometry import is_positive
from fink_broker.alert.sky import NO_ROW, SkyIndex
from fink_broker.filters.filter import Filter
from fink_broker.filters.measures.package_data import MAGNETIC_CVS, checked_file
from fink_broker.filters.rule import Function
from fink_broker.filters.view import AlertView


@lru_cache(maxsize=1)
def catalogue() -> tuple[tuple[float, SkyIndex], ...]:
    """Return the sources: for each radius (arcsec) that occurs, an index of those that have it.

    Raises
    ------
    DataError
        If the catalogue is not there or not the pinned one.
    """
    texts = ["RA(J2000)", "DEC(J2000)"]
    table = pacsv.read_csv(
        checked_file(MAGNETIC_CVS), convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(texts, "string"))
    )
    ra, dec = (np.array([_sexagesimal(text) for text in table[name].to_pylist()]) for name in texts)
    radius = table["Radius"].to_numpy()
    return tuple(
        (float(value), SkyIndex(ra[radius == value] * 15.0, dec[radius == value])) for value in np.unique(radius)
    )


def _sexagesimal(text: str) -> float:
    """Return ``±d m s`` in units of d."""
    whole, minutes, seconds = text.split()
    size = abs(float(whole)) + float(minutes) / 60.0 + float(seconds) / 3600.0
    return -size if whole.startswith("-") else size


def is_magnetic_cv(ra_deg: Floats, dec_deg: Floats) -> Mask:
    """Return which positions (degrees), shape (n,), lie closer to a source than its own radius."""
    near = [index.nearest(ra_deg, dec_deg, radius)[0] != NO_ROW for radius, index in catalogue()]
    return np.logical_or.reduce(near)


def decide(view: AlertView) -> Mask:
    """Return which alerts are of such a star and brighter than the reference image, shape (n,)."""
    positive = is_positive(view.column("candidate.isdiffpos"))
    return positive & is_magnetic_cv(view.numbers("candidate.ra"), view.numbers("candidate.dec"))


FILTER = Filter(
    name="magnetic_cvs",
    rule=Function(
        decide,
        reads=("candidate.isdiffpos", "candidate.ra", "candidate.dec"),
        text="isdiffpos is t or 1; within the radius of a source of the catalogue of magnetic cataclysmic variables",
    ),
    description="Known magnetic cataclysmic variables brighter than in the reference image.",
    reference="fink-filters 7.45 and its catalogue",
    version="1",
)
