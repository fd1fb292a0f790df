"""Kilonovae: a random forest over ten numbers of the light curve (Biswas et al. 2023, A&A 677, A77)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.alert.photometry import fluxcal
from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.kilonova.fit import BAND_FEATURES, band_features
from fink_broker.science.kilonova.models import KilonovaModels
from fink_broker.science.labels import is_extragalactic
from fink_broker.science.module import SKIPPED, Column, Module, Needs, Outputs

COLUMN = "rf_kn_vs_nonkn"
#: Fewest detections, most detections since the survey began, and largest age in days (not included).
MIN_DETECTIONS = 2
MAX_DETECTED = 20
MAX_AGE_DAYS = 20.0
#: Bands that are described, in the order of the features: g, r.
BANDS = (1, 2)


def build(config: Config) -> Module:
    """Return the module, with the configured forest and components; nothing is read yet."""
    models = KilonovaModels(config.science.kilonova_forest, config.science.kilonova_components)
    return Module(
        name="kilonova",
        version="1",
        reference="Biswas et al. 2023, A&A 677, A77",
        needs=Needs(
            candidate=("jdstarthist", "ndethist"),
            history=("jd", "fid", "magpsf", "sigmapsf"),
            outputs=("cdsxmatch",),
        ),
        outputs=(
            Column(
                COLUMN,
                pa.float64(),
                "",
                "probability of a kilonova; null where its numbers overflow",
                0,
            ),
        ),
        compute=lambda batch: _compute(batch, models),
        prepare=models.check,
        digests=models.digests,
    )


def eligible(batch: AlertBatch) -> Mask:
    """Tell which alerts are looked at: young, seldom seen before, extragalactic or unknown."""
    curves = batch.curves
    with np.errstate(invalid="ignore", over="ignore"):
        young = curves.last("jd") - batch.numbers("jdstarthist") < MAX_AGE_DAYS
        new = batch.numbers("ndethist") <= MAX_DETECTED
    extragalactic = is_extragalactic(batch.columns["cdsxmatch"])
    return (curves.detections >= MIN_DETECTIONS) & young & new & extragalactic


def features_of(batch: AlertBatch, chosen: Mask, components: Floats) -> Floats:
    """Return the ten features of the chosen alerts: c₁, c₂, c₃, residuo, maxflux in g, then in r.

    Parameters
    ----------
    batch : AlertBatch
    chosen : numpy.ndarray of bool
        Alerts to describe.
    components : numpy.ndarray, shape (3, 401)
        The principal components.

    Returns
    -------
    numpy.ndarray, shape (chosen alerts, 10)
        Zeros for a band that is too faint or too short; NaN where the numbers overflow.
    """
    curves = batch.curves
    # only the points of the chosen alerts: few are, and light curves are long
    points = np.flatnonzero(chosen[curves.owner])
    jd, fid, magnitude, error = (curves.numbers(name)[points] for name in ("jd", "fid", "magpsf", "sigmapsf"))
    flux, flux_error = fluxcal(magnitude, error)
    usable = np.isfinite(flux) & np.isfinite(flux_error) & (flux_error > 0) & np.isfinite(jd) & np.isin(fid, BANDS)
    number = np.cumsum(chosen) - 1
    band = len(BANDS) * number[curves.owner[points[usable]]] + (fid[usable] == BANDS[1])
    order = np.argsort(band, kind="stable")
    ordered = np.stack([jd, flux, flux_error])[:, usable][:, order]
    bands = len(BANDS) * int(np.count_nonzero(chosen))
    return band_features(band[order], bands, ordered, components).reshape(-1, len(BANDS) * BAND_FEATURES)


def _compute(batch: AlertBatch, models: KilonovaModels) -> Outputs:
    chosen = eligible(batch)
    scores = np.zeros(len(batch))
    if chosen.any():
        forest, components = models.load()
        features = features_of(batch, chosen, components)
        known = np.isfinite(features).all(axis=1)
        # a band that could not be described leaves the score at 0
        described = known & (features[:, 0] != 0) & (features[:, BAND_FEATURES] != 0)
        found = np.where(known, 0.0, np.nan)
        if described.any():
            found[described] = forest.probabilities(features[described])[:, 1]
        scores[chosen] = found
    return {COLUMN: pa.array(scores, pa.float64(), mask=np.isnan(scores)), SKIPPED: ~chosen}
