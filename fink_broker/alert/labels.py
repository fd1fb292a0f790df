"""What the label ``cdsxmatch`` of an alert (a SIMBAD object type, or why there is none) can mean."""

from __future__ import annotations

#: Labels that allow an extragalactic object: galaxies, supernovae, and nothing known at the position.
#: ``Fail`` and ``Fail 504`` (the service did not answer) are in it, other failures are not.
#: Source: fink-filters 7.45.
EXTRAGALACTIC: tuple[str, ...] = (
    "Unknown",
    "Transient",
    "Fail",
    "Fail 504",
    "SN",
    "Candidate_SN*",
    "SN*_Candidate",
    "galaxy",
    "Galaxy",
    "EmG",
    "Seyfert",
    "Seyfert_1",
    "Seyfert_2",
    "BlueCompG",
    "StarburstG",
    "LSB_G",
    "HII_G",
    "High_z_G",
    "GinPair",
    "GinGroup",
    "GinCl",
    "BClG",
    "PartofG",
    "Compact_Gr_G",
    "IG",
    "PairG",
    "GroupG",
    "ClG",
    "SuperClG",
    "Void",
    "LINER",
    "Possible_ClG",
    "Possible_SClG",
    "GravLens_Candidate",
)
