"""Built-in topics by name, and what they say of a table."""

from __future__ import annotations

import importlib

import numpy as np
import pyarrow as pa

from fink_broker.config import Config
from fink_broker.filters.filter import Filter
from fink_broker.filters.view import AlertView

HOSTLESS = ("new_hostless", "intra_night_hostless", "inter_night_hostless")
#: The topics whose rules are functions.
FUNCTIONS = (
    "early_kn_candidates", "rate_based_kn_candidates", "magnetic_cvs", "yso_spicy_candidates", "fast_riser_candidates",
    *HOSTLESS,
)  # fmt: skip


def topic(name: str) -> Filter:
    """Return a topic of the broker; the SDSS is not asked."""
    module = importlib.import_module(f"fink_broker.filters.ztf.{name}")
    asking_nobody = Config.model_validate({"filters": {"sdss": "none"}})
    return module.build(asking_nobody) if hasattr(module, "build") else module.FILTER


def passes(name: str, table: pa.Table) -> np.ndarray:
    """Return which alerts of a table the topic takes."""
    found = topic(name).rule.decide(AlertView(table))
    assert found.dtype == bool and found.shape == (len(table),)
    return found
