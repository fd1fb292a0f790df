"""Types of variable-star and blazar catalogues, translated to SIMBAD object types.

Used where SIMBAD itself cannot be asked. A type is looked up by its first part: ``EA/SD`` as ``EA``, ``UGSU+E`` as
``UGSU``, ``RRAB|RRC`` as ``RRAB``. An uncertain type (``:`` or ``|`` in it) becomes a candidate where SIMBAD knows
candidates of that kind. A type that is not in the table says nothing (None).

Types are described in the GCVS (https://www.sai.msu.su/gcvs/gcvs/vartype.htm) and the VSX (https://www.aavso.org/vsx);
SIMBAD's at https://simbad.cds.unistra.fr/guide/otypes.htx. Labels are spelled as the topics of the broker spell them.
"""

from __future__ import annotations

import re

#: Says only that the source varies: any other label is preferred.
GENERIC = "Variable*"

_SIMBAD_TYPE = {
    # eclipsing binaries
    "EB*": "E EA EB EW EC ED ESD ECL DPV",
    "EllipVar": "ELL HB R",
    "SB*": "SB",
    # pulsating stars
    "RRLyr": "RR RRAB RRC RRD RRE RRLYR",
    "Cepheid": "CEP ACEP",
    "ClassicalCep": "DCEP DCEPS",
    "Type2Cep": "CW CWA CWB",
    "RVTauV*": "RV RVA RVB",
    "delSctV*": "DSCT DSCTC DSCTR HADS SXPHE",
    "gammaDorV*": "GDOR",
    "bCepV*": "BCEP BCEPS",
    "PulsV*": "PULS SPB SPBE ACYG PVTEL PVTELI PVTELIII RPHS V361HYA V1093HER BLAP BXCIR ROAP ROAM AHB1",
    "Mira": "M",
    "LPV*": "LPV SR SRA SRB SRC SRD SRS L LB LC LPB",
    "PulsWD*": "ZZ ZZA ZZB ZZO ZZLEP",
    # rotating stars
    "BYDraV*": "BY",
    "RSCVnV*": "RS",
    "RotV*": "ROT FKCOM SXARI LERI",
    "alf2CVnV*": "ACV ACVO",
    "Pulsar": "PSR",
    # eruptive stars
    "TTau*": "TTS CTTS WTTS IT INT INST",
    "YSO": "YSO IN INA INB INS INSA INSB UXOR FU FUOR EXOR IS ISA ISB",
    "Eruptive*": "UV UVN FLARE",
    "IrregularV*": "I IA IB",
    "Be*": "BE GCAS",
    "RCrBV*": "RCB DYPER",
    "WR*": "WR",
    "post-AGB*": "PPN",
    "BlueSG*": "SDOR",
    # explosive and interacting stars
    "CataclyV*": "UG UGSS UGSU UGWZ UGZ UGER NL AM DQ CV IBWD NR AMCVN",
    "Nova": "N NA NB NC",
    "Symbiotic*": "ZAND SYMB",
    "SN": "SN SNI SNII SNIA SNIB SNIC SNIBC SNIIP SNIIN",
    "XB": "X XI XM XN XND XNG XNGP XP XPR XPRM XR XRM XF XJ",
    "HighMassXBin": "HMXB",
    "LowMassXBin": "LMXB",
    # not stars
    "AGN": "AGN GAL",
    "QSO": "QSO",
    "BLLac": "BLLAC",
    GENERIC: "VAR S PER SIN * NSIN MISC VBD CBSS",
}

#: Type of a variable star catalogue → SIMBAD type.
FROM_VARIABLE_TYPE = {kind: label for label, kinds in _SIMBAD_TYPE.items() for kind in kinds.split()}

#: Class of an active galaxy in 4LAC (lower case) → SIMBAD type; a flat-spectrum quasar is a blazar.
FROM_4LAC_CLASS = {
    "bll": "BLLac",
    "fsrq": "Blazar",
    "bcu": "Blazar_Candidate",
    "rdg": "RadioG",
    "agn": "AGN",
    "sey": "Seyfert",
    "nlsy1": "Seyfert_1",
    "css": "QSO",
    "ssrq": "QSO",
}

#: High synchrotron peaked blazars are BL Lac objects.
FROM_3HSP = "BLLac"

#: SIMBAD types that exist with the ending ``_Candidate``; an uncertain type of another kind is kept as it is.
_HAS_CANDIDATE = {
    "EB*", "RRLyr", "Cepheid", "Mira", "LPV*", "YSO", "TTau*", "CataclyV*", "Nova", "Symbiotic*", "SN",
    "HighMassXBin", "LowMassXBin", "XB", "AGN", "QSO", "BLLac", "Blazar",
}  # fmt: skip

#: Where the candidate is not simply ``<type>_Candidate``.
_CANDIDATE = {"SN": "SN*_Candidate"}

_FIRST_PART = re.compile(r"[A-Z0-9]+|\*")


def from_variable_type(kind: str) -> str | None:
    """Return the SIMBAD type of a GCVS or VSX type, or None if it says nothing.

    >>> from_variable_type("RRAB"), from_variable_type("EA/SD"), from_variable_type("TTS:"), from_variable_type("CST")
    ('RRLyr', 'EB*', 'TTau*_Candidate', None)
    """
    first = _FIRST_PART.match(kind.upper().strip())
    if first is None:
        return None
    label = FROM_VARIABLE_TYPE.get(first.group())
    uncertain = ":" in kind or "|" in kind
    if label is None or not uncertain or label not in _HAS_CANDIDATE:
        return label
    return _CANDIDATE.get(label, f"{label}_Candidate")


def from_4lac_class(kind: str) -> str | None:
    """Return the SIMBAD type of a class of 4LAC, or None if it says nothing.

    >>> from_4lac_class("BLL"), from_4lac_class("unk")
    ('BLLac', None)
    """
    return FROM_4LAC_CLASS.get(kind.strip().lower())
