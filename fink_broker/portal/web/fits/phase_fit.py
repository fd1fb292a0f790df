"""What a phase curve is, once it is fitted: models and their parameters, points, curves; as JSON has it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from fink_broker.portal.phase_curves import Floats

#: models by the name visitors choose: parameters of a band
MODELS = {"SHG1G2": ("H", "G1", "G2"), "HG1G2": ("H", "G1", "G2"), "HG12": ("H", "G12"), "HG": ("H", "G")}
DEFAULT_MODEL = "HG1G2"
UNITS = {"H": "mag", "α0": "deg", "δ0": "deg"}
#: how bands are taken: each by itself, or all of them brought to V
BANDS, COMBINED = "bands", "combined"
#: what a fit takes of each measurement
COLUMNS = ("magnitude", "sigma", "band", "phase", "ra", "dec", "colour")
#: most points of a fit, which bounds its time
MOST_POINTS = 5000


@dataclass(frozen=True)
class Parameter:
    """A parameter that was fitted.

    Parameters
    ----------
    name : str
        As ``H``.
    value, error : float
        In the units of `UNITS`; the error (1 σ) is NaN where the data do not tell.
    at_limit : bool
        Whether the search ended at a bound.
    """

    name: str
    value: float
    error: float
    at_limit: bool = False


@dataclass(frozen=True)
class BandFit:
    """The fit of one band, or of all bands together.

    Parameters
    ----------
    band : int
        Filter, as ``fid``; 0: all bands brought to V.
    phase, magnitude, sigma, residuals : numpy.ndarray, shape (points,)
        What was fitted (deg, reduced mag, mag), and observed minus modelled magnitudes.
    curve_phase, curve_magnitude : numpy.ndarray
        The model, drawn (deg, mag); of SHG1G2 with the mean aspect of the points.
    parameters : tuple of Parameter
        Of this band.
    """

    band: int
    phase: Floats
    magnitude: Floats
    sigma: Floats
    residuals: Floats
    curve_phase: Floats
    curve_magnitude: Floats
    parameters: tuple[Parameter, ...]

    @property
    def rms(self) -> float:
        """Root mean square of the residuals (mag)."""
        return float(np.sqrt(np.mean(self.residuals**2)))


@dataclass(frozen=True)
class PhaseFit:
    """A fitted phase curve.

    Parameters
    ----------
    model : str
        A name of `MODELS`.
    bands : tuple of BandFit
        By band.
    spin : tuple of Parameter
        Oblateness and axis, of SHG1G2 only.
    reduced_chi2 : float
        χ² over the degrees of freedom of all bands together.
    left_out : tuple of int
        Bands (fid) that have too few points for the model.
    """

    model: str
    bands: tuple[BandFit, ...]
    spin: tuple[Parameter, ...]
    reduced_chi2: float
    left_out: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it: lists for arrays, None for what is not finite."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> PhaseFit:
        """Return what `as_json` made."""
        bands = tuple(_band_of(each) for each in content["bands"])
        spin, left_out = _parameters_of(content["spin"]), tuple(content.get("left_out", ()))
        return cls(content["model"], bands, spin, content["reduced_chi2"], left_out)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(each) for each in (value.tolist() if isinstance(value, np.ndarray) else value)]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _band_of(content: Mapping[str, Any]) -> BandFit:
    arrays = {
        each.name: np.asarray(content[each.name], dtype=np.float64)
        for each in fields(BandFit)
        if each.name not in ("band", "parameters")
    }
    return BandFit(band=content["band"], parameters=_parameters_of(content["parameters"]), **arrays)


def _parameters_of(content: list[Mapping[str, Any]]) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(each["name"], each["value"], np.nan if each["error"] is None else each["error"], each["at_limit"])
        for each in content
    )
