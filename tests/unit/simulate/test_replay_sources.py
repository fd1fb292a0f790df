import gzip
import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink_broker.alert.packet import header, read_packet, write_packet, zigzag
from fink_broker.errors import DataError
from fink_broker.simulate.rows import ztf_packet_schema
from fink_broker.simulate.sky import synthetic_packets
from fink_broker.simulate.sources import find_files, open_source

SCHEMA = ztf_packet_schema()
ALERTS = list(synthetic_packets(12, seed=3))
PACKETS = [write_packet(alert, SCHEMA) for alert in ALERTS]


def source_of(path, said=None):
    return open_source(str(path), (said if said is not None else []).append, synthetic_count=5, seed=0)


def packets_of(path, said=None) -> list[bytes]:
    return [alert.packet() for alert in source_of(path, said).alerts()]


def archive(path, packets, mode="w:gz", names=None):
    with tarfile.open(path, mode) as file:
        for number, packet in enumerate(packets):
            info = tarfile.TarInfo(names[number] if names else f"{number}.avro")
            info.size = len(packet)
            file.addfile(info, io.BytesIO(packet))
    return path


def many_in_one(packets) -> bytes:
    """Join packets of one schema into one container file, as the Avro specification allows."""
    head = header(packets[0])
    datums = [packet[header(packet).length :] for packet in packets]
    return packets[0][: head.length] + b"".join(datums)


def test_real_packets_are_passed_on_byte_for_byte(shared_data, unpacked):
    packets = unpacked("ztf_real_packets")
    source = source_of(shared_data / "ztf" / "ztf_real_packets.tar.gz")
    assert sorted(alert.packet() for alert in source.alerts()) == sorted(packets)
    assert source.expected == len(packets) == 376


@pytest.mark.parametrize(("name", "mode"), [("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar", "w")])
def test_archives_are_streamed_without_unpacking(tmp_path, name, mode, monkeypatch):
    path = archive(tmp_path / name, [*PACKETS, b"text"], mode, [f"{n}.avro" for n in range(12)] + ["README"])
    monkeypatch.chdir(tmp_path)
    alerts = source_of(path).alerts()
    assert next(alerts).packet() == PACKETS[0]
    assert [alert.packet() for alert in alerts] == PACKETS[1:]
    assert [file.name for file in tmp_path.rglob("*")] == [name]


def test_an_archive_is_not_kept_in_memory(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.tar.gz", PACKETS)
    opened = []
    real = tarfile.open

    def spy(*arguments, **options):
        opened.append(real(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr("fink_broker.simulate.containers.tarfile.open", spy)
    for _alert in source_of(path).alerts():
        assert len(opened[0].members) <= 1


def test_a_broken_archive_gives_what_comes_before_the_break(tmp_path):
    whole = archive(tmp_path / "a.tar.gz", PACKETS).read_bytes()
    for cut in (whole[: len(whole) // 2], whole[:-4]):
        (tmp_path / "a.tar.gz").write_bytes(cut)
        said = []
        source = source_of(tmp_path, said)
        found = [alert.packet() for alert in source.alerts()]
        assert found == PACKETS[: len(found)]
        assert 0 < len(found) <= 12
        assert source.skipped.total() == 1
        assert "a.tar.gz" in said[0]


def test_a_folder_is_read_below_and_in_the_order_of_the_night(tmp_path):
    names = ["b/100.avro", "b/99.avro.gz", "a/9.avro", "a/10.avro", "_spark_metadata/1.avro", ".hidden.avro", "x.txt"]
    for name, packet in zip(names, PACKETS, strict=False):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(gzip.compress(packet) if name.endswith(".gz") else packet)
    assert [str(file.relative_to(tmp_path)) for file in find_files(tmp_path)] == [
        "a/9.avro",
        "a/10.avro",
        "b/99.avro.gz",
        "b/100.avro",
    ]
    assert packets_of(tmp_path) == [PACKETS[2], PACKETS[3], PACKETS[1], PACKETS[0]]


def test_each_alert_of_a_file_of_many_becomes_a_packet(tmp_path):
    (tmp_path / "many.avro").write_bytes(many_in_one(PACKETS))
    assert packets_of(tmp_path / "many.avro") == PACKETS


def test_what_cannot_be_read_is_told_counted_and_passed_over(tmp_path):
    other = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}]}
    text = json.dumps(other).encode()
    sync = b"s" * 16
    stranger = b"Obj\x01" + zigzag(1) + zigzag(11) + b"avro.schema" + zigzag(len(text)) + text + b"\0" + sync
    stranger += zigzag(1) + zigzag(1) + b"\x02" + sync
    old = ALERTS[0] | {"candidate": ALERTS[0]["candidate"] | {"jd": 2415020.5}}  # the year 1900
    files = {
        "0.avro": b"",
        "1.avro": PACKETS[0][:-20],
        "2.avro": stranger,
        "3.avro": write_packet(old, SCHEMA),
        "4.avro.gz": b"no gzip",
        "5.parquet": b"no parquet",
        "6.tar.gz": b"no archive",
        "7.avro": PACKETS[1],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    said: list[str] = []
    source = source_of(tmp_path, said)
    for _ in range(2):  # the second pass tells and counts nothing anew
        assert [alert.packet() for alert in source.alerts()] == [PACKETS[1]]
        assert source.skipped.total() == 7
        assert len(said) == 6
        assert "0.avro: It is empty" in said[0]
        assert "no objectId" in said[2]
        assert "1 more" not in said[-1]
        assert "more" in said[-1]


def test_nothing_to_replay_is_an_error_that_says_the_way_out(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*synthetic"):
        source_of(tmp_path / "absent")
    (tmp_path / "README.md").write_text("none")
    with pytest.raises(DataError, match="no files of alerts"):
        source_of(tmp_path)
    (tmp_path / "1.avro").write_bytes(b"x")
    with pytest.raises(DataError, match="could be read: 1 × The packet is no Avro"):
        packets_of(tmp_path)


def write_table(path, alerts, drop=()) -> None:
    columns = [name for name in alerts[0] if name not in drop]
    pq.write_table(pa.Table.from_pylist([{name: alert[name] for name in columns} for alert in alerts]), path)


def test_rows_of_a_table_become_the_packets_they_were(tmp_path):
    write_table(tmp_path / "a.parquet", ALERTS)
    # Parquet keeps Avro's 32-bit floats as doubles here, which are equal
    assert packets_of(tmp_path / "a.parquet") == PACKETS


def test_numbers_that_pandas_turned_into_floats_are_whole_again(tmp_path):
    def pandas_like(value):
        if isinstance(value, dict):
            return {key: pandas_like(one) for key, one in value.items()}
        if isinstance(value, list):
            return [pandas_like(one) for one in value]
        return float(value) if isinstance(value, int) else value

    def without_large(alert):  # a candid does not fit into a double
        points = alert["prv_candidates"] or []
        return alert | {"prv_candidates": [point | {"candid": None, "pid": 1000} for point in points]}

    alerts = [without_large(alert) for alert in ALERTS]
    changed = [alert | {"prv_candidates": pandas_like(alert["prv_candidates"])} for alert in alerts]
    for alert in changed:
        for point in alert["prv_candidates"]:
            point["magpsf"] = float("nan") if point["magpsf"] is None else point["magpsf"]
    write_table(tmp_path / "a.parquet", changed)
    assert packets_of(tmp_path / "a.parquet") == [write_packet(alert, SCHEMA) for alert in alerts]


def test_rows_that_are_no_whole_alerts_are_counted(tmp_path):
    write_table(tmp_path / "a.parquet", ALERTS, drop=("cutoutScience", "publisher"))
    broken = [ALERTS[0], ALERTS[1] | {"objectId": None}, ALERTS[2]]
    write_table(tmp_path / "b.parquet", broken, drop=("fp_hists",))
    said: list[str] = []
    source = source_of(tmp_path, said)
    assert [alert.record["candid"] for alert in source.alerts()] == [ALERTS[0]["candid"], ALERTS[2]["candid"]]
    assert source.skipped == {
        "Rows are no whole alerts: no publisher, cutoutScience": 12,
        "It is no whole alert: objectId is missing": 1,
    }
    assert "b.parquet, row 1" in said[1]


def test_the_synthetic_sky_is_the_same_at_each_pass():
    source = open_source("synthetic", print, synthetic_count=5, seed=2)
    first, second = ([alert.packet() for alert in source.alerts()] for _ in range(2))
    assert first == second
    assert len(first) == source.expected == 5
    assert read_packet(first[0])[0]["objectId"].startswith("ZTF")
