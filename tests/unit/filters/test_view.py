"""What rules see of a batch: 64-bit numbers, null for what is missing, lists of the history, whatever the chunks."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from fink_broker.errors import ConfigError
from fink_broker.filters.view import AlertView, BySchema, all_paths

POINT = pa.struct([("jd", pa.float64()), ("magpsf", pa.float32()), ("fid", pa.int32())])
TABLE = pa.table(
    {
        "candid": pa.array([1, 2, 3], pa.int64()),
        "label": pa.array(["SN", None, "QSO"]).dictionary_encode(),
        "score": pa.array([0.5, math.nan, None], pa.float32()),
        "candidate": pa.array(
            [{"jd": 3.0, "magpsf": 18.25, "fid": 1}, None, {"jd": 4.0, "magpsf": math.nan, "fid": None}], POINT
        ),
        "prv_candidates": pa.array(
            [
                [{"jd": 1.0, "magpsf": None, "fid": 2}, {"jd": 2.0, "magpsf": 18.5, "fid": 1}],
                None,
                [{"jd": 3.5, "magpsf": math.nan, "fid": 2}],
            ],
            pa.list_(POINT),
        ),
    }
)
VIEWS = {
    "whole": TABLE,
    "in chunks": pa.concat_tables([TABLE[:1], TABLE[1:]]),
    "a slice": pa.concat_tables([TABLE[2:], TABLE]).combine_chunks()[1:],
}


@pytest.fixture(params=VIEWS)
def view(request: pytest.FixtureRequest) -> AlertView:
    return AlertView(VIEWS[request.param])


def test_columns_arrive_in_64_bits_with_null_for_nan(view: AlertView) -> None:
    assert len(view) == 3
    columns = {
        "score": (pa.float64(), [0.5, None, None]),
        "candidate.magpsf": (pa.float64(), [18.25, None, None]),
        "candidate.fid": (pa.int64(), [1, None, None]),
        "label": (pa.string(), ["SN", None, "QSO"]),
        "prv_candidates.magpsf": (pa.list_(pa.float64()), [[None, 18.5], None, [None]]),
        "prv_candidates.fid": (pa.list_(pa.int64()), [[2, 1], None, [2]]),
    }
    for path, (kind, values) in columns.items():
        assert AlertView.type_of(view.table.schema, path) == kind
        assert view.column(path).type == kind, path
        assert view.column(path).to_pylist() == values, path
        assert view.column(path) is view.column(path)


def test_numbers_texts_and_membership(view: AlertView) -> None:
    np.testing.assert_array_equal(view.numbers("candidate.fid"), [1, np.nan, np.nan])
    assert view.texts("label", missing="none").tolist() == ["SN", "none", "QSO"]
    assert view.is_in("label", ("SN", "AGN")).tolist() == [True, False, False]


def test_some_of_the_alerts(view: AlertView) -> None:
    some = view.take(np.array([2, 0]))
    assert some.column("candid").to_pylist() == [3, 1]
    assert some.column("prv_candidates.fid").to_pylist() == [[2], [2, 1]]


def test_an_optional_column_that_is_absent_is_null(view: AlertView) -> None:
    assert view.column("mulens").to_pylist() == [None] * 3
    assert view.column("mulens").type == pa.float64()


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("labels", r"no column 'labels'\. Did you mean 'label'"),
        ("candidate.magps", r"no column 'candidate\.magps'\. Did you mean 'candidate\.magpsf'"),
        ("label.x", r"no column 'label\.x'"),
        ("mulens.x", r"no column 'mulens\.x'"),
        ("cdsxmatch", r"The science module 'crossmatch' writes it"),
        ("lc_features_g.mean", r"The science module 'features' writes it"),
    ],
)
def test_a_column_that_is_not_there(view: AlertView, path: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        AlertView.type_of(view.table.schema, path)
    with pytest.raises(ConfigError, match=wrong):
        view.column(path)


def test_paths_of_all_columns() -> None:
    fields = ("jd", "magpsf", "fid")
    nested = [f"{name}.{field}" for name in ("candidate", "prv_candidates") for field in fields]
    assert all_paths(TABLE.schema) == ["candid", "label", "score", *nested]


def test_views_of_equal_schemas_share_the_schema() -> None:
    first, second = AlertView(TABLE[:1]), AlertView(pa.Table.from_pylist([], schema=pa.schema(list(TABLE.schema))))
    assert first.schema is second.schema
    assert AlertView(TABLE.select(["candid"])).schema is not first.schema


def test_what_is_cached_is_made_once_for_a_view() -> None:
    view, made = AlertView(TABLE), []

    def make(seen: AlertView) -> int:
        made.append(seen)
        return len(made)

    assert [view.cached("a", make), view.cached("a", make), view.cached("b", make)] == [1, 1, 2]
    assert made == [view, view]
    assert AlertView(TABLE).cached("a", make) == 3


def test_only_the_schemas_seen_last_are_kept() -> None:
    made: list[pa.Schema] = []
    by_schema: BySchema[int] = BySchema(lambda schema: made.append(schema) or len(made))
    schemas = [pa.schema([(f"x{number}", pa.int64())]) for number in range(20)]
    assert [by_schema[schema] for schema in [*schemas, *schemas[-5:]]] == [*range(1, 21), *range(16, 21)]
    assert by_schema[pa.schema([("x0", pa.int64())])] == 21
    assert len(by_schema._entries) == 8
