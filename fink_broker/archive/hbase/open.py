"""The archive as the configuration names it."""

from __future__ import annotations

from fink_broker.archive.hbase.hbase_store import HBaseStore
from fink_broker.archive.hbase.owner import Owner
from fink_broker.archive.hbase.reader import Archive
from fink_broker.config.model import Config


def open_store(config: Config) -> HBaseStore:
    """Return the database; nothing is asked of it before it is used."""
    return HBaseStore(config.hbase_servers, config.hbase.connections, config.hbase.timeout_seconds)


def open_archive(config: Config) -> Archive:
    """Return the archive as its readers and writers see it.

    In the embedded HBase, tables belong to the broker that wrote to them first: others are refused when they write.
    """
    archive = Archive(open_store(config), config.hbase.tables, config.hbase.connections)
    if not config.hbase.servers:
        archive.schemas.owner = Owner(config.storage.state / "hbase")
    return archive
