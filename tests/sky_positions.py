"""Positions all over the sky, batches of alerts at them, and FITS tables, for tests of lists and maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.io import fits

from fink_broker.filters.view import AlertView


def view_of(ra: object, dec: object, jd: object = None) -> AlertView:
    columns = {"ra": ra, "dec": dec} | ({"jd": jd} if jd is not None else {})
    arrays = [pa.array(values, pa.float64()) for values in columns.values()]
    return AlertView(pa.table({"candidate": pa.StructArray.from_arrays(arrays, list(columns))}))


def random_sky(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions all over the sky, a tenth of them within 1° of a pole, a tenth within 1° of right ascension 0."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    tenth = count // 10
    dec[:tenth] = (90 - rng.uniform(0, 1, tenth) ** 3) * rng.choice([-1, 1], tenth)
    ra[tenth : 2 * tenth] = np.mod(rng.normal(0, 0.3, tenth), 360)
    ra[-2:], dec[-2:] = (0.0, 360.0), (90.0, -90.0)
    return ra, dec


def write_table(path: Path, columns: dict[str, np.ndarray], **header: object) -> Path:
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, format={"i": "K", "f": "D"}[v.dtype.kind], array=v) for name, v in columns.items()]
    )
    table.header.update(header)
    table.writeto(path, overwrite=True)
    return path
