"""The alerts in a disc on the sky, nearest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Mask
from fink_broker.alert.sky import separation_arcsec

SEPARATION = "v:separation_degree"


@dataclass(frozen=True)
class Disc:
    """A disc, and which alerts in it are wanted.

    Parameters
    ----------
    ra, dec : float
        Centre in degrees (ICRS).
    radius_arcsec : float
        Radius; the edge belongs to it.
    most : int, optional
        Alerts wanted, the nearest ones; default: all.
    keep : callable, optional
        Tells which alerts count; default: all.
    """

    ra: float
    dec: float
    radius_arcsec: float
    most: int | None = None
    keep: Callable[[pa.Table], Mask] | None = None

    def nearest(self, alerts: pa.Table) -> pa.Table:
        """Return the alerts in the disc, nearest first, with their distance from its centre as `SEPARATION` (deg)."""
        if not len(alerts):
            return alerts.append_column(SEPARATION, pa.array([], pa.float64()))
        at = [np.asarray(alerts[name], dtype=float) for name in ("i:ra", "i:dec")]
        separation = separation_arcsec(np.full(len(alerts), self.ra % 360.0), np.full(len(alerts), self.dec), *at)
        order = np.argsort(separation, kind="stable")
        wanted = separation <= self.radius_arcsec
        if self.keep is not None:
            wanted &= self.keep(alerts)
        inside = order[wanted[order]][: self.most]
        return alerts.take(pa.array(inside)).append_column(SEPARATION, pa.array(separation[inside] / 3600.0))

    def nearer(self, found: pa.Table, more: pa.Table) -> pa.Table:
        """Return the nearest of alerts that `nearest` found in two parts of a table."""
        both = pa.concat_tables([found, more], promote_options="permissive")
        return both.take(pc.sort_indices(both, sort_keys=[(SEPARATION, "ascending")])[: self.most])
