"""Microlensing: the features and results of production, the textbook, and hostile light curves."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from fink_broker.alert.batch import struct_from_packets
from fink_broker.config import Config
from fink_broker.science import microlensing
from fink_broker.science.batch import AlertBatch
from fink_broker.science.microlensing.features import FEATURES, RelativeFluxes, features_of
from fink_broker.science.microlensing.peaks import count_peaks
from fink_broker.science.microlensing.ragged import Ragged
from fink_broker.science.module import SKIPPED
from fink_broker.science.pipeline import Pipeline

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

MODULE = microlensing.build(Config())
SHANNON = FEATURES.index("shannon_entropy")


def batch_of(packets: Sequence[dict]) -> AlertBatch:
    needs = Pipeline([MODULE])
    return AlertBatch.from_struct(
        struct_from_packets(packets, needs.root_fields, needs.candidate_fields, needs.history_fields)
    )


def results(packets: Sequence[dict]) -> list[float | None]:
    return MODULE.compute(batch_of(packets))["mulens"].to_pylist()


# --- production


@pytest.mark.parametrize("name", ["20231018", "20231018_retimed"])
@pytest.mark.parametrize("band", ["g", "r"])
def test_the_features_are_those_of_production(decoded: Callable, shared_data: Path, name: str, band: str) -> None:
    column = f"mulens_features_{band}"
    expected = pd.read_parquet(shared_data / "expected" / f"features_{name}.parquet").set_index("candid")[column]
    expected = expected[expected.notna()]
    # production wrote the features of each band with enough points, also where the other band has too few
    packets = [packet for packet in decoded(f"ztf_public_{name}") if packet["candid"] in expected.index]
    batch = batch_of(packets)
    in_band = microlensing.detections_by_band(batch)["gr".index(band)]
    found = features_of(microlensing.light_curves_of(batch, np.arange(len(batch)), [in_band]))
    wanted = np.vstack(expected.loc[[packet["candid"] for packet in packets]])
    assert found.shape == wanted.shape == (27, 47)
    np.testing.assert_allclose(np.delete(found, SHANNON, 1), np.delete(wanted, SHANNON, 1), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found[:, SHANNON], wanted[:, SHANNON], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "packets", "positive"),
    [
        ("science_real", "ztf_real_packets", 3),
        ("science_20231018", "ztf_public_20231018", 19),
        ("science_20231018_retimed", "ztf_public_20231018_retimed", 19),
    ],
)
def test_the_result_is_that_of_production(
    decoded: Callable, shared_data: Path, name: str, packets: str, positive: int
) -> None:
    expected = pd.read_parquet(shared_data / "expected" / f"{name}.parquet").set_index("candid")["mulens"]
    alerts = decoded(packets)
    wanted = expected.loc[[alert["candid"] for alert in alerts]].to_numpy()
    found = np.array(results(alerts))
    np.testing.assert_array_equal(found == 0, wanted == 0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)
    assert (found > 0).sum() == positive


# --- an event, made up


def event(points: int = 40, **changes: object) -> dict:
    """Return an alert of a star that brightened by two magnitudes once; the bands alternate."""
    time = np.linspace(-3, 3, points)
    magnitudes = 18.0 - 2.0 / (1.0 + time**2)
    rows = [
        {
            "fid": 1 + k % 2,
            "magpsf": float(magnitude),
            "sigmapsf": 0.03,
            "magnr": 19.0,
            "sigmagnr": 0.02,
            "isdiffpos": "t",
            "ndethist": 50,
        }
        | changes
        for k, magnitude in enumerate(magnitudes)
    ]
    return {"candid": 1, "candidate": rows[-1], "prv_candidates": rows[:-1]}


def test_a_star_that_brightens_once_is_an_event() -> None:
    given = MODULE.compute(batch_of([event()]))
    assert not given[SKIPPED][0]
    assert 0.5 < given["mulens"][0].as_py() < 1


@pytest.mark.parametrize(
    "alert",
    [
        event(19),
        event(40, ndethist=100),
        event(40, ndethist=None),
        event(40, fid=1),
        event(40, fid=3),
        event(40, magpsf=None),
        {**event(40), "prv_candidates": None},
        {**event(40), "prv_candidates": []},
    ],
)
def test_what_does_not_meet_the_cuts_is_skipped(alert: dict) -> None:
    given = MODULE.compute(batch_of([alert, event()]))
    assert given[SKIPPED].tolist() == [True, False]
    assert given["mulens"][0].as_py() == 0


@pytest.mark.parametrize("field", ["magnr", "sigmagnr", "sigmapsf"])
@pytest.mark.parametrize("value", [None, math.nan])
def test_a_point_without_apparent_magnitude_leaves_nothing_to_find(field: str, value: float | None) -> None:
    spoilt, fine = event(), event()
    spoilt["prv_candidates"][3][field] = value
    given = MODULE.compute(batch_of([spoilt, fine]))
    assert given["mulens"].to_pylist() == [0, results([fine])[0]]
    assert not given[SKIPPED].any()


@pytest.mark.parametrize("changes", [{"magnr": -5.0}, {"isdiffpos": "f", "magpsf": 17.0}])
def test_a_point_with_a_negative_flux_leaves_nothing_to_find(changes: dict) -> None:
    alert = event()
    alert["prv_candidates"][3].update(changes)
    assert results([alert]) == [0]


def test_a_made_up_history_does_not_take_the_worker_along() -> None:
    long, too_long = results([event(2 * microlensing.MAX_POINTS), event(2 * microlensing.MAX_POINTS + 1)])
    assert long is not None
    assert too_long is None


def test_bad_numbers_neither_raise_nor_touch_other_alerts() -> None:
    good, spoilt = event(), []
    for field in (*MODULE.needs.history, *MODULE.needs.candidate):
        values: tuple = (None, math.nan, math.inf, -math.inf, 0.0, -999.0, 1e30, -1e30, 1e-30)
        if field in ("fid", "ndethist"):
            values = (None, 0, -999)
        if field == "isdiffpos":
            values = (None, "", "f")
        for value, where in itertools.product(values, ("all", "first", "half", "last")):
            alert = copy.deepcopy(good)
            points = [*alert["prv_candidates"], alert["candidate"]]
            for point in {"all": points, "first": points[:1], "half": points[::2], "last": points[-1:]}[where]:
                point[field] = value
            spoilt.append(alert)
    found = results([good, *spoilt, good])
    assert found[0] == found[-1] == results([good])[0]
    assert all(0 <= value <= 1 for value in found)


def test_an_empty_batch() -> None:
    assert results([]) == []


def test_no_alert_changes_another_to_the_last_bit(decoded: Callable) -> None:
    alerts = decoded("ztf_public_20231018") + decoded("ztf_real_packets")
    pipeline = Pipeline([MODULE])
    batch = struct_from_packets(alerts, pipeline.root_fields, pipeline.candidate_fields, pipeline.history_fields)

    def found(part: pa.StructArray) -> np.ndarray:
        return MODULE.compute(AlertBatch.from_struct(part))["mulens"].to_numpy()

    together = found(batch)
    eligible = np.flatnonzero(~MODULE.compute(AlertBatch.from_struct(batch))[SKIPPED])
    for row in eligible:
        assert found(batch.slice(row, 1)).tobytes() == together[row : row + 1].tobytes()
    random = np.random.default_rng(3)
    for _ in range(5):
        chosen = np.concatenate([random.integers(0, len(batch), 200), random.choice(eligible, 20)])
        random.shuffle(chosen)
        assert found(batch.take(pa.array(chosen))).tobytes() == together[chosen].tobytes()


# --- the textbook


def naive_peaks(y: np.ndarray) -> int:
    """Count peaks, one decision after the other."""
    step = np.sign(np.diff(y))
    if not step.any():
        return 0
    decided = step.copy()
    for flat, run in itertools.groupby(range(len(step)), key=lambda k: step[k] == 0):
        indices = list(run)
        if flat:
            before, after = indices[0] - 1, indices[-1] + 1
            for k in indices:
                if before < 0:
                    decided[k] = step[after]
                elif after == len(step) or k < np.median(indices):
                    decided[k] = step[before]
                else:
                    decided[k] = step[after]
    above = y > y.min() + 0.5 * (y.max() - y.min())
    left = [k for k in range(1, len(y) - 1) if decided[k - 1] > 0 and decided[k] < 0 and above[k]]
    kept = 0
    while left:
        top = max(left, key=lambda k: (y[k], k))
        left = [k for k in left if abs(k - top) > 10]
        kept += 1
    return kept


def naive_clusters(x: np.ndarray, limit: float) -> int:
    triples = sum(all(x[k : k + 3] <= limit) for k in range(len(x) - 2))
    return 0 if (x < limit).sum() < 3 else math.ceil(triples / 2)


def naive_sample_entropy(x: np.ndarray) -> float:
    def alike(length: int) -> int:
        windows = [x[k : k + length] for k in range(len(x) - length + 1)]
        return sum(max(abs(a - b)) <= 0.2 * x.std() for a, b in itertools.permutations(windows, 2))

    return -math.log(alike(3) / alike(2)) if alike(3) else math.inf


def naive_shannon_entropy(x: np.ndarray, e: np.ndarray, median: float) -> float:
    total = 0.0
    for value, error in [*zip(x + e, e, strict=True), *zip(x - e, e, strict=True)]:
        probabilities = [norm.cdf(value, median, median)]
        if value > 0:  # inverse Gaussian of this mean and shape
            root = math.sqrt(median / value)
            first, second = root * (value / median - 1), -root * (value / median + 1)
            probabilities.append(norm.cdf(first) + math.exp(2) * norm.cdf(second))
        total -= sum(2 * error * math.log2(p) for p in probabilities if p > 0)
    return total


def longest(chosen: np.ndarray) -> int:
    return max((len(list(run)) for true, run in itertools.groupby(chosen) if true), default=0)


def naive_features(magnitude: np.ndarray, error: np.ndarray) -> list[float]:
    """Return the features of one light curve as they stand in the definition."""
    f = 10 ** (-(magnitude - 24) / 2.5)
    x = f / f.max()
    e = error * f * np.log(10) / 2.5 * x / f
    n, mean, md, sd, d = len(x), x.mean(), np.median(x), x.std(), np.diff(x)
    amplitude = np.percentile(f, 98) - np.percentile(f, 2)
    values, counts = np.unique(x, return_counts=True)
    delta = np.sqrt(n / (n - 1)) * (x - md) / e
    product = delta[1:] * delta[:-1]
    j = (np.sign(product) * np.sqrt(abs(product))).sum()
    k = abs(delta).mean() / np.sqrt((delta**2).mean())
    bias = n * (n + 1) / ((n - 1) * (n - 2) * (n - 3))
    return [
        *((x > md + s * sd).sum() for s in (1, 3, 5)),
        (x**2).sum(), abs(d).sum(), amplitude,
        np.corrcoef(x[:-1], x[1:])[0, 1],
        *((x < md - s * sd).sum() for s in (1, 3, 5)),
        (x[:-2] * x[1:-1] * x[2:]).mean(), len(values) < n, counts[-1] > 1, counts[0] > 1,
        1 - x[::-1].argmax() / n, 1 - x[::-1].argmin() / n, np.sqrt((np.diff((x - mean) / sd) ** 2).sum()),
        naive_clusters(x, md - 3 * sd), naive_clusters(x, md - 2 * sd),
        (x > mean).sum(), (x < mean).sum(), x.argmax() / n, x.argmin() / n, np.trapezoid(x),
        bias * (((x - md) / sd) ** 4).sum() - 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)),
        longest(x > mean), longest(x < mean), abs(d).mean(), d.mean(), np.diff(d).mean() / 2,
        np.median(abs(x - md)),
        (abs(f - np.median(f)) < amplitude / 10).mean(), (f < np.median(f) - amplitude / 5).mean(),
        naive_peaks(abs(x - md)), (counts > 1).sum() / len(values), abs(md),
        naive_sample_entropy(x), naive_shannon_entropy(x, e, md),
        ((x - md) ** 3).mean() / sd**3, sd, sd / md, j, k, j * k / 0.798, x.sum(),
        (x[2:] ** 2 * x[1:-1] - x[1:-1] * x[:-2] ** 2).mean(), (d**2).sum() / (n - 1) / sd**2,
    ]  # fmt: skip


def curves_of(vectors: Sequence[tuple[np.ndarray, np.ndarray]]) -> RelativeFluxes:
    lengths = np.array([len(magnitude) for magnitude, _ in vectors])
    return RelativeFluxes(Ragged(lengths), *(np.concatenate(part) for part in zip(*vectors, strict=True)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(10, 60), min_size=1, max_size=8), st.integers(0, 999), st.booleans())
def test_the_features_are_those_of_the_definition(lengths: list[int], seed: int, repeated: bool) -> None:
    random = np.random.default_rng(seed)
    vectors = []
    for length in lengths:
        magnitude = random.normal(18.0, random.uniform(0.05, 0.8), length)
        if repeated:  # few different values: plateaus, repeated extremes, long courses that are alike
            magnitude = np.round(magnitude, 1)
        magnitude[:2] += [0.3, -0.3]  # never all equal
        vectors.append((magnitude, random.uniform(0.01, 0.2, length)))
    found = features_of(curves_of(vectors))
    for row, vector in zip(found, vectors, strict=True):
        wanted = np.array(naive_features(*vector), dtype=float)
        wanted[~np.isfinite(wanted)] = 0
        np.testing.assert_allclose(row, wanted, rtol=1e-9, atol=1e-9)
        assert features_of(curves_of([vector])).tobytes() == row.tobytes()


@given(st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=40), min_size=1, max_size=6))
def test_peaks_with_plateaus(vectors: list[list[int]]) -> None:
    cut = Ragged(np.array([len(vector) for vector in vectors]))
    found = count_peaks(cut, np.concatenate(vectors).astype(float))
    assert found.tolist() == [naive_peaks(np.array(vector, dtype=float)) for vector in vectors]


def test_a_constant_star_has_finite_features() -> None:
    (row,) = features_of(curves_of([(np.full(20, 18.0), np.full(20, 0.05))]))
    found = dict(zip(FEATURES, row, strict=True))
    assert np.isfinite(row).all()
    assert (found["sum"], found["has_repeated_maximum"], found["peaks"], found["skewness"]) == (20, 1, 0, 0)
    assert found["fraction_of_values_repeated"] == 1
