"""The Gaia source at the position of an alert: its name, parallax and variability."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.config import Config
from fink_broker.science.crossmatch.chained import Asked, chained_module, file_on_disk, text_or
from fink_broker.science.crossmatch.provider import Answer
from fink_broker.science.crossmatch.tables import GAIA, GAIA_VARIABILITY
from fink_broker.science.module import Column, Module, Outputs

#: Published filters test for this text; it is written also where nobody could be asked.
NO_MATCH = "nan"
#: How the flag says that the source varies: in the archive, or as a plain flag in a file of the operator's.
_VARIES = ("VARIABLE", "1", "true")


def _source(answer: Answer) -> Outputs:
    nearest = answer.nearest
    parallaxes = {name: nearest[name].combine_chunks().fill_null(np.float32(np.nan)) for name in ("Plx", "e_Plx")}
    varies = pc.is_in(nearest["VarFlag"].combine_chunks(), value_set=pa.array(_VARIES))
    return {
        "DR3Name": text_or(nearest["DR3Name"], NO_MATCH),
        **parallaxes,
        "gaiaVarFlag": varies.cast(pa.int32()),
    }


def _variability(answer: Answer) -> Outputs:
    return {"gaiaClass": text_or(answer.nearest["Class"], NO_MATCH)}


SOURCE = Asked(
    "gaia",
    GAIA,
    file_on_disk("gaia", GAIA),
    (
        Column("DR3Name", pa.string(), "", "name of the source, Gaia DR3, nearest within 1″", NO_MATCH),
        Column("Plx", pa.float32(), "mas", "its parallax; NaN if there is none", None),
        Column("e_Plx", pa.float32(), "mas", "error of its parallax; NaN if there is none", None),
        Column("gaiaVarFlag", pa.int32(), "", "1 if Gaia found it variable", 0),
    ),
    _source,
)

VARIABILITY = Asked(
    "gaia_variability",
    GAIA_VARIABILITY,
    file_on_disk("gaia_variability", GAIA_VARIABILITY),
    (Column("gaiaClass", pa.string(), "", "variability class, Gaia DR3, nearest within 1″", NO_MATCH),),
    _variability,
)


def build(config: Config) -> Module:
    """Return the module of the columns ``DR3Name``, ``Plx``, ``e_Plx`` and ``gaiaVarFlag``."""
    return chained_module("gaia", "Gaia Collaboration 2023, A&A 674, A1", SOURCE, config)


def build_variability(config: Config) -> Module:
    """Return the module of the column ``gaiaClass``."""
    return chained_module("gaia_variability", "Rimoldini et al. 2023, A&A 674, A14", VARIABILITY, config)
