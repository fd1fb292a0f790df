"""The credible region of a gravitational-wave event, as rings that can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fink_broker.portal.credible_pixels import ORDER
from fink_broker.portal.route import RequestError
from fink_broker.portal.skymaps import sky_area
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.kinds import Report
from fink_broker.portal.web.gw.outline import area, outline

#: corners of a region that are drawn: one of more is drawn in larger pixels
MOST_CORNERS = 8000
_COARSEST = 3


def credible_region(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Return the credible region of a skymap.

    Parameters
    ----------
    inputs : mapping
        ``file``: path of the skymap; ``level``: share of the probability, 0 to 1.
    report : callable
        Is told how far it is.

    Returns
    -------
    dict
        ``rings`` (corners as ra, dec in degrees), ``area`` (square degrees), ``jd`` (time of the event, UTC).

    Raises
    ------
    FitError
        If the file is no skymap.
    """
    report("Reading the skymap", 0.1)
    try:
        found = sky_area(Path(inputs["file"]).read_bytes(), float(inputs["level"]))
    except OSError:
        raise FitError("The skymap is not kept any more: upload it again.") from None
    except RequestError as error:
        raise FitError(" ".join(str(error).split())) from None
    report("Drawing its region", 0.7)
    pixels, order = found.pixels, ORDER
    rings = outline(pixels, order)
    while sum(map(len, rings)) > MOST_CORNERS and order > _COARSEST:
        pixels, order = np.unique(pixels // 4), order - 1
        rings = outline(pixels, order)
    return {"rings": rings, "area": area(found.pixels, ORDER), "jd": found.jd}
