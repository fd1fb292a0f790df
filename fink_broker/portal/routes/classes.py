"""``classes``: which classes of alerts there are."""

from __future__ import annotations

from fink_broker.portal.class_names import (
    FINK_CLASSES,
    SIMBAD_PREFIX,
    SIMBAD_TYPES,
    TNS_PREFIX,
    TNS_TYPES,
    YOUNGER_CLASSES,
)
from fink_broker.portal.route import Document, Query, Route

SIMBAD_HEADING = "Cross-match with SIMBAD (see http://simbad.u-strasbg.fr/simbad/sim-display?data=otypes)"


def answer(query: Query) -> Document:
    """Return the names of all classes, in three lists."""
    is_historic = query.generation == "historic"
    own = [name for name in FINK_CLASSES if not (is_historic and name in YOUNGER_CLASSES)]
    tns = [TNS_PREFIX + name for name in TNS_TYPES]
    lists = {
        "Fink classifiers": own,
        "TNS classified data" if is_historic else "Cross-match with TNS": tns,
        SIMBAD_HEADING: [SIMBAD_PREFIX + name for name in SIMBAD_TYPES],
    }
    ordered = {heading: sorted(names, key=str.casefold) for heading, names in lists.items()}
    return Document({"classnames": ordered} if is_historic else ordered)


ROUTES = (
    Route(
        "classes",
        "Display all Fink derived classification",
        answer,
        methods=("GET",),
        has_rows=False,
        answers_bare_get=True,
    ),
)
