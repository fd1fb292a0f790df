"""Tables of any types and any values: the same bytes as fastavro, and the same values when it reads them back."""

import io
import math

import fastavro
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fink_broker.alert.wire import encode
from fink_broker.alert.wire_schema import wire_schema

INTEGERS = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}
LEAVES = [
    *INTEGERS, pa.uint8(), pa.uint32(), pa.bool_(), pa.float32(), pa.float64(), pa.string(), pa.large_string(),
    pa.binary(), pa.large_binary(), pa.dictionary(pa.int16(), pa.string()), pa.null(),
]  # fmt: skip
TEXTS = st.one_of(st.text(max_size=5), st.text(min_size=60, max_size=70), st.just("é" * 200), st.just("z" * 9000))


def nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
        st.lists(inner, min_size=1, max_size=4).map(
            lambda kinds: pa.struct([(f"f{place}", kind) for place, kind in enumerate(kinds)])
        ),
    )


KINDS = st.recursive(st.sampled_from(LEAVES), nested, max_leaves=6)


def values_of(kind: pa.DataType) -> st.SearchStrategy:
    """Return values of a type, null included."""
    if pa.types.is_null(kind):
        return st.none()
    return st.none() | _values(kind)


def _values(kind: pa.DataType) -> st.SearchStrategy:
    types = pa.types
    if types.is_dictionary(kind) or types.is_string(kind) or types.is_large_string(kind):
        return TEXTS
    if types.is_binary(kind) or types.is_large_binary(kind):
        return TEXTS.map(str.encode)
    if types.is_boolean(kind):
        return st.booleans()
    if types.is_unsigned_integer(kind):
        return st.integers(0, 2**kind.bit_width - 1)
    if types.is_integer(kind):
        most = 2 ** (INTEGERS[kind] - 1)
        return st.integers(-most, most - 1)
    if types.is_floating(kind):
        return st.floats(width=kind.bit_width)
    if types.is_struct(kind):
        return st.fixed_dictionaries({field.name: values_of(field.type) for field in kind})
    if types.is_map(kind):
        entries = st.tuples(TEXTS, values_of(kind.item_type))
        return st.lists(entries, max_size=3, unique_by=lambda entry: entry[0])
    return st.lists(values_of(kind.value_type), max_size=4)


@st.composite
def tables(draw) -> pa.Table:
    """A table, some of it cut away, in one chunk or several."""
    kinds = draw(st.lists(KINDS, min_size=1, max_size=4))
    rows = draw(st.integers(0, 8))
    columns = {
        f"c{place}": pa.array(draw(st.lists(values_of(kind), min_size=rows, max_size=rows)), kind)
        for place, kind in enumerate(kinds)
    }
    table = pa.table(columns)
    first = draw(st.integers(0, rows))
    table = table.slice(first, draw(st.integers(0, rows - first)))
    return pa.concat_tables([table, table]) if draw(st.booleans()) else table


def same(ours, theirs) -> bool:
    """Compare values; NaN equals NaN."""
    if isinstance(ours, float) and math.isnan(ours):
        return math.isnan(theirs)
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(same(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and ours == theirs


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_any_table_is_written_and_read_as_fastavro_does(table):
    schema = fastavro.parse_schema(wire_schema(table.schema))
    datums = encode(table)
    rows = table.to_pylist(maps_as_pydicts="strict")
    assert len(datums) == len(rows)
    for datum, row in zip(datums, rows, strict=True):
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, row)
        assert datum == stream.getvalue()
        back = io.BytesIO(datum)
        assert same(fastavro.schemaless_reader(back, schema), row)
        assert back.read() == b""
