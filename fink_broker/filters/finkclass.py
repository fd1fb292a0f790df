"""The class of an alert as one Spark SQL expression: a later rule overwrites an earlier one.

Source: broker contract 3.5 and fink-filters 7.45. Without the tracklet class, which is known only after
the night. Needs ``mulens``, ``rf_snia_vs_nonia`` and ``rf_kn_vs_nonkn``; where one is missing its class is
never given.
"""

from __future__ import annotations

from fink_broker.filters.terms import (
    AGE,
    IS_EXTRAGALACTIC,
    IS_GOOD,
    IS_KNOWN_SSO,
    IS_NOT_KNOWN_SSO,
    IS_SSO_CANDIDATE,
    IS_SUPERNOVA_BY_SNN,
    holds,
)

MICROLENSING = "(mulens > 0)"

SUPERNOVA = (
    f"({IS_SUPERNOVA_BY_SNN} AND {IS_EXTRAGALACTIC} AND {IS_GOOD}"
    f" AND {AGE} <= 90 AND candidate.ndethist > 1 AND {IS_NOT_KNOWN_SSO})"
)

EARLY_SUPERNOVA_IA = (
    f"({IS_SUPERNOVA_BY_SNN} AND {IS_EXTRAGALACTIC} AND {IS_GOOD}"
    " AND candidate.ndethist <= 20 AND rf_snia_vs_nonia > 0.5)"
)

KILONOVA = (
    f"(rf_kn_vs_nonkn > 0.5 AND {IS_GOOD} AND {AGE} < 5 AND candidate.ndethist < 20"
    f" AND {IS_EXTRAGALACTIC} AND {IS_NOT_KNOWN_SSO})"
)

#: A SIMBAD type that says what the object is; "galaxy" in lower case, as old records have it, counts as one.
HAS_SIMBAD_CLASS = (
    "(cdsxmatch NOT IN ('Unknown', 'Transient')"
    " AND NOT startswith(cdsxmatch, 'Fail') AND NOT startswith(cdsxmatch, 'Galaxy'))"
)

#: Kilonova and early supernova Ia do not count: they go along with supernova.
_CLAIMS = " + ".join(
    f"CAST({holds(claim)} AS INT)" for claim in (MICROLENSING, SUPERNOVA, IS_SSO_CANDIDATE, IS_KNOWN_SSO)
)

#: From the last word to the first, since the first branch of a CASE that holds is taken.
FINKCLASS = f"""(CASE
    WHEN {HAS_SIMBAD_CLASS} THEN cdsxmatch
    WHEN {_CLAIMS} > 1 THEN 'Ambiguous'
    WHEN {IS_KNOWN_SSO} THEN 'Solar System MPC'
    WHEN {IS_SSO_CANDIDATE} THEN 'Solar System candidate'
    WHEN {KILONOVA} THEN 'Kilonova candidate'
    WHEN {EARLY_SUPERNOVA_IA} THEN 'Early SN Ia candidate'
    WHEN {SUPERNOVA} THEN 'SN candidate'
    WHEN {MICROLENSING} THEN 'Microlensing candidate'
    ELSE 'Unknown' END)"""
