"""Rules as users would write them, for the benchmark of filters: many, no two alike."""

from __future__ import annotations

import random
from collections.abc import Callable

from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule

_LABELS = (
    "Unknown", "SN", "QSO", "AGN", "Seyfert1", "Galaxy", "Blazar", "BLLac", "RRLyrae", "EclBin", "Mira", "LongPeriodV*",
    "CataclyV*", "YSO", "Star", "delSctV*",
)  # fmt: skip


def user_rules(count: int, seed: int = 0) -> list[Filter]:
    """Return filters of users, each with an SQL rule of its own.

    They are made of a score of patterns with other numbers, labels and places, and mixed, so that any part of them is
    like the whole; like users', they share words such as ``drb > 0.5``. One in five looks into the history.

    Parameters
    ----------
    count : int
        How many.
    seed : int
        Which.
    """
    rng = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[_PATTERNS[len(texts) % len(_PATTERNS)](rng)] = None
    mixed = rng.sample(list(texts), count)
    return [
        Filter(f"user_{number:03d}", SqlRule(text), "a rule of a user", "", "1", owner="user", built_in=False)
        for number, text in enumerate(mixed)
    ]


def _labels(rng: random.Random, count: int) -> str:
    return ", ".join(f"'{label}'" for label in rng.sample(_LABELS, count))


def _real(rng: random.Random) -> str:
    """Return a cut on real detections, as nearly every rule begins."""
    return f"drb > {rng.choice((0.5, 0.65, 0.8, 0.9))} AND candidate.classtar > {rng.choice((0.3, 0.4, 0.5))}"


def _number(rng: random.Random, low: float, high: float, digits: int = 2) -> float:
    return round(rng.uniform(low, high), digits)


#: Kinds of rules: from bright and unlabelled to slopes, colours, places, classifiers and features.
_PATTERNS: tuple[Callable[[random.Random], str], ...] = (
    lambda r: f"magpsf < {_number(r, 14, 18)} AND drb > {_number(r, 0.5, 0.9)} AND cdsxmatch = 'Unknown'",
    lambda r: f"{_real(r)} AND cdsxmatch IN ({_labels(r, r.randint(2, 6))}) AND ndethist >= {r.randint(2, 30)}",
    lambda r: f"{_real(r)} AND candidate.jd - candidate.jdstarthist < {_number(r, 1, 60)} AND roid <> 3",
    lambda r: (
        f"(snn_snia_vs_nonia > {_number(r, 0.3, 0.9)} OR snn_sn_vs_all > {_number(r, 0.3, 0.9)}) AND {_real(r)}"
        f" AND cdsxmatch IN ({_labels(r, 4)}) AND candidate.ndethist BETWEEN 2 AND {r.randint(5, 80)}"
    ),
    lambda r: f"size(prv_candidates.magpsf) >= {r.randint(3, 30)} AND snn_sn_vs_all > {_number(r, 0.2, 0.9)}",
    lambda r: f"array_min(prv_candidates.magpsf) - magpsf > {_number(r, 0.2, 2)} AND {_real(r)}",
    lambda r: f"element_at(prv_candidates.magpsf, -1) - magpsf > {_number(r, 0.2, 1.5)} AND isdiffpos IN ('t', '1')",
    lambda r: f"array_max(prv_candidates.diffmaglim) > {_number(r, 19, 20.5)} AND magpsf < {_number(r, 16, 19)}",
    lambda r: (
        f"candidate.ra BETWEEN {(ra := _number(r, 0, 350))} AND {ra + 8} AND"
        f" candidate.dec BETWEEN {(dec := _number(r, -25, 75))} AND {dec + 8} AND drb > 0.5"
    ),
    lambda r: (
        f"sqrt(pow((candidate.ra - {_number(r, 0, 360)}) * cos(radians(candidate.dec)), 2)"
        f" + pow(candidate.dec - {_number(r, -25, 80)}, 2)) < {_number(r, 0.5, 10)}"
    ),
    lambda r: f"objectId LIKE 'ZTF{r.randint(17, 23)}%' AND {_real(r)} AND magpsf < {_number(r, 15, 20)}",
    lambda r: f"cdsxmatch RLIKE '^({r.choice(_LABELS[1:8])}|Candidate)' AND abs(magpsf - magnr) > {_number(r, 0.3, 3)}",
    lambda r: f"mag_rate < {-_number(r, 0.05, 0.6)} AND jd_first_real_det IS NOT NULL AND NOT from_upper AND roid = 0",
    lambda r: f"is_transient AND rf_snia_vs_nonia > {_number(r, 0.1, 0.8)} AND {_real(r)}",
    lambda r: f"lc_features_r.amplitude > {_number(r, 0.1, 2)} AND lc_features_g.mean < {_number(r, 16, 20)}",
    lambda r: f"anomaly_score < {-_number(r, 0.001, 0.2, 3)} AND vsx = 'Unknown' AND DR3Name IS NOT NULL",
    lambda r: f"coalesce(rf_kn_vs_nonkn, 0) > {_number(r, 0.1, 0.9)} OR (tns <> '' AND magpsf < {_number(r, 16, 19)})",
    lambda r: (
        f"CASE WHEN fid = 1 THEN magpsf < {_number(r, 16, 20)} ELSE magpsf < {_number(r, 16, 20)} END"
        f" AND finkclass IN ({_labels(r, 3)})"
    ),
    lambda r: (
        f"sgscore1 < {_number(r, 0.1, 0.5)} AND distpsnr1 < {_number(r, 0.5, 10)}"
        f" AND magpsf - 5 * log10({_number(r, 10, 500)}) + 5 < {_number(r, 8, 14)}"
    ),
    lambda r: f"cast(mangrove.lum_dist as double) < {_number(r, 20, 200)} AND ndethist < {r.randint(3, 20)}",
)  # fmt: skip
