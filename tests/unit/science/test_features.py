"""Light-curve features: production's numbers, hostile curves, and a curve the extractor chokes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import light_curve as lc
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fink_broker.config import Config
from fink_broker.errors import DataError
from fink_broker.science import features
from fink_broker.science.features import BANDS, COLUMNS, FEATURES, BandCurves
from fink_broker.science.outcome import SKIPPED
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.testing import batch_of, check_pipeline, hostile_light_curves, ordinary_alert

SETS = {
    "science_real": "ztf_real_packets",
    "science_20231018": "ztf_public_20231018",
    "science_20231018_retimed": "ztf_public_20231018_retimed",
}
Packet = dict[str, Any]
HOSTILE = hostile_light_curves()


@pytest.fixture(scope="module")
def alone() -> Pipeline:
    return Pipeline([features.build(Config())])


def matrix(values: Sequence[Any]) -> np.ndarray:
    """Return one row an alert, null as a row of NaN."""
    return np.array([np.full(len(FEATURES), np.nan) if value is None else list(value) for value in values])


def run(pipeline: Pipeline, packets: Sequence[Packet], column: str) -> list[list[float] | None]:
    structs = pipeline.run(batch_of(pipeline, packets)).field(column).to_pylist()
    return [None if struct is None else list(struct.values()) for struct in structs]


@pytest.mark.parametrize("expected_set", SETS)
def test_features_are_those_of_production(
    alone: Pipeline, decoded: Callable, shared_data: Path, expected_set: str
) -> None:
    packets = decoded(SETS[expected_set])
    table = pd.read_parquet(shared_data / "expected" / f"{expected_set}.parquet").set_index("candid")
    for column in COLUMNS:
        found, expected = run(alone, packets, column), list(table[column].loc[[p["candid"] for p in packets]])
        assert [value is None for value in found] == [value is None for value in expected]
        found_values, expected_values = matrix(found), matrix(expected)
        np.testing.assert_array_equal(np.isnan(found_values), np.isnan(expected_values))
        with np.errstate(invalid="ignore"):
            beyond = np.abs(found_values - expected_values) > 1e-6 * np.abs(expected_values)
        # The slope through points minutes apart turns the last digit of an error into a thousandth: on a processor
        # that rounds powers of ten otherwise it may move by a little of its own error, in three curves at most.
        slope, slope_error = (FEATURES.index(name) for name in ("linear_fit_slope", "linear_fit_slope_sigma"))
        off = beyond[:, slope]
        moved = np.abs(found_values - expected_values)[off, slope]
        assert off.sum() <= 3
        assert (moved < 1e-3 * expected_values[off, slope_error]).all()
        assert not np.delete(beyond, slope, axis=1).any()
        assert (~np.isnan(expected_values)).sum() > 4000


def plain_features(packet: Packet, fid: int) -> list[float] | None:
    """Compute the features of one band of one alert, one step of the description after the other."""
    points = [*(packet["prv_candidates"] or []), packet["candidate"]]
    table = pd.DataFrame([{name: point[name] for name in features_fields()} for point in points])
    if not (table["fid"] == fid).any():
        return None
    numbers = table.drop(columns="isdiffpos").astype(float)
    # 32-bit fields, as packets have them
    numbers.loc[:, numbers.columns != "jd"] = numbers.loc[:, numbers.columns != "jd"].astype(np.float32).astype(float)
    numbers["sign"] = np.where(table["isdiffpos"].isin(["t", "1"]), 1.0, -1.0)
    numbers = numbers[np.isfinite(numbers["magpsf"]) & np.isfinite(numbers["sigmapsf"])]
    if numbers["distnr"].between(0, 1.5).any():
        flux, reference = 10 ** (-0.4 * numbers["magpsf"].to_numpy()), 10 ** (-0.4 * numbers["magnr"].to_numpy())
        error = np.sqrt((numbers["sigmapsf"] / 1.0857 * flux) ** 2 + (numbers["sigmagnr"] / 1.0857 * reference) ** 2)
        total = reference + numbers["sign"] * flux
        total[(total < 0) | (numbers["magnr"] < 0)] = np.nan
        numbers["magpsf"], numbers["sigmapsf"] = -2.5 * np.log10(total), error / total * 1.0857
    numbers = numbers[numbers["magpsf"].notna() & numbers["sigmapsf"].notna()]
    numbers = numbers.sort_values("jd", kind="stable").drop_duplicates(["jd", "fid"])
    band = numbers[numbers["fid"] == fid]
    arrays = [np.ascontiguousarray(band[name]) for name in ("jd", "magpsf", "sigmapsf")]
    if not all(np.isfinite(array).all() for array in arrays) or (arrays[0] > 1e9).any():
        return None
    return list(extractor()(*arrays, fill_value=np.nan, sorted=True, check=True)) if len(band) else [np.nan] * 26


def features_fields() -> tuple[str, ...]:
    return features.build(Config()).needs.history


def extractor() -> lc.Extractor:
    return features._extractor()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("band", BANDS)
def test_hostile_light_curves_have_the_features_of_the_plain_description(alone: Pipeline, band: str) -> None:
    found = run(alone, list(HOSTILE.values()), f"lc_features_{band}")
    for (what, packet), values in zip(HOSTILE.items(), found, strict=True):
        expected = plain_features(packet, BANDS[band])
        assert (values is None) == (expected is None), what
        if expected is not None:
            # of huge numbers and of errors of zero nothing exact can be asked but that they are what they are
            np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-9, err_msg=what)


def test_each_alert_is_on_its_own(alone: Pipeline, decoded: Callable) -> None:
    check_pipeline(alone, decoded("ztf_public_20231018_retimed")[:150])


def test_each_made_up_alert_is_on_its_own(alone: Pipeline) -> None:
    check_pipeline(alone, [ordinary_alert(1000 + points, points) for points in range(60)])


def test_an_alert_without_either_band_is_skipped_and_an_upper_limit_makes_a_band_present(alone: Pipeline) -> None:
    names = ["i band only", "no such band", "g band only", "all upper limits"]
    result = alone.run(batch_of(alone, [HOSTILE[name] for name in names]))
    assert result.field(SKIPPED).to_pylist() == [["features"], ["features"], [], []]
    assert [value is not None for value in result.field("lc_features_g").to_pylist()] == [False, False, True, True]
    assert [value is not None for value in result.field("lc_features_r").to_pylist()] == [False, False, False, True]
    limits = result.field("lc_features_r").to_pylist()[3]
    assert list(limits) == list(FEATURES)
    assert all(np.isnan(value) for value in limits.values())


def curves_of(lengths: Sequence[int]) -> BandCurves:
    random = np.random.default_rng(0)
    total = sum(lengths)
    jd = np.concatenate([np.sort(random.uniform(2460000, 2460100, length)) for length in lengths])
    curve = np.repeat(np.arange(len(lengths)), lengths)
    return BandCurves(curve, jd, random.normal(18, 1, total), random.uniform(0.01, 0.3, total))


class Panic(BaseException):
    """What a panic of compiled code becomes: no Exception."""


class Choking:
    """An extractor that panics where a light curve has 7 points."""

    def many(self, curves: pa.ListArray, **how: Any) -> np.ndarray:
        if 7 in np.diff(curves.offsets):
            raise Panic("unwrap of nothing")
        return extractor().many(curves, **how)


def test_a_curve_the_extractor_panics_on_leaves_its_neighbours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [4, 7, 0, 1, 30, 7, 7, 12, 0]
    plain, failed = features.extract(curves_of(lengths), len(lengths))
    assert not failed.any()
    real, choking = features._extractor(), Choking()
    monkeypatch.setitem(globals(), "extractor", lambda: real)
    monkeypatch.setattr(features, "_extractor", lambda: choking)
    found, failed = features.extract(curves_of(lengths), len(lengths))
    assert failed.tolist() == [length == 7 for length in lengths]
    assert np.isnan(found[:, failed]).all()
    assert found[:, ~failed].tobytes() == plain[:, ~failed].tobytes()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_stop_is_no_bad_curve(monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]) -> None:
    class Stopping:
        def many(self, *_: Any, **__: Any) -> None:
            raise stop

    monkeypatch.setattr(features, "_extractor", Stopping)
    with pytest.raises(stop):
        features.extract(curves_of([3, 3]), 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [("jd", np.nan), ("jd", np.inf), ("jd", 1e30), ("mag", np.inf), ("error", np.inf), ("error", 1e200)],
)
def test_a_curve_out_of_any_physical_range_has_no_features(field: str, value: float) -> None:
    points = curves_of([5, 6, 7])
    plain, _ = features.extract(points, 3)
    getattr(points, field)[10] = value  # last point of the second curve
    found, failed = features.extract(points, 3)
    assert failed.tolist() == [False, True, False]
    assert found[:, [0, 2]].tobytes() == plain[:, [0, 2]].tobytes()


def test_times_that_coincide_for_the_fit_have_no_features() -> None:
    points = BandCurves(np.zeros(2, dtype=np.int64), np.array([0.0, 5e-324]), np.full(2, 18.0), np.full(2, 0.1))
    _, failed = features.extract(points, 1)
    assert failed.tolist() == [True]


def test_another_extractor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        names = ("mean",)

        def __init__(self, *_: Any) -> None:
            pass

    monkeypatch.setattr(lc, "Extractor", Other)
    with pytest.raises(DataError, match="pip install light-curve"):
        features._extractor.__wrapped__()


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    code = (
        "import sys; from fink_broker.config import Config; from fink_broker.science import anomaly, features; "
        "features.build(Config()); anomaly.build(Config()); "
        "sys.exit(' '.join({'light_curve', 'onnxruntime'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr.strip(), done.returncode) == ("", 0)
