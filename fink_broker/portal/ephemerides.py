"""Ephemerides beside alerts of solar system objects: where each was, and how it was lit, when it was seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.portal.phase_curves import Observations, residuals
from fink_broker.portal.providers.away import ServiceAway
from fink_broker.portal.providers.providers import Ephemerides
from fink_broker.portal.route import RequestError
from fink_broker.portal.sso_names import Identity

#: magnitude reduced to distances of 1 au to the Sun and the observer, and what the phase curve does not explain of it
REDUCED, RESIDUALS = "i:magpsf_red", "residuals_shg1g2"
#: columns of alerts that are needed
NEEDED = ("i:jd", "i:magpsf", "i:sigmapsf", "i:fid", "i:ra", "i:dec")
#: what Miriade gives, so that clients may name it
EPHEMERIS_COLUMNS = (
    "Date", "LAST", "HA", "Az", "H", "Dobs", "Dhelio", "VMag", "SDSS:r", "SDSS:g", "Phase", "Elong.", "AM",
    "dRAcosDEC", "dDEC", "RV", "RA", "Dec", "DEC",
)  # fmt: skip
#: from the beginning of an exposure, which is its jd, to its middle: half of 30 s, in days
HALF_EXPOSURE = 15.0 / 86400.0
AWAY = "We could not obtain the ephemerides information. Check Miriade availabilities."
#: beginnings of names that are the archive's own
_OWN = ("i:", "d:", "v:", "b:", "sso_", "residuals")
_COLOURS = "SDSS:"

Floats = npt.NDArray[np.float64]


def with_ephemerides(
    alerts: pa.Table, owners: npt.NDArray[np.int64], identities: Mapping[int, Identity], service: Ephemerides
) -> pa.Table:
    """Return alerts with ephemerides and ``i:magpsf_red``.

    Parameters
    ----------
    alerts : pyarrow.Table
        With `NEEDED`.
    owners : numpy.ndarray of int
        Which of ``identities`` each alert is of.
    identities : mapping
        The objects.
    service : Ephemerides
        Who knows.

    Raises
    ------
    RequestError
        If the service is away, or does not know an object.
    """
    if not len(alerts):
        return alerts
    parts, rows = [], []
    for number, identity in identities.items():
        mine = np.flatnonzero(owners == number)
        if len(mine):
            parts.append(_of_one(identity, _numbers(alerts, "i:jd")[mine], service))
            rows.append(mine)
    found = pa.concat_tables(parts, promote_options="permissive").take(pa.array(np.argsort(np.concatenate(rows))))
    for name in found.column_names:
        alerts = alerts.append_column(name, found[name])
    with np.errstate(invalid="ignore", divide="ignore"):
        reduction = 5.0 * np.log10(_numbers(found, "Dobs") * _numbers(found, "Dhelio"))
    return alerts.append_column(REDUCED, _column(_numbers(alerts, "i:magpsf") - reduction))


def with_residuals(alerts: pa.Table) -> pa.Table:
    """Return alerts of one object that have ephemerides with ``residuals_shg1g2`` (mag), NaN where nothing fits."""
    if not len(alerts):
        return alerts
    points = Observations(
        _numbers(alerts, REDUCED),
        _numbers(alerts, "i:sigmapsf"),
        np.nan_to_num(_numbers(alerts, "i:fid")).astype(np.int64),
        _numbers(alerts, "Phase"),
        _numbers(alerts, "i:ra"),
        _numbers(alerts, "i:dec"),
    )
    return alerts.append_column(RESIDUALS, pa.array(residuals(points)))


def _of_one(identity: Identity, jd: Floats, service: Ephemerides) -> pa.Table:
    """Return ephemerides of one object, one row a time; each time is asked for once, in order."""
    epochs, places = np.unique(jd + HALF_EXPOSURE, return_inverse=True)
    try:
        found = service.at(identity.name or str(identity.number), identity.is_comet, epochs)
    except ServiceAway as error:
        raise RequestError(AWAY) from error
    if found is None or not {"Dobs", "Dhelio", "Phase"} <= set(found.column_names):
        raise RequestError(AWAY)
    dropped = [name for name in found.column_names if name.startswith(_OWN)]
    if identity.is_comet:
        dropped += [name for name in found.column_names if name.startswith(_COLOURS)]
    return found.drop_columns(dropped).take(pa.array(places))


def _numbers(table: pa.Table, name: str) -> Floats:
    column = table[name]
    if pa.types.is_string(column.type):  # a service that writes something else than a number
        return np.full(len(table), np.nan)
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _column(values: Floats) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))
