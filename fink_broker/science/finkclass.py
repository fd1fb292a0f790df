"""The class of an alert, one word, from what the other modules found: ``finkclass``.

The rules are those of the topics (:mod:`fink_broker.filters.ztf`). Without the tracklet class, which is known only
after the night.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.config import Config
from fink_broker.science.asteroids import CANDIDATE, KNOWN
from fink_broker.science.batch import AlertBatch
from fink_broker.science.labels import is_extragalactic
from fink_broker.science.module import Column, Module, Needs, Outputs

UNKNOWN = "Unknown"
AMBIGUOUS = "Ambiguous"
#: Classes from the weakest to the strongest: where several hold, the last is given.
CLASSES = (
    "Microlensing candidate",
    "SN candidate",
    "Early SN Ia candidate",
    "Kilonova candidate",
    "Solar System candidate",
    "Solar System MPC",
)
#: Classes that exclude one another. A kilonova or early supernova candidate is mostly a supernova candidate as well.
EXCLUSIVE = ("Microlensing candidate", "SN candidate", "Solar System candidate", "Solar System MPC")
WORDS = pa.array([UNKNOWN, *CLASSES, AMBIGUOUS])

#: SIMBAD labels that say nothing of what the object is, and how such labels begin: the service failed, or it is a
#: galaxy, in which anything may happen.
NO_CLASS, NO_CLASS_BEGINNINGS = ("Unknown", "Transient"), ("Fail", "Galaxy")


def build(_config: Config) -> Module:
    """Return the module."""
    return Module(
        name="finkclass",
        version="1",
        reference="Fink: classification of ZTF alerts, Möller et al. 2021, MNRAS 501, 3272",
        needs=Needs(
            candidate=("jd", "jdstarthist", "ndethist", "drb", "classtar"),
            outputs=(
                "cdsxmatch", "roid", "mulens", "snn_snia_vs_nonia", "snn_sn_vs_all", "rf_snia_vs_nonia",
                "rf_kn_vs_nonkn",
            ),
        ),
        outputs=(
            Column("finkclass", pa.string(), "", "class of the alert; SIMBAD's where it has one", UNKNOWN),
        ),
        compute=_compute,
    )  # fmt: skip


def _compute(batch: AlertBatch) -> Outputs:
    claims = class_claims(batch)
    word = np.zeros(len(batch), dtype=np.int64)
    for number, name in enumerate(CLASSES, start=1):
        word[claims[name]] = number
    word[np.sum([claims[name] for name in EXCLUSIVE], axis=0) > 1] = len(WORDS) - 1
    label = batch.columns["cdsxmatch"].cast(pa.string())
    return {"finkclass": pc.if_else(pa.array(has_simbad_class(label)), label, WORDS.take(pa.array(word)))}


def class_claims(batch: AlertBatch) -> dict[str, Mask]:
    """Tell for each class which alerts its rule holds for; a comparison with a missing value does not hold."""
    numbers = {name: batch.numbers(name) for name in ("ndethist", "drb", "classtar", "roid", "mulens")}
    detections, roid = numbers["ndethist"], numbers["roid"]
    with np.errstate(invalid="ignore", over="ignore"):
        age = batch.numbers("jd") - batch.numbers("jdstarthist")
        good = (numbers["drb"] > 0.5) & (numbers["classtar"] > 0.4)
        possible = good & is_extragalactic(batch.columns["cdsxmatch"])
        by_networks = _likely(batch.numbers("snn_snia_vs_nonia")) | _likely(batch.numbers("snn_sn_vs_all"))
        supernova = possible & by_networks
        still = ~np.isnan(roid) & (roid != KNOWN)
        early = supernova & (detections <= 20) & _likely(batch.numbers("rf_snia_vs_nonia"))
        kilonova = possible & _likely(batch.numbers("rf_kn_vs_nonkn")) & (age < 5) & (detections < 20) & still
        return {
            "Microlensing candidate": numbers["mulens"] > 0,
            "SN candidate": supernova & (age <= 90) & (detections > 1) & still,
            "Early SN Ia candidate": early,
            "Kilonova candidate": kilonova,
            "Solar System candidate": roid == CANDIDATE,
            "Solar System MPC": roid == KNOWN,
        }


def has_simbad_class(label: pa.Array) -> Mask:
    """Tell which labels name a class of SIMBAD. ``galaxy`` in lower case, as old records have it, is one."""
    says = pc.invert(pc.is_in(label, value_set=pa.array(NO_CLASS)))
    for beginning in NO_CLASS_BEGINNINGS:
        says = pc.and_(says, pc.invert(pc.starts_with(label, beginning)))
    return _mask(says)


def _likely(probability: Floats) -> Mask:
    return probability > 0.5


def _mask(holds: pa.Array) -> Mask:
    return holds.fill_null(False).to_numpy(zero_copy_only=False)
