"""Outlines of regions on a chart, cut where the chart ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from fink_broker.portal.web.sky.projection import Floats, mollweide, tangent
from fink_broker.portal.web.sky.sources import Ring

#: Edges longer than this are bent, degrees.
_STEP = 2.0
_FEWEST_CORNERS = 3
_HALF_TURN = 180.0


def outlines(
    rings: Sequence[Ring], centre: tuple[float, float] | None
) -> tuple[list[float | None], list[float | None]]:
    """Return rings on a chart, with None between them.

    Parameters
    ----------
    rings : sequence of rings
        Corners in degrees; the last may repeat the first.
    centre : tuple of float, optional
        Of a tangent plane; None: on the all-sky chart.

    Returns
    -------
    x, y : list of float
        As `projection.mollweide` or `projection.tangent` give them.
    """
    x: list[float | None] = []
    y: list[float | None] = []

    def draw(project: Callable[[Floats, Floats], tuple[Floats, Floats]], ra: Floats, dec: Floats) -> None:
        across, up = project(ra, dec)
        if np.isfinite(across).all() and np.isfinite(up).all():
            x.extend([*across.tolist(), None])
            y.extend([*up.tolist(), None])

    for ring in rings:
        if len(ring) < _FEWEST_CORNERS:
            continue
        corners = _closed(ring)
        if centre is not None:
            draw(lambda ra, dec: tangent(ra, dec, centre), *_divided(corners))
            continue
        ra, dec = _divided(_with_pole(corners))
        for shift in (-360.0, 0.0, 360.0):  # what crosses right ascension 0 is drawn at both edges
            if (ra + shift).max() > 0 and (ra + shift).min() < 360:
                draw(mollweide, ra + shift, dec)
    return x, y


def _closed(ring: Ring | Floats) -> Floats:
    """Return the corners of a ring, the first one again at the end, with right ascensions without jumps."""
    corners = np.array([*ring, ring[0]], dtype=float)
    corners[:, 0] = np.unwrap(corners[:, 0], period=360.0)
    return corners


def _with_pole(corners: Floats) -> Floats:
    """Return corners with the nearer pole, which is a point of the sky but an edge of charts, if they go around it.

    The way to the pole is along the corner nearest to right ascension 0, where charts end.
    """
    if abs(corners[-1, 0] - corners[0, 0]) < _HALF_TURN:
        return corners
    ring = np.column_stack([corners[:-1, 0] % 360, corners[:-1, 1]])
    ring = _closed(np.roll(ring, -int(np.argmin(ring[:, 0])), axis=0))
    pole = math.copysign(90.0, float(ring[:, 1].mean()))
    start, end = ring[0, 0], ring[-1, 0]
    return np.concatenate([ring, [[end, pole], [start, pole], ring[0]]])


def _divided(corners: Floats) -> tuple[Floats, Floats]:
    """Return right ascensions and declinations of corners, long edges divided."""
    ra, dec = corners.T
    steps = np.maximum(np.ceil(np.hypot(np.diff(ra) * np.cos(np.radians(dec[1:])), np.diff(dec)) / _STEP), 1).astype(
        int
    )
    at = np.concatenate([[0.0], *(i + np.arange(1, n + 1) / n for i, n in enumerate(steps))])
    return _between(at, ra), _between(at, dec)


def _between(at: Floats, values: npt.NDArray[np.float64]) -> Floats:
    return np.interp(at, np.arange(len(values)), values)
