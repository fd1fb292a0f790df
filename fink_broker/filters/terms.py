"""Words the rules of ZTF topics share, as conditions in SQL.

Source: fink-filters 7.45 for the rules; SIMBAD object types for the labels. Each term is in brackets, so that
terms can be joined with AND and OR as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from fink_broker.alert.labels import EXTRAGALACTIC

REFERENCE = "fink-filters 7.45"


def one_of(column: str, values: Iterable[str]) -> str:
    """Return the condition that a text column is one of some values."""
    quoted = ", ".join("'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for value in values)
    return f"({column} IN ({quoted}))"


#: Days since the object was first detected at this position.
AGE = "(candidate.jd - candidate.jdstarthist)"

#: The label allows an extragalactic object: such a SIMBAD type, or none.
IS_EXTRAGALACTIC = one_of("cdsxmatch", EXTRAGALACTIC)

#: A real point source by the deep-learning real-bogus score and the star/galaxy score of the image.
IS_GOOD = "(candidate.drb > 0.5 AND candidate.classtar > 0.4)"

#: SuperNNova takes it for a supernova Ia among others, or for any supernova.
IS_SUPERNOVA_BY_SNN = "(snn_snia_vs_nonia > 0.5 OR snn_sn_vs_all > 0.5)"

#: A known object of the solar system; a candidate found by the broker. roid 1 is a first appearance.
IS_KNOWN_SSO = "(roid = 3)"
IS_SSO_CANDIDATE = "(roid = 2)"
IS_NOT_KNOWN_SSO = "(roid <> 3)"
