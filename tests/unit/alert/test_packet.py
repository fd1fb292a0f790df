import io
import json

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink_broker.alert.packet import header, read_container, read_datum, read_packet, write_datum, write_packet
from fink_broker.alert.varint import Cursor, zigzag
from fink_broker.errors import DataError

SCHEMA = {
    "type": "record",
    "name": "ztf.alert",
    "fields": [
        {"name": "objectId", "type": "string"},
        {"name": "candid", "type": "long"},
        {"name": "magpsf", "type": ["null", "float"], "default": None},
        {"name": "history", "type": {"type": "array", "items": "double"}},
        {"name": "stamp", "type": ["null", "bytes"], "default": None},
    ],
}
RECORD = {"objectId": "ZTF18abcdefg", "candid": 2**62, "magpsf": None, "history": [1.5, -2.0], "stamp": b"\x00\xff"}


def container(records, schema=None, **options) -> bytes:
    stream = io.BytesIO()
    fastavro.writer(stream, schema or SCHEMA, records, **options)
    return stream.getvalue()


def with_schema(schema, datum: bytes, count: int = 1) -> bytes:
    text, sync = json.dumps(schema).encode() if not isinstance(schema, bytes) else schema, b"s" * 16
    entry = zigzag(11) + b"avro.schema" + zigzag(len(text)) + text
    return b"".join((b"Obj\x01", zigzag(1), entry, zigzag(0), sync, zigzag(count), zigzag(len(datum)), datum, sync))


def record_of(field_type) -> dict:
    return {"type": "record", "name": "r", "fields": [{"name": "a", "type": field_type}]}


def datum_of(packet: bytes) -> bytes:
    cursor = Cursor(packet, header(packet).length)
    assert cursor.number() == 1
    return cursor.sized()


def test_every_real_packet_is_decoded_and_encoded_to_the_same_bytes(unpacked):
    packets = unpacked("ztf_real_packets", "ztf_public_20231018", "ztf_packets_schema_3.3", "ztf_packets_schema_3.2")
    assert len(packets) > 934
    for packet in packets:
        record, schema = read_packet(packet)
        again = write_packet(record, schema)
        assert datum_of(again) == datum_of(packet)
        assert json.loads(header(again).schema_text) == json.loads(header(packet).schema_text)
    for packet in packets[::40]:
        theirs = next(fastavro.reader(io.BytesIO(packet)))
        assert repr(theirs) == repr(read_packet(packet)[0])  # in a text NaN is equal to NaN


def test_fastavro_reads_what_is_written():
    packet = write_packet(RECORD, SCHEMA)
    assert list(fastavro.reader(io.BytesIO(packet))) == [RECORD]
    assert header(packet).codec == "null"
    assert read_datum(write_datum(RECORD, SCHEMA), SCHEMA) == RECORD


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_containers_of_many_records_and_blocks_are_read_in_order(codec):
    records = [{**RECORD, "candid": number} for number in range(500)]
    data = container(records, codec=codec, sync_interval=1000)
    assert [record for record, _ in read_container(data)] == records


def test_a_packet_is_one_alert():
    with pytest.raises(DataError, match="more than one"):
        read_packet(container([RECORD, RECORD]))
    with pytest.raises(DataError, match="no alert"):
        read_packet(container([]))


WHOLE = container([RECORD])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"Obj", "no Avro container"),
        (b"Obj\x02" + b"\0" * 40, "no Avro container"),
        (b"Obj\x01", "truncated"),
        (b"Obj\x01" + b"\xff" * 20, "longer than 64 bits"),
        (b"Obj\x01\x00" + b"s" * 16, "no schema"),
        (b"Obj\x01" + zigzag(1) + zigzag(2**62) + b"avro", "truncated"),
        (b"Obj\x01" + zigzag(2**62), "truncated"),
        (b"Obj\x01" + zigzag(1) + zigzag(-1) + b"avro", "truncated"),
        (b"Obj\x01" + zigzag(1) + zigzag(1) + b"\xff", "no text"),
        (with_schema(b"{", b"\x00"), "no JSON"),
        (with_schema(b"[" * 5000, b"\x00"), "no JSON|nested"),
        (with_schema({"type": "string"}, b"\x00"), "no Avro record"),
        (with_schema(record_of("unheard"), b"\x00"), "not valid"),
        (with_schema(record_of({"type": "fixed", "name": "f", "size": -1}), b""), "no size"),
        (with_schema(record_of("bytes"), zigzag(2**62) + b"abc"), "cannot be decoded"),
        (with_schema(record_of({"type": "array", "items": "int"}), zigzag(2**62) + b"\2\2"), "cannot be decoded"),
        (with_schema(record_of("int"), b"\x02", count=2**40), "claims 1099511627776 alerts"),
        (with_schema(record_of("int"), b"\x02", count=-1), "claims -1 alerts"),
        (with_schema(record_of("int"), b"\x02\x02"), "1 bytes beyond"),
        (WHOLE[:-1], "truncated"),
        (WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]), "sync marker"),
        (container([RECORD], codec="bzip2"), "bzip2"),
    ],
)
def test_malformed_packets_are_refused_with_a_reason(data, said):
    with pytest.raises(DataError, match=said):
        read_packet(data)


def test_schemas_that_a_decoder_must_not_follow_are_refused():
    endless = record_of(["null", "r"])
    with pytest.raises(DataError, match="contains itself"):
        read_packet(with_schema(endless, b"\x02" * 1_000_000))  # fastavro alone ends the process here
    with pytest.raises(DataError, match="take no bytes"):
        read_packet(with_schema(record_of({"type": "array", "items": "null"}), zigzag(2**60)))
    empty = {"type": "record", "name": "e", "fields": []}
    with pytest.raises(DataError, match="takes no bytes"):
        read_packet(with_schema(record_of(empty), b""))
    deep: object = "int"
    for _ in range(50):
        deep = {"type": "array", "items": deep}
    with pytest.raises(DataError, match="nested deeper"):
        read_packet(with_schema(record_of(deep), b"\x02"))


def test_a_block_that_inflates_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("fink_broker.alert.packet.MAX_BLOCK_BYTES", 1000)
    with pytest.raises(DataError, match="larger than 1000 bytes"):
        read_packet(container([{**RECORD, "stamp": bytes(100_000)}], codec="deflate"))


@pytest.mark.parametrize("change", [{"candid": "text"}, {"history": None}, {"magpsf": "faint"}, {"candid": 2**70}])
def test_an_alert_that_does_not_fit_its_schema_is_not_written(change):
    with pytest.raises(DataError, match="does not fit"):
        write_packet({**RECORD, **change}, SCHEMA)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_packets_are_decoded_or_refused_never_anything_else(data):
    packet = bytearray(write_packet(RECORD, SCHEMA))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(packet) - 1))
        packet[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=8))
    try:
        record, _ = read_packet(bytes(packet))
    except DataError:
        return
    assert isinstance(record, dict)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data):
    for front in (b"", b"Obj\x01"):
        with pytest.raises(DataError):
            read_packet(front + data)


def test_every_truncation_is_refused():
    packet = write_packet(RECORD, SCHEMA)
    for length in range(len(packet)):
        with pytest.raises(DataError):
            read_packet(packet[:length])
