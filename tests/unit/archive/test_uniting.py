"""Schemas of alerts brought to one without losing a value."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fink_broker.archive.uniting import conform, families, family_of, united

TIME = pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.null(), pa.string(), pa.string()),
        (TIME, pa.timestamp("ns", "UTC"), pa.timestamp("ns", "UTC")),
        (pa.list_(pa.int32()), pa.list_(pa.int64()), pa.list_(pa.int64())),
        (pa.map_(pa.string(), pa.int32()), pa.map_(pa.string(), pa.int64()), pa.map_(pa.string(), pa.int64())),
        (
            pa.struct([("a", pa.int32())]),
            pa.struct([("b", pa.string()), ("a", pa.int64())]),
            pa.struct([("a", pa.int64()), ("b", pa.string())]),
        ),
        (pa.int64(), pa.float64(), None),
        (pa.int64(), pa.string(), None),
        (pa.list_(pa.int64()), pa.int64(), None),
        (pa.list_(pa.int64()), pa.list_(pa.string()), None),
        (TIME, pa.timestamp("us"), None),
    ],
)
def test_types(one: pa.DataType, other: pa.DataType, both: pa.DataType | None) -> None:
    assert united(one, other) == both
    turned = united(other, one)
    assert (turned is None) == (both is None)
    if both is not None and not pa.types.is_struct(both):
        assert turned == both


def test_values_stay_what_they_are() -> None:
    narrow = pa.table(
        {
            "list": pa.array([[{"x": 1}], None, [], [{"x": None}, None]], pa.list_(pa.struct([("x", pa.int32())]))),
            "map": pa.array([[("k", 1)], None, [], [("l", None)]], pa.map_(pa.string(), pa.int32())),
            "group": pa.array([{"a": 1}, None, {"a": None}, {"a": 4}], pa.struct([("a", pa.int32())])),
            "nothing": pa.nulls(4),
        }
    )
    wide = pa.table(
        {
            "group": pa.array([{"b": "x", "a": 2**40}], pa.struct([("b", pa.string()), ("a", pa.int64())])),
            "list": pa.array([[{"y": 2.5, "x": 7}]], pa.list_(pa.struct([("y", pa.float64()), ("x", pa.int64())]))),
            "map": pa.array([[("k", 2**40)]], pa.map_(pa.string(), pa.int64())),
            "nothing": pa.array(["something"]),
        }
    )
    (schema,) = families([narrow.schema, wide.schema])
    assert family_of(narrow.schema, [schema]) == family_of(wide.schema, [schema]) == 0
    found = pa.concat_tables([conform(narrow, schema), conform(narrow.slice(1, 3), schema), conform(wide, schema)])
    found.validate(full=True)
    rows = found.to_pylist()
    assert rows[0] == {
        "list": [{"x": 1, "y": None}], "map": [("k", 1)], "group": {"a": 1, "b": None}, "nothing": None,
    }  # fmt: skip
    assert rows[1] == {"list": None, "map": None, "group": None, "nothing": None}
    assert rows[3]["list"] == [{"x": None, "y": None}, None]
    assert rows[1:4] == rows[4:7]
    assert rows[7] == {
        "list": [{"x": 7, "y": 2.5}], "map": [("k", 2**40)], "group": {"a": 2**40, "b": "x"}, "nothing": "something",
    }  # fmt: skip


def test_a_schema_nobody_looked_at_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody has looked at"):
        family_of(pa.schema([("a", pa.int32()), ("new", pa.int32())]), families([pa.schema([("a", pa.int32())])]))
