"""Hostless transients: whether the new or the reference image shows something around the alert (ELEPHANT).

``stamps``          reads the images
``clipping``        finds the pixels that stand out, and the alerts whose images differ in them
``power_spectrum``  the two scores
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.batch import CUTOUT
from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.config import Config
from fink_broker.science.asteroids import KNOWN
from fink_broker.science.batch import AlertBatch
from fink_broker.science.hostless.clipping import SIDE, clipped_pixels, is_candidate
from fink_broker.science.hostless.power_spectrum import structure_score
from fink_broker.science.hostless.stamps import Stamp, read_stamp
from fink_broker.science.module import SKIPPED, Column, Module, Needs, Outputs

#: The images looked at; their position here is part of the seed.
IMAGES = ("Science", "Template")
COLUMNS = ("elephant_kstest_science", "elephant_kstest_template")
#: Score of an alert that was not asked for, has no images of 63 × 63 pixels, or whose images do not differ.
NO_SCORE = -99.0

#: Distance (arcsec) above which the nearest source of the reference image is another one.
FAR_FROM_REFERENCE_ARCSEC = 1.5
#: Detections of the alerts in the three topics of hostless transients.
TOPIC_DETECTIONS = (1, 3)
#: Scores that make an alert a supernova or kilonova candidate, each from `MIN_SCORE` on. The classes of broker and
#: topics that name such candidates ask for more of the same scores: the class of the alert need not be known here.
SCORES = ("rf_snia_vs_nonia", "snn_snia_vs_nonia", "snn_sn_vs_all", "rf_kn_vs_nonkn")
MIN_SCORE = 0.5
#: The supernova and kilonova candidates scored: no older (days), no fainter (mag), of no fewer detections.
MAX_AGE_DAYS, MAX_MAGNITUDE, MIN_DETECTIONS = 45.0, 19.5, 3

#: Labels at which SIMBAD knows nothing that speaks against a host, and how others of that kind begin.
UNLABELLED, UNLABELLED_START = ("Unknown", "Transient"), ("Fail", "Galaxy")
#: ``DR3Name`` where Gaia has no source.
NOT_IN_GAIA = "nan"


def build(_config: Config) -> Module:
    """Return the module."""
    meaning = "structure around the alert in the {} image: 0 none, 1 a host; -1 undefined, -99 not a candidate"
    return Module(
        name="hostless",
        version="1",
        reference="ELEPHANT, Pessi et al. 2024, A&A 691, A181",
        needs=Needs(
            candidate=("distnr", "ndethist", "jdstarthist"),
            history=("jd", "magpsf"),
            root=("candid",),
            outputs=("cdsxmatch", "DR3Name", "roid", *SCORES),
            cutouts=IMAGES,
        ),
        outputs=tuple(
            Column(name, pa.float64(), "", meaning.format(image.lower()), NO_SCORE)
            for name, image in zip(COLUMNS, IMAGES, strict=True)
        ),
        compute=_compute,
    )


def asked(batch: AlertBatch) -> Mask:
    """Tell which alerts are scored: those the topics of hostless transients or the archive of candidates may hold."""
    moving = batch.numbers("roid")
    still = ~np.isnan(moving) & (moving != KNOWN)
    return still & (_for_topics(batch) | _for_archive(batch))


def _for_topics(batch: AlertBatch) -> Mask:
    """Tell which alerts are new and of no catalogued source."""
    few, many = TOPIC_DETECTIONS
    label = batch.columns["cdsxmatch"]
    unlabelled = pc.is_in(label, value_set=pa.array(UNLABELLED))
    for start in UNLABELLED_START:
        unlabelled = pc.or_(unlabelled, pc.starts_with(label, start).fill_null(False))
    not_in_gaia = pc.equal(batch.columns["DR3Name"], NOT_IN_GAIA).fill_null(False)
    known_nowhere = pc.and_(unlabelled, not_in_gaia).to_numpy(zero_copy_only=False)
    detections = batch.numbers("ndethist")
    with np.errstate(invalid="ignore"):
        far = batch.numbers("distnr") > FAR_FROM_REFERENCE_ARCSEC
        return known_nowhere & far & (detections >= few) & (detections <= many)


def _for_archive(batch: AlertBatch) -> Mask:
    """Tell which alerts are young, bright candidates of a supernova or kilonova."""
    curves = batch.curves
    with np.errstate(invalid="ignore", over="ignore"):
        scored = np.logical_or.reduce([batch.numbers(name) >= MIN_SCORE for name in SCORES])
        young = np.abs(curves.last("jd") - batch.numbers("jdstarthist")) <= MAX_AGE_DAYS
        bright = curves.last("magpsf") <= MAX_MAGNITUDE
    return scored & young & bright & (curves.detections >= MIN_DETECTIONS)


def scores_of(candid: int, science: Stamp | None, template: Stamp | None) -> tuple[float, float]:
    """Return the scores of the two images, `NO_SCORE` for both unless they differ.

    Parameters
    ----------
    candid : int
        Identifies the alert; noise and shuffles follow from it, so that a second run gives the same.
    science, template : numpy.ndarray or None
        Pixels of the images (data number).
    """
    stamps = [stamp for stamp in (science, template) if stamp is not None and stamp.shape == (SIDE, SIDE)]
    if len(stamps) < len(IMAGES):
        return NO_SCORE, NO_SCORE
    clipped = [clipped_pixels(stamp) for stamp in stamps]
    # an image without any usable pixel is as good as none
    if any(mask.all() for mask in clipped) or not is_candidate(stamps, clipped):
        return NO_SCORE, NO_SCORE
    of_science, of_template = (
        structure_score(stamp, mask, np.random.Generator(np.random.PCG64([candid % 2**64, image])))
        for image, (stamp, mask) in enumerate(zip(stamps, clipped, strict=True))
    )
    return of_science, of_template


def _compute(batch: AlertBatch) -> Outputs:
    """Score the alerts asked for, one after the other: the time goes into arrays of thousands of pixels of each."""
    wanted = asked(batch)
    scores: Floats = np.full((len(COLUMNS), len(batch)), NO_SCORE)
    candids = batch.columns["candid"].fill_null(0)
    for row in np.flatnonzero(wanted):
        science, template = (read_stamp(batch.columns[CUTOUT + image][row].as_py()) for image in IMAGES)
        scores[:, row] = scores_of(candids[row].as_py(), science, template)
    return {**dict(zip(COLUMNS, scores, strict=True)), SKIPPED: ~wanted}
