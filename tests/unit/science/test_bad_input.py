"""No alert spoils another, and no value raises."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from fink_broker.science.pipeline import Pipeline
from fink_broker.science.testing import BAD_NUMBERS, check_pipeline

SET = "ztf_public_20231018_retimed"
#: Values of fields that hold no number with a fraction.
BAD_VALUES = dict.fromkeys(("fid", "ndethist"), (None, 0, -999)) | {"isdiffpos": (None, "", "2", "true")}


def rows(result: pa.StructArray) -> list[dict]:
    return result.to_pylist()


def same_bits(left: pa.StructArray, right: pa.StructArray) -> bool:
    """Compare exactly; NaN equals NaN."""
    return repr(rows(left)) == repr(rows(right))


@pytest.fixture(scope="module")
def alerts(decoded: Callable, batch_of: Callable) -> pa.StructArray:
    return batch_of(decoded(SET)[:200])


def test_an_alert_alone_gives_the_same_bits_as_in_a_batch(alerts: pa.StructArray, pipeline: Pipeline) -> None:
    together = pipeline.run(alerts)
    for row in range(0, len(alerts), 7):
        assert same_bits(pipeline.run(alerts.slice(row, 1)), together.slice(row, 1))


@pytest.mark.parametrize("seed", range(5))
def test_order_and_batch_mates_do_not_matter(alerts: pa.StructArray, pipeline: Pipeline, seed: int) -> None:
    together = pipeline.run(alerts)
    random = np.random.default_rng(seed)
    # with repetitions: duplicate candids in a batch are alerts of their own
    chosen = pa.array(random.integers(0, len(alerts), size=int(random.integers(2, 300))))
    assert same_bits(pipeline.run(alerts.take(chosen)), together.take(chosen))


def test_bad_numbers_in_every_field_neither_raise_nor_touch_other_alerts(
    decoded: Callable, batch_of: Callable, pipeline: Pipeline
) -> None:
    good = max(decoded(SET)[:50], key=lambda packet: len(packet["prv_candidates"] or []))
    spoilt = []
    for field in pipeline.candidate_fields:
        for value in BAD_VALUES.get(field, BAD_NUMBERS):
            packet = copy.deepcopy(good)
            packet["candidate"][field] = value
            spoilt.append(packet)
            if field in pipeline.history_fields:
                packet = copy.deepcopy(packet)
                for point in packet["prv_candidates"]:
                    point[field] = value
                spoilt.append(packet)
    alone = rows(pipeline.run(batch_of([good])))[0]
    result = pipeline.run(batch_of([good, *spoilt, good]))
    assert not any(result.field("science_failed").to_pylist())
    assert repr(rows(result)[0]) == repr(rows(result)[-1]) == repr(alone)
    for name in ("snn_snia_vs_nonia", "snn_sn_vs_all"):
        scores = [score for score in result.field(name).to_pylist() if score is not None]
        assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("position", [None, math.nan, math.inf, 400.0])
def test_a_position_off_the_sky_matches_nothing(
    decoded: Callable, batch_of: Callable, pipeline: Pipeline, position: float | None
) -> None:
    packet = copy.deepcopy(decoded(SET)[0])
    packet["candidate"]["dec"] = position
    (found,) = rows(pipeline.run(batch_of([packet])))
    labels = {found[name] for name in ("cdsxmatch", "gcvs", "vsx", "x3hsp", "x4lac")}
    assert labels == {"Unknown"}
    assert found["tns"] == ""
    assert {value for _, value in found["mangrove"]} == {"None"}


@pytest.mark.parametrize("history", [None, []])
def test_an_alert_without_history_has_its_own_point_only(
    decoded: Callable, batch_of: Callable, pipeline: Pipeline, history: list | None
) -> None:
    packet = {**decoded(SET)[0], "prv_candidates": history}
    (found,) = rows(pipeline.run(batch_of([packet])))
    assert found["nalerthist"] == 1
    assert found["snn_snia_vs_nonia"] == 0
    assert not found["science_failed"]


@pytest.mark.parametrize(("points", "scored"), [(500, True), (2000, False)])
def test_a_very_long_history(
    decoded: Callable, batch_of: Callable, pipeline: Pipeline, points: int, scored: bool
) -> None:
    packet = copy.deepcopy(decoded(SET)[0])
    packet["candidate"].update(jd=2460000.5, jdstarthist=2459990.5, ssdistnr=-999.0)
    point = {"jd": 0.0, "fid": 1, "magpsf": 19.0, "sigmapsf": 0.1}
    packet["prv_candidates"] = [{**point, "jd": 2460000.5 - points + k} for k in range(points)]
    (found,) = rows(pipeline.run(batch_of([packet])))
    assert found["nalerthist"] == points + 1
    assert (found["snn_sn_vs_all"] is not None) == scored


def test_every_module_is_defined_on_hostile_light_curves_and_independent_of_batch_mates(
    decoded: Callable, pipeline: Pipeline
) -> None:
    check_pipeline(pipeline, decoded(SET)[100:120])


def test_an_empty_batch_gives_an_empty_answer_of_the_right_type(batch_of: Callable, pipeline: Pipeline) -> None:
    result = pipeline.run(batch_of([]))
    assert len(result) == 0
    assert result.type == pipeline.output_type
