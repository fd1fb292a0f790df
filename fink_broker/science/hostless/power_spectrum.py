"""Asks whether the middle of a stamp is more structured than its pixels in random order.

The method of ELEPHANT (Pessi et al. 2024, A&A 691, A181): power spectra of the middle of the stamp and of shuffled
copies, compared by their distances.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.science.hostless.clipping import CENTRE, CENTRE_SIDE, SIDE
from fink_broker.science.hostless.stamps import Stamp

#: Shuffled copies of a stamp.
COPIES = 200
#: Answer where distances are all but equal, so that their distributions say nothing.
NO_DISTRIBUTION = -1.0
#: Fewest different distances that make a distribution.
MIN_DISTINCT = 3

_PIXELS = SIDE * SIDE
_DRAWN = CENTRE_SIDE * CENTRE_SIDE
#: Draws with repetition that hold `_DRAWN` different pixels: 7 ± 3 of them repeat an earlier one, 44 may.
_DRAWS = _DRAWN + 44
_COPY_STARTS = np.arange(COPIES)[:, np.newaxis] * _PIXELS
_ORDER = np.arange(COPIES * _DRAWS, dtype=np.int32)

Pixels = npt.NDArray[np.intp]


def structure_score(stamp: Stamp, clipped: Mask, random: np.random.Generator) -> float:
    """Return how different the middle of a stamp is from the same stamp with its pixels shuffled.

    Parameters
    ----------
    stamp : numpy.ndarray
        `SIDE` × `SIDE` pixels.
    clipped : numpy.ndarray of bool
        Pixels to replace by noise like that of the others; not all of them.
    random : numpy.random.Generator
        Source of noise and shuffles: the same one gives the same score.

    Returns
    -------
    float
        Kolmogorov–Smirnov statistic, 0 (like the shuffled ones) to 1, or `NO_DISTRIBUTION`.
    """
    image = fill_with_noise(stamp, clipped, random)
    middles = np.concatenate([image[CENTRE].reshape(1, -1), image.reshape(-1)[shuffled_middles(random)]])
    # distances depend on which powers occur, not on the ring they occur in (Wasserstein distance)
    spectra = np.sort(ring_powers(middles.reshape(-1, CENTRE_SIDE, CENTRE_SIDE)), axis=1)
    real = np.abs(spectra[1:] - spectra[0]).mean(axis=1)
    return ks_statistic(real, distances_between(spectra[1:]))


def fill_with_noise(stamp: Stamp, clipped: Mask, random: np.random.Generator) -> Floats:
    """Return the stamp as float64, its clipped pixels drawn from a normal distribution like that of the others."""
    image = stamp.astype(np.float64)
    others = image[~clipped]
    image[clipped] = random.normal(np.median(others), np.std(others), size=int(np.count_nonzero(clipped)))
    return image


def shuffled_middles(random: np.random.Generator) -> Pixels:
    """Return which pixels lie in the middle of each shuffled copy, shape (`COPIES`, pixels of the middle).

    Of a shuffled stamp only the middle is looked at, so only its pixels are drawn, each at most once. The different
    values among draws with repetition, in the order of their first appearance, are such a draw.
    """
    while True:
        draws = random.integers(0, _PIXELS, size=(COPIES, _DRAWS), dtype=np.uint16).astype(np.intp)
        places = (draws + _COPY_STARTS).reshape(-1)
        first = np.empty(COPIES * _PIXELS, dtype=np.int32)
        # of equal draws the one written last stays: backwards, that is the first one
        first[places[::-1]] = _ORDER[::-1]
        is_new = (first[places] == _ORDER).reshape(COPIES, _DRAWS)
        rank = np.cumsum(is_new, axis=1, dtype=np.int16)
        if rank[:, -1].min() >= _DRAWN:
            return draws[is_new & (rank <= _DRAWN)].reshape(COPIES, _DRAWN)


def ring_powers(images: Floats) -> Floats:
    """Return the power of square images in rings of spatial frequency.

    The mean of |FFT|² between the radii 0.5, 1.5, … (frequency indices, up to half the side), times the ring's area.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (n, side, side).

    Returns
    -------
    numpy.ndarray
        Shape (n, side // 2).
    """
    transform = np.fft.rfft2(images)
    power = (transform.real**2 + transform.imag**2).reshape(len(images), -1)
    frequencies, weights, starts = _rings(images.shape[-1])
    return np.add.reduceat(power[:, frequencies] * weights, starts, axis=1)


@lru_cache(maxsize=4)
def _rings(side: int) -> tuple[Pixels, Floats, Pixels]:
    """Return the frequencies of a real transform that are in a ring, ring after ring.

    Returns
    -------
    frequencies, weights, starts : numpy.ndarray
        Which frequencies, what the power of each contributes to its ring, and where each ring starts in them.
    """
    vertical = np.fft.fftfreq(side) * side
    horizontal = np.fft.rfftfreq(side) * side
    radius = np.hypot(vertical[:, np.newaxis], horizontal).reshape(-1)
    # a real transform leaves out the frequencies that mirror others
    times = np.where((horizontal == 0) | (horizontal == side / 2), 1.0, 2.0)
    times = np.broadcast_to(times, (side, len(times))).reshape(-1)
    members, weights = [], []
    for inner in np.arange(0.5, side // 2, 1.0):
        outer = inner + 1.0
        inside = np.flatnonzero((radius >= inner) & (radius < outer))
        area = np.pi * (outer**2 - inner**2)
        members.append(inside)
        weights.append(area * times[inside] / times[inside].sum())
    starts = np.cumsum([0, *(len(inside) for inside in members[:-1])])
    return np.concatenate(members), np.concatenate(weights), starts


def distances_between(spectra: Floats) -> Floats:
    """Return the distance of each pair of sorted spectra: the mean absolute difference, shape (n (n − 1) / 2,)."""
    total = np.zeros((len(spectra), len(spectra)))
    for power in spectra.T:  # seven, each over all pairs at once
        total += np.abs(power[:, np.newaxis] - power)
    return total.reshape(-1)[_pairs(len(spectra))] / spectra.shape[1]


@lru_cache(maxsize=4)
def _pairs(count: int) -> Pixels:
    """Return where each pair is in a flattened table of all with all."""
    left, right = np.triu_indices(count, k=1)
    return left * count + right


def ks_statistic(few: Floats, many: Floats) -> float:
    """Return the two-sample Kolmogorov–Smirnov statistic: the largest difference of the two distribution functions.

    `NO_DISTRIBUTION` where one sample has fewer than `MIN_DISTINCT` different values.
    """
    few, many = np.sort(few), np.sort(many)
    if min(_distinct(few), _distinct(many)) < MIN_DISTINCT:
        return NO_DISTRIBUTION
    # between two of the few, the difference is largest at an end: just after one, or just before the next
    after = np.searchsorted(few, few, side="right") / len(few) - np.searchsorted(many, few, side="right") / len(many)
    before = np.searchsorted(few, few, side="left") / len(few) - np.searchsorted(many, few, side="left") / len(many)
    return float(max(np.abs(after).max(), np.abs(before).max()))


def _distinct(ordered: Floats) -> int:
    return 1 + int(np.count_nonzero(np.diff(ordered)))
