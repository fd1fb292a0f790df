"""The fits there are: by name, the function that does one, as ``module:function``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: How a fit tells how far it is: by words, and its share of all there is to do, 0 to 1.
Report = Callable[[str, float], None]
#: A fit: from numbers to numbers, both as JSON has them.
Fit = Callable[[Mapping[str, Any], Report], Mapping[str, Any]]

KINDS: Mapping[str, str] = {
    "period": "fink_broker.portal.web.fits.period:fit_period",
    "phase": "fink_broker.portal.web.fits.phase:fit_phase",
    "pspl": "fink_broker.portal.web.fits.pspl:fit_pspl",
    "region": "fink_broker.portal.web.fits.region:credible_region",
}
