"""Likely transients: real, brighter than before, seen twice, and no star, variable or moving object.

The rules were made as SQL conditions, where a comparison with a missing value is neither true nor false and so is its
negation. Here no rule has a negation in it: "none of (a and b)" is written "(not a) or (not b)" with the comparisons
turned round. Then a comparison with a missing value (NaN) may simply be false, which is what NumPy does, and each
rule holds exactly where the SQL condition is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.config import Config
from fink_broker.science.asteroids import NOT_MOVING
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Column, Module, Needs, Outputs

#: Distance (arcsec) written for a source that is not there (negative in the packet), and magnitude for none.
FAR, FAINT = 99.0, 99.0
#: Values of ``isdiffpos`` of a brightening.
POSITIVE = pa.array(["1", "t", "true"])

CANDIDATE_FIELDS = (
    "jdstarthist", "ndethist", "rb", "drb", "magnr", "distnr", "neargaia", "maggaia", "neargaiabright",
    "maggaiabright", "sgscore1", "sgscore2", "sgscore3", "distpsnr1", "distpsnr2", "distpsnr3", "srmag1", "srmag2",
    "srmag3", "simag1", "sgmag1", "szmag1",
)  # fmt: skip


def build(_config: Config) -> Module:
    """Return the module."""
    return Module(
        name="transient",
        version="1",
        reference="Fink: transient features, after the cuts of the ZTF Bright Transient Survey, Perley et al. 2020, "
        "ApJ 904, 35",
        needs=Needs(candidate=CANDIDATE_FIELDS, history=("jd", "fid", "magpsf", "isdiffpos"), outputs=("roid",)),
        outputs=(
            Column("is_transient", pa.bool_(), "", "likely a transient: no star, variable or moving object", False),
        ),
        compute=_compute,
    )


@dataclass(frozen=True)
class Flags:
    """What the rules say, one mask each of shape (alerts,); a rule that a missing value leaves open is false.

    Parameters
    ----------
    faint : numpy.ndarray of bool
        Too faint, or it came up from a faint point of the same night.
    positivesubtraction : numpy.ndarray of bool
        Brighter than the reference image.
    real : numpy.ndarray of bool
        No artefact by the real-bogus scores, which must be the better the nearer and brighter a star is.
    pointunderneath : numpy.ndarray of bool
        On a PS1 star, or a source as red as one.
    brightstar : numpy.ndarray of bool
        In the glare of a bright star.
    variablesource : numpy.ndarray of bool
        On a star, or detected so often or so steadily that it is no single event.
    stationary : numpy.ndarray of bool
        Seen before at this position, half an hour or more apart.
    """

    faint: Mask
    positivesubtraction: Mask
    real: Mask
    pointunderneath: Mask
    brightstar: Mask
    variablesource: Mask
    stationary: Mask


def _compute(batch: AlertBatch) -> Outputs:
    flags = transient_flags(batch)
    good = flags.positivesubtraction & flags.real & flags.stationary & (batch.numbers("roid") == NOT_MOVING)
    return {
        "is_transient": good & ~(flags.faint | flags.pointunderneath | flags.brightstar | flags.variablesource),
    }


def transient_flags(batch: AlertBatch) -> Flags:
    """Return the seven flags of a batch of alerts."""
    with np.errstate(invalid="ignore", over="ignore"):
        fields = _Fields(batch)
        history = _history(batch)
        return Flags(
            faint=(fields.magnitude >= 19.8) | history.faint_that_night,
            positivesubtraction=_is_positive(batch.columns["isdiffpos"]),
            real=_real(fields),
            pointunderneath=_point_underneath(fields),
            brightstar=_bright_star(fields),
            variablesource=_variable_source(fields, history),
            stationary=history.seen_apart,
        )


class _Fields:
    """Fields of the candidate, widened to float64, in the form the rules take them."""

    def __init__(self, batch: AlertBatch) -> None:
        self._batch = batch
        self._numbers: dict[str, Floats] = {}

    def __getitem__(self, name: str) -> Floats:
        if name not in self._numbers:  # a conversion is dear in a small batch, and most fields are asked for twice
            self._numbers[name] = self._batch.numbers(name)
        return self._numbers[name]

    def size(self, name: str) -> Floats:
        """Return a field without its sign: −999, which stands for no source, becomes far and faint."""
        return np.abs(self[name])

    def distance(self, name: str) -> Floats:
        """Return a distance (arcsec), far where it is negative."""
        values = self[name]
        return np.where(values < 0, FAR, values)

    @cached_property
    def magnitude(self) -> Floats:
        """Difference magnitude of the alert."""
        return self["magpsf"]

    @cached_property
    def age(self) -> Floats:
        """Days since the first detection at this position."""
        return self["jd"] - self["jdstarthist"]

    @cached_property
    def ps1_distance(self) -> Floats:
        """Distance (arcsec) of the nearest PS1 source."""
        return self.distance("distpsnr1")

    @cached_property
    def ps1_magnitude(self) -> Floats:
        """Magnitude of the nearest PS1 source in the first of r, i, g that has one."""
        bands = [self[name] for name in ("srmag1", "simag1", "sgmag1")]
        return np.select([(band > 0) & (band < 30) for band in bands], bands, FAINT)

    @cached_property
    def ps1_brightest(self) -> Floats:
        """Magnitude of the nearest PS1 source in its brightest band."""
        bands = np.stack([self[name] for name in ("srmag1", "simag1", "sgmag1", "szmag1")])
        brightest = np.where(bands > 0, bands, np.inf).min(axis=0)
        return np.where(np.isfinite(brightest), brightest, FAINT)


@dataclass(frozen=True)
class _History:
    """What the rules ask of earlier points.

    Parameters
    ----------
    faint_that_night : numpy.ndarray of bool
        The alert is positive and has a faint point within 18 hours, in any band and of any sign.
    seen_apart : numpy.ndarray of bool
        It has a positive detection on another visit.
    bright_before : numpy.ndarray
        Positive detections, not faint, of the month before, without the last 18 hours.
    peak : numpy.ndarray
        Brightest magnitude in the alert's band, the current one included.
    """

    faint_that_night: Mask
    seen_apart: Mask
    bright_before: np.ndarray
    peak: Floats


def _history(batch: AlertBatch) -> _History:
    curves = batch.curves
    jd, magnitude, fid = (curves.numbers(name) for name in ("jd", "magpsf", "fid"))
    current = curves.offsets[1:] - 1
    earlier = np.ones(len(jd), dtype=bool)
    earlier[current] = False
    positive = _is_positive(curves.texts("isdiffpos"))
    days = np.repeat(jd[current], curves.lengths) - jd
    faint = earlier & (np.abs(days) < 0.75) & (magnitude >= 19)
    apart = earlier & positive & (np.abs(days) > 0.02) & (magnitude < 99)
    bright = earlier & positive & (days > 0.75) & (days < 30) & (magnitude > 0) & (magnitude < 19.8)
    band = ~earlier | (fid == np.repeat(fid[current], curves.lengths))
    return _History(
        faint_that_night=positive[current] & (curves.count(faint) > 0),
        seen_apart=curves.count(apart) > 0,
        bright_before=curves.count(bright),
        peak=curves.reduce(np.fmin, np.where(band, magnitude, np.nan)),
    )


def _is_positive(isdiffpos: pa.Array) -> Mask:
    positive = pc.is_in(isdiffpos, value_set=POSITIVE)
    return positive.to_numpy(zero_copy_only=False)


def _real(fields: _Fields) -> Mask:
    """Demand a better score near a bright star; each line is one way to fail, turned round."""
    rb, drb = fields["rb"], fields["drb"]
    gaia, gaia_magnitude = fields.size("neargaia"), fields.size("maggaia")
    ps1, ps1_magnitude = fields.ps1_distance, fields.ps1_magnitude
    r, i, z = (fields.size(name) for name in ("srmag1", "simag1", "szmag1"))
    by_rb = (
        (rb > 0.2)
        & ((rb >= 0.35) | (gaia >= 1) | (gaia_magnitude >= 17))
        & ((rb >= 0.45) | (gaia >= 1.5) | (gaia_magnitude >= 15.5))
        & (
            (fields["sgscore1"] <= 0.49)
            | (
                ((rb >= 0.35) | (ps1 >= 1) | ((r >= 17) & (i >= 17) & (z >= 16.5)))
                & ((rb >= 0.45) | (ps1 >= 1.5) | ((r >= 15.5) & (i >= 15.5) & (z >= 15)))
            )
        )
    )
    by_drb = (drb >= 0.8) & (
        (fields.age <= 90)
        | (
            ((drb >= 0.9) | (((ps1 >= 3) | (ps1_magnitude >= 16)) & ((ps1 >= 1.1) | (ps1_magnitude >= 18))))
            & ((drb >= 0.95) | (((ps1 >= 1.5) | (ps1_magnitude >= 15.5)) & ((ps1 >= 0.8) | (ps1_magnitude >= 17.5))))
        )
    )
    return by_rb & by_drb


def _point_underneath(fields: _Fields) -> Mask:
    star_score, distance = fields["sgscore1"], fields.ps1_distance
    r, i, z = fields["srmag1"], fields["simag1"], fields["szmag1"]
    red = (r > 0) & (((z > 0) & (r - z > 3)) | ((i > 0) & (r - i > 3)))
    return ((star_score > 0.76) & (distance < 2.5)) | ((star_score > 0.2) & (distance < 1) & red)


def _bright_star(fields: _Fields) -> Mask:
    bright = (fields.size("neargaiabright") < 20) & (fields.size("maggaiabright") < 12)
    for source in (1, 2, 3):
        star = (fields.distance(f"distpsnr{source}") < 20) & (fields[f"sgscore{source}"] > 0.9)
        bright |= star & (fields.size(f"srmag{source}") < 14)
        if source == 1:
            bright |= star & (fields.size("simag1") < 14)
            bright |= star & (fields.size("szmag1") < 14) & (fields.ps1_distance < 10)
    return bright


def _variable_source(fields: _Fields, history: _History) -> Mask:
    age, magnitude = fields.age, fields.magnitude
    distance, star_score = fields.ps1_distance, fields["sgscore1"]
    reference, reference_distance = fields["magnr"], fields.distance("distnr")
    ps1_star = ((star_score > 0.25) & (distance < 3) & (fields.ps1_brightest < 16)) | (
        (star_score == 0.5) & (distance < 0.5) & (fields.ps1_brightest < 17)
    )
    fading_on_brighter = (
        (reference > 0) & (reference < magnitude - 1) & (reference_distance < 0.5) & (magnitude > history.peak)
    )
    near_reference = (
        ((reference_distance < 0.4) & (reference < 19.5))
        | ((reference_distance < 0.8) & (reference < 17.5))
        | ((reference_distance < 1.2) & (reference < 15.5))
    )
    # at age 90 and less a third pass would be needed, but this rule asks for more than 90 days anyway
    passes_needed = np.where(age > 360, 1, 2)
    recurring = (
        (fields["ndethist"] > 30)
        & (reference > 0)
        & ((magnitude > history.peak) | (magnitude >= 18.5))
        & near_reference
        & (history.bright_before >= passes_needed)
    )
    old = (age > 90) & (ps1_star | fading_on_brighter | recurring)
    return (fields["ndethist"] > 200) | _gaia_star(fields) | old


def _gaia_star(fields: _Fields) -> Mask:
    """Tell what is on a star of Gaia, the fainter the star the longer."""
    distance, magnitude, age = fields["neargaia"], fields["maggaia"], fields.age
    near = (distance < 0.35) & (
        ((magnitude < 17) & (age > 30)) | ((magnitude < 19) & (age > 300) & (fields.magnitude > 18.5))
    )
    nearer = (distance < 0.2) & (magnitude < 18) & (age > 90)
    return (distance > 0) & (magnitude > 0) & (near | nearer)
