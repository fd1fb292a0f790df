"""Young stellar objects of the galactic midplane (SPICY): the columns ``spicy_id`` and ``spicy_class``."""

from __future__ import annotations

import pyarrow as pa

from fink_broker.config import Config
from fink_broker.science.crossmatch.chained import Asked, chained_module, file_on_disk, text_or
from fink_broker.science.crossmatch.provider import Answer
from fink_broker.science.crossmatch.tables import SPICY
from fink_broker.science.module import Column, Module, Outputs

NO_ID, NO_CLASS = -1, "Unknown"


def _young_star(answer: Answer) -> Outputs:
    return {
        "spicy_id": answer.nearest["SPICY"].combine_chunks().fill_null(NO_ID),
        "spicy_class": text_or(answer.nearest["class"], NO_CLASS),
    }


YOUNG_STARS = Asked(
    "spicy",
    SPICY,
    file_on_disk("spicy", SPICY),
    (
        Column("spicy_id", pa.int32(), "", "number of the candidate young star, SPICY, nearest within 1.2″", NO_ID),
        Column("spicy_class", pa.string(), "", "its class: FS, ClassI, ClassII, ClassIII", NO_CLASS),
    ),
    _young_star,
)


def build(config: Config) -> Module:
    """Return the module."""
    return chained_module("spicy", "Kuhn et al. 2021, ApJS 254, 33", YOUNG_STARS, config)
