"""SIMBAD types without SIMBAD: the catalogues on disk, translated."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats
from fink_broker.science.crossmatch import catalogues
from fink_broker.science.crossmatch.catalogue import Catalogue
from fink_broker.science.crossmatch.provider import Answer, Texts, no_failure
from fink_broker.science.crossmatch.simbad_types import FROM_3HSP, GENERIC, from_4lac_class, from_variable_type
from fink_broker.science.files import digests_of

#: The blazar catalogues serve their columns at 60″. Here a match must mean the same object, so it is that of point
#: sources: at 60″ every star a minute away from a blazar would be called one.
RADIUS_ARCSEC = 1.5


def load() -> None:
    """Load the catalogues."""
    for catalogue in (catalogues.lat_counterparts, catalogues.high_synchrotron_peaked, catalogues.gcvs, catalogues.vsx):
        catalogue()


def digests() -> tuple[str, ...]:
    """Return the sha256 of their files."""
    return digests_of(*catalogues.LAC, catalogues.HSP, catalogues.GCVS, catalogues.VSX)


class LocalTypes:
    """Asks 4LAC (at the counterparts' positions), 3HSP, GCVS and VSX, in this order.

    The first with a translatable type decides; "it varies" only if none says more.

    Parameters
    ----------
    columns : pyarrow.Schema
        The one column of the answers.
    """

    def __init__(self, columns: pa.Schema) -> None:
        self._columns = columns

    def match(self, ra_deg: Floats, dec_deg: Floats) -> Answer:
        """Answer with the SIMBAD type of the source within 1.5″."""
        named: list[tuple[Callable[[], Catalogue], str, Callable[[str], str | None]]] = [
            (catalogues.lat_counterparts, "class", from_4lac_class),
            (catalogues.high_synchrotron_peaked, "name", lambda _name: FROM_3HSP),
            (catalogues.gcvs, "VarType", _translated),
            (catalogues.vsx, "VType", _translated),
        ]
        labels: Texts = np.full(len(ra_deg), None, dtype=object)
        for catalogue, column, translate in named:
            kinds = catalogue().match(ra_deg, dec_deg, RADIUS_ARCSEC)[column].combine_chunks()
            matched = np.flatnonzero(kinds.is_valid())
            # a loop over matches, which few alerts have
            for row, kind in zip(matched, kinds.take(pa.array(matched)).to_pylist(), strict=True):
                if labels[row] in (None, GENERIC):
                    labels[row] = translate(kind) or labels[row]
        return Answer(pa.table([pa.array(labels, pa.string())], schema=self._columns), no_failure(len(ra_deg)))


@lru_cache(maxsize=4096)
def _translated(kind: str) -> str | None:
    return from_variable_type(kind)
