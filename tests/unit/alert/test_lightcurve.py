from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.alert.lightcurve import LightCurves, segment_reduce
from fink_broker.errors import DataError

MAGNITUDES = pa.list_(pa.float32())


def curves(history: list[list[float | None] | None], current: list[float | None]) -> LightCurves:
    columns = {"prv_magpsf": pa.array(history, MAGNITUDES), "magpsf": pa.array(current, pa.float32())}
    return LightCurves(columns, len(current))


def test_history_comes_first_then_the_current_value_and_null_is_nan() -> None:
    found = curves([[18.5, None], None, [], [19.25]], [17.0, 16.0, None, 15.0])
    assert found.offsets.tolist() == [0, 3, 4, 5, 7]
    np.testing.assert_array_equal(found.numbers("magpsf"), [18.5, np.nan, 17.0, 16.0, np.nan, 19.25, 15.0])
    assert found.owner.tolist() == [0, 0, 0, 1, 2, 3, 3]
    assert found.detections.tolist() == [2, 1, 0, 2]
    np.testing.assert_array_equal(found.before_last("magpsf"), [np.nan, np.nan, np.nan, 19.25])


def test_packet_floats_are_widened_not_rounded() -> None:
    assert curves([None], [18.1]).numbers("magpsf")[0] == float(np.float32(18.1))


def test_a_slice_of_a_batch_sees_its_own_alerts_only() -> None:
    whole = pa.StructArray.from_arrays(
        [pa.array([[1.0], None, [2.0, 3.0]], MAGNITUDES), pa.array([4.0, 5.0, 6.0])], names=["prv_magpsf", "magpsf"]
    )
    part = whole.slice(1, 2)
    found = LightCurves(dict(zip(part.type.names, part.flatten(), strict=True)), 2)
    assert found.numbers("magpsf").tolist() == [5.0, 2.0, 3.0, 6.0]


def test_texts_keep_nulls_and_order() -> None:
    columns = {"prv_isdiffpos": pa.array([["t", None], None], pa.list_(pa.string())), "isdiffpos": pa.array(["f", "t"])}
    assert LightCurves(columns, 2).texts("isdiffpos").to_pylist() == ["t", None, "f", "t"]


def test_histories_of_unlike_length_are_refused() -> None:
    columns = {
        "prv_jd": pa.array([[1.0, 2.0]]),
        "jd": pa.array([3.0]),
        "prv_magpsf": pa.array([[1.0]], MAGNITUDES),
        "magpsf": pa.array([3.0]),
    }
    with pytest.raises(DataError, match="history of magpsf"):
        LightCurves(columns, 1).numbers("magpsf")


@given(st.lists(st.lists(st.integers(-9, 9)), min_size=1))
def test_segments_are_reduced_each_on_its_own(segments: list[list[int]]) -> None:
    offsets = np.concatenate([[0], np.cumsum([len(segment) for segment in segments])]).astype(np.int64)
    values = np.array([value for segment in segments for value in segment], dtype=np.int64)
    assert segment_reduce(np.add, values, offsets, 0).tolist() == [sum(segment) for segment in segments]
    lowest = segment_reduce(np.minimum, values, offsets, 99).tolist()
    assert lowest == [min(segment, default=99) for segment in segments]
