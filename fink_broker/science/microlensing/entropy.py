"""Sample entropy and Shannon entropy of many light curves."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

from fink_broker.alert.lightcurve import Floats, Ints
from fink_broker.science.microlensing.ragged import Ragged

#: Two points are alike if they differ by at most this many standard deviations.
TOLERANCE = 0.2
#: Pairs of points compared at once. A block of this many stays in the second-level cache.
BLOCK_PAIRS = 60_000


def sample_entropy(cut: Ragged, values: Floats, deviation: Floats) -> Floats:
    """Return −ln(A/B): how little a course of two points says about the third (Richman & Moorman 2000, AJP 278, H2039).

    B and A count the ordered pairs of different windows of two and of three points that differ by at most a fifth of
    the standard deviation everywhere. Not finite where no windows are alike.

    The work grows with the square of the length: 10⁴ comparisons for the light curves that reach this point in
    reality, 10⁶ for the longest that the module lets in, one or two milliseconds.

    Parameters
    ----------
    cut : Ragged
        How the values are cut into vectors.
    values : numpy.ndarray, shape (points,)
        Finite numbers.
    deviation : numpy.ndarray, shape (vectors,)
        Standard deviation of each vector.
    """
    pairs, triples = np.zeros(len(cut.lengths)), np.zeros(len(cut.lengths))
    for block in _blocks_of_like_length(cut.lengths):
        # vectors too short for the block are filled with NaN, which is like nothing
        table = np.full((len(block), int(cut.lengths[block[-1]])), np.nan)
        columns = np.arange(table.shape[1])
        filled = columns < cut.lengths[block][:, None]
        table[filled] = values[(cut.starts[block][:, None] + columns)[filled]]
        difference = table[:, :, None] - table[:, None, :]
        alike = np.abs(difference, out=difference) <= (TOLERANCE * deviation[block])[:, None, None]
        two = alike[:, :-1, :-1] & alike[:, 1:, 1:]
        three = two[:, :-1, :-1] & alike[:, 2:, 2:]
        pairs[block] = [np.count_nonzero(windows) for windows in two]
        triples[block] = [np.count_nonzero(windows) for windows in three]
    # each window is like itself: those pairs do not count
    return -np.log((triples - (cut.lengths - 2)) / (pairs - (cut.lengths - 1)))


def _blocks_of_like_length(lengths: Ints) -> list[Ints]:
    """Return the indices of all vectors, ascending in length, in blocks that are not too large to compare at once."""
    ascending = np.argsort(lengths, kind="stable")
    blocks, begin = [], 0
    for end, longest in enumerate(lengths[ascending].tolist()):
        if end > begin and (end + 1 - begin) * longest**2 > BLOCK_PAIRS:
            blocks.append(ascending[begin:end])
            begin = end
    blocks.append(ascending[begin:])
    return blocks


def shannon_entropy(cut: Ragged, values: Floats, errors: Floats, median: Floats) -> Floats:
    """Return the Shannon entropy of a light curve, errors included (Godines et al. 2019, A&C 28, 100298).

    The probability of a value one error above and one below each point is taken from a normal and from an inverse
    Gaussian distribution around the median; a probability that underflows says nothing.

    Parameters
    ----------
    cut : Ragged
        How the values are cut into vectors.
    values, errors : numpy.ndarray, shape (points,)
        Relative fluxes and their errors.
    median : numpy.ndarray, shape (vectors,)
        Median of each vector.
    """
    scale = np.abs(median)
    mirrored = 0.5 * np.exp(2.0 * scale / median)
    middle, width, factor = median[cut.owner], scale[cut.owner], mirrored[cut.owner]
    bits = np.zeros_like(values)
    for shifted in (values + errors, values - errors):
        normal = 0.5 * (1.0 + erf((shifted - middle) / (width * np.sqrt(2.0))))
        root = np.sqrt(width / (2.0 * shifted))
        ratio = shifted / middle
        inverse_gaussian = 0.5 * (1.0 + erf(root * (ratio - 1.0))) + factor * (1.0 - erf(root * (ratio + 1.0)))
        for probability in (normal, inverse_gaussian):
            bits -= np.log2(np.where(probability > 0, probability, 1.0))
    return cut.total(2.0 * errors * bits)
