"""Light-curve models by true class; each draws sources that may be visible in a given exposure."""

from __future__ import annotations

from fink_broker.simulate.sky.models import agn, asteroid, bogus, flare, kilonova, microlensing, stars, supernovae
from fink_broker.simulate.sky.source import Model

MODELS: dict[str, Model] = {
    "SN Ia": supernovae.draw_ia,
    "SN II": supernovae.draw_ii,
    "kilonova": kilonova.draw,
    "RR Lyrae": stars.draw_rrlyrae,
    "eclipsing binary": stars.draw_eclipsing,
    "flare": flare.draw,
    "AGN": agn.draw,
    "microlensing": microlensing.draw,
    "asteroid": asteroid.draw,
    "bogus": bogus.draw,
}

#: Shares of alerts; rare transients are more frequent than in nature so that a small night has some
DEFAULT_WEIGHTS: dict[str, float] = {
    "SN Ia": 0.08,
    "SN II": 0.04,
    "kilonova": 0.01,
    "RR Lyrae": 0.16,
    "eclipsing binary": 0.18,
    "flare": 0.04,
    "AGN": 0.15,
    "microlensing": 0.02,
    "asteroid": 0.20,
    "bogus": 0.12,
}
