"""Results as sources of a sky map."""

from __future__ import annotations

import pandas as pd

from fink_broker.portal.web.results.values import class_of, date_of, number_of, text_of
from fink_broker.portal.web.sky import SkySource
from fink_broker.portal.web.theme import BAND_NAMES


def sky_sources(rows: pd.DataFrame) -> list[SkySource]:
    """Return the objects of rows that have a position, with class, magnitude, band and time."""
    found = []
    for row in rows.to_dict("records"):
        ra, dec = number_of(row, "i:ra"), number_of(row, "i:dec")
        if ra is None or dec is None:
            continue
        object_id = text_of(row, "i:objectId")
        magnitude, fid = number_of(row, "i:magpsf"), number_of(row, "i:fid")
        said = [f"{BAND_NAMES.get(int(fid or 0), 'magnitude')} = {magnitude:.2f}" if magnitude is not None else ""]
        said.append(date_of(number_of(row, "i:jd")))
        text = "\n".join(part for part in said if part)
        found.append(SkySource(object_id, ra, dec, class_of(row), f"/{object_id}", text))
    return found
