"""The multiband periodogram, many frequencies at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fink_broker.alert.lightcurve import Floats
from fink_broker.portal.web.fits.search import Magnitudes

#: phases (frequencies × measurements), or elements of matrices, that are worked on at once: 16 bytes each, a few times
_TOGETHER = 1 << 18
#: frequencies of which one table of phases is made
_STEPS = 64

Complexes = npt.NDArray[np.complex128]


class MultibandPeriodogram:
    """The power of the multiband model of VanderPlas & Ivezić (2015, ApJ 812, 18) on regular frequencies.

    The model, its regularisation and the power are those of the "flexible" method of
    ``astropy.timeseries.LombScargleMultiband``, whose loop over frequencies takes some 80 µs each. Here the normal
    equations of many frequencies are made of sums of sines and cosines, of which the products of two are sums again,
    and solved together: some 4 µs each.

    Parameters
    ----------
    magnitudes : Magnitudes
        What was measured.
    nterms_base, nterms_band : int
        Fourier terms that all bands share, and of each band by itself.
    regularization : float
        That of the terms of each band, in terms of the trace of the normal matrix.
    """

    def __init__(
        self, magnitudes: Magnitudes, nterms_base: int, nterms_band: int, regularization: float = 1e-6
    ) -> None:
        self.nterms_base, self.nterms_band, self.regularization = nterms_base, nterms_band, regularization
        self._time = magnitudes.jd - magnitudes.jd[0]
        weight = magnitudes.error**-2.0
        members = np.stack([magnitudes.fid == band for band in magnitudes.bands], axis=1)
        self._weights = members * weight[:, None]
        mean = (self._weights * magnitudes.mag[:, None]).sum(axis=0) / self._weights.sum(axis=0)
        self._offsets = self._weights * (magnitudes.mag[:, None] - mean)
        self._reference = float((weight * (magnitudes.mag - members @ mean) ** 2).sum())
        if self._reference <= np.finfo(np.float64).eps * float((weight * magnitudes.mag**2).sum()):
            self._reference = 0.0  # what rounding leaves of a constant

    @property
    def together(self) -> int:
        """How many frequencies are worked on at once."""
        columns = 1 + 2 * self.nterms_base + self._weights.shape[1] * (1 + 2 * self.nterms_band)
        return max(_STEPS, _TOGETHER // max(len(self._time), columns**2) // _STEPS * _STEPS)

    def power(self, first: float, step: float, count: int) -> Floats:
        """Return the power, 0 to 1, at frequencies (1/day) that start at ``first`` and are ``step`` apart.

        Parameters
        ----------
        first, step : float
            In 1/day.
        count : int
            How many; beyond `together` the memory grows with it.
        """
        if self._reference <= 0:
            return np.zeros(count)
        matrix, vector = self._normal_equations(*self._sums(self._turns(first, step, count)))
        try:
            solution = np.linalg.solve(matrix, vector[..., None])[..., 0]
        except np.linalg.LinAlgError:
            solution = np.stack([np.linalg.lstsq(a, b, rcond=None)[0] for a, b in zip(matrix, vector, strict=True)])
        power: Floats = np.clip(np.einsum("fi,fi->f", vector, solution) / self._reference, 0.0, 1.0)
        return power

    def _turns(self, first: float, step: float, count: int) -> Complexes:
        """Return exp(2πi f t), shape (count, n): products of a coarse and a fine table."""
        turn = 2j * np.pi * self._time
        fine = np.exp(np.arange(_STEPS)[:, None] * step * turn)
        coarse = np.exp((first + np.arange(0, count, _STEPS)[:, None] * step) * turn)
        turns: Complexes = (coarse[:, None, :] * fine).reshape(-1, len(self._time))[:count]
        return turns

    def _sums(self, turns: Complexes) -> tuple[Complexes, Complexes]:
        """Return Σ w e^{ijωt} and Σ w (y − ȳ) e^{ijωt}, shape (2K + 1, frequencies, bands) and (K + 1, …)."""
        highest = max(self.nterms_base, self.nterms_band)
        both = np.concatenate([self._weights, self._offsets], axis=1).astype(np.complex128)
        bands = self._weights.shape[1]
        weights = np.empty((2 * highest + 1, len(turns), bands), dtype=np.complex128)
        offsets = np.empty((highest + 1, len(turns), bands), dtype=np.complex128)
        weights[0], offsets[0] = self._weights.sum(axis=0), self._offsets.sum(axis=0)
        power = turns.copy()
        for harmonic in range(1, 2 * highest + 1):
            if harmonic <= highest:
                found = power @ both
                weights[harmonic], offsets[harmonic] = found[:, :bands], found[:, bands:]
            else:
                weights[harmonic] = power @ both[:, :bands]
            if harmonic < 2 * highest:
                power *= turns
        return weights, offsets

    def _normal_equations(self, weights: Complexes, offsets: Complexes) -> tuple[Floats, Floats]:
        """Return XᵀX with its regularisation, and Xᵀy, of all columns of the model: shared ones, then band by band."""
        block, vector = _blocks(weights, offsets)
        base, band = 1 + 2 * self.nterms_base, 1 + 2 * self.nterms_band
        count, bands = weights.shape[1:]
        size = base + bands * band
        matrix, right = np.zeros((count, size, size)), np.empty((count, size))
        matrix[:, :base, :base] = block[:, :, :base, :base].sum(axis=1)
        right[:, :base] = vector[:, :, :base].sum(axis=1)
        for number in range(bands):
            at = slice(base + number * band, base + (number + 1) * band)
            matrix[:, at, at] = block[:, number, :band, :band]
            matrix[:, :base, at] = block[:, number, :base, :band]
            matrix[:, at, :base] = block[:, number, :band, :base]
            right[:, at] = vector[:, number, :band]
        diagonal = np.arange(base, size)
        matrix[:, diagonal, diagonal] += self.regularization * np.trace(matrix, axis1=1, axis2=2)[:, None]
        return matrix, right


def _blocks(weights: Complexes, offsets: Complexes) -> tuple[Floats, Floats]:
    """Return the normal equations of the columns 1, sin ωt, cos ωt, sin 2ωt, … of each band.

    Products of two columns are sums: 2 cos a cos b = cos(a − b) + cos(a + b), and so on.

    Returns
    -------
    tuple of numpy.ndarray
        Shapes (frequencies, bands, 2K + 1, 2K + 1) and (frequencies, bands, 2K + 1).
    """
    highest = len(offsets) - 1
    count, bands = weights.shape[1:]
    block = np.empty((count, bands, 2 * highest + 1, 2 * highest + 1))
    vector = np.empty((count, bands, 2 * highest + 1))
    vector[..., 0] = offsets[0].real
    block[..., 0, 0] = weights[0].real
    for j in range(1, highest + 1):
        sine, cosine = 2 * j - 1, 2 * j
        vector[..., sine], vector[..., cosine] = offsets[j].imag, offsets[j].real
        block[..., 0, sine] = block[..., sine, 0] = weights[j].imag
        block[..., 0, cosine] = block[..., cosine, 0] = weights[j].real
        for k in range(1, highest + 1):
            total, less = weights[j + k], weights[abs(j - k)]
            block[..., sine, 2 * k - 1] = (less.real - total.real) / 2
            block[..., cosine, 2 * k] = (less.real + total.real) / 2
            # the sine of a negative angle is negative
            block[..., sine, 2 * k] = (total.imag + np.sign(j - k) * less.imag) / 2
            block[..., 2 * k, sine] = block[..., sine, 2 * k]
    return block, vector
