"""Cells of the sky: positions as they are asked for, and as answers are remembered."""

from __future__ import annotations

import numpy as np

from fink_broker.alert.lightcurve import Floats, Ints

#: Positions are asked for, and answers kept, by cells of this size in arcsec. An answer is therefore a function of
#: the cell alone, whoever asked first; the shift (at most 0.07″) is below the scatter of ZTF positions.
CELL_ARCSEC = 0.1
_CELLS_PER_DEGREE = 3600.0 / CELL_ARCSEC
#: A cell is one number, row times this plus column: it is the key of caches of some 100,000 positions.
_COLUMNS = 1 << 24


def cells_of(ra_deg: Floats, dec_deg: Floats) -> Ints:
    """Return the number of the cell of each position.

    Parameters
    ----------
    ra_deg, dec_deg : numpy.ndarray
        Positions on the sky, in degrees.
    """
    rows = np.round(dec_deg * _CELLS_PER_DEGREE)
    columns = np.round(ra_deg * _CELLS_PER_DEGREE * _narrowing(rows))
    return rows.astype(np.int64) * _COLUMNS + columns.astype(np.int64)


def centres_of(cells: Ints) -> tuple[Floats, Floats]:
    """Return the positions (right ascension, declination in degrees) cells are asked for at."""
    rows, columns = np.divmod(cells, _COLUMNS)
    return (columns / (_CELLS_PER_DEGREE * _narrowing(rows))) % 360.0, rows / _CELLS_PER_DEGREE


def _narrowing(rows: Floats | Ints) -> Floats:
    """Return cos(declination) of rows of cells, which narrow towards the poles: at least one cell for a turn."""
    return np.maximum(np.cos(np.radians(rows / _CELLS_PER_DEGREE)), 1.0 / (360.0 * _CELLS_PER_DEGREE))
