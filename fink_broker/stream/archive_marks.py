"""Nights that changed in Parquet and are not yet so in HBase: a mark each, beside the commits of the archive.

The mark is set before a night is replaced, and goes once HBase holds what the night is then: who is killed in between,
or finds HBase away, leaves it behind, and ``fink archive check`` tells of it.
"""

from __future__ import annotations

import json
import time
import uuid

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.commits import COMMITS
from fink_broker.config import Config

FOLDER = "_behind"


class Marks:
    """The marks of all nights.

    Parameters
    ----------
    config : Config
        The configuration in force.
    """

    def __init__(self, config: Config) -> None:
        self._table = AlertTable(Layout(config.storage.online).table("archived"))
        self._storage = self._table.storage

    def set(self, night: str) -> None:
        """Mark a night (``YYYYMMDD``), where alerts are brought to HBase at all."""
        if self._storage.exists(COMMITS) and self._table.log.end():
            self._storage.make_folder(FOLDER)
            mark = {"since": time.time(), "id": uuid.uuid4().hex}
            self._storage.write_atomically(_path(night), json.dumps(mark).encode())

    def read(self, night: str) -> bytes | None:
        """Return the mark of a night, None if it has none; each time a night is marked it is another one."""
        try:
            return self._storage.read(_path(night))
        except FileNotFoundError:
            return None

    def since(self, night: str) -> float | None:
        """Return since when a night is marked (unix seconds), None if it is not; 0 if nobody can tell."""
        mark = self.read(night)
        try:
            return None if mark is None else float(json.loads(mark)["since"])
        except (ValueError, KeyError, TypeError):
            return 0.0

    def remove(self, night: str, seen: bytes | None) -> None:
        """Remove the mark that was read before HBase was written; one that was set since then stays."""
        if seen is not None and self.read(night) == seen:
            self._storage.remove(_path(night))

    def nights(self) -> list[str]:
        """Return the nights that are marked, the oldest first."""
        return [info.base_name.removesuffix(".json") for info in self._storage.find(FOLDER, ".json")]


def _path(night: str) -> str:
    return f"{FOLDER}/{night}.json"
