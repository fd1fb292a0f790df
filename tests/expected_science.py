"""How the science columns are compared with those of production: every column, each within its tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fink_broker.config.model import Config, CrossmatchConfig
from fink_broker.science.testing import offline_config

#: SN 2018lzf, the one classified transient of the sample catalogue. Production's numbers were made without TNS.
IN_TNS_SAMPLE = {1786226723415015003: "SN Ia"}


def production_science(shared_data: Path) -> dict[str, str]:
    """Return the settings of [science] with which production's numbers come out: its own kilonova forest."""
    models = shared_data / "models" / "kilonova"
    return {
        "kilonova_forest": str(models / "partial.pkl"),
        "kilonova_components": str(models / "interpolated_mixed_pcs.npy"),
    }


def production_config(shared_data: Path) -> Config:
    """Return the configuration with which production's numbers come out."""
    return Config.model_validate({"crossmatch": offline_crossmatch(), "science": production_science(shared_data)})


def offline_crossmatch() -> CrossmatchConfig:
    """Return cross-match settings that ask nobody outside."""
    return offline_config().crossmatch


Same = Callable[[Any, Any], bool]


def exact(found: Any, expected: Any) -> bool:
    """Equal, NaN and null being one."""
    return (_missing(found) and _missing(expected)) or found == expected


def within(absolute: float = 0.0, relative: float = 0.0) -> Same:
    """Equal within a tolerance, and NaN or null in the same places."""

    def same(found: Any, expected: Any) -> bool:
        if _missing(found) or _missing(expected):
            return _missing(found) and _missing(expected)
        return math.isclose(found, expected, rel_tol=relative, abs_tol=absolute)

    return same


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def features(found: Any, expected: Any) -> bool:
    """The 26 features, in order, or none.

    The slope through points minutes apart turns the last digit of an error into a thousandth: on a processor that
    rounds powers of ten otherwise it may move by a little of its own error.
    """
    if found is None or expected is None:
        return found is None and expected is None
    if not len(found) == len(expected) == 26:
        return False
    slope_error = found["linear_fit_slope_sigma"]
    same = dict.fromkeys(found, within(relative=1e-6, absolute=1e-12))
    same["linear_fit_slope"] = within(relative=1e-6, absolute=1e-12 if _missing(slope_error) else 1e-3 * slope_error)
    return all(same[name](found[name], wanted) for name, wanted in zip(found, expected, strict=True))


#: Column to comparison; the tolerances are those of the published comparison of two implementations.
COLUMNS: dict[str, Same] = {
    **dict.fromkeys(("cdsxmatch", "roid", "nalerthist", "gcvs", "vsx", "x3hsp", "x4lac", "is_transient"), exact),
    **dict.fromkeys(("jd_first_real_det", "jdstarthist_dt", "delta_time", "from_upper"), exact),
    "mangrove": lambda found, expected: dict(found) == dict(expected),
    "rf_snia_vs_nonia": within(0.01),
    "snn_snia_vs_nonia": within(5e-6),
    "snn_sn_vs_all": within(5e-6),
    "mulens": within(0.01),
    "rf_kn_vs_nonkn": within(0.04),
    "lc_features_g": features,
    "lc_features_r": features,
    **dict.fromkeys(
        [f"anomaly_score{suffix}" for suffix in ("", "_beta", "_anais", "_emille", "_julien", "_maria")], within(1e-6)
    ),
    "finkclass": exact,
}
#: Keys of ``blazar_stats`` (32 bits) and the columns of production they equal.
BLAZAR_STATS = {"instantness_low": "blazar_last_over_low", "robustness_low": "blazar_mean30_over_low"}


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Return what differs between the science columns of one alert and those of production, as text.

    Parameters
    ----------
    found : mapping
        A row of the science columns.
    expected : mapping
        The row of the expected file with the same candid.
    """
    told = [
        f"{expected['candid']} {column}: {found[column]} instead of {expected[column]}"
        for column, same in COLUMNS.items()
        if column in expected and not same(_plain(found[column]), _plain(expected[column]))
    ]
    stats = dict(found["blazar_stats"])
    for key, column in BLAZAR_STATS.items():
        wanted = -1.0 if _missing(expected[column]) else expected[column]
        if not within(relative=1e-6)(stats[key], wanted):
            told.append(f"{expected['candid']} blazar_stats {key}: {stats[key]} instead of {wanted}")
    if found["tns"] not in ("", IN_TNS_SAMPLE.get(expected["candid"])):
        told.append(f"{expected['candid']} tns: {found['tns']}")
    return told


def _plain(value: Any) -> Any:
    """Return a value of NumPy as Python has it."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
