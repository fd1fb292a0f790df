from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.portal.formats import FORMATS, pieces_of, with_text_identifiers
from fink_broker.portal.formats.votable_rows import identifier

ROWS = pa.table(
    {
        "i:candid": pa.array([2**62 + 1, None, 3], pa.int64()),
        "i:fid": pa.array([1, 2, None], pa.int32()),
        "i:ra": pa.array([284.6506076, math.nan, None]),
        "i:exptime": pa.array([30.0, -0.0, 1e300]),
        "i:aimagerat": pa.array([0.33816424, 1e-7, None], pa.float32()),
        "d:from_upper": pa.array([True, False, None]),
        "d:vsx": pa.array(['a "quoted" \\ text,\nwith <all> & 日本', "", None]),
        "v:sigma(g-r)": pa.array([[1.5, None], [], None], pa.list_(pa.float64())),
        "b:cutoutScience_stampData": pa.array([[[1.0, math.nan], [3.0]], None, []], pa.list_(pa.list_(pa.float32()))),
        "d:names": pa.array([["a,b", '"'], None, [None]], pa.list_(pa.string())),
        "d:mangrove": pa.array([{"lum": 1.5}, None, {"lum": None}], pa.struct([("lum", pa.float64())])),
        "d:kind": pa.array(["x", None, "x"]).dictionary_encode(),
        "d:nothing": pa.nulls(3),
    }
)


def written(name: str, *tables: pa.Table) -> bytes:
    return b"".join(pieces_of(FORMATS[name], tables))


def read_json(*tables: pa.Table) -> list[dict[str, object]]:
    return json.loads(written("json", *tables), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_json_holds_every_value_as_what_it_is() -> None:
    first, second, third = read_json(ROWS)
    assert first == {
        "i:candid": 2**62 + 1,
        "i:fid": 1,
        "i:ra": 284.6506076,
        "i:exptime": 30.0,
        "i:aimagerat": 0.33816424,
        "d:from_upper": True,
        "d:vsx": 'a "quoted" \\ text,\nwith <all> & 日本',
        "v:sigma(g-r)": [1.5, None],
        "b:cutoutScience_stampData": [[1.0, None], [3.0]],
        "d:names": ["a,b", '"'],
        "d:mangrove": {"lum": 1.5},
        "d:kind": "x",
        "d:nothing": None,
    }
    assert type(first["i:exptime"]) is float
    assert second["i:ra"] is second["i:candid"] is second["d:names"] is None
    assert (second["d:vsx"], second["v:sigma(g-r)"], second["i:aimagerat"]) == ("", [], 1e-7)
    assert third["d:names"] == [None]
    assert third["i:exptime"] == 1e300


def test_json_has_at_most_ten_decimals() -> None:
    (row,) = read_json(pa.table({"a": [1 / 3], "b": [2459458.7345023], "c": [1e-12]}))
    assert row == {"a": 0.3333333333, "b": 2459458.7345023, "c": 0.0}


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1) | st.none(), st.floats(width=32), st.text(st.characters(codec="utf-8"))
        ),
        max_size=20,
    )
)
def test_json_equals_what_python_writes(rows: list[tuple[int | None, float, str]]) -> None:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    table = pa.table(
        {
            "n": pa.array(columns[0], pa.int64()),
            "x": pa.array(columns[1], pa.float32()),
            "t": pa.array(columns[2], pa.string()),
        }
    )
    expected = [{"n": n, "x": x if math.isfinite(x) else None, "t": t} for n, x, t in rows]
    found = read_json(table)
    for row in found:
        if row["x"] is not None:
            row["x"] = float(np.float32(row["x"]))
    assert found == expected


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\x00\r")), st.floats(width=32), st.booleans()
        ),
        min_size=1,
        max_size=20,
    )
)
def test_csv_reads_back(rows: list[tuple[str, float, bool]]) -> None:
    texts, numbers, flags = zip(*rows, strict=True)
    table = pa.table({"t,": pa.array(texts), "x": pa.array(numbers, pa.float32()), "b": pa.array(flags)})
    frame = pd.read_csv(
        io.BytesIO(written("csv", table)), keep_default_na=False, na_values={"x": [""]}, dtype={"t,": str}
    )
    assert list(frame["t,"]) == list(texts)
    assert list(frame["b"]) == list(flags)
    np.testing.assert_array_equal(frame["x"].astype("f4"), [x if math.isfinite(x) else math.nan for x in numbers])


def test_csv_writes_lists_as_json_and_no_index() -> None:
    lines = written("csv", ROWS.select(["i:candid", "v:sigma(g-r)", "d:from_upper"])).decode().splitlines()
    assert lines == ["i:candid,v:sigma(g-r),d:from_upper", f'{2**62 + 1},"[1.5,null]",True', ",[],False", "3,,"]


def test_parquet_keeps_types() -> None:
    table = pq.read_table(io.BytesIO(written("parquet", ROWS)))
    assert table.column_names == ROWS.column_names
    for name in ("i:candid", "i:fid", "i:aimagerat", "v:sigma(g-r)", "d:from_upper"):
        assert table[name].type == ROWS[name].type
        assert table[name].to_pylist() == ROWS[name].to_pylist()


def test_a_votable_is_read_by_astropy() -> None:
    table = Table.read(io.BytesIO(written("votable", ROWS)), format="votable")
    assert table.colnames == [identifier(name) for name in ROWS.column_names]
    assert table["i_ra"][0] == 284.6506076
    assert table["i_candid"][0] == 2**62 + 1
    assert table["i_candid"].mask.tolist() == [False, True, False]
    assert table["i_aimagerat"].dtype == np.float32
    assert table["d_from_upper"][0] == True  # noqa: E712
    assert table["d_vsx"][0] == ROWS["d:vsx"][0].as_py()
    np.testing.assert_array_equal(table["v_sigma_g-r_"][0], [1.5, math.nan])


def test_identifiers_of_a_votable_are_those_of_xml() -> None:
    assert identifier("i:ra") == "i_ra"
    assert identifier("v:sigma(rate(g-r))") == "v_sigma_rate_g-r__"
    assert identifier("1a") == "_1a"


@pytest.mark.parametrize("tables", [[], [ROWS.schema.empty_table()]])
def test_an_answer_without_rows(tables: list[pa.Table]) -> None:
    assert written("json", *tables) == b"[]"
    assert written("csv", *tables) == b"\n"
    assert pq.read_table(io.BytesIO(written("parquet", *tables))).num_rows == 0
    assert len(Table.read(io.BytesIO(written("votable", *tables)), format="votable")) == 0


@pytest.mark.parametrize("name", FORMATS)
def test_rows_in_pieces_are_the_rows_as_a_whole(name: str) -> None:
    empty = ROWS.schema.empty_table()
    pieces = [empty, ROWS.slice(0, 1), empty, ROWS.slice(1), empty]
    if name == "parquet":
        apart, together = (pq.read_table(io.BytesIO(written(name, *some))) for some in (pieces, [ROWS]))
        assert repr(apart.to_pylist()) == repr(together.to_pylist())
    else:
        assert written(name, *pieces) == written(name, ROWS)


@pytest.mark.parametrize("name", FORMATS)
def test_rows_without_columns_do_not_multiply(name: str) -> None:
    assert len(written(name, ROWS.select([]))) < 1000
    assert json.loads(written("json", ROWS.select([]))) == [{}, {}, {}]


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_written_before_the_first_rows_are_there(name: str) -> None:
    def tables() -> Iterator[pa.Table]:
        raise LookupError
        yield ROWS

    with pytest.raises(LookupError):
        next(pieces_of(FORMATS[name], tables()))


def test_rows_are_closed_with_their_answer() -> None:
    closed = []

    def tables() -> Iterator[pa.Table]:
        try:
            while True:
                yield ROWS
        finally:
            closed.append(True)

    pieces = pieces_of(FORMATS["json"], tables())
    next(pieces)
    pieces.close()
    assert closed == [True]


@pytest.mark.parametrize("name", FORMATS)
def test_memory_does_not_grow_with_the_answer(name: str) -> None:
    table = pa.table({f"d:x{n}": np.random.default_rng(n).normal(size=20_000) for n in range(20)})
    before, high = pa.total_allocated_bytes(), 0
    size = 0
    for piece in pieces_of(FORMATS[name], (table for _ in range(7))):
        size += len(piece)
        high = max(high, pa.total_allocated_bytes() - before)
    assert size > 20 * 1024 * 1024
    assert high < 12 * 1024 * 1024


def test_identifiers_become_texts_where_asked() -> None:
    table = with_text_identifiers(ROWS)
    assert table["i:candid"].to_pylist() == [str(2**62 + 1), None, "3"]
    assert table["i:fid"].type == pa.int32()


def test_json_is_fast() -> None:
    """A light curve of 1,575 alerts and 160 columns takes some 50 ms; three times that is a fault."""
    rng = np.random.default_rng(1)
    columns = {f"i:f{n}": pa.array(rng.normal(size=1575).astype("f4")) for n in range(70)}
    columns |= {f"d:x{n}": pa.array(rng.normal(size=1575)) for n in range(60)}
    columns |= {f"d:t{n}": pa.array(["Unknown"] * 1575) for n in range(30)}
    table = pa.table(columns)
    seconds = []
    for _ in range(5):
        begun = time.process_time()
        written("json", table)
        seconds.append(time.process_time() - begun)
    assert min(seconds) < 0.15
