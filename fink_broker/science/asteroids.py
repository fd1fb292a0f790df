"""Solar system objects: ``roid``, a list of rules applied one after the other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Column, Module, Needs, Outputs

#: Values of ``roid``.
NOT_MOVING, FIRST_APPEARANCE, CANDIDATE, KNOWN = 0, 1, 2, 3

#: A star if the star-galaxy score of the nearest PS1 source is not below.
STAR_SCORE = np.float32(0.76)
#: Distance (arcsec) below which a PS1 source, or a known solar system object, is the same.
NEAR_ARCSEC = np.float32(5.0)
#: Longest time (days) between the two detections of one moving object.
MAX_GAP_DAYS = 30.0 / (24.0 * 60.0)
#: Most detections of an object seen at one place while it moves.
MAX_DETECTIONS = 5


def build(_config: Config) -> Module:
    """Return the module."""
    return Module(
        name="asteroids",
        version="1",
        reference="Fink: solar system objects in ZTF, Le Montagner et al. 2023, A&A 680, A17",
        needs=Needs(
            candidate=("ndethist", "sgscore1", "distpsnr1", "ssdistnr"),
            history=("jd", "magpsf"),
        ),
        outputs=(
            Column(
                "roid",
                pa.int32(),
                "",
                "1: first appearance, 2: solar system candidate, 3: known object of the Minor Planet Center",
                0,
            ),
        ),
        compute=_compute,
    )


def _compute(batch: AlertBatch) -> Outputs:
    """Apply the rules in order; a comparison with a missing value is false.

    Fields of the candidate are compared in float32, as they came.
    """
    detected = batch.floats("ndethist")
    score, star_distance = batch.floats("sgscore1"), batch.floats("distpsnr1")
    object_distance = batch.floats("ssdistnr")
    curves = batch.curves
    with np.errstate(invalid="ignore", over="ignore"):
        gap = curves.last("jd") - curves.before_last("jd")
        margin = np.abs(star_distance) - object_distance

    roid = np.full(len(batch), NOT_MOVING, dtype=np.int32)
    roid[detected == 1] = FIRST_APPEARANCE
    roid[(score < STAR_SCORE) & (detected <= 2)] = CANDIDATE
    roid[(star_distance > 0) & (star_distance < NEAR_ARCSEC)] = NOT_MOVING
    roid[(curves.detections == 2) & (gap > MAX_GAP_DAYS)] = NOT_MOVING
    roid[(detected == 2) & (curves.detections == 1)] = NOT_MOVING
    few = (detected <= MAX_DETECTIONS) & (curves.detections <= MAX_DETECTIONS)
    roid[(object_distance >= 0) & (object_distance < NEAR_ARCSEC) & (margin > 0) & few] = KNOWN
    return {"roid": roid}
