"""The taxonomy that SkyPortal gets to know: the broker's classes, and those of the catalogues it looks into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NAME = "Fink Taxonomy"
VERSION = "1.1"
PROVENANCE = "https://fink-broker.org"

TNS_PREFIX, SIMBAD_PREFIX = "(TNS) ", "(SIMBAD) "

KILONOVA = "Kilonova candidate"
KILONOVA_BY_CLASSIFIER = "Classifier-based kilonova candidate"
KILONOVA_BY_GALAXY = "Galaxy crossmatch kilonova candidate"
KILONOVA_BY_RATE = "Rate-based kilonova candidate"

#: Classes by the broker's modules.
FINK_CLASSES = (
    "Early SN Ia candidate", "SN candidate", "SLSN candidate", "Microlensing candidate", "Tracklet",
    "Solar System MPC", "Solar System candidate", "Ambiguous", "Unknown", "(CTA) Blazar low state",
    "(CTA) Blazar high state",
)  # fmt: skip
#: Earlier names of these classes, which old alerts still have.
OTHER_NAMES = {"Early SN Ia candidate": ["Early SN candidate"], "Microlensing candidate": ["Microlensing"]}

#: Types the Transient Name Server gives (https://www.wis-tns.org/content/tns-getting-started).
_TNS_TYPES = """
    Afterglow; AGN; CV; FRB; Galaxy; ILRT; Impostor-SN; Kilonova; LBV; Light-Echo; LRN; M dwarf; Nova; Other; QSO;
    SLSN-I; SLSN-II; SN; SN I; SN II; SN II-pec; SN IIb; SN IIL; SN IIn; SN IIn-pec; SN IIP; SN Ia; SN Ia-91bg-like;
    SN Ia-91T-like; SN Ia-CSM; SN Ia-pec; SN Iax[02cx-like]; SN Ib; SN Ib-Ca-rich; SN Ib-pec; SN Ib/c; SN Ibn; SN
    Ic; SN Ic-BL; SN Ic-pec; SN Icn; TDE; Varstar
"""

#: Object types of SIMBAD as labels without blanks, those in use until 2022 and those since
#: (https://simbad.cds.unistra.fr/guide/otypes.htx).
_SIMBAD_TYPES = """
    ** **_Candidate Ae* Ae*_Candidate AGB* AGB*_Candidate AGN AGN_Candidate alf2CVnV* Assoc* Association bCepV* BClG
    Be* Be*_Candidate BH_Candidate Blazar Blazar_Candidate Blend BLLac BLLac_Candidate blue Blue BlueCompactG
    BlueCompG BlueSG BlueSG* BlueStraggler BrightestCG brownD* BrownD* brownD*_Candidate BSG*_Candidate
    BSS_Candidate Bubble BYDra BYDraV* C* C*_Candidate Candidate_** Candidate_Ae* Candidate_AGB* Candidate_Be*
    Candidate_BH Candidate_brownD* Candidate_BSG* Candidate_BSS Candidate_C* Candidate_Cepheid Candidate_CV*
    Candidate_EB* Candidate_HB* Candidate_HMXB Candidate_Hsd Candidate_Lens Candidate_LensSystem Candidate_LMXB
    Candidate_low-mass* Candidate_LP* Candidate_Mi* Candidate_Nova Candidate_NS Candidate_OH Candidate_post-AGB*
    Candidate_RGB* Candidate_RRLyr Candidate_RSG* Candidate_S* Candidate_SG* Candidate_SN* Candidate_Symb*
    Candidate_TTau* Candidate_WD* Candidate_WR* Candidate_XB* Candidate_YSG* Candidate_YSO CataclyV* Cepheid
    Cepheid_Candidate ChemPec* Cl* ClassicalCep ClG ClG_Candidate Cloud Cluster* cmRad ComGlob Compact_Gr_G
    CV*_Candidate DarkNeb delSctV* deltaCep denseCore DkNeb EB* EB*_Candidate EclBin EllipVar Em* EmG EmissionG
    EmLine* EmObj Erupt*RCrB Eruptive* FarIR G_Candidate Galaxy GalNeb gamma gammaBurst gammaDor gammaDorV* GinCl
    GinGroup GinPair GlCl GlCl? GlCl_Candidate GlobCluster Globule Gravitation GravLens GravLensSystem GravWaveEvent
    GrG_Candidate GroupG GtowardsCl GtowardsGroup HB* HB*_Candidate HerbigHaroObj HH HI HighMassXBin HighPM*
    HighVel* HII HII_G HIIG HIIReg HIshell HMXB HMXB_Candidate HorBranch* HotSubdwarf Hsd_Candidate HV* HVCld IG
    Inexistent Infrared InteractingG IR IR<10um IR>30um Irregular_V* IrregularV* ISM Lens_Candidate LensedG
    LensedImage LensedQ lensImage_Candidate LensingEv LensSystem_Candidate LINER LMXB LMXB_Candidate LongPeriodV*
    low-mass* Low-Mass* low-mass*_Candidate LowMassXBin LowSurfBrghtG LP*_Candidate LPV* LSB_G Maser metricRad
    Mi*_Candidate Mira mmRad MolCld MouvGroup multiple_object NearIR Neutron* Nova Nova_Candidate NS_Candidate OH/IR
    OH/IR* OH_Candidate OpCl OpenCluster Orion_V* OrionV* Outflow outflow? outflow_Candidate PairG PartofCloud
    PartofG Pec* Planet Planet? Planet_Candidate PlanetaryNeb PM* PN PN? PN_Candidate Possible_ClG Possible_G
    Possible_GrG Possible_lensImage Possible_SClG post-AGB* post-AGB*_Candidate Pulsar PulsV* PulsV*bCep
    PulsV*delSct PulsV*RVTau pulsV*SX PulsV*WVir QSO QSO_Candidate Radio Radio(cm) Radio(m) Radio(mm) Radio(sub-mm)
    radioBurst RadioG RCrB_Candidate RCrBV* RedSG RedSG* RefNeb Region RfNeb RGB* RGB*_Candidate RotV* RotV*alf2CVn
    RRLyr RRLyr_Candidate RRLyrae RSCVn RSCVnV* RSG*_Candidate RVTauV* S* S*_Candidate SB* SClG_Candidate Seyfert
    Seyfert1 Seyfert2 Seyfert_1 Seyfert_2 SFregion SG* SG*_Candidate smmRad SN SN*_Candidate SNR SNR? SNR_Candidate
    SNRemnant Star StarburstG StarFormingReg Stream Stream* SuperClG Supergiant Supernova SXPheV* Symb*_Candidate
    Symbiotic* Transient TTau* TTau*_Candidate TTauri* Type2Cep ULX ULX? ULX_Candidate UV V* V*? V*_Candidate
    Variable* Void WD* WD*_Candidate WhiteDwarf WolfRayet* WR* WR*_Candidate X XB XB*_Candidate XrayBin YellowSG
    YellowSG* YSG*_Candidate YSO YSO_Candidate
"""


def hierarchy() -> dict[str, Any]:
    """Return the taxonomy in SkyPortal's form: ``class``, ``subclasses``, ``other names``."""
    kilonovae = [_node(name) for name in (KILONOVA_BY_CLASSIFIER, KILONOVA_BY_GALAXY, KILONOVA_BY_RATE)]
    by_fink = [_node(KILONOVA, kilonovae), *(_node(name) for name in FINK_CLASSES)]
    tns = [" ".join(name.split()) for name in _TNS_TYPES.split(";")]
    return _node(
        NAME,
        [
            _node("Fink classifiers", by_fink),
            _node("TNS classified data", [_node(TNS_PREFIX + name) for name in tns]),
            _node("Cross-match with SIMBAD", [_node(SIMBAD_PREFIX + name) for name in _SIMBAD_TYPES.split()]),
        ],
    )


def find(tree: Mapping[str, Any], name: str) -> str | None:
    """Return the name by which a class is in a taxonomy.

    Parameters
    ----------
    tree : mapping
        Taxonomy as SkyPortal has it.
    name : str
        Class of an alert.

    Returns
    -------
    str or None
        The first of ``name``, ``(TNS) name`` and ``(SIMBAD) name`` that is a class, else the class that has it under
        "other names"; None if there is none.
    """
    nodes = list(_nodes(tree))
    classes = {str(node.get("class")) for node in nodes}
    for candidate in (name, TNS_PREFIX + name, SIMBAD_PREFIX + name):
        if candidate in classes:
            return candidate
    return next((str(node["class"]) for node in nodes if name in (node.get("other names") or ())), None)


def _node(name: str, below: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    node: dict[str, Any] = {"class": name}
    if name in OTHER_NAMES:
        node["other names"] = OTHER_NAMES[name]
    if below:
        node["subclasses"] = below
    return node


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        if "class" in node:
            yield node
        for below in node.get("subclasses") or ():
            yield from _nodes(below)
