"""Whose the tables of an embedded HBase are."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from fink_broker.archive.hbase import schemas
from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.owner import Owner
from fink_broker.archive.hbase.schemas import Schemas
from fink_broker.config.model import Config, HBaseConfig, StorageConfig
from fink_broker.errors import DataError, ServiceError

ALERTS = pa.table({"i:candid": [1, 2]})


def schemas_of(store: MemoryStore, owner: Owner | None) -> Schemas:
    store.create_tables({"ztf.schema": ["record"]})
    made = Schemas(store, "ztf")
    made.owner = owner
    return made


def test_who_writes_first_is_the_owner_and_nobody_else_writes(tmp_path: Path) -> None:
    store = MemoryStore()
    rows = schemas_of(store, Owner(tmp_path / "one")).pack(ALERTS)
    assert schemas_of(store, Owner(tmp_path / "one")).unpack(rows).equals(ALERTS)
    other = schemas_of(store, Owner(tmp_path / "two"))
    with pytest.raises(ServiceError, match="another broker's"):
        other.pack(ALERTS)
    assert other.unpack(rows).equals(ALERTS), "who reads may read what answers"
    assert len(schemas_of(store, None).pack(ALERTS)) == 2, "in a cluster tables are whose who says so"


def test_the_name_of_a_broker_stays_and_is_no_others(tmp_path: Path) -> None:
    name = Owner(tmp_path / "one").name
    assert Owner(tmp_path / "one").name == name != Owner(tmp_path / "two").name
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["owner"]


def test_only_the_embedded_hbase_has_an_owner(tmp_path: Path) -> None:
    storage = StorageConfig(state=tmp_path)
    assert open_archive(Config(storage=storage)).schemas.owner is not None
    assert open_archive(Config(storage=storage, hbase=HBaseConfig(servers="far:9090"))).schemas.owner is None


def test_tables_made_anew_under_a_writer_get_their_schemas_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    writer = schemas_of(store, None)
    writer.pack(ALERTS)
    store._tables.clear()
    rows = writer.pack(ALERTS)
    with pytest.raises(DataError, match="nobody described"):
        schemas_of(store, None).unpack(rows)
    monkeypatch.setattr(schemas, "KEPT_SECONDS", 0.0)
    assert schemas_of(store, None).unpack(writer.pack(ALERTS)).equals(ALERTS)
