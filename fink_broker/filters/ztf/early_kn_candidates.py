"""Kilonova candidates by their place: new sources near a galaxy in which they would have the right brightness."""

from __future__ import annotations

from functools import partial

import numpy as np

from fink_broker.alert.lightcurve import Mask
from fink_broker.config import Config
from fink_broker.filters.filter import Filter
from fink_broker.filters.measures import cuts
from fink_broker.filters.measures.latitudes import ecliptic_latitude, galactic_latitude
from fink_broker.filters.measures.nearby_galaxies import nearby_galaxies
from fink_broker.filters.measures.sdss import Stars, stars_of
from fink_broker.filters.rule import Function
from fink_broker.filters.view import AlertView

MAX_AGE_DAYS = 0.25
#: Degrees from the galactic plane and from the ecliptic.
MIN_LATITUDE = 10.0


def is_new_source(view: AlertView) -> Mask:
    """Return which alerts are good, young, and neither a known star nor a known object of the solar system."""
    good = (view.numbers("candidate.drb") > 0.5) & (view.numbers("candidate.classtar") > 0.4)
    young = cuts.age_days(view) < MAX_AGE_DAYS
    return good & young & cuts.is_not(view.numbers("roid"), cuts.KNOWN_SSO) & cuts.is_extragalactic(view)


def decide(view: AlertView, stars: Stars) -> Mask:
    """Return which alerts are candidates, shape (n,)."""
    ra, dec, magnitude = (view.numbers(f"candidate.{name}") for name in ("ra", "dec", "magpsf"))
    return cuts.narrowed(
        is_new_source(view),
        lambda rows: np.abs(galactic_latitude(ra[rows], dec[rows])) > MIN_LATITUDE,
        lambda rows: np.abs(ecliptic_latitude(ra[rows], dec[rows])) > MIN_LATITUDE,
        lambda rows: nearby_galaxies().may_host(ra[rows], dec[rows], magnitude[rows]),
        lambda rows: ~stars.beside(ra[rows], dec[rows]),
    )


def build(config: Config) -> Filter:
    """Return the filter."""
    return Filter(
        name="early_kn_candidates",
        rule=Function(
            partial(decide, stars=stars_of(config.filters)),
            reads=(
                "cdsxmatch", "roid", "candidate.drb", "candidate.classtar", "candidate.jd", "candidate.jdstarthist",
                "candidate.magpsf", "candidate.ra", "candidate.dec",
            ),
            text=(
                "drb > 0.5; classtar > 0.4; jd − jdstarthist < 0.25; roid not 3; extragalactic or unknown label; "
                "within 10 kpc (and 2°) of a galaxy of Mangrove in which −17 < M < −15; |b| > 10°; |β| > 10°; "
                "no source of type 1, 3, 4 or 6 in the SDSS within 5″, or no answer"
            ),
        ),
        description="Sources at most 6 hours old near a galaxy in which they would be as bright as a kilonova.",
        reference="fink-filters 7.45; galaxies: Ducoin et al. 2020, MNRAS 492, 4768",
        version="1",
    )  # fmt: skip


#: With the default settings: what the topic is, for those who list topics.
FILTER = build(Config())
