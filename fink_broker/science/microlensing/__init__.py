"""Microlensing: a random forest on the shape of the light curve in g and in r."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, Ints, Mask
from fink_broker.alert.photometry import dc_mag, is_positive
from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.files import digests_of
from fink_broker.science.forest import shipped_forest
from fink_broker.science.microlensing.features import RelativeFluxes, features_of
from fink_broker.science.microlensing.ragged import Ragged
from fink_broker.science.module import SKIPPED, Column, Module, Needs, Outputs

MODEL = "models/rf.sav"
#: What the forest calls a microlensing event, among constant stars, cataclysmic and other variables.
MICROLENSING = "ML"
#: An object seen as often as this is known to vary (``ndethist``, detections of the whole survey).
MAX_SEEN = 100
#: Fewest detections in the packet, and in each of the two bands.
MIN_DETECTIONS = 20
MIN_DETECTIONS_OF_BAND = 10
#: The two bands by ``fid``.
BANDS = (1, 2)
#: Most detections of a band that are classified. An object seen less than a hundred times has no more than that; only
#: a made-up packet can, and sample entropy compares every point with every other.
MAX_POINTS = 1000


def build(_config: Config) -> Module:
    """Return the module."""
    return Module(
        name="microlensing",
        version="1",
        reference="Godines et al. 2019, A&C 28, 100298",
        needs=Needs(
            candidate=("ndethist",),
            history=("fid", "magpsf", "sigmapsf", "magnr", "sigmagnr", "isdiffpos"),
        ),
        outputs=(
            Column(
                "mulens",
                pa.float64(),
                "",
                "mean of the probabilities in g and r of a microlensing event, 0 if either band looks more like "
                "something else; null beyond 1,000 points in a band",
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


def detections_by_band(batch: AlertBatch) -> tuple[Mask, ...]:
    """Return the detections in g, and those in r, as masks over all points."""
    curves = batch.curves
    band = curves.numbers("fid")
    return tuple(curves.is_detection & (band == number) for number in BANDS)


def eligible(batch: AlertBatch, in_band: Sequence[Mask]) -> Mask:
    """Tell which alerts are classified: not seen too often, with enough detections in both bands."""
    with np.errstate(invalid="ignore"):
        chosen = batch.numbers("ndethist") < MAX_SEEN
    chosen &= batch.curves.detections >= MIN_DETECTIONS
    for mask in in_band:
        chosen &= batch.curves.count(mask) >= MIN_DETECTIONS_OF_BAND
    return chosen


def light_curves_of(batch: AlertBatch, rows: Ints, in_band: Sequence[Mask]) -> RelativeFluxes:
    """Return the light curves of some alerts in the first band, then those of the same alerts in the next.

    Parameters
    ----------
    batch : AlertBatch
        Alerts.
    rows : numpy.ndarray of int
        The alerts wanted, ascending; each has points in every band.
    in_band : sequence of numpy.ndarray of bool
        For each band, which of all points of the batch are detections in it.
    """
    curves = batch.curves
    wanted = np.zeros(len(batch), dtype=bool)
    wanted[rows] = True
    of_wanted = wanted[curves.owner]
    points = [np.flatnonzero(mask & of_wanted) for mask in in_band]
    lengths = [np.bincount(curves.owner[band], minlength=len(batch))[rows] for band in points]
    flat = np.concatenate(points)
    values = {name: curves.numbers(name)[flat] for name in ("magpsf", "sigmapsf", "magnr", "sigmagnr")}
    positive = is_positive(curves.texts("isdiffpos").take(pa.array(flat)))
    with np.errstate(all="ignore"):
        return RelativeFluxes(Ragged(np.concatenate(lengths)), *dc_mag(**values, positive=positive))


def _compute(batch: AlertBatch) -> Outputs:
    in_band = detections_by_band(batch)
    chosen = eligible(batch, in_band)
    too_long = np.any([batch.curves.count(mask) > MAX_POINTS for mask in in_band], axis=0)
    scores = np.where(chosen & too_long, np.nan, 0.0)
    rows = np.flatnonzero(chosen & ~too_long)
    if len(rows):
        scores[rows] = _scores(batch, rows, in_band)
    return {"mulens": pa.array(scores, pa.float64(), mask=np.isnan(scores)), SKIPPED: ~chosen}


def _scores(batch: AlertBatch, rows: Ints, in_band: Sequence[Mask]) -> Floats:
    """Return the result of some alerts, with one call of the forest for all of them."""
    scores = np.zeros(len(rows))
    light_curves = light_curves_of(batch, rows, in_band)
    usable = light_curves.usable.reshape(len(in_band), -1).all(axis=0)
    if usable.any():
        if not usable.all():
            # a point has no apparent magnitude: the forest would be given zeros and call them constant
            light_curves = light_curves_of(batch, rows[usable], in_band)
        scores[usable] = _probability(features_of(light_curves))
    return scores


def _probability(table: Floats) -> Floats:
    """Return the mean of the probabilities of an event in the bands, 0 where another class wins in one of them.

    Parameters
    ----------
    table : numpy.ndarray, shape (bands × alerts, features)
        The features of all alerts in g, then of all in r.
    """
    forest = shipped_forest(MODEL)
    votes = forest.probabilities(table).reshape(len(BANDS), -1, len(forest.classes))
    wanted = forest.classes.index(MICROLENSING)
    event = (votes.argmax(axis=2) == wanted).all(axis=0)
    return np.where(event, votes[:, :, wanted].mean(axis=0), 0.0)
