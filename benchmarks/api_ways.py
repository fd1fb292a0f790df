"""What the API does, beside the plain ways to do the same, on the same archive."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy import units
from astropy.coordinates import SkyCoord, get_constellation
from astropy.time import Time
from astropy_healpix import HEALPix
from rich.table import Table

from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal.computed import COMPUTED, with_computed

_ROUNDS = 7
#: Order of the pixels production's table by position has (nside 128, 27.5′).
_COARSE = 7


def naive_ways(archive: Archive, largest: str, cones: Sequence[dict[str, Any]]) -> Table:
    """Return a table of milliseconds: ours, the plain way, and the ratio.

    Parameters
    ----------
    archive : Archive
        With the objects asked about.
    largest : str
        The object with most alerts.
    cones : sequence of dict
        Cones: ``ra``, ``dec`` in degrees, ``radius`` in arcsec.
    """
    alerts = archive.alerts([largest])
    stored = alerts.drop_columns([name for name in alerts.column_names if name.startswith("v:")])
    report = Table(title="medians, milliseconds")
    for heading in ("", "ours", "plain way", "times"):
        report.add_column(heading, justify="left" if not heading else "right")
    pairs: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        (
            f"computed columns of {len(alerts):,} alerts; a row at a time, astropy, pandas",
            lambda: with_computed(stored, COMPUTED),
            lambda: plain_computed(stored),
        ),
        (
            "cone of 5″; all of the pixels of 27.5′ it touches",
            lambda: [archive.around(cone["ra"], cone["dec"], cone["radius"]) for cone in cones[:5]],
            lambda: [plain_cone(archive, cone) for cone in cones[:5]],
        ),
    ]
    for name, ours, plain in pairs:
        times = [_median_ms(way) for way in (ours, plain)]
        report.add_row(name, *(f"{value:,.1f}" for value in times), f"{times[1] / times[0]:,.1f}")
    return report


def plain_computed(alerts: pa.Table) -> pd.DataFrame:
    """Compute the computed columns with astropy and pandas, an object and a band at a time."""
    frame = alerts.select(["i:objectId", "i:jd", "i:jdstarthist", "i:fid", "i:ra", "i:dec", "i:magpsf", "i:sigmapsf"])
    rows = frame.to_pandas().sort_values("i:jd")
    rows["v:lastdate"] = [Time(jd, format="jd").iso for jd in rows["i:jd"]]
    rows["v:firstdate"] = [Time(jd, format="jd").iso for jd in rows["i:jdstarthist"]]
    rows["v:lapse"] = rows["i:jd"] - rows["i:jdstarthist"]
    places = SkyCoord(rows["i:ra"].to_numpy() * units.deg, rows["i:dec"].to_numpy() * units.deg)
    rows["v:constellation"] = get_constellation(places)
    bands = {}
    for band, own in rows.groupby("i:fid"):
        days = own["i:jd"].diff()
        rows.loc[own.index, "v:rate"] = own["i:magpsf"].diff() / days
        bands[band] = own
    pd.merge_asof(bands[1], bands[2], on="i:jd", tolerance=0.3, direction="nearest", suffixes=("_g", "_r"))
    return rows


def plain_cone(archive: Archive, cone: dict[str, Any]) -> pa.Table:
    """Search a cone as a table of pixels of 27.5′ allows: read all objects of the pixels, and measure."""
    centre = SkyCoord(cone["ra"], cone["dec"], unit="deg")
    pixels = HEALPix(nside=2**_COARSE, order="nested").cone_search_lonlat(
        centre.ra, centre.dec, cone["radius"] * units.arcsec
    )
    found = pa.concat_tables(archive.in_pixels(_COARSE, pixels.tolist()))
    separation = centre.separation(SkyCoord(found["i:ra"].to_numpy(), found["i:dec"].to_numpy(), unit="deg"))
    return found.filter(pa.array(np.asarray(separation.arcsec) <= cone["radius"]))


def _median_ms(way: Callable[[], object]) -> float:
    took = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        way()
        took.append((time.perf_counter() - started) * 1e3)
    return statistics.median(took)
