"""Superluminous supernovae: which alerts are worth classifying, and the place for a classifier.

No classifier is part of the broker: the one of production is not published. Without one, ``slsn_score`` is −1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.config import Config
from fink_broker.errors import ConfigError
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import SKIPPED, Column, Module, Needs, Outputs
from fink_broker.science.user import import_function

KEY = "science.superluminous_classifier"
NOT_CLASSIFIED = -1.0
#: A superluminous supernova rises and fades over months: the least time (days) it must have been seen.
MIN_DAYS = 30.0
#: Fewest detections in all, and in each of g and r.
MIN_DETECTIONS, MIN_DETECTIONS_PER_BAND = 7, 3
BANDS = (1, 2)


class SuperluminousClassifier(Protocol):
    """Scores alerts. The function named by ``science.superluminous_classifier`` takes the configuration, returns this.

    A classifier may have an attribute ``digests``, a tuple of the sha256 of its model files, which is then written
    beside its results.
    """

    def __call__(self, batch: AlertBatch, eligible: Mask) -> npt.ArrayLike:
        """Return the probability of a superluminous supernova.

        Parameters
        ----------
        batch : AlertBatch
            All alerts, with ``objectId``, ``ra``, ``dec``, ``jdstarthist``, and in ``batch.curves`` the fields jd, fid,
            magpsf, sigmapsf, magnr, sigmagnr, isdiffpos and diffmaglim.
        eligible : numpy.ndarray of bool, shape (alerts,)
            Which ones to score.

        Returns
        -------
        array_like of float, shape (alerts,)
            Read where eligible only; NaN where it cannot be told. The score of an alert must depend on that alert
            alone.
        """
        ...


def build(config: Config) -> Module:
    """Return the module."""
    place = config.science.superluminous_classifier

    @cache
    def classifier() -> SuperluminousClassifier:
        return load_classifier(place, config)

    output = Column("slsn_score", pa.float64(), "", "probability of a superluminous supernova", NOT_CLASSIFIED)
    name, version, reference = "superluminous", "1", "Fink: superluminous supernovae"
    if not place:
        return Module(name, version, reference, Needs(), (output,), _no_scores)
    return Module(
        name=name,
        version=version,
        reference=reference,
        needs=Needs(
            candidate=("ra", "dec", "jdstarthist"),
            history=("jd", "fid", "magpsf", "sigmapsf", "magnr", "sigmagnr", "isdiffpos", "diffmaglim"),
            root=("objectId",),
            outputs=("is_transient",),
        ),
        outputs=(output,),
        compute=lambda batch: _scores(batch, classifier()),
        prepare=lambda: _prepare(classifier),
        digests=lambda: tuple(getattr(classifier(), "digests", ())),
    )


def _prepare(classifier: Callable[[], SuperluminousClassifier]) -> None:
    classifier()


def load_classifier(place: str, config: Config) -> SuperluminousClassifier:
    """Return what the function at ``package.module:function`` makes of the configuration.

    Raises
    ------
    ConfigError
        If there is no such function, it raises, or it returns nothing that can be called.
    """
    function = import_function(place, KEY)
    try:
        classifier: SuperluminousClassifier = function(config)
    except Exception as error:  # foreign code: whatever it raises is told in one sentence
        raise ConfigError(
            f"The superluminous classifier '{place}' cannot be made: {type(error).__name__}: {error}.",
            f"Mend it, or leave {KEY} empty.",
        ) from error
    if not callable(classifier):
        raise ConfigError(
            f"The superluminous classifier '{place}' gave a {type(classifier).__name__}, which cannot be called.",
            "Its function must return one that takes a batch and a mask, and returns scores.",
        )
    return classifier


def eligible(batch: AlertBatch) -> Mask:
    """Tell which alerts are classified: transients seen for long enough and often enough in both bands.

    Only the history in the packet counts, which reaches back 30 days from the current measurement.
    """
    curves = batch.curves
    transient = pc.fill_null(batch.columns["is_transient"], False).to_numpy(zero_copy_only=False)
    fid = curves.numbers("fid")
    with np.errstate(invalid="ignore"):
        days = curves.reduce(np.fmax, curves.numbers("jd")) - batch.numbers("jdstarthist")
        chosen = transient & (days >= MIN_DAYS) & (curves.detections >= MIN_DETECTIONS)
    for band in BANDS:
        chosen &= curves.count(curves.is_detection & (fid == band)) >= MIN_DETECTIONS_PER_BAND
    return chosen


def _no_scores(batch: AlertBatch) -> Outputs:
    return {"slsn_score": np.full(len(batch), NOT_CLASSIFIED), SKIPPED: np.ones(len(batch), dtype=bool)}


def _scores(batch: AlertBatch, classifier: SuperluminousClassifier) -> Outputs:
    chosen = eligible(batch)
    scores: Floats = np.full(len(batch), NOT_CLASSIFIED)
    if chosen.any():
        given = np.asarray(classifier(batch, chosen), dtype=np.float64)
        if given.shape != scores.shape:
            raise ValueError(f"the superluminous classifier gave scores of shape {given.shape} for {len(batch)} alerts")
        scores[chosen] = np.where(np.isfinite(given), given, np.nan)[chosen]
    return {"slsn_score": scores, SKIPPED: ~chosen}
