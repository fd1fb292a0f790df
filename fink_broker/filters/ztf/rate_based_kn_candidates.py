"""Kilonova candidates by their rate: new sources that fade fast."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import LightCurves, Mask
from fink_broker.alert.photometry import dc_mag, is_positive
from fink_broker.config import Config
from fink_broker.filters.filter import Filter
from fink_broker.filters.measures import cuts
from fink_broker.filters.measures.latitudes import galactic_latitude
from fink_broker.filters.measures.lines import fit_lines
from fink_broker.filters.measures.sdss import Stars, stars_of
from fink_broker.filters.rule import Function
from fink_broker.filters.view import AlertView

MAX_AGE_DAYS, MAX_DETECTIONS = 5.0, 20
#: Distance (arcsec) from a known object of the solar system; negative where there is none.
MIN_SSO_ARCSEC = 10.0
#: Degrees from the galactic plane.
MIN_LATITUDE = 10.0
#: The line: mag/day, through points brighter than this, over more than so many days.
MIN_FADING, MAX_MAGNITUDE, MIN_SPAN_DAYS = 0.3, 21.0, 0.5

_FIELDS = ("jd", "fid", "magpsf", "sigmapsf", "magnr", "sigmagnr", "isdiffpos")


def is_new_source(view: AlertView) -> Mask:
    """Return which alerts are good, young, brighter than the reference image, and neither star nor asteroid."""
    good = (view.numbers("candidate.drb") > 0.9) & (view.numbers("candidate.classtar") > 0.4)
    few = view.numbers("candidate.ndethist") < MAX_DETECTIONS
    sso_arcsec = view.numbers("candidate.ssdistnr")
    no_asteroid = (sso_arcsec > MIN_SSO_ARCSEC) | (sso_arcsec < 0)
    young = cuts.age_days(view) < MAX_AGE_DAYS
    # "1" is not taken for "t" here
    positive = pc.equal(view.column("candidate.isdiffpos"), "t").fill_null(False).to_numpy(zero_copy_only=False)
    return good & young & few & no_asteroid & positive & cuts.is_extragalactic(view)


def fades_fast(curves: LightCurves) -> Mask:
    """Return where the apparent magnitude in the band of the alert grows by more than `MIN_FADING` mag/day."""
    magpsf, sigmapsf, magnr, sigmagnr = (curves.numbers(name) for name in ("magpsf", "sigmapsf", "magnr", "sigmagnr"))
    magnitude, error = dc_mag(magpsf, sigmapsf, magnr, sigmagnr, is_positive(curves.texts("isdiffpos")))
    band, jd = curves.numbers("fid"), curves.numbers("jd")
    used = curves.is_detection & (band == curves.last("fid")[curves.owner]) & (magnitude < MAX_MAGNITUDE)
    point, owner = np.flatnonzero(used), curves.owner[used]
    chosen = curves.count(used)
    first, last = np.full((2, len(curves)), np.nan)
    # written in order, so the last of an alert remains
    first[owner[::-1]], last[owner] = jd[point[::-1]], jd[point]
    with np.errstate(divide="ignore"):
        slope, _ = fit_lines(owner, len(curves), jd[point], magnitude[point], 1.0 / error[point] ** 2)
    return (chosen >= 2) & (last - first > MIN_SPAN_DAYS) & (slope > MIN_FADING)


def decide(view: AlertView, stars: Stars) -> Mask:
    """Return which alerts are candidates, shape (n,)."""
    ra, dec = view.numbers("candidate.ra"), view.numbers("candidate.dec")
    return cuts.narrowed(
        is_new_source(view),
        lambda rows: np.abs(galactic_latitude(ra[rows], dec[rows])) > MIN_LATITUDE,
        lambda rows: fades_fast(cuts.light_curves(view, rows, *_FIELDS)),
        lambda rows: ~stars.beside(ra[rows], dec[rows]),
    )


def build(config: Config) -> Filter:
    """Return the filter."""
    return Filter(
        name="rate_based_kn_candidates",
        rule=Function(
            partial(decide, stars=stars_of(config.filters)),
            reads=(
                "cdsxmatch", "candidate.drb", "candidate.classtar", "candidate.jdstarthist", "candidate.ndethist",
                "candidate.ssdistnr", "candidate.ra", "candidate.dec", *cuts.paths(*_FIELDS),
            ),
            text=(
                "drb > 0.9; classtar > 0.4; jd − jdstarthist < 5; ndethist < 20; extragalactic or unknown label; "
                "isdiffpos = t; ssdistnr > 10 or < 0; |b| > 10°; slope > 0.3 mag/d of a line, weighted by 1/err², "
                "through the apparent magnitudes < 21 of the band of the alert, of ≥ 2 points over > 0.5 d; "
                "no source of type 1, 3, 4 or 6 in the SDSS within 5″, or no answer"
            ),
        ),
        description="Sources at most 5 days old that fade by more than 0.3 magnitudes a day.",
        reference="fink-filters 7.45, after Andreoni et al. 2021, ApJ 918, 63",
        version="1",
    )  # fmt: skip


#: With the default settings: what the topic is, for those who list topics.
FILTER = build(Config())
