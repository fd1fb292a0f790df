"""What every store must do, whatever it keeps its rows in; a test class inherits it and brings a fixture ``store``."""

from __future__ import annotations

import threading
import uuid

import pytest

from fink_broker.archive.hbase.store import ALL_KEYS, MOST_CELL_BYTES, MOST_KEY_BYTES, KeyRange, Row, Store
from fink_broker.errors import ArchiveAway, DataError, ServiceError

A, B, C = b"alert:row", b"history:row", b"alert:other"


def rows_of(count: int, size: int = 20) -> list[Row]:
    return [(f"k{number:05d}".encode(), {A: bytes([number % 256]) * size}) for number in range(count)]


class StoreContract:
    @pytest.fixture(scope="class")
    @classmethod
    def shared_table(cls, store: Store) -> str:
        name = f"t{uuid.uuid4().hex[:8]}"
        store.create_tables({name: ["alert", "history"]})
        return name

    @pytest.fixture
    def table(self, store: Store, shared_table: str) -> str:
        """Return an empty table: creating one takes a second, and deleting with a version leaves no trace of newer."""
        keys = [key for key, _ in store.scan(shared_table, ALL_KEYS)]
        if keys:
            store.delete(shared_table, keys)
        return shared_table

    def test_rows_come_back_in_the_order_of_keys(self, store, table):
        rows = rows_of(25)
        store.put(table, rows[::-1])
        assert list(store.scan(table, ALL_KEYS)) == rows

    @pytest.mark.parametrize("page", [1, 7, 24, 25, 26, 1000])
    @pytest.mark.parametrize("reverse", [False, True])
    def test_pages_make_no_difference(self, store, table, page, reverse):
        rows = rows_of(25)
        store.put(table, rows)
        found = list(store.scan(table, ALL_KEYS, reverse=reverse, page=page))
        assert found == (rows[::-1] if reverse else rows)

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize(
        ("start", "stop", "numbers"),
        [
            (b"k00003", b"k00006", [3, 4, 5]),
            (b"k00003", b"k000035", [3]),
            (b"k000021", b"k00004", [3]),
            (b"k00003", b"k00003", []),
            (b"k00006", b"k00003", []),
            (b"", b"", []),
            (b"", b"k00002", [0, 1]),
            (b"k00008", b"\xff", [8, 9]),
            (b"x", b"z", []),
            (b"k00003\0", b"k00005\0", [4, 5]),
        ],
    )
    def test_a_range_holds_its_start_and_not_its_stop(self, store, table, start, stop, numbers, reverse):
        rows = rows_of(10)
        store.put(table, rows)
        found = list(store.scan(table, KeyRange(start, stop), reverse=reverse, page=2))
        assert found == [rows[number] for number in (numbers[::-1] if reverse else numbers)]

    def test_get_keeps_the_order_asked(self, store, table):
        rows = rows_of(6)
        store.put(table, rows)
        keys = [b"k00004", b"none", b"k00001", b"k00004"]
        assert store.get(table, keys) == [rows[4][1], None, rows[1][1], rows[4][1]]
        assert store.get(table, []) == []

    def test_only_the_cells_named_come(self, store, table):
        store.put(table, [(b"a", {A: b"1", B: b"2", C: b"3"}), (b"b", {B: b"4"})])
        assert store.get(table, [b"a", b"b"], [A, C]) == [{A: b"1", C: b"3"}, None]
        assert list(store.scan(table, ALL_KEYS, [B])) == [(b"a", {B: b"2"}), (b"b", {B: b"4"})]
        assert list(store.scan(table, ALL_KEYS, [A])) == [(b"a", {A: b"1"})]

    def test_cells_that_are_not_named_stay(self, store, table):
        store.put(table, [(b"a", {A: b"1", B: b"2"})])
        store.put(table, [(b"a", {B: b"3"})])
        assert store.get(table, [b"a"]) == [{A: b"1", B: b"3"}]

    def test_of_a_row_given_twice_the_last_wins(self, store, table):
        store.put(table, [(b"a", {A: b"1", C: b"x"}), (b"b", {A: b"5"}), (b"a", {A: b"2"})])
        assert store.get(table, [b"a"]) == [{A: b"2", C: b"x"}]

    def test_of_versions_the_newest_wins_in_whatever_order_they_come(self, store, table):
        for version in (1000, 3000, 2000):
            store.put(table, [(b"versions", {A: str(version).encode()})], time_ms=version)
        assert store.get(table, [b"versions"]) == [{A: b"3000"}]
        store.put(table, [(b"versions", {A: b"again"})], time_ms=3000)
        assert store.get(table, [b"versions"]) == [{A: b"again"}]
        store.delete(table, [b"versions"], time_ms=3000)

    def test_writing_twice_leaves_what_writing_once_does(self, store, table):
        rows = rows_of(12)
        store.put(table, rows)
        store.put(table, rows)
        assert list(store.scan(table, ALL_KEYS)) == rows

    def test_deleted_rows_are_gone_and_can_come_again(self, store, table):
        rows = rows_of(5)
        store.put(table, rows)
        store.delete(table, [b"k00001", b"k00003", b"never"])
        assert [key for key, _ in store.scan(table, ALL_KEYS)] == [b"k00000", b"k00002", b"k00004"]
        store.put(table, rows[1:2])
        assert store.get(table, [b"k00001"]) == [rows[1][1]]
        store.delete(table, [])

    def test_a_deletion_of_a_version_leaves_newer_ones(self, store, table):
        store.put(table, [(b"kept", {A: b"new"})], time_ms=5000)
        store.delete(table, [b"kept"], time_ms=4999)
        assert store.get(table, [b"kept"]) == [{A: b"new"}]
        store.delete(table, [b"kept"], time_ms=5000)
        assert store.get(table, [b"kept"]) == [None]
        store.put(table, [(b"kept", {A: b"hidden"})], time_ms=5000)
        assert store.get(table, [b"kept"]) == [None]
        store.put(table, [(b"kept", {A: b"newer"})], time_ms=5001)
        assert store.get(table, [b"kept"]) == [{A: b"newer"}]

    def test_versions_come_with_values(self, store, table):
        rows = {b"early": 1, b"late": 2**63 - 2}
        for key, version in rows.items():
            store.put(table, [(key, {A: key, B: b"other"})], time_ms=version)
        found = store.get_versions(table, [b"late", b"none", b"early", b"late"], A)
        assert found == [(b"late", 2**63 - 2), None, (b"early", 1), (b"late", 2**63 - 2)]
        assert store.get_versions(table, [b"early"], C) == [None]
        assert store.get_versions(table, [], A) == []
        store.delete(table, [b"late"])  # as of now: what is later stays
        assert store.get_versions(table, [b"late"], A) == [(b"late", 2**63 - 2)]
        store.put(table, [(b"late", {A: b"", B: b""})], time_ms=2**63 - 2)
        assert store.get(table, [b"late"]) == [{A: b"", B: b""}]
        store.delete(table, [b"late"], time_ms=2**63 - 2)

    def test_empty_and_large_cells_and_any_bytes(self, store, table):
        large = bytes(range(256)) * 4096
        rows: list[Row] = [(b"a", {A: b""}), (b"b", {A: large}), (b"c_%20\x7f~", {A: b"\0\xff"})]
        store.put(table, rows)
        assert list(store.scan(table, ALL_KEYS, page=2)) == rows

    def test_what_is_too_large_is_refused_whole_and_what_just_fits_is_kept(self, store, table):
        largest: list[Row] = [(b"k" * MOST_KEY_BYTES, {A: b"1"}), (b"large", {A: bytes(MOST_CELL_BYTES)})]
        store.put(table, largest)
        assert list(store.scan(table, ALL_KEYS)) == largest
        for key, value in ((b"k" * (MOST_KEY_BYTES + 1), b"1"), (b"", b"1"), (b"b", bytes(MOST_CELL_BYTES + 1))):
            with pytest.raises(DataError, match=f"table `{table}`"):
                store.put(table, [(b"fine", {A: b"1"}), (key, {A: value})])
        with pytest.raises(DataError, match="negative"):
            store.put(table, [(b"fine", {A: b"1"})], time_ms=-1)
        assert store.get(table, [b"fine", b"", b"k" * (MOST_KEY_BYTES + 1)]) == [None, None, None]

    @pytest.mark.parametrize("reverse", [False, True])
    def test_ranges_may_have_ends_that_are_longer_than_any_key(self, store, table, reverse):
        rows: list[Row] = [(b"a", {A: b"1"}), (b"k" * MOST_KEY_BYTES, {A: b"2"}), (b"z", {A: b"3"})]
        store.put(table, rows)
        end = b"k" * (MOST_KEY_BYTES + 1000)
        assert list(store.scan(table, KeyRange(b"", end), reverse=reverse)) == (rows[1::-1] if reverse else rows[:2])
        assert list(store.scan(table, KeyRange(end, b"\xff"), reverse=reverse)) == rows[2:]
        assert list(store.scan(table, KeyRange(end, end + b"k"), reverse=reverse)) == []

    def test_nothing_to_write(self, store, table):
        store.put(table, [])
        assert list(store.scan(table, ALL_KEYS)) == []

    def test_a_table_that_exists_is_left_as_it_is(self, store, table):
        store.put(table, rows_of(3))
        store.create_tables({table: ["alert", "history"]})
        assert len(list(store.scan(table, ALL_KEYS))) == 3

    def test_a_table_or_family_that_does_not_exist(self, store, table):
        for ask in (
            lambda: store.put("nowhere", rows_of(1)),
            lambda: store.get("nowhere", [b"a"]),
            lambda: list(store.scan("nowhere", ALL_KEYS)),
            lambda: store.delete("nowhere", [b"a"]),
            lambda: store.put(table, [(b"a", {b"family:x": b"1"})]),
        ):
            with pytest.raises(ServiceError, match=r"nowhere|famil") as raised:
                ask()
            assert not isinstance(raised.value, ArchiveAway)

    def test_an_abandoned_scan_leaves_the_store_usable(self, store, table):
        store.put(table, rows_of(50))
        for _ in range(30):
            scan = store.scan(table, ALL_KEYS, page=5)
            assert next(scan)[0] == b"k00000"
        assert len(list(store.scan(table, ALL_KEYS))) == 50

    def test_threads_do_not_disturb_one_another(self, store, table):
        rows, wrong = rows_of(200), []
        store.put(table, rows)

        def read(first: int) -> None:
            for _ in range(3):
                found = list(store.scan(table, KeyRange(b"k%05d" % first, b"k%05d" % (first + 20)), page=6))
                if found != rows[first : first + 20] or store.get(table, [rows[first][0]]) != [rows[first][1]]:
                    wrong.append(first)

        threads = [threading.Thread(target=read, args=(10 * number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
