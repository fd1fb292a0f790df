"""Python functions as users would write them, for the benchmark of filters: pandas in, truth values out."""

from __future__ import annotations

import numpy as np
import pandas as pd

Answer = pd.Series


def bright(magpsf: pd.Series, drb: pd.Series) -> Answer:
    """Bright and real."""
    return (magpsf < 17) & (drb > 0.8)


def unlabelled(cdsxmatch: pd.Series, roid: pd.Series) -> Answer:
    """Neither in SIMBAD nor an asteroid."""
    return (cdsxmatch == "Unknown") & (roid != 3)


def young(jd: pd.Series, jdstarthist: pd.Series, ndethist: pd.Series) -> Answer:
    """First seen within a week."""
    return (jd - jdstarthist < 7) & (ndethist > 1)


def supernova(snn_snia_vs_nonia: pd.Series, snn_sn_vs_all: pd.Series, classtar: pd.Series) -> Answer:
    """Supernovae by SuperNNova."""
    return ((snn_snia_vs_nonia > 0.5) | (snn_sn_vs_all > 0.5)) & (classtar > 0.4)


def in_field(ra: pd.Series, dec: pd.Series) -> Answer:
    """Within 10° of a place."""
    return pd.Series(np.hypot((ra - 180.0) * np.cos(np.radians(dec)), dec - 30.0)) < 10


def changed(magpsf: pd.Series, magnr: pd.Series, distnr: pd.Series) -> Answer:
    """Far from the brightness of the reference."""
    return ((magpsf - magnr).abs() > 1) & (distnr < 1)


def classified(finkclass: pd.Series, mulens: pd.Series) -> Answer:
    """Of a class, or lensed."""
    return finkclass.isin(["SN candidate", "Kilonova candidate"]) | (mulens > 0)


def often_seen(cmagpsfc: pd.Series) -> Answer:
    """Ten detections or more."""
    return cmagpsfc.apply(lambda curve: np.isfinite(curve).sum() >= 10)


def risers(cmagpsfc: pd.Series, drb: pd.Series) -> Answer:
    """Brighter by a magnitude than half of what was seen before."""
    rise = [np.nanmedian(curve[:-1]) - curve[-1] if np.isfinite(curve[:-1]).any() else 0 for curve in cmagpsfc]
    return (pd.Series(rise) > 1) & (drb > 0.5)


def faders(cjdc: pd.Series, cmagpsfc: pd.Series, cfidc: pd.Series) -> Answer:
    """Fading since the previous detection of the band."""
    found = []
    for jd, magnitude, band in zip(cjdc, cmagpsfc, cfidc, strict=True):
        seen = np.flatnonzero(np.isfinite(magnitude) & (band == band[-1]))[-2:]
        slope = np.diff(magnitude[seen]) / np.diff(jd[seen]) if len(seen) == 2 else np.array([0.0])
        found.append(bool(slope[0] > 0.3))
    return pd.Series(found)


#: By their names, the plainest first.
NAMES = (
    "bright", "unlabelled", "young", "supernova", "in_field", "changed", "classified", "often_seen", "risers", "faders",
)  # fmt: skip
