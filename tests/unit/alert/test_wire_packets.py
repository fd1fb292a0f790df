"""Real packets with science columns of every type, as the science table has them."""

import io
import json

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink_broker.alert.packet import read_packet
from fink_broker.alert.schema import ztf_reading_schema
from fink_broker.alert.wire import encode, times_as_text
from fink_broker.alert.wire_schema import wire_schema

ARROW = {
    "string": pa.string(),
    "long": pa.int64(),
    "int": pa.int32(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
}
FEATURES = pa.struct([(f"feature_{number}", pa.float64()) for number in range(26)])


def arrow_type(of_type, known: dict) -> pa.DataType:
    """Return the Arrow type of an Avro type."""
    if isinstance(of_type, list):
        return arrow_type(next(branch for branch in of_type if branch != "null"), known)
    if isinstance(of_type, str):
        return known[of_type]
    if of_type["type"] == "array":
        return pa.list_(arrow_type(of_type["items"], known))
    record = pa.struct([(field["name"], arrow_type(field["type"], known)) for field in of_type["fields"]])
    known[of_type["name"]] = known[f"ztf.alert.{of_type['name']}"] = record
    return record


def packet_table(packets: list[bytes]) -> pa.Table:
    kind = arrow_type(json.loads(ztf_reading_schema()), dict(ARROW))
    return pa.Table.from_pylist([read_packet(packet)[0] for packet in packets], pa.schema(list(kind)))


def with_science(table: pa.Table) -> pa.Table:
    """Add made-up science columns: some full, some with nulls, of every type there is."""
    rows = range(table.num_rows)
    made_up = {
        "cdsxmatch": pa.array(["Unknown" if n % 3 else "Star" for n in rows]),
        "roid": pa.array([n % 4 for n in rows], pa.int32()),
        "rf_snia_vs_nonia": pa.array([n / 7 if n % 2 else None for n in rows]),
        "is_transient": pa.array([n % 2 == 0 if n % 5 else None for n in rows]),
        "lc_features_g": pa.array([dict.fromkeys(FEATURES.names, float(n)) if n % 4 else None for n in rows], FEATURES),
        "std_flux": pa.array([[float(n), None] * (n % 3) if n % 6 else None for n in rows], pa.list_(pa.float64())),
        "mangrove": pa.array(
            [[("ang_dist", str(n)), ("lum_dist", None)] for n in rows], pa.map_(pa.string(), pa.string())
        ),
        "brokerIngestTimestamp": pa.array([n * 10**14 for n in rows], pa.timestamp("us", "UTC")),
    }
    for name, column in made_up.items():
        table = table.append_column(name, column)
    return times_as_text(table)


def fastavro_datums(table: pa.Table) -> list[bytes]:
    schema = fastavro.parse_schema(wire_schema(table.schema))
    datums = []
    for row in table.to_pylist(maps_as_pydicts="strict"):
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, row)
        datums.append(stream.getvalue())
    return datums


@pytest.mark.parametrize(
    "name", ["ztf_public_20231018", "ztf_real_packets", "ztf_packets_schema_3.2", "ztf_packets_schema_3.3"]
)
def test_real_alerts_are_written_as_fastavro_writes_them(name, unpacked, tmp_path):
    packets = unpacked(name)
    table = with_science(packet_table(packets))
    expected = fastavro_datums(table)
    assert len(expected) == len(packets) > 0
    assert encode(table) == expected
    pq.write_table(table, tmp_path / "science.parquet", row_group_size=100)
    batches = pq.ParquetFile(tmp_path / "science.parquet").iter_batches(batch_size=77)
    assert [datum for batch in batches for datum in encode(pa.Table.from_batches([batch]))] == expected
    assert encode(pq.read_table(tmp_path / "science.parquet")) == expected
