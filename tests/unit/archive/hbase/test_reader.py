from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy_healpix import HEALPix

from fink_broker.archive.hbase import keys
from fink_broker.archive.hbase.cells import (
    ALERT_CELL,
    CUTOUT_CELL,
    HISTORY_CELL,
    INDEX_FAMILIES,
    RECORD_FAMILIES,
    needed_tables,
)
from fink_broker.archive.hbase.latest import NOBODY
from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.positions import pixels_of
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.errors import ArchiveAway, DataError

JD = 2460000.5


@pytest.fixture
def archive() -> Archive:
    archive = Archive(MemoryStore(), "ztf")
    tables = {**needed_tables(), "jd": INDEX_FAMILIES, "class": INDEX_FAMILIES, "metadata": RECORD_FAMILIES}
    archive.store.create_tables({archive.name(suffix): families for suffix, families in tables.items()})
    return archive


def write(archive: Archive, suffix: str, made: list[bytes], alerts: pa.Table) -> None:
    packed = archive.schemas.pack(alerts)
    rows = [(key, {ALERT_CELL: row}) for key, row in zip(made, packed, strict=True)]
    archive.store.put(archive.name(suffix), rows)


def alerts_of(names: list[str], jds: list[float]) -> pa.Table:
    candid = [2**60 + number for number in range(len(names))]
    return pa.table({"i:objectId": names, "i:jd": jds, "i:candid": candid, "d:label": [f"{name}!" for name in names]})


def write_alerts(archive: Archive, names: list[str], jds: list[float]) -> pa.Table:
    alerts = alerts_of(names, jds)
    write(archive, "", keys.alert_keys(names, np.array(jds)), alerts)
    return alerts


THREE = ["ZTF19aaaaaab", "ZTF19aaaaaaa", "ZTF20aaaaaaa"]


class TestAlerts:
    def test_come_in_the_order_of_objects_asked_and_of_time(self, archive):
        write_alerts(archive, THREE * 3, [JD + day for day in (9, 8, 7, 2, 1, 3, 4, 6, 5)])
        found = archive.alerts([THREE[2], THREE[0], THREE[2], "ZTF00nothing"])
        assert found["i:objectId"].to_pylist() == [THREE[2]] * 3 + [THREE[0]] * 3
        assert found["i:jd"].to_pylist() == [JD + day for day in (3, 5, 7, 2, 4, 9)]

    def test_have_the_columns_asked(self, archive):
        write_alerts(archive, THREE, [JD] * 3)
        found = archive.alerts([THREE[1]], ["i:candid", "d:later"])
        assert found.to_pylist() == [{"i:candid": 2**60 + 1, "d:later": None}]

    def test_of_a_short_name_are_those_of_all_that_begin_with_it(self, archive):
        write_alerts(archive, [*THREE, "ZTF19aaaaaab2"], [JD] * 4)
        assert archive.alerts(["ZTF19"])["i:objectId"].to_pylist() == [THREE[1], "ZTF19aaaaaab2", THREE[0]]
        assert archive.alerts([THREE[0]])["i:objectId"].to_pylist() == [THREE[0]]

    @pytest.mark.parametrize("most", [0, 1, 4, 7, 100])
    def test_are_at_most_so_many(self, archive, most):
        write_alerts(archive, THREE * 3, [JD + day for day in range(9)])
        assert archive.alerts(THREE, most=most).num_rows == min(most, 9)

    def test_are_more_than_a_page(self, archive):
        write_alerts(archive, ["ZTF19aaaaaaa"] * 2500, [JD + day for day in range(2500)])
        assert archive.alerts(["ZTF19aaaaaaa"], ["i:jd"])["i:jd"].to_pylist() == [JD + day for day in range(2500)]

    def test_of_nothing_are_none(self, archive):
        assert archive.alerts([]).num_rows == 0
        assert archive.alerts(["ZTF19aaaaaaa"], ["i:jd"]).column_names == ["i:jd"]

    def test_of_hostile_names_are_none(self, archive):
        write_alerts(archive, THREE, [JD] * 3)
        for name in ("_", "%", "ZTF19aaaaaaa_", ".*", "\n", "ZTF19aaaaaaa_2460000.5", "\xff", "\U0001f600"):
            assert archive.alerts([name]).num_rows == 0

    def test_the_latest(self, archive):
        write_alerts(archive, [*THREE, THREE[0], THREE[0]], [JD, JD, JD, JD + 2, JD + 1])
        assert archive.latest_alert(THREE[0])["i:jd"].to_pylist() == [JD + 2]
        assert archive.latest_alert("ZTF19").num_rows == 0

    def test_damaged_ones_are_named(self, archive):
        write_alerts(archive, THREE, [JD] * 3)
        key = keys.alert_key(THREE[1], JD)
        archive.store.put("ztf", [(key, {ALERT_CELL: b"no alert at all"})])
        with pytest.raises(DataError, match=key.decode()):
            archive.alerts([THREE[1]])

    def test_of_columns_nobody_described(self, archive):
        write_alerts(archive, THREE, [JD] * 3)
        archive.store.delete("ztf.schema", [key for key, _ in archive.store.scan("ztf.schema", ALL_KEYS)])
        with pytest.raises(DataError, match="nobody described"):
            Archive(archive.store, "ztf").alerts(THREE)

    def test_of_columns_whose_description_was_altered(self, archive):
        write_alerts(archive, THREE, [JD] * 3)
        name = next(archive.store.scan("ztf.schema", ALL_KEYS))[0]
        archive.put_records("schema", [(name.decode(), {"columns": [["i:jd", "int64"]]})])
        with pytest.raises(DataError, match="altered"):
            Archive(archive.store, "ztf").alerts(THREE)

    def test_a_schema_is_written_once_and_before_the_rows(self, archive):
        write_alerts(archive, THREE, [JD] * 3)
        calls = archive.store.calls
        archive.schemas.pack(alerts_of(THREE, [JD] * 3))
        assert archive.store.calls == calls


def history(jds: list[float], bands: list[int], limits: list[float], tags: list[str]) -> dict[str, list]:
    return {"i:jd": jds, "i:fid": bands, "i:diffmaglim": limits, "d:tag": tags}


def test_histories_tell_each_point_once_as_the_latest_alert_has_it(archive):
    lists = [
        history([JD - 3, JD - 2], [1, 1], [20.0, 19.0], ["upperlim", "badquality"]),
        history([JD - 1, JD - 2, JD - 2], [2, 1, 2], [18.5, 19.5, 17.0], ["upperlim", "badquality", "upperlim"]),
        history([], [], [], []),
    ]
    rows = archive.schemas.pack(pa.table({name: [each[name] for each in lists] for name in lists[0]}))
    names = [THREE[0], THREE[0], THREE[1]]
    made = keys.alert_keys(names, np.array([JD, JD + 1, JD]))
    archive.store.put("ztf", [(key, {HISTORY_CELL: row}) for key, row in zip(made, rows, strict=True)])
    found = archive.histories([THREE[1], THREE[0]])
    assert found.select(["i:objectId", "i:jd", "i:fid", "i:diffmaglim", "d:tag"]).to_pylist() == [
        {"i:objectId": THREE[0], "i:jd": JD - 3, "i:fid": 1, "i:diffmaglim": 20.0, "d:tag": "upperlim"},
        {"i:objectId": THREE[0], "i:jd": JD - 2, "i:fid": 1, "i:diffmaglim": 19.5, "d:tag": "badquality"},
        {"i:objectId": THREE[0], "i:jd": JD - 2, "i:fid": 2, "i:diffmaglim": 17.0, "d:tag": "upperlim"},
        {"i:objectId": THREE[0], "i:jd": JD - 1, "i:fid": 2, "i:diffmaglim": 18.5, "d:tag": "upperlim"},
    ]
    assert archive.histories(["ZTF00nothing"]).num_rows == 0
    assert archive.histories([THREE[1]]).num_rows == 0


def test_the_places_of_cutouts_are_those_of_alerts_that_have_some(archive):
    alerts = write_alerts(archive, [THREE[0]] * 3, [JD, JD + 1, JD + 2])
    made = keys.alert_keys(alerts["i:objectId"], alerts["i:jd"])
    archive.store.put("ztf", [(made[row], {CUTOUT_CELL: f"night=20230225/a.parquet#{row}".encode()}) for row in (0, 2)])
    assert archive.cutout_places(THREE[0]).to_pylist() == [
        {"i:objectId": THREE[0], "i:candid": 2**60, "i:jd": JD, "d:hdfs_path": "night=20230225/a.parquet#0"},
        {"i:objectId": THREE[0], "i:candid": 2**60 + 2, "i:jd": JD + 2, "d:hdfs_path": "night=20230225/a.parquet#2"},
    ]
    assert archive.cutout_places(THREE[1]).num_rows == 0


class TestTimes:
    @pytest.fixture
    def timed(self, archive: Archive) -> Archive:
        rng = np.random.default_rng(1)
        names = [f"ZTF19aaa{number:04d}" for number in range(300)]
        jds = np.round(JD + rng.integers(0, 50, 300) / 7, 7)
        labels = [("SN Ia", "SN", "SN Ia-pec")[number % 3] for number in range(300)]
        alerts = alerts_of(names, list(jds)).append_column("d:class", pa.array(labels))
        write(archive, "jd", keys.time_keys(None, jds, names), alerts)
        write(archive, "class", keys.time_keys(labels, jds, names), alerts)
        self.alerts = alerts
        return archive

    @pytest.mark.parametrize("newest_first", [True, False])
    @pytest.mark.parametrize("page", [1, 10, 1000])
    def test_rows_of_all_salts_are_one_sequence(self, timed, newest_first, page):
        pages = list(timed.in_time("jd", newest_first=newest_first, page=page))
        assert all(each.num_rows <= page for each in pages)
        found = pa.concat_tables(pages)
        order = [
            ("i:jd", "descending" if newest_first else "ascending"),
            ("i:objectId", "descending" if newest_first else "ascending"),
        ]
        assert found.to_pylist() == self.alerts.sort_by(order).to_pylist()

    def test_only_one_label_and_the_times_asked_both_included(self, timed):
        of_label = [row["i:jd"] for row in self.alerts.to_pylist() if row["d:class"] == "SN"]
        first, last = sorted(set(of_label))[5:12:6]
        found = pa.concat_tables(timed.in_time("class", "SN", first, last))
        wanted = [row for row in self.alerts.to_pylist() if row["d:class"] == "SN" and first <= row["i:jd"] <= last]
        assert sorted(map(str, found.to_pylist())) == sorted(map(str, wanted))
        assert {first, last} <= set(found["i:jd"].to_pylist())

    def test_nothing_in_a_time_without_alerts(self, timed):
        assert list(timed.in_time("jd", None, JD + 100, JD + 200)) == []
        assert list(timed.in_time("jd", None, JD + 5, JD)) == []
        assert list(timed.in_time("class", "S")) == []

    def test_the_first_page_does_not_read_the_rest(self, timed):
        calls = timed.store.calls
        assert next(timed.in_time("jd", page=10)).num_rows == 10
        assert timed.store.calls - calls <= 2 * keys.SALTS + 1  # 300 rows would take thirty


def write_positions(archive: Archive, names: list[str], ra: np.ndarray, dec: np.ndarray, jds: np.ndarray) -> pa.Table:
    """Write positions as the archive keeps them: of an object and pixel the latest."""
    alerts = alerts_of(names, list(jds)).append_column("i:ra", pa.array(ra)).append_column("i:dec", pa.array(dec))
    made = keys.position_keys(pixels_of(ra, dec), names)
    for row, packed in enumerate(archive.schemas.pack(alerts)):
        archive.store.put(
            archive.name("position"),
            [(made[row], {ALERT_CELL: packed})],
            time_ms=int((jds[row] - 2440587.5) * 86_400_000),
        )
    return alerts


class TestPositions:
    COUNT = 3000

    @pytest.fixture(scope="class")
    @classmethod
    def sky(cls) -> tuple[Archive, pa.Table]:
        """Objects near places where pixels are odd, and all over the sky, each with two alerts an arcsecond apart."""
        archive, rng, count = Archive(MemoryStore(), "ztf"), np.random.default_rng(2), cls.COUNT
        archive.store.create_tables({archive.name(suffix): each for suffix, each in needed_tables().items()})
        ra = np.concatenate((rng.uniform(0, 360, count), rng.normal(0, 0.02, 500) % 360, rng.normal(45, 0.02, 500)))
        dec = np.concatenate(
            (
                np.degrees(np.arcsin(rng.uniform(-1, 1, count))),
                90 - np.abs(rng.normal(0, 0.02, 500)),
                rng.normal(0, 0.02, 500),
            )
        )
        names = [f"ZTF19{number:07d}" for number in range(len(ra))]
        moved = SkyCoord(ra, dec, unit="deg").directional_offset_by(
            rng.uniform(0, 360, len(ra)) * u.deg, rng.uniform(0, 1.5, len(ra)) * u.arcsec
        )
        jds = JD + rng.permutation(2 * len(ra))
        both_ra, both_dec = np.concatenate((ra, moved.ra.deg)), np.concatenate((dec, moved.dec.deg))
        alerts = write_positions(archive, names * 2, both_ra, both_dec, jds)
        frame = alerts.to_pandas()
        return archive, pa.Table.from_pandas(frame.loc[frame.groupby("i:objectId")["i:jd"].idxmax()])

    @pytest.mark.parametrize("radius", [0.5, 5.0, 60.0, 600.0, 18_000.0, 324_000.0])
    @pytest.mark.parametrize("near", [0, 1, COUNT + 3, COUNT + 600, None])
    def test_a_cone_is_what_a_search_of_all_finds(self, sky, radius, near):
        archive, latest = sky
        ra, dec = (0.0, 90.0) if near is None else (latest["i:ra"][near].as_py(), latest["i:dec"][near].as_py())
        at = SkyCoord(np.asarray(latest["i:ra"]), np.asarray(latest["i:dec"]), unit="deg")
        separation = at.separation(SkyCoord(ra, dec, unit="deg")).deg
        wanted = separation <= radius / 3600
        found = archive.around(ra, dec, radius)
        assert sorted(found["i:candid"].to_pylist()) == sorted(latest.filter(pa.array(wanted))["i:candid"].to_pylist())
        assert np.allclose(found["v:separation_degree"], np.sort(separation[wanted]), rtol=0, atol=1e-9)
        assert near is None or found.num_rows >= 1

    @pytest.mark.parametrize("order", [1, 5, 7])
    def test_pixels_are_what_a_search_of_all_finds(self, sky, order):
        archive, latest = sky
        grid = HEALPix(2**order, order="nested")
        at = grid.lonlat_to_healpix(np.asarray(latest["i:ra"]) * u.deg, np.asarray(latest["i:dec"]) * u.deg)
        chosen = np.unique(at)[::2]
        found = pa.concat_tables(archive.in_pixels(order, chosen.tolist()))
        wanted = latest.filter(pa.array(np.isin(at, chosen)))
        assert sorted(found["i:candid"].to_pylist()) == sorted(wanted["i:candid"].to_pylist())

    def test_an_object_beside_a_pixel_s_edge_has_two_rows_and_is_found_once(self, sky):
        archive, latest = sky
        rows = sum(1 for _ in archive.store.scan("ztf.position", ALL_KEYS))
        assert rows > latest.num_rows  # or this would test nothing
        every = list(
            itertools.chain.from_iterable(page["i:candid"].to_pylist() for page in archive.in_pixels(0, range(12)))
        )
        assert sorted(every) == sorted(latest["i:candid"].to_pylist())

    def test_where_nobody_is_any_more_nobody_is_found(self, archive):
        pixel = pixels_of(np.array([10.0]), np.array([10.0]))[0]
        names, jds = THREE[:2], JD + np.arange(2)
        write_positions(archive, names, np.array([10.0, 10.0]), np.array([10.0, 10.0]), jds)
        later = int((JD + 9 - 2440587.5) * 86_400_000)
        archive.store.put("ztf.position", [(keys.position_key(pixel, names[0]), {ALERT_CELL: NOBODY})], later)
        assert archive.around(10.0, 10.0, 5.0)["i:objectId"].to_pylist() == names[1:]
        assert pa.concat_tables(archive.in_pixels(0, range(12)))["i:objectId"].to_pylist() == names[1:]
        archive.store.put("ztf.position", [(keys.position_key(pixel, names[1]), {ALERT_CELL: NOBODY})], later)
        assert archive.around(10.0, 10.0, 5.0).num_rows == 0
        assert list(archive.in_pixels(0, range(12))) == []

    def test_a_row_of_nobody_beside_an_edge_overtakes_nobody(self, archive):
        ra, dec = np.array([45.003, 45.003]), np.array([0.0160, 0.0162])
        own, other = pixels_of(ra, dec)
        assert own != other
        write_positions(archive, THREE[:1] * 2, ra, dec, JD + np.arange(2))
        later = int((JD + 9 - 2440587.5) * 86_400_000)
        archive.store.put("ztf.position", [(keys.position_key(other, THREE[0]), {ALERT_CELL: NOBODY})], later)
        assert pa.concat_tables(archive.in_pixels(0, range(12)))["i:jd"].to_pylist() == [JD]
        assert archive.around(45.003, 0.0161, 5.0)["i:jd"].to_pylist() == [JD]

    def test_of_two_pixels_at_one_time_the_larger_candid_is_the_latest(self, archive):
        ra, dec = np.array([45.003, 45.003]), np.array([0.0162, 0.0160])
        alerts = write_positions(archive, THREE[:1] * 2, ra, dec, np.array([JD, JD]))
        wanted = [max(alerts["i:candid"].to_pylist())]
        assert pa.concat_tables(archive.in_pixels(0, range(12)))["i:candid"].to_pylist() == wanted
        assert archive.around(45.003, 0.0161, 5.0)["i:candid"].to_pylist() == wanted

    def test_nothing_where_nothing_is(self, archive):
        found = archive.around(10.0, 10.0, 5.0)
        assert found.num_rows == 0
        assert found.column_names == ["v:separation_degree"]
        assert list(archive.in_pixels(3, [1, 2])) == []
        assert list(archive.in_pixels(3, [])) == []


def test_rows_by_prefix_and_by_range(archive):
    write_alerts(archive, THREE * 2, [JD + day for day in range(6)])
    assert archive.with_prefix("", b"ZTF19")["i:objectId"].to_pylist() == [THREE[1]] * 2 + [THREE[0]] * 2
    assert archive.with_prefix("", b"ZTF19", most=3).num_rows == 3
    assert archive.with_prefix("", b"ZTF21").num_rows == 0
    assert [page.num_rows for page in archive.rows("", ALL_KEYS, page=4)] == [4, 2]


def test_records_keep_their_fields(archive):
    records = [("b é", {"n": 2**62, "x": 1.5, "yes": True, "none": None, "list": ["a", "é"]}), ("a", {"t": "'\n\""})]
    archive.put_records("metadata", records)
    assert list(archive.records("metadata", ALL_KEYS)) == records[::-1]
    assert list(archive.records("metadata", ALL_KEYS, reverse=True)) == records
    archive.put_records("metadata", [("a", {"t": "new"})])
    assert next(archive.records("metadata", keys.prefix_range(b"a"))) == ("a", {"t": "new"})


def test_a_damaged_record_is_named(archive):
    archive.store.put("ztf.metadata", [(b"bad", {b"record:json": b"{"})])
    with pytest.raises(DataError, match=r"Row bad of table `ztf\.metadata`"):
        list(archive.records("metadata", ALL_KEYS))


def test_a_database_that_is_away_is_told_by_every_question(archive):
    write_alerts(archive, THREE, [JD] * 3)
    archive.store.away = True
    for ask in (
        lambda: archive.alerts(THREE),
        lambda: archive.alerts(THREE[:1]),
        lambda: archive.latest_alert(THREE[0]),
        lambda: archive.histories(THREE),
        lambda: archive.cutout_places(THREE[0]),
        lambda: list(archive.in_time("jd")),
        lambda: archive.around(1.0, 2.0, 3.0),
        lambda: list(archive.in_pixels(1, [1])),
        lambda: archive.put_records("metadata", [("a", {})]),
    ):
        with pytest.raises(ArchiveAway):
            ask()
    archive.store.away = False
    assert archive.alerts(THREE).num_rows == 3
    archive.close()
