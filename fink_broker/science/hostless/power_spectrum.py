"""Asks whether the middle of a stamp is more structured than its pixels in random order.

The method of ELEPHANT (Pessi et al. 2024, A&A 691, A181): power spectra of the middle of the stamp and of shuffled
copies, compared by their distances.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.science.hostless.clipping import CENTRE, CENTRE_SIDE, SIDE
from fink_broker.science.hostless.stamps import Stamp

#: Shuffled copies of a stamp.
COPIES = 200
#: Answer where distances are all but equal, so that their distributions say nothing.
NO_DISTRIBUTION = -1.0

_PIXELS = SIDE * SIDE
_DRAWN = CENTRE_SIDE * CENTRE_SIDE
#: A draw is 12 bits: one of so many values, of which those from `_PIXELS` on are no pixel (one in 32).
_VALUES = 4096
#: Of each pixel drawn (one place of all copies after the other): where the values of its copy start, and its place.
_COPY_STARTS = np.tile(np.arange(COPIES) * _VALUES, _DRAWN)
_PLACES = np.repeat(np.arange(_DRAWN, dtype=np.uint8), COPIES)
#: What is neither in `_PLACES`: a pixel not drawn yet, and what is no pixel.
_FREE, _NO_PIXEL = 255, 254

Values = npt.NDArray[np.floating[Any]]
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
    shuffled = image.reshape(-1).take(shuffled_middles(random))
    powers = np.concatenate(
        [
            ring_powers(image[CENTRE].reshape(CENTRE_SIDE, CENTRE_SIDE, 1)),
            ring_powers(shuffled.reshape(CENTRE_SIDE, CENTRE_SIDE, COPIES)),
        ]
    )
    # distances depend on which powers occur, not on the ring they occur in (Wasserstein distance, here times seven);
    # first those of the image to each copy
    distances = pdist(np.sort(powers, axis=1), "cityblock").astype(np.float32)
    return ks_statistic(distances[:COPIES], distances[COPIES:])


def fill_with_noise(stamp: Stamp, clipped: Mask, random: np.random.Generator) -> Stamp:
    """Return the stamp, its clipped pixels drawn from a normal distribution like that of the others.

    In standard deviations from the median of the others: the score depends neither on level nor on scale, 32 bits hold
    these numbers, and an image of one value is exactly 0.
    """
    others = np.sort(stamp[~clipped]).astype(np.float64)
    median = (others[(len(others) - 1) // 2] + others[len(others) // 2]) / 2
    image = (stamp - median) / (others.std() or 1.0)
    image[clipped] = random.standard_normal(np.count_nonzero(clipped)) if others[0] < others[-1] else 0.0
    return image.astype(np.float32)


def shuffled_middles(random: np.random.Generator) -> Pixels:
    """Return which pixels lie in the middle of each shuffled copy, shape (pixels of the middle, `COPIES`).

    Of a shuffled stamp only the middle is looked at, so only its pixels are drawn, each at most once: draws that repeat
    another one of the copy are repeated. No pixel is favoured, whichever of two equal draws that is.
    """
    bits = random.bit_generator.random_raw(_DRAWN * COPIES // 4).view(np.uint16)
    drawn = (bits >> 4).astype(np.intp)
    drawn += _COPY_STARTS
    # for each value of each copy, the place in the middle that it was drawn for; of several, one is written last
    owner = np.full(COPIES * _VALUES, _FREE, dtype=np.uint8)
    owner[drawn] = _PLACES
    owner.reshape(COPIES, _VALUES)[:, _PIXELS:] = _NO_PIXEL
    again = np.flatnonzero(owner.take(drawn) != _PLACES)
    while len(again):
        draws = random.integers(0, _PIXELS, size=len(again)) + _COPY_STARTS[again]
        places, owners = _PLACES[again], owner[draws]
        owner[draws] = np.where(owners == _FREE, places, owners)
        drawn[again] = draws
        again = again[owner[draws] != places]
    drawn &= _VALUES - 1
    return drawn.reshape(_DRAWN, COPIES)


def ring_powers(images: Stamp) -> Floats:
    """Return the power of square images in rings of spatial frequency.

    The mean of |FFT|² between the radii 0.5, 1.5, … (frequency indices, up to half the side), times the ring's area.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (side, side, n), 32-bit floats: they move the score by less than 0.0001, another seed by 0.03 or more.

    Returns
    -------
    numpy.ndarray
        Shape (n, side // 2).
    """
    waves, weights = _waves_and_rings(len(images))
    # for so few pixels faster than an FFT; products of 14 × 14 by 14 × n, too small to be given to several threads
    transform = np.matmul(waves, np.matmul(waves, images.transpose(1, 0, 2)).transpose(1, 0, 2))
    transform *= transform
    return np.matmul(weights, transform).sum(axis=0, dtype=np.float64).T


@lru_cache(maxsize=4)
def _waves_and_rings(side: int) -> tuple[Stamp, Stamp]:
    """Return a real Fourier transform, and what its squares contribute to each ring.

    Products of cosines and sines along both axes take the place of complex exponentials: the powers of the frequencies
    (±u, ±v), that are in the same ring, have the same sum.

    Returns
    -------
    waves : numpy.ndarray
        Cosines and sines along one axis, shape (side, side).
    weights : numpy.ndarray
        Shape (side, side // 2, side): waves along one axis, rings, waves along the other.
    """
    index = np.arange(side)
    # cosines of the frequencies 0 to side / 2, sines of those between
    frequency = np.concatenate([index[: side // 2 + 1], index[1 : (side + 1) // 2]])
    phase = np.where(index <= side // 2, 0.0, -np.pi / 2)[:, np.newaxis]
    waves = np.cos(2 * np.pi / side * (frequency[:, np.newaxis] * index % side) + phase)
    # the square of a wave stands for half the power at both signs of its frequency
    times = np.where((frequency == 0) | (2 * frequency == side), 1.0, 2.0)
    times = times[:, np.newaxis] * times
    radius = np.hypot(frequency[:, np.newaxis], frequency)
    weights = []
    for inner in np.arange(0.5, side // 2, 1.0):
        outer = inner + 1.0
        inside = (radius >= inner) & (radius < outer)
        weights.append(np.pi * (outer**2 - inner**2) * np.where(inside, times, 0.0) / np.count_nonzero(inside))
    return waves.astype(np.float32), np.stack(weights, axis=1).astype(np.float32)


def ks_statistic(few: Values, many: Values) -> float:
    """Return the two-sample Kolmogorov–Smirnov statistic: the largest difference of the two distribution functions.

    `NO_DISTRIBUTION` where one sample has fewer than three different values.
    """
    few, many = np.sort(few), np.sort(many)
    if not (_has_three_values(few) and _has_three_values(many)):
        return NO_DISTRIBUTION
    # between two of the few, the difference is largest at an end: just after one, or just before the next
    after = np.searchsorted(few, few, side="right") / len(few) - np.searchsorted(many, few, side="right") / len(many)
    before = np.searchsorted(few, few, side="left") / len(few) - np.searchsorted(many, few, side="left") / len(many)
    return float(max(np.abs(after).max(), np.abs(before).max()))


def _has_three_values(ordered: Values) -> bool:
    """Tell whether there is a value between the lowest and the highest."""
    after_lowest = ordered.searchsorted(ordered[0], side="right")
    return bool(after_lowest < ordered.searchsorted(ordered[-1], side="left"))
