"""Early supernovae Ia: a random forest over sigmoids fitted to rising light curves (Leoni et al. 2022)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.early_snia.nights import BANDS, Nights, nightly_means, rising
from fink_broker.science.early_snia.sigmoid import EMPTY_BAND, band_features
from fink_broker.science.files import digests_of
from fink_broker.science.forest import shipped_forest
from fink_broker.science.labels import is_extragalactic
from fink_broker.science.module import SKIPPED, Column, Module, Needs, Outputs

COLUMN = "rf_snia_vs_nonia"
MODEL = "models/default-model_sigmoid.obj"
MIN_DETECTIONS = 4
#: Most detections since the survey began: beyond, it is not early any more.
MAX_DETECTED = 20


def build(_config: Config) -> Module:
    """Return the module."""
    return Module(
        name="early_snia",
        version="1",
        reference="Leoni et al. 2022, A&A 663, A13; Ishida et al. 2019, MNRAS 483, 2",
        needs=Needs(
            candidate=("ndethist",),
            history=("jd", "fid", "magpsf", "sigmapsf"),
            outputs=("cdsxmatch",),
        ),
        outputs=(
            Column(
                COLUMN,
                pa.float64(),
                "",
                "probability of an early supernova Ia, 0 unless it rises in g and r; null where its numbers overflow",
                0,
            ),
        ),
        compute=_compute,
        prepare=_prepare,
        digests=lambda: digests_of(MODEL),
    )


def _prepare() -> None:
    """Load the forest."""
    shipped_forest(MODEL)


def eligible(batch: AlertBatch) -> Mask:
    """Tell which alerts are looked at: enough detections, seldom seen before, extragalactic or unknown."""
    with np.errstate(invalid="ignore"):
        seldom = batch.numbers("ndethist") <= MAX_DETECTED
    extragalactic = is_extragalactic(batch.columns["cdsxmatch"])
    return (batch.curves.detections >= MIN_DETECTIONS) & seldom & extragalactic


def features(batch: AlertBatch) -> Floats:
    """Return what the forest reads, shape (alerts, 12); NaN where an alert is not looked at.

    For band g, then r: a (1/day), b (days after the first night) and c (FLUXCAL) of the sigmoid, mean signal-to-noise
    ratio, mean squared error of the fit, number of nights. A band that does not rise has `EMPTY_BAND`.
    """
    chosen = eligible(batch)
    nights = nightly_means(batch.curves, chosen)
    rises = rising(nights).reshape(len(batch), len(BANDS))
    table = np.full((len(batch), len(BANDS) * len(EMPTY_BAND)), np.nan)
    table[chosen] = _features(nights, rises, np.flatnonzero(chosen))
    return table


def _features(nights: Nights, rises: Mask, alerts: np.ndarray) -> Floats:
    """Return the features of some alerts, shape (alerts, 12).

    One band after the other: of a thousand alerts about ten to fifty rise, and a fit is some ten small steps, each of
    which depends on the one before.
    """
    table = np.tile(np.array(EMPTY_BAND * len(BANDS)), (len(alerts), 1)).reshape(len(alerts), len(BANDS), -1)
    for row, alert in enumerate(alerts.tolist()):
        for band in np.flatnonzero(rises[alert]).tolist():
            table[row, band] = band_features(*nights.of(alert * len(BANDS) + band))
    return table.reshape(len(alerts), -1)


def _compute(batch: AlertBatch) -> Outputs:
    chosen = eligible(batch)
    scores = np.zeros(len(batch))
    nights = nightly_means(batch.curves, chosen)
    rises = rising(nights).reshape(len(batch), len(BANDS))
    # an empty band makes the result 0 whatever the other is: no fit
    rows = np.flatnonzero(rises.all(axis=1))
    if len(rows):
        scores[rows] = _scores(_features(nights, rises, rows))
    return {COLUMN: pa.array(scores, pa.float64(), mask=np.isnan(scores)), SKIPPED: ~chosen}


def _scores(table: Floats) -> Floats:
    """Return the probabilities for rows of features, NaN where one is not finite as the forest reads it (32 bit)."""
    rate = table.reshape(len(table), len(BANDS), -1)[:, :, 0]
    computable = (np.abs(table) <= np.finfo(np.float32).max).all(axis=1)
    scores = np.full(len(table), np.nan)
    forest = shipped_forest(MODEL)
    scores[computable] = forest.probabilities(table[computable])[:, forest.classes.index(True)]
    return np.where((rate == 0).any(axis=1), 0.0, scores)
