"""slsn_score: -1 without a classifier, and what a classifier of the user's own is given."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fink_broker.config import Config
from fink_broker.config.model import ScienceConfig
from fink_broker.errors import ConfigError
from fink_broker.science import asteroids, superluminous, transient
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import SKIPPED, Needs
from fink_broker.science.outcome import FAILED
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.testing import NOW, batch_of, check_pipeline, ordinary_alert

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

PLACE = "superluminous_of_a_test:make"


class MeanMagnitude:
    """Scores by the mean magnitude; not a classifier, but a number of the alert alone."""

    digests = ("0" * 64,)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.calls: list[np.ndarray] = []

    def __call__(self, batch: AlertBatch, eligible: np.ndarray) -> np.ndarray:
        self.calls.append(eligible)
        curves = batch.curves
        chosen = curves.is_detection
        return curves.reduce(np.add, np.where(chosen, curves.numbers("magpsf"), 0.0)) / curves.count(chosen)


@pytest.fixture
def pipeline_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Pipeline]:
    """Return a function that gives a pipeline with a function as the maker of the classifier."""

    def make(function: Any) -> Pipeline:
        module = types.ModuleType("superluminous_of_a_test")
        module.make = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "superluminous_of_a_test", module)
        config = Config(science=ScienceConfig(superluminous_classifier=PLACE))
        return Pipeline([build(config) for build in (asteroids.build, transient.build, superluminous.build)])

    return make


def slow_transient(points: int = 20, days: float = 40.0, bands: Sequence[int] = (1, 2)) -> dict:
    """An alert that is a transient by all rules, with detections spread over its last month."""
    alert = ordinary_alert(points=points)
    for k, point in enumerate(alert["prv_candidates"]):
        point |= {"jd": NOW - 30 + k, "fid": bands[k % len(bands)]}
    alert["candidate"] |= {"jdstarthist": NOW - days, "ssdistnr": -999.0, "magpsf": 18.0, "fid": bands[0]}
    return alert


def scores(pipeline: Pipeline, packets: Sequence[dict]) -> list[float | None]:
    result = pipeline.run(batch_of(pipeline, packets))
    assert not any(result.field(FAILED).to_pylist())
    return result.field("slsn_score").to_pylist()


def test_without_a_classifier_nothing_is_read_and_all_are_left_out() -> None:
    module = superluminous.build(Config())
    assert module.needs == Needs()
    assert module.digests() == ()
    pipeline = Pipeline([module])
    batch = batch_of(pipeline, [ordinary_alert(), slow_transient()])
    given = module.compute(AlertBatch.from_struct(batch))
    assert list(given["slsn_score"]) == [-1, -1]
    assert given[SKIPPED].all()


def test_a_classifier_scores_slow_transients(pipeline_with: Callable) -> None:
    made: list[MeanMagnitude] = []

    def make(config: Config) -> MeanMagnitude:
        made.append(MeanMagnitude(config))
        return made[-1]

    pipeline = pipeline_with(make)
    slow = slow_transient()
    found = scores(pipeline, [ordinary_alert(), slow, slow_transient(days=29.0)])
    magnitudes = [point["magpsf"] for point in [*slow["prv_candidates"], slow["candidate"]]]
    assert found == [-1, pytest.approx(np.mean(magnitudes), rel=1e-6), -1]
    scores(pipeline, [slow])
    scores(pipeline, [ordinary_alert()])
    # made once, with the configuration, and not called where there is nothing to score
    assert [classifier.config.science.superluminous_classifier for classifier in made] == [PLACE]
    assert [list(mask) for mask in made[0].calls] == [[False, True, False], [True]]
    assert pipeline.modules[-1].digests() == MeanMagnitude.digests


@pytest.mark.parametrize(
    ("alert", "chosen"),
    [
        (slow_transient(), True),
        (slow_transient(days=30.0), True),
        (slow_transient(days=29.9), False),
        (slow_transient(points=6), True),
        (slow_transient(points=5), False),
        (slow_transient(bands=(1, 1, 1, 1, 2), points=14), False),
        (slow_transient(bands=(1, 1, 1, 1, 2), points=15), True),
        (slow_transient(bands=(1,)), False),
        (slow_transient(bands=(1, 3)), False),
    ],
)
def test_which_alerts_are_scored(pipeline_with: Callable, alert: dict, chosen: bool) -> None:
    (found,) = scores(pipeline_with(MeanMagnitude), [alert])
    assert (found != -1) == chosen


def test_upper_limits_are_no_points(pipeline_with: Callable) -> None:
    alert = slow_transient(points=8)
    for point in alert["prv_candidates"][:2]:
        point |= {"magpsf": None}
    pipeline = pipeline_with(MeanMagnitude)
    assert scores(pipeline, [alert]) != [-1]
    alert["prv_candidates"][2] |= {"magpsf": None}
    assert scores(pipeline, [alert]) == [-1]


def test_a_score_that_cannot_be_told_is_not_a_number(pipeline_with: Callable) -> None:
    pipeline = pipeline_with(lambda _config: lambda batch, _eligible: [np.inf] * len(batch))
    (found,) = scores(pipeline, [slow_transient()])
    assert np.isnan(found)


def test_a_classifier_of_other_length_is_told_and_spoils_no_other_alert(pipeline_with: Callable) -> None:
    pipeline = pipeline_with(lambda _config: lambda _batch, _eligible: [0.5, 0.5, 0.5])
    result = pipeline.run(batch_of(pipeline, [slow_transient(), ordinary_alert()]))
    assert result.field(FAILED).to_pylist() == [["superluminous"], []]
    assert result.field("slsn_score").to_pylist() == [None, -1]


@pytest.mark.parametrize("function", [lambda _config: 1 / 0, lambda _config: "no function", "no function", None])
def test_what_is_no_classifier_is_told_before_the_first_alert(pipeline_with: Callable, function: Any) -> None:
    with pytest.raises(ConfigError, match="superluminous"):
        pipeline_with(function).prepare()


@pytest.mark.parametrize("place", ["nowhere_at_all:make", "no_colon"])
def test_a_place_where_there_is_nothing_is_told(place: str) -> None:
    with pytest.raises(ConfigError, match=r"science\.superluminous_classifier"):
        superluminous.build(Config(science=ScienceConfig(superluminous_classifier=place))).prepare()


def test_each_alert_on_its_own(pipeline_with: Callable, decoded: Callable) -> None:
    alerts = decoded("ztf_public_20231018_retimed")[:150]
    check_pipeline(pipeline_with(MeanMagnitude), [*alerts, slow_transient(), slow_transient(points=30)])


def test_only_transients_of_production_are_scored(
    pipeline_with: Callable, decoded: Callable, shared_data: Path
) -> None:
    alerts = decoded("ztf_real_packets")
    expected = pd.read_parquet(shared_data / "expected" / "science_real.parquet").set_index("candid")
    is_transient = expected.loc[[alert["candid"] for alert in alerts], "is_transient"].to_numpy()
    chosen = np.array(scores(pipeline_with(MeanMagnitude), alerts)) != -1
    assert chosen.any()
    assert is_transient[chosen].all()
