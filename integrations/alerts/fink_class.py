"""The class of an alert, one word, by the rules of the topics.

References
----------
Möller et al. 2021, MNRAS 501, 3272; the rules are those of fink-filters 7.45.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

UNKNOWN, AMBIGUOUS = "Unknown", "Ambiguous"

MICROLENSING = "Microlensing candidate"
SUPERNOVA = "SN candidate"
EARLY_SUPERNOVA = "Early SN Ia candidate"
KILONOVA = "Kilonova candidate"
ASTEROID_CANDIDATE = "Solar System candidate"
TRACKLET = "Tracklet"
ASTEROID = "Solar System MPC"

#: Classes that exclude one another. A kilonova or early supernova candidate is mostly a supernova candidate as well.
EXCLUSIVE = frozenset({MICROLENSING, SUPERNOVA, ASTEROID_CANDIDATE, ASTEROID})

#: Labels of SIMBAD that allow an extragalactic object: galaxies, supernovae, nothing known, no answer.
EXTRAGALACTIC = frozenset(
    (
        "Unknown", "Transient", "Fail", "Fail 504", "SN", "Candidate_SN*", "SN*_Candidate", "galaxy", "Galaxy", "EmG",
        "Seyfert", "Seyfert_1", "Seyfert_2", "BlueCompG", "StarburstG", "LSB_G", "HII_G", "High_z_G", "GinPair",
        "GinGroup", "GinCl", "BClG", "PartofG", "Compact_Gr_G", "IG", "PairG", "GroupG", "ClG", "SuperClG", "Void",
        "LINER", "Possible_ClG", "Possible_SClG", "GravLens_Candidate",
    )
)  # fmt: skip

#: Values of ``roid``: likely an asteroid, and one the Minor Planet Center knows.
_CANDIDATE_ROID, _KNOWN_ROID = 2, 3


def fink_class(alert: Mapping[str, Any]) -> str:
    """Return the class of an alert.

    Parameters
    ----------
    alert : mapping
        A decoded message. Missing values and NaN satisfy no rule.

    Returns
    -------
    str
        ``finkclass`` where the message has one; else SIMBAD's class where it says what the object is; else the
        strongest class whose rule holds, ``Ambiguous`` where several that exclude one another hold, or ``Unknown``.
    """
    told = alert.get("finkclass")
    if isinstance(told, str) and told:
        return told
    label = alert.get("cdsxmatch")
    if isinstance(label, str) and _says_what_it_is(label):
        return label
    held = _classes(alert, label)
    if len(EXCLUSIVE.intersection(held)) > 1:
        return AMBIGUOUS
    return held[-1] if held else UNKNOWN


def _classes(alert: Mapping[str, Any], label: Any) -> list[str]:
    """Return the classes whose rules hold, from the weakest to the strongest."""
    candidate = alert.get("candidate") or {}
    detections, roid = _number(candidate, "ndethist"), _number(alert, "roid")
    age = _number(candidate, "jd") - _number(candidate, "jdstarthist")
    good = _number(candidate, "drb") > 0.5 and _number(candidate, "classtar") > 0.4
    possible = good and label in EXTRAGALACTIC
    likely = {
        name: _number(alert, name) > 0.5
        for name in ("snn_snia_vs_nonia", "snn_sn_vs_all", "rf_snia_vs_nonia", "rf_kn_vs_nonkn")
    }
    supernova = possible and (likely["snn_snia_vs_nonia"] or likely["snn_sn_vs_all"])
    still = not math.isnan(roid) and roid != _KNOWN_ROID
    rules = {
        MICROLENSING: _number(alert, "mulens") > 0,
        SUPERNOVA: supernova and age <= 90 and detections > 1 and still,
        EARLY_SUPERNOVA: supernova and detections <= 20 and likely["rf_snia_vs_nonia"],
        KILONOVA: possible and likely["rf_kn_vs_nonkn"] and age < 5 and detections < 20 and still,
        ASTEROID_CANDIDATE: roid == _CANDIDATE_ROID,
        TRACKLET: bool(alert.get("tracklet")),
        ASTEROID: roid == _KNOWN_ROID,
    }
    return [name for name, holds in rules.items() if holds]


def _says_what_it_is(label: str) -> bool:
    """Tell whether a label of SIMBAD is a class: in a galaxy anything may happen, and after a failure nothing is known.

    An empty label is a class of SIMBAD to the published rules; here it is taken as none, as the broker writes none.
    """
    return bool(label) and label not in ("Unknown", "Transient") and not label.startswith(("Fail", "Galaxy"))


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else math.nan
