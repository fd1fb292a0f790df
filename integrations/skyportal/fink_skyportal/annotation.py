"""The broker's values of an alert, as the annotation ``Fink Science`` shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .kilonova import RATE_BASED_TOPIC

#: name in the annotation and field of the alert
FIELDS = {
    "cdsxmatch": "cdsxmatch",
    "rf_snia_vs_nonia": "rf_snia_vs_nonia",
    "snn_snia_vs_nonia": "snn_snia_vs_nonia",
    "snn_sn_vs_all": "snn_sn_vs_all",
    "microlensing": "mulens",
    "asteroids": "roid",
    "rf_kn_vs_nonkn": "rf_kn_vs_nonkn",
    "nalerthist": "nalerthist",
}
#: rates in magnitudes a day on the rate-based topic, by the ``fid`` of their band
RATES = {1: "rate(dg)", 2: "rate(dr)"}
#: what a cross-match with the Mangrove galaxies says where there is none
_NO_GALAXY = ("", "None", "nan")


def annotation_data(alert: Mapping[str, Any], topic: str) -> dict[str, Any]:
    """Return the data of an annotation, ready for JSON: what is missing, not a number or empty is None.

    Parameters
    ----------
    alert : mapping
        The decoded message.
    topic : str
        The topic it came on.

    Returns
    -------
    dict
        ``topic``, the broker's values (`FIELDS`) and ``obstime (jd)`` in days. Near a galaxy of the Mangrove catalogue
        also ``host_galaxy_name``, ``host_galaxy_catalog`` and ``host_galaxy_distmpc``, its luminosity distance in Mpc.
        On the topic of rate-based kilonova candidates also the rates of g and r in magnitudes a day.
    """
    detection = alert.get("candidate")
    detection = detection if isinstance(detection, Mapping) else {}
    data = {"topic": topic, **{name: plain(alert.get(field)) for name, field in FIELDS.items()}}
    data["obstime (jd)"] = plain(detection.get("jd"))
    data |= _host_galaxy(alert.get("mangrove"))
    if topic == RATE_BASED_TOPIC:
        # an alert that has no rates by band has that of its own band
        own = {RATES.get(detection.get("fid", 0)): alert.get("mag_rate")}
        data |= {name: plain(alert.get(name, own.get(name))) for name in RATES.values()}
    return data


def plain(value: Any) -> Any:
    """Return a value as JSON has it, None for what is not a number or empty."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str) and not value.strip():
        return None
    return value


def _host_galaxy(mangrove: Any) -> dict[str, Any]:
    if not isinstance(mangrove, Mapping):
        return {}
    for catalogue in ("HyperLEDA", "2MASS"):
        name = mangrove.get(f"{catalogue}_name")
        if isinstance(name, str) and name.strip() not in _NO_GALAXY:
            return {
                "host_galaxy_name": name.strip(),
                "host_galaxy_catalog": catalogue,
                "host_galaxy_distmpc": _number(mangrove.get("lum_dist")),
            }
    return {}


def _number(value: Any) -> float | None:
    try:
        return plain(float(value))
    except (TypeError, ValueError):
        return None
