"""The class of an alert as SkyPortal shows it; topics of kilonova candidates have rules of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .alerts.fink_class import fink_class
from .config import Generation

KILONOVA = "Kilonova candidate"

#: topics of kilonova candidates, whole names, and what kind of candidate they hold
KILONOVA_TOPICS = {
    "fink_kn_candidates_ztf": "Classifier-based kilonova candidate",
    "fink_early_kn_candidates_ztf": "Galaxy crossmatch kilonova candidate",
    "fink_rate_based_kn_candidates_ztf": "Rate-based kilonova candidate",
}
RATE_BASED_TOPIC = "fink_rate_based_kn_candidates_ztf"


@dataclass(frozen=True)
class Classification:
    """A class of the taxonomy.

    Parameters
    ----------
    name : str
        The class.
    probability : float or None
        Its probability, from 0 to 1, where there is one.
    """

    name: str
    probability: float | None


def classification(alert: Mapping[str, Any], topic: str, generation: Generation) -> Classification:
    """Return the class of an alert.

    It is that of the broker. On topics of kilonova candidates an alert of another class counts as a kilonova: the
    microservice says of which kind, with certainty; the stand-alone client says `KILONOVA`, which there always carries
    the score of the classifier.

    Parameters
    ----------
    alert : mapping
        The decoded message.
    topic : str
        The topic it came on.
    generation : {"microservice", "stand-alone"}
        Whose rules hold.
    """
    name = fink_class(alert)
    is_kilonova = "kilonova" in name.lower()
    if generation == "microservice":
        if topic in KILONOVA_TOPICS and not is_kilonova:
            return Classification(KILONOVA_TOPICS[topic], 1.0)
        return Classification(name, None)
    if topic in KILONOVA_TOPICS or name == KILONOVA:
        return Classification(KILONOVA, _probability(alert.get("rf_kn_vs_nonkn")))
    return Classification(name, None)


def _probability(score: object) -> float | None:
    if not isinstance(score, float | int) or not math.isfinite(score) or not 0.0 <= score <= 1.0:
        return None
    return float(score)
