"""The SIMBAD type at the position of an alert: the column ``cdsxmatch``."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.config import Config
from fink_broker.config.model import CrossmatchConfig
from fink_broker.science.crossmatch import local_types
from fink_broker.science.crossmatch.chained import Asked, OnDisk, chained_module
from fink_broker.science.crossmatch.local_types import LocalTypes
from fink_broker.science.crossmatch.provider import Answer
from fink_broker.science.crossmatch.tables import SIMBAD
from fink_broker.science.module import Column, Module, Outputs

NO_MATCH = "Unknown"


def _label(answer: Answer) -> Outputs:
    """Name the type; else say that nobody could be asked, so that it can be filled in later; else no match."""
    failure = pa.array(answer.failure, pa.string())
    return {"cdsxmatch": pc.coalesce(answer.nearest["main_type"].combine_chunks(), failure, NO_MATCH)}


def _on_disk(_settings: CrossmatchConfig) -> OnDisk:
    return OnDisk(LocalTypes(SIMBAD.columns), local_types.load, local_types.digests)


OBJECT_TYPE = Asked(
    "simbad",
    SIMBAD,
    _on_disk,
    (
        Column(
            "cdsxmatch",
            pa.string(),
            "",
            "SIMBAD main type, nearest within 1″; 'Fail' or 'Fail <status>' where nobody could be asked",
            NO_MATCH,
        ),
    ),
    _label,
)


def build(config: Config) -> Module:
    """Return the module."""
    reference = "Wenger et al. 2000, A&AS 143, 9; Pineau et al. 2020, ASPC 522, 125"
    return chained_module("cdsxmatch", reference, OBJECT_TYPE, config)
