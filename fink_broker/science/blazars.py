"""How bright a gamma-ray blazar is against its own past: ``blazar_stats``, for the blazars of a list."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.alert.lightcurve import HISTORY, Floats, Ints, Mask, segment_reduce
from fink_broker.alert.photometry import ZERO_POINT_JY, dc_flux, is_positive
from fink_broker.config import Config
from fink_broker.errors import DataError
from fink_broker.science.batch import AlertBatch
from fink_broker.science.files import checked_file, digests_of
from fink_broker.science.module import SKIPPED, Column, Module, Needs, Outputs

SHIPPED = "catalogs/CTAO_blazars_ztf_dr22.parquet"
KEYS = ("instantness_low", "robustness_low", "instantness_high", "robustness_high", "cdf_quantile")
#: Written for what does not apply or cannot be computed.
NOT_GIVEN = -1.0
#: Bands with a median (g, r), and the days over which the two states are averaged.
BANDS, LOW_DAYS, HIGH_DAYS = 2, 30.0, 5.0
#: Start of the data-release light curves that count (mjd): before, the survey was being set up.
FIRST_MJD = 58_000.0
PHOTOMETRY = ("jd", "fid", "magpsf", "sigmapsf", "magnr", "sigmagnr", "isdiffpos")
_FIELDS = {"objectId", "ra", "dec", *PHOTOMETRY, *(HISTORY + name for name in PHOTOMETRY)}


@dataclass(frozen=True)
class LongLightCurve:
    """A light curve of a data release, in any order.

    Parameters
    ----------
    mjd : numpy.ndarray
        Times (d).
    fid : numpy.ndarray
        Bands as in the alerts, 1 = g, 2 = r.
    flux : numpy.ndarray
        Apparent fluxes (Jy).
    """

    mjd: Floats
    fid: Ints
    flux: Floats


class LightCurveProvider(Protocol):
    """Gives the light curves of a data release, for ``cdf_quantile``.

    There is none by default. To have one, write a function that returns ``build(config, provider)`` and name it in
    ``science.user_modules`` in place of the module ``blazars``. It is asked once for each alert of a blazar in its
    low or high state, so it should keep its answers, and it should give up soon if it asks a service.
    """

    def light_curve(self, object_id: str, ra: float, dec: float) -> LongLightCurve | None:
        """Return the light curve of the source within 2″ of a position (degrees), None if there is none."""
        ...


@dataclass(frozen=True)
class Blazars:
    """The blazars of a list.

    Parameters
    ----------
    names : pyarrow.Array
        Their objectId.
    medians : numpy.ndarray, shape (blazars, 2)
        Median apparent flux in g and r (Jy).
    low, high : numpy.ndarray, shape (blazars,)
        Standardised flux below which a blazar is in its low, above which it is in its high state; NaN if not known.
    digest : str
        sha256 of the file.
    """

    names: pa.Array
    medians: Floats
    low: Floats
    high: Floats
    digest: str


def build(config: Config, provider: LightCurveProvider | None = None) -> Module:
    """Return the module.

    Parameters
    ----------
    config : Config
        Its ``science.blazar_catalogue`` names a newer list than the one of fink-science.
    provider : LightCurveProvider, optional
        Without it ``cdf_quantile`` is −1.
    """
    path = config.science.blazar_catalogue
    meaning = (
        "instantness: last flux over the threshold, robustness: mean flux of 30 d (low) or 5 d (high) over the "
        "threshold, where fluxes are in medians of the blazar; cdf_quantile: share of the past spent below the last "
        "flux. Earlier records name instantness what is robustness here and the other way round"
    )
    return Module(
        name="blazars",
        version="1",
        reference="Fink: blazars for the Cherenkov Telescope Array Observatory; Förster et al. 2021, AJ 161, 242",
        needs=Needs(candidate=("ra", "dec") if provider else (), history=PHOTOMETRY, root=("objectId",)),
        outputs=(
            Column("blazar_stats", pa.map_(pa.string(), pa.float32()), "", meaning, dict.fromkeys(KEYS, NOT_GIVEN)),
        ),
        compute=lambda batch: _compute(batch, catalogue(path), provider),
        prepare=lambda: _prepare(path),
        digests=lambda: (catalogue(path).digest,) if path else digests_of(SHIPPED),
    )


def _prepare(path: str) -> None:
    catalogue(path)


@lru_cache(maxsize=4)
def catalogue(path: str) -> Blazars:
    """Return the list of a file, or of fink-science if the path is empty; read once a process.

    Raises
    ------
    DataError
        If the file cannot be read or is no such list.
    """
    try:
        content = (Path(path) if path else checked_file(SHIPPED)).read_bytes()
        rows = pq.read_table(pa.BufferReader(content)).to_pylist()
        entries = [_newer_entry(row) for row in rows] if path else [_shipped_entry(row) for row in rows]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"The blazar list {path or SHIPPED} cannot be read: {error}.",
            "Set science.blazar_catalogue to a Parquet file with ZTF_name, medians (entries 1 and 2, in Jy), "
            "low_threshold and high_threshold, or leave it empty.",
        ) from error
    seen = [entry for entry in entries if entry[0] and entry[0].strip()]  # the others are not in ZTF's sky
    numbers = np.array([entry[1:] for entry in seen], dtype=np.float64).reshape(-1, 4)
    return Blazars(
        names=pa.array([entry[0].strip() for entry in seen], pa.string()),
        medians=numbers[:, :2],
        low=numbers[:, 2],
        high=numbers[:, 3],
        digest=hashlib.sha256(content).hexdigest(),
    )


def _shipped_entry(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return name, medians of g and r (Jy; the file has mJy) and thresholds; the file has no high ones."""
    g, r = (_number(median) / 1e3 for median in row["Array of Medians"])
    return row["ZTF Name"], g, r, _number(row["Final Threshold"]), np.nan


def _newer_entry(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return name, medians of g and r (Jy) and thresholds."""
    medians = dict(row["medians"] or {})
    numbers = (medians.get("1"), medians.get("2"), row["low_threshold"], row["high_threshold"])
    return row["ZTF_name"], *map(_number, numbers)


def _number(value: float | None) -> float:
    """Return a number of a list, which may be missing, as NaN then."""
    return np.nan if value is None else float(value)


def standardised_flux(batch: AlertBatch, medians: Floats) -> tuple[Floats, Floats]:
    """Return the apparent flux of every point and its error, in medians of the band.

    Parameters
    ----------
    batch : AlertBatch
        Alerts.
    medians : numpy.ndarray, shape (alerts, 2)
        Median flux in g and r (Jy) of each alert's source.

    Returns
    -------
    flux, error : numpy.ndarray
        Flat, as the arrays of ``batch.curves``; NaN for upper limits and other bands.
    """
    curves = batch.curves
    fid = curves.numbers("fid")
    median = np.full(len(fid), np.nan)
    for band in range(BANDS):
        chosen = fid == band + 1
        median[chosen] = medians[curves.owner[chosen], band]
    magnitude, error, reference, reference_error = (
        curves.numbers(name) for name in ("magpsf", "sigmapsf", "magnr", "sigmagnr")
    )
    positive = is_positive(curves.texts("isdiffpos"))
    flux, flux_error = dc_flux(magnitude, error, reference, reference_error, positive)
    with np.errstate(all="ignore"):
        return flux * ZERO_POINT_JY / median, flux_error * ZERO_POINT_JY / median


def mean_flux(batch: AlertBatch, flux: Floats, days: float) -> Floats:
    """Return the mean over time of the flux of the last days, NaN where fewer than two points are known.

    The flux is taken to change linearly from point to point.

    Parameters
    ----------
    batch : AlertBatch
        Alerts.
    flux : numpy.ndarray
        Flat, one a point of ``batch.curves``.
    days : float
        How far back from the current point.
    """
    curves = batch.curves
    jd, owner = curves.numbers("jd"), curves.owner
    with np.errstate(all="ignore"):
        used = np.isfinite(flux) & (jd >= (curves.last("jd") - days)[owner])
        jd, flux, owner = jd[used], flux[used], owner[used]
        offsets = np.concatenate([[0], np.cumsum(curves.count(used))])
        steps = np.diff(jd, append=np.nan)
        areas = (flux + np.roll(flux, -1)) / 2.0 * steps
        areas[offsets[1:][offsets[1:] > offsets[:-1]] - 1] = 0.0  # a last point begins no step
        total = segment_reduce(np.add, areas, offsets, np.nan)
        first, last = (np.append(jd, np.nan)[np.minimum(at, len(jd))] for at in (offsets[:-1], offsets[1:] - 1))
        return np.where(np.diff(offsets) > 1, total / (last - first), np.nan)


def _compute(batch: AlertBatch, blazars: Blazars, provider: LightCurveProvider | None) -> Outputs:
    entry = pc.index_in(batch.columns["objectId"], value_set=blazars.names)
    known = entry.is_valid().to_numpy(zero_copy_only=False)
    stats = np.full((len(batch), len(KEYS)), NOT_GIVEN, dtype=np.float32)
    if known.any():
        rows = pa.array(np.flatnonzero(known))
        chosen = AlertBatch({name: batch.columns[name].take(rows) for name in _FIELDS & set(batch.columns)}, len(rows))
        stats[known] = _stats(chosen, blazars, entry.drop_null().to_numpy(), provider)
    offsets = pa.array(np.arange(len(batch) + 1) * len(KEYS), pa.int32())
    keys = pa.array(KEYS, pa.string()).take(pa.array(np.tile(np.arange(len(KEYS)), len(batch))))
    return {"blazar_stats": pa.MapArray.from_arrays(offsets, keys, pa.array(stats.ravel())), SKIPPED: ~known}


def _stats(batch: AlertBatch, blazars: Blazars, entry: Ints, provider: LightCurveProvider | None) -> Floats:
    """Return the statistics of alerts of blazars, of shape (alerts, keys), in 32 bit as they are written."""
    medians, low, high = blazars.medians[entry], blazars.low[entry], blazars.high[entry]
    flux, _ = standardised_flux(batch, medians)
    last = flux[batch.curves.offsets[1:] - 1]
    with np.errstate(all="ignore"):
        instant_low, robust_low = last / low, mean_flux(batch, flux, LOW_DAYS) / low
        not_low = (instant_low > 1) | (robust_low > 1)
        instant_high = np.where(not_low, last / high, np.nan)
        robust_high = np.where(not_low, mean_flux(batch, flux, HIGH_DAYS) / high, np.nan)
        is_low = (instant_low >= 0) & (instant_low <= 1) & (robust_low >= 0) & (robust_low <= 1)
        extreme = is_low | ((instant_high >= 1) & (robust_high >= 1))
        quantile = np.full(len(batch), np.nan)
        if provider is not None:
            quantile = _quantiles(batch, extreme & np.isfinite(last), last, medians, provider)
        stats = np.stack([instant_low, robust_low, instant_high, robust_high, quantile], axis=1).astype(np.float32)
        return np.where(np.isfinite(stats), stats, np.float32(NOT_GIVEN))


def _quantiles(batch: AlertBatch, chosen: Mask, last: Floats, medians: Floats, provider: LightCurveProvider) -> Floats:
    """Ask the provider for the chosen alerts, one by one: they are few, and it answers for one."""
    quantiles = np.full(len(batch), np.nan)
    names, ra, dec = batch.columns["objectId"], batch.numbers("ra"), batch.numbers("dec")
    for row in np.flatnonzero(chosen):
        curve = provider.light_curve(names[row].as_py(), float(ra[row]), float(dec[row]))
        if curve is not None:
            quantiles[row] = flux_quantile(curve, medians[row], last[row])
    return quantiles


def flux_quantile(curve: LongLightCurve, medians: Floats, flux: float) -> float:
    """Return the share of time a source was fainter than a flux, NaN if the light curve is too short to tell.

    Each point counts as long as it is until the next one; the last one does not count.

    Parameters
    ----------
    curve : LongLightCurve
        Its past.
    medians : numpy.ndarray, shape (2,)
        Median flux in g and r (Jy).
    flux : float
        Standardised flux to place.
    """
    used = (curve.mjd >= FIRST_MJD) & np.isfinite(curve.flux) & np.isin(curve.fid, (1, 2))
    order = np.argsort(curve.mjd[used], kind="stable")
    mjd = curve.mjd[used][order]
    standardised = (curve.flux[used] / medians[curve.fid[used] - 1])[order]
    if len(mjd) < 2 or not mjd[-1] > mjd[0]:
        return np.nan
    by_flux = np.argsort(standardised[:-1], kind="stable")
    share = np.cumsum(np.diff(mjd)[by_flux]) / (mjd[-1] - mjd[0])
    return float(np.interp(flux, standardised[:-1][by_flux], share))
