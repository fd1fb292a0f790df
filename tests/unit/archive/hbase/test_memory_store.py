from __future__ import annotations

import pytest
from store_contract import StoreContract, rows_of

from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.errors import ArchiveAway


class TestMemoryStore(StoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store(cls) -> MemoryStore:
        return MemoryStore()


def test_a_store_told_to_be_away_is_away_until_told_otherwise():
    store = MemoryStore()
    store.create_tables({"t": ["alert"]})
    store.put("t", rows_of(10))
    scan = store.scan("t", ALL_KEYS, page=3)
    next(scan)
    store.away = True
    for ask in (
        lambda: list(scan),
        lambda: store.put("t", rows_of(1)),
        lambda: store.get("t", [b"a"]),
        lambda: store.delete("t", [b"a"]),
        lambda: store.create_tables({}),
    ):
        with pytest.raises(ArchiveAway):
            ask()
    store.away = False
    assert len(list(store.scan("t", ALL_KEYS))) == 10
